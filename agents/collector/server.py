"""Who answers browsers and back ends? Checks before anything is read, 202 only for what is kept, and why not otherwise.

Refuses to know what events are (`batches`, `backend_events`) and where they are kept (`delivery`). No address of
anybody is stored or logged.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agents.callers import Buckets
from agents.collector.backend_events import BackendEvents
from agents.collector.batches import Batches, Site, is_bot
from agents.collector.delivery import Delivery
from agents.collector.hashed_callers import Callers
from agents.collector.metrics import CollectorMetrics
from agents.collector.records import Refused
from agents.collector.said import where_wrong
from agents.collector.signatures import NotSigned, Signatures
from agents.collector.spool import SpoolFull
from agents.settings.collector import CollectorSettings
from agents.signing import HEADER
from agents.wall_clock import wall_ms
from schemas.web_batch import WebBatch, decode_batch

log = logging.getLogger(__name__)

BODY_S = 10.0
"""Within which a body has to be there."""
RETRY_S = 5
_TRACKER = files("dashboards") / "tracker" / "queuelight.js"
_TRACKER_CACHED_S = 3600
_PREFLIGHT_S = 7200
_BATCH_TYPES = frozenset({"application/json", "text/plain"})
_EVENT_TYPES = frozenset({
    "application/cloudevents+json", "application/cloudevents-batch+json", "application/json",
})  # fmt: skip
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Problem(msgspec.Struct, frozen=True):
    """The body of a refusal. `field`: where in the request, as "events[0].at"; "": the whole."""

    error: str
    field: str = ""


class Kept(msgspec.Struct, frozen=True):
    """The body of 202 where single events were refused."""

    refused: int
    error: str
    field: str


class _Answer(Exception):
    """An answer that ends a request, and what to count it as."""

    def __init__(
        self, status: int, outcome: str, problem: Problem | None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.outcome = outcome
        self.problem = problem
        self.headers = dict(headers or {})


class Collector:
    """The web application.

    Args:
        settings: limits.
        batches: what makes events of batches, and the sites it knows.
        events: what makes records of back ends' events.
        signatures: of back ends.
        delivery: where records are kept.
        metrics: where requests are counted.
        clock: monotonic seconds, for rates.
        now_ms: Unix ms.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        batches: Batches,
        events: BackendEvents,
        signatures: Signatures,
        delivery: Delivery,
        metrics: CollectorMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = wall_ms,
        body_s: float = BODY_S,
    ) -> None:
        self._settings = settings
        self._batches = batches
        self._events = events
        self._signatures = signatures
        self._delivery = delivery
        self._metrics = metrics
        self._clock = clock
        self._now_ms = now_ms
        self._body_s = body_s
        self._callers = Callers(settings.trusted_proxies)
        self._rates = Buckets(settings.requests_per_minute)
        self._origins = frozenset(origin for site in batches.sites.values() for origin in site.origins)
        self.app = Starlette(
            routes=[
                Route("/v1/web", _Endpoint(self._web, "POST", "OPTIONS")),
                Route("/v1/events", _Endpoint(self._backend, "POST")),
                Route("/queuelight.js", self._tracker),
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._delivery.start()
        try:
            yield
        finally:
            await self._delivery.close()

    # --- browsers ---------------------------------------------------------------------------------------------

    async def _web(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        cors = {"Vary": "Origin"}
        if origin.lower() in self._origins:
            cors["Access-Control-Allow-Origin"] = origin
            cors["Access-Control-Expose-Headers"] = "Retry-After"
        if scope["method"] == "OPTIONS":
            await self._preflight(cors, send)
            return
        await self._answer("web", self._take_batch(scope, headers, receive), cors, send)

    async def _preflight(self, cors: Mapping[str, str], send: Send) -> None:
        if "Access-Control-Allow-Origin" not in cors:
            await _say(send, 403, Problem("this origin is not allowed"), cors)
            return
        allowed = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "content-type",
            "Access-Control-Max-Age": str(_PREFLIGHT_S),
        }
        await _say(send, 204, None, {**cors, **allowed})

    async def _take_batch(self, scope: Scope, headers: Headers, receive: Receive) -> Kept | None:
        _check_request(headers, _BATCH_TYPES)
        self._check_rate(scope, headers)
        if headers.get("origin", "").lower() not in self._origins:
            raise _Answer(403, "not_an_origin", Problem("this origin is not allowed"))
        body = await self._body(headers, receive, self._settings.max_batch_bytes)
        batch = _batch_in(body)
        site = self._site(batch, headers)
        bot = is_bot(headers.get("user-agent", ""))
        taken = self._batches.taken(batch, site, self._now_ms(), bot=bot)
        if taken.refused:
            self._metrics.refused(each.reason for each in taken.refused)
            if not taken.records:
                raise _invalid(taken.refused[0])
        await self._delivery.keep(taken.records)
        self._metrics.kept(taken.types)
        if not taken.refused:
            return None
        first = taken.refused[0]
        return Kept(len(taken.refused), first.error, first.field)

    def _site(self, batch: WebBatch, headers: Headers) -> Site:
        site = self._batches.sites.get(batch.site)
        if site is None:
            raise _Answer(403, "not_a_site", Problem("there is no such site", "site"))
        if headers.get("origin", "").lower() not in site.origins:
            raise _Answer(403, "not_an_origin", Problem("this origin is not one of the site", "site"))
        return site

    def _check_rate(self, scope: Scope, headers: Headers) -> None:
        client = scope.get("client")
        forwarded = ",".join(headers.getlist("x-forwarded-for")) if self._settings.trusted_proxies else ""
        wait_s = self._rates.take(self._callers.of(client[0] if client else "", forwarded), self._clock())
        if wait_s > 0:
            retry = {"Retry-After": str(math.ceil(wait_s))}
            raise _Answer(429, "too_often", Problem("too many requests from this address"), retry)

    # --- back ends --------------------------------------------------------------------------------------------

    async def _backend(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        await self._answer("events", self._take_events(scope, headers, receive), {}, send)

    async def _take_events(self, scope: Scope, headers: Headers, receive: Receive) -> None:
        _check_request(headers, _EVENT_TYPES)
        if HEADER not in headers:
            raise _Answer(401, "not_signed", Problem(f"expected the header {HEADER}"))
        body = await self._body(headers, receive, self._settings.max_events_bytes)
        now_ms = self._now_ms()
        try:
            _, signed = self._signatures.check(headers[HEADER], body, now_ms // 1000)
        except NotSigned as error:
            raise _Answer(401, "not_signed", Problem(str(error))) from None
        if self._signatures.was_taken(signed):
            return
        taken = self._events.taken(body, now_ms)
        if isinstance(taken, Refused):
            self._metrics.refused([taken.reason])
            raise _invalid(taken)
        await self._delivery.keep(taken.records)
        self._signatures.take(signed, now_ms // 1000)
        self._metrics.kept(taken.types)

    # --- both -------------------------------------------------------------------------------------------------

    async def _answer(
        self, way: str, taking: Awaitable[Kept | None], headers: Mapping[str, str], send: Send
    ) -> None:
        """Say what became of a request."""
        try:
            kept = await taking
        except _Answer as answer:
            self._metrics.request(way, answer.outcome)
            await _say(send, answer.status, answer.problem, {**headers, **answer.headers})
        except SpoolFull as full:
            self._metrics.request(way, "full")
            log.debug("a request was not taken: %s", full)
            retry = {"Retry-After": str(RETRY_S)}
            await _say(send, 503, Problem("nothing can be kept just now"), {**headers, **retry})
        else:
            self._metrics.request(way, "taken")
            await _say(send, 202, kept, headers)

    async def _body(self, headers: Headers, receive: Receive, most: int) -> bytes:
        """The body, of bounded size and within bounded time."""
        too_large = _Answer(413, "too_large", Problem(f"expected at most {most} bytes"))
        said = headers.get("content-length", "")
        if said.isdigit() and int(said) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Answer(400, "cut_off", Problem("the request is not complete"))
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise _Answer(
                408, "cut_off", Problem("the body did not come in time"), {"Connection": "close"}
            ) from None
        if not body:
            raise _Answer(400, "empty", Problem("expected a body"))
        return bytes(body)

    # --- the rest ---------------------------------------------------------------------------------------------

    async def _tracker(self, request: Request) -> Response:
        path = Path(str(_TRACKER))
        if not path.is_file():
            return Response(status_code=404)
        headers = {
            "Cache-Control": f"public, max-age={_TRACKER_CACHED_S}",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "X-Content-Type-Options": "nosniff",
        }
        media_type = "text/javascript; charset=utf-8"
        said = FileResponse(path, stat_result=path.stat(), media_type=media_type, headers=headers)
        headers["ETag"] = said.headers["etag"]
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return said

    def live_problems(self) -> list[str]:
        """What only a restart can cure."""
        try:
            self._delivery.check()
        except Exception as error:
            return [f"events are not delivered any more: {error!r}"]
        return []

    def ready_problems(self) -> list[str]:
        """Why nothing should be sent here just now."""
        return [] if self._delivery.can_take else ["Kafka does not answer, and the spool is full"]

    async def _livez(self, request: Request) -> Response:
        return _health(self.live_problems())

    async def _readyz(self, request: Request) -> Response:
        return _health(self.live_problems() + self.ready_problems())


class _Endpoint:
    """A function of ASGI as an endpoint: without the objects for request and response, of which each costs time."""

    def __init__(self, answer: Callable[[Scope, Receive, Send], Awaitable[None]], *methods: str) -> None:
        self._answer = answer
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self._methods:
            await _say(send, 405, Problem("expected POST"), {"Allow": ", ".join(self._methods)})
            return
        await self._answer(scope, receive, send)


def _check_request(headers: Headers, types: frozenset[str]) -> None:
    """Refuse what is not what it should be before any of it is read."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise _Answer(415, "wrong_type", Problem(f"expected {' or '.join(sorted(types))}"))
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise _Answer(415, "wrong_type", Problem("expected a body that is not compressed"))


def _batch_in(body: bytes) -> WebBatch:
    try:
        return decode_batch(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Answer(400, "invalid", Problem(*where_wrong(error))) from None


def _invalid(refused: Refused) -> _Answer:
    return _Answer(400, "invalid", Problem(refused.error, refused.field))


async def _say(send: Send, status: int, body: msgspec.Struct | None, headers: Mapping[str, str]) -> None:
    content = b"" if body is None else msgspec.json.encode(body)
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    raw += _HEADERS
    if content:
        raw.append((b"content-type", b"application/json"))
    if status != 204:
        raw.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _health(problems: list[str]) -> Response:
    body = msgspec.json.encode({"status": "failing" if problems else "ok", "problems": problems})
    return Response(body, 503 if problems else 200, media_type="application/json")
