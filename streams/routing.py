"""Which partition does a key or row belong to? One hash for producers, the driver and both stages."""

from collections.abc import Callable
from zlib import crc32

from schemas.partials import RowPartial, home_of
from schemas.topics import CALLS, PRESENCE


def partition_of(word: str, partitions: int) -> int:
    """The partition of a key (CRC-32 of its UTF-8, as librdkafka's ``consistent`` partitioner)."""
    return crc32(word.encode()) % partitions


def owner(partition: int, partitions: int) -> Callable[[str], bool]:
    """Says whether a row's home belongs to a partition of `queue-partials`."""
    return lambda home: partition_of(home, partitions) == partition


class Router:
    """Sends row partials to the partition of their home; homes are remembered (bounded by the rows there are)."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._known: dict[str, int] = {}

    def of(self, row: str) -> int:
        """The partition of one row."""
        partition = self._known.get(row)
        if partition is None:
            if len(self._known) > 100_000:
                self._known.clear()
            partition = self._known[row] = partition_of(home_of(row), self.partitions)
        return partition

    def divide(self, rows: list[RowPartial]) -> dict[int, list[RowPartial]]:
        """Rows by target partition."""
        out: dict[int, list[RowPartial]] = {}
        for row in rows:
            out.setdefault(self.of(row.row), []).append(row)
        return out


def topic_of(event_type: str) -> str:
    """The source topic of an event type, where the channel is not known: contacts go to `calls`."""
    return PRESENCE if event_type == "agent.state" else CALLS
