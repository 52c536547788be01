"""What do the dashboards ask? Every query of the checked-in JSON, with its panel, and with values in place of variables.

Refuses to know the program that wrote the JSON: Grafana does not know it either.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"
Json = dict[str, Any]

CHOSEN = {
    "site": ".*",
    "channel": ".*",
    "queue": ".*",
    "team": ".*",
    "window": "30m",
    "variant": "sl_offered",
}
"""What is chosen in every variable at first."""


class Asked(NamedTuple):
    """One query of one panel, variable or annotation."""

    board: str
    panel: str
    ref: str
    expr: str
    legend: str
    instant: bool
    every: str
    """The smallest step that the query asks for; empty: the data source's."""

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


@cache
def boards() -> dict[str, Json]:
    """Every dashboard by its uid."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted((FOLDER / "json").glob("*.json")))
    return {board["uid"]: board for board in read}


def panels(board: Json) -> list[Json]:
    """The panels of a dashboard that show something: no headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def of_panel(board: Json, panel: Json) -> list[Asked]:
    """The queries of one panel."""
    return [
        Asked(
            board["uid"], panel["title"], target["refId"], target["expr"], target["legendFormat"],
            target["instant"], target.get("interval", ""),
        )
        for target in panel["targets"]
    ]  # fmt: skip


def of_panels() -> list[Asked]:
    """Every query of every panel."""
    return [each for board in boards().values() for panel in panels(board) for each in of_panel(board, panel)]


def of_annotations() -> list[Asked]:
    """Every query that annotates a dashboard."""
    return [
        Asked(
            board["uid"],
            f"annotation {each['name']}",
            "",
            each["target"]["expr"],
            "",
            False,
            each["target"]["interval"],
        )
        for board in boards().values()
        for each in board["annotations"]["list"]
    ]


def of_variables() -> Iterator[tuple[str, str, str, str]]:
    """Every variable that asks, as (dashboard, variable, selector, label)."""
    for board in boards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                matched = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert matched, f"{board['uid']}: {variable['name']} asks {variable['query']!r}"
                yield board["uid"], variable["name"], matched[1], matched[2]


def filled(
    expr: str, *, span: str = "3h", step: str = "15s", rate: str = "20s", chosen: Mapping[str, str] = CHOSEN
) -> str:
    """The query with values in place of variables, as Grafana would send it."""
    values = {**chosen, "__range": span, "__interval": step, "__rate_interval": rate}
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values[found[1] or found[2]], expr)
