"""Where do boards find the newest snapshots? In Redis, or in this process.

Redis holds, per site: a hash of states (`schemas.snapshots.RowState`) by row, a hash of fences, a sequence number, and
a channel on which every publication is announced; readers get snapshots made of the states. A state of an older
incarnation or position is refused by a script in Redis (the fence), so a paused worker that wakes up cannot overwrite
its successor. Refuses to know what the numbers mean.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

from schemas.partials import SITE_ROW, queue_row, team_row
from schemas.snapshots import QueueSnapshot, QueueState, RowState, Snapshot, decode_state, encode_json
from streams.snapshot import snapshot_of

log = logging.getLogger(__name__)

_PUBLISH = """
local snapshots, fences, sequence, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stored, refused, told = 0, 0, {}
for i = 1, #ARGV, 4 do
  local row, epoch, position, value = ARGV[i], tonumber(ARGV[i+1]), tonumber(ARGV[i+2]), ARGV[i+3]
  local fence = redis.call('HGET', fences, row)
  local pass = true
  if fence then
    local e, p = string.match(fence, '(%d+):(%d+)')
    e, p = tonumber(e), tonumber(p)
    pass = epoch > e or (epoch == e and position >= p)
  end
  if pass then
    redis.call('HSET', fences, row, string.format('%.0f:%.0f', epoch, position))
    if value == '' then
      redis.call('HDEL', snapshots, row)
    else
      redis.call('HSET', snapshots, row, value)
    end
    stored = stored + 1
    told[#told + 1] = value ~= '' and value or 'null'
  else
    refused = refused + 1
  end
end
if stored > 0 then
  local seq = redis.call('INCR', sequence)
  redis.call('PUBLISH', channel, '{"seq":' .. seq .. ',"snapshots":[' .. table.concat(told, ',') .. ']}')
end
return {stored, refused}
"""


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

    def snapshots(self) -> list[Snapshot]:
        """The newest snapshot of every row."""
        return [snapshot_of(state) for state in list(self._rows.values())]

    async def read(self) -> list[Snapshot]:
        """The newest snapshot of every row."""
        return self.snapshots()


class RedisSnapshots:
    """Snapshots in Redis. Reading is for boards; `offer` and `run` are for the worker that publishes.

    Of every row only the newest snapshot waits to be written, so a slow or absent Redis costs no memory and is brought
    up to date at once when it returns.
    """

    def __init__(self, url: str, site: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2)
        self._keys = keys_of(site)
        self._script = self._client.register_script(_PUBLISH)
        self._waiting: dict[str, tuple[int, int, bytes]] = {}
        self._wake = asyncio.Event()
        self.count: Callable[[str, int], None] = lambda result, rows: None

    async def read(self) -> list[Snapshot]:
        """The newest snapshot of every row.

        Raises:
            RedisError: Redis cannot be reached.
        """
        values = await self._client.hvals(self._keys[0])
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
            self._waiting[row_of(state)] = (state.epoch, state.position, encode_json(state))
        if states:
            self._wake.set()

    def remove(self, rows: Sequence[str], epoch: int, position: int) -> None:
        """Let rows vanish from Redis, unless a newer owner has written them."""
        for row in rows:
            self._waiting[row] = (epoch, position, b"")
        self._wake.set()

    def withdraw(self, rows: Sequence[str]) -> None:
        """Do not write what still waits of rows that are no longer ours."""
        for row in rows:
            self._waiting.pop(row, None)

    async def run(self) -> None:
        """Write what is offered, until cancelled; while Redis is away, try again with growing pauses."""
        pause_s = 0.1
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, {}
            if not batch:
                continue
            args: list[str | int | bytes] = []
            for row, (epoch, position, value) in batch.items():
                args += (row, epoch, position, value)
            try:
                stored, refused = await self._script(keys=list(self._keys), args=args)
            except (RedisError, OSError, TimeoutError) as error:
                self.count("failed", len(batch))
                log.warning("Redis: %s; trying again in %.1f s", error, pause_s)
                self._waiting = {**batch, **self._waiting}
                await asyncio.sleep(pause_s)
                pause_s = min(2.0, pause_s * 2)
                self._wake.set()
                continue
            pause_s = 0.1
            self.count("stored", stored)
            self.count("fenced", refused)

    async def ping(self) -> None:
        """Ask Redis for a sign of life.

        Raises:
            RedisError: it gives none.
        """
        await self._client.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
