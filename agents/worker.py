"""How does one worker run? Both stages on one Faust app, with its clocks, publisher and metrics, wired by hand."""

import asyncio
import gc
import logging
import signal
import tempfile
import time
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import faust
import uvloop
from faust.types import TP
from yarl import URL

from agents.exposition import Build, Exposition
from agents.host import Host, Outgoing
from agents.lane import LaneConsumer, LaneTransport, RunScheduler, RunSchema, RunTable, check_versions
from agents.metrics_server import MetricsServer
from agents.pump import Pump
from agents.snapshot_store import MemorySnapshots, RedisSnapshots
from agents.stages import QueueStage, SourceStage, encode_letter
from agents.worker_truth import WorkerTruth
from schemas.errors import BrokenInvariant, BrokerError
from schemas.topics import DEAD_LETTERS, PARTIALS, SOURCES

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

SESSION_S = 6.0
_REVOKE_PATIENCE_S = 4.0
_STOP_PATIENCE_S = 8.0
_WATCH_EVERY_S = 1.0
_SILENT_S = 30.0


class Worker:
    """One member of the consumer group; `start` starts, `stop` stores and leaves.

    Args:
        settings: see `agents.settings`.
        static: keep the membership over a restart (the same `name` must come back); False for short-lived workers.
        data_folder: where Faust may write (it insists on it; nothing of value is there); default: a temporary one.
    """

    def __init__(self, settings: "Settings", *, static: bool = True, data_folder: str | None = None) -> None:
        check_versions()
        self._settings = settings
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
        self._scratch = None if data_folder else tempfile.TemporaryDirectory(prefix="queuelight-")
        self._app = _app(settings, data_folder or self._scratch.name, static=static)  # type: ignore[union-attr]
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
        one, two = (self._table(stage) for stage in ("stage1", "stage2"))
        self.host = Host(
            stages={**dict.fromkeys(sources, first), self._partials: second},
            tables={**dict.fromkeys(sources, one), self._partials: two},
            owner=own.name,
            dead_letter_topic=prefix + DEAD_LETTERS,
            send=self._send,
            observer=self.truth,
            encode_letter=encode_letter,
        )
        self._transport.host = self.host
        self.host.earliest = self._earliest
        self.host.seek = self._seek
        self.host.failed = self._fail
        self._pump = Pump(self.host, self._partials, own.flush_ms, own.publish_ms, own.checkpoint_ms)
        self._agent_function(sources, "stage1")
        self._agent_function([self._partials], "stage2")
        self._pending_tables = {one.name, two.name}
        for table in (one, two):
            table.on_recover(self._recovered(table.name))
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self.over: asyncio.Future[None] | None = None
        self._seen_alive = time.monotonic()

    # --- wiring -----------------------------------------------------------------------------------------------

    @property
    def _transport(self) -> LaneTransport:
        return cast(LaneTransport, self._app.transport)

    @property
    def _consumer(self) -> LaneConsumer:
        return cast(LaneConsumer, self._app.consumer)

    def _table(self, stage: str) -> RunTable:
        kafka = self._settings.kafka
        name = f"{stage}-checkpoints"
        changelog = self._app.topic(
            f"{kafka.app_id}-{name}-changelog",
            schema=RunSchema(),
            partitions=kafka.partitions,
            internal=True,
            compacting=True,
            deleting=False,
        )
        table = RunTable(
            self._app,
            name=name,
            partitions=kafka.partitions,
            changelog_topic=changelog,
            key_type=bytes,
            value_type=bytes,
        )
        return cast(RunTable, self._app.tables.add(table))

    def _agent_function(self, topics: list[str], name: str) -> None:
        on_run = self.host.on_run
        fail = self._fail

        async def process(stream: "faust.StreamT[object]") -> None:
            async for event in stream.events():
                try:
                    await on_run(event.message.value)
                except Exception as error:
                    fail(error)
                    raise

        self._app.agent(self._app.topic(*topics, schema=RunSchema()), name=name, concurrency=1)(process)

    def _recovered(self, name: str) -> "faust.types.tables.RecoverCallback":
        async def on_recover() -> None:
            try:
                self._pending_tables.discard(name)
                if not self._pending_tables:
                    await self.host.on_recovered()
                    gc.collect()
                    gc.freeze()
            except Exception as error:
                self._fail(error)
                raise

        return on_recover

    async def _on_revoked(self, app: faust.App, revoked: set[TP], **_: object) -> None:
        self._pending_tables = {"stage1-checkpoints", "stage2-checkpoints"}
        await self.host.on_revoked(_REVOKE_PATIENCE_S)

    async def _on_assigned(self, app: faust.App, assigned: set[TP], **_: object) -> None:
        self.host.on_assigned(assigned)

    async def _send(self, message: Outgoing) -> "asyncio.Future[object]":
        topic, key, value, partition = message
        future = await self._app.producer.send(topic, key, value, partition, None, None)
        return cast("asyncio.Future[object]", future)

    async def _earliest(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        return cast("Mapping[TP, int]", await self._consumer.earliest_offsets(*tps))

    async def _seek(self, positions: Mapping[TP, int]) -> None:
        await self._consumer.seek_wait(positions)

    def _fail(self, error: BaseException) -> None:
        """The state is in doubt, or the broker refused a write: the process must end and restore."""
        log.error("the worker must stop: %s", error, exc_info=error)
        if self.over is not None and not self.over.done():
            self.over.set_exception(error)

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group and begin to work."""
        self.over = asyncio.get_running_loop().create_future()
        self._app.finalize()
        await self._app.start()
        self._spawn(self._pump.run())
        self._spawn(self._watch())
        if self.store is not None:
            self._spawn(self.store.run())

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def not_live(self) -> list[str]:
        """What only a restart of the process can cure; empty: nothing."""
        if self.over is not None and self.over.done():
            return ["the worker is stopping"]
        silent_s = time.monotonic() - self._seen_alive
        return [f"the event loop has not turned for {silent_s:.0f} s"] if silent_s > _SILENT_S else []

    async def _watch(self) -> None:
        """Once a second: how far behind is every partition of ours, and has a part of Faust died quietly?"""
        while True:
            for service in (self._app, self._app.consumer, self._app._fetcher):
                if service.crashed:
                    self._fail(service.crash_reason or BrokenInvariant(f"{service!r} crashed"))
            for tp, shard in self.host.shards.items():
                end = None
                with suppress(Exception):
                    end = self._consumer.highwater(tp)
                if end is not None and shard.position is not None:
                    self.truth.lag(tp.topic, tp.partition, max(0, end - shard.position))
                if tp.topic != self._partials and self.host.is_restored:
                    self.truth.source(tp.topic, tp.partition, shard.fold.truth)  # type: ignore[attr-defined]
            self._seen_alive = time.monotonic()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def stop(self) -> None:
        """Store every shard, leave the group, close connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_PATIENCE_S):
                await self.host.on_revoked(_REVOKE_PATIENCE_S)
                await self._consumer.commit()
        for task in list(self._tasks):
            task.cancel()
        self.host.is_restored = False
        await self._app.stop()
        if self.store is not None:
            await self.store.close()


