"""How does one run a real Apache Kafka broker for tests, benchmarks and a first look, without Docker?

One broker that is its own controller (KRaft), from the jars that Apache publishes, in a local JVM. It refuses
to know topics, schemas and who uses it. As a program it runs a broker in the foreground:

    python -m tests.system.local_kafka --port 9092 [--data DIR]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import FrameType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.system.fetched import CACHE, fetched
from tests.system.kafka_doors import Doors, OpenDoor
from tests.system.server_process import LocalServer, ServerError, free_port, program

POM = Path(__file__).with_name("kafka") / "pom.xml"
LIBS = CACHE / "kafka-libs"

_JAVA_PACKAGE = "openjdk-17-jre-headless"
_HEAP = ("-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
_START_PATIENCE_S = 60.0

# After a SIGKILL a broker may come back only once its former self has timed out, hence the short session.
# Retention and the check of timestamps are off: tests write events that happened years ago or tomorrow.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={logs}
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
delete.topic.enable=true
message.max.bytes=12582912
replica.fetch.max.bytes=12582912
log.retention.ms=-1
log.message.timestamp.before.max.ms=9223372036854775807
log.message.timestamp.after.max.ms=9223372036854775807
{doors}"""


def jars() -> Path:
    """The folder with Kafka's jars; fetched with Maven at the first call and after a change of the pom."""
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    return fetched(LIBS, wanted, lambda libs: _copy_dependencies(POM, libs))


def _copy_dependencies(pom: Path, folder: Path) -> None:
    maven = program("mvn", "maven")
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    print(f"fetching the jars of {pom} with Maven, once, into {folder.parent}", file=sys.stderr)
    result = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise ServerError(
            f"Maven could not fetch the jars of {pom}:\n{result.stdout[-3000:]}{result.stderr[-1000:]}"
        )


class LocalKafka(LocalServer):
    """One Apache Kafka broker. After `kill()` or `stop()` a new start goes on with the data that are there."""

    name = "Apache Kafka"
    word = "kafka"
    stop_patience_s = 30.0

    def __init__(self, data: Path | None = None, port: int | None = None, doors: Doors | None = None) -> None:
        super().__init__(data, port)
        self._doors = doors or OpenDoor()

    @property
    def bootstrap(self) -> str:
        """The address for clients, as "127.0.0.1:port"; known after the first start and kept since."""
        return self.address

    def _command(self) -> list[str]:
        java, libs = program("java", _JAVA_PACKAGE), jars()
        properties = self._prepare([java, *_LOGGING, "-cp", f"{libs}/*"])
        return [java, *_HEAP, *_LOGGING, "-cp", f"{libs}/*", "kafka.Kafka", str(properties)]

    def log_tail(self) -> str:
        """The last lines the broker printed."""
        return self._process.log_tail()

    def wait(self) -> int | None:
        """Wait until the broker ends by itself; its exit code."""
        return self._process.wait()

    def create_topic(self, name: str, partitions: int, config: dict[str, str] | None = None) -> None:
        """Create a topic, and return when it is there."""
        wish = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        admin = self._admin()
        admin.create_topics([wish])[name].result()

    def _prepare(self, java: list[str]) -> Path:
        """Write the properties, and format the data folder unless a complete format was done before."""
        folder = self.folder
        # The metadata log remembers the address of its controller, so its port must survive a restart.
        remembered = folder / "controller.port"
        controller = int(remembered.read_text()) if remembered.exists() else free_port()
        logs, properties = folder / "data", folder / "server.properties"
        doors = self._doors.properties(self.port, controller)
        properties.write_text(_PROPERTIES.format(controller=controller, doors=doors, logs=logs))
        if not remembered.exists():
            shutil.rmtree(logs, ignore_errors=True)
            self._format(java, properties)
            remembered.write_text(str(controller))
        return properties

    def _format(self, java: list[str], properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}"]
        users = [
            f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
            for name, password in self._doors.users().items()
        ]
        result = subprocess.run(
            [*java, *tool, "-c", str(properties), *users], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise ServerError(f"the storage of Kafka could not be formatted:\n{result.stdout}{result.stderr}")

    def _admin(self) -> AdminClient:
        quick = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
        known = {"bootstrap.servers": self.bootstrap, **self._doors.client()}
        return AdminClient({**known, "log_level": 2, **quick})

    def _wait_until_ready(self) -> None:
        admin, cluster, deadline = self._admin(), self._cluster_id(), time.monotonic() + _START_PATIENCE_S
        while time.monotonic() < deadline:
            self._process.check_alive()
            try:
                # Returns at the answer; the time-out only sets how often we look whether the JVM lives.
                answer = admin.list_topics(timeout=1.0)
            except KafkaException:
                continue
            # Another broker that took the port in the meantime must not pass for ours.
            if answer.brokers and answer.cluster_id == cluster:
                return
        late = f"Kafka did not answer at {self.bootstrap} within {_START_PATIENCE_S:.0f} s"
        raise ServerError(f"{late}:\n{self._process.log_tail()}")

    def _cluster_id(self) -> str:
        lines = (self.folder / "data" / "meta.properties").read_text().splitlines()
        return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))


def main() -> int:
    """Run a broker in the foreground until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.local_kafka", description=main.__doc__)
    parser.add_argument("--port", type=int, default=9092, help="port on 127.0.0.1 (default 9092)")
    parser.add_argument("--data", type=Path, help="folder to keep the data in (default: temporary, removed)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        with LocalKafka(args.data, args.port) as kafka:
            print(kafka.bootstrap, flush=True)
            print(f"Apache Kafka is running; its log: {kafka.log}. Ctrl-C stops it.", file=sys.stderr)
            code = kafka.wait()
            raise ServerError(f"Apache Kafka ended by itself with exit code {code}:\n{kafka.log_tail()}")
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1


def _leave(signum: int, frame: FrameType | None) -> None:
    """Leave the `with` of the broker, which stops it; a second Ctrl-C must not interrupt that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("stopping Apache Kafka", file=sys.stderr)
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
