"""Does a breach get the attention it needs, once, and does everybody see who takes care of it?"""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Page, expect

from schemas.counts import ANSWERED_FROM, ANSWERED_WAIT_MS, OFFERED
from schemas.snapshots import QueueState
from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import Centre, page_of, see, tile
from tests.wallboard.rows import in_every_window, now_ms, queue_of
from tests.wallboard.walls import Wall

pytestmark = pytest.mark.system
QUEUE = "予約変更"
TOML = """
[wallboard]
sound = true
[wallboard.boards.strict.thresholds]
waiting = {warning = 2, critical = 8}
"""
COUNT_TONES = """
const made = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () {
  document.documentElement.dataset.notes = Number(document.documentElement.dataset.notes ?? 0) + 1;
  return made.call(this);
};
"""


@pytest.fixture(scope="module")
def centre(redis: LocalRedis) -> Iterator[Centre]:
    with Centre(redis.url, 4, load=0.7) as opened:
        yield opened


@pytest.fixture(scope="module")
def wall(redis: LocalRedis, centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    with Wall(tmp_path_factory.mktemp("wall"), redis.url, TOML, site=centre.site.name) as running:
        yield running


@pytest.fixture
def page(browser: Browser, wall: Wall, centre: Centre) -> Iterator[Page]:
    """A board on which all is well."""
    centre.changed[QUEUE] = level(centre, answered_in_x=20)
    with page_of(browser) as opened:
        opened.add_init_script(COUNT_TONES)
        see(opened, wall.url, "?lang=en")
        expect(tile(opened, QUEUE)).to_have_attribute("data-tone", "ok")
        yield opened


def level(centre: Centre, answered_in_x: int, **changed: Any) -> QueueState:
    """A queue that answered so many of 20 in time."""
    pane = {
        OFFERED: 20, ANSWERED_FROM + 5_000: answered_in_x, ANSWERED_FROM + 90_000: 20 - answered_in_x,
        ANSWERED_WAIT_MS: 300_000,
    }  # fmt: skip
    rings = in_every_window(pane)
    return structs.replace(queue_of(QUEUE, event=rings, arrival=rings, **changed), site=centre.site.name)


def breach(centre: Centre) -> None:
    """Let the queue fall below its target while people wait too long."""
    centre.changed[QUEUE] = level(
        centre, answered_in_x=4, waiting=9, at_risk=5, oldest_waiting_ms=now_ms() - 95_000
    )


def first_name(page: Page) -> str:
    return page.locator(".tile .name").first.inner_text()


def test_a_breach_moves_to_the_top_flashes_once_and_is_said(page: Page, centre: Centre) -> None:
    assert first_name(page) != QUEUE
    breach(centre)
    box = tile(page, QUEUE)
    expect(box).to_have_attribute("data-tone", "act", timeout=3000)
    assert first_name(page) == QUEUE
    expect(page.get_by_role("status").filter(has_text=f"{QUEUE}: breach")).to_have_count(1)
    flash = box.evaluate(
        "(node) => { const s = getComputedStyle(node, '::after'); return [s.animationName, s.animationIterationCount]; }"
    )
    assert flash == ["flash", "1"]
    page.wait_for_timeout(1500)
    running = (
        "(node) => node.getAnimations({subtree: true}).filter((each) => each.playState === 'running').length"
    )
    assert box.evaluate(running) == 0


def test_nothing_moves_for_those_who_asked_for_less_motion(
    browser: Browser, wall: Wall, centre: Centre, page: Page
) -> None:
    with page_of(browser, reduced_motion="reduce") as calm:
        see(calm, wall.url, "?lang=en")
        breach(centre)
        box = tile(calm, QUEUE)
        expect(box).to_have_attribute("data-tone", "act", timeout=3000)
        assert box.evaluate("(node) => getComputedStyle(node, '::after').animationName") == "none"
        assert calm.evaluate("() => document.getAnimations().length") == 0


def test_a_breach_sounds_only_after_somebody_has_switched_the_sound_on(page: Page, centre: Centre) -> None:
    notes = page.locator("html")
    breach(centre)
    expect(tile(page, QUEUE)).to_have_attribute("data-tone", "act", timeout=3000)
    assert notes.get_attribute("data-notes") is None
    page.get_by_role("button", name="Sound").click()
    expect(notes).to_have_attribute("data-notes", "2")
    centre.changed[QUEUE] = level(centre, answered_in_x=20)
    expect(tile(page, QUEUE)).to_have_attribute("data-tone", "ok", timeout=3000)
    breach(centre)
    expect(notes).to_have_attribute("data-notes", "4", timeout=3000)


def test_who_acknowledged_is_seen_on_every_screen_of_every_process_until_the_queue_recovers(
    page: Page, browser: Browser, centre: Centre, redis: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    breach(centre)
    with (
        Wall(tmp_path_factory.mktemp("other"), redis.url, site=centre.site.name) as elsewhere,
        page_of(browser) as other,
    ):
        see(other, elsewhere.url, "?lang=ja")
        expect(tile(page, QUEUE)).to_have_attribute("data-tone", "act", timeout=3000)
        page.mouse.move(200, 200)
        tile(page, QUEUE).get_by_role("button", name="Acknowledge").click()
        name = page.get_by_role("textbox", name="Your name")
        expect(name).to_be_focused()
        name.fill("佐藤")
        page.keyboard.press("Enter")
        for screen in (page, other):
            expect(tile(screen, QUEUE).locator(".attention")).to_contain_text("佐藤", timeout=3000)
        assert "佐藤" not in page.url
        page.keyboard.press("Escape")
        expect(tile(page, QUEUE).get_by_role("button", name="Acknowledge")).to_be_hidden()
        centre.changed[QUEUE] = level(centre, answered_in_x=20)
        for screen, word in ((page, "recovered"), (other, "回復")):
            expect(tile(screen, QUEUE).locator(".badge")).to_have_text(word, timeout=3000)
            expect(tile(screen, QUEUE).locator(".attention")).to_contain_text(word)
        breach(centre)
        for screen in (page, other):
            expect(tile(screen, QUEUE)).to_have_attribute("data-tone", "act", timeout=3000)
            expect(tile(screen, QUEUE).locator(".attention")).to_have_text("")
        other.reload()  # a screen that has not seen the recovery
        expect(tile(other, QUEUE)).to_have_attribute("data-tone", "act", timeout=5000)
        expect(tile(other, QUEUE).get_by_role("button", name="確認する")).to_be_visible()


def test_a_recovery_by_way_of_at_risk_is_shown_as_one(page: Page, centre: Centre) -> None:
    breach(centre)
    expect(tile(page, QUEUE)).to_have_attribute("data-tone", "act", timeout=3000)
    centre.changed[QUEUE] = level(centre, answered_in_x=20, waiting=1, at_risk=1, oldest_waiting_ms=now_ms())
    expect(tile(page, QUEUE)).to_have_attribute("data-tone", "watch", timeout=3000)
    centre.changed[QUEUE] = level(centre, answered_in_x=20)
    expect(tile(page, QUEUE).locator(".badge")).to_have_text("recovered", timeout=3000)


def test_thresholds_of_the_settings_mark_the_number_with_their_own_words(
    browser: Browser, wall: Wall, centre: Centre, page: Page
) -> None:
    with page_of(browser) as strict:
        see(strict, wall.url, "?lang=en&board=strict")
        box = tile(strict, QUEUE)
        for waiting, tone, word in ((1, "ok", "OK"), (3, "watch", "warning"), (9, "act", "critical")):
            centre.changed[QUEUE] = level(
                centre, answered_in_x=20, waiting=waiting, oldest_waiting_ms=now_ms()
            )
            expect(box).to_have_attribute("data-tone", tone, timeout=3000)
            expect(box.locator(".badge")).to_have_text(word)
            figure = box.locator('[data-measure="waiting"]')
            assert figure.get_attribute("data-tone") == (None if tone == "ok" else tone)
            expect(figure.locator("svg.shape")).to_have_count(0 if tone == "ok" else 1)
    expect(tile(page, QUEUE)).to_have_attribute("data-tone", "ok")
