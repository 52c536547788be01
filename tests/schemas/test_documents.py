"""Do the published schemas say what the code does, and would they accept what it sends?"""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import msgspec
import pytest

import schemas.documents
from schemas.documents import PUBLIC_TYPES, any_event_schema, asyncapi, documents, event_schema
from schemas.flag_events import flag_event
from schemas.journeys import Flag, Reason
from schemas.snapshots import QueueSnapshot
from schemas.topics import CUSTOMERS, PAGE_PARTIALS, STUCK_EVENTS, STUCK_FLAGS, WEB, WEB_EVENTS, topics
from schemas.web_events import PUBLIC_WEB_STRUCTS, WEB_TYPES
from streams.simulator import Plan, Simulation, default_site, encode

GENERATED = Path(schemas.documents.__file__).with_name("generated")
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def sent() -> dict[str, list[object]]:
    """A few events of each type, as a contact centre sends them."""
    simulation = Simulation(default_site(8), Plan(flat=True, contacts_per_s=0.5), seed=7)
    samples: dict[str, list[object]] = {}
    for _, _, event in simulation.events(20_000 * DAY_MS, 20_000 * DAY_MS + 3_600_000):
        made = json.loads(encode(event))
        of_type = samples.setdefault(made["type"], [])
        if len(of_type) < 20:
            of_type.append(made)
    return samples


def validator(schema: dict[str, object]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_documents_in_the_repository_are_those_the_code_makes() -> None:
    made = documents()
    kept = {path.name: path.read_bytes() for path in GENERATED.iterdir()}
    assert kept.keys() == made.keys()
    stale = [name for name, content in made.items() if kept[name] != content]
    assert not stale, "run: queuelight schema --write schemas/generated"


def test_simulated_events_are_valid_by_the_schema_of_their_type(sent: dict[str, list[object]]) -> None:
    assert len(sent) >= 12
    for event_type, events in sent.items():
        check = validator(event_schema(event_type))
        for event in events:
            check.validate(event)


def test_one_schema_takes_every_event_and_nothing_else(sent: dict[str, list[object]]) -> None:
    check = validator(any_event_schema())
    for events in sent.values():
        check.validate(events[0])
    assert not check.is_valid(
        {"type": "coffee.brewed", "id": "1", "source": "s", "time": "2026-01-01T00:00:00Z"}
    )


@pytest.mark.parametrize("event_type", PUBLIC_TYPES)
def test_a_schema_refuses_what_the_decoder_refuses(event_type: str) -> None:
    check = validator(event_schema(event_type))
    assert not check.is_valid({})
    assert not check.is_valid(
        {"type": event_type, "id": "", "source": "s", "time": "2026-01-01T00:00:00Z", "data": {}}
    )
    assert not check.is_valid(
        {"type": "other", "id": "1", "source": "s", "time": "2026-01-01T00:00:00Z", "data": {}}
    )


def test_an_unknown_field_is_allowed_because_it_is_ignored(sent: dict[str, list[object]]) -> None:
    event = sent["contact.queued"][0]
    assert isinstance(event, dict)
    validator(event_schema("contact.queued")).validate({**event, "traceparent": "00-aa-bb-01"})


def test_the_asyncapi_document_covers_every_topic_and_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    channels, components = document["channels"], document["components"]
    assert isinstance(channels, dict)
    assert isinstance(components, dict)
    assert set(channels) == {topic.name for topic in topics(4, "queuelight")}
    assert {*PUBLIC_TYPES, *STUCK_EVENTS} <= set(components["messages"])
    for reference in references(document):
        place: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(place, dict)
            assert step in place, reference
            place = place[step]


def test_every_message_names_its_key_and_every_topic_its_partitions() -> None:
    document = asyncapi()
    channels, components = document["channels"], document["components"]
    assert isinstance(channels, dict)
    assert isinstance(components, dict)
    for message in components["messages"].values():
        assert message["bindings"]["kafka"]["key"]["description"]
        assert message["summary"]
    for topic in topics(4, "queuelight"):
        kafka = channels[topic.name]["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"]) == (topic.name, topic.partitions)


def test_a_snapshot_is_valid_by_the_schema_of_the_asyncapi_document() -> None:
    snapshot = QueueSnapshot(
        site="s", queue="注文・配送", channel="voice", as_of_ms=1, published_ms=2, epoch=1, position=0, waiting=0,
        at_risk=0, oldest_waiting_ms=None, in_service=0, agents={}, answer_within_s=20.0, target=0.8, windows={},
        arrival={}, trend=[0], edges_s=[5.0],
    )  # fmt: skip
    document = {**asyncapi(), "$ref": "#/components/schemas/QueueSnapshot"}
    jsonschema.Draft202012Validator(document).validate(json.loads(msgspec.json.encode(snapshot)))


