"""Bad input through a real broker and a real worker: the good is counted, the bad is accounted for, labels stay few."""

import asyncio
import json
import re
import urllib.request
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from agents.settings import Settings, load
from agents.snapshot_store import RedisSnapshots
from agents.topics import create_topics
from schemas.counts import OVERFLOW_ROW
from schemas.errors import Reason
from schemas.snapshots import GroupSnapshot, QueueSnapshot, Snapshot
from schemas.topics import CALLS, DEAD_LETTERS, PRESENCE
from streams.site import Limits, QueuePolicy, Site
from tests.scenarios.test_bad_input import HOSTILE, HOSTILE_SIGNS
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.server_process import free_port

GOOD = 2000
FLOOD = 100_000
MOST_NAMES = 100
PARTITIONS = 2
DEEP = (b"[" * 100_000, b'{"a":' * 40_000)

pytestmark = pytest.mark.timeout(240)


def settings_for(kafka: LocalKafka, redis: LocalRedis) -> Settings:
    flags = {
        "kafka.broker": kafka.bootstrap,
        "kafka.app_id": "hostile",
        "kafka.topic_prefix": "hostile.",
        "redis.url": redis.url,
    }
    site = Site(
        name="hostile",
        queues={"Sales": QueuePolicy(), "Support": QueuePolicy()},
        limits=Limits(max_queues=MOST_NAMES),
    )
    made = load(None, flags).with_site(site)
    made = replace(made, kafka=made.kafka.model_copy(update={"partitions": PARTITIONS}))
    create_topics(made)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    larger = ConfigEntry("max.message.bytes", "12000000", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, "hostile." + CALLS, incremental_configs=[larger])
    for done in admin.incremental_alter_configs([topic]).values():
        done.result()
    return made


def event(kind: str, contact: str, **data: str) -> bytes:
    now = datetime.now(UTC).isoformat()
    return json.dumps(
        {
            "id": f"{contact}-{kind}",
            "source": "t",
            "type": kind,
            "time": now,
            "data": {"contact_id": contact, **data},
        }
    ).encode()


def of_today(value: bytes) -> bytes:
    """The same message, sent now: what is too old is dropped before it is looked at."""
    return value.replace(b"2026-03-02T09:00:00+01:00", datetime.now(UTC).isoformat().encode())


def expected_letters() -> Counter[str]:
    made = Counter(reason for name, (_, reason) in HOSTILE.items())
    made.update(reason for name, (_, reason) in HOSTILE_SIGNS.items() if "since" not in name)
    return Counter({str(reason.value): count for reason, count in made.items()})


def produce(kafka: LocalKafka) -> int:
    """Good ones with bad ones in between, then the flood of names; return how many bad ones."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 12_000_000, "linger.ms": 5}
    )

    refused: list[tuple[str, str, bytes]] = []

    def send(topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                producer.produce(
                    "hostile." + topic,
                    value,
                    key,
                    on_delivery=lambda error, _: refused.append((topic, key, value)) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)

    bad = [(CALLS, value) for value, _ in HOSTILE.values()] + [(CALLS, value) for value in DEEP]
    bad += [(PRESENCE, value) for name, (value, _) in HOSTILE_SIGNS.items() if "since" not in name]
    every = GOOD // len(bad)
    for number in range(GOOD):
        send(
            CALLS,
            f"good-{number}",
            event("contact.queued", f"good-{number}", queue=("Sales", "Support")[number % 2]),
        )
        if number % every == 0 and number // every < len(bad):
            topic, value = bad[number // every]
            send(topic, f"bad-{number}", of_today(value))
    for number in range(GOOD):
        send(CALLS, f"good-{number}", event("contact.answered", f"good-{number}", agent_id="ann"))
    for number in range(FLOOD):
        send(CALLS, f"flood-{number}", event("contact.queued", f"flood-{number}", queue=f"flood {number}"))

    def all_delivered() -> bool:
        """The broker takes 10 MB only once the new limit has reached it."""
        again, refused[:] = refused[:], []
        for each in again:
            send(*each)
        return producer.flush(60) == 0 and not refused

    until(all_delivered, "the broker has taken everything")
    return len(bad)


def dead_letters(kafka: LocalKafka, count: int) -> list[dict[str, object]]:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "letters", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["hostile." + DEAD_LETTERS])
    out: list[dict[str, object]] = []
    for _ in range(200):
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            out.append(json.loads(message.value() or b"{}"))
        elif len(out) >= count:
            break
    consumer.close()
    return out


def test_hostile_messages_and_a_flood_of_names_through_kafka(kafka: LocalKafka, redis: LocalRedis) -> None:
    settings = settings_for(kafka, redis)
    bad = produce(kafka)
    assert bad >= 60
    port = free_port()
    member = Member(settings, "one", port)

    def rows() -> list[Snapshot]:
        async def read() -> list[Snapshot]:
            board = RedisSnapshots(redis.url, "hostile")
            try:
                return await board.read()
            finally:
                await board.close()

        return asyncio.run(read())

    def queues() -> list[QueueSnapshot]:
        return [each for each in rows() if isinstance(each, QueueSnapshot)]

    def the_site() -> GroupSnapshot:
        return next(each for each in rows() if isinstance(each, GroupSnapshot) and each.group == "site")

    member.start()
    try:
        until(
            lambda: sum(each.arrival["day"].offered for each in queues()) == GOOD + FLOOD,
            "every good contact and every one of the flood is counted",
            120,
        )
        named = {each.queue: each for each in queues()}
        assert [named[name].arrival["day"].answered for name in ("Sales", "Support")] == [GOOD // 2] * 2
        assert len(named) <= 2 + PARTITIONS * MOST_NAMES + 1
        assert named[OVERFLOW_ROW].arrival["day"].offered >= FLOOD - PARTITIONS * MOST_NAMES
        until(lambda: sum(the_site().dead_letters.values()) >= bad, "all letters are on the board", 30)
        site = the_site()
        assert any(OVERFLOW_ROW in notice for notice in site.notices)
        letters = dead_letters(kafka, bad)
        told = Counter(str(letter["reason"]) for letter in letters)
        assert told == Counter(site.dead_letters)
        deep = {reason.value for reason in (Reason.TOO_DEEP, Reason.NOT_JSON, Reason.NOT_AN_EVENT)}
        assert not expected_letters() - told
        assert set(told - expected_letters()) <= deep
        assert sum(told.values()) == bad
        assert all({"topic", "partition", "offset"} <= letter.keys() for letter in letters)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        labels = set(re.findall(r'queue="([^"]*)"', page))
        assert OVERFLOW_ROW in labels
        assert len(labels) <= 2 + PARTITIONS * MOST_NAMES + 1
        assert member.is_alive()
    finally:
        member.end()
