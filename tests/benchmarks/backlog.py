"""How fast does a worker catch up? Both stages, durable, with Redis and metrics, from a backlog of simulated events.

    python -m tests.benchmarks.backlog --events 600000 [--workers 1,2] [--hostile] [--rounds 3] [--json]

Every round feeds nothing anew: each run is an installation of its own that reads its own copy of the same events.
Measured from the moment the worker is restored until it is no longer behind on any topic, partial results included.
With `--hostile` each round has one more run, of one worker: the same events, every twentieth followed by a hostile
message, and 100,000 contacts under 100,000 queue names in between.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median

from agents.feed import Feed
from agents.simulate import plan_for
from schemas.events import ContactQueued, Queued
from schemas.topics import CALLS, PRESENCE
from streams.driver import Item
from streams.simulator import Simulation, encode
from tests.benchmarks.rig import Watched, servers, settings_for, until
from tests.scenarios.test_bad_input import GOOD, HOSTILE, HOSTILE_SIGNS
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis

RATE = 1000.0
"""Events per second of event time."""
HOSTILE_EVERY = 20
FLOOD = 100_000
"""Contacts under names of their own."""


def hostile(items: Iterator[Item], start_ms: int) -> Iterator[Item]:
    """The items, every twentieth followed by a hostile message, and the flood of names in between."""
    now = datetime.fromtimestamp(start_ms / 1000, UTC).isoformat()
    bad = [(CALLS, value) for value, _ in HOSTILE.values()]
    bad += [(PRESENCE, value) for value, _ in HOSTILE_SIGNS.values()]
    today = [(t, v.replace(str(GOOD["time"]).encode(), now.encode())) for t, v in bad if len(v) < 900_000]
    for number, item in enumerate(items):
        yield item
        if number % HOSTILE_EVERY == 0:
            topic, value = today[number // HOSTILE_EVERY % len(today)]
            yield Item(topic, f"bad-{number}", value)
        if number < FLOOD:
            name = f"flood-{number}"
            queued = Queued(contact_id=name, queue=name)
            event = ContactQueued(id=name, source="flood", time=datetime.fromisoformat(now), data=queued)
            yield Item(CALLS, name, encode(event))


def measure(
    kafka: LocalKafka, redis: LocalRedis, events: int, workers: int, label: str, *, is_hostile: bool = False
) -> dict[str, float]:
    """One run: events per second and CPU per event."""
    settings = settings_for(kafka, redis, label)
    span_ms = round(events / RATE * 1000)
    start_ms = time.time_ns() // 1_000_000 - span_ms
    simulation = Simulation(settings.site, plan_for(settings.site, RATE), seed=7, keep_record=False)
    feed = Feed(settings, replay=False)
    told = simulation.events(start_ms, start_ms + span_ms)
    items = (Item(topic, key, encode(event)) for topic, key, event in told)
    for item in hostile(items, start_ms) if is_hostile else items:
        feed.send(item)
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
    kafka: LocalKafka,
    redis: LocalRedis,
    events: int,
    workers: list[int],
    rounds: int,
    *,
    with_hostile: bool = False,
) -> dict[str, object]:
    """All runs, and their medians by number of workers and kind."""
    kinds = [(str(count), count, False) for count in workers] + [("1 hostile", 1, True)] * with_hostile
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind, _, _ in kinds}
    for number in range(rounds):
        for kind, count, is_hostile in kinds:
            label = f"backlog-{kind.replace(' ', '-')}-{number}-{time.time_ns() % 10**6}"
            made = measure(kafka, redis, events, count, label, is_hostile=is_hostile)
            print(f"round {number + 1} of {rounds}: {kind} worker(s): {made}", file=sys.stderr, flush=True)
            runs[kind].append(made)
    return {
        kind: {key: median(each[key] for each in made) for key in made[0]} | {"runs": made}
        for kind, made in runs.items()
    }


def main() -> int:
    """Measure how fast workers catch up with a backlog."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backlog", description=main.__doc__)
    parser.add_argument("--events", type=int, default=600_000, help="events in the backlog (default 600000)")
    parser.add_argument("--workers", default="1,2", help="how many workers, in turn (default 1,2)")
    parser.add_argument("--hostile", action="store_true", help="one more run a round, among hostile messages")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    with servers() as (kafka, redis):
        counts = [int(each) for each in args.workers.split(",")]
        found = run(kafka, redis, args.events, counts, args.rounds, with_hostile=args.hostile)
    print(
        json.dumps(found, indent=2)
        if args.json
        else "\n".join(f"{k} worker(s): {v}" for k, v in found.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
