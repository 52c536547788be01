"""Shards of both stages die, go back to a checkpoint, or are told anew where they stand: the numbers stay the same.

Many sources at once, each with a clock of its own, in the manner of a replay that runs hundreds of times faster than
life: between two checkpoints lies more event time than windows are long.
"""

import random
from functools import cache

import pytest

from schemas.counts import OFFERED
from schemas.snapshots import IntervalRow
from schemas.topics import CALLS, PARTIALS, SOURCES
from streams.driver import Driver, Item, Stored, source_fold
from streams.queue_fold import QueueFold
from streams.routing import Router, partition_of
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from streams.site import Site
from streams.telling import Teller
from tests.streams.bench import BASE, DAY, HOUR, Store, counted, event

PARTITIONS = 2
HOURS = 6


@cache
def simulated() -> tuple[Site, tuple[Item, ...]]:
    site = default_site(6)
    simulation = Simulation(site, with_events_per_s(site, Plan(flat=True), 0.6), seed=5, keep_record=False)
    events = simulation.events(BASE, BASE + HOURS * HOUR)
    return site, tuple(Item(topic, key, encode(event)) for topic, key, event in events)


@cache
def quiet() -> dict[tuple[str, int], object]:
    site, items = simulated()
    driver = Driver(site, PARTITIONS)
    driver.feed(items)
    driver.finish()
    return counted(driver.intervals.values())


class Source:
    """One shard of stage 1 with its records, its checkpoint and its incarnation."""

    def __init__(self, site: Site, topic: str, partition: int, router: Router) -> None:
        self.site, self.topic, self.partition, self.router = site, topic, partition, router
        self.records: list[bytes] = []
        self.store = Store()
        self.epoch = 0
        self.fold = source_fold(site, topic, partition, event_clock=True)
        self.position = 0
        self.opened()

    def opened(self) -> None:
        """Another incarnation of the fold as it is."""
        self.epoch += 1
        self.fold.tell_all()
        self.teller = Teller(self.fold, self.topic, self.partition, self.epoch, self.router)

    def run(self, until: int) -> None:
        batch = [Stored(n, self.records[n]) for n in range(self.position, min(until, len(self.records)))]
        if batch:
            assert not self.fold.apply(batch, 0)
            self.position += len(batch)

    def tell(self, *, everywhere: bool = False) -> list[bytes]:
        self.fold.settle(0)
        return [value for _, value in self.teller.tell(self.position, everywhere=everywhere)]

    def die(self) -> None:
        """Another worker loads the last checkpoint and reads on from there."""
        self.fold = source_fold(self.site, self.topic, self.partition, event_clock=True)
        self.fold.load(list(self.store.entries.items()))
        self.position = self.store.position
        self.opened()


@pytest.mark.parametrize("seed", [0, 5, 20, 36])  # each found a defect
def test_however_shards_move_the_intervals_are_those_of_the_quiet_run(seed: int) -> None:
    site, items = simulated()
    chance = random.Random(seed)
    router = Router(1)
    sources = {(t, p): Source(site, t, p, router) for t in SOURCES for p in range(PARTITIONS)}
    for item in items:
        sources[item.topic, partition_of(item.key, PARTITIONS)].records.append(item.value)

    def new_queues() -> QueueFold:
        return QueueFold(site, PARTIALS, 0, owns=lambda home: True, sources=len(sources), event_clock=True)

    queues, store, merged = new_queues(), Store(), 0
    partials: list[bytes] = []
    found: dict[tuple[str, int], object] = {}

    def merge(until: int) -> None:
        nonlocal merged
        assert not queues.apply([Stored(n, partials[n]) for n in range(merged, until)], 0)
        merged = until
        queues.settle(0)
        for row in queues.take_intervals():
            found[row.row, row.start_ms] = row

    longest = max(len(source.records) for source in sources.values())
    at = 0
    newest_ms = 0
    while at < longest or any(source.position < len(source.records) for source in sources.values()):
        at += chance.choice((50, 200, 600))
        for source in sources.values():
            share = len(source.records) / longest
            if chance.random() < 0.8 or at >= longest:
                source.run(round(at * share) + 1)
            newest_ms = max(newest_ms, source.fold.clock_ms)
            if chance.random() < 0.8:
                partials += source.tell()
            what = chance.random()
            if what < 0.15:
                partials += source.tell()
                source.store.save(source.fold, source.position)
            elif what < 0.20:
                source.die()
            elif what < 0.25:
                source.opened()
        merge(chance.randint(merged, len(partials)))
        what = chance.random()
        if what < 0.15:
            store.save(queues, merged)
        elif what < 0.25:
            queues = new_queues()
            queues.load(list(store.entries.items()))
            merged = store.position
            for row in queues.rows.values():
                row.tell_intervals()
    for source in sources.values():
        source.fold.advance(newest_ms)
        partials += source.tell(everywhere=True)
    merge(len(partials))
    assert counted(found.values()) == quiet()  # type: ignore[arg-type]


def test_an_owner_that_starts_from_nothing_leaves_the_intervals_of_days_ago_as_all_sources_told_them() -> (
    None
):
    site, router = Site(), Router(1)
    first, other = Source(site, CALLS, 0, router), Source(site, CALLS, 1, router)
    for source, who in ((first, "a"), (other, "b")):
        source.records = [
            event("contact.queued", BASE + day * DAY, contact_id=f"{who}{day}", queue="Sales")
            for day in range(4)
        ]
    queues = QueueFold(site, PARTIALS, 0, owns=lambda home: True, sources=2, event_clock=True)
    intervals: dict[tuple[str, int], IntervalRow] = {}

    def merge(source: Source) -> None:
        queues.apply([Stored(0, value) for value in source.tell()], 0)
        queues.settle(0)
        intervals.update({(each.row, each.start_ms): each for each in queues.take_intervals()})

    for number in range(1, 5):
        for source in (first, other):
            source.run(number)
            merge(source)
    told = counted(intervals.values())
    assert [each.arrival[OFFERED] for each in intervals.values() if each.arrival] == [2, 2, 2, 2]
    first.die()
    for number in range(1, 5):
        first.run(number)
        merge(first)
    assert counted(intervals.values()) == told
