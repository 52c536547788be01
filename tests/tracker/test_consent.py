"""Does nothing leave the browser, and nothing stay in it, without consent?"""

import pytest
from playwright.sync_api import Browser, Page

from schemas.web_batch import SawClick, SawIdentity, SawIntervention, SawLeave, SawView
from tests.tracker.conftest import CONSENT
from tests.tracker.web_site import Collector, WebSite
from tests.wallboard.page_world import page_of

REFUSALS = {
    "do not track": "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
    "global privacy control": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
}
USED = "queuelight.consent(true)"
KEPT = "() => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...document.cookie.split(';').filter(Boolean)]"


def kept(page: Page) -> list[str]:
    """Names in every storage of the page, and cookies."""
    databases = page.evaluate("async () => (await indexedDB.databases()).map((each) => each.name)")
    return [*page.evaluate(KEPT), *databases]


def use(page: Page) -> None:
    """Do what would be told."""
    page.click("#dead")
    page.click("#throws")
    page.click("#fetches")
    page.fill("#mail", "somebody")


def test_nothing_is_sent_and_nothing_is_kept_before_consent(
    stranger: Page, site: WebSite, collector: Collector
) -> None:
    stranger.clock.install()
    stranger.goto(site.url)
    use(stranger)
    stranger.clock.run_for(60_000)
    assert kept(stranger) == []
    stranger.goto("about:blank")
    stranger.goto(f"{site.url}/plans.html")
    assert kept(stranger) == []
    assert collector.requests == []


def test_with_consent_the_page_is_told_and_what_was_done_before_is_not(
    stranger: Page, site: WebSite, collector: Collector
) -> None:
    stranger.goto(site.url)
    use(stranger)
    stranger.evaluate("queuelight.intervention('shown', 'before')")
    stranger.goto(site.url)
    stranger.click("#dead")
    assert stranger.evaluate(USED) is True
    stranger.click("#words")
    stranger.goto("about:blank")
    collector.wait(SawLeave)
    (view,) = collector.wait(SawView)
    (click,) = collector.wait(SawClick)
    assert view.view == click.view
    assert click.target == "text"
    assert len(collector.events) == 3


def test_who_is_logged_in_when_consent_comes_is_told_with_it(
    stranger: Page, site: WebSite, collector: Collector
) -> None:
    stranger.goto(site.url)
    stranger.evaluate("queuelight.identify('customer-7', 'ab12')")
    stranger.evaluate(USED)
    stranger.evaluate("queuelight.identify(null)")
    stranger.goto("about:blank")
    login, logout = collector.wait(SawIdentity, 2)
    assert (login.customer, login.signature) == ("customer-7", "ab12")
    assert (logout.customer, logout.signature) == (None, None)


def test_consent_that_ends_stops_all_and_deletes_all(
    stranger: Page, site: WebSite, collector: Collector
) -> None:
    visitor = stranger
    visitor.clock.install()
    collector.steady = 503
    visitor.goto(site.url)
    visitor.evaluate(USED)
    visitor.click("#dead")
    visitor.clock.run_for(5000)
    collector.wait_for(lambda: bool(collector.refused), "a batch was refused")
    assert any("visitor" in name for name in kept(visitor))
    assert visitor.evaluate("queuelight.consent(false)") is False
    assert kept(visitor) == []
    seen = len(collector.requests)
    collector.steady = 202
    visitor.click("#dead")
    visitor.click("#throws")
    visitor.clock.run_for(600_000)
    visitor.evaluate("history.pushState({}, '', '/elsewhere')")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    assert kept(visitor) == []
    assert len(collector.requests) == seen


def test_consent_given_again_is_a_new_visitor(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.goto(site.url)
    visitor.evaluate("queuelight.identify('customer-7', 'ab12')")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    collector.wait(SawLeave)
    visitor.evaluate("queuelight.consent(false)")
    visitor.evaluate(USED)
    visitor.goto("about:blank")
    collector.wait(SawView, 2)
    collector.wait_for(lambda: len({batch.visitor for batch in collector.batches}) == 2, "two visitors")


def test_consent_that_ends_on_one_tab_ends_on_all(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.goto(site.url)
    other = visitor.context.new_page()
    other.add_init_script(CONSENT)
    other.goto(f"{site.url}/plans.html")
    visitor.evaluate("queuelight.consent(false)")
    other.wait_for_function("!localStorage.length")
    other.evaluate("queuelight.intervention('shown', 'after')")
    other.evaluate("dispatchEvent(new Event('pagehide'))")
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    assert kept(other) == []
    assert collector.requests == []


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_browser_that_refuses_to_be_tracked_is_not(
    visitor: Page, site: WebSite, collector: Collector, refusal: str
) -> None:
    visitor.goto(site.url)
    visitor.evaluate("dispatchEvent(new Event('pagehide'))")
    collector.wait(SawLeave)
    assert kept(visitor)
    seen = len(collector.requests)
    visitor.add_init_script(REFUSALS[refusal])
    visitor.goto(site.url)
    assert visitor.evaluate(USED) is False
    use(visitor)
    assert kept(visitor) == []
    visitor.goto("about:blank")
    assert len(collector.requests) == seen


def test_without_local_storage_a_first_party_cookie_remembers_the_visitor(
    browser: Browser, site: WebSite, collector: Collector
) -> None:
    with page_of(browser) as page:
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get: () => { throw new Error('denied') }})"
        )
        page.add_init_script(CONSENT)
        page.goto(site.url)
        page.goto(f"{site.url}/plans.html")
        (cookie,) = page.context.cookies()
        page.goto("about:blank")
        collector.wait(SawView, 2)
        assert {batch.visitor for batch in collector.batches} == {cookie["value"]}
        assert (cookie["domain"], cookie["path"], cookie["sameSite"]) == ("127.0.0.1", "/", "Lax")
        page.goto(site.url)
        page.evaluate("queuelight.consent(false)")
        assert page.context.cookies() == []


def test_offers_are_told_and_nonsense_is_not(visitor: Page, site: WebSite, collector: Collector) -> None:
    visitor.goto(site.url)
    visitor.evaluate(
        """() => {
          queuelight.intervention("shown", "chat invite", "flag-1");
          queuelight.intervention("seen", "chat invite");
          queuelight.intervention("declined");
          queuelight.intervention("accepted", "x".repeat(300), 7);
        }"""
    )
    visitor.goto("about:blank")
    shown, accepted = collector.wait(SawIntervention, 2)
    assert (shown.what, shown.kind, shown.flag) == ("shown", "chat invite", "flag-1")
    assert (accepted.what, accepted.kind, accepted.flag) == ("accepted", "x" * 200, "7")
