"""Who gets in? Headers, methods, hosts, rates and access for everything the wallboard answers, as ASGI middleware.

It streams what it lets through. Refuses to know what is answered, and what a token is (`agents.wallboard.tokens`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from ipaddress import IPv6Address, ip_network
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.callers import Buckets, address_in, before_proxies, is_within
from agents.settings.wallboard import AccessSettings
from agents.wallboard.config import DEFAULT_BOARD
from agents.wallboard.hub import StoreDown
from agents.wallboard.journeys import Asker
from agents.wallboard.tokens import JOURNEYS, BoardTokens

COOKIE = "ql_board"
ENTERED = "ql_entered"
"""Set for a moment beside the session: a page that comes with it alone was reached from another site (see `_door`)."""
MAX_BODY = 4096
RECHECK_S = 5.0
"""An open stream's session is asked for again so often, so that revoking a token ends its streams."""
SIGNED_IN_S = 900.0
"""A stream opened by a sign-in at the proxy ends after so long: the page comes back, and the proxy is asked again."""
_COOKIE_S = 400 * 86_400
"""As long as browsers keep any cookie: a screen that is switched off at night comes back."""
_ENTERED_S = 30
_MOST_ADDRESSES = 10_000
_STREAM = "/api/v1/stream"
_ACKNOWLEDGEMENTS = "/api/v1/acknowledgements"
_QUEUES = "/api/v1/queues/"
_JOURNEYS = "/api/v1/journeys/"
_STUCK = "/api/v1/stuck/stream"
_STREAMS = (_STREAM, _STUCK)
_OPEN = ("/livez", "/metrics")
"""Answered to anybody: they name nobody and no queue."""
ASKER = "queuelight.asker"
"""Key of the request's scope: who asks for journeys (`Asker`)."""
_DEFAULTING = ("/", "/api/v1/board", "/api/v1/web", "/api/v1/alerts", _STREAM, "/assets-local/logo")
"""What is about a board, even when the address names none."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "font-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "autoplay=(self), fullscreen=(self), screen-wake-lock=(self), "
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
    ),
}
_PAGES = {
    "closed": (
        "This board opens with a link or a sign-in. Ask whoever runs the wallboard for one.",
        "このボードを見るには、専用のリンクまたはサインインが必要です。管理者にお問い合わせください。",
    ),
    "spent": (
        "This link has been used, was revoked, or is not complete. Ask for a new one.",
        "このリンクは使用済みか、取り消されたか、正しくありません。新しいリンクをお求めください。",
    ),
    "away": (
        "Links and sessions cannot be checked right now, because Redis does not answer. Try again in a moment.",
        "Redisが応答しないため、現在リンクを確認できません。しばらくしてからもう一度お試しください。",
    ),
}


class _Refused(Exception):
    """An answer that is given instead of the application's."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, page: str = ""
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.page = page


_BEARER = {"WWW-Authenticate": 'Bearer realm="journeys"'}
_CLOSED = {"WWW-Authenticate": 'BoardLink realm="wallboard"'}


