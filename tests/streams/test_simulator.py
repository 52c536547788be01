"""Is the simulated contact centre believable, orderly and always the same?"""

from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.events as e
from schemas.errors import SettingsError
from schemas.topics import CALLS, CHATS, PRESENCE
from streams.simulator import (
    DEMO,
    Incident,
    Plan,
    Sent,
    Simulation,
    default_site,
    encode,
    events_per_s,
    with_events_per_s,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MIDNIGHT = int(datetime.fromisoformat("2026-10-01T00:00:00+09:00").timestamp() * 1000)
MORNING = MIDNIGHT + 10 * HOUR_MS

decode = msgspec.json.Decoder(e.AnyEvent).decode
SITE = default_site(8)
LIVELY = Plan(
    flat=True, contacts_per_s=0.5, load=0.95, transfer_share=0.2, decline_share=0.1, hold_share=0.3,
    overflow_after_s=60.0, lost_ends=0.01, lost_leaves=0.01, key_press_share=0.05, client_deaths_per_day=5.0,
    break_every_s=1800.0,
)  # fmt: skip


def events_of(plan: Plan, seed: int = 1, start_ms: int = MORNING, minutes: int = 60) -> list[Sent]:
    return list(Simulation(SITE, plan, seed).events(start_ms, start_ms + minutes * MINUTE_MS))


def ms_of(event: e.CloudEvent) -> int:
    return round(event.time.timestamp() * 1000)


@pytest.fixture(scope="module")
def hour() -> list[Sent]:
    return events_of(LIVELY)


def by_contact(events: list[Sent]) -> dict[str, list[e.CloudEvent]]:
    contacts: dict[str, list[e.CloudEvent]] = defaultdict(list)
    for topic, key, event in events:
        if topic != PRESENCE:
            contacts[key].append(event)
    return contacts


def by_agent(events: list[Sent]) -> dict[str, list[e.AgentState]]:
    agents = defaultdict(list)
    for _, key, event in events:
        if isinstance(event, e.AgentState):
            agents[key].append(event)
    return agents


# --- the same arguments, the same events --------------------------------------------------------------------


def test_the_same_seed_tells_the_same_story_to_the_byte() -> None:
    once, again = (b"".join(encode(event) for _, _, event in events_of(LIVELY, minutes=15)) for _ in range(2))
    assert once == again


def test_a_simulation_asked_twice_opens_anew() -> None:
    simulation = Simulation(SITE, DEMO, 7)
    span = MORNING, MORNING + 5 * MINUTE_MS
    assert list(simulation.events(*span)) == list(simulation.events(*span))


def test_another_seed_tells_another_story_and_shares_no_id() -> None:
    one, other = (events_of(LIVELY, seed=seed, minutes=10) for seed in (1, 2))
    assert [ms_of(event) for _, _, event in one] != [ms_of(event) for _, _, event in other]
    assert {event.id for _, _, event in one}.isdisjoint(event.id for _, _, event in other)
    assert {key for _, key, _ in one}.isdisjoint(key for _, key, _ in other)


def test_a_shorter_span_is_the_beginning_of_a_longer_one() -> None:
    long, short = events_of(LIVELY, minutes=20), events_of(LIVELY, minutes=7)
    assert long[: len(short)] == short
    assert ms_of(long[len(short)][2]) >= MORNING + 7 * MINUTE_MS


# --- order and form -----------------------------------------------------------------------------------------


def test_events_come_in_order_of_time_within_the_span(hour: list[Sent]) -> None:
    times = [ms_of(event) for _, _, event in hour]
    assert times == sorted(times)
    assert times[0] >= MORNING
    assert times[-1] < MORNING + HOUR_MS


def test_times_are_whole_milliseconds(hour: list[Sent]) -> None:
    assert all(event.time.microsecond % 1000 == 0 for _, _, event in hour)


def test_no_two_events_share_an_id(hour: list[Sent]) -> None:
    assert len({event.id for _, _, event in hour}) == len(hour)


def test_every_event_is_read_back_as_it_was(hour: list[Sent]) -> None:
    for _, _, event in hour:
        assert decode(encode(event)) == event


def test_times_travel_in_utc_with_a_z(hour: list[Sent]) -> None:
    time = msgspec.json.decode(encode(hour[0][2]))["time"]
    assert time.endswith("Z")
    assert datetime.fromisoformat(time) == hour[0][2].time


def test_chats_calls_and_agents_travel_on_their_own_topics_under_their_own_keys(hour: list[Sent]) -> None:
    channels = {}
    for topic, key, event in hour:
        if isinstance(event, e.AgentState):
            assert (topic, key) == (PRESENCE, event.data.agent_id)
            continue
        assert not isinstance(event, e.PipelineHeartbeat)
        assert key == event.data.contact_id
        if isinstance(event, e.ContactQueued):
            channels[key] = event.data.channel
            assert topic == (CHATS if event.data.channel == "chat" else CALLS)
        elif key in channels:
            assert topic == (CHATS if channels[key] == "chat" else CALLS)
    assert set(channels.values()) == {"voice", "chat"}


def test_everything_that_can_happen_to_a_contact_happens_within_some_hours() -> None:
    seen = {type(event) for _, _, event in events_of(LIVELY, minutes=180)}
    assert set(e.EVENT_STRUCTS) - seen == {e.PipelineHeartbeat}


# --- the site -----------------------------------------------------------------------------------------------


def test_queues_have_japanese_and_english_names_and_both_channels() -> None:
    site = default_site(8)
    assert {"注文・配送", "Billing", "解約のご相談"} <= set(site.queues)
    assert {policy.channel for policy in site.queues.values()} == {"voice", "chat"}
    assert site.zone == "Asia/Tokyo"


@pytest.mark.parametrize("queues", [1, 8, 200, 450])
def test_a_site_has_as_many_queues_as_asked_for(queues: int) -> None:
    assert len(default_site(queues).queues) == queues


def test_some_queues_promise_something_of_their_own() -> None:
    assert len({(p.answer_within_s, p.target) for p in default_site(200).queues.values()}) >= 5


def test_a_site_without_queues_is_silent() -> None:
    assert list(Simulation(default_site(0), DEMO, 1).events(MORNING, MORNING + HOUR_MS)) == []


# --- contacts -----------------------------------------------------------------------------------------------

_AFTER: dict[str, set[str]] = {
    "": {"queued"},
    "queued": {"offered", "abandoned", "overflowed", "callback_requested"},
    "offered": {"answered", "declined", "abandoned"},
    "declined": {"offered", "abandoned", "overflowed", "callback_requested"},
    "answered": {"held", "transferred", "ended"},
    "held": {"resumed", "transferred", "ended"},
    "resumed": {"held", "transferred", "ended"},
    "transferred": {"queued"},
    "overflowed": {"queued"},
    "abandoned": set(),
    "callback_requested": set(),
    "ended": set(),
}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    load=st.floats(0.3, 1.6),
    transfers=st.floats(0, 0.6),
    declines=st.floats(0, 0.5),
    losses=st.floats(0, 0.2),
)
def test_the_life_of_every_contact_makes_sense(
    seed: int, load: float, transfers: float, declines: float, losses: float
) -> None:
    plan = Plan(
        flat=True, contacts_per_s=0.4, load=load, transfer_share=transfers, decline_share=declines,
        lost_ends=losses, lost_leaves=losses, overflow_after_s=45.0,
    )  # fmt: skip
    for events in by_contact(events_of(plan, seed=seed, minutes=20)).values():
        before = ""
        for event in events:
            kind = str(type(event).__struct_config__.tag).removeprefix("contact.")
            if kind not in ("wrapped", "chat.message"):
                assert kind in _AFTER[before], [type(each).__name__ for each in events]
                before = kind


