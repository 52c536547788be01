"""Are clicks, failures and troubles with forms told, each once and right?"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from schemas.web_batch import SawClick, SawError, SawForm, SawLeave
from tests.tracker.web_site import Collector, WebSite

DEAD_MS = 2600
PROVOKE: dict[str, tuple[str, list[tuple[str, int | None]]]] = {
    "a script that throws": ("#throws", [("script", None)]),
    "a promise that nobody catches": ("#rejects", [("script", None)]),
    "requests by fetch": ("#fetches", [("network", 404), ("network", None)]),
    "a request by XMLHttpRequest": ("#asks", [("network", 404)]),
    "a picture that is not there": ("#loads", [("resource", None)]),
}


@pytest.fixture
def at_home(visitor: Page, site: WebSite) -> Page:
    """The home page, with a clock that tests move."""
    visitor.clock.install()
    visitor.goto(site.url)
    return visitor


def clicked(page: Page, collector: Collector, selector: str) -> SawClick:
    """What is told of one click, the page left in peace until it is decided."""
    page.click(selector)
    page.clock.run_for(DEAD_MS)
    page.goto("about:blank")
    collector.wait(SawLeave)
    (click,) = collector.wait(SawClick)
    return click


@pytest.mark.parametrize(
    ("selector", "target", "dead"),
    [
        ("#dead", "button", True),
        ("#hand", "button", True),
        ("#reacts", "button", False),
        ("#later", "button", False),
        ("#scrolls", "button", False),
        ("#down", "link", False),
        ("#slow", "link", True),
        ("#nowhere", "link", True),
        ("#submit", "button", False),
        ("#words", "text", None),
        ("#check", "input", None),
        ("#shadow button", "button", None),
    ],
)
def test_a_click_is_dead_when_the_page_does_not_react(
    at_home: Page, collector: Collector, selector: str, target: str, dead: bool | None
) -> None:
    click = clicked(at_home, collector, selector)
    assert (click.target, click.dead, click.exempt) == (target, dead, False)


def test_of_a_click_that_leaves_the_page_it_is_not_known(at_home: Page, collector: Collector) -> None:
    at_home.click("#to-plans")
    (click,) = collector.wait(SawClick)
    assert (click.target, click.dead) == ("link", None)


def test_a_click_on_a_route_of_an_application_is_not_dead(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(f"{site.url}/app.html")
    visitor.click("text=Orders")
    visitor.goto("about:blank")
    (click,) = collector.wait(SawClick)
    assert (click.dead, click.url) == (False, f"{site.url}/app.html")


def test_where_a_click_was_is_told_in_pixels_of_the_page(at_home: Page, collector: Collector) -> None:
    at_home.evaluate("scrollTo(0, 300)")
    at_home.mouse.click(700, 400)
    at_home.goto("about:blank")
    (click,) = collector.wait(SawClick)
    assert (click.x, click.y) == (700, 700)


def test_four_clicks_are_four_clicks_and_a_label_is_one(at_home: Page, collector: Collector) -> None:
    for _ in range(4):
        at_home.click("#dead")
    at_home.clock.run_for(DEAD_MS)
    at_home.click("#label", position={"x": 30, "y": 5})
    expect(at_home.locator("#check")).to_be_checked()
    at_home.keyboard.press("Enter")
    at_home.evaluate("document.getElementById('dead').click()")
    at_home.clock.run_for(DEAD_MS)
    at_home.goto("about:blank")
    clicks = collector.wait(SawClick, 5)
    assert [click.target for click in clicks] == ["button"] * 4 + ["input"]
    assert [click.dead for click in clicks[:4]] == [True] * 4
    assert not any(click.exempt for click in clicks)


def _select_words(page: Page) -> None:
    page.locator("#words").dblclick(position={"x": 20, "y": 8})


def _drag_over_words(page: Page) -> None:
    box = page.locator("#words").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 8)
    page.mouse.up()


@pytest.mark.parametrize(
    ("act", "exempt"),
    [
        (lambda page: page.click("#next"), [True]),
        (lambda page: page.click("#plus"), [True]),
        (lambda page: page.click("#number"), [True]),
        (lambda page: page.click("#off"), [True]),
        (lambda page: page.click("#reacts"), [False]),
        (_select_words, [False, True]),
        (_drag_over_words, [True]),
        (lambda page: page.dblclick("#mail"), [False, True]),
        (lambda page: page.dblclick("#dead"), [False, False]),
    ],
    ids=[
        "next",
        "plus",
        "number",
        "told so",
        "button",
        "double click",
        "drag",
        "double click in a field",
        "rage",
    ],
)
def test_what_is_clicked_often_on_purpose_is_exempt(
    at_home: Page, collector: Collector, act: Callable[[Page], None], exempt: list[bool]
) -> None:
    act(at_home)
    at_home.goto("about:blank")
    clicks = collector.wait(SawClick, len(exempt))
    assert [click.exempt for click in clicks] == exempt


@pytest.mark.parametrize("how", PROVOKE)
def test_what_breaks_is_told_once(at_home: Page, collector: Collector, how: str) -> None:
    selector, expected = PROVOKE[how]
    at_home.click(selector)
    collector.wait_for(lambda: flushed(at_home, collector, len(expected)), f"{expected} told")
    at_home.goto("about:blank")
    collector.wait(SawLeave)
    found = collector.wait(SawError, len(expected))
    assert sorted((error.kind, error.status or 0) for error in found) == sorted(
        (kind, status or 0) for kind, status in expected
    )


def flushed(page: Page, collector: Collector, number: int) -> bool:
    """Let the tracker send what it has; were so many errors among it?"""
    page.clock.run_for(5000)
    return len(collector.of(SawError)) >= number


def test_requests_of_the_page_end_as_they_did_without_the_tracker(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(site.url)
    visitor.click("#fetches")
    expect(visitor.locator("#out")).to_have_text("200,404,TypeError")
    visitor.click("#asks")
    expect(visitor.locator("#out")).to_have_text("asked 404")
    said = visitor.evaluate(
        """async () => {
          const stop = new AbortController();
          const stopped = fetch("/back", { signal: stop.signal }).catch((error) => error);
          stop.abort("enough");
          return [await stopped, await (await fetch("/back")).text()];
        }"""
    )
    assert said == ["enough", "{}"]
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    assert (
        sorted((each.kind, each.status) for each in collector.of(SawError) if each.status)
        == [("network", 404)] * 2
    )


def test_a_page_that_fails_all_the_time_is_told_twenty_times(at_home: Page, collector: Collector) -> None:
    at_home.evaluate("for (let n = 0; n < 50; n++) fetch('/missing')")
    at_home.evaluate("Promise.allSettled(Array.from({length: 9}, () => fetch('/missing')))")
    at_home.goto("about:blank")
    collector.wait(SawLeave)
    collector.wait(SawError, 20)


def test_a_field_that_is_refused_is_told_by_name_once_for_each_attempt(
    at_home: Page, collector: Collector
) -> None:
    at_home.click("#submit")
    at_home.evaluate("document.getElementById('mail').setAttribute('aria-invalid', 'true')")
    at_home.clock.run_for(DEAD_MS)
    at_home.click("#submit")
    at_home.clock.run_for(DEAD_MS)
    at_home.goto("about:blank")
    collector.wait(SawLeave)
    for error in collector.wait(SawForm, 2):
        assert (error.kind, error.form, error.field) == ("error", "order", "mail")


def test_a_field_that_the_page_marks_as_wrong_is_refused(at_home: Page, collector: Collector) -> None:
    at_home.fill("#city", "bad")
    at_home.press("#city", "Tab")
    at_home.goto("about:blank")
    (error,) = collector.wait(SawForm)
    assert (error.kind, error.form, error.field) == ("error", "order", "city")


def test_a_field_filled_in_again_is_a_re_entry(at_home: Page, collector: Collector) -> None:
    at_home.click("#mail")
    at_home.keyboard.type("first")
    at_home.click("#city")
    at_home.keyboard.type("somewhere")
    at_home.click("#mail")
    at_home.click("#check")
    at_home.click("#check")
    at_home.click("#mail")
    at_home.keyboard.type("second")
    at_home.goto("about:blank")
    (again,) = collector.wait(SawForm)
    assert (again.kind, again.form, again.field) == ("reentry", "order", "mail")
