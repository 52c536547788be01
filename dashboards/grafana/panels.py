"""How does a panel look? Few kinds, each with title, description, unit and queries, in colours that all can tell apart.

Colours are the wallboard's: blue is well, yellow is to be watched, vermilion is to be acted on. Refuses to know where a
panel stands and which number it is: `dashboards.grafana.board` arranges, the modules of the dashboards choose.
"""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shared
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.table import Options

DATA_SOURCE = shared.DataSourceRef(type_val="prometheus", uid="${datasource}")
WELL, WATCH, ACT, CALM = "#56b4e9", "#f0e442", "#d55e00", "#9aa0a6"
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999")
"""Okabe and Ito's colours: eight that stay apart for the colour-blind."""

CONTACTS, SECONDS, RATIO, AGENTS = "short", "s", "percentunit", "short"
PER_SECOND = "cps"

Steps = Sequence[tuple[float | None, str]]
"""From which value which colour; the first has None."""
HIGHER_IS_WORSE: Steps = ((None, WELL), (1, ACT))
PLAIN: Steps = ((None, CALM),)


class Query(NamedTuple):
    """One query: what is asked, and what its series are called."""

    expr: str
    legend: str = ""
    every: str = ""
    """The smallest step, such as `1m`; empty: the data source's."""


class Line(NamedTuple):
    """How the series whose legend matches a pattern are drawn instead."""

    pattern: str
    color: str = ""
    dashed: bool = False
    only_in_legend: bool = False
    """Not drawn, but told in legend and tooltip: an n beside its ratio."""
    unit: str = ""
    stepped: bool = False


class Column(NamedTuple):
    """One column of a table: heading, query, unit, and colours by value."""

    title: str
    expr: str
    unit: str = CONTACTS
    decimals: int | None = None
    steps: Steps = ()


def lines(
    title: str, description: str, unit: str, queries: Sequence[Query], special: Sequence[Line] = (),
    *, most: float | None = None, bars: bool = False, stacked: bool = False,
) -> model.Panel:  # fmt: skip
    """Numbers over time; `bars` for counts of intervals, `stacked` only where the parts add up to something."""
    panel = (
        timeseries.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit(unit).min(0)
        .line_width(0 if bars else 2).fill_opacity(70 if bars or stacked else 0)
        .draw_style(shared.GraphDrawStyle.BARS if bars else shared.GraphDrawStyle.LINE)
        .show_points(shared.VisibilityMode.NEVER).span_nulls(False)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(
            common.VizLegendOptions().show_legend(True).display_mode(shared.LegendDisplayMode.TABLE)
            .placement(shared.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(shared.TooltipDisplayMode.MULTI).sort(shared.SortOrder.DESCENDING))
        .targets([_target(query) for query in queries])
    )  # fmt: skip
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(shared.StackingMode.NORMAL).group("A"))
    for line in special:
        panel.override_by_regexp(line.pattern, _properties(line))
    return panel.build()


def figure(
    title: str, description: str, unit: str, queries: Sequence[Query], steps: Steps = PLAIN,
    *, decimals: int | None = None, trend: bool = True, none: str = "–",
) -> model.Panel:  # fmt: skip
    """Few big figures, now."""
    panel = (
        stat.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit(unit).no_value(none)
        .thresholds(_thresholds(steps))
        .color_mode(shared.BigValueColorMode.VALUE)
        .graph_mode(shared.BigValueGraphMode.AREA if trend else shared.BigValueGraphMode.NONE)
        .text_mode(shared.BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 else shared.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["last"]))
        .targets([_target(query) for query in queries])
    )  # fmt: skip
    if decimals is not None:
        panel.decimals(decimals)
    for query in queries:
        if query.legend.startswith("n"):
            panel.override_by_name(query.legend, [_property("unit", CONTACTS), _property("decimals", 0)])
    return panel.build()


def bars(
    title: str, description: str, unit: str, queries: Sequence[Query], *, most: float | None = None
) -> model.Panel:
    """Numbers side by side, now."""
    panel = (
        bargauge.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit(unit).min(0).no_value("–")
        .thresholds(_thresholds(((None, WELL),)))
        .orientation(shared.VizOrientation.HORIZONTAL).display_mode(shared.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["last"]))
        .targets([_target(query, instant=True) for query in queries])
    )  # fmt: skip
    if most is not None:
        panel.max(most)
    return panel.build()


def rows(
    title: str, description: str, keys: Sequence[str], columns: Sequence[Column], sort: str = ""
) -> model.Panel:
    """A table, now: one row for each combination of the labels `keys`, one column a query."""
    targets = [_target(Query(column.expr), instant=True, table=True) for column in columns]
    return _table(title, description, keys, columns, targets, sort)


