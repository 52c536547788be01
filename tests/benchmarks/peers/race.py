"""How fast is each peer at the same work on this machine, and is it right?

`measure` runs every peer in turn, round after round, so that all of them meet the same moods of the machine. A
peer is a command that takes the flags of `stopwatch.py`, prints its JSON line as the last such line on stdout and
writes `results.jsonl` into the folder it was given; to add one, say `Peer("ours", lambda: ["python", "-m", ...])`.
A run with wrong results is an error and has no figures. It refuses to know what a peer is made of.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.benchmarks.peers import waits
from tests.benchmarks.peers.installs import HERE, ROOT, InstallError, kafka_streams_classpath, python_of
from tests.system.server_process import ServerError, ServerProcess, program

_START_PATIENCE_S = 60.0
# Slower than this is reported as a failure, not waited for.
_SLOWEST_EVENTS_PER_S = 1_000.0
_GLANCE_S = 5.0


@dataclass(frozen=True)
class Peer:
    """One system: its name, and what gives its command, installing it first where that is needed."""

    name: str
    command: Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Run:
    """What one run measured."""

    version: str
    events: int
    seconds: float
    events_per_s: float
    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds."""

    median: float
    min: float
    max: float


@dataclass
class Result:
    """All runs of one peer; an error ends them, and what was measured before it does not count."""

    peer: str
    runs: list[Run] = field(default_factory=list)
    error: str | None = None

    def spread(self, figure: Callable[[Run], float]) -> Spread:
        """The median of a figure, with its least and greatest value."""
        values = [figure(run) for run in self.runs]
        return Spread(round(median(values), 2), round(min(values), 2), round(max(values), 2))

    def events_per_s(self) -> Spread:
        """How fast it was."""
        return self.spread(lambda run: run.events_per_s)

    def cpu_us_per_event(self) -> Spread:
        """What an event cost, on all cores together."""
        return self.spread(lambda run: run.cpu_s / run.events * 1e6)

    def cores(self) -> Spread:
        """How many cores it kept busy."""
        return self.spread(lambda run: run.cpu_s / run.seconds)

    def peak_rss_mb(self) -> Spread:
        """The greatest resident size it reached, start-up included."""
        return self.spread(lambda run: run.peak_rss_mb)


class RunError(RuntimeError):
    """A run that gave no figures: it crashed, it took too long, or its results are wrong."""


class BrokerGone(RuntimeError):
    """The broker died in the middle of it: no figure of anyone can be trusted."""


def stock_peers() -> list[Peer]:
    """The systems this project compares itself with."""
    python = [_python_peer(name) for name in ("faust", "quix", "bytewax", "pathway")]
    return [Peer("queuelight", _ours), *python, Peer("kafka-streams", _kafka_streams)]


def _ours() -> Sequence[str]:
    return [sys.executable, "-m", "tests.benchmarks.peers.ours_waits"]


def measure(peers: Sequence[Peer], broker: str, topic: str, events: int, rounds: int) -> list[Result]:
    """Run the peers in turn on a topic that `waits.fill(broker, topic, events)` has filled."""
    right = waits.expected(events)
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    results = [Result(peer.name) for peer in peers]
    for round_number in range(1, rounds + 1):
        for peer, result in zip(peers, results, strict=True):
            if result.error is not None:
                continue
            try:
                result.runs.append(_run(peer, broker, topic, events, right))
            except (RunError, InstallError, ServerError) as error:
                result.error = str(error)
            _tell(result, f"round {round_number} of {rounds}")
    return results


def _tell(result: Result, when: str) -> None:
    said = (
        f"{result.runs[-1].events_per_s:.0f} events/s" if result.error is None else f"error: {result.error}"
    )
    print(f"{when}: {result.peer}: {said}", file=sys.stderr, flush=True)


def _python_peer(name: str) -> Peer:
    def command() -> Sequence[str]:
        python = python_of(HERE / f"{name}_waits.txt")
        return [str(python), "-m", f"tests.benchmarks.peers.{name}_waits"]

    return Peer(name, command)


def _kafka_streams() -> Sequence[str]:
    java = program("java", "openjdk-17-jdk-headless")
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, "-Xms256m", "-Xmx768m", quiet, "-cp", kafka_streams_classpath(), "Waits"]


def _run(peer: Peer, broker: str, topic: str, events: int, right: dict[waits.Window, waits.Sums]) -> Run:
    command = list(peer.command())
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{peer.name}-"))
    told = ["--broker", broker, "--topic", topic, "--partitions", str(waits.PARTITIONS)]
    told += ["--expected", str(waits.records(events)), "--state-dir", str(folder)]
    log, patience_s = folder / "output.txt", _START_PATIENCE_S + events / _SLOWEST_EVENTS_PER_S
    try:
        _run_to_its_end([*command, *told], log, broker, patience_s)
        line = _last_json_line(log)
        wrong = waits.check(folder, right)
        if wrong is not None:
            raise RunError(f"its results are wrong: {wrong}")
        return Run(
            version=str(line["version"]),
            events=int(line["events"]),
            seconds=float(line["seconds"]),
            events_per_s=float(line["events_per_s"]),
            cpu_s=float(line["cpu_s"]),
            peak_rss_mb=float(line["peak_rss_mb"]),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _delete_topics_of(folder.name, broker)


def _run_to_its_end(command: list[str], log: Path, broker: str, patience_s: float) -> None:
    """Run the command, of whose processes nothing is left afterwards."""
    process = ServerProcess(Path(command[0]).name)
    process.start(command, log, cwd=ROOT, remove=log.parent)
    try:
        code = _exit_code(process, broker, patience_s)
    finally:
        process.end(signal.SIGKILL, patience_s=10)
    if code is None:
        raise RunError(f"did not end within {patience_s:.0f} s\n{_tail(log)}")
    if code != 0:
        raise RunError(f"ended with exit code {code}\n{_tail(log)}")


def _exit_code(process: ServerProcess, broker: str, patience_s: float) -> int | None:
    """The exit code, or None when patience runs out; a peer without a broker would wait for all of it."""
    host, port = broker.rsplit(":", 1)
    for _ in range(math.ceil(patience_s / _GLANCE_S)):
        code = process.wait(_GLANCE_S)
        if code is not None:
            return code
        try:
            socket.create_connection((host, int(port)), timeout=_GLANCE_S).close()
        except OSError as error:
            raise _broker_gone(broker) from error
    return None


def _broker_gone(broker: str) -> BrokerGone:
    return BrokerGone(f"the broker at {broker} no longer answers, so nothing more can be measured")


def _last_json_line(log: Path) -> dict[str, str | float]:
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if line.startswith('{"peer"'):
            found: dict[str, str | float] = json.loads(line)
            return found
    raise RunError(f"printed no JSON line\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip()


def _delete_topics_of(run_id: str, broker: str) -> None:
    """Delete changelogs and the like, so that the last peer meets the same broker as the first."""
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 2})
    try:
        mine = [name for name in admin.list_topics(timeout=10).topics if run_id in name]
        for deleted in admin.delete_topics(mine).values() if mine else ():
            deleted.result()
    except KafkaException as error:
        raise BrokerGone(
            f"the broker at {broker} no longer answers, so nothing more can be measured"
        ) from error
