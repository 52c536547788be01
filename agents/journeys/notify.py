"""How do others hear of stuck visitors? Events of `stuck-flags` are posted to a webhook, in the order of their visitor.

One member of a consumer group; several share the partitions. An offset is committed once the receiver has the message,
refuses it for good, or does not take it in time (both counted): what is not known to be through is sent again. A group
that is new begins with what comes from now on. Refuses to know what a flag means.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from agents.journeys.webhook import Message, Posted, Webhook
from agents.kafka_client import Trouble, connecting, reached
from schemas.errors import BrokerError
from schemas.topics import STUCK_FLAGS

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

GROUP = "notify"
_MOST_WAITING = 200
"""Messages of one partition that wait for the receiver, before no more are fetched."""
_COMMIT_EVERY_S = 1.0
_LEAVE_WITHIN_S = 12.0
_POLL_S = 0.1
_PATIENCE_S = 10.0
_LEADER_S = 20.0

Part = tuple[str, int]


class _Id(msgspec.Struct):
    """The part of an event that the receiver is told beside it."""

    id: str


_decode_id = msgspec.json.Decoder(_Id).decode


class Lane:
    """One partition: a thread posts its messages one after the other.

    `done` is the offset after the newest message that is through; None: none is yet.
    """

    def __init__(
        self, url: str, secret: bytes | None, give_up_s: float, count: Callable[[Posted], None]
    ) -> None:
        self._stopped = threading.Event()
        self._webhook = Webhook(url, secret, give_up_s, self._stopped)
        self._count = count
        self._waiting: queue.SimpleQueue[tuple[int, Message | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.done: int | None = None
        self.committed: int | None = None
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Messages that are not posted yet."""
        return self._waiting.qsize()

    def put(self, offset: int, message: Message | None) -> None:
        """Post a message after those before it; None: there is nothing to post at this offset."""
        self._waiting.put((offset, message))

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None and not self._stopped.is_set():
            offset, message = item
            if message is not None:
                posted = self._webhook.post(message)
                if posted is Posted.STOPPED:
                    break
                self._count(posted)
            self.done = offset + 1
        self._webhook.close()

    @property
    def retries(self) -> int:
        """How often something was sent once more."""
        return self._webhook.retries

    def stop(self) -> None:
        """Let the thread end after the message it is at."""
        self._stopped.set()
        self._waiting.put(None)

    def join(self, patience_s: float) -> None:
        """Wait for the end."""
        self._thread.join(patience_s)


