"""How does a test own a real web site with the tracker on it, and a collector that keeps every byte?

Two origins (the site and the collector), each a server in a thread. Pages come under a strict Content Security Policy.
The collector decodes every batch as the real one does. Refuses to know what a test expects to arrive.
"""

import gzip
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import NamedTuple, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from schemas.web_batch import MOST_EVENTS, Happened, WebBatch, decode_batch
from tests.system.members import until

ROOT = Path(__file__).resolve().parents[2]
TRACKER = ROOT / "dashboards" / "tracker" / "queuelight.js"
PAGES = Path(__file__).with_name("site")
SITE_KEY = "shop_1"
MOST_BYTES = 5000
NO_ANSWER = 0
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
Kind = TypeVar("Kind", bound=Happened)


def gzipped_bytes() -> int:
    """What the tracker weighs on the wire, in bytes."""
    return len(gzip.compress(TRACKER.read_bytes(), 9, mtime=0))


class Request(NamedTuple):
    """One request as it arrived: all that left the browser."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def everything(self) -> bytes:
        """Address, headers and body."""
        head = "\n".join([self.path, *(f"{name}: {value}" for name, value in self.headers.items())])
        return head.encode() + b"\n\n" + self.body


class _Server:
    """An HTTP server in a thread. `requests`: what arrived, in this order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers.items()), body)
                status, headers, content = owner.answer(request)
                owner.requests.append(request)
                if status == NO_ANSWER:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                # A page that was left waits for no answer.
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_OPTIONS = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Collector(_Server):
    """Takes batches. `statuses`: what the next ones are answered instead of 202; `steady`: all after them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[WebBatch] = []
        """Those answered with 202."""
        self.refused: list[WebBatch] = []
        self.broken: list[str] = []
        """Why a batch was none."""
        self.statuses: list[int] = []
        self.steady = 202
        self.retry_after: str | None = None

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """As the real collector: a simple request needs no preflight, and its answer may be read."""
        headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
        if request.method != "POST" or request.path != "/v1/web":
            self.broken.append(f"{request.method} {request.path}")
            return 405, headers, b""
        try:
            batch = decode_batch(request.body)
        except msgspec.MsgspecError as error:
            self.broken.append(f"{error}: {request.body!r}")
            return 400, headers, json.dumps({"field": str(error)}).encode()
        if not request.headers.get("Content-Type", "").startswith("text/plain"):
            self.broken.append("a body that needs a preflight")
        status = self.statuses.pop(0) if self.statuses else self.steady
        (self.batches if status == 202 else self.refused).append(batch)
        if status != 202 and self.retry_after:
            headers["Retry-After"] = self.retry_after
        return status, headers, b""

    @property
    def events(self) -> list[Happened]:
        """What arrived, each once, in the order of arrival."""
        found = {(batch.visitor, event.id): event for batch in self.batches for event in batch.events}
        return list(found.values())

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Those of one kind, in the order of their happening."""
        found = [event for event in self.events if isinstance(event, kind)]
        return sorted(found, key=lambda event: event.at)

    def wait(self, kind: type[Kind], number: int = 1) -> list[Kind]:
        """Wait until so many of a kind are here; return them. More than that is an error."""
        until(lambda: len(self.of(kind)) >= number, f"{number} of {kind.__name__} in {self.events}", 15)
        found = self.of(kind)
        assert len(found) == number, found
        return found

    def wait_for(self, is_it: Callable[[], bool], what: str) -> None:
        """Wait for anything else."""
        until(is_it, what, 15)

    def check(self) -> None:
        """Every byte that came was a batch of this site, within its bounds."""
        assert not self.broken, self.broken
        for batch in self.batches + self.refused:
            assert batch.site == SITE_KEY
            assert len(batch.events) <= MOST_EVENTS
            assert all(event.at <= batch.sent for event in batch.events)


class WebSite(_Server):
    """Serves `site/`: `$collect` in a page is the collector's address, `$options` further words of its script tag.

    `/back` answers requests of the pages' scripts, `/broken-line` never; everything else is not found.
    """

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector
        self.options = ""
        self.collect: str | None = None
        """Where pages send to; null: to the collector."""

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """A page, a script, or an answer to one."""
        path = urlsplit(request.path).path
        if path == "/back":
            return 200, {}, b"{}"
        if path == "/favicon.ico":
            return 204, {}, b""
        if path == "/broken-line":
            return NO_ANSWER, {}, b""
        # Its own origin may collect, too.
        if path == "/v1/web":
            return self._collector.answer(request)
        file = TRACKER if path == "/queuelight.js" else PAGES / (path.strip("/") or "index.html")
        if not file.is_file():
            return 404, {}, b""
        text = file.read_text(encoding="utf-8")
        collect = self.collect or f"{self._collector.url}/v1/web"
        if file.suffix == ".html":
            text = Template(text).substitute(collect=collect, site=SITE_KEY, options=self.options)
        target = urlsplit(urljoin(self.url, collect))
        policy = (
            f"default-src 'none'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            f"connect-src 'self' {target.scheme}://{target.netloc}; require-trusted-types-for 'script'"
        )
        return 200, {"Content-Type": _TYPES[file.suffix], "Content-Security-Policy": policy}, text.encode()
