"""How fast is Pathway: a tumbling window with sums, results as they change?

Durable by its persistence of the input; that of the operators' state needs a licence key. Rows are parsed in
Rust, so our code sees the first result, not the first record: the records in that first result are not counted,
and the span begins there. Results every 100 ms instead of every 1.5 s keep that part small.
"""

from __future__ import annotations

from typing import Any

import pathway as pw  # type: ignore[import-not-found]

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

_BATCH_MS = 100


class Wait(pw.Schema):  # type: ignore[misc]
    """The fields of a record that are used."""

    queue: str
    at_ms: int
    wait_ms: int


class Progress:
    """Runs the stopwatch and keeps the windows as they change."""

    def __init__(self, told: Flags) -> None:
        self._told = told
        self._watch = Stopwatch()
        self._windows: dict[Any, WindowResult] = {}
        self._seen = self._seen_at_start = 0

    def changed(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        """A window has a new value, or its old one is withdrawn."""
        if is_addition:
            self._windows[key] = WindowResult(**row)
            self._seen += row["count"]
        else:
            self._seen -= row["count"]

    def batch_ended(self, time: int) -> None:
        """All changes of one batch were told."""
        if self._seen and not self._watch.running:
            self._watch.start()
            self._seen_at_start = self._seen
        if self._seen == self._told.expected:
            self._watch.stop()
            write_results(self._told.state_dir, self._windows.values())
            self._watch.report("pathway", pw.__version__, self._seen - self._seen_at_start)
            leave()


def build(told: Flags, progress: Progress) -> None:
    """The graph: Kafka, window, keep."""
    settings = {
        "bootstrap.servers": told.broker,
        "group.id": told.run_id,
        "auto.offset.reset": "earliest",
        "fetch.min.bytes": "65536",
        "fetch.wait.max.ms": "100",
    }
    waits = pw.io.kafka.read(
        settings, told.topic, schema=Wait, format="json", autocommit_duration_ms=_BATCH_MS, name="waits"
    )
    window = pw.temporal.tumbling(duration=WINDOW_MS, origin=0)
    sums = waits.windowby(waits.at_ms, window=window, instance=waits.queue).reduce(
        queue=pw.this._pw_instance,
        start_ms=pw.this._pw_window_start,
        count=pw.reducers.count(),
        wait_ms=pw.reducers.sum(pw.this.wait_ms),
        within=pw.reducers.sum(pw.if_else(pw.this.wait_ms <= IN_TARGET_MS, 1, 0)),
    )
    pw.io.subscribe(sums, on_change=progress.changed, on_time_end=progress.batch_ended)


def main() -> None:
    """Run the graph until all records are counted."""
    told = flags()
    build(told, Progress(told))
    durable = pw.persistence.Config(
        pw.persistence.Backend.filesystem(told.state_dir / "snapshots"),
        snapshot_interval_ms=int(DURABLE_EVERY_S * 1000),
    )
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=durable)


if __name__ == "__main__":
    main()
