"""Is the queue length of the past right whatever comes late: never negative, and wrong nowhere but where it must be?"""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.partials import INTERVAL_MS, KIND_MS, SITE_ROW, Kind, queue_row
from schemas.snapshots import IntervalRow
from schemas.topics import CALLS, PARTIALS, SOURCES
from streams.driver import Driver, Item
from streams.lengths import ENTERED, LATE_PARTS, LEFT, WAITING_AT_START, corrected, lengths
from streams.queue_fold import QueueFold
from streams.report import ReportBuilder
from streams.routing import owner
from streams.rows import LENGTHS, LENGTHS_KEPT_MS
from streams.site import QueuePolicy, Site
from streams.stored import Lengths
from tests.streams.bench import BASE, HOUR, MINUTE, SECOND, Bench, Store, event

SITE = Site(queues={"Sales": QueuePolicy(), "Help": QueuePolicy()})
PARTITIONS = 2


class Visit(NamedTuple):
    """One visit. Times in ms since `BASE`; a visit without service was abandoned.

    `late_ms`: how long after its time each of its events arrives.
    """

    queued_ms: int
    wait_ms: int
    service_ms: int = 0
    late_ms: tuple[int, int, int] = (0, 0, 0)
    queue: str = "Sales"

    @property
    def left_ms(self) -> int:
        return self.queued_ms + self.wait_ms

    @property
    def over_ms(self) -> int:
        return self.left_ms + self.service_ms

    def events(self, name: str) -> list[tuple[int, Item]]:
        """Its events by when they arrive."""
        told = [("contact.queued", self.queued_ms, {"queue": self.queue})]
        if self.service_ms:
            told += [("contact.answered", self.left_ms, {}), ("contact.ended", self.over_ms, {})]
        else:
            told += [("contact.abandoned", self.left_ms, {})]
        return [
            (at_ms + late_ms, Item(CALLS, name, event(kind, BASE + at_ms, contact_id=name, **data)))
            for (kind, at_ms, data), late_ms in zip(told, self.late_ms, strict=False)
        ]


def every(gap_ms: int, until_ms: int, wait_ms: int = 0) -> list[Visit]:
    """Calls that move the clock on."""
    return [Visit(at_ms, wait_ms, 30 * SECOND, queue="Help") for at_ms in range(0, until_ms, gap_ms)]


def arriving(visits: Sequence[Visit]) -> list[Item]:
    told = [each for n, visit in enumerate(visits) for each in visit.events(f"c{n}")]
    return [item for _, item in sorted(told, key=lambda each: each[0])]


def restart(driver: Driver, stores: list[Store]) -> None:
    """Stage 2 dies and comes back from its checkpoint."""
    for partition, store in enumerate(stores):
        store.save(driver._queues[partition], 0)
        driver._queues[partition] = QueueFold(
            SITE,
            PARTIALS,
            partition,
            owns=owner(partition, PARTITIONS),
            sources=len(SOURCES) * PARTITIONS,
            event_clock=True,
        )
        driver._queues[partition].load(list(store.entries.items()))


def driven(items: Sequence[Item], run: int = 1 << 30, *, restarts: bool = False) -> Driver:
    """Both stages told of these, `run` at a time, with a restart of stage 2 after each third run."""
    driver, stores = Driver(SITE, PARTITIONS), [Store() for _ in range(PARTITIONS)]
    for number, at in enumerate(range(0, len(items), run)):
        driver.feed(items[at : at + run])
        driver.finish()
        if restarts and number % 3 == 2:
            assert driver.intervals
            restart(driver, stores)
    return driver


class Seen(NamedTuple):
    """What a report says of queue lengths, and the gauges {minute since BASE: (waiting, in service)}."""

    longest: object
    area_s: object
    gauges: dict[int, tuple[int, int]]


def seen(driver: Driver) -> Seen:
    builder = ReportBuilder(SITE, 900)
    for row in driver.intervals.values():
        builder.add(row)
    total = builder.report({})["total"]
    assert isinstance(total, dict)
    first = BASE // MINUTE % (24 * 60)  # the site's zone is UTC
    days: list[str] = []
    gauges = {}
    for day, minute, waiting, serving in builder.gauges():
        if day not in days:
            days.append(day)
        gauges[(len(days) - 1) * 24 * 60 + minute - first] = (waiting, serving)
    return Seen(total["queue_length_max"], total["queue_length_area_s"], gauges)


