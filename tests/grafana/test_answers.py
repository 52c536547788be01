"""Does a Prometheus that lived through a simulated day answer every question of the dashboards, and rightly?"""

import html
import math
import re
from collections.abc import Iterable
from itertools import chain

import pytest

from dashboards.grafana.patience import STEPS_S
from dashboards.grafana.promql import recorded
from schemas.definitions import DEFINITIONS
from schemas.metrics import VARIANTS, WINDOW_LABELS
from schemas.snapshots import GroupSnapshot, QueueSnapshot
from streams.kpi import wilson
from tests.grafana.asked import (
    CHOSEN,
    Asked,
    boards,
    filled,
    of_annotations,
    of_panel,
    of_panels,
    of_variables,
    panels,
)
from tests.grafana.pictures import page
from tests.prometheus.history import EMPTY_QUEUE, GONE_QUEUE, Day, Span
from tests.reports import report_through
from tests.system.local_prometheus import Series

pytestmark = pytest.mark.system

NOTHING_TO_SHOW = {"queuelight-pipeline / Samples of a scrape / A": "blocks are not scraped"}
"""Queries that have no number to answer with here, each with the reason."""
HOUR_MS = 3_600_000
AGO_MS = {"1d": 24 * HOUR_MS, "1w": 168 * HOUR_MS}
QUARTER_MS = HOUR_MS // 4


def ahead_ms(expr: str) -> int:
    """How much later a query is asked here: what it compares with is then the day that is remembered."""
    return next((ms for ago, ms in AGO_MS.items() if f"offset {ago}" in expr), 0)


def answer(day: Day, asked: Asked) -> list[Series]:
    """What a panel receives: of the last half hour as it is scraped; annotations: of the hours before, by the minute."""
    expr = filled(asked.expr, span="8h", rate="60s")
    later_ms = ahead_ms(expr)
    if asked.instant:
        return day.history.query(expr, day.ends_ms + later_ms)
    shown = day.by_minute if asked.panel.startswith("annotation") else day.by_scrape
    return day.history.query_range(expr, Span(shown.from_ms + later_ms, shown.to_ms + later_ms, shown.step_s))


def test_every_query_of_every_panel_is_answered_without_error_and_with_numbers(day: Day) -> None:
    silent = set()
    for asked in chain(of_panels(), of_annotations()):
        numbers = [value for series in answer(day, asked) for value in series.values.values()]
        if all(map(math.isnan, numbers)):
            silent.add(str(asked))
    assert silent == set(NOTHING_TO_SHOW)


def test_every_variant_and_window_is_answered_too(day: Day) -> None:
    choices = [{**CHOSEN, "variant": v} for v in VARIANTS] + [{**CHOSEN, "window": w} for w in WINDOW_LABELS]
    (panel,) = (p for p in panels(boards()["queuelight-floor"]) if p["type"] == "table")
    for chosen in choices:
        for asked in of_panel(boards()["queuelight-floor"], panel):
            assert day.history.query(filled(asked.expr, chosen=chosen), day.ends_ms), f"{asked} {chosen}"


def test_one_queue_with_a_japanese_name_is_selected_alone(day: Day) -> None:
    chosen = {**CHOSEN, "queue": "返品・交換 [(]チャット[)]", "channel": "chat"}
    (panel,) = (p for p in panels(boards()["queuelight-floor"]) if p["type"] == "table")
    for asked in of_panel(boards()["queuelight-floor"], panel):
        found = day.history.query(filled(asked.expr, chosen=chosen), day.ends_ms)
        assert [series.labels["queue"] for series in found] == ["返品・交換 (チャット)"], str(asked)