WEB_DATA: dict[str, dict[str, object]] = {
    "web.page_view": {"visitor_id": "v", "page": "/faq", "view_id": "1", "from_page": None, "bot": False},
    "web.page_ping": {"visitor_id": "v", "page": "/faq", "view_id": "1"},
    "web.click": {
        "visitor_id": "v",
        "page": "/faq",
        "view_id": "1",
        "x": 3,
        "y": -4,
        "target": "button",
        "dead": True,
    },
    "web.error": {"visitor_id": "v", "page": "/faq", "view_id": "1", "kind": "network", "status": 503},
    "web.form_error": {"visitor_id": "v", "page": "/faq", "view_id": "1", "kind": "reentry", "field": "zip"},
    "web.search": {"visitor_id": "v", "page": "/faq", "view_id": "1", "hits": 0},
    "web.page_leave": {"visitor_id": "v", "page": "/faq", "view_id": "1"},
    "identity.linked": {"visitor_id": "v", "customer_id": None, "proof": "login"},
    "intervention.shown": {"visitor_id": "v", "kind": "chat invite", "page": "/faq", "flag_id": "f"},
    "intervention.accepted": {"visitor_id": "v", "kind": "chat invite"},
    "intervention.declined": {"visitor_id": "v", "kind": "chat invite"},
}


def web_event(event_type: str) -> dict[str, object]:
    head = {"id": "1", "source": "s", "type": event_type, "time": "2026-03-02T09:00:00Z"}
    return {**head, "data": WEB_DATA[event_type]}


@pytest.mark.parametrize("event_type", WEB_EVENTS)
def test_what_a_visitor_does_is_valid_by_the_schema_of_its_type_and_by_the_decoder(event_type: str) -> None:
    made = web_event(event_type)
    validator(event_schema(event_type)).validate(made)
    validator(any_event_schema()).validate(made)
    assert msgspec.convert(made, WEB_TYPES[event_type]).id == "1"


def test_the_topic_of_the_web_site_names_every_event_from_outside_and_no_other() -> None:
    assert set(WEB_EVENTS) == {str(each.__struct_config__.tag) for each in PUBLIC_WEB_STRUCTS}


def test_a_stuck_flag_travels_as_an_event_that_says_when_it_changed() -> None:
    flag = Flag(
        id="v/1/9", visitor_id="v", session_id="v/1", page="/faq", raised_ms=1_772_442_000_000, probability=0.4,
        threshold=0.3, arm="offer", reasons=(Reason(code="loop", log_odds=0.7),),
    )  # fmt: skip
    cleared = msgspec.structs.replace(flag, cleared_ms=1_772_442_060_000, cleared="left")
    document = asyncapi()
    for change, told, at in (
        ("raised", flag, "2026-03-02T09:00:00Z"),
        ("cleared", cleared, "2026-03-02T09:01:00Z"),
        ("withdrawn", flag, "2026-03-02T09:00:00Z"),
    ):
        event = flag_event(change, told)  # type: ignore[arg-type]
        made = json.loads(msgspec.json.encode(event))
        assert (made["type"], made["subject"], made["time"]) == (f"stuck.{change}", "v", at)
        reference = f"#/components/schemas/{type(event).__name__}"
        jsonschema.Draft202012Validator({**document, "$ref": reference}).validate(made)


def test_what_is_said_of_customers_is_kept_longer_than_a_contact_can_count_as_repeated() -> None:
    kept = {topic.name: topic for topic in topics(4, "queuelight")}
    assert kept[CUSTOMERS].retention_ms == 8 * DAY_MS
    assert kept[WEB].retention_ms == kept[STUCK_FLAGS].retention_ms == 3 * DAY_MS
    assert kept[PAGE_PARTIALS].retention_ms == DAY_MS // 4
    assert not any(kept[name].compacted for name in (WEB, CUSTOMERS, PAGE_PARTIALS, STUCK_FLAGS))
    changelogs = {name for name, topic in kept.items() if topic.compacted and "checkpoints" in name}
    assert {name.split("-")[1] for name in changelogs} == {
        "stage1",
        "stage2",
        "visitors",
        "customers",
        "pages",
    }
    assert {topic.partitions for name, topic in kept.items() if name != "dead-letters"} == {4}
