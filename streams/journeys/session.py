"""What does one session of a visitor amount to so far? A state that takes facts in order: visits, signals, flags.

A session ends `session_gap_ms` after its last event; that a page was left begins none and is no
activity. A visit is one page in one session; its engaged time is, per view, 10 s x (distinct floor(at / 10 s) of its
pings - 1) + 5 s, and 0 without pings (Snowplow's rule). Everything known at an instant is made of what happened until
then, so flags and moments never change by what comes later; whose they were may.
Refuses to know order and repetition: `streams.journeys.derived` takes care of both.
"""

from array import array
from typing import Final

from streams.journeys import facts as f
from streams.journeys import signals as s
from streams.journeys.day_number import DayNumbers
from streams.journeys.flags import CLEARED, LEFT, PROGRESS, RAISED, FlagLife
from streams.journeys.flags import CONTACT as BY_CONTACT
from streams.journeys.judges import Judges
from streams.journeys.page_names import CONTACT, CONTENT, HELP, NO_PAGE, PageNames
from streams.journeys.page_names import PROGRESS as PROGRESS_PAGE
from streams.journeys.policy import JourneyPolicy

PING_MS: Final = 10_000
PING_S: Final = 10
LEAST_S: Final = 5
"""Engaged time of a view with pings is at least this."""
NEVER: Final = 1 << 61

SEEN: Final = 4
"""A page was viewed."""
VISITED: Final = 8
"""The first event on a page of this session."""
IS_BOT: Final = 16
"""It turns out now that this is no human."""
SUBJECT: Final = 32
"""Bits of what `Session.take` says has changed, besides `flags.RAISED` and `flags.CLEARED`. SUBJECT: what a visitor is
judged by."""

_MOMENT_PAGE: Final = 16
_MOMENT_AT: Final = 32
_LATEST_MOMENT_MS: Final = (1 << 30) - 1
"""Twelve days: later ones of a session without an end have the time of this one."""


class World:
    """What judging a session needs besides its facts."""

    __slots__ = (
        "cleared_below", "cool_ms", "days", "gap_ms", "help_ms", "judges", "left_ms", "pages", "policy", "threshold",
        "within_ms",
    )  # fmt: skip

    def __init__(self, policy: JourneyPolicy, pages: PageNames, judges: Judges, days: DayNumbers) -> None:
        self.policy = policy
        self.pages = pages
        self.judges = judges
        self.days = days
        self.gap_ms: int = policy.session_gap_ms
        self.within_ms: int = policy.within_ms
        self.help_ms: int = policy.help_within_ms
        self.left_ms: int = policy.left_ms
        self.cool_ms: int = policy.cool_ms
        self.threshold: float = policy.threshold
        self.cleared_below: float = policy.cleared_below


class Visit:
    """One page in one session. Times in ms, -1 where it has not happened."""

    __slots__ = (
        "before", "contact_ms", "day", "engaged_first", "first_ms", "is_first", "last_ms", "lead_ms", "page",
        "pinged", "reason", "slot", "slots", "view", "viewed_ms", "viewed_twice_ms", "views",
    )  # fmt: skip

    def __init__(self, page: int, at_ms: int, day: int, before: int, *, is_first: bool) -> None:
        self.page = page
        self.first_ms = at_ms
        self.last_ms = at_ms
        self.day = day
        self.before = before
        """The page on which the visitor had been engaged longest within T before; `NO_PAGE`: none."""
        self.is_first = is_first
        """No earlier session of this visitor saw the page on this business day."""
        self.views = 0
        self.slots = 0
        """Distinct 10 s slots of pings, view by view; `pinged`: views that have any."""
        self.pinged = 0
        self.view = -1
        """The view of the newest ping, and its slot."""
        self.slot = -1
        self.viewed_ms = -1
        """When the page was viewed last, and the time before that."""
        self.viewed_twice_ms = -1
        self.engaged_first = -1
        """Whether there was engaged time before the session's first contact page (0 or 1); -1: there was none such."""
        self.contact_ms = -1
        """When the customer first contacted within T of the last activity here; `lead_ms`: from that to then."""
        self.lead_ms = -1
        self.reason = ""

    @property
    def engaged_s(self) -> int:
        """Engaged time in s."""
        return PING_S * self.slots - (PING_S - LEAST_S) * self.pinged

    @property
    def was_engaged_first(self) -> bool:
        """Whether there was engaged time here before the first view of a contact page."""
        return self.slots > 0 if self.engaged_first < 0 else self.engaged_first > 0


