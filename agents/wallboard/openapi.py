"""What may a program ask the wallboard, and what does it get? The OpenAPI document, made of the types that are sent.

A test holds it to the routes that are served, and answers of a running wallboard to its schemas.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Struct

from agents.wallboard.alerts import FiringAlerts
from agents.wallboard.config import BoardConfig
from agents.wallboard.drill import QueueAnswer
from agents.wallboard.frames import Ack, BeatFrame, DeltaFrame, SnapshotFrame
from agents.wallboard.journeys import JourneyAnswer
from agents.wallboard.stuck_stream import StuckEvent
from agents.wallboard.web import WebFrame

Json = Mapping[str, object]


class Problem(Struct):
    """Why there is no other answer."""

    status: int
    detail: str


class Word(Struct):
    """What a measure is called and means."""

    label: str
    short: str
    text: str
    formula: str
    unit: str


class Words(Struct):
    """All measures by name, in one language; and what speaks for a contact, by code."""

    lang: str
    measures: dict[str, Word]
    reasons: dict[str, str]


class Acknowledgement(Struct):
    """Somebody sees to the breach of a queue."""

    queue: str
    channel: str
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Alive(Struct):
    """A sign of life."""

    status: str


_TYPES = (
    SnapshotFrame, DeltaFrame, BeatFrame, QueueAnswer, FiringAlerts, Words, Ack, Acknowledgement, Alive, Problem,
    WebFrame, JourneyAnswer, StuckEvent,
)  # fmt: skip
_BOARD = {"name": "board", "in": "query", "schema": {"type": "string", "default": "default"}}
_LANG = {"name": "lang", "in": "query", "schema": {"enum": ["ja", "en"], "default": "en"}}
_QUEUE = {"name": "queue", "in": "path", "required": True, "schema": {"type": "string"}}
_CHANNEL = {
    "name": "channel", "in": "query", "schema": {"type": "string"}, "description": "Default: whichever the queue has.",
}  # fmt: skip
_WEB = {
    "name": "web", "in": "query", "schema": {"enum": ["1"]},
    "description": "1: also `web` (WebFrame, at most one a second; does not count; the newest replaces those before).",
}  # fmt: skip
_CUSTOMER = {
    "name": "customer", "in": "path", "required": True, "schema": {"type": "string"},
    "description": "The customer's id as contacts have it, or a pseudonym.",
}  # fmt: skip
_TOKEN: Sequence[Json] = [{"token": []}]
_STUCK = (
    "Server-sent events: `raised`, `changed` and `cleared` (StuckEvent). Whoever is stuck when the stream begins is "
    "told as raised. Who reads too slowly is let go: come back, and be told of everybody anew."
)
_STREAM = (
    "Server-sent events: `snapshot` (SnapshotFrame) first, then `delta` (DeltaFrame, at least 0.45 s apart) and `beat` "
    "(BeatFrame, every two seconds). `id` is `seq`. A delta whose seq is not the one before plus 1 was preceded by a "
    "loss: come back for a snapshot. A slow reader is sent a snapshot in place of the deltas it missed."
)
_REFUSALS = {
    "401": "A board token or a sign-in is needed.",
    "403": "The queue is not on the board of the session.",
    "404": "There is no such board, queue or picture.",
    "429": "Too many requests from this address, or too many open streams; see Retry-After.",
    "503": "Redis does not answer, or too many streams are open.",
}


def document(version: str) -> Json:
    """The whole document."""
    _, schemas = msgspec.json.schema_components(
        _TYPES,
        schema_hook=lambda kind: {"description": "Anything."},
        ref_template="#/components/schemas/{name}",
    )
    schemas["Board"] = BoardConfig.model_json_schema() | {
        "description": "How a board looks, as it is configured. No thresholds: tiles tell the levels."
    }
    del schemas["Board"]["properties"]["thresholds"]
    schemas["Board"].pop("$defs", None)
    change = {key: value for key, value in schemas["Tile"].items() if key != "required"}
    schemas["TileChange"] = change | {
        "description": "A tile that is new, or those of its fields that changed."
    }
    schemas["DeltaFrame"]["properties"]["queues"]["additionalProperties"] = {
        "anyOf": [_ref("TileChange"), {"type": "null"}]
    }
    for frame in ("SnapshotFrame", "DeltaFrame"):
        schemas[frame]["properties"]["board"] = _ref("Board")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Queuelight wallboard",
            "version": version,
            "description": "Live numbers of the queues of a contact centre. Read-only but for acknowledgements.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "ql_board"},
                "token": {"type": "http", "scheme": "bearer", "description": "Of the scope journeys."},
            },
        },
        "security": [{}, {"session": []}],
    }


def _paths() -> Json:
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    table = {"text/csv": {"schema": {"type": "string"}}}
    return {
        "/api/v1/board": _get("All there is to see on a board, now.", [_BOARD], _json("SnapshotFrame")),
        "/api/v1/stream": _get("A board as it changes.", [_BOARD, _WEB], stream, _STREAM),
        "/api/v1/web": _get(
            "The web site: who is stuck, which pages precede contacts, what offers do.",
            [_BOARD],
            _json("WebFrame"),
        ),
        "/api/v1/journeys/{customer}": _private(
            "What a customer did before this contact. Every question is logged.",
            [_CUSTOMER, _LANG],
            _json("JourneyAnswer"),
        ),
        "/api/v1/stuck/stream": _private("Who becomes stuck on the web site.", [], stream, _STUCK),
        "/api/v1/alerts": _get(
            "The alerts that fire and concern a board; 204 where no Alertmanager is named.",
            [_BOARD],
            _json("FiringAlerts"),
        ),
        "/api/v1/words": _get("What every measure is called and means.", [_LANG], _json("Words")),
        "/api/v1/queues/{queue}": _get(
            "What stands behind a queue's numbers.", [_QUEUE, _CHANNEL], _json("QueueAnswer")
        ),
        "/api/v1/queues/{queue}/intervals.csv": _get(
            "The intervals of a queue's business day as a table.", [_QUEUE, _CHANNEL], table
        ),
        "/api/v1/acknowledgements": {
            "post": {
                "summary": "Say who sees to a queue's breach; only from the board's own page.",
                "requestBody": {"required": True, "content": _json("Acknowledgement")},
                "responses": _responses(_json("Ack")) | {"400": _problem("What cannot be acknowledged.")},
            }
        },
        "/api/v1/openapi.json": _get("This document.", [], {"application/json": {"schema": {}}}),
        "/livez": _get("Is the process alive?", [], _json("Alive")),
        "/metrics": _get(
            "What this process counts, for Prometheus.", [], {"text/plain": {"schema": {"type": "string"}}}
        ),
    }


def _get(summary: str, parameters: Sequence[Json], content: Json, description: str = "") -> Json:
    told = {"summary": summary, "parameters": parameters, "responses": _responses(content)}
    return {"get": told | {"description": description} if description else told}


def _private(summary: str, parameters: Sequence[Json], content: Json, description: str = "") -> Json:
    """What needs a token of the scope journeys, wherever it is asked from."""
    operation = dict(_get(summary, parameters, content, description)["get"])  # type: ignore[call-overload]
    responses = operation["responses"] | {
        "400": _problem("That is no customer id."),
        "401": _problem("A token of the scope journeys is needed."),
        "403": _problem("The token is for something else."),
        "404": _problem("Nothing is known of this customer."),
    }
    return {"get": operation | {"responses": responses, "security": _TOKEN}}


def _responses(content: Json) -> dict[str, Json]:
    refused = {status: _problem(text) for status, text in _REFUSALS.items()}
    return {"200": {"description": "Found.", "content": content}, **refused}


def _problem(text: str) -> Json:
    return {"description": text, "content": {"application/problem+json": {"schema": _ref("Problem")}}}


def _json(name: str) -> Json:
    return {"application/json": {"schema": _ref(name)}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
