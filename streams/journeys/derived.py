"""What are a visitor's sessions, from all that is known? The long way: facts in order, contacts and links among them.

Refuses to know how facts arrive; `streams.journeys.visitor_fold` takes a short way for those that come in order, and
both end in the same sessions.
"""

from collections.abc import Sequence
from typing import Final

from streams.journeys import facts as f
from streams.journeys import signals as s
from streams.journeys.session import NEVER, Session, World

_CONTACTED: Final = 99
"""Among facts of the same millisecond a contact comes last."""

Link = tuple[int, str]
"""(at_ms, customer or "")"""


def derive(
    world: World, facts: Sequence[f.Fact], contacts: Sequence[f.Contact], told_ms: int
) -> list[Session]:
    """All sessions in order.

    Args:
        facts: sorted, each event once.
        contacts: of customers whose the visitor is or was, sorted by time.
        told_ms: the clock: whoever did nothing for long has left.
    """
    groups = grouped(facts, world.gap_ms)
    links = [(fact[0], fact[7]) for fact in facts if fact[1] == f.LINK]
    known = [contact for contact in contacts if not contact[8]]
    out: list[Session] = []
    for index, group in enumerate(groups):
        next_ms = groups[index + 1][0][0] if index + 1 < len(groups) else NEVER
        session = begin(world, group[0][0], out, links, known)
        run(session, group, next_ms, links, known)
        if next_ms != NEVER or told_ms >= session.last_ms + world.left_ms:
            session.leave()
        out.append(session)
    return out


def grouped(facts: Sequence[f.Fact], gap_ms: int) -> list[list[f.Fact]]:
    """What the browser did, session by session."""
    out: list[list[f.Fact]] = []
    last_ms = -1
    for fact in facts:
        if fact[1] > f.SEARCH:
            continue
        if last_ms >= 0 and fact[0] - last_ms <= gap_ms:
            out[-1].append(fact)
        elif fact[1] == f.LEAVE:
            continue
        else:
            out.append([fact])
        last_ms = fact[0]
    return out


def begin(
    world: World,
    start_ms: int,
    earlier: Sequence[Session],
    links: Sequence[Link],
    contacts: Sequence[f.Contact],
) -> Session:
    """The session that begins at a time, after the earlier ones of the visitor, before its first event."""
    carry = ""
    for at_ms, customer in links:
        if at_ms < start_ms:
            carry = customer
    day = world.days.of(start_ms)
    humans = [session for session in earlier if not session.bot]
    session = Session(
        world,
        start_ms,
        carry,
        returning=bool(earlier) and start_ms - earlier[-1].last_ms <= s.RETURNING_MS,
        is_first=not any(each.day == day for each in humans),
    )
    if humans:
        session.day_pages = {visit.day << 16 | page for each in humans for page, visit in each.visits.items()}
    before = [contact for contact in contacts if contact[2] < start_ms]
    if before:
        session.remember(before)
    return session


def run(
    session: Session,
    group: Sequence[f.Fact],
    next_ms: int,
    links: Sequence[Link],
    contacts: Sequence[f.Contact],
) -> None:
    """Let everything happen to a session that did, in order."""
    world = session.world
    session.until_ms = next_ms
    start_ms, last_ms = session.start_ms, group[-1][0]
    until_ms = min(last_ms + world.gap_ms, next_ms - 1)
    own = [link for link in links if start_ms <= link[0] <= until_ms]
    if own:
        session.links = own
    heard_ms = last_ms + max(world.within_ms, world.help_ms)
    beside = [(at_ms, f.LINK, index) for index, (at_ms, _) in enumerate(own)]
    beside += [
        (contact[2], _CONTACTED, index)
        for index, contact in enumerate(contacts)
        if start_ms <= contact[2] <= heard_ms
    ]
    if not beside:
        for at_ms, kind, _, page, view, a, b, _, _ in group:
            session.take(at_ms, kind, page, view, a, b)
        return
    beside.sort()
    place = 0
    for at_ms, kind, _, page, view, a, b, _, _ in group:
        while place < len(beside) and beside[place][:2] < (at_ms, kind):
            _aside(session, beside[place], own, contacts)
            place += 1
        session.take(at_ms, kind, page, view, a, b)
    for each in beside[place:]:
        _aside(session, each, own, contacts)


def _aside(
    session: Session, beside: tuple[int, int, int], links: Sequence[Link], contacts: Sequence[f.Contact]
) -> None:
    at_ms, kind, index = beside
    if kind == f.LINK:
        session.link(at_ms, links[index][1])
    else:
        session.contact(contacts[index])
