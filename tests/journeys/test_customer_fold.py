"""What follows from the contacts of a customer: who came back, who went on elsewhere, whom visitors are told of?"""

import random
from itertools import permutations
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.customers import (
    CustomerClock,
    CustomerContact,
    CustomerForgotten,
    CustomerStatement,
    CustomerVisitor,
    encode_customer,
)
from schemas.errors import Reason
from schemas.topics import CUSTOMERS
from schemas.web_events import Contacted
from schemas.web_rows import customer_row, switch_row
from streams.driver import Stored
from streams.fold import BUCKETS
from streams.journeys.customer_fold import MOST_CONTACTS, MOST_LISTED, MOST_VISITORS, CustomerFold
from streams.journeys.policy import JourneyPolicy
from streams.site import Site
from tests.streams.bench import BASE, DAY, HOUR, MINUTE

SITE = Site(zone="Europe/Berlin", journeys=JourneyPolicy(most_visitors=1000))
DAY_0 = 20_514
"""2026-03-02, the business day of `BASE`."""
VOICE, CHAT = customer_row("Sales", "voice"), customer_row("Help", "chat")

Days = dict[tuple[str, int], dict[str, int]]
Told = dict[tuple[str, str, str], Contacted]


def contact(
    contact_id: str,
    at_ms: int,
    *,
    customer: str = "kim",
    talked_min: float | None = 5,
    channel: str = "voice",
    reason: str | None = None,
    revision: tuple[int, int] = (1, 0),
    withdrawn: bool = False,
) -> CustomerContact:
    """A contact that begins `at_ms`; after a minute it is answered and talked for, or abandoned (None)."""
    queue = "Help" if channel == "chat" else "Sales"
    outcome = "abandoned" if talked_min is None else "answered"
    handled_ms = 0 if talked_min is None else at_ms + round((1 + talked_min) * MINUTE)
    return CustomerContact(
        customer, contact_id, channel, queue, at_ms, outcome, reason, handled_ms, revision, withdrawn
    )


def linked(
    visitor: str,
    at_ms: int = BASE,
    *,
    customer: str = "kim",
    revision: tuple[int, int] = (1, 0),
    withdrawn: bool = False,
) -> CustomerVisitor:
    return CustomerVisitor(customer, visitor, at_ms, revision, withdrawn)


class Shard:
    """A partition of `customers`, and what others have heard from it."""

    def __init__(self, site: Site = SITE, *, event_clock: bool = False, sources: int = 1) -> None:
        self._site, self._event_clock, self._sources = site, event_clock, sources
        self.fold = self.new()
        self.days: Days = {}
        self.contacted: Told = {}
        self.contacts: dict[str, object] = {}
        self.entries: dict[str, bytes] = {}
        self.position = self.stored_position = 0

    def new(self) -> CustomerFold:
        return CustomerFold(self._site, CUSTOMERS, 0, sources=self._sources, event_clock=self._event_clock)

    def read(self, *statements: CustomerStatement) -> None:
        values = [encode_customer(each) for each in statements]
        assert not self.fold.apply([Stored(self.position + n, v) for n, v in enumerate(values)], 0)
        self.position += len(values)

    def tell(self, now_ms: int) -> list[Contacted]:
        self.fold.settle(now_ms)
        for told in self.fold.take_days():
            self.days[told.row, told.day] = told.counts
        contacted = self.fold.take_contacted((1, self.position))
        for each in contacted:
            plain = msgspec.structs.replace(each, revision=(0, 0))
            self.contacted[each.customer_id, each.visitor_id, each.contact_id] = plain
        self.contacts.update(self.fold.take_contacts())
        return contacted

    def checkpoint(self) -> None:
        for bucket in self.fold.take_changes().values():
            for key, value in bucket.items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value
        self.stored_position = self.position

    def crash(self) -> None:
        """Another worker goes on from the checkpoint; stage 2 takes back what it does not hold."""
        self.fold = self.new()
        self.fold.load(list(self.entries.items()))
        self.position = self.stored_position
        self.days.clear()

    def counts(self, row: str, day: int = DAY_0) -> dict[str, int]:
        return self.days.get((row, day), {})

    def live(self) -> set[tuple[str, str, str]]:
        """(customer, visitor, contact) of which the visitor's partition knows."""
        return {key for key, told in self.contacted.items() if not told.withdrawn}


