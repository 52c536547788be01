"""How does one run a real Apache Kafka broker for tests, benchmarks and a first look, without Docker?

One broker that is its own controller (KRaft), from the jars that Apache publishes, in a local JVM. It refuses
to know topics, schemas and who uses it. As a program it runs a broker in the foreground:

    python -m tests.system.local_kafka --port 9092 [--data DIR]
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.system.server_process import DataFolder, ServerError, ServerProcess, claim_port, free_port, program

ROOT = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("kafka") / "pom.xml"
LIBS = ROOT / ".cache" / "kafka-libs"

_JAVA_PACKAGE = "openjdk-17-jre-headless"
_HEAP = ("-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
_START_PATIENCE_S = 60.0
_STOP_PATIENCE_S = 30.0

# After a SIGKILL a broker may come back only once its former self has timed out, hence the short session.
# Retention and the check of timestamps are off: tests write events that happened years ago or tomorrow.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
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
"""


def jars() -> Path:
    """The folder with Kafka's jars; fetched with Maven at the first call and after a change of the pom.

    An interrupted fetch leaves no marker and is repeated; two processes that ask at once fetch once.
    """
    return fetched_jars(POM, LIBS)


def fetched_jars(pom: Path, libs: Path) -> Path:
    """The runtime dependencies of a pom, copied into a folder that says for which pom it is complete."""
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    marker = libs / "complete"
    libs.parent.mkdir(parents=True, exist_ok=True)
    with libs.with_name(libs.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists() and marker.read_text() == wanted:
            return libs
        partial = libs.with_name(libs.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _copy_dependencies(pom, partial)
        (partial / "complete").write_text(wanted)
        shutil.rmtree(libs, ignore_errors=True)
        partial.rename(libs)
    return libs


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


class LocalKafka:
    """One Apache Kafka broker on 127.0.0.1. The constructor does nothing; `start()` starts."""

    def __init__(self, data: Path | None = None, port: int | None = None) -> None:
        """Data in the given folder, which is kept, or in a temporary one; a given port or any free one."""
        self._folder = DataFolder(data, "queuelight-kafka-")
        self._port = port
        self._process = ServerProcess("Apache Kafka")

    @property
    def bootstrap(self) -> str:
        """The address for clients, as "127.0.0.1:port"; known after the first start and kept since."""
        if self._port is None:
            raise ServerError("the port of Apache Kafka is chosen at its start")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the JVM."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file with everything the broker printed, of all its starts."""
        return self._folder.open() / "kafka.log"

    def start(self) -> None:
        """Start the broker on the data that are there, and return when it answers an admin client."""
        java, libs = program("java", _JAVA_PACKAGE), jars()
        self._port = claim_port(self._port)
        properties = self._prepare([java, *_LOGGING, "-cp", f"{libs}/*"])
        command = [java, *_HEAP, *_LOGGING, "-cp", f"{libs}/*", "kafka.Kafka", str(properties)]
        self._process.start(command, self.log, remove=self._folder.temporary)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in order. Data in a given folder stay, a temporary folder is removed."""
        self._end(signal.SIGTERM)
        self._folder.close()

    def kill(self) -> None:
        """SIGKILL, as a crash would do. The data stay, so that `start()` continues from them."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop in order and start again, on the same address and the same data."""
        self._end(signal.SIGTERM)
        self.start()

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

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, with_signal: signal.Signals) -> None:
        self._process.end(with_signal, _STOP_PATIENCE_S)

    def _prepare(self, java: list[str]) -> Path:
        """Write the properties, and format the data folder unless a complete format was done before."""
        folder = self._folder.open()
        # The metadata log remembers the address of its controller, so its port must survive a restart.
        remembered = folder / "controller.port"
        controller = int(remembered.read_text()) if remembered.exists() else free_port()
        logs, properties = folder / "data", folder / "server.properties"
        properties.write_text(_PROPERTIES.format(port=self._port, controller=controller, logs=logs))
        if not remembered.exists():
            shutil.rmtree(logs, ignore_errors=True)
            self._format(java, properties)
            remembered.write_text(str(controller))
        return properties

    def _format(self, java: list[str], properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}"]
        result = subprocess.run(
            [*java, *tool, "-c", str(properties)], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise ServerError(f"the storage of Kafka could not be formatted:\n{result.stdout}{result.stderr}")

    def _admin(self) -> AdminClient:
        quick = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2, **quick})

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
        lines = (self._folder.open() / "data" / "meta.properties").read_text().splitlines()
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
