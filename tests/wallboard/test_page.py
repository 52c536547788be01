"""Does the page say what the snapshots say, in both languages and all views, to eyes, keyboards and screen readers?

A real Chromium, a wallboard's process, a Redis, and a centre whose numbers stand still so that they can be compared.
"""

import re
from itertools import pairwise

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Page, expect

from agents.board_rows import board_rows, site_row
from schemas.definitions import DEFINITIONS
from schemas.snapshots import QueueSnapshot
from tests.wallboard.page_world import Centre, page_of, see, tile, value
from tests.wallboard.rows import in_every_window, now_ms, queue_of
from tests.wallboard.walls import Wall

pytestmark = pytest.mark.system
LONG = "法人のお客様向け 製品修理受付・出張修理日程変更および部品交換お問い合わせ専用窓口(西日本)"
QUIET = "夜間受付"
NOTHING = in_every_window({})
BACKGROUNDS = {"dark": "rgb(28, 28, 28)", "light": "rgb(241, 241, 238)"}


def count(n: int) -> str:
    return f"{n:,}"


def percent(share: float | None) -> str:
    """One decimal, rounded down."""
    if share is None:
        return "-"
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10}.{tenths % 10}%"


def seconds(s: float | None, unit: str) -> str:
    if s is None:
        return "-"
    if s >= 100:
        return f"{int(s) // 60}:{int(s) % 60:02}"
    return f"{s:.1f}{unit}" if s < 10 and s != int(s) else f"{s:.0f}{unit}"


def share(queue: QueueSnapshot, name: str) -> float | None:
    found = queue.windows["30m"].proportions.get(name)
    return None if found is None else found.numerator / found.n


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "unit"), [("en", "s"), ("ja", "秒")])
def test_every_tile_says_what_its_snapshot_says(
    page: Page, wall: Wall, centre: Centre, lang: str, unit: str
) -> None:
    see(page, wall.url, f"?lang={lang}")
    for queue in centre.queues():
        box, window = tile(page, queue.queue), queue.windows["30m"]
        told = {
            name: value(box, name)
            for name in ("waiting", "at_risk", "sl_offered", "asa_s", "abandonment_rate", "answer_rate")
        }
        assert told == {
            "waiting": count(queue.waiting),
            "at_risk": count(queue.at_risk),
            "sl_offered": percent(share(queue, "sl_offered")),
            "asa_s": seconds(window.asa_s, unit),
            "abandonment_rate": percent(share(queue, "abandonment_rate")),
            "answer_rate": percent(share(queue, "answer_rate")),
        }
        for state in ("available", "busy", "wrap_up", "break"):
            assert value(box, state) == count(queue.agents.get(state, 0))
        if queue.channel == "chat":
            assert value(box, "silent_abandoned") == count(window.silent_abandoned)
            assert value(box, "first_response_s") == seconds(window.first_response_s, unit)
        else:
            assert value(box, "callback") == count(window.callback)
        n = window.proportions["sl_offered"].n
        expect(box.locator(".note")).to_contain_text(f"n {n:,}")
        x = f"{queue.answer_within_s:g}{unit}"
        promise = f"{queue.target:.0%} in {x}" if lang == "en" else f"{x}以内{queue.target:.0%}"
        expect(box.locator(".note")).to_contain_text(promise)


def test_the_totals_are_those_of_all_queues_and_each_agent_counts_once(
    page: Page, wall: Wall, centre: Centre
) -> None:
    see(page, wall.url, "?lang=en")
    rows = board_rows(centre.queues(), now_ms(), "30m")
    total, strip = site_row(rows, None, now_ms()), page.locator("#site")
    assert value(strip, "waiting") == count(total.waiting)
    assert value(strip, "at_risk") == count(total.at_risk)
    assert value(strip, "sl_offered") == percent(total.service_level.value)
    assert value(strip, "asa_s") == seconds(total.asa.value, "s")
    assert value(strip, "abandonment_rate") == percent(total.abandonment.value)
    assert value(strip, "answer_rate") == percent(total.answer_rate.value)
    windows = [queue.windows["30m"] for queue in centre.queues()]
    assert value(strip, "callback") == count(sum(each.callback for each in windows))
    assert value(strip, "silent_abandoned") == count(sum(each.silent_abandoned for each in windows))
    for state in ("available", "busy", "wrap_up", "break"):
        assert value(strip, state) == count(centre.totals().agents.get(state, 0))


def test_the_table_says_the_same_and_sorts_by_any_column_what_does_not_exist_last(
    page: Page, wall: Wall, centre: Centre
) -> None:
    see(page, wall.url, "?view=desk&lang=en")
    for queue in centre.queues():
        row = page.locator(".row").filter(has=page.get_by_role("button", name=queue.queue, exact=True))
        window = queue.windows["30m"]
        expected = {
            "waiting": count(queue.waiting), "sl_offered": percent(share(queue, "sl_offered")),
            "n": count(window.proportions["sl_offered"].n), "asa_s": seconds(window.asa_s, "s"),
            "aht_s": seconds(window.aht_s, "s"), "offered": count(window.offered),
            "answered": count(window.answered), "abandoned": count(window.abandoned),
            "callback": count(window.callback), "silent_abandoned": count(window.silent_abandoned),
            "first_response_s": seconds(window.first_response_s, "s"),
        }  # fmt: skip
        assert {name: row.locator(f'[data-measure="{name}"]').text_content() for name in expected} == expected
    head = page.locator('[data-column="first_response_s"]')
    for direction in ("descending", "ascending"):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", direction)
        told = page.locator('.row [data-measure="first_response_s"]').all_text_contents()
        assert told[-1] == "-"
        assert told[0] != "-"
    page.locator('[data-column="offered"]').get_by_role("button").click()
    offered = [
        int(each.replace(",", ""))
        for each in page.locator('.row [data-measure="offered"]').all_text_contents()
    ]
    assert offered == sorted(offered, reverse=True)


