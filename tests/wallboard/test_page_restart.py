"""Does a screen find its way to the next process of its wallboard, whichever way the one before it ended?

Numbers change while nobody serves them. A new process counts its frames from the beginning: what it says must not be
taken for what the page knows already.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Browser, Page
from redis import Redis

from agents.snapshot_store import keys_of
from schemas.partials import queue_row
from schemas.snapshots import QueueState, decode_state
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.wallboard.page_world import OUTAGE, becomes, page_of, see
from tests.wallboard.rows import SITE, now_ms, queue_of, site_of
from tests.wallboard.walls import Wall, publish

pytestmark = pytest.mark.system
BACK_S = 5.0
QUEUES = 3
BEFORE = 6
"""Frames before the first process ends: the next ones have told fewer when they are seen."""
Numbers = dict[str, tuple[str, ...]]
"""Of each queue: who waits, who is at risk, and who is available."""
SHOWN = """() => Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) => [
  tile.querySelector('.name').textContent,
  ['waiting', 'at_risk', 'available'].map((name) => tile.querySelector(`[data-measure="${name}"] .value`).textContent),
]))"""


class Centre:
    """A few queues whose numbers are others with every publication; one of them is always a new one."""

    def __init__(self, redis: LocalRedis) -> None:
        self._url = redis.url
        self._number = 0

    def publish(self) -> None:
        """Say something else of every queue; one vanishes, another is there for the first time."""
        self._number += 1
        n = self._number
        rows = [
            queue_of(
                name, position=n, waiting=10 * n + place, at_risk=n, agents={"available": 100 - n},
                oldest_waiting_ms=now_ms(),
            )
            for place, name in enumerate(("Sales", "注文・配送", f"Shift {n}"))
        ]  # fmt: skip
        gone = [queue_row(f"Shift {n - 1}", "voice")]
        # In a thread of its own: Playwright has the event loop of this one.
        with ThreadPoolExecutor() as threads:
            threads.submit(publish, self._url, [*rows, site_of(position=n)], gone, position=n).result()

    def told(self) -> Numbers:
        """What is in Redis."""
        with Redis.from_url(self._url) as client:
            states = [decode_state(value) for value in client.hvals(keys_of(SITE)[0])]
        return {
            state.queue: (str(state.waiting), str(state.at_risk), str(state.agents["available"]))
            for state in states
            if isinstance(state, QueueState)
        }


@pytest.fixture
def centre(redis: LocalRedis) -> Centre:
    with Redis.from_url(redis.url) as client:
        client.flushall()
    made = Centre(redis)
    made.publish()
    return made


@pytest.fixture
def wall(redis: LocalRedis, centre: Centre, tmp_path: Path) -> Iterator[Wall]:
    with Wall(tmp_path, redis.url) as running:
        yield running


@pytest.fixture
def page(browser: Browser, wall: Wall) -> Iterator[Page]:
    with page_of(browser, expected=OUTAGE) as opened:
        see(opened, wall.url, "?lang=en")
        opened.evaluate("() => { document.documentElement.dataset.never = 'reloaded'; }")
        yield opened


def shown(page: Page) -> Numbers:
    found = cast(dict[str, list[str]], page.evaluate(SHOWN))
    return {queue: tuple(each) for queue, each in found.items()}


def shows(page: Page, told: Numbers) -> None:
    """The page says what was told soon."""
    assert len(told) == QUEUES
    until(lambda: shown(page) == told, f"{told} on the page", BACK_S)


def follows(page: Page, centre: Centre) -> None:
    """What is published now is on the page soon."""
    centre.publish()
    shows(page, centre.told())


def test_a_page_goes_on_with_the_numbers_of_redis_after_an_orderly_end_and_after_a_crash(
    page: Page, wall: Wall, centre: Centre
) -> None:
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/stream" in request.url else None)
    for _ in range(BEFORE):
        follows(page, centre)
    for ended_by, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        before = wall.board()
        assert wall.end(ended_by) == code
        centre.publish()
        assert shown(page) != centre.told(), "nobody can have told it"
        wall.start()
        shows(page, centre.told())
        after = wall.board()
        assert after["boot"] != before["boot"]
        assert after["seq"] < before["seq"], (
            "a page that looks at numbers alone takes its frames for old ones"
        )
        opened = len(streams)
        for _ in range(BEFORE):
            follows(page, centre)
        becomes(page, "live", BACK_S)
        assert streams[opened:] == [], "one stream is enough: a frame that is refused opens another"
        assert opened > 0
    assert page.locator("html").get_attribute("data-never") == "reloaded"
