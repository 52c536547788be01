"""How does a host of folds run on Faust? One Faust app with the run lane: tables, agent functions, rebalances, life.

Knows stages only by the topics they read. Refuses to know what they fold, Redis and Prometheus.
"""

import asyncio
import gc
import logging
import ssl
import tempfile
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import faust
from faust.types import TP
from yarl import URL

from agents.host import Host, Observer, Outgoing, Stage
from agents.lane import (
    LaneConsumer,
    LaneTableManager,
    LaneTransport,
    RunScheduler,
    RunSchema,
    RunTable,
    check_versions,
)
from agents.stages import encode_letter
from agents.worker_name import Membership
from schemas.errors import BrokenInvariant, BrokerError
from schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from agents.settings import Settings
    from agents.settings.servers import KafkaSettings

log = logging.getLogger(__name__)

SESSION_S = 6.0
_REVOKE_PATIENCE_S = 4.0
_STOP_PATIENCE_S = 8.0


class FaustHost:
    """One member of the consumer group, that runs `host`; `start` joins, `stop` stores and leaves.

    Args:
        settings: see `agents.settings`.
        stages: by name, the topics (with prefix) that a stage reads, and the stage; its checkpoints are in the topic
            ``<app id>-<name>-checkpoints-changelog``.
        observer: see `agents.host.Observer`.
        static: keep the membership over a restart (the same `name` must come back); False for short-lived workers.
        data_folder: where Faust may write (it insists on it; nothing of value is there); default: a temporary one.
    """

    def __init__(
        self,
        settings: "Settings",
        stages: Mapping[str, tuple[Sequence[str], Stage]],
        observer: Observer,
        *,
        static: bool = True,
        data_folder: str | None = None,
    ) -> None:
        check_versions()
        self._settings = settings
        self._scratch = None if data_folder else tempfile.TemporaryDirectory(prefix="queuelight-")
        self._membership = Membership(settings.worker.name)
        self._app = _app(settings, data_folder or self._scratch.name, static=static)  # type: ignore[union-attr]
        tables = {name: self._table(name) for name in stages}
        self.host = Host(
            stages={topic: stage for topics, stage in stages.values() for topic in topics},
            tables={topic: tables[name] for name, (topics, _) in stages.items() for topic in topics},
            owner=settings.worker.name,
            dead_letter_topic=settings.kafka.topic_prefix + DEAD_LETTERS,
            send=self._send,
            observer=observer,
            encode_letter=encode_letter,
        )
        self._transport.host = self.host
        self.host.earliest = self._earliest
        self.host.seek = self._seek
        self.host.failed = self.fail
        for name, (topics, _) in stages.items():
            self._agent_function(topics, name)
        self._tables = frozenset(table.name for table in tables.values())
        self._pending_tables = set(self._tables)
        for table in tables.values():
            table.on_recover(self._recovered(table.name))
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self.over: asyncio.Future[None] | None = None
        """Done when the process must end; with the error that says why, if there is one."""

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

    def _agent_function(self, topics: Sequence[str], name: str) -> None:
        on_run = self.host.on_run
        fail = self.fail

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
                self.fail(error)
                raise

        return on_recover

    async def _on_revoked(self, app: faust.App, revoked: set[TP], **_: object) -> None:
        self._pending_tables = set(self._tables)
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

    def fail(self, error: BaseException) -> None:
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

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something beside the stream until `stop`; an error in it ends the process."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def check(self) -> None:
        """A part of Faust may die quietly: then the process must end."""
        for service in (self._app, self._app.consumer, self._app._fetcher):
            if service.crashed:
                self.fail(service.crash_reason or BrokenInvariant(f"{service!r} crashed"))
        try:
            self._membership.seen(self._consumer.member_id(), time.monotonic())
        except BrokerError as error:
            self.fail(error)

    def highwater(self, tp: TP) -> int | None:
        """The offset after the newest record of a partition of ours; None: not known yet."""
        with suppress(Exception):
            return cast("int | None", self._consumer.highwater(tp))
        return None

    async def stop(self) -> None:
        """Store every shard and leave the group."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_PATIENCE_S):
                await self.host.on_revoked(_REVOKE_PATIENCE_S)
                await self._consumer.commit()
        for task in list(self._tasks):
            task.cancel()
        self.host.is_restored = False
        await self._app.stop()


def _credentials(kafka: "KafkaSettings") -> "faust.auth.Credentials | None":
    context = _tls(kafka) if kafka.is_encrypted else None
    if kafka.sasl_mechanism:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else "",
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def _tls(kafka: "KafkaSettings") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.cert_file and kafka.key_file:
        context.load_cert_chain(kafka.cert_file, kafka.key_file)
    return context


def _app(settings: "Settings", data_folder: str, *, static: bool) -> faust.App:
    kafka, own = settings.kafka, settings.worker
    url = URL("aiokafka://" + kafka.broker.split(",")[0])
    app = faust.App(
        kafka.app_id,
        broker=";".join(f"aiokafka://{each.strip()}" for each in kafka.broker.split(",")),
        broker_credentials=_credentials(kafka),
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
        TableManager=LaneTableManager,
    )
    app.transport = LaneTransport(
        [url, *(URL("aiokafka://" + b.strip()) for b in kafka.broker.split(",")[1:])], app
    )
    return app


def tune_gc() -> None:
    """Python's collector costs a quarter of the throughput at its defaults; state is acyclic and long-lived."""
    gc.set_threshold(50_000, 20, 50)
