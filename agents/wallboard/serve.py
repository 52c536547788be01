"""How does a wallboard run? Page, hub, guard and reloading wired by hand around uvicorn, until it is told to end.

Refuses to know what is answered and who may ask.
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

from agents.journeys.customer_keys import CustomerKeys
from agents.redis_client import check_let_in
from agents.wallboard.alerts import AlertWatch
from agents.wallboard.config import Reloader, boards_of
from agents.wallboard.guard import Guard
from agents.wallboard.hub import Journeys
from agents.wallboard.server import Wallboard, WholeStore
from agents.wallboard.stores import RedisStore, RedisVisitors
from agents.wallboard.tokens import BoardTokens, Hashes, RedisHashes
from schemas.errors import BrokenInvariant, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

_GRACE_S = 0.4
"""Streams end at once by themselves; whoever does not read is cut off after so long."""
_PATIENCE_S = 1
"""The last resort: what is still answered then is given up."""
_WATCH_EVERY_S = 1.0
_BACKLOG = 4096
_UNREAD_MS = 30_000
"""The kernel ends a connection that takes nothing for so long: of a screen without power, or a deaf client."""


class _Server(uvicorn.Server):
    """uvicorn, whose owner hears the signals: it has streams to end first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_GRACE_S, self._cut_off)
        await super().shutdown(sockets)

    def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.flow.write_paused:
                connection.transport.abort()


async def serve(
    settings: "Settings",
    store: WholeStore,
    hashes: Hashes,
    listening: socket.socket,
    ended: asyncio.Event,
    journeys: Journeys | None = None,
    keys: CustomerKeys | None = None,
) -> None:
    """Serve the boards on a listening socket until `ended` is set.

    Args:
        settings: the boards, who may see them, and the file that is watched for changes.
        store: where the numbers are.
        hashes: where the board tokens are.
        listening: see `bound`.
        ended: when to leave.
        journeys: where visitors and customers are; None: there are none.
        keys: how customers are called; None: only pseudonyms are understood.
    """
    alerts = AlertWatch(settings.alerts.alertmanager_url)
    boards = boards_of(settings)
    wallboard = Wallboard(store, boards, alerts, journeys, keys)
    own = settings.wallboard
    reads = wallboard.desk.reads
    guard = Guard(
        wallboard.app, own.access, BoardTokens(hashes), own.host,
        shows=wallboard.hub.shows, count=lambda result: reads.update((result,)),
    )  # fmt: skip
    config = uvicorn.Config(
        guard, http=H11Protocol, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="on",
        proxy_headers=False,  # else uvicorn believes what any client on this machine says of its address
        timeout_graceful_shutdown=_PATIENCE_S, backlog=_BACKLOG,
    )  # fmt: skip
    server = _Server(config)
    reloader = Reloader(settings.file, boards, wallboard.hub.reload)
    watching = asyncio.create_task(_watch(reloader, wallboard))
    serving = asyncio.create_task(server.serve([listening]))
    leaving = asyncio.create_task(ended.wait())
    tasks = (serving, leaving, watching)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        wallboard.close()
        await serving
        if watching.done():
            watching.result()
        if not ended.is_set():
            raise BrokenInvariant("the wallboard's server ended by itself")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(reloader: Reloader, wallboard: Wallboard) -> None:
    """Look for changes of the settings; end with the error that ended the hub."""
    while True:
        await asyncio.sleep(_WATCH_EVERY_S)
        reloader.check()
        wallboard.check()


def run_wallboard(settings: "Settings") -> int:
    """`queuelight wallboard`: serve the boards of the site in Redis until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        SettingsError: no Redis is named, or the address is taken.
        QueuelightError: Redis refuses us.
    """
    if settings.redis.url is None:
        raise SettingsError("the boards are read from Redis: give --redis redis://HOST:6379/0 or [redis] url")
    check_let_in(settings.redis)
    listening = bound(settings.wallboard.host, settings.wallboard.port)
    _tune_gc()
    log.info("wallboard: %s", address_of(listening))
    uvloop.run(_main(settings, settings.redis.address, listening))
    return 0


def _tune_gc() -> None:
    """At Python's defaults a collection with a thousand streams open takes longer than telling all of them."""
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(50_000, 20, 50)


async def _main(settings: "Settings", url: str, listening: socket.socket) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    site = settings.site.name
    store, hashes, visitors = RedisStore(url, site), RedisHashes(url, site), RedisVisitors(url, site)
    try:
        await serve(settings, store, hashes, listening, ended, visitors, settings.collector.keys())
    finally:
        await visitors.close()
        await store.close()
        await hashes.close()


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be bound.
    """
    try:
        listening = socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux; connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return listening


def address_of(listening: socket.socket) -> str:
    """The address people type."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
