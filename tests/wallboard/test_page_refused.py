"""Does a page show a board whatever its address asks for, and when it is refused say why, and come back when it may?"""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from time import monotonic
from typing import Self

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.system.local_redis import LocalRedis
from tests.wallboard.page_world import OUTAGE, Centre, page_of, see
from tests.wallboard.walls import Wall, screen

pytestmark = pytest.mark.system
AGAIN_S = 10.0
"""What the server says of open streams that are too many."""
ELSEWHERE = "http://127.0.0.1:9/sign-in"


@pytest.mark.parametrize(
    ("query", "lang"),
    [
        ("lang=jp", "en"),
        ("lang=fr", "en"),
        ("lang=ja-JP", "ja"),
        ("lang=JA", "ja"),
        ("view=tv&theme=pink", "en"),
    ],
)
def test_an_address_that_asks_for_what_there_is_not_shows_the_board_all_the_same(
    page: Page, wall: Wall, query: str, lang: str
) -> None:
    see(page, wall.url, f"?{query}")
    root = page.locator("html")
    told = [root.get_attribute(name) for name in ("lang", "data-view", "data-theme")]
    assert told == [lang, "wall", "dark"]


# --- refused ----------------------------------------------------------------------------------------------------------


def says(page: Page, text: str) -> None:
    """Wait for the reason in the banner."""
    expect(page.locator("#banner .why")).to_contain_text(text, timeout=10_000)


def streams_of(page: Page) -> list[float]:
    """When the page asks for a stream, from now on."""
    asked_s: list[float] = []

    def note(request: Request) -> None:
        if request.resource_type == "eventsource":
            asked_s.append(monotonic())

    page.on("request", note)
    return asked_s


@pytest.mark.parametrize(
    ("limit", "status", "lang", "why"),
    [
        ("streams_per_address", 429, "en", "too many screens or requests from this address"),
        ("streams_per_address", 429, "ja", "このアドレスからの画面またはリクエストが多すぎます"),
        ("streams", 503, "en", "the wallboard server cannot take this screen now"),
        ("streams", 503, "ja", "ウォールボードのサーバーがこの画面を受け付けられません"),
    ],
)
def test_a_screen_too_many_says_so_waits_as_it_is_told_and_comes_back_by_itself(
    browser: Browser, redis: LocalRedis, centre: Centre, tmp_path: Path,
    limit: str, status: int, lang: str, why: str,
) -> None:  # fmt: skip
    toml = f"[wallboard.access]\n{limit} = 1\n"
    with (
        Wall(tmp_path, redis.url, toml, site=centre.site.name) as wall,
        page_of(browser, expected=f"status of {status} ") as page,
    ):
        asked_s = streams_of(page)
        with screen(wall.url) as held:
            held.next()
            page.goto(f"{wall.url}/?lang={lang}")
            says(page, why)
        expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=20_000)
        assert asked_s[-1] - asked_s[-2] >= AGAIN_S
        expect(page.locator("#banner")).to_be_empty()


@pytest.mark.parametrize(
    ("lang", "why"),
    [("en", "does not answer to this host name"), ("ja", "このホスト名ではウォールボードを表示できません")],
)
def test_a_host_name_that_is_served_no_more_is_said_so(
    browser: Browser, redis: LocalRedis, centre: Centre, tmp_path: Path, lang: str, why: str
) -> None:
    toml = '[wallboard]\nhost = "0.0.0.0"\n[wallboard.access]\nrequire_token = false\n'
    wall = Wall(tmp_path, redis.url, toml, site=centre.site.name)
    page = browser.new_page()  # under another address than `page_of` allows
    with wall:
        page.goto(f"http://127.0.0.2:{wall.port}/?lang={lang}")
        expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=15_000)
    wall.write(f'{toml}host_names = ["wall.example"]\n')
    with wall:
        says(page, why)
    page.close()


class Door(ThreadingTCPServer):
    """A proxy before a wallboard; once shut, it sends everybody to a sign-in elsewhere."""

    daemon_threads = True

    def __init__(self, wall: Wall) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.wall = wall
        self.is_shut = False
        self.passed: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        self.shutdown()
        self.server_close()

    def shut(self) -> None:
        """Whoever is inside leaves, and nobody else gets in."""
        self.is_shut = True
        for each in self.passed:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Visit(BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Door)
        if self.server.is_shut:
            self.request.recv(1 << 16)
            head = f"HTTP/1.1 302 Found\r\nLocation: {ELSEWHERE}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            self.request.sendall(head.encode())
            return
        with socket.create_connection(("127.0.0.1", self.server.wall.port)) as inner:
            self.server.passed += [self.request, inner]
            threading.Thread(target=_pour, args=(self.request, inner), daemon=True).start()
            _pour(inner, self.request)


def _pour(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(1 << 16):
            into.sendall(some)
        into.shutdown(socket.SHUT_RDWR)


def test_who_is_signed_out_at_the_proxy_is_said_so(browser: Browser, wall: Wall) -> None:
    expected = f"CSP|Content Security Policy|{OUTAGE}"
    with Door(wall) as door, page_of(browser, expected=expected) as page:
        see(page, door.url, "?lang=en")
        door.shut()
        says(page, "this screen is no longer admitted")
