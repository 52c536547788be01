"""How does one worker run? All stages on one Faust app, with its clocks, publisher and metrics, wired by hand."""

import asyncio
import logging
import signal
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from agents.compiled import is_checkout, is_compiled, stale
from agents.drill_store import MemoryDrill, RedisDrill
from agents.exposition import Build, Exposition
from agents.faust_host import FaustHost, tune_gc
from agents.host import Stage
from agents.journeys.free_agents import FreeAgents
from agents.journeys.stages import CustomerStage, CustomerTeller, PageStage, VisitorStage
from agents.journeys.store import MemoryJourneys, RedisJourneys
from agents.metrics_server import MetricsServer
from agents.pseudonym import Pseudonyms
from agents.pump import FAR_BEHIND, Pump
from agents.snapshot_store import MemorySnapshots, RedisSnapshots
from agents.stages import QueueStage, SourceStage
from agents.worker_name import alone_under_its_name
from agents.worker_truth import WorkerTruth
from schemas.errors import BrokerError, SettingsError
from schemas.snapshots import Snapshot
from schemas.topics import (
    CUSTOMER_STAGE,
    CUSTOMERS,
    PAGE_PARTIALS,
    PAGE_STAGE,
    PARTIALS,
    SOURCES,
    VISITOR_STAGE,
    WEB,
)
from streams.contact_fold import ContactFold
from streams.journeys.visitor_fold import VisitorFold
from streams.presence_fold import PresenceFold

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

SWITCH_S = 0.001
"""How long the stream waits for its turn while a page of metrics is made in another thread; Python's own: 5 ms."""
_WATCH_EVERY_S = 1.0
_SILENT_S = 30.0


