"""What do the two stages tell, and to whom? Folds of `streams/` meet topics, Redis and Prometheus here."""

import time
from collections.abc import Callable

import msgspec
from faust.types import TP

from agents.host import Outgoing, Shard
from agents.snapshot_store import MemorySnapshots, RedisSnapshots, row_of
from schemas.partials import row_parts
from schemas.snapshots import encode_interval, encode_json
from schemas.topics import INTERVALS, PARTIALS, SNAPSHOTS
from streams.driver import SourceFold, source_fold
from streams.merged_row import MergedRow
from streams.queue_fold import QueueFold
from streams.routing import Router, owner
from streams.site import Site
from streams.snapshot import snapshot_of
from streams.telling import Teller

TOPIC_EVERY_MS = 5000
"""How often a row's snapshot goes to the compacted topic; Redis and Prometheus see every one."""
INTERVALS_EVERY_MS = 5000


class SourceStage:
    """Stage 1: folds of calls, chats and presence tell `queue-partials`."""

    def __init__(self, site: Site, prefix: str, partitions: int, *, event_clock: bool) -> None:
        self._site = site
        self._target = prefix + PARTIALS
        self._prefix = prefix
        self._router = Router(partitions)
        self._event_clock = event_clock
        self._tellers: dict[TP, Teller] = {}

    def fold(self, tp: TP) -> SourceFold:
        """A new, empty fold."""
        return source_fold(self._site, tp.topic, tp.partition, event_clock=self._event_clock)

    def open(self, shard: Shard) -> None:
        """Tell everything, in the name of the new incarnation."""
        fold = shard.fold
        assert not isinstance(fold, QueueFold)
        fold.tell_all()  # type: ignore[attr-defined]
        topic = shard.tp.topic.removeprefix(self._prefix)
        self._tellers[shard.tp] = Teller(fold, topic, shard.tp.partition, shard.epoch, self._router)  # type: ignore[arg-type]

    def close(self, shard: Shard) -> None:
        """Nothing of stage 1 is published but messages."""
        self._tellers.pop(shard.tp, None)

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle and pack what changed."""
        if shard.position is None:
            return []
        shard.fold.settle(_now_ms())
        teller = self._tellers[shard.tp]
        return [(self._target, None, value, target) for target, value in teller.tell(shard.position)]


class QueueStage:
    """Stage 2: merged rows go to Redis, this process's Prometheus page, and two compacted topics."""

    def __init__(
        self,
        site: Site,
        prefix: str,
        partitions: int,
        *,
        sources: int,
        event_clock: bool,
        memory: MemorySnapshots,
        store: RedisSnapshots | None,
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._partitions = partitions
        self._sources = sources
        self._event_clock = event_clock
        self._memory = memory
        self._store = store
        self._told_ms: dict[str, int] = {}
        self._intervals_ms: dict[TP, int] = {}
        self.on_published: Callable[[int], None] = lambda rows: None

    def fold(self, tp: TP) -> QueueFold:
        """A new, empty fold."""
        return QueueFold(
            self._site,
            tp.topic,
            tp.partition,
            owns=owner(tp.partition, self._partitions),
            sources=self._sources,
            event_clock=self._event_clock,
        )

    def open(self, shard: Shard) -> None:
        """Publish everything soon, in the name of the new incarnation."""
        for row in self._rows(shard):
            row.published_ms = 0
            row.dirty = True
            row.tell_intervals()

    def close(self, shard: Shard) -> None:
        """Take back everything published from a shard that is no longer ours."""
        names = list(self._fold(shard).rows)
        self._memory.remove(names)
        if self._store is not None:
            self._store.withdraw(names)

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle, publish rows whose turn it is, and return what goes to topics."""
        if shard.position is None:
            return []
        now_ms = _now_ms()
        fold = self._fold(shard)
        fold.settle(now_ms)
        states = fold.states(now_ms, shard.epoch, shard.position)
        if states:
            self._memory.publish(states)
            if self._store is not None:
                self._store.offer(states)
            self.on_published(len(states))
        removed = fold.take_removed()
        if removed:
            self._memory.remove(removed)
            if self._store is not None:
                self._store.remove(removed, shard.epoch, shard.position)
        out: list[Outgoing] = []
        for state in states:
            name = row_of(state)
            if now_ms - self._told_ms.get(name, 0) >= TOPIC_EVERY_MS:
                self._told_ms[name] = now_ms
                key = "/".join(row_parts(name)).encode()
                out.append(
                    (self._prefix + SNAPSHOTS, key, encode_json(snapshot_of(state)), shard.tp.partition)
                )
        due = now_ms - self._intervals_ms.get(shard.tp, 0) >= INTERVALS_EVERY_MS
        if due or (at_checkpoint and fold.event_clock):
            self._intervals_ms[shard.tp] = now_ms
            out += self._intervals(shard, fold)
        return out

    def _intervals(self, shard: Shard, fold: QueueFold) -> list[Outgoing]:
        assert shard.position is not None
        out: list[Outgoing] = []
        for interval in fold.take_intervals():
            interval.epoch, interval.position = shard.epoch, shard.position
            key = f"{'/'.join(row_parts(interval.row))}@{interval.start_ms}".encode()
            out.append((self._prefix + INTERVALS, key, encode_interval(interval), shard.tp.partition))
        return out

    @staticmethod
    def _fold(shard: Shard) -> QueueFold:
        assert isinstance(shard.fold, QueueFold)
        return shard.fold

    def _rows(self, shard: Shard) -> list[MergedRow]:
        return list(self._fold(shard).rows.values())


def encode_letter(letter: object) -> bytes:
    """A dead letter as JSON (its payload in base64)."""
    return msgspec.json.encode(letter)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
