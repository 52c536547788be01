"""Do a browser's events say what happened, when, and of nobody whose name they should not know?"""

import json
from typing import Any

import msgspec
import pytest

from agents.collector.batches import Batches, is_bot
from agents.collector.records import Taken
from schemas import web_events as w
from schemas.web_batch import decode_batch
from streams.decode import unix_ms
from tests.collector.running import KEYS, ORIGIN, SECRET, batch, identify, seen, settings

NOW = 1_790_000_000_000
decode_web = msgspec.json.Decoder(w.BrowserEvent | w.IdentityLinked | w.Intervention).decode


def taken(
    *events: dict[str, Any], sent: int = NOW, received: int = NOW, bot: bool = False, **more: Any
) -> Taken:
    batches = Batches(settings(**more), KEYS, "x.")
    made = decode_batch(json.dumps(batch(*events, sent=sent)).encode())
    return batches.taken(made, batches.sites["shop"], received, bot=bot)


def event(*events: dict[str, Any], **how: Any) -> Any:
    found = taken(*events, **how)
    assert not found.refused
    (record,) = found.records
    return decode_web(record.value)


def at(happened: int, sent: int, received: int) -> int | None:
    time = unix_ms(event(seen(at=happened), sent=sent, received=received).time)
    assert time is not None
    return time - NOW


def test_a_page_view_names_page_and_visitor_and_not_the_url_or_the_browser() -> None:
    found = taken(seen(at=NOW, referrer=f"{ORIGIN}/orders/778899?mail=a@b.example"))
    (record,) = found.records
    made = decode_web(record.value)
    visitor = KEYS.visitor("browser1")
    assert made == w.WebPageView(
        id=f"{visitor}.e1",
        source="web/shop",
        time=made.time,
        data=w.View(visitor_id=visitor, page="/cart/{id}", view_id="v1", from_page="/orders/{id}"),
    )
    assert (record.topic, record.key) == ("x.web", visitor)
    assert found.types == ["web.page_view"]
    for secret in (b"12345", b"778899", b"a@b", b"browser1", b"https"):
        assert secret not in record.value


def test_the_same_batch_gives_the_same_events() -> None:
    events = [seen(id_=str(number), at=NOW - number) for number in range(5)]
    assert taken(*events) == taken(*events)


def test_where_from_is_said_only_of_pages_of_the_site() -> None:
    assert event(seen(at=NOW, referrer="https://search.example/q?tanaka")).data.from_page is None


@pytest.mark.parametrize(
    ("happened", "sent", "received", "expected"),
    [
        (-500, 0, 300, -500),  # a good clock and a slow network: as it is
        (-500, 0, 2_000, -500),
        (-500, -60_000, 0, 0),  # a minute slow; the event, after it was sent, cannot be later than now
        (-60_500, -60_000, 0, -500),
        (3_599_500, 3_600_000, 0, -500),  # an hour fast
        (5_000, 0, 0, 0),  # of the future by its own clock
    ],
)
def test_the_clock_of_a_browser_is_corrected_by_when_it_sent(
    happened: int, sent: int, received: int, expected: int
) -> None:
    assert at(NOW + happened, NOW + sent, NOW + received) == expected


def test_what_was_kept_for_days_without_a_network_is_taken_for_three_days() -> None:
    hour = 3_600_000
    assert at(NOW - 71 * hour, NOW, NOW) == -71 * hour
    found = taken(seen(at=NOW - 73 * hour), seen(id_="e2", at=NOW))
    assert [each.reason for each in found.refused] == ["too_old"]
    assert found.refused[0].field == "events[0].at"
    assert len(found.records) == 1


