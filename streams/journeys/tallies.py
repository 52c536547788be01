"""What does a session add to the counters of its pages and of the site? At once, when it is known, and after a day.

Counters and rows are those of `schemas.web_rows`. Counters of a page are of the business day on which its visit began,
those of the site, of moments and of offers of the day on which the session began.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from schemas.web_rows import (
    SITE_ROW,
    before_row,
    moments_row,
    offers_row,
    page_row,
    reason_row,
    switch_row,
)
from streams.journeys import facts as f
from streams.journeys import signals as s
from streams.journeys.arms import arm_of
from streams.journeys.flags import flag_id
from streams.journeys.page_names import CONTENT, HELP
from streams.journeys.session import Session, Visit, World, moment_at, moment_page, moment_pattern
from streams.journeys.sketch import bucket

Add: TypeAlias = Callable[[str, int, str, int], None]
"""(row, day, counter, value)"""

_INTERVENTIONS = {f.SHOWN: "shown", f.ACCEPTED: "accepted", f.DECLINED: "declined"}


class Tally:
    """Counters of rows and days, to be compared with others."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int, str], int] = {}

    def add(self, row: str, day: int, counter: str, value: int) -> None:
        """Add to a counter."""
        key = row, day, counter
        self.counts[key] = self.counts.get(key, 0) + value


def exchange(before: Tally, after: Tally, add: Add) -> None:
    """Tell what a later tally has more or less than an earlier one."""
    old, new = before.counts, after.counts
    for key, value in new.items():
        more = value - old.get(key, 0)
        if more:
            add(key[0], key[1], key[2], more)
    for key, value in old.items():
        if key not in new and value:
            add(key[0], key[1], key[2], -value)


def tally(
    visitor_id: str, sessions: Sequence[Session], facts: Iterable[f.Fact], told_ms: int, world: World
) -> Tally:
    """Everything a visitor counts for when the clock stands at `told_ms`."""
    out = Tally()
    for session in sessions:
        at_once(session, out.add)
        if is_known(session, told_ms):
            known(visitor_id, session, out.add)
        if is_day_known(session, told_ms):
            day_known(visitor_id, session, out.add)
    interventions(visitor_id, sessions, facts, world, out.add)
    return out


def is_known(session: Session, told_ms: int) -> bool:
    """Whether T has passed since the session's last event."""
    return told_ms >= session.last_ms + session.world.within_ms


def is_day_known(session: Session, told_ms: int) -> bool:
    """Whether 24 h have, and somebody asks."""
    return told_ms >= session.last_ms + session.world.help_ms and asks_for_day(session)


def asks_for_day(session: Session) -> bool:
    """Whether it matters who contacts within 24 h: there was help, or a flag."""
    return not session.bot and (session.help_ms >= 0 or session.life is not None)


def at_once(session: Session, add: Add) -> None:
    """What counts as soon as it happens."""
    day = session.day
    if session.bot:
        add(SITE_ROW, day, "bots", 1)
        return
    add(SITE_ROW, day, "sessions", 1)
    if session.views:
        add(SITE_ROW, day, "views", session.views)
    if session.is_first:
        add(SITE_ROW, day, "visitors", 1)
    if session.is_linked():
        add(SITE_ROW, day, "linked", 1)
    names = session.world.pages.names
    for visit in session.visits.values():
        row = page_row(names[visit.page])
        add(row, visit.day, "sessions", 1)
        if visit.views:
            add(row, visit.day, "views", visit.views)
        if visit.is_first:
            add(row, visit.day, "visitors", 1)
    if session.life is not None:
        for flag in session.life.flags:
            add(SITE_ROW, day, "flags", 1)
            if flag.cleared_ms >= 0:
                add(SITE_ROW, day, "cleared_" + flag.cleared, 1)
    _switched(session, add)


def _switched(session: Session, add: Add) -> None:
    """Who went on to another channel within 24 h, before coming back to the site."""
    until_ms = min(session.last_ms + session.world.help_ms, session.until_ms - 1)
    if session.contacts is None:
        return
    customers = session.customers()
    for contact in session.contacts:
        if session.start_ms <= contact[2] <= until_ms and contact[1] in customers:
            add(switch_row("web", contact[3]), session.day, "k", 1)
            return


