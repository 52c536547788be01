"""Who answers `/metrics`, `/livez` and `/readyz`? A small HTTP server with threads of its own.

Scrapes are rendered in the server's threads, one at a time, so the worker's event loop never waits for them. Refuses
to know what is asked for: rendering and the judgement of health are passed in, and must be safe to call from a thread.
"""

import gzip
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from schemas.errors import SettingsError

log = logging.getLogger(__name__)

Render = Callable[[str], tuple[bytes, str]]
"""Accept header -> body, content type."""
Problems = Callable[[], list[str]]
"""What is wrong, in sentences; an empty list: nothing."""

MOST_REQUESTS = 8
_PATIENCE_S = 5.0
_GZIP_LEVEL = 1
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class MetricsServer:
    """Serves metrics and health on one address; inert until `start`.

    Args:
        render: makes the scrape for an Accept header.
        live: problems that only a restart of the process can cure.
        ready: reasons not to count on this process just now.
        host: address to bind; by default nobody outside this machine can ask.
        port: 0 takes a free one.
    """

    def __init__(
        self, render: Render, live: Problems, ready: Problems, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._render = render
        self._checks = {"/livez": live, "/readyz": ready}
        self._host = host
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._one_at_a_time = threading.Lock()

    def start(self) -> tuple[str, int]:
        """Bind, serve in threads from now on, and say where: (host, port).

        Raises:
            SettingsError: the address cannot be bound.
        """
        try:
            self._server = _Server(self._host, self._port, self)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise SettingsError(
                f"metrics address {where}: {error.strerror or error}; choose another port, or 0 for a free one"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.2},
            name="metrics-server",
            daemon=True,
        )
        self._thread.start()
        return self.address

    @property
    def address(self) -> tuple[str, int]:
        """Where the started server listens."""
        assert self._server is not None, "the server was not started"
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The address of the metrics, for people."""
        host, port = self.address
        return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"

    def stop(self) -> None:
        """Stop serving; requests under way may finish. Stopping twice is harmless."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE_S)
        self._server = self._thread = None

    def answer(self, path: str, accept: str, *, zipped: bool) -> tuple[int, str, bytes, bool]:
        """Status, content type, body of a path, and whether the body is compressed."""
        if path == "/metrics":
            with self._one_at_a_time:
                body, content_type = self._render(accept)
            return 200, content_type, gzip.compress(body, _GZIP_LEVEL) if zipped else body, zipped
        check = self._checks.get(path)
        if check is None:
            return 404, "text/plain; charset=utf-8", b"here are /metrics, /livez and /readyz\n", False
        problems = check()
        status = {"status": "failing" if problems else "ok", "problems": problems}
        body = json.dumps(status, ensure_ascii=False).encode() + b"\n"
        return 503 if problems else 200, "application/json", body, False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, host: str, port: int, metrics: MetricsServer) -> None:
        self.metrics = metrics
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse name look-up of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: object, client_address: object) -> None:
        """Give the request a thread, unless too many are at work already."""
        assert isinstance(request, socket.socket)
        if not self._free.acquire(blocking=False):
            with suppress(OSError):  # whoever asked may be gone
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve one request in its thread."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is nobody's problem; anything else is logged."""
        log.debug("a request for metrics failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_S
    server_version = "queuelight"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the headers only."""
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Refuse: there is nothing to change here."""
        self._send(405, "text/plain; charset=utf-8", b"only GET and HEAD\n", with_body=True)

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST  # noqa: N815  # the names are http.server's

    def _answer(self, *, with_body: bool) -> None:
        assert isinstance(self.server, _Server)
        zipped = "gzip" in self.headers.get("Accept-Encoding", "")
        path = self.path.partition("?")[0]
        try:
            answer = self.server.metrics.answer(path, self.headers.get("Accept", ""), zipped=zipped)
        except Exception:
            # The process goes on: a scrape that fails is visible as `up == 0` in Prometheus.
            log.exception("%s cannot be answered", path)
            self._send(
                500, "text/plain; charset=utf-8", b"see the log of this process\n", with_body=with_body
            )
            return
        status, content_type, body, is_zipped = answer
        self._send(status, content_type, body, with_body=with_body, zipped=is_zipped)

    def _send(
        self, status: int, content_type: str, body: bytes, *, with_body: bool, zipped: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # so it is called there
        """No line per scrape."""
