"""A bench for folds: one source partition and one partition of `queue-partials`, with crashes where a test wants them.

Does what the host does, in one thread: records in, told partials on a log of their own, checkpoints of both stages.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.dead_letters import DeadLetter
from schemas.snapshots import IntervalRow, Snapshot
from schemas.topics import CALLS, PARTIALS
from streams.driver import SourceFold, Stored, source_fold
from streams.fold import BUCKETS
from streams.queue_fold import QueueFold
from streams.routing import Router
from streams.site import Site
from streams.telling import Teller

BASE = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp() * 1000)
"""A Monday morning, at the start of a 15 min interval, in Unix ms."""
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000

Entries = dict[str, bytes]


def rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def event(kind: str, at_ms: int, **data: object) -> bytes:
    """One CloudEvent as it lies on a topic; its id says all of it."""
    told = {name: value for name, value in data.items() if value is not None}
    name = f"{kind}@{at_ms}/" + "/".join(str(value) for value in told.values())[:150]
    head = {"id": name, "source": "test", "type": kind, "time": rfc3339(at_ms)}
    return json.dumps({**head, "data": told}, ensure_ascii=False).encode()


def shown(snapshots: Iterable[Snapshot]) -> dict[str, object]:
    """What readers see, but for the marks of who published it when."""
    out: dict[str, object] = {}
    for snapshot in snapshots:
        made = msgspec.to_builtins(snapshot)
        for name in ("published_ms", "epoch", "position"):
            del made[name]
        made.pop("heard_ms", None)
        for truth in made.get("truth", {}).values():
            for name in ("records", "events", "duplicates", "corrected", "newest_event_ms", "lag"):
                del truth[name]
        out[
            f"{made['row']} {made.get('queue', made.get('name'))} {made.get('channel', made.get('group'))}"
        ] = made
    return out


def counted(rows: Iterable[IntervalRow]) -> dict[tuple[str, int], object]:
    """Interval rows without zeros, so that a number taken back equals one never told."""
    out: dict[tuple[str, int], object] = {}
    for row in rows:
        panes = [
            {slot: value for slot, value in pane.items() if value}
            for pane in (row.arrival, row.event, row.time)
        ]
        minutes = list(row.minutes)
        while minutes and minutes[-1] == (0, 0):
            minutes.pop()
        made = (*panes, row.queue_length_max, row.queue_length_area_ms, minutes)
        if any(made):
            out[row.row, row.start_ms] = made
    return out


def dumped(fold: SourceFold | QueueFold) -> Entries:
    """Everything a fold would store."""
    return {key: value for bucket in range(BUCKETS) for key, value in fold.dump(bucket).items()}


class Store:
    """A checkpoint that is only ever told what changed."""

    def __init__(self) -> None:
        self.entries: Entries = {}
        self.position = 0

    def save(self, fold: SourceFold | QueueFold, position: int) -> None:
        for changes in fold.take_changes().values():
            for key, value in changes.items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value
        self.position = position


class Bench:
    """One shard of each stage.

    Args:
        site: what was promised.
        records: values of the source partition, in offset order.
        event_clock: take time from the events; otherwise from `now_ms`.
    """

    def __init__(
        self, site: Site, records: Sequence[bytes] = (), topic: str = CALLS, *, event_clock: bool = True
    ) -> None:
        self.site = site
        self.topic = topic
        self.event_clock = event_clock
        self.records = list(records)
        self.now_ms = 0
        self.partials: list[bytes] = []
        self.letters: dict[int, DeadLetter] = {}
        self._router = Router(1)
        self.fold = self._new_fold()
        self._epoch = 1
        self.teller = Teller(self.fold, topic, 0, self._epoch, self._router)
        self.position = 0
        self.store = Store()
        self.queues = self._new_queues()
        self.merged = 0
        self.queue_store = Store()
        self.intervals: dict[tuple[str, int], IntervalRow] = {}

    def _new_fold(self) -> SourceFold:
        return source_fold(self.site, self.topic, 0, event_clock=self.event_clock)

    def _new_queues(self) -> QueueFold:
        return QueueFold(self.site, PARTIALS, 0, owns=lambda home: True, event_clock=self.event_clock)

    # --- what a host does -------------------------------------------------------------------------------------

    def run(self, count: int) -> None:
        """Take in the next records."""
        batch = [Stored(self.position + i, v) for i, v in enumerate(self.records[self.position :][:count])]
        for letter in self.fold.apply(batch, self.now_ms):
            self.letters[letter.offset] = letter
        self.position += len(batch)

    def settle(self) -> None:
        self.fold.settle(self.now_ms)

    def tell(self, *, everywhere: bool = False) -> None:
        self.settle()
        self.partials += [value for _, value in self.teller.tell(self.position, everywhere=everywhere)]

    def merge(self) -> None:
        """Stage 2 reads what was told."""
        batch = [Stored(self.merged + i, v) for i, v in enumerate(self.partials[self.merged :])]
        assert not self.queues.apply(batch, self.now_ms)
        self.merged += len(batch)
        self.queues.settle(self.now_ms)
        for row in self.queues.take_intervals():
            self.intervals[row.row, row.start_ms] = row

    def checkpoint(self) -> None:
        self.tell()
        self.store.save(self.fold, self.position)

    def crash(self) -> tuple[SourceFold, Teller]:
        """The worker dies; another loads the last checkpoint and reads on from there. Returns what died."""
        dead = self.fold, self.teller
        self.fold = self._new_fold()
        self.fold.load(list(self.store.entries.items()))
        self.position = self.store.position
        self._epoch += 1
        self.teller = Teller(self.fold, self.topic, 0, self._epoch, self._router)
        return dead

    def checkpoint_queues(self) -> None:
        self.merge()
        self.queue_store.save(self.queues, self.merged)

    def crash_queues(self) -> None:
        self.queues = self._new_queues()
        self.queues.load(list(self.queue_store.entries.items()))
        self.merged = self.queue_store.position

    # --- from a test ------------------------------------------------------------------------------------------

    def play(self, actions: Iterable[tuple[str, int]] = ()) -> None:
        """Take in all records; `actions` says what happens on the way."""
        for name, count in actions:
            if name == "run":
                self.run(count)
            else:
                getattr(self, name)()
        self.run(len(self.records))

    def finish(self, now_ms: int) -> None:
        """Let time come to `now_ms` on both stages."""
        self.now_ms = now_ms
        if self.event_clock:
            self.fold.advance(now_ms)
        self.tell(everywhere=True)
        self.merge()

    def numbers(self) -> tuple[dict[str, object], dict[tuple[str, int], object]]:
        """All that anybody can see: snapshots and intervals."""
        snapshots = self.queues.snapshots(self.now_ms, self._epoch, 0, everything=True)
        return shown(snapshots), counted(self.intervals.values())


def differences(
    one: Mapping[Any, object], other: Mapping[Any, object]
) -> dict[object, tuple[object, object]]:
    """What is not the same in two nested mappings, for a failure one can read."""
    out: dict[object, tuple[object, object]] = {}
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            out.update({(key, inner): pair for inner, pair in differences(a, b).items()})
        else:
            out[key] = (a, b)
    return out


def assert_same_numbers(one: Bench, other: Bench) -> None:
    for mine, theirs in zip(one.numbers(), other.numbers(), strict=True):
        wrong = differences(dict(mine), dict(theirs))  # type: ignore[call-overload]
        if wrong:
            raise AssertionError(
                "\n".join(f"{key}: {a!r:.300} != {b!r:.300}" for key, (a, b) in wrong.items())
            )
