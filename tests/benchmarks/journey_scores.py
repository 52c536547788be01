"""How good is a score that is to tell who will contact? Precision and recall, calibration, in plain arithmetic.

Refuses to know where scores and outcomes come from. A score may be a probability or just a number: more is more likely.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

Scored = tuple[float, bool]
"""Score, and whether it came to that."""


class Point(NamedTuple):
    """Of those with at least `score`: how many it came true for, and how many of all for whom it did they are."""

    score: float
    precision: float
    recall: float


class Bin(NamedTuple):
    """Cases of about the same probability: mean of what was said, share of what came."""

    said: float
    came: float
    n: int


def curve(scored: Iterable[Scored]) -> list[Point]:
    """Precision and recall at every score that occurs, from the greatest down; cases of equal score come together."""
    totals: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for score, came in scored:
        totals[score][0] += 1
        totals[score][1] += came
    positives = sum(k for _, k in totals.values())
    points, n, k = [], 0, 0
    for score in sorted(totals, reverse=True):
        n += totals[score][0]
        k += totals[score][1]
        points.append(Point(score, k / n, k / positives if positives else 0.0))
    return points


def average_precision(points: Iterable[Point]) -> float:
    """Area under the curve as a step function: sum of precision x gain in recall (no interpolation)."""
    area = before = 0.0
    for point in points:
        area += point.precision * (point.recall - before)
        before = point.recall
    return area


def deciles(scored: Sequence[Scored], bins: int = 10) -> list[Bin]:
    """Reliability: cases in order of their probability, cut into parts of about equal size."""
    ordered = sorted(scored)
    cuts = [len(ordered) * i // bins for i in range(bins + 1)]
    return [_bin(ordered[a:b]) for a, b in pairwise(cuts) if b > a]


def steps(scored: Iterable[Scored], edges: Sequence[float]) -> list[Bin]:
    """Reliability by what was said: one part per interval between edges."""
    parts: dict[int, list[Scored]] = defaultdict(list)
    for each in scored:
        parts[sum(each[0] >= edge for edge in edges)].append(each)
    return [_bin(parts[number]) for number in sorted(parts)]


def _bin(part: Sequence[Scored]) -> Bin:
    n = len(part)
    return Bin(sum(score for score, _ in part) / n, sum(came for _, came in part) / n, n)


class Brier(NamedTuple):
    """Mean squared error of probabilities, and what is left of it compared with always saying the mean (0 = no better)."""

    score: float
    skill: float


def brier(scored: Sequence[Scored]) -> Brier:
    """Brier score and skill."""
    n = len(scored)
    score = sum((said - came) ** 2 for said, came in scored) / n
    mean = sum(came for _, came in scored) / n
    reference = mean * (1.0 - mean)
    return Brier(score, 1.0 - score / reference if reference else 0.0)


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean distance between said and came, weighted by cases."""
    return sum(abs(each.said - each.came) * each.n for each in bins) / sum(each.n for each in bins)


def quantile(values: Iterable[float], q: float) -> float | None:
    """A value that the share `q` of all does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None