def dumped(fold: CustomerFold) -> dict[str, bytes]:
    return {key: value for bucket in range(BUCKETS) for key, value in fold.dump(bucket).items()}


# --- once is enough, or is it -----------------------------------------------------------------------------------


def test_who_does_not_come_back_within_seven_days_was_helped_the_first_time() -> None:
    """Answered at 9:01, over at 9:06: provisional until 9:06 seven days later, then for good."""
    shard = Shard()
    shard.read(contact("a", BASE))
    over_ms = BASE + 6 * MINUTE + 7 * DAY
    shard.tell(over_ms - 1)
    assert shard.counts(VOICE) == {"repeat_n": 1, "prov_n": 1, "prov_k": 1}
    shard.tell(over_ms)
    assert shard.counts(VOICE) == {"repeat_n": 1, "fcr_n": 1, "fcr_k": 1}


@pytest.mark.parametrize(
    ("back_ms", "helped"), [(7 * DAY, 0), (7 * DAY + 6 * MINUTE, 0), (7 * DAY + 6 * MINUTE + 1, 1)]
)
def test_the_seven_days_begin_when_the_handling_ended(back_ms: int, helped: int) -> None:
    shard = Shard()
    shard.read(contact("a", BASE), contact("b", BASE + back_ms))
    shard.tell(BASE + 8 * DAY)
    counts = shard.counts(VOICE)
    assert (counts["fcr_n"], counts.get("fcr_k", 0)) == (1, helped)


def test_a_week_of_one_customer_adds_up() -> None:
    """Worked by hand: Monday billing (back on Wednesday for the same: not helped); Tuesday a chat on delivery (back on
    Thursday for nobody noted what, which may be the same: not helped); Wednesday hung up (not handled, so it cannot have
    helped); Thursday (nobody came back: helped). Three of four came within a week of another; two changed channel.
    """
    week = [
        contact("mo", BASE, reason="billing"),
        contact("tu", BASE + DAY, reason="delivery", channel="chat"),
        contact("we", BASE + 2 * DAY, reason="billing", talked_min=None),
        contact("th", BASE + 3 * DAY),
    ]
    shard = Shard()
    shard.read(*week)
    shard.tell(BASE + 20 * DAY)
    assert shard.counts(VOICE, DAY_0) == {"repeat_n": 1, "fcr_n": 1}
    assert shard.counts(CHAT, DAY_0 + 1) == {"repeat_n": 1, "repeat_k": 1, "fcr_n": 1}
    assert shard.counts(VOICE, DAY_0 + 2) == {"repeat_n": 1, "repeat_k": 1}
    assert shard.counts(VOICE, DAY_0 + 3) == {"repeat_n": 1, "repeat_k": 1, "fcr_n": 1, "fcr_k": 1}
    assert shard.counts(switch_row("voice", "chat"), DAY_0 + 1) == {"k": 1}
    assert shard.counts(switch_row("chat", "voice"), DAY_0 + 2) == {"k": 1}


def test_a_return_for_another_reason_is_no_failure_but_still_a_repeated_contact() -> None:
    shard = Shard()
    shard.read(contact("a", BASE, reason="billing"), contact("b", BASE + DAY, reason="delivery"))
    shard.tell(BASE + 9 * DAY)
    assert shard.counts(VOICE) == {"repeat_n": 1, "fcr_n": 1, "fcr_k": 1}
    assert shard.counts(VOICE, DAY_0 + 1)["repeat_k"] == 1


