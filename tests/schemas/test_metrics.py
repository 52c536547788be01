"""Are metrics declared by the rules, and do their words say what the pipeline computes?"""

import re
from datetime import datetime

import pytest

from schemas.definitions import DEFINITIONS, SERVICE_LEVEL_DEFINITIONS
from schemas.events import AGENT_STATES
from schemas.metrics import METRICS, VARIANTS, WALLBOARD_METRICS, WINDOW_COUNTS, WINDOW_LABELS, WINDOW_SECONDS
from schemas.snapshots import SERVICE_LEVELS, Measures, QueueSnapshot
from streams.driver import Driver, Item
from streams.kpi import measures
from streams.simulator import DEMO, Simulation, default_site, encode

START = int(datetime.fromisoformat("2026-10-01T09:00:00+09:00").timestamp() * 1000)
LIVE = ("waiting", "at_risk", "in_service", "trend", "agents", "answer_within_s", "target")


@pytest.fixture(scope="module")
def queues() -> list[QueueSnapshot]:
    simulation = Simulation(default_site(4), DEMO, seed=5)
    driver = Driver(simulation.site, partitions=2)
    driver.feed(Item(t, k, encode(e)) for t, k, e in simulation.events(START, START + 2_400_000))
    driver.finish()
    return [s for s in driver.snapshots(driver.now_ms) if isinstance(s, QueueSnapshot)]


def computed(formula: str, m: Measures, at_risk: int = 0) -> float | None:
    names = {name: getattr(m, name) for name in m.__struct_fields__} | {"at_risk": at_risk}
    try:
        return float(eval(formula, {"__builtins__": {}}, names))
    except ZeroDivisionError:
        return None


def test_every_formula_of_the_definitions_is_what_the_pipeline_computes(queues: list[QueueSnapshot]) -> None:
    checked = set()
    for queue in queues:
        for m in queue.windows.values():
            for definition in DEFINITIONS.values():
                if definition.formula:
                    told = getattr(m, definition.name)
                    assert told == (
                        None
                        if told is None
                        else pytest.approx(computed(definition.formula, m, queue.at_risk))
                    ), definition.name
                    checked.add(definition.name)
    assert {*VARIANTS, "asa_s", "aht_s", "abandonment_rate", "answer_rate", "occupancy"} <= checked


def test_the_worked_day_of_the_definitions_gives_the_five_service_levels() -> None:
    day = Measures(answered=1000, abandoned=60, answered_in_x=860, abandoned_in_x=20, abandoned_short=10)
    levels = {d.name: computed(d.formula, day) for d in SERVICE_LEVEL_DEFINITIONS}
    assert [round(100 * (levels[name] or 0), 1) for name in SERVICE_LEVELS] == [81.1, 81.9, 82.7, 83.0, 86.0]


def test_a_ratio_that_does_not_exist_has_no_formula_result_either() -> None:
    empty = measures({}, None)
    assert all(
        computed(d.formula, empty) is None for d in DEFINITIONS.values() if d.unit == "ratio" and d.formula
    )


def test_a_definition_names_a_field_of_the_snapshots_or_says_something_about_now() -> None:
    fields = {*Measures.__struct_fields__, *QueueSnapshot.__struct_fields__, *AGENT_STATES}
    truth = {"newest_event", "events", "duplicates", "corrected", "unmatched", "late_dropped", "ignored"}
    other = {"longest_wait", "lost_contacts", "n", "undecodable", "lag"}
    web = {
        "web_sessions", "contacted_share", "contact_rate", "base_rate", "lift", "lead_time", "page_verdict", "stuck",
        "holdout", "offer_effect", "avoided", "self_resolution", "silent_leavers", "channel_switches", "fcr",
        "repeat_share",
    }  # fmt: skip
    assert set(DEFINITIONS) <= fields | truth | other | web
    assert set(LIVE) <= set(DEFINITIONS)


def test_every_definition_has_words_in_both_languages() -> None:
    for definition in DEFINITIONS.values():
        assert definition.label("en")
        assert definition.label("ja")
        assert definition.label("ja", short=True)
        assert definition.sentence("ja")


def test_every_definition_is_explained_in_japanese_not_in_english_by_default() -> None:
    for definition in DEFINITIONS.values():
        assert re.search(r"[ぁ-ゖァ-ヺ一-鿿]", definition.text_ja), definition.name
        assert definition.sentence("ja") == definition.text_ja


def test_response_rate_is_not_called_service_level() -> None:
    assert DEFINITIONS["answer_rate"].label("ja") == "応答率"
    assert "サービスレベル" in DEFINITIONS["sl_offered"].label("ja")


def test_names_have_the_prefix_a_base_unit_and_the_suffix_of_their_type() -> None:
    for metric in METRICS.values():
        assert re.fullmatch(r"queuelight_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.name.endswith("_info") == (
            metric.kind == "info" or metric.name == "queuelight_queue_info"
        )
        assert not re.search(r"_(ms|milliseconds|minutes|percent|age)(_|$)", metric.name), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")
            assert list(metric.edges) == sorted(set(metric.edges))
            assert metric.edges


def test_no_label_name_is_inside_a_metric_name_and_no_label_could_name_a_person() -> None:
    allowed = {
        "queue", "channel", "window", "state", "source", "reason", "topic", "partition", "result", "version",
        "revision", "owner", "team", "outcome", "page", "verdict", "kind", "arm",
    }  # fmt: skip
    for metric in METRICS.values():
        assert set(metric.labels) <= allowed
        assert len(set(metric.labels)) == len(metric.labels)


def test_a_metric_of_the_wallboard_keeps_the_same_rules() -> None:
    for metric in WALLBOARD_METRICS:
        assert metric.name not in METRICS
        assert re.fullmatch(r"queuelight_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert set(metric.labels) <= {"result"}


def test_no_ratio_is_exported_but_targets_and_limits() -> None:
    assert [name for name in METRICS if "ratio" in name or "rate" in name] == [
        "queuelight_alert_abandonment_ratio",
        "queuelight_sl_target_ratio",
        "queuelight_alert_silent_abandonment_ratio",
    ]


def test_every_variant_has_a_numerator_and_a_denominator_whose_help_is_its_definition() -> None:
    for variant in VARIANTS:
        for part in ("numerator", "denominator"):
            metric = METRICS[f"queuelight_window_{variant}_{part}_contacts"]
            assert DEFINITIONS[variant].text in metric.help
            assert metric.labels == ("queue", "channel", "window")


def test_every_count_and_sum_is_a_field_of_the_measures() -> None:
    assert {*WINDOW_COUNTS.values(), *WINDOW_SECONDS.values()} <= set(Measures.__struct_fields__)
    assert WINDOW_LABELS == ("1m", "5m", "15m", "30m", "1h", "day")


def test_help_texts_are_one_line_that_needs_no_escaping() -> None:
    for metric in METRICS.values():
        assert len(metric.help) > 15
        assert not set(metric.help) & {"\n", '"', "\\"}