class Guard:
    """Stands before the application.

    Args:
        app: whom it guards.
        access: who may come in.
        sessions: the board tokens.
        host: the address the server is bound to.
        shows: (board, queue) -> is the queue on the board? A token opens nothing else.
        count: is told what became of a question for a journey that was not let through: refused or limited.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: AccessSettings,
        sessions: BoardTokens,
        host: str,
        *,
        shows: Callable[[str, str], bool],
        count: Callable[[str], None] = lambda result: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._access = access
        self._sessions = sessions
        self._shows = shows
        self._clock = clock
        self._proxies = [ip_network(each) for each in access.trusted_proxies]
        self._hosts = _hosts(access, host)
        self._required = access.require_token
        if self._required is None and (not is_loopback(host) or access.forward_auth_header):
            self._required = True
        self._count = count
        self._rates = Buckets(access.requests_per_minute, _MOST_ADDRESSES)
        self._reads = Buckets(access.journeys_per_minute, _MOST_ADDRESSES)
        self._streams: Counter[str] = Counter()
        self._checks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        send = _with_headers(send, scope["path"])
        try:
            address = self._address(request)
            if not _is_page(scope["path"]):
                self._check_rate(address)
            self._check_host(request)
            _check_method(request)
            if scope["path"] == "/enter":
                answer = await self._enter(request)
                await answer(scope, receive, send)
                return
            if _is_private(scope["path"]):
                scope[ASKER] = await self._asker(request)
                session = None
            else:
                session = await self._session(request)
            if request.method == "POST":
                receive = await self._body(receive, session)
            if scope["path"] in _STREAMS:
                self._check_streams(address)
        except _Refused as no:
            await _answer(request, no)(scope, receive, send)
            return
        if scope["path"] not in _STREAMS:
            await self._app(scope, receive, send)
            return
        self._streams[address] += 1
        try:
            if scope["path"] == _STUCK:
                await self._watched(scope, receive, send, lambda: self._is_revoked(request))
            else:
                await self._stream(request, receive, send, session)
        finally:
            self._streams[address] -= 1
            if not self._streams[address]:
                del self._streams[address]

    # --- what everybody must keep to ----------------------------------------------------------------------------

    def _check_rate(self, address: str) -> None:
        wait_s = self._rates.take(address, self._clock())
        if wait_s > 0:
            raise _Refused(429, "too many requests from this address", {"Retry-After": str(int(wait_s) + 1)})

    def _check_streams(self, address: str) -> None:
        if self._streams.total() >= self._access.streams:
            raise _Refused(503, "too many open streams", {"Retry-After": "10"})
        if self._streams[address] >= self._access.streams_per_address:
            raise _Refused(429, "too many open streams from this address", {"Retry-After": "10"})

    def _check_host(self, request: Request) -> None:
        """Refuse other names than ours: a page of another site may have bound its name to our address."""
        if self._hosts is not None and _name_of(request.headers.get("host", "")) not in self._hosts:
            raise _Refused(421, "this host name is not served here; see [wallboard.access] host_names")

    async def _body(self, receive: Receive, session: str | None) -> Receive:
        """Read the body of an acknowledgement, which is short, and hand it over again."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "the request is not complete")
            body += message.get("body", b"")
            if len(body) > MAX_BODY:
                raise _Refused(413, f"expected at most {MAX_BODY} bytes")
            if not message.get("more_body", False):
                break
        if session is not None:
            self._check_queue(session, _queue_in(bytes(body)))
        parts: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        return again

    # --- who it is ----------------------------------------------------------------------------------------------

    def _address(self, request: Request) -> str:
        """Who asks: the last address before the proxies we trust; of IPv6 its network of 64 bits."""
        peer = request.client.host if request.client else ""
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        found = before_proxies(peer, hops, self._proxies)
        if isinstance(found, IPv6Address):
            return str(ip_network((found, 64), strict=False))
        return str(found or "")

    def _from_proxy(self, request: Request) -> bool:
        return request.client is not None and is_within(address_in(request.client.host), self._proxies)

    def _is_signed_in(self, request: Request) -> bool:
        """True when a proxy that we trust says who asks."""
        header = self._access.forward_auth_header
        return bool(header and request.headers.get(header, "").strip()) and self._from_proxy(request)

    async def _session(self, request: Request) -> str | None:
        """The board whose session asks; None: whoever it is may see all boards.

        Raises:
            _Refused: nobody we know asks, or for another board.
        """
        path = request.scope["path"]
        if path in _OPEN or not self._needs_session(request) or self._is_signed_in(request):
            return None
        cookie = request.cookies.get(COOKIE)
        board = await self._board_of(cookie) if cookie else None
        asked = request.query_params.get("board", DEFAULT_BOARD if path in _DEFAULTING else board)
        if board is None or asked != board:
            raise _Refused(401, "a board token or a sign-in is needed", _CLOSED, "closed")
        if path.startswith(_QUEUES):
            self._check_queue(board, path.removeprefix(_QUEUES).removesuffix("/intervals.csv"))
        return board

    async def _asker(self, request: Request) -> Asker:
        """Whose token comes with a question for journeys. Nobody is let in without one, not even from this machine.

        Raises:
            _Refused: nobody we know asks, for something else, or too often.
        """
        try:
            holder = await self._sessions.holder(_bearer(request))
        except StoreDown:
            raise _Refused(503, "tokens cannot be checked", {"Retry-After": "2"}) from None
        if holder is None:
            self._count("refused")
            raise _Refused(401, "a token of the scope journeys is needed", _BEARER)
        if holder.scope != JOURNEYS:
            self._count("refused")
            raise _Refused(403, "this token is not for journeys")
        wait_s = self._reads.take(holder.id, self._clock())
        if wait_s > 0:
            self._count("limited")
            raise _Refused(429, "too many questions with this token", {"Retry-After": str(int(wait_s) + 1)})
        return Asker(holder.id, holder.label)

    async def _is_revoked(self, request: Request) -> bool:
        holder = await self._sessions.holder(_bearer(request))
        return holder is None or holder.scope != JOURNEYS

    def _needs_session(self, request: Request) -> bool:
        if self._required is not None:
            return self._required
        # On loopback, open to the people of this machine; what a proxy says it passes on is from somebody else.
        return "x-forwarded-for" in request.headers or "forwarded" in request.headers

    async def _board_of(self, cookie: str) -> str | None:
        try:
            return await self._sessions.check(cookie)
        except StoreDown:
            raise _Refused(503, "sessions cannot be checked", {"Retry-After": "2"}, "away") from None

    def _check_queue(self, board: str, queue: str | None) -> None:
        if queue is not None and not self._shows(board, queue):
            raise _Refused(403, "this queue is not on the board")

    async def _enter(self, request: Request) -> Response:
        """Exchange the token of a link for a session."""
        if request.method != "GET":
            raise _Refused(405, "expected GET", {"Allow": "GET"})
        asked = request.query_params
        try:
            opened = await self._sessions.exchange(asked.get("token", ""), asked.get("board", DEFAULT_BOARD))
        except StoreDown:
            raise _Refused(503, "links cannot be checked", {"Retry-After": "2"}, "away") from None
        if opened is None:
            raise _Refused(401, "the link was used, was revoked or is wrong", _CLOSED, "spent")
        answer = RedirectResponse(f"/?board={quote(opened.board, safe='')}", 303)
        https = request.scope["scheme"] == "https" or (
            self._from_proxy(request) and "https" in request.headers.get("x-forwarded-proto", "").lower()
        )
        answer.set_cookie(
            COOKIE, opened.session, max_age=_COOKIE_S, httponly=True, samesite="strict", secure=https
        )
        answer.set_cookie(ENTERED, "1", max_age=_ENTERED_S, httponly=True, samesite="lax", secure=https)
        return answer

    # --- what stays open ----------------------------------------------------------------------------------------

    async def _stream(self, request: Request, receive: Receive, send: Send, session: str | None) -> None:
        """Let a stream run; if it is a session's, until that ends; if it is of a sign-in, for a while."""
        began_s = self._clock()

        async def is_over() -> bool:
            if session is None:
                return self._clock() - began_s >= SIGNED_IN_S
            return await self._sessions.check(request.cookies[COOKIE]) != session

        if session is None and not (self._needs_session(request) and self._is_signed_in(request)):
            await self._app(request.scope, receive, send)
        else:
            await self._watched(request.scope, receive, send, is_over)

    async def _watched(
        self, scope: Scope, receive: Receive, send: Send, is_over: Callable[[], Awaitable[bool]]
    ) -> None:
        """Let a stream run until what opened it is over; asked for again every few seconds."""
        ended = asyncio.Event()
        asked = self._clock()
        complete = False

        async def sent(message: Message) -> None:
            nonlocal asked, complete
            if self._clock() - asked >= RECHECK_S:
                asked = self._clock()
                check = asyncio.create_task(_end_if(is_over, ended))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def heard() -> Message:
            """As the client's disconnecting, so that the application lets go of the stream as it always does."""
            message = asyncio.ensure_future(receive())
            end = asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait({message, end}, return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                end.cancel()

        await self._app(scope, heard, sent)
        if ended.is_set() and not complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _end_if(is_over: Callable[[], Awaitable[bool]], ended: asyncio.Event) -> None:
    try:
        if await is_over():
            ended.set()
    except StoreDown:
        pass  # nothing can be revoked, and no number can change, while the store is away


def _is_page(path: str) -> bool:
    """True for the page and its files: they cost little, and every screen loads two dozen of them at once."""
    return path == "/" or path.startswith("/assets/")


def _is_private(path: str) -> bool:
    return path.startswith(_JOURNEYS) or path == _STUCK


def _bearer(request: Request) -> str:
    """The token that comes in the header; "" where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine reaches."""
    address = address_in(host)
    return host == "localhost" if address is None else address.is_loopback


def _hosts(access: AccessSettings, host: str) -> frozenset[str] | None:
    """The host names that are served; None: any."""
    if not access.host_names and not is_loopback(host):
        return None
    return frozenset({"localhost", "127.0.0.1", "[::1]", _bracketed(host), *access.host_names})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()


def _name_of(host: str) -> str:
    """The host of a Host header, without its port."""
    name, bracket, _ = host.partition("]")
    return (name + bracket if bracket else host.partition(":")[0]).lower().removesuffix(".")


def _check_method(request: Request) -> None:
    """Only reading; and acknowledgements, from our own page."""
    if request.method in ("GET", "HEAD"):
        return
    if request.method != "POST" or request.scope["path"] != _ACKNOWLEDGEMENTS:
        raise _Refused(405, "the wallboard is read-only", {"Allow": "GET, HEAD"})
    site = request.headers.get("sec-fetch-site")
    if site is None:  # browsers leave it out on http addresses of other machines
        place = urlsplit(request.headers.get("origin", "")).netloc.lower()
        ours = bool(place) and place == request.headers.get("host", "").lower()
    else:
        ours = site == "same-origin"
    if not ours:
        raise _Refused(403, "expected a request of the board's own page")


class _Named(msgspec.Struct):
    queue: str


def _queue_in(body: bytes) -> str | None:
    """The queue that a body names; None: the application will refuse it."""
    try:
        return msgspec.json.decode(body, type=_Named).queue
    except msgspec.MsgspecError:
        return None


def _with_headers(send: Send, path: str) -> Send:
    cached = path.startswith("/assets/")

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            headers["Cache-Control"] = (
                "no-cache" if cached and message["status"] in (200, 304) else "no-store"
            )
        await send(message)

    return sent


# --- refusals ---------------------------------------------------------------------------------------------------------


def _answer(request: Request, no: _Refused) -> Response:
    if no.page and request.scope["path"] in ("/", "/enter"):
        return _door(request, no)
    told = {"status": no.status, "detail": no.detail}
    return JSONResponse(told, no.status, no.headers, media_type="application/problem+json")


def _door(request: Request, no: _Refused) -> Response:
    """A page that says why nobody is let in.

    A browser that follows a link of another site, such as a mail, leaves a SameSite=Strict cookie out, also after the
    redirect of `/enter`. A page of ours that opens the board once more makes it send the cookie.
    """
    cookies = request.cookies
    from_elsewhere = request.headers.get("sec-fetch-site") == "cross-site" or ENTERED in cookies
    again = ""
    if request.scope["path"] == "/" and COOKIE not in cookies and from_elsewhere:
        query = urlencode(request.query_params.multi_items())
        again = f'<meta http-equiv="refresh" content="0; url={escape(f"/?{query}")}">'
    lang = _language(request)
    text = _PAGES[no.page][lang == "ja"]
    page = HTMLResponse(
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{again}<title>Queuelight</title></head>'
        f"<body><p>{text}</p></body></html>",
        no.status,
        no.headers,
    )
    if ENTERED in cookies:
        page.delete_cookie(ENTERED, httponly=True, samesite="lax")
    return page


def _language(request: Request) -> str:
    """ja or en: what the address says, else what the browser likes better."""
    asked = request.query_params.get("lang", "")[:2].lower()
    if asked in ("ja", "en"):
        return asked
    liked: dict[str, float] = {"en": 0.0, "ja": 0.0}
    for each in request.headers.get("accept-language", "").split(","):
        tag, _, q = each.strip().partition(";")
        lang = tag.split("-")[0].lower()
        if lang in liked:
            liked[lang] = max(liked[lang], _weight(q))
    return "ja" if liked["ja"] > liked["en"] else "en"


def _weight(q: str) -> float:
    try:
        return float(q.strip().removeprefix("q=")) if q.strip() else 1.0
    except ValueError:
        return 0.0
