"""How does one worker run? Both stages on one Faust app, with its clocks, publisher and metrics, wired by hand."""

import asyncio
import logging
import signal
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import uvloop

from agents.exposition import Build, Exposition
from agents.faust_host import FaustHost, tune_gc
from agents.host import Stage
from agents.metrics_server import MetricsServer
from agents.pump import Pump
from agents.snapshot_store import MemorySnapshots, RedisSnapshots
from agents.stages import QueueStage, SourceStage
from agents.worker_name import sole_on_this_machine
from agents.worker_truth import WorkerTruth
from schemas.errors import BrokerError
from schemas.topics import PARTIALS, SOURCES

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

_WATCH_EVERY_S = 1.0
_BEHIND = 2000
"""A source partition with more records to read than this is behind."""
_SILENT_S = 30.0


class Worker:
    """One member of the consumer group; `start` starts, `stop` stores and leaves.

    Args: see `agents.faust_host.FaustHost`.
    """

    def __init__(self, settings: "Settings", *, static: bool = True, data_folder: str | None = None) -> None:
        kafka, own = settings.kafka, settings.worker
        prefix, partitions = kafka.topic_prefix, kafka.partitions
        self.memory = MemorySnapshots()
        url = settings.redis.url
        self.store = None if url is None else RedisSnapshots(url.get_secret_value(), settings.site.name)
        sources = [prefix + topic for topic in SOURCES]
        self._partials = prefix + PARTIALS
        self.truth = WorkerTruth([*sources, self._partials], own.ready_lag, sources)
        if self.store is not None:
            self.store.count = self.truth.redis_writes
        event_clock = own.clock == "event"
        first = SourceStage(settings.site, prefix, partitions, event_clock=event_clock)
        second = QueueStage(
            settings.site,
            prefix,
            partitions,
            sources=len(SOURCES) * partitions,
            event_clock=event_clock,
            memory=self.memory,
            store=self.store,
        )
        stages: dict[str, tuple[list[str], Stage]] = {
            "stage1": (sources, first),
            "stage2": ([self._partials], second),
        }
        self._faust = FaustHost(settings, stages, self.truth, static=static, data_folder=data_folder)
        self.host = self._faust.host
        self._pump = Pump(
            self.host,
            self._partials,
            own.flush_ms,
            own.publish_ms,
            own.checkpoint_ms,
            lambda: self._is_behind,
        )
        self._is_behind = False
        self._seen_alive = time.monotonic()

    @property
    def over(self) -> "asyncio.Future[None] | None":
        """Done when the process must end; with the error that says why, if there is one."""
        return self._faust.over

    async def start(self) -> None:
        """Join the group and begin to work."""
        await self._faust.start()
        self._faust.spawn(self._pump.run())
        self._faust.spawn(self._watch())
        if self.store is not None:
            self._faust.spawn(self.store.run())

    def not_live(self) -> list[str]:
        """What only a restart of the process can cure; empty: nothing."""
        if self.over is not None and self.over.done():
            return ["the worker is stopping"]
        silent_s = time.monotonic() - self._seen_alive
        return [f"the event loop has not turned for {silent_s:.0f} s"] if silent_s > _SILENT_S else []

    async def _watch(self) -> None:
        """Once a second: how far behind is every partition of ours, and has a part of Faust died quietly?"""
        while True:
            self._faust.check()
            furthest = 0
            for tp, shard in self.host.shards.items():
                end = self._faust.highwater(tp)
                if end is not None and shard.position is not None:
                    lag = max(0, end - shard.position)
                    self.truth.lag(tp.topic, tp.partition, lag)
                    if tp.topic != self._partials:
                        furthest = max(furthest, lag)
                if tp.topic != self._partials and self.host.is_restored:
                    self.truth.source(tp.topic, tp.partition, shard.fold.truth)  # type: ignore[attr-defined]
            self._is_behind = furthest > _BEHIND
            self._seen_alive = time.monotonic()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def stop(self) -> None:
        """Store every shard, leave the group, close connections."""
        await self._faust.stop()
        if self.store is not None:
            await self.store.close()


def run_worker(settings: "Settings") -> int:
    """Run a worker until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        BrokerError: the broker does not answer, or topics are missing or wrong.
        SettingsError: another worker of this name runs on this machine.
    """
    from agents.topics import check_topics

    problems = check_topics(settings)
    if problems:
        raise BrokerError("; ".join(problems))
    tune_gc()
    uvloop.install()
    with sole_on_this_machine(settings):
        return asyncio.run(_main(settings))


async def _main(settings: "Settings") -> int:
    worker = Worker(settings)
    server = metrics_server(worker, settings)
    host, port = server.start()
    log.info("worker %s: metrics and health on http://%s:%d", settings.worker.name, host, port)
    loop = asyncio.get_running_loop()
    await worker.start()
    assert worker.over is not None
    over = worker.over
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _finish, over)
    code = 0
    try:
        await over
    except Exception:
        code = 1
    started = time.monotonic()
    try:
        async with asyncio.timeout(15):
            await worker.stop()
    except TimeoutError:
        log.error("stopping took too long; leaving")
        code = 1
    server.stop()
    log.info("worker %s stopped in %.1f s", settings.worker.name, time.monotonic() - started)
    return code


def metrics_server(worker: Worker, settings: "Settings") -> MetricsServer:
    """The page of metrics and health of a worker; inert until started."""
    build = Build(version("queuelight"))
    exposition = Exposition(worker.memory, worker.truth, build)
    own = settings.worker
    return MetricsServer(
        exposition.render, worker.not_live, worker.truth.not_ready, own.metrics_host, own.metrics_port
    )


def _finish(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
