"""In which state was an agent when? From the set of signs of life to a timeline without gaps.

Order and repetition do not matter: a sign says "since S I am in view V" and proves life at its own time T. The timeline
is a function of the set of (S, V) and of the union of [T, T + limit]; where nobody gave a sign the agent is lost,
but for one who signed off: offline stays offline.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple

LOST = "lost"
OFFLINE = "offline"


class View(NamedTuple):
    """What a sign says: the state sent, the queues served (sorted), the team ("" = none), contacts in hand."""

    state: str
    queues: tuple[str, ...]
    team: str
    contacts: int

    @property
    def shown(self) -> str:
        """The state boards show: whoever has a contact in hand is busy (or in wrap-up), whatever was sent."""
        return "busy" if self.contacts and self.state != "wrap_up" else self.state

    def lost(self) -> "View":
        """The same agent without a sign of life: lost, unless they had signed off."""
        return View(self.state if self.state == OFFLINE else LOST, self.queues, self.team, 0)


class AgentTimeline:
    """Signs of one agent and the timeline they make. Times in ms."""

    __slots__ = ("alive", "entries", "shown", "starts")

    def __init__(self) -> None:
        self.entries: dict[tuple[int, View], int] = {}
        """(since, view) -> the first time it was said."""
        self.starts: list[tuple[int, View]] = []
        """When which view began, ascending."""
        self.alive: list[list[int]] = []
        """Disjoint [from, to] with signs of life, ascending."""
        self.shown: View | None = None

    def add(self, since_ms: int, view: View, at_ms: int, limit_ms: int) -> int | None:
        """Take in a sign; return from when on the timeline may differ (ms), None when nothing is new."""
        changed_ms = self._see(at_ms, limit_ms)
        said_ms = self.entries.get((since_ms, view))
        if said_ms is None or at_ms < said_ms:
            clash = any(since == since_ms for since, _ in self._near(since_ms))
            self.entries[since_ms, view] = at_ms
            if said_ms is None and not clash:
                insort(self.starts, (since_ms, view))
            else:
                self._rebuild()
            return since_ms
        return changed_ms

    def _near(self, since_ms: int) -> list[tuple[int, View]]:
        index = bisect_right(self.starts, since_ms, key=lambda start: start[0])
        return self.starts[max(0, index - 1) : index]

    def _rebuild(self) -> None:
        """Two views since the same instant: the one said first began then, the others when they were said."""
        first: dict[int, tuple[int, View]] = {}
        for (since_ms, view), at_ms in self.entries.items():
            first[since_ms] = min(first.get(since_ms, (at_ms, view)), (at_ms, view))
        self.starts = sorted(
            (since_ms if first[since_ms][1] == view else max(since_ms, at_ms), view)
            for (since_ms, view), at_ms in self.entries.items()
        )

    def _see(self, at_ms: int, limit_ms: int) -> int | None:
        """Extend the signs of life by [at, at + limit]; return from when on it is news."""
        low, high = at_ms, at_ms + limit_ms
        if self.alive and self.alive[-1][0] <= low <= self.alive[-1][1]:
            end = self.alive[-1][1]
            self.alive[-1][1] = max(end, high)
            return end if high > end else None
        for span in self.alive:
            if span[0] <= low and high <= span[1]:
                return None
        merged: list[list[int]] = []
        for span in sorted([*self.alive, [low, high]]):
            if merged and span[0] <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], span[1])
            else:
                merged.append(list(span))
        self.alive = merged
        return low

    def spans(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, View]]:
        """The timeline in [from, to), as consecutive (from, to, view)."""
        index = max(0, bisect_right(self.starts, from_ms, key=lambda start: start[0]) - 1)
        for position in range(index, len(self.starts)):
            start_ms, view = self.starts[position]
            low = max(start_ms, from_ms)
            high = to_ms
            if position + 1 < len(self.starts):
                high = min(high, self.starts[position + 1][0])
            if low >= to_ms:
                return
            if low < high:
                yield from self._with_lost(low, high, view)

    def _with_lost(self, low: int, high: int, view: View) -> Iterator[tuple[int, int, View]]:
        for alive_from, alive_to in self.alive:
            if alive_to <= low:
                continue
            if alive_from >= high:
                break
            if low < alive_from:
                yield low, alive_from, view.lost()
                low = alive_from
            end = min(high, alive_to)
            yield low, end, view
            low = end
            if low >= high:
                return
        if low < high:
            yield low, high, view.lost()

    def at(self, now_ms: int) -> View | None:
        """The view at an instant; None before the first sign."""
        for _, _, view in self.spans(now_ms, now_ms + 1):
            return view
        return None

    def forget_before(self, horizon_ms: int) -> None:
        """Drop what no longer matters: views that ended, and life that was seen, before the horizon."""
        index = bisect_right(self.starts, horizon_ms, key=lambda start: start[0]) - 1
        if index > 0:
            kept = set(self.starts[index:])
            self.starts = self.starts[index:]
            oldest_ms = self.starts[0][0]
            self.entries = {
                key: at_ms
                for key, at_ms in self.entries.items()
                if key[0] >= oldest_ms or (at_ms, key[1]) in kept
            }
        while len(self.alive) > 1 and self.alive[0][1] < horizon_ms:
            del self.alive[0]


def lasting(timeline: AgentTimeline) -> int:
    """When the last known sign of life runs out, in ms; 0 without any."""
    return timeline.alive[-1][1] if timeline.alive else 0
