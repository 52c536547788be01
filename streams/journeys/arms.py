"""Who is offered help, and did offering help? Assignment by a stable hash, and the comparison of the two arms.

Everyone who was assigned counts, whether or not help was shown or taken (intention to treat). Refuses to know who is
stuck, and whether an agent is free: both arms are drawn from the same flagged visitors.
"""

from collections.abc import Mapping
from hashlib import blake2b
from math import sqrt
from typing import Literal

from schemas.journeys import Arm, ArmResult, InterventionResult
from streams.journeys.policy import JourneyPolicy
from streams.journeys.rates import measured, wilson

_RANGE = float(1 << 64)


def arm_of(visitor_id: str, policy: JourneyPolicy) -> Arm:
    """The arm of a visitor: a number in 0-1 from BLAKE2b of salt and id; below `policy.holdout` nothing is offered.

    It never changes while the salt stays, and who is held out at 5 % is so at 10 %, too.
    """
    digest = blake2b(f"{policy.salt}\x1f{visitor_id}".encode("utf-8", "replace"), digest_size=8).digest()
    return "holdout" if int.from_bytes(digest, "big") / _RANGE < policy.holdout else "offer"


def difference(k1: float, n1: float, k2: float, n2: float) -> tuple[float, float, float]:
    """The difference k1/n1 - k2/n2 (n > 0) with its 95 % interval: (difference, low, high).

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17 (1998), method 10: from the Wilson intervals of the two.

    >>> [round(x, 4) for x in difference(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = wilson(k1, n1), wilson(k2, n2)
    delta = p1 - p2
    return (
        delta,
        delta - sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2),
        delta + sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2),
    )


def results(page: str, kind: str, counts: Mapping[str, int], days: float) -> InterventionResult:
    """What became of those who were flagged on a page, by arm.

    Args:
        counts: of the row `schemas.web_rows.offers_row`, summed over the days kept, not decayed: an interval needs
            people, not weights.
        days: how long they were counted, in days; less than one counts as one.

    The interval of what was avoided per day is that of the effect: how many were flagged is known, not estimated.
    """
    n, k = counts.get("offer_n", 0), counts.get("offer_k", 0)
    held_n, held_k = counts.get("holdout_n", 0), counts.get("holdout_k", 0)
    offer = ArmResult(
        contact=measured(k, n), resolved=measured(counts.get("offer_r24", 0), counts.get("offer_n24", 0))
    )
    holdout = ArmResult(
        contact=measured(held_k, held_n),
        resolved=measured(counts.get("holdout_r24", 0), counts.get("holdout_n24", 0)),
    )
    shown, accepted, declined = (counts.get(name, 0) for name in ("shown", "accepted", "declined"))
    if n <= 0 or held_n <= 0:
        return InterventionResult(
            page=page,
            kind=kind,
            offer=offer,
            holdout=holdout,
            shown=shown,
            accepted=accepted,
            declined=declined,
        )
    effect, low, high = difference(held_k, held_n, k, n)
    per_day = n / max(days, 1.0)
    return InterventionResult(
        page=page,
        kind=kind,
        offer=offer,
        holdout=holdout,
        shown=shown,
        accepted=accepted,
        declined=declined,
        effect=effect,
        effect_low=low,
        effect_high=high,
        avoided_per_day=effect * per_day,
        avoided_low=low * per_day,
        avoided_high=high * per_day,
        verdict=_verdict(low, high),
    )


def _verdict(low: float, high: float) -> Literal["helps", "harms", "not shown"]:
    if low > 0:
        return "helps"
    return "harms" if high < 0 else "not shown"
