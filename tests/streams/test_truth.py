"""Does the truth say what definitions.md says, from segments made by hand and from a simulated day?"""

import ast
from array import array
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

import schemas.events as e
import streams.truth
from schemas.errors import InputError
from streams.simulator import STATES, Plan, Record, Segment, Sent, Signs, Simulation, default_site
from streams.site import Limits, QueuePolicy, Site
from streams.truth import Report, Truth

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
START = int(datetime.fromisoformat("2026-10-01T09:00:00+09:00").timestamp() * 1000)
SITE = Site(
    zone="Asia/Tokyo",
    queues={
        "注文・配送": QueuePolicy(reap_after_s=3600.0),
        "Chat": QueuePolicy(channel="chat", answer_within_s=60.0),
    },
    limits=Limits(agent_lost_ms=10 * MINUTE_MS),
)


def visit(
    at_s: float = 0.0, outcome: str = "waiting", wait_s: float | None = None, queue: str = "注文・配送"
) -> Segment:
    queued_ms = START + round(at_s * 1000)
    left_ms = None if wait_s is None else queued_ms + round(wait_s * 1000)
    return Segment(f"c-{at_s}/1", queue, queued_ms, left_ms or queued_ms, outcome, left_ms)


def call(talk_s: float, wait_s: float = 10.0, at_s: float = 0.0) -> Segment:
    segment = visit(at_s, "answered", wait_s)
    assert segment.left_ms is not None
    segment.ended_ms = segment.last_event_ms = segment.left_ms + round(talk_s * 1000)
    return segment


def chat(customer_s: list[float], agent_s: list[float], end_s: float | None) -> Segment:
    segment = visit(0.0, "answered", 10.0, "Chat")

    def at(seconds: float) -> int:
        return START + round(seconds * 1000)

    if customer_s:
        segment.first_customer_ms, segment.last_customer_ms = at(min(customer_s)), at(max(customer_s))
    if agent_s:
        segment.first_agent_ms, segment.last_agent_ms = at(min(agent_s)), at(max(agent_s))
    segment.ended_ms = None if end_s is None else at(end_s)
    return segment


def agent(*signs: tuple[float, str, int]) -> Signs:
    times = array("q", [START + round(at_s * 1000) for at_s, _, _ in signs])
    states = array("b", [STATES.index(state) for _, state, _ in signs])
    return Signs(
        "a-1", "東京第一", ("注文・配送",), times, states, array("b", [contacts for _, _, contacts in signs])
    )


def truth_of(*segments: Segment, agents: tuple[Signs, ...] = (), span_s: float = 7200.0) -> Truth:
    record = Record(
        START, START + round(span_s * 1000), tuple(SITE.queues), list(segments), list(agents), 0, True
    )
    return Truth(SITE, record)


def report_of(*segments: Segment, agents: tuple[Signs, ...] = (), span_s: float = 7200.0) -> Report:
    return truth_of(*segments, agents=agents, span_s=span_s).report(900)


# --- waits and outcomes -------------------------------------------------------------------------------------


def test_a_caller_answered_after_exactly_x_seconds_is_answered_in_x_and_a_millisecond_later_is_not() -> None:
    total = report_of(visit(0, "answered", 20.0), visit(1, "answered", 20.001))["total"]
    assert (total["answered"], total["answered_in_x"]) == (2, 1)
    assert total["asa_s"] == pytest.approx(20.0005)


def test_a_caller_who_hangs_up_within_the_threshold_is_a_short_abandon() -> None:
    total = report_of(visit(0, "abandoned", 5.0), visit(1, "abandoned", 5.001), visit(2, "abandoned", 21.0))[
        "total"
    ]
    assert (total["abandoned"], total["abandoned_in_x"], total["abandoned_short"]) == (3, 2, 1)


def test_a_contact_unheard_of_for_longer_than_the_limit_is_lost_at_the_limit() -> None:
    total = report_of(visit(0), span_s=3600.001)["total"]
    assert (total["lost"], total["waiting"], total["wait_sum_s"]) == (1, 0, 3600.0)
    assert total["longest_wait_max_s"] == 3600.0


def test_a_contact_unheard_of_for_exactly_the_limit_still_waits() -> None:
    total = report_of(visit(0), span_s=3600.0)["total"]
    assert (total["lost"], total["waiting"], total["wait_sum_s"]) == (0, 1, 0.0)
    assert total["longest_wait_max_s"] is None


def test_an_answered_contact_whose_end_never_comes_stays_answered_and_is_never_handled() -> None:
    total = report_of(visit(0, "answered", 10.0))["total"]
    assert (total["answered"], total["handled"], total["lost"]) == (1, 0, 0)
    assert total["aht_s"] is None


