"""What does one person do in one session, and why? Browses, gets stuck, tries, gives up, finds out, or contacts.

Browsing is a Markov walk over the site's pages. Refuses to know what else happens on the site.
"""

from msgspec import Struct

import schemas.web_events as w
from schemas.events import Channel
from streams.simulator.agenda import Dice
from streams.simulator.web_browser import Browser
from streams.simulator.web_dice import any_of, pick, poisson, weighted
from streams.simulator.web_people import Person
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_site import Cause, Kind, WebSite
from streams.simulator.web_truth import StuckSpell

_MOST_VIEWS = 40
_ENTRIES = (
    ("home", 5.0),
    ("product", 2.4),
    ("category", 1.0),
    ("account", 1.4),
    ("story", 0.9),
    ("help", 0.4),
)
_FRONT = (("home", 1.0), ("account", 1.0))
_SHOP = (("category", 1.0), ("product", 1.0))
_GUESTS = ("address", "coupon", "payment", "confirm")
_STRANGER_TURNS_BACK = 0.85
_TRIES, _LEAST_LEAD_S = 2.2, 20.0


class Decided(Struct, frozen=True):
    """A contact to come, if nothing prevents it. `left_ms`: end of the last stay on the page to blame."""

    at_ms: int
    channel: Channel
    queue: str
    reason: str | None
    cause: str | None
    left_ms: int


