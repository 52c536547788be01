"""How long did it take, half of the time? Counts in logarithmic buckets that merge by addition.

A duration is kept as the number of its bucket; 0 is "less than 0.1 s", and each bucket after it reaches 1.1 times
as far (as in Masson, Rim and Lee, DDSketch, VLDB 2019). Refuses to know single durations:
quantiles are right within 5 %.
"""

from bisect import bisect_right
from collections.abc import Mapping
from math import sqrt

RATIO = 1.1
_FIRST_S = 0.1
_EDGES: tuple[float, ...] = tuple(_FIRST_S * RATIO**power for power in range(200))
"""Lower edges of the buckets 1, 2 ...; the last one begins at about 200 days and has no end."""


def bucket(seconds: float) -> int:
    """The bucket of a duration in seconds: 0 for less than 0.1 s (and for nonsense below 0), at most 200."""
    return bisect_right(_EDGES, seconds)


def lower_s(bucket: int) -> float:
    """The shortest duration in a bucket, in seconds."""
    if bucket <= 0:
        return 0.0
    return _EDGES[min(bucket, len(_EDGES)) - 1]


def quantile(buckets: Mapping[int, float], q: float) -> float | None:
    """The duration in seconds below which a share `q` (0-1) lies; None where nothing was counted.

    It is within 5 % of a duration of that rank, because it is the geometric middle of that one's bucket. Counts may be
    decayed; those below 0 count as none.

    >>> quantile({}, 0.5) is None
    True
    >>> abs(quantile({bucket(60.0): 3.0, bucket(600.0): 1.0}, 0.5) / 60.0 - 1) < 0.05
    True
    """
    total = sum(count for count in buckets.values() if count > 0)
    if total <= 0:
        return None
    rank, passed, last = q * total, 0.0, 0
    for number in sorted(buckets):
        if buckets[number] > 0:
            passed += buckets[number]
            last = number
            if passed >= rank:
                break
    return lower_s(last) * sqrt(RATIO)
