"""How fast are other stream processors at Queuelight's kind of work, on this machine, today?

    python -m tests.benchmarks.peers.run --events 300000 --rounds 3 [--only quix,bytewax] [--json]
    ... --also "ours=.venv/bin/python -m tests.benchmarks.ours"

Starts an Apache Kafka broker, fills one topic, runs every peer on it in turn and prints medians. It refuses to know
how a peer works (its own program says so) and how it is measured (`race.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import asdict
from functools import partial

from tests.benchmarks.peers import waits
from tests.benchmarks.peers.race import BrokerGone, Peer, Result, measure, stock_peers
from tests.system.local_kafka import LocalKafka
from tests.system.server_process import ServerError


def main() -> int:
    """Measure and print."""
    args = _parser().parse_args()
    try:
        peers = _chosen(args.only, args.also)
        _check_counts(args.events, args.rounds)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with LocalKafka() as kafka:
            print(f"filling {waits.TOPIC} with {args.events} events", file=sys.stderr)
            waits.fill(kafka.bootstrap, waits.TOPIC, args.events)
            results = measure(peers, kafka.bootstrap, waits.TOPIC, args.events, args.rounds)
    except (ServerError, BrokerGone) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_json(results, args.events) if args.json else as_table(results))
    return 1 if any(result.error for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers.run", description=main.__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="events in the topic (default 300000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each peer (default 3)")
    parser.add_argument("--only", default="", help="comma-separated names of peers (default: all)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND", help="one more peer")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser


def _check_counts(events: int, rounds: int) -> None:
    if events < 1 or rounds < 1:
        raise ValueError(f"--events and --rounds: expected at least 1, got {events} and {rounds}")


def _chosen(only: str, also: list[str]) -> list[Peer]:
    peers = {peer.name: peer for peer in stock_peers()}
    for given in also:
        name, equals, command = given.partition("=")
        if not equals or not command:
            raise ValueError(f"--also: expected NAME=COMMAND, got {given!r}")
        peers[name] = Peer(name, partial(shlex.split, command))
    names = only.split(",") if only else list(peers)
    unknown = [name for name in names if name not in peers]
    if unknown:
        raise ValueError(f"--only: unknown {', '.join(unknown)}; there are {', '.join(peers)}")
    return [peers[name] for name in names]


def as_json(results: list[Result], events: int) -> str:
    """One JSON document with the medians and every run."""
    machine = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
    peers = [_document(result) for result in results]
    return json.dumps({"work": waits.TOPIC, "events": events, "machine": machine, "peers": peers}, indent=2)


def _document(result: Result) -> dict[str, object]:
    if result.error is not None:
        return {"peer": result.peer, "error": result.error}
    return {
        "peer": result.peer,
        "version": result.runs[0].version,
        "events_per_s": asdict(result.events_per_s()),
        "cpu_us_per_event": asdict(result.cpu_us_per_event()),
        "cores": asdict(result.cores()),
        "peak_rss_mb": asdict(result.peak_rss_mb()),
        "runs": [asdict(run) for run in result.runs],
    }


def as_table(results: list[Result]) -> str:
    """A table for people, fastest first, errors last."""
    head = (
        f"{'':14} {'version':9} {'events/s':>9} {'min':>9} {'max':>9} {'us CPU/ev':>9} {'cores':>6} {'MB':>6}"
    )
    fine = [result for result in results if result.error is None]
    rows = [_row(result) for result in sorted(fine, key=lambda r: r.events_per_s().median, reverse=True)]
    errors = [f"{result.peer:14} error: {result.error}" for result in results if result.error is not None]
    return "\n".join([head, *rows, *errors])


def _row(result: Result) -> str:
    speed = result.events_per_s()
    return (
        f"{result.peer:14} {result.runs[0].version:9} {speed.median:9.0f} {speed.min:9.0f} {speed.max:9.0f} "
        f"{result.cpu_us_per_event().median:9.1f} {result.cores().median:6.2f} {result.peak_rss_mb().median:6.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
