"""Stories about the wait that somebody who joins now must expect."""

import pytest

from schemas.snapshots import QueueSnapshot
from streams.snapshot import glance
from tests.scenarios.contact_centre import ContactCentre, clock


def an_hour_of_calls(centre: ContactCentre, every_s: int = 300) -> None:
    """Calls that wait 10 s, talk for 100 s and take 20 s of wrap-up; every fifth caller gives up after 40 s."""
    for number, second in enumerate(range(0, 3000, every_s)):
        call = centre.contact(clock(second), "Sales")
        if number % 5 == 4:
            call.abandoned(clock(second + 40))
        else:
            call.answered(clock(second + 10)).ended(clock(second + 110)).wrapped(clock(second + 130))


def test_a_caller_expects_the_sum_of_the_definitions(order: str) -> None:
    centre = ContactCentre(order)
    an_hour_of_calls(centre)
    centre.agent("ann", "9:50:00", "busy", contacts=1)
    centre.agent("bo", "9:50:00", "wrap_up")
    centre.agent("cem", "9:50:00", "break")
    for second in (10, 20, 30):
        centre.contact(clock(3000 + second), "Sales")
    centre.look("9:51:00")
    agents, aht_s, per_waiting_s = 2, 120.0, 2 / (8 * 10 + 2 * 40)
    expected_s = sum(1 / (agents / aht_s + j * per_waiting_s) for j in range(4))
    assert centre.queue("Sales").expected_wait_s == pytest.approx(expected_s)


def test_who_finds_an_agent_available_does_not_wait(order: str) -> None:
    centre = ContactCentre(order)
    an_hour_of_calls(centre)
    centre.agent("ann", "9:50:00", "available")
    centre.look("9:51:00")
    assert centre.queue("Sales").expected_wait_s == 0.0
    centre.contact("9:51:00", "Sales")
    centre.look("9:51:30")
    assert centre.queue("Sales").expected_wait_s == pytest.approx(
        120.0 + 1 / (1 / 120.0 + 2 / (8 * 10 + 2 * 40))
    )


def test_agents_who_chat_with_several_at_once_serve_as_many(order: str) -> None:
    centre = ContactCentre(order)
    for _ in range(2):
        chat = centre.contact("9:00:00", "Chat")
        chat.says("9:00:00").answered("9:00:10").says("9:00:20", by="agent").ended("9:20:10")
    centre.agent("ann", "9:00:10", "busy", queues=("Chat",), contacts=2)
    centre.agent("ann", "9:10:10", "busy", queues=("Chat",), contacts=1)
    centre.look("9:20:10")
    queue = centre.queue("Chat")
    assert queue.windows["1h"].concurrency == 1.5
    assert queue.expected_wait_s == pytest.approx(1200 / 1.5)


@pytest.mark.parametrize("state", ["break", "offline"])
def test_where_nobody_serves_the_first_in_line_tells_how_long_it_takes(state: str, order: str) -> None:
    centre = ContactCentre(order)
    an_hour_of_calls(centre)
    centre.agent("ann", "9:50:00", state)
    centre.look("9:51:00")
    assert centre.queue("Sales").expected_wait_s is None
    centre.contact("9:51:00", "Sales")
    centre.contact("9:51:10", "Sales")
    centre.look("9:51:30")
    assert centre.queue("Sales").expected_wait_s == 30.0


def test_where_nothing_was_handled_for_an_hour_the_first_in_line_tells_it(order: str) -> None:
    centre = ContactCentre(order)
    centre.agent("ann", "9:00:00", "busy", contacts=1)
    centre.look("9:01:00")
    assert centre.queue("Sales").expected_wait_s is None
    centre.contact("9:01:00", "Sales")
    centre.look("9:01:45")
    assert centre.queue("Sales").expected_wait_s == 45.0


def test_a_glance_at_one_window_expects_the_same(order: str) -> None:
    centre = ContactCentre(order)
    an_hour_of_calls(centre)
    centre.agent("ann", "9:50:00", "busy", contacts=1)
    centre.look("9:51:00")
    glances = [glance(state, "5m") for state in centre.driver.states()]
    (seen,) = (each for each in glances if isinstance(each, QueueSnapshot) and each.queue == "Sales")
    assert seen.expected_wait_s == centre.queue("Sales").expected_wait_s == pytest.approx(120.0)
