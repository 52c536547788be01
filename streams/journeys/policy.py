"""What does the site want to know of its visitors? Thresholds, page classes and offers. Frozen data, no I/O."""

from fnmatch import fnmatchcase

from msgspec import Struct

from schemas.journeys import PageClass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Offer(Struct, frozen=True, kw_only=True):
    """Which help is foreseen on which pages (a pattern with ``*``), and which queue could give it."""

    pages: str
    kind: str
    queue: str | None = None


class JourneyPolicy(Struct, frozen=True, kw_only=True):
    """`[journeys]`: how visitors are judged. Times in ms, shares 0-1.

    `within_ms` is T. `threshold`: probability from which a visitor is stuck; `cleared_below`: share of the threshold
    below which a flag is cleared as progress. `left_ms`: a visitor without an event for longer has left; `cool_ms`: no
    new flag for the same session so soon after one. `holdout`: share of visitors who get no offer. `lift`, `floor_n`:
    lower bound of lift, and known visits, from which a page precedes contacts. `half_life_days`, `keep_days`: how
    page models fade. `most_pages`: pages counted by name; the rest is one row, `OTHER_PAGES`. `most_shown`: pages in
    reports and metrics. `most_visitors`: of one shard; beyond it the longest silent go, and are counted.
    """

    enabled: bool = True
    session_gap_ms: int = 30 * MINUTE_MS
    within_ms: int = 30 * MINUTE_MS
    help_within_ms: int = DAY_MS
    repeat_days: int = 7
    threshold: float = 0.3
    cleared_below: float = 0.6
    left_ms: int = 5 * MINUTE_MS
    cool_ms: int = 10 * MINUTE_MS
    holdout: float = 0.1
    salt: str = "queuelight"
    contact_pages: tuple[str, ...] = ("/contact*", "*/contact*")
    help_pages: tuple[str, ...] = ("/help*", "/faq*", "*/help/*", "*/faq/*")
    progress_pages: tuple[str, ...] = ("*/thank-you*", "*/thanks*", "*/done*", "*/confirmation*")
    offers: tuple[Offer, ...] = ()
    lift: float = 1.5
    floor_n: int = 50
    half_life_days: float = 7.0
    keep_days: int = 35
    most_pages: int = 2000
    most_shown: int = 50
    most_visitors: int = 500_000
    most_events_per_session: int = 2000
    learn: bool = True
    """False: no model is fitted; visitors are judged by that of day one."""

    def page_class(self, page: str) -> PageClass:
        """What a page is for; a page that is for nothing special is content."""
        for name, patterns in (
            ("contact", self.contact_pages),
            ("progress", self.progress_pages),
            ("help", self.help_pages),
        ):
            if any(fnmatchcase(page, pattern) for pattern in patterns):
                return name  # type: ignore[return-value]
        return "content"

    def offer_for(self, page: str) -> Offer | None:
        """What help is foreseen on a page: the first that fits."""
        for offer in self.offers:
            if fnmatchcase(page, offer.pages):
                return offer
        return None


OTHER_PAGES = "\x1eother"
"""Pages beyond `most_pages`, together."""
