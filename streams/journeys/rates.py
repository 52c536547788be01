"""How sure is a share? Counts, decayed or not, as a `Rate` with its 95 % interval.

Two kinds: a share as it was measured (Wilson), and one that is shrunk to what is usual (Beta posterior). A share of
nothing does not exist. Refuses to know what is counted.
"""

from functools import lru_cache

from schemas.journeys import Rate
from streams.journeys.beta import beta_quantile
from streams.kpi import wilson as exact

TAIL = 0.025


def wilson(k: float, n: float) -> tuple[float, float]:
    """`streams.kpi.wilson` of `k` of `n` > 0, kept within 0-1 for decayed counts, whose sums are not exact."""
    low, high = exact(min(max(k, 0.0), n), n)
    return max(0.0, low), min(1.0, high)


def measured(k: float, n: float) -> Rate:
    """The share `k` of `n` as it was counted, with its Wilson interval; no share where n = 0."""
    if n <= 0:
        return Rate(k=0, n=0)
    low, high = wilson(k, n)
    return Rate(k=k, n=n, rate=min(max(k / n, 0.0), 1.0), low=low, high=high)


@lru_cache(maxsize=1 << 14)
def shrunk(k: float, n: float, usual: float, strength: float) -> Rate:
    """The share `k` of `n` as the posterior of a Beta prior with mean `usual` (0-1) that weighs `strength` trials.

    `rate` is the posterior mean, `low` and `high` its 2.5 % and 97.5 % quantiles; no share where n = 0.
    """
    if n <= 0:
        return Rate(k=0, n=0)
    hits = usual * strength + min(max(k, 0.0), n)
    misses = n + strength - hits
    return Rate(
        k=k,
        n=n,
        rate=hits / (hits + misses),
        low=beta_quantile(TAIL, hits, misses),
        high=beta_quantile(1 - TAIL, hits, misses),
    )
