"""Are people told apart without being known, senders slowed without being named, and back ends known by what they sign?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.callers import Buckets
from agents.collector.hashed_callers import Callers
from agents.collector.signatures import NotSigned, Signatures
from agents.journeys.customer_keys import CustomerKeys, keys_in, random_keys
from agents.signing import signature

OLD, NEW = ("k1", "an old secret of the tenant"), ("k2", "a new secret of the tenant")


def test_a_customer_has_a_name_that_says_which_key_made_it_and_keeps_it() -> None:
    keys = CustomerKeys([NEW, OLD])
    made = keys.of("tanaka")
    assert made.startswith("ck2_")
    assert len(made) == len("ck2_") + 24
    assert "tanaka" not in made
    assert keys.of(made) == made
    assert keys.of(CustomerKeys([OLD]).of("tanaka")) == CustomerKeys([OLD]).of("tanaka")


def test_a_customer_is_found_under_every_key_and_a_name_of_no_key_of_ours_is_a_raw_one() -> None:
    keys = CustomerKeys([NEW, OLD])
    assert keys.all_of("tanaka") == [CustomerKeys([NEW]).of("tanaka"), CustomerKeys([OLD]).of("tanaka")]
    stranger = CustomerKeys([("other", "x" * 16)]).of("tanaka")
    assert keys.of(stranger) != stranger


def test_a_browser_cannot_say_that_it_is_another_visitor_but_we_can() -> None:
    keys = CustomerKeys([NEW])
    made = keys.visitor("browser1")
    assert made.startswith("vk2_")
    assert keys.visitor(made) != made
    assert keys.visitor_of_ours(made) == made
    assert keys.visitor_of_ours("browser1") == made
    assert keys.visitor("x")[4:] != keys.of("x")[4:]


@given(st.text(min_size=1))
def test_every_id_has_a_name_of_the_same_form(raw: str) -> None:
    made = CustomerKeys([NEW]).of(raw)
    assert made.isascii()
    assert len(made) == 28


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("k2 new\nk1 old\n", [("k2", "new"), ("k1", "old")]),
        ("# comment\n\n  alone  \n", [("1", "alone")]),
        ("", []),
    ],
)
def test_a_file_of_keys_has_a_line_each(text: str, found: list[tuple[str, str]]) -> None:
    assert keys_in(text) == found


@pytest.mark.parametrize(
    "keys", [[], [("k", "short")], [("k_1", "x" * 16)], [("", "x" * 16)], [("k", "x" * 16), ("k", "y" * 16)]]
)
def test_keys_that_cannot_be_used_are_refused_without_being_told(keys: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        CustomerKeys(keys)
    assert "short" not in str(refused.value)


def test_a_line_with_three_words_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        keys_in("a b c")


def test_random_keys_are_not_the_same_twice() -> None:
    assert random_keys().of("x") != random_keys().of("x")


# --- who sends, and how often -----------------------------------------------------------------------------------------


def test_a_caller_has_a_minutes_worth_and_gets_it_back_over_a_minute() -> None:
    rates = Buckets(per_minute=60)
    assert [rates.take(b"a", 0.0) for _ in range(60)] == [0.0] * 60
    assert rates.take(b"a", 0.0) == pytest.approx(1.0)
    assert rates.take(b"b", 0.0) == 0.0
    assert rates.take(b"a", 1.0) == 0.0
    assert rates.take(b"a", 1.0) > 0
    assert [rates.take(b"a", 100.0) for _ in range(60)] == [0.0] * 60


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=300), st.integers(1, 30))
def test_in_no_minute_does_a_caller_get_more_than_twice_a_minutes_worth(gaps: list[float], most: int) -> None:
    rates, at, taken = Buckets(most), 0.0, []
    for gap in gaps:
        at += gap
        if rates.take(b"a", at) == 0:
            taken.append(at)
    assert all(sum(t <= each < t + 60 for each in taken) <= 2 * most for t in taken)


def test_however_many_addresses_send_the_memory_is_bounded() -> None:
    rates = Buckets(10, most=100)
    for number in range(1000):
        rates.take(b"%d" % number, 0.0)
    assert len(rates) == 100


def test_an_address_is_known_only_by_a_hash_that_ends_with_the_process() -> None:
    callers = Callers()
    assert b"192.0.2.1" not in callers.of("192.0.2.1")
    assert callers.of("192.0.2.1") == callers.of("::ffff:192.0.2.1") != callers.of("192.0.2.2")
    assert callers.of("192.0.2.1") != Callers().of("192.0.2.1")
    assert callers.of("2001:db8::1") == callers.of("2001:db8::2") != callers.of("2001:db8:0:1::1")


def test_forwarded_addresses_are_believed_of_trusted_proxies_only() -> None:
    callers = Callers(["10.0.0.0/8"])
    client = callers.of("192.0.2.1")
    assert callers.of("10.0.0.1", "192.0.2.1") == client
    assert callers.of("10.0.0.1", "203.0.113.9, 192.0.2.1, 10.0.0.2") == client
    assert callers.of("192.0.2.1", "203.0.113.9") == client
    assert callers.of("10.0.0.1", "garbage") == callers.of("10.0.0.1")
    assert callers.of("10.0.0.1", "192.0.2.7," * 10_000 + "203.0.113.9") == callers.of("203.0.113.9")
    assert Callers().of("", "") is not None


# --- what back ends sign ----------------------------------------------------------------------------------------------

AT, BODY = 1_790_000_000, b'{"a":1}'
SECRETS = {"crm": b"the secret of the crm", "shop": b"the secret of the shop"}


def test_a_back_end_is_known_by_its_signature_within_five_minutes() -> None:
    signatures = Signatures(SECRETS)
    header = signature(SECRETS["shop"], AT, BODY)
    assert header == f"t={AT},v1=" + header[-64:]
    for now in (AT - 300, AT, AT + 300):
        assert signatures.check(header, BODY, now)[0] == "shop"
    both = f"{header},v1={'0' * 64}"
    assert signatures.check(both, BODY, AT)[0] == "shop"


@pytest.mark.parametrize(
    ("header", "body", "now"),
    [
        (signature(SECRETS["shop"], AT, BODY), BODY, AT + 301),
        (signature(SECRETS["shop"], AT, BODY), BODY, AT - 301),
        (signature(SECRETS["shop"], AT, BODY), BODY + b" ", AT),
        (signature(b"another", AT, BODY), BODY, AT),
        (signature(SECRETS["shop"], AT, BODY).replace(f"t={AT}", f"t={AT + 1}"), BODY, AT),
        ("", BODY, AT),
        (f"t={AT}", BODY, AT),
        ("v1=" + "0" * 64, BODY, AT),
        (f"t=-1,v1={'0' * 64}", BODY, AT),
        (f"t={'9' * 1000},v1={'0' * 64}", BODY, AT),
        (f"t={AT},v1=é", BODY, AT),
        (f"t={AT}," + ",".join(["v1=0"] * 10_000), BODY, AT),
    ],
    ids=range(12),
)
def test_any_other_header_is_refused(header: str, body: bytes, now: int) -> None:
    with pytest.raises(NotSigned):
        Signatures(SECRETS).check(header, body, now)


def test_what_was_taken_is_remembered_as_long_as_its_signature_is_good() -> None:
    signatures = Signatures(SECRETS)
    _, signed = signatures.check(signature(SECRETS["crm"], AT, BODY), BODY, AT)
    assert not signatures.was_taken(signed)
    signatures.take(signed, AT)
    assert signatures.was_taken(signed)
    signatures.take("another", AT + 700)
    assert not signatures.was_taken(signed)
