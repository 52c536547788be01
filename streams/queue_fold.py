"""What is true of each queue now? The stage 2 fold: partial results in, snapshots and intervals out.

Every row has exactly one owner, so no gauge is ever counted twice. Refuses to know contacts, Redis and Prometheus.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from schemas.dead_letters import DeadLetter
from schemas.partials import (
    INTERVAL_MS,
    SITE_ROW,
    Kind,
    Partial,
    agents_row,
    decode_partial,
    queue_row,
    row_parts,
)
from schemas.snapshots import IntervalRow, RowState, Snapshot
from streams.contributions import Promises
from streams.fold import Record
from streams.kpi import with_x
from streams.merged_row import Judge, MergedRow
from streams.rows import Pane
from streams.shard import ROW_FORGOTTEN_MS, bucket_of
from streams.site import Site
from streams.snapshot import group_snapshot, queue_state, snapshot_of
from streams.sources import hear_clock, is_heard, read_told, slowest_ms
from streams.stored import Lengths, QueueMeta, Scalars, StoredRow

PUBLISH_EVERY_MS = 100
"""A changed row is published no more often: in practice once for each time that stage 1 tells."""
GATHER_MS = 30
"""How long after its first change: the sources of a row tell at the same moment, but are not heard in the same."""
_WAITING_EVERY_MS = 1000
REFRESH_EVERY_MS = 4000
"""Every row is published at least this often, changed or not: readers see that the pipeline lives, and no board of a
quiet site calls its numbers late (5 s)."""
_STRIDE_MS = 1_800_000
_MOST_STRIDES = 5000
"""A gap in event time is crossed in strides of half an hour as long as there is something to measure on the way."""
_EXPIRE_EVERY_MS = 60_000
_SEPARATOR = "\x1e"

_encode = msgspec.msgpack.Encoder().encode


_decode_meta = msgspec.msgpack.Decoder(QueueMeta).decode
_decode_row = msgspec.msgpack.Decoder(StoredRow).decode


class QueueFold:
    """Rows of one partition of `queue-partials`.

    Args:
        owns: whether a row's home (queue name, team row, site row) belongs to this partition; configured queues that
            do are published from the start, with 0.
        sources: how many source partitions tell this fold; with `event_clock` time goes on as the slowest of them.
    """

    def __init__(
        self,
        site: Site,
        topic: str,
        partition: int,
        *,
        owns: Callable[[str], bool],
        sources: int = 1,
        event_clock: bool = False,
    ) -> None:
        self.site = site
        self.topic = topic
        self.partition = partition
        self.rows: dict[str, MergedRow] = {}
        self._sources = sources
        self._meta = QueueMeta(event_clock=event_clock)
        self._channels: dict[str, set[str]] = {}
        self._gone: dict[str, set[str]] = {}
        """Keys of what was stored of removed rows, by row."""
        self._removed: list[str] = []
        self._intervals: dict[tuple[str, int], IntervalRow] = {}
        self._measured_ms = 0
        self._expired_ms = 0
        self._edge = 0
        self._owns = owns
        self._promises = Promises(site)
        self._add_fixed_rows()

    @property
    def event_clock(self) -> bool:
        """True in a replay: time goes on as the slowest source's."""
        return self._meta.event_clock

    def _add_fixed_rows(self) -> None:
        for queue, policy in self.site.queues.items():
            if self._owns(queue):
                self._row(queue_row(queue, policy.channel))
        if self._owns(SITE_ROW):
            self._row(SITE_ROW)

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self._meta.clock_ms

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in partials; see `streams.fold.Fold`."""
        return read_told(records, decode_partial, self._take, self.topic, self.partition)

    def _take(self, partial: Partial) -> None:
        source = f"{partial.topic}/{partial.partition}"
        meta = self._meta
        if partial.event_clock != meta.event_clock:
            return  # of a worker with another clock: it must not touch these rows
        if not is_heard(meta, source, partial.epoch):
            return
        sweeping = meta.sweeping.get(source)
        for told in partial.rows:
            row = self._row(told.row)
            row.seen(partial.now_ms)
            row.take(source, told)
            if sweeping is not None:
                sweeping.update((told.row, kind, number) for kind, number, _ in told.panes)
                sweeping.add((told.row, -1, 0))
            if row.letter in "qa":
                self._touch_queue(row, partial.now_ms)
        if sweeping is not None and partial.full:
            self._sweep(source, sweeping, partial.now_ms)
        if partial.truth is not None:
            meta.truths[source] = partial.truth
            self._row(SITE_ROW).dirty = True
        if hear_clock(meta, source, partial.now_ms) and self.event_clock:
            meta.began_ms = min(meta.began_ms or partial.now_ms, partial.now_ms)
            reached_ms = slowest_ms(meta, self._sources)
            if reached_ms is not None:
                self._advance(meta.began_ms)
                self._stride(reached_ms)

    def _stride(self, to_ms: int) -> None:
        """In a replay: move the clock to `to_ms`; measure at least every half hour of the way."""
        meta = self._meta
        if to_ms >= self._measured_ms + _STRIDE_MS:
            self.settle(0)
            for _ in range(_MOST_STRIDES):
                if to_ms <= meta.clock_ms + _STRIDE_MS or not any(
                    row.is_moving() for row in self.rows.values()
                ):
                    break
                self._advance(meta.clock_ms + _STRIDE_MS)
                self.settle(0)
        self._advance(to_ms)

    def _touch_queue(self, told: MergedRow, now_ms: int) -> None:
        """Agents of a queue are shown on the rows of its channels, and keep them.

        Who comes before the first contact is shown on a row for calls, until a contact tells the channel.
        """
        queue = told.home
        channels = self._channels.get(queue)
        if told.letter == "q":
            if channels and len(channels) > 1:
                for other in list(channels):
                    if not self.rows[other].scalars and not self._is_fixed(other):
                        self._remove(other)
            return
        if not channels:
            own = self.site.queues.get(queue)
            channel = own.channel if own else "voice"
            self._row(queue_row(queue, channel))
            channels = self._channels[queue]
        for channel_row in channels:
            row = self.rows[channel_row]
            row.dirty = True
            row.seen(now_ms)

    def _sweep(self, source: str, kept: set[tuple[str, int, int]], now_ms: int) -> None:
        """A new owner of `source` has told all it holds: the rest is gone."""
        for row in self.rows.values():
            row.drop(source, kept, now_ms, self.site.limits.keep_ms)
            if source in row.scalars and (row.name, -1, 0) not in kept:
                row.set_scalars(source, Scalars())
                row.dirty = True
            if source in row.scalars:
                row.measure_anew()
        del self._meta.sweeping[source]

    def _row(self, name: str) -> MergedRow:
        row = self.rows.get(name)
        if row is None:
            parts = row_parts(name)
            queue = parts[1] if name != SITE_ROW else ""
            judge: Judge = _as_it_is
            if parts[0] == "q":
                promise = self._promises.of(queue, parts[2])
                judge = partial(with_x, x_ms=promise.in_x_ms, short_ms=promise.short_ms)
            row = self.rows[name] = MergedRow(name, self.site.calendar(queue), judge)
            row.seen_ms = self._meta.clock_ms
            if name.startswith("q"):
                self._channels.setdefault(queue, set()).add(name)
            self._bring_to_clock(row)
        return row

    def _bring_to_clock(self, row: MergedRow) -> None:
        if not self._meta.clock_ms:
            return
        row.advance(self._meta.clock_ms)
        if self.event_clock:  # an owner that starts from nothing may tell what is too old by now
            row.expire(self._meta.clock_ms, self.site.limits.keep_ms)

    # --- time -------------------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> None:
        self._meta.clock_ms = max(self._meta.clock_ms, now_ms)

    def settle(self, now_ms: int) -> None:
        """Bring windows, queue lengths and intervals up to the clock; see `streams.fold.Fold`."""
        if not self.event_clock:
            self._advance(now_ms)
        now_ms = self._meta.clock_ms
        if not now_ms:
            return
        if self._is_complete():
            self._measured_ms = now_ms
        self._edge_passed(now_ms)
        if self.event_clock:
            self._collect_intervals()
        if now_ms < self._expired_ms + _EXPIRE_EVERY_MS:
            return
        self._expired_ms = now_ms
        self._collect_intervals()
        keep_ms = self.site.limits.keep_ms
        for row in list(self.rows.values()):
            row.expire(now_ms, keep_ms)
            if row.seen_ms < now_ms - ROW_FORGOTTEN_MS and row.is_empty() and not self._is_fixed(row.name):
                self._remove(row.name)

    def _edge_passed(self, now_ms: int) -> None:
        edge = now_ms // 10_000
        if edge == self._edge:
            return
        self._edge = edge
        complete = self._is_complete()
        measures = now_ms // 60_000 != (now_ms - 10_000) // 60_000 and complete
        for row in self.rows.values():
            if complete:
                row.measure_leaving(now_ms, self.site.limits.keep_ms)
            row.advance(now_ms)
            if measures:
                row.measure_lengths(now_ms, self.site.limits.keep_ms)
            row.dirty = True

    def _is_fixed(self, name: str) -> bool:
        return name == SITE_ROW or (name.startswith("q") and row_parts(name)[1] in self.site.queues)

    def _remove(self, name: str) -> None:
        self._bury(name)
        del self.rows[name]
        self._removed.append(name)
        parts = row_parts(name)
        if parts[0] == "q":
            self._channels[parts[1]].discard(name)

    def _bury(self, name: str) -> None:
        row = self.rows[name]
        keys = {"r" + name, *(_pane_key(name, address) for address in {*row.told, *row.unsaved})}
        self._gone.setdefault(name, set()).update(keys)

    def _is_complete(self) -> bool:
        """True when queue lengths can be measured: no new owner of a source is still telling.

        What the old owner told does not fit to what the new one did. In a replay all sources must have come to the
        clock as well: one that went back may be so far behind that what is measured without it would be too old to be
        measured again.
        """
        meta = self._meta
        if not self.event_clock:
            return not meta.sweeping
        reached_ms = slowest_ms(meta, self._sources)
        return reached_ms is not None and reached_ms >= meta.clock_ms

    def _collect_intervals(self) -> None:
        if not self._meta.clock_ms:
            return
        complete = self._is_complete()
        for row in self.rows.values():
            if complete:
                row.measure_lengths(self._meta.clock_ms, self.site.limits.keep_ms)
            for number in row.dirty_intervals:
                self._intervals[row.name, number] = self._interval(row, number)
            row.dirty_intervals.clear()

    def _interval(self, row: MergedRow, number: int) -> IntervalRow:
        length = row.lengths.get(number, Lengths(0, 0, ()))
        return IntervalRow(
            row=row.name,
            start_ms=number * INTERVAL_MS,
            arrival=dict(row.panes[Kind.ARRIVAL_INTERVAL].get(number, {})),
            event=dict(row.panes[Kind.EVENT_INTERVAL].get(number, {})),
            time=dict(row.panes[Kind.TIME_INTERVAL].get(number, {})),
            queue_length_max=length.longest,
            queue_length_area_ms=length.area_ms,
            minutes=list(length.minutes),
        )

    # --- out --------------------------------------------------------------------------------------------------

    def snapshots(
        self, published_ms: int, epoch: int, position: int, *, everything: bool = False
    ) -> list[Snapshot]:
        """What readers see of the rows whose turn it is, at `published_ms` (wall clock)."""
        return [
            snapshot_of(each) for each in self.states(published_ms, epoch, position, everything=everything)
        ]

    def states(
        self, published_ms: int, epoch: int, position: int, *, everything: bool = False
    ) -> list[RowState]:
        """The rows whose turn it is to be published, at `published_ms` (wall clock)."""
        now_ms = self._meta.clock_ms
        out: list[RowState] = []
        for row in self.rows.values():
            age_ms = published_ms - row.published_ms
            if row.dirty and not row.dirty_ms:
                row.dirty_ms = published_ms
            due = (
                (row.dirty and published_ms - row.dirty_ms >= GATHER_MS and age_ms >= PUBLISH_EVERY_MS)
                or age_ms >= REFRESH_EVERY_MS
                or (age_ms >= _WAITING_EVERY_MS and bool(row.panes[Kind.WAITING_PANE]))
            )
            if not (due or everything):
                continue
            row.dirty = False
            row.dirty_ms = 0
            row.published_ms = published_ms
            if row.letter == "q":
                agents = self.rows.get(agents_row(row.home))
                out.append(
                    queue_state(self.site, self._promises, row, agents, now_ms, published_ms, epoch, position)
                )
            elif row.letter in "st":
                truths = self._meta.truths if row.letter == "s" else {}
                told = group_snapshot(self.site, row, truths, now_ms, published_ms, epoch, position)
                if row.letter == "s" and not self.event_clock:
                    told.heard_ms = max(self._meta.clocks.values(), default=0)
                out.append(told)
        return out

    def take_intervals(self) -> list[IntervalRow]:
        """Intervals that changed since the last call, as they are now."""
        self._collect_intervals()
        out = list(self._intervals.values())
        self._intervals.clear()
        return out

    def take_removed(self) -> list[str]:
        """Rows that are no longer published."""
        out, self._removed = self._removed, []
        return out

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        out: dict[int, dict[str, bytes | None]] = {0: {"m": _encode(self._meta)}}
        for name, keys in self._gone.items():
            out.setdefault(bucket_of(name), {}).update(dict.fromkeys(keys))
        self._gone.clear()
        for row in self.rows.values():
            if not row.unsaved and not row.changed_scalars:
                continue
            entries = out.setdefault(bucket_of(row.name), {})
            for address in row.unsaved:
                entries[_pane_key(row.name, address)] = row.told.get(address)
            row.unsaved.clear()
            entries["r" + row.name] = _packed(row)
            row.changed_scalars = False
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = {"m": _encode(self._meta)} if bucket == 0 else {}
        for row in self.rows.values():
            if bucket_of(row.name) == bucket:
                out.update((_pane_key(row.name, address), packed) for address, packed in row.told.items())
                out["r" + row.name] = _packed(row)
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        panes = []
        for key, value in entries:
            if key == "m":
                self._meta = _decode_meta(value)
            elif key[0] == "r":
                stored = _decode_row(value)
                row = self._row(key[1:])
                row.seen_ms, row.lengths = stored.seen_ms, stored.lengths
                for source, scalars in stored.scalars.items():
                    row.set_scalars(source, scalars)
            else:
                panes.append((key, value))
        for key, value in panes:
            name, kind, number, source = key[1:].split(_SEPARATOR)
            self._row(name).put((int(kind), int(number), source), value)
        for row in self.rows.values():
            row.unsaved.clear()
            row.late.clear()  # its lengths hold them
            self._bring_to_clock(row)


def _as_it_is(pane: Pane, *, histogram: bool) -> Pane:  # noqa: ARG001  # a `Judge`
    return pane


def _pane_key(row: str, address: tuple[int, int, str]) -> str:
    return f"v{row}{_SEPARATOR}{address[0]}{_SEPARATOR}{address[1]}{_SEPARATOR}{address[2]}"


def _packed(row: MergedRow) -> bytes:
    return _encode(StoredRow(row.seen_ms, row.scalars, row.lengths))
