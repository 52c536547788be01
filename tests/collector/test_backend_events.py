"""Do the events of back ends get to the topics of the feeds, under the same keys, and without names?"""

import json
from typing import Any

import pytest

from agents.collector.backend_events import MOST_EVENTS, BackendEvents
from agents.collector.records import Refused, Taken
from streams.decode import Unusable, decode
from tests.collector.running import KEYS

NOW = 1_790_000_000_000
TIME = "2026-09-21T14:13:20Z"


def made(keeps_terms: bool = False) -> BackendEvents:
    return BackendEvents(KEYS, "x.", max_bytes=10_000, ahead_ms=600_000, keeps_terms=keeps_terms)


def event(type_: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "crm",
        "type": type_,
        "time": TIME,
        "data": data,
    } | more


def taken(*events: dict[str, Any], **how: Any) -> Taken:
    found = made(**how).taken(json.dumps(events).encode(), NOW)
    assert isinstance(found, Taken), found
    return found


def refused(*events: object, single: bool = False) -> Refused:
    found = made().taken(json.dumps(events[0] if single else events).encode(), NOW)
    assert isinstance(found, Refused)
    return found


VISITOR = KEYS.visitor("browser1")
ON_PAGE = {
    "visitor_id": "browser1",
    "page": "https://www.example.com/orders/12345?mail=a@b.example",
    "view_id": "v",
}
CONTACT = {"contact_id": "c1"}


@pytest.mark.parametrize(
    ("type_", "data", "topic", "key"),
    [
        ("web.page_view", ON_PAGE, "x.web", VISITOR),
        ("web.page_ping", ON_PAGE, "x.web", VISITOR),
        ("web.click", ON_PAGE | {"x": 1, "y": 2}, "x.web", VISITOR),
        ("web.error", ON_PAGE | {"kind": "script"}, "x.web", VISITOR),
        ("web.form_error", ON_PAGE, "x.web", VISITOR),
        ("web.search", ON_PAGE | {"hits": 0}, "x.web", VISITOR),
        ("web.page_leave", ON_PAGE, "x.web", VISITOR),
        ("identity.linked", {"visitor_id": VISITOR, "customer_id": "tanaka", "proof": "spoken"}, "x.web", VISITOR),
        ("intervention.shown", {"visitor_id": VISITOR, "kind": "FAQ"}, "x.web", VISITOR),
        ("intervention.accepted", {"visitor_id": VISITOR, "kind": "FAQ"}, "x.web", VISITOR),
        ("intervention.declined", {"visitor_id": VISITOR, "kind": "FAQ"}, "x.web", VISITOR),
        ("contact.queued", CONTACT | {"queue": "注文", "channel": "chat"}, "x.calls", "c1"),
        ("contact.answered", CONTACT | {"agent_id": "a1"}, "x.calls", "c1"),
        ("contact.ended", CONTACT, "x.calls", "c1"),
        ("chat.message", CONTACT | {"by": "customer"}, "x.calls", "c1"),
        ("agent.state", {"agent_id": "a1", "state": "busy"}, "x.presence", "a1"),
    ],
)  # fmt: skip
def test_an_event_goes_where_the_feeds_send_it(
    type_: str, data: dict[str, Any], topic: str, key: str
) -> None:
    found = taken(event(type_, data))
    (record,) = found.records
    assert (record.topic, record.key, found.types) == (topic, key, [type_])
    assert b"12345" not in record.value
    assert b"tanaka" not in record.value
    if topic != "x.web":
        assert not isinstance(decode(record.value, 10_000), Unusable)


def test_customers_are_named_as_those_of_the_site_are() -> None:
    data = CONTACT | {"queue": "q", "customer_id": "tanaka"}
    (record,) = taken(event("contact.queued", data)).records
    assert json.loads(record.value)["data"]["customer_id"] == KEYS.of("tanaka")
    (again,) = taken(event("contact.queued", data | {"customer_id": KEYS.of("tanaka")})).records
    assert again.value == record.value


