"""What do all source partitions together say of one row? Their absolute panes, merged, with running window sums.

A new absolute value replaces the one its source told before; only the difference touches merged panes and windows, so
a snapshot costs the same however long its windows are.
"""

from bisect import bisect_right
from typing import Protocol

import msgspec

from schemas.counts import LONGEST_WAIT_MS
from schemas.partials import INTERVAL_MS, KIND_MS, SITE_ROW, Kind, RowPartial
from schemas.snapshots import WINDOWS
from streams.kpi import add, summed
from streams.lengths import Lengths, Shape, lengths
from streams.rows import WAITING_KIND, Pane, oldest_kept
from streams.site import Calendar

_decode = msgspec.msgpack.Decoder(dict[int, int]).decode
_LENGTH, _SITE_LENGTH, _SERVICE = int(Kind.LENGTH_PANE), int(Kind.SITE_LENGTH_PANE), int(Kind.SERVICE_PANE)
_ROLLING = (int(Kind.EVENT_PANE), int(Kind.ARRIVAL_MINUTE), int(Kind.TIME_PANE))
_DAILY = (int(Kind.EVENT_INTERVAL), int(Kind.ARRIVAL_INTERVAL), int(Kind.TIME_INTERVAL))
_ARRIVAL_DAY = int(Kind.ARRIVAL_INTERVAL)
EMPTY = b"\x80"
_COUNTS = {kind: [length // KIND_MS[kind] for length in WINDOWS.values()] for kind in _ROLLING}
"""How many panes each rolling window has, shortest first."""
_WINDOW_FROM = {
    kind: bytes(bisect_right(counts, behind) for behind in range(counts[-1]))
    for kind, counts in _COUNTS.items()
}
"""By how many panes a pane is behind the clock: the first (shortest) window that holds it; all longer ones do too."""
_SEEN_STORED_MS = 3_600_000

Address = tuple[int, int, str]
"""(kind, pane number, source) of one told pane."""


class Judge(Protocol):
    """See `MergedRow`."""

    def __call__(self, pane: Pane, *, histogram: bool) -> Pane: ...


class Scalars(msgspec.Struct, array_like=True):
    """What one source says of now."""

    waiting: int = 0
    in_service: int = 0
    agents: dict[str, int] = msgspec.field(default_factory=dict)


class MergedRow:
    """One row as told by all sources. Times in ms.

    Args:
        judge: what is done to counts before they are added to windows (`histogram` False) and days; linear
            (`streams.kpi.with_x`).
    """

    def __init__(self, name: str, calendar: Calendar, judge: "Judge") -> None:
        self.name = name
        self.calendar = calendar
        self._judge = judge
        self._length = _SITE_LENGTH if name == SITE_ROW else _LENGTH
        self.told: dict[Address, bytes] = {}
        self.panes: tuple[dict[int, Pane], ...] = tuple({} for _ in KIND_MS)
        self.scalars: dict[str, Scalars] = {}
        self.lengths: dict[int, Lengths] = {}
        self._shapes: dict[int, Shape] = {}
        self._trend: tuple[int, list[int]] = (0, [])
        self._longest: dict[int, dict[str, int]] = {}
        self._windows: dict[int, dict[str, Pane]] = {kind: {w: {} for w in WINDOWS} for kind in _ROLLING}
        self._day: dict[int, Pane] = {kind: {} for kind in _DAILY}
        self._new: dict[int, dict[int, Pane]] = {kind: {} for kind in (*_ROLLING, *_DAILY)}
        """Kind -> first window that holds it (0 for a day) -> changes not yet added to windows and days."""
        self._edges = dict.fromkeys(_ROLLING, 0)
        self._day_bounds = (0, 0)
        self.seen_ms = 0
        self.dirty = True
        self.dirty_intervals: set[int] = set()
        self._length_since = 1 << 62
        self._floors = [1 << 62] * len(KIND_MS)
        """No pane of a kind has a smaller number."""
        self._ceilings = [0] * len(KIND_MS)
        """No pane of a kind ever had a greater number."""
        self._nets: dict[int, dict[int, int]] = {self._length: {}, _SERVICE: {}}
        """Kind -> 15 min interval -> what its panes change in all; a source may be weeks ahead of the clock."""
        self._sources: set[str] = set()
        self.unsaved: set[Address] = set()
        self.changed_scalars = True
        self.published_ms = 0

    # --- in ---------------------------------------------------------------------------------------------------

    def take(self, source: str, partial: RowPartial) -> list[tuple[int, int]]:
        """Replace what `source` told before; return the (kind, number) of the panes named."""
        scalars = Scalars(partial.waiting, partial.in_service, partial.agents or {})
        if self.scalars.get(source) != scalars:
            self.scalars[source] = scalars
            self.changed_scalars = True
            self._length_since = min(self._length_since, self._edges[_ROLLING[0]] * KIND_MS[0] // INTERVAL_MS)
        for kind, number, raw in partial.panes:
            self.put((kind, number, source), bytes(raw))
        self.dirty = True
        return [(kind, number) for kind, number, _ in partial.panes]

    def seen(self, now_ms: int) -> None:
        """Note a sign of the row's life; it is stored once an hour, and with everything else that is."""
        if now_ms >= self.seen_ms + _SEEN_STORED_MS:
            self.changed_scalars = True
        self.seen_ms = max(self.seen_ms, now_ms)

    def put(self, address: Address, packed: bytes) -> None:
        """Store one told pane and pass on the difference."""
        kind, number, _ = address
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
        nets = self._nets.get(kind)
        if nets is not None:
            interval = number * KIND_MS[kind] // INTERVAL_MS
            nets[interval] = nets.get(interval, 0) + sum(new.values()) - sum(old.values())
        self._merge(kind, number, old, new)

    def _merge(self, kind: int, number: int, old: Pane, new: Pane) -> None:
        """Put `new` in place of `old` into the pane and into what windows or day still have to learn."""
        panes = self.panes[kind]
        pane = panes.get(number)
        if pane is None:
            pane = panes[number] = {}
        told = self._untaken(kind, number)
        for slot, value in new.items():
            change = value - old.get(slot, 0)
            if change:
                total = pane.get(slot, 0) + change
                if total:
                    pane[slot] = total
                else:
                    del pane[slot]
                told[slot] = told.get(slot, 0) + change
        for slot, value in old.items():
            if slot not in new:
                total = pane.get(slot, 0) - value
                if total:
                    pane[slot] = total
                else:
                    pane.pop(slot, None)
                told[slot] = told.get(slot, 0) - value
        if not pane:
            del panes[number]

    def _untaken(self, kind: int, number: int) -> Pane:
        """Where the changes of a pane are gathered until `_catch_up`; somewhere of no use if nothing needs them."""
        if kind in _ROLLING:
            behind = self._edges[kind] - number
            holds = _WINDOW_FROM[kind]
            if not 0 <= behind < len(holds):
                return {}
            place = holds[behind]
        elif kind in _DAILY:
            self.dirty_intervals.add(number)
            low, high = self._day_bounds
            if not low <= number * INTERVAL_MS < high:
                return {}
            place = 0
        else:
            if kind != WAITING_KIND:
                if kind == self._length:
                    self._shapes.pop(number, None)
                self._length_since = min(self._length_since, number * KIND_MS[kind] // INTERVAL_MS)
            return {}
        gathered = self._new[kind]
        changes = gathered.get(place)
        if changes is None:
            changes = gathered[place] = {}
        return changes

    def _catch_up(self) -> None:
        """Add to windows and days what has changed."""
        for kind, gathered in self._new.items():
            if not gathered:
                continue
            for place, changes in gathered.items():
                judged = self._judge(changes, histogram=kind not in _ROLLING)
                if kind in _ROLLING:
                    totals = list(self._windows[kind].values())[place:]
                else:
                    totals = [self._day[kind]]
                for total in totals:
                    get = total.get
                    for slot, value in judged.items():
                        total[slot] = get(slot, 0) + value
            gathered.clear()

    def counts(self, rolling: int, daily: int) -> dict[str, Pane]:
        """Copies of the judged counts of all rolling windows and the business day, of two kinds."""
        self._catch_up()
        out = {window: dict(total) for window, total in self._windows[rolling].items()}
        out["day"] = dict(self._day[daily])
        return out

    def _set_longest(self, number: int, source: str, wait_ms: int | None) -> None:
        """The longest wait of an interval is the maximum over the sources."""
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
            if kind == WAITING_KIND or number >= oldest_kept(KIND_MS[kind], now_ms, keep_ms):
                self.put(address, EMPTY)
                self.dirty = True

    # --- time -------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Move the windows on; panes enter at the front and leave at the back."""
        self._catch_up()
        for kind in _ROLLING:
            edge, old_edge = now_ms // KIND_MS[kind], self._edges[kind]
            if edge == old_edge:
                continue
            self._edges[kind] = edge
            panes, totals = self.panes[kind], self._windows[kind]
            if not old_edge <= edge < old_edge + _COUNTS[kind][0]:
                for window, count in zip(totals, _COUNTS[kind], strict=True):
                    within = (panes[n] for n in range(edge - count + 1, edge + 1) if n in panes)
                    totals[window] = self._judge(summed(within), histogram=False)
                continue
            for number in range(old_edge + 1, edge + 1):
                if number in panes:
                    entering = self._judge(panes[number], histogram=False)
                    for total in totals.values():
                        add(total, entering)
            for total, count in zip(totals.values(), _COUNTS[kind], strict=True):
                for number in range(old_edge - count + 1, edge - count + 1):
                    if number in panes:
                        for slot, value in self._judge(panes[number], histogram=False).items():
                            total[slot] = total.get(slot, 0) - value
        bounds = self.calendar.day_bounds_ms(now_ms)
        if bounds != self._day_bounds:
            self._day_bounds = bounds
            for kind in _DAILY:
                inside = (p for n, p in self.panes[kind].items() if bounds[0] <= n * INTERVAL_MS < bounds[1])
                self._day[kind] = self._judge(summed(inside), histogram=True)
                self._day[kind].pop(LONGEST_WAIT_MS, None)
            self.dirty = True

    def is_moving(self) -> bool:
        """True when queue length or contacts in service change later than the clock, or are not 0."""
        return bool(self.waiting or self.in_service) or self._is_ahead(
            self._edges[_ROLLING[0]] * KIND_MS[_ROLLING[0]]
        )

    def _is_ahead(self, at_ms: int) -> bool:
        return any(self._ceilings[kind] * KIND_MS[kind] >= at_ms for kind in (self._length, _SERVICE))

    def day_longest_wait_ms(self) -> int | None:
        """The longest finished wait of contacts queued in this business day, ms."""
        low, high = self._day_bounds
        waits = [
            pane[LONGEST_WAIT_MS]
            for number, pane in self.panes[_ARRIVAL_DAY].items()
            if LONGEST_WAIT_MS in pane and low <= number * INTERVAL_MS < high
        ]
        return max(waits, default=None)

    def measure_anew(self) -> None:
        """Measure the queue lengths of all intervals again whose changes are still known."""
        self._length_since = 0

    def measure_lengths(self, now_ms: int, keep_ms: int) -> None:
        """Bring the queue lengths of all intervals that changed up to date."""
        width_ms = KIND_MS[self._length]
        first = max(
            self._length_since,
            -(-oldest_kept(width_ms, now_ms, keep_ms) * width_ms // INTERVAL_MS),
        )
        current = now_ms // INTERVAL_MS
        if first > current and not self.waiting and not self.in_service:
            return
        first = min(first, current)
        found = lengths(
            self.waiting - self._net_after(self._length, current),
            self.in_service - self._net_after(_SERVICE, current),
            self.panes[self._length],
            self.panes[_SERVICE],
            first,
            now_ms,
            self._shapes,
            width_ms,
        )
        for number, each in found.items():
            if self.lengths.get(number) != each:
                self.lengths[number] = each
                self._trend = (0, [])
                self.dirty_intervals.add(number)
                self.changed_scalars = True
        ahead = self._is_ahead(current * INTERVAL_MS)
        self._length_since = current if ahead or self.waiting or self.in_service else 1 << 62

    def _net_after(self, kind: int, interval: int) -> int:
        return sum(net for number, net in self._nets[kind].items() if number > interval)

    def expire(self, now_ms: int, keep_ms: int) -> None:
        """Drop panes that nothing needs any more. Who waits is never dropped."""
        for kind, width in enumerate(KIND_MS):
            if kind == WAITING_KIND:
                continue
            oldest = oldest_kept(width, now_ms, keep_ms)
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

    @property
    def waiting(self) -> int:
        """Segments waiting now."""
        return sum(s.waiting for s in self.scalars.values())

    @property
    def in_service(self) -> int:
        """Contacts being handled now."""
        return sum(s.in_service for s in self.scalars.values())

    @property
    def agents(self) -> dict[str, int]:
        """Agents by state now."""
        total: dict[str, int] = {}
        for scalars in self.scalars.values():
            for state, count in scalars.agents.items():
                total[state] = total.get(state, 0) + count
        return total

    def oldest_waiting_ms(self) -> int | None:
        """When the contact that waits longest was queued."""
        waiting = self.panes[WAITING_KIND]
        if not waiting:
            return None
        number = min(waiting)
        offsets = [offset for offset, count in waiting[number].items() if count > 0]
        return number * KIND_MS[WAITING_KIND] + min(offsets) if offsets else None

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
        low, high = self._day_bounds
        inside = [each for number, each in self.lengths.items() if low <= number * INTERVAL_MS < high]
        return max((each.longest for each in inside), default=0), sum(each.area_ms for each in inside)

    def tell_intervals(self) -> None:
        """Count every interval as changed."""
        self.dirty_intervals.update(self.lengths, *(self.panes[kind] for kind in _DAILY))

    def is_empty(self) -> bool:
        """True when no source says anything."""
        return not self.told and not self.waiting and not self.in_service and not self.agents
