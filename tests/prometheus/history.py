"""What would Prometheus remember of simulated days? What a worker would have answered to each scrape, made into blocks.

simulator -> driver -> snapshots -> `agents.exposition` -> OpenMetrics with times -> promtool -> a real Prometheus.

Gauges of queues, teams and site are what the pipeline says at that moment, to the last digit. The worker's own metrics
come from a `WorkerTruth` that is told what a host would tell it: what the sources saw, positions and records are the
pipeline's; there is no broker, so lag is always 0, and a record is said to come 120 ms late and to take 20 us. Refuses to know dashboards and
alerts; whoever has questions about them asks the Prometheus.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

from agents.exposition import Build, Exposition
from agents.worker_truth import WorkerTruth
from schemas.journeys import WebReport
from schemas.metrics import WINDOW_LABELS
from schemas.partials import SourceTruth
from schemas.snapshots import GroupSnapshot, Snapshot
from schemas.topics import PARTIALS, SOURCES
from streams.decode import unix_ms
from streams.driver import Driver, Item
from streams.simulator import Incident, Plan, Sent, Simulation, default_site, encode
from streams.site import Site
from streams.snapshot import glance
from tests.reports import report_through
from tests.system.local_prometheus import LocalPrometheus, Series, add_blocks

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")
_RECORD_S = 20e-6
_DELAY_MS = 120
_CHECKPOINT_EVERY_MS = 5000
_PARTITION = 0
"""One partition of every topic: the numbers do not depend on how many there are."""


class Span(NamedTuple):
    """Instants from `from_ms` (exclusive) to `to_ms` (inclusive), at the multiples of `step_s` seconds between them."""

    from_ms: int
    to_ms: int
    step_s: int

    def instants(self) -> Iterator[int]:
        """The instants in Unix ms."""
        step_ms = self.step_s * 1000
        return iter(range(self.from_ms - self.from_ms % step_ms + step_ms, self.to_ms + 1, step_ms))


class Worker:
    """A worker that owns everything, and the answers it gives; time is what it is told.

    Args:
        site: what was promised.
        events: in time order, as the simulator makes them.
        gone: {queue: Unix ms from which its row is not published any more}.
        windows: which windows are exported.
        with_truth: whether the worker speaks of itself, which costs more than a few queues do.
    """

    def __init__(
        self,
        site: Site,
        events: Iterable[Sent],
        gone: Mapping[str, int] | None = None,
        windows: Sequence[str] = WINDOW_LABELS,
        *,
        with_truth: bool = True,
    ) -> None:
        self._driver = Driver(site, partitions=1, live=True)
        self._events = iter(events)
        self._next: Sent | None = None
        self._gone = dict(gone or {})
        self._windows = tuple(windows)
        self._now_ms = 0
        self._rows: list[Snapshot] = []
        self._checkpoint_ms = 0
        self._positions = dict.fromkeys((*SOURCES, PARTIALS), 0)
        self.truth = WorkerTruth(self._positions, 0, sources=SOURCES, clock=lambda: self._now_ms / 1000)
        parts = [(topic, _PARTITION) for topic in self._positions]
        self.truth.assigned(parts)
        for topic in SOURCES:
            self.truth.source(topic, _PARTITION, SourceTruth())
        self.truth.restored(parts)
        build = Build("simulated", "history")
        truth, report = (self.truth, self._report) if with_truth else (None, None)
        self.exposition = Exposition(self, truth, build, windows, site, report)

    def snapshots(self) -> list[Snapshot]:
        """What is published now, for the exposition."""
        return self._rows

    def _report(self) -> WebReport:
        return report_through(self._now_ms)

    def scrape(self, at_ms: int) -> str:
        """Let time come to `at_ms` and answer a scrape, in OpenMetrics."""
        self._now_ms = at_ms
        self._driver.feed(self._due())
        self._driver.finish(at_ms)
        assert not self._driver.dead_letters, self._driver.dead_letters
        rows = (glance(state, *self._windows) for state in self._driver.states(at_ms))
        self._rows = [row for row in rows if self._is_published(row)]
        self._tell_truth()
        return self.exposition.render(OPENMETRICS)[0].decode()

    def _due(self) -> Iterator[Item]:
        for topic, key, event in chain([self._next] if self._next else [], self._events):
            at_ms = unix_ms(event.time)
            assert at_ms is not None
            if at_ms > self._now_ms:
                self._next = topic, key, event
                return
            self._positions[topic] += 1
            yield Item(topic, key, encode(event))
        self._next = None

    def _is_published(self, row: Snapshot) -> bool:
        return isinstance(row, GroupSnapshot) or self._now_ms < self._gone.get(row.queue, self._now_ms + 1)

    def _tell_truth(self) -> None:
        truth = self.truth
        for (topic, partition), seen in self._driver.truths().items():
            truth.source(topic, partition, seen)
            truth.heard(topic, [_DELAY_MS], self._now_ms)
        self._positions[PARTIALS] += len(self._rows)
        for topic, position in self._positions.items():
            records = position - truth.positions.get((topic, _PARTITION), 0)
            if records:
                truth.run(topic, _PARTITION, records, records * _RECORD_S, position)
            truth.lag(topic, _PARTITION, 0)
        truth.redis_writes("stored", len(self._rows))
        if self._now_ms >= self._checkpoint_ms + _CHECKPOINT_EVERY_MS:
            self._checkpoint_ms = self._now_ms
            for topic in self._positions:
                truth.checkpoint(topic, _PARTITION, 0.002)


def dated(
    worker: Worker, instants: Iterable[int], names: Collection[str] = (), labels: str = ""
) -> Iterator[str]:
    """The samples of scrapes as OpenMetrics with times, line by line; what each metric is, once.

    Args:
        worker: is asked at every instant (Unix ms), in time order.
        names: of the metrics to keep; none: all.
        labels: further label pairs for each sample, such as 'instance="a",job="b"', as Prometheus adds its target's.
    """
    known: set[str] = set()
    for at_ms in instants:
        end = f" {at_ms / 1000:.3f}\n"
        for line in worker.scrape(at_ms).splitlines():
            if line[0] == "#":
                if line not in known and line != "# EOF" and (not names or line.split(" ", 3)[2] in names):
                    known.add(line)
                    yield line + "\n"
            elif not names or line.partition("{")[0].partition(" ")[0] in names:
                yield (_labelled(line, labels) if labels else line) + end


def _labelled(line: str, labels: str) -> str:
    name, brace, rest = line.partition("{")
    if brace:
        return f"{name}{{{labels},{rest}"
    name, _, value = line.partition(" ")
    return f"{name}{{{labels}}} {value}"


class Rule(NamedTuple):
    """A rule as Prometheus read it. `for_s` and `keep_s` are those of alerts; both 0 for what is recorded."""

    is_alert: bool
    name: str
    expr: str
    labels: dict[str, str]
    for_s: float
    keep_s: float

    def reads(self) -> set[str]:
        """Every name in its expression: metrics, labels, functions."""
        return set(_NAME.findall(self.expr))


class History:
    """A Prometheus that remembers. The constructor does nothing; `start()` starts, and everything is in a folder of
    its own that `stop()` removes.

    Args:
        rule_files: the shipped rules, if their results are wanted: see `record`.
        lookback_s: how old a sample may be. Samples that were added end without the marker that a live Prometheus
            writes when a series vanishes: where one does, less than a step, and questions at the instants of spans.
    """

    def __init__(self, rule_files: Sequence[Path] = (), lookback_s: int = 300) -> None:
        listed = ", ".join(f"'{path.resolve()}'" for path in rule_files)
        self._prometheus = LocalPrometheus(
            f"global: {{scrape_interval: 15s, evaluation_interval: 15s}}\nrule_files: [{listed}]\n",
            lookback_s=lookback_s,
        )

    @property
    def url(self) -> str:
        """Where the Prometheus listens."""
        return self._prometheus.url

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self._prometheus.folder

    def add(self, lines: Iterator[str]) -> None:
        """Add samples (see `dated`); they are seen after the next start."""
        with tempfile.TemporaryDirectory(prefix="queuelight-history-") as work:
            add_blocks(lines, self._prometheus.blocks, Path(work))

    def copy_blocks(self, folder: Path) -> None:
        """Add the blocks of a folder, see `add_blocks`; they are seen after the next start."""
        shutil.copytree(folder, self._prometheus.blocks, dirs_exist_ok=True)

    def start(self) -> None:
        """Start the Prometheus on what was added; restart it if it runs."""
        self._prometheus.restart()

    def stop(self) -> None:
        """Stop it and forget everything."""
        self._prometheus.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def query(self, expr: str, at_ms: int) -> list[Series]:
        """The instant vector of an expression at a Unix time in ms."""
        return self._prometheus.query(expr, at_ms / 1000)

    def query_range(self, expr: str, span: Span) -> list[Series]:
        """The series of an expression at the instants of a span."""
        instants = list(span.instants())
        return self._prometheus.query_range(expr, instants[0] / 1000, instants[-1] / 1000, span.step_s)

    def rules(self) -> list[Rule]:
        """The rules of the files, in their order, as Prometheus understood them."""
        groups = cast("dict[str, list[dict[str, object]]]", self._prometheus.get("/api/v1/rules"))["groups"]
        return [_rule(each) for group in groups for each in cast("list[dict[str, object]]", group["rules"])]

    def record(self, spans: Sequence[Span], wanted: Callable[[Rule], bool] = lambda rule: True) -> None:
        """Add what the recording rules would have recorded at the instants of the spans; restarts the Prometheus.

        Evaluated by Prometheus in as many rounds as rules build on rules. Not by `promtool tsdb create-blocks-from
        rules`: that evaluates at an offset of each group's own, where `[15s]` misses scrapes a minute apart, and does
        not let a rule see what another of the same file has recorded.
        """
        left = [rule for rule in self.rules() if not rule.is_alert and wanted(rule)]
        while left:
            names = {rule.name for rule in left}
            ready = [rule for rule in left if not rule.reads() & names]
            assert ready, f"rules that build on each other in a circle: {sorted(names)}"
            self.add(chain.from_iterable(self._recorded(rule, span) for span in spans for rule in ready))
            self.start()
            left = [rule for rule in left if rule not in ready]

    def _recorded(self, rule: Rule, span: Span) -> Iterator[str]:
        for series in self.query_range(rule.expr, span):
            own = {name: value for name, value in series.labels.items() if name != "__name__"}
            pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in (own | rule.labels).items())
            for at_s, value in series.values.items():
                yield f"{rule.name}{{{pairs}}} {value!r} {at_s:.3f}\n"


def _rule(said: dict[str, object]) -> Rule:
    return Rule(
        is_alert=said["type"] == "alerting",
        name=str(said["name"]),
        expr=str(said["query"]),
        labels=cast("dict[str, str]", said.get("labels") or {}),
        for_s=float(cast("float", said.get("duration", 0.0))),
        keep_s=float(cast("float", said.get("keepFiringFor", 0.0))),
    )


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


# --- one day for tests ------------------------------------------------------------------------------------------------

EMPTY_QUEUE = "技術サポート"
"""Nobody calls and nobody serves it."""
GONE_QUEUE = "Sales (chat)"
"""Taken out of service half way through the day."""


class Day(NamedTuple):
    """A simulated business day in Tokyo and the Prometheus that remembers it.

    `by_minute` and `by_scrape`: its instants, a minute apart until the last half hour and 15 s apart in that;
    queries are best made at these. `rows`: the snapshots of the last instant.
    """

    history: History
    site: Site
    by_minute: Span
    by_scrape: Span
    gone_ms: int
    rows: list[Snapshot]

    @property
    def ends_ms(self) -> int:
        """The last instant, in Unix ms."""
        return self.by_scrape.to_ms


OPENS_MS = int(datetime.fromisoformat("2026-10-01T09:00:00+09:00").timestamp() * 1000)
_HOUR_MS = 3_600_000
_TARGET = 'instance="worker-1:9100",job="queuelight"'
_PLAN = Plan(
    contacts_per_s=0.06,
    queues=8,
    client_deaths_per_day=0.5,
    incidents=(
        Incident(after_s=2 * 3600.0, lasts_s=2400.0, staff_leaves=0.8, queues=("注文・配送",)),
        Incident(after_s=4 * 3600.0, lasts_s=5400.0, surge=3.0, queues=("返品・交換 (チャット)", "Billing")),
    ),
)


def simulated_day(history: History, hours: float = 6.0) -> Day:
    """Put a business day of nine queues from 9:00 into the history, and start it.

    Two incidents: at 11:00 the agents of 注文・配送 leave for 40 min, and from 13:00 two queues are called three times
    as often. `EMPTY_QUEUE` stays empty, `GONE_QUEUE` goes half way.
    """
    site = default_site(9)
    ends_ms = OPENS_MS + int(hours * _HOUR_MS)
    gone_ms = OPENS_MS + (ends_ms - OPENS_MS) // 2
    by_minute = Span(OPENS_MS, ends_ms - _HOUR_MS // 2, 60)
    by_scrape = Span(by_minute.to_ms, ends_ms, 15)
    events = Simulation(site, _PLAN, seed=6, keep_record=False).events(OPENS_MS, ends_ms)
    worker = Worker(site, events, {GONE_QUEUE: gone_ms})
    history.add(dated(worker, chain(by_minute.instants(), by_scrape.instants()), labels=_TARGET))
    history.start()
    return Day(history, site, by_minute, by_scrape, gone_ms, worker.snapshots())
