"""When is what told and stored? The clocks of both stages, with checkpoints of different shards staggered."""

import asyncio
import time
from collections.abc import Callable

from faust.types import TP

from agents.host import Host, Shard

_IDLE_S = 0.02
FAR_BEHIND = 2000
"""Records unread of one partition from which on a worker catches up before anything else."""
_BEHIND_S = 1.0
"""How often results are told and published while the worker is behind: it catches up first."""


class Pump:
    """Calls `Host.flush` and `Host.checkpoint` at their times, until cancelled. All periods in ms.

    Stage 1 tells at multiples of `flush_ms` of the wall clock, all shards of all workers at once, so that stage 2 takes
    in and publishes a row once for all of them. A checkpoint tells as well, so it is made when its shard's turn to
    tell has come.

    Args:
        flush_ms: how often stage 1 tells its partial results.
        publish_ms: how often stage 2 looks whether a snapshot is due.
        checkpoint_ms: how often each shard is stored.
        is_behind: True while the newest records are still far off.
    """

    def __init__(
        self,
        host: Host,
        partials_topic: str,
        flush_ms: int,
        publish_ms: int,
        checkpoint_ms: int,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._host = host
        self._partials_topic = partials_topic
        self._flush_s = flush_ms / 1000
        self._publish_s = publish_ms / 1000
        self._checkpoint_s = checkpoint_ms / 1000
        self._is_behind = is_behind
        self._due: dict[TP, float] = {}
        """When each shard is to be stored, monotonic."""

    async def run(self) -> None:
        """Run all clocks; an error in one of them is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(tasks, self._flush_s, queues=False))
            tasks.create_task(self._every(tasks, self._publish_s, queues=True))
            tasks.create_task(self._first_checkpoints(tasks))

    def _shards(self, *, queues: bool) -> list[Shard]:
        return [s for s in self._host.shards.values() if (s.tp.topic == self._partials_topic) == queues]

    async def _every(self, tasks: asyncio.TaskGroup, period_s: float, *, queues: bool) -> None:
        while True:
            each_s = max(period_s, _BEHIND_S) if self._is_behind() else period_s
            await asyncio.sleep(each_s - time.time() % each_s)
            for shard in self._shards(queues=queues):
                if shard.checkpointer.is_complete and self._is_due(shard):
                    self._store(tasks, shard, self._checkpoint_s)
                else:
                    await self._host.flush(shard)
                if queues:
                    await asyncio.sleep(0)

    def _is_due(self, shard: Shard) -> bool:
        return self._due.get(shard.tp, 0.0) <= time.monotonic() and not shard.storing.locked()

    def _store(self, tasks: asyncio.TaskGroup, shard: Shard, again_s: float) -> None:
        self._due[shard.tp] = time.monotonic() + again_s
        tasks.create_task(self._host.checkpoint(shard))

    async def _first_checkpoints(self, tasks: asyncio.TaskGroup) -> None:
        """Store new incarnations often until they are complete: then what they cover is known to others."""
        while True:
            for index, (tp, shard) in enumerate(self._host.shards.items()):
                if shard.checkpointer.is_complete:
                    continue
                share = self._checkpoint_s / (4 * len(self._host.shards))
                self._due.setdefault(tp, time.monotonic() + share * index)
                if self._is_due(shard):
                    self._store(tasks, shard, self._checkpoint_s / 8)
                    break  # one cut at a time: the stream goes on in between
            await asyncio.sleep(_IDLE_S)