def test_a_reason_that_is_learnt_later_changes_whether_it_was_the_same() -> None:
    shard = Shard()
    shard.read(contact("a", BASE, reason="billing"), contact("b", BASE + HOUR))
    shard.tell(BASE + 8 * DAY)
    assert shard.counts(VOICE)["fcr_k"] == 1
    shard.read(contact("b", BASE + HOUR, reason="delivery", revision=(1, 9)))
    shard.tell(BASE + 8 * DAY)
    assert shard.counts(VOICE)["fcr_k"] == 2


@pytest.mark.parametrize(("back_ms", "repeated"), [(7 * DAY, 1), (7 * DAY + 1, 0)])
def test_who_comes_back_after_the_week_repeats_nothing(back_ms: int, repeated: int) -> None:
    shard = Shard()
    shard.read(contact("a", BASE), contact("b", BASE + back_ms))
    shard.tell(BASE + 7 * DAY + HOUR)
    assert shard.counts(VOICE, DAY_0 + 7).get("repeat_k", 0) == repeated


def test_other_customers_do_not_count() -> None:
    shard = Shard()
    shard.read(contact("a", BASE), contact("b", BASE + HOUR, customer="lee", channel="chat"))
    shard.tell(BASE + 8 * DAY)
    assert shard.counts(VOICE)["fcr_k"] == 1
    assert not [row for row, _ in shard.days if row[0] == "x"]


def test_a_contact_counts_on_the_business_day_of_the_site() -> None:
    """23:30 UTC is the next day in Berlin; in a site whose day starts at 4:00 it is still the same."""
    at_ms = BASE + 14 * HOUR + 30 * MINUTE
    for site, day in ((SITE, DAY_0 + 1), (Site(zone="Europe/Berlin", day_starts_at="04:00"), DAY_0)):
        shard = Shard(site)
        shard.read(contact("a", at_ms))
        shard.tell(at_ms + DAY)
        assert shard.counts(VOICE, day)["repeat_n"] == 1


def test_going_on_to_another_channel_counts_within_a_day_only_and_not_within_a_channel() -> None:
    shard = Shard()
    shard.read(
        contact("a", BASE, channel="chat"), contact("b", BASE + HOUR), contact("c", BASE + 2 * HOUR),
        contact("d", BASE + 26 * HOUR + 1, channel="chat"),
    )  # fmt: skip
    shard.tell(BASE + 2 * DAY)
    switches = {key: counts for key, counts in shard.days.items() if key[0][0] == "x"}
    assert switches == {(switch_row("chat", "voice"), DAY_0): {"k": 1}}


def test_a_contact_that_was_not_this_customers_is_taken_out_of_every_number() -> None:
    shard = Shard()
    shard.read(linked("v"), contact("a", BASE), contact("b", BASE + HOUR, channel="chat"))
    shard.tell(BASE + DAY)
    shard.read(contact("b", BASE + HOUR, channel="chat", revision=(1, 5), withdrawn=True))
    shard.tell(BASE + DAY)
    assert shard.counts(VOICE) == {"repeat_n": 1, "prov_n": 1, "prov_k": 1}
    assert {key: counts for key, counts in shard.days.items() if counts} == {
        (VOICE, DAY_0): shard.counts(VOICE)
    }
    assert shard.live() == {("kim", "v", "a")}
    assert [each.contact_id for each in shard.contacts["kim"]] == ["a"]  # type: ignore[attr-defined]


def test_numbers_stay_when_contacts_are_forgotten() -> None:
    shard = Shard()
    shard.read(contact("a", BASE), contact("b", BASE + DAY))
    shard.tell(BASE + 8 * DAY + MINUTE * 6)
    before = dict(shard.days)
    shard.tell(BASE + 20 * DAY)
    assert shard.fold.customers == 0
    assert shard.contacts["kim"] is None
    assert shard.days == before
    shard.fold.tell_all()
    assert {(told.row, told.day) for told in shard.fold.take_days()} == set(before)


def test_a_fold_that_sleeps_for_weeks_judges_before_it_forgets() -> None:
    shard = Shard()
    shard.read(contact("a", BASE))
    shard.tell(BASE + DAY)
    shard.tell(BASE + 30 * DAY)
    assert shard.counts(VOICE) == {"repeat_n": 1, "fcr_n": 1, "fcr_k": 1}


