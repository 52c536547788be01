"""How do we tell others what our events and topics look like? JSON Schema per event type and one AsyncAPI document.

Generated from the structs, so that they cannot disagree; `schemas/generated/` holds the result, and a test keeps it
current. Refuses to know where documents are written.
"""

import inspect

import msgspec
import orjson
from msgspec import Struct

from schemas.customers import CustomerClock, CustomerContact, CustomerForgotten, CustomerVisitor
from schemas.dead_letters import DeadLetter
from schemas.events import EVENT_TYPES, AnyEvent, CloudEvent
from schemas.flag_events import StuckCleared, StuckRaised, StuckWithdrawn
from schemas.partials import Partial
from schemas.snapshots import GroupSnapshot, IntervalRow, QueueSnapshot
from schemas.topics import (
    CUSTOMERS,
    DEAD_LETTERS,
    INTERVALS,
    PAGE_PARTIALS,
    PARTIALS,
    SNAPSHOTS,
    SOURCES,
    STUCK_FLAGS,
    WEB,
    Topic,
    topics,
)
from schemas.web_events import (
    PUBLIC_WEB_STRUCTS,
    BrowserEvent,
    IdentityLinked,
    Intervention,
    PipelineModel,
    VisitorContacted,
)
from schemas.web_rows import PagePartial

Document = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi.json"
VERSION = "1.0.0"
"""Version of the contract: a field that is added is a minor step, one that goes or changes meaning a major one."""
_PARTITIONS = 4
_APP_ID = "queuelight"
_REF = "#/components/schemas/{name}"
_EVENT_CONTENT = "application/cloudevents+json"
_INSTANT = {"type": "string", "format": "date-time", "description": "RFC 3339 with a zone."}
_INSTANTS = ("time", "since")

PUBLIC_TYPES: dict[str, type[CloudEvent]] = {
    **EVENT_TYPES,
    **{str(struct.__struct_config__.tag): struct for struct in PUBLIC_WEB_STRUCTS},
}
"""Every event that others send us, by its type."""

_INTERNAL: dict[str, tuple[tuple[str, type[Struct], str], ...]] = {
    PARTIALS: (("partial", Partial, "application/msgpack"),),
    SNAPSHOTS: (
        ("queue-snapshot", QueueSnapshot, "application/json"),
        ("group-snapshot", GroupSnapshot, "application/json"),
    ),
    INTERVALS: (("interval", IntervalRow, "application/msgpack"),),
    DEAD_LETTERS: (("dead-letter", DeadLetter, "application/json"),),
    WEB: (
        ("visitor.contacted", VisitorContacted, _EVENT_CONTENT),
        ("pipeline.model", PipelineModel, _EVENT_CONTENT),
    ),
    CUSTOMERS: (
        ("customer-contact", CustomerContact, "application/msgpack"),
        ("customer-visitor", CustomerVisitor, "application/msgpack"),
        ("customer-forgotten", CustomerForgotten, "application/msgpack"),
        ("customer-clock", CustomerClock, "application/msgpack"),
    ),
    PAGE_PARTIALS: (("page-partial", PagePartial, "application/msgpack"),),
    STUCK_FLAGS: (
        ("stuck.raised", StuckRaised, _EVENT_CONTENT),
        ("stuck.cleared", StuckCleared, _EVENT_CONTENT),
        ("stuck.withdrawn", StuckWithdrawn, _EVENT_CONTENT),
    ),
}
"""What the topics hold that Queuelight writes itself: (message, struct, content type)."""


def event_schema(event_type: str) -> Document:
    """The JSON Schema of one event type, in the structured JSON of CloudEvents 1.0.

    Raises:
        KeyError: there is no such type.
    """
    schema = _said_in_full(msgspec.json.schema(PUBLIC_TYPES[event_type]))
    return {"$schema": DIALECT, "$id": f"urn:queuelight:event:{event_type}", "title": event_type, **schema}


def any_event_schema() -> Document:
    """One JSON Schema for all events: which one applies is said by `type`."""
    schema = _said_in_full(msgspec.json.schema(AnyEvent | BrowserEvent | IdentityLinked | Intervention))
    return {"$schema": DIALECT, "$id": "urn:queuelight:events", "title": "Events of Queuelight", **schema}


