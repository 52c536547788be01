"""What are the numbers of a list of segments? Counts, sums and their ratios, the plain batch way.

Refuses to know which segments belong together (`report`). A ratio of nothing is None.
"""

from collections.abc import Iterable, Sequence
from typing import TypedDict

from streams.truth.judged import Judged

OUTCOMES = ("answered", "abandoned", "callback", "overflowed", "lost", "waiting")


class AgentTimes(TypedDict):
    """How the agents of the site spent their time; `agents` counts them by state at the end."""

    busy_s: float
    wrapping_s: float
    available_s: float
    break_s: float
    lost_s: float
    occupancy: float | None
    concurrency: float | None
    agents: dict[str, int]


class M(TypedDict, total=False):
    """Every base count and measure; `start`, `queue` only in intervals' rows, `agents` only in the total."""

    start: str
    queue: str
    offered: int
    answered: int
    answered_in_x: int
    abandoned: int
    abandoned_in_x: int
    abandoned_short: int
    callback: int
    callback_in_x: int
    overflowed: int
    lost: int
    waiting: int
    handled: int
    transferred_in: int
    transferred_out: int
    declined: int
    silent_abandoned: int
    asa_s: float | None
    aht_s: float | None
    att_s: float | None
    hold_s: float | None
    acw_s: float | None
    wait_sum_s: float
    longest_wait_max_s: float | None
    abandonment_rate: float | None
    abandonment_rate_short_out: float | None
    answer_rate: float | None
    transfer_rate: float | None
    sl_offered: float | None
    sl_short_out: float | None
    sl_abandoned_late: float | None
    sl_removed: float | None
    sl_answered: float | None
    queue_length_max: int
    first_responses: int
    first_responses_in_x: int
    first_response_s: float | None
    agents: AgentTimes


def measure(segments: Sequence[Judged]) -> M:
    """All measures of these segments but queue length and agents' time."""
    by_outcome: dict[str, list[Judged]] = {outcome: [] for outcome in OUTCOMES}
    for segment in segments:
        by_outcome[segment.outcome].append(segment)
    result: M = {"offered": len(segments)}
    _count(result, segments, by_outcome)
    _time(result, segments, by_outcome["answered"])
    _rates(result)
    _service_levels(result)
    return result


def _count(result: M, segments: Sequence[Judged], by_outcome: dict[str, list[Judged]]) -> None:
    abandoned = by_outcome["abandoned"]
    result["answered"] = len(by_outcome["answered"])
    result["answered_in_x"] = sum(s.in_x for s in by_outcome["answered"])
    result["abandoned"] = len(abandoned)
    result["abandoned_in_x"] = sum(s.in_x for s in abandoned)
    result["abandoned_short"] = sum(s.short for s in abandoned)
    result["callback"] = len(by_outcome["callback"])
    result["callback_in_x"] = sum(s.in_x for s in by_outcome["callback"])
    result["overflowed"] = len(by_outcome["overflowed"])
    result["lost"] = len(by_outcome["lost"])
    result["waiting"] = len(by_outcome["waiting"])
    result["handled"] = sum(s.handled for s in segments)
    result["transferred_in"] = sum(s.transferred_in for s in segments)
    result["transferred_out"] = sum(s.transferred_out for s in segments)
    result["declined"] = sum(s.declined for s in segments)
    result["silent_abandoned"] = sum(s.silent for s in segments)


def _time(result: M, segments: Sequence[Judged], answered: Sequence[Judged]) -> None:
    handled = result["handled"]
    talk_ms = _sum(s.talk_ms for s in segments)
    hold_ms = _sum(s.hold_ms for s in segments)
    wrap_up_ms = _sum(s.wrap_up_ms for s in segments)
    waits_ms = [s.wait_ms for s in segments if s.wait_ms is not None]
    responses_ms = [s.first_response_ms for s in segments if s.first_response_ms is not None]
    result["asa_s"] = _mean_s(_sum(s.wait_ms for s in answered), len(answered))
    result["att_s"] = _mean_s(talk_ms, handled)
    result["hold_s"] = _mean_s(hold_ms, handled)
    result["acw_s"] = _mean_s(wrap_up_ms, handled)
    result["aht_s"] = _mean_s(talk_ms + hold_ms + wrap_up_ms, handled)
    result["wait_sum_s"] = sum(waits_ms) / 1000
    result["longest_wait_max_s"] = max(waits_ms) / 1000 if waits_ms else None
    result["first_responses"] = len(responses_ms)
    result["first_responses_in_x"] = sum(s.first_response_in_x for s in segments)
    result["first_response_s"] = _mean_s(sum(responses_ms), len(responses_ms))


def _rates(result: M) -> None:
    answered, abandoned, short = result["answered"], result["abandoned"], result["abandoned_short"]
    known = answered + abandoned + result["callback"] + result["overflowed"]
    result["abandonment_rate"] = ratio(abandoned, answered + abandoned)
    result["abandonment_rate_short_out"] = ratio(abandoned - short, answered + abandoned - short)
    result["answer_rate"] = ratio(answered, known)
    result["transfer_rate"] = ratio(result["transferred_out"], answered)


def _service_levels(result: M) -> None:
    answered, abandoned, callback = result["answered"], result["abandoned"], result["callback"]
    in_x, gone_in_x = result["answered_in_x"], result["abandoned_in_x"]
    either = answered + abandoned
    result["sl_offered"] = ratio(in_x, either)
    result["sl_short_out"] = ratio(in_x, either - result["abandoned_short"])
    result["sl_abandoned_late"] = ratio(in_x, either - gone_in_x)
    result["sl_removed"] = ratio(in_x + gone_in_x + result["callback_in_x"], either + callback)
    result["sl_answered"] = ratio(in_x, answered)


def ratio(numerator: float, n: float) -> float | None:
    """None where there is nothing to have a share of."""
    return numerator / n if n else None


def _mean_s(sum_ms: int, n: int) -> float | None:
    return sum_ms / n / 1000 if n else None


def _sum(values: Iterable[int | None]) -> int:
    return sum(value for value in values if value is not None)