def test_the_worked_day_of_the_definitions_has_its_five_service_levels() -> None:
    answered = [visit(i, "answered", 10.0 if i < 860 else 30.0) for i in range(1000)]
    abandoned = [visit(i, "abandoned", 3.0 if i < 10 else 10.0 if i < 20 else 60.0) for i in range(60)]
    total = report_of(*answered, *abandoned)["total"]
    names = ("sl_offered", "sl_short_out", "sl_abandoned_late", "sl_removed", "sl_answered")
    assert [round(100 * (total[name] or 0), 1) for name in names] == [81.1, 81.9, 82.7, 83.0, 86.0]  # type: ignore[literal-required]


def test_callbacks_and_overflows_count_in_the_answer_rate_and_callbacks_in_sl_removed() -> None:
    total = report_of(
        visit(0, "answered", 10.0),
        visit(1, "callback", 15.0),
        visit(2, "callback", 90.0),
        visit(3, "overflowed", 60.0),
    )["total"]
    assert (total["callback"], total["callback_in_x"], total["overflowed"]) == (2, 1, 1)
    assert total["answer_rate"] == 0.25
    assert total["sl_removed"] == pytest.approx(2 / 3)
    assert total["sl_offered"] == 1.0


def test_a_ratio_of_nothing_does_not_exist() -> None:
    total = report_of()["total"]
    assert (
        total["sl_offered"]
        is total["abandonment_rate"]
        is total["asa_s"]
        is total["first_response_s"]
        is None
    )
    assert (total["offered"], total["queue_length_max"]) == (0, 0)
    assert total["agents"]["occupancy"] is None


# --- handling -----------------------------------------------------------------------------------------------


def test_talk_is_what_is_left_of_the_conversation_without_holds_and_wrap_up_comes_after() -> None:
    segment = call(talk_s=100.0)
    assert segment.ended_ms is not None
    segment.hold_ms = 30_000
    segment.wrapped_ms = segment.ended_ms + 20_000
    total = report_of(segment)["total"]
    assert (total["att_s"], total["hold_s"], total["acw_s"], total["aht_s"]) == (70.0, 30.0, 20.0, 120.0)


def test_wrap_up_that_has_not_ended_is_not_yet_counted() -> None:
    assert report_of(call(talk_s=100.0))["total"]["aht_s"] == 100.0


# --- chats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("customer_s", "agent_s", "took_s"),
    [
        ([5.0, 30.0], [40.0], 35.0),
        ([], [40.0], 40.0),
        ([50.0], [40.0, 60.0], 40.0),
        ([5.0], [], None),
    ],
)
def test_the_first_response_is_timed_from_the_customers_first_words_or_from_queueing(
    customer_s: list[float], agent_s: list[float], took_s: float | None
) -> None:
    total = report_of(chat(customer_s, agent_s, 100.0))["total"]
    assert total["first_response_s"] == took_s
    assert total["first_responses"] == total["first_responses_in_x"] == (took_s is not None)


@pytest.mark.parametrize(
    ("customer_s", "agent_s", "end_s", "silent"),
    [
        ([5.0, 100.0], [50.0], 400.0, True),
        ([5.0, 100.0], [50.0], 399.999, False),
        ([5.0, 100.0], [50.0, 101.0], 900.0, False),
        ([5.0, 100.0], [], None, True),
        ([], [50.0], 900.0, False),
    ],
)
def test_a_chat_is_silently_abandoned_when_the_last_words_were_the_customers_for_long_enough(
    customer_s: list[float], agent_s: list[float], end_s: float | None, silent: bool
) -> None:
    assert report_of(chat(customer_s, agent_s, end_s))["total"]["silent_abandoned"] == silent


# --- queue length -------------------------------------------------------------------------------------------


def test_who_leaves_in_the_same_millisecond_makes_room_first() -> None:
    assert report_of(visit(0, "answered", 10.0), visit(10, "answered", 5.0))["total"]["queue_length_max"] == 1


def test_an_interval_begins_with_those_who_waited_already() -> None:
    rows = report_of(visit(0, "answered", 1000.0), visit(1, "answered", 1000.0), visit(950, "answered", 1.0))
    assert [(row["start"], row["queue_length_max"]) for row in rows["by_interval"]] == [
        ("2026-10-01T09:00:00+09:00", 2),
        ("2026-10-01T09:15:00+09:00", 3),
    ]


# --- agents -------------------------------------------------------------------------------------------------


