"""Is a board read from ten metres, whatever its size: one queue or sixty, 1080p, 4K or a phone?"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import Centre, page_of, see, tile
from tests.wallboard.walls import Wall

pytestmark = pytest.mark.system
LONG = "法人のお客様向け 製品修理受付・出張修理日程変更および部品交換お問い合わせ専用窓口(西日本)"
ENGLISH = "Corporate customers: warranty extensions, invoices and international payments"


@pytest.fixture(scope="module")
def centre(redis: LocalRedis) -> Iterator[Centre]:
    """Sixty queues, two of them with names that take a line and more."""
    with Centre(redis.url, 60, events_per_s=0.3) as opened:
        first, second, *_ = opened.site.queues
        opened.replace(first, queue=LONG)
        opened.replace(second, queue=ENGLISH)
        yield opened


@pytest.fixture(scope="module")
def wall(redis: LocalRedis, centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    """A board of 1, 6 and 12 queues each, and the one of all, whose pages stay for three seconds."""
    names = [LONG, ENGLISH, *list(centre.site.queues)[2:]]
    boards = "".join(
        f"[wallboard.boards.{word}]\nqueues = [{', '.join(map(repr, names[:number]))}]\n"
        for word, number in (("one", 1), ("six", 6), ("twelve", 12))
    )
    toml = f"[wallboard]\nrotate_s = 3\n{boards}"
    with Wall(tmp_path_factory.mktemp("wall"), redis.url, toml, site=centre.site.name) as running:
        yield running


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("board", ["one", "six", "twelve"])
def test_numbers_are_5_percent_of_the_screen_and_nothing_overflows_not_even_a_long_japanese_name(
    browser: Browser, wall: Wall, size: tuple[int, int], board: str
) -> None:
    with page_of(browser, size=size) as page:
        see(page, wall.url, f"?lang=ja&board={board}")
        for each in page.locator(
            ".hero :is([data-measure=waiting], [data-measure=longest_wait]):not([data-long]) .value"
        ).all():
            assert (
                each.evaluate("(node) => parseFloat(getComputedStyle(node).fontSize) / innerHeight") >= 0.05
            )
        overflowing = page.evaluate(
            """() => [...document.querySelectorAll('.tile h2, .tile .value, .tile .status, .tile .more, #title')]
                .filter((node) => {
                    if (!node.offsetParent) return false;
                    const box = node.getBoundingClientRect();
                    const around = (node.closest('.tile') ?? document.body).getBoundingClientRect();
                    return node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1
                        || box.right > around.right + 1 || box.left < around.left - 1
                        || box.bottom > around.bottom + 1;
                }).map((node) => node.className + ': ' + node.textContent)"""
        )
        assert overflowing == []
        name = tile(page, LONG).locator(".name")
        assert name.evaluate("(node) => node.offsetHeight <= node.parentElement.clientHeight")
        # Once at rest: a tile on its way to another place may lie beyond the edge.
        page.wait_for_function("() => document.documentElement.scrollHeight <= innerHeight")


def test_sixty_queues_take_turns_the_neediest_first_until_somebody_pauses_them(
    browser: Browser, wall: Wall, centre: Centre
) -> None:
    with page_of(browser) as page:
        see(page, wall.url, "?lang=en")
        expect(page.locator(".where")).to_have_text("1 / 5")
        assert page.locator(".tile").count() == 12
        seen: set[str] = set()
        for number in (1, 2, 3, 4, 5, 1):
            expect(page.locator(".where")).to_have_text(f"{number} / 5", timeout=4500)
            seen |= set(page.locator(".tile .name").all_inner_texts())
        assert seen == {queue.queue for queue in centre.queues()}
        ranks = {"act": 0, "watch": 1, "ok": 2}
        tones = [ranks[each.get_attribute("data-tone") or ""] for each in page.locator(".tile").all()]
        assert tones == sorted(tones)
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Next page").click()
        expect(page.locator(".where")).to_have_text("2 / 5")
        page.mouse.move(5, 5)
        page.wait_for_timeout(3500)
        expect(page.locator(".where")).to_have_text("2 / 5")


def test_a_phone_shows_every_queue_in_one_column_without_scrolling_sideways(
    browser: Browser, wall: Wall, centre: Centre
) -> None:
    with page_of(browser, size=(390, 844)) as page:
        see(page, wall.url, "?lang=ja")
        assert page.locator("html").get_attribute("data-view") == "phone"
        lefts = page.locator(".tile").evaluate_all(
            "(all) => all.map((each) => each.getBoundingClientRect().left)"
        )
        assert len(lefts) == len(centre.queues())
        assert len(set(lefts)) == 1
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390
