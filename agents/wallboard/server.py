"""Who answers browsers? The page, snapshots, the streams, what stands behind a queue's numbers, journeys of customers.

Refuses to know what the numbers mean and where they come from: `agents.wallboard.hub` and its store do.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from importlib.resources import files
from typing import Protocol
from urllib.parse import quote

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from agents.drill_store import Behind
from agents.families import counter, gauge
from agents.journeys.customer_keys import CustomerKeys
from agents.journeys.store import MemoryJourneys
from agents.wall_clock import wall_ms
from agents.wallboard import drill, openapi
from agents.wallboard.alerts import AlertWatch
from agents.wallboard.config import BoardConfig
from agents.wallboard.frames import KEY_SEPARATOR, Ack
from agents.wallboard.guard import ASKER
from agents.wallboard.hub import Channel, Client, Hub, Journeys, Store, StoreDown
from agents.wallboard.journeys import Asker, Desk
from agents.wallboard.stores import MemoryVisitors
from agents.wallboard.stuck_stream import Listener, StuckWatch
from schemas.definitions import DEFINITIONS
from schemas.errors import InputError
from schemas.journeys import Reason
from schemas.partials import queue_row
from schemas.snapshots import encode_json
from streams.decode import is_clean
from streams.journeys.words import CODES, words

log = logging.getLogger(__name__)

RETRY_MS = 2000
_RETRY_AFTER = {"Retry-After": "2"}
PAGE = files("dashboards") / "wallboard"


class WholeStore(Store, Protocol):
    """A store that also knows what stands behind the numbers, and keeps acknowledgements."""

    async def behind(self, row: str) -> Behind:
        """What stands behind a row."""
        ...

    async def acknowledge(self, key: str, ack: Ack) -> None:
        """Keep who acknowledged a breach of a tile."""
        ...


class _Json(Response):
    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return encode_json(content)


class Wallboard:
    """The web application of the boards.

    Args:
        store: where the numbers are.
        boards: the boards by name.
        alerts: what fires; None: boards show no alerts.
        journeys: where visitors and customers are; None: there are none.
        keys: how customers are called; None: only pseudonyms are understood.
    """

    def __init__(
        self,
        store: WholeStore,
        boards: Mapping[str, BoardConfig],
        alerts: AlertWatch | None = None,
        journeys: Journeys | None = None,
        keys: CustomerKeys | None = None,
    ) -> None:
        self._store = store
        self._alerts = alerts or AlertWatch(None)
        self._running: asyncio.Task[None] | None = None
        journeys = journeys or MemoryVisitors(MemoryJourneys())
        self.hub = Hub(store, boards, journeys)
        self.desk = Desk(journeys, keys)
        self._stuck = StuckWatch(journeys, wall_ms)
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/livez", self._livez),
                Route("/metrics", self._metrics),
                Route("/api/v1/board", self._board),
                Route("/api/v1/stream", self._stream),
                Route("/api/v1/web", self._web),
                Route("/api/v1/journeys/{customer:path}", self._journey),
                Route("/api/v1/stuck/stream", self._stuck_stream),
                Route("/api/v1/alerts", self._firing),
                Route("/api/v1/words", self._words),
                Route("/api/v1/queues/{queue:path}/intervals.csv", self._intervals),
                Route("/api/v1/queues/{queue:path}", self._queue),
                Route("/api/v1/openapi.json", self._openapi),
                Route("/api/v1/acknowledgements", self._acknowledge, methods=["POST"]),
                Route("/assets-local/logo", self._logo),
                Mount("/assets", StaticFiles(directory=str(PAGE))),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._running = asyncio.create_task(self.hub.run())
        self._alerts.start()
        try:
            yield
        finally:
            self._alerts.stop()
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    def close(self) -> None:
        """End all streams, and begin no other."""
        self.hub.close()
        self._stuck.close()

    def check(self) -> None:
        """Raise what ended the hub: a board that is not brought up to date any more must not stay."""
        if self._running is not None and self._running.done():
            self._running.result()

    # --- answers ----------------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        return Response((PAGE / "index.html").read_bytes(), media_type="text/html; charset=utf-8")

    async def _logo(self, request: Request) -> Response:
        channel = self._channel(request)
        logo = None if channel is None else channel.board.logo_file
        if logo is None or not logo.is_file():
            return _problem(404, "this board has no logo")
        return FileResponse(logo)

    async def _livez(self, request: Request) -> Response:
        return _Json(openapi.Alive("ok"))

    def _channel(self, request: Request) -> Channel | None:
        return self.hub.channel(request.query_params.get("board", "default"))

    async def _board(self, request: Request) -> Response:
        channel = self._channel(request)
        return _no_board() if channel is None else _Json(channel.snapshot(wall_ms()))

    async def _stream(self, request: Request) -> Response:
        channel = self._channel(request)
        if channel is None:
            return _no_board()
        sees_web = request.query_params.get("web") == "1"
        web = await self.hub.web(channel.board) if sees_web else None
        client = Client(channel, sees_web=sees_web)
        if web is not None:
            client.offer_web(channel.web_event(web))
        return _Stream(channel, client)

    async def _web(self, request: Request) -> Response:
        channel = self._channel(request)
        return _no_board() if channel is None else _Json(await self.hub.web(channel.board))

    async def _journey(self, request: Request) -> Response:
        asker = request.scope.get(ASKER)
        if not isinstance(asker, Asker):
            return _problem(401, "a token of the scope journeys is needed")
        try:
            found = await self.desk.journey(request.path_params["customer"], _lang(request), asker, wall_ms())
        except InputError as error:
            return _problem(400, str(error))
        except StoreDown as error:
            log.warning("a journey could not be read: %s", error)
            self.desk.reads["failed"] += 1
            return _problem(503, "Redis does not answer")
        return _problem(404, "nothing is known of this customer") if found is None else _Json(found)

    async def _stuck_stream(self, request: Request) -> Response:
        if not isinstance(request.scope.get(ASKER), Asker):
            return _problem(401, "a token of the scope journeys is needed")
        return _StuckStream(self._stuck)

    async def _metrics(self, request: Request) -> Response:
        streams = sum(len(channel.clients) for channel in self.hub.channels()) + len(self._stuck)
        families = [
            counter("journey_reads_total", {(result,): n for result, n in self.desk.reads.items()}),
            gauge("wallboard_streams", {(): streams}),
        ]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(families))
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _firing(self, request: Request) -> Response:
        channel = self._channel(request)
        if channel is None:
            return _no_board()
        seen = self._alerts.seen(channel.board.shows)
        return Response(status_code=204) if seen is None else _Json(seen)

    async def _words(self, request: Request) -> Response:
        lang = _lang(request)
        measures = {
            name: openapi.Word(
                each.label(lang), each.label(lang, short=True), each.sentence(lang), each.formula, each.unit
            )
            for name, each in DEFINITIONS.items()
        }
        return _Json(openapi.Words(lang, measures, _reasons(lang)))

    async def _queue(self, request: Request) -> Response:
        found = await self._behind(request)
        return found if isinstance(found, Response) else _Json(found)

    async def _intervals(self, request: Request) -> Response:
        found = await self._behind(request)
        if isinstance(found, Response):
            return found
        name = quote(f"{found.queue}-{found.channel}.csv", safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(drill.as_csv(found.intervals), media_type="text/csv; charset=utf-8", headers=headers)

    async def _behind(self, request: Request) -> drill.QueueAnswer | Response:
        state = self.hub.row(request.path_params["queue"], request.query_params.get("channel"))
        if state is None:
            return _no_queue()
        try:
            behind = await self._store.behind(queue_row(state.queue, state.channel))
        except StoreDown as error:
            log.warning("what stands behind a queue could not be read: %s", error)
            return _problem(503, "Redis does not answer")
        return drill.answer(state, behind, wall_ms())

    async def _openapi(self, request: Request) -> Response:
        return _Json(openapi.document(version("queuelight")))

    async def _acknowledge(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return _problem(415, "expected application/json")
        try:
            asked = msgspec.json.decode(await request.body(), type=openapi.Acknowledgement)
        except msgspec.DecodeError as error:
            return _problem(400, str(error))
        ack = Ack(asked.by.strip(), wall_ms())
        if not ack.by or not is_clean(ack.by):
            return _problem(400, "expected a name without control characters")
        key = f"{asked.queue}{KEY_SEPARATOR}{asked.channel}"
        if self.hub.row(asked.queue, asked.channel) is None:
            return _no_queue()
        channel = self._channel(request)
        if channel is None or channel.needs_action(key) is False:
            return _problem(409, "this queue is not in breach: there is nothing to acknowledge")
        try:
            await self._store.acknowledge(key, ack)
        except StoreDown as error:
            log.warning("an acknowledgement could not be stored: %s", error)
            return _problem(503, "Redis does not answer; nothing was acknowledged")
        self.hub.wake()
        return _Json(ack)


class _EventStream(Response):
    """What streams have in common: no length, no cache, no buffer in between; they end when the client leaves.

    A frame is handed on without a task, a lock or a timer of its own: of a thousand clients each costs microseconds.
    Whoever does not read is the kernel's to let go (see `agents.wallboard.serve.bound`).
    """

    media_type = "text/event-stream"

    def __init__(self) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def _begun(self, scope: Scope, send: Send) -> bool:
        """Send the head; False: there is nothing more to send."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return False
        await send({"type": "http.response.body", "body": b"retry: %d\n\n" % RETRY_MS, "more_body": True})
        return True

    async def _sent(self, frames: AsyncIterator[bytes], send: Send) -> None:
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Stream(_EventStream):
    """Frames of a board as they come, until the client leaves or the hub ends the stream."""

    def __init__(self, channel: Channel, client: Client) -> None:
        self._channel = channel
        self._client = client
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._begun(scope, send):
            return
        self._channel.clients.add(self._client)
        leaving = asyncio.create_task(_end_when_left(receive, self._client))
        try:
            await self._sent(self._client.frames(), send)
        finally:
            self._channel.clients.discard(self._client)
            leaving.cancel()


