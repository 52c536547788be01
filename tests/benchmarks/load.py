"""What brings a worker into its stride, and keeps it there? A simulated centre of 200 queues in real time.

Refuses to know what is measured meanwhile.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from agents.feed import Feed
from agents.settings import Settings
from agents.simulate import plan_for
from streams.driver import Item
from streams.simulator import Simulation, encode
from streams.site import Site
from tests.benchmarks.rig import Watched, until

WARM_UP_S = 60.0
MADE_PER_S = 8000
"""Events the feeder surely makes in a second before it begins to send."""


class _Data(msgspec.Struct):
    queue: str
    channel: str


class _Queued(msgspec.Struct):
    data: _Data


class _TimedFeed(Feed):
    """Notes when each contact was queued."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, replay=False)
        self.queued: list[tuple[str, float]] = []

    def send(self, item: Item) -> None:
        """Produce, and note the time before."""
        if b'"contact.queued"' in item.value[:40]:
            data = msgspec.json.decode(item.value, type=_Queued).data
            self.queued.append((f"{data.queue}/{data.channel}", time.monotonic()))
        super().send(item)


def _planned(site: Site, rate: float, seconds: float) -> float:
    """The long-term rate of a plan that after the warm-up really sends `rate` events per second.

    Contacts take minutes, so a centre that has just opened sends fewer events than later. A tenth of it tells the share.
    """
    simulation = Simulation(site, plan_for(site, rate / 10), seed=3, keep_record=False)
    start_ms, end_ms = 0, round((WARM_UP_S + seconds) * 1000)
    late = sum(e.time.timestamp() >= WARM_UP_S for _, _, e in simulation.events(start_ms, end_ms))
    return rate * (rate / 10 * seconds) / late


def _feed(settings: Settings, rate: float, seconds: float, spare_s: float, out: Path, live: Event) -> None:
    """Make all events first, so that sending them costs little beside the worker; then send each at its time."""
    planned = _planned(settings.site, rate, seconds)
    seconds += spare_s
    simulation = Simulation(settings.site, plan_for(settings.site, planned), seed=3, keep_record=False)
    start_ms = time.time_ns() // 1_000_000 + round((WARM_UP_S + seconds) * rate / MADE_PER_S * 1000)
    end_ms = start_ms + round((WARM_UP_S + seconds) * 1000)
    items = [
        (e.time.timestamp() * 1000, Item(topic, key, encode(e)))
        for topic, key, e in simulation.events(start_ms, end_ms)
    ]
    gc.freeze()
    feed = _TimedFeed(settings)
    beat_ms = 0.0
    for at_ms, item in items:
        while (ahead_s := at_ms / 1000 - time.time()) > 0:
            time.sleep(min(0.002, ahead_s))
        if ahead_s < -1 and live.is_set():
            raise RuntimeError(
                f"the feeder is {-ahead_s:.1f} s behind: this machine cannot make {rate:.0f} events/s"
            )
        feed.send(item)
        if at_ms >= beat_ms + 5000:
            beat_ms = at_ms
            feed.beat(round(at_ms))
        if at_ms >= start_ms + WARM_UP_S * 1000 and not live.is_set():
            live.set()
    feed.flush()
    out.write_bytes(msgspec.json.encode(feed.queued))


class Load:
    """A worker in its stride, and the process that feeds it."""

    def __init__(self, worker: Watched, feeder: SpawnProcess, out: Path) -> None:
        self.worker = worker
        self._feeder = feeder
        self._out = out

    def check_lasts(self) -> None:
        """Raise if the feeder has ended: what was measured since was no steady load."""
        if not self._feeder.is_alive():
            raise RuntimeError(f"the feeder ended too early (exit code {self._feeder.exitcode})")

    def queued(self) -> list[tuple[str, float]]:
        """Wait for the feeder's end; the queue of every contact, and when it was queued (monotonic seconds)."""
        self._feeder.join(180)
        return msgspec.json.decode(self._out.read_bytes(), type=list[tuple[str, float]])


@contextmanager
def loaded(settings: Settings, rate: float, seconds: float, spare_s: float) -> Iterator[Load]:
    """A worker that has warmed up and is not behind, under `rate` events per second for `seconds` from then on.

    The load goes on for `spare_s`, then a little higher than `rate`.
    """
    worker = Watched(settings, "loaded")
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "queued.json"
        live = spawn.Event()
        feeder = spawn.Process(target=_feed, args=(settings, rate, seconds, spare_s, out, live), daemon=True)
        worker.member.start()
        try:
            until(worker.is_ready, "ready", 60)
            feeder.start()
            until(live.is_set, "warm-up", 300, 0.1)
            until(worker.is_ready, "caught up", 20, 0.5)
            yield Load(worker, feeder, out)
        finally:
            worker.member.end()
            if feeder.is_alive():
                feeder.kill()
