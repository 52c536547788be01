"""Does the wallboard answer only whom it may, only what it may, and with the headers that keep a page safe?

Requests go to the real application behind the guard; streams are driven as a server drives them.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from agents.callers import Buckets
from agents.settings.wallboard import AccessSettings
from agents.snapshot_store import MemorySnapshots
from agents.wallboard.config import BoardConfig
from agents.wallboard.guard import COOKIE, ENTERED, MAX_BODY, SIGNED_IN_S, Guard, is_loopback
from agents.wallboard.hub import StoreDown
from agents.wallboard.server import Wallboard
from agents.wallboard.stores import MemoryStore
from agents.wallboard.tokens import BoardTokens, MemoryHashes
from tests.wallboard.rows import queue_of

BOARDS = {"default": BoardConfig(), "入口 2": BoardConfig(name="入口 2", queues=("Sales", "注文/配送"))}
QUEUES = ("Sales", "注文/配送", "Support", "Sales/x")
HOME = {"host": "127.0.0.1:8080"}
HTML = {"accept-language": "ja,en;q=0.5"}
ACK = "/api/v1/acknowledgements"


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


class House:
    """A guarded wallboard and what a test turns on it."""

    def __init__(self, host: str = "127.0.0.1", **access: Any) -> None:
        self.clock = Clock()
        self.hashes = MemoryHashes()
        self.tokens = BoardTokens(self.hashes, lambda: int(self.clock.s * 1000))
        snapshots = MemorySnapshots()
        snapshots.publish([queue_of(name) for name in QUEUES])
        self.wallboard = Wallboard(MemoryStore(snapshots), BOARDS)
        self.wallboard.hub.rows = snapshots.states()
        self.guard = Guard(
            self.wallboard.app, AccessSettings(**access), self.tokens, host,
            shows=lambda board, queue: BOARDS[board].shows(queue), clock=self.clock,
        )  # fmt: skip

    def client(self, address: str = "127.0.0.1", base: str = "http://127.0.0.1:8080") -> TestClient:
        return TestClient(self.guard, base_url=base, client=(address, 50_000), follow_redirects=False)

    def token(self, board: str = "default") -> str:
        return asyncio.run(self.tokens.create(board))[1]

    def entered(self, board: str = "default") -> TestClient:
        """A browser with a session."""
        client = self.client()
        answer = client.get("/enter", params={"token": self.token(board), "board": board})
        assert answer.status_code == 303
        return client


def closed(**access: Any) -> House:
    return House(require_token=True, **access)


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("house", "path", "status"),
    [
        (House(), "/", 200),
        (House(), "/livez", 200),
        (House(), "/api/v1/board", 200),
        (House(), "/api/v1/board?board=absent", 404),
        (House(), "/nothing", 404),
        (House(), "/enter?token=x", 401),
        (closed(), "/", 401),
        (closed(), "/api/v1/board", 401),
        (closed(), "/livez", 200),
    ],
)
def test_every_answer_carries_the_headers_of_a_safe_page(house: House, path: str, status: int) -> None:
    answer = house.client().get(path)
    assert answer.status_code == status
    csp = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert csp == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
        "img-src": "'self' data:", "font-src": "'self'", "frame-ancestors": "'self'", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "camera=()" in answer.headers["permissions-policy"]


def test_assets_may_be_kept_but_are_asked_for_again() -> None:
    client = House().client()
    answer = client.get("/assets/index.html")
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/assets/index.html", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
    assert client.get("/assets/absent.js").headers["cache-control"] == "no-store"


# --- methods, bodies, hosts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_boards_can_only_be_read(method: str) -> None:
    answer = House().client().request(method, "/api/v1/board")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.headers["content-type"] == "application/problem+json"
    assert House().client().head("/api/v1/board").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8080"}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
    ],
)
def test_only_our_own_page_acknowledges(headers: dict[str, str], status: int) -> None:
    body = {"queue": "Sales", "channel": "voice", "by": "Aoi"}
    answer = House().client().post(ACK, json=body, headers=headers)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["by"] == "Aoi"


def test_a_long_body_is_refused_whether_or_not_it_says_its_length() -> None:
    client = House().client()
    same = {"sec-fetch-site": "same-origin", "content-type": "application/json"}
    fits = b'{"queue":"Sales","channel":"voice","by":"Aoi"}'.ljust(MAX_BODY)
    assert client.post(ACK, content=fits, headers=same).status_code == 200
    assert client.post(ACK, content=fits + b" ", headers=same).status_code == 413
    assert client.post(ACK, content=iter([fits, b" "]), headers=same).status_code == 413


@pytest.mark.parametrize(
    ("bound", "names", "asked", "status"),
    [
        ("127.0.0.1", [], "127.0.0.1:8080", 200),
        ("127.0.0.1", [], "LOCALHOST:1", 200),
        ("localhost", [], "localhost", 200),
        ("::1", [], "[::1]:8080", 200),
        ("127.0.0.1", [], "evil.example:8080", 421),
        ("127.0.0.1", [], "127.0.0.1.evil.example", 421),
        ("127.0.0.1", [], "", 421),
        ("127.0.0.1", ["wall.example"], "Wall.Example:443", 200),
        ("127.0.0.1", ["wall.example"], "other.example", 421),
        ("0.0.0.0", [], "wall.example", 200),
        ("0.0.0.0", ["wall.example"], "evil.example", 421),
        ("10.0.0.5", ["wall.example"], "10.0.0.5:8080", 200),
    ],
)
def test_a_foreign_host_name_is_refused(bound: str, names: list[str], asked: str, status: int) -> None:
    house = House(bound, host_names=names)
    assert house.client().get("/livez", headers={"host": asked}).status_code == status


def test_there_are_no_web_sockets() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(House().guard({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


# --- who gets in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "access", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("localhost", {}, 200),
        ("127.0.0.1", {"require_token": True}, 401),
        ("0.0.0.0", {}, 401),
        ("::", {}, 401),
        ("", {}, 401),
        ("wall.local", {}, 401),
        ("0.0.0.0", {"require_token": False}, 200),
        ("127.0.0.1", {"forward_auth_header": "Remote-User", "trusted_proxies": ["10.0.0.1"]}, 401),
    ],
)
def test_without_a_token_only_on_loopback_unless_said(
    bound: str, access: dict[str, Any], status: int
) -> None:
    assert House(bound, **access).client().get("/api/v1/board").status_code == status


def test_on_loopback_what_a_proxy_passes_on_is_from_somebody_else() -> None:
    client = House().client()
    assert client.get("/api/v1/board", headers={"x-forwarded-for": "8.8.8.8"}).status_code == 401
    assert client.get("/api/v1/board", headers={"forwarded": "for=8.8.8.8"}).status_code == 401
    said = House(require_token=False).client()
    assert said.get("/api/v1/board", headers={"x-forwarded-for": "8.8.8.8"}).status_code == 200


def test_a_proxy_that_says_nothing_is_taken_for_this_machine_unless_a_token_is_required() -> None:
    """As nginx with nothing but `proxy_pass`: what the settings' page says of it."""
    plain = {"host": "127.0.0.1:8080", "connection": "close"}
    assert House().client().get("/api/v1/board", headers=plain).status_code == 200
    assert closed().client().get("/api/v1/board", headers=plain).status_code == 401


