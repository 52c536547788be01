"""Does what was seen arrive, whatever the network, the collector and the tabs do?"""

import re
from collections.abc import Callable
from itertools import pairwise

from playwright.sync_api import Browser, Page, expect

from schemas.web_batch import SawClick, SawIntervention, SawLeave, SawPing, SawView
from tests.tracker.conftest import CONSENT, TROUBLES
from tests.tracker.web_site import MOST_BYTES, Collector, WebSite, gzipped_bytes
from tests.wallboard.page_world import page_of

OFFER = "(name) => queuelight.intervention('shown', name)"
HOUR_MS = 3_600_000


def offers(collector: Collector) -> list[str]:
    """Names of what arrived, in the order of its happening."""
    return [each.kind for each in collector.of(SawIntervention)]


def settled(page: Page, is_it: Callable[[], bool]) -> bool:
    """Let a second pass on the page, then ask."""
    page.clock.run_for(1000)
    return is_it()


def nothing_unsent(page: Page) -> bool:
    """Does the page know, too, that all it kept was taken? The collector knows it earlier."""
    return not page.evaluate("Object.keys(localStorage).some((key) => key.startsWith('queuelight.unsent.'))")


def send(page: Page, collector: Collector, name: str) -> None:
    """Tell something, and wait until a request has brought it."""
    before = len(collector.requests)
    page.evaluate(OFFER, name)
    collector.wait_for(lambda: settled(page, lambda: len(collector.requests) > before), name)


def test_the_tracker_is_small() -> None:
    assert gzipped_bytes() <= MOST_BYTES