def _app(settings: "Settings", data_folder: str, *, static: bool) -> faust.App:
    kafka, own = settings.kafka, settings.worker
    credentials = None
    ssl_context = None
    if kafka.ca_file or kafka.security_protocol in ("SSL", "SASL_SSL"):
        import ssl

        ssl_context = ssl.create_default_context(cafile=str(kafka.ca_file) if kafka.ca_file else None)
    if kafka.sasl_mechanism:
        password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else ""
        credentials = faust.SASLCredentials(
            username=kafka.sasl_username,
            password=password,
            ssl_context=ssl_context,
            mechanism=kafka.sasl_mechanism,
        )
    elif ssl_context is not None:
        credentials = faust.SSLCredentials(ssl_context)
    url = URL("aiokafka://" + kafka.broker.split(",")[0])
    app = faust.App(
        kafka.app_id,
        broker=";".join(f"aiokafka://{each.strip()}" for each in kafka.broker.split(",")),
        broker_credentials=credentials,
        store="memory://",
        datadir=data_folder,
        web_enabled=False,
        web_tables_enabled=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=kafka.partitions,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=1.5,
        broker_rebalance_timeout=10,
        broker_request_timeout=30,
        broker_commit_interval=1.0,
        broker_commit_every=50_000,
        broker_max_poll_records=8000,
        producer_linger=0.005,
        producer_acks=-1,
        producer_max_request_size=8_000_000,
        producer_max_batch_size=1 << 20,
        consumer_max_fetch_size=1 << 20,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{kafka.app_id}-{own.name}" if static else None,
        stream_wait_empty=False,
        ConsumerScheduler=RunScheduler,
    )
    app.transport = LaneTransport(
        [url, *(URL("aiokafka://" + b.strip()) for b in kafka.broker.split(",")[1:])], app
    )
    return app


def tune_gc() -> None:
    """Python's collector costs a quarter of the throughput at its defaults; state is acyclic and long-lived."""
    gc.set_threshold(50_000, 20, 50)


def run_worker(settings: "Settings") -> int:
    """Run a worker until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        BrokerError: the broker does not answer, or topics are missing or wrong.
    """
    from agents.topics import check_topics

    problems = check_topics(settings)
    if problems:
        raise BrokerError("; ".join(problems))
    tune_gc()
    uvloop.install()
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