class Notifier:
    """Posts `stuck-flags` to a webhook until `stopped` says so.

    Args:
        give_up_s: how long one message is tried before the next one of its partition.
    """

    def __init__(
        self,
        settings: "Settings",
        url: str,
        secret: bytes | None,
        give_up_s: float,
        stopped: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._url = url
        self._secret = secret
        self._give_up_s = give_up_s
        self._stopped = stopped
        self._lanes: dict[Part, Lane] = {}
        self._paused: set[Part] = set()
        self._trouble = Trouble()
        self._failed: KafkaException | None = None
        self._retries = 0
        self.counts: Counter[Posted] = Counter()
        """What became of messages."""
        self._counting = threading.Lock()
        self._consumer: Consumer | None = None

    @property
    def retries(self) -> int:
        """How often something was sent once more."""
        return self._retries + sum(lane.retries for lane in self._lanes.values())

    def run(self) -> None:
        """Post until stopped, then leave the group.

        Raises:
            BrokerError: the broker does not answer, refuses us, or has no such topic.
        """
        topic = self._settings.kafka.topic_prefix + STUCK_FLAGS
        _, metadata = reached(self._settings)
        if topic not in metadata.topics:
            raise BrokerError(f"topic {topic} is missing: run `queuelight topics create`")
        self._consumer = consumer = connecting(
            Consumer,
            self._settings,
            {
                "group.id": f"{self._settings.kafka.app_id}-{GROUP}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 10_000,
                "fetch.wait.max.ms": 25,
                "error_cb": self._trouble,
                "log_level": 2,
            },
        )
        consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        committed_s = time.monotonic()
        try:
            while not self._stopped():
                self._take(consumer.poll(_POLL_S))
                if time.monotonic() - committed_s >= _COMMIT_EVERY_S:
                    committed_s = time.monotonic()
                    self._commit(self._lanes)
                    self._pace()
        finally:
            self._end(list(self._lanes))
            consumer.close()

    def _take(self, record: Record | None) -> None:
        if self._trouble.is_refusal:
            raise BrokerError(f"Kafka at {self._settings.kafka.broker}: {self._trouble.reason}")
        if self._failed is not None:
            raise BrokerError(f"Kafka at {self._settings.kafka.broker}: {self._failed}") from self._failed
        if record is None:
            return
        if (error := record.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                log.warning("Kafka: %s", error)
            return
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        part = topic, partition
        lane = self._lanes.get(part)
        if lane is None:
            return
        lane.put(offset, _message(record))
        if lane.waiting > _MOST_WAITING and part not in self._paused:
            self._paused.add(part)
            self._known.pause([TopicPartition(*part)])

    def _pace(self) -> None:
        """Fetch again what was held up, where there is room."""
        for part in list(self._paused):
            if part in self._lanes and self._lanes[part].waiting < _MOST_WAITING // 2:
                self._paused.discard(part)
                self._known.resume([TopicPartition(*part)])

    @property
    def _known(self) -> Consumer:
        assert self._consumer is not None
        return self._consumer

    def _count(self, posted: Posted) -> None:
        with self._counting:
            self.counts[posted] += 1

    def _commit(self, parts: Sequence[Part] | dict[Part, Lane]) -> None:
        new = {
            part: done for part in parts if (done := self._lanes[part].done) != self._lanes[part].committed
        }
        offsets = [TopicPartition(*part, done) for part, done in new.items() if done is not None]
        if not offsets:
            return
        try:
            self._known.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("Kafka: what was posted could not be noted, and may be posted again: %s", error)
            return
        for part, done in new.items():
            self._lanes[part].committed = done

    # --- partitions come and go -------------------------------------------------------------------------------

    def _assigned(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Begin where the group stands; a new group with what comes from now on, and says so at once."""
        try:
            starts = [self._start(each) for each in consumer.committed(parts, timeout=_PATIENCE_S)]
            consumer.commit(offsets=starts, asynchronous=False)
        except KafkaException as error:  # librdkafka's own way from here to `poll` loses its kind
            self._failed = error
            return
        consumer.assign(starts)
        for each in starts:
            self._lanes[each.topic, each.partition] = Lane(
                self._url, self._secret, self._give_up_s, self._count
            )
        log.info("%d partitions are ours", len(starts))

    def _start(self, committed: TopicPartition) -> TopicPartition:
        if committed.offset >= 0:
            return TopicPartition(committed.topic, committed.partition, committed.offset)
        deadline = time.monotonic() + _LEADER_S
        while True:
            try:
                ends = self._known.get_watermark_offsets(committed, timeout=_PATIENCE_S)
                return TopicPartition(committed.topic, committed.partition, ends[1] if ends else 0)
            except KafkaException:  # a topic just created has no leader yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)

    def _revoked(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._end([(each.topic, each.partition) for each in parts])

    def _lost(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._end([(each.topic, each.partition) for each in parts], commit=False)

    def _end(self, parts: list[Part], *, commit: bool = True) -> None:
        """Let the messages under way come to an end, and note what is through."""
        ending = [part for part in parts if part in self._lanes]
        for part in ending:
            self._lanes[part].stop()
        ends_s = time.monotonic() + _LEAVE_WITHIN_S
        for part in ending:
            self._lanes[part].join(max(0.0, ends_s - time.monotonic()))
        if commit:
            with suppress(KafkaException):
                self._commit(ending)
        for part in ending:
            lane = self._lanes.pop(part)
            self._retries += lane.retries
            self._paused.discard(part)


def _message(record: Record) -> Message | None:
    """What is to be posted of a record; None: it is no event, and counted nowhere."""
    value = record.value()
    if value is None:
        return None
    try:
        return Message(_decode_id(value).id, value)
    except msgspec.DecodeError as error:
        log.warning("%s/%s@%s is no event: %s", record.topic(), record.partition(), record.offset(), error)
        return None


def run_notify(
    settings: "Settings", url: str, secret: bytes | None, give_up_s: float, stopped: Callable[[], bool]
) -> Counter[Posted]:
    """Post until stopped; returns what became of messages.

    Raises:
        BrokerError: see `Notifier.run`.
    """
    notifier = Notifier(settings, url, secret, give_up_s, stopped)
    notifier.run()
    log.info(
        "posted %d, refused %d, given up %d, sent once more %d",
        notifier.counts[Posted.TAKEN],
        notifier.counts[Posted.REFUSED],
        notifier.counts[Posted.GIVEN_UP],
        notifier.retries,
    )
    return notifier.counts
