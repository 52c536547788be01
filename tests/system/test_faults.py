"""Workers are killed, stopped, paused and joined, broker and Redis die: the numbers stay those of the quiet run."""

import asyncio
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from agents.settings import Settings
from agents.snapshot_store import RedisSnapshots
from schemas.snapshots import QueueSnapshot
from streams.driver import Driver, Item
from streams.readers import READERS, SITES
from streams.report import Report, ReportBuilder
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.replays import run, settings_for
from tests.system.server_process import free_port

BANK = Path(__file__).resolve().parents[2] / "../shared/data/anonymous_bank_1999_02.txt"
HOURS = 6
START_MS = 1_767_225_600_000

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(240)]

Disturbance = Callable[[list[Member], LocalKafka, LocalRedis], None]


@cache
def simulated() -> tuple[Site, tuple[Item, ...]]:
    """Six hours of a centre with 20 queues."""
    site = default_site(20)
    simulation = Simulation(site, with_events_per_s(site, Plan(flat=True), 2.5), seed=11, keep_record=False)
    events = simulation.events(START_MS, START_MS + HOURS * 3_600_000)
    return site, tuple(Item(topic, key, encode(event)) for topic, key, event in events)


@cache
def quiet() -> Report:
    """The report of the undisturbed run, through the driver."""
    site, items = simulated()
    return driven(site, items)


def driven(site: Site, items: tuple[Item, ...]) -> Report:
    driver = Driver(site, 2)
    driver.feed(items)
    driver.finish()
    builder = ReportBuilder(site, 900)
    for row in driver.intervals.values():
        builder.add(row)
    return builder.report({})


def kill(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    for _ in range(2):
        members[0].send(signal.SIGKILL)
        members[0].start()
        time.sleep(4)


def terminate(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    members[0].send(signal.SIGTERM)
    members[0].start()


def pause_beyond_the_session(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    members[0].send(signal.SIGSTOP)
    time.sleep(12)  # the session lasts 6 s: the others take over before the paused one wakes up
    members[0].send(signal.SIGCONT)


def join_and_leave(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    members[1].send(signal.SIGTERM)
    time.sleep(2)
    members[1].start()
    time.sleep(4)
    members[1].send(signal.SIGKILL)
    members[1].start()


def kill_the_broker(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    kafka.kill()
    time.sleep(3)
    kafka.start()


def empty_redis(members: list[Member], kafka: LocalKafka, redis: LocalRedis) -> None:
    redis.kill()
    time.sleep(2)
    redis.start()


FAULTS: dict[str, Disturbance] = {
    "kill-9": kill,
    "sigterm": terminate,
    "zombie": pause_beyond_the_session,
    "join-and-leave": join_and_leave,
    "broker-killed": kill_the_broker,
    "redis-emptied": empty_redis,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_numbers_are_those_of_the_quiet_run_after(
    fault: str, kafka: LocalKafka, redis: LocalRedis
) -> None:
    site, items = simulated()
    settings = settings_for(kafka, f"fault-{fault}", site, redis, replay=True)
    ports = [free_port(), free_port()]
    members = [Member(settings, name, port) for name, port in zip(("one", "two"), ports, strict=True)]
    try:
        through = run(settings, items, members, lambda: FAULTS[fault](members, kafka, redis))
        report, expected = through.builder.report({}), quiet()
        for part in ("total", "by_queue", "by_day", "by_interval"):
            assert report[part] == expected[part], part
        until(lambda: all(member.is_alive() for member in members), "both workers alive", 5)
        everywhere_as_reported(settings, ports, report)
    finally:
        for member in members:
            member.end()


Answered = dict[str, float]
"""Queue -> contacts answered in the hour before the end of the story."""


def everywhere_as_reported(settings: Settings, ports: list[int], report: Report) -> None:
    """Redis and the workers' `/metrics` agree on every queue, each exported by one worker, and so it stays."""
    by_queue = report["by_queue"]
    assert isinstance(by_queue, dict)
    queues = set(by_queue)

    def seen() -> tuple[Answered, list[Answered]]:
        return asyncio.run(on_redis(settings)), [on_metrics(port) for port in ports]

    def is_whole() -> bool:
        redis, exported = seen()
        return redis.keys() >= queues and sum(map(len, exported)) == len(redis)

    until(is_whole, "every queue on Redis and with one owner on the metrics pages", 30)
    first = seen()
    assert set(first[0]) == {queue for exported in first[1] for queue in exported}
    assert {queue: value for exported in first[1] for queue, value in exported.items()} == first[0]
    assert sum(first[0].values()) > 0
    until_unchanged = time.monotonic() + 6  # longer than the refresh: a stale writer would show itself
    while time.monotonic() < until_unchanged:
        assert seen() == first


async def on_redis(settings: Settings) -> Answered:
    assert settings.redis.url is not None
    store = RedisSnapshots(settings.redis.url.get_secret_value(), settings.site.name)
    try:
        return {s.queue: s.windows["1h"].answered for s in await store.read() if isinstance(s, QueueSnapshot)}
    finally:
        await store.close()


def on_metrics(port: int) -> Answered:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = re.findall(r"queuelight_window_answered_contacts\{(.*?)\} ([\d.e+]+)", page)
    labels = [(dict(re.findall(r'(\w+)="([^"]*)"', each)), float(value)) for each, value in found]
    return {each["queue"]: value for each, value in labels if each["window"] == "1h"}


@pytest.mark.skipif(not BANK.exists(), reason="reference data not here: ../shared/data")
def test_a_month_of_a_bank_through_two_workers_and_a_kill_equals_the_driver(kafka: LocalKafka) -> None:
    site = SITES["anonymous-bank"]
    with BANK.open("rb") as lines:
        items = tuple(item for item in READERS["anonymous-bank"](lines) if isinstance(item, Item))
    settings = settings_for(kafka, "bank", site, replay=True)
    members = [Member(settings, "one"), Member(settings, "two")]

    def hurt() -> None:
        members[1].send(signal.SIGKILL)
        members[1].start()

    try:
        through = run(settings, items, members, hurt)
    finally:
        for member in members:
            member.end()
    report, expected = through.builder.report({}), driven(site, items)
    assert report["total"]["offered"] == 31_125  # type: ignore[index]
    for part in ("total", "by_queue", "by_day", "by_interval"):
        assert report[part] == expected[part], part
