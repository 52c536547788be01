"""How long would a contact wait that joins now? From who waits, who serves, and how the last hour went.

With Q waiting and all s agents at work the next in line leaves the queue at the rate ``s mu + j theta`` while j others
wait: someone is served, or someone gives up. (C. Palm 1957, "Erlang-A"; definitions.md: EWT.) An agent who serves
several queues counts in full for each. Refuses to know the clock, and whether it came true.
"""

from schemas import counts as k
from schemas.snapshots import QueueState
from streams.kpi import concurrency
from streams.rows import Pane

EXPECTED_FROM = "1h"
"""The window that handling times and patience are taken from."""
_SERVING = ("available", "busy", "wrap_up")
_WAITS = (k.ANSWERED_WAIT_MS, k.ABANDONED_WAIT_MS, k.CALLBACK_WAIT_MS, k.OVERFLOWED_WAIT_MS, k.LOST_WAIT_MS)


def expected_wait_s(state: QueueState, counts: Pane, time: Pane | None) -> float | None:
    """The expected wait in seconds; None where nothing is known.

    0 while more agents are available than contacts wait. Without handling times or staff: how long the first in line
    has waited.

    Args:
        state: the queue, now.
        counts: base counts of `EXPECTED_FROM` on the event basis, judged by `streams.kpi.with_x`.
        time: agents' time of that window; None where it is not known.
    """
    serving = sum(state.agents.get(name, 0) for name in _SERVING)
    handled = counts.get(k.HANDLED, 0)
    handling_ms = counts.get(k.TALK_MS, 0) + counts.get(k.HOLD_MS, 0) + counts.get(k.WRAP_UP_MS, 0)
    if state.agents.get("available", 0) > state.waiting:
        return 0.0
    if not (serving and handled > 0 and handling_ms > 0):
        queued_ms = state.oldest_waiting_ms
        return None if queued_ms is None else max(0, state.as_of_ms - queued_ms) / 1000
    at_once = max(1.0, concurrency(time or {}) or 1.0)
    waited_ms = sum(counts.get(slot, 0) for slot in _WAITS)
    gives_up_per_s = counts.get(k.ABANDONED, 0) / waited_ms * 1000 if waited_ms > 0 else 0.0
    return until_served_s(state.waiting, serving * at_once * handled / handling_ms * 1000, gives_up_per_s)


def until_served_s(waiting: int, served_per_s: float, gives_up_per_s: float) -> float:
    """``sum_{j=0..Q} 1 / (s mu + j theta)`` in seconds, with `served_per_s` = s mu > 0 and theta per waiting second.

    >>> round(until_served_s(2, 0.1, 0.05), 2)
    21.67
    """
    if not gives_up_per_s:
        return (waiting + 1) / served_per_s
    return sum(1 / (served_per_s + j * gives_up_per_s) for j in range(waiting + 1))
