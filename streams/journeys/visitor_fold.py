"""What do the visitors of one partition of `web` do, who is stuck, and what do pages add up to?

Facts are kept packed; sessions, signals and flags are derived. An event in order only adds to the live session of its
visitor (the short way); one that is late, a contact or a change of identity derives the visitor anew, old counters out
and new ones in (the long way). Both end in the same numbers and flags (tests/journeys/test_either_way.py).
Invariant: `CountedDays` hold what `streams.journeys.tallies.tally` says of each visitor at its `told_ms`.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Final, Literal

from schemas import web_events as w
from schemas.dead_letters import DeadLetter
from schemas.errors import Reason
from schemas.events import PipelineHeartbeat
from schemas.journeys import JourneySession, StuckModel, VisitorNow
from schemas.partials import SourceTruth
from schemas.web_rows import SITE_ROW, DayCounts, page_row
from streams.decode import Unusable, is_clean
from streams.fold import BUCKETS, Record
from streams.journeys import facts as f
from streams.journeys.counted_days import KEY as DAY_KEY
from streams.journeys.counted_days import CountedDays
from streams.journeys.day_number import DayNumbers
from streams.journeys.decode import decode_web
from streams.journeys.derived import derive, grouped
from streams.journeys.flags import CLEARED, RAISED, Raised, session_id
from streams.journeys.judges import Judges
from streams.journeys.page_names import OTHER, PageNames
from streams.journeys.policy import DAY_MS
from streams.journeys.session import IS_BOT, NEVER, SEEN, VISITED, Session, World
from streams.journeys.shown import FlagChange, Link, flag_of, journey_sessions, visitor_now, without_end
from streams.journeys.stored_visitor import (
    StoredPages,
    StoredVisitor,
    decode_model,
    decode_pages,
    decode_visitor,
    encode_stored,
)
from streams.journeys.tallies import (
    asks_for_day,
    day_known,
    exchange,
    is_day_known,
    is_known,
    known,
    tally,
)
from streams.shard import Shard, bucket_of
from streams.site import Site

_KIND_OF: dict[type, int] = {
    w.WebPageView: f.VIEW,
    w.WebPagePing: f.PING,
    w.WebClick: f.CLICK,
    w.WebError: f.ERROR,
    w.WebFormError: f.FORM,
    w.WebSearch: f.SEARCH,
    w.WebPageLeave: f.LEAVE,
    w.IdentityLinked: f.LINK,
    w.InterventionShown: f.SHOWN,
    w.InterventionAccepted: f.ACCEPTED,
    w.InterventionDeclined: f.DECLINED,
}

SLOT_MS: Final = 1000
"""Width of a slot of the wheel that wakes visitors."""
KEPT_DAYS: Final = 3
"""How many business days before today may still be corrected, and are held."""
CONTACTS_MS: Final = 8 * DAY_MS
"""How long contacts are remembered, for who contacted within seven days before."""
MOST_CONTACTS: Final = 200
"""Of one visitor, the newest."""
_PAGES_KEY, _MODEL_KEY, _VISITOR_KEY = "w", "j", "v"
_SLOT_OF_SILENCE_MS: Final = 900_000
_MOST_SESSIONS: Final = 4
"""A visitor may have as many times the facts that a session may."""


class Visitor:
    """What is held of a visitor."""

    __slots__ = (
        "contacts", "count", "due_ms", "facts", "forgotten_ms", "last_id", "last_kind", "last_ms", "left", "linked",
        "live", "pending", "seen_ms", "slot", "told_ms",
    )  # fmt: skip

    def __init__(self) -> None:
        self.facts = bytearray()
        """`count` facts, sorted, packed."""
        self.count = 0
        self.last_ms = -1
        """Time, kind and id of the newest fact."""
        self.last_kind = 0
        self.last_id = 0
        self.seen_ms = -1
        """When the browser was last heard of; always true without a live session."""
        self.live: Session | None = None
        """The newest session, where an event may still go on with it; time alone has changed nothing in it."""
        self.left = False
        """There was no event for `left_ms`."""
        self.contacts: list[f.Contact] | None = None
        self.linked = False
        """Somebody's, once."""
        self.pending = False
        """The long way is to be taken."""
        self.told_ms = 0
        """The clock at which time alone last changed something."""
        self.due_ms = NEVER
        """When time alone changes something next in sessions other than the live one."""
        self.forgotten_ms = -1
        """Up to when everything is to be forgotten."""
        self.slot = NEVER


