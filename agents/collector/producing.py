"""How do records get into Kafka, and when are they there? One idempotent producer, asked from the event loop.

librdkafka sends from threads of its own; what it hears is fetched every few milliseconds while something is under way,
without a thread that competes for the interpreter. Measured beside aiokafka at 15,000 records/s: about half the CPU.
Refuses to know what happens to records that do not get there (`agents.collector.delivery`).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Message, Producer

from agents.collector.records import Record
from agents.kafka_client import Trouble, connecting
from streams.routing import partition_of

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.002
_IDLE_S = 0.25
_TIMEOUT_MS = 10_000
"""After so long librdkafka gives a record up by itself."""


class Sending:
    """Records on their way; `told` once: True when Kafka has acknowledged all of them, False when it will not."""

    __slots__ = ("_left", "_tell")

    def __init__(self, records: int, tell: Callable[[bool], None]) -> None:
        self._left = records
        self._tell: Callable[[bool], None] | None = tell

    def delivered(self, error: object, message: Message | None) -> None:
        """One record is there, or failed."""
        if error is not None:
            self.end(good=False)
            return
        self._left -= 1
        if self._left == 0:
            self.end(good=True)

    def end(self, *, good: bool) -> None:
        """Tell, unless that was done."""
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(good)


class Producing:
    """Sends records, all of a request to be acknowledged. Inert until `start`."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._partitions = settings.kafka.partitions
        self._producer: Producer | None = None
        self._polling: asyncio.TimerHandle | None = None
        self._trouble = Trouble()
        self._failed = False

    def start(self) -> None:
        """Begin to connect; Kafka need not answer.

        Raises:
            SettingsError: certificates or keys that cannot be used.
        """
        self._producer = self._made()
        self._poll()

    def _made(self) -> Producer:
        self._trouble = Trouble()
        self._failed = False
        return connecting(
            Producer,
            self._settings,
            {
                "error_cb": self._trouble,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.timeout.ms": _TIMEOUT_MS,
                "queue.buffering.max.messages": 500_000,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 1000,
                "socket.keepalive.enable": True,
                "topic.metadata.refresh.interval.ms": 30_000,
                "log_level": 2,
            },
        )

    @property
    def trouble(self) -> str:
        """What Kafka's side said last; "": nothing."""
        return self._trouble.reason

    @property
    def under_way(self) -> int:
        """Records that are not acknowledged yet."""
        return 0 if self._producer is None else len(self._producer)

    def send(self, records: Sequence[Record], tell: Callable[[bool], None]) -> None:
        """Send; `tell` is called once, later, in the event loop."""
        assert self._producer is not None, "it was not started"
        if self._failed:
            self._renew()
        sending = Sending(len(records), tell)
        told = sending.delivered
        produce = self._producer.produce
        key, partition = "", 0
        for record in records:
            if record.key != key:
                key = record.key
                partition = partition_of(key, self._partitions)
            try:
                produce(record.topic, record.value, key.encode(), partition, on_delivery=told)
            except (BufferError, KafkaException) as error:
                self._note(error)
                asyncio.get_running_loop().call_soon(lambda: sending.end(good=False))
                break
        self._soon()

    def _note(self, error: BufferError | KafkaException) -> None:
        if isinstance(error, KafkaException) and error.args and error.args[0].fatal():
            log.error("the producer must be renewed: %s", error.args[0].str())
            self._failed = True

    def _renew(self) -> None:
        """A producer that can never send again gives way to a new one; what it had is told as failed."""
        assert self._producer is not None
        self._producer.purge()
        self._producer.poll(0)
        self._producer = self._made()

    def _soon(self) -> None:
        if self._polling is None or self._polling.when() > asyncio.get_running_loop().time() + POLL_S:
            if self._polling is not None:
                self._polling.cancel()
            self._polling = asyncio.get_running_loop().call_later(POLL_S, self._poll)

    def _poll(self) -> None:
        assert self._producer is not None
        self._producer.poll(0)
        wait_s = POLL_S if len(self._producer) else _IDLE_S
        self._polling = asyncio.get_running_loop().call_later(wait_s, self._poll)

    async def close(self, patience_s: float) -> None:
        """Wait for what is under way, then stop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        while self.under_way and loop.time() < deadline:
            await asyncio.sleep(POLL_S)
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
