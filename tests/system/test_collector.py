"""Is every batch that was answered 202 in Kafka, whatever happens to Kafka and to the collector? With both as processes."""

import http.client
import json
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from agents.journeys.customer_keys import CustomerKeys
from streams.routing import partition_of
from tests.system.commands import command
from tests.system.local_kafka import LocalKafka
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port
from tests.system.topic_ids import ids_in, records_in

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(240)]

PARTITIONS = 4
ORIGIN = "https://shop.example.com"
KEY = "a-secret-of-this-test"
SENDERS = 4
PAUSE_S = 0.01


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    """One of our own: it is killed."""
    with LocalKafka() as broker:
        yield broker


class Collector:
    """A collector as a process; it can be killed and started again on its spool."""

    def __init__(self, kafka: LocalKafka, folder: Path, name: str, spool_mb: float = 50) -> None:
        self.kafka = kafka
        self.topic = f"{name}.web"
        self.port, self.metrics_port = free_port(), free_port()
        self._folder = folder
        self._process = ServerProcess("collector")
        kafka.create_topic(self.topic, PARTITIONS)
        self._config = folder / "queuelight.toml"
        self._config.write_text(f"""
[kafka]
topic_prefix = "{name}."
partitions = {PARTITIONS}
[collector]
tenant_keys = "t {KEY}"
metrics_port = {self.metrics_port}
spool_folder = "{folder}/spool"
spool_mb = {spool_mb}
requests_per_minute = 1000000
[[collector.sites]]
key = "shop"
origins = ["{ORIGIN}"]
""")

    def start(self) -> None:
        """Start, and return when it answers."""
        words = command(
            "collect", "--broker", self.kafka.bootstrap, "--port", self.port, "--config", self._config
        )
        self._process.start(words, self._folder / "log")
        until(lambda: self.asked("/livez") != "", "the collector answers", 20)

    def kill(self) -> None:
        """As a crash."""
        self._process.end(signal.SIGKILL, 5)

    def stop(self) -> None:
        """In order."""
        self._process.end(signal.SIGTERM, 20)

    def asked(self, path: str) -> str:
        """A page of its metrics server; empty while it does not answer."""
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as answer,
        ):
            return str(answer.read().decode())
        return ""

    def metric(self, name: str) -> float:
        """A gauge; -1 while it does not answer."""
        found = re.search(rf"^{name} ([\d.e+]+)$", self.asked("/metrics"), re.MULTILINE)
        return float(found[1]) if found else -1.0

    def is_spooling(self) -> bool:
        return self.metric("queuelight_collector_spooling") == 1

    def is_through(self) -> bool:
        return self.metric("queuelight_collector_spooling") == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Senders:
    """Browsers that send one batch after the other, and note which were answered 202."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.taken: dict[int, list[int]] = defaultdict(list)
        self.refused = 0
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]

    def _send(self, sender: int) -> None:
        number, connection = 0, None
        while not self._ended.is_set():
            number += 1
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                status = posted(connection, f"browser{sender}", number)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.05)
                continue
            if status == 202:
                self.taken[sender].append(number)
            else:
                self.refused += 1
            time.sleep(PAUSE_S)

    @property
    def total(self) -> int:
        return sum(map(len, self.taken.values()))

    def more(self, count: int) -> None:
        """Return when so many more batches were taken."""
        aim = self.total + count
        until(lambda: self.total >= aim, f"{count} more batches", 60)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(40)


def posted(connection: http.client.HTTPConnection, visitor: str, number: int) -> int:
    """The status of one batch of two events."""
    now = time.time_ns() // 1_000_000
    events = [
        {"type": kind, "id": f"{number}-{kind}", "at": now, "view": f"v{number}", "url": f"{ORIGIN}/cart"}
        for kind in ("view", "ping")
    ]
    body = json.dumps({"site": "shop", "visitor": visitor, "sent": now, "events": events})
    connection.request("POST", "/v1/web", body, {"Origin": ORIGIN, "Content-Type": "text/plain"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def everything_is_there(collector: Collector, senders: Senders) -> None:
    """All that was answered 202 is in the topic, and of each visitor in the order in which it was sent."""
    until(collector.is_through, "the spool is empty", 60)
    keys = CustomerKeys([("t", KEY)])
    expected = {
        f"{keys.visitor(f'browser{sender}')}.{number}-{kind}"
        for sender, numbers in senders.taken.items()
        for number in numbers
        for kind in ("view", "ping")
    }
    stored = ids_in(collector.kafka, collector.topic)
    assert len(expected) > 200
    assert not expected - stored.keys()


Disturbance = Callable[[Collector, Senders], None]


def kafka_killed(collector: Collector, senders: Senders) -> None:
    collector.kafka.kill()
    until(collector.is_spooling, "events go to the spool", 30)
    senders.more(200)
    collector.kafka.start()
    until(collector.is_through, "events go to Kafka again", 60)


def kafka_restarted(collector: Collector, senders: Senders) -> None:
    collector.kafka.restart()


def collector_killed(collector: Collector, senders: Senders) -> None:
    for _ in range(3):
        collector.kill()
        collector.start()
        senders.more(100)


def both_killed(collector: Collector, senders: Senders) -> None:
    collector.kafka.kill()
    until(collector.is_spooling, "events go to the spool", 30)
    senders.more(100)
    collector.kill()
    collector.start()
    senders.more(100)
    collector.kill()
    collector.kafka.start()
    collector.start()


def collector_ended(collector: Collector, senders: Senders) -> None:
    collector.stop()
    collector.start()


@pytest.mark.parametrize(
    "disturbance", [kafka_killed, kafka_restarted, collector_killed, both_killed, collector_ended]
)
def test_everything_answered_202_is_in_the_topic_after(
    disturbance: Disturbance, kafka: LocalKafka, tmp_path: Path
) -> None:
    with Collector(kafka, tmp_path, disturbance.__name__) as collector:
        with Senders(collector.port) as senders:
            senders.more(100)
            disturbance(collector, senders)
            senders.more(100)
        everything_is_there(collector, senders)


def test_what_waited_in_the_spool_is_in_the_topic_before_what_came_later(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    with Collector(kafka, tmp_path, "order") as collector:
        with Senders(collector.port) as senders:
            senders.more(50)
            kafka_killed(collector, senders)
            senders.more(50)
        everything_is_there(collector, senders)
        by_key: dict[bytes, dict[str, int]] = defaultdict(dict)
        for partition, key, value in records_in(kafka, collector.topic):
            assert partition == partition_of(key.decode(), PARTITIONS)
            by_key[key].setdefault(json.loads(value)["id"], len(by_key[key]))
        assert len(by_key) == SENDERS
        for ids in by_key.values():
            views = [int(each.partition(".")[2].partition("-")[0]) for each in ids if each.endswith("view")]
            assert views == sorted(views)


def test_when_the_spool_is_full_batches_are_refused_and_those_taken_are_there_in_the_end(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    with Collector(kafka, tmp_path, "full", spool_mb=0.2) as collector:
        with Senders(collector.port) as senders:
            senders.more(20)
            kafka.kill()
            try:
                until(lambda: senders.refused > 20, "batches are refused", 60)
                assert 0 < collector.metric("queuelight_collector_spool_bytes") <= 200_000
                assert "the spool is full" in failing(collector)
            finally:
                kafka.start()
            until(collector.is_through, "events go to Kafka again", 60)
            senders.more(50)
        everything_is_there(collector, senders)


def failing(collector: Collector) -> str:
    """What `/readyz` says while it is not ready."""
    until(lambda: collector.asked("/readyz") == "", "it is not ready", 10)
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=5)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert answer.status == 503
    return answer.read().decode()


def test_without_a_key_or_anybody_who_may_send_it_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "queuelight.toml"
    site = f'[[collector.sites]]\nkey = "shop"\norigins = ["{ORIGIN}"]\n'
    for text, said in ((site, "tenant_keys_file"), ("", "--random-key"), ("[collector]\n", "[collector]")):
        config.write_text(text)
        done = subprocess.run(
            command("collect", "--config", config), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert said in done.stderr
    config.write_text("")
    words = command("collect", "--random-key", "--config", config)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "nobody may send anything" in done.stderr