def test_a_link_is_exchanged_once_for_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    house = closed()
    token = house.token("入口 2")
    client = house.client()
    answer = client.get("/enter", params={"token": token, "board": "入口 2"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?board=%E5%85%A5%E5%8F%A3%202"
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{COOKIE}=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= attributes
    assert "secure" not in attributes
    assert token not in str(answer.headers)
    assert client.get(answer.headers["location"]).status_code == 200
    assert client.get("/api/v1/board", params={"board": "入口 2"}).status_code == 200
    other = house.client()
    assert other.get("/enter", params={"token": token, "board": "入口 2"}).status_code == 401
    assert other.get("/", params={"board": "入口 2"}).status_code == 401


def test_only_a_get_uses_a_link_up() -> None:
    house = closed()
    asked = {"token": house.token(), "board": "default"}
    assert house.client().head("/enter", params=asked).status_code == 405
    assert house.client().get("/enter", params=asked).status_code == 303


@pytest.mark.parametrize(
    ("proxies", "base", "headers", "secure"),
    [
        ([], "https://127.0.0.1", {}, True),
        ([], "http://127.0.0.1", {"x-forwarded-proto": "https"}, False),
        (["127.0.0.1"], "http://127.0.0.1", {"x-forwarded-proto": "https"}, True),
        (["127.0.0.1"], "http://127.0.0.1", {"x-forwarded-proto": "http"}, False),
    ],
)
def test_the_cookie_is_secure_where_the_browser_came_by_https(
    proxies: list[str], base: str, headers: dict[str, str], secure: bool
) -> None:
    house = closed(trusted_proxies=proxies)
    answer = house.client(base=base).get("/enter", params={"token": house.token()}, headers=headers)
    assert answer.status_code == 303
    for cookie in answer.headers.get_list("set-cookie"):
        assert ("secure" in cookie.lower()) is secure


def test_a_session_opens_its_board_and_no_other() -> None:
    floor = closed().entered("入口 2")
    for path in ("/", "/api/v1/board", "/assets-local/logo"):
        assert floor.get(path).status_code == 401, path  # the default board
        assert floor.get(path, params={"board": "default"}).status_code == 401, path
        assert floor.get(path, params={"board": "入口 2"}).status_code in (200, 404), path
    assert floor.get("/api/v1/words").status_code == 200
    assert floor.get("/api/v1/words?board=default").status_code == 401
    assert floor.get("/assets/index.html").status_code == 200


def test_a_session_sees_and_acknowledges_only_queues_of_its_board() -> None:
    house = closed()
    floor, everything = house.entered("入口 2"), house.entered()
    same = {"sec-fetch-site": "same-origin"}
    for queue, good in (("Sales", True), ("注文/配送", True), ("Support", False), ("Sales/x", False)):
        for path in (f"/api/v1/queues/{queue}", f"/api/v1/queues/{queue}/intervals.csv"):
            assert (floor.get(path).status_code != 403) is good, path
            assert everything.get(path).status_code != 403
        body = {"queue": queue, "channel": "voice", "by": "Aoi"}
        assert floor.post(ACK, json=body, headers=same).status_code == (200 if good else 403)
        assert everything.post(ACK, json=body, headers=same).status_code == 200
    assert (
        floor.post(ACK, content=b"{", headers=same | {"content-type": "application/json"}).status_code == 400
    )
    assert house.client().post(ACK, json={}, headers=same).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "0123456789ab.x", "ÿ"])
