"""When does an alert fire whose condition held at these instants? What Prometheus does with `for` and `keep_firing_for`.

A condition is known from a range query; Prometheus itself would have to live through the days to say when it fires.
Refuses to know expressions. Source: the life of an alert in Prometheus' documentation of alerting rules; a test holds
it to `promtool test rules`.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Firing(NamedTuple):
    """One stretch of firing, in Unix seconds: from the first instant that fires to the first that does not any more.

    `to_s` is infinite if it still fired at the last instant.
    """

    from_s: float
    to_s: float


def firings(
    instants_s: Iterable[float],
    holds_at: Collection[float],
    for_s: float,
    keep_s: float,
    stays_at: Collection[float] = (),
) -> list[Firing]:
    """The stretches in which one alert (one label set) fires.

    Args:
        instants_s: when the rule is evaluated, in time order.
        holds_at: where its condition holds.
        for_s: how long it must hold before the alert fires.
        keep_s: how long the alert fires on after the condition has ended.
        stays_at: where the condition holds if the alert fires already: a rule with a recovery margin reads `ALERTS`.
    """
    found: list[Firing] = []
    active_s = fires_s = ends_s = None
    for at_s in instants_s:
        if at_s in holds_at or (fires_s is not None and at_s in stays_at):
            ends_s = None
            active_s = at_s if active_s is None else active_s
            if fires_s is None and at_s - active_s >= for_s:
                fires_s = at_s
            continue
        ends_s = at_s if ends_s is None else ends_s
        if fires_s is not None and at_s - ends_s < keep_s:
            continue
        if fires_s is not None:
            found.append(Firing(fires_s, at_s))
        active_s = fires_s = ends_s = None
    if fires_s is not None:
        found.append(Firing(fires_s, float("inf")))
    return found
