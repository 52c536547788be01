"""Which callbacks were promised and not yet made? Kept by shard and row, by difference: old out, new in.

A promise is kept when the same contact enters a queue again. It is forgotten with its contact, `limits.keep_ms` after
it was made. Refuses to know who was promised what.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

from schemas.partials import queue_row
from streams.contributions import Segment
from streams.shard import Shard


class Callbacks:
    """The open promises of one shard, as `ShardMeta.promised` stores them; rows tell how many and the oldest."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def exchange(self, before: Sequence[Segment], after: Sequence[Segment]) -> None:
        """A contact that meant `before` means `after`."""
        old, new = _promise(before), _promise(after)
        if old == new:
            return
        if old is not None:
            self._change(*old, -1)
        if new is not None:
            self._change(*new, 1)

    def _change(self, name: str, at_ms: int, sign: int) -> None:
        if at_ms < self._oldest_kept_ms():
            return
        promised = self._shard.meta.promised.setdefault(name, [])
        if sign > 0:
            insort(promised, at_ms)
        else:
            place = bisect_left(promised, at_ms)
            # Not there where it was forgotten.
            del promised[place : place + promised[place : place + 1].count(at_ms)]
        self._tell(name, promised)

    def expire(self) -> None:
        """Forget promises as old as the oldest contacts that are known."""
        oldest_ms = self._oldest_kept_ms()
        for name, promised in list(self._shard.meta.promised.items()):
            if promised[0] < oldest_ms:
                del promised[: bisect_left(promised, oldest_ms)]
                self._tell(name, promised)

    def _oldest_kept_ms(self) -> int:
        return self._shard.clock_ms - self._shard.site.limits.keep_ms

    def _tell(self, name: str, promised: list[int]) -> None:
        row = self._shard.row(name)
        row.promise(promised)
        row.changed = True
        if not promised:
            del self._shard.meta.promised[name]


def _promise(segments: Sequence[Segment]) -> tuple[str, int] | None:
    """Row and time of a contact's open promise: its last visit ended in one."""
    if not segments or not segments[-1].promised:
        return None
    last = segments[-1]
    return queue_row(last.queue, last.channel), last.left_ms
