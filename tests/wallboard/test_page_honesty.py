"""Does a screen ever show an old number as if it were new? Redis, workers, the server and single rows go away and come back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import OUTAGE, Centre, becomes, page_of, see, tile
from tests.wallboard.rows import now_ms
from tests.wallboard.walls import Wall

pytestmark = pytest.mark.system
BANNER_S = 6.0
STALE_S = 11.0
BACK_S = 5.0
COLOURS = ("rgb(213, 94, 0)", "rgb(240, 228, 66)", "rgb(86, 180, 233)", "rgb(0, 114, 178)")


@pytest.fixture(scope="module")
def own_redis() -> Iterator[LocalRedis]:
    """A Redis that may be stopped."""
    with LocalRedis() as server:
        yield server


@pytest.fixture(scope="module")
def centre(own_redis: LocalRedis) -> Iterator[Centre]:
    with Centre(own_redis.url, 4) as opened:
        yield opened


@pytest.fixture
def wall(own_redis: LocalRedis, centre: Centre, tmp_path: Path) -> Iterator[Wall]:
    with Wall(tmp_path, own_redis.url, site=centre.site.name) as running:
        yield running


@pytest.fixture
def page(browser: Browser, wall: Wall) -> Iterator[Page]:
    with page_of(browser, expected=OUTAGE) as opened:
        see(opened, wall.url, "?lang=en")
        yield opened


def banner(page: Page, says: str) -> None:
    expect(page.locator("#banner")).to_contain_text(says, timeout=1000)


def colours(page: Page) -> set[str]:
    """Which of the colours of states are to be seen in tiles and totals."""
    used = page.evaluate(
        """() => [...document.querySelectorAll('.tile, .tile *, .strip, .strip *, #truth, #truth *')].flatMap((node) => {
            const style = getComputedStyle(node);
            return [style.color, style.backgroundColor, style.borderTopColor, style.fill, style.stroke];
        })"""
    )
    return set(used) & set(COLOURS)


def goes_stale(page: Page, why: str) -> None:
    """The banner in time, then everything grey, and no number in colour."""
    assert becomes(page, "late", BANNER_S) < BANNER_S
    banner(page, why)
    expect(page.locator("#banner strong")).to_have_text(r"Numbers are 5s old", timeout=1500)
    becomes(page, "stale", STALE_S - BANNER_S + 2)
    banner(page, why)
    banner(page, "Stale since")
    for each in page.locator(".tile").all():
        expect(each).to_have_attribute("data-tone", "stale")
        expect(each.locator(".badge")).to_have_text("stale")
    expect(page.locator("#truth")).to_have_attribute("data-tone", "stale")
    assert colours(page) == set()


def comes_back(page: Page) -> None:
    """Live by itself, in colour, without a banner."""
    assert becomes(page, "live", BACK_S) < BACK_S
    expect(page.locator("#banner")).to_be_empty()
    expect(page.locator(".tile[data-tone=stale]")).to_have_count(0)
    assert colours(page)


def test_a_worker_that_hangs_is_told_within_six_seconds_and_its_return_within_five(
    page: Page, centre: Centre
) -> None:
    centre.pause()
    try:
        goes_stale(page, "no worker publishes")
        waits = page.locator(".tile [data-measure=longest_wait] .value")
        before = waits.all_inner_texts()
        page.wait_for_timeout(1500)
        assert waits.all_inner_texts() == before, "nobody knows whether they still wait"
    finally:
        centre.resume()
    comes_back(page)


def test_a_redis_that_is_stopped_is_told_within_six_seconds_and_its_return_within_five(
    page: Page, own_redis: LocalRedis
) -> None:
    own_redis.kill()
    try:
        goes_stale(page, "Redis does not answer")
    finally:
        own_redis.start()
    comes_back(page)


def test_a_wallboard_that_is_killed_is_told_within_six_seconds_and_its_return_within_five(
    page: Page, wall: Wall
) -> None:
    wall.end(signal.SIGKILL)
    goes_stale(page, "the wallboard server cannot be reached")
    wall.start()
    comes_back(page)


def test_a_line_that_is_open_but_dead_is_told_and_given_up(page: Page, wall: Wall) -> None:
    os.kill(wall.pid, signal.SIGSTOP)
    try:
        goes_stale(page, "the wallboard server cannot be reached")
    finally:
        os.kill(wall.pid, signal.SIGCONT)
    comes_back(page)


def test_one_row_that_nobody_publishes_is_grey_among_rows_that_live(page: Page, centre: Centre) -> None:
    centre.silent.add("Billing")
    try:
        expect(tile(page, "Billing")).to_have_attribute("data-tone", "stale", timeout=12_000)
        expect(page.locator("body")).to_have_attribute("data-state", "live")
        expect(page.locator(".tile[data-tone=stale]")).to_have_count(1)
        banner(page, "1 of 4 queues are out of date since")
        banner(page, "no worker publishes")
        expect(page.locator(".strip")).to_have_attribute("data-tone", "stale")  # they are part of the sums
    finally:
        centre.silent.clear()
    expect(page.locator(".tile[data-tone=stale]")).to_have_count(0, timeout=BACK_S * 1000)
    expect(page.locator("#banner")).to_be_empty()


def test_a_board_of_one_queue_that_nobody_publishes_is_stale_whatever_else_lives(
    browser: Browser, own_redis: LocalRedis, centre: Centre, tmp_path: Path
) -> None:
    toml = '[wallboard.boards.one]\nqueues = ["Billing", "Biling"]\n'
    with Wall(tmp_path, own_redis.url, toml, site=centre.site.name) as wall, page_of(browser) as page:
        see(page, wall.url, "?lang=en&board=one")
        expect(page.locator("#truth")).to_contain_text("no queue Biling was ever published")
        expect(page.locator(".strip [data-measure=available]")).to_be_hidden()  # those are the site's agents
        centre.silent.add("Billing")
        try:
            becomes(page, "stale", STALE_S + 4)
            banner(page, "Stale since")
            banner(page, "no worker publishes")
        finally:
            centre.silent.clear()
        becomes(page, "live", BACK_S)


def test_kafka_that_delivers_nothing_is_told_although_workers_go_on_publishing(
    page: Page, centre: Centre
) -> None:
    centre.tell(heard_ms=now_ms())
    try:
        goes_stale(page, "nothing new comes through Kafka")
    finally:
        centre.tell(heard_ms=0)
    comes_back(page)


def test_behind_a_stale_number_nobody_goes_on_waiting(page: Page, centre: Centre) -> None:
    page.locator(".tile .name").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("table").first).to_be_visible()
    centre.pause()
    try:
        becomes(page, "stale", STALE_S + 2)
        expect(dialog.locator(".details")).to_have_attribute("data-tone", "stale")
        expect(dialog).to_contain_text("As of")
    finally:
        centre.resume()
    becomes(page, "live", BACK_S)
    expect(dialog.locator(".details")).not_to_have_attribute("data-tone", "stale")


def test_a_source_that_is_silent_is_a_note_below_and_greys_nothing(page: Page, centre: Centre) -> None:
    truth = {topic: dict(of) for topic, of in centre.totals().truth.items()}
    truth["calls"] |= {"newest_event_ms": now_ms() - 3 * 60_000, "late_dropped": 7, "corrected": 12}
    truth["chats"]["newest_event_ms"] = now_ms()
    centre.tell(truth=truth, dead_letters={"unreadable": 3, "unknown_type": 2})
    expect(page.locator("#truth")).to_contain_text("source calls silent for 3m", timeout=3000)
    assert "chats: newest" in page.locator("#truth").inner_text()
    told = {
        name: page.locator(f'[data-truth="{name}"]').inner_text()
        for name in ("late_dropped", "corrected", "undecodable")
    }
    assert told == {"late_dropped": "7", "corrected": "12", "undecodable": "5"}
    expect(page.locator("body")).to_have_attribute("data-state", "live")
    expect(page.locator(".tile[data-tone=stale]")).to_have_count(0)


def test_before_anything_was_published_the_page_says_so_and_shows_no_number(
    browser: Browser, own_redis: LocalRedis, tmp_path: Path
) -> None:
    with Wall(tmp_path, own_redis.url, site="a site nobody works for") as empty, page_of(browser) as page:
        page.goto(f"{empty.url}/?lang=ja")
        expect(page.locator("#banner")).to_contain_text("ワーカーからの数値がまだありません")
        assert page.locator(".tile").count() == 0
        expect(page.locator("#site")).to_be_hidden()
