"""How does a test run a collector in this process? A real server on a real socket; Kafka is a list, or away.

Refuses to know what is sent.
"""

from __future__ import annotations

import asyncio
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from agents.collector.delivery import Delivery
from agents.collector.metrics import CollectorMetrics
from agents.collector.records import Record
from agents.collector.serve import TYPES, answer_until, collector_of
from agents.collector.spool import Spool
from agents.journeys.customer_keys import CustomerKeys
from agents.settings import Settings
from agents.settings.collector import CollectorSettings, SiteSettings, SourceSettings
from agents.signing import signature
from agents.wallboard.serve import bound

ORIGIN = "https://shop.example.com"
OTHER = "https://news.example.com"
SECRET = "the secret of the shop"
BACKEND = "the secret of the back end"
KEYS = CustomerKeys([("a", "the secret of the tenant")])


class MemoryKafka:
    """Acknowledges at once; while it is away it says nothing, and fails what it had when told to.

    What it was sent while it was away, and did not fail, comes in before anything newer: so does an idempotent producer.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.is_away = False
        self._silent: list[tuple[Sequence[Record], Callable[[bool], None]]] = []

    def send(self, records: Sequence[Record], tell: Callable[[bool], None]) -> None:
        """Take records, or keep silent."""
        self._silent.append((records, tell))
        if self.is_away:
            return
        waiting, self._silent = self._silent, []
        for each, said in waiting:
            self.records.extend(each)
            asyncio.get_running_loop().call_soon(said, True)

    def fail(self) -> None:
        """Say of everything not acknowledged that it failed."""
        silent, self._silent = self._silent, []
        for _, tell in silent:
            tell(False)


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


def settings(**more: Any) -> CollectorSettings:
    """Two sites and a back end."""
    made: dict[str, Any] = {
        "tenant_keys": "a the-secret-of-the-tenant",
        "requests_per_minute": 100_000,
        "sites": (
            SiteSettings(key="shop", origins=(ORIGIN,), identify_secret=SECRET),
            SiteSettings(key="news", origins=(OTHER,)),
        ),
        "sources": (SourceSettings(name="crm", secret=BACKEND),),
    }
    return CollectorSettings(**(made | more))


class Running:
    """A collector on a port of this machine, in a thread of its own."""

    def __init__(
        self,
        folder: Path,
        own: CollectorSettings | None = None,
        *,
        body_s: float = 1.0,
        spool_bytes: int = 100_000,
    ) -> None:
        self.kafka = MemoryKafka()
        self.metrics = CollectorMetrics(TYPES)
        self.spool = Spool(folder, spool_bytes)
        self._settings = Settings(collector=own or settings())
        self._body_s = body_s
        self._listening = bound("127.0.0.1", 0)
        self.port: int = self._listening.getsockname()[1]
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failed = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.spool.open()
        delivery = Delivery(self.kafka, self.spool, self.metrics.acknowledged, patience_s=0.3)
        collector = collector_of(self._settings, KEYS, delivery, self.metrics, body_s=self._body_s)
        self._ready.set()
        await answer_until(collector, self._listening, self._ended)
        await self.spool.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self._failed is not None:
            raise self._failed

    # --- asked ------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Said:
        """Any request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, named, answer.read())
        finally:
            connection.close()

    def post(self, body: object, **headers: str) -> Said:
        """A batch; `headers` with "_" for "-" replace or, empty, take away what a browser sends."""
        sent = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8", "User-Agent": "Mozilla/5.0"}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/v1/web", raw, {name: value for name, value in sent.items() if value})

    def send(self, body: object, kind: str = "application/json", **signing: Any) -> Said:
        """Events of a back end; `signing`: secret, at_s, header."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        made = signature(
            signing.get("secret", BACKEND).encode(), signing.get("at_s", round(time.time())), raw
        )
        header = signing.get("header", made)
        headers = {"Content-Type": kind} | ({"X-Queuelight-Signature": header} if header else {})
        return self.ask("POST", "/v1/events", raw, headers)

    @property
    def values(self) -> list[dict[str, Any]]:
        """What is in Kafka."""
        return [json.loads(record.value) for record in self.kafka.records]


def now_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000


def seen(what_: str = "view", id_: str = "e1", **more: Any) -> dict[str, Any]:
    """Something that happened on the shop's first page."""
    return {"type": what_, "id": id_, "at": now_ms(), "view": "v1", "url": f"{ORIGIN}/cart/12345?x=1"} | more


def batch(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A batch of the shop; without events of one page view."""
    return {
        "site": "shop",
        "visitor": "browser1",
        "sent": now_ms(),
        "events": list(events) or [seen()],
    } | more


def identify(customer: str | None, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """A login, signed as the shop's server does."""
    made = None if customer is None else hmac.digest(secret.encode(), customer.encode(), "sha256").hex()
    return seen("identify", customer=customer, signature=made) | more
