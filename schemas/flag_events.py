"""What is said when a visitor gets stuck, or no longer is? CloudEvents of the topic `stuck-flags`, one per change.

`data` is the flag as it stands, whole: whoever missed one change loses nothing by reading the next. The same flag may
be told again; its `id` says so. Refuses to know when a flag is raised: `streams.journeys` says that.
"""

from datetime import UTC, datetime
from typing import Literal

from schemas.events import CloudEvent
from schemas.journeys import Flag

FlagChangeKind = Literal["raised", "cleared", "withdrawn"]
_SOURCE = "queuelight/journeys"


class StuckRaised(CloudEvent, gc=False, frozen=True, kw_only=True, tag="stuck.raised"):
    """A visitor is stuck."""

    data: Flag


class StuckCleared(CloudEvent, gc=False, frozen=True, kw_only=True, tag="stuck.cleared"):
    """A visitor is stuck no longer: went on, contacted or left (`data.cleared`)."""

    data: Flag


class StuckWithdrawn(CloudEvent, gc=False, frozen=True, kw_only=True, tag="stuck.withdrawn"):
    """Events that came late say that this visitor was not stuck then after all."""

    data: Flag


FlagEvent = StuckRaised | StuckCleared | StuckWithdrawn
"""Every event of the topic `stuck-flags`."""
FLAG_STRUCTS: tuple[type[CloudEvent], ...] = (StuckRaised, StuckCleared, StuckWithdrawn)
_OF: dict[str, type[StuckRaised] | type[StuckCleared] | type[StuckWithdrawn]] = {
    "raised": StuckRaised,
    "cleared": StuckCleared,
    "withdrawn": StuckWithdrawn,
}


def flag_event(change: FlagChangeKind, flag: Flag) -> FlagEvent:
    """One change of a flag as an event; the same change of the same flag is the same event.

    >>> flag = Flag(id="f", visitor_id="v", session_id="s", page="/p", raised_ms=0, probability=0.4, threshold=0.3,
    ...     arm="offer")
    >>> flag_event("raised", flag).id
    'f/raised'
    """
    at_ms = flag.cleared_ms if change == "cleared" and flag.cleared_ms is not None else flag.raised_ms
    return _OF[change](
        id=f"{flag.id}/{change}",
        source=_SOURCE,
        time=datetime.fromtimestamp(at_ms / 1000, UTC),
        subject=flag.visitor_id,
        data=flag,
    )