def test_variables_offer_what_is_there(day: Day) -> None:
    offered: dict[str, set[str]] = {}
    for _, name, selector, label in of_variables():
        found = day.history.query(f"group by ({label}) (last_over_time({filled(selector)}[8h]))", day.ends_ms)
        offered.setdefault(name, set()).update(series.labels.get(label, "") for series in found)
    queues = {row.queue for row in day.rows if isinstance(row, QueueSnapshot)}
    assert offered["queue"] == queues | {GONE_QUEUE}
    assert offered["channel"] == {"voice", "chat"}
    assert offered["team"] == {
        row.name for row in day.rows if isinstance(row, GroupSnapshot) and row.group == "team"
    }
    # One Prometheus a site: its name is a label only where several sites are put together.
    assert offered["site"] == {""}


# --- the same numbers as the snapshots -------------------------------------------------------------------------------


def queues(day: Day) -> list[QueueSnapshot]:
    return [row for row in day.rows if isinstance(row, QueueSnapshot)]


def panel_of(board: str, title: str, kind: str) -> list[Asked]:
    (panel,) = (p for p in panels(boards()[board]) if (p["title"], p["type"]) == (title, kind))
    return of_panel(boards()[board], panel)


def table(day: Day, board: str, title: str, key: str = "queue") -> dict[str, dict[str, float]]:
    """{heading: {key: value}} of a table at the end of the day."""
    (panel,) = (p for p in panels(boards()[board]) if (p["title"], p["type"]) == (title, "table"))
    organize = next(t for t in panel["transformations"] if t["id"] == "organize")
    return {
        organize["options"]["renameByName"][f"Value #{asked.ref}"]: {
            series.labels[key]: series.value
            for series in day.history.query(filled(asked.expr), day.ends_ms + ahead_ms(asked.expr))
        }
        for asked in of_panel(boards()[board], panel)
    }


def known(pairs: Iterable[tuple[str, float | None]]) -> dict[str, object]:
    """What is expected of a column: no row for what is unknown."""
    return {name: pytest.approx(value, abs=1e-6) for name, value in pairs if value is not None}


def test_the_table_of_the_floor_says_what_the_snapshots_say(day: Day) -> None:
    shown = table(day, "queuelight-floor", "Queues")
    rows = queues(day)
    windows = {row.queue: row.windows["30m"] for row in rows}
    levels = {row.queue: windows[row.queue].proportions.get("sl_offered") for row in rows}
    assert shown["Service level"] == known((q, m.sl_offered) for q, m in windows.items())
    assert shown["n"] == known((q, p.n if p else 0) for q, p in levels.items())
    for side, bound in (("95 % from", "low"), ("to", "high")):
        told = {q: getattr(p, bound) for q, p in levels.items() if p}
        # The dashboards say 1.96 where the snapshots have all digits of z.
        assert shown[side] == {q: pytest.approx(value, abs=1e-4) for q, value in told.items()}
    assert shown["Target"] == known((row.queue, row.target) for row in rows)
    assert shown["X"] == known((row.queue, row.answer_within_s) for row in rows)
    assert shown["Waiting"] == known((row.queue, row.waiting) for row in rows)
    assert shown["Past X"] == known((row.queue, row.at_risk) for row in rows)
    waits = {
        row.queue: (day.ends_ms - row.oldest_waiting_ms) / 1000 if row.oldest_waiting_ms else 0
        for row in rows
    }
    assert shown["Longest wait"] == known(waits.items())
    assert max(waits.values()) > 0
    assert {q: v for q, v in shown["Expected wait"].items() if not math.isnan(v)} == known(
        (row.queue, row.expected_wait_s) for row in rows
    )
    assert shown["Available"] == known((row.queue, row.agents.get("available", 0)) for row in rows)
    assert shown["Busy"] == known((row.queue, row.agents.get("busy", 0)) for row in rows)
    assert shown["Offered"] == known((q, m.offered) for q, m in windows.items())
    assert shown["Abandoned"] == known((q, m.abandoned) for q, m in windows.items())
    assert shown["ASA"] == known((q, m.asa_s) for q, m in windows.items())
    assert sum(m.offered for m in windows.values()) > 50
    assert EMPTY_QUEUE not in shown["Service level"]
    assert shown["n"][EMPTY_QUEUE] == 0