def asyncapi() -> Document:
    """The AsyncAPI 3.0 document: topics, their keys and settings, and the messages on them."""
    own = [struct for messages in _INTERNAL.values() for _, struct, _ in messages]
    _, schemas = msgspec.json.schema_components([*PUBLIC_TYPES.values(), *own], ref_template=_REF)
    wanted = topics(_PARTITIONS, _APP_ID)
    return {
        "asyncapi": "3.0.0",
        "id": "urn:queuelight",
        "info": {
            "title": "Queuelight",
            "version": VERSION,
            "description": "Events of a contact centre in, live numbers of its queues out. Topic names may carry a "
            "prefix, and the number of partitions is a setting; partitions and names here are the defaults.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _EVENT_CONTENT,
        "channels": {topic.name: _channel(topic) for topic in wanted},
        "operations": {name: each for topic in wanted for name, each in _operations(topic).items()},
        "components": {"messages": _messages(), "schemas": _said_in_full(dict(sorted(schemas.items())))},
    }


def documents() -> dict[str, bytes]:
    """Every document as {file name: content}."""
    made = {f"{name}.json": event_schema(name) for name in PUBLIC_TYPES} | {ASYNCAPI: asyncapi()}
    return {name: encoded(document) for name, document in made.items()}


def encoded(document: Document) -> bytes:
    """A document as it is stored: indented JSON with a final newline."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _said_in_full(schema: Document) -> Document:
    """A schema whose descriptions are not indented, and whose instants say that they are instants."""
    out: Document = {}
    for key, value in schema.items():
        if key == "description" and isinstance(value, str):
            out[key] = inspect.cleandoc(value)
        elif key == "properties" and isinstance(value, dict):
            out[key] = {name: _property(name, each) for name, each in value.items()}
        else:
            out[key] = _each_said_in_full(value)
    return out


def _each_said_in_full(value: object) -> object:
    if isinstance(value, dict):
        return _said_in_full(value)
    return [_each_said_in_full(each) for each in value] if isinstance(value, list) else value


def _property(name: str, schema: Document) -> Document:
    if name not in _INSTANTS:
        return _said_in_full(schema)
    if "anyOf" not in schema:
        return dict(_INSTANT)
    return {"anyOf": [_INSTANT, {"type": "null"}], "default": None}


def _channel(topic: Topic) -> Document:
    names = [*topic.events, *(name for name, _, _ in _INTERNAL.get(topic.name, ()))]
    configuration: dict[str, object] = {
        "cleanup.policy": ["compact" if topic.compacted else "delete"],
        "max.message.bytes": topic.max_message_bytes,
    }
    if topic.retention_ms is not None:
        configuration["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{topic.holds[0].upper()}{topic.holds[1:]}. Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> Document:
    """What Queuelight does with a topic; nothing for the changelogs of its checkpoints, which are its own."""
    channel = {"$ref": f"#/channels/{topic.name}"}
    if topic.name in (*SOURCES, WEB):
        return {
            f"read-{topic.name}": {
                "action": "receive",
                "channel": channel,
                "summary": f"Queuelight reads {topic.holds}.",
            }
        }
    if topic.name in _INTERNAL:
        return {
            f"write-{topic.name}": {
                "action": "send",
                "channel": channel,
                "summary": f"Queuelight writes {topic.holds}.",
            }
        }
    return {}


def _messages() -> Document:
    keys = {event: topic.key for topic in topics(_PARTITIONS, _APP_ID) for event in topic.events}
    made: Document = {
        name: _message(name, struct, _EVENT_CONTENT, keys[name]) for name, struct in PUBLIC_TYPES.items()
    }
    for topic in topics(_PARTITIONS, _APP_ID):
        for name, struct, content in _INTERNAL.get(topic.name, ()):
            made[name] = _message(name, struct, content, topic.key)
    return made


def _message(name: str, struct: type[Struct], content: str, key: str) -> Document:
    return {
        "name": name,
        "title": name,
        "summary": inspect.cleandoc(struct.__doc__ or "").split("\n")[0],
        "contentType": content,
        "payload": {"$ref": _REF.format(name=struct.__name__)},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }
