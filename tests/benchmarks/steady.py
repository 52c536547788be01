"""What does a steady load cost, and how soon is an event on the board?

    python -m tests.benchmarks.steady --rate 5000 --seconds 30 [--json]

A simulated centre of 200 queues runs in real time. The latency of a `contact.queued` is the time from the call that
produced it to the first message of Redis whose count of offered contacts of its queue includes it.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import sys
import time
from collections import Counter
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import redis as redis_client

from agents.feed import Feed
from agents.settings import Settings
from agents.simulate import plan_for
from agents.snapshot_store import keys_of
from schemas.counts import OFFERED
from streams.driver import Item
from streams.simulator import Simulation, encode
from streams.site import Site
from tests.benchmarks.rig import Watched, percentile, servers, settings_for, until
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis

WARM_UP_S = 60.0
MADE_PER_S = 8000
"""Events the feeder surely makes in a second before it begins to send."""


class _Data(msgspec.Struct):
    queue: str
    channel: str


class _Queued(msgspec.Struct):
    data: _Data


class _Snapshot(msgspec.Struct):
    row: str
    arrival: dict[str, dict[int, int]] = {}
    queue: str = ""
    channel: str = ""


class _Update(msgspec.Struct):
    snapshots: list[_Snapshot | None]


class _TimedFeed(Feed):
    """Notes when each contact was queued."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, replay=False)
        self.queued: list[tuple[str, float]] = []

    def send(self, item: Item) -> None:
        """Produce, and note the time before."""
        if b'"contact.queued"' in item.value[:40]:
            data = msgspec.json.decode(item.value, type=_Queued).data
            self.queued.append((f"{data.queue}/{data.channel}", time.monotonic()))
        super().send(item)


def _planned(site: Site, rate: float, seconds: float) -> float:
    """The long-term rate of a plan that after the warm-up really sends `rate` events per second.

    Contacts take minutes, so a centre that has just opened sends fewer events than later. A tenth of it tells the share.
    """
    simulation = Simulation(site, plan_for(site, rate / 10), seed=3, keep_record=False)
    start_ms, end_ms = 0, round((WARM_UP_S + seconds) * 1000)
    late = sum(e.time.timestamp() >= WARM_UP_S for _, _, e in simulation.events(start_ms, end_ms))
    return rate * (rate / 10 * seconds) / late


def _feed(settings: Settings, rate: float, seconds: float, out: Path, live: Event) -> None:
    """Make all events first, so that sending them costs little beside the worker; then send each at its time."""
    planned = _planned(settings.site, rate, seconds)
    simulation = Simulation(settings.site, plan_for(settings.site, planned), seed=3, keep_record=False)
    start_ms = time.time_ns() // 1_000_000 + round((WARM_UP_S + seconds) * rate / MADE_PER_S * 1000)
    end_ms = start_ms + round((WARM_UP_S + seconds) * 1000)
    items = [
        (e.time.timestamp() * 1000, Item(topic, key, encode(e)))
        for topic, key, e in simulation.events(start_ms, end_ms)
    ]
    gc.freeze()
    feed = _TimedFeed(settings)
    beat_ms = 0.0
    for at_ms, item in items:
        while (ahead_s := at_ms / 1000 - time.time()) > 0:
            time.sleep(min(0.002, ahead_s))
        if ahead_s < -1 and live.is_set():
            raise RuntimeError(
                f"the feeder is {-ahead_s:.1f} s behind: this machine cannot make {rate:.0f} events/s"
            )
        feed.send(item)
        if at_ms >= beat_ms + 5000:
            beat_ms = at_ms
            feed.beat(round(at_ms))
        if at_ms >= start_ms + WARM_UP_S * 1000 and not live.is_set():
            live.set()
    feed.flush()
    out.write_bytes(msgspec.json.encode(feed.queued))


