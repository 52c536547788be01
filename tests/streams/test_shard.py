"""Does a shard keep its limit on names from its very first record on?"""

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
