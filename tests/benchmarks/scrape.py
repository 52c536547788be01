"""What does a scrape cost, does the stream feel it, and what does Prometheus keep of it?

    python -m tests.benchmarks.scrape [--queues 500] [--json]

`render`: one page of all queues, made as a worker makes it. `pause`: how late a 1 ms clock of an event loop is that does
a worker's kind of work while the server's thread renders every 5 s, and how late it is otherwise. `storage`: the blocks
that promtool makes of an hour of scrapes, every 5 s, of a few queues; where promtool is not installed it is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread

import uvloop

from agents.exposition import Exposition
from agents.faust_host import tune_gc
from agents.metrics_server import MetricsServer
from agents.settings import Settings
from agents.simulate import plan_for
from agents.snapshot_store import MemorySnapshots
from agents.worker import SWITCH_S, Glances
from agents.worker_truth import WorkerTruth
from schemas.topics import SOURCES
from streams.contact_fold import ContactFold
from streams.driver import Driver, Item, Stored
from streams.simulator import Simulation, default_site, encode
from streams.site import Site
from tests.benchmarks.rig import percentile

_OPENS_MS = 1_790_812_800_000
_EVENTS_PER_S = 60.0
_WARM_UP_MS = 600_000
_RENDERS = 15
_SCRAPES = 4
_EVERY_S = 5.0
_TICK_S = 0.001
_STORED_QUEUES = 5
_STORED_S = 3600
_YEAR_QUEUES = 100
_YEAR_S = 365 * 86_400


class _Centre:
    """A simulated centre whose rows are in a worker's memory."""

    def __init__(self, queues: int, events_per_s: float) -> None:
        self.site: Site = default_site(queues)
        self._simulation = Simulation(self.site, plan_for(self.site, events_per_s), seed=3, keep_record=False)
        self._driver = Driver(self.site, partitions=1)
        self._from_ms = _OPENS_MS
        self.memory = MemorySnapshots()

    def come_to(self, now_ms: int) -> list[Item]:
        """Let time come to an instant; the events on the way."""
        sent = self._simulation.events(self._from_ms, now_ms)
        items = [Item(topic, key, encode(event)) for topic, key, event in sent]
        self._from_ms = now_ms
        self._driver.feed(items)
        self._driver.finish(now_ms)
        self.memory.publish(list(self._driver.states(now_ms)))
        return items

    def exposition(self) -> Exposition:
        """What this centre's worker shows."""
        windows = Settings().worker.metrics_windows
        truth = WorkerTruth(SOURCES, 0)
        return Exposition(Glances(self.memory, windows), truth, windows=windows, site=self.site)


def measure(queues: int = 500) -> dict[str, object]:
    """All three parts for so many queues."""
    centre = _Centre(queues, _EVENTS_PER_S)
    items = centre.come_to(_OPENS_MS + _WARM_UP_MS)
    tune_gc()
    sys.setswitchinterval(SWITCH_S)
    found: dict[str, object] = {"queues": queues, **_render(centre)}
    calls = [item.value for item in items if item.topic == SOURCES[0]]
    found["pause"] = uvloop.run(_pauses(centre, calls))
    if shutil.which("promtool"):
        found["storage"] = _storage()
    return found


def _render(centre: _Centre) -> dict[str, object]:
    exposition = centre.exposition()
    wall_ms, cpu_ms = [], []
    for _ in range(_RENDERS):
        began, used = time.perf_counter(), time.thread_time()
        page, _ = exposition.render()
        wall_ms.append((time.perf_counter() - began) * 1000)
        cpu_ms.append((time.thread_time() - used) * 1000)
    lines = [line for line in page.splitlines() if not line.startswith(b"#")]
    of_queues = sum(b'queue="' in line for line in lines)
    return {
        "render_ms": {
            "median": round(median(wall_ms)),
            "least": round(min(wall_ms)),
            "cpu": round(median(cpu_ms)),
        },
        "page_mb": round(len(page) / 1e6, 1),
        "series": len(lines),
        "series_per_queue": round(of_queues / len(centre.site.queues), 1),
    }


# --- does the stream feel it? -------------------------------------------------------------------------------------------


