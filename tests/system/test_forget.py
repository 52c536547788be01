"""Is a customer who wants to be forgotten found nowhere afterwards, and everybody else still there?"""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from redis import Redis

from agents.checkpoint import restore, shard_name
from agents.feed import Feed
from agents.journeys.customer_keys import CustomerKeys
from agents.journeys.forget import Outcome, forget
from agents.settings import Settings
from agents.topics import create_topics, wanted
from schemas.events import ContactQueued, Queued
from schemas.topics import CALLS, CUSTOMER_STAGE, CUSTOMERS, SOURCES, STUCK_FLAGS, VISITOR_STAGE, WEB
from schemas.web_events import IdentityLinked, Linked, View, WebPageView
from streams.driver import Item
from streams.simulator import encode
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.replays import settings_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
PARTITIONS = 2
KEYS = "1 a-key-of-this-test-only"
OURS = ("checkpoints",)
GONE, STAYS = "customer-gone", "customer-stays"


def story(now: datetime, customer: str, visitor: str) -> list[Item]:
    """A visitor sees pages, says who it is, and calls."""
    name = CustomerKeys([("1", KEYS.split()[1])]).of(customer)
    items = []
    for number, page in enumerate(("/billing", "/billing/fees", "/contact")):
        at = now + timedelta(seconds=number)
        data = View(visitor_id=visitor, page=page, view_id=f"{visitor}-{number}")
        event = WebPageView(id=f"{visitor}-{number}", source="test", time=at, data=data)
        items.append(Item(WEB, visitor, encode(event)))
    linked = IdentityLinked(
        id=f"{visitor}-l", source="test", time=now, data=Linked(visitor_id=visitor, customer_id=name)
    )
    items.append(Item(WEB, visitor, encode(linked)))
    call_id = f"call-of-{customer}"
    queued = Queued(contact_id=call_id, queue="Billing", customer_id=customer)
    call = ContactQueued(id=call_id, source="test", time=now + timedelta(seconds=20), data=queued)
    return [*items, Item(CALLS, call_id, encode(call))]


