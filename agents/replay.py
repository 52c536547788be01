"""What do Kafka and real workers make of a recording? The same report as the driver's, the long way round.

It starts workers of its own, on topics and in a group of its own, and removes the topics afterwards: an installation on
the same broker sees nothing of it. Workers that run already are fed only when that is asked for.
"""

import logging
import multiprocessing
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka import ConsumerGroupState as GroupState
from confluent_kafka.admin import AdminClient

from agents.feed import Feed, paced
from agents.kafka_client import client_settings, reached
from agents.topics import check_topics, create_topics, wanted
from schemas.errors import BrokerError, Reason
from schemas.events import AnyEvent
from schemas.snapshots import GroupSnapshot, decode_interval, decode_snapshot
from schemas.topics import INTERVALS, PARTIALS, SNAPSHOTS, SOURCES
from streams.decode import unix_ms
from streams.driver import Item
from streams.report import ReportBuilder

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

HEARTBEAT_EVERY_MS = 1_800_000
_STALL_S = 120.0
_LEADER_S = 20.0
_decode_event = msgspec.json.Decoder(AnyEvent).decode
_UNREADABLE_MS = -1


@dataclass(frozen=True)
class Through:
    """What came out: the report's builder and what the pipeline says of its source."""

    builder: ReportBuilder
    truth: GroupSnapshot
    sent: int


def replay_through_kafka(
    settings: "Settings",
    items: Iterable[Item],
    interval_s: int,
    *,
    running: bool = False,
    speed: float | None = None,
    workers: int = 1,
    on_sent: Callable[[int], None] = lambda sent: None,
    on_processed: Callable[[int, int], None] = lambda done, of: None,
) -> Through:
    """Send a recording through Kafka and collect the intervals that the workers publish.

    Args:
        settings: broker, site, application id.
        items: in time order (a minute of disorder does no harm).
        interval_s: of the report, see `ReportBuilder`.
        running: True: through the workers of the group that run already, on its own topics, which must be new.
        speed: times real time; None: as fast as it goes.
        workers: how many to start, unless `running`.
        on_sent: told now and then how many records were sent.
        on_processed: told now and then how many of the records sent are processed and stored.

    Raises:
        BrokerError: the broker does not answer, or nothing moves any more for two minutes. With `running`: nobody runs,
            topics are missing or hold records, or the workers live by the wall clock.
    """
    group = settings.kafka.app_id
    if running:
        _check_running(settings)
        log.warning("sending the recording into the topics of group %s, to its running workers", group)
    else:
        settings = _isolated(settings)
        own = settings.kafka.topic_prefix
        log.info("replaying through workers of its own, on topics %s*; group %s is left alone", own, group)
        create_topics(settings)
    try:
        with _workers(settings, 0 if running else workers) as alive:
            collector = _Collector(settings)
            sent = _send(settings, items, speed, on_sent)
            _until_done(settings, on_processed, alive)
            through = collector.collect(interval_s, sent)
    finally:
        if not running:
            _remove(settings)
    if Reason.WRONG_CLOCK in through.truth.dead_letters:
        raise BrokerError(
            f"the workers of group {group} live by the wall clock: a replay needs some with "
            '`clock = "event"` in [worker], and new topics'
        )
    return through


def _send(
    settings: "Settings", items: Iterable[Item], speed: float | None, on_sent: Callable[[int], None]
) -> int:
    feed = Feed(settings, replay=True)
    beat_ms = newest_ms = 0
    for at_ms, item in paced(_timed(items), speed):
        newest_ms = max(newest_ms, at_ms)
        if newest_ms >= beat_ms + HEARTBEAT_EVERY_MS:
            beat_ms = newest_ms
            feed.beat(newest_ms)
        feed.send(item)
        if feed.sent % 500 == 0:
            on_sent(feed.sent)
    if newest_ms:
        feed.beat(newest_ms)
    feed.flush()
    on_sent(feed.sent)
    return feed.sent


