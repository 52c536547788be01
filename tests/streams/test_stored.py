"""Is what is read again what was stored, down to the tuples?"""

import msgspec
import pytest

from schemas.partials import SourceTruth
from streams.presence import Span
from streams.stored import Lengths, QueueMeta, Scalars, ShardMeta, StoredRow
from streams.view import View

THINGS = [
    ShardMeta(5, 3, SourceTruth(records=7), {"q": (1, 2)}, {"Sales": 4}, True),
    QueueMeta(
        5, {"calls/0": 1}, {"calls/0": 2}, True, 3, {"calls/0": SourceTruth()}, {"calls/0": {("q", 1, 2)}}
    ),
    StoredRow(5, {"calls/0": Scalars(1, 2, {"busy": 3}, 4, 5)}, {7: Lengths(2, 900, ((0, 0), (2, 1)))}),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_what_is_read_again_is_what_was_stored(thing: object) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(thing), type=type(thing)) == thing


def test_a_view_is_read_again_with_its_queues() -> None:
    span: Span = (1, 2, View("busy", ("Sales", "苦情"), "東京第一", 1))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(span), type=Span) == span


def test_a_view_whose_queues_are_no_names_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected `str`, got `int`"):
        msgspec.msgpack.decode(msgspec.msgpack.encode(("busy", (1,), "", 0)), type=View)
