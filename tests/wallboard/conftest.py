"""What most tests of the board need: a real Redis, a centre that publishes to it, a wallboard, a page in Chromium.

A module that needs them otherwise has its own of the same name.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import Centre, chromium, page_of
from tests.wallboard.walls import Wall


@pytest.fixture(scope="module")
def redis() -> Iterator[LocalRedis]:
    """A running Redis; each module has its own, so that none sees what another left."""
    with LocalRedis() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def centre(redis: LocalRedis) -> Iterator[Centre]:
    """Six queues, well used."""
    with Centre(redis.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def wall(redis: LocalRedis, centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    """The wallboard of that centre."""
    with Wall(tmp_path_factory.mktemp("wall"), redis.url, site=centre.site.name) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing is open yet."""
    with page_of(browser) as opened:
        yield opened
