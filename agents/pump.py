"""When is what told and stored? The clocks of both stages, with checkpoints of different shards staggered."""

import asyncio
import time

from faust.types import TP

from agents.host import Host, Shard

_IDLE_S = 0.02


class Pump:
    """Calls `Host.flush` and `Host.checkpoint` at their times, until cancelled. All periods in ms.

    Args:
        flush_ms: how often stage 1 tells its partial results.
        publish_ms: how often stage 2 looks whether a snapshot is due.
        checkpoint_ms: how often each shard is stored.
    """

    def __init__(
        self, host: Host, partials_topic: str, flush_ms: int, publish_ms: int, checkpoint_ms: int
    ) -> None:
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
        """Every shard once a period, evenly spread over it; incomplete incarnations come first and more often."""
        due: dict[TP, float] = {}
        async with asyncio.TaskGroup() as running:
            while True:
                now = time.monotonic()
                shards = self._host.shards
                due = {tp: at for tp, at in due.items() if tp in shards}
                for index, (tp, shard) in enumerate(shards.items()):
                    at = due.setdefault(tp, now + self._checkpoint_s * index / (4 * len(shards)))
                    if at > now or shard.storing.locked():
                        continue
                    due[tp] = now + self._checkpoint_s / (1 if shard.checkpointer.is_complete else 8)
                    running.create_task(self._host.checkpoint(shard))
                    break  # one cut at a time: the stream goes on in between
                await asyncio.sleep(_IDLE_S)
