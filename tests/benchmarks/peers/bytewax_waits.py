"""How fast is Bytewax: an event-time tumbling window with a fold, results of closed windows?

Durable by its recovery store (SQLite), one snapshot per epoch. Batches of 5000 and larger fetches are a fair
configuration; the library has no JSON decoder of its own, so orjson is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
import bytewax.operators.windowing as win  # type: ignore[import-not-found]
import orjson
from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.outputs import DynamicSink, StatelessSinkPartition  # type: ignore[import-not-found]
from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found]
from bytewax.run import cli_main  # type: ignore[import-not-found]

from tests.benchmarks.peers.stopwatch import (
    DURABLE_EVERY_S,
    IN_TARGET_MS,
    WINDOW_MS,
    Flags,
    Stopwatch,
    WindowResult,
    flags,
    leave,
    write_results,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 5_000
# The watermark runs on with the system's clock, so an event would be late if we waited for nothing at all.
_PATIENCE = timedelta(seconds=10)

Sums = tuple[int, int, int]


@dataclass
class Progress:
    """Runs the stopwatch and keeps the closed windows."""

    told: Flags
    watch: Stopwatch = field(default_factory=Stopwatch)
    seen: int = 0
    results: dict[tuple[str, int], Sums] = field(default_factory=dict)

    def keyed(self, message: Any) -> tuple[str, Any]:
        """Decode a record; the first call is the first record that reaches our code."""
        if not self.watch.running:
            self.watch.start()
        event = orjson.loads(message.value)
        return event["queue"], event

    def add(self, sums: Sums, event: Any) -> Sums:
        """The sums of a window with one event more."""
        self.seen += 1
        if self.seen == self.told.expected:
            self.watch.stop()
        count, total, within = sums
        waited = event["wait_ms"]
        return count + 1, total + waited, within + (waited <= IN_TARGET_MS)

    def closed(self, items: Iterable[tuple[str, tuple[int, Sums]]]) -> None:
        """Windows are over; when only those of the closing records are open, the work is done."""
        for queue, (window_id, sums) in items:
            self.results[queue, window_id * WINDOW_MS] = sums
        if self.seen == self.told.expected:
            self._finish_when_complete()

    def _finish_when_complete(self) -> None:
        queues = len({queue for queue, _ in self.results})
        if sum(count for count, _, _ in self.results.values()) + queues < self.told.expected:
            return
        results = (WindowResult(queue, start, *sums) for (queue, start), sums in self.results.items())
        write_results(self.told.state_dir, results)
        self.watch.report("bytewax", version("bytewax"), self.seen)
        leave()


class _Partition(StatelessSinkPartition):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write_batch(self, items: list[tuple[str, tuple[int, Sums]]]) -> None:
        self._progress.closed(items)


class _Sink(DynamicSink):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Partition:
        return _Partition(self._progress)


def at(event: Any) -> datetime:
    """The time of an event."""
    return datetime.fromtimestamp(event["at_ms"] / 1000, UTC)


def merge(one: Sums, other: Sums) -> Sums:
    """The sums of two windows that became one; tumbling windows never do."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def build(progress: Progress) -> Any:
    """The dataflow: Kafka, decode and key, window, keep."""
    flow = Dataflow("waits")
    fetches = {"fetch.min.bytes": "65536", "fetch.wait.max.ms": "100"}
    told = progress.told
    source = KafkaSource([told.broker], [told.topic], batch_size=_BATCH, add_config=fetches)
    events = op.map("decode", op.input("kafka", flow, source), progress.keyed)
    clock = win.EventClock(at, _PATIENCE)
    windower = win.TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=_EPOCH)
    # The events of a queue come in order, so there is no need to hold them back until the watermark has passed.
    windows = win.fold_window(
        "window", events, clock, windower, lambda: (0, 0, 0), progress.add, merge, ordered=False
    )
    op.output("keep", windows.down, _Sink(progress))
    return flow


def main() -> None:
    """Run the dataflow until all records are counted."""
    told = flags()
    store = Path(told.state_dir) / "recovery"
    store.mkdir()
    init_db_dir(store, 1)
    epoch = timedelta(seconds=DURABLE_EVERY_S)
    cli_main(build(Progress(told)), epoch_interval=epoch, recovery_config=RecoveryConfig(store))


if __name__ == "__main__":
    main()
