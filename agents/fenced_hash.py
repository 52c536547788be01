"""How is a hash in Redis written so that an owner of the past cannot overwrite its successor?

Every field has a fence: the greatest (epoch, position) that wrote it. A script refuses a value of a lower one, so a
paused worker that wakes up changes nothing. Where fields come and go without end, those of one owner share a fence.
Of every field only the newest value waits to be written: a slow or absent Redis costs no memory, and is brought up to
date at once when it returns. Refuses to know what the values mean.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import redis.asyncio as redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_WRITE = """
local values, fences, sequence, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stored, refused, told = 0, 0, {}
for i = 1, #ARGV, 5 do
  local field, name, value = ARGV[i], ARGV[i+1], ARGV[i+4]
  local epoch, position = tonumber(ARGV[i+2]), tonumber(ARGV[i+3])
  local fence = redis.call('HGET', fences, name)
  local pass = true
  if fence then
    local e, p = string.match(fence, '(%d+):(%d+)')
    e, p = tonumber(e), tonumber(p)
    pass = epoch > e or (epoch == e and position >= p)
  end
  if pass then
    redis.call('HSET', fences, name, string.format('%.0f:%.0f', epoch, position))
    if value == '' then
      redis.call('HDEL', values, field)
    else
      redis.call('HSET', values, field, value)
    end
    stored = stored + 1
    told[#told + 1] = value ~= '' and value or 'null'
  else
    refused = refused + 1
  end
end
if stored > 0 and sequence then
  local seq = redis.call('INCR', sequence)
  redis.call('PUBLISH', channel, '{"seq":' .. seq .. ',"snapshots":[' .. table.concat(told, ',') .. ']}')
end
return {stored, refused}
"""
GONE = b""
"""The value of a field that is to vanish."""


class Keys(NamedTuple):
    """Redis keys; the last two only where every write is counted and announced."""

    values: str
    fences: str
    sequence: str | None = None
    channel: str | None = None


class FencedHash:
    """Writes one hash; `offer` says what, `run` does it.

    Args:
        client: the connections.
        keys: where.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._keys = [key for key in keys if key is not None]
        self._script = client.register_script(_WRITE)
        self._waiting: dict[str, tuple[str, int, int, bytes]] = {}
        self._wake = asyncio.Event()
        self.count: Callable[[str, int], None] = lambda result, fields: None

    def offer(self, field: str, epoch: int, position: int, value: bytes, fence: str | None = None) -> None:
        """Let a value be written soon; it replaces an older one of the field that still waits.

        `fence`: of which name; by default the field's own. Whoever shares one writes with one position.
        """
        self._waiting[field] = (fence or field, epoch, position, value)
        self._wake.set()

    def withdraw(self, fields: Sequence[str]) -> None:
        """Do not write what still waits of fields that are no longer ours."""
        for field in fields:
            self._waiting.pop(field, None)

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
            for field, (fence, epoch, position, value) in batch.items():
                args += (field, fence, epoch, position, value)
            try:
                stored, refused = await self._script(keys=self._keys, args=args)
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