def test_busy_is_contacts_in_hand_and_wrap_up_and_breaks_are_in_neither() -> None:
    signs = agent(
        (0, "available", 0), (100, "busy", 2), (150, "busy", 1), (200, "wrap_up", 0), (240, "break", 0)
    )
    times = report_of(agents=(signs,), span_s=300.0)["total"]["agents"]
    assert (times["busy_s"], times["wrapping_s"], times["available_s"], times["break_s"]) == (
        140,
        40,
        100,
        60,
    )
    assert times["occupancy"] == pytest.approx(140 / 240)
    assert times["concurrency"] == pytest.approx(150 / 100)


def test_an_agent_without_a_sign_of_life_is_lost_from_the_limit_on() -> None:
    signs = agent((0, "available", 0), (300, "available", 0), (500, "busy", 1))
    truth = truth_of(agents=(signs,), span_s=1101.0)
    times = truth.report(900)["total"]["agents"]
    assert (times["available_s"], times["busy_s"], times["lost_s"]) == (500, 600, 1)
    assert truth.agent_states() == {"a-1": "lost"}
    assert truth.presence()["team"]["東京第一"]["lost"] == 1


@pytest.mark.parametrize("span_s", [659.999, 660.0, 7000.0])
def test_an_agent_who_signed_off_stays_offline_and_is_never_lost(span_s: float) -> None:
    truth = truth_of(agents=(agent((0, "available", 0), (60, "offline", 0)),), span_s=span_s)
    assert truth.agent_states() == {"a-1": "offline"}
    times = truth.report(900)["total"]["agents"]
    assert (times["available_s"], times["lost_s"]) == (60, 0)


def test_an_agent_never_heard_of_is_in_no_state() -> None:
    truth = truth_of(agents=(agent(), agent((0, "available", 0))), span_s=60.0)
    assert truth.agent_states() == {"a-1": "available"}
    assert truth.report(900)["total"]["agents"]["available_s"] == 60


# --- days and intervals -------------------------------------------------------------------------------------


def test_everything_counts_in_the_interval_and_the_day_it_was_queued_in() -> None:
    before_midnight = 15 * 3600 - 10
    late = call(talk_s=600.0, wait_s=30.0, at_s=before_midnight)
    report = report_of(late, visit(before_midnight + 20, "abandoned", 5.0), span_s=20 * 3600)
    assert {day: (m["offered"], m["handled"]) for day, m in report["by_day"].items()} == {
        "2026-10-01": (1, 1),
        "2026-10-02": (1, 0),
    }
    assert report["by_interval"][0]["start"] == "2026-10-01T23:45:00+09:00"
    assert report["by_interval"][0]["handled"] == 1


def test_a_queue_without_contacts_is_in_the_report_with_zeros() -> None:
    assert report_of(visit(0, "answered", 1.0))["by_queue"]["Chat"]["offered"] == 0


# --- a simulated span ---------------------------------------------------------------------------------------

BUSY = Plan(
    flat=True, contacts_per_s=0.5, load=1.1, transfer_share=0.15, decline_share=0.06, overflow_after_s=90.0,
    lost_ends=0.01, lost_leaves=0.01, client_deaths_per_day=3.0,
)  # fmt: skip
HOURS = 5
SUMS = (
    "offered", "answered", "answered_in_x", "abandoned", "abandoned_in_x", "abandoned_short", "callback",
    "callback_in_x", "overflowed", "lost", "waiting", "handled", "transferred_in", "transferred_out",
    "declined", "silent_abandoned", "first_responses", "first_responses_in_x",
)  # fmt: skip


@pytest.fixture(scope="module")
def told() -> tuple[Truth, Report, list[Sent]]:
    simulation = Simulation(default_site(8), BUSY, 11)
    events = list(simulation.events(START, START + HOURS * HOUR_MS))
    truth = Truth(simulation.site, simulation.record)
    return truth, truth.report(900), events


def test_every_contact_offered_has_one_outcome_or_still_waits(told: tuple[Truth, Report, list[Sent]]) -> None:
    report = told[1]
    rows = [report["total"], *report["by_queue"].values(), *report["by_day"].values(), *report["by_interval"]]
    for m in rows:
        unanswered = m["abandoned"] + m["callback"] + m["overflowed"] + m["lost"] + m["waiting"]
        assert m["offered"] == m["answered"] + unanswered
    assert all(report["total"][name] > 0 for name in SUMS)  # type: ignore[literal-required]


def test_queues_days_and_intervals_each_add_up_to_the_total(told: tuple[Truth, Report, list[Sent]]) -> None:
    report = told[1]
    for rows in (list(report["by_queue"].values()), list(report["by_day"].values()), report["by_interval"]):
        for name in SUMS:
            assert sum(m[name] for m in rows) == report["total"][name]  # type: ignore[literal-required]
        assert sum(m["wait_sum_s"] for m in rows) == pytest.approx(report["total"]["wait_sum_s"])


