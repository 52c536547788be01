"""Is the web site shown as it is: who is stuck, which pages precede contacts, what offers do, and how old that is?"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Page, expect

from schemas.definitions import DEFINITIONS
from tests.reports import CONTACT, FEES, LISTED, RETURNS, THIN, report_of, stuck_of
from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import Centre, chromium, page_of, serious
from tests.wallboard.rows import now_ms
from tests.wallboard.walls import Wall
from tests.wallboard.web_world import publish_web

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(redis: LocalRedis, centre: Centre) -> str:
    """A web site on which three are stuck, and many are watched."""
    name = centre.site.name
    at_ms = now_ms()
    first, second, held = stuck_of(1, at_ms), stuck_of(2, at_ms), stuck_of(3, at_ms, page=FEES)
    second = structs.replace(second, offer=False, withheld="no agent free")
    assert held.flag is not None
    flag = structs.replace(held.flag, arm="holdout", queue="Nowhere")
    held = structs.replace(held, offer=False, withheld="holdout", flag=flag)
    near = structs.replace(stuck_of(4, at_ms), flag=None, probability=0.2)
    publish_web(
        redis.url, name, report_of(at_ms + 3_600_000), {v.visitor_id: v for v in (first, second, held, near)}
    )
    return name


def look(page: Page, wall: Wall, query: str) -> None:
    page.goto(f"{wall.url}/?view=web&{query}")
    expect(page.locator(".part tbody tr").first).to_be_visible(timeout=15_000)


def row(page: Page, part: str, key: str) -> str:
    return page.locator(f'[data-part="{part}"] tbody tr').filter(has_text=key).first.inner_text()


@pytest.mark.usefixtures("site")
def test_the_stuck_are_told_by_page_with_reason_queue_and_whether_to_offer(
    browser: Browser, wall: Wall
) -> None:
    with page_of(browser) as page:
        look(page, wall, "lang=en")
        found = page.locator('[data-part="stuck_now"] tbody tr')
        expect(found).to_have_count(2)
        assert found.first.locator("th").inner_text() == RETURNS
        told = found.first.inner_text()
        assert re.search(r"\b2\b", told)
        assert re.search(r"\b3:\d\d\b", told)  # the second has been stuck for three minutes
        assert "注文・配送" in told
        assert "Offer to 1" in told
        assert "no agent free: 1" in told
        other = row(page, "stuck_now", FEES)
        assert "clicked again and again in one place" in other
        assert "held out" in other
        assert "not known who is free" in other
        assert page.locator('[data-measure="stuck"] .value').inner_text() == "3"
        assert "v1_" not in page.content()
        assert "c1_" not in page.content()


@pytest.mark.usefixtures("site")
def test_pages_come_with_rate_base_interval_and_verdict_and_announcers_and_contact_pages_are_below(
    browser: Browser, wall: Wall
) -> None:
    with page_of(browser) as page:
        look(page, wall, "lang=en")
        names = page.locator('[data-part="pages_before"] tbody th > span:first-child').all_inner_texts()
        assert names[:2] == [RETURNS, FEES]
        assert names[-2:] == [LISTED, CONTACT]
        told = row(page, "pages_before", RETURNS)
        for part in ("precedes", "12.6%", "2.0%", "×6.3", "1,010", "4:14", "返品ラベル 88"):
            assert part.lower() in told.lower(), part
        assert f"because of {RETURNS}" in row(page, "pages_before", LISTED)
        assert "contact page" in row(page, "pages_before", CONTACT).lower()
        assert "too few" in row(page, "pages_before", THIN).lower()
        bar = page.locator('[data-part="pages_before"] tbody tr').first.locator(".span")
        assert bar.get_attribute("aria-label") == "5.2 … 7.6"
        expect(page.locator('[data-part="pages_before"] > .note').last).to_have_text(
            "31 more pages, 1,400 views"
        )


@pytest.mark.usefixtures("site")
def test_arms_stand_beside_each_other_and_what_is_not_shown_is_not_said(browser: Browser, wall: Wall) -> None:
    with page_of(browser) as page:
        look(page, wall, "lang=ja")
        helped = row(page, "offers_by_arm", RETURNS)
        for part in ("24.2%", "47.5%", "n 700", "n 80", "+23.2", "18.6 (9.7 … 27.5)", "効果あり"):
            assert part in helped, part
        assert "効果不明" in row(page, "offers_by_arm", FEES)
        tones = page.locator('[data-part="offers_by_arm"] .badge').evaluate_all(
            "(all) => all.map((b) => b.dataset.tone)"
        )
        assert tones == ["ok", "plain"]
        for name, text in (
            ("self_resolution", "88.0%"),
            ("silent_leavers", "143"),
            ("web_sessions", "5,400"),
        ):
            assert page.locator(f'[data-measure="{name}"] .value').inner_text() == text


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_words_explain_themselves_by_keyboard(
    browser: Browser, wall: Wall, lang: str, theme: str
) -> None:
    with page_of(browser) as page:
        look(page, wall, f"lang={lang}&theme={theme}")
        assert serious(page) == []
        term = page.locator('[data-part="pages_before"] [data-term="lift"]')
        term.focus()
        expect(page.locator("#tip")).to_contain_text(DEFINITIONS["lift"].sentence(lang))
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.usefixtures("site")
def test_a_narrow_screen_scrolls_tables_and_not_the_page(browser: Browser, wall: Wall) -> None:
    with page_of(browser, size=(390, 844)) as page:
        look(page, wall, "lang=ja")
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390


def test_an_old_report_is_grey_and_says_since_when_and_a_new_one_is_live_at_once(
    browser: Browser, redis: LocalRedis, centre: Centre, wall: Wall
) -> None:
    name = centre.site.name
    publish_web(redis.url, name, report_of(now_ms() - 120_000), {})
    with page_of(browser) as page:
        look(page, wall, "lang=en")
        expect(page.locator(".web")).to_have_attribute("data-tone", "stale")
        expect(page.locator(".age")).to_contain_text("Out of date")
        publish_web(redis.url, name, report_of(now_ms(), sessions=77), {})
        expect(page.locator('[data-measure="web_sessions"] .value')).to_have_text("77", timeout=5000)
        expect(page.locator(".web")).not_to_have_attribute("data-tone", "stale")
        expect(page.locator(".age")).to_contain_text("report")


def test_without_web_events_it_says_how_to_send_them_and_a_board_may_open_with_this_view(
    browser: Browser, redis: LocalRedis, tmp_path: Path
) -> None:
    with (
        Centre(redis.url, 3) as centre,
        Wall(
            tmp_path, redis.url, '[wallboard]\nview = "web"\nlang = "en"\n', site=f"{centre.site.name}-no-web"
        ) as wall,
        page_of(browser) as page,
    ):
        page.goto(f"{wall.url}/")
        expect(page.locator(".none")).to_contain_text("No web events yet.", timeout=15_000)
        expect(page.locator(".none")).to_contain_text("queuelight collect")
        assert page.locator("html").get_attribute("data-view") == "web"
