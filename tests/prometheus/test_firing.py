"""Is an alert that is worked out from a range query the alert that Prometheus would have fired?"""

import json
from pathlib import Path
from random import Random

import pytest

from tests.prometheus.firing import Firing, firings
from tests.system.local_prometheus import promtool

STEP_S = 15
EVERY = [float(STEP_S * n) for n in range(1, 81)]
FOREVER = float("inf")


def at(*numbers: int) -> set[float]:
    return {float(STEP_S * n) for n in numbers}


def test_a_condition_that_ends_before_its_time_fires_nothing() -> None:
    assert firings(EVERY, at(4, 5, 6, 7), 60, 0) == []


def test_a_condition_fires_once_it_has_held_for_its_time_and_ends_with_it() -> None:
    assert firings(EVERY, at(4, 5, 6, 7, 8), 60, 0) == [Firing(120.0, 135.0)]


def test_with_a_gap_of_one_instant_the_time_begins_anew() -> None:
    assert firings(EVERY, at(4, 5, 6, 8, 9, 10, 11, 12), 60, 0) == [Firing(180.0, 195.0)]


def test_what_is_kept_firing_is_one_incident_over_a_gap() -> None:
    assert firings(EVERY, at(1, 2, 3, 6, 7), 15, 60) == [Firing(30.0, 12 * 15.0)]


def test_what_still_fires_at_the_end_has_no_end() -> None:
    assert firings(EVERY[:5], at(5), 0, 0) == [Firing(75.0, FOREVER)]


def test_a_recovery_margin_holds_what_fires_and_begins_nothing() -> None:
    assert firings(EVERY, at(3), 0, 0, stays_at=at(1, 2, 3, 4, 5)) == [Firing(45.0, 90.0)]


LIMITS = ((0, 0), (60, 0), (30, 45), (60, 120))
RULES = [
    {
        "alert": f"Plain{number}",
        "expr": "x > 4",
        "for": f"{for_s}s",
        "keep_firing_for": f"{keep_s}s",
    }
    for number, (for_s, keep_s) in enumerate(LIMITS)
] + [
    {
        "alert": f"Margin{number}",
        "expr": f'x > 4 or x > 2 and on (queue) ALERTS{{alertname="Margin{number}", alertstate="firing"}}',
        "for": f"{for_s}s",
        "keep_firing_for": f"{keep_s}s",
    }
    for number, (for_s, keep_s) in enumerate(LIMITS)
]


@pytest.mark.system
@pytest.mark.parametrize("seed", [1, 2])
def test_promtool_says_the_same_of_every_instant(seed: int, tmp_path: Path) -> None:
    dice = Random(seed)
    level, values = 3, []
    for _ in EVERY:
        level = min(6, max(1, level + dice.choice((-1, 0, 0, 1))))
        values.append(level)
    holds = {s for s, value in zip(EVERY, values, strict=True) if value > 4}
    stays = {s for s, value in zip(EVERY, values, strict=True) if value > 2}
    expected = []
    for number, (for_s, keep_s) in enumerate(LIMITS):
        for name, margin in (("Plain", set()), ("Margin", stays)):
            found = firings(EVERY, holds, for_s, keep_s, margin)
            assert found or for_s > 30
            for at_s in EVERY:
                fires = any(each.from_s <= at_s < each.to_s for each in found)
                expected.append(
                    {
                        "expr": f'count(ALERTS{{alertname="{name}{number}",alertstate="firing"}}) or vector(0)',
                        "eval_time": f"{at_s:.0f}s",
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                )
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": RULES}]}))
    series = [{"series": 'x{queue="注文"}', "values": "0 " + " ".join(map(str, values))}]
    test = {"interval": f"{STEP_S}s", "input_series": series, "promql_expr_test": expected}
    unit = {"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP_S}s", "tests": [test]}
    (tmp_path / "unit.yml").write_text(json.dumps(unit, ensure_ascii=False))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "unit.yml")
