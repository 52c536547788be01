"""Does the pipeline say what the simulator did? Two programs that share no code, in every count and ratio."""

import os
import random
from collections.abc import Iterator, Mapping
from datetime import datetime

import pytest

from schemas.snapshots import GroupSnapshot, QueueSnapshot
from schemas.topics import PRESENCE
from streams.driver import Driver, Item
from streams.report import Report, ReportBuilder, source_of
from streams.simulator import Incident, Plan, Simulation, default_site, encode, with_events_per_s
from streams.simulator.record import Record
from streams.site import QueuePolicy, Site
from streams.truth import Report as TrueReport
from streams.truth import Truth

HOUR_MS = 3_600_000
MIDNIGHT = int(datetime.fromisoformat("2026-10-01T00:00:00+09:00").timestamp() * 1000)
HALF_HOUR_S = 1800
LIVELY = Plan(
    contacts_per_s=0.085, load=0.95, transfer_share=0.12, decline_share=0.05, overflow_after_s=90.0, lost_ends=0.01,
    lost_leaves=0.01, key_press_share=0.03, client_deaths_per_day=2.0, silent_share=0.05,
    incidents=(Incident(after_s=11 * 3600, lasts_s=1800, staff_leaves=0.6, surge=1.5),),
)  # fmt: skip
SEEN = (
    "offered", "answered", "answered_in_x", "abandoned", "abandoned_in_x", "abandoned_short", "callback",
    "overflowed", "lost", "handled", "transferred_in", "transferred_out", "declined", "silent_abandoned",
    "first_responses", "first_responses_in_x",
)  # fmt: skip
"""Counts that a day must hold for the comparison to mean anything."""


class Day:
    """One simulated day, told by the pipeline and by the truth."""

    def __init__(self, site: Site, plan: Plan, hours: int, *, seed: int = 7, late_s: float = 0.0) -> None:
        simulation = Simulation(site, plan, seed)
        self.site = site
        self.driver = Driver(site, 3)
        self.driver.feed(self._items(simulation, hours, late_s))
        self.driver.finish(MIDNIGHT + hours * HOUR_MS)
        builder = ReportBuilder(site, HALF_HOUR_S)
        for row in self.driver.intervals.values():
            builder.add(row)
        assert isinstance(simulation.record, Record)
        self.truth = Truth(site, simulation.record)
        self.told: Report = builder.report(
            source_of(self.driver.truths().values(), simulation.record.events, {})
        )
        self.true: TrueReport = self.truth.report(HALF_HOUR_S)

    @staticmethod
    def _items(simulation: Simulation, hours: int, late_s: float) -> Iterator[Item]:
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


@pytest.fixture(scope="module")
def day() -> Day:
    return Day(small_site(), LIVELY, 24)


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


