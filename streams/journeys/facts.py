"""What is kept of a visitor? Facts: what one browser did, as tuples of numbers and short texts, packed as MessagePack.

An event is known by the hash of its id: told again it is no new fact, and of two times told for one event the earlier
counts (a batch that is sent again may be dated anew). Refuses to know sessions and what facts mean.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final, TypeAlias
from zlib import adler32, crc32

import msgspec

LEAVE: Final = 1
VIEW: Final = 2
PING: Final = 3
CLICK: Final = 4
ERROR: Final = 5
FORM: Final = 6
SEARCH: Final = 7
LINK: Final = 8
SHOWN: Final = 9
ACCEPTED: Final = 10
DECLINED: Final = 11
"""Kinds of facts. Of the same millisecond the lesser comes first: a page is left before the next one is shown."""

BOT: Final = 1
"""Bit of `a` of a view."""
DEAD: Final = 1
EXEMPT: Final = 2
"""Bits of the low end of `a` of a click; the pixels across are the rest, `a >> 2`."""

Fact: TypeAlias = tuple[int, int, int, int, int, int, int, str, str]
"""(at_ms, kind, id, page, view, a, b, s, t): `id` and `view` are hashes, `page` is a number of `PageNames`.

VIEW: a = `BOT` or 0. CLICK: a = pixels across << 2 | `DEAD` | `EXEMPT`, b = pixels down. ERROR: a = 1 for a resource.
SEARCH: a = hits or -1, s = term. LINK: s = customer, "" = nobody any more. SHOWN, ACCEPTED, DECLINED: s = kind of
help, t = id of the flag or "".
"""

Contact: TypeAlias = tuple[str, str, int, str, str, str, int, int, bool]
"""(contact_id, customer_id, queued_ms, channel, queue, reason or "", epoch, position, withdrawn) of one contact."""

_encode = msgspec.msgpack.Encoder().encode
_decode_facts = msgspec.msgpack.Decoder(tuple[Fact, ...]).decode
_ARRAY = b"\xdd"


def id_of(event_id: str) -> int:
    """61 bits that stand for an event's id; nine bytes when packed, always."""
    raw = event_id.encode("utf-8", "surrogatepass")
    return 1 << 61 | crc32(raw) << 29 | adler32(raw) & 0x1FFF_FFFF


def view_of(view_id: str) -> int:
    """32 bits that stand for a view."""
    return crc32(view_id.encode("utf-8", "surrogatepass"))


def pack(fact: Fact) -> bytes:
    """One fact, to be appended to others."""
    return _encode(fact)


def has_id(packed: bytearray, number: int) -> bool:
    """Whether packed facts hold one of this event. Never misses one; errs about once in 2**40."""
    return number.to_bytes(8, "big") in packed


def unpack(packed: bytes | bytearray, count: int) -> tuple[Fact, ...]:
    """`count` packed facts."""
    return _decode_facts(_ARRAY + count.to_bytes(4, "big") + packed)


def packed(facts: Iterable[Fact]) -> bytearray:
    """Facts one after the other."""
    return bytearray(b"".join([_encode(fact) for fact in facts]))


def merged(old: Iterable[Fact], new: Iterable[Fact]) -> list[Fact]:
    """All facts in order, each event once, by its earliest telling."""
    known: set[int] = set()
    out: list[Fact] = []
    for fact in sorted(chain(old, new)):
        if fact[2] not in known:
            known.add(fact[2])
            out.append(fact)
    return out


def newest_contacts(contacts: Iterable[Contact]) -> list[Contact]:
    """Of each contact what was told last, in the order in which they queued; withdrawn ones are kept as such."""
    best: dict[str, Contact] = {}
    for contact in contacts:
        known = best.get(contact[0])
        if known is None or contact[6:] > known[6:]:
            best[contact[0]] = contact
    return sorted(best.values(), key=_queued)


def _queued(contact: Contact) -> tuple[int, str]:
    return contact[2], contact[0]