def test_the_table_of_agents_says_what_the_snapshots_say(day: Day) -> None:
    shown = table(day, "queuelight-agents", "Queues")
    windows = {row.queue: row.windows["30m"] for row in queues(day)}
    for heading, field in (
        ("Handled", "handled"), ("AHT", "aht_s"), ("Talk", "att_s"), ("Hold", "hold_s"), ("Wrap-up", "acw_s"),
        ("Occupancy", "occupancy"), ("CPH", "cph"), ("Declined", "declined"), ("Transferred out", "transferred_out"),
    ):  # fmt: skip
        assert shown[heading] == known((q, getattr(m, field)) for q, m in windows.items()), heading
    assert len(shown["Occupancy"]) > 3


def test_the_service_levels_side_by_side_are_those_of_all_queues_together(day: Day) -> None:
    shown = table(day, "queuelight-queue", "Service levels side by side", "service_level")
    for variant in VARIANTS:
        label = DEFINITIONS[variant].label_en
        parts = [p for row in queues(day) if (p := row.windows["30m"].proportions.get(variant))]
        numerator, n = sum(p.numerator for p in parts), sum(p.n for p in parts)
        assert shown["In X"][label] == numerator
        assert shown["n"][label] == n
        assert shown["Share"][label] == pytest.approx(numerator / n)
        low, high = wilson(numerator, n)
        assert (shown["95 % from"][label], shown["to"][label]) == pytest.approx((low, high), abs=1e-4)


def test_the_day_so_far_is_the_day_of_the_snapshots_and_so_are_yesterday_and_a_week_ago(day: Day) -> None:
    shown = table(day, "queuelight-intraday", "Queues, the day so far")
    days = {row.queue: row.windows["day"] for row in queues(day)}
    for when in ("today", "yesterday", "a week ago"):
        assert shown[f"Offered {when}"] == known((q, m.offered) for q, m in days.items())
        assert shown[f"Abandoned {when}"] == known((q, m.abandoned) for q, m in days.items())
    assert shown["Service level"] == known((q, m.sl_offered) for q, m in days.items())
    spent, missed = (
        day.history.query(filled(asked.expr), day.ends_ms)[0].value
        for asked in panel_of("queuelight-intraday", "Budget spent", "stat")
    )
    levels = [(row, p) for row in queues(day) if (p := row.windows["day"].proportions.get("sl_offered"))]
    assert missed == sum(p.n - p.numerator for _, p in levels)
    assert spent == pytest.approx(missed / sum(p.n * (1 - row.target) for row, p in levels))


def test_patience_is_kaplan_and_meiers_estimate_from_the_waits_of_the_day(day: Day) -> None:
    edges = queues(day)[0].edges_s
    answered, abandoned = (
        [
            sum(counts)
            for counts in zip(
                *(getattr(row.windows["day"], f"{outcome}_histogram") for row in queues(day)), strict=True
            )
        ]
        for outcome in ("answered", "abandoned")
    )
    waiting, share, by_edge = sum(answered) + sum(abandoned), 1.0, {}
    hung_up = over = 0
    for edge, ended, gave_up in zip(edges, answered, abandoned, strict=False):
        hung_up, over = hung_up + gave_up, over + ended + gave_up
        if edge in STEPS_S:
            share *= 1 - hung_up / waiting if waiting else 1
            waiting, hung_up, over = waiting - over, 0, 0
            by_edge[edge] = share
    shown = [
        day.history.query(filled(q.expr), day.ends_ms)[0].value
        for q in panel_of("queuelight-queue", "Patience curve", "bargauge")
    ]
    assert shown == pytest.approx([by_edge[step] for step in STEPS_S])
    assert 0 < shown[-1] < shown[0] < 1