def test_events_leave_after_five_seconds_or_ten_of_them(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.clock.run_for(4000)
    assert collector.requests == []
    visitor.clock.run_for(2000)
    collector.wait(SawView)
    visitor.evaluate("for (let n = 0; n < 10; n++) queuelight.intervention('shown', 'x')")
    collector.wait(SawIntervention, 10)
    assert len(collector.requests) == 2


def test_a_tab_that_is_hidden_sends_at_once(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.click("#dead")
    visitor.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    visitor.evaluate("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")
    (click,) = collector.wait(SawClick)
    assert click.dead is None
    assert collector.of(SawLeave) == []


def test_no_request_needs_a_preflight_and_none_carries_a_cookie_or_an_address(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.clock.install()
    visitor.context.add_cookies([{"name": "session", "value": "SECRET", "url": collector.url}])
    visitor.goto(f"{site.url}/?token=SECRET")
    visitor.clock.run_for(6000)
    collector.wait(SawView)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    assert {request.method for request in collector.requests} == {"POST"}
    assert not any(b"SECRET" in request.everything for request in collector.requests)


def test_a_collector_on_the_sites_own_origin_learns_no_query_either(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    site.collect = "/v1/web"
    visitor.clock.install()
    visitor.goto(f"{site.url}/?token=SECRET")
    visitor.evaluate("document.cookie = 'session=SECRET'")
    visitor.clock.run_for(6000)
    collector.wait(SawView)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    told = [request for request in site.requests if request.path == "/v1/web"]
    assert len(told) == 2
    assert not any(b"SECRET" in request.everything for request in told)


def test_a_batch_that_is_not_taken_is_sent_again_later_and_later(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.statuses = [503, 429, 500]
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.evaluate(OFFER, "kept")
    for _ in range(12):
        visitor.clock.run_for(2000)
        visitor.wait_for_timeout(0)
    collector.wait_for(lambda: settled(visitor, lambda: bool(collector.batches)), "taken in the end")
    assert len(collector.refused) == 3
    sent = [batch.sent for batch in collector.refused] + [collector.batches[0].sent]
    pauses = [later - earlier for earlier, later in pairwise(sent)]
    assert all(pause >= least for pause, least in zip(pauses, (1000, 2000, 4000), strict=True)), pauses
    assert offers(collector) == ["kept"]


def test_a_collector_that_asks_for_a_pause_gets_it(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.statuses, collector.retry_after = [503], "60"
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.clock.run_for(6000)
    collector.wait_for(lambda: len(collector.refused) == 1, "refused")
    visitor.evaluate("for (let n = 0; n < 20; n++) queuelight.intervention('shown', 'x')")
    visitor.clock.run_for(55_000)
    assert len(collector.requests) == 1
    visitor.clock.run_for(40_000)
    collector.wait(SawIntervention, 20)


def test_a_batch_that_is_refused_for_good_is_dropped_and_the_next_is_sent(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.statuses = [400, 413]
    visitor.clock.install()
    visitor.goto(site.url)
    for name in ("first", "second", "third"):
        send(visitor, collector, name)
    visitor.goto("about:blank")
    collector.wait(SawLeave)
    assert offers(collector) == ["third"]


def test_what_happens_offline_arrives_when_the_network_is_back(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.context.set_offline(True)
    visitor.evaluate(OFFER, "offline")
    visitor.clock.run_for(HOUR_MS // 60)
    assert collector.requests == []
    visitor.context.set_offline(False)
    collector.wait(SawView)
    assert offers(collector) == ["offline"]


def test_what_happens_offline_survives_a_change_of_page_and_the_end_of_the_tab(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(f"{site.url}/app.html")
    visitor.context.set_offline(True)
    visitor.evaluate(OFFER, "offline")
    visitor.click("text=Help")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    assert collector.requests == []
    visitor.close()
    other = visitor.context.new_page()
    visitor.context.set_offline(False)
    other.add_init_script(CONSENT)
    other.goto(f"{site.url}/plans.html")
    other.goto("about:blank")
    collector.wait(SawView, 3)
    assert offers(collector) == ["offline"]
    assert len({batch.visitor for batch in collector.batches}) == 1


def test_what_was_sent_in_leaving_and_got_lost_is_sent_by_the_next_page(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.steady = 503
    visitor.clock.install()
    visitor.goto(site.url)
    visitor.evaluate(OFFER, "in leaving")
    visitor.reload()
    visitor.clock.run_for(6000)
    collector.wait_for(lambda: len(collector.refused) > 1, "both pages were refused")
    collector.steady = 202
    collector.wait_for(
        lambda: settled(visitor, lambda: bool(collector.batches) and nothing_unsent(visitor)), "sent again"
    )
    visitor.goto("about:blank")
    collector.wait(SawLeave, 2)
    collector.wait(SawView, 2)
    assert offers(collector) == ["in leaving"]


def test_a_queue_that_grows_for_hours_keeps_its_bounds_and_drops_pings_first(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    collector.steady = 503
    visitor.clock.install()
    visitor.goto(site.url)
    for _ in range(10):
        visitor.mouse.move(100, 100)
        visitor.clock.run_for(10_000)
        visitor.mouse.move(50, 50)
    visitor.evaluate("for (let n = 0; n < 495; n++) queuelight.intervention('shown', String(n))")
    collector.steady = 202
    visitor.evaluate("dispatchEvent(new Event('online'))")
    collector.wait_for(lambda: len(offers(collector)) == 495, "all offers")
    assert len(collector.events) == 500
    assert len(collector.of(SawPing)) == 4
    collector.wait(SawView)


def test_two_tabs_are_one_visitor_and_nothing_is_told_twice(
    visitor: Page, site: WebSite, collector: Collector
) -> None:
    visitor.goto(site.url)
    other = visitor.context.new_page()
    other.add_init_script(CONSENT)
    other.goto(f"{site.url}/plans.html")
    visitor.evaluate(OFFER, "one")
    other.evaluate(OFFER, "two")
    other.goto("about:blank")
    visitor.goto("about:blank")
    collector.wait(SawView, 2)
    collector.wait(SawLeave, 2)
    assert sorted(offers(collector)) == ["one", "two"]
    assert len({batch.visitor for batch in collector.batches}) == 1
    sent = [event.id for batch in collector.batches for event in batch.events]
    assert len(sent) == len(set(sent))


def test_pages_work_without_a_collector(browser: Browser, site: WebSite) -> None:
    site.collect = "http://127.0.0.1:9/v1/web"
    with page_of(browser, expected=TROUBLES) as page:
        page.add_init_script(CONSENT)
        page.goto(site.url)
        page.click("#reacts")
        expect(page.locator("#out")).to_have_text("reacted")
        page.click("#fetches")
        expect(page.locator("#out")).to_have_text(re.compile("200,404"))
        page.click("#to-plans")
        expect(page.locator("h1")).to_have_text("Plans")