def levels(visits: Sequence[Visit], at_ms: int) -> tuple[int, int]:
    """(waiting, in service) at an instant, ms since BASE."""
    return (
        sum(v.queued_ms <= at_ms < v.left_ms for v in visits),
        sum(v.left_ms <= at_ms < v.over_ms for v in visits),
    )


def longest(visits: Sequence[Visit], from_ms: int, to_ms: int) -> int:
    moments = {from_ms, *(v.queued_ms for v in visits if from_ms <= v.queued_ms < to_ms)}
    return max(levels(visits, at_ms)[0] for at_ms in moments)


def assert_rows_right(
    intervals: dict[tuple[str, int], IntervalRow], visits: Sequence[Visit], *, exact: bool
) -> None:
    """Every minute and every area is that of these visits; with `exact` every longest queue, too."""
    rows = {queue_row(q, "voice"): [v for v in visits if v.queue == q] for q in SITE.queues}
    for name, mine in {**rows, SITE_ROW: list(visits)}.items():
        for (row, start_ms), interval in intervals.items():
            if row == name:
                assert_interval(interval, mine, start_ms - BASE, exact=exact)


def assert_right(driver: Driver, visits: Sequence[Visit], *, exact: bool) -> None:
    """The same of report and gauges."""
    told = seen(driver)
    wrong = {
        minute: (found, levels(visits, minute * MINUTE))
        for minute, found in told.gauges.items()
        if found != levels(visits, minute * MINUTE)
    }
    assert not wrong
    assert told.area_s == sum(v.wait_ms for v in visits) / 1000
    assert_rows_right(driver.intervals, visits, exact=exact)


def assert_interval(interval: IntervalRow, visits: Sequence[Visit], from_ms: int, *, exact: bool) -> None:
    to_ms = from_ms + INTERVAL_MS
    area_ms = sum(max(0, min(v.left_ms, to_ms) - max(v.queued_ms, from_ms)) for v in visits)
    assert interval.queue_length_area_ms == area_ms
    for minute, (waiting, serving) in enumerate(interval.minutes):
        expected = levels(visits, from_ms + minute * MINUTE)
        assert (waiting, serving) == (expected if interval.row != SITE_ROW else (expected[0], 0))
    most = longest(visits, from_ms, to_ms)
    if exact:
        assert interval.queue_length_max == most
        return
    assert abs(interval.queue_length_max - most) <= sum(max(v.late_ms) >= HOUR for v in visits)
    assert interval.queue_length_max >= max([0, *(waiting for waiting, _ in interval.minutes)])
    assert interval.queue_length_max * INTERVAL_MS >= area_ms
    assert (interval.queue_length_max > 0) == (most > 0)


# --- what a review found ----------------------------------------------------------------------------------------


def test_a_service_given_up_and_ended_after_all_leaves_the_rest_of_the_day_as_it_was() -> None:
    """Nothing is late here: the call is silent for longer than `reap_after_s` and an hour, and then ends."""
    visits = [Visit(HOUR, 30 * SECOND, 11_300 * SECOND), *every(20 * MINUTE, 10 * HOUR, 30 * SECOND)]
    for run in (1 << 30, 10):
        assert_right(driven(arriving(visits), run), visits, exact=True)


@pytest.mark.parametrize("service_ms", [7_300_000, 10_900_000, 12_000_000, 15_000_000, 28_800_000])
def test_however_long_it_lasts(service_ms: int) -> None:
    visits = [Visit(HOUR, 30 * SECOND, service_ms), *every(20 * MINUTE, 12 * HOUR, 30 * SECOND)]
    for run in (1 << 30, 10):
        assert_right(driven(arriving(visits), run), visits, exact=True)


@pytest.mark.parametrize("wait_ms", [7_300_000, 11_200_000, 12_000_000, 28_800_000])
def test_a_wait_given_up_and_answered_after_all_is_in_the_length_from_its_start_to_its_end(
    wait_ms: int,
) -> None:
    visits = [Visit(HOUR, wait_ms, 100 * SECOND), *every(20 * MINUTE, 12 * HOUR, 30 * SECOND)]
    told = driven(arriving(visits))
    assert_right(told, visits, exact=True)
    assert seen(told)[:2] == (2, sum(v.wait_ms for v in visits) / 1000)
    assert_right(driven(arriving(visits), 10), visits, exact=False)