def test_counters_are_kept_as_long_as_page_models_are() -> None:
    shard = Shard()
    shard.read(contact("a", BASE))
    shard.tell(BASE + 35 * DAY)
    assert [key for key in dumped(shard.fold) if key[0] == "d"]
    shard.tell(BASE + 36 * DAY)
    shard.checkpoint()
    assert not [key for key in dumped(shard.fold) if key[0] == "d"]
    assert set(shard.entries) == {"m"}


# --- visitors are told ------------------------------------------------------------------------------------------


def test_a_visitor_hears_of_every_contact_of_its_customer_also_of_those_before_it_was_known() -> None:
    shard = Shard()
    shard.read(contact("before", BASE - DAY, reason="billing"), linked("v", BASE))
    shard.tell(BASE)
    shard.read(contact("after", BASE + HOUR))
    (told,) = shard.tell(BASE + HOUR)
    assert told == Contacted(
        visitor_id="v", customer_id="kim", contact_id="after", channel="voice", queue="Sales",
        queued_ms=BASE + HOUR, revision=(1, 3),
    )  # fmt: skip
    assert shard.contacted["kim", "v", "before"].reason == "billing"


def test_each_of_several_visitors_and_each_customer_of_a_shared_device_hears_its_own() -> None:
    shard = Shard()
    shard.read(linked("phone"), linked("laptop"), linked("laptop", customer="lee"))
    shard.read(contact("a", BASE), contact("b", BASE, customer="lee"))
    shard.tell(BASE)
    assert shard.live() == {("kim", "phone", "a"), ("kim", "laptop", "a"), ("lee", "laptop", "b")}


def test_what_changes_only_for_agents_is_not_told_to_visitors() -> None:
    shard = Shard()
    shard.read(linked("v"), CustomerContact("kim", "a", "voice", "Sales", BASE, "", None, 0, (1, 0)))
    assert len(shard.tell(BASE)) == 1
    shard.read(contact("a", BASE, revision=(1, 1)))
    assert not shard.tell(BASE + HOUR)
    shard.read(contact("a", BASE, revision=(1, 2), reason="billing"))
    assert [each.reason for each in shard.tell(BASE + HOUR)] == ["billing"]


def test_a_visitor_that_never_was_the_customers_hears_that_none_of_it_was_true() -> None:
    shard = Shard()
    shard.read(linked("v"), contact("a", BASE), contact("b", BASE + HOUR))
    shard.tell(BASE + HOUR)
    shard.read(linked("v", revision=(1, 7), withdrawn=True))
    assert {(each.contact_id, each.withdrawn) for each in shard.tell(BASE + HOUR)} == {
        ("a", True),
        ("b", True),
    }


def test_a_withdrawal_is_told_though_this_worker_never_told_what_it_withdraws() -> None:
    shard = Shard()
    shard.read(contact("a", BASE), linked("v"), linked("v", revision=(1, 7), withdrawn=True))
    assert [each.withdrawn for each in shard.tell(BASE)] == [True]


def test_an_older_statement_changes_nothing() -> None:
    shard = Shard()
    shard.read(linked("v"), contact("a", BASE, revision=(2, 1)))
    shard.tell(BASE)
    shard.read(contact("a", BASE, revision=(1, 9), reason="zombie", withdrawn=True))
    assert not shard.tell(BASE)
    assert shard.live() == {("kim", "v", "a")}


def test_a_new_incarnation_tells_again_what_is_recent() -> None:
    shard = Shard()
    shard.read(linked("v"), contact("old", BASE), contact("new", BASE + 3 * DAY))
    shard.tell(BASE + 3 * DAY)
    shard.checkpoint()
    shard.crash()
    assert [each.contact_id for each in shard.tell(BASE + 3 * DAY)] == ["new"]
    assert shard.counts(VOICE)["repeat_n"] == 1


# --- earlier contacts -------------------------------------------------------------------------------------------


