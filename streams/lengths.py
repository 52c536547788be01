"""How long was the queue, when? From net changes and the number waiting now, backwards.

The level at t is the number of segments with ``queued <= t < left``: of several changes in one instant only the result
counts, so leaving comes first. Working backwards from who waits now needs no history older than the span asked for.

What comes later than that changes intervals measured before (`corrected`). It is told by the minute, in late panes
(`Kind.LATE_LENGTH`) with `LATE_PARTS` slots for each, so that one takes little however much comes late. Minutes and
areas are exact all the same; the longest queue is wherever it is certain (see there).
"""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS
from streams.stored import Lengths

MINUTES = INTERVAL_MS // MINUTE_MS

WAITING_AT_START, ENTERED, ENTERED_MS, LEFT, LEFT_MS, SERVED_AT_START, SERVED_LATER = range(7)
"""Parts of a minute in a late pane: how the queue length changes exactly at its start, then by who enters and by who
leaves, each with the sum of the ms in the minute; how the contacts in service change at its start, and later in it."""
LATE_PARTS = 8
"""Slot of a part: `LATE_PARTS` * minute of the interval + part."""


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
    late_panes: Mapping[int, dict[int, int]] | None = None,
) -> dict[int, Lengths]:
    """Lengths of every interval from number `first` to the one of `until_ms`.

    Args:
        waiting, in_service: after all changes known of these intervals.
        length_panes: {pane of `width_ms`: {ms in the pane: net change}}, complete from interval `first` on.
        service_panes: {minute: {0: net change exactly at its start, 1: later in it}}, likewise.
        shapes: the shapes of `length_panes` worked out before, by number; those missing are added.
        late_panes: {interval: late pane}; these changes are in none of the others.
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
    late: dict[int, dict[int, int]] = {}
    for number, told in (late_panes or {}).items():
        if first <= number < end:
            late[number] = told
            come, served = late_nets(told)
            waiting -= come
            in_service -= served
    out: dict[int, Lengths] = {}
    for number in range(first, end):
        longest, area_ms = -(1 << 62), 0
        minutes: list[tuple[int, int]] = []
        told = late.get(number, _NOTHING)
        placed: dict[int, dict[int, int]] = {}
        if told:
            placed, area_ms = _placed(told, number, until_ms, width_ms)
        for pane in range(number * panes, (number + 1) * panes):
            passed_ms = until_ms - pane * width_ms
            if pane in placed:
                changes = _summed(length_panes.get(pane, _NOTHING), placed[pane])
                made = shape(changes, min(width_ms, max(0, passed_ms)))
            elif pane in length_panes:
                made = shapes[pane] if passed_ms >= width_ms else shape(length_panes[pane], max(0, passed_ms))
            else:
                made = _LEVEL
            if passed_ms >= 0 and pane % (MINUTE_MS // width_ms) == 0:
                service = service_panes.get(pane * width_ms // MINUTE_MS, _NOTHING)
                minutes.append((waiting + made.at_start, in_service + service.get(0, 0)))
                in_service += sum(service.values())
                if told:
                    slot = pane * width_ms % INTERVAL_MS // MINUTE_MS * LATE_PARTS
                    at_start = told.get(slot + SERVED_AT_START, 0)
                    minutes[-1] = (minutes[-1][0], minutes[-1][1] + at_start)
                    in_service += at_start + told.get(slot + SERVED_LATER, 0)
            longest = max(longest, waiting + made.peak)
            if passed_ms > 0:
                area_ms += waiting * min(passed_ms, width_ms) + made.area_ms
            waiting += made.net
        out[number] = Lengths(longest, area_ms, tuple(minutes))
    return out


def late_nets(pane: Mapping[int, int]) -> tuple[int, int]:
    """How a late pane changes the queue length and the contacts in service in all."""
    waiting = in_service = 0
    for slot, value in pane.items():
        part = slot % LATE_PARTS
        if part in (WAITING_AT_START, ENTERED, LEFT):
            waiting += value
        elif part in (SERVED_AT_START, SERVED_LATER):
            in_service += value
    return waiting, in_service


def _placed(
    told: Mapping[int, int], number: int, until_ms: int, width_ms: int
) -> tuple[dict[int, dict[int, int]], int]:
    """The late changes of interval `number` as changes in panes of `width_ms`; what that lacks in area, in ms.

    All who enter in a minute do so at their mean, and likewise who leaves: of one each that is exact.
    """
    out: dict[int, dict[int, int]] = {}
    lacking_ms = 0
    for minute in range(MINUTES):
        slot, start_ms = minute * LATE_PARTS, number * INTERVAL_MS + minute * MINUTE_MS
        changes = {0: told.get(slot + WAITING_AT_START, 0)}
        for part in (ENTERED, LEFT):
            change, sum_ms = told.get(slot + part, 0), told.get(slot + part + 1, 0)
            at_ms = min(max(1, sum_ms // change), MINUTE_MS - 1) if change else 0
            if change:
                changes[at_ms] = changes.get(at_ms, 0) + change
            if start_ms + MINUTE_MS <= until_ms:
                lacking_ms += change * at_ms - sum_ms
        for at_ms, change in changes.items():
            if change:
                pane = out.setdefault((start_ms + at_ms) // width_ms, {})
                pane[(start_ms + at_ms) % width_ms] = change
    return out, lacking_ms


def _summed(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    out = dict(one)
    for slot, value in other.items():
        out[slot] = out.get(slot, 0) + value
    return out


def corrected(
    before: Lengths, waiting: int, in_service: int, late: Mapping[int, int]
) -> tuple[Lengths, int, int]:
    """Lengths of an interval that was measured and is over, once it is known what was too late for that.

    Minutes and area are exact. The longest queue is, where its length changes by the same throughout: else it stays as
    far as it can be, for when it was is no longer known; it is wrong by no more than that change differs within the
    interval, never less than a minute or the mean of the interval says, and 0 where nobody waited.

    Args:
        waiting, in_service: by how much more there were before the interval than was thought.
        late: the change of its late pane.

    Returns:
        The lengths; then `waiting` and `in_service` likewise after the interval.
    """
    minutes: list[tuple[int, int]] = []
    area_ms = before.area_ms
    least, most = 1 << 62, -(1 << 62)
    for minute in range(MINUTES):
        slot = minute * LATE_PARTS
        waiting += late.get(slot + WAITING_AT_START, 0)
        in_service += late.get(slot + SERVED_AT_START, 0)
        was = before.minutes[minute] if minute < len(before.minutes) else (0, 0)
        minutes.append((max(0, was[0] + waiting), max(0, was[1] + in_service)))
        entered, left = late.get(slot + ENTERED, 0), late.get(slot + LEFT, 0)
        sums_ms = late.get(slot + ENTERED_MS, 0) + late.get(slot + LEFT_MS, 0)
        area_ms += (waiting + entered + left) * MINUTE_MS - sums_ms
        least = min(least, waiting + min(0, entered) + min(0, left))
        most = max(most, waiting + max(0, entered) + max(0, left))
        waiting += entered + left
        in_service += late.get(slot + SERVED_LATER, 0)
    area_ms = max(0, area_ms)
    certain = max(least, 0) + min(most, 0)
    longest = max(before.longest + certain, -(-area_ms // INTERVAL_MS)) if area_ms else 0
    longest = max(longest, *[length for length, _ in minutes])
    return Lengths(longest, area_ms, tuple(minutes)), waiting, in_service
