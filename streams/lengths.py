"""How long was the queue, when? From net changes and the number waiting now, backwards.

The level at t is the number of segments with ``queued <= t < left``: of several changes in one instant only the result
counts, so leaving comes first. Working backwards from who waits now needs no history older than the span asked for.
"""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS
from streams.stored import Lengths

MINUTES = INTERVAL_MS // MINUTE_MS


class Shape(NamedTuple):
    """What the net changes of one pane do to any level: all relative to the level before the pane.

    `at_start`: after the changes in its first millisecond. `peak`: the greatest from then on. `area_ms`: the integral.
    `net`: after the pane.
    """

    at_start: int
    peak: int
    area_ms: int
    net: int


def shape(pane: dict[int, int], until_ms: int) -> Shape:
    """The shape of {ms in the pane: net change}; its area up to `until_ms` in the pane."""
    at_start = level = peak = pane.get(0, 0)
    last_ms = area_ms = 0
    for offset_ms in sorted(pane):
        if not offset_ms:
            continue
        if last_ms < until_ms:
            area_ms += level * (min(offset_ms, until_ms) - last_ms)
            last_ms = offset_ms
        level += pane[offset_ms]
        if level > peak:
            peak = level
    return Shape(at_start, peak, area_ms + level * max(0, until_ms - last_ms), level)


_LEVEL = Shape(0, 0, 0, 0)
_NOTHING: dict[int, int] = {}


def lengths(
    waiting: int,
    in_service: int,
    length_panes: Mapping[int, dict[int, int]],
    service_panes: Mapping[int, dict[int, int]],
    first: int,
    until_ms: int,
    shapes: dict[int, Shape] | None = None,
    width_ms: int = PANE_MS,
) -> dict[int, Lengths]:
    """Lengths of every interval from number `first` to the one of `until_ms`.

    Args:
        waiting, in_service: after all changes known of these intervals.
        length_panes: {pane of `width_ms`: {ms in the pane: net change}}, complete from interval `first` on.
        service_panes: {minute: {0: net change exactly at its start, 1: later in it}}, likewise.
        shapes: the shapes of `length_panes` worked out before, by number; those missing are added.
    """
    if shapes is None:
        shapes = {}
    panes = INTERVAL_MS // width_ms
    end = until_ms // INTERVAL_MS + 1
    for number in range(first * panes, end * panes):
        if number in length_panes:
            if number not in shapes:
                shapes[number] = shape(length_panes[number], width_ms)
            waiting -= shapes[number].net
    for minute in range(first * MINUTES, end * MINUTES):
        if minute in service_panes:
            in_service -= sum(service_panes[minute].values())
    out: dict[int, Lengths] = {}
    for number in range(first, end):
        longest, area_ms = -(1 << 62), 0
        minutes: list[tuple[int, int]] = []
        for pane in range(number * panes, (number + 1) * panes):
            passed_ms = until_ms - pane * width_ms
            if pane in length_panes:
                made = shapes[pane] if passed_ms >= width_ms else shape(length_panes[pane], max(0, passed_ms))
            else:
                made = _LEVEL
            if passed_ms >= 0 and pane % (MINUTE_MS // width_ms) == 0:
                service = service_panes.get(pane * width_ms // MINUTE_MS, _NOTHING)
                minutes.append((waiting + made.at_start, in_service + service.get(0, 0)))
                in_service += sum(service.values())
            longest = max(longest, waiting + made.peak)
            if passed_ms > 0:
                area_ms += waiting * min(passed_ms, width_ms) + made.area_ms
            waiting += made.net
        out[number] = Lengths(longest, area_ms, tuple(minutes))
    return out
