"""What would the pipeline say of these events? Both stages, run in one thread without a broker.

In the manner of Kafka Streams' TopologyTestDriver: the same folds, the same bytes between the stages, deterministic.
Time is event time, or, for a live pipeline, what it is told.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.dead_letters import DeadLetter
from schemas.partials import SourceTruth
from schemas.snapshots import IntervalRow, RowState, Snapshot
from schemas.topics import CALLS, PARTIALS, PRESENCE, SOURCES
from streams.contact_fold import ContactFold
from streams.presence_fold import PresenceFold
from streams.queue_fold import QueueFold
from streams.routing import Router, owner, partition_of
from streams.site import Site
from streams.snapshot import snapshot_of
from streams.telling import Teller

RUN = 2000


class Stored(NamedTuple):
    """One record of a topic partition."""

    offset: int
    value: bytes | None


class Item(NamedTuple):
    """One record to be produced: topic, key, value."""

    topic: str
    key: str
    value: bytes


SourceFold = ContactFold | PresenceFold


def source_fold(site: Site, topic: str, partition: int, *, event_clock: bool) -> SourceFold:
    """The stage 1 fold for a source topic."""
    kind = PRESENCE if topic.endswith(PRESENCE) else CALLS
    made = PresenceFold if kind == PRESENCE else ContactFold
    return made(site, topic, partition, event_clock=event_clock)


class _SourceShard:
    def __init__(self, site: Site, topic: str, partition: int, router: Router, *, event_clock: bool) -> None:
        self.fold = source_fold(site, topic, partition, event_clock=event_clock)
        self.teller = Teller(self.fold, topic, partition, 1, router)
        self.records: list[Stored] = []
        self.position = 0


class Driver:
    """Feeds items through stage 1 and stage 2.

    Args:
        site: what was promised.
        partitions: of every topic.
        live: time is what `finish` is told, as the wall clock is to a worker; nothing is looked at before.
    """

    def __init__(self, site: Site, partitions: int = 2, *, live: bool = False) -> None:
        self._partitions = partitions
        self._live = live
        self._router = Router(partitions)
        self._shards = {
            (topic, p): _SourceShard(site, topic, p, self._router, event_clock=not live)
            for topic in SOURCES
            for p in range(partitions)
        }
        self._queues = [
            QueueFold(
                site,
                PARTIALS,
                p,
                owns=owner(p, partitions),
                sources=len(SOURCES) * partitions,
                event_clock=not live,
            )
            for p in range(partitions)
        ]
        self._told = [0] * partitions
        self._waiting = 0
        self._newest_ms = 0
        self.dead_letters: list[DeadLetter] = []
        self._intervals: dict[tuple[str, int], IntervalRow] = {}

    def feed(self, items: Iterable[Item]) -> None:
        """Take in items; what they change is visible after `finish` (and, lagging, before)."""
        for item in items:
            shard = self._shards[item.topic, partition_of(item.key, self._partitions)]
            shard.records.append(Stored(shard.position, item.value))
            shard.position += 1
            self._waiting += 1
            if not self._live and (self._waiting >= RUN or not self._newest_ms):
                self._turn()

    def finish(self, now_ms: int = 0) -> None:
        """Let time come to `now_ms`, or to the newest event, everywhere, and tell everything."""
        self._newest_ms = max(self._newest_ms, now_ms)
        self._turn(everywhere=True)

    def _turn(self, *, everywhere: bool = False) -> None:
        self._waiting = 0
        wall_ms = self._newest_ms if self._live else 0
        for shard in self._shards.values():
            records, shard.records = shard.records, []
            if records:
                self.dead_letters += shard.fold.apply(records, wall_ms)
            self._newest_ms = max(self._newest_ms, shard.fold.clock_ms)
        for shard in self._shards.values():
            if not self._live:
                shard.fold.advance(self._newest_ms)
            shard.fold.settle(wall_ms)
            for target, value in shard.teller.tell(shard.position, everywhere=everywhere):
                fold = self._queues[target]
                self.dead_letters += fold.apply([Stored(self._told[target], value)], wall_ms)
                self._told[target] += 1
        for fold in self._queues:
            fold.settle(wall_ms)
            if not self._live:
                self._take_intervals(fold)

    def _take_intervals(self, fold: QueueFold) -> None:
        for interval in fold.take_intervals():
            self._intervals[interval.row, interval.start_ms] = interval

    @property
    def intervals(self) -> dict[tuple[str, int], IntervalRow]:
        """The newest version of every interval, by row and start."""
        for fold in self._queues:
            self._take_intervals(fold)
        return self._intervals

    def states(self, published_ms: int = 0) -> Iterator[RowState]:
        """Every row, now, as it is published."""
        for fold in self._queues:
            yield from fold.states(published_ms, 1, 0, everything=True)

    def snapshots(self, published_ms: int = 0) -> Iterator[Snapshot]:
        """The snapshot of every row, now."""
        return map(snapshot_of, self.states(published_ms))

    @property
    def now_ms(self) -> int:
        """How far event time has come."""
        return self._newest_ms

    def truths(self) -> dict[tuple[str, int], SourceTruth]:
        """What every source shard saw."""
        return {key: shard.fold.truth for key, shard in self._shards.items()}
