"""How do whole runs of records go through Faust instead of single messages? All Faust internals we touch are here.

Stock Faust costs about 75 us an event, most of it before an agent function sees it. The run lane makes one Faust
message of every fetched run of records of one partition, changelogs included. Pinned to faust-streaming 0.15.3:
`tests/agents/test_lane.py` fails when a method touched here changes. Refuses to know what records mean.

What is overridden, and why (numbers: the defects of Faust that ARCHITECTURE.md lists):
  scheduler            yields runs, not records
  schema               hands the run on without decoding
  Consumer._new_offset commits what a stored manifest covers, not what was acknowledged (D1, D2, D4, D6, D7)
  Consumer._filter_tps_with_pending_acks  asks the host, for the same reason
  Consumer._add_gap    no bookkeeping of gaps: the position in the state finds them (D2, D5)
  Consumer.perform_seek  seeks to the shards' positions (D3)
  Consumer._read_offset  remembers nothing, so no run is dropped as already read
  consumer thread      fetch pacing (a 1.5 s long poll is hard-wired), client errors that must end the process
  table                unpacks runs of changelog records
  TableManager.on_start  does not sleep for a second before it restores
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import aiokafka
import faust
from faust.app.base import App
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.table import Table
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT, Message
from faust.types.transports import SchedulingStrategyT

FAUST_VERSION = "0.15.3"
MODE_VERSION = "0.7.1"
AIOKAFKA_VERSION = "0.14.0"
MAX_RUN = 2000
"""Most records in one run."""
FETCH_MIN_BYTES = 64 * 1024
FETCH_WAIT_MS = 25


class Positions(Protocol):
    """What the consumer asks the host."""

    async def positions(self, tps: Iterable[TP]) -> Mapping[TP, int]: ...
    def owned(self) -> Iterable[TP]: ...
    def covered(self, tp: TP) -> int | None: ...


class Run:
    """Consecutive records of one partition, shaped like one record: its offset is that of the last."""

    __slots__ = ("offset", "partition", "records", "timestamp", "topic")

    timestamp_type = 0
    headers = ()
    key = None
    checksum = None
    serialized_key_size = 0
    serialized_value_size = 0

    def __init__(self, tp: TP, records: Sequence[Any]) -> None:
        self.topic = tp.topic
        self.partition = tp.partition
        self.records = records
        last = records[-1]
        self.offset = last.offset
        self.timestamp = last.timestamp

    @property
    def value(self) -> "Run":
        """The run is its own value."""
        return self


class RunScheduler(SchedulingStrategyT):  # type: ignore[misc]  # faust is untyped for us
    """Yields runs of at most `MAX_RUN` records, partition by partition."""

    def iterate(self, records: Mapping[TP, Sequence[Any]]) -> Iterator[tuple[TP, Run]]:
        """Divide what was fetched into runs."""
        for tp, fetched in records.items():
            for start in range(0, len(fetched), MAX_RUN):
                yield tp, Run(tp, fetched[start : start + MAX_RUN])


class RunSchema(Schema):  # type: ignore[misc]
    """Hands the run to the agent function as it is."""

    def compile(self, app: App, **_: Any) -> Callable[..., Awaitable[EventT]]:
        """Build the decode function Faust calls for every message of a topic."""
        create_event = app.create_event

        async def decode(message: Message, *, propagate: bool = False) -> EventT:  # noqa: ARG001  # so it is called
            return create_event(None, message.value, message.headers, message)

        return decode


class _NoMemory(dict[TP, int | None]):
    """Read offsets that are never remembered."""

    def __getitem__(self, tp: TP) -> int | None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        return None

    def update(self, *_: Any, **__: Any) -> None:
        return None


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: "LaneTransport") -> aiokafka.AIOKafkaConsumer:
        made = super()._create_worker_consumer(transport)
        made._fetch_min_bytes = FETCH_MIN_BYTES
        made._fetch_max_wait_ms = FETCH_WAIT_MS
        return made


class LaneConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer with offsets and seeks taken from the host."""

    host: Positions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoMemory()
        self.host = self.transport.host

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def member_id(self) -> str:
        """The id under which the group knows this process; empty: none now."""
        consumer = self._thread._consumer
        return consumer._coordinator.member_id if consumer is not None and consumer._coordinator else ""

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.host.covered(tp)

    def _filter_tps_with_pending_acks(self, topics: object = None) -> Iterator[TP]:
        """A shard that moved here may have something to commit though no message came."""
        return iter(self.host.owned())

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        return None

    async def perform_seek(self) -> None:
        """Seek every source partition to the next offset its shard expects."""
        tps = [tp for tp in self.assignment() if not self._is_changelog_tp(tp)]
        positions = await self.host.positions(tps)
        await self.seek_wait(positions)


class LaneTransport(driver.Transport):  # type: ignore[misc]
    """Transport whose consumers ask `host` for positions."""

    Consumer = LaneConsumer
    host: Positions


class RunTable(Table):  # type: ignore[misc]
    """A table whose changelog is read in runs; records are kept per partition, as raw bytes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.records: dict[int, dict[bytes, bytes]] = {}

    def apply_changelog_batch(self, batch: Iterable[EventT]) -> None:
        """Take in runs of changelog records; a tombstone removes its key."""
        for event in batch:
            run: Run = event.message.value
            kept = self.records.setdefault(run.partition, {})
            for record in run.records:
                if record.value is None:
                    kept.pop(record.key, None)
                else:
                    kept[record.key] = record.value


class LaneTableManager(TableManager):  # type: ignore[misc]
    """Begins to restore at once; stock Faust first sleeps for a second."""

    async def on_start(self) -> None:
        """Subscribe to the changelogs and restore."""
        await self._update_channels()
        await self.recovery.start()


def check_versions() -> None:
    """Refuse to run on versions whose internals were not read.

    Raises:
        BrokenInvariant: a version differs.
    """
    from importlib.metadata import version

    from schemas.errors import BrokenInvariant

    wanted = {"faust-streaming": FAUST_VERSION, "mode-streaming": MODE_VERSION, "aiokafka": AIOKAFKA_VERSION}
    for name, expected in wanted.items():
        found = version(name)
        if found != expected:
            raise BrokenInvariant(f"{name} {found} is installed; the run lane is written for {expected}")


__all__ = [
    "LaneTableManager",
    "LaneTransport",
    "Run",
    "RunScheduler",
    "RunSchema",
    "RunTable",
    "check_versions",
    "faust",
]
