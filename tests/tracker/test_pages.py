"""Are views, pings and leaves told, each once, on pages that load and on pages that change without a load?"""

import re

from playwright.sync_api import Page, expect

from schemas.web_batch import SawLeave, SawPing, SawSearch, SawView
from tests.tracker.web_site import Collector, WebSite

BEAT_MS = 10_000


def test_each_page_that_loads_is_one_view_and_is_left_once(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(f"{site.url}/?from=mail#top")
    visitor.click("#to-plans")
    visitor.wait_for_url("**/plans.html")
    visitor.click("#home")
    visitor.wait_for_url(f"{site.url}/")
    visitor.goto("about:blank")
    views = collector.wait(SawView, 3)
    leaves = collector.wait(SawLeave, 3)
    assert [(view.url, view.referrer) for view in views] == [
        (f"{site.url}/", None),
        (f"{site.url}/plans.html", f"{site.url}/"),
        (f"{site.url}/", f"{site.url}/plans.html"),
    ]
    assert [leave.view for leave in leaves] == [view.view for view in views]
    assert len({view.view for view in views}) == 3
    assert len({batch.visitor for batch in collector.batches}) == 1


def test_ids_are_random_and_of_128_bits(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.goto(site.url)
    visitor.goto("about:blank")
    (view,) = collector.wait(SawView)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", collector.batches[0].visitor)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", view.view)


def test_a_page_that_comes_back_from_the_cache_of_the_browser_is_a_new_view(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(site.url)
    visitor.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    collector.wait(SawLeave)
    visitor.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    visitor.goto("about:blank")
    first, second = collector.wait(SawView, 2)
    assert first.url == second.url
    assert first.view != second.view
    collector.wait(SawLeave, 2)


def test_an_application_that_changes_its_path_shows_new_pages(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(f"{site.url}/app.html")
    visitor.click("text=Orders")
    visitor.click("text=Help")
    visitor.go_back()
    expect(visitor.locator("main")).to_have_text("/app/orders")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    views = collector.wait(SawView, 4)
    assert [view.url.removeprefix(site.url) for view in views] == [
        "/app.html", "/app/orders", "/app/help", "/app/orders",
    ]  # fmt: skip
    assert [view.referrer for view in views[1:]] == [view.url for view in views[:-1]]
    assert [leave.view for leave in collector.wait(SawLeave, 4)] == [view.view for view in views]


def test_another_query_or_another_anchor_is_the_same_page(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(f"{site.url}/app.html")
    visitor.click("#filter")
    visitor.click("#anchor")
    visitor.click("#hash")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    collector.wait(SawLeave)
    collector.wait(SawView)


def test_routes_in_the_fragment_are_pages_where_the_site_says_so(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    site.options = "data-hash-routes"
    visitor.goto(f"{site.url}/app.html")
    visitor.click("#anchor")
    visitor.click("#hash")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    views = collector.wait(SawView, 2)
    assert [view.url.removeprefix(site.url) for view in views] == ["/app.html", "/app.html/invoices/2024"]


def test_a_ping_each_ten_seconds_that_saw_something_move(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.mouse.move(100, 100)
    visitor.clock.run_for(BEAT_MS)
    visitor.clock.run_for(BEAT_MS)
    visitor.keyboard.press("Shift")
    visitor.clock.run_for(BEAT_MS)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    first, second = collector.wait(SawPing, 2)
    (view,) = collector.of(SawView)
    assert 10 <= (first.at - view.at) / 1000 < 20
    assert 30 <= (second.at - view.at) / 1000 < 40


def test_a_hidden_tab_is_not_engaged(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    visitor.mouse.move(100, 100)
    visitor.clock.run_for(BEAT_MS)
    visitor.evaluate("delete document.hidden")
    visitor.mouse.move(200, 100)
    visitor.clock.run_for(BEAT_MS)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    collector.wait(SawPing)


def test_a_machine_that_slept_was_not_engaged(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.mouse.move(100, 100)
    visitor.clock.fast_forward(8 * 3600 * 1000)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    assert collector.of(SawPing) == []


def test_a_search_of_the_site_is_told_with_its_hits(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    site.options = 'data-search-param="q"'
    visitor.goto(f"{site.url}/plans.html?q=cheap+plan&secret=1")
    visitor.goto(f"{site.url}/?q=anything")
    visitor.goto(f"{site.url}/plans.html?page=2")
    visitor.goto("about:blank")
    collector.wait(SawLeave, 3)
    first, second = collector.wait(SawSearch, 2)
    assert (first.term, first.hits) == ("cheap plan", 0)
    assert (second.term, second.hits) == ("anything", None)


def test_a_search_in_an_application_waits_for_its_results(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    site.options = 'data-search-param="q"'
    visitor.clock.install()
    visitor.goto(f"{site.url}/app.html")
    visitor.click("text=Find")
    visitor.clock.run_for(8000)
    (search,) = collector.wait(SawSearch)
    assert (search.term, search.hits) == ("shoes", 7)
    assert search.url == f"{site.url}/app/find"


def test_a_site_may_tell_searches_itself_and_what_it_tells_is_made_to_fit(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(site.url)
    visitor.evaluate(
        """() => {
          queuelight.search(3, "plan of me@example.com 123456789");
          queuelight.search("0");
          queuelight.search(-1, "x".repeat(5000));
          queuelight.search(1e300, "\\ud800 broken");
          queuelight.search();
        }"""
    )
    visitor.goto("about:blank")
    found = collector.wait(SawSearch, 5)
    told = {(each.hits, each.term) for each in found}
    assert {(3, "plan of * *"), (0, None), (None, "x" * 100), (1, " broken"), (None, None)} == told


def test_a_tracker_that_is_on_the_page_twice_tells_everything_once(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(site.url)
    visitor.evaluate(
        """() => new Promise((loaded) => {
          const again = document.querySelector("script").cloneNode();
          const script = Object.assign(document.createElement("script"), { onload: loaded });
          for (const { name, value } of again.attributes) if (name !== "src") script.setAttribute(name, value);
          script.src = trustedTypes.createPolicy("test", { createScriptURL: (url) => url }).createScriptURL(again.src);
          document.body.append(script);
        })"""
    )
    visitor.evaluate("queuelight.consent(true)")
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    collector.wait(SawView)
