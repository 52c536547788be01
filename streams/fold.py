"""What does the host ask of anything stateful? One fold owns the state of one source partition.

The host calls, from one thread: ``apply`` for every run of records, ``settle`` before telling or storing anything,
``flush`` for what is worth telling, ``take_changes`` and ``dump`` for checkpoints, ``load`` after a restart.
Invariant: after ``settle(now_ms)`` everything told is a pure function of the set of events and of `now_ms`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.dead_letters import DeadLetter

BUCKETS = 32
"""Into how many buckets a fold divides its entries; a checkpoint rewrites them in turn."""


class Record(Protocol):
    """One record of the source partition, as Kafka clients deliver it."""

    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...


class Fold(Protocol):
    """State of one shard. Nothing a record contains may raise out of `apply`."""

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        ...

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in records in offset order; return those that cannot be used."""
        ...

    def settle(self, now_ms: int) -> None:
        """Bring every number up to `now_ms` (never back)."""
        ...

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Entries changed since the last call, by bucket; None means removed."""
        ...

    def dump(self, bucket: int) -> dict[str, bytes]:
        """All entries of one bucket, as they are now."""
        ...

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from dumped entries; afterwards everything counts as changed for `flush` and for no checkpoint."""
        ...
