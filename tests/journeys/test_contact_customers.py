"""Does each customer hear of their own contacts, as they stand, whatever order and accidents events came in?"""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import CALLS
from streams.contact_customers import MOST_NAMED
from streams.contact_fold import ContactFold, ContactOfCustomer
from streams.driver import Stored
from tests.streams.bench import BASE, HOUR, MINUTE, SECOND, Store, dumped, event
from tests.streams.stories import SITE

Heard = dict[tuple[str, str], ContactOfCustomer]
"""(customer, contact) -> how it stands."""


def call(kind: str, at_s: int, contact: str = "a", **data: object) -> bytes:
    if kind == "queued":
        data = {"queue": "Sales", **data}
    return event(f"contact.{kind}", BASE + at_s * SECOND, contact_id=contact, **data)


class Shard:
    """A shard of calls, and what customers have heard from it."""

    def __init__(self, *, clock: bool = True) -> None:
        self.fold = ContactFold(SITE, CALLS, 0, event_clock=clock)
        self.store = Store()
        self.heard: Heard = {}
        self.position = 0

    def read(self, values: list[bytes], now_ms: int = 0) -> None:
        batch = [Stored(self.position + n, value) for n, value in enumerate(values)]
        assert not self.fold.apply(batch, now_ms)
        self.position += len(values)

    def tell(self, now_ms: int = 0) -> list[ContactOfCustomer]:
        self.fold.settle(now_ms)
        told = self.fold.take_customers()
        self.heard.update({(each.customer_id, each.contact_id): each for each in told})
        return told

    def checkpoint(self) -> None:
        self.fold.settle(0)
        self.store.save(self.fold, self.position)

    def crash(self) -> None:
        self.fold = ContactFold(SITE, CALLS, 0, event_clock=True)
        self.fold.load(list(self.store.entries.items()))
        self.position = self.store.position

    def of(self, customer: str, contact: str = "a") -> ContactOfCustomer:
        return self.heard[customer, contact]


def stands(*values: bytes) -> ContactOfCustomer:
    shard = Shard()
    shard.read(list(values))
    shard.tell()
    return shard.of("kim")


KIM = {"customer_id": "kim"}


def test_a_caller_who_waits_is_told_without_an_outcome() -> None:
    told = stands(call("queued", 3, **KIM, reason="billing"))
    assert told == ContactOfCustomer(
        "kim", "a", "voice", "Sales", BASE + 3 * SECOND, "", "billing", 0, withdrawn=False
    )


def test_a_caller_who_is_being_served_has_no_outcome_yet() -> None:
    assert stands(call("queued", 0, **KIM), call("answered", 5)).outcome == ""


def test_a_caller_who_was_served_was_answered_and_handled_when_the_talk_ended() -> None:
    told = stands(call("queued", 0, **KIM), call("answered", 5), call("ended", 65))
    assert (told.outcome, told.handled_ms) == ("answered", BASE + 65 * SECOND)


def test_a_caller_who_hung_up_was_not_handled() -> None:
    told = stands(call("queued", 0, **KIM), call("abandoned", 9))
    assert (told.outcome, told.handled_ms) == ("abandoned", 0)


def test_a_caller_passed_on_stands_by_the_first_queue_and_the_last_outcome() -> None:
    story = [
        call("queued", 0, **KIM), call("answered", 5), call("transferred", 60), call("queued", 61, queue="料金"),
    ]  # fmt: skip
    told = stands(*story)
    assert (told.queue, told.queued_ms, told.outcome, told.handled_ms) == ("Sales", BASE, "", 0)
    told = stands(*story, call("abandoned", 90))
    assert (told.queue, told.outcome, told.handled_ms) == ("Sales", "abandoned", BASE + 60 * SECOND)


def test_a_caller_nothing_is_heard_of_any_more_is_lost_when_the_reaper_says_so() -> None:
    shard = Shard()
    shard.read([call("queued", 0, **KIM)])
    shard.tell()
    shard.fold.advance(BASE + 11 * MINUTE)
    shard.tell()
    assert shard.of("kim").outcome == "lost"


def test_a_wrap_up_code_says_more_than_the_reason_given_on_the_way_in_and_the_newest_says_most() -> None:
    first = [call("queued", 0, **KIM, reason="menu 3"), call("answered", 5)]
    assert stands(*first).reason == "menu 3"
    done = [*first, call("ended", 60, reason="billing")]
    assert stands(*done).reason == "billing"
    assert stands(*done, call("wrapped", 80, reason="refund")).reason == "refund"
    assert stands(*done, call("wrapped", 80)).reason == "billing"


def test_a_reason_with_control_characters_is_none_and_loses_no_event() -> None:
    told = stands(call("queued", 0, **KIM, reason="a\x1fb"), call("abandoned", 9))
    assert (told.reason, told.outcome) == (None, "abandoned")


def test_a_contact_that_two_customers_are_named_for_is_that_of_whom_it_was_named_for_first() -> None:
    shard = Shard()
    shard.read([call("queued", 10, customer_id="lee")])
    assert [each.withdrawn for each in shard.tell()] == [False]
    shard.read([call("queued", 0, customer_id="kim")])
    assert {each.customer_id: each.withdrawn for each in shard.tell()} == {"kim": False, "lee": True}