def test_the_area_under_the_queue_length_is_the_time_waited(told: tuple[Truth, Report, list[Sent]]) -> None:
    truth, report, _ = told
    end_ms = START + HOURS * HOUR_MS
    still_waiting_ms = sum(end_ms - s.queued_ms for s in truth.segments if s.outcome == "waiting")
    waited_ms = round(report["total"]["wait_sum_s"] * 1000)
    assert truth.lengths().area_ms(START, end_ms) == waited_ms + still_waiting_ms


def test_no_interval_is_longer_than_the_longest_of_its_queue(told: tuple[Truth, Report, list[Sent]]) -> None:
    report = told[1]
    for queue, m in report["by_queue"].items():
        rows = [row for row in report["by_interval"] if row["queue"] == queue]
        assert max(row["queue_length_max"] for row in rows) == m["queue_length_max"]
        assert max(row["longest_wait_max_s"] or 0 for row in rows) == m["longest_wait_max_s"]


def test_agents_time_covers_every_second_since_they_came(told: tuple[Truth, Report, list[Sent]]) -> None:
    truth, report, _ = told
    times = report["total"]["agents"]
    here_ms = sum(truth.record.to_ms - signs.at_ms[0] for signs in truth.record.agents)
    spent_s = times["busy_s"] + times["available_s"] + times["break_s"] + times["lost_s"]
    assert spent_s == pytest.approx(here_ms / 1000)
    assert sum(times["agents"].values()) == len(truth.record.agents)


_LEFT = {
    e.ContactAnswered: "answered", e.ContactAbandoned: "abandoned", e.ContactOverflowed: "overflowed",
    e.ContactCallbackRequested: "callback",
}  # fmt: skip
_MARKS = {e.ContactEnded: "ended_ms", e.ContactTransferred: "ended_ms", e.ContactWrapped: "wrapped_ms"}


def test_the_record_and_the_events_tell_the_same_story(told: tuple[Truth, Report, list[Sent]]) -> None:
    truth, _, events = told
    stories: dict[str, dict[str, object]] = defaultdict(
        lambda: {"declined": 0, "outcome": "waiting", "hold_ms": 0}
    )
    held: dict[str, int] = {}
    for _, _, event in events:
        if isinstance(event, e.AgentState | e.PipelineHeartbeat) or event.data.segment_id is None:
            continue
        at_ms, name = round(event.time.timestamp() * 1000), event.data.segment_id
        story = stories[name]
        if isinstance(event, e.ContactQueued):
            story |= {"queue": event.data.queue, "queued_ms": at_ms}
        elif type(event) in _LEFT:
            story |= {"outcome": _LEFT[type(event)], "left_ms": at_ms}
        elif isinstance(event, e.ContactDeclined):
            story["declined"] = int(str(story["declined"])) + 1
        elif isinstance(event, e.ContactHeld):
            held[name] = at_ms
        elif isinstance(event, e.ChatMessage) and event.data.by in ("customer", "agent"):
            story.setdefault(f"first_{event.data.by}_ms", at_ms)
            story[f"last_{event.data.by}_ms"] = at_ms
        if type(event) in _MARKS:
            story[_MARKS[type(event)]] = at_ms
        if isinstance(event, e.ContactTransferred):
            story["transferred_out"] = True
        if name in held and isinstance(event, e.ContactResumed | e.ContactEnded | e.ContactTransferred):
            story["hold_ms"] = int(str(story["hold_ms"])) + at_ms - held.pop(name)
    assert len(stories) == len(truth.record.segments)
    for segment in truth.record.segments:
        for key, value in stories[segment.segment_id].items():
            unfinished_hold = key == "hold_ms" and segment.ended_ms is None
            assert unfinished_hold or getattr(segment, key) == value, (segment, key)


def test_a_span_that_was_not_taken_to_its_end_has_no_truth() -> None:
    simulation = Simulation(default_site(2), BUSY, 1)
    with pytest.raises(InputError):
        Truth(simulation.site, simulation.record)
    events = simulation.events(START, START + HOUR_MS)
    next(events)
    with pytest.raises(InputError):
        Truth(simulation.site, simulation.record)


def test_the_truth_shares_no_code_with_the_pipeline() -> None:
    assert streams.truth.__file__ is not None
    imported: set[str] = set()
    for path in Path(streams.truth.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("streams"):
                imported.add(node.module)
    assert {m for m in imported if not m.startswith("streams.truth")} == {
        "streams.site",
        "streams.simulator.record",
    }
