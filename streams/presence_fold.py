"""How many agents are in which state, and how was their time spent? The stage 1 fold for the topic `presence`.

An agent counts in the row of each queue they serve, in the team's row, and once in the site's. Time is counted up to
the clock; when live every two seconds, more rarely the further events are behind the clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from heapq import heapify, heappop, heappush
from typing import TypeVar

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
from schemas.events import AGENT_STATES, AgentPresence, AgentState, AnyEvent, PipelineHeartbeat
from schemas.partials import (
    INTERVAL_MS,
    PANE_MS,
    SITE_ROW,
    Kind,
    SourceTruth,
    agents_row,
    team_row,
)
from streams.compiling import mypyc_attr
from streams.decode import Unusable, is_clean, unix_ms
from streams.fold import BUCKETS, Record
from streams.presence import NEVER, AgentTimeline, Span, lasting
from streams.rows import Row, oldest_kept
from streams.shard import ROW_FORGOTTEN_MS, Batch, Shard
from streams.site import Site
from streams.view import View

_COUNT_EVERY_MS = 2000
_COUNT_BEHIND_EVERY_MS = 10_000
_PRUNE_EVERY_MS = 600_000
_ADMIT_EVERY_MS = 60_000
_MOST_TOLD = 100_000
"""How many ways of telling a view are remembered."""
_WIDTHS = ((int(Kind.TIME_PANE), PANE_MS), (int(Kind.TIME_INTERVAL), INTERVAL_MS))

_Key = TypeVar("_Key", int, str)
_Stored = tuple[list[tuple[int, int, View]], list[list[int]]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode

# Changes are kept as {number of the 10 s pane | use of time before | use after: changes}, and the changes of one key
# as one integer: how many, and the sum of their ms since the pane began. A use is a state and the contacts in hand.
_CONTACT_BITS = 10
_CONTACTS = (1 << _CONTACT_BITS) - 1
_USE_BITS = 3 + _CONTACT_BITS
_USE = (1 << _USE_BITS) - 1
_STEP_BITS = 2 * _USE_BITS
_STEP = (1 << _STEP_BITS) - 1
_COUNT_SHIFT = 40
_ONE = 1 << _COUNT_SHIFT
_SINCE = _ONE - 1


class _Account:
    """The time of everyone who counts in one row."""

    __slots__ = ("level", "owed", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.level: dict[int, int] = {}
        """Slot -> how much it grows per ms of time from `_counted_ms` on."""
        self.owed: dict[int, int] = {}
        """Changes to be paid next."""


class _Place:
    """Some queues (sorted) and a team ("" = none): those in whose rows someone counts. Many agents share a place."""

    __slots__ = ("accounts", "ahead", "fresh_ms", "owed", "queues", "rows", "team")

    def __init__(self, queues: tuple[str, ...], team: str, accounts: tuple[_Account, ...]) -> None:
        self.queues = queues
        self.team = team
        self.accounts = accounts
        self.rows = tuple(account.row for account in accounts)
        self.owed: dict[int, int] = {}
        """Changes before `_counted_ms`, which its rows' panes and levels lack."""
        self.ahead: dict[int, int] = {}
        """Changes since."""
        self.fresh_ms = 0
        """Until when its names need not be admitted again."""


class _Post:
    """A view as it counts: where, and in what. There is one of each."""

    __slots__ = ("place", "shown", "use", "view")

    def __init__(self, view: View, place: _Place) -> None:
        self.view = view
        self.place = place
        self.shown = view.shown
        self.use = _use(view.state, view.contacts)


class _Agent(AgentTimeline):
    """An agent's timeline, and up to where the numbers know it.

    Invariant: the numbers hold all changes before `until_ms`; from the last of these on the agent counts in `counted`.
    """

    __slots__ = ("counted", "due_ms", "shown", "signed", "unsaved", "until_ms")

    def __init__(self) -> None:
        super().__init__()
        self.shown: _Post | None = None
        """Where boards count this agent."""
        self.counted: _Post | None = None
        self.until_ms = NEVER
        """When the view changes by itself."""
        self.due_ms = NEVER
        """When the agent will be looked at again: never later than `until_ms`, perhaps earlier."""
        self.signed = False
        """True: listed in `PresenceFold._heard`."""
        self.unsaved = False
        """True: named in `PresenceFold._unsaved`."""


