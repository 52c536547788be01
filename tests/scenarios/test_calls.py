"""Stories about calls: what becomes of them, and what the board then says."""

import pytest

from schemas.snapshots import SERVICE_LEVELS, WINDOWS, Measures
from streams.site import QueuePolicy, Site
from tests.scenarios.contact_centre import ContactCentre, clock


def outcomes(m: Measures) -> dict[str, int]:
    names = ("answered", "abandoned", "callback", "overflowed", "lost")
    return {name: value for name in names if (value := getattr(m, name))}


def test_the_worked_day_of_the_definitions_has_its_five_service_levels(order: str) -> None:
    centre = ContactCentre(order)
    for number in range(1000):
        centre.contact(clock(number), "Sales").answered(clock(number + (20 if number < 860 else 21)))
    for number in range(60):
        centre.contact(clock(number), "Sales").abandoned(
            clock(number + (5 if number < 10 else 20 if number < 20 else 21))
        )
    centre.look("12:00:00")
    day = centre.today("Sales")
    assert (day.answered, day.abandoned, day.answered_in_x, day.abandoned_in_x, day.abandoned_short) == (
        1000, 60, 860, 20, 10,
    )  # fmt: skip
    levels = [100 * (getattr(day, name) or 0) for name in SERVICE_LEVELS]
    assert [round(level, 1) for level in levels] == [81.1, 81.9, 82.7, 83.0, 86.0]
    assert (day.proportions["sl_offered"].numerator, day.proportions["sl_offered"].n) == (860, 1060)
    assert (day.proportions["sl_short_out"].n, day.proportions["sl_abandoned_late"].n) == (1050, 1040)


def test_a_caller_who_hangs_up_at_the_threshold_is_a_short_abandon_and_a_millisecond_later_is_not(
    order: str,
) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").abandoned("9:00:05")
    centre.contact("9:01:00", "Sales").abandoned("9:01:05.001")
    centre.look("9:02:00")
    day = centre.today("Sales")
    assert (day.abandoned, day.abandoned_short, day.abandoned_in_x) == (2, 1, 2)
    assert day.abandonment_rate_short_out == 1.0


def test_a_call_answered_after_exactly_x_seconds_is_in_time_and_a_millisecond_later_is_not(
    order: str,
) -> None:
    centre = ContactCentre(order)
    for queue, x in (("Sales", 20), ("Support", 30)):
        centre.contact("9:00:00", queue).answered(f"9:00:{x}")
        centre.contact("9:01:00", queue).answered(f"9:01:{x}.001")
    centre.look("9:02:00")
    for queue in ("Sales", "Support"):
        assert (centre.today(queue).answered, centre.today(queue).answered_in_x) == (2, 1)


