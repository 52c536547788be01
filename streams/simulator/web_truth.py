"""What did the simulated visitors really go through? Who was stuck where, who contacted why, and what offers did.

Refuses to know what the pipeline can see of it: `joined` says only whether a link between visitor and customer exists
and the contact centre knows the customer.
"""

import msgspec
from msgspec import Struct


class TrueSession(Struct, gc=False):
    """One session of one browser, as planned. `customer_id`: who it is; `link`: how that becomes known, or "never"."""

    visitor_id: str
    start_ms: int
    end_ms: int
    bot: bool = False
    customer_id: str | None = None
    link: str = "never"


class TrueContact(Struct, gc=False):
    """One contact. `cause`: the page to blame, None if none. `lead_ms`: from the last stay there to the contact.

    `prevented_by`: the flag whose offer made it unnecessary: it never took place.
    """

    contact_id: str
    at_ms: int
    channel: str
    queue: str
    reason: str | None
    customer_id: str | None
    visitor_id: str | None = None
    session_ms: int | None = None
    cause: str | None = None
    lead_ms: int | None = None
    joined: bool = False
    prevented_by: str | None = None


class StuckSpell(Struct, gc=False):
    """A visitor was stuck from `from_ms` on. `ends`: "contacted", "helped" (by a help page), "left", or "offered".

    `to_ms`: the contact, the answer, or the end of the session.
    """

    visitor_id: str
    session_ms: int
    page: str
    from_ms: int
    to_ms: int
    ends: str


class TrueOffer(Struct, gc=False):
    """An offer that was shown. `contact_ms`: of the contact that was still to come, if any."""

    visitor_id: str
    flag_id: str
    kind: str
    shown_ms: int
    contact_ms: int | None
    joined: bool
    prevented: bool


class WebTruth(Struct):
    """Everything decided in one run."""

    causing: tuple[str, ...]
    announcing: tuple[str, ...]
    contact_pages: tuple[str, ...]
    sessions: list[TrueSession] = msgspec.field(default_factory=list)
    contacts: list[TrueContact] = msgspec.field(default_factory=list)
    stuck: list[StuckSpell] = msgspec.field(default_factory=list)
    offers: list[TrueOffer] = msgspec.field(default_factory=list)

    def by_visitor(self) -> dict[str, list[TrueContact]]:
        """The contacts that took place, of visitors."""
        found: dict[str, list[TrueContact]] = {}
        for each in self.contacts:
            if each.visitor_id is not None and each.prevented_by is None:
                found.setdefault(each.visitor_id, []).append(each)
        return found