def test_nobody_overtakes_a_customer_whose_queue_has_its_own_agents_only() -> None:
    site = default_site(1)
    plan = Plan(
        flat=True, contacts_per_s=0.1, load=1.3, decline_share=0.0, patience_s=9000.0, short_share=0.0
    )
    queued, offered = [], []
    for _, key, event in Simulation(site, plan, 3).events(MORNING, MORNING + HOUR_MS):
        if isinstance(event, e.ContactQueued):
            queued.append(key)
        elif isinstance(event, e.ContactOffered):
            offered.append(key)
    waited = [key for key in queued if key in set(offered)]
    assert len(offered) > 100
    assert offered == waited


def test_a_contact_never_comes_back_to_an_agent_who_passed_it_on(hour: list[Sent]) -> None:
    for events in by_contact(hour).values():
        passed_on = set()
        for event in events:
            if isinstance(event, e.ContactTransferred):
                passed_on.add(event.data.agent_id)
            elif isinstance(event, e.ContactAnswered):
                assert event.data.agent_id not in passed_on


def test_visits_are_told_apart_by_their_segment_id_unless_the_source_has_none() -> None:
    with_ids, without = (
        by_contact(events_of(msgspec.structs.replace(LIVELY, segment_ids=ids), minutes=30))
        for ids in (True, False)
    )
    for events in with_ids.values():
        visits = [event.data.segment_id for event in events if isinstance(event, e.ContactQueued)]
        assert len(set(visits)) == len(visits)
        assert None not in visits
    assert all(event.data.segment_id is None for events in without.values() for event in events)  # type: ignore[attr-defined]
    assert with_ids.keys() == without.keys()


