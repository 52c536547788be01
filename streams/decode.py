"""Is this record an event we can use? Bytes in; an event, a reason to ignore it, or a dead letter out.

Never raises. The clock bounds what times are believable; the meaning of an event is decided elsewhere.
"""

from datetime import UTC, datetime, timedelta
from unicodedata import category

import msgspec
from msgspec import Struct

from schemas.errors import Reason
from schemas.events import EVENT_TYPES, AnyEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
OLDEST_MS = 631_152_000_000
"""1990-01-01: nothing older is believed."""
NEWEST_MS = 4_102_444_800_000
"""2100-01-01: nothing newer is believed."""


class _TypeOnly(Struct, gc=False):
    type: str


_decode_event = msgspec.json.Decoder(AnyEvent).decode
_decode_type = msgspec.json.Decoder(_TypeOnly).decode


class Unusable(Struct, frozen=True, gc=False):
    """A record that cannot be used, and why. `reason` None: an unknown type, counted and skipped."""

    reason: Reason | None
    detail: str


def decode(value: bytes | None, max_bytes: int) -> AnyEvent | Unusable:
    """Decode one record's value."""
    if not value:
        return Unusable(Reason.EMPTY, "the record has no value")
    if len(value) > max_bytes:
        return Unusable(Reason.TOO_LARGE, f"{len(value)} bytes, expected at most {max_bytes}")
    try:
        event: AnyEvent = _decode_event(value)
    except msgspec.ValidationError as error:
        return _not_an_event(value, error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unusable(Reason.NOT_JSON, str(error))
    except RecursionError:
        return Unusable(Reason.TOO_DEEP, "nested deeper than any event")
    return event


def _not_an_event(value: bytes, error: Exception) -> Unusable:
    try:
        named = _decode_type(value).type
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Unusable(Reason.NOT_AN_EVENT, str(error))
    if named not in EVENT_TYPES:
        return Unusable(None, f"unknown type {named[:60]!r}")
    return Unusable(Reason.NOT_AN_EVENT, f"{named}: {error}")


def unix_ms(time: datetime) -> int | None:
    """An event's time in Unix ms; None when it has no zone."""
    return None if time.tzinfo is None else (time - _EPOCH) // _MILLISECOND


def is_clean(name: str) -> bool:
    """True when a name shown to people has no control characters and is not blank.

    Spaces of every width are part of names: a Japanese one may hold the full-width space U+3000.
    """
    if name.isspace():
        return False
    return name.isprintable() or all(letter.isprintable() or category(letter) == "Zs" for letter in name)
