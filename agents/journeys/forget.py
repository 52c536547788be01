"""How is a customer forgotten? State, stores and, where one accepts what that costs, the topics.

Journeys know customers and visitors only by keyed pseudonyms, and records go with the retention of their topics. Here
(a) the folds are told to drop the customer and its visitors, by statements that also hold when topics are replayed;
(b) what Redis holds is deleted once they have; (c) on request, what workers have stored is deleted from the topics
that name customers or visitors, for everybody: Kafka cannot delete one customer's records. Refuses to know raw ids.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka import (
    Message as Record,
)
from confluent_kafka.admin import AdminClient

from agents.journeys.store import RedisJourneys, asked
from agents.kafka_client import connecting, reached
from agents.wall_clock import wall_ms
from schemas.customers import (
    CustomerForgotten,
    CustomerStatement,
    CustomerVisitor,
    decode_customer,
    encode_customer,
)
from schemas.errors import BrokerError
from schemas.journeys import encode_journeys
from schemas.topics import CALLS, CHATS, CUSTOMERS, DAY_MS, HOUR_MS, STUCK_FLAGS, WEB, topics
from schemas.web_events import Forgotten, VisitorForgotten
from streams.routing import partition_of

if TYPE_CHECKING:
    from agents.settings import Settings

_PATIENCE_S = 10.0
_SOURCE = "queuelight/forget"
_EVERY_S = 0.3
_TO_THE_END = -1
"""Kafka's word for the end of a partition, where records are deleted."""

Part = tuple[str, int]


class Outcome(NamedTuple):
    """What was done: visitors that were the customer's, values deleted in Redis, whether the workers have forgotten.

    `purged`: topic partitions of which everything before an offset was deleted. `remains`: sentences on what is left.
    """

    visitors: tuple[str, ...]
    deleted: int
    dropped: bool
    purged: dict[Part, int]
    remains: tuple[str, ...]


def forget(settings: "Settings", names: Sequence[str], *, purge: bool, patience_s: float) -> Outcome:
    """Forget a customer and its visitors.

    Args:
        names: the customer's pseudonyms, under each key.
        purge: delete records from topics, too.
        patience_s: how long to wait until the workers have dropped and stored it.

    Raises:
        BrokerError: the broker does not answer or refuses.
        QueuelightError: Redis does not answer.
    """
    linked = asyncio.run(asked(settings, lambda store: _visitors_stored(store, names)))
    for name in names:
        linked |= _visitors_told(settings, name)
    visitors = tuple(sorted(linked))
    told = _tell(settings, names, visitors)
    dropped = _until_dropped(settings, told, patience_s)
    deleted = asyncio.run(asked(settings, lambda store: store.forget(names, visitors)))
    purged = _purge(settings) if purge and dropped else {}
    return Outcome(visitors, deleted, dropped, purged, tuple(_remains(settings, purged, dropped=dropped)))


# --- Redis ----------------------------------------------------------------------------------------------------------


async def _visitors_stored(store: RedisJourneys, names: Sequence[str]) -> set[str]:
    journeys = [await store.journey(name) for name in names]
    return {each.visitor_id for journey in journeys if journey is not None for each in journey.sessions}


# --- Kafka ----------------------------------------------------------------------------------------------------------


def _visitors_told(settings: "Settings", customer: str) -> set[str]:
    """Visitors that `customers` ever named for this customer, as far back as the topic goes."""
    topic = settings.kafka.topic_prefix + CUSTOMERS
    part = TopicPartition(topic, partition_of(customer, settings.kafka.partitions))
    consumer = connecting(
        Consumer,
        settings,
        {"group.id": f"queuelight-forget-{uuid.uuid4().hex}", "enable.partition.eof": True},
    )
    found = set()
    try:
        first, end = consumer.get_watermark_offsets(part, timeout=_PATIENCE_S) or (0, 0)
        consumer.assign([TopicPartition(topic, part.partition, first)])
        at = first
        while at < end:
            for record in consumer.consume(1000, _EVERY_S):
                if record.error() is not None:
                    at = end
                    continue
                at = (record.offset() or 0) + 1
                statement = _statement(record.value())
                if isinstance(statement, CustomerVisitor) and statement.customer_id == customer:
                    found.add(statement.visitor_id)
    except KafkaException as error:
        raise BrokerError(f"{topic} cannot be read: {error}") from error
    finally:
        consumer.close()
    return found


def _statement(value: bytes | None) -> CustomerStatement | None:
    try:
        return None if value is None else decode_customer(value)
    except msgspec.DecodeError:
        return None


