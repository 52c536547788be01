"""Does the pipeline say what the simulator did? Two programs that share no code, in every count and ratio."""

import pytest

from schemas.snapshots import GroupSnapshot, QueueSnapshot
from schemas.topics import PRESENCE
from streams.driver import Driver
from streams.report import Report, ReportBuilder, source_of
from streams.simulator import Plan, Simulation, default_site, with_events_per_s
from streams.simulator.record import Record
from streams.site import Site
from streams.truth import Report as TrueReport
from streams.truth import Truth
from tests.streams.true_days import (
    HALF_HOUR_S,
    HOUR_MS,
    LIVELY,
    MIDNIGHT,
    assert_report_is_true,
    items_of,
    mapping,
    small_site,
)

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
        self.driver.feed(items_of(simulation, hours, late_s))
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


@pytest.fixture(scope="module")
def day() -> Day:
    return Day(small_site(), LIVELY, 24)


def assert_day_is_true(day: Day) -> None:
    assert_report_is_true(day.told, day.true)


def test_every_count_and_ratio_of_a_simulated_day_is_the_truth(day: Day) -> None:
    assert all(mapping(day.told["total"])[name] for name in SEEN)
    assert_day_is_true(day)


def test_no_event_of_the_day_is_refused_unmatched_or_taken_for_a_duplicate(day: Day) -> None:
    source = mapping(day.told["source"])
    assert not day.driver.dead_letters
    assert source["events"] == day.true["source"]["events"] > 50_000
    assert {name: source[name] for name in ("duplicates", "late", "corrected", "unmatched", "ignored")} == {
        "duplicates": 0, "late": 0, "corrected": 0, "unmatched": 0, "ignored": 0,
    }  # fmt: skip


def test_the_agents_time_of_the_site_is_the_truth(day: Day) -> None:
    total, times = mapping(day.told["total"]), day.true["total"]["agents"]
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
    assert mapping(day.told["source"])["duplicates"] != 0
    assert mapping(day.told["source"])["corrected"] != 0
    assert_day_is_true(day)
    total, times = mapping(day.told["total"]), day.true["total"]["agents"]
    assert (total["busy_s"], total["available_s"]) == (times["busy_s"], times["available_s"])


def test_a_day_without_the_sources_own_segment_ids_is_told_as_truly() -> None:
    plan = Plan(
        flat=True, contacts_per_s=0.2, transfer_share=0.15, overflow_after_s=60.0, segment_ids=False, load=1.0
    )
    assert_day_is_true(Day(default_site(6), plan, 3, seed=4))


@pytest.mark.soak
def test_a_day_of_200_queues_and_a_million_events_is_the_truth() -> None:
    site = default_site(200)
    plan = with_events_per_s(site, Plan(), 12.0)
    day = Day(site, plan, 24, seed=200)
    assert day.true["source"]["events"] > 1_000_000
    assert PRESENCE in {topic for topic, _ in day.driver.truths()}
    assert_day_is_true(day)
