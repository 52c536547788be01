"""How long until an alert rings, and how often for nothing? The picture of docs/alerts.md, as SVG.

Every row is a kind of incident at a volume of calls; every mark a median. The colours follow the reader's light or dark
theme. Refuses to know where the figures come from.
"""

from collections.abc import Iterator, Mapping
from html import escape
from math import log10
from typing import NamedTuple


class Mark(NamedTuple):
    """What one rule did in one row: median `minutes` until it rang, None if it never did; `share` of the days."""

    minutes: float | None
    share: float


class Row(NamedTuple):
    """One volume: `marks` by the name of the rule."""

    label: str
    marks: Mapping[str, Mark]


_RULES = ("naive", "ours", "any")
_WIDE, _LEFT, _RIGHT, _ROW, _TOP = 900, 210, 190, 21, 74
_LEAST_MIN, _MOST_MIN = 0.4, 120.0
_TICKS = (0.5, 1, 2, 5, 10, 20, 60, 120)
_STYLE = """
text { font: 13px system-ui, 'Noto Sans', sans-serif; fill: #1c1c1c } .small { font-size: 11px; fill: #5c5c5c }
.head { font-weight: 600 } .paper { fill: #ffffff } .line { stroke: #dcdcdc } .link { stroke: #b4b4b4; stroke-width: 2 }
.naive { fill: #ffffff; stroke: #6e6e6e; stroke-width: 2 } .ours { fill: #0072b2 } .any { fill: #d55e00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e4e4 } .small { fill: #a8a8a8 } .paper { fill: #1c1c1c } .line { stroke: #3a3a3a } .link { stroke: #5e5e5e }
  .naive { fill: #1c1c1c; stroke: #b4b4b4 } .ours { fill: #56b4e9 } .any { fill: #ff8a3d }
}
"""


def draw(groups: Mapping[str, list[Row]], names: Mapping[str, str], title: str) -> str:
    """The picture.

    Args:
        groups: the rows of each kind of incident.
        names: what the rules "naive", "ours" and "any" are called.
        title: what the picture says, in a sentence.
    """
    parts = list(_legend(names))
    top = _TOP
    for kind, rows in groups.items():
        parts.append(f'<text class="head" x="16" y="{top + 14}">{escape(kind)}</text>')
        for number, row in enumerate(rows):
            parts += _row(row, top + _ROW * number + 10)
        top += _ROW * len(rows) + 12
    high = top + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {high}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDE}" height="{high}" rx="8"/>\n'
        + "\n".join([*_axis(top), *parts])
        + "\n</svg>\n"
    )


def _x(minutes: float) -> float:
    share = log10(max(minutes, _LEAST_MIN) / _LEAST_MIN) / log10(_MOST_MIN / _LEAST_MIN)
    return round(_LEFT + (_WIDE - _LEFT - _RIGHT) * min(share, 1.0), 1)


def _axis(bottom: int) -> Iterator[str]:
    for minutes in _TICKS:
        x = _x(minutes)
        yield f'<line class="line" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x}" y="{bottom + 16}" text-anchor="middle">{minutes:g} min</text>'


def _legend(names: Mapping[str, str]) -> Iterator[str]:
    x = 24
    for rule in _RULES:
        yield _shape(rule, x, 24)
        yield f'<text x="{x + 12}" y="28">{escape(names[rule])}</text>'
        x += 40 + round(6.6 * len(names[rule]))
    yield '<text class="small" x="16" y="52">Median time from the beginning of the incident to the first ring.</text>'
    yield f'<text class="small" x="{_WIDE - 16}" y="52" text-anchor="end">found: ○ / ● / ◆</text>'


def _row(row: Row, y: int) -> Iterator[str]:
    known = {rule: mark.minutes for rule, mark in row.marks.items() if mark.minutes is not None}
    yield f'<text class="small" x="{_LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>'
    if known:
        xs = [_x(minutes) for minutes in known.values()]
        yield f'<line class="link" x1="{min(xs)}" x2="{max(xs)}" y1="{y}" y2="{y}"/>'
    for rule in _RULES:
        if rule in known:
            yield _shape(rule, _x(known[rule]), y)
    shares = " / ".join(f"{row.marks[rule].share:.0%}" for rule in _RULES)
    yield f'<text class="small" x="{_WIDE - 16}" y="{y + 4}" text-anchor="end">{shares}</text>'


def _shape(rule: str, x: float, y: float) -> str:
    """A ring, a disc and a diamond: told apart without colour, too."""
    if rule == "any":
        return f'<path class="any" d="M{x:g} {y - 6:g} l6 6 l-6 6 l-6 -6 z"/>'
    return f'<circle class="{rule}" cx="{x:g}" cy="{y:g}" r="5"/>'
