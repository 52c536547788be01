"""The contacts behind a queue's numbers."""

from random import Random

from schemas.drill import Listed
from schemas.partials import queue_row
from schemas.topics import CALLS
from streams.contact_fold import ContactFold
from streams.driver import Stored
from streams.fold import BUCKETS
from streams.site import Site
from tests.streams.bench import BASE, MINUTE, SECOND, event

SALES, SUPPORT = queue_row("Sales", "voice"), queue_row("Support", "voice")
NOW = BASE + 10 * MINUTE


def story() -> list[bytes]:
    """Four callers: one waits since 5 s, one since 2 s, one hung up, one was answered and then queued again."""
    at = BASE
    return [
        event("contact.queued", at + 5 * SECOND, contact_id="late", queue="Sales"),
        event("contact.queued", at + 2 * SECOND, contact_id="early", queue="Sales"),
        event("contact.queued", at, contact_id="gone", queue="Sales"),
        event("contact.abandoned", at + 9 * SECOND, contact_id="gone"),
        event("contact.queued", at, contact_id="moved", queue="Sales"),
        event("contact.answered", at + 3 * SECOND, contact_id="moved", agent_id="a"),
        event("contact.transferred", at + 30 * SECOND, contact_id="moved", agent_id="a"),
        event("contact.queued", at + 31 * SECOND, contact_id="moved", queue="Support"),
    ]


def fed(values: list[bytes]) -> ContactFold:
    fold = ContactFold(Site(), CALLS, 0)
    fold.settle(NOW)
    assert not fold.apply([Stored(i, value) for i, value in enumerate(values)], NOW)
    fold.settle(NOW)
    return fold


EXPECTED = {
    SALES: Listed(
        [("early", BASE + 2 * SECOND), ("late", BASE + 5 * SECOND)], [("gone", BASE, BASE + 9 * SECOND)]
    ),
    SUPPORT: Listed([("moved", BASE + 31 * SECOND)], []),
}


def test_who_waits_longest_is_first_and_who_hung_up_is_listed_apart() -> None:
    assert fed(story()).listed(50) == EXPECTED


def test_the_order_of_events_and_their_repetition_do_not_matter() -> None:
    random = Random(1)
    for _ in range(50):
        values = story() + random.sample(story(), 3)
        random.shuffle(values)
        assert fed(values).listed(50) == EXPECTED


def test_no_more_are_listed_than_asked_for() -> None:
    assert fed(story()).listed(1)[SALES].waiting == [("early", BASE + 2 * SECOND)]


def test_a_hang_up_that_was_a_request_for_a_call_back_is_no_longer_listed() -> None:
    values = [*story(), event("contact.callback_requested", BASE + 9 * SECOND + 1, contact_id="gone")]
    assert fed(values).listed(50)[SALES].abandoned == []


def test_a_restored_fold_lists_the_same() -> None:
    fold, other = fed(story()), ContactFold(Site(), CALLS, 0)
    other.load(entry for bucket in range(BUCKETS) for entry in fold.dump(bucket).items())
    assert other.listed(50) == EXPECTED
