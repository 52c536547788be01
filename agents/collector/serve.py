"""How does a collector run? Spool, producer, server and metrics wired by hand around uvicorn, until it is told to end.

Refuses to know what is taken and what is made of it.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents.collector.backend_events import BackendEvents
from agents.collector.batches import Batches
from agents.collector.delivery import Delivery
from agents.collector.metrics import CollectorMetrics
from agents.collector.producing import Producing
from agents.collector.server import BODY_S, Collector
from agents.collector.signatures import Signatures
from agents.collector.spool import Spool
from agents.journeys.customer_keys import CustomerKeys, random_keys
from agents.metrics_server import MetricsServer
from agents.wallboard.serve import address_of, bound
from schemas.errors import BrokenInvariant, SettingsError
from schemas.events import EVENT_TYPES
from schemas.web_events import PUBLIC_WEB_STRUCTS

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

HEAD_S = 10.0
"""Within which a request has to have begun, or to go on, before it is one."""
_GRACE_S = 8
"""What is not answered so long after the end was asked for is given up: it was not said to be kept."""
_FLUSH_S = 3.0
_CHECK_EVERY_S = 1.0
_BACKLOG = 4096
_MOST_CONNECTIONS = 10_000
_MB = 1_000_000
TYPES = (*EVENT_TYPES, *(str(each.__struct_config__.tag) for each in PUBLIC_WEB_STRUCTS))
"""Of all events that may be taken."""


class _Server(uvicorn.Server):
    """uvicorn, whose owner hears the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Impatient(H11Protocol):
    """A connection that ends when the head of a request does not come in time, before the first or between two."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: it has to say something."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Something came: perhaps all of a head."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None:
            self._wait()

    def on_response_complete(self) -> None:
        """The next request has to begin within uvicorn's own time for idle connections, and then to go on."""
        self._stop_waiting()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


async def serve(
    settings: "Settings", keys: CustomerKeys, listening: socket.socket, ended: asyncio.Event
) -> None:
    """Take events on a listening socket until `ended` is set.

    Raises:
        SettingsError: the spool or the address of the metrics cannot be used.
    """
    own = settings.collector
    metrics = CollectorMetrics(TYPES)
    spool = Spool(own.spool_folder, round(own.spool_mb * _MB))
    producing = Producing(settings)
    delivery = Delivery(producing, spool, metrics.acknowledged)
    collector = collector_of(settings, keys, delivery, metrics)

    def page(accept: str) -> tuple[bytes, str]:
        metrics.spool(spool.bytes, spool.entries, spool.torn_bytes, spooling=delivery.is_spooling)
        return metrics.page(accept)

    asked = MetricsServer(
        page, collector.live_problems, collector.ready_problems, own.metrics_host, own.metrics_port
    )
    spool.open()
    try:
        producing.start()
        asked.start()
        log.info("metrics: %s", asked.url)
        await answer_until(collector, listening, ended)
        await producing.close(_FLUSH_S)
    finally:
        await spool.close()
        asked.stop()


def collector_of(
    settings: "Settings",
    keys: CustomerKeys,
    delivery: Delivery,
    metrics: CollectorMetrics,
    *,
    body_s: float = BODY_S,
) -> Collector:
    """The web application of these settings."""
    own, prefix = settings.collector, settings.kafka.topic_prefix
    limits = settings.site.limits
    events = BackendEvents(
        keys,
        prefix,
        max_bytes=limits.max_record_bytes,
        ahead_ms=limits.ahead_ms,
        keeps_terms=own.keep_search_terms,
    )
    secrets = {each.name: each.secret.get_secret_value().encode() for each in own.sources if each.secret}
    return Collector(
        own, Batches(own, keys, prefix), events, Signatures(secrets), delivery, metrics, body_s=body_s
    )


async def answer_until(collector: Collector, listening: socket.socket, ended: asyncio.Event) -> None:
    """Answer on a listening socket until `ended` is set; what is under way is answered first."""
    config = uvicorn.Config(
        # Of requests that are none it would log a line each: whoever sends them should not fill the disk.
        collector.app, http=_Impatient, log_level="error", access_log=False, server_header=False, ws="none",
        lifespan="on", proxy_headers=False, timeout_graceful_shutdown=_GRACE_S, backlog=_BACKLOG,
        limit_concurrency=_MOST_CONNECTIONS, timeout_keep_alive=30,
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    leaving = asyncio.create_task(ended.wait())
    watching = asyncio.create_task(_watch(collector))
    tasks = (serving, leaving, watching)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        if not ended.is_set():
            raise BrokenInvariant("the collector's server ended by itself")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(collector: Collector) -> None:
    """Return when events are not delivered any more: then nothing should be taken."""
    while not collector.live_problems():
        await asyncio.sleep(_CHECK_EVERY_S)


def run_collector(settings: "Settings", *, random_key: bool = False) -> int:
    """`queuelight collect`: take events until SIGTERM or Ctrl-C; return the exit code.

    Args:
        settings: sites, back ends, limits, Kafka.
        random_key: make pseudonyms with a key that ends with this process, where none is given.

    Raises:
        SettingsError: no key, nobody who may send, or an address or folder that cannot be used.
    """
    own = settings.collector
    keys = own.keys() or (random_keys() if random_key else None)
    if keys is None:
        raise SettingsError(
            "[collector] tenant_keys_file: expected a file with the key of the pseudonyms of visitors and customers, "
            "which the workers share; to try it out: --random-key"
        )
    if not own.sites and not own.sources:
        raise SettingsError(
            "nobody may send anything: expected [[collector.sites]] or [[collector.sources]]; see docs/collector.md"
        )
    listening = bound(own.host, own.port)
    log.info("collector: %s, spool: %s", address_of(listening), own.spool_folder)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(_main(settings, keys, listening))
    return 0


async def _main(settings: "Settings", keys: CustomerKeys, listening: socket.socket) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await serve(settings, keys, listening, ended)
