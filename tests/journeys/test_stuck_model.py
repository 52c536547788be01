from math import exp, log
from pathlib import Path
from random import Random

import pytest

from schemas.journeys import FEATURE_BIT, FEATURES, StuckModel
from streams.journeys.policy import JourneyPolicy
from streams.journeys.stuck_model import DEFAULT_MODEL, fit, log_odds, probability, reasons

POLICY = JourneyPolicy()
Cells = dict[str, dict[int, tuple[float, float]]]
ENGAGED = [FEATURE_BIT[name] for name in FEATURES if name.startswith("engaged_")]


def pattern_of(random: Random) -> int:
    """A pattern as visitors make it: few signs, and engaged time as a thermometer."""
    signs = sum(1 << bit for bit in range(11) if random.random() < 0.12)
    return signs + sum(ENGAGED[: random.randint(0, 4)])


def true_model(random: Random, pages: int) -> StuckModel:
    return StuckModel(
        version=1,
        valid_from_ms=0,
        base=random.gauss(-3.5, 0.5),
        pages={f"/p{i}": random.gauss(0, 0.7) for i in range(pages)},
        weights={name: random.gauss(0.5, 0.5) for name in FEATURES},
    )


def moments(truth: StuckModel, random: Random, count: int) -> Cells:
    out: Cells = {}
    for _ in range(count):
        page, pattern = random.choice(list(truth.pages)), pattern_of(random)
        n, k = out.setdefault(page, {}).get(pattern, (0.0, 0.0))
        out[page][pattern] = n + 1, k + (random.random() < probability(truth, page, pattern))
    return out


def fitted(cells: Cells, prior: StuckModel = DEFAULT_MODEL) -> StuckModel:
    return fit(cells, version=2, valid_from_ms=7, policy=POLICY, prior=prior)


@pytest.mark.parametrize("seed", range(20))
def test_probabilities_of_a_known_world_are_recovered_and_calibrated(seed: int) -> None:
    random = Random(seed)
    truth = true_model(random, 30)
    model = fitted(moments(truth, random, 20_000))
    judged: list[tuple[float, float, bool]] = []
    for _ in range(20_000):
        page, pattern = random.choice(list(truth.pages)), pattern_of(random)
        true = probability(truth, page, pattern)
        judged.append((probability(model, page, pattern), true, random.random() < true))
    known = sum((found - true) ** 2 for found, true, _ in judged) / len(judged)
    default = sum((probability(DEFAULT_MODEL, "", 0) - true) ** 2 for _, true, _ in judged) / len(judged)
    assert known < 0.001
    assert known < default / 4
    best = sum((true - happened) ** 2 for _, true, happened in judged) / len(judged)
    brier = sum((found - happened) ** 2 for found, _, happened in judged) / len(judged)
    assert brier < best * 1.03
    judged.sort()
    for tenth in range(10):
        part = judged[tenth * 2000 : (tenth + 1) * 2000]
        said, seen = (sum(float(each[i]) for each in part) / 2000 for i in (0, 2))
        noise = (said * (1 - said) / 2000) ** 0.5
        assert abs(said - seen) < 4 * noise + 0.15 * said + 0.003


def test_without_outcomes_the_day_one_model_stands() -> None:
    nothing: list[Cells] = [{}, {"/a": {}}, {"/a": {3: (0.0, 0.0)}}]
    for cells in nothing:
        model = fitted(cells)
        assert (model.base, model.weights, model.pages) == (DEFAULT_MODEL.base, DEFAULT_MODEL.weights, {})
        assert (model.version, model.valid_from_ms, model.moments) == (2, 7, 0.0)


def test_few_outcomes_move_the_defaults_little_and_many_move_them_far() -> None:
    loop = FEATURE_BIT["loop"]

    def weight(scale: int) -> float:
        return fitted({"/a": {0: (100.0 * scale, 2.0 * scale), loop: (20.0 * scale, 0.4 * scale)}}).weights[
            "loop"
        ]

    default = DEFAULT_MODEL.weights["loop"]
    assert abs(weight(1) - default) < 0.15
    assert abs(weight(1000)) < 0.15
    assert default > weight(1) > weight(10) > weight(100) > weight(1000)


def test_a_site_with_rare_contacts_is_known_by_its_rate() -> None:
    model = fitted({"/a": {0: (20_000.0, 40.0)}})
    assert probability(model, "/a", 0) == pytest.approx(0.002, rel=0.2)


def test_a_page_seen_seldom_stays_near_the_others_and_a_busy_one_speaks_for_itself() -> None:
    cells: Cells = {f"/p{i}": {0: (2000.0, 60.0)} for i in range(20)}
    cells["/seldom"], cells["/busy"] = {0: (4.0, 2.0)}, {0: (4000.0, 1200.0)}
    model = fitted(cells)
    assert probability(model, "/busy", 0) == pytest.approx(0.3, rel=0.1)
    assert probability(model, "/seldom", 0) < 0.2
    assert probability(model, "/never seen", 0) == pytest.approx(0.03, rel=0.3)


