"""What does Prometheus read? The declared metrics, from the newest snapshots of owned rows and one worker's truth.

Everything per queue (about 200 series each) is written by filling one prepared text per queue, ten times cheaper than
sample objects; the rest, and the reference that tests compare with, goes through prometheus_client. Refuses to know
HTTP: `agents.metrics_server` does that. No timestamps on samples: they would switch off Prometheus' staleness.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from agents.worker_truth import Histogram, WorkerTruth
from schemas.events import AGENT_STATES
from schemas.metrics import (
    METRICS,
    PREFIX,
    QUEUE_METRICS,
    VARIANTS,
    WINDOW_COUNTS,
    WINDOW_LABELS,
    WINDOW_SECONDS,
    Metric,
)
from schemas.snapshots import GroupSnapshot, Measures, Proportion, QueueSnapshot, Snapshot

Value = int | float
_NOTHING = Proportion(0, 0, 0.0, 0.0)
_counts = cast("_Reader", attrgetter(*WINDOW_COUNTS.values()))
_seconds = cast("_Reader", attrgetter(*WINDOW_SECONDS.values()))
_END = "\x00"
"""Parts the metrics in a queue's prepared text; no name can hold it."""


class _Reader(Protocol):
    """Several fields of one window at once."""

    def __call__(self, measures: Measures, /) -> tuple[Value, ...]: ...


class SnapshotSource(Protocol):
    """The newest snapshot of every row this process owns; asked from another thread, so it copies in one step."""

    def snapshots(self) -> Sequence[Snapshot]: ...


class Build(NamedTuple):
    """Which build this is."""

    version: str = "unknown"
    revision: str = "unknown"


class Exposition(Collector):
    """A prometheus_client collector of everything declared in `schemas.metrics`, and its fast text.

    Args:
        source: where the snapshots are.
        worker: the process's own truth; None for an exporter that runs no worker.
        build: version and revision.
        windows: which windows are exported; fewer make a scrape proportionally smaller.
    """

    def __init__(
        self,
        source: SnapshotSource,
        worker: WorkerTruth | None = None,
        build: Build | None = None,
        windows: Sequence[str] = WINDOW_LABELS,
    ) -> None:
        self._source = source
        self._worker = worker
        self._build = build or Build()
        self._windows = tuple(windows)
        self._render_seconds = Histogram(METRICS[PREFIX + "render_seconds"].edges)
        self._prepared: dict[tuple[str, str], str] = {}
        self._headers = [_header(metric) for metric in QUEUE_METRICS]

    # --- for people and Prometheus ----------------------------------------------------------------------------

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape as bytes and its content type, in the format that `accept` asks for."""
        began = time.perf_counter()
        snapshots = self._source.snapshots()
        encode, content_type = choose_encoder(accept)
        rest = CollectorRegistry(auto_describe=False)
        rest.register(_Fixed(self._others(snapshots)))
        body = self._queues_text(_queues(snapshots)) + encode(rest)
        self._render_seconds.observe(time.perf_counter() - began)
        return body, content_type

    def collect(self) -> Iterator[Family]:
        """Everything as prometheus_client's families: the reference, and for registries that have other collectors."""
        snapshots = self._source.snapshots()
        queues = _queues(snapshots)
        values = [self._values(queue) for queue in queues]
        start = 0
        for metric in QUEUE_METRICS:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            tails = self._tails(metric)
            for queue, row in zip(queues, values, strict=True):
                for number, tail in enumerate(tails, start):
                    family.add_metric([queue.queue, queue.channel, *tail], row[number])
            start += len(tails)
            yield family
        yield from self._others(snapshots)

    def describe(self) -> Iterable[Family]:
        """Nothing: names are declared, so a registry need not scrape to learn them."""
        return []

    # --- per queue --------------------------------------------------------------------------------------------

    def _tails(self, metric: Metric) -> list[tuple[str, ...]]:
        """The values of a metric's last label, in the order of `_values`."""
        match metric.labels[2:]:
            case ("state",):
                return [(state,) for state in AGENT_STATES]
            case ("window",):
                return [(window,) for window in self._windows]
            case _:
                return [()]

    def _values(self, s: QueueSnapshot) -> list[Value]:
        """All values of one queue, in the order of `QUEUE_METRICS`, the last label running fastest."""
        agents, windows = s.agents, [s.windows[window] for window in self._windows]
        values: list[Value] = [
            s.waiting, s.at_risk, (s.oldest_waiting_ms or 0) / 1000, s.in_service, s.answer_within_s, s.target,
            s.published_ms / 1000,
        ]  # fmt: skip
        values += [agents.get(state, 0) for state in AGENT_STATES]
        for reader in (_counts, _seconds):
            for over_windows in zip(*map(reader, windows), strict=True):
                values += over_windows
        for variant in VARIANTS:
            proportions = [each.proportions.get(variant, _NOTHING) for each in windows]
            values += [each.numerator for each in proportions]
            values += [each.n for each in proportions]
        return values

    def _queues_text(self, queues: Sequence[QueueSnapshot]) -> bytes:
        prepared, self._prepared = self._prepared, {}
        rows: list[list[str]] = []
        for queue in queues:
            key = queue.queue, queue.channel
            text = self._prepared[key] = prepared.get(key) or self._prepare(queue)
            rows.append((text % tuple(self._values(queue))).split(_END))
        parts: list[str] = []
        for number, header in enumerate(self._headers):
            parts.append(header)
            parts += [row[number] for row in rows]
        return "".join(parts).encode("utf-8", "replace")

    def _prepare(self, queue: QueueSnapshot) -> str:
        """The text of one queue with a %s for each value."""
        metrics = []
        for metric in QUEUE_METRICS:
            lines = []
            for tail in self._tails(metric):
                values = (queue.queue, queue.channel, *tail)
                pairs = sorted(zip(metric.labels, values, strict=True))
                labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
                lines.append(f"{metric.name}{{{labels}}} %s\n")
            metrics.append("".join(lines))
        return _END.join(metrics)

    # --- the site and this process ----------------------------------------------------------------------------

    def _others(self, snapshots: Sequence[Snapshot]) -> Iterator[Family]:
        yield from _site(snapshots)
        build = InfoMetricFamily(PREFIX + "build", METRICS[PREFIX + "build_info"].help)
        build.add_metric([], {"version": self._build.version, "revision": self._build.revision})
        yield build
        if self._worker is not None:
            yield from _truth(self._worker)
        yield _histogram("render_seconds", {(): self._render_seconds})


