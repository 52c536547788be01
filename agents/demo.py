"""What does Queuelight look like? Broker, simulators, worker and boards in one process, with nothing to install.

Everything but the broker (librdkafka's built-in one) and the customers is the real thing; the boards in the terminal
and in the browser read the memory of the worker in place of Redis. Some pages of the simulated web site cause contacts;
what is suggested to its visitors is shown to them, and helps some.
"""

import asyncio
import logging
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import uvloop
from pydantic import SecretStr

from agents.drill_store import MemoryDrill
from agents.embedded import EmbeddedBroker
from agents.faust_host import tune_gc
from agents.feed import Feed
from agents.simulate import Together, feed_live
from agents.terminal import run_board
from agents.topics import wanted
from agents.wallboard.serve import address_of, bound, serve
from agents.wallboard.stores import MemoryStore, MemoryVisitors
from agents.wallboard.tokens import MemoryHashes
from agents.worker import Worker, metrics_server
from schemas.errors import SettingsError
from schemas.journeys import VisitorNow
from schemas.snapshots import encode_json
from schemas.topics import SOURCES, WEB
from streams.simulator import DEMO, Simulation, default_site
from streams.simulator.web import WebSimulation
from streams.simulator.web_plan import WEB_DEMO
from streams.simulator.web_shop import default_web_site

if TYPE_CHECKING:
    from agents.journeys.store import JourneyReader
    from agents.settings import Settings

WARM_UP_S = 1200.0
"""How much of the simulated past is there when the demo opens: twenty minutes."""
_QUEUES = 8
_FIRST_NUMBERS_S = 60.0
_OFFERS_HELP = 0.5
"""Share of simulated visitors whom an offer saves from a contact."""
_OFFERS_EVERY_S = 0.5
_STUCK = {"en": "stuck now", "ja": "困っている訪問者"}


def run_demo(
    settings: "Settings | None",
    seconds: float | None,
    seed: int,
    as_json: bool,
    lang: str,
    board_port: int | None = None,
) -> int:
    """Run the demo until Ctrl-C or for `seconds`; return the exit code.

    Args:
        settings: None: a simulated site.
        seconds: how long; None: until Ctrl-C.
        seed: the same seed, the same contacts.
        as_json: print the last snapshots in place of the board in the terminal.
        lang: of that board.
        board_port: of the board in the browser; 0 takes a free one; None: the settings' port if it is free.

    Raises:
        SettingsError: `board_port` is taken.
    """
    from agents.settings import load

    made = settings or load().with_site(default_site(_QUEUES))
    if not made.says("journeys"):
        journeys = default_web_site().policy(made.site.journeys)
        made = made.with_site(msgspec.structs.replace(made.site, journeys=journeys))
    listening = _listening(made, board_port)
    logging.getLogger().setLevel(logging.ERROR)
    broker = EmbeddedBroker()
    own = made.worker.model_copy(update={"name": "demo", "metrics_port": 0, "flush_ms": 100})
    kafka = made.kafka.model_copy(
        update={"broker": broker.start(), "partitions": 4, "security_protocol": "PLAINTEXT"}
    )
    keys = SecretStr(f"1 {secrets.token_hex(32)}")
    made = replace(made, collector=made.collector.model_copy(update={"tenant_keys": keys}))
    made = replace(made, kafka=kafka, worker=own, redis=made.redis.model_copy(update={"url": None}))
    broker.create(wanted(made))
    tune_gc()
    uvloop.install()
    with tempfile.TemporaryDirectory(prefix="queuelight-") as folder:
        return asyncio.run(_run(made, seconds, seed, as_json, lang, folder, listening))


def _listening(settings: "Settings", port: int | None) -> socket.socket:
    host, usual = settings.wallboard.host, settings.wallboard.port
    if port is not None:
        return bound(host, port)
    try:
        return bound(host, usual)
    except SettingsError:
        return bound(host, 0)