def test_a_wrong_cookie_opens_nothing(cookie: str) -> None:
    headers = {b"cookie": f"{COOKIE}={cookie}".encode("latin-1")}
    assert closed().client().get("/api/v1/board", headers=headers).status_code == 401


def test_a_revoked_token_opens_nothing_any_more() -> None:
    house = closed()
    client = house.entered()
    assert client.get("/api/v1/board").status_code == 200
    [token] = asyncio.run(house.tokens.list())
    asyncio.run(house.tokens.revoke(token.id))
    house.clock.s += 5
    assert client.get("/api/v1/board").status_code == 401


PROXIED: dict[str, Any] = {"forward_auth_header": "Remote-User", "trusted_proxies": ["10.0.0.0/8", "::1"]}


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("10.1.2.3", {"remote-user": "aoi"}, 200),
        ("::ffff:10.1.2.3", {"remote-user": "aoi"}, 200),
        ("::1", {"remote-user": "aoi"}, 200),
        ("10.1.2.3", {}, 401),
        ("10.1.2.3", {"remote-user": " "}, 401),
        ("11.1.2.3", {"remote-user": "aoi"}, 401),
        ("11.1.2.3", {"remote-user": "aoi", "x-forwarded-for": "10.1.2.3"}, 401),
        ("10.1.2.3", {"x-forwarded-user": "aoi"}, 401),
        ("not an address", {"remote-user": "aoi"}, 401),
    ],
)
def test_a_sign_in_is_believed_only_from_the_proxy(
    address: str, headers: dict[str, str], status: int
) -> None:
    client = House("0.0.0.0", **PROXIED).client(address)
    assert client.get("/api/v1/board?board=入口 2", headers=headers).status_code == status


def test_without_the_setting_no_header_signs_anybody_in() -> None:
    client = House("0.0.0.0", trusted_proxies=["10.0.0.0/8"]).client("10.1.2.3")
    assert client.get("/api/v1/board", headers={"remote-user": "aoi", "": "x"}).status_code == 401