def measure(kafka: LocalKafka, redis: LocalRedis, rate: float, seconds: float) -> dict[str, object]:
    """CPU (share of a core), latencies (ms), pauses (ms), memory (MB) at a steady rate (events per second)."""
    settings = settings_for(kafka, redis, f"steady-{time.time_ns() % 10**6}")
    worker = Watched(settings, "steady")
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "queued.json"
        live = spawn.Event()
        feeder = spawn.Process(target=_feed, args=(settings, rate, seconds + 10, out, live), daemon=True)
        worker.member.start()
        try:
            until(worker.is_ready, "ready", 60)
            feeder.start()
            until(live.is_set, "warm-up", 300, 0.1)
            until(worker.is_ready, "caught up", 20, 0.5)
            channel = redis_client.Redis.from_url(redis.url).pubsub()  # type: ignore[no-untyped-call]
            channel.subscribe(keys_of(settings.site.name)[3])
            seen = _watch(channel, worker, seconds)
            feeder.join(180)
        finally:
            worker.member.end()
            feeder.kill()
        queued = msgspec.json.decode(out.read_bytes(), type=list[tuple[str, float]])
    latencies = _latencies(queued, seen.pop("told"), float(seen["from"]), float(seen["to"]))  # type: ignore[arg-type]
    return {
        "rate": rate,
        "events_per_s": seen["events_per_s"],
        "cpu_share": seen["cpu_share"],
        "rss_mb": seen["rss_mb"],
        "contacts": len(latencies),
        "latency_p50_ms": round(percentile(latencies, 0.5) * 1000),
        "latency_p99_ms": round(percentile(latencies, 0.99) * 1000),
        "checkpoints": seen["checkpoints"],
        "pause_p99_below_ms": seen["pause_p99_below_ms"],
    }


def _records(worker: Watched) -> float:
    text = worker.page("/metrics")[1]
    lines = [line for line in text.splitlines() if line.startswith("queuelight_events_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _watch(channel: redis_client.client.PubSub, worker: Watched, seconds: float) -> dict[str, object]:
    decode = msgspec.json.Decoder(_Update).decode
    told: list[tuple[float, bytes]] = []
    records, pauses, cpu_s, begin = _records(worker), worker.pauses(), worker.cpu_s(), time.monotonic()
    while time.monotonic() < begin + seconds:
        message = channel.get_message(ignore_subscribe_messages=True, timeout=0.5)
        if message is not None:
            told.append((time.monotonic(), message["data"]))
    used_s, end = worker.cpu_s() - cpu_s, time.monotonic()
    after = worker.pauses()
    cuts = {edge: count - pauses.get(edge, 0) for edge, count in after.items()}
    total = max(cuts.values(), default=0)
    below = min((edge for edge, count in cuts.items() if count >= 0.99 * total), default=0.0)
    offered = [
        (at, f"{each.queue}/{each.channel}", each.arrival["day"].get(OFFERED, 0))
        for at, data in told
        for each in decode(data).snapshots
        if each is not None and each.row == "queue-state"
    ]
    return {
        "told": offered,
        "from": begin,
        "to": end,
        "events_per_s": round((_records(worker) - records) / (time.monotonic() - begin)),
        "cpu_share": round(used_s / (end - begin), 3),
        "rss_mb": round(worker.rss_mb()),
        "checkpoints": total,
        "pause_p99_below_ms": below * 1000,
    }


def _latencies(
    queued: list[tuple[str, float]], told: list[tuple[float, str, int]], begin: float, end: float
) -> list[float]:
    """For each contact queued well inside the span: until its queue's count of offered contacts included it."""
    published: dict[str, list[tuple[float, int]]] = {}
    for at, queue, offered in told:
        published.setdefault(queue, []).append((at, offered))
    ordinal: Counter[str] = Counter()
    out = []
    for queue, at in queued:
        ordinal[queue] += 1
        if begin + 1 <= at <= end - 2:
            seen = (when for when, offered in published.get(queue, ()) if offered >= ordinal[queue])
            when = next(seen, None)
            if when is not None:
                out.append(when - at)
            else:
                out.append(end - at)
    return out


def main() -> int:
    """Measure cost and latency of a steady load."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.steady", description=main.__doc__)
    parser.add_argument("--rate", type=float, default=5000.0, help="events per second (default 5000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure (default 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    with servers() as (kafka, redis):
        found = measure(kafka, redis, args.rate, args.seconds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:20} {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
