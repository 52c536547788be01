"""Are ratios formed from sums, present with numerator, n and interval, and absent where there is nothing to share?"""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import counts as k
from schemas.snapshots import SERVICE_LEVELS
from streams.kpi import add, histogram, measures, summed, wilson, with_x

EDGES_MS = (5_000, 20_000, 60_000)
PANES = st.dictionaries(
    st.sampled_from((k.OFFERED, k.HANDLED, k.TALK_MS, k.ANSWERED_FROM + 20_000, k.ABANDONED_FROM + 5_000)),
    st.integers(1, 99),
)


def pane(answered: dict[int, int], abandoned: dict[int, int]) -> dict[int, int]:
    """Answered and abandoned by the edge (s) of their bucket."""
    counted = {k.ANSWERED_FROM + 1000 * edge: n for edge, n in answered.items()}
    return counted | {k.ABANDONED_FROM + 1000 * edge: n for edge, n in abandoned.items()}


def test_the_worked_day_of_the_definitions_has_its_five_service_levels() -> None:
    day = pane({20: 860, 60: 140}, {5: 10, 20: 10, 60: 40})
    made = measures(with_x(day, 20_000, 5_000))
    assert [round(100 * getattr(made, name), 1) for name in SERVICE_LEVELS] == [81.1, 81.9, 82.7, 83.0, 86.0]


def test_x_and_the_short_threshold_are_inclusive_edges() -> None:
    day = pane({5: 1, 20: 2, 60: 4}, {5: 8, 20: 16, 60: 32})
    made = with_x(day, 5_000, 20_000)
    assert (made[k.ANSWERED_IN_X], made[k.ABANDONED_IN_X], made[k.ABANDONED_SHORT]) == (1, 8, 24)
    assert (made[k.ANSWERED], made[k.ABANDONED]) == (7, 56)


def test_a_ratio_of_nothing_is_absent_and_not_zero() -> None:
    made = measures({})
    assert not made.proportions
    names = (
        *SERVICE_LEVELS,
        "sl_live",
        "abandonment_rate",
        "answer_rate",
        "transfer_rate",
        "asa_s",
        "aht_s",
        "occupancy",
    )
    assert [getattr(made, name) for name in names] == [None] * len(names)


def test_a_ratio_of_zero_is_zero_and_not_absent() -> None:
    made = measures(with_x(pane({}, {60: 3}), 20_000, 5_000))
    assert (made.sl_offered, made.abandonment_rate, made.sl_answered) == (0.0, 1.0, None)
    assert (made.proportions["sl_offered"].numerator, made.proportions["sl_offered"].n) == (0, 3)


def test_callbacks_are_in_sl_removed_and_nothing_else_and_overflow_is_in_none() -> None:
    day = with_x(pane({20: 1}, {20: 1}), 20_000, 5_000)
    day |= {k.CALLBACK_IN_X: 2, k.CALLBACK_LATE: 1, k.OVERFLOWED["timeout"]: 5}
    made = measures(day)
    assert (made.sl_offered, made.sl_removed, made.answer_rate) == (0.5, 4 / 5, 1 / 10)
    assert (made.callback, made.callback_in_x, made.overflowed, made.overflowed_by_reason) == (
        3,
        2,
        5,
        {"timeout": 5},
    )


def test_those_waiting_past_the_target_count_in_the_live_service_level_only() -> None:
    made = measures(with_x(pane({20: 3}, {}), 20_000, 5_000), past_x=1)
    assert (made.sl_live, made.sl_offered) == (0.75, 1.0)


def test_concurrency_is_over_the_time_with_a_contact_and_occupancy_over_busy_and_available_time() -> None:
    time = {
        k.BUSY_MS: 140_000, k.WRAPPING_MS: 40_000, k.WRAPPING_ONLY_MS: 40_000, k.AVAILABLE_MS: 100_000,
        k.BREAK_MS: 60_000, k.CONTACT_MS: 150_000,
    }  # fmt: skip
    made = measures({k.HANDLED: 2}, time)
    assert (made.occupancy, made.concurrency, made.cph) == (140 / 240, 1.5, 2 / (240 / 3600))


def test_handling_time_is_talk_hold_and_wrap_up_per_handled_contact() -> None:
    made = measures({k.HANDLED: 2, k.TALK_MS: 200_000, k.HOLD_MS: 30_000, k.WRAP_UP_MS: 50_000})
    assert (made.att_s, made.hold_s, made.acw_s, made.aht_s) == (100.0, 15.0, 25.0, 140.0)


@given(st.integers(1, 5000), st.data())
def test_the_wilson_interval_solves_its_equation_and_holds_the_share(n: int, data: st.DataObject) -> None:
    numerator = data.draw(st.integers(0, n))
    low, high = wilson(numerator, n)
    assert 0.0 <= low <= numerator / n + 1e-12
    assert numerator / n - 1e-12 <= high <= 1.0
    for bound in (low, high):
        distance = abs(numerator / n - bound)
        assert distance == pytest.approx(1.959963984540054 * sqrt(bound * (1 - bound) / n), abs=1e-7)


@given(st.lists(PANES, max_size=6))
def test_measures_of_a_sum_are_the_same_in_any_order_of_adding(panes: list[dict[int, int]]) -> None:
    one = summed(panes)
    other: dict[int, int] = {}
    for each in reversed(panes):
        add(other, each)
    assert one == other
    judged = [with_x(each, 20_000, 5_000) for each in panes]
    assert measures(summed(judged)) == measures(with_x(one, 20_000, 5_000))


def test_the_longest_wait_of_a_sum_is_the_greatest_and_not_the_sum() -> None:
    total = summed([{k.LONGEST_WAIT_MS: 5_000}, {k.LONGEST_WAIT_MS: 9_000}, {}])
    assert measures(total).longest_wait_max_s == 9.0


def test_the_histogram_has_a_bucket_per_edge_and_one_beyond() -> None:
    day = pane({5: 1, 60: 3}, {}) | {k.ANSWERED_FROM + k.BEYOND_MS: 4}
    assert histogram(day, k.ANSWERED_FROM, EDGES_MS) == [1, 0, 3, 4]
    assert histogram(day, k.ABANDONED_FROM, EDGES_MS) == [0, 0, 0, 0]
