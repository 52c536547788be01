"""What would a web site and the contacts it causes send, and what is really wrong with it? Pure, seeded, in time order.

    simulation = WebSimulation(default_web_site(), WebPlan(), seed=1)
    for topic, key, event in simulation.events(from_ms, to_ms): ...
    simulation.truth

`web_people` says who comes, `web_visitor` what one person does, `web_browser` what is sent of it, `web_contacts` what
the contact centre sends, and `web_offers` what an offer changes. Refuses to know how anybody could tell a stuck
visitor; `offered` takes the answer.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import log
from zoneinfo import ZoneInfo

from msgspec import Struct

from schemas.events import Channel
from streams.simulator.agenda import Dice
from streams.simulator.web_browser import Browser, WebSent
from streams.simulator.web_contacts import life_of
from streams.simulator.web_dice import any_of, dice_of, pick, pseudonym, weighted
from streams.simulator.web_offers import Offered, show
from streams.simulator.web_people import People, Person
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_site import Cause, WebSite
from streams.simulator.web_trails import Programme, Stay
from streams.simulator.web_truth import TrueContact, TrueSession, WebTruth
from streams.simulator.web_visitor import Decided, Visitor

_HOUR_MS = 3_600_000
_RETRY_S, _RETRY_SIGMA = 5 * 3600.0, 0.8
_ARRIVES, _ROBOT, _CALLS = "arrives", "robot", "calls"


class Turn(Struct, eq=False):
    """Somebody comes: anybody (`person` None), or the one who comes back for `cause`."""

    what: str
    person: Person | None = None
    cause: Cause | None = None


class WebSimulation:
    """A web site nobody has come to yet. The same arguments, and the same offers, make the same events."""

    def __init__(self, site: WebSite, plan: WebPlan, seed: int, keep_truth: bool = True) -> None:
        """`keep_truth`: False for a run without end, whose truth would grow for ever."""
        self.site = site
        self.plan = plan
        self.seed = seed
        self.truth = self._no_truth()
        """What was decided in the newest run."""
        self._keep_truth = keep_truth
        self._zone = ZoneInfo(site.zone)
        self._open(0)

    def _no_truth(self) -> WebTruth:
        site = self.site
        return WebTruth(tuple(cause.page for cause in site.causes), site.announcing, site.contact)

    def _open(self, from_ms: int) -> None:
        self.truth = self._no_truth()
        self._people = People(self.plan, self.seed)
        self._dice = {what: dice_of(self.seed, what) for what in (_ARRIVES, _ROBOT, _CALLS)}
        self._programme: Programme[Turn] = Programme(from_ms)
        self._sessions = 0
        self._contacts = 0
        self._stays: dict[str, Stay] = {}
        self._prefix = f"{self.seed}.{from_ms // 1000:x}"

    def events(self, from_ms: int, to_ms: int) -> Iterator[WebSent]:
        """(topic, key, event) for from_ms <= time < to_ms, in time order; opens anew each time it is called.

        A shorter span gives the beginning of a longer one.
        """
        self._open(from_ms)
        for what in self._dice:
            self._next_turn(what, float(from_ms))
        while (due := self._programme.next_before(to_ms)) is not None:
            if isinstance(due, Turn):
                self._come(due, self._programme.now_ms)
            else:
                yield due

    # --- who comes when -----------------------------------------------------------------------------------------------

    def _next_turn(self, what: str, after_ms: float) -> None:
        """The next of a Poisson process whose rate is that of the hour."""
        plan, dice = self.plan, self._dice[what]
        shares = {_ARRIVES: 1.0, _ROBOT: plan.bots, _CALLS: plan.other_contacts}
        per_ms = plan.sessions_per_day * shares[what] / (24 * _HOUR_MS)
        if per_ms <= 0:
            return
        left = -log(1.0 - dice.random())
        while True:
            hour = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(self._zone).hour
            end_ms = (after_ms // _HOUR_MS + 1) * _HOUR_MS
            reach = (end_ms - after_ms) * per_ms * plan.level(hour)
            if left < reach:
                break
            left -= reach
            after_ms = end_ms
        self._programme.turn(int(after_ms + left / (per_ms * plan.level(hour))), Turn(what))

    def _come(self, turn: Turn, now_ms: int) -> None:
        if turn.person is None:
            self._next_turn(turn.what, float(now_ms))
        if turn.what == _CALLS:
            self._call(now_ms)
        elif turn.what == _ROBOT:
            self._crawl(now_ms)
        else:
            self._visit(turn.person or self._people.comes(self._dice[_ARRIVES]), turn.cause, now_ms)

    # --- sessions -----------------------------------------------------------------------------------------------------

    def _begin(self) -> tuple[str, Dice]:
        """The prefix of the ids of a new session, and its dice."""
        self._sessions += 1
        return f"w{self._prefix}.{self._sessions}", dice_of(self._prefix, "session", self._sessions)

    def _visit(self, person: Person, again: Cause | None, now_ms: int) -> None:
        last = self._stays.get(person.visitor_id)
        if last is not None and now_ms < last.ends_ms():
            return  # somebody is at this browser, or talks to an agent
        prefix, dice = self._begin()
        visitor = Visitor(
            self.site, self.plan, person, Browser(person.visitor_id, prefix, now_ms, dice), dice
        )
        visitor.visit(again)
        session = TrueSession(
            person.visitor_id, now_ms, visitor.browser.now_ms, False, person.customer_id,
            person.link if visitor.linked else "never",
        )  # fmt: skip
        trail = self._programme.trail(visitor.browser.events)
        stay = Stay(session, trail, visitor.spell, None, None)
        if visitor.contact is not None:
            self._decide(stay, visitor.contact, person, dice)
        elif visitor.spell is not None and visitor.spell.ends == "left" and dice.chance(self.plan.retry):
            at_ms = session.end_ms + dice.lognormal(_RETRY_S, _RETRY_SIGMA)
            self._programme.turn(at_ms, Turn(_ARRIVES, person, self.site.cause_of[visitor.spell.page]))
        self._remember(stay)

    def _decide(self, stay: Stay, decided: Decided, person: Person, dice: Dice) -> None:
        linked = stay.session.link != "never"
        stay.contact = self._new_contact(
            decided.at_ms, decided.channel, decided.queue, decided.reason, person.customer_id if person.known else None
        )  # fmt: skip
        stay.contact.visitor_id, stay.contact.session_ms = person.visitor_id, stay.session.start_ms
        stay.contact.cause, stay.contact.joined = decided.cause, linked and person.known
        stay.contact.lead_ms = decided.at_ms - decided.left_ms
        stay.contact_trail = self._programme.trail(life_of(stay.contact, decided.channel, dice))

    def _remember(self, stay: Stay) -> None:
        if len(self._stays) > 2 * len(self._programme) + 1000:
            self._stays = {
                who: each for who, each in self._stays.items() if each.ends_ms() > self._programme.now_ms
            }
        self._stays[stay.session.visitor_id] = stay
        if self._keep_truth:
            self.truth.sessions.append(stay.session)
            if stay.spell is not None:
                self.truth.stuck.append(stay.spell)

    def _crawl(self, now_ms: int) -> None:
        """A robot sees one page after another, and is engaged with none."""
        prefix, dice = self._begin()
        visitor_id = pseudonym("v1_", self.seed, "robot", int(20 * dice.random()), prefix)
        browser, declares = Browser(visitor_id, prefix, now_ms, dice), dice.chance(0.5)
        page = any_of(dice, self.site.pages).path
        for _ in range(20 + int(130 * dice.random())):
            browser.open(page, bot=declares)
            browser.now_ms += dice.between(0.6, 3.0)
            page = (
                pick(dice, *self.site.ways[page]) if dice.chance(0.5) else any_of(dice, self.site.pages).path
            )
        browser.leave()
        self._remember(
            Stay(
                TrueSession(visitor_id, now_ms, browser.now_ms, True),
                self._programme.trail(browser.events),
                None,
                None,
                None,
            )
        )

    # --- contacts -----------------------------------------------------------------------------------------------------

    def _new_contact(
        self, at_ms: int, channel: Channel, queue: str, reason: str | None, customer_id: str | None
    ) -> TrueContact:
        self._contacts += 1
        contact = TrueContact(f"w{self._prefix}-{self._contacts}", at_ms, channel, queue, reason, customer_id)
        if self._keep_truth:
            self.truth.contacts.append(contact)
        return contact

    def _call(self, now_ms: int) -> None:
        """Somebody contacts without any page having to do with it: a customer of the site, or somebody else."""
        dice, site = self._dice[_CALLS], self.site
        channel, queue = weighted(dice, [((c, q), weight) for c, q, weight in site.base_channels])
        if dice.chance(0.5):
            person = self._people.customer(int(dice.random() * self.plan.customers()), dice)
            customer_id = person.customer_id if person.known else None
        else:
            customer_id = pseudonym("c1_", self.seed, "elsewhere", self._contacts)
        contact = self._new_contact(now_ms, channel, queue, any_of(dice, site.base_reasons), customer_id)
        self._programme.trail(life_of(contact, channel, dice_of(self._prefix, "contact", contact.contact_id)))

    # --- offers -------------------------------------------------------------------------------------------------------

    def offered(self, visitor_id: str, at_ms: int, kind: str, flag_id: str) -> bool:
        """Show an offer to a visitor who is still on the site; False: there was nobody to show it to.

        With the plan's probability it makes the contact that was to come unnecessary: the visitor gets on and leaves.
        What chance says depends on the visitor and the flag alone. `at_ms`: of the flag; what was already sent stays.
        """
        stay = self._stays.get(visitor_id)
        if stay is None:
            return False
        dice = dice_of(self.seed, "offer", visitor_id, flag_id)
        offer = Offered(kind, flag_id, f"w{self._prefix}.o{flag_id}", max(at_ms, self._programme.now_ms))
        shown = show(stay, offer, self.site, self.plan, dice)
        if shown is None:
            return False
        self._programme.trail(shown.events)
        if self._keep_truth:
            self.truth.offers.append(shown.truth)
        return True
