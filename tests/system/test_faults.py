"""Workers are killed, stopped, paused and joined, broker and Redis die: the numbers stay those of the quiet run."""

import asyncio
import signal
import time
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

BANK = Path(__file__).resolve().parents[2] / "../shared/data/anonymous_bank_1999_02.txt"
HOURS = 6
START_MS = 1_767_225_600_000

pytestmark = pytest.mark.timeout(240)

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
    settings = settings_for(kafka, f"fault-{fault}", site, redis)
    members = [Member(settings, "one"), Member(settings, "two")]
    try:
        through = run(settings, items, members, lambda: FAULTS[fault](members, kafka, redis))
        report, expected = through.builder.report({}), quiet()
        for part in ("total", "by_queue", "by_day", "by_interval"):
            assert report[part] == expected[part], part
        until(lambda: all(member.is_alive() for member in members), "both workers alive", 5)
        on_redis_as_reported(settings, report)
    finally:
        for member in members:
            member.end()


def on_redis_as_reported(settings: Settings, report: Report) -> None:
    """Every queue on Redis shows the day's numbers of the report, and no row is left of an older owner."""
    url = settings.redis.url
    assert url is not None
    by_queue = report["by_queue"]
    assert isinstance(by_queue, dict)

    async def offered() -> dict[str, int]:
        store = RedisSnapshots(url.get_secret_value(), settings.site.name)
        try:
            snapshots = await store.read()
        finally:
            await store.close()
        return {s.queue: s.windows["day"].answered for s in snapshots if isinstance(s, QueueSnapshot)}

    queues = set(by_queue)
    until(lambda: set(asyncio.run(offered())) >= queues, "every queue on Redis", 20)
    now = asyncio.run(offered())
    time.sleep(6)  # longer than the refresh: a stale writer would have shown itself
    assert asyncio.run(offered()) == now


@pytest.mark.skipif(not BANK.exists(), reason="reference data not here: ../shared/data")
def test_a_month_of_a_bank_through_two_workers_and_a_kill_equals_the_driver(kafka: LocalKafka) -> None:
    site = SITES["anonymous-bank"]
    with BANK.open("rb") as lines:
        items = tuple(item for item in READERS["anonymous-bank"](lines) if isinstance(item, Item))
    settings = settings_for(kafka, "bank", site)
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
