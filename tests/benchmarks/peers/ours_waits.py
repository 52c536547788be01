"""How fast is a fold of the same work on Queuelight's own host?

Durable as every fold is: exact checkpoints in a changelog topic. Only the fold is written for this benchmark; lane,
host, pump and checkpoints are the ones the worker runs on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version

import msgspec
import uvloop
from faust.types import TP

from agents.faust_host import FaustHost, tune_gc
from agents.host import Outgoing, Shard
from agents.pump import Pump
from agents.settings import Settings
from agents.topics import create_topics
from agents.worker_truth import WorkerTruth
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from streams.fold import Record
from streams.shard import bucket_of
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


class Wait(msgspec.Struct, gc=False):
    """What the work needs of an event."""

    queue: str
    at_ms: int
    wait_ms: int


_decode = msgspec.json.Decoder(Wait).decode
_encode = msgspec.msgpack.encode
_Windows = dict[int, list[int]]


class WaitsFold:
    """Count, sum and in-target count of waits per queue and window."""

    clock_ms = 0

    def __init__(self, tp: TP, progress: Progress) -> None:
        self._tp = tp
        self._progress = progress
        self.queues: dict[str, _Windows] = {}
        self._unsaved: set[str] = set()

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Count a run of events."""
        self._progress.seen(len(records))
        queues, letters = self.queues, []
        for record in records:
            try:
                wait = _decode(record.value or b"")
            except msgspec.DecodeError as error:
                topic, partition = self._tp
                value = record.value or b""
                letters.append(
                    dead_letter(Reason.NOT_AN_EVENT, str(error), topic, partition, record.offset, value)
                )
                continue
            queue = wait.queue
            windows = queues.get(queue)
            if windows is None:
                windows = queues[queue] = {}
            self._unsaved.add(queue)
            number = wait.at_ms // WINDOW_MS
            waited = wait.wait_ms
            sums = windows.get(number)
            if sums is None:
                windows[number] = [1, waited, int(waited <= IN_TARGET_MS)]
            else:
                sums[0] += 1
                sums[1] += waited
                sums[2] += waited <= IN_TARGET_MS
        self._progress.applied()
        return letters

    def settle(self, now_ms: int) -> None:
        """Nothing depends on the clock."""

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """The queues that changed."""
        out: dict[int, dict[str, bytes | None]] = {}
        for queue in self._unsaved:
            out.setdefault(bucket_of(queue), {})[queue] = _encode(self.queues[queue])
        self._unsaved.clear()
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """The queues of a bucket."""
        return {queue: _encode(w) for queue, w in self.queues.items() if bucket_of(queue) == bucket}

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild."""
        self.queues = {queue: msgspec.msgpack.decode(value, type=_Windows) for queue, value in entries}


class Progress:
    """Runs the stopwatch over all partitions."""

    def __init__(self, told: Flags) -> None:
        self._told = told
        self._watch = Stopwatch()
        self._seen = 0
        self.folds: list[WaitsFold] = []

    def seen(self, records: int) -> None:
        """A run reached the fold."""
        if not self._watch.running:
            self._watch.start()
        self._seen += records

    def applied(self) -> None:
        """A run is in the state; the last one ends the program."""
        if self._seen < self._told.expected:
            return
        self._watch.stop()
        write_results(
            self._told.state_dir,
            (
                WindowResult(queue, number * WINDOW_MS, *sums)
                for fold in self.folds
                for queue, windows in fold.queues.items()
                for number, sums in windows.items()
            ),
        )
        self._watch.report("queuelight", version("queuelight"), self._seen)
        leave()


class WaitsStage:
    """Folds that tell nobody."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def fold(self, tp: TP) -> WaitsFold:
        """A new, empty fold."""
        made = WaitsFold(tp, self._progress)
        self._progress.folds.append(made)
        return made

    def open(self, shard: Shard) -> None:
        """Nothing was told."""

    def close(self, shard: Shard) -> None:
        """Nothing is published."""

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Nobody is told anything: like the peers, this ends in durable state."""
        return []


async def work(told: Flags) -> None:
    """Run until all records are counted."""
    base = Settings()
    kafka = base.kafka.model_copy(
        update={
            "broker": told.broker,
            "app_id": told.run_id,
            "topic_prefix": f"{told.run_id}.",
            "partitions": told.partitions,
        }
    )
    settings = replace(base, kafka=kafka)
    create_topics(settings)
    stage = WaitsStage(Progress(told))
    host = FaustHost(
        settings,
        {"stage1": ([told.topic], stage)},
        WorkerTruth([told.topic], ready_lag=0),
        static=False,
        data_folder=str(told.state_dir),
    )
    await host.start()
    host.spawn(
        Pump(host.host, "", flush_ms=100, publish_ms=100, checkpoint_ms=int(DURABLE_EVERY_S * 1000)).run()
    )
    assert host.over is not None
    await host.over


def main() -> None:
    """Run the host until all records are counted."""
    tune_gc()
    uvloop.install()
    asyncio.run(work(flags()))


if __name__ == "__main__":
    main()
