"""Are the dashboards what the program writes, and what Grafana takes: ids, units, words, variables, links?"""

from collections import Counter
from typing import Any

import pytest
import yaml

from dashboards.grafana.board import DATA_SOURCE_UID, REFRESH
from dashboards.grafana.files import FOLDER, files
from dashboards.grafana.rules import FILE as RULES
from schemas.definitions import DEFINITIONS
from schemas.metrics import METRICS, VARIANTS, WINDOW_LABELS
from tests.grafana.asked import FOLDER as ROOT
from tests.grafana.asked import Json, boards, of_panel, panels

DOCS = ROOT.parents[1] / "docs"
UIDS = {
    f"queuelight-{name}" for name in ("floor", "queue", "intraday", "agents", "web", "alerts", "pipeline")
}
UNITS = {"short", "s", "percentunit", "cps", "none"}
GONE = {"graph", "singlestat", "table-old", "piechart-panel", "grafana-piechart-panel"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
every_board = pytest.mark.parametrize("board", boards().values(), ids=list(boards()))


def test_generating_again_gives_the_same_bytes() -> None:
    made = files()
    assert {*FOLDER.glob("*.json"), RULES} == set(made)
    for path, text in made.items():
        assert path.read_bytes() == text.encode(), f"{path.name} is old: python -m dashboards.grafana"
    assert files() == made


def test_there_is_one_dashboard_for_each_question() -> None:
    assert set(boards()) == UIDS
    for uid, board in boards().items():
        assert (FOLDER / f"{uid}.json").exists()
        assert board["title"].startswith("Queuelight · ")
        assert "?" in board["description"]


@every_board
def test_nobody_edits_a_dashboard_in_grafana_and_nothing_changes_by_itself(board: Json) -> None:
    assert board["editable"] is False
    assert board["schemaVersion"] == 42
    assert not {"id", "version", "iteration"} & set(board)


@every_board
def test_every_panel_has_an_id_of_its_own_and_a_place_that_no_other_takes(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    taken = Counter(
        (x, y)
        for grid in (panel["gridPos"] for panel in board["panels"])
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    )
    assert set(taken.values()) == {1}
    assert max(x for x, _ in taken) == 23


@every_board
def test_every_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_data_source(board: Json) -> None:
    for panel in panels(board):
        name = f"{board['uid']} / {panel['title']}"
        assert len(panel["title"]) > 1, name
        assert len(panel["description"]) >= 30, name
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, name
        assert panel["type"] not in GONE, name
        assert panel["targets"], name
        assert panel["datasource"] == SOURCE, name
        assert all(target["datasource"] == SOURCE for target in panel["targets"]), name
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted(set(refs)), name


@every_board
def test_titles_within_a_dashboard_differ_unless_their_kind_does(board: Json) -> None:
    named = Counter((panel["title"], panel["type"]) for panel in panels(board))
    assert set(named.values()) == {1}


def test_a_description_quotes_a_definition_or_the_help_of_a_metric_that_the_panel_asks_for() -> None:
    texts = [each.text for each in DEFINITIONS.values()] + [each.help for each in METRICS.values()]
    for uid, board in boards().items():
        # ALERTS, and how long a page is, are Prometheus' own.
        own = (
            {"Samples of a scrape", "Patience curve", "n of the patience curve"}
            if uid != "queuelight-alerts"
            else None
        )
        for panel in panels(board):
            if own is not None and panel["title"] not in own:
                quoted = any(text in panel["description"] for text in texts)
                assert quoted, f"{uid} / {panel['title']}: {panel['description']}"


@every_board
def test_a_ratio_stands_beside_its_n(board: Json) -> None:
    for panel in panels(board):
        if panel["type"] == "bargauge":
            # A bar has no room: the n of the patience curve is a panel beside it.
            assert [p["title"] for p in panels(board) if p["gridPos"]["y"] == panel["gridPos"]["y"]] == [
                panel["title"],
                "n of the patience curve",
            ]
        elif panel["fieldConfig"]["defaults"]["unit"] == "percentunit":
            names = [each.legend for each in of_panel(board, panel)]
            names += _headings(panel)
            assert any(name == "n" or name.startswith(("n ", "n:")) for name in names), panel["title"]


def _headings(panel: Json) -> list[str]:
    organized = [each for each in panel.get("transformations", []) if each["id"] == "organize"]
    return [name for each in organized for name in each["options"]["renameByName"].values()]


def test_a_table_names_the_value_of_every_query() -> None:
    tables = [(b, p) for b in boards().values() for p in panels(b) if p["type"] == "table"]
    assert len(tables) >= 5
    for board, panel in tables:
        refs = [each.ref for each in of_panel(board, panel)]
        values = [f"Value #{ref}" if len(refs) > 1 else "Value" for ref in refs]
        (organize,) = (t for t in panel["transformations"] if t["id"] == "organize")
        assert list(organize["options"]["renameByName"]) == values
        assert set(values) <= set(organize["options"]["indexByName"])
        headings = _headings(panel)
        assert len(set(headings)) == len(headings)
        styled = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
        assert styled == headings


# --- variables, links, time ---------------------------------------------------------------------------------------


def _variables(board: Json) -> dict[str, Json]:
    return {each["name"]: each for each in board["templating"]["list"]}


@every_board
def test_the_data_source_is_a_variable_and_the_first(board: Json) -> None:
    first = board["templating"]["list"][0]
    assert (first["type"], first["name"], first["label"]) == ("datasource", "datasource", "Data source")
    assert first["query"] == "prometheus"
    assert first["current"]["value"] == DATA_SOURCE_UID


@every_board
def test_variables_that_ask_are_renewed_with_the_time_and_select_everything_at_first(board: Json) -> None:
    for name, variable in _variables(board).items():
        assert variable["label"], name
        if variable["type"] == "query":
            assert variable["refresh"] == 2
            assert variable["multi"]
            assert variable["includeAll"]
            assert variable["allValue"] == ".*"
            assert variable["current"]["value"] == "$__all"
            assert variable["datasource"] == SOURCE
        elif variable["type"] == "custom":
            values = [option["value"] for option in variable["options"]]
            assert values == list(WINDOW_LABELS if name == "window" else VARIANTS)
            assert [o["value"] for o in variable["options"] if o["selected"]] == [
                variable["current"]["value"]
            ]


@every_board
def test_every_variable_but_the_data_source_is_used(board: Json) -> None:
    exprs = " ".join(each.expr for panel in panels(board) for each in of_panel(board, panel))
    for name in list(_variables(board))[1:]:
        assert f"${name}" in exprs or f"${{{name}}}" in exprs, name


@every_board
def test_links_lead_to_the_others_and_keep_time_and_variables(board: Json) -> None:
    (link,) = board["links"]
    assert link["type"] == "dashboards"
    assert set(link["tags"]) <= set(board["tags"])
    assert link["keepTime"]
    assert link["includeVars"]


@every_board
def test_alerts_and_new_builds_are_marked_in_every_graph(board: Json) -> None:
    assert [each["name"] for each in board["annotations"]["list"]] == ["Alerts", "New build"]


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def test_nothing_is_asked_more_often_than_prometheus_asks_the_workers() -> None:
    source = _data_source()
    assert source["jsonData"]["timeInterval"] == REFRESH
    for board in boards().values():
        offered = [board["refresh"], *board["timepicker"]["refresh_intervals"]]
        assert min(map(_seconds, offered)) >= _seconds(REFRESH)


# --- provisioning -------------------------------------------------------------------------------------------------


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / "provisioning" / name / "queuelight.yml").read_text(encoding="utf-8"))


def _data_source() -> Json:
    (source,) = _yaml("datasources")["datasources"]
    assert isinstance(source, dict)
    return source


def test_the_data_source_has_the_uid_that_the_dashboards_choose_and_cannot_be_edited() -> None:
    source = _data_source()
    assert (source["type"], source["uid"], source["editable"]) == ("prometheus", DATA_SOURCE_UID, False)


def test_the_dashboards_are_provided_from_files_and_cannot_be_saved_over() -> None:
    (provider,) = _yaml("dashboards")["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["folder"] == "Queuelight"


# --- documentation ------------------------------------------------------------------------------------------------


def test_the_page_names_every_dashboard_and_shows_its_picture() -> None:
    page = (DOCS / "grafana.md").read_text(encoding="utf-8")
    for uid, board in boards().items():
        assert f"`{uid}`" in page
        assert f"### {board['title'].removeprefix('Queuelight · ')}\n" in page
        assert f"(grafana/{uid.removeprefix('queuelight-')}.png)" in page
    assert {path.stem for path in (DOCS / "grafana").iterdir()} == {
        u.removeprefix("queuelight-") for u in boards()
    }