# --- what people see who are not let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "languages", "lang", "says"),
    [
        ("", "ja,en;q=0.5", "ja", "専用のリンク"),
        ("", "en-GB,ja;q=0.8", "en", "opens with a link"),
        ("", "en;q=0.3, ja-JP;q=0.7", "ja", "専用のリンク"),
        ("", "de", "en", "opens with a link"),
        ("", "ja;q=x", "en", "opens with a link"),
        ("?lang=en", "ja", "en", "opens with a link"),
        ("?lang=ja", "en", "ja", "専用のリンク"),
        ("?lang=ja-JP", "en", "ja", "専用のリンク"),
        ("?lang=fr", "ja", "ja", "専用のリンク"),
    ],
)
def test_people_get_a_sentence_in_their_language(query: str, languages: str, lang: str, says: str) -> None:
    answer = closed().client().get(f"/{query}", headers={"accept-language": languages})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert f'<html lang="{lang}">' in answer.text
    assert says in answer.text
    assert "http-equiv" not in answer.text


def test_programs_get_a_problem() -> None:
    answer = closed().client().get("/api/v1/board")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 401, "detail": "a board token or a sign-in is needed"}
    assert "www-authenticate" in answer.headers


def test_who_comes_by_a_link_of_another_site_is_let_in_by_a_page_of_ours() -> None:
    """The browser leaves the SameSite=Strict cookie out, until a page of the same site asks."""
    client = closed().client()
    answer = client.get('/?board="><b>&lang=ja', headers={"sec-fetch-site": "cross-site"})
    refresh = re.search(r'<meta http-equiv="refresh" content="0; url=(/\?[^"]*)">', answer.text)
    assert refresh is not None
    assert refresh[1] == "/?board=%22%3E%3Cb%3E&amp;lang=ja"
    assert "<b>" not in answer.text
    answer = client.get("/?board=default", headers={"cookie": f"{ENTERED}=1"})  # http: no Sec-Fetch-Site
    assert 'content="0; url=/?board=default"' in answer.text
    assert f'{ENTERED}=""' in answer.headers["set-cookie"], "else the page would open itself for ever"
    assert "Max-Age=0" in answer.headers["set-cookie"]
    answer = client.get("/", headers={"sec-fetch-site": "cross-site", "cookie": f"{COOKIE}=revoked"})
    assert "http-equiv" not in answer.text
    assert "http-equiv" not in client.get("/", headers={"sec-fetch-site": "same-origin"}).text


def test_a_spent_link_says_so() -> None:
    answer = House().client().get("/enter?token=x&board=default", headers=HTML)
    assert answer.status_code == 401
    assert "使用済み" in answer.text


def test_while_redis_is_away_nobody_new_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    house = closed()

    async def away(*_: object) -> bytes:
        raise StoreDown("away")

    known = house.entered()
    assert known.get("/api/v1/board").status_code == 200
    token = house.token()
    monkeypatch.setattr(house.hashes, "get", away)
    house.clock.s += 600
    assert known.get("/api/v1/board").status_code == 200
    stranger = house.client()
    stranger.cookies.set(COOKIE, "0123456789ab.x")
    assert stranger.get("/api/v1/board").status_code == 503
    page = stranger.get("/", headers=HTML)
    assert (page.status_code, page.headers["retry-after"]) == (503, "2")
    assert "Redisが応答しない" in page.text
    assert stranger.get("/enter", params={"token": token}).status_code == 503
    monkeypatch.undo()
    assert stranger.get("/enter", params={"token": token}).status_code == 303, "the link must not be spent"


def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    house = closed()
    token = house.token()
    with caplog.at_level(logging.DEBUG):
        client = house.client()
        client.get("/enter", params={"token": token})
        session = client.cookies[COOKIE]
        client.get("/api/v1/board")
        client.get("/enter", params={"token": token})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert not [text for text in ours if token in text or session in text]