def test_an_abandon_two_hours_late_makes_no_queue_negative() -> None:
    late = Visit(HOUR, 5 * MINUTE, late_ms=(0, 110 * MINUTE, 0))
    visits = [late, *every(2 * MINUTE, 6 * HOUR)]
    for run in (1 << 30, 10):
        told = driven(arriving(visits), run)
        assert_right(told, visits, exact=True)
        assert seen(told)[:2] == (1, 300)


# --- any story --------------------------------------------------------------------------------------------------

TIMELY_MS = (0, 1, 20 * SECOND, 10 * MINUTE, 45 * MINUTE, HOUR - 1)
LATE_MS = (*TIMELY_MS, 62 * MINUTE, 80 * MINUTE, 3 * HOUR, 7 * HOUR, 20 * HOUR)
SPAN_MS = 3 * HOUR
BACKGROUND = every(10 * MINUTE, 29 * HOUR, 7 * SECOND)


def visits_late_by(late_ms: tuple[int, ...]) -> st.SearchStrategy[Visit]:
    late = st.sampled_from(late_ms)
    return st.builds(
        Visit,
        st.one_of(st.integers(0, SPAN_MS), st.integers(0, SPAN_MS // MINUTE).map(lambda m: m * MINUTE)),
        st.sampled_from((0, 1, 999, 30 * SECOND, 59 * SECOND, MINUTE, 300_500, 20 * MINUTE, 59 * MINUTE)),
        st.sampled_from((0, 0, 1, 100 * SECOND, HOUR, 3 * HOUR, 5 * HOUR)),
        st.tuples(late, late, late),
        st.sampled_from(("Sales", "Sales", "Help")),
    )


RUNS = st.sampled_from((3, 40, 1 << 30))


@settings(max_examples=25, deadline=None)
@given(st.lists(visits_late_by(TIMELY_MS), min_size=1, max_size=8), RUNS, st.booleans())
def test_what_is_late_by_up_to_an_hour_is_as_if_it_had_come_in_order(
    story: list[Visit], run: int, restarts: bool
) -> None:
    visits = [*story, *BACKGROUND[: 8 * 6 + 30]]
    calm = driven(arriving([v._replace(late_ms=(0, 0, 0)) for v in visits]))
    wild = driven(arriving(visits), run, restarts=restarts)
    assert_right(wild, visits, exact=True)
    assert seen(wild) == seen(calm)


@settings(max_examples=25, deadline=None)
@given(st.lists(visits_late_by(LATE_MS), min_size=1, max_size=8), RUNS, st.booleans())
def test_what_is_later_gives_the_same_minutes_and_areas_and_no_queue_is_negative(
    story: list[Visit], run: int, restarts: bool
) -> None:
    visits = [*story, *BACKGROUND]
    assert_right(driven(arriving(visits), run, restarts=restarts), visits, exact=False)


# --- live -------------------------------------------------------------------------------------------------------

STEP_MS = 5 * MINUTE


class Floor:
    """Both stages by the wall clock, told every five minutes of what has arrived by then."""

    def __init__(self, visits: Sequence[Visit]) -> None:
        told = [each for n, visit in enumerate(visits) for each in visit.events(f"c{n}")]
        told.sort(key=lambda each: each[0])
        self._due = [at_ms for at_ms, _ in told]
        self.bench = Bench(SITE, [item.value for _, item in told], event_clock=False)
        self.step_ms = 0

    def go_on(self, to_ms: int, *, reads: bool = True) -> None:
        """Until `to_ms` after `BASE`; with `reads` False stage 1 is down, and stage 2 goes on alone."""
        bench = self.bench
        while self.step_ms < to_ms:
            self.step_ms += STEP_MS
            bench.now_ms = BASE + self.step_ms
            if reads:
                bench.run(sum(due <= self.step_ms for due in self._due) - bench.position)
                bench.tell(everywhere=True)
            bench.merge()


ACCIDENTS = st.tuples(st.integers(1, 26 * 12), st.sampled_from(("", "_queues")), st.integers(0, 9))
"""After how many steps which stage makes a checkpoint, and how many steps later it dies."""


def unlucky(visits: Sequence[Visit], accidents: list[tuple[int, str, int]]) -> Bench:
    floor = Floor(visits)
    for steps, stage, later in sorted(accidents):
        floor.go_on(steps * STEP_MS)
        getattr(floor.bench, f"checkpoint{stage}")()
        floor.go_on((steps + later) * STEP_MS)
        getattr(floor.bench, f"crash{stage}")()
    floor.go_on(30 * HOUR)
    return floor.bench


@settings(max_examples=10, deadline=None)
@given(st.lists(visits_late_by(LATE_MS), min_size=1, max_size=6), st.lists(ACCIDENTS, max_size=6))
def test_live_too_whoever_dies_on_the_way(story: list[Visit], accidents: list[tuple[int, str, int]]) -> None:
    visits = [*story, *BACKGROUND]
    assert_rows_right(unlucky(visits, accidents).intervals, visits, exact=False)


def test_a_worker_that_was_down_for_hours_neither_shifts_the_time_before_nor_counts_anything_twice() -> None:
    """What it reads again, told before it died, is not late though it is old by now."""
    visits = every(3 * MINUTE, 12 * HOUR, 4 * MINUTE)
    floor = Floor(visits)
    floor.go_on(2 * HOUR)
    floor.bench.checkpoint()
    floor.go_on(2 * HOUR + 4 * STEP_MS)
    before = dict(floor.bench.intervals)
    floor.go_on(6 * HOUR, reads=False)
    floor.bench.crash()
    floor.go_on(12 * HOUR)
    rows = floor.bench.intervals
    for (name, start_ms), row in rows.items():
        at_ms = start_ms - BASE
        if at_ms + INTERVAL_MS <= 2 * HOUR + 4 * STEP_MS:
            assert row == before[name, start_ms]
        assert row.queue_length_max >= 0 <= row.queue_length_area_ms
        assert min(min(minute) for minute in row.minutes) >= 0
    good = {
        key: row
        for key, row in rows.items()
        if not HOUR * 2 <= key[1] - BASE < 5 * HOUR and key[1] - BASE < 12 * HOUR  # the clock is there now
    }
    assert_rows_right(good, visits, exact=True)


def test_late_calls_by_the_thousand_take_no_more_room_than_a_few() -> None:
    """A source that was cut off for hours hands in all of it at once."""
    late = [
        Visit(at_ms, 17 * SECOND, 100 * SECOND, (12 * HOUR - at_ms,) * 3) for at_ms in range(0, HOUR, 1500)
    ]
    visits = [*late, *every(10 * MINUTE, 14 * HOUR)]
    floor = Floor(visits)
    floor.go_on(14 * HOUR)
    assert_rows_right(floor.bench.intervals, visits, exact=False)
    oldest_ms = floor.bench.now_ms - LENGTHS_KEPT_MS
    for row in floor.bench.fold.shard.rows.values():
        panes = row.panes[Kind.LATE_LENGTH]
        assert len(panes) <= 5
        assert all(len(pane) <= 15 * LATE_PARTS for pane in panes.values())
        for kind in LENGTHS:
            assert all(number * KIND_MS[kind] >= oldest_ms for number in row.panes[kind])


# --- worked by hand ---------------------------------------------------------------------------------------------


def test_one_who_enters_and_one_who_leaves_late_in_a_minute_are_placed_to_the_ms() -> None:
    pane = {ENTERED: 1, ENTERED + 1: 20_000, LEFT: -1, LEFT + 1: -50_500, LATE_PARTS + WAITING_AT_START: 1}
    found = lengths(2, 0, {}, {}, 0, 2 * MINUTE, late_panes={0: pane})
    assert found[0] == Lengths(2, 2 * 2 * MINUTE - MINUTE + 30_500, ((1, 0), (2, 0), (2, 0)))


def test_an_interval_is_corrected_exactly_where_its_length_changes_throughout() -> None:
    before = Lengths(3, 2 * INTERVAL_MS, ((2, 1),) * 15)
    assert corrected(before, -1, 0, {}) == (Lengths(2, INTERVAL_MS, ((1, 1),) * 15), -1, 0)
    assert corrected(before, 2, 1, {}) == (Lengths(5, 4 * INTERVAL_MS, ((4, 2),) * 15), 2, 1)


def test_and_is_certain_not_to_be_shorter_than_its_minutes_say_where_it_does_not() -> None:
    slot = 7 * LATE_PARTS + WAITING_AT_START
    minutes = ((0, 0),) * 7 + ((1, 0),) * 8
    empty = Lengths(0, 0, ((0, 0),) * 15)
    assert corrected(empty, 0, 0, {slot: 1}) == (Lengths(1, 8 * MINUTE, minutes), 1, 0)
    assert corrected(Lengths(1, 8 * MINUTE, minutes), 0, 0, {slot: -1}) == (empty, -1, 0)
    assert corrected(Lengths(3, INTERVAL_MS, ((1, 0),) * 15), 0, 0, {slot: -1})[0].longest == 3