class _Fixed(Collector):
    """Families that were collected already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _queues(snapshots: Sequence[Snapshot]) -> list[QueueSnapshot]:
    return [each for each in snapshots if isinstance(each, QueueSnapshot)]


def _site(snapshots: Sequence[Snapshot]) -> Iterator[Family]:
    site = next((s for s in snapshots if isinstance(s, GroupSnapshot) and s.group == "site"), None)
    if site is None:
        yield _gauge("agents", {})
        yield _gauge("site_snapshot_timestamp_seconds", {})
        yield _gauge("notices", {})
        return
    yield _gauge("agents", {(state,): site.agents.get(state, 0) for state in AGENT_STATES})
    yield _gauge("site_snapshot_timestamp_seconds", {(): site.published_ms / 1000})
    yield _gauge("notices", {(): len(site.notices)})


def _truth(worker: WorkerTruth) -> Iterator[Family]:
    """What one process knows of itself. Each dict is copied in one step: its owner goes on writing meanwhile."""
    newest = dict.fromkeys(worker.sources, 0)
    for (source, _), at_ms in worker.newest_event_ms.copy().items():
        newest[source] = max(newest.get(source, 0), at_ms)
    yield _gauge(
        "source_last_event_timestamp_seconds", {(source,): ms / 1000 for source, ms in newest.items()}
    )
    counts = worker.source_counts.copy()
    for name, field in _SOURCE_COUNTERS.items():
        yield _counter(name, {(source,): counts[source, field] for source in worker.sources})
    yield _counter("events_undecodable_total", worker.undecodable.copy())
    yield _counter("dead_letters_total", worker.dead_letter_counts.copy())
    yield _counter(
        "redis_writes_total", {(result,): n for result, n in worker.redis_write_counts.copy().items()}
    )
    yield _counter("rebalances_total", {(): worker.rebalances})
    yield _counter("runs_refused_total", {(topic,): n for topic, n in worker.runs_refused.copy().items()})
    yield _gauge("consumer_lag_messages", _by_part(worker.lags.copy()))
    yield _gauge("checkpoint_timestamp_seconds", _by_part(worker.checkpointed_at.copy()))
    yield _gauge("recovering", _by_part(worker.recovering.copy()))
    yield _histogram("run_seconds", {(topic,): each for topic, each in worker.run_seconds.copy().items()})
    yield _histogram("checkpoint_pause_seconds", {(): worker.pause_seconds})


_SOURCE_COUNTERS = {
    "events_total": "events",
    "events_late_dropped_total": "late_dropped",
    "events_duplicate_total": "duplicates",
    "events_corrected_total": "corrected",
    "events_unmatched_total": "unmatched",
    "events_ignored_total": "ignored",
    "contacts_lost_total": "lost",
}
"""Metric -> field of `SourceTruth`."""


def _by_part(values: Mapping[tuple[str, int], Value]) -> dict[tuple[str, ...], Value]:
    return {(topic, str(partition)): value for (topic, partition), value in values.items()}


def _gauge(name: str, values: Mapping[tuple[str, ...], Value]) -> Family:
    metric = METRICS[PREFIX + name]
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(name: str, values: Mapping[tuple[str, ...], Value]) -> Family:
    metric = METRICS[PREFIX + name]
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(name: str, values: Mapping[tuple[str, ...], Histogram]) -> Family:
    metric = METRICS[PREFIX + name]
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, histogram in values.items():
        below = 0
        buckets: list[tuple[str, float]] = []
        for edge, count in zip((*histogram.edges, float("inf")), histogram.counts.copy(), strict=True):
            below += count
            buckets.append((floatToGoString(edge), below))  # type: ignore[no-untyped-call]
        family.add_metric(labels, buckets, histogram.total_s)
    return family


def _header(metric: Metric) -> str:
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"


def _escaped(value: str) -> str:
    """A label value for the text of both formats, and safe as a %-template."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return escaped.replace("%", "%%").replace(_END, "�")
