"""Who may tell a fold of stage 2, and how far has each source come?

Of two owners of a source the one with the greater epoch is heard; a new one tells everything it holds, and what it no
longer holds is gone (a sweep). Refuses to know what is told.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from schemas.counts import STATE_VERSION
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from streams.fold import Record

_NEVER = -(1 << 62)


class Told(Protocol):
    """One message of a source; see `schemas.partials.Partial`."""

    version: int
    epoch: int
    topic: str
    partition: int
    now_ms: int


_Told = TypeVar("_Told", bound=Told)
_Address = TypeVar("_Address")


class Sources(Protocol[_Address]):
    """What is stored of the sources, by name."""

    epochs: dict[str, int]
    """Of the newest owner, in ms."""
    clocks: dict[str, int]
    """How far each has come, in Unix ms; none: nothing has happened there yet, or its owner is new."""
    sweeping: dict[str, set[_Address]]
    """What a new owner has told so far, until it has told everything."""


def read_told(
    records: Sequence[Record],
    decode: Callable[[bytes], _Told],
    take: Callable[[_Told], None],
    topic: str,
    partition: int,
) -> list[DeadLetter]:
    """Hand each message to `take`; what cannot be read, or is of another version, becomes a dead letter."""
    letters = []
    for record in records:
        value = record.value or b""
        try:
            told = decode(value)
            if told.version != STATE_VERSION:
                raise msgspec.ValidationError(f"version {told.version}, expected {STATE_VERSION}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            letters.append(
                dead_letter(Reason.NOT_AN_EVENT, str(error), topic, partition, record.offset, value)
            )
            continue
        take(told)
    return letters


def is_heard(sources: Sources[_Address], source: str, epoch: int) -> bool:
    """False for an owner of the past that woke up. One newer than any before begins a sweep, unless it is the first."""
    newest = sources.epochs.get(source, _NEVER)
    if epoch > newest:
        sources.epochs[source] = epoch
        # It may have to go back a little; nothing is measured until it is here again.
        sources.clocks.pop(source, None)
        if newest != _NEVER:
            sources.sweeping[source] = set()
    return epoch >= newest


def hear_clock(sources: Sources[_Address], source: str, now_ms: int) -> bool:
    """Note how far a source has come, in Unix ms; False: nothing has happened there yet, it has no clock."""
    if now_ms:
        sources.clocks[source] = max(now_ms, sources.clocks.get(source, 0))
    return now_ms != 0


def slowest_ms(sources: Sources[_Address], count: int) -> int | None:
    """The clock of the slowest of `count` sources, in Unix ms.

    None: not all have told theirs, or a new owner is still telling: what the old one told does not fit to that.
    """
    if sources.sweeping or len(sources.clocks) < count:
        return None
    return min(sources.clocks.values())
