"""How does one run a real Alertmanager for tests, hear what it tells, and ask what it holds back?

One alertmanager on 127.0.0.1 with a given configuration, and an address that webhooks may be sent to. It refuses to
know rules and what messages mean.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.prometheus.shipped import PROMETHEUS
from tests.system.local_prometheus import HttpServer
from tests.system.prometheus_programs import installed


class LocalAlertmanager(HttpServer):
    """One Alertmanager, with its configuration as YAML."""

    name = "Alertmanager"
    word = "alertmanager"

    def __init__(self, config: str, data: Path | None = None, port: int | None = None) -> None:
        super().__init__(data, port, patience_s=30.0)
        self._config = config

    def _command(self) -> list[str]:
        config = self.folder / "alertmanager.yml"
        config.write_text(self._config, encoding="utf-8")
        return [
            installed().alertmanager,
            f"--config.file={config}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Everything that is firing, told or held back, as its API says it."""
        found = self._client.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        assert isinstance(found, list)
        return found

    def post(self, path: str, said: object) -> str:
        """Tell its API something; its answer."""
        return self._client.post(self.url + path, json=said).raise_for_status().text


def shipped_routes(listener: Listener) -> str:
    """The routes that the project ships, with the webhooks sent to a listener."""
    routes = (PROMETHEUS / "alertmanager.yml").read_text(encoding="utf-8")
    routes = routes.replace("127.0.0.1:9099", listener.address)
    return routes.replace("templates/*.tmpl", f"{PROMETHEUS}/templates/*.tmpl")


class Ring(NamedTuple):
    """One alert in one message: when it arrived (Unix seconds), whether it fires or is resolved, and what it is."""

    at_s: float
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Listener:
    """An address for webhooks that remembers what was sent to it, by path."""

    def __init__(self) -> None:
        self._rings: dict[str, list[Ring]] = {}
        listener = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener._heard(self.path, said)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *said: object) -> None:
                """Nothing: what was heard can be asked."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """As "127.0.0.1:port"."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def rings(self, path: str) -> list[Ring]:
        """What was sent to a path so far, in order."""
        return list(self._rings.get(path, ()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _heard(self, path: str, said: dict[str, Any]) -> None:
        rings = [
            Ring(time.time(), each["status"], each["labels"], each["annotations"]) for each in said["alerts"]
        ]
        self._rings.setdefault(path, []).extend(rings)