def test_the_table_shows_only_what_was_asked_for(page: Page, wall: Wall, centre: Centre) -> None:
    see(page, wall.url, "?view=desk&lang=en")
    page.get_by_role("searchbox", name="Find a queue").fill("billing")
    expect(page.locator(".row .name")).to_have_text(["Billing"])
    page.get_by_role("searchbox", name="Find a queue").fill("")
    page.get_by_role("combobox", name="Channel").select_option("chat")
    chats = sum(queue.channel == "chat" for queue in centre.queues())
    expect(page.locator(".row")).to_have_count(chats)
    expect(page.locator(".filters .note")).to_have_text(f"{chats} of {len(centre.queues())} queues")


def test_a_queue_without_traffic_shows_0_and_a_dash_and_does_not_vanish(
    page: Page, wall: Wall, centre: Centre
) -> None:
    centre.changed[QUIET] = structs.replace(
        queue_of(QUIET), site=centre.site.name, event=NOTHING, arrival=NOTHING
    )
    see(page, wall.url, "?lang=ja")
    box = tile(page, QUIET)
    expect(box).to_be_visible()
    assert value(box, "waiting") == "0"
    for measure in ("longest_wait", "sl_offered", "asa_s", "abandonment_rate", "answer_rate"):
        assert value(box, measure) == "-"
    expect(box.locator(".badge")).to_have_text("良好")
    centre.remove(QUIET, "voice")
    expect(box).to_be_hidden()


# --- time -------------------------------------------------------------------------------------------------------------


def test_the_longest_wait_counts_every_second_by_the_server_even_if_the_screens_clock_is_years_off(
    page: Page, wall: Wall, centre: Centre
) -> None:
    page.clock.install(time="2001-02-03T04:05:06Z")
    queue = max(centre.queues(), key=lambda each: each.oldest_waiting_ms or 0)
    assert queue.oldest_waiting_ms is not None
    see(page, wall.url, "?lang=en")
    box = tile(page, queue.queue).locator('[data-measure="longest_wait"] .value')
    seen = []
    for _ in range(30):
        minutes, told = box.inner_text().rsplit(":", 1)
        counted = int(minutes) * 60 + int(told)
        seen.append(counted)
        assert abs(counted + 0.5 - (now_ms() - queue.oldest_waiting_ms) / 1000) < 1.5
        page.wait_for_timeout(100)
    steps = {late - early for early, late in pairwise(seen)}
    assert steps == {0, 1}, f"it jumped: {seen}"
    assert page.locator("#live-age").inner_text() in {"data 0s old", "data 1s old"}


# --- languages and looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_words_and_dates_are_those_of_the_language(page: Page, wall: Wall, lang: str) -> None:
    see(page, wall.url, f"?lang={lang}")
    assert page.locator("html").get_attribute("lang") == lang
    for name in ("waiting", "longest_wait", "at_risk", "asa_s", "abandonment_rate", "available"):
        label = DEFINITIONS[name].label(lang, short=True)
        shown = page.locator(f'#site [data-measure="{name}"] dt').inner_text()
        assert shown.lower() == label.lower()
    expect(page.locator("#live-word")).to_have_text({"ja": "ライブ", "en": "Live"}[lang])
    date = page.locator("#clock-date").inner_text()
    assert re.fullmatch({"ja": r"\d+月\d+日\([月火水木金土日]\)", "en": r"\w{3},? \d+ \w{3}"}[lang], date)


def test_a_browser_that_speaks_japanese_gets_japanese(browser: Browser, wall: Wall) -> None:
    with page_of(browser, locale="ja-JP") as page:
        see(page, wall.url)
        assert page.locator("html").get_attribute("lang") == "ja"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_state_is_a_colour_a_shape_and_a_word_in_both_themes(
    page: Page, wall: Wall, centre: Centre, theme: str
) -> None:
    see(page, wall.url, f"?lang=en&theme={theme}")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == BACKGROUNDS[theme]
    rows = {row.queue: row for row in board_rows(centre.queues(), now_ms(), "30m")}
    tones = {"BREACH": ("act", "breach"), "AT_RISK": ("watch", "at risk"), "OK": ("ok", "OK")}
    for queue, row in rows.items():
        assert row.state is not None
        tone, word = tones[row.state.name]
        badge = tile(page, queue).locator(".badge")
        expect(badge).to_have_attribute("data-tone", tone)
        expect(badge).to_have_text(word)
        expect(badge.locator("svg.shape")).to_have_count(1)


# --- kiosk ------------------------------------------------------------------------------------------------------------


def test_the_pointer_hides_after_three_seconds_and_the_screen_is_kept_awake(page: Page, wall: Wall) -> None:
    page.add_init_script(
        "navigator.wakeLock.request = (kind) => { document.documentElement.dataset.awake = kind; "
        "return Promise.resolve({}); }"
    )
    see(page, wall.url)
    expect(page.locator("html")).to_have_attribute("data-awake", "screen")
    page.mouse.move(300, 300)
    cursor = "() => getComputedStyle(document.body).cursor"
    assert page.evaluate(cursor) != "none"
    page.locator("body[data-idle]").wait_for(timeout=4000)
    assert page.evaluate(cursor) == "none"
    page.mouse.move(310, 310)
    assert page.evaluate(cursor) != "none"
