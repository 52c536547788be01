"""Days of the simulator and what makes a report of one true: in every count, sum, mean and ratio."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime

import pytest

from streams.driver import Item
from streams.report import Report
from streams.simulator import Incident, Plan, Simulation, default_site, encode
from streams.site import QueuePolicy, Site
from streams.truth import Report as TrueReport

HOUR_MS = 3_600_000
MIDNIGHT = int(datetime.fromisoformat("2026-10-01T00:00:00+09:00").timestamp() * 1000)
HALF_HOUR_S = 1800
ADD_UP = ("offered", "answered", "wait_sum_s", "queue_length_area_s", "busy_s", "available_s", "wrapping_s")
"""What the intervals of a queue must add up to."""
LIVELY = Plan(
    contacts_per_s=0.085, load=0.95, transfer_share=0.12, decline_share=0.05, overflow_after_s=90.0, lost_ends=0.01,
    lost_leaves=0.01, key_press_share=0.03, client_deaths_per_day=2.0, silent_share=0.05,
    incidents=(Incident(after_s=11 * 3600, lasts_s=1800, staff_leaves=0.6, surge=1.5),),
)  # fmt: skip


def items_of(simulation: Simulation, hours: int, late_s: float = 0.0) -> Iterator[Item]:
    """The day's records, each at most `late_s` late, so that they come out of order, and one in twenty twice."""
    events = simulation.events(MIDNIGHT, MIDNIGHT + hours * HOUR_MS)
    if not late_s:
        for topic, key, event in events:
            yield Item(topic, key, encode(event))
        return
    dice = random.Random(3)
    arrivals = []
    for number, (topic, key, event) in enumerate(events):
        for _ in range(1 + (dice.random() < 0.05)):
            at_s = event.time.timestamp() + dice.uniform(0, late_s)
            arrivals.append((at_s, number, Item(topic, key, encode(event))))
    for _, _, item in sorted(arrivals, key=lambda arrival: arrival[:2]):
        yield item


def small_site() -> Site:
    """Twenty queues; some keep promises and business days of their own."""
    site = default_site(20)
    names = list(site.queues)
    own = {
        names[0]: QueuePolicy(answer_within_s=7.5, short_abandon_s=3.0, team=site.queues[names[0]].team),
        names[1]: QueuePolicy(day_starts_at="05:00", team=site.queues[names[1]].team),
        names[2]: QueuePolicy(zone="Europe/Berlin", team=site.queues[names[2]].team),
    }
    kept = {
        name: own.get(name, policy) if policy.channel == "voice" else policy
        for name, policy in site.queues.items()
    }
    return Site(name=site.name, zone=site.zone, queues=kept)


def assert_same(true: Mapping[str, object], told: Mapping[str, object], where: object) -> None:
    """Every count and sum equal, every ratio and mean to the last digits of a float."""
    wrong = []
    for name, value in true.items():
        if name == "agents":
            continue
        seen = told[name]
        same = (
            seen == pytest.approx(value, abs=1e-9, rel=1e-12) if isinstance(value, float) else seen == value
        )
        if not same:
            wrong.append((name, "expected", value, "told", seen))
    assert not wrong, (where, wrong)


def assert_report_is_true(told: Report, true: TrueReport) -> None:
    """All that the truth says stands in the report, nothing beside it was offered, and intervals add up."""
    assert_same(dict(true["total"]), mapping(told["total"]), "total")
    for key in ("by_queue", "by_day"):
        rows = mapping(told[key])
        expected = dict(true[key].items())
        for name, row in expected.items():
            assert_same(dict(row), mapping(rows.pop(name)), (key, name))
        assert all(_is_more_than_nothing(mapping(row)) for row in rows.values()), (key, rows)
    intervals = {(r["start"], r["queue"]): r for r in listed(told["by_interval"])}
    for interval in true["by_interval"]:
        assert_same(dict(interval), intervals.pop((interval["start"], interval["queue"])), "interval")
    assert all(row["offered"] == 0 and row["sl_offered"] is None for row in intervals.values())
    for queue, whole in mapping(told["by_queue"]).items():
        rows_of = [row for row in listed(told["by_interval"]) if row["queue"] == queue]
        for name in ADD_UP:
            added = sum(number(row[name]) for row in rows_of)
            assert added == pytest.approx(number(mapping(whole)[name]), abs=1e-6), (queue, name)


def _is_more_than_nothing(row: Mapping[str, object]) -> bool:
    """A day or queue of which the truth says nothing: nothing was offered, but somebody waited or agents were there."""
    return row["offered"] == 0 and any(row[name] for name in ("queue_length_area_s", "busy_s", "available_s"))


def number(value: object) -> float:
    """A measure that is one."""
    assert isinstance(value, int | float)
    return value


def mapping(value: object) -> dict[str, object]:
    """Part of a report that is an object."""
    assert isinstance(value, dict)
    return value


def listed(value: object) -> list[dict[str, object]]:
    """Part of a report that is an array of objects."""
    assert isinstance(value, list)
    return value