def test_a_journey_lists_earlier_contacts_the_newest_first() -> None:
    shard = Shard()
    shard.read(*(contact(f"c{n}", BASE + n * MINUTE) for n in range(MOST_LISTED + 5)))
    shard.tell(BASE + HOUR)
    listed = shard.contacts["kim"]
    assert [each.contact_id for each in listed][:2] == ["c54", "c53"]  # type: ignore[attr-defined]
    assert len(listed) == MOST_LISTED  # type: ignore[arg-type]


def test_a_customer_who_is_forgotten_leaves_nothing_behind() -> None:
    shard = Shard()
    shard.read(linked("v"), contact("a", BASE), contact("b", BASE + HOUR), contact("c", BASE, customer="lee"))
    shard.tell(BASE + HOUR)
    shard.checkpoint()
    shard.fold.forget("kim")
    shard.tell(BASE + HOUR)
    shard.checkpoint()
    assert not shard.live()
    assert shard.contacts["kim"] is None
    assert shard.counts(VOICE) == {"repeat_n": 1, "prov_n": 1, "prov_k": 1}
    assert shard.entries == dumped(shard.fold)
    assert not [key for key, value in shard.entries.items() if "kim" in key or b"kim" in value]


def test_who_asked_to_be_forgotten_stays_so_when_told_of_again_and_begins_anew() -> None:
    shard = Shard()
    old: list[CustomerStatement] = [
        linked("v"),
        linked("w", BASE + HOUR),
        contact("a", BASE),
        contact("b", BASE + HOUR, channel="chat"),
    ]
    shard.read(*old)
    shard.tell(BASE + 2 * HOUR)
    shard.read(contact("late", BASE + HOUR), CustomerForgotten("kim", BASE + 2 * HOUR))
    assert not shard.tell(BASE + 2 * HOUR), "whoever forgets a customer forgets its visitors as well"
    assert shard.contacts["kim"] is None
    assert not any(shard.days.values())
    shard.checkpoint()
    shard.crash()
    shard.read(*old, contact("c", BASE + DAY), linked("x", BASE + DAY))
    shard.tell(BASE + DAY)
    assert {key for key in shard.live() if key[1] == "x"} == {("kim", "x", "c")}
    assert shard.counts(VOICE, DAY_0 + 1) == {"repeat_n": 1, "prov_n": 1, "prov_k": 1}
    shard.tell(BASE + 60 * DAY)
    shard.checkpoint()
    assert set(shard.entries) == {"m"}


def test_that_a_customer_is_forgotten_may_be_said_before_or_after_what_it_forgets() -> None:
    said: list[CustomerStatement] = [
        linked("v"), contact("a", BASE), CustomerForgotten("kim", BASE), contact("b", BASE + 1), linked("w", BASE + 1),
    ]  # fmt: skip
    for order in permutations(said):
        shard = Shard()
        for each in order:
            shard.read(each)
            shard.tell(BASE + HOUR)
        assert {key for key in shard.live() if key[1] == "w"} == {("kim", "w", "b")}
        assert shard.counts(VOICE) == {"repeat_n": 1, "prov_n": 1, "prov_k": 1}


# --- limits -----------------------------------------------------------------------------------------------------


def test_beyond_the_limit_the_newest_contacts_count_in_whatever_order_they_come() -> None:
    many = [contact(f"c{n}", BASE + n * MINUTE) for n in range(MOST_CONTACTS + 30)]
    shuffled = random.Random(7).sample(many, len(many))
    heard = []
    for order in (many, list(reversed(many)), shuffled):
        shard = Shard()
        shard.read(linked("v"))
        for each in order:
            shard.read(each)
            shard.tell(BASE + 5 * HOUR)
        heard.append((shard.counts(VOICE), shard.live(), shard.contacts))
        assert shard.fold.dropped["contacts"] == 30
    assert heard[0] == heard[1] == heard[2]
    assert heard[0][0]["repeat_n"] == len(heard[0][1]) == MOST_CONTACTS


