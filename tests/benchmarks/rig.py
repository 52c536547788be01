"""What do all benchmarks of the whole worker stand on? A broker, a Redis, workers as processes, and eyes on them.

Refuses to know what is measured.
"""

from __future__ import annotations

import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agents.settings import Settings, load
from agents.topics import create_topics
from streams.simulator import default_site
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member
from tests.system.server_process import free_port

QUEUES = 200
PARTITIONS = 4
READY_LAG = 200
_TICKS = os.sysconf("SC_CLK_TCK")


class Watched:
    """One worker process with what can be seen of it from outside."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.port = free_port()
        self.member = Member(settings, name, self.port)

    def cpu_s(self) -> float:
        """CPU time of the process so far, in seconds."""
        return cpu_s_of(self.member.pid)

    def rss_mb(self) -> float:
        """Resident memory now, in MB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.member.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the worker; (0, "") while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        """True when it is assigned, restored and not behind."""
        return self.page("/readyz")[0] == 200

    def is_restored(self) -> bool:
        """True when it works, however far behind."""
        status, text = self.page("/readyz")
        return status == 200 or (status != 0 and "behind" in text and "restoring" not in text)

    def records(self) -> float:
        """How many events it has taken in."""
        text = self.page("/metrics")[1]
        lines = [line for line in text.splitlines() if line.startswith("queuelight_events_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def pauses(self) -> dict[float, float]:
        """The histogram of checkpoint pauses: upper edge in seconds -> how many, cumulative."""
        text = self.page("/metrics")[1]
        found = re.findall(r'queuelight_checkpoint_pause_seconds_bucket\{le="([^"]+)"\} ([\d.e+]+)', text)
        return {float(edge): float(count) for edge, count in found}


@contextmanager
def servers() -> Iterator[tuple[LocalKafka, LocalRedis]]:
    """A broker and a Redis."""
    with LocalKafka() as kafka, LocalRedis() as redis:
        yield kafka, redis


def settings_for(kafka: LocalKafka, redis: LocalRedis, name: str, site: Site | None = None) -> Settings:
    """An installation of its own on these servers, its topics made."""
    flags = {
        "kafka.broker": kafka.bootstrap,
        "kafka.app_id": name,
        "kafka.topic_prefix": f"{name}.",
        "redis.url": redis.url,
    }
    made = load(None, flags)
    kafka_settings = made.kafka.model_copy(update={"partitions": PARTITIONS})
    worker = made.worker.model_copy(update={"ready_lag": READY_LAG})
    made = replace(made, kafka=kafka_settings, worker=worker).with_site(site or site_of(name))
    create_topics(made)
    return made


def site_of(name: str) -> Site:
    """The simulator's centre with 200 queues."""
    site = default_site(QUEUES)
    return Site(
        name=name,
        zone=site.zone,
        day_starts_at=site.day_starts_at,
        queue_defaults=site.queue_defaults,
        queues=site.queues,
        limits=site.limits,
    )


def until(condition: Callable[[], bool], what: str, seconds: float, every_s: float = 0.02) -> float:
    """Wait for a condition; return when it was true (monotonic seconds).

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every_s)
    return time.monotonic()


def cpu_s_of(pid: int) -> float:
    """CPU time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0-1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
