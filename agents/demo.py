"""What does Queuelight look like? Broker, simulator, worker and board in one process, with nothing to install.

Everything but the broker (librdkafka's built-in one) and the customers is the real thing.
"""

import asyncio
import logging
import signal
import sys
import tempfile
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import uvloop

from agents.embedded import EmbeddedBroker
from agents.faust_host import tune_gc
from agents.feed import Feed
from agents.simulate import feed_live
from agents.terminal import run_board
from agents.topics import wanted
from agents.worker import Worker, metrics_server
from schemas.snapshots import encode_json
from streams.simulator import DEMO, Simulation, default_site

if TYPE_CHECKING:
    from agents.settings import Settings

WARM_UP_S = 1200.0
"""How much of the simulated past is there when the demo opens: twenty minutes."""
_QUEUES = 8
_FIRST_NUMBERS_S = 60.0


def run_demo(settings: "Settings | None", seconds: float | None, seed: int, as_json: bool, lang: str) -> int:
    """Run the demo until Ctrl-C or for `seconds`; with `as_json` print the last snapshots; return the exit code."""
    from agents.settings import load

    made = settings or load().with_site(default_site(_QUEUES))
    logging.getLogger().setLevel(logging.ERROR)
    broker = EmbeddedBroker()
    own = made.worker.model_copy(update={"name": "demo", "metrics_port": 0, "flush_ms": 100})
    kafka = made.kafka.model_copy(
        update={"broker": broker.start(), "partitions": 4, "security_protocol": "PLAINTEXT"}
    )
    made = replace(made, kafka=kafka, worker=own, redis=made.redis.model_copy(update={"url": None}))
    broker.create(wanted(made))
    tune_gc()
    uvloop.install()
    with tempfile.TemporaryDirectory(prefix="queuelight-") as folder:
        return asyncio.run(_run(made, seconds, seed, as_json, lang, folder))


async def _run(
    settings: "Settings", seconds: float | None, seed: int, as_json: bool, lang: str, folder: str
) -> int:
    worker = Worker(settings, static=False, data_folder=folder)
    server = metrics_server(worker, settings)
    host, port = server.start()
    address = f"http://{host}:{port}/metrics"
    print(f"metrics: {address}", file=sys.stderr)
    stop = threading.Event()
    ended = asyncio.Event()
    simulation = Simulation(settings.site, DEMO, seed, keep_record=False)
    feeder = threading.Thread(
        target=feed_live,
        args=(Feed(settings, replay=False), simulation, None, stop.is_set),
        kwargs={"warm_up_s": WARM_UP_S},
        daemon=True,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await worker.start()
    feeder.start()
    assert worker.over is not None
    worker.over.add_done_callback(lambda _: ended.set())
    try:
        if as_json:
            await _wait(ended, seconds if seconds is not None else 10.0)
            print(encode_json(worker.memory.snapshots()).decode())
        else:
            await _first_numbers(worker, ended)
            await run_board(worker.memory, lang, seconds=seconds, header=f"demo · {address}", stop=ended)
    finally:
        stop.set()
        await worker.stop()
        server.stop()
    return 1 if worker.over.done() and worker.over.exception() is not None else 0


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