def test_beyond_the_limit_the_visitors_linked_last_are_told() -> None:
    shard = Shard()
    shard.read(contact("a", BASE), *(linked(f"v{n}", BASE + n) for n in range(MOST_VISITORS + 3)))
    shard.tell(BASE)
    assert {visitor for _, visitor, _ in shard.live()} == {f"v{n}" for n in range(3, MOST_VISITORS + 3)}
    shard.read(linked("w", BASE + 999))
    shard.tell(BASE)
    assert ("kim", "v3", "a") not in shard.live()
    assert shard.fold.dropped["visitors"] == 4


def test_a_site_with_more_customers_than_there_is_room_for_forgets_who_was_silent_longest() -> None:
    shard = Shard()
    for n in range(1200):
        shard.read(linked(f"v{n}", customer=f"c{n}"))
        shard.tell(BASE)
    assert shard.fold.customers == 1000
    assert shard.fold.dropped["customers"] == 200
    shard.read(contact("a", BASE, customer="c199"), contact("b", BASE, customer="c1199"))
    shard.tell(BASE)
    assert shard.live() == {("c1199", "v1199", "b")}


def test_what_is_told_too_late_is_counted_and_nothing_else() -> None:
    shard = Shard()
    shard.tell(BASE + 31 * DAY)
    shard.read(contact("a", BASE), linked("v"), CustomerForgotten("kim", BASE))
    shard.tell(BASE + 31 * DAY)
    assert shard.fold.dropped == {"late": 3}
    assert (shard.days, shard.contacted, shard.contacts, shard.fold.customers) == ({}, {}, {}, 0)


def test_days_that_are_no_longer_kept_are_not_counted_below_nothing() -> None:
    """A contact is known for longer than its day is kept, where that is short; also after a restart."""
    site = Site(zone="Europe/Berlin", journeys=JourneyPolicy(keep_days=3))
    shard = Shard(site)
    shard.read(contact("a", BASE), contact("b", BASE + 4 * DAY))
    shard.tell(BASE + 4 * DAY)
    shard.checkpoint()
    shard.crash()
    shard.read(contact("a", BASE, revision=(1, 5), withdrawn=True))
    shard.tell(BASE + 4 * DAY)
    assert {day for (_, day), counts in shard.days.items() if counts} == {DAY_0 + 4}
    assert "repeat_k" not in shard.counts(VOICE, DAY_0 + 4)
    assert not [key for key in dumped(shard.fold) if key[0] == "d" and key.endswith(str(DAY_0))]


# --- time -------------------------------------------------------------------------------------------------------


def test_in_a_replay_time_goes_on_as_the_slowest_source_once_all_are_there() -> None:
    shard = Shard(event_clock=True, sources=2)
    shard.read(CustomerClock("calls/0", BASE + DAY, True))
    assert shard.fold.clock_ms == 0
    shard.read(CustomerClock("web/0", BASE + HOUR, True), CustomerClock("calls/0", BASE, True))
    shard.tell(BASE + 100 * DAY)
    assert shard.fold.clock_ms == BASE + HOUR
    shard.read(CustomerClock("web/0", BASE + 3 * DAY, True), CustomerClock("web/0", 0, True))
    assert shard.fold.clock_ms == BASE + DAY


def test_the_clock_of_a_worker_with_another_clock_touches_nothing() -> None:
    live = Shard()
    live.read(contact("a", BASE), linked("v"))
    live.tell(BASE + DAY)
    live.read(CustomerClock("calls/0", BASE - 9 * DAY, True), CustomerClock("calls/0", BASE + 9 * DAY, True))
    assert not live.fold.is_replay
    live.tell(BASE + DAY + 1)
    assert live.fold.clock_ms == BASE + DAY + 1
    assert live.contacts["kim"]
    replay = Shard(event_clock=True)
    replay.read(CustomerClock("calls/0", BASE, True), CustomerClock("calls/0", BASE + DAY, False))
    assert replay.fold.clock_ms == BASE


# --- bad input --------------------------------------------------------------------------------------------------

