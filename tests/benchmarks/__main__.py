"""What does Queuelight reach on this machine, today? All benchmarks in one run.

    python -m tests.benchmarks [--quick] [--json] [--check] [--only PART,PART]

`peers`: the same small work on our host and on other stream processors. `backlog`: both stages catching up, with one
worker and with two. `steady`: cost and latency at 5,000 events/s. `restart`: `kill -9` with 100,000 open contacts.
`wall`: from Redis to a thousand screens. `pixel`: from an event to the text on a page in Chromium, at 5,000 events/s.
`scrape`: a page of metrics of 500 queues, whether the stream feels it, and what Prometheus keeps of it.
`collect`: 1,500 batches/s of browsers through the collector, each answered once Kafka has it.
`tracker`: what a page load costs in Chromium. `web`: visitors followed by one worker, beside stock Faust.
`journeys`: are the right visitors and pages found, in simulated sites whose truth is known; half an hour without --quick.
Where results name targets, the ones that were missed are said in the end; with --check the exit code is then 1.
Compare ratios within one run, not figures of different machines or hours.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable

from tests.benchmarks import (
    backlog,
    collect,
    journeys,
    pixel,
    restart,
    scrape,
    steady,
    tracker,
    wall,
    web_pipeline,
)
from tests.benchmarks.peers import run as peers
from tests.benchmarks.peers import waits
from tests.benchmarks.peers.race import measure, stock_peers
from tests.benchmarks.rig import servers
from tests.benchmarks.targets import CHECK, exit_code
from tests.system.local_kafka import LocalKafka


def _peers(events: int, rounds: int) -> dict[str, object]:
    with LocalKafka() as kafka:
        print(f"filling {waits.TOPIC} with {events} events", file=sys.stderr, flush=True)
        waits.fill(kafka.bootstrap, waits.TOPIC, events)
        results = measure(stock_peers(), kafka.bootstrap, waits.TOPIC, events, rounds)
    print(peers.as_table(results), file=sys.stderr, flush=True)
    found: dict[str, object] = json.loads(peers.as_json(results, events))
    return found


def _backlog(events: int, rounds: int) -> dict[str, object]:
    with servers() as (kafka, redis):
        return backlog.run(kafka, redis, events, [1, 2], rounds, with_hostile=True)


def _steady(seconds: float) -> dict[str, object]:
    with servers() as (kafka, redis):
        return steady.measure(kafka, redis, 5000.0, seconds)


def _pixel(seconds: float) -> dict[str, object]:
    with servers() as (kafka, redis):
        return pixel.measure(kafka, redis, 5000.0, seconds)


def _restart(rounds: int) -> dict[str, object]:
    with servers() as (kafka, redis):
        return restart.measure(kafka, redis, 100_000, rounds)


def main() -> int:
    """Run all benchmarks."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round of everything, fewer events")
    parser.add_argument(
        "--only", metavar="PART,PART", help="which, separated by commas; default: all, in this order"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--check", action="store_true", help=CHECK)
    args = parser.parse_args()
    rounds = 1 if args.quick else 3
    parts: dict[str, Callable[[], dict[str, object]]] = {
        "peers": lambda: _peers(100_000 if args.quick else 300_000, rounds),
        "backlog": lambda: _backlog(150_000 if args.quick else 600_000, rounds),
        "steady": lambda: _steady(15 if args.quick else 30),
        "restart": lambda: _restart(rounds),
        "wall": lambda: wall.run(10 if args.quick else 30),
        "pixel": lambda: _pixel(20 if args.quick else 60),
        "scrape": scrape.measure,
        "collect": lambda: collect.measure(1500.0, 15 if args.quick else 30),
        "tracker": lambda: tracker.measure(10 if args.quick else 30),
        "web": lambda: dict(
            web_pipeline.measure(
                100_000 if args.quick else 400_000, 4000.0, 15 if args.quick else 60, rounds=rounds
            )
        ),
        "journeys": lambda: journeys.judged(args.quick),
    }
    asked = args.only.split(",") if args.only else list(parts)
    unknown = set(asked) - parts.keys()
    if unknown:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    found: dict[str, object] = {"machine": {"cores": os.cpu_count(), "python": sys.version.split()[0]}}
    for name in asked:
        print(f"--- {name}", file=sys.stderr, flush=True)
        found[name] = parts[name]()
        if not args.json and name != "peers":
            print(json.dumps({name: found[name]}, indent=2), flush=True)
    if args.json:
        print(json.dumps(found, indent=2))
    return exit_code(found, args.check)


if __name__ == "__main__":
    sys.exit(main())
