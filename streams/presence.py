"""In which state was an agent when? From the set of signs of life to a timeline without gaps.

Order and repetition do not matter: a sign says "since S I am in view V" and proves life at its own time T. The timeline
is a function of the set of (S, T, V) and of the union of [T, T + limit]; where nobody gave a sign the agent is lost,
but for one who signed off: offline stays offline.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from operator import itemgetter

from streams.view import View

NEVER = 1 << 62


_start = itemgetter(0)


Span = tuple[int, int, View]
"""(from, to, view), in ms."""


class AgentTimeline:
    """Signs of one agent and the timeline they make. Times in ms."""

    __slots__ = ("alive", "said", "starts")

    def __init__(self) -> None:
        self.said: dict[int, list[tuple[int, View]]] = {}
        """since -> (at, view) of everything said to hold since then, ascending."""
        self.starts: list[tuple[int, View]] = []
        """When which view began, ascending."""
        self.alive: list[list[int]] = []
        """Disjoint [from, to] with signs of life, ascending."""

    def add(self, since_ms: int, view: View, at_ms: int, limit_ms: int) -> int | None:
        """Take in a sign; return from when on the timeline may differ (ms), None when nothing is new."""
        changed_ms = self._see(at_ms, limit_ms)
        said = self.said.get(since_ms)
        if said is None:
            self.said[since_ms] = [(at_ms, view)]
            insort(self.starts, (since_ms, view))
            return since_ms
        if (at_ms, view) in said:
            return changed_ms
        is_repeat = at_ms > said[-1][0] and view == said[-1][1]
        insort(said, (at_ms, view))
        if is_repeat:
            return at_ms if changed_ms is None else min(changed_ms, at_ms)
        self.order()
        return since_ms

    def begin(self, view: View, at_ms: int, limit_ms: int) -> None:
        """Take in the first sign, of a view that begins with it: what `add` would do."""
        start = (at_ms, view)
        self.said[at_ms] = [start]
        self.starts.append(start)
        self.alive.append([at_ms, at_ms + limit_ms])

    def go_on(self, since_ms: int, view: View, at_ms: int, limit_ms: int, now_ms: int) -> int | None:
        """Take in a sign that comes in order, as nearly all do: what `add` would do, where that only appends.

        The sign must prolong the life that lasts, and what it says begin in that life, later than all else, and not
        later than `now_ms`. Returns when it begins (ms), `NEVER` when the sign only repeats; None: nothing is taken
        in, `add` must.
        """
        life = self.alive[-1]
        if not life[0] <= at_ms <= life[1] < at_ms + limit_ms:
            return None
        said = self.said.get(since_ms)
        if said is None:
            if not life[0] <= since_ms <= now_ms or since_ms <= self.starts[-1][0]:
                return None
            start = (since_ms, view)
            self.said[since_ms] = [start if since_ms == at_ms else (at_ms, view)]
            self.starts.append(start)
            begins_ms = since_ms
        else:
            said_ms, before = said[-1]
            if at_ms <= said_ms:
                return None
            start = (at_ms, view)
            if view == before:
                begins_ms = NEVER
            elif self.starts[-1][0] < at_ms <= now_ms:
                self.starts.append(start)
                begins_ms = at_ms
            else:
                return None
            said.append(start)
        life[1] = at_ms + limit_ms
        return begins_ms

    def order(self) -> None:
        """Derive from all that was said when which view began.

        Of several views said to hold since one instant the first began then, each other one when it was said.
        """
        starts = []
        for since_ms, said in self.said.items():
            before = None
            for at_ms, view in said:
                if view != before:
                    starts.append((since_ms if before is None else max(since_ms, at_ms), view))
                    before = view
        self.starts = sorted(starts)

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
        index = max(0, bisect_right(self.starts, from_ms, key=_start) - 1)
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

    def until(self, now_ms: int) -> int:
        """When, later than `now_ms`, the view may change by itself; `NEVER`: not as far as is known."""
        index = bisect_right(self.starts, now_ms, key=_start)
        until_ms = self.starts[index][0] if index < len(self.starts) else NEVER
        for span in self.alive:
            for edge_ms in span:
                if edge_ms > now_ms:
                    return min(until_ms, edge_ms)
        return until_ms

    def forget_before(self, horizon_ms: int) -> None:
        """Drop what no longer matters: views that ended, and life that was seen, before the horizon."""
        index = bisect_right(self.starts, horizon_ms, key=_start) - 1
        if index >= 0:
            oldest_ms = self.starts[index][0]
            self.said = {
                since_ms: _without_repeats(said, horizon_ms)
                for since_ms, said in self.said.items()
                if since_ms >= oldest_ms or said[-1][0] >= oldest_ms
            }
            self.order()
        while len(self.alive) > 1 and self.alive[0][1] < horizon_ms:
            del self.alive[0]


def _without_repeats(said: list[tuple[int, View]], horizon_ms: int) -> list[tuple[int, View]]:
    """What was said without what only repeated the words before it, before the horizon."""
    return [
        each for n, each in enumerate(said) if not n or each[0] >= horizon_ms or each[1] != said[n - 1][1]
    ]


def lasting(timeline: AgentTimeline) -> int:
    """When the last known sign of life runs out, in ms; 0 without any."""
    return timeline.alive[-1][1] if timeline.alive else 0