def test_of_two_names_at_the_same_time_the_smaller_counts() -> None:
    for order in ((b"", b"x"), (b"x", b"")):
        shard = Shard()
        named = {b"": call("queued", 0, customer_id="kim"), b"x": call("queued", 0, customer_id="lee")}
        shard.read([named[each] for each in order])
        shard.tell()
        assert not shard.of("kim").withdrawn
        assert shard.of("lee").withdrawn


def test_a_contact_without_a_customer_is_told_to_nobody_and_is_not_kept() -> None:
    shard = Shard()
    shard.read([call("queued", 0), call("answered", 5), call("ended", 60)])
    assert not shard.tell()
    assert not [key for key in dumped(shard.fold) if key[0] == "k"]


def test_nothing_is_told_twice_while_nothing_changes_and_all_again_when_asked() -> None:
    shard = Shard()
    shard.read([call("queued", 0, **KIM), call("queued", 1, "b", customer_id="lee")])
    assert len(shard.tell()) == 2
    shard.read([call("offered", 3), call("answered", 5), call("queued", 0, **KIM)])
    assert not shard.tell()
    shard.fold.tell_all()
    assert {each.contact_id for each in shard.tell()} == {"a", "b"}


def test_a_contact_that_is_forgotten_is_not_told_any_more() -> None:
    shard = Shard()
    shard.read([call("queued", 0, **KIM), call("abandoned", 9)])
    shard.tell()
    shard.fold.advance(BASE + 30 * HOUR)
    shard.fold.settle(0)
    shard.fold.tell_all()
    assert not shard.tell()
    shard.checkpoint()
    assert not [key for key in shard.store.entries if key[0] == "k"]


def test_a_contact_that_anybody_is_named_for_keeps_the_first_and_takes_the_rest_back() -> None:
    shard = Shard()
    names = [f"c{n:03}" for n in range(3 * MOST_NAMED)]
    for n in reversed(range(len(names))):
        shard.read([call("queued", n, customer_id=names[n])])
        shard.tell()
    assert [who for (who, _), told in shard.heard.items() if not told.withdrawn] == ["c000"]
    assert len(shard.heard) == len(names)
    (entry,) = (value for key, value in dumped(shard.fold).items() if key[0] == "k")
    assert len(entry) < MOST_NAMED * 30


@st.composite
def contact_days(draw: st.DrawFn) -> tuple[list[bytes], random.Random]:
    """Contacts with customers and reasons that change and contradict each other."""
    dice = draw(st.randoms(use_true_random=False))
    values = []
    for contact in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        at_s = dice.randint(0, 100)
        for _ in range(draw(st.integers(1, 7))):
            kind = dice.choice(
                ("queued", "queued", "answered", "ended", "wrapped", "abandoned", "transferred")
            )
            said: dict[str, object] = {}
            if kind == "queued":
                said["customer_id"] = dice.choice((None, "kim", "lee", "max"))
            if kind in ("queued", "ended", "wrapped"):
                said["reason"] = dice.choice((None, "billing", "refund"))
            values.append(call(kind, at_s, contact, **said))
            at_s += dice.choice((0, 1, 30, 400))
    return values, dice


def heard_at_the_end(shard: Shard) -> Heard:
    shard.fold.advance(BASE + 2 * HOUR)
    shard.tell()
    return shard.heard


@given(contact_days())
def test_customers_hear_the_same_in_any_order_repeated_and_with_workers_dying(
    day: tuple[list[bytes], random.Random],
) -> None:
    values, dice = day
    calm = Shard()
    for value in sorted(values, key=lambda value: value[value.index(b'"time"') :]):
        calm.read([value])
        calm.tell()
    expected = {key: told for key, told in heard_at_the_end(calm).items() if not told.withdrawn}
    wild = Shard()
    arriving = values + dice.sample(values, len(values) // 2)
    dice.shuffle(arriving)
    while wild.position < len(arriving):
        wild.read(arriving[wild.position :][: dice.randint(1, 4)])
        what = dice.random()
        if what < 0.5:
            wild.tell()
        elif what < 0.7:
            wild.checkpoint()
        elif what < 0.8:
            wild.crash()
    heard = heard_at_the_end(wild)
    assert {key: told for key, told in heard.items() if not told.withdrawn} == expected
    again = ContactFold(SITE, CALLS, 0, event_clock=True)
    again.load(list(dumped(wild.fold).items()))
    assert dumped(again) == dumped(wild.fold)
    told = {(each.customer_id, each.contact_id): each for each in again.take_customers()}
    assert {key: each for key, each in told.items() if not each.withdrawn} == expected


@pytest.mark.parametrize("clock", [True, False])
def test_a_delta_of_changes_equals_a_whole_dump(clock: bool) -> None:
    @given(contact_days())
    def check(day: tuple[list[bytes], random.Random]) -> None:
        values, dice = day
        shard = Shard(clock=clock)
        now_ms = 0 if clock else BASE + HOUR
        for value in values:
            shard.read([value], now_ms)
            if dice.random() < 0.5:
                shard.tell(now_ms)
            if dice.random() < 0.3:
                shard.fold.settle(now_ms)
                shard.store.save(shard.fold, shard.position)
        shard.fold.settle(now_ms)
        shard.store.save(shard.fold, shard.position)
        assert shard.store.entries == dumped(shard.fold)

    check()
