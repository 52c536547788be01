"""What is known of visitors, pages and offers? What flags, boards, screen pop and the terminal are given to show.

Shares are 0-1, seconds end in ``_s``, instants in ``_ms`` (Unix epoch). A ratio of nothing is null. Intervals are 95 %.
Refuses to know how any of it is computed: `streams.journeys` does that.
"""

from typing import Literal

import msgspec
from msgspec import Struct

FEATURES: tuple[str, ...] = (
    "loop", "quick_back", "rage_click", "dead_click", "error", "form_error", "zero_hits", "help_viewed",
    "contact_page", "returning", "contacted_before", "engaged_30", "engaged_60", "engaged_120", "engaged_300",
)  # fmt: skip
"""What speaks for or against a contact, in the order of the bits of a pattern (bit 0 is `loop`).

All are of the session so far, signals of its last 15 min. `engaged_N`: at least N s of engaged time on the subject page
(see `subject`), cumulative. `returning`: the visitor had another session within 24 h. `contacted_before`: the customer
contacted within 7 days before.
"""
FEATURE_BIT: dict[str, int] = {name: 1 << index for index, name in enumerate(FEATURES)}

Arm = Literal["offer", "holdout"]
Cleared = Literal["progress", "contact", "left"]
PageClass = Literal["content", "help", "contact", "progress"]


class StuckModel(Struct, frozen=True, kw_only=True):
    """How likely is a contact within T? log-odds = `base` + effect of the subject page + weights of the pattern's bits.

    `evidence`: feature -> moments with it behind its weight. `moments`, `contacts`: of all of them, decayed.
    """

    version: int
    valid_from_ms: int
    base: float
    pages: dict[str, float] = {}
    weights: dict[str, float] = {}
    evidence: dict[str, float] = {}
    moments: float = 0.0
    contacts: float = 0.0


class Reason(Struct, frozen=True, kw_only=True):
    """One reason of a probability: `code` is a feature, "page" or "base"; `log_odds` its contribution."""

    code: str
    log_odds: float
    detail: str | None = None
    """The page, or engaged seconds there, where the code alone does not say enough."""


class Flag(Struct, frozen=True, kw_only=True):
    """A visitor is stuck: a fact with an id. The same events give the same flags.

    `id`: made of visitor, session and `raised_ms`. `queue`: who could help. `kind`: what would be offered; `arm`:
    whether it may be (a stable hash of the visitor: a tenth is held out). `cleared_ms` None: still stuck.
    """

    id: str
    visitor_id: str
    session_id: str
    page: str
    raised_ms: int
    probability: float
    threshold: float
    arm: Arm
    queue: str | None = None
    kind: str | None = None
    customer_id: str | None = None
    reasons: tuple[Reason, ...] = ()
    model_version: int = 0
    cleared_ms: int | None = None
    cleared: Cleared | None = None


class VisitorNow(Struct, frozen=True, kw_only=True):
    """A visitor worth watching now: one whose probability is at least half the threshold, or who is stuck.

    `offer`: true = suggest `flag.kind` now; false = do not, and `withheld` says why (holdout, no agent free ...).
    Filled where the flag is told, from the live state of the queue; it is no part of the fact.
    """

    visitor_id: str
    session_id: str
    page: str
    seen_ms: int
    probability: float
    reasons: tuple[Reason, ...]
    flag: Flag | None = None
    customer_id: str | None = None
    offer: bool = False
    withheld: str | None = None


class JourneyPage(Struct, frozen=True, kw_only=True):
    """One view within a journey, in the order of time."""

    page: str
    at_ms: int
    engaged_s: float = 0.0
    signals: tuple[str, ...] = ()
    """Names of `FEATURES` that arose on this view: loop, quick_back, rage_click ..."""


class JourneySearch(Struct, frozen=True, kw_only=True):
    """One search. `hits` null: not known."""

    at_ms: int
    hits: int | None = None
    term: str | None = None


class JourneySession(Struct, frozen=True, kw_only=True):
    """One session of one visitor, linked to the customer; the newest 100 views of it."""

    session_id: str
    visitor_id: str
    start_ms: int
    end_ms: int
    pages: tuple[JourneyPage, ...]
    searches: tuple[JourneySearch, ...] = ()
    errors: int = 0
    flags: tuple[Flag, ...] = ()


class JourneyContact(Struct, frozen=True, kw_only=True):
    """An earlier contact of the customer, on any channel."""

    contact_id: str
    channel: str
    queue: str
    queued_ms: int
    outcome: str
    reason: str | None = None


class Journey(Struct, frozen=True, kw_only=True):
    """What is known of a customer when a contact arrives: sessions and contacts, the newest first."""

    customer_id: str
    sessions: tuple[JourneySession, ...] = ()
    contacts: tuple[JourneyContact, ...] = ()


