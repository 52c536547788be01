"""What tests of the tracker need: a site, a collector, a Chromium, and a page of a visitor who has consented.

A site and a collector are new for each test; the browser is one for a module.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.tracker.web_site import Collector, WebSite
from tests.wallboard.page_world import chromium, page_of

TROUBLES = r"Failed to load resource|net::ERR_|on purpose"
"""Pages break something now and then: that is what is measured."""
CONSENT = "(window.queuelight ||= []).push(['consent', true])"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Takes what trackers send."""
    with Collector() as running:
        yield running
        running.check()


@pytest.fixture
def site(collector: Collector) -> Iterator[WebSite]:
    """A web site with the tracker."""
    with WebSite(collector) as running:
        yield running


@pytest.fixture
def stranger(browser: Browser) -> Iterator[Page]:
    """A page of a visitor who was not asked yet."""
    with page_of(browser, size=(1200, 800), expected=TROUBLES) as opened:
        yield opened


@pytest.fixture
def visitor(stranger: Page) -> Page:
    """A page of a visitor whose consent the site tells on every page."""
    stranger.add_init_script(CONSENT)
    return stranger
