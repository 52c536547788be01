"""How soon does a change on Redis reach a thousand browsers? One wallboard process, real Redis, clients in another.

    python -m tests.benchmarks.wall [--clients 1000] [--queues 20] [--per-s 1] [--deaf 100] [--seconds 20] [--json] [--check]

A writer publishes all queues `--per-s` times a second as a worker does; every client reads the stream and notes when a
frame came, how old its newest row was, and gaps in the sequence. `--deaf` clients connect and never read. In the end the
process is told to leave while all of them are connected: `sigterm_s` is until it has, and the clients say how their
streams ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple, cast

import uvloop

from agents.snapshot_store import RedisSnapshots
from schemas.snapshots import QueueState
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from tests.benchmarks.targets import CHECK, exit_code
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.system.server_process import free_port

_TOML = """
[site]
name = "wall"
[redis]
url = "{}"
[wallboard.access]
requests_per_minute = 1000000
streams_per_address = 100000
"""
_FRAME = re.compile(rb'event: (delta|snapshot)\nid: (\d+)\ndata: .*?"as_of":(\d+)', re.DOTALL)
_REQUEST = b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_DRAIN_S = 10.0
_END_PATIENCE_S = 40.0
_LAST_CHUNK = b"\r\n0\r\n\r\n"
P99_MS, RSS_MB, SIGTERM_S = 100, 150, 2
"""What is to be reached: of the delays, of the memory at its peak, and from SIGTERM to the end of the process."""


def states(queues: int) -> list[QueueState]:
    """What a worker would publish of so many queues."""
    site = default_site(queues)
    driver = Driver(site, 1)
    simulation = Simulation(site, with_events_per_s(site, Plan(flat=True), 20.0), 3, keep_record=False)
    now_ms = time.time_ns() // 1_000_000
    told = simulation.events(now_ms - 600_000, now_ms)
    driver.feed(Item(topic, key, encode(event)) for topic, key, event in told)
    driver.finish(now_ms)
    return [state for state in driver.states() if isinstance(state, QueueState)]


async def publish(url: str, rows: list[QueueState], per_s: float, seconds: float) -> int:
    """Publish all rows again and again; return how often."""
    store = RedisSnapshots(url, "wall")
    running = asyncio.create_task(store.run())
    began, times = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        times += 1
        now_ms = time.time_ns() // 1_000_000
        for row in rows:
            row.published_ms, row.position, row.waiting = now_ms, now_ms, times % 50
        store.offer(rows)
        await asyncio.sleep(max(0.0, began + times / per_s - time.monotonic()))
    running.cancel()
    await store.close()
    return times


class Seen:
    """What all clients of a process noticed."""

    def __init__(self) -> None:
        self.delays_ms: list[int] = []
        self.gaps = 0
        """Deltas whose number was not the next one."""
        self.resyncs = 0
        """Snapshots in place of frames that a client was too slow for."""


class Reader(asyncio.Protocol):
    """One client of the stream, that looks only at what it needs."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._parts: list[bytes] = []
        self.seq = -1
        self.as_of_ms = 0
        self.deltas = 0
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether the stream ended in order, once it has."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        if b"\n\n" not in data:
            self._parts.append(data)
            return
        now_ms = time.time_ns() // 1_000_000
        *frames, rest = b"".join([*self._parts, data]).split(b"\n\n")
        self._parts = [rest]
        for frame in frames:
            found = _FRAME.search(frame, 0, 400)
            if found is not None:
                self.as_of_ms = int(found[3])
                self._take(found[1] == b"delta", int(found[2]), now_ms - self.as_of_ms)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc is None and b"".join(self._parts).endswith(_LAST_CHUNK))

    def _take(self, is_delta: bool, seq: int, delay_ms: int) -> None:
        if is_delta:
            self.deltas += 1
            self._seen.gaps += seq != self.seq + 1
            self._seen.delays_ms.append(delay_ms)
        elif self.seq >= 0:
            self._seen.resyncs += 1
        self.seq = seq


class Heard(NamedTuple):
    """What a process of clients says when they have had time for everything that was published."""

    seen: Seen
    fewest: int
    most: int
    behind: int
    """Clients that do not have what was published last."""
    still_open: int


