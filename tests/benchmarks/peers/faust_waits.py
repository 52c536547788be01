"""How fast is stock Faust, as its documentation shows it: a windowed table, one write per event?

Durable by its changelog topic: one record per write. uvloop, a JSON codec on orjson (picked up where installed),
no web server, and the settings found best for stock Faust are a fair configuration; the rest is as it comes.
"""

from __future__ import annotations

import sys
from typing import Any

import faust

from tests.benchmarks.peers.stock_faust import app_of
from tests.benchmarks.peers.stopwatch import (
    IN_TARGET_MS,
    WINDOW_MS,
    Flags,
    Stopwatch,
    WindowResult,
    flags,
    leave,
    write_results,
)


def build(told: Flags) -> faust.App:
    """The application: one topic, one windowed table, one agent function."""
    app = app_of(told)
    topic = app.topic(told.topic, key_type=bytes, value_serializer="json")
    table = app.Table("waits", default=lambda: [0, 0, 0], partitions=told.partitions)
    windows = table.tumbling(WINDOW_MS / 1000).relative_to(lambda event: event.value["at_ms"] / 1000)
    watch = Stopwatch()

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def count_waits(stream: Any) -> None:
        seen = 0
        async for event in stream:
            if not watch.running:
                watch.start()
            window = windows[event["queue"]]
            count, total, within = window.value()
            waited = event["wait_ms"]
            windows[event["queue"]] = [count + 1, total + waited, within + (waited <= IN_TARGET_MS)]
            seen += 1
            if seen == told.expected:
                watch.stop()
                finish(told, watch, seen, table)

    return app


def finish(told: Flags, watch: Stopwatch, seen: int, table: Any) -> None:
    """Write the windows the table holds, and end."""
    results = (
        WindowResult(queue, round(start * 1000), *sums) for (queue, (start, _)), sums in table.data.items()
    )
    write_results(told.state_dir, results)
    watch.report("faust", faust.__version__, seen)
    leave()


def main() -> None:
    """Run a worker until all records are counted."""
    app = build(flags())
    sys.argv = ["faust", "-L", "uvloop", "worker", "--without-web", "-l", "warn"]
    app.main()


if __name__ == "__main__":
    main()
