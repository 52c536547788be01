"""How fast does a worker catch up? Both stages, durable, with Redis and metrics, from a backlog of simulated events.

    python -m tests.benchmarks.backlog --events 600000 [--workers 1,2] [--rounds 3] [--json]

Every round feeds nothing anew: each run is an installation of its own that reads its own copy of the same events.
Measured from the moment the worker is restored until it is no longer behind on any topic, partial results included.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median

from agents.feed import Feed
from agents.simulate import plan_for
from streams.driver import Item
from streams.simulator import Simulation, encode
from tests.benchmarks.rig import Watched, servers, settings_for, until
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis

RATE = 1000.0
"""Events per second of event time."""


def measure(kafka: LocalKafka, redis: LocalRedis, events: int, workers: int, label: str) -> dict[str, float]:
    """One run: events per second and CPU per event."""
    settings = settings_for(kafka, redis, label)
    span_ms = round(events / RATE * 1000)
    start_ms = time.time_ns() // 1_000_000 - span_ms
    simulation = Simulation(settings.site, plan_for(settings.site, RATE), seed=7, keep_record=False)
    feed = Feed(settings, replay=False)
    for topic, key, event in simulation.events(start_ms, start_ms + span_ms):
        feed.send(Item(topic, key, encode(event)))
    feed.beat(start_ms + span_ms)
    feed.flush()
    watched = [Watched(settings, f"{label}-{number}") for number in range(workers)]
    try:
        for each in watched:
            each.member.start()
        started = until(lambda: all(w.is_restored() for w in watched), "restored", 60)
        cpu_s = sum(w.cpu_s() for w in watched)
        ended = until(lambda: all(w.is_ready() for w in watched), "caught up", 30 + events / 2000, 0.1)
        used_s = sum(w.cpu_s() for w in watched) - cpu_s
        seconds = ended - started
        return {
            "events": feed.sent,
            "seconds": round(seconds, 2),
            "events_per_s": round(feed.sent / seconds),
            "cpu_us_per_event": round(used_s / feed.sent * 1e6, 1),
            "rss_mb": round(max(w.rss_mb() for w in watched)),
        }
    finally:
        for each in watched:
            each.member.end()


def run(
    kafka: LocalKafka, redis: LocalRedis, events: int, workers: list[int], rounds: int
) -> dict[str, object]:
    """All runs, and their medians by number of workers."""
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in workers}
    for number in range(rounds):
        for count in workers:
            made = measure(kafka, redis, events, count, f"backlog-{count}-{number}-{time.time_ns() % 10**6}")
            print(f"round {number + 1} of {rounds}: {count} worker(s): {made}", file=sys.stderr, flush=True)
            runs[count].append(made)
    return {
        str(count): {key: median(each[key] for each in made) for key in made[0]} | {"runs": made}
        for count, made in runs.items()
    }


def main() -> int:
    """Measure how fast workers catch up with a backlog."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backlog", description=main.__doc__)
    parser.add_argument("--events", type=int, default=600_000, help="events in the backlog (default 600000)")
    parser.add_argument("--workers", default="1,2", help="how many workers, in turn (default 1,2)")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    with servers() as (kafka, redis):
        found = run(kafka, redis, args.events, [int(each) for each in args.workers.split(",")], args.rounds)
    print(
        json.dumps(found, indent=2)
        if args.json
        else "\n".join(f"{k} worker(s): {v}" for k, v in found.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