def test_contacts_arrive_at_any_hour_of_a_flat_day_and_follow_the_curve_otherwise() -> None:
    def offered(plan: Plan, start_ms: int) -> int:
        return sum(isinstance(event, e.ContactQueued) for _, _, event in events_of(plan, start_ms=start_ms))

    curved = msgspec.structs.replace(DEMO, flat=False)
    assert offered(DEMO, MIDNIGHT + 3 * HOUR_MS) > 1000
    assert 0 < offered(curved, MIDNIGHT + 3 * HOUR_MS) < 150
    assert offered(curved, MORNING) > 2000


# --- agents -------------------------------------------------------------------------------------------------


def test_agents_never_have_more_contacts_in_hand_than_they_can_serve(hour: list[Sent]) -> None:
    most: Counter[str] = Counter()
    for agent_id, signs in by_agent(hour).items():
        chats = any(SITE.queues[queue].channel == "chat" for queue in signs[0].data.queues)
        most["chat" if chats else "voice"] = max(
            most["chat" if chats else "voice"], max(sign.data.contacts for sign in signs)
        )
        assert 1 <= len(signs[0].data.queues) <= 3, agent_id
    assert most == {"chat": 3, "voice": 1}


def test_a_repeated_state_keeps_its_since_and_a_new_one_does_not(hour: list[Sent]) -> None:
    repeated = 0
    for signs in by_agent(hour).values():
        for earlier, later in pairwise(signs):
            same = (earlier.data.state, earlier.data.contacts) == (later.data.state, later.data.contacts)
            if same and later.data.since == earlier.data.since:
                repeated += 1
            else:
                assert later.data.since == later.time
    assert repeated > 100


def test_agents_who_are_here_give_a_sign_of_life_before_they_are_taken_for_lost() -> None:
    plan = msgspec.structs.replace(LIVELY, client_deaths_per_day=0.0, heartbeat_s=9999.0)
    for signs in by_agent(events_of(plan)).values():
        times = [*(ms_of(sign) for sign in signs), MORNING + HOUR_MS]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) < SITE.limits.agent_lost_ms


def test_an_agent_whose_client_dies_falls_silent_and_logs_in_again_later() -> None:
    plan = msgspec.structs.replace(DEMO, client_deaths_per_day=6.0)
    returned = 0
    for signs in by_agent(events_of(plan, minutes=240)).values():
        for earlier, later in pairwise(signs):
            if ms_of(later) - ms_of(earlier) > SITE.limits.agent_lost_ms:
                assert later.data.since == later.time
                returned += 1
    assert returned > 20


def test_all_states_of_agents_occur() -> None:
    plan = msgspec.structs.replace(LIVELY, flat=False)
    signs = by_agent(events_of(plan, start_ms=MIDNIGHT + 17 * HOUR_MS, minutes=150))
    assert {sign.data.state for each in signs.values() for sign in each} == {
        "available", "busy", "wrap_up", "break", "offline",
    }  # fmt: skip