async def _run(
    settings: "Settings",
    seconds: float | None,
    seed: int,
    as_json: bool,
    lang: str,
    folder: str,
    listening: socket.socket,
) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    worker = Worker(settings, static=False, data_folder=folder)
    server = metrics_server(worker, settings)
    host, port = server.start()
    address = f"http://{host}:{port}/metrics"
    print(f"metrics: {address}", file=sys.stderr)
    print(f"board: {address_of(listening)}", file=sys.stderr)
    stop = threading.Event()
    offers = Offers()
    plan = msgspec.structs.replace(WEB_DEMO, offer_effect=_OFFERS_HELP)
    simulation = Together(
        Simulation(settings.site, DEMO, seed, keep_record=False),
        WebSimulation(default_web_site(), plan, seed, keep_truth=False),
        offers.show,
    )
    feed = Feed(settings, replay=False, topics=(*SOURCES, WEB))
    feeder = threading.Thread(
        target=feed_live,
        args=(feed, simulation, None, stop.is_set),
        kwargs={"warm_up_s": WARM_UP_S},
        daemon=True,
    )
    await worker.start()
    feeder.start()
    assert worker.over is not None
    worker.over.add_done_callback(lambda _: ended.set())
    unseen = asyncio.Event()
    drill = worker.drill
    assert isinstance(drill, MemoryDrill)
    board = asyncio.create_task(
        serve(
            settings,
            MemoryStore(worker.memory, drill),
            MemoryHashes(),
            listening,
            unseen,
            MemoryVisitors(worker.journeys),
            settings.collector.keys(),
        )
    )
    board.add_done_callback(lambda _: ended.set())
    offering = asyncio.create_task(offers.keep_looking(worker.journeys))
    try:
        if as_json:
            await _wait(ended, seconds if seconds is not None else 10.0)
            print(encode_json(worker.memory.snapshots()).decode())
        else:
            await _first_numbers(worker, ended)
            await run_board(
                worker.memory,
                lang,
                seconds=seconds,
                header=lambda: " · ".join(filter(None, ("demo", address_of(listening), offers.stuck(lang)))),
                stop=ended,
            )
    finally:
        stop.set()
        unseen.set()
        offering.cancel()
        await worker.stop()
        server.stop()
        await board
    return 1 if worker.over.done() and worker.over.exception() is not None else 0


class Offers:
    """Shows simulated visitors what is suggested for them, as a web site would: each flag once."""

    def __init__(self) -> None:
        self._visitors: Sequence[VisitorNow] = ()
        self._due: deque[VisitorNow] = deque()
        self._seen: set[str] = set()

    async def keep_looking(self, store: "JourneyReader") -> None:
        """Look for suggestions, until cancelled."""
        while True:
            self._visitors = await store.visitors()
            for each in self._visitors:
                if each.offer and each.flag is not None and each.flag.id not in self._seen:
                    self._seen.add(each.flag.id)
                    self._due.append(each)
            await asyncio.sleep(_OFFERS_EVERY_S)

    def show(self, web: WebSimulation) -> None:
        """Show what is due; called by the thread that runs the simulation."""
        while self._due:
            flag = self._due.popleft().flag
            if flag is not None and flag.kind is not None:
                web.offered(flag.visitor_id, flag.raised_ms, flag.kind, flag.id)

    def stuck(self, lang: str) -> str:
        """Who is stuck now, by page, in a few words; "" where nobody is."""
        pages = Counter(each.flag.page for each in self._visitors if each.flag is not None)
        if not pages:
            return ""
        words = ", ".join(f"{page} {count}" for page, count in pages.most_common(3))
        return f"{_STUCK[lang]}: {pages.total()} ({words})"


async def _first_numbers(worker: Worker, ended: asyncio.Event) -> None:
    """Wait until there is something to show."""
    for _ in range(round(_FIRST_NUMBERS_S * 20)):
        if worker.memory.snapshots() or ended.is_set():
            return
        await asyncio.sleep(0.05)


async def _wait(ended: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return
