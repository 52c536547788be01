"""What does an offer change for a visitor? It is shown, taken or not, and may make a contact to come unnecessary.

Refuses to know who is offered what, and why.
"""

from typing import NamedTuple

import schemas.web_events as w
from streams.simulator.agenda import Dice
from streams.simulator.web_browser import Browser, Dated
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_site import WebSite
from streams.simulator.web_trails import Stay, Trail
from streams.simulator.web_truth import TrueContact, TrueOffer

_SHOWN_AFTER_MS = 1500
_ANSWERS_S = (2.0, 15.0)


class Offered(NamedTuple):
    """An offer on its way: `prefix` of the ids of its events, `at_ms` when it leaves."""

    kind: str
    flag_id: str
    prefix: str
    at_ms: int


class Shown(NamedTuple):
    """What comes of an offer that was seen."""

    events: list[Dated]
    truth: TrueOffer


def show(stay: Stay, offer: Offered, site: WebSite, plan: WebPlan, dice: Dice) -> Shown | None:
    """Show it, and let it work; None if the visitor has left. What is to come of the stay changes in place."""
    shown_ms = offer.at_ms + _SHOWN_AFTER_MS
    page = page_at(stay.trail, shown_ms)
    if page is None:
        return None
    visitor_id, kind, flag_id = stay.session.visitor_id, offer.kind, offer.flag_id
    answer, answered_ms = dice.random(), shown_ms + dice.between(*_ANSWERS_S)
    works = dice.chance(plan.offer_effect)
    browser = Browser(visitor_id, offer.prefix, shown_ms, dice)
    browser.offer(shown_ms, w.InterventionShown, kind, page, flag_id)
    if answer < plan.accepts:
        browser.offer(answered_ms, w.InterventionAccepted, kind, page, flag_id)
    elif answer < plan.accepts + plan.declines:
        browser.offer(answered_ms, w.InterventionDeclined, kind, page, flag_id)
    contact = _to_come(stay, answered_ms)
    truth = TrueOffer(
        visitor_id, flag_id, kind, shown_ms, None if contact is None else contact.at_ms,
        contact is not None and contact.joined, works and contact is not None,
    )  # fmt: skip
    if contact is not None and works:
        contact.prevented_by = flag_id
        _get_on(stay, contact, site, browser, answered_ms, dice)
    return Shown(browser.events, truth)


def _to_come(stay: Stay, at_ms: int) -> TrueContact | None:
    contact = stay.contact
    return contact if contact is not None and contact.at_ms > at_ms and contact.prevented_by is None else None


def _get_on(
    stay: Stay, contact: TrueContact, site: WebSite, browser: Browser, at_ms: int, dice: Dice
) -> None:
    """No contact, no more of what the visitor would have done; the page that says thank you instead."""
    if stay.contact_trail is not None:
        stay.contact_trail.cut(contact.at_ms)
    stay.trail.cut(at_ms)
    if stay.spell is not None:
        stay.spell.to_ms, stay.spell.ends = at_ms, "offered"
    browser.now_ms = at_ms + dice.between(15.0, 90.0)
    browser.open(site.thanks.get(contact.cause or "", site.progress[""]))
    browser.stay(dice.lognormal(9.0, 0.6) / 1000)
    browser.leave()
    stay.session.end_ms = browser.now_ms


def page_at(trail: Trail, at_ms: int) -> str | None:
    """The page shown at a time; None: the session is over, or nothing is shown."""
    page = None
    for dated in trail.events:
        if dated.at_ms > at_ms:
            return page
        event = dated.sent[2]
        if isinstance(event, w.WebPageView):
            page = event.data.page
        elif isinstance(event, w.WebPageLeave):
            page = None
    return None
