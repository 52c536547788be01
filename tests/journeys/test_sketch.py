from math import inf
from random import Random

import pytest

from streams.journeys.sketch import RATIO, bucket, lower_s, quantile


def test_a_duration_lies_between_the_lower_edges_of_its_bucket_and_of_the_next() -> None:
    random = Random(1)
    for _ in range(5000):
        seconds = 10 ** random.uniform(-3, 6)
        number = bucket(seconds)
        assert lower_s(number) <= seconds < lower_s(number + 1)


def test_lower_edges_belong_to_their_buckets_and_grow_by_a_tenth() -> None:
    assert [bucket(lower_s(number)) for number in range(201)] == list(range(201))
    assert all(lower_s(n + 1) / lower_s(n) == pytest.approx(RATIO) for n in range(1, 200))


@pytest.mark.parametrize(
    ("seconds", "number"), [(0, 0), (-5, 0), (0.05, 0), (0.1, 1), (inf, 200), (1e12, 200)]
)
def test_no_duration_is_beyond_the_first_and_the_last_bucket(seconds: float, number: int) -> None:
    assert bucket(seconds) == number


@pytest.mark.parametrize("q", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_quantiles_are_within_five_percent_of_a_duration_of_their_rank(q: float) -> None:
    random = Random(2)
    for size in (1, 2, 17, 1000):
        durations = sorted(random.lognormvariate(3, 1.5) for _ in range(size))
        sketch: dict[int, float] = {}
        for seconds in durations:
            sketch[bucket(seconds)] = sketch.get(bucket(seconds), 0) + 1
        true = durations[max(0, -int(-q * size // 1) - 1)]
        found = quantile(sketch, q)
        assert found is not None
        assert abs(found / true - 1) < 0.05


def test_sketches_merge_by_addition_and_weights_do_not_move_a_quantile() -> None:
    a, b = {10: 3.0, 40: 1.0}, {20: 5.0, 40: 2.0}
    merged = {10: 3.0, 20: 5.0, 40: 3.0}
    for q in (0.1, 0.5, 0.8, 0.95):
        assert quantile({n: a.get(n, 0) + b.get(n, 0) for n in {*a, *b}}, q) == quantile(merged, q)
        assert quantile({n: 0.37 * count for n, count in merged.items()}, q) == quantile(merged, q)


def test_nothing_counted_has_no_median_and_no_time_at_all_is_zero() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({5: 0.0, 7: -1.0}, 0.5) is None
    assert quantile({0: 4.0}, 0.5) == 0.0
