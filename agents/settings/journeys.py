"""What may be written below `[journeys]`? When a web visitor is stuck, what can be offered, and who is told of it.

Refuses to know how visitors are judged: `streams.journeys` does that by the policy made here.
"""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from agents.settings.secrets import SecretFile
from agents.settings.values import Section, Share, ShownName
from streams.journeys.policy import DAY_MS, HOUR_MS, MINUTE_MS, JourneyPolicy, Offer

_POLICY = JourneyPolicy()
_MOST_PATTERNS = 200
_MOST_OFFERS = 200


def _pattern(text: str) -> str:
    if not text or len(text) > 200 or not text.isprintable():
        raise ValueError(f"expected a page such as /contact*, at most 200 characters, saw {text!r:.60}")
    return text


def _webhook(url: str) -> str:
    """Refuse what is no address of a server, without repeating it: it may hold a password."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.fragment:
            return url
    except ValueError:
        pass  # the message below says what is expected
    raise ValueError("expected an address such as https://HOST/path")


Pattern = Annotated[str, AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=_MOST_PATTERNS)]
WebhookUrl = Annotated[str, AfterValidator(_webhook)]
_Minutes = Annotated[float, Field(gt=0, le=24 * 60, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)]


class OfferSection(Section):
    """`[[journeys.offers]]`: the first whose pages fit is foreseen."""

    pages: Pattern = Field(description="Pages on which it is foreseen; * stands for anything.")
    kind: ShownName = Field(description="What is offered: chat invite, FAQ link, callback ... (free text).")
    queue: ShownName | None = Field(
        None, description="Whose agents it needs: it is only suggested while one of them is available."
    )


class JourneysSettings(Section):
    """`[journeys]`."""

    enabled: bool = Field(_POLICY.enabled, description="Whether workers read the topic `web`.")
    session_gap_min: _Minutes = Field(
        _POLICY.session_gap_ms / MINUTE_MS, description="Minutes without an event after which a session ends."
    )
    within_min: _Minutes = Field(
        _POLICY.within_ms / MINUTE_MS,
        description="T: a contact so many minutes after a page counts as preceded by it.",
    )
    help_within_h: float = Field(_POLICY.help_within_ms / HOUR_MS, gt=0, le=7 * 24, allow_inf_nan=False,
        description="Hours without a contact after which help has helped.")  # fmt: skip
    repeat_days: int = Field(
        _POLICY.repeat_days, ge=1, le=30, description="Another contact within so many days is a repeat."
    )
    threshold: Share = Field(
        _POLICY.threshold, description="Probability of a contact within T from which a visitor is stuck."
    )
    cleared_below: Share = Field(
        _POLICY.cleared_below, description="Below this share of the threshold a flag is cleared."
    )
    left_s: _Seconds = Field(
        _POLICY.left_ms / 1000, description="A visitor without an event for longer has left."
    )
    cool_s: _Seconds = Field(
        _POLICY.cool_ms / 1000, description="No new flag in a session for so long after one."
    )
    holdout: float = Field(_POLICY.holdout, ge=0, le=0.9, allow_inf_nan=False,
        description="Share (0-0.9) of visitors who get no offer, so that its effect can be measured.")  # fmt: skip
    salt: ShownName = Field(
        _POLICY.salt, description="Another word deals visitors to offer and holdout anew."
    )
    contact_pages: Patterns = Field(_POLICY.contact_pages, description="Pages that say how to contact.")
    help_pages: Patterns = Field(_POLICY.help_pages, description="Pages that help.")
    progress_pages: Patterns = Field(
        _POLICY.progress_pages, description="Pages that only those see who got what they came for."
    )
    offers: Annotated[tuple[OfferSection, ...], Field(max_length=_MOST_OFFERS)] = Field(
        (), description="`[[journeys.offers]]`: pages, kind and queue of what can be offered, see below."
    )
    lift: float = Field(_POLICY.lift, ge=1, le=100, allow_inf_nan=False,
        description="Lower bound of the lift from which a page precedes contacts.")  # fmt: skip
    floor_n: int = Field(
        _POLICY.floor_n, ge=1, le=1_000_000, description="Visits below which nothing is said of a page."
    )
    half_life_days: float = Field(_POLICY.half_life_days, gt=0, le=365, allow_inf_nan=False,
        description="Days after which what a page did weighs half.")  # fmt: skip
    keep_days: int = Field(_POLICY.keep_days, ge=1, le=366, description="Days of which pages are counted.")
    most_pages: int = Field(
        _POLICY.most_pages, ge=1, le=100_000, description="Pages counted by name; the rest shares one row."
    )
    most_shown: int = Field(
        _POLICY.most_shown, ge=1, le=1000, description="Pages in reports, on boards and in metrics."
    )
    most_visitors: int = Field(_POLICY.most_visitors, ge=1000, le=100_000_000,
        description="Visitors remembered per partition; beyond it the longest silent go.")  # fmt: skip
    most_events_per_session: int = Field(
        _POLICY.most_events_per_session, ge=10, le=1_000_000, description="Events one session may have."
    )
    learn: bool = Field(
        _POLICY.learn,
        description="Learn hourly what speaks for a contact; false: the model of day one stays in force.",
    )
    webhook_url: WebhookUrl | None = Field(None, description="Where `queuelight notify` posts flags.")
    webhook_secret: SecretStr | None = Field(
        None, min_length=1, description="Secret with which it signs them."
    )
    webhook_secret_file: SecretFile = Field(None, description="File with nothing but that secret.")

    @model_validator(mode="after")
    def _fits(self) -> "JourneysSettings":
        if self.within_min * MINUTE_MS > self.help_within_h * HOUR_MS:
            raise ValueError(
                f"expected within_min of at most help_within_h, saw {self.within_min:g} min and "
                f"{self.help_within_h:g} h"
            )
        return self

    def policy(self) -> JourneyPolicy:
        """The same in the words of the folds."""
        return JourneyPolicy(
            enabled=self.enabled,
            session_gap_ms=round(self.session_gap_min * MINUTE_MS),
            within_ms=round(self.within_min * MINUTE_MS),
            help_within_ms=min(7 * DAY_MS, round(self.help_within_h * HOUR_MS)),
            repeat_days=self.repeat_days,
            threshold=self.threshold,
            cleared_below=self.cleared_below,
            left_ms=round(self.left_s * 1000),
            cool_ms=round(self.cool_s * 1000),
            holdout=self.holdout,
            salt=self.salt,
            contact_pages=self.contact_pages,
            help_pages=self.help_pages,
            progress_pages=self.progress_pages,
            offers=tuple(Offer(pages=o.pages, kind=o.kind, queue=o.queue) for o in self.offers),
            lift=self.lift,
            floor_n=self.floor_n,
            half_life_days=self.half_life_days,
            keep_days=self.keep_days,
            most_pages=self.most_pages,
            most_shown=self.most_shown,
            most_visitors=self.most_visitors,
            most_events_per_session=self.most_events_per_session,
            learn=self.learn,
        )


def offers_as_written(journeys: dict[str, object]) -> Iterator[tuple[str, object, list[str]]]:
    """Each table `[[journeys.offers]]`: its name, its content, the keys it may have."""
    offers = journeys.get("offers")
    if isinstance(offers, list):
        for number, offer in enumerate(offers, 1):
            yield f"journeys.offers {number}", offer, list(OfferSection.model_fields)