def _timed(items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    """Items with their event time; one that cannot be read has that of the item before."""
    last_ms = 0
    for item in items:
        try:
            at_ms = unix_ms(_decode_event(item.value).time)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            at_ms = None
        last_ms = last_ms if at_ms is None else at_ms
        yield last_ms, item


# --- the group --------------------------------------------------------------------------------------------------


def _check_running(settings: "Settings") -> None:
    """Find out whether the group can take a recording: beside other records its numbers would be nobody's.

    Raises:
        BrokerError: it cannot.
    """
    kafka = settings.kafka
    if not has_workers(settings):
        raise BrokerError(f"no worker of group {kafka.app_id} is running")
    problems = check_topics(settings)
    if problems:
        raise BrokerError("; ".join(problems))
    consumer = Consumer(client_settings(settings) | {"group.id": f"queuelight-replay-{uuid.uuid4().hex}"})
    try:
        topics = [kafka.topic_prefix + topic for topic in SOURCES]
        used = [topic for topic in topics if any(_end(consumer, (topic, p)) for p in range(kafka.partitions))]
    finally:
        consumer.close()
    if used:
        raise BrokerError(f"{', '.join(used)} had records before: a replay needs new topics and a new group")


def has_workers(settings: "Settings") -> bool:
    """True when the consumer group has members now."""
    admin, _ = reached(settings)  # named, because its requests die with it
    try:
        listed = admin.list_consumer_groups(request_timeout=10).result(15)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(f"Kafka at {settings.kafka.broker} does not answer: {error}") from error
    return any(
        group.group_id == settings.kafka.app_id
        and group.state not in (None, GroupState.EMPTY, GroupState.DEAD)
        for group in listed.valid or []
    )


def _committed(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=10)
    partitions = found[group].result(15).topic_partitions or []
    return {(each.topic, each.partition): each.offset for each in partitions if each.offset >= 0}


def _until_done(
    settings: "Settings", on_processed: Callable[[int, int], None], alive: Callable[[], bool]
) -> None:
    """Wait until every record is processed and covered by a stored checkpoint: sources first, then the partials."""
    admin, _ = reached(settings)
    consumer = Consumer(client_settings(settings) | {"group.id": f"queuelight-replay-{uuid.uuid4().hex}"})
    prefix, partitions = settings.kafka.topic_prefix, settings.kafka.partitions
    try:
        for topics in (SOURCES, (PARTIALS,)):
            tps = [(prefix + topic, p) for topic in topics for p in range(partitions)]
            best, moved = -1, time.monotonic()
            while True:
                ends = {tp: _end(consumer, tp) for tp in tps}
                committed = _committed(admin, settings.kafka.app_id)
                done = sum(min(committed.get(tp, 0), end) for tp, end in ends.items())
                if topics == SOURCES:
                    on_processed(done, sum(ends.values()))
                if done >= sum(ends.values()):
                    break
                if done > best:
                    best, moved = done, time.monotonic()
                elif not alive():
                    raise BrokerError("a worker of the replay has died; its messages are above")
                elif time.monotonic() - moved > _STALL_S:
                    raise BrokerError(f"nothing was processed for {_STALL_S:.0f} s; is a worker running?")
                time.sleep(0.3)
    finally:
        consumer.close()


def _end(consumer: Consumer, tp: tuple[str, int]) -> int:
    """The next offset to be written; a topic just created is asked again until its leader answers."""
    deadline = time.monotonic() + _LEADER_S
    while True:
        try:
            offsets = consumer.get_watermark_offsets(TopicPartition(*tp), timeout=10)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise BrokerError(f"the end of {tp[0]}/{tp[1]} is not to be had: {error}") from error
            time.sleep(0.2)
            continue
        return int(offsets[1]) if offsets else 0


class _Collector:
    """Reads what the workers publish, from now on."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._consumer = Consumer(
            client_settings(settings) | {"group.id": f"queuelight-report-{uuid.uuid4().hex}", "log_level": 2}
        )
        prefix = settings.kafka.topic_prefix
        self._intervals, self._snapshots = prefix + INTERVALS, prefix + SNAPSHOTS
        self._tps = [
            (topic, p)
            for topic in (self._intervals, self._snapshots)
            for p in range(settings.kafka.partitions)
        ]
        starts = [TopicPartition(topic, p, _end(self._consumer, (topic, p))) for topic, p in self._tps]
        self._consumer.assign(starts)
        self._at = {(tp.topic, tp.partition): tp.offset for tp in starts}

    def collect(self, interval_s: int, sent: int) -> Through:
        """All intervals, and the site's snapshot that counts every record sent."""
        builder = ReportBuilder(self._settings.site, interval_s)
        truth: GroupSnapshot | None = None
        deadline = time.monotonic() + _STALL_S
        try:
            while truth is None or not self._is_complete(truth, sent):
                ends = {tp: _end(self._consumer, tp) for tp in self._tps}
                while any(self._at[tp] < end for tp, end in ends.items()):
                    for message in self._consumer.consume(500, 0.5):
                        value = message.value()
                        if message.error() or value is None:
                            continue
                        topic, partition, offset = message.topic(), message.partition(), message.offset()
                        assert topic is not None
                        assert partition is not None
                        assert offset is not None
                        self._at[topic, partition] = offset + 1
                        if topic == self._intervals:
                            builder.add(decode_interval(value))
                            continue
                        snapshot = decode_snapshot(value)
                        if isinstance(snapshot, GroupSnapshot) and snapshot.group == "site":
                            is_newer = truth is None or snapshot.epoch >= truth.epoch
                            truth = snapshot if is_newer else truth
                    if time.monotonic() > deadline:
                        raise BrokerError("the workers' last numbers did not arrive in time")
                if time.monotonic() > deadline:
                    raise BrokerError("the workers did not account for every record in time")
        finally:
            self._consumer.close()
        return Through(builder, truth, sent)

    @staticmethod
    def _is_complete(truth: GroupSnapshot, sent: int) -> bool:
        return sum(each["records"] for each in truth.truth.values()) >= sent


# --- workers of our own -----------------------------------------------------------------------------------------


def _isolated(settings: "Settings") -> "Settings":
    """The same settings on topics and a group of their own, without Redis."""
    word = f"replay-{uuid.uuid4().hex[:8]}"
    kafka = settings.kafka.model_copy(update={"topic_prefix": f"{word}.", "app_id": word})
    return replace(settings, kafka=kafka, redis=settings.redis.model_copy(update={"url": None}))


@contextmanager
def _workers(settings: "Settings", count: int) -> Iterator[Callable[[], bool]]:
    """Run workers as processes of their own; yields whether all of them live."""
    context = multiprocessing.get_context("spawn")
    running = []
    for number in range(count):
        own = settings.worker.model_copy(
            update={"name": f"replay-{number}", "clock": "event", "metrics_port": 0, "log_level": "WARNING"}
        )
        process = context.Process(target=_work, args=(replace(settings, worker=own),), daemon=True)
        process.start()
        running.append(process)
    try:
        yield lambda: all(process.is_alive() for process in running)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join(20)
            if process.is_alive():
                process.kill()


def _work(settings: "Settings") -> None:
    from agents.worker import run_worker

    logging.basicConfig(level=settings.worker.log_level)
    sys.exit(run_worker(settings))


def _remove(settings: "Settings") -> None:
    admin, _ = reached(settings)
    for future in admin.delete_topics([topic.name for topic in wanted(settings)]).values():
        try:
            future.result()
        except KafkaException as error:
            log.warning("a topic of the replay could not be removed: %s", error)
