"""Our own CloudEvents, one JSON object a line. What cannot be decoded is passed on: the fold says why it is refused."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from streams.driver import Item
from streams.routing import topic_of


class _Data(Struct, gc=False, frozen=True):
    contact_id: str | None = None
    agent_id: str | None = None


class _Head(Struct, gc=False):
    type: str = ""
    data: _Data = _Data()


_decode = msgspec.json.Decoder(_Head).decode


def read(lines: Iterable[bytes]) -> Iterator[Item]:
    """Items in the order of the lines; blank lines are passed over."""
    for line in lines:
        value = line.strip()
        if not value:
            continue
        try:
            head = _decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = _Head()
        key = head.data.agent_id if head.type == "agent.state" else head.data.contact_id
        yield Item(topic_of(head.type), key or "", value)
