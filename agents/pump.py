"""When is what told and stored? The clocks of both stages, with checkpoints of different shards staggered."""

import asyncio
import time

from agents.host import Host, Shard

_IDLE_S = 0.02


class Pump:
    """Calls `Host.flush` and `Host.checkpoint` at their times, until cancelled. All periods in ms.

    Args:
        flush_ms: how often stage 1 tells its partial results.
        publish_ms: how often stage 2 looks whether a snapshot is due.
        checkpoint_ms: how often each shard is stored.
    """

    def __init__(self, host: Host, partials_topic: str, flush_ms: int, publish_ms: int, checkpoint_ms: int) -> None:
        self._host = host
        self._partials_topic = partials_topic
        self._flush_s = flush_ms / 1000
        self._publish_s = publish_ms / 1000
        self._checkpoint_s = checkpoint_ms / 1000

    async def run(self) -> None:
        """Run all clocks; an error in one of them is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self._flush_s, queues=False))
            tasks.create_task(self._every(self._publish_s, queues=True))
            tasks.create_task(self._checkpoints())

    def _shards(self, *, queues: bool) -> list[Shard]:
        return [s for s in self._host.shards.values() if (s.tp.topic == self._partials_topic) == queues]

    async def _every(self, period_s: float, *, queues: bool) -> None:
        due = time.monotonic()
        while True:
            for shard in self._shards(queues=queues):
                await self._host.flush(shard)
                await asyncio.sleep(0)
            due = max(due + period_s, time.monotonic())
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _checkpoints(self) -> None:
        """One shard after the other, each once a period; incomplete incarnations come first and more often."""
        last: dict[object, float] = {}
        while True:
            now = time.monotonic()
            shards = list(self._host.shards.values())
            known = {shard.tp for shard in shards}
            last = {tp: at for tp, at in last.items() if tp in known}
            step_s = self._checkpoint_s / max(1, len(shards))
            for shard in shards:
                period_s = self._checkpoint_s if shard.checkpointer.is_complete else self._checkpoint_s / 8
                if now - last.get(shard.tp, 0.0) >= period_s:
                    last[shard.tp] = now
                    await self._host.checkpoint(shard)
                    await asyncio.sleep(step_s / 4)
            await asyncio.sleep(_IDLE_S)