class VisitorFold:
    """Visitors of one partition of `web` -> counters of pages by day, flags, links, and what is shown of visitors.

    Kept `limits.keep_ms` after a visitor's last event, and of at most `journeys.most_visitors`.
    """

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        policy = site.journeys
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._pages = PageNames(policy)
        self._judges = Judges(self._pages)
        self._numbers = DayNumbers(site)
        self._world = World(policy, self._pages, self._judges, self._numbers)
        self._days = CountedDays()
        self._visitors: tuple[dict[str, Visitor], ...] = tuple({} for _ in range(BUCKETS))
        self._count = 0
        self._pending: dict[str, list[f.Fact]] = {}
        self._heard: dict[str, list[f.Contact]] = {}
        self._time_ms = 0
        self._gap_ms: int = policy.session_gap_ms
        self._left_ms: int = policy.left_ms
        self._soon_ms: int = min(policy.left_ms, policy.within_ms)
        self._most_events: int = policy.most_events_per_session
        self._worth: float = policy.threshold / 2
        self._keep_ms: int = max(
            site.limits.keep_ms, policy.help_within_ms + policy.within_ms
        )  # what 24 h after is known needs the facts
        self._day = 0
        self._site_day = -1
        self._page_rows: list[str] = []
        self._clean: set[str] = set()
        self._wheel: dict[int, list[str]] = {}
        self._slots: list[int] = []
        self._silent: dict[int, list[str]] = {}
        self._stuck: dict[str, int] = {}
        """Visitor -> page of the open flag."""
        self._shown: set[str] = set()
        """Visitors told as worth watching."""
        self._flags: list[FlagChange] = []
        self._links: dict[tuple[str, str], Link] = {}
        self._watched: dict[str, None] = {}
        self._journeys: dict[str, int] = {}
        """Linked visitor -> since when its sessions are to be told."""
        self._gone: dict[tuple[str, str], None] = {}
        self._unsaved: set[str] = set()
        self._unsaved_models: dict[str, bytes | None] = {}
        self.shard.own_types = frozenset((w.VisitorContacted, w.PipelineModel))

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
        """What this shard saw of its source. `lost`: visitors beyond the limit; `overflow_names`: pages beyond it."""
        return self.shard.truth

    @property
    def visitors(self) -> int:
        """How many visitors are held."""
        return self._count

    # --- in -----------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in a run of records; see `streams.fold.Fold`."""
        return self.shard.read(records, now_ms, self._take, self._step, decode_web)

    def _take(self, event: w.WebEvent, at_ms: int) -> Unusable | None:
        kind = _KIND_OF.get(type(event))
        if kind is None:
            return self._take_other(event, at_ms)
        data: Any = event.data
        visitor_id: str = data.visitor_id
        number = f.id_of(event.id)
        page = view = a = b = 0
        s = t = ""
        if kind <= f.SEARCH:
            name: str = data.page
            page = self._pages.numbers.get(name, 0)
            if not page:
                page = self._admit(name, at_ms)
                if not page:
                    return Unusable(Reason.BAD_NAME, f"page {name[:60]!r} has control characters or is blank")
            view = f.view_of(data.view_id)
            if kind == f.VIEW:
                if data.bot:
                    a = f.BOT
            elif kind == f.CLICK:
                a = data.x << 2
                if data.dead:
                    a |= f.DEAD
                if data.exempt:
                    a |= f.EXEMPT
                b = data.y
            elif kind == f.SEARCH:
                a = -1 if data.hits is None else data.hits
                s = data.term or ""
            elif kind == f.ERROR and data.kind == "resource":
                a = 1
        elif kind == f.LINK:
            s = data.customer_id or ""
            if s and not is_clean(s):
                return Unusable(Reason.BAD_NAME, f"customer {s[:60]!r} has control characters or is blank")
        else:
            s, t = data.kind, data.flag_id or ""
            if not self._is_clean(s):
                return Unusable(Reason.BAD_NAME, f"kind {s[:60]!r} has control characters or is blank")
            name = data.page or ""
            if name:
                page = self._pages.numbers.get(name, 0) or self._admit(name, at_ms)
                if not page:
                    return Unusable(Reason.BAD_NAME, f"page {name[:60]!r} has control characters or is blank")
        visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
        if visitor is None:
            if not is_clean(visitor_id):
                return Unusable(
                    Reason.BAD_NAME, f"visitor {visitor_id[:60]!r} has control characters or is blank"
                )
            if (
                f.LEAVE < kind <= f.SEARCH
                and visitor_id not in self._pending
                and visitor_id not in self._heard
            ):
                self._meet(visitor_id, (at_ms, kind, number, page, view, a, b, s, t))
                return None
            return self._put_off(visitor_id, None, (at_ms, kind, number, page, view, a, b, s, t))
        if at_ms <= visitor.forgotten_ms:
            self.truth.ignored += 1
            return None
        live = visitor.live
        if (
            live is not None
            and not visitor.pending
            and at_ms - live.last_ms <= self._gap_ms
            and at_ms + self._soon_ms > visitor.told_ms
            and (
                at_ms > visitor.last_ms
                or (
                    at_ms == visitor.last_ms
                    and (kind > visitor.last_kind or (kind == visitor.last_kind and number > visitor.last_id))
                )
            )
        ):
            if f.has_id(visitor.facts, number):
                self.truth.duplicates += 1
                return None
            if live.count >= self._most_events:
                return self._too_many(visitor_id)
            fact = at_ms, kind, number, page, view, a, b, s, t
            if kind <= f.SEARCH:
                if self._go_on(visitor_id, visitor, live, fact):
                    return None
            elif kind == f.LINK and self._go_on_linked(visitor_id, visitor, live, fact):
                return None
            return self._put_off(visitor_id, visitor, fact)
        return self._put_off(visitor_id, visitor, (at_ms, kind, number, page, view, a, b, s, t))

    def _take_other(self, event: w.WebEvent, at_ms: int) -> Unusable | None:
        if type(event) is w.VisitorContacted:
            data = event.data
            visitor_id: str = data.visitor_id
            if not is_clean(visitor_id):
                return Unusable(
                    Reason.BAD_NAME, f"visitor {visitor_id[:60]!r} has control characters or is blank"
                )
            reason = data.reason or ""
            if not reason.isprintable():
                reason = ""
            contact: f.Contact = (
                data.contact_id, data.customer_id, data.queued_ms, data.channel, data.queue, reason,
                data.revision[0], data.revision[1], data.withdrawn,
            )  # fmt: skip
            visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
            if visitor is not None:
                visitor.pending = True
            heard = self._heard.get(visitor_id)
            if heard is None:
                self._heard[visitor_id] = [contact]
            else:
                heard.append(contact)
            return None
        if type(event) is w.PipelineModel:
            self._take_model(event.data)
            return None
        if type(event) is w.VisitorForgotten:
            self._forget(event.data.visitor_id, at_ms)
            return None
        if type(event) is PipelineHeartbeat:
            return None
        return Unusable(Reason.WRONG_TOPIC, f"{type(event).__name__} does not belong here")

    def _is_clean(self, name: str) -> bool:
        if name in self._clean:
            return True
        if not is_clean(name):
            return False
        if len(self._clean) >= 1000:
            self._clean.clear()
        self._clean.add(name)
        return True

    def _admit(self, name: str, at_ms: int) -> int:
        """The number of a page not seen so far; 0: it has no proper name."""
        if not is_clean(name):
            return 0
        before = len(self._pages.names)
        number = self._pages.admit(name, at_ms)
        if number == OTHER:
            self.truth.overflow_names += 1
        elif number < before:
            self._judges.forget_answers()
            self._page_rows = self._page_rows[:number]
        return number

    def _too_many(self, visitor_id: str) -> Unusable:
        return Unusable(
            Reason.TOO_MANY_EVENTS,
            f"visitor {visitor_id[:60]!r} has {self._most_events} events in one session",
        )

    def _put_off(self, visitor_id: str, visitor: Visitor | None, fact: f.Fact) -> Unusable | None:
        """Let `settle` derive the visitor anew, with this fact."""
        facts = self._pending.get(visitor_id)
        count = 0 if facts is None else len(facts)
        if visitor is not None:
            count += visitor.count
            visitor.pending = True
        if count >= _MOST_SESSIONS * self._most_events:
            return self._too_many(visitor_id)
        if facts is None:
            self._pending[visitor_id] = [fact]
        else:
            facts.append(fact)
        return None

    # --- the short way --------------------------------------------------------------------------------------------

    def _meet(self, visitor_id: str, fact: f.Fact) -> None:
        """A visitor unknown so far."""
        session = Session(self._world, fact[0], "", returning=False, is_first=True)
        visitor = Visitor()
        if session.take(fact[0], fact[1], fact[3], fact[4], fact[5], fact[6]) & (IS_BOT | RAISED):
            self._put_off(visitor_id, None, fact)
            return
        self._visitors[hash(visitor_id) % BUCKETS][visitor_id] = visitor
        self._count += 1
        visitor.live = session
        self._note(visitor_id, visitor, fact)
        day, add = session.day, self._days.add
        add(SITE_ROW, day, "sessions", 1)
        add(SITE_ROW, day, "visitors", 1)
        self._seen(session, fact, VISITED | SEEN if fact[1] == f.VIEW else VISITED)
        self._sleep(visitor_id, visitor, fact[0] + self._soon_ms)
        if session.probability >= self._worth:
            self._watched[visitor_id] = None

    def _note(self, visitor_id: str, visitor: Visitor, fact: f.Fact) -> None:
        visitor.facts += f.pack(fact)
        visitor.count += 1
        visitor.last_ms, visitor.last_kind, visitor.last_id = fact[0], fact[1], fact[2]
        self._unsaved.add(visitor_id)

    def _go_on(self, visitor_id: str, visitor: Visitor, live: Session, fact: f.Fact) -> bool:
        """Take in the next thing a browser did; False: the long way is needed (the live session is void)."""
        changed = live.take(fact[0], fact[1], fact[3], fact[4], fact[5], fact[6])
        if changed & IS_BOT:
            return False
        self._note(visitor_id, visitor, fact)
        if visitor.left:
            visitor.left = False
            self._sleep(visitor_id, visitor, fact[0] + self._soon_ms)
        if not live.bot and changed & (SEEN | VISITED):
            self._seen(live, fact, changed)
        if changed & (RAISED | CLEARED):
            self._tell_flags(visitor_id, live, changed)
        if live.probability >= self._worth or visitor_id in self._shown or visitor_id in self._stuck:
            self._watched[visitor_id] = None
        if visitor.linked:
            self._journeys.setdefault(visitor_id, live.start_ms)
        return True

    def _seen(self, live: Session, fact: f.Fact, changed: int) -> None:
        """Count the view of a page, or the first event on it in this session."""
        page = fact[3]
        visit = live.visits[page]
        rows = self._page_rows
        if page >= len(rows):
            names = self._pages.names
            rows += [page_row(names[number]) for number in range(len(rows), len(names))]
        row, add = rows[page], self._days.add
        if changed & SEEN:
            add(SITE_ROW, live.day, "views", 1)
            add(row, visit.day, "views", 1)
        if changed & VISITED:
            add(row, visit.day, "sessions", 1)
            if visit.is_first:
                add(row, visit.day, "visitors", 1)
            if fact[0] > self._pages.seen_ms[page]:
                self._pages.seen_ms[page] = fact[0]

    def _go_on_linked(self, visitor_id: str, visitor: Visitor, live: Session, fact: f.Fact) -> bool:
        """Take in whose the visitor is; False: it was another's, or there were contacts, and the long way is needed."""
        customer = fact[7]
        if visitor.contacts is not None or not customer:
            return False
        if not visitor.linked:
            visitor.linked = True
            self._links[visitor_id, customer] = Link(visitor_id, customer, fact[0])
            if not live.bot:
                self._days.add(SITE_ROW, live.day, "linked", 1)
        elif customer != live.customer:
            return False
        if live.links is None:
            live.links = []
        live.links.append((fact[0], customer))
        live.link(fact[0], customer)
        self._note(visitor_id, visitor, fact)
        self._journeys.setdefault(visitor_id, live.start_ms)
        if visitor_id in self._shown:
            self._watched[visitor_id] = None
        return True

    def _tell_flags(self, visitor_id: str, live: Session, changed: int) -> None:
        """Tell what `Session.take` said of the newest flags, and count it."""
        life = live.life
        if life is None or not life.flags:
            return
        add, flags = self._days.add, life.flags
        if changed & CLEARED:
            flag = flags[-2] if changed & RAISED else flags[-1]
            add(SITE_ROW, live.day, "cleared_" + flag.cleared, 1)
            self._stuck.pop(visitor_id, None)
            self._flags.append(FlagChange("cleared", flag_of(visitor_id, live, flag)))
        if changed & RAISED:
            flag = flags[-1]
            add(SITE_ROW, live.day, "flags", 1)
            self._stuck[visitor_id] = flag.page
            self._flags.append(FlagChange("raised", flag_of(visitor_id, live, flag)))
        self._watched[visitor_id] = None
        if live.is_linked():
            self._journeys.setdefault(visitor_id, live.start_ms)

    def _step(self) -> None:
        self.settle(self.shard.clock_ms)

    def advance(self, to_ms: int) -> None:
        """In a replay: let event time come to `to_ms` without an event."""
        if to_ms > self.clock_ms:
            self.shard.stride(to_ms, self._step)

    # --- the long way ---------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Derive every visitor that has late facts or whose time has come; see `streams.fold.Fold`.

        While the source lags behind (`truth.lag`), time stands at its newest event: unread is not silent.
        """
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        clock_ms = shard.clock_ms
        if self.truth.lag and not shard.event_clock:
            clock_ms = min(clock_ms, self.truth.newest_event_ms)
        self._time_ms = max(self._time_ms, clock_ms)
        self._merge_pending()
        self._wake()
        self._evict()
        shard.expire()
        self._expire()

    def _merge_pending(self) -> None:
        pending, self._pending = self._pending, {}
        heard, self._heard = self._heard, {}
        for visitor_id, facts in pending.items():
            self._merge(visitor_id, facts, heard.pop(visitor_id, []), self._world)
        for visitor_id, contacts in heard.items():
            self._merge(visitor_id, [], contacts, self._world)

    def _merge(self, visitor_id: str, new: list[f.Fact], heard: list[f.Contact], judged_by: World) -> None:
        """Put what a visitor means now into the counters in place of what it meant before."""
        bucket = self._visitors[hash(visitor_id) % BUCKETS]
        visitor = bucket.get(visitor_id)
        if visitor is None:
            visitor = Visitor()
            bucket[visitor_id] = visitor
            self._count += 1
        visitor.pending = False
        now_ms, world = self._time_ms, self._world
        old = self._trimmed(f.unpack(visitor.facts, visitor.count))
        before = derive(world, old, visitor.contacts or (), visitor.told_ms)
        counted = tally(visitor_id, before, old, visitor.told_ms, world)
        facts = old
        if new:
            new = [fact for fact in new if fact[0] > visitor.forgotten_ms]
            newest_ms = visitor.last_ms
            self.truth.corrected += sum(1 for fact in new if fact[0] < newest_ms)
            facts = f.merged(old, new)
            self.truth.duplicates += len(old) + len(new) - len(facts)
            for fact in new:
                if fact[0] > self._pages.seen_ms[fact[3]]:
                    self._pages.seen_ms[fact[3]] = fact[0]
        contacts = visitor.contacts or []
        if heard:
            oldest_ms = max(now_ms - CONTACTS_MS, visitor.forgotten_ms)
            contacts = [each for each in f.newest_contacts([*contacts, *heard]) if each[2] > oldest_ms]
            contacts = contacts[-MOST_CONTACTS:]
        told_ms = max(now_ms, visitor.told_ms)
        after = derive(judged_by, facts, contacts, told_ms)
        exchange(counted, tally(visitor_id, after, facts, told_ms, judged_by), self._days.add)
        self._hold(visitor, facts, contacts, after, told_ms)
        self._compare(visitor_id, visitor, old, facts, before, after)
        if visitor.live is not None:
            visitor.live.world = world
        self._unsaved.add(visitor_id)
        self._plan(visitor_id, visitor)

    def _hold(
        self,
        visitor: Visitor,
        facts: Sequence[f.Fact],
        contacts: list[f.Contact],
        sessions: list[Session],
        told_ms: int,
    ) -> None:
        """Keep what a visitor's facts are, and what they mean when the clock stands at `told_ms`."""
        visitor.facts = f.packed(facts)
        visitor.count = len(facts)
        if facts:
            visitor.last_ms, visitor.last_kind, visitor.last_id = facts[-1][:3]
        else:
            visitor.last_ms = -1
        visitor.contacts = contacts or None
        visitor.linked = any(fact[1] == f.LINK and fact[7] for fact in facts)
        visitor.told_ms = told_ms
        visitor.live = None
        visitor.due_ms = NEVER
        if sessions:
            newest = sessions[-1]
            visitor.seen_ms = newest.last_ms
            visitor.left = told_ms >= newest.last_ms + self._left_ms
            if told_ms < newest.last_ms + self._soon_ms:
                visitor.live = newest
        for session in sessions:
            if session is not visitor.live:
                visitor.due_ms = min(visitor.due_ms, self._due_ms(session, told_ms))

    def _due_ms(self, session: Session, told_ms: int) -> int:
        """When time alone changes a session next."""
        world, last_ms = self._world, session.last_ms
        due_ms = NEVER
        if session.life is not None and session.life.open is not None:
            due_ms = last_ms + world.left_ms
        if not is_known(session, told_ms):
            due_ms = min(due_ms, last_ms + world.within_ms)
        if asks_for_day(session) and not is_day_known(session, told_ms):
            due_ms = min(due_ms, last_ms + world.help_ms)
        return due_ms

    def _trimmed(self, facts: Sequence[f.Fact]) -> Sequence[f.Fact]:
        """Facts without those of sessions too old to be corrected; the newest of these stays, as do links."""
        gone_ms = self._time_ms - self._keep_ms - self._gap_ms
        if not facts or facts[0][0] >= gone_ms:
            return facts
        groups = grouped(facts, self._gap_ms)
        old = [group for group in groups if group[-1][0] < gone_ms]
        if len(old) < 2:
            return facts
        from_ms = old[-1][0][0]
        links = [fact for fact in facts if fact[1] == f.LINK and fact[0] < from_ms]
        return [*links[-1:], *(fact for fact in facts if fact[0] >= from_ms)]

    def _compare(
        self,
        visitor_id: str,
        visitor: Visitor,
        old: Sequence[f.Fact],
        facts: Sequence[f.Fact],
        before: list[Session],
        after: list[Session],
    ) -> None:
        """Tell which flags, links and sessions are there, gone, or others than before."""
        self._compare_flags(visitor_id, before, after)
        if visitor.linked or any(fact[1] == f.LINK for fact in old):
            self._compare_links(visitor_id, _links_of(old), _links_of(facts))
            now = _keys_of(visitor_id, after)
            for key in _keys_of(visitor_id, before):
                if key not in now:
                    self._gone[key] = None
            for key in now:
                self._gone.pop(key, None)
            from_ms = after[-1].start_ms if after and _told_alike(before, after) else 0
            self._journeys[visitor_id] = min(self._journeys.get(visitor_id, from_ms), from_ms)
        if visitor_id in self._shown or visitor.live is not None:
            self._watched[visitor_id] = None

    def _compare_flags(self, visitor_id: str, before: list[Session], after: list[Session]) -> None:
        self._stuck.pop(visitor_id, None)
        if all(each.life is None for each in before) and all(each.life is None for each in after):
            return
        was = {(each.start_ms, flag.raised_ms): (each, flag) for each, flag in _flags_of(before)}
        now = {(each.start_ms, flag.raised_ms): (each, flag) for each, flag in _flags_of(after)}
        for key, (session, flag) in was.items():
            if key not in now:
                self._tell(visitor_id, "withdrawn", session, flag)
        for key, (session, flag) in now.items():
            known_flag = was.get(key)
            state = None if known_flag is None else known_flag[1].state()
            if state is None or state[2:] != flag.state()[2:] or (state[0] >= 0 and flag.cleared_ms < 0):
                self._tell(visitor_id, "raised", session, flag, as_raised=True)
            if flag.cleared_ms < 0:
                self._stuck[visitor_id] = flag.page
            elif state is None or state != flag.state():
                self._tell(visitor_id, "cleared", session, flag)

    def _tell(
        self,
        visitor_id: str,
        change: Literal["raised", "cleared", "withdrawn"],
        session: Session,
        flag: Raised,
        *,
        as_raised: bool = False,
    ) -> None:
        told = flag_of(visitor_id, session, flag)
        if as_raised and told.cleared_ms is not None:
            told = without_end(told)
        self._flags.append(FlagChange(change, told))

    def _compare_links(self, visitor_id: str, was: dict[str, int], now: dict[str, int]) -> None:
        for customer, at_ms in now.items():
            if was.get(customer) != at_ms:
                self._links[visitor_id, customer] = Link(visitor_id, customer, at_ms)
        for customer, at_ms in was.items():
            if customer not in now:
                self._links[visitor_id, customer] = Link(visitor_id, customer, at_ms, True)

    def _forget(self, visitor_id: str, at_ms: int) -> None:
        """Forget what a visitor did up to a time. What was counted, of nobody in particular, stays counted."""
        self._merge_pending()
        bucket = self._visitors[hash(visitor_id) % BUCKETS]
        visitor = bucket.get(visitor_id)
        if visitor is None:
            visitor = bucket[visitor_id] = Visitor()
            self._count += 1
        if at_ms <= visitor.forgotten_ms:
            return
        visitor.forgotten_ms = at_ms
        old = f.unpack(visitor.facts, visitor.count)
        before = derive(self._world, old, visitor.contacts or (), visitor.told_ms)
        facts = [fact for fact in old if fact[0] > at_ms]
        contacts = [contact for contact in visitor.contacts or () if contact[2] > at_ms]
        after = derive(self._world, facts, contacts, visitor.told_ms)
        self._hold(visitor, facts, contacts, after, visitor.told_ms)
        self._compare(visitor_id, visitor, old, facts, before, after)
        if visitor_id in self._shown:
            self._watched[visitor_id] = None
        visitor.seen_ms = max(visitor.seen_ms, at_ms)
        self._unsaved.add(visitor_id)
        self._plan(visitor_id, visitor)

    # --- models ---------------------------------------------------------------------------------------------------

    def _take_model(self, model: StuckModel) -> None:
        """Judge by a model from its time on; whoever was judged by another since then is judged again."""
        judges = self._judges
        if not judges.is_news(model):
            return
        from_ms = model.valid_from_ms
        self._merge_pending()
        late = [
            visitor_id
            for bucket in self._visitors
            for visitor_id, visitor in bucket.items()
            if visitor.last_ms >= from_ms
        ]
        if late:
            others = Judges(self._pages)
            others.load(judges.models())
            others.take(model)
            world = World(self._world.policy, self._pages, others, self._numbers)
            for visitor_id in late:
                self._merge(visitor_id, [], [], world)
        judges.take(model)
        self._unsaved_models[f"{_MODEL_KEY}{from_ms}"] = encode_stored(model)

    # --- time -----------------------------------------------------------------------------------------------------

    def _sleep(self, visitor_id: str, visitor: Visitor, at_ms: int) -> None:
        """Look at a visitor again at a time, or when it was to be looked at before."""
        slot = at_ms // SLOT_MS + 1
        if slot < visitor.slot:
            visitor.slot = slot
            sleepers = self._wheel.get(slot)
            if sleepers is None:
                self._wheel[slot] = [visitor_id]
                heappush(self._slots, slot)
            else:
                sleepers.append(visitor_id)

    def _plan(self, visitor_id: str, visitor: Visitor) -> None:
        live = visitor.live
        due_ms = visitor.due_ms
        if live is not None:
            due_ms = min(due_ms, live.last_ms + self._soon_ms)
        else:
            due_ms = min(due_ms, self._forgotten_ms(visitor))
            silent = self._silent.setdefault(visitor.seen_ms // _SLOT_OF_SILENCE_MS, [])
            silent.append(visitor_id)
        self._sleep(visitor_id, visitor, due_ms)

    def _forgotten_ms(self, visitor: Visitor) -> int:
        """When a visitor of whom nothing more is heard is forgotten."""
        seen_ms = max(visitor.seen_ms, visitor.last_ms, visitor.forgotten_ms)
        if visitor.contacts is not None and visitor.count == 0:
            seen_ms = max(seen_ms, visitor.contacts[-1][2])
        return seen_ms + self._keep_ms + self._gap_ms

    def _wake(self) -> None:
        """Look again at visitors whose time has come."""
        now_ms = self._time_ms
        now_slot = now_ms // SLOT_MS
        while self._slots and self._slots[0] <= now_slot:
            slot = heappop(self._slots)
            for visitor_id in self._wheel.pop(slot):
                visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
                if visitor is not None and visitor.slot == slot:
                    visitor.slot = NEVER
                    self._look(visitor_id, visitor, now_ms)

    def _look(self, visitor_id: str, visitor: Visitor, now_ms: int) -> None:
        live = visitor.live
        if visitor.due_ms <= now_ms:
            self._merge(visitor_id, [], [], self._world)
            return
        if live is None:
            if now_ms >= self._forgotten_ms(visitor):
                self._drop(visitor_id)
            else:
                self._plan(visitor_id, visitor)
            return
        if now_ms >= live.last_ms + self._left_ms and not visitor.left:
            visitor.left = True
            if visitor_id in self._shown:
                self._watched[visitor_id] = None
            if live.leave():
                self._tell_flags(visitor_id, live, CLEARED)
                self._end(visitor_id, visitor, live, now_ms)
                return
        if is_known(live, now_ms):
            self._end(visitor_id, visitor, live, now_ms)
            return
        due_ms = live.last_ms + (self._world.within_ms if visitor.left else self._soon_ms)
        self._sleep(visitor_id, visitor, max(due_ms, now_ms))

    def _end(self, visitor_id: str, visitor: Visitor, live: Session, now_ms: int) -> None:
        """Time has changed something in the live session: count what is known, and keep only the facts."""
        if is_known(live, now_ms):
            known(visitor_id, live, self._days.add)
            if is_day_known(live, now_ms):
                day_known(visitor_id, live, self._days.add)
        visitor.told_ms = now_ms
        visitor.seen_ms = live.last_ms
        visitor.due_ms = min(visitor.due_ms, self._due_ms(live, now_ms))
        visitor.live = None
        self._unsaved.add(visitor_id)
        self._plan(visitor_id, visitor)

    def _drop(self, visitor_id: str) -> None:
        visitor = self._visitors[hash(visitor_id) % BUCKETS].pop(visitor_id, None)
        if visitor is None:
            return
        self._count -= 1
        if visitor.live is not None and visitor.live.leave():
            self._tell_flags(visitor_id, visitor.live, CLEARED)
        self._stuck.pop(visitor_id, None)
        self._unsaved.add(visitor_id)
        if visitor_id in self._shown:
            self._watched[visitor_id] = None

    def _evict(self) -> None:
        """Where there are too many visitors, forget those who have been silent longest; what was counted stays."""
        most = self._world.policy.most_visitors
        while self._count > most and self._silent:
            slot = min(self._silent)
            for visitor_id in self._silent.pop(slot):
                visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
                if (
                    visitor is not None
                    and visitor.live is None
                    and visitor.seen_ms // _SLOT_OF_SILENCE_MS == slot
                    and self._count > most
                ):
                    self.truth.lost += 1
                    self._drop(visitor_id)
        while self._count > most and self._slots:
            slot = heappop(self._slots)
            for visitor_id in self._wheel.pop(slot):
                visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
                if visitor is not None and visitor.slot == slot:
                    self.truth.lost += 1
                    self._drop(visitor_id)

    def _expire(self) -> None:
        day = self._numbers.of(self._time_ms) if self._time_ms else 0
        if day == self._day:
            return
        self._day = day
        self._days.expire(day - KEPT_DAYS)
        gone = {model.valid_from_ms for model in self._judges.models()}
        self._judges.expire(self._time_ms - 2 * self._keep_ms - DAY_MS)
        gone -= {model.valid_from_ms for model in self._judges.models()}
        self._unsaved_models.update((f"{_MODEL_KEY}{from_ms}", None) for from_ms in gone)
        kept_slot = (self._time_ms - self._keep_ms - self._gap_ms) // _SLOT_OF_SILENCE_MS
        for slot in [slot for slot in self._silent if slot < kept_slot]:
            del self._silent[slot]

    # --- out ------------------------------------------------------------------------------------------------------

    def tell_all(self) -> None:
        """Let what is taken next be everything that lives: counters, open flags, links, sessions not known yet."""
        self._days.tell_all()
        now_ms = self._time_ms
        for bucket in self._visitors:
            for visitor_id, visitor in bucket.items():
                if visitor.linked:
                    facts = f.unpack(visitor.facts, visitor.count)
                    for customer, at_ms in _links_of(facts).items():
                        self._links[visitor_id, customer] = Link(visitor_id, customer, at_ms)
                    if now_ms < _seen_ms(visitor) + self._world.within_ms:
                        self._journeys[visitor_id] = 0
                if visitor_id in self._stuck:
                    self._tell_stuck(visitor_id, visitor)
                if visitor_id in self._shown or visitor.live is not None:
                    self._watched[visitor_id] = None

    def _tell_stuck(self, visitor_id: str, visitor: Visitor) -> None:
        facts = f.unpack(visitor.facts, visitor.count)
        for session, flag in _flags_of(derive(self._world, facts, visitor.contacts or (), visitor.told_ms)):
            if flag.cleared_ms < 0:
                self._tell(visitor_id, "raised", session, flag)

    def take_days(self) -> list[DayCounts]:
        """Rows and days whose counters changed, whole; see `schemas.web_rows`."""
        return self._days.take()

    def take_links(self) -> list[Link]:
        """Whose visitors are, where that changed."""
        out = list(self._links.values())
        self._links.clear()
        return out

    def take_flags(self) -> list[FlagChange]:
        """What is new of flags, in order."""
        out, self._flags = self._flags, []
        return out

    def take_visitors(self) -> dict[str, VisitorNow | None]:
        """Visitors worth watching that changed; None: not worth it any more."""
        watched, self._watched = self._watched, {}
        out: dict[str, VisitorNow | None] = {}
        for visitor_id in watched:
            visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
            live = None if visitor is None or visitor.left else visitor.live
            if live is not None and not live.bot and (
                live.probability >= self._worth or visitor_id in self._stuck
            ):  # fmt: skip
                out[visitor_id] = visitor_now(visitor_id, live)
                if visitor_id not in self._shown:
                    self._shown.add(visitor_id)
                    self._unsaved.add(visitor_id)
            elif visitor_id in self._shown:
                self._shown.discard(visitor_id)
                self._unsaved.add(visitor_id)
                out[visitor_id] = None
        return out

    def take_sessions(self, most: int | None = None) -> dict[tuple[str, str], JourneySession | None]:
        """Sessions of linked visitors that changed, by (customer, session id); None: there is none any more.

        Args:
            most: at most of so many visitors, those first that have waited longest; None: of all.
        """
        out: dict[tuple[str, str], JourneySession | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        taken = list(self._journeys)[:most]
        for visitor_id in taken:
            from_ms = self._journeys.pop(visitor_id)
            visitor = self._visitors[hash(visitor_id) % BUCKETS].get(visitor_id)
            if visitor is None or not visitor.count:
                continue
            facts = f.unpack(visitor.facts, visitor.count)
            sessions = derive(self._world, facts, visitor.contacts or (), visitor.told_ms)
            groups = grouped(facts, self._gap_ms)
            for session, group in zip(sessions, groups, strict=True):
                if session.last_ms < from_ms:
                    continue
                customers = session.customers()
                made = journey_sessions(self._world, visitor_id, group, session, customers)
                sid = session_id(visitor_id, session.start_ms)
                for customer in customers:
                    out[customer, sid] = made.get(customer)
        return out

    def stuck_by_page(self) -> dict[str, int]:
        """Page -> visitors stuck there now."""
        out: dict[str, int] = {}
        for page in self._stuck.values():
            name = self._pages.names[page]
            out[name] = out.get(name, 0) + 1
        return out

    # --- storage --------------------------------------------------------------------------------------------------

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        out = self.shard.take_changes()
        out[0][_PAGES_KEY] = self._stored_pages()
        for key, value in self._days.take_changes():
            out.setdefault(bucket_of(key), {})[key] = value
        for key, value in self._unsaved_models.items():
            out.setdefault(bucket_of(key), {})[key] = value
        self._unsaved_models = {}
        for visitor_id in self._unsaved:
            bucket = hash(visitor_id) % BUCKETS
            visitor = self._visitors[bucket].get(visitor_id)
            out.setdefault(bucket, {})[_VISITOR_KEY + visitor_id] = (
                None if visitor is None else self._stored(visitor_id, visitor)
            )
        self._unsaved.clear()
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = self.shard.dump(bucket)
        if bucket == 0:
            out[_PAGES_KEY] = self._stored_pages()
        out.update(self._days.dump(bucket))
        for model in self._judges.models():
            key = f"{_MODEL_KEY}{model.valid_from_ms}"
            if bucket_of(key) == bucket:
                out[key] = encode_stored(model)
        for visitor_id, visitor in self._visitors[bucket].items():
            out[_VISITOR_KEY + visitor_id] = self._stored(visitor_id, visitor)
        return out

    def _stored_pages(self) -> bytes:
        return encode_stored(StoredPages(self._pages.names, self._pages.seen_ms, self._time_ms))

    def _stored(self, visitor_id: str, visitor: Visitor) -> bytes:
        live = visitor.live
        due_ms = visitor.due_ms if live is None else min(visitor.due_ms, self._due_ms(live, visitor.told_ms))
        return encode_stored(
            StoredVisitor(
                visitor.told_ms,
                due_ms,
                _seen_ms(visitor),
                visitor.forgotten_ms,
                visitor.count,
                bytes(visitor.facts),
                visitor.contacts or [],
                visitor.linked,
                visitor_id in self._stuck,
                visitor_id in self._shown,
            )
        )

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        stored: list[tuple[str, StoredVisitor]] = []
        for key, value in entries:
            if key[0] == _VISITOR_KEY:
                stored.append((key[1:], decode_visitor(value)))
            elif key[0] == DAY_KEY:
                self._days.load_entry(key, value)
            elif key[0] == _MODEL_KEY:
                self._judges.take(decode_model(value))
            elif key == _PAGES_KEY:
                pages = decode_pages(value)
                self._pages.load(pages.names, pages.seen_ms)
                self._time_ms = pages.time_ms
            else:
                self.shard.load_entry(key, value)
        for visitor_id, each in stored:
            self._restore(visitor_id, each)
        self._count = len(stored)
        self.tell_all()

    def _restore(self, visitor_id: str, stored: StoredVisitor) -> None:
        visitor = Visitor()
        self._visitors[hash(visitor_id) % BUCKETS][visitor_id] = visitor
        visitor.facts = bytearray(stored.facts)
        visitor.count = stored.count
        visitor.told_ms, visitor.due_ms, visitor.seen_ms = stored.told_ms, stored.due_ms, stored.seen_ms
        visitor.forgotten_ms = stored.forgotten_ms
        visitor.contacts = stored.contacts or None
        visitor.linked = stored.linked
        if stored.shown:
            self._shown.add(visitor_id)
        visitor.left = self._time_ms >= stored.seen_ms + self._left_ms
        if stored.stuck or self._time_ms < stored.seen_ms + self._soon_ms:
            facts = f.unpack(stored.facts, stored.count)
            sessions = derive(self._world, facts, stored.contacts, stored.told_ms)
            self._hold(visitor, facts, stored.contacts, sessions, stored.told_ms)
            visitor.seen_ms = max(visitor.seen_ms, stored.seen_ms)
            for _, flag in _flags_of(sessions):
                if flag.cleared_ms < 0:
                    self._stuck[visitor_id] = flag.page
        elif stored.count:
            facts = f.unpack(stored.facts, stored.count)
            visitor.last_ms, visitor.last_kind, visitor.last_id = facts[-1][:3]
        self._plan(visitor_id, visitor)


def _seen_ms(visitor: Visitor) -> int:
    return visitor.seen_ms if visitor.live is None else visitor.live.last_ms


def _links_of(facts: Sequence[f.Fact]) -> dict[str, int]:
    """Customer -> since when the visitor is theirs."""
    out: dict[str, int] = {}
    for fact in facts:
        if fact[1] == f.LINK and fact[7]:
            out.setdefault(fact[7], fact[0])
    return out


def _told_alike(before: list[Session], after: list[Session]) -> bool:
    """Whether all sessions but the newest would be told as they were."""
    return len(before) == len(after) and all(
        was.start_ms == now.start_ms
        and was.count == now.count
        and was.links == now.links
        and was.carry == now.carry
        and was.bot == now.bot
        and [flag.state() for _, flag in _flags_of([was])] == [flag.state() for _, flag in _flags_of([now])]
        for was, now in zip(before[:-1], after[:-1], strict=True)
    )


def _keys_of(visitor_id: str, sessions: Sequence[Session]) -> dict[tuple[str, str], None]:
    return {
        (customer, session_id(visitor_id, session.start_ms)): None
        for session in sessions
        for customer in session.customers()
    }


def _flags_of(sessions: Sequence[Session]) -> list[tuple[Session, Raised]]:
    return [
        (session, flag)
        for session in sessions
        if session.life is not None and not session.bot
        for flag in session.life.flags
    ]
