"""Stories about agents: where they are seen, how their time counts, and when they are lost."""

import pytest

from streams.site import Limits, QueuePolicy, Site
from tests.scenarios.contact_centre import ContactCentre

SITE = Site(
    name="Kontor",
    zone="Europe/Berlin",
    queues={"Sales": QueuePolicy(), "Support": QueuePolicy(), "Idle": QueuePolicy()},
    limits=Limits(agent_lost_ms=10 * 60_000),
)


def test_an_agent_who_serves_several_queues_is_in_each_and_once_in_the_site(order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available", queues=("Sales", "Support"), team="Nord")
    centre.agent("bo", "9:00:00", "break", queues=("Sales",), team="Nord")
    centre.look("9:05:00")
    assert centre.queue("Sales").agents == {"available": 1, "break": 1}
    assert centre.queue("Support").agents == {"available": 1}
    assert centre.queue("Idle").agents == {}
    assert centre.group().agents == centre.group("Nord").agents == {"available": 1, "break": 1}
    assert centre.group().windows["15m"].available_s == 300.0
    assert (
        centre.queue("Sales").windows["15m"].available_s
        == centre.queue("Support").windows["15m"].available_s
        == 300.0
    )


def test_busy_and_wrap_up_count_in_occupancy_and_breaks_do_not(order: str) -> None:
    centre = ContactCentre(order, SITE)
    for at, state, contacts in (
        ("9:00:00", "available", 0), ("9:01:00", "busy", 1), ("9:02:00", "busy", 2), ("9:03:00", "wrap_up", 0),
        ("9:04:00", "break", 0), ("9:09:00", "available", 0),
    ):  # fmt: skip
        centre.agent("ann", at, state, contacts=contacts)
    centre.look("9:10:00")
    m = centre.queue("Sales").windows["30m"]
    assert (m.busy_s, m.available_s, m.wrapping_s) == (180.0, 120.0, 60.0)
    assert (m.occupancy, m.concurrency) == (0.6, 1.5)


def test_an_agent_with_a_contact_in_hand_is_busy_whatever_was_sent(order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available", contacts=1)
    centre.look("9:01:00")
    assert centre.queue("Sales").agents == {"busy": 1}


@pytest.mark.parametrize("state", ["available", "busy", "wrap_up", "break"])
def test_an_agent_without_a_sign_of_life_is_lost_and_not_available_for_ever(state: str, order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", state)
    centre.look("9:09:59.999")
    assert centre.group().agents == {state: 1}
    centre.look("9:10:00")
    assert centre.group().agents == centre.queue("Sales").agents == {"lost": 1}
    centre.look("10:00:00")
    m = centre.group().windows["day"]
    assert m.available_s + m.busy_s == (0.0 if state == "break" else 600.0)


def test_an_agent_who_signed_off_stays_offline(order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available")
    centre.agent("ann", "9:05:00", "offline")
    centre.look("9:30:00")
    assert centre.group().agents == {"offline": 1}
    assert centre.group().windows["day"].available_s == 300.0


def test_a_sign_of_life_repeated_keeps_an_agent_where_they_are(order: str) -> None:
    centre = ContactCentre(order, SITE)
    for minute in range(0, 40, 8):
        centre.agent("ann", f"9:{minute:02d}:00", "available")
    centre.look("9:40:00")
    assert centre.group().agents == {"available": 1}
    assert centre.group().windows["day"].available_s == 2400.0


def test_a_lost_agent_who_comes_back_was_lost_in_between(order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available")
    centre.agent("ann", "9:30:00", "available")
    centre.look("9:31:00")
    assert centre.group().agents == {"available": 1}
    assert centre.group().windows["day"].available_s == 660.0


def test_heartbeats_of_the_pipeline_change_nothing(order: str) -> None:
    def story(*, with_heartbeats: bool) -> ContactCentre:
        centre = ContactCentre(order, SITE)
        centre.agent("ann", "9:00:00", "available")
        centre.contact("9:00:00", "Sales").answered("9:00:10").ended("9:01:10")
        centre.contact("9:02:00", "Sales")
        if with_heartbeats:
            for minute in range(12):
                centre.heartbeat(f"9:{minute:02d}:30")
        centre.look("9:12:00")
        return centre

    plain, beating = story(with_heartbeats=False), story(with_heartbeats=True)
    assert beating.source("events") > plain.source("events") + 100
    assert beating.queue("Sales") == plain.queue("Sales")
    assert beating.group().agents == plain.group().agents == {"lost": 1}
    assert beating.group().windows == plain.group().windows
    assert beating.report()["by_interval"] == plain.report()["by_interval"]


def test_an_agent_who_changes_queues_leaves_the_old_ones(order: str) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available", queues=("Sales",), team="Nord")
    centre.agent("ann", "9:05:00", "available", queues=("Support",), team="Süd")
    centre.look("9:06:00")
    assert (centre.queue("Sales").agents, centre.queue("Support").agents) == ({}, {"available": 1})
    assert (centre.group("Nord").agents, centre.group("Süd").agents) == ({}, {"available": 1})
    assert centre.queue("Sales").windows["15m"].available_s == 300.0
    assert centre.queue("Support").windows["15m"].available_s == 60.0


def test_agents_of_a_queue_that_no_settings_name_move_to_the_channel_its_first_contact_tells(
    order: str,
) -> None:
    centre = ContactCentre(order, SITE)
    centre.agent("ann", "9:00:00", "available", queues=("Chat desk",))
    centre.look("9:01:00")
    assert (centre.queue("Chat desk").channel, centre.queue("Chat desk").agents) == (
        "voice",
        {"available": 1},
    )
    centre.contact("9:02:00", "Chat desk", "chat").answered("9:02:30")
    centre.agent("ann", "9:02:30", "busy", queues=("Chat desk",), contacts=1)
    centre.look("9:03:00")
    seen = centre.queue("Chat desk")
    assert (seen.channel, seen.agents, seen.windows["15m"].answered) == ("chat", {"busy": 1}, 1)
