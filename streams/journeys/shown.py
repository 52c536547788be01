"""What are people shown of a visitor? Flags, who is worth watching now, and what a session looked like, as structs.

Refuses to decide anything: sessions and flags are derived elsewhere.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from schemas.journeys import Cleared, Flag, JourneyPage, JourneySearch, JourneySession, VisitorNow
from streams.journeys import facts as f
from streams.journeys import signals as s
from streams.journeys.arms import arm_of
from streams.journeys.derived import begin
from streams.journeys.flags import Raised, flag_id, session_id
from streams.journeys.session import LEAST_S, PING_MS, PING_S, Session, World
from streams.journeys.stuck_model import reasons

MOST_VIEWS = 100
"""The newest views of a session that are shown, and as many searches."""


class Link(NamedTuple):
    """A visitor is a customer since `at_ms`; `withdrawn`: it is not so any more that we know of it."""

    visitor_id: str
    customer_id: str
    at_ms: int
    withdrawn: bool = False


class FlagChange(NamedTuple):
    """What is new of a flag. "withdrawn": facts that came later say that it never was."""

    change: Literal["raised", "cleared", "withdrawn"]
    flag: Flag


def flag_of(visitor_id: str, session: Session, raised: Raised) -> Flag:
    """A flag as it is told."""
    world = session.world
    policy = world.policy
    page = world.pages.names[raised.page]
    offer = policy.offer_for(page)
    model = world.judges.at(raised.raised_ms).model
    return Flag(
        id=flag_id(visitor_id, session.start_ms, raised.raised_ms),
        visitor_id=visitor_id,
        session_id=session_id(visitor_id, session.start_ms),
        page=page,
        raised_ms=raised.raised_ms,
        probability=raised.probability,
        threshold=world.threshold,
        arm=arm_of(visitor_id, policy),
        queue=None if offer is None else offer.queue,
        kind=None if offer is None else offer.kind,
        customer_id=raised.customer or None,
        reasons=reasons(model, page, raised.pattern),
        model_version=raised.version,
        cleared_ms=None if raised.cleared_ms < 0 else raised.cleared_ms,
        cleared=_cleared(raised.cleared),
    )


def without_end(flag: Flag) -> Flag:
    """A flag as it was when it was raised."""
    return replace(flag, cleared_ms=None, cleared=None)


def _cleared(how: str) -> Cleared | None:
    return how or None  # type: ignore[return-value]


def visitor_now(visitor_id: str, session: Session) -> VisitorNow:
    """A visitor as it stands in its newest session."""
    world = session.world
    page = world.pages.names[session.subject]
    visit = session.visits.get(session.subject)
    model = world.judges.at(session.last_ms).model
    is_open = session.life.open if session.life is not None else None
    return VisitorNow(
        visitor_id=visitor_id,
        session_id=session_id(visitor_id, session.start_ms),
        page=world.pages.names[session.page],
        seen_ms=session.last_ms,
        probability=session.probability,
        reasons=reasons(
            model, page, max(session.pattern, 0), engaged_s=None if visit is None else visit.engaged_s
        ),
        flag=None if is_open is None else flag_of(visitor_id, session, is_open),
        customer_id=session.customer_at(session.last_ms) or None,
    )


def journey_sessions(
    world: World,
    visitor_id: str,
    group: Sequence[f.Fact],
    session: Session,
    customers: Iterable[str],
) -> dict[str, JourneySession]:
    """What each customer did in a session that has been derived: only what was done while the visitor was theirs.

    Args:
        group: the session's facts, in order.
    """
    arisen = _signals_by_view(session, group)
    slots: dict[int, set[int]] = {}
    for fact in group:
        if fact[1] == f.PING:
            slots.setdefault(fact[4], set()).add(fact[0] // PING_MS)
    sid = session_id(visitor_id, session.start_ms)
    out = {}
    for customer in customers:
        own = [fact for fact in group if session.customer_at(fact[0]) == customer]
        if not own:
            continue
        pages = tuple(
            JourneyPage(
                page=world.pages.names[fact[3]],
                at_ms=fact[0],
                engaged_s=float(PING_S * (len(slots[fact[4]]) - 1) + LEAST_S) if fact[4] in slots else 0.0,
                signals=arisen.get(fact[4], ()),
            )
            for fact in own
            if fact[1] == f.VIEW
        )
        searches = tuple(
            JourneySearch(at_ms=fact[0], hits=None if fact[5] < 0 else fact[5], term=fact[7] or None)
            for fact in own
            if fact[1] == f.SEARCH
        )
        life = session.life
        out[customer] = JourneySession(
            session_id=sid,
            visitor_id=visitor_id,
            start_ms=own[0][0],
            end_ms=own[-1][0],
            pages=pages[-MOST_VIEWS:],
            searches=searches[-MOST_VIEWS:],
            errors=sum(fact[1] == f.ERROR for fact in own),
            flags=tuple(
                flag_of(visitor_id, session, flag)
                for flag in (life.flags if life is not None and not session.bot else ())
                if session.customer_at(flag.raised_ms) == customer
            ),
        )
    return out


def _signals_by_view(session: Session, group: Sequence[f.Fact]) -> dict[int, tuple[str, ...]]:
    """View -> names of the signals that arose on it: the session once more, looking after each fact."""
    if not session.ever:
        return {}
    again = begin(session.world, session.start_ms, (), (), ())
    out: dict[int, tuple[str, ...]] = {}
    for fact in group:
        known = again.arisen_at()
        again.take(fact[0], fact[1], fact[3], fact[4], fact[5], fact[6])
        for bit, arose_ms in again.arisen_at().items():
            if known.get(bit) != arose_ms:
                name = s.SIGNALS[bit.bit_length() - 1]
                before = out.get(fact[4], ())
                if name not in before:
                    out[fact[4]] = (*before, name)
    return out
