"""What is stored of a shard or a row beside its panes? Plain structs, written and read as MessagePack arrays.

Refuses to know what they mean: that is the business of the folds. They are on their own because mypyc compiles neither
the classes that msgspec makes nor the annotations by which it reads (of `tuple[int, ...]` it leaves `tuple`): a module
that is compiled (`setup.py`) defines nothing that msgspec builds.
"""

from typing import NamedTuple

from msgspec import Struct, field

from schemas.partials import SourceTruth


class ShardMeta(Struct, array_like=True):
    """The part of a shard's state that is neither a pane nor a contact or agent."""

    clock_ms: int = 0
    horizon_ms: int = 0
    truth: SourceTruth = field(default_factory=SourceTruth)
    now: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Row -> (waiting, in service)"""
    names: dict[str, int] = field(default_factory=dict)
    event_clock: bool = False
    promised: dict[str, list[int]] = field(default_factory=dict)
    """Row -> when each of its open callbacks was promised, sorted; see `streams.callbacks`."""


class Scalars(Struct, array_like=True):
    """What one source says of now in a row."""

    waiting: int = 0
    in_service: int = 0
    agents: dict[str, int] = field(default_factory=dict)
    length: int = 0
    """Who waited after all changes of queue length told so far; likewise `service`."""
    service: int = 0
    callbacks: int = 0
    """Callbacks promised and not yet made, and when the oldest was promised (0: none)."""
    oldest_callback_ms: int = 0


class QueueMeta(Struct, array_like=True):
    """The part of a queue fold's state that is not of one row."""

    clock_ms: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, int] = field(default_factory=dict)
    event_clock: bool = False
    began_ms: int = 0
    """In a replay: the earliest clock any source told."""
    truths: dict[str, SourceTruth] = field(default_factory=dict)
    sweeping: dict[str, set[tuple[str, int, int]]] = field(default_factory=dict)
    """Source -> (row, kind, number) of all its new owner has told so far, until it has told everything."""


class Lengths(NamedTuple):
    """Queue length over one 15 min interval.

    `area_ms`: integral of the length over time. `minutes`: (waiting, in service) at second 0 of each minute.
    """

    longest: int
    area_ms: int
    minutes: tuple[tuple[int, int], ...]


class StoredRow(Struct, array_like=True):
    """A merged row without its panes."""

    seen_ms: int
    scalars: dict[str, Scalars]
    lengths: dict[int, Lengths]