def test_a_transfer_ends_one_visit_and_the_next_one_is_transferred_in(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").answered("9:00:10").transferred("9:02:10", to="Support")
    call.queued("9:02:10", "Support").answered("9:02:25", by="bo").ended("9:05:25")
    centre.look("9:10:00")
    sales, support = centre.today("Sales"), centre.today("Support")
    assert (sales.offered, sales.answered, sales.handled, sales.transferred_out, sales.transferred_in) == (
        1,
        1,
        1,
        1,
        0,
    )
    assert (support.offered, support.answered, support.handled, support.transferred_in) == (1, 1, 1, 1)
    assert (sales.att_s, sales.transfer_rate) == (120.0, 1.0)
    assert (support.asa_s, support.att_s) == (15.0, 180.0)


def test_the_wrap_up_after_a_transfer_belongs_to_the_agent_who_transferred(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").answered("9:00:10").transferred("9:02:10", to="Support")
    call.queued("9:02:10", "Support").answered("9:02:25", by="bo")
    call.wrapped("9:02:40", by="ann").ended("9:05:25").wrapped("9:05:30", by="bo")
    centre.look("9:10:00")
    assert (centre.today("Sales").acw_s, centre.today("Support").acw_s) == (30.0, 5.0)
    assert centre.today("Sales").aht_s == 150.0
    assert centre.source("unmatched") == 0


def test_a_call_queued_again_before_an_answer_overflowed_as_requeued(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").queued("9:01:00", "Support").answered("9:01:10").ended("9:02:10")
    centre.look("9:10:00")
    sales, support = centre.today("Sales"), centre.today("Support")
    assert outcomes(sales) == {"overflowed": 1}
    assert sales.overflowed_by_reason == {"requeued": 1}
    assert sales.overflowed_wait_s == 60.0
    assert outcomes(support) == {"answered": 1}
    assert support.transferred_in == 0


@pytest.mark.parametrize("reason", ["timeout", "key_press", "redirected", "queue_closed", "other"])
def test_a_call_that_overflows_is_neither_answered_nor_abandoned(reason: str, order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").overflowed("9:01:30", reason)
    centre.look("9:10:00")
    day = centre.today("Sales")
    assert outcomes(day) == {"overflowed": 1}
    assert day.overflowed_by_reason == {reason: 1}
    assert (day.sl_offered, day.sl_removed, day.abandonment_rate, day.answer_rate) == (None, None, None, 0.0)


def test_a_callback_explains_the_hang_up_that_came_with_it_in_any_order(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").asks_for_callback("9:00:15").abandoned("9:00:16")
    centre.contact("9:01:00", "Sales").abandoned("9:01:30").asks_for_callback("9:01:31")
    centre.contact("9:02:00", "Sales").abandoned("9:02:18").asks_for_callback("9:02:18")
    centre.look("9:10:00")
    day = centre.today("Sales")
    assert outcomes(day) == {"callback": 3}
    assert day.callback_in_x == 2
    assert day.callback_wait_s == 15.0 + 30.0 + 18.0
    assert (day.sl_offered, day.sl_removed) == (None, 2 / 3)
    assert centre.source("unmatched") == 0


def test_time_on_hold_is_neither_talk_nor_lost(order: str) -> None:
    centre = ContactCentre(order)
    call = (
        centre.contact("9:00:00", "Sales")
        .answered("9:00:10")
        .held("9:01:00")
        .resumed("9:01:30")
        .held("9:02:00")
    )
    call.ended("9:02:20").wrapped("9:02:50")
    centre.look("9:10:00")
    day = centre.today("Sales")
    assert (day.att_s, day.hold_s, day.acw_s, day.aht_s) == (80.0, 50.0, 30.0, 160.0)


def test_a_declined_ring_leaves_the_caller_waiting(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").offered("9:00:02", to="ann").declined("9:00:14", by="ann").offered(
        "9:00:15", to="bo"
    )
    centre.look("9:00:18")
    snapshot = centre.queue("Sales")
    assert (snapshot.waiting, snapshot.at_risk, snapshot.arrival["day"].declined) == (1, 0, 1)
    assert snapshot.oldest_waiting_ms == centre.ms("9:00:00")


def test_a_caller_waiting_past_the_target_is_at_risk_and_lowers_the_live_service_level_at_once() -> None:
    centre = ContactCentre()
    centre.contact("9:00:00", "Sales").answered("9:00:05")
    centre.contact("9:01:00", "Sales")
    centre.look("9:01:20")
    assert (centre.queue("Sales").at_risk, centre.queue("Sales").windows["5m"].sl_live) == (0, 1.0)
    centre.look("9:01:20.001")
    snapshot = centre.queue("Sales")
    assert (snapshot.at_risk, snapshot.windows["5m"].sl_live, snapshot.windows["5m"].sl_offered) == (
        1,
        0.5,
        1.0,
    )


def test_a_call_whose_end_never_comes_is_lost_at_the_limit_after_its_last_event(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").offered("9:10:00", to="ann")
    centre.look("11:10:00")
    assert (centre.queue("Sales").waiting, centre.today("Sales").lost) == (1, 0)
    centre.look("11:10:00.001")
    day = centre.today("Sales")
    assert (centre.queue("Sales").waiting, outcomes(day)) == (0, {"lost": 1})
    assert day.lost_wait_s == 7800.0
    assert (day.sl_offered, day.answer_rate) == (None, None)
    assert centre.source("lost") == 1


def test_a_call_taken_for_lost_is_answered_when_its_answer_turns_up_after_all() -> None:
    centre = ContactCentre()
    call = centre.contact("9:00:00", "Sales")
    centre.look("12:00:00")
    assert outcomes(centre.today("Sales")) == {"lost": 1}
    call.answered("9:00:30").ended("9:05:00")
    centre.look("12:00:10")
    day = centre.today("Sales")
    assert (outcomes(day), day.asa_s, day.att_s) == ({"answered": 1}, 30.0, 270.0)
    assert (centre.queue("Sales").waiting, centre.source("lost")) == (0, 0)
    assert day.longest_wait_max_s == 30.0


def test_a_call_that_ended_without_an_outcome_is_lost_after_two_minutes(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").ended("9:00:40")
    centre.look("9:02:40")
    assert centre.queue("Sales").waiting == 1
    centre.look("9:02:41")
    assert (outcomes(centre.today("Sales")), centre.today("Sales").lost_wait_s) == ({"lost": 1}, 40.0)


def test_an_answer_stamped_after_the_end_still_counts_as_an_answer(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Sales").ended("9:00:40").answered("9:00:41").wrapped("9:00:51")
    centre.look("9:10:00")
    day = centre.today("Sales")
    assert (outcomes(day), day.asa_s, day.att_s, day.handled) == ({"answered": 1}, 41.0, 0.0, 1)
    assert day.acw_s == 10.0


def test_two_visits_that_overlap_are_told_apart_by_their_ids(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales", visit="v1")
    call.queued("9:00:10", "Support", visit="v2").answered("9:00:25", by="bo").ended("9:01:00")
    call._visit = "v1"
    call.answered("9:00:30").ended("9:02:00")
    centre.look("9:10:00")
    assert (outcomes(centre.today("Sales")), centre.today("Sales").asa_s) == ({"answered": 1}, 30.0)
    assert (outcomes(centre.today("Support")), centre.today("Support").asa_s) == ({"answered": 1}, 15.0)


def test_a_fact_that_fits_nowhere_changes_nothing_and_is_counted_as_unmatched(order: str) -> None:
    centre = ContactCentre(order)
    call = centre.contact("9:00:00", "Sales").answered("9:00:10").ended("9:01:10")
    call.answered("9:01:20").resumed("9:01:30").transferred("9:01:40", to="Support").abandoned("9:01:50")
    centre.look("9:10:00")
    day = centre.today("Sales")
    assert (outcomes(day), day.handled, day.att_s, day.transferred_out) == ({"answered": 1}, 1, 60.0, 0)
    assert centre.source("unmatched") == 4


def test_in_every_window_the_offered_are_those_with_an_outcome_and_those_still_waiting(order: str) -> None:
    """One call every 30 s, nine fates in turn; those without a fate are lost after 15 min."""
    centre = ContactCentre(
        order, Site(name="x", zone="Asia/Tokyo", queues={"Sales": QueuePolicy(reap_after_s=900.0)})
    )
    queued_s: list[int] = []
    forgotten_s: list[int] = []
    for number in range(118):
        at_s, later = 30 * number, clock(30 * number + 7 * (number % 13) + 1)
        call = centre.contact(clock(at_s), "Sales")
        queued_s.append(at_s)
        match number % 9:
            case 0 | 1 | 2:
                call.answered(later)
            case 3:
                call.abandoned(later)
            case 4:
                call.overflowed(later)
            case 5:
                call.asks_for_callback(later)
            case 6:
                call.queued(later, "Sales")
                queued_s.append(at_s + 7 * (number % 13) + 1)
                forgotten_s.append(queued_s[-1])
            case _:
                forgotten_s.append(at_s)
    end_s = 3598
    centre.look(clock(end_s))
    waiting_s = [at_s for at_s in forgotten_s if end_s - at_s <= 900]
    snapshot = centre.queue("Sales")
    assert snapshot.waiting == len(waiting_s) > 5
    for window, m in snapshot.arrival.items():
        since_s = 0 if window == "day" else 3600 - WINDOWS[window] // 1000
        assert m.offered == sum(at_s >= since_s for at_s in queued_s), window
        assert m.offered == sum(outcomes(m).values()) + sum(at_s >= since_s for at_s in waiting_s), window
    assert set(outcomes(snapshot.arrival["day"])) == {
        "answered",
        "abandoned",
        "callback",
        "overflowed",
        "lost",
    }