class Visitor:
    """One session. After `visit`, `browser.events` has what was sent, and `contact` what is to come."""

    def __init__(self, site: WebSite, plan: WebPlan, person: Person, browser: Browser, dice: Dice) -> None:
        self.browser = browser
        self.contact: Decided | None = None
        self.spell: StuckSpell | None = None
        self.linked = False
        self._site = site
        self._plan = plan
        self._person = person
        self._dice = dice
        self._start_ms = browser.now_ms
        self._views = 0

    def visit(self, again: Cause | None = None) -> None:
        """The whole session. `again`: the visitor comes back for what did not work."""
        if again is not None:
            self._come_back(again)
        elif self._dice.chance(self._plan.intends):
            self._come_to_contact()
        else:
            self._browse(self._enter_by(_ENTRIES))
        self.browser.leave()
        if self._person.shared and self.linked:
            self.browser.link(self.browser.now_ms, None)

    # --- browsing -----------------------------------------------------------------------------------------------------

    def _enter_by(self, kinds: tuple[tuple[str, float], ...]) -> str:
        kind = weighted(self._dice, kinds)
        return weighted(
            self._dice, [(page.path, page.weight) for page in self._site.pages if page.kind == kind]
        )

    def _browse(self, page: str) -> None:
        dice, site = self._dice, self._site
        while page:
            self._open(page)
            cause = site.cause_of.get(page) if self.spell is None else None
            if cause is not None and dice.chance(cause.stuck * self._plan.stuck):
                page = self._be_stuck(cause, dice.random())
                continue
            self._read(page)
            kind = site.kind_of[page]
            if self._views >= _MOST_VIEWS or dice.chance(kind.leaves):
                return
            if self._views == 2 and dice.chance(self._plan.double_tabs):
                self.browser.beside(self._next(page), dice.lognormal(25.0, 0.8) / 1000)
                self.browser.stay(dice.lognormal(25.0, 0.8) / 1000)
            page = self._next(page)

    def _next(self, page: str) -> str:
        target = pick(self._dice, *self._site.ways[page])
        kind = self._site.kind_of[target]
        if self._person.customer_id is None and kind.account and self._dice.chance(_STRANGER_TURNS_BACK):
            return self._enter_by(_SHOP) if self._is_private(kind) else target
        return target

    def _is_private(self, kind: Kind) -> bool:
        return not any(kind is self._site.kinds[name] for name in _GUESTS)

    def _open(self, page: str) -> None:
        """See a page, logging in before where it is time for that: the page after the login says who it is."""
        kind = self._site.kind_of[page]
        late = self._person.link == "late" and kind.account
        early = self._person.link == "early" and self._views >= 1
        logs_in = not self.linked and (late or early) and self._person.customer_id is not None
        if logs_in:
            self._see(self._site.login)
            self._read(self._site.login)
        self._see(page)
        if logs_in:
            self._link()

    def _see(self, page: str) -> None:
        self._views += 1
        self.browser.open(page)
        if self._person.link == "remembered" and not self.linked:
            self._link()

    def _link(self) -> None:
        self.linked = True
        self.browser.link(self.browser.now_ms, self._person.customer_id)

    def _read(self, page: str) -> None:
        """Use a page as one does, with what goes wrong anywhere."""
        dice, browser, kind = self._dice, self.browser, self._site.kind_of[page]
        span = browser.stay(dice.lognormal(kind.engaged_s, kind.sigma) / 1000)
        for _ in range(poisson(dice, 0.7)):
            browser.click(self._within(span))
        noise = self._plan.noise
        if dice.chance(0.03 * noise):
            browser.click(self._within(span), dead=True, target="other")
        if dice.chance(0.015 * noise):
            browser.fail(self._within(span), any_of(dice, ("script", "network", "resource")), None)
        if kind.form and dice.chance(0.22 * noise):
            for _ in range(1 + poisson(dice, 0.4)):
                browser.refuse(self._within(span), "error" if dice.chance(0.6) else "reentry")
        if kind.searches:
            browser.search(span[0] + 200, 0 if dice.chance(0.14 * noise) else 1 + int(40 * dice.random()))
        if kind.fun or dice.chance(0.006 * noise):
            for _ in range(1 + poisson(dice, 1.5)):
                browser.burst(self._within(span), dead=False, exempt=dice.chance(0.5))

    def _within(self, span: tuple[int, int]) -> int:
        return span[0] + int((span[1] - span[0]) * self._dice.random())

    # --- being stuck --------------------------------------------------------------------------------------------------

    def _be_stuck(self, cause: Cause, severity: float) -> str:
        """Try, more and longer the worse it is, and come to an end of one kind; where to go on, "" = nowhere."""
        self.spell = StuckSpell(
            self._person.visitor_id, self._start_ms, cause.page, self.browser.now_ms, 0, "left"
        )
        for attempt in range(1 + poisson(self._dice, _TRIES * severity)):
            if attempt:
                self._between_tries(cause)
            self._try(cause, severity)
        left_ms = self.browser.now_ms
        if self._dice.chance(min(0.97, 2.0 * severity * cause.contact)):
            return self._decide_to_contact(cause, left_ms)
        if self._dice.chance(cause.helped):
            return self._find_the_answer(cause)
        return self._give_up(cause)

    def _try(self, cause: Cause, severity: float) -> None:
        dice, browser, shows = self._dice, self.browser, cause.shows
        kind, more = self._site.kind_of[cause.page], 0.5 + severity
        span = browser.stay(dice.lognormal(kind.engaged_s * shows.dwell * more, kind.sigma * 0.8) / 1000)
        for _ in range(poisson(dice, 0.8)):
            browser.click(self._within(span))
        for _ in range(poisson(dice, shows.form_errors * more)):
            browser.refuse(self._within(span), "error" if dice.chance(0.75) else "reentry")
        for _ in range(poisson(dice, shows.errors * more)):
            network = dice.chance(0.7)
            browser.fail(self._within(span), "network" if network else "script", 500 if network else None)
        for _ in range(poisson(dice, shows.dead * more)):
            browser.click(self._within(span), dead=True, target="button")
        if dice.chance(shows.rage * more):
            browser.burst(self._within(span), dead=dice.chance(0.5))
        if dice.chance(shows.searches * more):
            self._see(self._site.search)
            at_ms, _ = browser.stay(dice.lognormal(14.0, 0.6) / 1000)
            browser.search(at_ms + 200, 0 if dice.chance(0.65) else 1 + int(5 * dice.random()))
            self._open(cause.page)
            browser.stay(dice.lognormal(8.0, 0.6) / 1000)

    def _between_tries(self, cause: Cause) -> None:
        """Go in a circle, load the page anew, or just stay."""
        dice, browser = self._dice, self.browser
        if dice.chance(cause.shows.loops):
            self._see(self._next(cause.page))
            if dice.chance(cause.shows.quick):
                browser.now_ms += dice.between(0.8, 4.0)
            else:
                browser.stay(dice.lognormal(20.0, 0.7) / 1000)
            self._open(cause.page)
        elif dice.chance(0.25):
            self._open(cause.page)

    def _find_the_answer(self, cause: Cause) -> str:
        self._look_for_help(cause, 1.0)
        self._end_spell("helped")
        if self._dice.chance(0.7):
            self._open(cause.page)
            self._read(cause.page)
            return self._site.thanks[cause.page]
        return "" if self._dice.chance(0.6) else self._next(self.browser.page)

    def _give_up(self, cause: Cause) -> str:
        dice = self._dice
        if dice.chance(0.25):
            self._look_for_help(cause, 0.7)
        if dice.chance(0.12):
            self._see(any_of(dice, self._site.contact))
            self._read(self.browser.page)
        elif dice.chance(0.2):
            self._open(self._next(self.browser.page))
            self._read(self.browser.page)
        self._end_spell("left")
        return ""

    def _look_for_help(self, cause: Cause, right: float) -> None:
        """Help pages; the right one with this probability."""
        dice = self._dice
        for _ in range(poisson(dice, 0.5)):
            self._see(any_of(dice, self._site.help))
            self._read(self.browser.page)
        self._see(cause.help_page if dice.chance(right) else any_of(dice, self._site.help))
        self._read(self.browser.page)

    def _end_spell(self, how: str) -> None:
        if self.spell is not None:
            self.spell.to_ms, self.spell.ends = self.browser.now_ms, how

    def _come_back(self, cause: Cause) -> None:
        self._open(self._enter_by(_FRONT))
        self._read(self.browser.page)
        self._open(cause.page)
        page = self._be_stuck(cause, 0.4 + 0.6 * self._dice.random())
        if page:
            self._browse(page)

    # --- contacting ---------------------------------------------------------------------------------------------------

    def _decide_to_contact(self, cause: Cause, left_ms: int) -> str:
        dice = self._dice
        if dice.chance(0.3):
            self._look_for_help(cause, 0.5)
        channel, queue = weighted(dice, [((c, q), weight) for c, q, weight in cause.channels])
        at_ms = left_ms + dice.lognormal(self._plan.lead_s, self._plan.lead_sigma)
        self._contact(channel, queue, cause.reason if dice.chance(0.9) else None, cause.page, at_ms, left_ms)
        self._end_spell("contacted")
        if self.spell is not None and self.contact is not None:
            self.spell.to_ms = self.contact.at_ms
        return ""

    def _come_to_contact(self) -> None:
        dice, site = self._dice, self._site
        if dice.chance(0.6):
            self._open(self._enter_by(_FRONT))
            self._read(self.browser.page)
        channel, queue = weighted(dice, [((c, q), weight) for c, q, weight in site.base_channels])
        at_ms = self.browser.now_ms + dice.lognormal(self._plan.lead_s * 0.5, self._plan.lead_sigma)
        self._contact(
            channel, queue, any_of(dice, site.base_reasons), None, at_ms, self.browser.now_ms, certain=True
        )

    def _contact(
        self, channel: Channel, queue: str, reason: str | None, cause: str | None, at_ms: int, left_ms: int,
        *, certain: bool = False,
    ) -> None:  # fmt: skip
        """Look up how to contact, and wait there; whoever writes does that on a contact page."""
        dice, site, browser = self._dice, self._site, self.browser
        written = channel in ("chat", "form")
        if certain or written or dice.chance(self._plan.looks_up):
            if not written and dice.chance(0.5):
                self._see(any_of(dice, site.announcing))
                self._read(browser.page)
            if written or dice.chance(0.6) or browser.page not in site.announcing:
                self._see(any_of(dice, site.contact))
                self._read(browser.page)
        at_ms = max(at_ms, browser.now_ms + int(1000 * _LEAST_LEAD_S * dice.random()) + 1)
        self.contact = Decided(at_ms, channel, queue, reason, cause, left_ms)
        if self._person.link == "at_contact" and self._person.customer_id is not None:
            proof: w.Proof = "chat" if written else any_of(dice, ("call_token", "spoken"))
            self.linked = True
            browser.link(at_ms + dice.between(2.0, 60.0), self._person.customer_id, proof)
