"""How long is a worker away after `kill -9`, and how much memory does it take?

    python -m tests.benchmarks.restart --open 100000 [--rounds 3] [--json]

With many open contacts in 200 queues the worker is killed and started again under its name. Away: from the kill until
a contact that was queued after it is on Redis.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from datetime import UTC, datetime
from statistics import median

import redis as redis_client

from agents.feed import Feed
from agents.snapshot_store import keys_of
from schemas.counts import OFFERED
from schemas.events import ByAgent, ContactAnswered, ContactQueued, Queued
from schemas.partials import queue_row
from schemas.snapshots import QueueState, decode_state, encode_json
from schemas.topics import CALLS
from streams.driver import Item
from streams.snapshot import unpacked
from tests.benchmarks.rig import Watched, servers, settings_for, until
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis


def measure(kafka: LocalKafka, redis: LocalRedis, contacts: int, rounds: int) -> dict[str, object]:
    """Seconds away per round, and resident memory (MB) before and after."""
    settings = settings_for(kafka, redis, f"restart-{time.time_ns() % 10**6}")
    names = [name for name, policy in settings.site.queues.items() if policy.channel == "voice"]
    names += [f"extra {number}" for number in range(200 - len(names))]
    feed = Feed(settings, replay=False)

    def queued(number: int, queue: str) -> None:
        who = f"contact-{number:07d}"
        at = datetime.now(UTC)
        event = ContactQueued(id=f"{who}-q", source="bench", time=at, data=Queued(who, queue=queue))
        feed.send(Item(CALLS, who, encode_json(event)))

    def answered(number: int) -> None:
        who = f"contact-{number:07d}"
        data = ByAgent(who, agent_id=f"agent-{number}")
        event = ContactAnswered(id=f"{who}-a", source="bench", time=datetime.now(UTC), data=data)
        feed.send(Item(CALLS, who, encode_json(event)))

    for number in range(contacts):
        queued(number, names[number % len(names)])
    for number in range(contacts):
        if number % 20:
            answered(number)
    feed.flush()
    client = redis_client.Redis.from_url(redis.url)

    def offered() -> int:
        value = client.hget(keys_of(settings.site.name)[0], queue_row(names[0], "voice"))
        if not isinstance(value, bytes):
            return 0
        state = decode_state(value)
        assert isinstance(state, QueueState)
        return unpacked(state.arrival)["day"].get(OFFERED, 0)

    watched = Watched(settings, "restart")
    probes = 0
    away, memory = [], []
    expected = sum(1 for number in range(contacts) if number % len(names) == 0)
    try:
        watched.member.start()
        until(lambda: offered() == expected, "all counted", 120)
        for _ in range(rounds):
            until(watched.is_ready, "ready", 60)
            time.sleep(5)  # several checkpoints: what is measured is a worker in its stride
            memory.append(watched.rss_mb())
            begin = time.monotonic()
            watched.member.send(signal.SIGKILL)
            watched.member.start()
            queued(contacts + probes, names[0])
            feed.flush()
            probes += 1
            total = expected + probes
            away.append(until(lambda total=total: offered() == total, "back", 60) - begin)  # type: ignore[misc]
            print(f"away {away[-1]:.2f} s, {watched.rss_mb():.0f} MB", file=sys.stderr, flush=True)
        memory.append(watched.rss_mb())
    finally:
        watched.member.end()
    return {
        "open_contacts": contacts,
        "queues": len(names),
        "away_s": round(median(away), 2),
        "away_max_s": round(max(away), 2),
        "rss_mb": round(max(memory)),
    }


def main() -> int:
    """Measure how long a killed worker is away."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.restart", description=main.__doc__)
    parser.add_argument("--open", type=int, default=100_000, help="open contacts (default 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="kills (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    with servers() as (kafka, redis):
        found = measure(kafka, redis, args.open, args.rounds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:20} {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
