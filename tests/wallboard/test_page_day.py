"""Does a screen that nobody touches for a day stay right and small? Twenty-four hours and a day change, in a minute.

The real application on a clock that the test drives; the page's own clock is driven by Playwright, like a browser's
that slept in between.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pytest
import uvicorn
from msgspec import structs
from playwright.sync_api import Page, expect

from agents.snapshot_store import MemorySnapshots
from agents.wallboard import hub, server
from agents.wallboard.config import BoardConfig
from agents.wallboard.server import Wallboard
from agents.wallboard.stores import MemoryStore
from schemas.snapshots import QueueSnapshot
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode
from streams.site import Site
from tests.system.members import until
from tests.system.server_process import free_port
from tests.wallboard.page_world import becomes, chromium, page_of, see, tile, value
from tests.wallboard.rows import queue_of, site_of

ZONE = ZoneInfo("Asia/Tokyo")
DAY_STARTS_AT = "05:00"
BEGIN = datetime(2027, 3, 9, 21, 2, tzinfo=ZONE)
STEP = timedelta(minutes=30)
STEPS = 48
_HOUR_OF_STEPS = 2


BOARD = BoardConfig(zone="Asia/Tokyo", day_starts_at=DAY_STARTS_AT)


class Clock:
    """The server's clock: as fast as any, and put forward by hand."""

    def __init__(self, at: datetime) -> None:
        self._ahead_ms = round(at.timestamp() * 1000) - time.monotonic_ns() // 1_000_000

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms

    def forward(self, by: timedelta) -> None:
        self._ahead_ms += round(by.total_seconds() * 1000)


class Day:
    """A centre of a few queues whose events happen as its clock goes on."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self._driver = Driver(site, 1)
        self.memory = MemorySnapshots()
        simulation = Simulation(site, Plan(flat=True, contacts_per_s=0.02), 11, keep_record=False)
        at_ms = clock.now_ms()
        self._events = simulation.events(at_ms - 3 * 3_600_000, at_ms + 30 * 3_600_000)
        self._next = next(self._events)

    def publish(self) -> None:
        """Let everything happen that has happened by now, and publish it."""
        at_ms = self._clock.now_ms()
        items = []
        while self._next[2].time.timestamp() * 1000 <= at_ms:
            topic, key, event = self._next
            items.append(Item(topic, key, encode(event)))
            self._next = next(self._events)
        self._driver.feed(items)
        self._driver.finish(at_ms)
        self.memory.publish([structs.replace(row, published_ms=at_ms) for row in self._driver.states()])

    def queues(self) -> list[QueueSnapshot]:
        return [s for s in self.memory.snapshots() if isinstance(s, QueueSnapshot)]


@contextmanager
def served(memory: MemorySnapshots) -> Iterator[str]:
    """A board at an address."""
    app = Wallboard(MemoryStore(memory), {"default": BOARD.model_copy(update={"window": "day"})}).app
    port = free_port()
    running = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until(lambda: running.started, "the server listens", 10)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)


def heap(page: Page) -> tuple[float, float]:
    """Megabytes of script objects, and nodes, after the garbage is gone."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = cast(dict[str, list[dict[str, float | str]]], session.send("Performance.getMetrics"))
    found = {each["name"]: float(each["value"]) for each in told["metrics"]}
    session.detach()
    return found["JSHeapUsedSize"] / 1e6, found["Nodes"]


