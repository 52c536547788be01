"""What does a steady load cost, and how soon is an event on the board?

    python -m tests.benchmarks.steady --rate 5000 --seconds 30 [--json]

A simulated centre of 200 queues runs in real time. The latency of a `contact.queued` is the time from the call that
produced it to the first message of Redis whose count of offered contacts of its queue includes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

import msgspec
import redis as redis_client

from agents.snapshot_store import keys_of
from schemas.counts import OFFERED
from tests.benchmarks.load import loaded
from tests.benchmarks.rig import Watched, percentile, servers, settings_for
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis


class _Snapshot(msgspec.Struct):
    row: str
    event: dict[str, dict[int, int]] = {}
    queue: str = ""
    channel: str = ""


class _Update(msgspec.Struct):
    snapshots: list[_Snapshot | None]


def measure(kafka: LocalKafka, redis: LocalRedis, rate: float, seconds: float) -> dict[str, object]:
    """CPU (share of a core), latencies (ms), pauses (ms), memory (MB) at a steady rate (events per second)."""
    settings = settings_for(kafka, redis, f"steady-{time.time_ns() % 10**6}")
    with loaded(settings, rate, seconds, spare_s=10) as load:
        channel = redis_client.Redis.from_url(redis.url).pubsub()  # type: ignore[no-untyped-call]
        channel.subscribe(keys_of(settings.site.name)[3])
        seen = _watch(channel, load.worker, seconds)
        queued = load.queued()
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


def _watch(channel: redis_client.client.PubSub, worker: Watched, seconds: float) -> dict[str, object]:
    decode = msgspec.json.Decoder(_Update).decode
    told: list[tuple[float, bytes]] = []
    records, pauses, cpu_s, begin = worker.records(), worker.pauses(), worker.cpu_s(), time.monotonic()
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
        (at, f"{each.queue}/{each.channel}", each.event.get("day", {}).get(OFFERED, 0))
        for at, data in told
        for each in decode(data).snapshots
        if each is not None and each.row == "queue-state"
    ]
    return {
        "told": offered,
        "from": begin,
        "to": end,
        "events_per_s": round((worker.records() - records) / (time.monotonic() - begin)),
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
