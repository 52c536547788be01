"""Which events did a back end send? CloudEvents, decoded as the pipeline will, with pseudonyms instead of names.

All or nothing: where one cannot be taken, the answer says which and why. Refuses to know HTTP and signatures.
"""

from typing import get_args

import msgspec
from msgspec import Struct

from agents.collector.records import Record, Refused, Taken
from agents.collector.said import where_wrong
from agents.journeys.customer_keys import CustomerKeys
from schemas import events as e
from schemas import web_events as w
from schemas.snapshots import encode_json
from schemas.topics import WEB
from streams.decode import NEWEST_MS, OLDEST_MS, Unusable, decode, is_clean, unix_ms
from streams.page_keys import page_key, redacted
from streams.routing import topic_of

MOST_EVENTS = 1000
"""In one request."""
_LONGEST_TERM = 100

_WebFromOutside = w.BrowserEvent | w.IdentityLinked | w.Intervention
_WEB = {str(each.__struct_config__.tag) for each in w.PUBLIC_WEB_STRUCTS}
_OTHER = {str(each.__struct_config__.tag) for each in get_args(e.ContactEvent)} | {"agent.state"}
_decode_web = msgspec.json.Decoder(_WebFromOutside).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Type(Struct, gc=False):
    type: str


_decode_type = msgspec.json.Decoder(_Type).decode


class BackendEvents:
    """Makes records of what back ends send.

    Args:
        keys: the pseudonyms of visitors and customers.
        prefix: of the topics.
        max_bytes: of one event.
        ahead_ms: how far an event may lie in the future.
        keeps_terms: whether what visitors search for is kept.
    """

    def __init__(
        self, keys: CustomerKeys, prefix: str, *, max_bytes: int, ahead_ms: int, keeps_terms: bool
    ) -> None:
        self._keys = keys
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._ahead_ms = ahead_ms
        self._keeps_terms = keeps_terms

    def taken(self, body: bytes, received_ms: int) -> Taken | Refused:
        """The records of one CloudEvent or of an array of them; what is wrong with the first that cannot be taken."""
        is_many = body.lstrip()[:1] == b"["
        try:
            raws = [bytes(each) for each in _decode_list(body)] if is_many else [body]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            error_said, field = where_wrong(error)
            return Refused("not_an_event", error_said, field)
        if not 0 < len(raws) <= MOST_EVENTS:
            return Refused("not_an_event", f"expected 1 to {MOST_EVENTS} events, saw {len(raws)}", "")
        taken = Taken([], [], [])
        for index, raw in enumerate(raws):
            made = self._event(raw, received_ms)
            if isinstance(made, Refused):
                place = ".".join(filter(None, [f"[{index}]" if is_many else "", made.field]))
                return made._replace(field=place)
            topic, key, event = made
            taken.records.append(Record(self._prefix + topic, key, encode_json(event)))
            taken.types.append(str(event.__struct_config__.tag))
        return taken

    def _event(self, raw: bytes, received_ms: int) -> tuple[str, str, e.CloudEvent] | Refused:
        if len(raw) > self._max_bytes:
            return Refused("not_an_event", f"{len(raw)} bytes, expected at most {self._max_bytes}", "")
        try:
            kind = _decode_type(raw).type
            event: object
            if kind in _WEB:
                event = _decode_web(raw)
            elif kind in _OTHER:
                event = decode(raw, self._max_bytes)
            else:
                return Refused("unknown_type", f"unknown type {kind[:60]!r}", "type")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refused("not_an_event", *where_wrong(error))
        if isinstance(event, Unusable):
            return Refused("not_an_event", *where_wrong(event.detail))
        assert isinstance(event, e.CloudEvent)
        return _wrong_time(event, received_ms + self._ahead_ms) or self._routed(event)

    def _routed(self, event: e.CloudEvent) -> tuple[str, str, e.CloudEvent] | Refused:
        """Topic, key, and the event as it may be kept."""
        data = getattr(event, "data")  # noqa: B009  # every event of ours has one
        for name, text in (("id", event.id), ("source", event.source)):
            if not is_clean(text):
                return Refused("bad_name", "expected no control characters", name)
        if wrong := _bad_name(data):
            return Refused("bad_name", "expected a name without control characters", f"data.{wrong}")
        made: dict[str, object] = {}
        fields = data.__struct_fields__
        if getattr(data, "customer_id", None):
            made["customer_id"] = self._keys.of(data.customer_id)
        if "visitor_id" in fields:
            made["visitor_id"] = self._keys.visitor_of_ours(data.visitor_id)
        for name in ("page", "from_page"):
            if getattr(data, name, None):
                made[name] = page_key(getattr(data, name))
        if "term" in fields:
            term = redacted(data.term, _LONGEST_TERM) if self._keeps_terms and data.term else None
            made["term"] = term or None
        kept = msgspec.structs.replace(data, **made) if made else data
        # The subject is for the sender's own words; nothing of ours reads it.
        event = msgspec.structs.replace(event, data=kept, subject=None)
        if "visitor_id" in fields:
            return WEB, kept.visitor_id, event
        kind = str(event.__struct_config__.tag)
        return topic_of(kind), kept.agent_id if kind == "agent.state" else kept.contact_id, event


def _wrong_time(event: e.CloudEvent, newest_ms: int) -> Refused | None:
    at_ms = unix_ms(event.time)
    if at_ms is None:
        return Refused("time_out_of_range", "expected a time with a zone", "time")
    if not OLDEST_MS <= at_ms <= NEWEST_MS:
        return Refused("time_out_of_range", "expected a time between 1990 and 2100", "time")
    if at_ms > newest_ms:
        return Refused("time_in_future", "expected a time that has come", "time")
    return None


def _bad_name(data: object) -> str:
    """The first field of text that has control characters or is blank; "": none."""
    for name in getattr(data, "__struct_fields__", ()):
        value = getattr(data, name)
        texts = value if isinstance(value, tuple) else (value,)
        if name != "term" and any(isinstance(each, str) and not is_clean(each) for each in texts):
            return str(name)
    return ""
