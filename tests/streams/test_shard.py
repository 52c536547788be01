"""Does a shard keep its limit on names from its very first record on, and note how late its events come?"""

from schemas.counts import OVERFLOW_ROW
from schemas.partials import queue_row
from schemas.topics import CALLS
from streams.contact_fold import ContactFold
from streams.driver import Stored
from streams.site import Limits, QueuePolicy, Site
from tests.streams.bench import BASE, SECOND, event


def test_names_met_before_the_first_settle_are_not_forgotten_by_it() -> None:
    site = Site(queues={"Sales": QueuePolicy()}, limits=Limits(max_queues=3))
    fold = ContactFold(site, CALLS, 0)
    for first in (0, 10):
        names = [f"flood {number}" for number in range(first, first + 10)]
        values = [event("contact.queued", BASE, contact_id=name, queue=name) for name in names]
        fold.apply([Stored(first + n, value) for n, value in enumerate(values)], BASE + SECOND)
        fold.settle(BASE + SECOND)
    shown = {row.row for batch in fold.flush() for row in batch.rows if row.row.startswith("q")}
    known = {queue_row(f"flood {number}", "voice") for number in range(3)}
    assert shown == {*known, queue_row(OVERFLOW_ROW, "voice")}


def test_one_event_in_sixteen_says_how_late_it_came_and_once_only() -> None:
    fold = ContactFold(Site(), CALLS, 0)
    values = [event("contact.queued", BASE + n, contact_id=f"c{n}", queue="Sales") for n in range(40)]
    fold.apply([Stored(n, value) for n, value in enumerate(values)], BASE + 500)
    assert fold.shard.take_delays_ms() == [500, 484, 468]
    assert fold.shard.take_delays_ms() == []


def test_a_replay_says_nothing_of_delays() -> None:
    fold = ContactFold(Site(), CALLS, 0, event_clock=True)
    fold.apply([Stored(0, event("contact.queued", BASE, contact_id="c", queue="Sales"))], BASE + 500)
    assert fold.shard.take_delays_ms() == []


def test_delays_that_nobody_takes_are_not_kept_without_limit() -> None:
    fold = ContactFold(Site(), CALLS, 0)
    beat = event("pipeline.heartbeat", BASE)
    for first in range(0, 400_000, 40_000):
        fold.apply([Stored(first + n, beat) for n in range(0, 40_000, 16)], BASE)
    assert 10_000 <= len(fold.shard.take_delays_ms()) < 15_000


def test_the_newest_heartbeat_is_noted_whatever_the_order() -> None:
    fold = ContactFold(Site(), CALLS, 0)
    beats = [event("pipeline.heartbeat", BASE + ms) for ms in (0, 9000, 4000)]
    fold.apply([Stored(n, beat) for n, beat in enumerate(beats)], BASE + 10_000)
    assert fold.shard.heartbeat_ms == BASE + 9000
