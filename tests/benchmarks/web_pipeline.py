"""How fast does a worker follow web visitors, how soon is a stuck one known, and what would stock Faust do?

    python -m tests.benchmarks.web_pipeline [--events 400000] [--rounds 3] [--rate 4000] [--seconds 30]
                                            [--only backlog,flags,faust] [--json]

`backlog`: events of a simulated web site, and of the contacts it causes, through one worker with everything it tells.
`flags`: the same site in real time; from the event that raises a flag (its time is when it is sent) to the message of
Redis that shows it. `faust`: a part of the same work (`peers/faust_web.py`) by a stock agent function with tables.
Of `backlog` and `faust` there are several rounds, in turn; the median counts. Compare ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import msgspec
import redis as redis_client
from pydantic import SecretStr

from agents.feed import Feed
from agents.journeys.store import visitor_keys
from agents.settings import Settings
from agents.simulate import web_plan_for
from schemas.journeys import VisitorNow
from schemas.topics import SOURCES, WEB
from streams.driver import Item
from streams.simulator import default_site, encode
from streams.simulator.web import WebSimulation
from streams.simulator.web_shop import default_web_site
from tests.benchmarks.rig import PARTITIONS, Watched, percentile, servers, settings_for, until
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis

PARTS = ("backlog", "flags", "faust")
MADE_PER_S = 5_000
"""Events the feeder surely makes in a second before it begins to send."""
BACKLOG_RATE = 500.0
"""Events per second of event time."""
MOST_LATE_S = 0.5
"""How far the feeder may be behind: beyond it there is nothing to be measured."""
THRESHOLD = 0.15
"""Of a stuck visitor: low, so that there are many flags with the model of day one."""
WARM_UP_S = 20.0
OPENED_MS = 180_000
"""How long before the first event sent the site has opened: until then it fills with people."""
_TOPICS = (*SOURCES, WEB)


class _Update(msgspec.Struct):
    snapshots: list[VisitorNow | None] = []


def installation(kafka: LocalKafka, redis: LocalRedis, name: str) -> Settings:
    """A centre of eight queues, the simulated web site's policy, and a key for customers."""
    site = default_site(8)
    policy = msgspec.structs.replace(default_web_site().policy(site.journeys), threshold=THRESHOLD)
    made = settings_for(kafka, redis, name, msgspec.structs.replace(site, name=name, journeys=policy))
    keys = SecretStr("1 a-key-for-benchmarks-only")
    return replace(made, collector=made.collector.model_copy(update={"tenant_keys": keys}))


def items_of(rate: float, start_ms: int, seconds: float) -> list[tuple[int, Item]]:
    """What the site sends in so many seconds, with the time of each; it has opened long before."""
    simulation = WebSimulation(default_web_site(), web_plan_for(rate), seed=7, keep_truth=False)
    sent = simulation.events(start_ms - OPENED_MS, start_ms + round(seconds * 1000))
    timed = ((round(event.time.timestamp() * 1000), topic, key, event) for topic, key, event in sent)
    return [
        (at_ms, Item(topic, key, encode(event))) for at_ms, topic, key, event in timed if at_ms >= start_ms
    ]


def backlog(kafka: LocalKafka, redis: LocalRedis, events: int) -> dict[str, object]:
    """Events per second of one worker that catches up."""
    settings = installation(kafka, redis, f"web-backlog-{time.time_ns() % 10**6}")
    seconds = events / BACKLOG_RATE
    start_ms = time.time_ns() // 1_000_000 - round(seconds * 1000)
    feed = Feed(settings, replay=False, topics=_TOPICS)
    for _, item in items_of(BACKLOG_RATE, start_ms, seconds):
        feed.send(item)
    feed.beat(start_ms + round(seconds * 1000))
    feed.flush()
    worker = Watched(settings, "backlog")
    try:
        worker.member.start()
        started = until(worker.is_restored, "restored", 60)
        cpu_s = worker.cpu_s()
        ended = until(worker.is_ready, "caught up", 60 + events / 2000, 0.05)
        return {
            "events": feed.sent,
            "seconds": round(ended - started, 2),
            "events_per_s": round(feed.sent / (ended - started)),
            "cpu_us_per_event": round((worker.cpu_s() - cpu_s) / feed.sent * 1e6, 1),
            "rss_mb": round(worker.rss_mb()),
        }
    finally:
        worker.member.end()


def _live(settings: Settings, rate: float, seconds: float, begun: Event) -> None:
    """Make all events first, then send each at its time."""
    start_ms = time.time_ns() // 1_000_000 + round(rate * (seconds + OPENED_MS / 1000) / MADE_PER_S * 1000)
    items = items_of(rate, start_ms, seconds)
    feed = Feed(settings, replay=False, topics=_TOPICS)
    beat_ms = 0
    for at_ms, item in items:
        while (ahead_s := at_ms / 1000 - time.time()) > 0:
            time.sleep(min(0.002, ahead_s))
        if begun.is_set() and ahead_s < -MOST_LATE_S:
            raise RuntimeError(
                f"the feeder is {-ahead_s:.1f} s behind: this machine cannot make {rate:.0f} events/s"
            )
        feed.send(item)
        begun.set()
        if at_ms >= beat_ms + 5000:
            beat_ms = at_ms
            feed.beat(at_ms)
    feed.flush()


