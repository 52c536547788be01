"""Does the Prometheus that tests of dashboards and rules ask remember what the pipeline said?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.metrics import QUEUE_METRICS, WINDOW_COUNTS, WINDOW_LABELS
from schemas.snapshots import QueueSnapshot
from tests.prometheus.history import EMPTY_QUEUE, GONE_QUEUE, OPENS_MS, Day, History, Rule, Span
from tests.system.local_prometheus import QueryError

pytestmark = pytest.mark.system


def test_at_the_end_of_the_day_prometheus_says_of_each_queue_what_its_snapshot_says(history: Day) -> None:
    queues = [row for row in history.rows if isinstance(row, QueueSnapshot)]
    assert len(queues) == 8
    found = {
        (series.labels["__name__"], series.labels["queue"], series.labels["window"]): series.value
        for series in history.history.query('{__name__=~"queuelight_window_.+"}', history.ends_ms)
    }
    for row in queues:
        for base, field in WINDOW_COUNTS.items():
            for window in WINDOW_LABELS:
                key = f"queuelight_window_{base}_contacts", row.queue, window
                assert found[key] == getattr(row.windows[window], field), key
        assert found["queuelight_window_sl_live_denominator_contacts", row.queue, "30m"] == (
            row.windows["30m"].proportions["sl_live"].n if "sl_live" in row.windows["30m"].proportions else 0
        )
    assert sum(row.windows["day"].offered for row in queues) > 1000


def test_every_metric_of_a_queue_is_there_at_every_scrape(history: Day) -> None:
    wanted = {metric.name + "_bucket" * (metric.kind == "histogram") for metric in QUEUE_METRICS}
    for span in (history.by_minute, history.by_scrape):
        present = history.history.query_range('count by (__name__) ({queue=~".+"})', span)
        assert {series.labels["__name__"] for series in present} >= wanted
        scrapes = len(list(span.instants()))
        assert {len(s.values) for s in present if s.labels["__name__"] in wanted} == {scrapes}


def test_an_empty_queue_is_told_with_0_and_a_vanished_one_until_it_vanishes(history: Day) -> None:
    offered = 'last_over_time(queuelight_window_offered_contacts{window="day",queue="%s"}[15s])'
    empty, *_ = history.history.query_range(offered % EMPTY_QUEUE, history.by_minute)
    assert set(empty.values.values()) == {0.0}
    gone, *_ = history.history.query_range(offered % GONE_QUEUE, history.by_minute)
    assert gone.value > 0
    assert max(gone.values) == history.gone_ms / 1000 - 60


def test_the_hour_in_which_agents_left_shows_in_the_service_level(history: Day) -> None:
    level = (
        'queuelight_window_sl_offered_numerator_contacts{queue="注文・配送",window="30m"}'
        ' / (queuelight_window_sl_offered_denominator_contacts{queue="注文・配送",window="30m"} > 0)'
    )
    eleven_ms = OPENS_MS + 2 * 3_600_000
    (before,) = history.history.query(level, eleven_ms)
    (during,) = history.history.query(level, eleven_ms + 2_400_000)
    assert during.value < before.value - 0.3


def test_counters_of_the_worker_rise_by_what_was_sent(history: Day) -> None:
    (rate,) = history.history.query("sum(rate(queuelight_events_total[10m]))", history.ends_ms)
    (total,) = history.history.query("sum(queuelight_events_total)", history.ends_ms)
    (positions,) = history.history.query("sum(queuelight_run_seconds_sum)", history.ends_ms)
    assert total.value > 10_000
    assert 0.1 < rate.value < 10
    assert positions.value > total.value * 20e-6 - 1e-6


def test_a_query_that_is_none_is_refused_with_the_words_of_prometheus(history: Day) -> None:
    with pytest.raises(QueryError, match="parse error"):
        history.history.query("sum by (queue (x)", history.ends_ms)


# --- rules --------------------------------------------------------------------------------------------------------

RULES = """
groups:
- name: first
  rules:
  - alert: QueuelightTooMany
    expr: queue:x_twice:last > 3
    for: 30s
    keep_firing_for: 1m
    labels: {severity: warning}
  - record: queue:x_twice:last
    expr: 2 * queue:x:last
    labels: {basis: "\\"event\\""}
- name: second
  rules:
  - record: queue:x:last
    expr: max by (queue) (last_over_time(x[15s]))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    file = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(RULES, encoding="utf-8")
    lines = (f'x{{queue="注文",worker="{w}"}} {i} {i * 60}.000\n' for w in "ab" for i in range(1, 6))
    with History([file]) as made:
        made.add(lines)
        made.start()
        made.record([Span(0, 300_000, 60)])
        yield made


def test_rules_that_build_on_rules_are_recorded_at_the_instants_of_the_scrapes(recorded: History) -> None:
    (twice,) = recorded.query_range("queue:x_twice:last", Span(0, 300_000, 60))
    assert twice.labels == {"__name__": "queue:x_twice:last", "queue": "注文", "basis": '"event"'}
    assert twice.values == {60.0 * i: 2.0 * i for i in range(1, 6)}


def test_an_alert_is_read_with_its_times(recorded: History) -> None:
    (alert,) = (rule for rule in recorded.rules() if rule.is_alert)
    assert alert == Rule(
        True, "QueuelightTooMany", "queue:x_twice:last > 3", {"severity": "warning"}, 30.0, 60.0
    )


def test_a_span_ends_with_its_end_and_begins_after_its_beginning() -> None:
    assert list(Span(60_000, 120_000, 15).instants()) == [75_000, 90_000, 105_000, 120_000]
    assert list(Span(61_000, 119_000, 15).instants()) == [75_000, 90_000, 105_000]


def test_the_folder_goes_with_its_prometheus() -> None:
    with History() as made:
        made.add(iter(["x 1 60\n"]))
        made.start()
        folder: Path = made.folder
        assert folder.exists()
    assert not folder.exists()
