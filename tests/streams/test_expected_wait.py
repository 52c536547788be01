"""Is the expected wait what the formula of the definitions says, and what happens in a queue that obeys it?"""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.expected_wait import until_served_s

rates = st.integers(1, 1000).map(lambda n: n / 1000)


@given(waiting=st.integers(0, 200), served=rates, gives_up=st.one_of(st.just(0.0), rates))
def test_it_is_the_sum_of_the_definitions(waiting: int, served: float, gives_up: float) -> None:
    exact = sum(1 / (Fraction(served) + j * Fraction(gives_up)) for j in range(waiting + 1))
    assert until_served_s(waiting, served, gives_up) == pytest.approx(float(exact), rel=1e-12)


@given(waiting=st.integers(0, 200), served=rates, gives_up=rates)
def test_who_comes_later_waits_longer_and_who_is_served_or_left_faster_less(
    waiting: int, served: float, gives_up: float
) -> None:
    now_s = until_served_s(waiting, served, gives_up)
    assert until_served_s(waiting + 1, served, gives_up) > now_s
    assert until_served_s(waiting, 2 * served, gives_up) < now_s
    assert until_served_s(waiting, served, 0.0) >= now_s


def test_in_a_queue_with_random_service_and_patience_it_is_the_mean_wait_that_happens() -> None:
    waiting, agents, served_per_s, gives_up_per_s = 12, 4, 1 / 200, 1 / 120
    dice = random.Random(7)

    def happened_s() -> float:
        """Of one who joins behind `waiting` others, and does not give up."""
        at_s, patience_s = 0.0, [dice.expovariate(gives_up_per_s) for _ in range(waiting)]
        while True:
            at_s += dice.expovariate(agents * served_per_s)
            patience_s = [each for each in patience_s if each > at_s]
            if not patience_s:
                return at_s
            patience_s.pop(0)

    mean_s = sum(happened_s() for _ in range(20_000)) / 20_000
    assert mean_s == pytest.approx(until_served_s(waiting, agents * served_per_s, gives_up_per_s), rel=0.03)
