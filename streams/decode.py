"""Is this record an event we can use? Bytes in; an event, a reason to ignore it, or a dead letter out.

Never raises. The clock bounds what times are believable; the meaning of an event is decided elsewhere.
"""

from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import TypeVar
from unicodedata import category

import msgspec
from msgspec import Struct

from schemas.errors import Reason
from schemas.events import EVENT_TYPES, AnyEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OLDEST_MS = 631_152_000_000
"""1990-01-01: nothing older is believed."""
NEWEST_MS = 4_102_444_800_000
"""2100-01-01: nothing newer is believed."""


class _TypeOnly(Struct, gc=False):
    type: str


_decode_type = msgspec.json.Decoder(_TypeOnly).decode


class Unusable(Struct, frozen=True, gc=False):
    """A record that cannot be used, and why. `reason` None: an unknown type, counted and skipped."""

    reason: Reason | None
    detail: str


Decoded = TypeVar("Decoded")


def decoder(
    decode_event: Callable[[bytes], Decoded], types: Container[str], elsewhere: Container[str] = ()
) -> Callable[[bytes | None, int], Decoded | Unusable]:
    """What decodes a record's value, given its largest size in bytes.

    Args:
        decode_event: a decoder of msgspec, for events of `types`.
        elsewhere: types that belong to other topics; what is in neither is counted and skipped.
    """

    def decode(value: bytes | None, max_bytes: int) -> Decoded | Unusable:
        if not value:
            return Unusable(Reason.EMPTY, "the record has no value")
        if len(value) > max_bytes:
            return Unusable(Reason.TOO_LARGE, f"{len(value)} bytes, expected at most {max_bytes}")
        try:
            return decode_event(value)
        except msgspec.ValidationError as error:
            return not_an_event(value, error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Unusable(Reason.NOT_JSON, str(error))
        except RecursionError:
            return Unusable(Reason.TOO_DEEP, "nested deeper than any event")

    def not_an_event(value: bytes, error: Exception) -> Unusable:
        try:
            named = _decode_type(value).type
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return Unusable(Reason.NOT_AN_EVENT, str(error))
        if named in types:
            return Unusable(Reason.NOT_AN_EVENT, f"{named}: {error}")
        if named in elsewhere:
            return Unusable(Reason.WRONG_TOPIC, f"{named} does not belong here")
        return Unusable(None, f"unknown type {named[:60]!r}")

    return decode


decode = decoder(msgspec.json.Decoder(AnyEvent).decode, EVENT_TYPES)
"""Decode one record's value: an event of contacts or agents, or why it is none."""


def unix_ms(time: datetime) -> int | None:
    """An event's time in Unix ms; None when it has no zone."""
    if time.tzinfo is None:
        return None
    since = time - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def is_clean(name: str) -> bool:
    """True when a name shown to people has no control characters and is not blank.

    Spaces of every width are part of names: a Japanese one may hold the full-width space U+3000.
    """
    if name.isspace():
        return False
    return name.isprintable() or all(letter.isprintable() or category(letter) == "Zs" for letter in name)
