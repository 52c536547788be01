"""How many agents are in which state, and how was their time spent? The stage 1 fold for the topic `presence`.

An agent counts in the row of each queue they serve, in the team's row, and once in the site's. Time is counted up to
the clock; when live every two seconds, more rarely the further events are behind the clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from heapq import heappop, heappush

import msgspec

from schemas.counts import (
    AVAILABLE_MS,
    BREAK_MS,
    BUSY_MS,
    CONTACT_MS,
    OVERFLOW_ROW,
    WRAPPING_MS,
    WRAPPING_ONLY_MS,
)
from schemas.dead_letters import DeadLetter
from schemas.errors import Reason
from schemas.events import AgentState, AnyEvent, PipelineHeartbeat
from schemas.partials import (
    INTERVAL_MS,
    PANE_MS,
    SITE_ROW,
    Kind,
    SourceTruth,
    agents_row,
    team_row,
)
from streams.decode import Unusable, is_clean, unix_ms
from streams.fold import BUCKETS, Record
from streams.presence import LOST, NEVER, AgentTimeline, Span, View, lasting
from streams.rows import Row, oldest_kept
from streams.shard import ROW_FORGOTTEN_MS, Batch, Shard
from streams.site import Site

_COUNT_EVERY_MS = 2000
_COUNT_BEHIND_EVERY_MS = 10_000
_PRUNE_EVERY_MS = 600_000
_ADMIT_EVERY_MS = 60_000
_WIDTHS = ((int(Kind.TIME_PANE), PANE_MS), (int(Kind.TIME_INTERVAL), INTERVAL_MS))

_Place = tuple[tuple[str, ...], str]
"""The queues (sorted) and the team ("" = none) in whose rows someone counts."""
_Stored = tuple[list[tuple[int, int, View]], list[list[int]]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


_SLOT_BITS = 8
_SLOTS = (1 << _SLOT_BITS) - 1


class _Owed:
    """What changes of views owe to panes of one width, by ``number << _SLOT_BITS | slot``."""

    __slots__ = ("first", "steps")

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        """ms for the pane in which the change lies."""
        self.steps: dict[int, int] = {}
        """Weight for every pane from this one on."""

    def add(self, other: "_Owed") -> None:
        """Owe what another owes as well."""
        for mine, theirs in ((self.first, other.first), (self.steps, other.steps)):
            for key, value in theirs.items():
                mine[key] = mine.get(key, 0) + value

    def panes(self, width_ms: int, until_ms: int) -> dict[int, dict[int, int]]:
        """The same as {pane number: {slot: ms}}, up to `until_ms`."""
        out: dict[int, dict[int, int]] = {}
        for key, value in self.first.items():
            out.setdefault(key >> _SLOT_BITS, {})[key & _SLOTS] = value
        if self.steps:
            level: dict[int, int] = {}
            numbers = sorted({key >> _SLOT_BITS for key in self.steps})
            slots = {key & _SLOTS for key in self.steps}
            for number in range(numbers[0], until_ms // width_ms + 1):
                took_ms = min(until_ms - number * width_ms, width_ms)
                counts = out.setdefault(number, {})
                for slot in slots:
                    weight = level[slot] = level.get(slot, 0) + self.steps.get(number << _SLOT_BITS | slot, 0)
                    counts[slot] = counts.get(slot, 0) + weight * took_ms
        return out


class PresenceFold:
    """Agents of one partition of `presence` -> agents by state, and their time, per queue, team and site."""

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._agents: dict[str, AgentTimeline] = {}
        self._buckets: tuple[set[str], ...] = tuple(set() for _ in range(BUCKETS))
        self._unsaved: set[str] = set()
        self._signed: dict[str, AgentTimeline] = {}
        """Who gave a sign since the last `settle`."""
        self._levels: dict[Row, dict[int, int]] = {}
        """Row -> slot -> how much it grows per ms of time from `_counted_ms` on."""
        self._changes: list[tuple[int, str]] = []
        """A heap of (until_ms, agent id); entries that do not match the agent's own `until_ms` are void."""
        self._owed: dict[_Place, tuple[_Owed, ...]] = {}
        """Place -> by width, what its rows' panes lack: many agents share a place."""
        self._widths = [(kind, width, 0) for kind, width in _WIDTHS]
        """(kind, width, start of the oldest pane kept) in ms, as of the last `settle`."""
        self._places: dict[tuple[tuple[str, ...], str | None], tuple[_Place, int]] = {}
        self._rows_of: dict[_Place, tuple[Row, ...]] = {}
        self._counted_ms = 0
        self._pruned_ms = 0

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self.shard.clock_ms

    @property
    def is_replay(self) -> bool:
        """True when time is event time."""
        return self.shard.event_clock

    @property
    def truth(self) -> SourceTruth:
        """What this shard saw of its source."""
        return self.shard.truth

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in a run of records; see `streams.fold.Fold`."""
        return self.shard.read(records, now_ms, self._take, self._step)

    def _step(self) -> None:
        self.settle(self.shard.clock_ms)
        self.shard.collect()

    def advance(self, to_ms: int) -> None:
        """In a replay: let event time come to `to_ms` without an event."""
        if to_ms > self.clock_ms:
            self.shard.stride(to_ms, self._step)

    def _take(self, event: AnyEvent, at_ms: int) -> Unusable | None:
        if not isinstance(event, AgentState):
            if isinstance(event, PipelineHeartbeat):
                return None
            return Unusable(Reason.WRONG_TOPIC, f"{type(event).__name__} does not belong here")
        if self._counted_ms > self.shard.clock_ms:
            self._count_from(self.shard.clock_ms)  # a replay began: time starts anew
        data = event.data
        since_ms = at_ms if data.since is None else unix_ms(data.since)
        if since_ms is None or since_ms > at_ms:
            return Unusable(Reason.TIME_OUT_OF_RANGE, "`since` has no zone or is later than the event's time")
        agent = self._agents.get(data.agent_id)
        if agent is None and len(self._agents) >= self.shard.site.limits.max_agents:
            return Unusable(Reason.TOO_MANY_AGENTS, f"more than {self.shard.site.limits.max_agents} agents")
        place = self._place(data.queues, data.team)
        if isinstance(place, Unusable):
            return place
        if agent is None:
            agent = self._add(data.agent_id)
        view = View(data.state, place[0], place[1], data.contacts)
        self._sign(data.agent_id, agent, max(since_ms, self.shard.meta.horizon_ms), view, at_ms)
        return None

    def _add(self, agent_id: str) -> AgentTimeline:
        agent = self._agents[agent_id] = AgentTimeline()
        self._buckets[hash(agent_id) % BUCKETS].add(agent_id)
        return agent

    def _place(self, queues: tuple[str, ...], team: str | None) -> _Place | Unusable:
        """The queues (sorted) and the team under which someone is counted; names are admitted once a minute."""
        known = self._places.get((queues, team))
        if known is not None and self.shard.clock_ms < known[1]:
            return known[0]
        for name in (*queues, team or "-"):
            if name not in self.shard.meta.names and not is_clean(name):
                return Unusable(Reason.BAD_NAME, f"{name[:60]!r} has control characters or is blank")
        admit = self.shard.admit
        place = tuple(sorted({admit(queue) for queue in queues})), admit(team) if team else ""
        if OVERFLOW_ROW not in place[0] and place[1] != OVERFLOW_ROW:
            self._places[queues, team] = place, self.shard.clock_ms + _ADMIT_EVERY_MS
        return place

    def _sign(self, agent_id: str, agent: AgentTimeline, since_ms: int, view: View, at_ms: int) -> None:
        """Recount the part of the agent's timeline that the sign changes and that was counted already."""
        counted_ms = self._counted_ms
        first_ms = min(since_ms, at_ms, lasting(agent) or at_ms)
        before = list(agent.spans(first_ms, counted_ms)) if first_ms < counted_ms else []
        changed_ms = agent.add(since_ms, view, at_ms, self.shard.site.limits.agent_lost_ms)
        if changed_ms is None:
            return
        self._unsaved.add(agent_id)
        self._signed[agent_id] = agent
        for row in self._rows(view.queues, view.team):
            row.changed = True  # named is seen, however short the view lasted
        if first_ms < counted_ms:
            if changed_ms < counted_ms and at_ms < self.shard.truth.newest_event_ms:
                self.shard.truth.corrected += 1
            self._replace(before, list(agent.spans(first_ms, counted_ms)))
        self._go_on(agent_id, agent)

    # --- meaning ----------------------------------------------------------------------------------------------
    #
    # Everyone's time up to `_counted_ms` is in the panes. From there on it is counted by row: `_levels` says how many
    # are in each state there, so that a second of ten thousand agents costs what a second of one does; whose view
    # changes in between (`AgentTimeline.until_ms`) is put right one by one.

    def settle(self, now_ms: int) -> None:
        """Count agents' time up to the clock; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        self._date(now_ms)
        signed, self._signed = self._signed, {}
        # What comes late changes all panes since: the later, the more panes, and the less anybody waits for them.
        late_ms = now_ms - self.truth.newest_event_ms
        every_ms = min(max(_COUNT_EVERY_MS, late_ms // 4), _COUNT_BEHIND_EVERY_MS)
        if shard.event_clock or now_ms >= self._counted_ms + every_ms:
            self._count(now_ms, signed)
            shard.expire()
            if now_ms >= self._pruned_ms + _PRUNE_EVERY_MS:
                self._prune(now_ms)
        for agent in signed.values():
            self._show(agent, agent.at(now_ms))

    def _count(self, now_ms: int, signed: dict[str, AgentTimeline]) -> None:
        """Count everyone's time up to `now_ms`; whose view has changed since is added to `signed`."""
        self._pay()
        from_ms, self._counted_ms = min(self._counted_ms, now_ms), now_ms
        covered = list(self._panes(from_ms, now_ms))
        for row, level in self._levels.items():
            if level and covered:
                row.changed = True
                for kind, number, took_ms in covered:
                    pane = row.pane(kind, number)
                    for slot, weight in level.items():
                        pane[slot] = pane.get(slot, 0) + weight * took_ms
        while self._changes and self._changes[0][0] <= now_ms:
            until_ms, agent_id = heappop(self._changes)
            agent = self._agents.get(agent_id)
            if agent is None or agent.until_ms != until_ms:
                continue
            before = agent.counted
            for from_ms, _, view in agent.spans(until_ms, now_ms):
                self._change(from_ms, before, view)
                before = view
            signed[agent_id] = agent
            self._go_on(agent_id, agent)
        self._pay()

    def _go_on(self, agent_id: str, agent: AgentTimeline) -> None:
        """From now on count an agent in the view at `_counted_ms`, until it changes."""
        view, until_ms = agent.at(self._counted_ms), agent.until(self._counted_ms)
        if view != agent.counted:
            self._level(agent.counted, -1)
            self._level(view, 1)
            agent.counted = view
        if until_ms != agent.until_ms:
            agent.until_ms = until_ms
            if until_ms < NEVER:
                heappush(self._changes, (until_ms, agent_id))

    def _level(self, view: View | None, sign: int) -> None:
        if view is None:
            return
        for row in self._rows(view.queues, view.team):
            level = self._levels.setdefault(row, {})
            for slot, weight in _slots(view.state, view.contacts):
                total = level.get(slot, 0) + sign * weight
                if total:
                    level[slot] = total
                else:
                    del level[slot]

    def _date(self, now_ms: int) -> None:
        """From now on what is too old for any window, interval or correction is left out."""
        keep_ms = self.shard.site.limits.keep_ms
        self._widths = [(kind, width, oldest_kept(width, now_ms, keep_ms) * width) for kind, width in _WIDTHS]

    def _count_from(self, counted_ms: int) -> None:
        """Take everything before `counted_ms` as counted, and nothing after it."""
        self._pay()
        self._date(counted_ms)
        self._counted_ms = counted_ms
        for agent_id, agent in self._agents.items():
            self._go_on(agent_id, agent)

    def _prune(self, now_ms: int) -> None:
        self._pruned_ms = now_ms
        self._places.clear()
        for agent_id, agent in list(self._agents.items()):
            agent.forget_before(self.shard.meta.horizon_ms)
            if lasting(agent) < now_ms - ROW_FORGOTTEN_MS:
                self._show(agent, None)
                self._level(agent.counted, -1)
                del self._agents[agent_id]
                self._buckets[hash(agent_id) % BUCKETS].discard(agent_id)
                self._unsaved.add(agent_id)

    def _rows(self, queues: tuple[str, ...], team: str) -> tuple[Row, ...]:
        rows = self._rows_of.get((queues, team))
        if rows is None:
            names = [SITE_ROW, *map(agents_row, queues), *([team_row(team)] if team else [])]
            rows = self._rows_of[queues, team] = tuple(self.shard.row(name) for name in names)
        return rows

    def _show(self, agent: AgentTimeline, view: View | None) -> None:
        """Move an agent from the state shown so far to that of `view`, in all rows."""
        before = agent.shown
        if before == view:
            return
        agent.shown = view
        for each, change in ((before, -1), (view, 1)):
            if each is None:
                continue
            state = each.shown
            for row in self._rows(each.queues, each.team):
                counts = row.agents
                if counts is None:
                    counts = row.agents = {}
                count = counts.get(state, 0) + change
                if count:
                    counts[state] = count
                else:
                    del counts[state]
                row.changed = True

    def _replace(self, before: list[Span], after: list[Span]) -> None:
        """The timeline up to `_counted_ms` was `before` and is `after`."""
        for spans, sign in ((before, -1), (after, 1)):
            last: View | None = None
            for from_ms, _, view in spans:
                self._change(from_ms, last, view) if sign > 0 else self._change(from_ms, view, last)
                last = view

    def _change(self, at_ms: int, before: View | None, after: View | None) -> None:
        """From `at_ms` up to `_counted_ms` time was not spent in `before` but in `after`: owe that to the panes."""
        for view, sign in ((before, -1), (after, 1)):
            if view is not None and view.state != LOST:
                self._owe((view.queues, view.team), at_ms, _slots(view.state, view.contacts), sign)

    def _owe(self, place: _Place, at_ms: int, slots: tuple[tuple[int, int], ...], sign: int) -> None:
        owed = self._owed.get(place)
        if owed is None:
            owed = self._owed[place] = tuple(_Owed() for _ in _WIDTHS)
        counted_ms = self._counted_ms
        for (_, width, oldest_ms), each in zip(self._widths, owed, strict=True):
            from_ms = at_ms if at_ms > oldest_ms else oldest_ms
            if from_ms >= counted_ms:
                continue
            number = from_ms // width
            end_ms = (number + 1) * width
            first, steps = each.first, each.steps
            for slot, weight in slots:
                key = number << _SLOT_BITS | slot
                if end_ms > counted_ms:
                    first[key] = first.get(key, 0) + sign * weight * (counted_ms - from_ms)
                else:
                    first[key] = first.get(key, 0) + sign * weight * (end_ms - from_ms)
                    key += 1 << _SLOT_BITS
                    steps[key] = steps.get(key, 0) + sign * weight

    def _pay(self) -> None:
        """Add what is owed to the panes of the rows."""
        of_row: dict[Row, tuple[_Owed, ...]] = {}
        for place, owed in self._owed.items():
            for row in self._rows(*place):
                totals = of_row.get(row)
                if totals is None:
                    totals = of_row[row] = tuple(_Owed() for _ in _WIDTHS)
                for total, each in zip(totals, owed, strict=True):
                    total.add(each)
        self._owed.clear()
        for row, totals in of_row.items():
            row.changed = True
            for (kind, width, _), total in zip(self._widths, totals, strict=True):
                for number, counts in total.panes(width, self._counted_ms).items():
                    pane = row.pane(kind, number)
                    for slot, value in counts.items():
                        pane[slot] = pane.get(slot, 0) + value

    def _panes(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
        """The panes that a time covers, as (kind, number, how long)."""
        for kind, width, oldest_ms in self._widths:
            low = max(from_ms, oldest_ms)
            while low < to_ms:
                number = low // width
                high = min(to_ms, (number + 1) * width)
                yield kind, number, high - low
                low = high

    # --- out --------------------------------------------------------------------------------------------------

    def flush(self) -> list[Batch]:
        """Rows with what changed in them since the last call, in the order of time."""
        return self.shard.flush()

    def tell_all(self) -> None:
        """Let the next flush tell everything that lives."""
        self.shard.tell_all()

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        self._pay()
        out = self.shard.take_changes()
        out[0]["h"] = _encode(self._counted_ms)
        for agent_id in self._unsaved:
            agent = self._agents.get(agent_id)
            key = "g" + agent_id
            out.setdefault(hash(agent_id) % BUCKETS, {})[key] = None if agent is None else _packed(agent)
        self._unsaved.clear()
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        self._pay()
        out = self.shard.dump(bucket)
        if bucket == 0:
            out["h"] = _encode(self._counted_ms)
        for agent_id in self._buckets[bucket]:
            out["g" + agent_id] = _packed(self._agents[agent_id])
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        for key, value in entries:
            if key[0] == "g":
                agent = self._add(key[1:])
                said, agent.alive = _decode(value)
                for since_ms, at_ms, view in said:
                    agent.said.setdefault(since_ms, []).append((at_ms, view))
                agent.order()
            elif key == "h":
                self._counted_ms = msgspec.msgpack.decode(value, type=int)
            else:
                self.shard.load_entry(key, value)
        self._count_from(self._counted_ms)
        for agent in self._agents.values():
            self._show(agent, agent.at(self._counted_ms))
        self.tell_all()


@cache
def _slots(state: str, contacts: int) -> tuple[tuple[int, int], ...]:
    """Which counters of time a state and contacts in hand feed, with their weights."""
    if state == "lost":
        return ()
    contact_time = ((CONTACT_MS, contacts),) if contacts else ()
    if state == "wrap_up":
        return ((BUSY_MS, 1), (WRAPPING_MS, 1), *(contact_time or ((WRAPPING_ONLY_MS, 1),)))
    if contacts or state == "busy":
        return ((BUSY_MS, 1), *(contact_time or ((CONTACT_MS, 1),)))
    if state == "available":
        return ((AVAILABLE_MS, 1),)
    return ((BREAK_MS, 1),) if state == "break" else ()


def _packed(agent: AgentTimeline) -> bytes:
    said = [(since_ms, at_ms, view) for since_ms, each in agent.said.items() for at_ms, view in each]
    return _encode((said, agent.alive))