async def _pauses(centre: _Centre, calls: list[bytes]) -> dict[str, object]:
    """Ms by which a clock of 1 ms is late beside a fold at work: while a page is made, and otherwise."""
    server = MetricsServer(centre.exposition().render, list, list)
    host, port = server.start()
    asking: list[tuple[float, float]] = []

    def scrape() -> None:
        for _ in range(_SCRAPES):
            began = time.perf_counter()
            connection = HTTPConnection(host, port, timeout=30)
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            connection.getresponse().read()
            connection.close()
            asking.append((began, time.perf_counter()))
            time.sleep(max(0.0, began + _EVERY_S - time.perf_counter()))

    asker = Thread(target=scrape)
    asker.start()
    late = await _late(_runs(centre.site, calls), asker.is_alive)
    asker.join()
    server.stop()
    during = [ms for at, ms in late if any(began <= at <= ended for began, ended in asking)]
    otherwise = [ms for at, ms in late if not any(began <= at <= ended for began, ended in asking)]
    return {
        "scrape_ms": round(median((ended - began) * 1000 for began, ended in asking)),
        "scraping_p99_ms": round(percentile(during, 0.99), 1),
        "otherwise_p99_ms": round(percentile(otherwise, 0.99), 1),
        "ticks": len(during),
    }


async def _late(work: Iterator[None], goes_on: Callable[[], bool]) -> list[tuple[float, float]]:
    """(when, ms late) of each tick of a clock of 1 ms that also does a little work."""
    late: list[tuple[float, float]] = []
    while goes_on():
        due = time.perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        now = time.perf_counter()
        late.append((now, (now - due) * 1000))
        next(work)
    return late


def _runs(site: Site, calls: list[bytes]) -> Iterator[None]:
    """Short runs of records through a fold, for ever: about a third of the time of a clock of 1 ms."""
    while True:
        fold = ContactFold(site, SOURCES[0], 0, event_clock=True)
        for first in range(0, len(calls), 20):
            fold.apply([Stored(first + n, value) for n, value in enumerate(calls[first : first + 20])], 0)
            yield


# --- what is kept of it? ------------------------------------------------------------------------------------------------


def _storage() -> dict[str, object]:
    """Bytes per sample of an hour's blocks, and what a year of a larger centre takes at that."""
    with TemporaryDirectory() as folder:
        page, blocks = Path(folder) / "hour.om", Path(folder) / "blocks"
        series = _write_hour(page)
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", page, blocks],
            check=True, capture_output=True,
        )  # fmt: skip
        samples = sum(
            json.loads(meta.read_text())["stats"]["numSamples"] for meta in blocks.glob("*/meta.json")
        )
        chunks = sum(each.stat().st_size for each in blocks.glob("*/chunks/*"))
        index = sum(each.stat().st_size for each in blocks.glob("*/index"))
    per_queue = series / _STORED_QUEUES
    return {
        "samples": samples,
        "bytes_per_sample": round(chunks / samples, 2),
        "index_bytes_per_series": round(index / series),
        f"year_of_{_YEAR_QUEUES}_queues_gb": round(
            per_queue * _YEAR_QUEUES * _YEAR_S / _EVERY_S * chunks / samples / 1e9
        ),
    }


def _write_hour(page: Path) -> int:
    """Scrapes of an hour as OpenMetrics with times; how many series there are."""
    centre = _Centre(_STORED_QUEUES, _STORED_QUEUES * 1.0)
    centre.come_to(_OPENS_MS + _WARM_UP_MS)
    exposition = centre.exposition()
    begin_ms = _OPENS_MS + _WARM_UP_MS
    series = 0
    with page.open("w", encoding="utf-8") as out:
        for now_ms in range(begin_ms, begin_ms + _STORED_S * 1000, round(_EVERY_S * 1000)):
            centre.come_to(now_ms)
            lines = [line for line in exposition.render()[0].decode().splitlines() if 'queue="' in line]
            series = len(lines)
            out.writelines(f"{line} {now_ms / 1000:.3f}\n" for line in lines)
        out.write("# EOF\n")
    return series


def main() -> int:
    """Measure what a scrape costs."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scrape", description=main.__doc__)
    parser.add_argument("--queues", type=int, default=500, help="how many queues (default 500)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    found = measure(args.queues)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:18} {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