# --- rates ------------------------------------------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    house = House(requests_per_minute=3, require_token=False)
    client, other = house.client("10.0.0.1"), house.client("10.0.0.2")
    assert [client.get("/livez").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get("/livez")
    assert refused.headers["retry-after"] == "21"
    assert "content-security-policy" in refused.headers
    assert other.get("/livez").status_code == 200
    house.clock.s += 21
    assert [client.get("/livez").status_code for _ in range(2)] == [200, 429]


def test_a_page_and_its_files_are_not_counted_however_many_screens_load_them() -> None:
    client = House(requests_per_minute=2).client()
    for _ in range(20):
        for path in ("/", "/assets/main.js", "/assets/absent.js"):
            assert client.get(path).status_code != 429
    assert [client.get("/api/v1/words").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/enter?token=x").status_code == 429


@pytest.mark.parametrize(
    ("proxies", "peer", "first", "second", "same"),
    [
        ([], "10.0.0.1", "1.1.1.1", "2.2.2.2", True),  # nobody is believed: both are the peer
        (["10.0.0.1"], "10.0.0.1", "1.1.1.1", "2.2.2.2", False),
        (["10.0.0.1"], "10.0.0.1", "9.9.9.9, 1.1.1.1", "8.8.8.8, 1.1.1.1", True),  # what a client adds
        (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 10.0.0.2", "2.2.2.2, 10.0.0.2", False),  # two proxies
        (["10.0.0.1"], "10.0.0.1", "1.1.1.1:4444", "1.1.1.1:5555", True),
        (["10.0.0.1"], "10.0.0.1", "2001:db8::1", "2001:db8::ffff", True),  # one network
        (["10.0.0.1"], "10.0.0.1", "2001:db8::1", "2001:db8:0:1::1", False),
        (["10.0.0.1"], "10.0.0.1", "unknown", "nonsense", True),
        ([], "2001:db8::1", "", "", True),
    ],
)
def test_a_client_is_the_last_address_before_the_proxies_we_trust(
    proxies: list[str], peer: str, first: str, second: str, same: bool
) -> None:
    house = House(requests_per_minute=1, require_token=False, trusted_proxies=proxies)
    client = house.client(peer)
    assert client.get("/livez", headers={"x-forwarded-for": first}).status_code == 200
    expected = 429 if same else 200
    assert client.get("/livez", headers={"x-forwarded-for": second}).status_code == expected


def test_the_addresses_that_are_remembered_are_bounded() -> None:
    buckets = Buckets(1, most=3)
    for address in "abcd":
        assert buckets.take(address, 0.0) == 0
    assert len(buckets) == 3
    assert buckets.take("d", 0.0) == 60
    assert buckets.take("a", 0.0) == 0, "the one that asked longest ago was forgotten"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("", False), ("localhost.evil.example", False), ("::ffff:127.0.0.1", True)],
)  # fmt: skip
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


# --- streams ----------------------------------------------------------------------------------------------------------


class Viewer:
    """One open stream, as a server sees it."""

    def __init__(
        self, house: House, address: str, cookie: str = "", path: str = "/api/v1/stream", user: str = ""
    ) -> None:
        headers = [(b"host", b"127.0.0.1")] + ([(b"cookie", f"{COOKIE}={cookie}".encode())] if cookie else [])
        headers += [(b"remote-user", user.encode())] if user else []
        self.scope: Scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": (address, 50_000), "server": ("127.0.0.1", 8080),
        }  # fmt: skip
        self._gone = asyncio.Event()
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self.task = asyncio.create_task(house.guard(self.scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._sent.put_nowait(message)

    async def next(self) -> Message:
        async with asyncio.timeout(10):
            return await self._sent.get()

    async def status(self) -> int:
        status: int = (await self.next())["status"]
        return status

    async def leave(self) -> None:
        self._gone.set()
        async with asyncio.timeout(10):
            await self.task


@asynccontextmanager
async def running(house: House) -> AsyncIterator[Callable[..., Viewer]]:
    """The wallboard runs; makes viewers, who all leave in the end."""
    viewers: list[Viewer] = []

    def viewer(address: str = "127.0.0.1", cookie: str = "", **options: str) -> Viewer:
        viewers.append(Viewer(house, address, cookie, **options))
        return viewers[-1]

    hub = asyncio.create_task(house.wallboard.hub.run())
    try:
        yield viewer
    finally:
        for each in viewers:
            await each.leave()
        hub.cancel()


def test_a_stream_is_passed_on_as_it_comes_and_not_when_it_ends() -> None:
    async def work() -> None:
        async with running(House()) as viewer:
            screen = viewer()
            start = await screen.next()
            assert dict(start["headers"])[b"x-content-type-options"] == b"nosniff"
            assert (await screen.next())["body"].startswith(b"retry:")
            assert (await screen.next())["body"].startswith(b"event: snapshot")
            assert not screen.task.done()

    asyncio.run(work())


def test_open_streams_are_limited_for_an_address_and_in_all_and_counted_down_again() -> None:
    async def work() -> None:
        house = House(require_token=False, streams_per_address=2, streams=3)
        async with running(house) as viewer:
            first, second = viewer("10.0.0.1"), viewer("10.0.0.1")
            assert [await first.status(), await second.status()] == [200, 200]
            assert await viewer("10.0.0.1").status() == 429
            assert await viewer("10.0.0.1", path="/livez").status() == 200
            assert await viewer("10.0.0.2").status() == 200
            assert await viewer("10.0.0.3").status() == 503
            await first.leave()
            assert await viewer("10.0.0.1").status() == 200
        assert not house.guard._streams

    asyncio.run(work())


async def session(house: House) -> tuple[str, str]:
    """The id of a token, and the session it was exchanged for."""
    token_id, token = await house.tokens.create("default")
    opened = await house.tokens.exchange(token, "default")
    assert opened is not None
    return token_id, opened.session


def test_revoking_a_token_ends_its_stream_in_order_and_leaves_others_alone() -> None:
    async def work() -> None:
        house = closed()
        async with running(house) as viewer:
            (token_id, cookie), (_, others) = await session(house), await session(house)
            revoked, other = viewer(cookie=cookie), viewer(cookie=others)
            assert [await revoked.status(), await other.status()] == [200, 200]
            for screen in (revoked, other):
                while not (await screen.next())["body"].startswith(b"event: snapshot"):
                    pass
            assert await house.tokens.revoke(token_id)
            house.clock.s += 5
            async with asyncio.timeout(10):
                while (await revoked.next())["more_body"]:
                    pass  # the next beat brings it to light
                await revoked.task
            house.clock.s += 5
            assert (await other.next())["more_body"]
            assert not other.task.done()

    asyncio.run(work())


def test_a_stream_of_a_sign_in_ends_in_order_after_a_while_and_the_next_one_is_checked() -> None:
    async def work() -> None:
        house = House("0.0.0.0", **PROXIED)
        async with running(house) as viewer:
            screen, other = (
                viewer("10.1.2.3", user="aoi"),
                viewer("10.1.2.3", cookie=(await session(house))[1]),
            )
            assert [await screen.status(), await other.status()] == [200, 200]
            house.clock.s += SIGNED_IN_S - 1
            for _ in range(4):
                assert (await screen.next())["more_body"]
            house.clock.s += 6
            async with asyncio.timeout(10):
                while (await screen.next())["more_body"]:
                    pass  # the next beat brings it to light
                await screen.task
            assert await viewer("10.1.2.3").status() == 401, "signed out meanwhile"
            assert await viewer("10.1.2.3", user="aoi").status() == 200
            assert not other.task.done()

    asyncio.run(work())


def test_a_stream_that_is_open_to_everybody_does_not_end_for_a_header_that_somebody_sends() -> None:
    async def work() -> None:
        house = House("0.0.0.0", require_token=False, **PROXIED)
        async with running(house) as viewer:
            screen = viewer("10.1.2.3", user="aoi")
            assert await screen.status() == 200
            house.clock.s += SIGNED_IN_S + 6
            for _ in range(4):
                assert (await screen.next())["more_body"]
            assert not screen.task.done()

    asyncio.run(work())


def test_a_stream_outlives_an_absence_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        house = closed()
        asked = asyncio.Event()

        async def away(*_: object) -> bytes:
            asked.set()
            raise StoreDown("away")

        async with running(house) as viewer:
            screen = viewer(cookie=(await session(house))[1])
            assert await screen.status() == 200
            monkeypatch.setattr(house.hashes, "get", away)
            house.clock.s += 60
            while not asked.is_set():
                assert (await screen.next())["more_body"]
            assert (await screen.next())["more_body"]
            assert not screen.task.done()

    asyncio.run(work())


def test_what_the_application_raises_is_not_swallowed_and_frees_its_place() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug")

    house = House()
    house.guard._app = broken
    with pytest.raises(RuntimeError, match="a bug"):
        house.client().get("/api/v1/stream")
    assert not house.guard._streams