def live_records(
    settings: Settings, topic: str, partition: int, *, compacted: bool
) -> dict[bytes, tuple[bytes, bytes]]:
    """Key and value of every record, or of the newest of each key where Kafka may compact the others away."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.broker, "group.id": "grep", "enable.partition.eof": True}
    )
    found: dict[bytes, tuple[bytes, bytes]] = {}
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10) or (0, 0)
        consumer.assign([TopicPartition(topic, partition, first)])
        at = first
        while at < end:
            for record in consumer.consume(1000, 0.1):
                if record.error() is not None:
                    at = end
                    continue
                at = (record.offset() or 0) + 1
                key, value = record.key() or b"", record.value()
                name = key if compacted else str(record.offset()).encode()
                if value is None:
                    found.pop(name, None)
                else:
                    found[name] = key, value
    finally:
        consumer.close()
    return found


def state_of(settings: Settings, stage: str, topic: str) -> list[bytes]:
    """What a worker would restore of a stage."""
    entries: list[bytes] = []
    name = f"{settings.kafka.app_id}-{stage}-checkpoints-changelog"
    for partition in range(settings.kafka.partitions):
        records = dict(live_records(settings, name, partition, compacted=True).values())
        found = restore(records, shard_name(settings.kafka.topic_prefix + topic, partition))
        assert found is not None
        entries += [key.encode() + value for key, value in found.entries.items()]
    return entries


def places_with(
    settings: Settings, redis: LocalRedis, words: list[str], besides: tuple[str, ...]
) -> list[str]:
    """Topics and Redis keys in which one of the words is still to be found; `besides`: parts of names of topics."""
    needles = [word.encode() for word in words]
    found = []
    for topic in wanted(settings):
        if any(each in topic.name for each in besides):
            continue
        for partition in range(topic.partitions):
            records = live_records(settings, topic.name, partition, compacted=topic.compacted).values()
            if any(needle in key + value for needle in needles for key, value in records):
                found.append(topic.name)
    with Redis.from_url(redis.url) as client:
        for key in client.scan_iter("*"):
            kind = client.type(key)
            held = client.hgetall(key) if kind == b"hash" else {key: client.get(key) or b""}
            text = key + b" ".join(part for pair in held.items() for part in pair)
            if any(needle in text for needle in needles):
                found.append(key.decode())
    return found


@pytest.mark.parametrize("purge", [True, False], ids=["purged", "kept-in-topics"])
def test_a_forgotten_customer_is_in_no_state_and_not_in_redis_and_others_are(
    kafka: LocalKafka, redis: LocalRedis, purge: bool
) -> None:
    name = "forget-purged" if purge else "forget-kept"
    settings = settings_for(kafka, name, Site(name=name), redis)
    worker = settings.worker.model_copy(update={"checkpoint_ms": 500})
    collector = settings.collector.model_copy(update={"tenant_keys": SecretStr(KEYS)})
    own = settings.kafka.model_copy(update={"partitions": PARTITIONS})
    settings = replace(settings, worker=worker, collector=collector, kafka=own)
    create_topics(settings)
    keys = CustomerKeys([("1", KEYS.split()[1])])
    member = Member(settings, "one")
    feed = Feed(settings, replay=False, topics=(*SOURCES, WEB))
    now = datetime.now(UTC) - timedelta(minutes=2)
    for item in [*story(now, GONE, "v1_gone"), *story(now, STAYS, "v1_stays")]:
        feed.send(item)
    feed.flush()
    beat = Redis.from_url(redis.url, decode_responses=True)
    start = f"queuelight:{{{settings.site.name}}}:journey:"
    told = {f"{name}.{topic}" for topic in (WEB, CUSTOMERS, STUCK_FLAGS)}
    try:
        member.start()

        def has_both() -> bool:
            fields = [[str(field) for field in beat.hkeys(start + keys.of(each))] for each in (GONE, STAYS)]
            return all(any(field.startswith("s/") for field in each) and len(each) > 1 for each in fields)

        until(has_both, "journeys with sessions and contacts", 60)
        words = [keys.of(GONE), "v1_gone"]
        assert told - {f"{name}.{STUCK_FLAGS}"} <= set(places_with(settings, redis, words, ()))
        outcome: Outcome = forget(settings, keys.all_of(GONE), purge=purge, patience_s=60)
        assert outcome.dropped
        assert outcome.visitors == ("v1_gone",)

        # State holds on to the names of whom it is to forget, and to nothing else of them.
        places = set(places_with(settings, redis, words, OURS))
        if purge:
            assert {topic.removeprefix(f"{name}.") for topic, _ in outcome.purged} >= {WEB, CUSTOMERS}
            assert not places
        else:
            assert not outcome.purged
            assert places <= told, "besides the topics that are kept, nothing"
            kept = next(each for each in outcome.remains if "retention" in each)
            assert all(topic in kept for topic in (WEB, CUSTOMERS, STUCK_FLAGS))

        for stage, topic in ((VISITOR_STAGE, WEB), (CUSTOMER_STAGE, CUSTOMERS)):
            state = b"".join(state_of(settings, stage, topic))
            assert f"call-of-{STAYS}".encode() in state
            assert f"call-of-{GONE}".encode() not in state
        member.send(signal.SIGKILL)
        member.start()
        beat.delete(start + keys.of(STAYS))
        until(lambda: bool(beat.exists(start + keys.of(STAYS))), "others told again after a restart", 60)
        # A restart tells contacts that the contact centre still has once more; nobody takes this one in.
        besides = (*OURS, f".{CUSTOMERS}") if purge else (*OURS, *told)
        assert not places_with(settings, redis, words, besides)
    finally:
        member.end()
        beat.close()
