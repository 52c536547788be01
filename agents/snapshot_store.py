"""Where do boards find the newest snapshots? In Redis, or in this process.

Redis holds, per site: a hash of states (`schemas.snapshots.RowState`) by row, a hash of fences (see
`agents.fenced_hash`), a sequence number, and a channel on which every publication is announced; readers get snapshots
made of the states. Refuses to know what the numbers mean.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import redis.asyncio as redis

from agents.fenced_hash import GONE, FencedHash, Keys
from schemas.partials import SITE_ROW, queue_row, team_row
from schemas.snapshots import QueueSnapshot, QueueState, RowState, Snapshot, decode_state, encode_json
from streams.snapshot import glance, snapshot_of

log = logging.getLogger(__name__)


def keys_of(site: str) -> tuple[str, str, str, str]:
    """Redis keys of a site: snapshots, fences, sequence number, channel."""
    start = f"queuelight:{{{site}}}:"
    return start + "snapshots", start + "fences", start + "seq", start + "updates"


def row_of(snapshot: RowState | Snapshot) -> str:
    """The row a snapshot is of."""
    if isinstance(snapshot, QueueState | QueueSnapshot):
        return queue_row(snapshot.queue, snapshot.channel)
    return SITE_ROW if snapshot.group == "site" else team_row(snapshot.name)


class Board(Protocol):
    """Whoever can say what the newest snapshots are."""

    async def read(self) -> list[Snapshot]: ...


class MemorySnapshots:
    """Snapshots of the rows this process owns, or, in the demo, of all rows."""

    def __init__(self) -> None:
        self._rows: dict[str, RowState] = {}

    def publish(self, states: Sequence[RowState]) -> None:
        """Take in the newest states of rows."""
        for state in states:
            self._rows[row_of(state)] = state

    def remove(self, rows: Sequence[str]) -> None:
        """Forget rows that are no longer ours."""
        for row in rows:
            self._rows.pop(row, None)

    def states(self) -> list[RowState]:
        """The newest state of every row."""
        return list(self._rows.values())

    def snapshots(self) -> list[Snapshot]:
        """The newest snapshot of every row."""
        return [snapshot_of(state) for state in self.states()]

    def glances(self, windows: Sequence[str]) -> list[Snapshot]:
        """The newest snapshot of every row, with some windows on the event basis only: less than half of the work."""
        return [glance(state, *windows) for state in self.states()]

    async def read(self) -> list[Snapshot]:
        """The newest snapshot of every row."""
        return self.snapshots()


class RedisSnapshots:
    """Snapshots in Redis. Reading is for boards; `offer` and `run` are for the worker that publishes."""

    def __init__(self, url: str, site: str) -> None:
        self.client: redis.Redis = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2)
        """The connections."""
        self._keys = Keys(*keys_of(site))
        self._hash = FencedHash(self.client, self._keys)

    @property
    def count(self) -> Callable[[str, int], None]:
        """Is told what became of rows: stored, fenced or failed."""
        return self._hash.count

    @count.setter
    def count(self, count: Callable[[str, int], None]) -> None:
        self._hash.count = count

    async def read(self) -> list[Snapshot]:
        """The newest snapshot of every row.

        Raises:
            RedisError: Redis cannot be reached.
        """
        values = await self.client.hvals(self._keys.values)
        out = []
        for value in values:
            try:
                out.append(snapshot_of(decode_state(value)))
            except msgspec.DecodeError:
                log.warning("a snapshot in Redis cannot be read; is its writer of another version?")
        return out

    def offer(self, states: Sequence[RowState]) -> None:
        """Let states be written soon; a newer one of the same row replaces an older one that still waits."""
        for state in states:
            self._hash.offer(row_of(state), state.epoch, state.position, encode_json(state))

    def remove(self, rows: Sequence[str], epoch: int, position: int) -> None:
        """Let rows vanish from Redis, unless a newer owner has written them."""
        for row in rows:
            self._hash.offer(row, epoch, position, GONE)

    def withdraw(self, rows: Sequence[str]) -> None:
        """Do not write what still waits of rows that are no longer ours."""
        self._hash.withdraw(rows)

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        await self._hash.run()

    async def ping(self) -> None:
        """Ask Redis for a sign of life.

        Raises:
            RedisError: it gives none.
        """
        await self.client.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
