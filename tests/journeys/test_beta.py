from math import comb, exp, inf, lgamma, log, nan
from random import Random

import pytest

from streams.journeys.beta import beta_cdf, beta_quantile
from streams.journeys.rates import measured, shrunk


@pytest.mark.parametrize("n", [1, 5, 30, 200])
def test_for_whole_counts_it_is_a_tail_of_the_binomial(n: int) -> None:
    """I_x(k, n - k + 1) = P(Binomial(n, x) >= k)."""
    for k in {1, (n + 1) // 2, n}:
        for x in (0.01, 0.2, 0.5, 0.77, 0.99):
            tail = sum(comb(n, i) * x**i * (1 - x) ** (n - i) for i in range(k, n + 1))
            assert beta_cdf(x, k, n - k + 1) == pytest.approx(tail, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("x", [1e-9, 0.003, 0.3, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("a", [0.01, 0.5, 1.0, 3.7, 250.0])
def test_with_one_parameter_of_one_it_is_a_power(a: float, x: float) -> None:
    assert beta_cdf(x, a, 1.0) == pytest.approx(x**a, rel=1e-11)
    assert beta_cdf(x, 1.0, a) == pytest.approx(1 - (1 - x) ** a, rel=1e-9, abs=1e-14)


def test_it_mirrors_and_steps_up_as_the_integral_does() -> None:
    """I_x(a, b) = 1 - I_1-x(b, a), and I_x(a, b) = I_x(a + 1, b) + x^a (1 - x)^b / (a B(a, b)), DLMF 8.17.20."""
    random = Random(1)
    for _ in range(500):
        a, b, x = 10 ** random.uniform(-2, 3), 10 ** random.uniform(-2, 3), random.uniform(0.001, 0.999)
        step = exp(a * log(x) + b * log(1 - x) + lgamma(a + b) - lgamma(a + 1) - lgamma(b))
        assert beta_cdf(x, a, b) == pytest.approx(1 - beta_cdf(1 - x, b, a), abs=1e-11)
        assert beta_cdf(x, a, b) == pytest.approx(beta_cdf(x, a + 1, b) + step, abs=1e-11)


def test_a_quantile_is_where_the_integral_reaches_it() -> None:
    random = Random(2)
    for _ in range(500):
        a, b, q = 10 ** random.uniform(-1, 5), 10 ** random.uniform(-1, 5), random.uniform(0.001, 0.999)
        x = beta_quantile(q, a, b)
        if x < 1 - 1e-6:  # closer to 1 a float has too few digits left for the distance that counts
            assert beta_cdf(x, a, b) == pytest.approx(q, abs=1e-8)


def test_quantiles_grow_with_the_share_and_with_hits() -> None:
    rising = [beta_quantile(q / 100, 3.3, 41.7) for q in range(101)]
    assert rising == sorted(rising)
    assert (rising[0], rising[-1]) == (0.0, 1.0)
    hits = [beta_quantile(0.025, 0.5 + k, 50.5 - k) for k in range(51)]
    assert hits == sorted(hits)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (1.0, -1.0), (nan, 1.0), (1.0, inf)])
def test_a_distribution_without_two_positive_parameters_is_refused(a: float, b: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        beta_cdf(0.5, a, b)


def test_a_rate_is_shrunk_to_what_is_usual_and_less_so_the_more_is_known() -> None:
    none, few, many = shrunk(0, 0, 0.03, 20), shrunk(1, 2, 0.03, 20), shrunk(500, 1000, 0.03, 20)
    assert (none.rate, none.low, none.high) == (None, None, None)
    assert few.rate == pytest.approx((1 + 0.6) / 22)
    assert many.rate == pytest.approx(500.6 / 1020)
    for rate in (few, many):
        assert rate.low is not None
        assert rate.rate is not None
        assert rate.high is not None
        assert 0 <= rate.low < rate.rate < rate.high <= 1


def test_the_interval_of_a_rate_holds_the_truth_as_often_as_it_says() -> None:
    """Truths drawn from the prior itself: then a 95 % credible interval holds in 95 % of all cases."""
    random, held = Random(3), 0
    for _ in range(2000):
        truth, n = random.betavariate(0.05 * 20, 0.95 * 20), random.randint(1, 300)
        rate = shrunk(sum(random.random() < truth for _ in range(n)), n, 0.05, 20)
        assert rate.low is not None
        assert rate.high is not None
        held += rate.low <= truth <= rate.high
    assert 0.935 < held / 2000 < 0.965


def test_a_share_as_measured_never_leaves_what_is_possible() -> None:
    assert measured(0, 0).rate is None
    for k, n in ((0, 3), (3, 3), (0.2, 0.3), (5.0, 4.0), (-1.0, 4.0)):
        rate = measured(k, n)
        assert rate.low is not None
        assert rate.rate is not None
        assert rate.high is not None
        assert 0 <= rate.low <= rate.rate <= rate.high <= 1
