"""How long was the queue, when? From net changes and the number waiting now, backwards.

The level at t is the number of segments with ``queued <= t < left``: of several changes in one instant only the result
counts, so leaving comes first. Working backwards from who waits now needs no history older than the span asked for.
"""

from typing import NamedTuple

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS

MINUTES = INTERVAL_MS // MINUTE_MS


class Lengths(NamedTuple):
    """Queue length over one 15 min interval.

    `area_ms`: integral of the length over time. `minutes`: (waiting, in service) at second 0 of each minute.
    """

    longest: int
    area_ms: int
    minutes: tuple[tuple[int, int], ...]


def lengths(
    waiting: int,
    in_service: int,
    length_panes: dict[int, dict[int, int]],
    service_panes: dict[int, dict[int, int]],
    first: int,
    until_ms: int,
) -> dict[int, Lengths]:
    """Lengths of every interval from number `first` up to `until_ms`.

    Args:
        waiting, in_service: now, all known changes included.
        length_panes: {10 s pane: {ms in the pane: net change}}, complete from interval `first` on.
        service_panes: {minute: {0: net change exactly at its start, 1: later in it}}, likewise.
    """
    start_ms = first * INTERVAL_MS
    changes = sorted(
        (number * PANE_MS + offset, net)
        for number, pane in length_panes.items()
        if (number + 1) * PANE_MS > start_ms
        for offset, net in pane.items()
        if net and number * PANE_MS + offset >= start_ms
    )
    level = waiting - sum(net for _, net in changes)
    serving = in_service - sum(
        net
        for number, pane in service_panes.items()
        if number * MINUTE_MS >= start_ms
        for net in pane.values()
    )
    out: dict[int, Lengths] = {}
    position = 0
    for number in range(first, until_ms // INTERVAL_MS + 1):
        minutes: list[tuple[int, int]] = []
        longest, area_ms = level, 0
        for minute in range(number * MINUTES, (number + 1) * MINUTES):
            at_ms = minute * MINUTE_MS
            end_ms = at_ms + MINUTE_MS
            while position < len(changes) and changes[position][0] == at_ms:
                level += changes[position][1]
                position += 1
            if minute % MINUTES == 0:
                longest = level
            longest = max(longest, level)
            service = service_panes.get(minute, {})
            if at_ms <= until_ms:
                minutes.append((level, serving + service.get(0, 0)))
            serving += sum(service.values())
            last_ms = at_ms
            while position < len(changes) and changes[position][0] < end_ms:
                changed_ms, net = changes[position]
                area_ms += level * (changed_ms - last_ms)
                level += net
                longest = max(longest, level)
                last_ms = changed_ms
                position += 1
            area_ms += level * (max(last_ms, min(end_ms, until_ms)) - last_ms)
        out[number] = Lengths(longest, area_ms, tuple(minutes))
    return out