class _StuckStream(_EventStream):
    """Who is stuck, and who is not any more, until the client leaves."""

    def __init__(self, watch: StuckWatch) -> None:
        self._watch = watch
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._begun(scope, send):
            return
        listener = self._watch.join()
        leaving = asyncio.create_task(_end_when_left(receive, listener))
        try:
            await self._sent(listener.events(), send)
        finally:
            self._watch.leave(listener)
            leaving.cancel()


class _Families(Collector):
    """Families that were made already."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Sequence[Family]:
        return self._families


async def _end_when_left(receive: Receive, client: Client | Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.end()


def _lang(request: Request) -> str:
    return "ja" if request.query_params.get("lang") == "ja" else "en"


def _reasons(lang: str) -> dict[str, str]:
    """What speaks for a contact, by code; a detail that only a visitor has is left open."""
    details = {"page": "…"}
    told = {code: words(Reason(code=code, log_odds=0.0, detail=details.get(code)), lang) for code in CODES}
    return {code: text.removesuffix("…").rstrip() for code, text in told.items()}


def _no_board() -> Response:
    return _problem(404, "there is no such board")


def _no_queue() -> Response:
    return _problem(404, "there is no such queue")


def _problem(status: int, detail: str) -> Response:
    headers = _RETRY_AFTER if status == 503 else None
    return _Json(openapi.Problem(status, detail), status, headers, "application/problem+json")
