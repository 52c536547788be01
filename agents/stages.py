"""What do the two stages tell, and to whom? Folds of `streams/` meet topics, Redis and Prometheus here."""

from collections.abc import Callable

import msgspec
from faust.types import TP

from agents.drill_store import DrillWriter
from agents.host import Outgoing, Shard
from agents.journeys.stages import CustomerTeller
from agents.pseudonym import Pseudonyms
from agents.snapshot_store import MemorySnapshots, RedisSnapshots, row_of
from agents.wall_clock import wall_ms
from schemas.drill import SourceList
from schemas.partials import row_parts
from schemas.snapshots import IntervalRow, encode_interval, encode_json
from schemas.topics import INTERVALS, PARTIALS, SNAPSHOTS
from streams.contact_fold import ContactFold
from streams.contact_list import MOST_LISTED
from streams.day_book import DayBook
from streams.driver import SourceFold, source_fold
from streams.merged_row import MergedRow
from streams.queue_fold import QueueFold
from streams.routing import Router, owner
from streams.site import Site
from streams.snapshot import snapshot_of
from streams.telling import Teller

WHOLE_EVERY_MS = 1000
"""How often stage 1 tells what reports and gauges are made of; what boards show it tells at every flush."""
TOPIC_EVERY_MS = 5000
"""How often a row's snapshot goes to the compacted topic; Redis and Prometheus see every one."""
INTERVALS_EVERY_MS = 10_000
CONTACTS_EVERY_MS = 4000
DAYS_ANEW_EVERY_MS = 60_000
"""How often every row's day is written whether or not it changed: a Redis that started empty fills again."""


class SourceStage:
    """Stage 1: folds of calls, chats and presence tell `queue-partials`, and contacts of customers `customers`.

    Args:
        customers: says whose contacts they are; None: nobody is told.
    """

    def __init__(
        self,
        site: Site,
        prefix: str,
        partitions: int,
        *,
        event_clock: bool,
        drill: DrillWriter,
        pseudonyms: Pseudonyms,
        customers: CustomerTeller | None = None,
    ) -> None:
        self._site = site
        self._customers = customers
        self._drill = drill
        self._pseudonyms = pseudonyms
        self._listed_ms: dict[TP, int] = {}
        self._target = prefix + PARTIALS
        self._prefix = prefix
        self._router = Router(partitions)
        self._event_clock = event_clock
        self._tellers: dict[TP, Teller] = {}
        self._whole_ms: dict[TP, int] = {}
        """When each shard last told everything that changed."""

    def fold(self, tp: TP) -> SourceFold:
        """A new, empty fold."""
        return source_fold(self._site, tp.topic, tp.partition, event_clock=self._event_clock)

    def open(self, shard: Shard) -> None:
        """Tell everything, in the name of the new incarnation."""
        fold = shard.fold
        assert not isinstance(fold, QueueFold)
        fold.tell_all()  # type: ignore[attr-defined]
        if self._customers is not None:
            self._customers.open(shard)
        topic = shard.tp.topic.removeprefix(self._prefix)
        self._tellers[shard.tp] = Teller(fold, topic, shard.tp.partition, shard.epoch, self._router)  # type: ignore[arg-type]

    def close(self, shard: Shard) -> None:
        """Take back the contacts that are listed for a shard that is no longer ours."""
        self._tellers.pop(shard.tp, None)
        self._whole_ms.pop(shard.tp, None)
        self._listed_ms.pop(shard.tp, None)
        self._drill.withdraw((), [self._source(shard)])

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle and pack what changed."""
        if shard.position is None:
            return []
        now_ms = wall_ms()
        shard.fold.settle(now_ms)
        self._list_contacts(shard, now_ms)
        whole = at_checkpoint or now_ms // WHOLE_EVERY_MS != self._whole_ms.get(shard.tp, 0) // WHOLE_EVERY_MS
        if whole:
            self._whole_ms[shard.tp] = now_ms
        told = self._tellers[shard.tp].tell(shard.position, whole=whole)
        out: list[Outgoing] = [(self._target, None, value, target) for target, value in told]
        return out + self._of_customers(shard)

    def _of_customers(self, shard: Shard) -> list[Outgoing]:
        fold = shard.fold
        if not isinstance(fold, ContactFold):
            return []
        changed = fold.take_customers()
        if self._customers is None:
            return []
        clock = self._customers.clock(shard, fold.clock_ms, event_clock=fold.is_replay)
        return clock + self._customers.contacts(shard, changed)

    def _list_contacts(self, shard: Shard, now_ms: int) -> None:
        """Every few seconds, each shard at a time of its own: who waits and who gave up, under pseudonyms."""
        fold = shard.fold
        if not isinstance(fold, ContactFold):
            return
        listed_ms = self._listed_ms.setdefault(shard.tp, now_ms - hash(shard.tp) % CONTACTS_EVERY_MS)
        if now_ms - listed_ms < CONTACTS_EVERY_MS:
            return
        assert shard.position is not None
        self._listed_ms[shard.tp] = now_ms
        rows = {row: self._pseudonyms.listed(each) for row, each in fold.listed(MOST_LISTED).items()}
        self._drill.offer_contacts(self._source(shard), SourceList(now_ms, rows), shard.epoch, shard.position)

    def _source(self, shard: Shard) -> str:
        return f"{shard.tp.topic.removeprefix(self._prefix)}/{shard.tp.partition}"


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
        drill: DrillWriter,
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._partitions = partitions
        self._sources = sources
        self._event_clock = event_clock
        self._memory = memory
        self._store = store
        self._drill = drill
        self._books: dict[TP, DayBook] = {}
        self._days_ms: dict[TP, int] = {}
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
        self._books[shard.tp] = DayBook(self._site)
        self._intervals_ms.pop(shard.tp, None)
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
        self._drill.withdraw(names, ())

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle, publish rows whose turn it is, and return what goes to topics."""
        if shard.position is None:
            return []
        now_ms = wall_ms()
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
            self._books[shard.tp].drop(removed)
            self._drill.remove_days(removed, shard.epoch, shard.position)
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
            out += self._intervals(shard, fold, now_ms)
        return out

    def _intervals(self, shard: Shard, fold: QueueFold, now_ms: int) -> list[Outgoing]:
        assert shard.position is not None
        changed = fold.take_intervals()
        self._tell_days(shard, changed, fold.clock_ms, now_ms)
        out: list[Outgoing] = []
        for interval in changed:
            interval.epoch, interval.position = shard.epoch, shard.position
            key = f"{'/'.join(row_parts(interval.row))}@{interval.start_ms}".encode()
            out.append((self._prefix + INTERVALS, key, encode_interval(interval), shard.tp.partition))
        return out

    def _tell_days(self, shard: Shard, changed: list[IntervalRow], clock_ms: int, now_ms: int) -> None:
        assert shard.position is not None
        book = self._books[shard.tp]
        rows = book.take(changed, clock_ms)
        if now_ms - self._days_ms.get(shard.tp, 0) >= DAYS_ANEW_EVERY_MS:
            self._days_ms[shard.tp] = now_ms
            rows.update(book.rows())
        self._drill.offer_days({row: book.day(row, clock_ms) for row in rows}, shard.epoch, shard.position)

    @staticmethod
    def _fold(shard: Shard) -> QueueFold:
        assert isinstance(shard.fold, QueueFold)
        return shard.fold

    def _rows(self, shard: Shard) -> list[MergedRow]:
        return list(self._fold(shard).rows.values())


def encode_letter(letter: object) -> bytes:
    """A dead letter as JSON (its payload in base64)."""
    return msgspec.json.encode(letter)