class Worker:
    """One member of the consumer group; `start` starts, `stop` stores and leaves.

    Args: see `agents.faust_host.FaustHost`.
    """

    def __init__(self, settings: "Settings", *, static: bool = True, data_folder: str | None = None) -> None:
        kafka, own = settings.kafka, settings.worker
        prefix, partitions = kafka.topic_prefix, kafka.partitions
        self.memory = MemorySnapshots()
        where = settings.redis
        self.store = None if where.url is None else RedisSnapshots(where.address, settings.site.name)
        self.drill = (
            MemoryDrill() if self.store is None else RedisDrill(self.store.client, settings.site.name)
        )
        self.journeys = (
            MemoryJourneys() if self.store is None else RedisJourneys(self.store.client, settings.site.name)
        )
        sources = [prefix + topic for topic in SOURCES]
        self._partials = prefix + PARTIALS
        self._event_clock = event_clock = own.clock == "event"
        web = self._journey_stages(settings, event_clock=event_clock)
        read = [topic for topics, _ in web.values() for topic in topics]
        known = [*sources, *(topic for topic in read if topic == prefix + WEB)]
        self.truth = WorkerTruth([*sources, self._partials, *read], own.ready_lag, known)
        if self.store is not None:
            self.store.count = self.truth.redis_writes
        for redis in (self.drill, self.journeys):
            if isinstance(redis, RedisDrill | RedisJourneys):
                redis.count(self.truth.redis_writes)
        key = settings.wallboard.access.pseudonym_key
        first = SourceStage(
            settings.site,
            prefix,
            partitions,
            event_clock=event_clock,
            drill=self.drill,
            pseudonyms=Pseudonyms(None if key is None else key.get_secret_value()),
            customers=self._customers,
        )
        second = QueueStage(
            settings.site,
            prefix,
            partitions,
            sources=len(SOURCES) * partitions,
            event_clock=event_clock,
            memory=self.memory,
            store=self.store,
            drill=self.drill,
        )
        stages: dict[str, tuple[list[str], Stage]] = {
            "stage1": (sources, first),
            "stage2": ([self._partials], second),
            **web,
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

    def _journey_stages(
        self, settings: "Settings", *, event_clock: bool
    ) -> dict[str, tuple[list[str], Stage]]:
        """The stages of journeys, by name; none where they are switched off."""
        site, prefix, partitions = settings.site, settings.kafka.topic_prefix, settings.kafka.partitions
        self._customers: CustomerTeller | None = None
        self._free: FreeAgents | None = None
        self.pages: PageStage | None = None
        """Has the newest report of the web site; None: journeys are switched off."""
        if not site.journeys.enabled:
            return {}
        self._customers = customers = CustomerTeller(prefix, partitions, settings.collector.keys())
        queues = {offer.queue for offer in site.journeys.offers if offer.queue is not None}
        client = None if self.store is None else self.store.client
        self._free = free = FreeAgents(self.memory, queues, client, site.name)
        store = self.journeys
        visitors = VisitorStage(
            site,
            prefix,
            partitions,
            event_clock=event_clock,
            customers=customers,
            store=store,
            has_free=free.of,
        )
        said = CustomerStage(site, prefix, partitions, event_clock=event_clock, store=store)
        self.pages = PageStage(site, prefix, partitions, event_clock=event_clock, store=store)
        return {
            VISITOR_STAGE: ([prefix + WEB], visitors),
            CUSTOMER_STAGE: ([prefix + CUSTOMERS], said),
            PAGE_STAGE: ([prefix + PAGE_PARTIALS], self.pages),
        }

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
        if isinstance(self.drill, RedisDrill):
            self._faust.spawn(self.drill.run())
        if isinstance(self.journeys, RedisJourneys) and self.pages is not None:
            self._faust.spawn(self.journeys.run())
        if self._free is not None:
            self._faust.spawn(self._free.run())

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
                fold = shard.fold
                source = fold if isinstance(fold, ContactFold | PresenceFold | VisitorFold) else None
                if end is not None and shard.position is not None:
                    lag = max(0, end - shard.position)
                    self.truth.lag(tp.topic, tp.partition, lag)
                    if source is not None:
                        furthest = max(furthest, lag)
                        source.truth.lag = lag
                if source is not None and self.host.is_restored:
                    self._check_clock(source, tp.topic)
                    self.truth.source(tp.topic, tp.partition, source.truth)
                    self.truth.heard(tp.topic, source.shard.take_delays_ms(), source.shard.heartbeat_ms)
            self._is_behind = furthest > FAR_BEHIND
            self._seen_alive = time.monotonic()
            await asyncio.sleep(_WATCH_EVERY_S)

    def _check_clock(self, source: ContactFold | PresenceFold | VisitorFold, topic: str) -> None:
        """What a replay has stored is of no use to a live worker, nor the other way round."""
        if source.is_replay != self._event_clock:
            whose = ("live worker", "replay")[source.is_replay]
            raise SettingsError(
                f"the stored state of {topic} is that of a {whose}, which does not fit `clock` in [worker]: "
                "use another `app_id` in [kafka]"
            )

    async def stop(self) -> None:
        """Store every shard, leave the group, close connections."""
        await self._faust.stop()
        if self.store is not None:
            await self.store.close()


def run_worker(settings: "Settings") -> int:
    """Run a worker until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        BrokerError: the broker does not answer, or topics are missing or wrong.
        QueuelightError: Redis refuses us.
        SettingsError: another worker of this name runs on this machine.
    """
    from agents.redis_client import check_let_in
    from agents.topics import check_topics

    check_let_in(settings.redis)
    problems = check_topics(settings)
    if problems:
        raise BrokerError("; ".join(problems))
    tune_gc()
    sys.setswitchinterval(SWITCH_S)
    uvloop.install()
    with alone_under_its_name(settings) as named:
        return asyncio.run(_main(named))


async def _main(settings: "Settings") -> int:
    worker = Worker(settings)
    server = metrics_server(worker, settings)
    host, port = server.start()
    log.info("worker %s: metrics and health on http://%s:%d", settings.worker.name, host, port)
    _say_how_it_counts()
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


def _say_how_it_counts() -> None:
    log.info("counting with %s", "compiled modules" if is_compiled() else "plain Python")
    old = stale() if is_checkout() else []
    if old:
        log.warning(
            "these changed after they were compiled, and run as they were: %s (make compile)", ", ".join(old)
        )


class Glances(NamedTuple):
    """The snapshots that a scrape needs."""

    memory: MemorySnapshots
    windows: tuple[str, ...]

    def snapshots(self) -> list[Snapshot]:
        return self.memory.glances(self.windows)


def metrics_server(worker: Worker, settings: "Settings") -> MetricsServer:
    """The page of metrics and health of a worker; inert until started."""
    build = Build(version("queuelight"))
    own = settings.worker
    seen = Glances(worker.memory, own.metrics_windows)
    pages, floor = worker.pages, settings.alerts.stuck_visitors
    report = None if pages is None else lambda: pages.newest
    exposition = Exposition(seen, worker.truth, build, own.metrics_windows, settings.site, report, floor)
    return MetricsServer(
        exposition.render, worker.not_live, worker.truth.not_ready, own.metrics_host, own.metrics_port
    )


def _finish(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