def test_a_day_goes_by_without_a_reload_and_ends_at_the_sites_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(BEGIN)
    for module in (hub, server):
        monkeypatch.setattr(module, "wall_ms", clock.now_ms)
    site = structs.replace(default_site(3), day_starts_at=DAY_STARTS_AT)
    day = Day(site, clock)
    day.publish()
    # The browser is on the other side of the world, and its clock is wrong.
    with (
        chromium() as browser,
        served(day.memory) as url,
        page_of(browser, timezone_id="America/New_York") as page,
    ):
        page.clock.install(time=datetime(2019, 1, 1, tzinfo=UTC))
        see(page, url, "?lang=en")
        page.evaluate("() => { document.documentElement.dataset.never = 'reloaded'; }")
        sizes, offered, dates = [], [], []
        for step in range(STEPS):
            page.clock.fast_forward(int(STEP.total_seconds() * 1000))
            clock.forward(STEP)
            day.publish()
            at = datetime.fromtimestamp(clock.now_ms() / 1000, ZONE)
            expect(page.locator("#clock-time")).to_have_text(f"{at:%H:%M}", timeout=5000)
            becomes(page, "live", 5)
            total = sum(queue.windows["day"].offered for queue in day.queues())
            shown = page.locator('#site [data-measure="sl_offered"] .note')
            n = sum(
                queue.windows["day"].proportions["sl_offered"].n
                for queue in day.queues()
                if "sl_offered" in queue.windows["day"].proportions
            )
            expect(shown).to_have_text(f"n {n:,} · today", timeout=5000)
            _waits_are_right(page, day, clock)
            offered.append((at, total))
            dates.append((at, page.locator("#clock-date").inner_text()))
            if step % _HOUR_OF_STEPS == _HOUR_OF_STEPS - 1:
                sizes.append(heap(page))
        assert page.locator("html").get_attribute("data-never") == "reloaded"
    _ends_at_the_hour(offered)
    _is_dated(dates)
    settled = sizes[3]
    assert max(size for size, _ in sizes[4:]) < settled[0] * 1.15 + 0.5, sizes
    assert max(nodes for _, nodes in sizes[4:]) < settled[1] * 1.2, sizes


def test_a_recovery_is_shown_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(BEGIN)
    for module in (hub, server):
        monkeypatch.setattr(module, "wall_ms", clock.now_ms)
    memory = MemorySnapshots()

    def publish(target: float = 0.8) -> None:
        at_ms = clock.now_ms()
        memory.publish([queue_of("Sales", published_ms=at_ms, target=target), site_of(published_ms=at_ms)])

    publish(target=0.9)
    with chromium() as browser, served(memory) as url, page_of(browser) as page:
        page.clock.install()
        see(page, url, "?lang=en")
        badge, attention = tile(page, "Sales").locator(".badge"), tile(page, "Sales").locator(".attention")
        expect(badge).to_have_text("breach")
        publish()
        expect(badge).to_have_text("recovered")
        for seconds, word, told in ((50, "recovered", r"recovered 5\ds ago"), (12, "OK", "^$")):
            page.clock.fast_forward(seconds * 1000)
            clock.forward(timedelta(seconds=seconds))
            publish()
            expect(badge).to_have_text(word)
            expect(attention).to_have_text(re.compile(told))


def _waits_are_right(page: Page, day: Day, clock: Clock) -> None:
    for queue in day.queues():
        told = value(tile(page, queue.queue), "longest_wait")
        if queue.oldest_waiting_ms is None:
            assert told == "-"
            continue
        parts = [int(part) for part in told.split(":")]
        counted = sum(part * 60**place for place, part in enumerate(reversed(parts)))
        assert abs(counted + 0.5 - (clock.now_ms() - queue.oldest_waiting_ms) / 1000) < 2.5


def _ends_at_the_hour(offered: list[tuple[datetime, int]]) -> None:
    """The day's count falls once, at the first look after the site's hour."""
    falls = [late for (_, before), (late, after) in pairwise(offered) if after < before]
    assert [f"{at:%H:%M}" for at in falls] == ["05:02"]


def _is_dated(dates: list[tuple[datetime, str]]) -> None:
    """The calendar's date, and until the site's hour the business day that still runs beside it."""
    for at, told in dates:
        assert f"{at.day} {at:%b}" in told
        runs_on = at.hour < 5
        assert ("business day" in told) == runs_on
        if runs_on:
            before = at - timedelta(days=1)
            assert re.search(rf"business day {before:%a},? {before.day} {before:%b}$", told), told