def flags(kafka: LocalKafka, redis: LocalRedis, rate: float, seconds: float) -> dict[str, object]:
    """Milliseconds from the event that raises a flag to the first message of Redis that shows it."""
    settings = installation(kafka, redis, f"web-flags-{time.time_ns() % 10**6}")
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    feeder = spawn.Process(target=_live, args=(settings, rate, WARM_UP_S + seconds, begun), daemon=True)
    worker = Watched(settings, "flags")
    channel = redis_client.Redis.from_url(redis.url).pubsub()  # type: ignore[no-untyped-call]
    channel.subscribe(visitor_keys(settings.site.name)[3])
    decode = msgspec.json.Decoder(_Update).decode
    seen: set[str] = set()
    took: list[float] = []
    try:
        worker.member.start()
        until(worker.is_ready, "ready", 60)
        feeder.start()
        until(begun.is_set, "the first event", 300, 0.1)
        from_s = time.time() + WARM_UP_S
        records = cpu_s = 0.0
        while time.time() < from_s + seconds:
            if not cpu_s and time.time() >= from_s:
                records, cpu_s = worker.records(), worker.cpu_s()
            message = channel.get_message(ignore_subscribe_messages=True, timeout=0.2)
            if message is None:
                continue
            now_ms = time.time() * 1000
            for each in decode(message["data"]).snapshots:
                if each is not None and each.flag is not None and each.flag.id not in seen:
                    seen.add(each.flag.id)
                    if now_ms >= from_s * 1000:
                        took.append(now_ms - each.flag.raised_ms)
        if not feeder.is_alive() and feeder.exitcode:
            raise RuntimeError("the feeder has failed; its message is above")
        return {
            "rate": rate,
            "events_per_s": round((worker.records() - records) / seconds),
            "cpu_share": round((worker.cpu_s() - cpu_s) / seconds, 3),
            "rss_mb": round(worker.rss_mb()),
            "flags": len(took),
            "latency_p50_ms": round(percentile(took, 0.5)) if took else None,
            "latency_p90_ms": round(percentile(took, 0.9)) if took else None,
            "latency_p99_ms": round(percentile(took, 0.99)) if took else None,
            "within_1s": round(sum(each <= 1000 for each in took) / len(took), 3) if took else None,
        }
    finally:
        worker.member.end()
        if feeder.is_alive():
            feeder.kill()


def faust(kafka: LocalKafka, redis: LocalRedis, events: int) -> dict[str, object]:
    """Events per second of a stock agent function with tables."""
    settings = installation(kafka, redis, f"web-faust-{time.time_ns() % 10**6}")
    start_ms = time.time_ns() // 1_000_000 - round(events / BACKLOG_RATE * 1000)
    feed = Feed(settings, replay=False)
    sent = 0
    for _, item in items_of(BACKLOG_RATE, start_ms, events / BACKLOG_RATE):
        if item.topic == WEB:
            feed.send(item)
            sent += 1
    feed.flush()
    with tempfile.TemporaryDirectory(prefix="faust-web-") as folder:
        told = [
            *("--broker", kafka.bootstrap, "--topic", settings.kafka.topic_prefix + WEB),
            *("--partitions", str(PARTITIONS), "--expected", str(sent), "--state-dir", f"{folder}/run"),
        ]
        Path(folder, "run").mkdir()
        program = [sys.executable, "-m", "tests.benchmarks.peers.faust_web", *told]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60 + sent / 500)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"stock Faust said nothing of its speed: {done.stderr[-2000:]}")
    found: dict[str, object] = json.loads(lines[-1])
    return found


def measure(
    events: int, rate: float, seconds: float, parts: Sequence[str] = PARTS, rounds: int = 3
) -> dict[str, dict[str, object]]:
    """The parts asked for, and how many times the events per second of stock Faust ours are."""
    found: dict[str, dict[str, object]] = {}
    rates: dict[str, float] = {}
    with servers() as (kafka, redis):
        races = {
            "backlog": lambda: backlog(kafka, redis, events),
            "faust": lambda: faust(kafka, redis, min(events, 40_000)),
        }
        runs: dict[str, list[dict[str, object]]] = {name: [] for name in races if name in parts}
        for _ in range(rounds):
            for name, rounds_of in runs.items():
                rounds_of.append(races[name]())
        for name, rounds_of in runs.items():
            median = sorted(rounds_of, key=_events_per_s)[len(rounds_of) // 2]
            found[name] = median | {"rounds": [round(_events_per_s(each)) for each in rounds_of]}
            rates[name] = _events_per_s(median)
        if "flags" in parts:
            found["flags"] = flags(kafka, redis, rate, seconds)
    if len(rates) == len(races):
        found["ratio"] = {"ours_to_faust": round(rates["backlog"] / rates["faust"], 1)}
    return found


def _events_per_s(run: dict[str, object]) -> float:
    told = run["events_per_s"]
    assert isinstance(told, int | float)
    return told


def main() -> int:
    """Measure how web visitors are followed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.web_pipeline", description=main.__doc__)
    parser.add_argument("--events", type=int, default=400_000, help="events in the backlog (default 400000)")
    parser.add_argument("--rounds", type=int, default=3, help="of backlog and faust (default 3)")
    parser.add_argument("--rate", type=float, default=4000.0, help="events per second, live (default 4000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure (default 30)")
    parser.add_argument("--only", default=",".join(PARTS), help="which, separated by commas")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    only = args.only.split(",")
    if unknown := set(only) - set(PARTS):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    found = measure(args.events, args.rate, args.seconds, only, args.rounds)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
