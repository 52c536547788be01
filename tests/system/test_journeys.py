"""Visitors and their contacts through real workers that are killed, stopped and joined: the quiet run's flags and pages.

Nothing is learned while it runs (models depend on when they were made): visitors are judged by the model of day one.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import SecretStr

from agents.feed import Feed
from agents.settings import Settings
from agents.topics import create_topics
from schemas.flag_events import FlagEvent, StuckWithdrawn
from schemas.journeys import Flag
from schemas.topics import CALLS, CHATS, CUSTOMERS, PAGE_PARTIALS, SOURCES, STUCK_FLAGS, WEB
from streams.driver import Item, Stored
from streams.journeys.driver import JourneyDriver
from streams.journeys.page_fold import Days, PageFold
from streams.simulator import default_site, encode
from streams.simulator.web import WebSimulation
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_shop import default_web_site
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.replays import settings_for

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(300)]

START_MS = 1_767_225_600_000
HOURS = 3
END_MS = START_MS + 30 * 3_600_000
"""A day after the last event everything is known."""
BEAT_EVERY_MS = 600_000
SECRET = "a key of this test only"
Disturbance = Callable[[list[Member]], None]
_decode_flag = msgspec.json.Decoder(FlagEvent).decode


@cache
def simulated() -> tuple[Site, tuple[tuple[int, Item], ...]]:
    """Three hours of a web site where much is wrong, and the contacts it causes."""
    shop = default_web_site()
    site = default_site(8)
    policy = msgspec.structs.replace(shop.policy(site.journeys), learn=False, threshold=0.15)
    plan = WebPlan(flat=True, sessions_per_day=2400.0, stuck=2.0)
    events = WebSimulation(shop, plan, seed=5, keep_truth=False).events(
        START_MS, START_MS + HOURS * 3_600_000
    )
    timed = [(round(e.time.timestamp() * 1000), Item(topic, key, encode(e))) for topic, key, e in events]
    return msgspec.structs.replace(site, journeys=policy), tuple(timed)


@cache
def quiet() -> JourneyDriver:
    """The undisturbed run, in one thread."""
    site, timed = simulated()
    driver = JourneyDriver(site, 4)
    driver.pages.take_model = lambda now_ms: None  # type: ignore[method-assign]
    driver.feed(item for _, item in timed)
    driver.finish(END_MS)
    return driver


def kill(members: list[Member]) -> None:
    for _ in range(2):
        members[0].send(signal.SIGKILL)
        members[0].start()
        time.sleep(4)


def terminate_and_join(members: list[Member]) -> None:
    members[1].send(signal.SIGTERM)
    time.sleep(3)
    members[1].start()
    time.sleep(4)
    members[0].send(signal.SIGTERM)
    members[0].start()


def nothing(members: list[Member]) -> None:
    return


FAULTS: dict[str, Disturbance] = {"none": nothing, "kill-9": kill, "rebalance": terminate_and_join}


def shuffled(timed: tuple[tuple[int, Item], ...]) -> Iterator[tuple[int, Item]]:
    """Some records twice, and all within half a minute in disorder, as sources that send again deliver them."""
    chance = random.Random(3)
    sent = [*timed, *chance.sample(timed, len(timed) // 20)]
    return iter(sorted(sent, key=lambda each: each[0] + chance.randrange(30_000)))


def settings_of(kafka: LocalKafka, redis: LocalRedis, name: str, site: Site) -> Settings:
    made = settings_for(kafka, name, site, redis)
    keys = SecretStr(f"1 {SECRET.replace(' ', '-')}")
    collector = made.collector.model_copy(update={"tenant_keys": keys})
    return replace(made, collector=collector, worker=made.worker.model_copy(update={"clock": "event"}))


def feed_all(
    settings: Settings, timed: Iterator[tuple[int, Item]], half: Callable[[], None], of: int
) -> None:
    """Send everything as a replay; `half` is called in the middle."""
    feed = Feed(settings, replay=True, topics=(*SOURCES, WEB))
    beat_ms = 0
    for number, (at_ms, item) in enumerate(timed):
        if at_ms >= beat_ms + BEAT_EVERY_MS:
            beat_ms = at_ms
            feed.beat(beat_ms)
        feed.send(item)
        if number == of // 2:
            feed.flush()
            half()
    feed.flush()
    until_quiet(settings)
    feed.beat(END_MS)
    feed.flush()


def until_quiet(settings: Settings) -> None:
    """Wait until what was sent is taken in and stored, and what follows from it is, too."""
    before: list[int] = []

    def is_quiet() -> bool:
        nonlocal before
        ends, stored = ends_of(settings)
        was, before = before, ends
        return ends == was and stored == ends

    until(is_quiet, "everything taken in and stored", 90)


def ends_of(settings: Settings) -> tuple[list[int], list[int]]:
    """The ends of all partitions of journeys, and up to where they are stored."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.broker, "group.id": settings.kafka.app_id})
    try:
        parts = [
            TopicPartition(settings.kafka.topic_prefix + topic, partition)
            for topic in (CALLS, CHATS, WEB, CUSTOMERS, PAGE_PARTIALS)
            for partition in range(settings.kafka.partitions)
        ]
        stored = _stored(consumer, parts)
        ends = [(consumer.get_watermark_offsets(part, timeout=10) or (0, 0))[1] for part in parts]
        time.sleep(1.0)
        return ends, stored
    finally:
        consumer.close()


