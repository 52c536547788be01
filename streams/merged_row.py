"""What do all source partitions together say of one row? Their absolute panes, merged, with running window sums.

A new absolute value replaces the one its source told before; only the difference touches merged panes and windows, so
a snapshot costs the same however long its windows are.
"""

from bisect import bisect_right
from typing import Protocol, TypeVar

import msgspec
from msgspec import Raw

from schemas.counts import LONGEST_WAIT_MS
from schemas.partials import INTERVAL_MS, KIND_MS, SITE_ROW, WIDE_OF, Kind, RowPartial, home_of
from schemas.snapshots import WINDOWS
from streams.kpi import summed, windows_of
from streams.lengths import Shape, corrected, late_nets, lengths
from streams.rows import (
    LENGTHS,
    LENGTHS_KEPT_MS,
    LENGTHS_TOLD_MS,
    WAITING_KIND,
    Pane,
    lengths_from_ms,
    oldest_kept,
)
from streams.site import Calendar
from streams.stored import Lengths, Scalars

_decode = msgspec.msgpack.Decoder(dict[int, int]).decode
_to_json = msgspec.json.Encoder().encode
_LENGTH, _SITE_LENGTH, _SERVICE = int(Kind.LENGTH_PANE), int(Kind.SITE_LENGTH_PANE), int(Kind.SERVICE_PANE)
_LATE = int(Kind.LATE_LENGTH)
_ROLLING = tuple(int(kind) for kind in WIDE_OF)
_DAILY = tuple(int(kind) for kind in WIDE_OF.values())
_WIDE_OF = [int(WIDE_OF.get(Kind(kind), -1)) for kind in range(len(KIND_MS))]
_ARRIVAL_DAY = int(Kind.ARRIVAL_INTERVAL)
EMPTY = b"\x80"
_COUNTS = {kind: [length // KIND_MS[kind] for length in WINDOWS.values()] for kind in _ROLLING}
"""How many panes each rolling window has, shortest first."""
_RING_AT = {
    kind: bytes(bisect_right(counts, behind) for behind in range(counts[-1]))
    for kind, counts in _COUNTS.items()
}
"""By how many panes a pane is behind the clock: the ring that holds it."""
_DAY_RING = len(WINDOWS)
_NAMES = (*WINDOWS, "day")
_SEEN_STORED_MS = 3_600_000

Address = tuple[int, int, str]
"""(kind, pane number, source) of one told pane."""


class Judge(Protocol):
    """See `MergedRow`."""

    def __call__(self, pane: Pane, *, histogram: bool) -> Pane: ...


_NOTHING_NOW = Scalars()
_NOT_MEASURED = Lengths(0, 0, ())
_Slot = TypeVar("_Slot", int, str)


class MergedRow:
    """One row as told by all sources. Times in ms.

    Args:
        judge: what is done to counts before they are added to windows (`histogram` False) and days; linear
            (`streams.kpi.with_x`).
    """

    def __init__(self, name: str, calendar: Calendar, judge: "Judge") -> None:
        self.name = name
        self.letter, self.home = name[0], home_of(name)
        """What kind of row it is, and whose: see `schemas.partials`."""
        self.calendar = calendar
        self._judge = judge
        self._length = _SITE_LENGTH if name == SITE_ROW else _LENGTH
        self.told: dict[Address, bytes] = {}
        self.panes: tuple[dict[int, Pane], ...] = tuple({} for _ in KIND_MS)
        self.scalars: dict[str, Scalars] = {}
        self.waiting = 0
        """Segments waiting now."""
        self.in_service = 0
        """Contacts being handled now."""
        self.callbacks = 0
        """Callbacks promised and not yet made."""
        self._length_now = self._service_now = 0
        """Waiting and in service after all changes told so far: what queue lengths are measured from."""
        self.agents: dict[str, int] = {}
        """Agents by state now."""
        self.lengths: dict[int, Lengths] = {}
        self._shapes: dict[int, Shape] = {}
        self._trend: tuple[int, list[int]] = (0, [])
        self._longest: dict[int, dict[str, int]] = {}
        self._day_longest: int | None = None
        """In ms; -1: there is none; None: not looked up yet."""
        self._day_lengths: tuple[int, int] | None = None
        self._rings: dict[int, list[Pane]] = {kind: [{} for _ in _NAMES] for kind in _ROLLING}
        """Kind -> judged counts: of each rolling window what the next shorter one does not hold; last, the day."""
        self._new: dict[int, dict[int, Pane]] = {kind: {} for kind in _ROLLING}
        """Kind -> ring -> changes not yet added to it."""
        self._packed: dict[int, list[Raw | None]] = {kind: [None] * len(_NAMES) for kind in _ROLLING}
        """The rings as JSON, made once whenever they change."""
        self._edges = dict.fromkeys(_ROLLING, 0)
        self._day_bounds = (0, 0)
        self.seen_ms = 0
        self.dirty = True
        self.dirty_ms = 0
        """Since when it is to be published, by the clock of who publishes; 0: that clock has not seen it."""
        self.dirty_intervals: set[int] = set()
        self._length_since = 1 << 62
        self._floors = [1 << 62] * len(KIND_MS)
        """No pane of a kind has a smaller number."""
        self._forgotten = [0] * len(KIND_MS)
        """Panes of a kind with a smaller number were dropped for their age."""
        self._ceilings = [0] * len(KIND_MS)
        """No pane of a kind ever had a greater number."""
        self._nets: dict[int, dict[int, int]] = {self._length: {}, _SERVICE: {}}
        """Kind -> 15 min interval -> what its panes change in all; a source may be weeks ahead of the clock."""
        self.late: dict[int, Pane] = {}
        """Interval -> changes of its late pane that `lengths` lacks."""
        self._sources: set[str] = set()
        self.unsaved: set[Address] = set()
        self.changed_scalars = True
        self.published_ms = 0

    # --- in ---------------------------------------------------------------------------------------------------

    def take(self, source: str, partial: RowPartial) -> None:
        """Replace what `source` told before."""
        length, service = partial.waiting, partial.in_service
        if not partial.whole:
            before = self.scalars.get(source, _NOTHING_NOW)
            length, service = before.length, before.service
        now = Scalars(
            partial.waiting,
            partial.in_service,
            partial.agents or {},
            length,
            service,
            partial.callbacks,
            partial.oldest_callback_ms,
        )
        if self.set_scalars(source, now):
            self._length_since = min(self._length_since, self._edges[_ROLLING[0]] * KIND_MS[0] // INTERVAL_MS)
        for kind, number, raw in partial.panes:
            self.put((kind, number, source), bytes(raw))
        if self.late:
            self._correct()
        self.dirty = True

    def set_scalars(self, source: str, scalars: Scalars) -> bool:
        """Replace what a source says of now; True when it is news."""
        before = self.scalars.get(source)
        if before == scalars:
            return False
        self.scalars[source] = scalars
        self.changed_scalars = True
        if before is None:
            before = _NOTHING_NOW
        self.waiting += scalars.waiting - before.waiting
        self.in_service += scalars.in_service - before.in_service
        self.callbacks += scalars.callbacks - before.callbacks
        self._length_now += scalars.length - before.length
        self._service_now += scalars.service - before.service
        if scalars.agents != before.agents:
            _add(self.agents, _difference(before.agents, scalars.agents))
        return True

    def seen(self, now_ms: int) -> None:
        """Note a sign of the row's life; it is stored once an hour, and with everything else that is."""
        if now_ms >= self.seen_ms + _SEEN_STORED_MS:
            self.changed_scalars = True
        self.seen_ms = max(self.seen_ms, now_ms)

    def put(self, address: Address, packed: bytes) -> None:
        """Store one told pane and pass on the difference.

        Nothing where the pane was dropped for its age: in a replay an owner that starts from nothing tells it again,
        and what the other sources had told of it is not there any more.
        """
        kind, number, _ = address
        if number < self._forgotten[kind]:
            return
        before = self.told.get(address)
        if before == packed or (before is None and packed == EMPTY):
            return
        old = _decode(before) if before is not None else {}
        new = _decode(packed)
        if packed == EMPTY:
            del self.told[address]
        else:
            self.told[address] = packed
        self.unsaved.add(address)
        self._sources.add(address[2])
        if number < self._floors[kind]:
            self._floors[kind] = number
        if number > self._ceilings[kind]:
            self._ceilings[kind] = number
        if kind == _ARRIVAL_DAY:
            longest_ms = new.pop(LONGEST_WAIT_MS, None)
            if longest_ms != old.pop(LONGEST_WAIT_MS, None):
                self._set_longest(number, address[2], longest_ms)
        changes = _difference(old, new)
        if changes:
            if _WIDE_OF[kind] >= 0:
                self._merge_narrow(kind, number, changes)
            else:
                self._merge(kind, number, changes)

    def _merge_narrow(self, kind: int, number: int, changes: Pane) -> None:
        """Add changes to a narrow pane, the interval around it, and what is gathered for its ring and the day."""
        pane = self.panes[kind].setdefault(number, {})
        behind = self._edges[kind] - number
        holds = _RING_AT[kind]
        gathered = self._new[kind]
        ring = gathered.setdefault(holds[behind], {}) if 0 <= behind < len(holds) else {}
        interval = number * KIND_MS[kind] // INTERVAL_MS
        self.dirty_intervals.add(interval)
        wides = self.panes[_WIDE_OF[kind]]
        wide = wides.setdefault(interval, {})
        low, high = self._day_bounds
        day = gathered.setdefault(_DAY_RING, {}) if low <= interval * INTERVAL_MS < high else {}
        for slot, change in changes.items():
            after = pane.get(slot, 0) + change
            if after:
                pane[slot] = after
            else:
                del pane[slot]
            wide[slot] = wide.get(slot, 0) + change
            ring[slot] = ring.get(slot, 0) + change
            day[slot] = day.get(slot, 0) + change
        if not pane:
            del self.panes[kind][number]
            if LONGEST_WAIT_MS not in wide and not any(wide.values()):
                del wides[interval]

    def _merge(self, kind: int, number: int, changes: Pane) -> None:
        """Add changes to a pane, and to what needs to know of it: the day, the queue length."""
        panes = self.panes[kind]
        pane = panes.setdefault(number, {})
        _add(pane, changes)
        if not pane:
            del panes[number]
        if kind in _DAILY:
            self.dirty_intervals.add(number)
            low, high = self._day_bounds
            if low <= number * INTERVAL_MS < high:
                _add(self._new[_ROLLING[_DAILY.index(kind)]].setdefault(_DAY_RING, {}), changes)
            return
        nets = self._nets.get(kind)
        if nets is not None:
            interval = number * KIND_MS[kind] // INTERVAL_MS
            nets[interval] = nets.get(interval, 0) + sum(changes.values())
            if kind == self._length:
                self._shapes.pop(number, None)
            if interval < self._length_since:
                self._length_since = interval
        elif kind == _LATE:
            waiting, in_service = late_nets(changes)
            for each, net in ((self._length, waiting), (_SERVICE, in_service)):
                nets = self._nets[each]
                nets[number] = nets.get(number, 0) + net
            _add(self.late.setdefault(number, {}), changes)
            self._length_since = min(self._length_since, max(number, self._oldest_measured()))

    def _correct(self) -> None:
        """Bring what was too late to be measured into the intervals that are over.

        Those that can be measured are measured again, and then are exact; the others stay like this.
        """
        late, self.late = self.late, {}
        waiting = in_service = 0
        for number in range(min(late), self._edges[_ROLLING[0]] * KIND_MS[_ROLLING[0]] // INTERVAL_MS):
            changes = late.get(number, {})
            if not (changes or waiting or in_service):
                continue
            before = self.lengths.get(number, _NOT_MEASURED)
            after, waiting, in_service = corrected(before, waiting, in_service, changes)
            self._set_lengths(number, after)

    def _set_lengths(self, number: int, found: Lengths) -> None:
        if self.lengths.get(number) != found:
            self.lengths[number] = found
            self._trend = (0, [])
            self._day_lengths = None
            self.dirty_intervals.add(number)
            self.changed_scalars = True

    def _catch_up(self) -> None:
        """Add to rings and days what has changed."""
        for kind, gathered in self._new.items():
            if gathered:
                for ring, changes in gathered.items():
                    self._change_ring(kind, ring, changes)
                gathered.clear()

    def _change_ring(self, kind: int, ring: int, changes: Pane, sign: int = 1) -> None:
        judged = self._judge(changes, histogram=ring == _DAY_RING)
        _add(self._rings[kind][ring], judged, sign)
        self._packed[kind][ring] = None

    def packed(self, kind: int) -> dict[str, Raw]:
        """The judged counts of a kind as JSON: of each rolling window what the next shorter one lacks, and the day."""
        self._catch_up()
        packed = self._packed[kind]
        for ring, each in enumerate(packed):
            if each is None:
                packed[ring] = Raw(_to_json(self._rings[kind][ring]))
        return dict(zip(_NAMES, packed, strict=True))  # type: ignore[arg-type]

    def counts(self, kind: int) -> dict[str, Pane]:
        """The judged counts of all rolling windows and the business day, of a kind."""
        self._catch_up()
        return windows_of(dict(zip(_NAMES, self._rings[kind], strict=True)))

    def _set_longest(self, number: int, source: str, wait_ms: int | None) -> None:
        """The longest wait of an interval is the maximum over the sources."""
        self._day_longest = None
        told = self._longest.setdefault(number, {})
        if wait_ms is None:
            told.pop(source, None)
        else:
            told[source] = wait_ms
        panes = self.panes[_ARRIVAL_DAY]
        if told:
            panes.setdefault(number, {})[LONGEST_WAIT_MS] = max(told.values())
        else:
            del self._longest[number]
            panes.get(number, {}).pop(LONGEST_WAIT_MS, None)

    def drop(self, source: str, kept: set[tuple[str, int, int]], now_ms: int, keep_ms: int) -> None:
        """Take back what `source` told and no longer holds.

        Args:
            kept: (row, kind, number) of the panes it holds.
            now_ms: the clock of the source. What it must have dropped for its age stays as it was told.
        """
        for address in [a for a in self.told if a[2] == source and (self.name, a[0], a[1]) not in kept]:
            kind, number, _ = address
            if kind == WAITING_KIND or number >= _oldest_told(kind, now_ms, keep_ms):
                self.put(address, EMPTY)
                self.dirty = True
        if self.late:
            self._correct()

    # --- time -------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Move the windows on; panes enter at the front and leave at the back."""
        self._catch_up()
        for kind in (self._length, _SERVICE):
            self._forgotten[kind] = max(self._forgotten[kind], _oldest_here(kind, now_ms, 0))
        for kind in _ROLLING:
            edge, old_edge = now_ms // KIND_MS[kind], self._edges[kind]
            if edge == old_edge:
                continue
            self._edges[kind] = edge
            panes, counts = self.panes[kind], _COUNTS[kind]
            if not old_edge <= edge <= old_edge + counts[0]:
                first = edge + 1
                for ring, count in enumerate(counts):
                    within = (panes[n] for n in range(edge - count + 1, first) if n in panes)
                    self._rings[kind][ring] = _without_zeros(self._judge(summed(within), histogram=False))
                    self._packed[kind][ring] = None
                    first = edge - count + 1
                continue
            for number in range(old_edge + 1, edge + 1):
                if number in panes:
                    self._change_ring(kind, 0, panes[number])
            for ring, count in enumerate(counts):
                for number in range(old_edge - count + 1, edge - count + 1):
                    if number in panes:
                        self._change_ring(kind, ring, panes[number], -1)
                        if ring + 1 < len(counts):
                            self._change_ring(kind, ring + 1, panes[number])
        bounds = self.calendar.day_bounds_ms(now_ms)
        if bounds != self._day_bounds:
            self._day_bounds = bounds
            self._day_lengths = self._day_longest = None
            for kind, wide in zip(_ROLLING, _DAILY, strict=True):
                inside = (p for n, p in self.panes[wide].items() if bounds[0] <= n * INTERVAL_MS < bounds[1])
                day = _without_zeros(self._judge(summed(inside), histogram=True))
                day.pop(LONGEST_WAIT_MS, None)
                self._rings[kind][_DAY_RING] = day
                self._packed[kind][_DAY_RING] = None
            self.dirty = True

    def is_moving(self) -> bool:
        """True when queue length or contacts in service change later than the clock, or are not 0."""
        return bool(self.waiting or self.in_service) or self._is_ahead(
            self._edges[_ROLLING[0]] * KIND_MS[_ROLLING[0]]
        )

    def _is_ahead(self, at_ms: int) -> bool:
        return any(
            (self._ceilings[kind] + 1) * KIND_MS[kind] > at_ms for kind in (self._length, _SERVICE, _LATE)
        )

    def day_longest_wait_ms(self) -> int | None:
        """The longest finished wait of contacts queued in this business day, ms."""
        if self._day_longest is None:
            low, high = self._day_bounds
            self._day_longest = max(
                (
                    wait_ms
                    for number, told in self._longest.items()
                    if low <= number * INTERVAL_MS < high
                    for wait_ms in told.values()
                ),
                default=-1,
            )
        return None if self._day_longest < 0 else self._day_longest

    def measure_anew(self) -> None:
        """Measure the queue lengths of all intervals again whose changes are still known."""
        self._length_since = 0

    def measure_leaving(self, now_ms: int, keep_ms: int) -> None:
        """Before the clock comes to `now_ms`: measure changed intervals that will be too old to be measured then."""
        from_ms = lengths_from_ms(now_ms, LENGTHS_KEPT_MS)
        before_ms = self._edges[_ROLLING[0]] * KIND_MS[_ROLLING[0]]
        if before_ms and self._length_since < from_ms // INTERVAL_MS:
            self.measure_lengths(before_ms, keep_ms)

    def measure_lengths(self, now_ms: int, keep_ms: int) -> None:
        """Bring the queue lengths of all intervals that changed up to date."""
        width_ms = KIND_MS[self._length]
        first = max(
            self._length_since,
            lengths_from_ms(now_ms, LENGTHS_KEPT_MS) // INTERVAL_MS,
            self._oldest_measured(),
            oldest_kept(INTERVAL_MS, now_ms, keep_ms),
        )
        current = now_ms // INTERVAL_MS
        if first > current and not self._length_now and not self._service_now:
            return
        first = min(first, current)
        found = lengths(
            self._length_now - self._net_after(self._length, current),
            self._service_now - self._net_after(_SERVICE, current),
            self.panes[self._length],
            self.panes[_SERVICE],
            first,
            now_ms,
            self._shapes,
            width_ms,
            self.panes[_LATE],
        )
        for number, each in found.items():
            self._set_lengths(number, each)
        ahead = self._is_ahead(current * INTERVAL_MS)
        self._length_since = current if ahead or self._length_now or self._service_now else 1 << 62

    def _oldest_measured(self) -> int:
        """The oldest interval whose narrow panes were not dropped."""
        return self._forgotten[_SERVICE] * KIND_MS[_SERVICE] // INTERVAL_MS

    def _net_after(self, kind: int, interval: int) -> int:
        return sum(net for number, net in self._nets[kind].items() if number > interval)

    def expire(self, now_ms: int, keep_ms: int) -> None:
        """Drop panes that nothing needs any more. Who waits is never dropped."""
        for kind in range(len(KIND_MS)):
            if kind == WAITING_KIND:
                continue
            oldest = _oldest_here(kind, now_ms, keep_ms)
            self._forgotten[kind] = max(self._forgotten[kind], oldest)
            if self._floors[kind] >= oldest:
                continue
            panes = self.panes[kind]
            for number in range(self._floors[kind], min(oldest, self._ceilings[kind] + 1)):
                panes.pop(number, None)
                if kind == self._length:
                    self._shapes.pop(number, None)
                for source in self._sources:
                    if self.told.pop((kind, number, source), None) is not None:
                        self.unsaved.add((kind, number, source))
                if kind == _ARRIVAL_DAY:
                    self._longest.pop(number, None)
            self._floors[kind] = oldest
        oldest = oldest_kept(INTERVAL_MS, now_ms, keep_ms)
        for nets in self._nets.values():
            for number in [number for number in nets if number < oldest]:
                del nets[number]
        for number in [number for number in self.lengths if number < oldest]:
            del self.lengths[number]
            self.changed_scalars = True

    # --- now --------------------------------------------------------------------------------------------------

    def oldest_waiting_ms(self) -> int | None:
        """When the contact that waits longest was queued."""
        waiting = self.panes[WAITING_KIND]
        if not waiting:
            return None
        number = min(waiting)
        offsets = [offset for offset, count in waiting[number].items() if count > 0]
        return number * KIND_MS[WAITING_KIND] + min(offsets) if offsets else None

    def oldest_callback_ms(self) -> int | None:
        """When the oldest callback that is still to be made was promised."""
        if not self.callbacks:
            return None
        return min(each.oldest_callback_ms for each in self.scalars.values() if each.callbacks)

    def waiting_since_before(self, limit_ms: int) -> int:
        """How many of those waiting were queued before an instant."""
        width = KIND_MS[WAITING_KIND]
        total = 0
        for number, pane in self.panes[WAITING_KIND].items():
            if (number + 1) * width <= limit_ms:
                total += sum(pane.values())
            elif number * width < limit_ms:
                total += sum(count for offset, count in pane.items() if number * width + offset < limit_ms)
        return total

    def trend(self, now_ms: int, minutes: int) -> list[int]:
        """Queue length at each of the last full minutes, oldest first."""
        last = now_ms // 60_000
        if self._trend[0] == last:
            return self._trend[1]
        out = []
        for minute in range(last - minutes + 1, last + 1):
            each = self.lengths.get(minute // 15)
            position = minute % 15
            out.append(each.minutes[position][0] if each is not None and position < len(each.minutes) else 0)
        self._trend = (last, out)
        return out

    def lengths_of_day(self) -> tuple[int, int]:
        """Longest queue and its integral (ms) over this business day."""
        if self._day_lengths is None:
            low, high = self._day_bounds
            inside = [each for number, each in self.lengths.items() if low <= number * INTERVAL_MS < high]
            self._day_lengths = max((i.longest for i in inside), default=0), sum(i.area_ms for i in inside)
        return self._day_lengths

    def tell_intervals(self) -> None:
        """Count every interval as changed."""
        self.dirty_intervals.update(self.lengths, *(self.panes[kind] for kind in _DAILY))

    def is_empty(self) -> bool:
        """True when no source says anything."""
        return not (self.told or self.waiting or self.in_service or self.agents or self.callbacks)


def _oldest_told(kind: int, now_ms: int, keep_ms: int) -> int:
    """Number of the oldest pane that its source may still change.

    A narrow pane lives as long as the interval around it: its source says when its counts have moved there.
    """
    if kind in LENGTHS:
        return lengths_from_ms(now_ms, LENGTHS_TOLD_MS) // KIND_MS[kind]
    return _oldest_here(kind, now_ms, keep_ms)


def _oldest_here(kind: int, now_ms: int, keep_ms: int) -> int:
    """Number of the oldest pane that is kept."""
    if kind in LENGTHS:
        return lengths_from_ms(now_ms, LENGTHS_KEPT_MS) // KIND_MS[kind]
    if kind in WIDE_OF:
        return oldest_kept(INTERVAL_MS, now_ms, keep_ms) * (INTERVAL_MS // KIND_MS[kind])
    return oldest_kept(KIND_MS[kind], now_ms, keep_ms)


def _difference(old: dict[_Slot, int], new: dict[_Slot, int]) -> dict[_Slot, int]:
    """What changes old counts into new ones."""
    if not old:
        return new if all(new.values()) else _without_zeros(new)
    get = old.get
    changes = {slot: change for slot, value in new.items() if (change := value - get(slot, 0))}
    changes.update((slot, -value) for slot, value in old.items() if value and slot not in new)
    return changes


def _add(total: dict[_Slot, int], changes: dict[_Slot, int], sign: int = 1) -> None:
    """Add changes to a total, in place; what becomes 0 vanishes."""
    get = total.get
    for slot, value in changes.items():
        after = get(slot, 0) + sign * value
        if after:
            total[slot] = after
        else:
            total.pop(slot, None)


def _without_zeros(pane: dict[_Slot, int]) -> dict[_Slot, int]:
    return {slot: value for slot, value in pane.items() if value}
