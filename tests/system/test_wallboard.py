"""From events on a real Kafka to a browser: a worker, a Redis, a wallboard and a Chromium, and the worker is killed."""

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port
from tests.wallboard.page_world import becomes, chromium, page_of, see
from tests.wallboard.walls import QUEUELIGHT, Wall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
QUEUES = 5
BANNER_S, BACK_S = 6.0, 5.0


class Installation:
    """One worker and one wallboard of an installation of its own."""

    def __init__(self, folder: Path, kafka: LocalKafka, redis: LocalRedis) -> None:
        begins = datetime.now(UTC) - timedelta(hours=6)
        toml = f'[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "board"\ntopic_prefix = "board."\n'
        self.wall = Wall(folder, redis.url, toml, site="board", day_starts_at=f"{begins:%H:00}")
        self.worker = ServerProcess("worker")
        self._log = folder / "worker.log"
        self._port = str(free_port())

    def told(self, *words: str) -> None:
        """Run a command of this installation."""
        subprocess.run([str(QUEUELIGHT), *words, "--config", str(self.wall.config)], check=True, timeout=120)

    def work(self) -> None:
        """Start the worker."""
        program = [str(QUEUELIGHT), "worker", "--config", str(self.wall.config), "--metrics-port", self._port]
        self.worker.start(program, self._log)

    def age_s(self) -> float:
        """How old the newest number is."""
        board = self.wall.board()
        return float("inf") if board["as_of"] is None else (board["now"] - board["as_of"]) / 1000


@pytest.fixture(scope="module")
def installed(
    kafka: LocalKafka, redis: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation through which some hundred contacts have gone."""
    made = Installation(tmp_path_factory.mktemp("board"), kafka, redis)
    made.told("topics", "create")
    made.work()
    try:
        with made.wall:
            made.told("simulate", "--rate", "200", "--seconds", "8", "--queues", str(QUEUES))
            until(lambda: len(made.wall.board()["queues"]) >= QUEUES, "every queue is there")
            until(lambda: made.age_s() < 2, "a worker publishes")
            yield made
    finally:
        made.worker.end(signal.SIGKILL, 10)


@pytest.fixture
def page(installed: Installation) -> Iterator[Page]:
    with chromium() as browser, page_of(browser, size=(1440, 900)) as opened:
        yield opened


def test_the_page_says_what_redis_says_after_the_events_went_through_kafka(
    page: Page, installed: Installation
) -> None:
    see(page, installed.wall.url, "?view=desk&lang=en")
    tiles = installed.wall.board()["queues"].values()
    assert sum(tile["offered"] for tile in tiles) > 50
    for tile in tiles:
        name = page.get_by_role("button", name=tile["queue"], exact=True)
        row = page.locator(".row").filter(has=name).filter(has_text=tile["channel"])
        for measure in ("offered", "answered", "abandoned", "callback", "silent_abandoned"):
            expect(row.locator(f'[data-measure="{measure}"]')).to_have_text(f"{tile[measure]:,}")
        expect(row.locator('[data-measure="n"]')).to_have_text(f"{tile['sl']['n']:,}")


def test_behind_a_number_are_its_windows_and_the_intervals_of_the_day(
    page: Page, installed: Installation
) -> None:
    see(page, installed.wall.url, "?view=desk&lang=en")
    page.locator("[data-column=offered] button").click()
    page.locator(".row .name").first.click()
    offered = page.locator("[data-part=windows] tr").filter(has=page.locator("[data-term=offered]"))
    today = offered.locator("td").last
    expect(today).not_to_have_text("0")
    day = page.locator("[data-part=intervals] tbody tr")
    expect(day.first).to_be_visible(timeout=10_000)
    assert sum(int(row.locator("td").first.inner_text()) for row in day.all()) > 0
    link = page.get_by_role("link", name="Download (CSV)").get_attribute("href")
    assert link is not None
    status, table = installed.wall.get(f"/{link}")
    assert status == 200
    head, *rows = table.decode().splitlines()
    assert head.startswith("start,offered,")
    assert len(rows) >= day.count()


def test_a_killed_worker_is_told_within_six_seconds_and_the_page_lives_again_by_itself(
    page: Page, installed: Installation
) -> None:
    see(page, installed.wall.url, "?lang=en")
    installed.worker.end(signal.SIGKILL, 10)
    killed = time.monotonic()
    becomes(page, "late", BANNER_S)
    assert time.monotonic() - killed < BANNER_S
    expect(page.locator("#banner")).to_contain_text("no worker publishes")
    becomes(page, "stale", BANNER_S + 1)
    installed.work()
    until(lambda: installed.age_s() < 2, "a worker publishes")
    assert becomes(page, "live", BACK_S) < BACK_S
    expect(page.locator(".tile[data-tone=stale]")).to_have_count(0)
    assert page.locator(".tile").count() >= QUEUES


def test_a_site_without_a_single_event_for_half_a_minute_stays_live(
    page: Page, installed: Installation
) -> None:
    """Empty is not stale: a worker that has nothing to tell still says that it lives."""
    see(page, installed.wall.url, "?lang=en")
    page.evaluate(
        """() => { globalThis.seen = new Set();
            new MutationObserver(() => globalThis.seen.add(document.body.dataset.state))
                .observe(document.body, {attributes: true, attributeFilter: ['data-state']}); }"""
    )
    page.wait_for_timeout(30_000)
    assert page.evaluate("() => [...globalThis.seen]") in ([], ["live"])