GOOD = contact("a", BASE)
BAD = [
    (b"", Reason.EMPTY),
    (b"\xc1", Reason.NOT_AN_EVENT),
    (b"\x93\xa1z\x01\x02", Reason.NOT_AN_EVENT),
    (encode_customer(GOOD)[:-2], Reason.NOT_AN_EVENT),
    (b"\x91" * 100_000, Reason.NOT_AN_EVENT),
    (msgspec.msgpack.encode(["c", "kim", 7]), Reason.NOT_AN_EVENT),
    (encode_customer(msgspec.structs.replace(GOOD, customer_id="")), Reason.BAD_NAME),
    (encode_customer(msgspec.structs.replace(GOOD, contact_id="x" * 201)), Reason.BAD_NAME),
    (encode_customer(msgspec.structs.replace(GOOD, queue="a\x1fb")), Reason.BAD_NAME),
    (encode_customer(msgspec.structs.replace(GOOD, channel="")), Reason.BAD_NAME),
    (encode_customer(msgspec.structs.replace(GOOD, reason="\x1e")), Reason.BAD_NAME),
    (encode_customer(msgspec.structs.replace(GOOD, queued_ms=1 << 60)), Reason.TIME_OUT_OF_RANGE),
    (encode_customer(msgspec.structs.replace(GOOD, handled_ms=-5)), Reason.TIME_OUT_OF_RANGE),
    (encode_customer(linked("v", at_ms=-1)), Reason.TIME_OUT_OF_RANGE),
    (encode_customer(linked("")), Reason.BAD_NAME),
    (encode_customer(CustomerForgotten("kim", 1 << 62)), Reason.TIME_OUT_OF_RANGE),
    (encode_customer(CustomerForgotten("", BASE)), Reason.BAD_NAME),
    (encode_customer(CustomerClock("calls/0", 1 << 62, True)), Reason.TIME_OUT_OF_RANGE),
]


def test_what_is_no_statement_is_a_dead_letter_and_stops_nothing() -> None:
    shard = Shard()
    values = [value for value, _ in BAD]
    letters = shard.fold.apply([Stored(n, v) for n, v in enumerate([*values, encode_customer(GOOD)])], 0)
    assert [(letter.offset, letter.reason) for letter in letters] == [
        (n, why) for n, (_, why) in enumerate(BAD)
    ]
    shard.tell(BASE)
    assert shard.counts(VOICE)["repeat_n"] == 1
    assert not shard.fold.is_replay
    assert shard.fold.apply([Stored(0, None)], 0)[0].reason == Reason.EMPTY


# --- luck -------------------------------------------------------------------------------------------------------


