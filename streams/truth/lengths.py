"""How many were waiting, and when? Queue length as a step function of time, from a plain sweep over segments.

The level at t counts the segments with queued <= t < left: at equal times leaving comes first.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import groupby, pairwise

from streams.truth.judged import Judged


class Lengths:
    """The level from each time at which it changes."""

    def __init__(self, segments: Iterable[Judged]) -> None:
        """Sweep over the segments; one that has not left stays in the level for ever."""
        steps = []
        for segment in segments:
            steps.append((segment.queued_ms, 1))
            if segment.left_ms is not None:
                steps.append((segment.left_ms, -1))
        self.times_ms: list[int] = []
        self.levels: list[int] = []
        level = 0
        for at_ms, changes in groupby(sorted(steps), key=lambda step: step[0]):
            level += sum(change for _, change in changes)
            self.times_ms.append(at_ms)
            self.levels.append(level)

    def at(self, at_ms: int) -> int:
        """The level at one moment."""
        before = bisect_right(self.times_ms, at_ms)
        return self.levels[before - 1] if before else 0

    def maximum(self, from_ms: int, to_ms: int) -> int:
        """The greatest level for from_ms <= t < to_ms, what was carried in included."""
        inside = self.levels[bisect_right(self.times_ms, from_ms) : bisect_left(self.times_ms, to_ms)]
        return max(self.at(from_ms), *inside, 0)

    def area_ms(self, from_ms: int, to_ms: int) -> int:
        """Contacts times ms waited between the two."""
        bounds = [from_ms, *(t for t in self.times_ms if from_ms < t < to_ms), to_ms]
        return sum(self.at(a) * (b - a) for a, b in pairwise(bounds))
