"""What would a panel show? Its answers as HTML and SVG, near enough to Grafana to judge a dashboard without it.

Refuses to know where answers come from, and to be Grafana: what is drawn is what the queries answered, not how Grafana
would lay it out.
"""

import html
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dashboards.grafana.panels import PALETTE
from tests.grafana.asked import Json
from tests.system.local_prometheus import Series

ZONE = ZoneInfo("Asia/Tokyo")
PAGE = """\
<!doctype html><meta charset="utf-8"><style>
* { box-sizing: border-box; margin: 0 }
body { width: 1480px; padding: 16px; background: #111217; color: #ccccdc; font: 12px Inter, "Noto Sans CJK JP", sans-serif }
h1 { font-size: 20px; font-weight: 500 } h1 + p { color: #8e8e9a; margin: 4px 0 10px }
.chosen span { display: inline-block; padding: 4px 10px; margin-right: 6px; border: 1px solid #34373e; border-radius: 2px }
.chosen b { color: #6e9fff; font-weight: 500 }
.grid { position: relative; margin-top: 12px }
.row { position: absolute; font-size: 14px; font-weight: 500; padding: 8px 2px }
.panel { position: absolute; overflow: hidden; background: #181b1f; border: 1px solid #25282e; border-radius: 3px; padding: 8px }
.panel h2 { font-size: 13px; font-weight: 500; margin-bottom: 4px }
.figures { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: center; justify-content: center; height: calc(100% - 22px) }
.figures div { text-align: center } .figures big { display: block; font-size: 30px; font-weight: 500; line-height: 1.1 }
.figures.many big { font-size: 22px }
.figures small, .none { color: #8e8e9a }
table { border-collapse: collapse; width: 100%; font-size: 12px } td, th { padding: 3px 8px; text-align: right; white-space: nowrap }
th { color: #6e9fff; font-weight: 500 } tr + tr td { border-top: 1px solid #25282e } .text { text-align: left }
td { font-variant-numeric: tabular-nums }
.split { display: flex; gap: 8px; height: calc(100% - 20px) } .legend { font-size: 11px; flex: 1; min-width: 0; overflow: hidden }
.legend table { font-size: 11px } .legend td, .legend th { padding: 1px 4px } .legend .text { max-width: 0; width: 100%; overflow: hidden; text-overflow: ellipsis }
i { display: inline-block; width: 12px; height: 3px; margin-right: 6px; vertical-align: middle }
.bar { display: grid; grid-template-columns: 90px 1fr 70px; gap: 8px; align-items: center; margin: 2px 0 } .bar u { height: 14px; background: #56b4e9; display: block }
svg text { fill: #8e8e9a; font-size: 11px }
</style>
"""
_UNITS_S = ((86400, "d"), (3600, "h"), (60, "min"))
_CIVIDIS = ("#181b1f", "#00306f", "#2f4b6e", "#575c6d", "#7b7b78", "#a29a72", "#cbba69", "#fee838")


class Shown(NamedTuple):
    """One series of a panel as it is drawn."""

    name: str
    values: dict[float, float]
    unit: str
    color: str
    dashed: bool
    drawn: bool


def written(value: float | None, unit: str, decimals: int | None = None) -> str:
    """A value with its unit, as a person reads it."""
    if value is None or math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{100 * value:.{1 if decimals is None else decimals}f} %"
    if unit == "s":
        for size, name in _UNITS_S:
            if abs(value) >= size:
                return f"{value / size:.1f} {name}"
        if 0 < abs(value) < 1:
            return f"{1000 * value:.3g} ms"
        return f"{value:.{0 if decimals == 0 else 1}f} s"
    text = f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    return f"{text} c/s" if unit == "cps" else text


def body(panel: Json, answers: Sequence[Sequence[Series]], span: tuple[float, float]) -> str:
    """The inside of a panel. `answers`: one a query, in their order; `span`: the time shown, Unix seconds."""
    grid = panel["gridPos"]
    width, height = grid["w"] * 60 - 26, grid["h"] * 32 - 44
    match panel["type"]:
        case "stat":
            return _figures(panel, _shown(panel, answers))
        case "table":
            return _table(panel, answers)
        case "bargauge":
            return "".join(_bars(_shown(panel, answers), panel))
        case "heatmap":
            return _heatmap(answers[0], width, height, span)
        case "state-timeline":
            return _bands(_shown(panel, answers), width, height, span)
    return _lines(panel, _shown(panel, answers), int(width * 0.65), height, span)