class Rate(Struct, frozen=True, kw_only=True):
    """`k` of `n` with the 95 % interval; null where n = 0. Counts may be decayed: no integers."""

    k: float
    n: float
    rate: float | None = None
    low: float | None = None
    high: float | None = None


class PageModel(Struct, frozen=True, kw_only=True):
    """What a page does to contacts, over the days kept, older days weighing less.

    `views`, `sessions`, `visitors`: of the business day so far. `contact`: visits (one page in one session) that a
    contact followed within T, of those whose outcome is known; its rate is shrunk to the base rate. `lift` = rate of
    engaged visits before any view of a contact page / the same rate of the site, with its interval. `own_lift`: the
    same over visits that no other suspect page explains. `verdict`: "precedes" = contacts follow beyond chance, and not
    by another page's doing; "announces" = beyond chance, but because of other pages; "contact" = a contact page;
    "none"; "unsure" = engaged visits below the floor.
    """

    page: str
    page_class: PageClass
    verdict: Literal["precedes", "announces", "contact", "none", "unsure"]
    views: int
    sessions: int
    visitors: int
    contact: Rate
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None
    own_lift: float | None = None
    own_lift_low: float | None = None
    lead_median_s: float | None = None
    """From the last activity on the page to the contact."""
    engaged_median_s: float | None = None
    """Of visits that no contact followed; `engaged_median_contacted_s`: of those that one did."""
    engaged_median_contacted_s: float | None = None
    reasons: dict[str, float] = {}
    """Contact reason (wrap-up code) -> contacts, decayed."""
    announced_by: str | None = None
    """For "announces": the page by whose doing contacts follow."""
    help_contact: Rate | None = None
    """For help pages: sessions with it that a contact followed within 24 h."""
    stuck_now: int = 0
    queue: str | None = None


class ArmResult(Struct, frozen=True, kw_only=True):
    """Flagged visitors of one arm: how many contacted within T, and how many not within 24 h (`resolved`)."""

    contact: Rate
    resolved: Rate


class InterventionResult(Struct, frozen=True, kw_only=True):
    """Did helping help? By page and kind, everyone who was assigned counts (intention to treat).

    `effect` = contact rate of holdout minus that of offer, with its 95 % interval (Newcombe); `avoided_per_day` =
    effect x flagged visitors with an offer per day, likewise. `verdict`: "helps", "harms", or "not shown" (the interval
    has 0).
    """

    page: str
    kind: str
    offer: ArmResult
    holdout: ArmResult
    shown: int
    accepted: int
    declined: int
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    avoided_per_day: float | None = None
    avoided_low: float | None = None
    avoided_high: float | None = None
    verdict: Literal["helps", "harms", "not shown"] = "not shown"


class Switch(Struct, frozen=True, kw_only=True):
    """Customers who went on to another channel within 24 h: `from_channel` "web", "chat", "voice" ..."""

    from_channel: str
    to_channel: str
    count: float


class Resolution(Struct, frozen=True, kw_only=True):
    """FCR and repeats of one queue and channel (definitions.md). `provisional`: over contacts younger than D days."""

    queue: str
    channel: str
    fcr: Rate
    fcr_provisional: Rate
    repeat: Rate


class WebReport(Struct, frozen=True, kw_only=True):
    """The web site and its contacts, as one page. Counts without a word are of the business day so far."""

    as_of_ms: int
    views: int = 0
    sessions: int = 0
    visitors: int = 0
    bots: int = 0
    linked_sessions: int = 0
    contacted: Rate = Rate(k=0, n=0)
    """Sessions that a contact followed within T, decayed."""
    base: Rate = Rate(k=0, n=0)
    """Visits of content and help pages that a contact followed within T, decayed: the base rate of the site."""
    self_resolution: Rate = Rate(k=0, n=0)
    """Help sessions with no contact within 24 h (estimated)."""
    silent_leavers: int = 0
    """Sessions with signs of trouble, without a contact and without progress; neither resolved nor contacted."""
    flags_raised: int = 0
    flags_cleared: dict[str, int] = {}
    pages: tuple[PageModel, ...] = ()
    """"precedes" first, by the lower bound of their lift; then by views. At most the configured number."""
    other_pages: int = 0
    """How many pages are not listed."""
    other_views: int = 0
    interventions: tuple[InterventionResult, ...] = ()
    switches: tuple[Switch, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    model: StuckModel | None = None


encode_journeys = msgspec.json.Encoder().encode
decode_visitor = msgspec.json.Decoder(VisitorNow).decode
decode_session = msgspec.json.Decoder(JourneySession).decode
decode_report = msgspec.json.Decoder(WebReport).decode
decode_flag = msgspec.json.Decoder(Flag).decode