def assert_day_is_true(day: Day) -> None:
    told, true = day.told, day.true
    assert_same(dict(true["total"]), _mapping(told["total"]), "total")
    for key in ("by_queue", "by_day"):
        rows = _mapping(told[key])
        expected = dict(true[key].items())
        for name, row in expected.items():
            assert_same(dict(row), _mapping(rows.pop(name)), (key, name))
        assert all(_mapping(row)["offered"] == 0 for row in rows.values()), (key, rows)
    intervals = {(r["start"], r["queue"]): r for r in _list(told["by_interval"])}
    for interval in true["by_interval"]:
        assert_same(dict(interval), intervals.pop((interval["start"], interval["queue"])), "interval")
    assert all(row["offered"] == 0 and row["sl_offered"] is None for row in intervals.values())


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _list(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_every_count_and_ratio_of_a_simulated_day_is_the_truth(day: Day) -> None:
    assert all(_mapping(day.told["total"])[name] for name in SEEN)
    assert_day_is_true(day)


def test_no_event_of_the_day_is_refused_unmatched_or_taken_for_a_duplicate(day: Day) -> None:
    source = _mapping(day.told["source"])
    assert not day.driver.dead_letters
    assert source["events"] == day.true["source"]["events"] > 50_000
    assert {name: source[name] for name in ("duplicates", "late", "corrected", "unmatched", "ignored")} == {
        "duplicates": 0, "late": 0, "corrected": 0, "unmatched": 0, "ignored": 0,
    }  # fmt: skip


def test_the_agents_time_of_the_site_is_the_truth(day: Day) -> None:
    total, times = _mapping(day.told["total"]), day.true["total"]["agents"]
    for name in ("busy_s", "available_s", "wrapping_s"):
        assert total[name] == times[name], name
    assert total["occupancy"] == pytest.approx(times["occupancy"], rel=1e-12)
    assert total["concurrency"] == pytest.approx(times["concurrency"], rel=1e-12)


def test_the_agents_by_state_are_the_truth_for_site_queues_and_teams(day: Day) -> None:
    presence = day.truth.presence()
    seen = set()
    for snapshot in day.driver.snapshots():
        if isinstance(snapshot, GroupSnapshot):
            true = presence["site"][""] if snapshot.group == "site" else presence["team"][snapshot.name]
            seen.add(snapshot.name)
        else:
            true = presence["queue"].get(snapshot.queue, {})
        assert snapshot.agents == {state: count for state, count in true.items() if count}, snapshot
    assert seen == {day.site.name, *presence["team"]}
    assert presence["site"][""]["lost"] > 0
    assert presence["site"][""]["offline"] > 0


def test_who_waits_at_the_end_is_the_truth(day: Day) -> None:
    waiting = {queue: m["waiting"] for queue, m in day.true["by_queue"].items()}
    snapshots = [s for s in day.driver.snapshots() if isinstance(s, QueueSnapshot)]
    assert {s.queue: s.waiting for s in snapshots} == waiting
    for snapshot in snapshots:
        queued = [
            s.queued_ms for s in day.truth.segments if s.queue == snapshot.queue and s.outcome == "waiting"
        ]
        assert snapshot.oldest_waiting_ms == min(queued, default=None)
        limit_ms = day.driver.now_ms - round(snapshot.answer_within_s * 1000)
        assert snapshot.at_risk == sum(queued_ms < limit_ms for queued_ms in queued)


@pytest.mark.parametrize("late_s", [2.0, 60.0])
def test_the_truth_does_not_move_when_events_are_late_and_some_come_twice(late_s: float) -> None:
    plan = Plan(
        **{**{f: getattr(LIVELY, f) for f in LIVELY.__struct_fields__}, "flat": True, "contacts_per_s": 0.2}
    )
    day = Day(small_site(), plan, 3, seed=9, late_s=late_s)
    assert _mapping(day.told["source"])["duplicates"] != 0
    assert _mapping(day.told["source"])["corrected"] != 0
    assert_day_is_true(day)
    total, times = _mapping(day.told["total"]), day.true["total"]["agents"]
    assert (total["busy_s"], total["available_s"]) == (times["busy_s"], times["available_s"])


def test_a_day_without_the_sources_own_segment_ids_is_told_as_truly() -> None:
    plan = Plan(
        flat=True, contacts_per_s=0.2, transfer_share=0.15, overflow_after_s=60.0, segment_ids=False, load=1.0
    )
    assert_day_is_true(Day(default_site(6), plan, 3, seed=4))


@pytest.mark.soak
@pytest.mark.skipif("QUEUELIGHT_SOAK" not in os.environ, reason="runs for minutes: set QUEUELIGHT_SOAK=1")
def test_a_day_of_200_queues_and_a_million_events_is_the_truth() -> None:
    site = default_site(200)
    plan = with_events_per_s(site, Plan(), 12.0)
    day = Day(site, plan, 24, seed=200)
    assert day.true["source"]["events"] > 1_000_000
    assert PRESENCE in {topic for topic, _ in day.driver.truths()}
    assert_day_is_true(day)