def _shown(panel: Json, answers: Sequence[Sequence[Series]]) -> list[Shown]:
    found: list[Shown] = []
    for target, series in zip(panel["targets"], answers, strict=True):
        for each in series:
            name = _named(target["legendFormat"], each.labels)
            own = _overridden(panel, name)
            fixed = own.get("color", {}).get("fixedColor")
            drawn = not own.get("custom.hideFrom", {}).get("viz")
            found.append(
                Shown(name, each.values, own.get("unit", panel["fieldConfig"]["defaults"]["unit"]),
                      fixed or "", "custom.lineStyle" in own, drawn)
            )  # fmt: skip
    names = sorted({each.name for each in found if each.drawn and not each.color})
    colors = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(names)}
    return [each._replace(color=each.color or colors.get(each.name, "#8e8e9a")) for each in found]


def _named(legend: str, labels: dict[str, str]) -> str:
    if legend == "__auto":
        return ", ".join(value for name, value in labels.items() if name != "__name__")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _overridden(panel: Json, name: str) -> Json:
    own: Json = {}
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        matched = (
            name == matcher["options"]
            if matcher["id"] == "byName"
            else re.search(matcher["options"].strip("/"), name)
        )
        if matched:
            own |= {each["id"]: each["value"] for each in override["properties"]}
    return own


