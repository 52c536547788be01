"""Is an agent of this queue free just now? Asked before help is suggested: an offer that no one can take fails twice.

Looks at the rows this process publishes, and once a second at Redis for those of other workers. What is older than
ten seconds is not believed. Refuses to know what is offered to whom.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

from agents.snapshot_store import MemorySnapshots, keys_of
from agents.wall_clock import wall_ms
from schemas.events import CHANNELS
from schemas.partials import queue_row
from schemas.snapshots import QueueState, RowState, decode_state

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_BELIEVED_MS = 10_000


class FreeAgents:
    """Knows who is available in the queues named.

    Args:
        memory: what this process publishes.
        queues: those that are asked for.
        client: Redis, where other workers publish; None: there are none.
        site: its name.
    """

    def __init__(
        self, memory: MemorySnapshots, queues: Collection[str], client: redis.Redis | None, site: str
    ) -> None:
        self._memory = memory
        self._client = client
        self._snapshots = keys_of(site)[0]
        self._rows = [queue_row(queue, channel) for queue in sorted(queues) for channel in CHANNELS]
        self._elsewhere: list[RowState] = []
        self._free: dict[str, int] = {}
        self._looked_s = -_EVERY_S

    def of(self, queue: str) -> int:
        """Agents of a queue who are available, on whichever channel has most; 0 where nothing is known of it."""
        if time.monotonic() - self._looked_s >= _EVERY_S:
            self._looked_s = time.monotonic()
            self._free = _free([*self._elsewhere, *self._memory.states()], wall_ms())
        return self._free.get(queue, 0)

    async def run(self) -> None:
        """Ask Redis once a second, until cancelled."""
        while self._client is not None and self._rows:
            try:
                values = await self._client.hmget(self._snapshots, self._rows)
                self._elsewhere = [decode_state(value) for value in values if value is not None]
            except (RedisError, OSError, TimeoutError, msgspec.DecodeError) as error:
                log.debug("free agents of other workers' queues are not known: %s", error)
            await asyncio.sleep(_EVERY_S)


def _free(states: Sequence[RowState], now_ms: int) -> dict[str, int]:
    free: dict[str, int] = {}
    for state in states:
        if isinstance(state, QueueState) and now_ms - state.published_ms <= _BELIEVED_MS:
            free[state.queue] = max(free.get(state.queue, 0), state.agents.get("available", 0))
    return free
