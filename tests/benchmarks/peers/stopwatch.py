"""How does one peer program say what it measured, in the same words as all the others?

Every program of this folder is called with the same flags, measures the span from the first record that reached
its own code to the moment the last one is in its state, and says so in one JSON line on stdout. This module uses
the standard library only, because it is imported in the virtual environment of every peer. It refuses to know
Kafka, the systems measured, and whether their results are right: the harness checks those.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

WINDOW_MS = 10_000
IN_TARGET_MS = 20_000
# What a crash may cost is made equal too: everyone stores state and position at least this often.
DURABLE_EVERY_S = 2.0


@dataclass(frozen=True)
class Flags:
    """What every peer program is told."""

    broker: str
    topic: str
    partitions: int
    expected: int
    state_dir: Path

    @property
    def run_id(self) -> str:
        """A name that no other run has: group ids and topics made of it start from nothing."""
        return self.state_dir.name


def flags() -> Flags:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True, help="address of a Kafka broker, host:port")
    parser.add_argument("--topic", required=True, help="the topic to read from its earliest offset")
    parser.add_argument("--partitions", type=int, required=True, help="partitions of the topic")
    parser.add_argument("--expected", type=int, required=True, help="records in the topic")
    parser.add_argument("--state-dir", type=Path, required=True, help="empty folder for state and results")
    args = parser.parse_args()
    return Flags(args.broker, args.topic, args.partitions, args.expected, args.state_dir.resolve())


@dataclass(frozen=True)
class WindowResult:
    """One window of one queue. Of several results for the same window the last one holds."""

    queue: str
    start_ms: int
    count: int
    wait_ms: int
    within: int


def write_results(folder: Path, results: Iterable[WindowResult]) -> None:
    """Write the windows where the harness looks for them."""
    with (folder / "results.jsonl").open("w") as out:
        for r in results:
            out.write(json.dumps([r.queue, r.start_ms, r.count, r.wait_ms, r.within]) + "\n")


class Stopwatch:
    """Wall clock and CPU time of this process and its children, between two calls."""

    def __init__(self) -> None:
        self.running = False
        self._seconds = self._cpu_s = 0.0

    def start(self) -> None:
        """Note the first record."""
        self.running = True
        self._seconds, self._cpu_s = time.monotonic(), _cpu_seconds()

    def stop(self) -> None:
        """Note the last record."""
        self._seconds, self._cpu_s = time.monotonic() - self._seconds, _cpu_seconds() - self._cpu_s

    def report(self, peer: str, version: str, events: int) -> None:
        """Print what was measured, as one JSON line."""
        measured = {
            "peer": peer,
            "version": version,
            "events": events,
            "seconds": round(self._seconds, 4),
            "events_per_s": round(events / self._seconds, 1),
            "cpu_s": round(self._cpu_s, 4),
            "peak_rss_mb": round(_peak_rss_mb(), 1),
        }
        # Not sys.stdout: Faust's worker turns that one into log lines.
        print(json.dumps(measured), file=sys.__stdout__, flush=True)


def leave() -> NoReturn:
    """End at once: an orderly shutdown of a streaming system takes seconds and is not measured."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _cpu_seconds() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def _peak_rss_mb() -> float:
    # Not getrusage: its figure survives an exec, so a small program would be charged the size of its parent.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("expected a line VmHWM in /proc/self/status, found none")
