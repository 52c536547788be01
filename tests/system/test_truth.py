"""Through Kafka and two workers, one of them killed: is every number what the simulator did?"""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from schemas import events as e
from schemas.topics import CALLS
from streams.driver import Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from streams.simulator.record import Record
from streams.site import Site
from streams.truth import Truth
from tests.streams.true_days import (
    HOUR_MS,
    LIVELY,
    MIDNIGHT,
    assert_report_is_true,
    items_of,
    small_site,
)
from tests.system.local_kafka import LocalKafka
from tests.system.members import Member
from tests.system.replays import run, settings_for


def until_the_end_of(items: Iterator[Item], end_ms: int) -> Iterator[Item]:
    """The day's items and a sign of life at its end, so that time comes to it everywhere."""
    yield from items
    end = datetime.fromtimestamp(end_ms / 1000, UTC)
    beat = e.PipelineHeartbeat(id="end", source="test", time=end, data=e.Heartbeat(clock="event"))
    yield Item(CALLS, "", encode(beat))


def assert_true_through_kafka(kafka: LocalKafka, name: str, site: Site, plan: Plan, hours: int) -> int:
    """Replay `hours` of a plan through two workers, of which one dies half way; return the number of events."""
    simulation = Simulation(site, plan, seed=200)
    end_ms = MIDNIGHT + hours * HOUR_MS
    items = tuple(until_the_end_of(items_of(simulation, hours), end_ms))
    assert isinstance(simulation.record, Record)
    true = Truth(site, simulation.record).report(900)
    settings = settings_for(kafka, name, site, replay=True)
    members = [Member(settings, "one"), Member(settings, "two")]

    def hurt() -> None:
        members[0].send(signal.SIGKILL)
        members[0].start()

    try:
        through = run(settings, items, members, hurt)
    finally:
        for member in members:
            member.end()
    assert_report_is_true(through.builder.report({}), true)
    counted = through.truth.truth.values()
    assert sum(each["records"] for each in counted) == through.sent
    assert not any(
        sum(each.get(name, 0) for each in counted) for name in ("duplicates", "late_dropped", "unmatched")
    )
    assert not through.truth.dead_letters
    return len(items)


def test_a_lively_day_through_two_workers_and_a_kill_are_the_truth(kafka: LocalKafka) -> None:
    assert assert_true_through_kafka(kafka, "lively", small_site(), LIVELY, 24) > 50_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_day_of_200_queues_and_a_million_events_through_two_workers_and_a_kill_is_the_truth(
    kafka: LocalKafka,
) -> None:
    site = default_site(200)
    plan = with_events_per_s(site, Plan(), 12.0)
    assert assert_true_through_kafka(kafka, "million", site, plan, 24) > 1_000_000