def _color_of(value: float, thresholds: Json) -> str:
    color = "#ccccdc"
    for step in thresholds["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return color


# --- kinds of panels --------------------------------------------------------------------------------------------------


def _figures(panel: Json, shown: list[Shown]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    many = len(shown) > 1
    cells = []
    for each in shown:
        value = next(reversed(each.values.values()))
        color = _color_of(value, defaults["thresholds"])
        big = written(value, each.unit, defaults.get("decimals"))
        name = f"<small>{html.escape(each.name)}</small>" if many else ""
        cells.append(f'<div><big style="color:{color}">{big}</big>{name}</div>')
    return (
        f'<div class="figures{" many" if len(shown) > 3 else ""}">{"".join(cells) or _nothing(panel)}</div>'
    )


def _nothing(panel: Json) -> str:
    return f'<span class="none">{panel["fieldConfig"]["defaults"].get("noValue", "No data")}</span>'


def _table(panel: Json, answers: Sequence[Sequence[Series]]) -> str:
    organize = next(each["options"] for each in panel["transformations"] if each["id"] == "organize")
    order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    keys = [name for name in order if not name.startswith("Value")]
    titles = list(organize["renameByName"].values())
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for title, series in zip(titles, answers, strict=True):
        for each in series:
            for at_s, value in each.values.items():
                key = tuple(_time(at_s) if name == "Time" else each.labels.get(name, "") for name in keys)
                rows.setdefault(key, {})[title] = value
    sort = [by["displayName"] for by in panel["options"].get("sortBy", [])]
    if sort == ["Time"]:
        ordered = sorted(rows, reverse=True)
    elif sort:
        ordered = sorted(rows, key=lambda key: -rows[key].get(sort[0], 0))
    else:
        ordered = sorted(rows)
    head = "".join(f'<th class="text">{name}</th>' for name in keys)
    head += "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    lines = []
    for key in ordered:
        cells = "".join(f'<td class="text">{html.escape(value)}</td>' for value in key)
        lines.append(
            f"<tr>{cells}{''.join(_cell(panel, title, rows[key].get(title)) for title in titles)}</tr>"
        )
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(panel: Json, title: str, value: float | None) -> str:
    own = _overridden(panel, title)
    colored = value is not None and "thresholds" in own
    color = f' style="color:{_color_of(value or 0, own["thresholds"])}"' if colored else ""
    return f"<td{color}>{written(value, own['unit'], own.get('decimals'))}</td>"


def _bars(shown: list[Shown], panel: Json) -> Iterator[str]:
    most = panel["fieldConfig"]["defaults"].get("max") or max(
        s for each in shown for s in each.values.values()
    )
    for each in shown:
        value = next(iter(each.values.values()))
        width = 100 * max(value, 0) / most
        yield f'<div class="bar"><span>{each.name}</span><u style="width:{width:.1f}%"></u>{written(value, each.unit)}</div>'


def _lines(panel: Json, shown: list[Shown], width: int, height: int, span: tuple[float, float]) -> str:
    custom, defaults = panel["fieldConfig"]["defaults"]["custom"], panel["fieldConfig"]["defaults"]
    drawn = [each for each in shown if each.drawn]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    curves = list(_curves(drawn, stacked))
    values = [v for _, values, _ in curves for v in values.values() if not math.isnan(v)]
    top = defaults.get("max") or _round_up(max([*values, 0.0]), defaults["unit"])
    chart = _Chart(width, height, span, top)
    marks = [chart.axes(defaults["unit"])]
    for each, values_at, base in reversed(curves) if stacked else curves:
        if custom.get("drawStyle") == "bars":
            marks.append(chart.sticks(each, values_at))
        else:
            marks.append(chart.line(each, values_at, base))
    plot = f'<svg width="{width}" height="{height}">{"".join(marks)}</svg>'
    return f'<div class="split">{plot}{_legend(shown, height)}</div>'


def _curves(
    drawn: list[Shown], stacked: bool
) -> Iterator[tuple[Shown, dict[float, float], dict[float, float] | None]]:
    base: dict[float, float] = {}
    for each in drawn:
        if not stacked:
            yield each, each.values, None
            continue
        sums = {at: base.get(at, 0.0) + value for at, value in each.values.items()}
        yield each, sums, dict(base)
        base = {**base, **sums}


def _legend(shown: list[Shown], height: int) -> str:
    lines = []
    room = max(int(height / 16) - 2, 1)
    for each in shown[:room]:
        known = [value for value in each.values.values() if not math.isnan(value)]
        last, most = (known[-1], max(known)) if known else (None, None)
        lines.append(
            f'<tr><td class="text"><i style="background:{each.color if each.drawn else "none"}"></i>'
            f"{html.escape(each.name)}</td><td>{written(last, each.unit)}</td><td>{written(most, each.unit)}</td></tr>"
        )
    if len(shown) > room:
        lines.append(f'<tr><td class="text none">and {len(shown) - room} more</td></tr>')
    head = '<tr><th class="text">Name</th><th>Last</th><th>Max</th></tr>'
    return f'<div class="legend"><table>{head}{"".join(lines)}</table></div>'


def _heatmap(series: Sequence[Series], width: int, height: int, span: tuple[float, float]) -> str:
    edges = sorted(series, key=lambda each: float(each.labels["le"]))
    times = sorted({at for each in edges for at in each.values})
    if not times:
        return '<span class="none">No data</span>'
    below = dict.fromkeys(times, 0.0)
    cells: list[tuple[int, float, float]] = []
    for row, each in enumerate(edges):
        for at in times:
            value = each.values.get(at, 0.0)
            cells.append((row, at, max(value - below[at], 0.0)))
            below[at] = value
    chart = _Chart(width, height, span, 1.0)
    most = max(count for *_, count in cells) or 1.0
    step_s = min((b - a for a, b in pairwise(times)), default=60.0)
    tall = chart.tall / len(edges)
    marks = [chart.times()]
    for row, at, count in cells:
        if count:
            shade = _CIVIDIS[min(1 + int((len(_CIVIDIS) - 1) * math.sqrt(count / most)), len(_CIVIDIS) - 1)]
            left, right = chart.x(at - step_s), chart.x(at)
            marks.append(
                f'<rect x="{left:.1f}" y="{chart.tall - (row + 1) * tall + 8:.1f}" width="{max(right - left - 0.5, 1):.1f}" '
                f'height="{tall - 0.5:.1f}" fill="{shade}"/>'
            )
    for row, each in enumerate(edges):
        name = "more" if each.labels["le"] == "+Inf" else written(float(each.labels["le"]), "s", 0)
        marks.append(
            f'<text x="44" y="{chart.tall - row * tall + 8 - tall / 4:.1f}" text-anchor="end">{name}</text>'
        )
    return f'<svg width="{width}" height="{height}">{"".join(marks)}</svg>'


def _bands(shown: list[Shown], width: int, height: int, span: tuple[float, float]) -> str:
    chart = _Chart(width, height, span, 1.0, left=330)
    tall = min(chart.tall / max(len(shown), 1), 30)
    marks = [chart.times()]
    for row, each in enumerate(shown):
        y = 8 + row * tall
        marks.append(
            f'<text x="322" y="{y + tall * 0.65:.1f}" text-anchor="end">{html.escape(each.name)}</text>'
        )
        times = sorted(each.values)
        step_s = min((b - a for a, b in pairwise(times)), default=60.0)
        for at in times:
            left, right = chart.x(at), min(chart.x(at + step_s) + 0.5, width)
            marks.append(
                f'<rect x="{left:.1f}" y="{y + 2:.1f}" width="{right - left:.1f}" height="{tall - 4:.1f}" fill="#d55e00"/>'
            )
    return f'<svg width="{width}" height="{height}">{"".join(marks)}</svg>'


class _Chart:
    """Where a time and a value stand in a picture of this size. `left`: room for what stands beside the axis."""

    def __init__(
        self, width: int, height: int, span: tuple[float, float], top: float, left: int = 52
    ) -> None:
        self.width = width
        self.tall = height - 30
        self._left = left
        self._from_s, self._to_s = span
        self._top = top

    def x(self, at_s: float) -> float:
        """Pixels from the left."""
        share = (at_s - self._from_s) / (self._to_s - self._from_s)
        return self._left + share * (self.width - self._left - 4)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return 8 + self.tall * (1 - min(value, self._top) / self._top)

    def times(self) -> str:
        """The hours below."""
        # Every hour, or every second, or every fourth: what leaves room for the figures.
        room = (self.x(self._from_s + 3600.0) - self._left) or 1.0
        hour = 3600.0 * next((hours for hours in (1, 2, 4) if hours * room >= 44), 8)
        first = math.ceil(self._from_s / hour) * hour
        marks = []
        for number in range(int((self._to_s - first) // hour) + 1):
            at_s = first + number * hour
            anchor = "end" if self.x(at_s) > self.width - 16 else "middle"
            marks.append(
                f'<line x1="{self.x(at_s):.1f}" x2="{self.x(at_s):.1f}" y1="8" y2="{self.tall + 8}" stroke="#22252b"/>'
                f'<text x="{self.x(at_s):.1f}" y="{self.tall + 24}" text-anchor="{anchor}">{_time(at_s)}</text>'
            )
        return "".join(marks)

    def axes(self, unit: str) -> str:
        """Hours below, values beside."""
        marks = [self.times()]
        for quarter in range(5):
            value = self._top * quarter / 4
            y = self.y(value)
            marks.append(
                f'<line x1="{self._left}" x2="{self.width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#22252b"/>'
                f'<text x="{self._left - 6}" y="{y + 4:.1f}" text-anchor="end">{written(value, unit, 0)}</text>'
            )
        return "".join(marks)

    def line(self, each: Shown, values: dict[float, float], base: dict[float, float] | None) -> str:
        """A line with gaps where nothing is known; filled down to `base` where it is stacked."""
        dash = ' stroke-dasharray="6 4"' if each.dashed else ""
        marks = []
        for part in _parts(values):
            points = " ".join(f"{self.x(at):.1f},{self.y(values[at]):.1f}" for at in part)
            if base is not None:
                floor = " ".join(f"{self.x(at):.1f},{self.y(base.get(at, 0.0)):.1f}" for at in reversed(part))
                marks.append(f'<polygon points="{points} {floor}" fill="{each.color}" fill-opacity="0.7"/>')
            marks.append(
                f'<polyline points="{points}" fill="none" stroke="{each.color}" stroke-width="1.6"{dash}/>'
            )
        return "".join(marks)

    def sticks(self, each: Shown, values: dict[float, float]) -> str:
        """A bar for each value."""
        wide = max((self.width - self._left) / max(len(values), 1) - 0.7, 1)
        return "".join(
            f'<rect x="{self.x(at) - wide:.1f}" y="{self.y(value):.1f}" width="{wide:.1f}" '
            f'height="{self.tall + 8 - self.y(value):.1f}" fill="{each.color}" fill-opacity="0.85"/>'
            for at, value in values.items()
        )


def _parts(values: dict[float, float]) -> list[list[float]]:
    """The times of a series in stretches without a gap."""
    times = [at for at in sorted(values) if not math.isnan(values[at])]
    step_s = min((b - a for a, b in pairwise(times)), default=0.0)
    parts: list[list[float]] = []
    for at in times:
        if parts and at - parts[-1][-1] <= 1.5 * step_s:
            parts[-1].append(at)
        else:
            parts.append([at])
    return parts


def _round_up(value: float, unit: str) -> float:
    """The end of an axis: a round number that has round quarters."""
    if value <= 0:
        return 1.0
    if unit == "s" and value > 60:
        span_s = next(size_s for size_s, _ in _UNITS_S if value > size_s)
        return span_s * _round_up(value / span_s, "")
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= value)


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, ZONE).strftime("%H:%M")
