"""Can everybody use the page, and does it keep to itself? Keyboards, screen readers, privacy, its policy."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from schemas.definitions import DEFINITIONS
from tests.wallboard.page_world import Centre, page_of, see, serious
from tests.wallboard.walls import Wall

pytestmark = pytest.mark.system


def test_every_total_explains_itself_to_a_keyboard(page: Page, wall: Wall) -> None:
    see(page, wall.url, "?lang=ja")
    met: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate("() => document.activeElement.dataset.term ?? ''")
        if name:
            met.add(name)
            expect(page.locator("#tip")).to_be_visible()
            expect(page.locator("#tip")).to_contain_text(DEFINITIONS[name].sentence("ja"))
            described = page.evaluate("() => document.activeElement.getAttribute('aria-describedby')")
            assert described == "tip"
    assert met >= {
        "waiting",
        "longest_wait",
        "at_risk",
        "sl_offered",
        "asa_s",
        "abandonment_rate",
        "callback",
    }
    page.locator("#site [data-term=waiting]").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()


def test_all_definitions_are_a_key_away(page: Page, wall: Wall) -> None:
    see(page, wall.url, "?lang=en")
    page.get_by_role("button", name="What the numbers mean").press("Enter")
    dialog = page.get_by_role("dialog", name="What the numbers mean")
    for name, each in DEFINITIONS.items():
        expect(dialog.locator(f'[data-meaning="{name}"]')).to_contain_text(each.sentence("en"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="What the numbers mean")).to_be_focused()


def test_a_definition_shows_where_the_pointer_rests_in_a_tile(page: Page, wall: Wall) -> None:
    see(page, wall.url, "?lang=en")
    page.locator(".tile [data-term=sl_offered]").first.hover()
    expect(page.locator("#tip")).to_contain_text(DEFINITIONS["sl_offered"].formula)


@pytest.mark.parametrize(("theme", "lang"), [("dark", "ja"), ("light", "en")])
@pytest.mark.parametrize(
    ("view", "size"), [("wall", (1920, 1080)), ("desk", (1440, 900)), ("phone", (390, 844))]
)
def test_axe_finds_nothing_serious(
    browser: Browser, wall: Wall, view: str, size: tuple[int, int], theme: str, lang: str
) -> None:
    # A tile that glides over another is no contrast to judge.
    with page_of(browser, size=size, reduced_motion="reduce") as page:
        see(page, wall.url, f"?view={view}&theme={theme}&lang={lang}")
        assert serious(page) == []
        page.locator("#board .name").first.click()
        page.locator("#panel table").first.wait_for()
        assert serious(page) == []


# --- what nobody may see ------------------------------------------------------------------------------------------------


def test_no_contact_customer_or_agent_is_named_in_the_page_its_panel_or_its_address(
    page: Page, wall: Wall, centre: Centre
) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    for view in ("wall", "desk"):
        see(page, wall.url, f"?view={view}")
        page.locator("#board .name").first.click()
        page.locator("#panel table").first.wait_for()
        shown = page.content() + " ".join(addresses)
        assert len(centre.private) > 500
        assert [name for name in centre.private if name in shown] == []
        assert not re.search(r"\+?\d{10,}", page.locator("body").inner_text())


def test_a_board_that_does_not_exist_is_said_so_and_no_number_is_shown(browser: Browser, wall: Wall) -> None:
    with page_of(browser, expected="status of 404") as page:
        page.goto(f"{wall.url}/?board=nowhere&lang=en")
        expect(page.locator("#banner")).to_contain_text("there is no board of this name", timeout=8000)
        assert page.locator(".tile").count() == 0


def test_the_page_needs_nothing_but_the_wallboard_and_keeps_to_its_policy(page: Page, wall: Wall) -> None:
    answer = page.goto(wall.url)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page.locator("body[data-state=live]").wait_for()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:  # frames go on without a refusal; `page_of` looks at the console
        page.wait_for_timeout(200)
    assert page.locator("[style*='url']").count() == 0
    assert page.locator("script:not([src])").count() == 0