def test_what_nobody_asked_for_is_not_kept() -> None:
    extra = event("contact.ended", CONTACT | {"phone": "0312345678"}, subject="Tanaka", phone="0312345678")
    (record,) = taken(extra).records
    assert b"0312345678" not in record.value
    assert b"Tanaka" not in record.value


def test_search_terms_are_kept_only_where_settings_say_so() -> None:
    sent = event("web.search", ON_PAGE | {"term": "Order 12345"})
    assert json.loads(taken(sent).records[0].value)["data"]["term"] is None
    assert json.loads(taken(sent, keeps_terms=True).records[0].value)["data"]["term"] == "order #"


def test_one_event_alone_needs_no_array() -> None:
    found = made().taken(json.dumps(event("contact.ended", CONTACT)).encode(), NOW)
    assert isinstance(found, Taken)
    assert len(found.records) == 1


def without(name: str) -> dict[str, Any]:
    whole = event("contact.ended", CONTACT)
    return {key: value for key, value in whole.items() if key != name}


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        (event("contact.exploded", CONTACT), "unknown_type", "type"),
        (event("visitor.contacted", ON_PAGE), "unknown_type", "type"),
        (event("pipeline.model", {}), "unknown_type", "type"),
        (event("pipeline.heartbeat", {}), "unknown_type", "type"),
        (event("contact.ended", {}), "not_an_event", "data.contact_id"),
        (event("contact.ended", {"contact_id": ""}), "not_an_event", "data.contact_id"),
        (event("contact.ended", {"contact_id": "x" * 201}), "not_an_event", "data.contact_id"),
        (event("contact.ended", {"contact_id": "a\nb"}), "bad_name", "data.contact_id"),
        (event("web.page_view", ON_PAGE | {"page": ""}), "not_an_event", "data.page"),
        (event("web.click", ON_PAGE | {"x": 1, "y": 10**9}), "not_an_event", "data.y"),
        (event("agent.state", {"agent_id": "a", "state": "asleep"}), "not_an_event", "data.state"),
        (event("agent.state", {"agent_id": "a", "state": "busy", "queues": ["\x00"]}), "bad_name", "data.queues"),
        (event("contact.ended", CONTACT, id="\u202e"), "bad_name", "id"),
        (event("contact.ended", CONTACT, time="yesterday"), "not_an_event", "time"),
        (event("contact.ended", CONTACT, time="2026-09-21T14:13:20"), "time_out_of_range", "time"),
        (event("contact.ended", CONTACT, time="1969-09-21T14:13:20Z"), "time_out_of_range", "time"),
        (event("contact.ended", CONTACT, time="2026-09-21T14:43:20Z"), "time_in_future", "time"),
        (event("contact.ended", CONTACT, specversion="0.3"), "not_an_event", "specversion"),
        (without("id"), "not_an_event", "id"),
        (without("type"), "not_an_event", "type"),
        (without("data"), "not_an_event", "data"),
        (event("contact.ended", CONTACT, more="x" * 20_000), "not_an_event", ""),
        (5, "not_an_event", ""),
        (None, "not_an_event", ""),
        ([], "not_an_event", ""),
    ],
)  # fmt: skip
def test_nothing_is_taken_where_one_event_is_wrong_and_the_answer_says_which(
    bad: object, reason: str, field: str
) -> None:
    found = refused(event("contact.ended", CONTACT), bad)
    assert (found.reason, found.field) == (reason, f"[1].{field}" if field else "[1]")
    assert found.error


def test_of_one_event_alone_the_answer_names_the_field_alone() -> None:
    assert refused(event("contact.ended", {}), single=True).field == "data.contact_id"


@pytest.mark.parametrize("body", [b"[]", b"[1", b"", b"\xff", b"[" * 100_000, b"{" * 100_000, b"null"])
def test_what_is_no_list_of_events_is_refused(body: bytes) -> None:
    assert isinstance(made().taken(body, NOW), Refused)


def test_more_events_than_one_request_may_have_are_refused() -> None:
    assert refused(*[event("contact.ended", CONTACT)] * (MOST_EVENTS + 1)).reason == "not_an_event"
