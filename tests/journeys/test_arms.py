from random import Random
from typing import Any

import pytest

from schemas.journeys import InterventionResult
from streams.journeys.arms import arm_of, difference, results
from streams.journeys.policy import JourneyPolicy


def held_out(policy: JourneyPolicy, ids: int = 100_000) -> set[int]:
    return {i for i in range(ids) if arm_of(f"v{i}", policy) == "holdout"}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share_held_out_is_as_configured_within_four_sigma(share: float) -> None:
    assert (
        abs(len(held_out(JourneyPolicy(holdout=share))) - 100_000 * share)
        < 4 * (100_000 * share * (1 - share)) ** 0.5
    )


def test_nobody_or_everybody_can_be_held_out() -> None:
    assert held_out(JourneyPolicy(holdout=0.0), 2000) == set()
    assert len(held_out(JourneyPolicy(holdout=1.0), 2000)) == 2000


def test_who_is_held_out_stays_so_when_more_are() -> None:
    few, some, many = (held_out(JourneyPolicy(holdout=share), 20_000) for share in (0.05, 0.1, 0.3))
    assert few < some < many


def test_another_salt_draws_anew_and_the_same_salt_does_not() -> None:
    one, other = held_out(JourneyPolicy(salt="a")), held_out(JourneyPolicy(salt="b"))
    assert one == held_out(JourneyPolicy(salt="a"))
    assert abs(len(one & other) - 1000) < 4 * 1000**0.5


def test_an_id_that_is_no_text_still_has_an_arm() -> None:
    assert arm_of("\ud800", JourneyPolicy()) in ("offer", "holdout")


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_intervals_equal_those_in_newcombes_paper(
    k1: int, n1: int, k2: int, n2: int, low: float, high: float
) -> None:
    """Newcombe 1998, table II, method 10: all eight examples."""
    _, found_low, found_high = difference(k1, n1, k2, n2)
    assert [found_low, found_high] == pytest.approx([low, high], abs=6e-5)


def trial(
    seed: int, offered: float, held: float, visitors: int = 4000, share: float = 0.1
) -> InterventionResult:
    random, counts = Random(seed), dict.fromkeys(("offer_n", "offer_k", "holdout_n", "holdout_k"), 0)
    policy = JourneyPolicy(holdout=share, salt=str(seed))
    for visitor in range(visitors):
        arm = arm_of(str(visitor), policy)
        counts[f"{arm}_n"] += 1
        counts[f"{arm}_k"] += random.random() < (offered if arm == "offer" else held)
    return results("/p", "faq", counts, days=2.0)


def test_a_planted_effect_lies_in_its_interval_in_nine_of_ten_of_200_trials_at_least() -> None:
    found = [trial(seed, offered=0.3, held=0.45) for seed in range(200)]
    held = sum(
        each.effect_low <= 0.15 <= each.effect_high
        for each in found
        if each.effect_low is not None and each.effect_high is not None
    )
    assert held >= 180
    assert sum(each.verdict == "helps" for each in found) >= 180
    assert not any(each.verdict == "harms" for each in found)


def test_where_offers_change_nothing_it_is_said_to_be_not_shown() -> None:
    assert sum(trial(seed, 0.35, 0.35, 2000).verdict == "not shown" for seed in range(200)) >= 180


def test_an_offer_that_brings_contacts_harms() -> None:
    assert trial(1, offered=0.6, held=0.3).verdict == "harms"


def test_contacts_avoided_are_the_effect_on_everyone_with_an_offer_per_day() -> None:
    found = results(
        "/p", "faq", {"offer_n": 900, "offer_k": 270, "holdout_n": 100, "holdout_k": 50}, days=9.0
    )
    assert found.effect == pytest.approx(0.2)
    assert found.avoided_per_day == pytest.approx(20.0)
    assert found.effect_low is not None
    assert found.effect_high is not None
    assert found.avoided_low == pytest.approx(100 * found.effect_low)
    assert found.avoided_high == pytest.approx(100 * found.effect_high)


def test_the_first_hours_are_not_blown_up_to_a_day() -> None:
    counts = {"offer_n": 90, "offer_k": 9, "holdout_n": 10, "holdout_k": 5}
    assert (
        results("/p", "faq", counts, days=0.05).avoided_per_day
        == results("/p", "faq", counts, days=1.0).avoided_per_day
    )


@pytest.mark.parametrize("counts", [{}, {"offer_n": 5, "offer_k": 1}, {"holdout_n": 3}])
def test_without_both_arms_there_is_no_effect(counts: dict[str, int]) -> None:
    found: Any = results("/p", "faq", counts, days=3.0)
    assert (found.effect, found.effect_low, found.avoided_per_day, found.verdict) == (
        None,
        None,
        None,
        "not shown",
    )


def test_resolution_and_what_was_shown_are_told_by_arm() -> None:
    found = results(
        "/p",
        "faq",
        {
            "offer_n24": 20,
            "offer_r24": 15,
            "holdout_n24": 4,
            "holdout_r24": 1,
            "shown": 18,
            "accepted": 9,
            "declined": 3,
        },
        1.0,
    )
    assert (found.offer.resolved.rate, found.holdout.resolved.rate) == (0.75, 0.25)
    assert (found.shown, found.accepted, found.declined) == (18, 9, 3)
