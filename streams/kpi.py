"""What do base counts mean as measures? Every ratio of definitions.md, with numerator, n and Wilson interval.

Ratios are always formed from summed numerators and denominators, never averaged. A ratio with n = 0 does not exist.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import sqrt

from schemas import counts as k
from schemas.snapshots import Measures, Proportion

_Z = 1.959963984540054
_Z2 = _Z * _Z
_OVERFLOWED = tuple(k.OVERFLOWED.items())
_SLOTS = (
    k.ANSWERED, k.ANSWERED_IN_X, k.ABANDONED, k.ABANDONED_IN_X, k.ABANDONED_SHORT,
    k.CALLBACK_IN_X, k.CALLBACK_LATE, k.HANDLED, k.TRANSFERRED_OUT, k.TALK_MS, k.HOLD_MS, k.WRAP_UP_MS,
    k.ANSWERED_WAIT_MS, k.ABANDONED_WAIT_MS, k.CALLBACK_WAIT_MS, k.OVERFLOWED_WAIT_MS, k.LOST_WAIT_MS,
    k.FIRST_RESPONSES_IN_X, k.FIRST_RESPONSES_LATE, k.FIRST_RESPONSE_MS,
    k.OFFERED, k.LOST, k.TRANSFERRED_IN, k.DECLINED, k.SILENT_ABANDONED,
)  # fmt: skip
_ZEROS = (0,) * len(_SLOTS)


def wilson(numerator: float, n: float, z2: float = _Z2) -> tuple[float, float]:
    """The Wilson score interval of a proportion, as (low, high); 95 % by default.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

    >>> [round(x, 4) for x in wilson(860, 1060)]
    [0.7867, 0.8337]
    """
    scale = n + z2
    middle = (numerator + z2 / 2) / scale
    half = sqrt(z2 * (numerator * (n - numerator) / n + z2 / 4)) / scale
    return middle - half if numerator else 0.0, middle + half if numerator < n else 1.0


@lru_cache(maxsize=1 << 14)
def proportion(numerator: int, n: int) -> Proportion:
    """A ratio with its Wilson interval, to six places; n > 0 and numerator <= n."""
    low, high = wilson(numerator, n)
    return Proportion(numerator, n, int(low * 1e6 + 0.5) / 1e6, int(high * 1e6 + 0.5) / 1e6)


def add(total: dict[int, int], pane: dict[int, int]) -> None:
    """Add a pane to a total, in place."""
    for slot, value in pane.items():
        if slot == k.LONGEST_WAIT_MS:
            total[slot] = max(total.get(slot, 0), value)
        else:
            total[slot] = total.get(slot, 0) + value


def summed(panes: Iterable[dict[int, int]]) -> dict[int, int]:
    """The sum of panes."""
    total: dict[int, int] = {}
    for pane in panes:
        add(total, pane)
    return total


def windows_of(rings: Mapping[str, dict[int, int]]) -> dict[str, dict[int, int]]:
    """The counts of each window from rings: of each rolling window what the next shorter one lacks, and the day."""
    out: dict[str, dict[int, int]] = {}
    total: dict[int, int] = {}
    for window, ring in rings.items():
        if window == "day":
            out[window] = dict(ring)
        else:
            total = dict(total)
            add(total, ring)
            out[window] = total
    return out


def with_x(pane: dict[int, int], x_ms: int, short_ms: int, *, histogram: bool = True) -> dict[int, int]:
    """A copy in which the counts that depend on a queue's X and short-abandon threshold are slots of their own.

    Panes of queues with different promises may be added only after this step. Without `histogram` the copy leaves out
    the waits by bucket.
    """
    if not pane:
        return {}
    out = dict(pane) if histogram else {}
    answered = answered_in_x = abandoned = abandoned_in_x = short = 0
    for slot, value in pane.items():
        if slot < k.ANSWERED_FROM:
            if not histogram:
                out[slot] = value
            continue
        if slot < k.ABANDONED_FROM:
            answered += value
            if slot <= k.ANSWERED_FROM + x_ms:
                answered_in_x += value
        else:
            abandoned += value
            if slot <= k.ABANDONED_FROM + x_ms:
                abandoned_in_x += value
            if slot <= k.ABANDONED_FROM + short_ms:
                short += value
    out[k.ANSWERED], out[k.ANSWERED_IN_X] = answered, answered_in_x
    out[k.ABANDONED], out[k.ABANDONED_IN_X], out[k.ABANDONED_SHORT] = abandoned, abandoned_in_x, short
    return out


def measures(total: dict[int, int], time: dict[int, int] | None = None, past_x: int = 0) -> Measures:
    """All measures of a total made of panes that went through `with_x`.

    Args:
        total: base counts, {slot: value}.
        time: agents' time of the same window, or None where it is not known.
        past_x: contacts still waiting beyond X now, for `sl_live`.
    """
    if not total and not time and not past_x:
        return Measures()
    (
        answered, answered_in_x, abandoned, abandoned_in_x, short,
        callback_in_x, callback_late, handled, transferred_out, talk_ms, hold_ms, wrap_ms,
        answered_wait_ms, abandoned_wait_ms, callback_wait_ms, overflowed_wait_ms, lost_wait_ms,
        responses_in_x, responses_late, response_ms,
        offered, lost, transferred_in, declined, silent_abandoned,
    ) = map(total.get, _SLOTS, _ZEROS)  # fmt: skip
    callback = callback_in_x + callback_late
    responses = responses_in_x + responses_late
    by_reason = {r: total[slot] for r, slot in _OVERFLOWED if total.get(slot)}
    overflowed = sum(by_reason.values()) if by_reason else 0
    both = answered + abandoned
    proportions: dict[str, Proportion] = {}
    ratio: dict[str, float] = {}
    for name, numerator, n in (
        ("sl_offered", answered_in_x, both),
        ("sl_short_out", answered_in_x, both - short),
        ("sl_abandoned_late", answered_in_x, both - abandoned_in_x),
        ("sl_removed", answered_in_x + abandoned_in_x + callback_in_x, both + callback),
        ("sl_answered", answered_in_x, answered),
        ("sl_live", answered_in_x, both + past_x),
        ("abandonment_rate", abandoned, both),
        ("abandonment_rate_short_out", abandoned - short, both - short),
        ("answer_rate", answered, both + callback + overflowed),
        ("transfer_rate", transferred_out, answered),
    ):
        if n > 0:
            ratio[name] = numerator / n
            if numerator <= n:  # on the event basis a transfer may fall into a window that its answer left
                proportions[name] = proportion(numerator, n)
    out = Measures(
        offered=offered,
        answered=answered,
        answered_in_x=answered_in_x,
        abandoned=abandoned,
        abandoned_in_x=abandoned_in_x,
        abandoned_short=short,
        callback=callback,
        callback_in_x=callback_in_x,
        overflowed=overflowed,
        overflowed_by_reason=by_reason,
        lost=lost,
        transferred_in=transferred_in,
        transferred_out=transferred_out,
        declined=declined,
        handled=handled,
        silent_abandoned=silent_abandoned,
        wait_sum_s=(
            answered_wait_ms + abandoned_wait_ms + callback_wait_ms + overflowed_wait_ms + lost_wait_ms
        )
        / 1000,
        answered_wait_s=answered_wait_ms / 1000,
        abandoned_wait_s=abandoned_wait_ms / 1000,
        callback_wait_s=callback_wait_ms / 1000,
        overflowed_wait_s=overflowed_wait_ms / 1000,
        lost_wait_s=lost_wait_ms / 1000,
        talk_s=talk_ms / 1000,
        hold_sum_s=hold_ms / 1000,
        wrap_up_s=wrap_ms / 1000,
        asa_s=answered_wait_ms / answered / 1000 if answered else None,
        att_s=talk_ms / handled / 1000 if handled else None,
        hold_s=hold_ms / handled / 1000 if handled else None,
        acw_s=wrap_ms / handled / 1000 if handled else None,
        aht_s=(talk_ms + hold_ms + wrap_ms) / handled / 1000 if handled else None,
        first_responses=responses,
        first_responses_in_x=responses_in_x,
        first_response_sum_s=response_ms / 1000,
        first_response_s=response_ms / responses / 1000 if responses else None,
        proportions=proportions,
        **ratio,  # type: ignore[arg-type]
    )
    longest_ms = total.get(k.LONGEST_WAIT_MS)
    if longest_ms is not None:
        out.longest_wait_max_s = longest_ms / 1000
    if time:
        _add_time(out, time)
    return out


def _add_time(out: Measures, time: dict[int, int]) -> None:
    """Occupancy, concurrency and contacts per staffed hour from agents' time."""
    busy_ms, available_ms = time.get(k.BUSY_MS, 0), time.get(k.AVAILABLE_MS, 0)
    staffed_ms = busy_ms + available_ms
    out.busy_s, out.available_s = busy_ms / 1000, available_ms / 1000
    out.wrapping_s = time.get(k.WRAPPING_MS, 0) / 1000
    if staffed_ms > 0:
        out.occupancy = busy_ms / staffed_ms
        out.cph = out.handled / (staffed_ms / 3_600_000)
    out.concurrency = concurrency(time)


def concurrency(time: dict[int, int]) -> float | None:
    """Mean contacts at once while at least one is in hand, from agents' time."""
    in_contact_ms = time.get(k.BUSY_MS, 0) - time.get(k.WRAPPING_ONLY_MS, 0)
    return time.get(k.CONTACT_MS, 0) / in_contact_ms if in_contact_ms > 0 else None


def histogram(total: dict[int, int], first: int, edges_ms: tuple[int, ...]) -> list[int]:
    """The wait histogram of a total as counts per bucket, the last one without upper edge."""
    return [total.get(first + edge, 0) for edge in (*edges_ms, k.BEYOND_MS)]