def intervals(title: str, description: str, columns: Sequence[Column], every: str) -> model.Panel:
    """A table over time: one row for each step, the newest first, one column a query."""
    targets = [_target(Query(column.expr, every=every), table=True) for column in columns]
    return _table(title, description, ("Time",), columns, targets, "Time")


def _table(
    title: str, description: str, keys: Sequence[str], columns: Sequence[Column],
    targets: list[prometheus.Dataquery], sort: str,
) -> model.Panel:  # fmt: skip
    panel = (
        table.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit(columns[0].unit).no_value("–")
        .targets([*targets])
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(_organized(keys, columns))
    )  # fmt: skip
    for column in columns:
        panel.override_by_name(column.title, _cell(column))
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    made = panel.build()
    assert isinstance(made.options, Options)
    # The SDK writes a footer that Grafana 13 has no more.
    made.options.footer = None
    return made


def heat(title: str, description: str, expr: str, every: str) -> model.Panel:
    """A heat map of a histogram's buckets over time."""
    return (
        heatmap.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit(SECONDS)
        .calculate(False).cell_gap(1)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Cividis")
               .scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).steps(64).reverse(False))
        .y_axis(heatmap.YAxisConfig().unit(SECONDS).axis_placement(shared.AxisPlacement.LEFT))
        .tooltip(heatmap.HeatmapTooltip().mode(shared.TooltipDisplayMode.SINGLE).y_histogram(True))
        .targets([_target(Query(expr, "{{le}}", every), form=PromQueryFormat.HEATMAP)])
        .build()
    )  # fmt: skip


def spans(title: str, description: str, queries: Sequence[Query]) -> model.Panel:
    """When was something so? A band for each series."""
    return (
        statetimeline.Panel()
        .title(title).description(description).datasource(DATA_SOURCE).unit("none")
        .merge_values(True).show_value(shared.VisibilityMode.NEVER).row_height(0.8)
        .thresholds(_thresholds(((None, CALM), (1, ACT))))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .legend(common.VizLegendOptions().show_legend(False).display_mode(shared.LegendDisplayMode.LIST)
                .placement(shared.LegendPlacement.BOTTOM).calcs([]))
        .targets([_target(query) for query in queries])
        .build()
    )  # fmt: skip


def _target(
    query: Query, *, instant: bool = False, table: bool = False, form: PromQueryFormat | None = None
) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .datasource(DATA_SOURCE)
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
    )
    target.format(form or (PromQueryFormat.TABLE if table else PromQueryFormat.TIME_SERIES))
    if query.every:
        target.interval(query.every)
    return target.instant() if instant else target.range()


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, color) for value, color in steps])
    )


def _property(id_val: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val, value)


def _properties(line: Line) -> list[model.DynamicConfigValue]:
    properties = []
    if line.color:
        properties.append(_property("color", {"mode": "fixed", "fixedColor": line.color}))
    if line.dashed:
        properties.append(_property("custom.lineStyle", {"fill": "dash", "dash": [6, 4]}))
    if line.stepped:
        properties.append(_property("custom.lineInterpolation", "stepAfter"))
    if line.unit:
        properties.append(_property("unit", line.unit))
    if line.only_in_legend:
        properties.append(_property("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False}))
    return properties


def _cell(column: Column) -> list[model.DynamicConfigValue]:
    properties = [_property("unit", column.unit)]
    if column.decimals is not None:
        properties.append(_property("decimals", column.decimals))
    if column.steps:
        properties.append(_property("thresholds", _thresholds(column.steps).build()))
        properties.append(_property("custom.cellOptions", {"type": "color-text"}))
    return properties


def _organized(keys: Sequence[str], columns: Sequence[Column]) -> model.DataTransformerConfig:
    """Columns in the order written, under their headings; what a query brings besides is left out."""
    values = [f"Value #{letter}" if len(columns) > 1 else "Value" for letter in ref_ids(len(columns))]
    names = dict(zip(values, (column.title for column in columns), strict=True))
    order = {name: place for place, name in enumerate([*keys, *values])}
    unwanted = [name for name in ("Time", "site", "queue", "channel") if name not in keys and name != "site"]
    return model.DataTransformerConfig(
        "organize",
        options={
            "excludeByName": dict.fromkeys(unwanted, True),
            "indexByName": order,
            "renameByName": names,
        },
    )


def ref_ids(count: int) -> list[str]:
    """The letters by which Grafana calls the queries of a panel.

    Raises:
        ValueError: more queries than letters.
    """
    if count > 26:
        raise ValueError(f"a panel has {count} queries, expected at most 26")
    return [chr(ord("A") + number) for number in range(count)]