def listen(port: int, clients: int, pipe: multiprocessing.connection.Connection) -> None:
    """Be so many clients, until they have what the pipe says was published last, and then until their streams end.

    Says "connected", then a `Heard`, then of how many streams the end came in order.
    """

    async def run() -> None:
        seen = Seen()
        loop = asyncio.get_running_loop()
        readers = []
        for _ in range(clients):
            _, reader = await loop.create_connection(lambda: Reader(seen), "127.0.0.1", port)
            readers.append(reader)
        while min(reader.seq for reader in readers) < 0:
            if any(reader.ended.done() for reader in readers):
                raise RuntimeError("expected streams, saw one end before its first frame")
            await asyncio.sleep(0.1)  # what was there before them is not measured
        seen.delays_ms.clear()
        for each in readers:
            each.deltas = 0
        pipe.send("connected")
        last_ms = await asyncio.to_thread(pipe.recv)
        patience_s = loop.time() + _DRAIN_S
        while min(reader.as_of_ms for reader in readers) < last_ms and loop.time() < patience_s:
            await asyncio.sleep(0.1)  # what is on its way is late, not lost
        counts = [reader.deltas for reader in readers]
        behind = sum(reader.as_of_ms < last_ms for reader in readers)
        still_open = sum(not reader.ended.done() for reader in readers)
        pipe.send(Heard(seen, min(counts), max(counts), behind, still_open))
        ended, _ = await asyncio.wait([reader.ended for reader in readers], timeout=_END_PATIENCE_S)
        pipe.send(sum(each.result() for each in ended))

    uvloop.run(run())


def measure(clients: int, queues: int, per_s: float, deaf: int, seconds: float) -> dict[str, object]:
    """One run."""
    rows = states(queues)
    port = free_port()
    with LocalRedis() as redis, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "wall.toml"
        config.write_text(_TOML.format(redis.url))
        asyncio.run(publish(redis.url, rows, 10, 0.2))
        program = [
            Path(sys.executable).with_name("queuelight"),
            "wallboard",
            "--config",
            config,
            "--port",
            str(port),
        ]
        server = subprocess.Popen([str(word) for word in program], stderr=subprocess.DEVNULL)
        try:
            until(lambda: _answers(port), "the wallboard answers")
            status = Path(f"/proc/{server.pid}/status")
            stat = Path(f"/proc/{server.pid}/stat")
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(deaf)]
            for each in silent:
                each.sendall(_REQUEST)
            ours, theirs = multiprocessing.Pipe()
            crowd = multiprocessing.get_context("spawn").Process(
                target=listen, args=(port, clients, theirs), daemon=True
            )
            crowd.start()
            theirs.close()  # should the crowd die, nobody waits for it
            assert ours.recv() == "connected"
            cpu = _cpu_s(stat)
            began = time.monotonic()
            published = asyncio.run(publish(redis.url, rows, per_s, seconds))
            used_s, lasted_s = _cpu_s(stat) - cpu, time.monotonic() - began
            found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
            assert found is not None
            rss_mb = int(found[1]) / 1024
            ours.send(rows[0].published_ms)
            heard: Heard = ours.recv()
            began = time.monotonic()
            server.terminate()
            server.wait(30)
            ended_s = time.monotonic() - began
            in_order: int = ours.recv()
            crowd.join(10)
        finally:
            server.kill()
    seen = heard.seen
    cuts = quantiles(seen.delays_ms, n=100)
    return {
        "clients": clients, "deaf": deaf, "queues": queues, "published": published, "frames": len(seen.delays_ms),
        "fewest_frames": heard.fewest, "most_frames": heard.most, "gaps": seen.gaps, "resyncs": seen.resyncs,
        "behind": heard.behind, "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(seen.delays_ms),
        "cpu_share": round(used_s / lasted_s, 3), "cpu_ms_per_update": round(used_s / published * 1000, 1),
        "rss_mb": round(rss_mb), "open_at_sigterm": heard.still_open, "ended_in_order": in_order,
        "sigterm_s": round(ended_s, 2),
        "targets": {
            f"p99_ms <= {P99_MS}": cuts[98] <= P99_MS,
            "no gaps": seen.gaps == heard.behind == 0,
            f"rss_mb < {RSS_MB}": rss_mb < RSS_MB,
            f"sigterm_s <= {SIGTERM_S}": ended_s <= SIGTERM_S,
            "all streams end in order, and none before": heard.still_open == in_order == clients,
        },
    }  # fmt: skip


def run(seconds: float) -> dict[str, object]:
    """A floor of screens with few queues, and many queues on fewer screens."""
    return {
        "1000 screens, 20 queues, 1/s": measure(1000, 20, 1.0, 100, seconds),
        "200 screens, 200 queues, 2/s": measure(200, 200, 2.0, 100, seconds),
    }


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _cpu_s(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure how soon a change on Redis reaches browsers."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.wall", description=main.__doc__)
    parser.add_argument("--clients", type=int, default=1000, help="streams that are read (default 1000)")
    parser.add_argument("--queues", type=int, default=20, help="queues on the board (default 20)")
    parser.add_argument("--per-s", type=float, default=1.0, help="publications a second (default 1)")
    parser.add_argument("--deaf", type=int, default=100, help="streams that are never read (default 100)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long (default 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help=CHECK)
    args = parser.parse_args()
    found = measure(args.clients, args.queues, args.per_s, args.deaf, args.seconds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return exit_code(found, args.check)


if __name__ == "__main__":
    sys.exit(main())
