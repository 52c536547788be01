"""What does a shard of stage 1 send to stage 2, and in how many messages? Pure packing, shared by host and driver."""

from collections.abc import Iterator
from typing import Protocol

from schemas.counts import STATE_VERSION
from schemas.partials import SITE_ROW, Partial, RowPartial, SourceTruth, encode_partial
from schemas.topics import RUN_BYTES
from streams.routing import Router
from streams.shard import Batch

CLOCK_EVERY_MS = 2000
"""How often every target partition hears of the clock, changed rows or not: boards see by it that Kafka delivers."""
_PACKED_BYTES = RUN_BYTES // 4


class Telling(Protocol):
    """A fold of stage 1, as far as telling goes."""

    @property
    def clock_ms(self) -> int: ...
    @property
    def truth(self) -> SourceTruth: ...
    @property
    def is_replay(self) -> bool: ...
    def flush(self, *, whole: bool = True) -> list[Batch]: ...
    def tell_all(self) -> None: ...


class Teller:
    """Packs what one shard has to tell. `epoch` (ms) names the shard's incarnation.

    The first telling of an incarnation tells everything, to every target partition.
    """

    def __init__(self, fold: Telling, topic: str, partition: int, epoch: int, router: Router) -> None:
        self._fold = fold
        self._topic = topic
        self._partition = partition
        self._epoch = epoch
        self._router = router
        self._first = True
        self._clock_told = 0

    def tell(
        self, position: int, *, everywhere: bool = False, whole: bool = True
    ) -> Iterator[tuple[int, bytes]]:
        """Messages for `queue-partials` as (target partition, value); the fold must be settled.

        Args:
            position: the next source offset that the fold has not seen.
            everywhere: tell every target partition the clock, however little it moved.
            whole: False leaves out what reports and gauges are made of, for now.
        """
        batches = self._fold.flush(whole=whole or self._first or self._fold.is_replay)
        site_target = self._router.of(SITE_ROW)
        for index, batch in enumerate(batches):
            # Batches set aside before the incarnation began do not hold everything; with the last all has been told.
            full = self._first and index == len(batches) - 1
            targets = self._router.divide(batch.rows)
            if (
                everywhere
                or self._first
                or batch.clock_ms // CLOCK_EVERY_MS != self._clock_told // CLOCK_EVERY_MS
            ):
                self._clock_told = batch.clock_ms
                for target in range(self._router.partitions):
                    targets.setdefault(target, [])
            for target, rows in targets.items():
                truth = self._fold.truth if target == site_target else None
                for value in self._messages(position, batch.clock_ms, rows, truth, full):
                    yield target, value
        self._first = False

    def _messages(
        self, position: int, clock_ms: int, rows: list[RowPartial], truth: SourceTruth | None, full: bool
    ) -> Iterator[bytes]:
        parts: list[list[RowPartial]] = [[]]
        size = 0
        for row in rows:
            size += 64 + len(row.row) + sum(len(bytes(raw)) + 8 for _, _, raw in row.panes)
            if size > _PACKED_BYTES and parts[-1]:
                parts.append([])
                size = 0
            parts[-1].append(row)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            yield encode_partial(
                Partial(
                    STATE_VERSION,
                    self._epoch,
                    self._topic,
                    self._partition,
                    position,
                    clock_ms,
                    part,
                    truth if last else None,
                    full and last,
                    self._fold.is_replay,
                )
            )