@pytest.mark.parametrize(
    "cells",
    [
        {"/a": {0: (1e6, 0.0)}},
        {"/a": {0: (1e6, 1e6)}},
        {"/a": {1: (5000.0, 5000.0), 0: (5000.0, 0.0)}},
        {"/a": {(1 << 15) - 1: (1.0, 1.0)}},
        {f"/p{i}": {i % 7: (1.0, 0.0)} for i in range(50)},
        {"/a": {0: (10.0, 20.0)}, "/b": {0: (10.0, -3.0)}},
        {"/a": {0: (1e-9, 1e-9)}},
        {"/a": {0: (1e9, 3e7), 1: (1e9, 3e8)}},
    ],
)
def test_outcomes_that_leave_no_doubt_or_make_no_sense_give_a_finite_model(cells: Cells) -> None:
    model = fitted(cells)
    values = [model.base, *model.weights.values(), *model.pages.values()]
    assert all(abs(value) < 25 for value in values)
    assert all(0 < probability(model, page, pattern) < 1 for page, row in cells.items() for pattern in row)


def test_the_fit_is_where_the_posterior_does_not_rise_any_more() -> None:
    """For a single page and one pattern: k - n p, a quarter of it, balances the pulls of the priors."""
    model = fitted({"/a": {0: (400.0, 40.0)}})
    residual = (40.0 - 400.0 * probability(model, "/a", 0)) / 4
    assert residual == pytest.approx((model.base - DEFAULT_MODEL.base) / 2.0**2, abs=1e-3)


def test_the_order_of_cells_does_not_matter() -> None:
    random = Random(5)
    cells = moments(true_model(random, 10), random, 3000)
    pages = list(cells)
    random.shuffle(pages)
    mixed = {page: dict(sorted(cells[page].items(), reverse=True)) for page in pages}
    assert fitted(mixed) == fitted(cells)


def test_evidence_is_counted_by_feature() -> None:
    model = fitted({"/a": {0: (10.0, 1.0), 1: (5.0, 2.0)}, "/b": {3: (2.5, 0.5)}})
    assert (model.evidence["loop"], model.evidence["quick_back"], model.evidence["error"]) == (7.5, 2.5, 0.0)
    assert (model.moments, model.contacts) == (17.5, 3.5)


def test_a_model_names_no_more_pages_than_are_counted_by_name() -> None:
    cells: Cells = {f"/p{i}": {0: (100.0 + i, 20.0 if i % 2 else 1.0)} for i in range(10)}
    model = fit(cells, version=1, valid_from_ms=0, policy=JourneyPolicy(most_pages=3))
    assert set(model.pages) == {"/p7", "/p8", "/p9"}


def test_reasons_add_up_to_the_log_odds() -> None:
    random = Random(6)
    truth = true_model(random, 5)
    for _ in range(500):
        page, pattern = random.choice(["/p1", "/p2", "/unknown", ""]), random.randrange(1 << 15)
        found = reasons(truth, page, pattern)
        assert sum(each.log_odds for each in found) == pytest.approx(
            log_odds(truth, page, pattern), abs=1e-12
        )
        contributions = [each.log_odds for each in found]
        assert contributions == sorted(contributions, reverse=True)
        assert 0.0 not in contributions


def test_reasons_say_what_they_are_about() -> None:
    pattern = FEATURE_BIT["loop"] + FEATURE_BIT["engaged_30"] + FEATURE_BIT["engaged_60"]
    model = StuckModel(
        version=1, valid_from_ms=0, base=-3.0, pages={"/a": 0.5}, weights=DEFAULT_MODEL.weights
    )
    found = {each.code: each for each in reasons(model, "/a", pattern)}
    assert set(found) == {"base", "page", "loop", "engaged"}
    assert (found["page"].detail, found["loop"].detail, found["engaged"].detail) == ("/a", None, "60")
    exact = {each.code: each for each in reasons(model, "/a", pattern, engaged_s=95)}
    assert exact["engaged"].detail == "95"


def test_on_day_one_no_single_sign_raises_a_flag_and_a_contact_page_with_others_does() -> None:
    thermometer = sum(ENGAGED)
    for name in FEATURES:
        bit = FEATURE_BIT[name]
        assert probability(DEFAULT_MODEL, "", bit) < POLICY.threshold
        assert DEFAULT_MODEL.weights[name] > 0
    many = FEATURE_BIT["contact_page"] + FEATURE_BIT["help_viewed"] + FEATURE_BIT["loop"]
    assert probability(DEFAULT_MODEL, "", many + thermometer) >= POLICY.threshold
    stuck = FEATURE_BIT["loop"] + FEATURE_BIT["zero_hits"] + FEATURE_BIT["error"] + FEATURE_BIT["form_error"]
    assert probability(DEFAULT_MODEL, "", stuck + thermometer) >= POLICY.threshold
    assert probability(DEFAULT_MODEL, "", 0) == pytest.approx(0.0148, abs=0.001)
    assert log(0.0148 / (1 - 0.0148)) == pytest.approx(DEFAULT_MODEL.base, abs=0.02)


def test_the_documentation_says_what_weighs_what_on_day_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "journeys.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("|")
    ]
    said = {row[0]: (float(row[1]), float(row[2])) for row in rows if row[0] in FEATURE_BIT}
    assert said == {name: (weight, round(exp(weight), 1)) for name, weight in DEFAULT_MODEL.weights.items()}
