"""Stories about promises to call back: open until the same contact enters a queue again."""

import msgspec

from streams.site import Limits
from tests.scenarios.contact_centre import SITE, ContactCentre


def promises(centre: ContactCentre, queue: str = "Sales") -> tuple[int, int | None]:
    seen = centre.queue(queue)
    return seen.callbacks_open, seen.oldest_callback_ms


def test_a_promise_is_open_until_the_contact_is_queued_again(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20")
    centre.look("9:10:00")
    assert promises(centre) == (1, centre.ms("9:00:20"))
    call.queued("9:30:00", "Sales").answered("9:30:05")
    centre.look("9:31:00")
    assert promises(centre) == (0, None)


def test_the_oldest_of_several_open_promises_is_told(order: str) -> None:
    centre = ContactCentre(order)
    first = centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20")
    centre.contact("9:05:00", "Sales").asks_for_callback("9:05:20")
    centre.contact("9:06:00", "Support").asks_for_callback("9:06:20")
    centre.look("9:10:00")
    assert promises(centre) == (2, centre.ms("9:00:20"))
    assert promises(centre, "Support") == (1, centre.ms("9:06:20"))
    first.queued("9:30:00", "Support", visit="again")
    centre.look("9:31:00")
    assert promises(centre) == (1, centre.ms("9:05:20"))
    assert promises(centre, "Support") == (1, centre.ms("9:06:20"))


def test_who_hangs_up_on_the_promise_is_still_called_back(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20").abandoned("9:00:21").ended("9:00:21")
    centre.look("9:01:00")
    assert promises(centre) == (1, centre.ms("9:00:20"))


def test_who_calls_again_and_asks_again_is_promised_once(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20")
    call.queued("9:10:00", "Sales").asks_for_callback("9:10:30")
    centre.look("9:11:00")
    assert promises(centre) == (1, centre.ms("9:10:30"))


def test_an_open_promise_outlives_the_day_and_is_forgotten_with_its_contact(order: str) -> None:
    site = msgspec.structs.replace(SITE, limits=Limits(keep_ms=26 * 3_600_000))
    centre = ContactCentre(order, site)
    centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20")
    centre.look("2026-03-03 11:00:20")
    assert promises(centre) == (1, centre.ms("9:00:20"))
    centre.look("2026-03-03 11:00:20.001")
    assert promises(centre) == (0, None)
    centre.look("2026-03-05 09:00:00")
    assert promises(centre) == (0, None)


def test_a_contact_of_the_past_that_comes_back_after_all_stops_nothing(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").asks_for_callback("9:00:20")
    centre.look("2026-03-03 11:05:00")
    call.queued("2026-03-03 11:05:10", "Sales").asks_for_callback("2026-03-03 11:05:30")
    centre.look("2026-03-03 11:06:00")
    assert promises(centre) == (1, centre.ms("2026-03-03 11:05:30"))
