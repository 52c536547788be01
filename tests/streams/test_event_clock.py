"""Whose clock does a pipeline live by? The one it was made with: no message turns a live one into a replay."""

import pytest

from schemas.counts import OFFERED, STATE_VERSION
from schemas.errors import Reason
from schemas.partials import Kind, Partial, RowPartial, queue_row
from schemas.snapshots import QueueSnapshot
from schemas.topics import CALLS, CHATS, PARTIALS, PRESENCE, SOURCES
from streams.contact_fold import ContactFold
from streams.driver import Driver, Item, Stored, source_fold
from streams.queue_fold import QueueFold
from streams.site import QueuePolicy, Site
from tests.streams.bench import BASE, DAY, HOUR, MINUTE, SECOND, Bench, Store, dumped, event

SITE = Site(queues={"Sales": QueuePolicy()})
SALES = queue_row("Sales", "voice")


def call(number: int, at_ms: int) -> bytes:
    return event("contact.queued", at_ms, contact_id=f"c{number}", queue="Sales")


def beat(at_ms: int, clock: str = "event") -> bytes:
    return event("pipeline.heartbeat", at_ms, clock=clock)


def sales(driver: Driver) -> tuple[int, int]:
    """(waiting now, offered today)"""
    (board,) = (s for s in driver.snapshots() if isinstance(s, QueueSnapshot) and s.queue == "Sales")
    return board.waiting, board.arrival["day"].offered


# --- live -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_ms", [BASE - 9000 * DAY, BASE, BASE + 9000 * DAY])
@pytest.mark.parametrize("topic", SOURCES)
def test_a_heartbeat_of_a_replay_leaves_the_numbers_of_a_live_board_going_on(topic: str, at_ms: int) -> None:
    driver = Driver(SITE, 2, live=True)
    driver.feed(Item(CALLS, f"c{n}", call(n, BASE + n)) for n in range(50))
    driver.finish(BASE + SECOND)
    assert sales(driver) == (50, 50)
    driver.feed(Item(topic, key, beat(at_ms)) for key in "abcdef")
    driver.finish(BASE + 2 * SECOND)
    assert sales(driver) == (50, 50)
    driver.feed(Item(CALLS, f"c{n}", call(n, BASE + 10 * MINUTE + n)) for n in range(50, 100))
    driver.finish(BASE + 10 * MINUTE + SECOND)
    assert sales(driver) == (100, 100)
    assert [(letter.reason, letter.topic) for letter in driver.dead_letters] == [
        (Reason.WRONG_CLOCK, topic)
    ] * 6


@pytest.mark.parametrize("topic", [CALLS, CHATS, PRESENCE])
def test_nor_does_it_as_the_first_record_of_a_partition(topic: str) -> None:
    fold = source_fold(SITE, topic, 0, event_clock=False)
    letters = fold.apply([Stored(0, beat(BASE - 9000 * DAY))], BASE)
    fold.settle(BASE + SECOND)
    assert [letter.reason for letter in letters] == [Reason.WRONG_CLOCK]
    assert (fold.is_replay, fold.clock_ms, fold.truth.newest_event_ms) == (False, BASE + SECOND, 0)


def test_a_heartbeat_by_the_wall_clock_is_none_of_a_replay() -> None:
    fold = ContactFold(SITE, CALLS, 0)
    assert not fold.apply([Stored(0, beat(BASE, "wall"))], BASE)
    assert fold.shard.heartbeat_ms == BASE


@pytest.mark.parametrize("event_clock", [False, True])
def test_what_is_restored_goes_on_by_the_clock_it_was_stored_with(event_clock: bool) -> None:
    fold, store = ContactFold(SITE, CALLS, 0, event_clock=event_clock), Store()
    fold.apply([Stored(0, call(0, BASE))], BASE)
    fold.settle(BASE + SECOND)
    store.save(fold, 1)
    again = ContactFold(SITE, CALLS, 0, event_clock=not event_clock)
    again.load(list(store.entries.items()))
    letters = again.apply([Stored(1, beat(BASE + MINUTE)), Stored(2, call(1, BASE + MINUTE))], BASE + MINUTE)
    again.settle(BASE + HOUR)
    assert again.is_replay == event_clock
    assert [letter.reason for letter in letters] == ([] if event_clock else [Reason.WRONG_CLOCK])
    assert again.clock_ms == (BASE + MINUTE if event_clock else BASE + HOUR)
    assert again.shard.row(SALES).waiting == 2


# --- in a replay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["event", "wall"])
def test_in_a_replay_time_is_that_of_the_newest_event_whatever_a_heartbeat_says(clock: str) -> None:
    bench = Bench(SITE, [beat(BASE - 2 * MINUTE, clock), call(0, BASE), beat(BASE + 2 * MINUTE, clock)])
    bench.now_ms = BASE + 9000 * DAY
    bench.play()
    bench.tell()
    bench.merge()
    assert (bench.fold.clock_ms, bench.queues.clock_ms, bench.letters) == (BASE + 2 * MINUTE,) * 2 + ({},)
    panes = bench.fold.shard.row(SALES).panes
    for kind in (Kind.EVENT_PANE, Kind.ARRIVAL_MINUTE):
        assert [pane[OFFERED] for pane in panes[kind].values()] == [1], kind


# --- stage 2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event_clock", [False, True])
def test_what_a_worker_with_another_clock_tells_touches_no_row(event_clock: bool) -> None:
    fold = QueueFold(SITE, PARTIALS, 0, owns=lambda home: True, event_clock=event_clock)

    def tell(topic: str, partition: int, waiting: int, now_ms: int, *, event_clock: bool) -> None:
        rows = [RowPartial(SALES, [], waiting)]
        fold._take(Partial(STATE_VERSION, 1, topic, partition, 0, now_ms, rows, None, True, event_clock))
        fold.settle(BASE + MINUTE)

    tell(CALLS, 0, 5, BASE + MINUTE, event_clock=event_clock)
    before = dumped(fold)
    for partition in range(3):
        tell(CALLS, partition, 9, BASE + DAY, event_clock=not event_clock)
    assert (fold.rows[SALES].waiting, fold.clock_ms) == (5, BASE + MINUTE)
    assert dumped(fold) == before
    tell(CALLS, 0, 6, BASE + MINUTE, event_clock=event_clock)
    assert fold.rows[SALES].waiting == 6
