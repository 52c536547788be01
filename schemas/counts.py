"""Which base counts does a pane hold, and under which number? Everything else is derived from these.

A pane is a sparse ``{slot: value}``; slots are fixed numbers because they are stored and sent. Durations are in
milliseconds. New slots go to the end; a changed meaning needs a new `STATE_VERSION`.
"""

from schemas.events import OVERFLOW_REASONS

STATE_VERSION = 1
"""Version of everything stored in checkpoints and partials."""

OFFERED = 0
ANSWERED = 1
ANSWERED_IN_X = 2
ABANDONED = 3
ABANDONED_IN_X = 4
ABANDONED_SHORT = 5
CALLBACK = 6
CALLBACK_IN_X = 7
LOST = 8
TRANSFERRED_IN = 9
TRANSFERRED_OUT = 10
DECLINED = 11
HANDLED = 12
SILENT_ABANDONED = 13
ANSWERED_WAIT_MS = 14
ABANDONED_WAIT_MS = 15
CALLBACK_WAIT_MS = 16
OVERFLOWED_WAIT_MS = 17
LOST_WAIT_MS = 18
TALK_MS = 19
HOLD_MS = 20
WRAP_UP_MS = 21
FIRST_RESPONSES = 22
FIRST_RESPONSES_IN_X = 23
FIRST_RESPONSE_MS = 24
LONGEST_WAIT_MS = 25
"""Merged by maximum, not by sum; only in 15 min panes of the arrival basis."""
OVERFLOWED_FIRST = 30
OVERFLOWED = {reason: OVERFLOWED_FIRST + i for i, reason in enumerate(OVERFLOW_REASONS)}
ANSWERED_HISTOGRAM = 100
ABANDONED_HISTOGRAM = 200
"""First slots of the two wait histograms: bucket i counts waits <= edge i; the last bucket has no upper edge."""

BUSY_MS = 40
AVAILABLE_MS = 41
WRAPPING_MS = 42
BREAK_MS = 43
CONTACT_MS = 44
"""Agents' time: busy includes wrap-up; CONTACT_MS is contacts in hand times time."""

SUMMED_NAMES: dict[str, int] = {
    "offered": OFFERED, "answered": ANSWERED, "answered_in_x": ANSWERED_IN_X, "abandoned": ABANDONED,
    "abandoned_in_x": ABANDONED_IN_X, "abandoned_short": ABANDONED_SHORT, "callback": CALLBACK,
    "callback_in_x": CALLBACK_IN_X, "lost": LOST, "transferred_in": TRANSFERRED_IN,
    "transferred_out": TRANSFERRED_OUT, "declined": DECLINED, "handled": HANDLED, "silent_abandoned": SILENT_ABANDONED,
}  # fmt: skip

DEFAULT_EDGES_S: tuple[int, ...] = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""Default upper edges of the wait histograms in seconds, inclusive; every X in use is added."""

OVERFLOW_ROW = "(other queues)"
"""The row that takes what is beyond the limit on queue names."""
