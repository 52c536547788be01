"""Is there a byte of what people type, read or are called in anything that leaves the page or stays in the browser?

Words that begin with SECRET stand in every place of a page. Every request that the collector got is searched, address
and headers included, and so is every storage, while the collector is away (all is kept) and when it is back.
"""

import json
from urllib.parse import unquote

from playwright.sync_api import Page

from schemas.web_batch import SawClick, SawError, SawForm, SawLeave
from tests.tracker.web_site import Collector, WebSite

ADDRESS = "/private.html?user=SECRET-user&mail=SECRET%40example.com#SECRET-start"
EVERYTHING = """() => JSON.stringify([
  Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, history.length,
])"""
TYPED = {
    "login": "SECRET-login",
    "password": "SECRET-password",
    "card": "4111111111111111",
    "mail": "SECRET@example.com",
    "note": "SECRET-note",
    "find": "SECRET-find",
    "strange": "SECRET-strange",
}
SEARCHED_FOR = ("secret", "4111111", "example.com", "password=", "on purpose")
"""Of the card so many digits that no time or port has them by chance."""


def leaks(text: str) -> list[str]:
    """What of the secrets is in it, however it is written."""
    plain = unquote(text).lower()
    return [word for word in SEARCHED_FOR if word in plain]


def type_everywhere(page: Page) -> None:
    """Type, paste, choose, select, click and submit wherever it can be done, twice."""
    for _ in range(2):
        for name, words in TYPED.items():
            page.click(f"#{name}")
            page.keyboard.type(words)
            page.keyboard.press("Tab")
        page.click("#editable")
        page.keyboard.type("SECRET-typed")
        page.keyboard.insert_text("SECRET-pasted")
        page.select_option("#pick", "SECRET-option")
        page.dblclick("#words")
        for selector in ("#label", "#link", "#inner", "#button"):
            page.click(selector)
        page.evaluate("document.title = 'SECRET-title2'")
    page.clock.run_for(3000)


def test_nothing_that_is_typed_or_read_leaves_the_page_or_stays_in_the_browser(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.steady = 503
    visitor.clock.install()
    visitor.goto(site.url + ADDRESS)
    type_everywhere(visitor)
    visitor.clock.run_for(10_000)
    collector.wait_for(lambda: bool(collector.refused), "a batch was tried")
    # The page, its state and its address are full of secrets, and so is the queue, if it is leaky.
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    kept = visitor.evaluate(EVERYTHING)
    assert "queuelight.unsent" in kept
    assert leaks(kept) == []
    collector.steady = 202
    visitor.evaluate("dispatchEvent(new Event('online'))")
    collector.wait(SawLeave)
    # What happened was told: the search did not search in nothing.
    assert len(collector.of(SawClick)) > 20
    assert {error.kind for error in collector.of(SawError)} == {"script", "network"}
    forms = collector.of(SawForm)
    assert {form.kind for form in forms} == {"error", "reentry"}
    fields = {form.field for form in forms}
    assert {"login", "password", "card", "mail", "note", "find", "*"} <= fields
    assert {event.url for event in collector.events} == {f"{site.url}/private.html"}
    for request in collector.requests:
        assert leaks(request.everything.decode()) == []
        assert leaks(json.dumps(json.loads(request.body))) == []


def test_only_the_parameter_that_the_site_names_is_read_and_what_looks_like_a_person_is_masked(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    site.options = 'data-search-param="q"'
    visitor.goto(f"{site.url}/private.html?q=order+4111111111111111+SECRET%40example.com&user=SECRET")
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    for request in collector.requests:
        assert leaks(request.everything.decode()) == []
    assert '"term":"order * *"' in collector.requests[0].body.decode()
