"""What happens next, and what does chance say? A calendar of deeds and the one source of chance.

Refuses to know what the deeds are.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import exp, log
from random import Random

Deed = Callable[[int], None]
"""Something to do at a time: it is given that time, in ms."""


class Agenda:
    """Deeds in the order of their times; of two at the same ms, the one entered first comes first."""

    def __init__(self) -> None:
        self._deeds: list[tuple[int, int, Deed]] = []
        self._entered = 0

    def at(self, at_ms: int, deed: Deed) -> None:
        """Have `deed` done at `at_ms`."""
        self._entered += 1
        heappush(self._deeds, (at_ms, self._entered, deed))

    def next_before(self, end_ms: int) -> tuple[int, Deed] | None:
        """Take the next deed off the agenda, if it is due before `end_ms`."""
        if not self._deeds or self._deeds[0][0] >= end_ms:
            return None
        at_ms, _, deed = heappop(self._deeds)
        return at_ms, deed


class Dice:
    """Durations in whole ms, at least 1, and yes or no; every draw comes from one seeded generator."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.random = rng.random
        self._gauss = rng.gauss

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return self.random() < share

    def between(self, low_s: float, high_s: float) -> int:
        """Any duration between the two."""
        return int(1000 * (low_s + (high_s - low_s) * self.random())) or 1

    def exponential(self, mean_s: float) -> int:
        """Many short, few long: what has no memory."""
        return int(-1000 * mean_s * log(1.0 - self.random())) or 1

    def lognormal(self, mean_s: float, sigma: float) -> int:
        """Few very short, some very long: what people take for a task."""
        return int(1000 * mean_s * exp(sigma * self._gauss(0.0, 1.0) - sigma * sigma / 2)) or 1
