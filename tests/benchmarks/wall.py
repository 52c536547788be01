"""How soon does a change on Redis reach a thousand browsers? One wallboard process, real Redis, clients in another.

    python -m tests.benchmarks.wall [--clients 1000] [--queues 20] [--per-s 1] [--deaf 100] [--seconds 20] [--json]

A writer publishes all queues `--per-s` times a second as a worker does; every client reads the stream and notes when a
frame came, how old its newest row was, and gaps in the sequence. `--deaf` clients connect and never read.
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
from typing import cast

import uvloop

from agents.snapshot_store import RedisSnapshots
from schemas.snapshots import QueueState
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
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
        self.deltas = 0

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
                self._take(found[1] == b"delta", int(found[2]), now_ms - int(found[3]))

    def _take(self, is_delta: bool, seq: int, delay_ms: int) -> None:
        if is_delta:
            self.deltas += 1
            self._seen.gaps += seq != self.seq + 1
            self._seen.delays_ms.append(delay_ms)
        elif self.seq >= 0:
            self._seen.resyncs += 1
        self.seq = seq


def listen(port: int, clients: int, seconds: float, pipe: multiprocessing.connection.Connection) -> None:
    """Be so many clients for so long."""

    async def run() -> None:
        seen = Seen()
        loop = asyncio.get_running_loop()
        readers = []
        for _ in range(clients):
            _, reader = await loop.create_connection(lambda: Reader(seen), "127.0.0.1", port)
            readers.append(reader)
        while min(reader.seq for reader in readers) < 0:
            await asyncio.sleep(0.1)  # what was there before them is not measured
        seen.delays_ms.clear()
        for each in readers:
            each.deltas = 0
        pipe.send("connected")
        await asyncio.sleep(seconds)
        patience_s = loop.time() + _DRAIN_S
        while len({reader.seq for reader in readers}) > 1 and loop.time() < patience_s:
            await asyncio.sleep(0.1)  # what is on its way is late, not lost
        counts = [reader.deltas for reader in readers]
        pipe.send((seen.delays_ms, seen.gaps, seen.resyncs, min(counts), max(counts)))

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
                target=listen, args=(port, clients, seconds + 2, theirs)
            )
            crowd.start()
            assert ours.recv() == "connected"
            cpu = _cpu_s(stat)
            began = time.monotonic()
            published = asyncio.run(publish(redis.url, rows, per_s, seconds))
            used_s, lasted_s = _cpu_s(stat) - cpu, time.monotonic() - began
            found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
            assert found is not None
            delays_ms, gaps, resyncs, fewest, most = ours.recv()
            crowd.join(10)
            began = time.monotonic()
            server.terminate()
            server.wait(30)
            ended_s = time.monotonic() - began
        finally:
            server.kill()
    cuts = quantiles(delays_ms, n=100)
    return {
        "clients": clients, "deaf": deaf, "queues": queues, "published": published, "frames": len(delays_ms),
        "fewest_frames": fewest, "most_frames": most, "gaps": gaps, "resyncs": resyncs, "p50_ms": cuts[49], "p99_ms": cuts[98],
        "max_ms": max(delays_ms), "cpu_share": round(used_s / lasted_s, 3),
        "cpu_ms_per_update": round(used_s / published * 1000, 1), "rss_mb": round(int(found[1]) / 1024),
        "sigterm_s": round(ended_s, 2),
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
    args = parser.parse_args()
    found = measure(args.clients, args.queues, args.per_s, args.deaf, args.seconds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