@mypyc_attr(allow_interpreted_subclasses=True)
class PresenceFold:
    """Agents of one partition of `presence` -> agents by state, and their time, per queue, team and site."""

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._agents: dict[str, _Agent] = {}
        self._buckets: tuple[set[str], ...] = tuple(set() for _ in range(BUCKETS))
        self._unsaved: set[str] = set()
        self._heard: list[_Agent] = []
        """Who gave a sign, or changed by themselves, since the last `settle`."""
        self._changes: list[tuple[int, str]] = []
        """A heap of (due_ms, agent id); entries that do not match the agent's own `due_ms` are void."""
        self._accounts: dict[str, _Account] = {}
        self._places: dict[tuple[tuple[str, ...], str], _Place] = {}
        self._posts: dict[View, _Post] = {}
        self._told: dict[tuple[str, tuple[str, ...], str | None, int], _Post] = {}
        """State, queues, team and contacts as told -> what they mean."""
        self._admitted: dict[tuple[tuple[str, ...], str | None], _Place] = {}
        """Queues and team as told -> where that is."""
        self._owing: set[_Place] = set()
        """Places with changes to be paid."""
        self._spans: list[tuple[int, int, int, int]] = []
        """(kind, width, from, to) in ms: which time is counted in panes of which kind, as of the last `settle`."""
        self._lost_after_ms = site.limits.agent_lost_ms
        self._counted_ms = 0
        self._pruned_ms = 0
        self._date(0)

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
        if not self.shard.event_clock:
            # A change up to now counts at once, a later one when its time has come.
            self.shard.advance(now_ms)
        return self.shard.read(records, now_ms, self._take, self._step)

    def _step(self) -> None:
        self.settle(self.shard.clock_ms)
        self.shard.collect()

    def advance(self, to_ms: int) -> None:
        """In a replay: let event time come to `to_ms` without an event."""
        if to_ms > self.clock_ms:
            self.shard.stride(to_ms, self._step)

    def _take(self, event: AnyEvent, at_ms: int) -> Unusable | None:
        if type(event) is not AgentState:
            if type(event) is PipelineHeartbeat:
                return None
            return Unusable(Reason.WRONG_TOPIC, f"{type(event).__name__} does not belong here")
        meta = self.shard.meta
        data = event.data
        since = data.since
        since_ms = at_ms if since is None or since == event.time else unix_ms(since)
        if since_ms is None or since_ms > at_ms:
            return Unusable(Reason.TIME_OUT_OF_RANGE, "`since` has no zone or is later than the event's time")
        agent_id = data.agent_id
        agent = self._agents.get(agent_id)
        if agent is None and len(self._agents) >= self.shard.site.limits.max_agents:
            return Unusable(Reason.TOO_MANY_AGENTS, f"more than {self.shard.site.limits.max_agents} agents")
        told = self._told.get((data.state, data.queues, data.team, data.contacts))
        post = self._meant(data) if told is None or meta.clock_ms >= told.place.fresh_ms else told
        if isinstance(post, Unusable):
            return post
        if since_ms < meta.horizon_ms:
            since_ms = meta.horizon_ms
        if agent is None:
            agent = self._add(agent_id)
            in_order = self._begin(agent_id, agent, since_ms, post, at_ms)
        else:
            in_order = self._go_on(agent_id, agent, since_ms, post, at_ms)
        if not in_order:
            self._sign(agent_id, agent, since_ms, post, at_ms)
        return None

    def _add(self, agent_id: str) -> _Agent:
        agent = self._agents[agent_id] = _Agent()
        self._buckets[hash(agent_id) % BUCKETS].add(agent_id)
        return agent

    def _meant(self, data: AgentPresence) -> _Post | Unusable:
        """What an event says, in words known here; it is remembered until the names need to be admitted again."""
        queues, team, now_ms = data.queues, data.team, self.shard.clock_ms
        place = self._admitted.get((queues, team))
        if place is None or now_ms >= place.fresh_ms:
            admitted = self._admit(queues, team)
            if isinstance(admitted, Unusable):
                return admitted
            place = admitted
        post = self._post(View(data.state, place.queues, place.team, data.contacts))
        if now_ms < place.fresh_ms:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
                self._admitted.clear()
            self._told[data.state, queues, team, data.contacts] = post
            self._admitted[queues, team] = place
        return post

    def _admit(self, queues: tuple[str, ...], team: str | None) -> _Place | Unusable:
        """The place of these names, for a minute, unless some are beyond the limit on names."""
        for name in (*queues, team or "-"):
            if name not in self.shard.meta.names and not is_clean(name):
                return Unusable(Reason.BAD_NAME, f"{name[:60]!r} has control characters or is blank")
        admit = self.shard.admit
        names = tuple(sorted({admit(queue) for queue in queues})), admit(team) if team else ""
        place = self._place(*names)
        if OVERFLOW_ROW not in names[0] and names[1] != OVERFLOW_ROW:
            place.fresh_ms = self.shard.clock_ms + _ADMIT_EVERY_MS
        return place

    def _place(self, queues: tuple[str, ...], team: str) -> _Place:
        place = self._places.get((queues, team))
        if place is None:
            names = [SITE_ROW, *map(agents_row, queues), *([team_row(team)] if team else [])]
            place = self._places[queues, team] = _Place(queues, team, tuple(map(self._account, names)))
        return place

    def _post(self, view: View) -> _Post:
        post = self._posts.get(view)
        if post is None:
            post = self._posts[view] = _Post(view, self._place(view.queues, view.team))
        return post

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(self.shard.row(name))
        return account

    # --- the short way: what comes in order only appends --------------------------------------------------------
    #
    # Nearly every sign is later than all others of its agent. Then at most one change is new, and the agent is lost
    # later than thought. Everything else takes the long way (`_sign`): all changes that may differ out, all that there
    # are now in. Both end in the same numbers (tests/streams/test_presence_short_way.py).

    def _begin(self, agent_id: str, agent: _Agent, since_ms: int, post: _Post, at_ms: int) -> bool:
        """Take in the first sign of an agent; False: it needs the long way (nothing is changed)."""
        if since_ms != at_ms or at_ms > self.shard.meta.clock_ms:
            return False
        agent.begin(post.view, at_ms, self._lost_after_ms)
        if post.use:
            self._owe(post.place, at_ms, post.use)
        agent.counted = post
        self._see(post)
        self._await(agent_id, agent, at_ms + self._lost_after_ms)
        if at_ms < self._counted_ms and at_ms < self.shard.meta.truth.newest_event_ms:
            self.shard.meta.truth.corrected += 1
        self._note(agent_id, agent)
        return True

    def _go_on(self, agent_id: str, agent: _Agent, since_ms: int, post: _Post, at_ms: int) -> bool:
        """Take in a sign later than all others of its agent; False: it needs the long way."""
        life = agent.alive[-1]
        if agent.until_ms != life[1]:
            if agent.until_ms != NEVER or at_ms > life[1]:
                return False
            self._find(agent_id, agent)
        meta = self.shard.meta
        begins_ms = agent.go_on(since_ms, post.view, at_ms, self._lost_after_ms, meta.clock_ms)
        if begins_ms is None:
            return False
        agent.until_ms = life[1]
        before = agent.counted
        if begins_ms != NEVER and before is not post:
            agent.counted = post
            if before is None or before.place is not post.place:
                self._change(begins_ms, before, post)
                self._see(post)
                if before is not None:
                    self._see(before)
            elif before.use != post.use:
                self._owe(post.place, begins_ms, before.use << _USE_BITS | post.use)
        if at_ms < meta.truth.newest_event_ms:
            changed_ms = since_ms if begins_ms != NEVER else at_ms
            if changed_ms < self._counted_ms:
                meta.truth.corrected += 1
        self._note(agent_id, agent)
        return True

    def _find(self, agent_id: str, agent: _Agent) -> None:
        """Count a lost agent as if not lost yet: the clock is far ahead of the signs, and another one came."""
        end_ms = agent.alive[-1][1]
        post = self._post(agent.starts[-1][1])
        self._change(end_ms, agent.counted, post)
        agent.counted = post
        self._await(agent_id, agent, end_ms)

    def _sign(self, agent_id: str, agent: _Agent, since_ms: int, post: _Post, at_ms: int) -> None:
        """Take in any sign: recount the part of the agent's timeline that it may change."""
        meta = self.shard.meta
        if agent.until_ms <= meta.clock_ms:
            self._catch_up(agent, meta.clock_ms)
        to_ms = meta.clock_ms + 1
        first_ms = min(since_ms, at_ms, lasting(agent) or at_ms)
        before = list(agent.spans(first_ms, to_ms))
        changed_ms = agent.add(since_ms, post.view, at_ms, self._lost_after_ms)
        if changed_ms is not None:
            self._note(agent_id, agent)
            self._see(post)
            if changed_ms < self._counted_ms and at_ms < meta.truth.newest_event_ms:
                meta.truth.corrected += 1
            self._replace(before, list(agent.spans(first_ms, to_ms)))
            agent.counted = self._at(agent, meta.clock_ms)
        self._await(agent_id, agent, agent.until(meta.clock_ms))

    # --- meaning ----------------------------------------------------------------------------------------------
    #
    # Everyone's time up to `_counted_ms` is in the panes. From there on it is counted by row: a level says how many are
    # in each state there, so that a second of ten thousand agents costs what a second of one does. Whose view changes
    # owes to the panes the time from the change up to `_counted_ms`, and to the levels what comes after.

    def settle(self, now_ms: int) -> None:
        """Count agents' time up to the clock; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        self._date(now_ms)
        # What comes late changes all panes since: the later, the more panes, and the less anybody waits for them.
        late_ms = now_ms - self.truth.newest_event_ms
        every_ms = min(max(_COUNT_EVERY_MS, late_ms // 4), _COUNT_BEHIND_EVERY_MS)
        counts = shard.event_clock or now_ms >= self._counted_ms + every_ms
        if counts:
            self._count(now_ms)
        signed, self._heard = self._heard, []
        for agent in signed:
            agent.signed = False
            self._show(agent, agent.counted if agent.until_ms > now_ms else self._at(agent, now_ms))
        if counts:
            shard.expire()
            if now_ms >= self._pruned_ms + _PRUNE_EVERY_MS:
                self._prune(now_ms)

    def _count(self, now_ms: int) -> None:
        """Count everyone's time up to `now_ms`; whose view has changed since by itself is added to `_heard`."""
        covered = list(self._panes(self._counted_ms, now_ms))
        for account in self._accounts.values():
            if account.level and covered:
                row = account.row
                row.changed = True
                for kind, number, took_ms in covered:
                    pane = row.pane(kind, number)
                    for slot, weight in account.level.items():
                        pane[slot] = pane.get(slot, 0) + weight * took_ms
        self._counted_ms = now_ms
        self._pay(everything=True)

    def _wake(self, now_ms: int) -> None:
        """Count what changed by itself up to `now_ms`."""
        while self._changes and self._changes[0][0] <= now_ms:
            due_ms, agent_id = heappop(self._changes)
            agent = self._agents.get(agent_id)
            if agent is None or agent.due_ms != due_ms:
                continue
            agent.due_ms = NEVER
            if agent.until_ms <= now_ms:
                self._catch_up(agent, now_ms)
            self._await(agent_id, agent, agent.until_ms)

    def _note(self, agent_id: str, agent: _Agent) -> None:
        """An agent's signs have changed: store them, and show where the agent is."""
        if not agent.unsaved:
            agent.unsaved = True
            self._unsaved.add(agent_id)
        self._look_at(agent)

    def _look_at(self, agent: _Agent) -> None:
        """Let the next `settle` show where the agent is."""
        if not agent.signed:
            agent.signed = True
            self._heard.append(agent)

    def _catch_up(self, agent: _Agent, now_ms: int) -> None:
        """Count the changes of an agent that came by themselves, up to `now_ms`."""
        self._look_at(agent)
        for from_ms, _, view in agent.spans(agent.until_ms, now_ms + 1):
            post = self._post(view)
            self._change(from_ms, agent.counted, post)
            agent.counted = post
        agent.until_ms = agent.until(now_ms)

    def _await(self, agent_id: str, agent: _Agent, until_ms: int) -> None:
        """The agent's view changes by itself at `until_ms`: look at it again then, or before."""
        agent.until_ms = until_ms
        if until_ms < agent.due_ms:
            agent.due_ms = until_ms
            heappush(self._changes, (until_ms, agent_id))

    def _at(self, agent: _Agent, now_ms: int) -> _Post | None:
        view = agent.at(now_ms)
        return None if view is None else self._post(view)

    def _date(self, now_ms: int) -> None:
        """From now on what is too old for any correction is left out, and what no window needs goes to wide panes."""
        keep_ms = self.shard.site.limits.keep_ms
        to_ms = NEVER
        self._spans = []
        for kind, width in _WIDTHS:
            from_ms = oldest_kept(width, now_ms, keep_ms) * width
            self._spans.append((kind, width, from_ms, to_ms))
            to_ms = from_ms

    def _count_from(self, counted_ms: int) -> None:
        """Take everything before `counted_ms` as counted, and nothing after it."""
        self._pay()
        for place in self._owing:
            place.ahead.clear()
        self._owing.clear()
        for account in self._accounts.values():
            account.level.clear()
        self._date(counted_ms)
        self._counted_ms = counted_ms
        for agent in self._agents.values():
            agent.counted = self._at(agent, counted_ms)
            agent.until_ms = agent.due_ms = agent.until(counted_ms)
            if agent.counted is not None:
                for account in agent.counted.place.accounts:
                    _raise(account.level, _difference(agent.counted.use), 1)
        self._changes = [(each.due_ms, name) for name, each in self._agents.items() if each.due_ms < NEVER]
        heapify(self._changes)

    def _prune(self, now_ms: int) -> None:
        """Forget who was not heard of for long, and the words that nobody uses any more."""
        self._pruned_ms = now_ms
        posts: dict[View, _Post] = {}
        for agent_id, agent in list(self._agents.items()):
            agent.forget_before(self.shard.meta.horizon_ms)
            if lasting(agent) < now_ms - ROW_FORGOTTEN_MS:
                self._show(agent, None)
                self._change(now_ms, agent.counted, None)
                del self._agents[agent_id]
                self._buckets[hash(agent_id) % BUCKETS].discard(agent_id)
                self._unsaved.add(agent_id)
                continue
            for post in (agent.counted, agent.shown):
                if post is not None:
                    posts[post.view] = post
        self._posts = posts
        self._places = {(view.queues, view.team): post.place for view, post in posts.items()}
        self._told.clear()
        self._admitted.clear()

    @staticmethod
    def _see(post: _Post) -> None:
        """Who is named is seen, however short the view lasted."""
        for row in post.place.rows:
            row.changed = True

    def _show(self, agent: _Agent, post: _Post | None) -> None:
        """Move an agent from the state shown so far to that of `post`, in all rows."""
        before, agent.shown = agent.shown, post
        if before is None or post is None or before.place is not post.place:
            for each, change in ((before, -1), (post, 1)):
                if each is not None:
                    for row in each.place.rows:
                        row.changed = True
                        if row.agents is None:
                            row.agents = {}
                        _raise(row.agents, ((each.shown, 1),), change)
        elif before.shown == post.shown:
            self._see(post)
        else:
            left, entered = before.shown, post.shown
            for row in post.place.rows:
                row.changed = True
                counts: dict[str, int] = row.agents  # type: ignore[assignment]  # the agent is in it
                counts[entered] = counts.get(entered, 0) + 1
                count = counts[left] - 1
                if count:
                    counts[left] = count
                else:
                    del counts[left]

    def _replace(self, before: list[Span], after: list[Span]) -> None:
        """The timeline was `before` and is `after`."""
        for spans, sign in ((before, -1), (after, 1)):
            last: _Post | None = None
            for from_ms, _, view in spans:
                post = self._post(view)
                self._change(from_ms, last, post) if sign > 0 else self._change(from_ms, post, last)
                last = post

    def _change(self, at_ms: int, before: _Post | None, after: _Post | None) -> None:
        """From `at_ms` on time is not spent in `before` but in `after`."""
        if before is None or after is None or before.place is not after.place:
            if before is not None and before.use:
                self._owe(before.place, at_ms, before.use << _USE_BITS)
            if after is not None and after.use:
                self._owe(after.place, at_ms, after.use)
        elif before.use != after.use:
            self._owe(before.place, at_ms, before.use << _USE_BITS | after.use)

    def _owe(self, place: _Place, at_ms: int, step: int) -> None:
        number = at_ms // PANE_MS
        key = number << _STEP_BITS | step
        owed = place.owed if at_ms < self._counted_ms else place.ahead
        owed[key] = owed.get(key, 0) + _ONE + at_ms - number * PANE_MS
        self._owing.add(place)

    def _pay(self, *, everything: bool = False) -> None:
        """Add what is owed before `_counted_ms` to the panes and levels of the rows; `everything`: nothing is since."""
        self._wake(self._counted_ms)
        paid: list[_Account] = []
        owing, self._owing = self._owing, set()
        for place in owing:
            if everything and place.ahead:
                _merge(place.owed, place.ahead)
                place.ahead.clear()
            elif place.ahead:
                self._owing.add(place)
            owed = place.owed
            if owed:
                for account in place.accounts:
                    mine = account.owed
                    if not mine:
                        paid.append(account)
                        mine.update(owed)
                    else:
                        _merge(mine, owed)
                owed.clear()
        for account in paid:
            self._pay_row(account)
            account.owed.clear()
            account.row.changed = True

    def _pay_row(self, account: _Account) -> None:
        """Pay one row: first all that changed in one pane, then pane by pane, with what the panes before changed."""
        counted_ms = self._counted_ms
        of_pane: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
        for key, value in account.owed.items():
            number = key >> _STEP_BITS
            both = of_pane.get(number)
            if both is None:
                both = of_pane[number] = {}, {}
            took, steps = both
            count = value >> _COUNT_SHIFT
            took_ms = count * min(counted_ms - number * PANE_MS, PANE_MS) - (value & _SINCE)
            for slot, weight in _difference(key & _STEP):
                took[slot] = took.get(slot, 0) + weight * took_ms
                steps[slot] = steps.get(slot, 0) + weight * count
        row = account.row
        changes: dict[int, int] = {}
        end_ms = 0
        for number in sorted(of_pane):
            start_ms = number * PANE_MS
            if changes:
                self._fill(row, end_ms, start_ms, changes)
            end_ms = min(start_ms + PANE_MS, counted_ms)
            took, steps = of_pane[number]
            for slot, weight in changes.items():
                took[slot] = took.get(slot, 0) + weight * (end_ms - start_ms)
            for kind, of_kind, _ in self._panes(start_ms, end_ms):
                pane = row.pane(kind, of_kind)
                for slot, value in took.items():
                    if value:
                        pane[slot] = pane.get(slot, 0) + value
            _raise(changes, steps.items(), 1)
        if changes:
            self._fill(row, end_ms, counted_ms, changes)
            _raise(account.level, changes.items(), 1)

    def _fill(self, row: Row, from_ms: int, to_ms: int, weights: dict[int, int]) -> None:
        """Add a level to all panes from one time to another."""
        for kind, number, took_ms in self._panes(from_ms, to_ms):
            pane = row.pane(kind, number)
            for slot, weight in weights.items():
                pane[slot] = pane.get(slot, 0) + weight * took_ms

    def _panes(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
        """The panes that a time covers, as (kind, number, how long)."""
        for kind, width, first_ms, last_ms in self._spans:
            low, end_ms = max(from_ms, first_ms), min(to_ms, last_ms)
            while low < end_ms:
                number = low // width
                high = min(end_ms, (number + 1) * width)
                yield kind, number, high - low
                low = high

    # --- out --------------------------------------------------------------------------------------------------

    def flush(self, *, whole: bool = True) -> list[Batch]:
        """Rows with what changed in them since the last call, in the order of time; see `Row.partial`."""
        return self.shard.flush(whole=whole)

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
            if agent is not None:
                agent.unsaved = False
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
        views: dict[View, View] = {}
        for key, value in entries:
            if key[0] == "g":
                agent = self._add(key[1:])
                said, agent.alive = _decode(value)
                for since_ms, at_ms, view in said:
                    agent.said.setdefault(since_ms, []).append((at_ms, views.setdefault(view, view)))
                agent.order()
            elif key == "h":
                self._counted_ms = msgspec.msgpack.decode(value, type=int)
            else:
                self.shard.load_entry(key, value)
        self._count_from(self._counted_ms)
        for agent in self._agents.values():
            self._show(agent, agent.counted)
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


def _use(state: str, contacts: int) -> int:
    """A small number for a state and contacts in hand; 0: no counter of time is fed."""
    return AGENT_STATES.index(state) + 1 << _CONTACT_BITS | contacts if _slots(state, contacts) else 0


@lru_cache(maxsize=1 << 14)
def _difference(step: int) -> tuple[tuple[int, int], ...]:
    """What a change from one use of time (the higher bits; 0: none) to another adds to which counters, per ms."""
    weights: dict[int, int] = {}
    for use, sign in ((step >> _USE_BITS, -1), (step & _USE, 1)):
        if use:
            _raise(weights, _slots(AGENT_STATES[(use >> _CONTACT_BITS) - 1], use & _CONTACTS), sign)
    return tuple(weights.items())


def _raise(counts: dict[_Key, int], weights: Iterable[tuple[_Key, int]], by: int) -> None:
    """Add weights times `by` to counts; zeros vanish."""
    for key, weight in weights:
        total = counts.get(key, 0) + weight * by
        if total:
            counts[key] = total
        else:
            counts.pop(key, None)


def _merge(mine: dict[int, int], other: dict[int, int]) -> None:
    for key, value in other.items():
        mine[key] = mine.get(key, 0) + value


def _packed(agent: AgentTimeline) -> bytes:
    said = [(since_ms, at_ms, view) for since_ms, each in agent.said.items() for at_ms, view in each]
    return _encode((said, agent.alive))