def known(visitor_id: str, session: Session, add: Add) -> None:
    """What counts when the session's outcome is known."""
    if session.bot:
        return
    world, day = session.world, session.day
    names, classes = world.pages.names, world.pages.classes
    add(SITE_ROW, day, "known", 1)
    if any(visit.contact_ms >= 0 for visit in session.visits.values()):
        add(SITE_ROW, day, "contacted", 1)
    elif session.ever & s.TROUBLE and not session.progress:
        add(SITE_ROW, day, "silent", 1)
    n = k = 0
    for visit in session.visits.values():
        page_class = classes[visit.page]
        if page_class in (CONTENT, HELP):
            n += 1
            if visit.contact_ms >= 0:
                k += 1
        _visit_known(visit, names[visit.page], names[visit.before], add)
    if n:
        add(SITE_ROW, day, "n", n)
    if k:
        add(SITE_ROW, day, "k", k)
    _moments_known(session, add)
    for row, arm, raised_ms in offers(visitor_id, session):
        add(row, day, arm + "_n", 1)
        if session.contacted(raised_ms, raised_ms + world.within_ms) is not None:
            add(row, day, arm + "_k", 1)


def _visit_known(visit: Visit, page: str, before: str, add: Add) -> None:
    row, day = page_row(page), visit.day
    add(row, day, "n", 1)
    engaged = bucket(visit.engaged_s)
    add(row, day, f"e{engaged}", 1)
    contacted = visit.contact_ms >= 0
    if contacted:
        add(row, day, "k", 1)
        add(row, day, f"c{engaged}", 1)
        add(row, day, f"l{bucket(visit.lead_ms / 1000)}", 1)
        if visit.reason:
            add(reason_row(page, visit.reason), day, "k", 1)
    if visit.was_engaged_first:
        beside = before_row(page, before)
        add(row, day, "bn", 1)
        add(beside, day, "n", 1)
        if contacted:
            add(row, day, "bk", 1)
            add(beside, day, "k", 1)


def _moments_known(session: Session, add: Add) -> None:
    names, within_ms = session.world.pages.names, session.world.within_ms
    for moment in session.moments:
        row, pattern = moments_row(names[moment_page(moment)]), moment_pattern(moment)
        add(row, session.day, f"n{pattern:x}", 1)
        if session.contacts is not None:
            at_ms = moment_at(session, moment)
            if session.contacted(at_ms, at_ms + within_ms) is not None:
                add(row, session.day, f"k{pattern:x}", 1)


def offers(visitor_id: str, session: Session) -> list[tuple[str, str, int]]:
    """(row, arm, when) of the first flag on each page for which help is foreseen."""
    if session.life is None or session.bot:
        return []
    policy = session.world.policy
    out: dict[str, tuple[str, str, int]] = {}
    for flag in session.life.flags:
        page = session.world.pages.names[flag.page]
        offer = policy.offer_for(page)
        if offer is not None:
            row = offers_row(page, offer.kind)
            out.setdefault(row, (row, arm_of(visitor_id, policy), flag.raised_ms))
    return list(out.values())


def day_known(visitor_id: str, session: Session, add: Add) -> None:
    """What counts when it is known who contacted within 24 h."""
    if session.bot:
        return
    world, day = session.world, session.day
    until_ms = session.last_ms + world.help_ms
    if session.help_ms >= 0:
        add(SITE_ROW, day, "help_n", 1)
        if session.contacted(session.help_ms, until_ms) is not None:
            add(SITE_ROW, day, "help_k", 1)
        for visit in session.visits.values():
            if world.pages.classes[visit.page] == HELP:
                row = page_row(world.pages.names[visit.page])
                add(row, visit.day, "help_n", 1)
                if session.contacted(visit.first_ms, until_ms) is not None:
                    add(row, visit.day, "help_k", 1)
    for row, arm, raised_ms in offers(visitor_id, session):
        add(row, day, arm + "_n24", 1)
        if session.contacted(raised_ms, raised_ms + world.help_ms) is None:
            add(row, day, arm + "_r24", 1)


def interventions(
    visitor_id: str, sessions: Sequence[Session], facts: Iterable[f.Fact], world: World, add: Add
) -> None:
    """Offers shown, accepted and declined: under the page and kind of their flag, else under those of the event."""
    acts = [fact for fact in facts if fact[1] in _INTERVENTIONS]
    if not acts:
        return
    names, policy = world.pages.names, world.policy
    pages: dict[str, str] = {}
    for session in sessions:
        if session.life is not None and not session.bot:
            for flag in session.life.flags:
                pages[flag_id(visitor_id, session.start_ms, flag.raised_ms)] = names[flag.page]
    for at_ms, kind, _, page, _, _, _, help_kind, of_flag in acts:
        name = pages.get(of_flag)
        offer = None if name is None else policy.offer_for(name)
        if name is None:
            name = names[page]
        row = offers_row(name, help_kind if offer is None else offer.kind)
        add(row, world.days.of(at_ms), _INTERVENTIONS[kind], 1)
