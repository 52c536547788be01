"""What does an agent's screen get when a contact arrives? The customer's journey in plain words; who asked is told.

Refuses to know who may ask (`agents.wallboard.guard`) and where journeys are kept.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from agents.journeys.customer_keys import CustomerKeys
from agents.wallboard.hub import Journeys
from schemas.errors import InputError
from schemas.events import MAX_NAME
from schemas.journeys import Flag, Journey, JourneyContact, JourneySearch, JourneySession, Reason
from streams.decode import is_clean
from streams.journeys.words import words

audit_log = logging.getLogger("queuelight.audit")
"""One line of JSON for each question, answered or not."""


READ_RESULTS = ("found", "unknown", "refused", "limited", "failed")


class Asker(Struct, frozen=True):
    """Who asks: the id and the label of a token."""

    token: str
    label: str


class StuckThen(Struct, frozen=True, kw_only=True):
    """When and where the customer was stuck, and why, in words. `cleared` null: still so."""

    page: str
    raised_ms: int
    cleared_ms: int | None
    cleared: str | None
    probability: float
    reasons: tuple[str, ...]
    offered: str | None
    """The kind of help that was foreseen."""


class PageSeen(Struct, frozen=True, kw_only=True):
    """One page view. `signals`: what went wrong on it, in words."""

    page: str
    at_ms: int
    engaged_s: float
    signals: tuple[str, ...]


class SessionSeen(Struct, frozen=True, kw_only=True):
    """One visit of the web site, pages in the order of time."""

    session_id: str
    start_ms: int
    end_ms: int
    pages: tuple[PageSeen, ...]
    searches: tuple[JourneySearch, ...]
    errors: int
    stuck: tuple[StuckThen, ...]


class JourneyAnswer(Struct, frozen=True, kw_only=True):
    """What is known of a customer, the newest first. `customer` is the pseudonym, whatever name was asked for."""

    customer: str
    stuck_now: bool
    sessions: tuple[SessionSeen, ...]
    contacts: tuple[JourneyContact, ...]


class Desk:
    """Answers questions for journeys, and tells of each.

    Args:
        journeys: where they are kept.
        keys: how customers are called; None: only pseudonyms are understood.
    """

    def __init__(self, journeys: Journeys, keys: CustomerKeys | None) -> None:
        self._journeys = journeys
        self._keys = keys
        self.reads: Counter[str] = Counter(dict.fromkeys(READ_RESULTS, 0))
        """Questions by how they were answered."""

    async def journey(self, customer: str, lang: str, asker: Asker, at_ms: int) -> JourneyAnswer | None:
        """What is known of a customer; None: nothing.

        Args:
            customer: the id as other systems have it, or a pseudonym.
            lang: "ja" or "en".
            asker: who asks.
            at_ms: when, for the audit.

        Raises:
            InputError: that is no customer's id.
            StoreDown: the store does not answer.
        """
        if not customer or len(customer) > MAX_NAME or not is_clean(customer):
            raise InputError(
                f"expected a customer id of at most {MAX_NAME} characters without control characters"
            )
        names = [customer] if self._keys is None else self._keys.all_of(customer)
        found = await self._journeys.journey(names)
        result = "unknown" if found is None else "found"
        self.reads[result] += 1
        # Without keys nobody can tell a pseudonym from a name, and a name must not be in a log.
        said = names[0] if self._keys is not None else "-"
        self._tell(asker, at_ms, said if found is None else found.customer_id, result)
        return None if found is None else answer(found, lang)

    def _tell(self, asker: Asker, at_ms: int, customer: str, result: str) -> None:
        told = {
            "event": "journey.read", "at_ms": at_ms, "token": asker.token, "label": asker.label,
            "customer": customer, "result": result,
        }  # fmt: skip
        audit_log.info("%s", json.dumps(told, ensure_ascii=False))


def answer(journey: Journey, lang: str) -> JourneyAnswer:
    """A journey in words of one language."""
    sessions = tuple(_session(each, lang) for each in journey.sessions)
    return JourneyAnswer(
        customer=journey.customer_id,
        stuck_now=any(flag.cleared_ms is None for session in journey.sessions for flag in session.flags),
        sessions=sessions,
        contacts=journey.contacts,
    )


def _session(session: JourneySession, lang: str) -> SessionSeen:
    return SessionSeen(
        session_id=session.session_id,
        start_ms=session.start_ms,
        end_ms=session.end_ms,
        pages=tuple(
            PageSeen(
                page=each.page,
                at_ms=each.at_ms,
                engaged_s=each.engaged_s,
                signals=tuple(words(Reason(code=code, log_odds=0.0), lang) for code in each.signals),
            )
            for each in session.pages
        ),
        searches=session.searches,
        errors=session.errors,
        stuck=tuple(_stuck(each, lang) for each in session.flags),
    )


def _stuck(flag: Flag, lang: str) -> StuckThen:
    return StuckThen(
        page=flag.page,
        raised_ms=flag.raised_ms,
        cleared_ms=flag.cleared_ms,
        cleared=flag.cleared,
        probability=flag.probability,
        reasons=reason_texts(flag.reasons, lang),
        offered=flag.kind,
    )


def reason_texts(reasons: Sequence[Reason], lang: str) -> tuple[str, ...]:
    """What speaks for a contact, in words, the greatest first; what holds for every visitor is left out."""
    for_it = [each for each in reasons if each.log_odds > 0 and each.code != "base"]
    return tuple(words(each, lang) for each in sorted(for_it, key=lambda each: -each.log_odds))