def _stored(consumer: Consumer, parts: list[TopicPartition]) -> list[int]:
    """Committed offsets; none while the group's coordinator, of a broker just started, is not there yet."""
    try:
        return [max(0, each.offset) for each in consumer.committed(parts, timeout=10)]
    except KafkaException as error:
        if error.args[0].code() != KafkaError.NOT_COORDINATOR:
            raise
        return []


def events_of(settings: Settings, topic: str) -> list[bytes]:
    """Every value of a topic, partition by partition."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.broker, "group.id": "look", "enable.partition.eof": True}
    )
    found: list[bytes] = []
    try:
        for partition in range(settings.kafka.partitions):
            part = TopicPartition(settings.kafka.topic_prefix + topic, partition)
            first, end = consumer.get_watermark_offsets(part, timeout=10)
            if first == end:
                continue
            consumer.assign([TopicPartition(part.topic, partition, first)])
            at = first
            while at < end:
                for record in consumer.consume(1000, 0.1):
                    if record.error() is not None:
                        at = end
                        continue
                    at = (record.offset() or 0) + 1
                    value = record.value()
                    if value is not None:
                        found.append(value)
    finally:
        consumer.close()
    return found


def flags_told(settings: Settings) -> dict[str, Flag]:
    """What remains of all that was told of flags, by id."""
    flags: dict[str, Flag] = {}
    for value in events_of(settings, STUCK_FLAGS):
        event = _decode_flag(value)
        if isinstance(event, StuckWithdrawn):
            flags.pop(event.data.id, None)
        else:
            flags[event.data.id] = event.data
    return flags


def days_told(settings: Settings) -> Days:
    """What all that was told of pages adds up to."""
    fold = PageFold(settings.site, PAGE_PARTIALS, 0, event_clock=True)
    values = events_of(settings, PAGE_PARTIALS)
    assert not fold.apply([Stored(offset, value) for offset, value in enumerate(values)], 0)
    return fold.days


@pytest.mark.parametrize("fault", FAULTS)
def test_flags_and_pages_are_those_of_the_quiet_run_after(
    fault: str, kafka: LocalKafka, redis: LocalRedis
) -> None:
    site, timed = simulated()
    settings = settings_of(kafka, redis, f"journeys-{fault}", site)
    create_topics(settings)
    members = [Member(settings, name) for name in ("one", "two")]
    try:
        for member in members:
            member.start()
        feed_all(settings, shuffled(timed), lambda: FAULTS[fault](members), len(timed))
        expected = quiet()
        flags = {flag.id: flag for flag in expected.flags()}
        assert len(flags) > 20
        assert len(expected.pages.days) > 60
        until(lambda: days_told(settings) == expected.pages.days, "pages of the quiet run", 120)
        assert flags_told(settings) == flags
        assert all(member.is_alive() for member in members)
    finally:
        for member in members:
            member.end()
