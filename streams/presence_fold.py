"""How many agents are in which state, and how was their time spent? The stage 1 fold for the topic `presence`.

An agent counts in the row of each queue they serve, in the team's row, and once in the site's. Time is counted up to
the clock, at most once a second when live.
"""

from collections.abc import Iterable, Sequence

import msgspec

from schemas.counts import (
    AVAILABLE_MS,
    BREAK_MS,
    BUSY_MS,
    CONTACT_MS,
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
from streams.fold import Record
from streams.presence import AgentTimeline, View, lasting
from streams.rows import Row, oldest_kept
from streams.shard import ROW_FORGOTTEN_MS, Batch, Shard, bucket_of
from streams.site import Site

_COUNT_EVERY_MS = 1000
_PRUNE_EVERY_MS = 600_000
_TIME_PANE, _TIME_INTERVAL = int(Kind.TIME_PANE), int(Kind.TIME_INTERVAL)

_Stored = tuple[list[tuple[int, int, View]], list[list[int]]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


class PresenceFold:
    """Agents of one partition of `presence` -> agents by state, and their time, per queue, team and site."""

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._agents: dict[str, AgentTimeline] = {}
        self._unsaved: set[str] = set()
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
        self._counted_ms = min(self._counted_ms, self.shard.clock_ms)  # a replay began: time starts anew
        data = event.data
        since_ms = at_ms if data.since is None else unix_ms(data.since)
        if since_ms is None or since_ms > at_ms:
            return Unusable(Reason.TIME_OUT_OF_RANGE, "`since` has no zone or is later than the event's time")
        for name in (*data.queues, data.team or "-"):
            if name not in self.shard.meta.names and not is_clean(name):
                return Unusable(Reason.BAD_NAME, f"{name[:60]!r} has control characters or is blank")
        agent = self._agents.get(data.agent_id)
        if agent is None:
            if len(self._agents) >= self.shard.site.limits.max_agents:
                return Unusable(
                    Reason.TOO_MANY_AGENTS, f"more than {self.shard.site.limits.max_agents} agents"
                )
            agent = self._agents[data.agent_id] = AgentTimeline()
        queues = tuple(sorted({self.shard.admit(queue) for queue in data.queues}))
        team = self.shard.admit(data.team) if data.team else ""
        self._sign(
            data.agent_id,
            agent,
            max(since_ms, self.shard.meta.horizon_ms),
            View(data.state, queues, team, data.contacts),
            at_ms,
        )
        return None

    def _sign(self, agent_id: str, agent: AgentTimeline, since_ms: int, view: View, at_ms: int) -> None:
        """Recount the part of the agent's timeline that the sign changes and that was counted already."""
        first_ms = min(since_ms, at_ms, lasting(agent) or at_ms)
        before = list(agent.spans(first_ms, self._counted_ms)) if first_ms < self._counted_ms else []
        changed_ms = agent.add(since_ms, view, at_ms, self.shard.site.limits.agent_lost_ms)
        if changed_ms is None:
            return
        self._unsaved.add(agent_id)
        for row in self._rows(view):
            row.changed = True  # named is seen, however short the view lasted
        if at_ms < self.shard.truth.newest_event_ms and changed_ms < self._counted_ms:
            self.shard.truth.corrected += 1
        if first_ms < self._counted_ms:
            for low, high, old in before:
                self._spend(low, high, old, -1)
            for low, high, new in agent.spans(first_ms, self._counted_ms):
                self._spend(low, high, new, 1)
        self._show(agent, agent.at(max(self._counted_ms, at_ms)))

    # --- meaning ----------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Count agents' time up to the clock; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        if not shard.event_clock and now_ms < self._counted_ms + _COUNT_EVERY_MS:
            return
        from_ms, self._counted_ms = min(self._counted_ms, now_ms), now_ms
        for agent in self._agents.values():
            for low, high, view in agent.spans(from_ms, now_ms):
                self._spend(low, high, view, 1)
            self._show(agent, agent.at(now_ms))
        shard.expire()
        if now_ms >= self._pruned_ms + _PRUNE_EVERY_MS:
            self._prune(now_ms)

    def _prune(self, now_ms: int) -> None:
        self._pruned_ms = now_ms
        for agent_id, agent in list(self._agents.items()):
            agent.forget_before(self.shard.meta.horizon_ms)
            if lasting(agent) < now_ms - ROW_FORGOTTEN_MS:
                self._show(agent, None)
                del self._agents[agent_id]
                self._unsaved.add(agent_id)

    def _rows(self, view: View) -> list[Row]:
        row = self.shard.row
        rows = [row(SITE_ROW), *(row(agents_row(queue)) for queue in view.queues)]
        if view.team:
            rows.append(row(team_row(view.team)))
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
            for row in self._rows(each):
                counts = dict(row.agents or {})
                counts[each.shown] = counts.get(each.shown, 0) + change
                row.agents = {state: count for state, count in counts.items() if count}
                row.changed = True

    def _spend(self, from_ms: int, to_ms: int, view: View, sign: int) -> None:
        """Add the time from `from_ms` to `to_ms`, spent in `view`, to the panes it covers."""
        slots = _slots(view)
        if not slots:
            return
        for kind, width in ((_TIME_PANE, PANE_MS), (_TIME_INTERVAL, INTERVAL_MS)):
            oldest_ms = oldest_kept(width, self.clock_ms, self.shard.site.limits.keep_ms) * width
            low = max(from_ms, oldest_ms)
            while low < to_ms:
                number = low // width
                high = min(to_ms, (number + 1) * width)
                for row in self._rows(view):
                    row.changed = True
                    for slot, weight in slots:
                        row.add(kind, number, slot, sign * weight * (high - low))
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
        out = self.shard.take_changes()
        out[0]["h"] = _encode(self._counted_ms)
        for agent_id in self._unsaved:
            agent = self._agents.get(agent_id)
            key = "g" + agent_id
            out.setdefault(bucket_of(key), {})[key] = None if agent is None else _packed(agent)
        self._unsaved.clear()
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = self.shard.dump(bucket)
        if bucket == 0:
            out["h"] = _encode(self._counted_ms)
        for agent_id, agent in self._agents.items():
            key = "g" + agent_id
            if bucket_of(key) == bucket:
                out[key] = _packed(agent)
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        for key, value in entries:
            if key[0] == "g":
                agent = self._agents[key[1:]] = AgentTimeline()
                said, agent.alive = _decode(value)
                for since_ms, at_ms, view in said:
                    agent.said.setdefault(since_ms, []).append((at_ms, view))
                agent.order()
            elif key == "h":
                self._counted_ms = msgspec.msgpack.decode(value, type=int)
            else:
                self.shard.load_entry(key, value)
        for agent in self._agents.values():
            self._show(agent, agent.at(self._counted_ms))
        self.tell_all()


def _slots(view: View) -> tuple[tuple[int, int], ...]:
    """Which counters of time a view feeds, with their weights."""
    if view.state == "lost":
        return ()
    contact_time = ((CONTACT_MS, view.contacts),) if view.contacts else ()
    if view.state == "wrap_up":
        return ((BUSY_MS, 1), (WRAPPING_MS, 1), *(contact_time or ((WRAPPING_ONLY_MS, 1),)))
    if view.shown == "busy":
        return ((BUSY_MS, 1), *(contact_time or ((CONTACT_MS, 1),)))
    if view.state == "available":
        return ((AVAILABLE_MS, 1),)
    return ((BREAK_MS, 1),) if view.state == "break" else ()


def _packed(agent: AgentTimeline) -> bytes:
    said = [(since_ms, at_ms, view) for since_ms, each in agent.said.items() for at_ms, view in each]
    return _encode((said, agent.alive))
