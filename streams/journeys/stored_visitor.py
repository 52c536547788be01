"""What is stored of visitors beside facts? Plain structs, written as MessagePack arrays.

Refuses to know what they mean. On their own because mypyc compiles no classes that msgspec makes.
"""

import msgspec
from msgspec import Struct, field

from schemas.journeys import StuckModel
from streams.journeys.facts import Contact


class StoredVisitor(Struct, array_like=True, gc=False):
    """One visitor. Attributes as of `streams.journeys.visitor_fold.Visitor`; `stuck`: a flag is open;
    `shown`: told as worth watching.
    """

    told_ms: int
    due_ms: int
    seen_ms: int
    forgotten_ms: int
    count: int
    facts: bytes
    contacts: list[Contact] = []
    linked: bool = False
    stuck: bool = False
    shown: bool = False


class StoredPages(Struct, array_like=True, gc=False):
    """The table of pages: names and when they were seen, by number; and how far time has come for visitors."""

    names: list[str] = field(default_factory=list)
    seen_ms: list[int] = field(default_factory=list)
    time_ms: int = 0


encode_stored = msgspec.msgpack.Encoder().encode
decode_visitor = msgspec.msgpack.Decoder(StoredVisitor).decode
decode_pages = msgspec.msgpack.Decoder(StoredPages).decode
decode_model = msgspec.msgpack.Decoder(StuckModel).decode
