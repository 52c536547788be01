"""How long from an event to the text on the page? A real Kafka, worker, Redis and wallboard; the desk view in Chromium.

    python -m tests.benchmarks.pixel --rate 5000 --seconds 20 [--json] [--check]

Beside a steady load of 200 queues, contacts are queued in a queue of their own, 100-250 ms apart (at random: frames
have a rhythm). They stay, so the n-th is on the page when that queue's cell of waiting contacts says n or more; they
share a partition, whose order is kept, so n never counts a later one instead. It begins once that queue, whose contacts
nobody answers, has come into sight: rows out of sight are brought up to date now and then only. The latency is the time from the call
that produces the event to the change of that text, as a MutationObserver in the page notes it: layout and paint of
the browser come after it.

Clocks: `time.time()` before the call, `Date.now()` (whole ms, rounded down) in the page, both of this machine.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from agents.feed import Feed
from agents.settings import Settings
from schemas.events import ContactQueued, Queued
from schemas.snapshots import encode_json
from schemas.topics import CALLS
from streams.driver import Item
from streams.routing import partition_of
from tests.benchmarks.load import Load, loaded
from tests.benchmarks.rig import cpu_s_of, percentile, servers, settings_for, until
from tests.benchmarks.targets import CHECK, exit_code
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.server_process import program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUEUE = "probe"
APART_S = (0.1, 0.25)
SETTLE_S = 5.0
"""A page that has just opened is slower than one that hangs on a wall: probes of so long are not measured."""
LOST_AFTER_S = 10.0
LATENCY_P99_MS = 1000
"""What is to be reached."""
IN_SIGHT_AFTER_S = 40.0
"""Twice the promised wait: a queue in breach stands on top."""
_SPARE_S = 60.0
"""The load lasts so much longer than what is measured: the page opens and the queue comes into sight meanwhile."""
_CLOCKS_AGREE_MS = 2.0

_OBSERVE = """(cell) => {
  const seen = [];
  const note = () => seen.push([Date.now(), cell.textContent]);
  new MutationObserver(note).observe(cell, { childList: true, characterData: true, subtree: true });
  note();
  return seen;
}"""


class Probes:
    """Contacts that are queued one by one and stay."""

    def __init__(self, settings: Settings) -> None:
        self._feed = Feed(settings, replay=False)
        ids = (f"probe-{number:06d}" for number in count())
        self._ids = (each for each in ids if partition_of(each, settings.kafka.partitions) == 0)
        self._random = random.Random(3)
        self.sent_ms: list[float] = []
        """When each was produced, Unix ms."""

    def send(self) -> None:
        """Produce the next one."""
        who = next(self._ids)
        event = ContactQueued(
            id=f"{who}-q", source="bench", time=datetime.now(UTC), data=Queued(who, queue=QUEUE)
        )
        item = Item(CALLS, who, encode_json(event))
        self.sent_ms.append(time.time() * 1000)
        self._feed.send(item)

    def send_for(self, seconds: float) -> None:
        """Produce one after the other, at random distances."""
        at = time.monotonic()
        end = at + seconds
        while (at := at + self._random.uniform(*APART_S)) < end:
            time.sleep(max(0.0, at - time.monotonic()))
            self.send()
        time.sleep(max(0.0, end - time.monotonic()))

    def flush(self) -> None:
        """Wait until Kafka has them all."""
        self._feed.flush()


class Cell:
    """The cell of the page that counts the probes, and when its text changed."""

    def __init__(self, page: Page) -> None:
        row = page.locator(".row").filter(has=page.locator(".name").get_by_text(QUEUE, exact=True))
        self._page = page
        self._element = row.locator('[data-measure="waiting"]').element_handle(timeout=20_000)
        self._seen = self._element.evaluate_handle(_OBSERVE)
        self._check_clock()

    def is_in_sight(self) -> bool:
        """Whether people see it without scrolling."""
        return bool(
            self._element.evaluate(
                "(cell) => { const { top, bottom } = cell.getBoundingClientRect();"
                " return top >= 0 && bottom <= innerHeight; }"
            )
        )

    def texts(self) -> list[tuple[float, int]]:
        """When it said what: Unix ms of the page's clock, and the number.

        Raises:
            RuntimeError: the page has made its table anew, or its clock is not ours.
        """
        if not self._element.evaluate("(cell) => cell.isConnected"):
            raise RuntimeError(f"expected the cell of {QUEUE!r} to stay on the page, saw it taken away")
        self._check_clock()
        return [(at_ms, int(text.replace(",", ""))) for at_ms, text in self._seen.json_value()]

    def _check_clock(self) -> None:
        before_ms = time.time() * 1000
        page_ms = self._page.evaluate("() => Date.now()")
        after_ms = time.time() * 1000
        if not before_ms - _CLOCKS_AGREE_MS <= page_ms <= after_ms + _CLOCKS_AGREE_MS:
            raise RuntimeError(
                f"expected the page's clock between {before_ms:.0f} and {after_ms:.0f}, saw {page_ms}"
            )


def measure(kafka: LocalKafka, redis: LocalRedis, rate: float, seconds: float) -> dict[str, object]:
    """Latencies (ms), probes, and CPU (share of a core) at a steady rate (events per second)."""
    # Imported here: the processes of worker and feeder import this module, too, and carry no driver of a browser.
    from tests.wallboard.page_world import CHROMIUM, chromium, page_of, see
    from tests.wallboard.walls import Wall

    program(str(CHROMIUM), "chromium fonts-noto-cjk")
    settings = settings_for(kafka, redis, f"pixel-{time.time_ns() % 10**6}")
    with (
        TemporaryDirectory() as folder,
        chromium() as browser,
        Wall(Path(folder), redis.url, site=settings.site.name) as wall,
        loaded(settings, rate, seconds, _SPARE_S) as load,
        page_of(browser) as page,
    ):
        probes = Probes(settings)
        probes.send()
        see(page, wall.url, "?view=desk&lang=en")
        cell = Cell(page)
        until_s = time.monotonic() + IN_SIGHT_AFTER_S
        while not cell.is_in_sight():
            if time.monotonic() > until_s:
                raise RuntimeError(
                    f"expected {QUEUE!r} on top after {IN_SIGHT_AFTER_S:.0f} s, saw it out of sight"
                )
            probes.send_for(1.0)
        probes.send_for(SETTLE_S)
        first = len(probes.sent_ms)
        used = _Used(load, wall.pid, browser)
        probes.send_for(seconds)
        cost = used.so_far()
        load.check_lasts()
        probes.flush()
        with suppress(TimeoutError):
            until(lambda: cell.texts()[-1][1] >= len(probes.sent_ms), "all seen", LOST_AFTER_S, 0.5)
        found = latencies_ms(probes.sent_ms, cell.texts())[first:]
    return {"rate": rate} | cost | _summary(found)


class _Used:
    """What is used from now on."""

    def __init__(self, load: Load, wall_pid: int, browser: Browser) -> None:
        self._load = load
        self._wall_pid = wall_pid
        self._chromium = browser.new_browser_cdp_session()
        self._before = self._now()

    def so_far(self) -> dict[str, object]:
        """Events per second, and CPU of worker, wallboard and all processes of the browser."""
        lasted_s, records, *cpu_s = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        names = ("cpu_worker", "cpu_wallboard", "cpu_browser")
        shares = {name: round(each / lasted_s, 3) for name, each in zip(names, cpu_s, strict=True)}
        return {"events_per_s": round(records / lasted_s), **shares}

    def _now(self) -> tuple[float, ...]:
        worker = self._load.worker
        told = self._chromium.send("SystemInfo.getProcessInfo")["processInfo"]
        browser_s = sum(each["cpuTime"] for each in told)
        return time.monotonic(), worker.records(), worker.cpu_s(), cpu_s_of(self._wall_pid), browser_s


def latencies_ms(sent_ms: list[float], texts: list[tuple[float, int]]) -> list[float | None]:
    """Of each probe: until the first text that counts it; None: there was none.

    >>> latencies_ms([100.0, 300.0, 500.0], [(50, 0), (450, 2)])
    [350.0, 150.0, None]

    Raises:
        RuntimeError: a probe was counted before it was sent.
    """
    out: list[float | None] = []
    for number, at_ms in enumerate(sent_ms, 1):
        seen_ms = next((each_ms for each_ms, counted in texts if counted >= number), None)
        out.append(None if seen_ms is None else seen_ms - at_ms)
        if seen_ms is not None and seen_ms < at_ms - _CLOCKS_AGREE_MS:
            raise RuntimeError(f"probe {number} was on the page {at_ms - seen_ms:.0f} ms before it was sent")
    return out


def _summary(found: list[float | None]) -> dict[str, object]:
    seen = [each for each in found if each is not None]
    lost = len(found) - len(seen)
    p99_ms = percentile(seen, 0.99) if seen else None
    return {
        "n": len(seen),
        "lost": lost,
        "latency_p50_ms": round(percentile(seen, 0.5)) if seen else None,
        "latency_p99_ms": None if p99_ms is None else round(p99_ms),
        "clocks": "Date.now() of the page - time.time() before the call, same machine",
        "targets": {
            f"latency_p99_ms <= {LATENCY_P99_MS}": p99_ms is not None and p99_ms <= LATENCY_P99_MS,
            "none lost": lost == 0,
        },
    }


def main() -> int:
    """Measure how soon an event is on the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pixel", description=main.__doc__)
    parser.add_argument("--rate", type=float, default=5000.0, help="events per second (default 5000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help=CHECK)
    args = parser.parse_args()
    with servers() as (kafka, redis):
        found = measure(kafka, redis, args.rate, args.seconds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:20} {v}" for k, v in found.items()))
    return exit_code(found, args.check)


if __name__ == "__main__":
    sys.exit(main())
