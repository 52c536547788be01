"""What do all dashboards share? Variables, links, annotations, the grid; ids that stay; nobody edits them in Grafana.

Refuses to know what their panels show.
"""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import ACT, DATA_SOURCE, WELL, ref_ids
from dashboards.grafana.promql import SITE, recorded
from schemas.definitions import DEFINITIONS
from schemas.metrics import PREFIX, VARIANTS, WINDOW_LABELS

TAG = "queuelight"
DATA_SOURCE_UID = "prometheus"
REFRESH = "5s"
"""As often as Prometheus asks a worker; more often would show the same again."""
_COLUMNS = 24
_ALL = model.VariableOption(selected=True, text="All", value="$__all")


class Place(NamedTuple):
    """A panel and its size on a grid of 24 columns."""

    panel: model.Panel
    width: int = 12
    height: int = 8


class Row(NamedTuple):
    """A heading and the panels under it, left to right, then on to the next line."""

    title: str
    places: Sequence[Place]


class Board(NamedTuple):
    """One dashboard: the question it answers, the variables it offers, its rows."""

    uid: str
    title: str
    question: str
    variables: Sequence[str]
    rows: Sequence[Row]
    since: str = "now-3h"
    refresh: str = REFRESH


def dashboard(board: Board) -> model.Dashboard:
    """The whole dashboard, as Grafana reads it."""
    made = (
        build.Dashboard(board.title)
        .uid(board.uid).description(board.question).tags([TAG]).readonly()
        .time(board.since, "now").refresh(board.refresh).timezone("browser")
        .timepicker(build.TimePicker().refresh_intervals(["5s", "15s", "1m", "5m", "15m", "1h"]))
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([VARIABLES["datasource"], *(VARIABLES[name] for name in board.variables)])
        .annotations([_alerts(), _builds()])
        .links([
            build.DashboardLink("Queuelight").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
            .icon("external link").tooltip("The other dashboards, with the same time and selection")
            .keep_time(True).include_vars(True)
        ])
        .build()
    )  # fmt: skip
    made.panels = _arranged(board.rows)
    marks = made.annotations.list_val if made.annotations is not None else None
    for each in (*(made.links or []), *(marks or [])):
        # The SDK would hide them in the menu of the controls; without a placement they stand on top.
        vars(each)["placement"] = None
    return made


def _arranged(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    """Panels with their places, queries with their letters, ids in the order read."""
    arranged: list[model.Panel | model.RowPanel] = []
    top = 0
    for row in rows:
        heading = model.RowPanel(title=row.title, grid_pos=model.GridPos(h=1, w=_COLUMNS, x=0, y=top))
        heading.id_val = len(arranged) + 1
        arranged.append(heading)
        top, left, tallest = top + 1, 0, 0
        for panel, width, height in row.places:
            if left + width > _COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            panel.grid_pos = model.GridPos(h=height, w=width, x=left, y=top)
            panel.id_val = len(arranged) + 1
            arranged.append(_lettered(panel))
            left, tallest = left + width, max(tallest, height)
        top += tallest
    return arranged


def _lettered(panel: model.Panel) -> model.Panel:
    targets = panel.targets or []
    for letter, target in zip(ref_ids(len(targets)), targets, strict=True):
        target.ref_id = letter  # type: ignore[attr-defined]
    return panel


# --- variables --------------------------------------------------------------------------------------------------------


def _labels_of(name: str, label: str, of: str) -> build.QueryVariable:
    """All values that a label has: several can be chosen, at first all."""
    query = f"label_values({of}, {name})"
    return (
        build.QueryVariable(name)
        .label(label).datasource(DATA_SOURCE).query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
        # `.*` and not every name: what vanished is still selected, and so are series without the label.
        .multi(True).include_all(True).all_value(".*").current(_ALL)
    )  # fmt: skip


def _one_of(name: str, label: str, values: Sequence[tuple[str, str]], chosen: str) -> build.CustomVariable:
    """One of a few values that are known beforehand, as (text, value)."""
    options = [
        model.VariableOption(selected=value == chosen, text=text, value=value) for text, value in values
    ]
    (current,) = (option for option in options if option.selected)
    return (
        build.CustomVariable(name)
        .label(label).values(",".join(f"{text} : {value}" for text, value in values))
        .options(options).current(current).multi(False).include_all(False).allow_custom_value(False)
    )  # fmt: skip


_WAITING = recorded("queue_waiting_contacts")
VARIABLES: dict[str, build.DatasourceVariable | build.QueryVariable | build.CustomVariable] = {
    "datasource": build.DatasourceVariable("datasource")
    .label("Data source").type("prometheus")
    .current(model.VariableOption(selected=True, text="Prometheus", value=DATA_SOURCE_UID)),
    "site": _labels_of("site", "Site", _WAITING),
    "channel": _labels_of("channel", "Channel", f"{_WAITING}{{{SITE}}}"),
    "queue": _labels_of("queue", "Queue", f'{_WAITING}{{{SITE}, channel=~"$channel"}}'),
    "team": _labels_of("team", "Team", f"{recorded('team_agents')}{{{SITE}}}"),
    "window": _one_of("window", "Window", [(each, each) for each in WINDOW_LABELS], "30m"),
    "variant": _one_of("variant", "Service level", [(DEFINITIONS[v].label_en, v) for v in VARIANTS], "sl_offered"),
}  # fmt: skip
"""Every variable by name, in the order in which they depend on each other."""


# --- annotations ------------------------------------------------------------------------------------------------------


def _annotation(name: str, expr: str, color: str, title: str, text: str) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(name).datasource(DATA_SOURCE).enable(True).icon_color(color)
        .title_format(title).text_format(text)
        .target(prometheus.Dataquery().datasource(DATA_SOURCE).expr(expr).interval("60s").ref_id("Anno"))
    )  # fmt: skip


def _alerts() -> build.AnnotationQuery:
    firing = (
        f'ALERTS{{alertname=~"Queuelight.*", alertname!="QueuelightWatchdog", alertstate="firing", {SITE}}}'
    )
    return _annotation("Alerts", firing, ACT, "{{alertname}}", "{{severity}} {{queue}} {{channel}}")


def _builds() -> build.AnnotationQuery:
    """A build counts as new for the first minute in which it is seen."""
    build_info = f"max by (version, revision) ({PREFIX}build_info{{{SITE}}}"
    expr = f"{build_info}) unless {build_info} offset 1m)"
    return _annotation("New build", expr, WELL, "Build {{version}}", "{{revision}}")
