"""How many batches of browsers does a collector take, how soon is each acknowledged, and is everything in Kafka?

    python -m tests.benchmarks.collect [--rate 1500] [--seconds 20] [--json]

A process of its own sends batches of 10 events over connections that stay open, each at its time, whether or not earlier
ones were answered: latency is from that time to the answer. Kafka runs beside both. Lost: acknowledged, not in the topic.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import resource
import sys
import time
import urllib.request
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import msgspec
import uvloop

from agents.settings import Settings, load
from agents.settings.collector import CollectorSettings, SiteSettings
from schemas.topics import WEB
from tests.benchmarks.rig import cpu_s_of, percentile, until
from tests.system.local_kafka import LocalKafka
from tests.system.server_process import free_port
from tests.system.topic_ids import ids_in

EVENTS = 10
CONNECTIONS = 400
WARM_UP_S = 8.0
PARTITIONS = 4
_ORIGIN = "https://shop.example.com"
_PAGES = ("/", "/products/table-17", "/cart", "/help/returns", "/order/81234567", "/contact")


class Seen(msgspec.Struct):
    """What the generator saw: latencies in seconds, statuses, and its own share of a core."""

    latencies: list[float]
    statuses: dict[str, int]
    acknowledged: list[int]
    seconds: float
    cpu_share: float


class _Connection(asyncio.Protocol):
    """One kept-open connection with at most one request under way."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._at = 0.0
        self._number = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, at: float) -> None:
        assert self._transport is not None
        self._number, self._at = number, at
        self._transport.write(request(number))

    def data_received(self, data: bytes) -> None:
        self._sender.answered(self, self._number, self._at, data[9:12].decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._sender.lost += 1


class _Sender:
    """Sends each batch at its time, or as soon as a connection is free."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate = rate
        self._seconds = seconds
        self._free: deque[_Connection] = deque()
        self._due: deque[tuple[int, float]] = deque()
        self._from = 0.0
        self.lost = 0
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.acknowledged: list[int] = []

    async def run(self, port: int) -> Seen:
        """All of the load; what was seen after the warm-up."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, made = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(made)
        gc.freeze()
        begin = time.monotonic()
        self._from = begin + WARM_UP_S
        total, number, used_s = round(self._rate * (WARM_UP_S + self._seconds)), 0, 0.0
        while number < total:
            now = time.monotonic()
            if not used_s and now >= self._from:
                used_s = _own_cpu_s()
            while number < total and begin + number / self._rate <= now:
                self._due.append((number, begin + number / self._rate))
                number += 1
            self._send()
            await asyncio.sleep(max(0.0, begin + number / self._rate - time.monotonic()))
        spent_s = time.monotonic() - self._from
        cpu_share = (_own_cpu_s() - used_s) / spent_s
        deadline = time.monotonic() + 30
        while len(self._free) + self.lost < CONNECTIONS and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return Seen(self.latencies, dict(self.statuses), self.acknowledged, spent_s, cpu_share)

    def _send(self) -> None:
        while self._due and self._free:
            number, at = self._due.popleft()
            self._free.popleft().send(number, at)

    def answered(self, connection: _Connection, number: int, at: float, status: str) -> None:
        """A batch was answered: its connection is free again."""
        self.statuses[status] += 1
        if status == "202":
            self.acknowledged.append(number)
        if at >= self._from:
            self.latencies.append(time.monotonic() - at)
        self._free.append(connection)
        self._send()


def request(number: int) -> bytes:
    """One batch of a visitor among 20,000, as the tracker sends it."""
    now, page = time.time_ns() // 1_000_000, _PAGES[number % len(_PAGES)]
    url = f"{_ORIGIN}{page}?ref={number}"
    common = f'"view":"v{number}","url":"{url}"'
    kinds = ["view", "ping", "ping", "ping", "click", "ping", "ping", "click", "ping", "leave"]
    events = ",".join(
        f'{{"type":"{kind}","id":"{number}-{index}","at":{now - 900 + index * 100},{common}'
        + (',"x":120,"y":340,"target":"link"}' if kind == "click" else "}")
        for index, kind in enumerate(kinds)
    )
    body = f'{{"site":"shop","visitor":"visitor{number % 20_000}","sent":{now},"events":[{events}]}}'
    head = (
        f"POST /v1/web HTTP/1.1\r\nHost: collect.example.com\r\nOrigin: {_ORIGIN}\r\n"
        "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36\r\n"
        "Accept: */*\r\nAccept-Language: ja\r\nReferer: https://shop.example.com/\r\n"
        f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _generate(port: int, rate: float, seconds: float, out: Path) -> None:
    out.write_bytes(msgspec.json.encode(uvloop.run(_Sender(rate, seconds).run(port))))


def _collect(settings: Settings) -> None:
    from agents.cli_log import log_to_stderr
    from agents.collector.serve import run_collector

    log_to_stderr("warning")

    sys.exit(run_collector(settings))


def settings_for(kafka: LocalKafka, folder: Path) -> Settings:
    """A collector of one site, on free ports."""
    own = CollectorSettings(
        port=free_port(),
        metrics_port=free_port(),
        tenant_keys="a a-secret-of-the-benchmark",
        spool_folder=folder / "spool",
        requests_per_minute=10_000_000,
        sites=(SiteSettings(key="shop", origins=(_ORIGIN,)),),
    )
    flags = {"kafka.broker": kafka.bootstrap, "kafka.topic_prefix": f"collect-{time.time_ns() % 10**9}."}
    settings = load(None, flags)
    partitions = settings.kafka.model_copy(update={"partitions": PARTITIONS})
    return replace(settings, collector=own, kafka=partitions)


def measure(rate: float, seconds: float) -> dict[str, object]:
    """Batches per second, latencies (ms), shares of a core, and losses at a rate (batches per second)."""
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, LocalKafka() as kafka:
        settings = settings_for(kafka, Path(folder))
        topic = settings.kafka.topic_prefix + WEB
        kafka.create_topic(topic, PARTITIONS)
        collector = spawn.Process(target=_collect, args=(settings,), daemon=True)
        out = Path(folder) / "seen.json"
        sending = spawn.Process(
            target=_generate, args=(settings.collector.port, rate, seconds, out), daemon=True
        )
        collector.start()
        try:
            until(lambda: _is_ready(settings.collector.port), "ready", 30)
            assert collector.pid is not None
            sending.start()
            time.sleep(WARM_UP_S)
            began, used = time.monotonic(), (cpu_s_of(collector.pid), cpu_s_of(kafka.pid))
            time.sleep(seconds)
            spent = time.monotonic() - began
            after = (cpu_s_of(collector.pid), cpu_s_of(kafka.pid))
            sending.join(60)
            seen = msgspec.json.decode(out.read_bytes(), type=Seen)
        finally:
            for process in (sending, collector):
                if process.is_alive():
                    process.terminate()
                    process.join(20)
        stored = ids_in(kafka, topic)
    events = {f"{number}-{index}" for number in seen.acknowledged for index in range(EVENTS)}
    return {
        "rate": rate,
        "batches_per_s": round(len(seen.latencies) / seen.seconds, 1),
        "events_per_batch": EVENTS,
        "latency_p50_ms": round(percentile(seen.latencies, 0.5) * 1000, 1),
        "latency_p99_ms": round(percentile(seen.latencies, 0.99) * 1000, 1),
        "latency_max_ms": round(max(seen.latencies) * 1000, 1),
        "statuses": seen.statuses,
        "collector_cpu_share": round((after[0] - used[0]) / spent, 3),
        "kafka_cpu_share": round((after[1] - used[1]) / spent, 3),
        "generator_cpu_share": round(seen.cpu_share, 3),
        "acknowledged_events": len(events),
        "lost_events": len(events - {each.partition(".")[2] for each in stored}),
    }


def _is_ready(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def main() -> int:
    """Measure a collector."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.collect", description=main.__doc__)
    parser.add_argument("--rate", type=float, default=1500.0, help="batches per second (default 1500)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    found = measure(args.rate, args.seconds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:22} {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