def _tell(settings: "Settings", names: Sequence[str], visitors: Sequence[str]) -> dict[Part, int]:
    """Send the statements; returns the offset after the newest of each partition."""
    prefix, partitions = settings.kafka.topic_prefix, settings.kafka.partitions
    now_ms = wall_ms()
    ends: dict[Part, int] = {}
    errors: list[object] = []

    def delivered(error: object, record: Record) -> None:
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        if error is not None or topic is None or partition is None or offset is None:
            errors.append(error)
            return
        ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)

    producer = connecting(Producer, settings, {"acks": "all", "log_level": 2})
    messages = [(CUSTOMERS, name, encode_customer(CustomerForgotten(name, now_ms))) for name in names]
    for visitor in visitors:
        event = VisitorForgotten(
            id=f"forgotten-{now_ms}-{visitor[:100]}",
            source=_SOURCE,
            time=datetime.fromtimestamp(now_ms / 1000, UTC),
            data=Forgotten(visitor_id=visitor),
        )
        messages.append((WEB, visitor, encode_journeys(event)))
    for topic, key, value in messages:
        partition = partition_of(key, partitions)
        producer.produce(prefix + topic, value, key.encode(), partition, on_delivery=delivered)
    left = producer.flush(_PATIENCE_S)
    if left or errors:
        raise BrokerError(f"Kafka did not take the statements: {errors[0] if errors else 'no answer'}")
    return ends


def _until_dropped(settings: "Settings", told: Mapping[Part, int], patience_s: float) -> bool:
    """Wait until workers have applied and stored the statements; False: they have not in this time."""
    admin, _ = reached(settings)
    deadline = time.monotonic() + patience_s
    while True:
        stored = _stored(admin, settings.kafka.app_id)
        if all(stored.get(part, 0) >= end for part, end in told.items()):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_EVERY_S)


def _stored(admin: AdminClient, group: str) -> dict[Part, int]:
    """Up to where the workers' checkpoints cover each partition."""
    try:
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=10)
        partitions = found[group].result(15).topic_partitions or []
    except KafkaException as error:
        raise BrokerError(f"the offsets of group {group} cannot be read: {error}") from error
    return {(each.topic, each.partition): each.offset for each in partitions if each.offset >= 0}


def _purge(settings: "Settings") -> dict[Part, int]:
    """Delete what the workers have stored from `web` and `customers`, and all there is from `stuck-flags`."""
    admin, _ = reached(settings)
    prefix, partitions = settings.kafka.topic_prefix, settings.kafka.partitions
    stored = _stored(admin, settings.kafka.app_id)
    before: dict[Part, int] = {
        part: offset for part, offset in stored.items() if part[0] in (prefix + WEB, prefix + CUSTOMERS)
    }
    before |= {(prefix + STUCK_FLAGS, partition): _TO_THE_END for partition in range(partitions)}
    wanted = [TopicPartition(*part, offset) for part, offset in before.items()]
    purged = {}
    for part, future in admin.delete_records(wanted, request_timeout=_PATIENCE_S).items():
        try:
            purged[part.topic, part.partition] = future.result().low_watermark
        except KafkaException as error:
            raise BrokerError(f"{part.topic}/{part.partition} could not be purged: {error}") from error
    return purged


def _remains(settings: "Settings", purged: Mapping[Part, int], *, dropped: bool) -> Iterator[str]:
    kafka = settings.kafka
    kept_ms = {each.name: each.retention_ms for each in topics(kafka.partitions, kafka.app_id)}
    if not dropped:
        yield "no worker has stored it yet: those that run next will drop the customer before anything else"
    if not purged:
        names = ", ".join(f"{name} ({_days(kept_ms[name])})" for name in (WEB, CUSTOMERS, STUCK_FLAGS))
        yield f"records under the pseudonyms stay until the retention of their topics ends: {names}"
    own = ", ".join(f"{name} ({_days(kept_ms[name])})" for name in (CALLS, CHATS))
    yield f"contact events as the contact centre sent them, with its own id of the customer: {own}"
    hours = settings.site.limits.keep_ms / HOUR_MS
    yield f"contacts of the last {hours:g} h: told to {CUSTOMERS} again, and left out there, when a worker starts"
    yield "copies in checkpoints of before, which nothing reads: until 128 newer ones are stored and Kafka compacts"
    yield "counters of pages, which name nobody"


def _days(retention_ms: int | None) -> str:
    return "for ever" if retention_ms is None else f"{retention_ms / DAY_MS:g} days"