class Session:
    """One session. `start_ms`: of its first event; `last_ms`: of its newest.

    `carry`: whose the visitor was when it began ("" = unknown); `links`: (at_ms, customer or "") since.
    `day_pages`: day << 16 | page of the visitor's earlier sessions, where there are any.
    """

    __slots__ = (
        "_arose", "_burst", "_error_ms", "_forms", "_judge_ms", "_quiet", "_slots_of", "_steady", "bot", "carry",
        "contact_page_ms", "contacted_until_ms", "contacts", "count", "customer", "day", "day_pages", "ever", "help_ms",
        "is_first", "last_ms", "life", "links", "moments", "page", "page_before", "page_ms", "page_pinged", "pattern",
        "probability", "progress", "start_ms", "subject", "until_ms", "views", "visits", "world",
    )  # fmt: skip

    def __init__(self, world: World, at_ms: int, carry: str, *, returning: bool, is_first: bool) -> None:
        self.world = world
        self.start_ms = at_ms
        self.last_ms = at_ms
        self.until_ms = NEVER
        """When the visitor's next session began."""
        self.day = world.days.of(at_ms)
        self.is_first = is_first
        """The visitor's first session of this business day."""
        self.day_pages: set[int] | None = None
        self.count = 0
        """Facts taken."""
        self.views = 0
        self.visits: dict[int, Visit] = {}
        self.bot = False
        self.progress = False
        self.help_ms = -1
        """When the first help page was seen; `contact_page_ms` likewise."""
        self.contact_page_ms = -1
        self.carry = carry
        self.customer = carry
        """Whose the visitor is, as far as it was known at the newest fact."""
        self.links: list[tuple[int, str]] | None = None
        self.contacts: list[f.Contact] | None = None
        """Contacts that were there before, or came while the session or what is asked about it lasted."""
        self.contacted_until_ms = -1
        """Until when `customer` counts as one who contacted before."""
        self.page = NO_PAGE
        """Where attention is; `page_before`: the page before; since when; whether it had a ping since."""
        self.page_before = NO_PAGE
        self.page_ms = at_ms
        self.page_pinged = False
        self.subject = NO_PAGE
        self.pattern = -1
        self.probability = 0.0
        self.moments = array("q")
        """ms since the start << 32 | subject << 16 | pattern."""
        self.ever = 0
        """Signals that ever arose, as bits."""
        self.life: FlagLife | None = None
        self._steady = s.RETURNING if returning else 0
        """Bits of the pattern that stay."""
        self._arose: dict[int, int] | None = None
        """Signal -> when it arose last."""
        self._burst: s.ClickBurst | None = None
        self._error_ms = -1
        self._forms: dict[int, int] | None = None
        """View -> form errors on it."""
        self._quiet: list[int] | None = None
        """Times of the newest views since the last click or ping."""
        self._slots_of: dict[int, int] | None = None
        """View -> the newest slot of its pings, of views pinged before others were."""
        self._judge_ms = -1
        """Since when the model is valid by which `probability` is."""

    # --- in order -----------------------------------------------------------------------------------------------

    def take(self, at_ms: int, kind: int, page: int, view: int, a: int, b: int) -> int:
        """Take in what the browser did; say what changed: `SEEN`, `VISITED`, `IS_BOT`, `RAISED`, `CLEARED`."""
        changed = 0
        world = self.world
        if self.life is not None and at_ms - self.last_ms > world.left_ms:
            changed = self.leave()
        self.last_ms = at_ms
        self.count += 1
        if kind == f.LEAVE:
            return changed
        visit = self.visits.get(page)
        if visit is None:
            visit = self._visit(page, at_ms)
            changed |= VISITED
        visit.last_ms = at_ms
        if kind == f.VIEW:
            changed |= SEEN | self._view(visit, at_ms, a)
        elif kind == f.PING:
            self._ping(visit, at_ms, view)
            if self.page != page:
                self._turn_to(page, at_ms)
            self.page_pinged = True
        elif kind == f.CLICK:
            self._quiet = None
            if a & f.DEAD:
                self._arise(s.DEAD_CLICK, at_ms)
            if not a & f.EXEMPT:
                if self._burst is None:
                    self._burst = s.ClickBurst()
                if self._burst.click(a >> 2, b, at_ms):
                    self._arise(s.RAGE_CLICK, at_ms)
            if self.page != page:
                self._turn_to(page, at_ms)
        elif kind == f.ERROR:
            if not a:
                if self._error_ms >= 0 and at_ms - self._error_ms < s.ERROR_MS:
                    self._arise(s.ERRORS, at_ms)
                self._error_ms = at_ms
        elif kind == f.FORM:
            forms = self._forms
            if forms is None:
                forms = self._forms = {}
            count = forms[view] = forms.get(view, 0) + 1
            if count >= s.FORM_COUNT:
                self._arise(s.FORM_ERRORS, at_ms)
        elif kind == f.SEARCH and a == 0:
            self._arise(s.ZERO_HITS, at_ms)
        if self.bot:
            return changed
        return changed | self._judge(at_ms, kind == f.VIEW)

    def link(self, at_ms: int, customer: str) -> None:
        """From now on the visitor is a customer, or nobody ("")."""
        self.customer = customer
        self._look_back(at_ms)

    def contact(self, contact: f.Contact) -> int:
        """A customer contacted us; say whether that clears a flag."""
        at_ms, customer = contact[2], contact[1]
        if self.contacts is None:
            self.contacts = []
        self.contacts.append(contact)
        if customer == self.customer:
            self._look_back(at_ms)
        for visit in self.visits.values():
            if (
                visit.contact_ms < 0
                and visit.last_ms + self.world.within_ms >= at_ms
                and self.customer_at(visit.last_ms) == customer
            ):
                visit.contact_ms = at_ms
                visit.lead_ms = at_ms - visit.last_ms
                visit.reason = contact[5]
        life = self.life
        if life is None or life.open is None:
            return 0
        if at_ms - self.last_ms > self.world.left_ms:
            return self.leave()
        return life.clear(at_ms, BY_CONTACT) if self.customer_at(at_ms) == customer else 0

    def remember(self, contacts: list[f.Contact]) -> None:
        """Contacts that were there before the session began."""
        self.contacts = contacts
        self._look_back(self.start_ms)

    def leave(self) -> int:
        """Nothing happened for long: the open flag is cleared as of then."""
        life = self.life
        return 0 if life is None else life.clear(self.last_ms + self.world.left_ms, LEFT)

    # --- what is known afterwards ---------------------------------------------------------------------------------

    def customer_at(self, at_ms: int) -> str:
        """Whose the visitor was at a time, as is known now: who is linked late was there before, unless another was."""
        customer = self.carry
        if self.links is None:
            return customer
        for link_ms, linked in self.links:
            if link_ms <= at_ms:
                customer = linked
            elif customer:
                return customer
            elif linked:
                return linked
        return customer

    def customers(self) -> list[str]:
        """Everybody whose the visitor was, in order."""
        out = [self.carry] if self.carry else []
        for _, linked in self.links or ():
            if linked and linked not in out:
                out.append(linked)
        return out

    def is_linked(self) -> bool:
        """Whether the visitor was anybody's."""
        return bool(self.carry) or (self.links is not None and any(linked for _, linked in self.links))

    def contacted(self, from_ms: int, until_ms: int) -> f.Contact | None:
        """The first contact after one time and until another, by whom the visitor was at the first."""
        if self.contacts is None:
            return None
        customer = self.customer_at(from_ms)
        if not customer:
            return None
        for contact in self.contacts:
            if from_ms < contact[2] <= until_ms and contact[1] == customer:
                return contact
        return None

    def arisen_at(self) -> dict[int, int]:
        """Signal (its bit) -> when it arose last."""
        return {} if self._arose is None else dict(self._arose)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _visit(self, page: int, at_ms: int) -> Visit:
        world = self.world
        day = world.days.of(at_ms)
        is_first = self.day_pages is None or (day << _MOMENT_PAGE | page) not in self.day_pages
        before, longest = NO_PAGE, 0
        for visit in self.visits.values():
            if visit.last_ms >= at_ms - world.within_ms and visit.slots:
                engaged_s = visit.engaged_s
                if engaged_s > longest or (
                    engaged_s == longest and world.pages.names[visit.page] < world.pages.names[before]
                ):
                    before, longest = visit.page, engaged_s
        visit = self.visits[page] = Visit(page, at_ms, day, before, is_first=is_first)
        if self.contact_page_ms >= 0:
            visit.engaged_first = 0
        return visit

    def _view(self, visit: Visit, at_ms: int, a: int) -> int:
        page = visit.page
        page_class = self.world.pages.classes[page]
        visit.views += 1
        self.views += 1
        if visit.viewed_twice_ms >= 0 and at_ms - visit.viewed_twice_ms < s.SIGNAL_MS:
            self._arise(s.LOOP, at_ms)
        visit.viewed_twice_ms, visit.viewed_ms = visit.viewed_ms, at_ms
        if self.page != page:
            if page == self.page_before and at_ms - self.page_ms < s.QUICK_BACK_MS and not self.page_pinged:
                self._arise(s.QUICK_BACK, at_ms)
            self._turn_to(page, at_ms)
        else:
            self.page_ms, self.page_pinged = at_ms, False
        changed = 0
        if page_class == HELP:
            if self.help_ms < 0:
                self.help_ms = at_ms
                self._steady |= s.HELP_VIEWED
        elif page_class == CONTACT:
            if self.contact_page_ms < 0:
                self.contact_page_ms = at_ms
                self._steady |= s.CONTACT_PAGE
                for each in self.visits.values():
                    each.engaged_first = 1 if each.slots else 0
        elif page_class == PROGRESS_PAGE:
            self.progress = True
            if self.life is not None:
                changed = self.life.clear(at_ms, PROGRESS)
        if not self.bot and (a & f.BOT or self._is_inhuman(at_ms)):
            self.bot = True
            self.probability = 0.0
            changed |= IS_BOT
        return changed

    def _turn_to(self, page: int, at_ms: int) -> None:
        self.page_before, self.page = self.page, page
        self.page_ms, self.page_pinged = at_ms, False
        if self.world.pages.classes[page] in (CONTENT, HELP):
            self.subject = page

    def _ping(self, visit: Visit, at_ms: int, view: int) -> None:
        self._quiet = None
        slot = at_ms // PING_MS
        if visit.view == view:
            if slot != visit.slot:
                visit.slots += 1
                visit.slot = slot
            return
        slots_of = self._slots_of
        known = -1 if slots_of is None else slots_of.get(view, -1)
        if visit.view >= 0:
            if slots_of is None:
                slots_of = self._slots_of = {}
            slots_of[visit.view] = visit.slot
        visit.view = view
        if known < 0:
            visit.pinged += 1
        if slot != known:
            visit.slots += 1
        visit.slot = slot

    def _is_inhuman(self, at_ms: int) -> bool:
        quiet = self._quiet
        if quiet is None:
            self._quiet = [at_ms]
            return False
        quiet.append(at_ms)
        if len(quiet) <= s.BOT_VIEWS:
            return False
        return at_ms - quiet.pop(0) < s.BOT_MS

    def _arise(self, signal: int, at_ms: int) -> None:
        self.ever |= signal
        if self._arose is None:
            self._arose = {}
        self._arose[signal] = at_ms

    def _look_back(self, at_ms: int) -> None:
        """Find out until when the customer counts as one who contacted before."""
        until_ms = -1
        if self.customer and self.contacts is not None:
            for contact in self.contacts:
                if contact[1] == self.customer and contact[2] <= at_ms:
                    until_ms = max(until_ms, contact[2] + s.CONTACTED_BEFORE_MS)
        self.contacted_until_ms = until_ms

    def _judge(self, at_ms: int, is_view: bool) -> int:
        """Note a moment where one is, and how likely a contact is now."""
        pattern = self._steady
        if self._arose is not None:
            for signal, arose_ms in self._arose.items():
                if at_ms - arose_ms < s.SIGNAL_MS:
                    pattern |= signal
        if at_ms < self.contacted_until_ms:
            pattern |= s.CONTACTED_BEFORE
        subject = self.subject
        visit = self.visits.get(subject)
        if visit is not None and visit.slots > 3:
            engaged_s = visit.engaged_s
            if engaged_s >= 300:
                pattern |= s.ENGAGED_30 | s.ENGAGED_60 | s.ENGAGED_120 | s.ENGAGED_300
            elif engaged_s >= 120:
                pattern |= s.ENGAGED_30 | s.ENGAGED_60 | s.ENGAGED_120
            elif engaged_s >= 60:
                pattern |= s.ENGAGED_30 | s.ENGAGED_60
            elif engaged_s >= 30:
                pattern |= s.ENGAGED_30
        changed = 0
        if is_view or pattern != self.pattern or self.moments[-1] >> _MOMENT_PAGE & 0xFFFF != subject:
            after_ms = min(at_ms - self.start_ms, _LATEST_MOMENT_MS)
            self.moments.append(after_ms << _MOMENT_AT | subject << _MOMENT_PAGE | pattern)
            self.pattern = pattern
            self._judge_ms = -2
            changed = SUBJECT
        judge = self.world.judges.at(at_ms)
        if judge.from_ms != self._judge_ms:
            self._judge_ms = judge.from_ms
            self.probability = judge.probability(subject, pattern)
        life = self.life
        if life is None:
            if self.probability < self.world.threshold:
                return changed
            world = self.world
            life = self.life = FlagLife(world.threshold, world.cleared_below, world.cool_ms)
        return changed | life.judge(at_ms, subject, pattern, self.probability, judge.version, self.customer)


def moment_at(session: Session, moment: int) -> int:
    """When a moment was, in ms."""
    return session.start_ms + (moment >> _MOMENT_AT)


def moment_page(moment: int) -> int:
    """The number of a moment's subject page."""
    return moment >> _MOMENT_PAGE & 0xFFFF


def moment_pattern(moment: int) -> int:
    """A moment's pattern."""
    return moment & 0xFFFF


__all__ = (
    "CLEARED", "IS_BOT", "NEVER", "RAISED", "SEEN", "SUBJECT", "VISITED", "Session", "Visit", "World", "moment_at",
    "moment_page", "moment_pattern",
)  # fmt: skip
