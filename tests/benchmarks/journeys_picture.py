"""Does it come as often as it is said, and who finds more? Reliability and precision against recall, as SVG.

The colours follow the reader's light or dark theme; curves differ in dash, too. Refuses to know where figures come from.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import log10

from tests.benchmarks.journey_scores import Bin, Point

_WIDE, _SIDE, _TOP, _LEFT, _RIGHT_PANEL = 940, 330, 64, 62, 530
_LEAST, _MOST = 0.001, 1.0
_DECADES = (0.001, 0.01, 0.1, 1.0)
_STYLE = """
text { font: 13px system-ui, 'Noto Sans', sans-serif; fill: #1c1c1c } .small { font-size: 11px; fill: #5c5c5c }
.head { font-weight: 600 } .paper { fill: #ffffff } .line { stroke: #dcdcdc } .ideal { stroke: #8a8a8a }
.curve { fill: none; stroke-width: 2 } .c0 { stroke: #0072b2; stroke-width: 3 } .c1 { stroke: #d55e00 }
.c2 { stroke: #009e73 } .c3 { stroke: #8a4b9c } .c4 { stroke: #6e6e6e } .c5 { stroke: #a07800 } .dot { fill: #0072b2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e4e4 } .small { fill: #a8a8a8 } .paper { fill: #1c1c1c } .line { stroke: #3a3a3a }
  .c0 { stroke: #56b4e9 } .c1 { stroke: #ff8a3d } .c2 { stroke: #2fc79a } .c3 { stroke: #cc96dc } .c4 { stroke: #b4b4b4 }
  .c5 { stroke: #e0b83c } .dot { fill: #56b4e9 }
}
"""
_DASHES = ("none", "7 4", "2 3", "9 3 2 3", "4 2", "1 5")


def draw(
    bins: Sequence[Bin], curves: Mapping[str, Sequence[Point]], areas: Mapping[str, float], title: str
) -> str:
    """The picture.

    Args:
        bins: reliability.
        curves: precision and recall by name; the product's first. Six at most.
        areas: average precision by the same names.
        title: what the picture says, in a sentence.
    """
    high = _TOP + _SIDE + 74
    parts = [*_reliability(bins), *_precision_recall(curves, areas)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {high}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDE}" height="{high}" rx="8"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _scale(share: float) -> float:
    """Where a probability lies on a logarithmic axis, 0-1."""
    return log10(min(max(share, _LEAST), _MOST) / _LEAST) / log10(_MOST / _LEAST)


def _reliability(bins: Sequence[Bin]) -> Iterator[str]:
    bottom = _TOP + _SIDE
    yield f'<text class="head" x="{_LEFT}" y="32">Said and came (logarithmic)</text>'
    for share in _DECADES:
        at = round(_SIDE * _scale(share), 1)
        x, y = _LEFT + at, bottom - at
        yield f'<line class="line" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<line class="line" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{y}" y2="{y}"/>'
        yield f'<text class="small" x="{x}" y="{bottom + 18}" text-anchor="middle">{share:.1%}</text>'
        yield f'<text class="small" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{share:.1%}</text>'
    yield f'<line class="ideal" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{bottom}" y2="{_TOP}" stroke-dasharray="4 4"/>'
    most = max((each.n for each in bins), default=1)
    for each in bins:
        x, y = _LEFT + _SIDE * _scale(each.said), bottom - _SIDE * _scale(each.came)
        radius = 3 + 5 * (each.n / most) ** 0.5
        label = f"said {each.said:.2%}, came {each.came:.2%}, n = {each.n}"
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{label}</title></circle>'
    yield f'<text class="small" x="{_LEFT}" y="{bottom + 40}">across: probability said; up: share that contacted</text>'


def _precision_recall(curves: Mapping[str, Sequence[Point]], areas: Mapping[str, float]) -> Iterator[str]:
    bottom = _TOP + _SIDE
    yield f'<text class="head" x="{_RIGHT_PANEL}" y="32">Precision (up) against recall (across)</text>'
    for tenth in range(0, 11, 2):
        x, y = _RIGHT_PANEL + _SIDE * tenth / 10, bottom - _SIDE * tenth / 10
        yield f'<line class="line" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<line class="line" x1="{_RIGHT_PANEL}" x2="{_RIGHT_PANEL + _SIDE}" y1="{y}" y2="{y}"/>'
        yield f'<text class="small" x="{x}" y="{bottom + 18}" text-anchor="middle">{tenth / 10:.0%}</text>'
        yield f'<text class="small" x="{_RIGHT_PANEL - 6}" y="{y + 4}" text-anchor="end">{tenth / 10:.0%}</text>'
    for number, (name, points) in enumerate(curves.items()):
        dash = _DASHES[number % len(_DASHES)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _thinned(points))
        yield f'<polyline class="curve c{number}" stroke-dasharray="{dash}" points="{path}"/>'
        y = _TOP + 16 + 18 * number
        x = _RIGHT_PANEL + _SIDE - 170
        yield (
            f'<line class="curve c{number}" stroke-dasharray="{dash}" x1="{x}" x2="{x + 26}" y1="{y - 4}" y2="{y - 4}"/>'
        )
        yield f'<text class="small" x="{x + 32}" y="{y}">{escape(name)}: {areas[name]:.3f}</text>'
    yield f'<text class="small" x="{_RIGHT_PANEL}" y="{bottom + 40}">the number beside a name: area under its curve</text>'


def _thinned(points: Sequence[Point]) -> Iterator[tuple[float, float]]:
    """The curve in pixels, without steps smaller than one."""
    last = -1.0
    for index, point in enumerate(points):
        x = _RIGHT_PANEL + _SIDE * point.recall
        if x - last >= 1.0 or index == len(points) - 1:
            last = x
            yield x, _TOP + _SIDE - _SIDE * point.precision