class Story(NamedTuple):
    statements: list[CustomerContact | CustomerVisitor]
    arriving: list[CustomerContact | CustomerVisitor]
    dice: random.Random


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Statements about few customers that correct each other, in order and as they arrive: shuffled and repeated."""
    dice = draw(st.randoms(use_true_random=False))
    said: list[CustomerContact | CustomerVisitor] = []
    for position in range(draw(st.integers(1, 25))):
        customer, revision = dice.choice(("kim", "lee")), (dice.randint(1, 2), position)
        taken_back = dice.random() < 0.2
        if dice.random() < 0.3:
            at_ms = BASE + dice.randint(0, 72) * HOUR
            said.append(
                linked(dice.choice("uvw"), at_ms, customer=customer, revision=revision, withdrawn=taken_back)
            )
            continue
        said.append(
            contact(
                dice.choice("abcde"),
                BASE + dice.randint(0, 72) * HOUR,
                customer=customer,
                talked_min=dice.choice((None, 3, 20)),
                channel=dice.choice(("voice", "chat")),
                reason=dice.choice((None, None, "billing", "delivery")),
                revision=revision,
                withdrawn=taken_back,
            )
        )
    arriving = said + dice.sample(said, len(said) // 2)
    dice.shuffle(arriving)
    return Story(said, arriving, dice)


def expected_days(statements: list[CustomerContact | CustomerVisitor], now_ms: int) -> Days:
    """definitions.md, word by word, over all pairs of contacts."""
    out: Days = {}

    def add(row: str, each: CustomerContact, counter: str) -> None:
        day = DAY_0 + (each.queued_ms + HOUR - (BASE - 9 * HOUR)) // DAY  # Berlin is an hour ahead in March
        counts = out.setdefault((row, day), {})
        counts[counter] = counts.get(counter, 0) + 1

    for customer in ("kim", "lee"):
        newest: dict[str, CustomerContact] = {}
        for each in sorted(
            (s for s in statements if isinstance(s, CustomerContact)), key=lambda s: s.revision
        ):
            if each.customer_id == customer:
                newest[each.contact_id] = each
        contacts = sorted(
            (each for each in newest.values() if not each.withdrawn),
            key=lambda c: (c.queued_ms, c.contact_id),
        )
        for place, each in enumerate(contacts):
            row = customer_row(each.queue, each.channel)
            add(row, each, "repeat_n")
            if any(each.queued_ms - before.queued_ms <= 7 * DAY for before in contacts[:place]):
                add(row, each, "repeat_k")
            last = contacts[place - 1] if place else each
            if last.channel != each.channel and each.queued_ms - last.queued_ms <= DAY:
                add(switch_row(last.channel, each.channel), each, "k")
            if each.handled_ms:
                kind = "fcr" if each.handled_ms + 7 * DAY <= now_ms else "prov"
                add(row, each, f"{kind}_n")
                if not any(
                    later.queued_ms <= each.handled_ms + 7 * DAY
                    and (None in (later.reason, each.reason) or later.reason == each.reason)
                    for later in contacts[place + 1 :]
                ):
                    add(row, each, f"{kind}_k")
    return out


def expected_pairs(statements: list[CustomerContact | CustomerVisitor]) -> set[tuple[str, str, str]]:
    newest: dict[tuple[type, str, str], CustomerContact | CustomerVisitor] = {}
    for each in sorted(statements, key=lambda s: s.revision):
        name = each.contact_id if isinstance(each, CustomerContact) else each.visitor_id
        newest[type(each), each.customer_id, name] = each
    live = {key for key, each in newest.items() if not each.withdrawn}
    return {
        (customer, visitor, call)
        for kind, customer, visitor in live
        if kind is CustomerVisitor
        for other, of, call in live
        if other is CustomerContact and of == customer
    }


@given(stories(), st.sampled_from((4 * DAY, 8 * DAY, 10 * DAY + HOUR, 25 * DAY)))
def test_any_order_repetition_and_accident_ends_in_what_the_definitions_say(story: Story, end: int) -> None:
    told_ms = BASE + 4 * DAY
    shard = Shard()
    while shard.position < len(story.arriving):
        shard.read(*story.arriving[shard.position :][: story.dice.randint(1, 4)])
        what = story.dice.random()
        if what < 0.6:
            shard.tell(told_ms)
        if 0.4 < what < 0.8:
            shard.tell(told_ms)
            shard.checkpoint()
        elif what > 0.9:
            shard.crash()
    shard.tell(told_ms)
    assert shard.live() == expected_pairs(story.statements)
    for share in sorted(story.dice.random() for _ in range(story.dice.randint(0, 5))):
        shard.tell(told_ms + round(share * (end - 4 * DAY)))
        if story.dice.random() < 0.5:
            shard.checkpoint()
            shard.crash()
    shard.tell(BASE + end)
    assert {key: counts for key, counts in shard.days.items() if counts} == expected_days(
        story.statements, BASE + end
    )
    shard.checkpoint()
    assert shard.entries == dumped(shard.fold)
    again = Shard()
    again.fold.load(list(shard.entries.items()))
    assert dumped(again.fold) == shard.entries


@given(stories())
def test_customers_who_were_listed_in_another_order_have_the_same_journey(story: Story) -> None:
    journeys = []
    for statements in (story.statements, story.arriving):
        shard = Shard()
        for each in statements:
            shard.read(each)
            shard.tell(BASE + 4 * DAY)
        journeys.append({customer: listed for customer, listed in shard.contacts.items() if listed})
    assert journeys[0] == journeys[1]