# --- dials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("queues", "wanted"), [(8, 4.0), (40, 30.0), (200, 60.0)])
def test_the_wanted_rate_of_events_is_met(queues: int, wanted: float) -> None:
    site = default_site(queues)
    plan = with_events_per_s(site, Plan(flat=True), wanted)
    assert events_per_s(site, plan) == pytest.approx(wanted, rel=0.01)
    span_s = 600 if queues > 8 else 3600
    warm_ms = MORNING + 20 * MINUTE_MS
    simulation = Simulation(site, plan, 1, keep_record=False)
    seen = sum(ms_of(event) >= warm_ms for _, _, event in simulation.events(MORNING, warm_ms + span_s * 1000))
    assert seen / span_s == pytest.approx(wanted, rel=0.12)


def test_when_half_the_staff_leaves_customers_give_up() -> None:
    def given_up(plan: Plan) -> int:
        return sum(isinstance(event, e.ContactAbandoned) for _, _, event in events_of(plan))

    incident = Incident(after_s=600.0, lasts_s=1800.0, staff_leaves=0.5)
    assert given_up(msgspec.structs.replace(DEMO, incidents=(incident,))) > 2 * given_up(DEMO)


def test_an_incident_at_one_queue_brings_more_contacts_there_and_only_while_it_lasts() -> None:
    incident = Incident(after_s=1200.0, lasts_s=1200.0, surge=5.0, queues=("Billing",))
    counts: Counter[tuple[bool, int]] = Counter()
    for _, _, event in events_of(msgspec.structs.replace(DEMO, incidents=(incident,))):
        if isinstance(event, e.ContactQueued):
            counts[event.data.queue == "Billing", (ms_of(event) - MORNING) // (1200 * 1000)] += 1
    assert counts[True, 1] > 2.5 * counts[True, 0]
    assert counts[True, 1] > 2.5 * counts[True, 2]
    assert counts[False, 1] < 1.4 * counts[False, 0]


def test_while_an_incident_makes_calls_longer_talk_takes_longer_and_afterwards_what_it_took_before() -> None:
    incident = Incident(after_s=1200.0, lasts_s=1200.0, talk=4.0, queues=("Billing",))
    answered_ms: dict[str, int] = {}
    talks: dict[int, list[int]] = {0: [], 1: [], 2: []}
    plan = msgspec.structs.replace(DEMO, incidents=(incident,), hold_share=0.0, transfer_share=0.0, load=0.4)
    queue_of: dict[str, str] = {}
    for _, key, event in events_of(plan):
        if isinstance(event, e.ContactQueued):
            queue_of[key] = event.data.queue
        elif isinstance(event, e.ContactAnswered):
            answered_ms[key] = ms_of(event)
        elif isinstance(event, e.ContactEnded) and queue_of[key] == "Billing":
            part = (answered_ms[key] - MORNING) // (1200 * 1000)
            talks[part].append(ms_of(event) - answered_ms[key])
    before, during, after = (sum(each) / len(each) for each in talks.values())
    assert during > 2 * before
    assert during > 2 * after


def test_an_incident_at_a_queue_that_does_not_exist_is_refused() -> None:
    plan = Plan(incidents=(Incident(after_s=1.0, lasts_s=1.0, queues=("Biling",)),))
    with pytest.raises(SettingsError, match="Biling"):
        Simulation(SITE, plan, 1)


def test_queues_beyond_the_plan_get_no_contacts() -> None:
    queues = {
        event.data.queue
        for _, _, event in events_of(msgspec.structs.replace(DEMO, queues=3))
        if isinstance(event, e.ContactQueued)
    }
    assert queues == set(list(SITE.queues)[:3])


def test_a_run_without_end_keeps_no_record() -> None:
    simulation = Simulation(SITE, DEMO, 1, keep_record=False)
    assert sum(1 for _ in simulation.events(MORNING, MORNING + MINUTE_MS)) > 0
    assert simulation.record is None