def test_quarters_of_an_hour_and_bars_add_up_to_the_day(day: Day) -> None:
    rows = queues(day)
    chosen = {**CHOSEN, "queue": "|".join(re.escape(row.queue).replace("\\", "\\\\") for row in rows)}
    first_ms = day.by_minute.from_ms + QUARTER_MS
    (table_of_quarters,) = (
        p for p in panels(boards()["queuelight-intraday"]) if p["title"] == "Quarters of an hour"
    )
    offered, answered, abandoned, *_ = of_panel(boards()["queuelight-intraday"], table_of_quarters)
    bars, *_ = panel_of("queuelight-queue", "Offered", "timeseries")
    for asked, step_s, field in (
        (offered, 900, "offered"), (answered, 900, "answered"), (abandoned, 900, "abandoned"), (bars, 300, "offered"),
    ):  # fmt: skip
        counted = f'sum({recorded(f"window_{field}_contacts")}{{window="day", queue!="{GONE_QUEUE}"}})'
        (at_first,) = day.history.query(counted, first_ms)
        steps = Span(first_ms, day.ends_ms, step_s)
        (series,) = day.history.query_range(filled(asked.expr, step=f"{step_s}s", chosen=chosen), steps)
        assert len(series.values) == (day.ends_ms - first_ms) // (step_s * 1000)
        assert (
            sum(series.values.values())
            == sum(getattr(r.windows["day"], field) for r in rows) - at_first.value
            > 0
        )


def test_alert_history_knows_the_queue_whose_agents_left(day: Day) -> None:
    fired, lasted = panel_of("queuelight-alerts", "Alerts of the time shown", "table")
    for asked, least in ((fired, 1), (lasted, 600)):
        found = {
            (series.labels["alertname"], series.labels["queue"]): series.value
            for series in day.history.query(filled(asked.expr, span="8h"), day.ends_ms)
            if "queue" in series.labels
        }
        assert found["QueuelightServiceLevelBelowTarget", "注文・配送"] >= least


def test_the_table_of_pages_says_what_the_report_says(day: Day) -> None:
    report = report_through(day.ends_ms)
    shown = table(day, "queuelight-web", "Pages", "page")
    base = report.base.k / report.base.n
    for each in report.pages:
        rate = each.contact.k / each.contact.n
        assert shown["Rate"][each.page] == pytest.approx(rate)
        assert shown["Lift"][each.page] == pytest.approx(rate / base)
        for bound in (shown["95 % from"][each.page], shown["to"][each.page]):
            # Wilson's bounds are the rates from which what was seen is 1.96 standard errors away.
            assert abs(rate - bound) == pytest.approx(1.96 * (bound * (1 - bound) / each.contact.n) ** 0.5)
        assert shown["n"][each.page] == round(each.contact.n)
        assert shown["Views today"][each.page] == each.views
        assert shown["Stuck now"][each.page] == each.stuck_now
    arms = table(day, "queuelight-web", "Interventions", "page")
    for result in report.interventions:
        assert result.effect is not None
        assert arms["Effect"][result.page] == pytest.approx(result.effect, abs=1e-3)
        assert arms["n holdout"][result.page] == result.holdout.contact.n


def test_pictures_show_what_the_queries_answer(day: Day) -> None:
    pages = {uid: page(day, board)[0] for uid, board in boards().items()}
    windows = [
        row.windows["30m"].proportions["sl_offered"]
        for row in queues(day)
        if row.windows["30m"].sl_offered is not None
    ]
    level = sum(p.numerator for p in windows) / sum(p.n for p in windows)
    assert f">{100 * level:.1f} %</big>" in pages["queuelight-floor"]
    for uid, board in boards().items():
        assert all(f"<h2>{html.escape(panel['title'])}</h2>" in pages[uid] for panel in panels(board))
    assert "No data" not in pages["queuelight-queue"]
    assert pages["queuelight-queue"].count("<polyline") > 15
