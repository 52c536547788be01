"""How fast is Quix Streams: a tumbling window with a reducer, results of closed windows?

Durable by its RocksDB state and changelog topics, stored at every commit. Larger fetches than librdkafka's
defaults are a fair configuration; the JSON parsing, on orjson, and the rest are as they come.
"""

from __future__ import annotations

from typing import Any

import quixstreams  # type: ignore[import-not-found]

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


class Progress:
    """Runs the stopwatch and keeps the closed windows."""

    def __init__(self, told: Flags) -> None:
        self._told = told
        self._watch = Stopwatch()
        self._seen = 0
        self._results: list[WindowResult] = []

    def event_time(self, value: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
        """The time of an event; the first call is the first record that reaches our code."""
        if not self._watch.running:
            self._watch.start()
        at_ms: int = value["at_ms"]
        return at_ms

    def processed(self, topic: str, partition: int, offset: int) -> None:
        """A record went through the whole pipeline."""
        self._seen += 1
        if self._seen == self._told.expected:
            self._watch.stop()
            write_results(self._told.state_dir, self._results)
            self._watch.report("quix", quixstreams.__version__, self._seen)
            leave()

    def closed(self, value: Any, key: bytes, timestamp: int, headers: Any) -> None:
        """A window is over."""
        self._results.append(WindowResult(key.decode(), value["start"], *value["value"]))


def first(event: Any) -> list[int]:
    """The sums of a window with one event."""
    return [1, event["wait_ms"], int(event["wait_ms"] <= IN_TARGET_MS)]


def add(sums: list[int], event: Any) -> list[int]:
    """The sums of a window with one event more."""
    count, total, within = sums
    waited = event["wait_ms"]
    return [count + 1, total + waited, within + (waited <= IN_TARGET_MS)]


def main() -> None:
    """Run the application until all records are counted."""
    told = flags()
    progress = Progress(told)
    app = quixstreams.Application(
        broker_address=told.broker,
        consumer_group=told.run_id,
        auto_offset_reset="earliest",
        commit_interval=DURABLE_EVERY_S,
        state_dir=told.state_dir / "rocksdb",
        consumer_extra_config={"fetch.min.bytes": 65_536, "fetch.wait.max.ms": 100},
        producer_extra_config={"linger.ms": 20},
        on_message_processed=progress.processed,
        loglevel="WARNING",
    )
    topic = app.topic(told.topic, timestamp_extractor=progress.event_time)
    windows = app.dataframe(topic).tumbling_window(WINDOW_MS).reduce(reducer=add, initializer=first)
    windows.final().update(progress.closed, metadata=True)
    app.run()


if __name__ == "__main__":
    main()