@pytest.mark.parametrize(
    ("sent", "type_", "said"),
    [
        (seen("ping", at=NOW), "web.page_ping", {}),
        (seen("leave", at=NOW), "web.page_leave", {}),
        (seen("click", at=NOW, x=3, y=4, target="link", dead=True, exempt=True), "web.click",
         {"x": 3, "y": 4, "target": "link", "dead": True, "exempt": True}),
        (seen("error", at=NOW, kind="network", status=502), "web.error", {"kind": "network", "status": 502}),
        (seen("form", at=NOW, form="Order", field="zip\x00 778899"), "web.form_error",
         {"kind": "error", "form": "order", "field": "zip #"}),
        (seen("form", at=NOW, kind="reentry", form="", field="address2"), "web.form_error",
         {"kind": "reentry", "form": None, "field": "address2"}),
        (seen("search", at=NOW, hits=0, term="tanaka"), "web.search", {"hits": 0, "term": None}),
        (seen("intervention", at=NOW, what="shown", kind="Chat 10%", flag="f1"), "intervention.shown",
         {"kind": "Chat 10%", "flag_id": "f1", "page": "/cart/{id}"}),
        (seen("intervention", at=NOW, what="declined", kind="FAQ"), "intervention.declined",
         {"kind": "FAQ", "flag_id": None}),
    ],
)  # fmt: skip
def test_what_happened_is_told_as_its_event(sent: dict[str, Any], type_: str, said: dict[str, Any]) -> None:
    made = event(sent)
    assert made.__struct_config__.tag == type_
    assert {name: getattr(made.data, name) for name in said} == said


def test_search_terms_are_kept_only_where_the_site_says_so_and_then_without_numbers() -> None:
    sent = seen("search", at=NOW, term="Order 12345 tanaka@example.com")
    assert event(sent, keep_search_terms=True).data.term == "order # {email}"
    assert event(seen("search", at=NOW, term="\x00"), keep_search_terms=True).data.term is None


def test_a_login_that_the_site_signed_links_visitor_and_customer_by_pseudonyms() -> None:
    made = event(identify("tanaka", at=NOW))
    assert made.data == w.Linked(visitor_id=KEYS.visitor("browser1"), customer_id=KEYS.of("tanaka"))


def test_logging_out_needs_no_signature() -> None:
    assert event(identify(None, at=NOW)).data.customer_id is None


@pytest.mark.parametrize(
    "forged",
    [
        identify("tanaka", "another secret of the shop"),
        identify("tanaka") | {"customer": "suzuki"},
        identify("tanaka") | {"signature": None},
        identify("tanaka") | {"signature": "é" * 64},
        identify(KEYS.of("tanaka"), "guess"),
    ],
    ids=range(5),
)
def test_a_login_with_a_wrong_signature_is_refused_and_the_others_go_on(forged: dict[str, Any]) -> None:
    found = taken(seen(at=NOW), forged | {"at": NOW}, seen("ping", "e2", at=NOW))
    assert found.types == ["web.page_view", "web.page_ping"]
    assert [(each.reason, each.field) for each in found.refused] == [("not_signed", "events[1].signature")]


def test_without_a_secret_nobody_is_identified() -> None:
    batches = Batches(settings(), KEYS)
    login = identify("tanaka", url="https://news.example.com/", at=NOW)
    made = decode_batch(json.dumps(batch(login, sent=NOW)).encode())
    assert [each.reason for each in batches.taken(made, batches.sites["news"], NOW).refused] == ["not_signed"]


@pytest.mark.parametrize("url", ["https://evil.example/", "/cart", "about:blank", f"{ORIGIN}@evil.example/"])
def test_a_url_that_is_not_of_the_site_is_refused(url: str) -> None:
    assert [each.reason for each in taken(seen(url=url, at=NOW)).refused] == ["wrong_host"]


def test_a_kind_of_help_with_control_characters_is_refused() -> None:
    found = taken(seen("intervention", what="shown", kind="a\nb", at=NOW))
    assert [(each.reason, each.field) for each in found.refused] == [("bad_name", "events[0].kind")]


@pytest.mark.parametrize(
    ("agent", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0 Safari/537.36", True),
        ("python-requests/2.32", True),
        ("", True),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
            False,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            False,
        ),
    ],
)
def test_a_browser_that_says_it_is_a_program_is_one(agent: str, bot: bool) -> None:
    assert is_bot(agent) is bot
    assert event(seen(at=NOW), bot=is_bot(agent)).data.bot is bot


def test_the_secret_of_the_site_is_not_that_of_another() -> None:
    assert SECRET not in repr(settings())
