"""Do the folds of journeys hear of each other in the driver, in time, all of it and in the same way every time?

The visitors here are simple ones, so that it is clear what the driver does and what a `VisitorFold` means.
"""

import json
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from schemas.dead_letters import DeadLetter
from schemas.journeys import Flag, JourneySession, VisitorNow
from schemas.topics import CALLS, CHATS, PRESENCE, WEB
from schemas.web_events import Contacted, Linked, VisitorContacted
from schemas.web_rows import SITE_ROW, DayCounts, customer_row, switch_row
from streams.driver import Item
from streams.fold import Record
from streams.journeys.driver import COUNTED_EVERY_MS, JourneyDriver
from streams.journeys.page_fold import FIRST_MODEL_MS, MODEL_EVERY_MS
from streams.journeys.shown import FlagChange, Link
from streams.site import Site
from tests.streams.bench import BASE, DAY, HOUR, MINUTE, SECOND, event, rfc3339

SITE = Site()
DAY_0 = 20_514
"""2026-03-02, the business day of `BASE`."""
STUCK_AT_VIEW = 3


class SimpleVisitors:
    """Counts views, is stuck at the third until the customer contacts, and keeps what it is told."""

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool) -> None:
        assert (topic, event_clock) == (WEB, True)
        self.clock_ms = 0
        self.heard: list[Contacted] = []
        self.heard_at_ms: list[int] = []
        self.models: list[dict[str, Any]] = []
        self.views: dict[str, int] = {}
        self._views_of_day: dict[int, int] = {}
        self._customer: dict[str, str] = {}
        self._links: list[Link] = []
        self._flags: list[FlagChange] = []
        self.stuck: dict[str, Flag] = {}
        self._sessions: dict[tuple[str, str], JourneySession | None] = {}
        made.append(self)

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        for record in records:
            said = json.loads(record.value or b"")
            at_ms = round(datetime.fromisoformat(said["time"]).timestamp() * 1000)
            self.clock_ms = max(self.clock_ms, at_ms)
            take = getattr(self, "_" + said["type"].replace(".", "_"), None)
            if take is not None:
                take(at_ms, said["data"])
        return []

    def _web_page_view(self, at_ms: int, data: dict[str, Any]) -> None:
        visitor = data["visitor_id"]
        self.views[visitor] = self.views.get(visitor, 0) + 1
        self._views_of_day[at_ms // DAY] = self._views_of_day.get(at_ms // DAY, 0) + 1
        if self.views[visitor] == STUCK_AT_VIEW:
            self.stuck[visitor] = Flag(
                id=f"{visitor}/{at_ms}", visitor_id=visitor, session_id=visitor, page=data["page"], raised_ms=at_ms,
                probability=0.5, threshold=0.3, arm="offer",
            )  # fmt: skip
            self._flags.append(FlagChange("raised", self.stuck[visitor]))

    def _identity_linked(self, at_ms: int, data: dict[str, Any]) -> None:
        linked = msgspec.convert(data, Linked)
        if linked.customer_id is not None:
            self._links.append(Link(linked.visitor_id, linked.customer_id, at_ms, False))
            self._sessions[linked.customer_id, linked.visitor_id] = JourneySession(
                session_id=linked.visitor_id,
                visitor_id=linked.visitor_id,
                start_ms=at_ms,
                end_ms=at_ms,
                pages=(),
            )

    def _visitor_contacted(self, at_ms: int, data: dict[str, Any]) -> None:
        told = msgspec.convert(data, Contacted)
        self.heard.append(told)
        self.heard_at_ms.append(at_ms)
        flag = self.stuck.pop(told.visitor_id, None)
        if flag is not None:
            cleared = msgspec.structs.replace(flag, cleared_ms=told.queued_ms, cleared="contact")
            self._flags.append(FlagChange("cleared", cleared))

    def _pipeline_model(self, at_ms: int, data: dict[str, Any]) -> None:
        self.models.append({**data, "told_ms": at_ms})

    def settle(self, now_ms: int) -> None: ...

    def advance(self, now_ms: int) -> None:
        self.clock_ms = max(self.clock_ms, now_ms)

    def take_days(self) -> list[DayCounts]:
        return [DayCounts(SITE_ROW, day, {"views": views}) for day, views in self._views_of_day.items()]

    def take_links(self) -> list[Link]:
        out, self._links = self._links, []
        return out

    def take_flags(self) -> list[FlagChange]:
        out, self._flags = self._flags, []
        return out

    def take_visitors(self) -> dict[str, VisitorNow | None]:
        return {}

    def take_sessions(self) -> dict[tuple[str, str], JourneySession | None]:
        out, self._sessions = self._sessions, {}
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        return {}

    def stuck_by_page(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for flag in self.stuck.values():
            out[flag.page] = out.get(flag.page, 0) + 1
        return out


made: list[SimpleVisitors] = []


@pytest.fixture(autouse=True)
def _none_made_yet() -> None:
    made.clear()


def driver(partitions: int = 2) -> JourneyDriver:
    return JourneyDriver(SITE, partitions, new_visitors=SimpleVisitors)


def item(topic: str, kind: str, at_ms: int, key: str, **data: object) -> Item:
    return Item(topic, key, event(kind, at_ms, **data))


def view(visitor: str, at_ms: int, page: str = "/faq") -> Item:
    return item(WEB, "web.page_view", at_ms, visitor, visitor_id=visitor, page=page, view_id=f"{at_ms}")


def login(visitor: str, at_ms: int, customer: str | None) -> Item:
    return item(WEB, "identity.linked", at_ms, visitor, visitor_id=visitor, customer_id=customer)


def call(contact: str, at_ms: int, customer: str | None = "kim", topic: str = CALLS) -> list[Item]:
    """A contact that is answered after 10 s and takes two minutes."""
    channel = "chat" if topic == CHATS else "voice"
    where = {"contact_id": contact}
    return [
        item(
            topic,
            "contact.queued",
            at_ms,
            contact,
            **where,
            queue="Sales",
            channel=channel,
            customer_id=customer,
        ),
        item(topic, "contact.answered", at_ms + 10 * SECOND, contact, **where),
        item(topic, "contact.ended", at_ms + 130 * SECOND, contact, **where, reason="billing"),
    ]


def in_time(*parts: list[Item]) -> list[Item]:
    return sorted((each for part in parts for each in part), key=lambda each: json.loads(each.value)["time"])


def heard() -> dict[tuple[str, str], Contacted]:
    """(visitor, contact) -> what its partition was told last."""
    out: dict[tuple[str, str], Contacted] = {}
    for fold in made:
        for told in fold.heard:
            known = out.get((told.visitor_id, told.contact_id))
            if known is None or told.revision >= known.revision:
                out[told.visitor_id, told.contact_id] = told
    return out


def test_a_visitor_hears_of_the_call_of_its_customer_within_the_minute() -> None:
    one = driver()
    one.feed(in_time([view("v", BASE), login("v", BASE + SECOND, "kim")], call("a", BASE + 5 * MINUTE)))
    one.finish()
    told = heard()["v", "a"]
    assert (told.customer_id, told.queue, told.queued_ms, told.reason) == (
        "kim",
        "Sales",
        BASE + 5 * MINUTE,
        "billing",
    )
    at_ms = min(at_ms for fold in made for at_ms in fold.heard_at_ms)
    assert BASE + 5 * MINUTE <= at_ms < BASE + 6 * MINUTE


def test_who_is_known_only_after_the_call_hears_of_it_then() -> None:
    one = driver()
    one.feed(in_time(call("a", BASE), [login("v", BASE + HOUR, "kim"), login("w", BASE + 2 * HOUR, "lee")]))
    one.finish()
    assert set(heard()) == {("v", "a")}


def test_what_a_contact_is_told_of_long_ago_comes_in_time_to_be_read() -> None:
    """Its event says when it was told: an event of last week would be too late for its partition."""
    one = driver()
    one.feed(call("a", BASE))
    one.feed([login("v", BASE + 5 * DAY, "kim")])
    one.finish()
    assert [at_ms for fold in made for at_ms in fold.heard_at_ms] == [BASE + 5 * DAY]


def test_flags_follow_their_changes() -> None:
    one = driver()
    views = [view("v", BASE + n * SECOND) for n in range(4)] + [
        view("w", BASE + n * SECOND) for n in range(3)
    ]
    one.feed(in_time(views, [login("v", BASE + MINUTE, "kim")]))
    one.finish()
    assert [(flag.visitor_id, flag.cleared) for flag in one.flags()] == [("v", None), ("w", None)]
    assert one.pages.stuck_by_page == {"/faq": 2}
    one.feed(call("a", BASE + 2 * MINUTE))
    one.finish()
    assert [(flag.visitor_id, flag.cleared) for flag in one.flags()] == [("v", "contact"), ("w", None)]
    assert one.pages.stuck_by_page == {"/faq": 1}
    assert set(one.sessions()) == {("kim", "v")}


def test_counters_of_visitors_and_customers_meet_in_one_place() -> None:
    one = driver(3)
    visits = [view(f"v{n}", BASE + n * MINUTE) for n in range(30)]
    one.feed(in_time(visits, call("a", BASE), call("b", BASE + HOUR, topic=CHATS)))
    one.finish(BASE + 8 * DAY)
    assert one.pages.days[SITE_ROW][DAY_0] == {"views": 30}
    assert one.pages.days[customer_row("Sales", "voice")][DAY_0] == {"repeat_n": 1, "fcr_n": 1}
    assert one.pages.days[customer_row("Sales", "chat")][DAY_0] == {
        "repeat_n": 1, "repeat_k": 1, "fcr_n": 1, "fcr_k": 1,
    }  # fmt: skip
    assert one.pages.days[switch_row("voice", "chat")][DAY_0] == {"k": 1}
    assert one.now_ms == one.pages.clock_ms == BASE + 8 * DAY
    assert one.report().as_of_ms == BASE + 8 * DAY


def test_a_model_is_told_to_every_partition_every_hour_before_it_is_valid() -> None:
    one = driver(3)
    one.feed([view("v", BASE)])
    one.finish(BASE + 3 * HOUR)
    assert [len(fold.models) for fold in made] == [len(one.models)] * 3
    assert one.model == one.models[-1]
    due = [model["valid_from_ms"] - BASE for model in made[0].models]
    assert len(due) == 3
    for n, valid_ms in enumerate(due):
        assert (
            0
            <= valid_ms - MINUTE - FIRST_MODEL_MS - n * MODEL_EVERY_MS
            < (n + 1) * (COUNTED_EVERY_MS + 10 * MINUTE)
        )
    assert all(model["told_ms"] < model["valid_from_ms"] for model in made[0].models)


def test_earlier_contacts_are_listed_with_how_they_ended() -> None:
    one = driver()
    one.feed(in_time(call("a", BASE), call("b", BASE + HOUR, topic=CHATS), call("c", BASE, customer=None)))
    one.finish()
    assert set(one.contacts()) == {"kim"}
    assert [(each.contact_id, each.channel, each.outcome, each.reason) for each in one.contacts()["kim"]] == [
        ("b", "chat", "answered", "billing"), ("a", "voice", "answered", "billing"),
    ]  # fmt: skip


def a_day(dice: random.Random) -> list[Item]:
    items: list[Item] = []
    for n in range(40):
        at_ms = BASE + dice.randint(0, 10 * HOUR)
        items += [view(f"v{n}", at_ms + k * SECOND, f"/p{k % 3}") for k in range(dice.randint(1, 6))]
        if dice.random() < 0.7:
            items.append(login(f"v{n}", at_ms + dice.choice((-1, 1)) * MINUTE, f"c{n % 15}"))
    for n in range(25):
        items += call(
            f"k{n}", BASE + dice.randint(0, 11 * HOUR), f"c{dice.randint(0, 20)}", dice.choice((CALLS, CHATS))
        )
    return in_time(items)


def outcome(items: list[Item], partitions: int, pieces: int = 1) -> tuple[object, ...]:
    made.clear()
    one = driver(partitions)
    size = -(-len(items) // pieces)
    for n in range(pieces):
        one.feed(items[n * size : (n + 1) * size])
    one.finish(BASE + 9 * DAY)
    assert not one.dead_letters
    told = {key: msgspec.structs.replace(each, revision=(0, 0)) for key, each in heard().items()}
    return one.flags(), one.pages.days, one.contacts(), one.sessions(), told


def test_the_same_events_give_the_same_results_however_they_are_spread_and_fed() -> None:
    items = a_day(random.Random(3))
    once = outcome(items, 2)
    assert once == outcome(items, 2)
    assert once == outcome(items, 2, pieces=7)
    assert once == outcome(items, 5)
    assert len(once[4]) > 15  # type: ignore[arg-type]


def test_each_pair_of_visitor_and_contact_is_told_and_no_other() -> None:
    items = a_day(random.Random(4))
    customer_of, contacts = {}, {}
    for each in items:
        made_of = json.loads(each.value)
        if made_of["type"] == "identity.linked":
            customer_of[made_of["data"]["visitor_id"]] = made_of["data"]["customer_id"]
        elif made_of["type"] == "contact.queued":
            contacts[made_of["data"]["contact_id"]] = made_of["data"]["customer_id"]
    *_, told = outcome(items, 2)
    expected = {(v, k) for v, customer in customer_of.items() for k, of in contacts.items() if of == customer}
    assert set(told) == expected  # type: ignore[call-overload]


def test_what_is_of_no_interest_or_no_event_stops_nothing() -> None:
    one = driver()
    broken = [Item(CALLS, "x", b"\xff"), Item(CALLS, "x", b"[1]"), Item(CHATS, "x", b'{"time": "never"}')]
    state = item(PRESENCE, "agent.state", BASE, "ann", agent_id="ann", state="available")
    one.feed([*broken, state, *call("a", BASE), login("v", BASE + HOUR, "kim"), *broken])
    one.finish()
    assert len(one.dead_letters) == 6
    assert set(heard()) == {("v", "a")}


def test_a_contacted_event_is_one_of_the_topic_web() -> None:
    one = driver(1)
    one.feed(in_time(call("a", BASE), [login("v", BASE + HOUR, "kim")]))
    one.finish()
    (told,) = made[0].heard
    assert told.revision[0] == 1
    event_of = {"type": "visitor.contacted", "id": "1", "source": "s", "time": rfc3339(BASE)}
    assert msgspec.convert({**event_of, "data": msgspec.to_builtins(told)}, VisitorContacted).data == told
