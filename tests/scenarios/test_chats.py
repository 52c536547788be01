"""Stories about chats: first responses, silence, and one real support chat."""

import csv
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from schemas.topics import CHATS, PRESENCE
from streams.driver import Driver, Item
from streams.report import ReportBuilder
from streams.site import Limits, QueuePolicy, Site
from tests.scenarios.contact_centre import ContactCentre, arrivals
from tests.streams.bench import event


def test_the_first_response_runs_from_the_customers_first_words_in_the_queue(order: str) -> None:
    centre = ContactCentre(order)
    chat = centre.contact("9:00:00", "Chat").says("9:00:05").says("9:00:30").answered("9:00:40")
    chat.says("9:01:05", by="agent").says("9:01:10", by="agent").ended("9:05:00")
    centre.look("9:10:00")
    day = centre.today("Chat")
    assert (day.first_responses, day.first_responses_in_x, day.first_response_s) == (1, 1, 60.0)


def test_a_first_response_a_millisecond_after_x_is_late(order: str) -> None:
    centre = ContactCentre(order)
    chat = centre.contact("9:00:00", "Chat").says("9:00:05").answered("9:00:10")
    chat.says("9:01:05.001", by="agent").ended("9:05:00")
    centre.look("9:10:00")
    assert (centre.today("Chat").first_responses, centre.today("Chat").first_responses_in_x) == (1, 0)


@pytest.mark.parametrize("customer_at", [None, "9:01:00"])
def test_an_agent_who_writes_before_the_customer_is_timed_from_queueing(
    customer_at: str | None, order: str
) -> None:
    centre = ContactCentre(order)
    chat = centre.contact("9:00:00", "Chat").answered("9:00:10").says("9:00:25", by="agent")
    if customer_at:
        chat.says(customer_at)
    chat.ended("9:05:00")
    centre.look("9:10:00")
    assert centre.today("Chat").first_response_s == 25.0


def test_what_is_written_to_the_bot_before_queueing_is_no_part_of_the_wait(order: str) -> None:
    centre = ContactCentre(order)
    chat = centre.contact("9:10:00", "Chat").says("9:00:00").says("9:00:01", by="bot")
    chat.answered("9:10:05").says("9:10:20", by="agent").ended("9:12:00")
    centre.look("9:20:00")
    assert centre.today("Chat").first_response_s == 20.0


def test_a_customer_left_without_an_answer_for_five_minutes_is_a_silent_abandon_and_not_an_abandon(
    order: str,
) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Chat").answered("9:00:10").says("9:00:30", by="agent").says("9:01:00")
    centre.look("9:05:59")
    assert centre.today("Chat").silent_abandoned == 0
    centre.look("9:06:00")
    day = centre.today("Chat")
    assert (day.silent_abandoned, day.abandoned, day.answered) == (1, 0, 1)


def test_an_answer_that_turns_up_takes_the_silence_back() -> None:
    centre = ContactCentre()
    chat = centre.contact("9:00:00", "Chat").answered("9:00:10").says("9:01:00")
    centre.look("9:10:00")
    assert centre.today("Chat").silent_abandoned == 1
    chat.says("9:02:00", by="agent")
    centre.look("9:10:10")
    assert centre.today("Chat").silent_abandoned == 0


def test_a_chat_that_ends_within_five_minutes_of_the_last_words_was_not_silent(order: str) -> None:
    centre = ContactCentre(order)
    centre.contact("9:00:00", "Chat").answered("9:00:10").says("9:01:00").ended("9:05:59")
    centre.look("9:30:00")
    assert centre.today("Chat").silent_abandoned == 0


# --- a real support chat ------------------------------------------------------------------------------------

IRC = Site(
    name="stripe",
    queues={
        "#stripe": QueuePolicy(channel="chat", answer_within_s=60.0, silent_after_s=1e6, reap_after_s=1e6)
    },
    limits=Limits(agent_lost_ms=86_400_000),
)


class SupportChat:
    """The labelled lines of an IRC support channel, by conversation."""

    def __init__(self, reference: Path) -> None:
        self.threads = {row["thread_id"]: row for row in self._rows(reference / "irc_stripe0_threads.csv")}
        self.agents = self._rows(reference / "irc_stripe0_agents.csv")
        self.lines: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for row in self._rows(reference / "irc_stripe0_messages.csv"):
            at_ms = round(datetime.fromisoformat(row["at"]).timestamp() * 1000)
            self.lines[row["thread_id"]].append((at_ms, row["nick"], row["role"]))

    @staticmethod
    def _rows(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def contacts(self) -> list[Item]:
        """Queued with the customer's first line, answered with the agent's, ended with the last one."""
        out = []
        for thread, lines in self.lines.items():
            if self.threads[thread]["counted"] != "1":
                continue
            agent_ms = next((at_ms for at_ms, _, role in lines if role == "agent"), None)
            told = [("contact.queued", lines[0][0], {"queue": "#stripe", "channel": "chat"})]
            told += [("chat.message", at_ms, {"by": role}) for at_ms, _, role in lines]
            if agent_ms is not None:
                told.append(("contact.answered", agent_ms, {}))
                told.append(("contact.ended", lines[-1][0], {}))
            out += [
                Item(CHATS, thread, event(kind, at, contact_id=thread, **data)) for kind, at, data in told
            ]
        return out

    def presence(self) -> list[Item]:
        """An agent has a conversation in hand from the own first line to the conversation's last line."""
        changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
        names = {row["agent"] for row in self.agents}
        for lines in self.lines.values():
            for name in {nick for _, nick, _ in lines} & names:
                first_ms = next(at_ms for at_ms, nick, _ in lines if nick == name)
                changes[name] += [(first_ms, 1), (lines[-1][0], -1)]
        out = []
        for name, steps in changes.items():
            in_hand: dict[int, int] = {}
            level = 0
            for at_ms, step in sorted(steps):
                level += step
                in_hand[at_ms] = level
            for at_ms, level in in_hand.items():
                said = {"agent_id": name, "state": "busy" if level else "available", "contacts": level}
                out.append(
                    Item(PRESENCE, name, event("agent.state", at_ms, **said, queues=["#stripe", f"@{name}"]))
                )
        return out


@pytest.fixture(scope="module")
def support_chat(shared_data: Path) -> SupportChat:
    return SupportChat(shared_data / "reference")


def test_a_real_support_chat_has_its_published_first_responses_and_concurrency(
    support_chat: SupportChat, order: str
) -> None:
    driver = Driver(IRC, 3)
    driver.feed(arrivals(order)(support_chat.contacts() + support_chat.presence()))
    driver.finish()
    builder = ReportBuilder(IRC)
    for row in driver.intervals.values():
        builder.add(row)
    by_queue = builder.report({})["by_queue"]
    assert isinstance(by_queue, dict)
    chat = by_queue["#stripe"]
    assert (chat["offered"], chat["answered"], chat["waiting"]) == (21, 18, 3)
    assert (chat["first_responses"], chat["first_responses_in_x"]) == (18, 8)
    assert chat["first_response_s"] == pytest.approx(149.055556, abs=1e-6)
    assert chat["first_response_s"] * 18 == pytest.approx(2683)
    assert len(support_chat.agents) == 2
    for agent in support_chat.agents:
        own = by_queue[f"@{agent['agent']}"]
        assert own["busy_s"] == float(agent["busy_s"])
        assert own["concurrency"] == pytest.approx(float(agent["mean_concurrency_while_busy"]), abs=1e-6)
    assert chat["busy_s"] == sum(float(agent["busy_s"]) for agent in support_chat.agents)
