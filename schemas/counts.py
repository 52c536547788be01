"""Which base counts does a pane hold, and under which number? Everything else is derived from these.

A pane is a sparse ``{slot: value}``; slots are fixed numbers because they are stored and sent. Durations are in
milliseconds. New slots go to the end; a changed meaning needs a new `STATE_VERSION`.
"""

from schemas.events import OVERFLOW_REASONS

STATE_VERSION = 4
"""Version of everything stored in checkpoints and partials."""

OFFERED = 0
CALLBACK_IN_X = 1
CALLBACK_LATE = 2
LOST = 3
TRANSFERRED_IN = 4
TRANSFERRED_OUT = 5
DECLINED = 6
HANDLED = 7
SILENT_ABANDONED = 8
FIRST_RESPONSES_IN_X = 9
FIRST_RESPONSES_LATE = 10
FIRST_RESPONSE_MS = 11
ANSWERED_WAIT_MS = 14
ABANDONED_WAIT_MS = 15
CALLBACK_WAIT_MS = 16
OVERFLOWED_WAIT_MS = 17
LOST_WAIT_MS = 18
TALK_MS = 19
HOLD_MS = 20
WRAP_UP_MS = 21
LONGEST_WAIT_MS = 25
"""Merged by maximum, not by sum; only in 15 min panes of the arrival basis."""
OVERFLOWED_FIRST = 30
OVERFLOWED: dict[str, int] = {reason: OVERFLOWED_FIRST + i for i, reason in enumerate(OVERFLOW_REASONS)}

ANSWERED_FROM = 1_000_000_000
ABANDONED_FROM = 2_000_000_000
"""Histograms of waits: slot ``FROM + edge_ms`` counts waits above the edge before and up to this edge, inclusive.
The edges contain every X and every short-abandon threshold in use, so `answered`, `answered_in_x`, `abandoned`,
`abandoned_in_x` and `abandoned_short` are sums of buckets and need no slots of their own."""
BEYOND_MS = 999_999_999
"""The edge of the last bucket: no wait is longer."""

BUSY_MS = 40
AVAILABLE_MS = 41
WRAPPING_MS = 42
BREAK_MS = 43
CONTACT_MS = 44
WRAPPING_ONLY_MS = 45
"""Agents' time: busy includes wrap-up; CONTACT_MS is contacts in hand times time; WRAPPING_ONLY_MS is wrap-up
without a contact in hand."""

ANSWERED = 60
ANSWERED_IN_X = 61
ABANDONED = 62
ABANDONED_IN_X = 63
ABANDONED_SHORT = 64
"""Made from the histograms by `streams.kpi.with_x`; never stored in panes."""

DEFAULT_EDGES_S: tuple[int, ...] = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""Default upper edges of the wait histograms in seconds, inclusive; every X in use is added."""

OVERFLOW_ROW = "(other queues)"
"""The row that takes what is beyond the limit on queue names."""
