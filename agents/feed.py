"""How do events get into Kafka? One producer for replays and the simulator, with heartbeats and back-pressure."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from confluent_kafka import KafkaException, Message, Producer

from agents.kafka_client import Trouble, connecting
from schemas.errors import BrokerError
from schemas.events import Heartbeat, PipelineHeartbeat
from schemas.snapshots import encode_json
from schemas.topics import SOURCES
from streams.driver import Item
from streams.routing import partition_of

if TYPE_CHECKING:
    from agents.settings import Settings

_FLUSH_S = 60.0


class Feed:
    """Produces items to the source topics.

    Args:
        settings: broker, prefix and number of partitions.
        replay: True: heartbeats say that they belong to a replay; workers that live by the wall clock refuse them.
        topics: where heartbeats go, without the prefix.
    """

    def __init__(self, settings: "Settings", *, replay: bool, topics: Sequence[str] = SOURCES) -> None:
        self._topics = tuple(topics)
        self._prefix = settings.kafka.topic_prefix
        self._partitions = settings.kafka.partitions
        self._broker = settings.kafka.broker
        self._trouble = Trouble()
        self._producer = connecting(
            Producer,
            settings,
            {
                "error_cb": self._trouble,
                "linger.ms": 5,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 200_000,
                "log_level": 2,
            },
        )
        self._clock: Literal["wall", "event"] = "event" if replay else "wall"
        self._beats = 0
        self._error: str | None = None
        self.sent = 0

    def _delivered(self, error: object, message: Message) -> None:
        if error is not None and self._error is None:
            self._error = f"{message.topic()}: {error}"

    def send(self, item: Item) -> None:
        """Produce one item; waits while the producer's queue is full.

        Raises:
            BrokerError: the broker refused an earlier item.
        """
        self._produce(item.topic, item.value, item.key.encode(), partition_of(item.key, self._partitions))
        self.sent += 1

    def _produce(self, topic: str, value: bytes, key: bytes | None, partition: int) -> None:
        while True:
            if self._error is not None:
                raise BrokerError(f"Kafka refused a message: {self._error}")
            if self._trouble.is_refusal:
                raise BrokerError(f"Kafka at {self._broker} does not answer: {self._trouble.reason}")
            try:
                self._producer.produce(
                    self._prefix + topic, value, key, partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                raise BrokerError(f"Kafka refused a message: {error}") from error
            self._producer.poll(0)
            return

    def beat(self, at_ms: int) -> None:
        """A heartbeat of time `at_ms` to every partition of every topic it feeds."""
        self._beats += 1
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        event = PipelineHeartbeat(
            id=f"heartbeat-{self._beats}-{at_ms}",
            source="queuelight/feed",
            time=at,
            data=Heartbeat(sequence=self._beats, clock=self._clock),
        )
        value = encode_json(event)
        for topic in self._topics:
            for partition in range(self._partitions):
                self._produce(topic, value, None, partition)
                self.sent += 1

    def flush(self) -> None:
        """Wait until everything produced is acknowledged.

        Raises:
            BrokerError: something was not, in a minute.
        """
        left = self._producer.flush(_FLUSH_S)
        if self._error is not None or left:
            reason = self._error or f"{left} messages left. {self._trouble.reason}".rstrip(". ")
            raise BrokerError(f"Kafka did not take everything: {reason}")


def paced(items: Iterable[tuple[int, Item]], speed: float | None) -> Iterable[tuple[int, Item]]:
    """Items at `speed` times the pace of their event times (ms); None: as fast as they come."""
    started = time.monotonic()
    first_ms: int | None = None
    for at_ms, item in items:
        if speed is not None:
            if first_ms is None:
                first_ms = at_ms
            ahead_s = (at_ms - first_ms) / 1000 / speed - (time.monotonic() - started)
            if ahead_s > 0.002:
                time.sleep(ahead_s)
        yield at_ms, item
