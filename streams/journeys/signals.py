"""Which signs of trouble are there, and when are they one? Thresholds, and the burst of clicks as a state of its own.

Sources: >= 4 clicks as Splunk has it, each < 30 px (Manhattan) from the one before as PostHog has it, since three
clicks are too often a double click and a pause. Loop, quick back and bursts: our own definitions, named here.
"""

from typing import Final

from schemas.journeys import FEATURE_BIT

LOOP: Final[int] = FEATURE_BIT["loop"]
QUICK_BACK: Final[int] = FEATURE_BIT["quick_back"]
RAGE_CLICK: Final[int] = FEATURE_BIT["rage_click"]
DEAD_CLICK: Final[int] = FEATURE_BIT["dead_click"]
ERRORS: Final[int] = FEATURE_BIT["error"]
FORM_ERRORS: Final[int] = FEATURE_BIT["form_error"]
ZERO_HITS: Final[int] = FEATURE_BIT["zero_hits"]
HELP_VIEWED: Final[int] = FEATURE_BIT["help_viewed"]
CONTACT_PAGE: Final[int] = FEATURE_BIT["contact_page"]
RETURNING: Final[int] = FEATURE_BIT["returning"]
CONTACTED_BEFORE: Final[int] = FEATURE_BIT["contacted_before"]
ENGAGED_30: Final[int] = FEATURE_BIT["engaged_30"]
ENGAGED_60: Final[int] = FEATURE_BIT["engaged_60"]
ENGAGED_120: Final[int] = FEATURE_BIT["engaged_120"]
ENGAGED_300: Final[int] = FEATURE_BIT["engaged_300"]

SIGNALS = (
    "loop", "quick_back", "rage_click", "dead_click", "error", "form_error", "zero_hits",
)  # fmt: skip
"""What arises at an instant and counts for `SIGNAL_MS`: the first features, in their order."""
TROUBLE: Final[int] = LOOP | QUICK_BACK | RAGE_CLICK | DEAD_CLICK | ERRORS | FORM_ERRORS | ZERO_HITS
"""Their bits: whoever has one and leaves without contact or progress, leaves silently."""

SIGNAL_MS: Final = 15 * 60_000
LOOP_VIEWS: Final = 3
"""Views of one page within `SIGNAL_MS`."""
QUICK_BACK_MS: Final = 5_000
"""A page seen for less, without engaged time, between two views of another."""
RAGE_CLICKS: Final = 4
RAGE_MS: Final = 1_000
RAGE_PX: Final = 30
ERROR_COUNT: Final = 2
"""Errors within `ERROR_MS` of scripts and requests; images and the like that do not load are none."""
ERROR_MS: Final = 60_000
FORM_COUNT: Final = 2
"""Refused or repeated fields within one view."""
BOT_VIEWS: Final = 60
BOT_MS: Final = 5 * 60_000
"""More views within, without one click or ping: no human."""
RETURNING_MS: Final = 24 * 3_600_000
CONTACTED_BEFORE_MS: Final = 7 * 24 * 3_600_000


class ClickBurst:
    """Clicks on one spot in quick succession. It is rage once, when `count` of them come within `within_ms`.

    A click goes on with the burst when it is less than `gap_ms` after and less than `px` (across plus down) away from
    the one before; else it begins a new one. `within_ms` None: however long the burst takes (as PostHog has it).
    """

    __slots__ = ("_at_ms", "_count", "_gap_ms", "_px", "_raged", "_times", "_within_ms", "_x", "_y")

    def __init__(
        self,
        count: int = RAGE_CLICKS,
        gap_ms: int = RAGE_MS,
        px: int = RAGE_PX,
        within_ms: int | None = RAGE_MS,
    ) -> None:
        self._count = count
        self._gap_ms = gap_ms
        self._px = px
        self._within_ms = within_ms
        self._times: list[int] = []
        """The newest `count` clicks of the burst."""
        self._x = self._y = self._at_ms = 0
        self._raged = False

    def click(self, x: int, y: int, at_ms: int) -> bool:
        """Take in the next click; True when it makes the burst one of rage."""
        times = self._times
        goes_on = (
            len(times) > 0
            and at_ms - self._at_ms < self._gap_ms
            and abs(x - self._x) + abs(y - self._y) < self._px
        )
        if not goes_on:
            times.clear()
            self._raged = False
        times.append(at_ms)
        if len(times) > self._count:
            del times[0]
        self._x, self._y, self._at_ms = x, y, at_ms
        if self._raged or len(times) < self._count:
            return False
        if self._within_ms is not None and at_ms - times[0] >= self._within_ms:
            return False
        self._raged = True
        return True
