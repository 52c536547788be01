"""How does a test look at a board as people do? A centre that publishes to Redis, and pages in a real Chromium.

Refuses to know what a test expects to see.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Self, cast

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from agents.snapshot_store import RedisSnapshots
from schemas.events import AnyEvent
from schemas.partials import queue_row
from schemas.snapshots import GroupSnapshot, QueueSnapshot, QueueState, RowState, encode_json
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from streams.snapshot import snapshot_of
from tests.simulated import still_waiting
from tests.wallboard.rows import now_ms

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAST_MS = 35 * 60_000
"""So much has happened when a centre opens: the window of half an hour is full."""
WAITED_MS = 42_000
"""How long one caller has waited at least: somebody always does."""
_PUBLISH_EVERY_S = 0.4
OUTAGE = r"Failed to load resource: net::ERR_"
"""What the console says while the server is away."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without it the tests are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: sudo apt-get install -y chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def page_of(
    browser: Browser, *, size: tuple[int, int] = (1920, 1080), expected: str = "", **options: Any
) -> Iterator[Page]:
    """A page that must end without an error, a refused resource, or a request to anybody else.

    Args:
        browser: where it opens.
        size: of the screen.
        expected: pattern of the errors that the test provokes.
        options: of Playwright's context.
    """
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page = context.new_page()
    troubles: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => console.error('CSP', event.blockedURI))"
    )
    yield page
    context.close()
    assert [each for each in troubles if not (expected and re.search(expected, each))] == []
    assert {host.split(":")[0] for host in hosts} <= {"127.0.0.1"}


def see(page: Page, url: str, query: str = "", *, state: str = "live") -> None:
    """Open a board and wait until it is in a state and shows a queue."""
    page.goto(f"{url}/{query}")
    expect(page.locator("body")).to_have_attribute("data-state", state, timeout=15_000)
    expect(page.locator(".tile, .row").first).to_be_visible()


def becomes(page: Page, state: str, within_s: float) -> float:
    """Wait for a state of the board; return the seconds it took."""
    began = time.monotonic()
    expect(page.locator("body")).to_have_attribute("data-state", state, timeout=within_s * 1000)
    return time.monotonic() - began


def tile(page: Page, queue: str) -> Locator:
    """The tile of a queue."""
    return page.locator(".tile").filter(has=page.locator(".name").get_by_text(queue, exact=True))


def value(box: Locator, measure: str) -> str:
    """What a tile or the totals say of a measure."""
    return box.locator(f'[data-measure="{measure}"] .value').inner_text()


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds serious or critical: rule and element."""
    source = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(source)
    found = cast(dict[str, Any], page.evaluate("() => axe.run(document, {resultTypes: ['violations']})"))
    return [
        (each["id"], node["html"][:200])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


class Centre:
    """A simulated contact centre whose worker publishes to Redis several times a second.

    Its numbers stand still while its time goes on, so that a test can compare them. The past is real: both stages of
    the pipeline have seen every event. `pause` is a worker that hangs.
    """

    def __init__(
        self, redis_url: str, queues: int = 6, *, load: float = 0.95, events_per_s: float = 1.0
    ) -> None:
        self.site = default_site(queues)
        self._url = redis_url
        self._driver = Driver(self.site, 2)
        self._plan = with_events_per_s(self.site, Plan(flat=True, load=load), queues * events_per_s)
        self.changed: dict[str, RowState] = {}
        """Rows published instead of the simulated ones, or beside them, by any name."""
        self.private: set[str] = set()
        """Ids of contacts, customers and agents in its events: nothing of this may be on a page."""
        self.silent: set[str] = set()
        """Queues of which nothing is published any more."""
        self._gone: list[str] = []
        self._publishing = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()), daemon=True)
        self._rows: list[RowState] = []

    def __enter__(self) -> Self:
        end_ms = now_ms()
        simulation = Simulation(self.site, self._plan, 7, keep_record=False)
        items = []
        simulated = simulation.events(end_ms - PAST_MS, end_ms)
        for topic, key, event in (*simulated, still_waiting(self.site, end_ms - WAITED_MS)):
            items.append(Item(topic, key, encode(event)))
            self.private |= _ids(event)
        self._driver.feed(items)
        self._driver.finish(end_ms)
        self._rows = list(self._driver.states(end_ms))
        self._publishing.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def pause(self) -> None:
        """No worker publishes any more."""
        self._publishing.clear()

    def resume(self) -> None:
        """A worker publishes again."""
        self._publishing.set()

    @property
    def rows(self) -> Sequence[RowState]:
        """What is published."""
        return [*self._rows, *self.changed.values()]

    def queues(self) -> list[QueueSnapshot]:
        """The snapshot of every queue."""
        return [s for s in map(snapshot_of, self.rows) if isinstance(s, QueueSnapshot)]

    def totals(self) -> GroupSnapshot:
        """The snapshot of the site."""
        return next(s for s in self.rows if isinstance(s, GroupSnapshot) and s.group == "site")

    def remove(self, queue: str, channel: str) -> None:
        """Let a row vanish that was published beside the simulated ones."""
        del self.changed[queue]
        self._gone.append(queue_row(queue, channel))

    def replace(self, queue: str, /, **changed: Any) -> None:
        """Let a simulated queue say something else from now on, perhaps under another name."""
        before = {queue_row(s.queue, s.channel) for s in self.queues()}
        self._rows = [
            structs.replace(row, **changed) if isinstance(row, QueueState) and row.queue == queue else row
            for row in self._rows
        ]
        self._gone += before - {queue_row(s.queue, s.channel) for s in self.queues()}

    def tell(self, **changed: Any) -> None:
        """Let the site say something else from now on."""
        self._rows = [
            structs.replace(row, **changed) if isinstance(row, GroupSnapshot) and row.group == "site" else row
            for row in self._rows
        ]

    async def _publish(self) -> None:
        store = RedisSnapshots(self._url, self.site.name)
        running = asyncio.create_task(store.run())
        while not self._over.is_set():
            if self._publishing.is_set():
                at_ms = now_ms()
                fresh = [
                    structs.replace(row, published_ms=at_ms)
                    for row in self.rows
                    if not (isinstance(row, QueueState) and row.queue in self.silent)
                ]
                store.offer(fresh)
                gone, self._gone = self._gone, []
                store.remove(gone, 1, 1)
            await asyncio.sleep(_PUBLISH_EVERY_S)
        running.cancel()
        await store.close()


def _ids(event: AnyEvent) -> set[str]:
    names = ("contact_id", "customer_id", "agent_id", "ani", "caller")
    text = encode_json(event).decode()
    return {found for name in names for found in re.findall(rf'"{name}":"([^"]+)"', text)}
