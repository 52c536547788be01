"""What does Prometheus read? The declared metrics, from the newest snapshots of owned rows and one worker's truth.

Everything per queue (about 260 series each) is written by filling one prepared text per metric, ten times cheaper than
sample objects; the rest, and the reference that tests compare with, goes through prometheus_client. Refuses to know
HTTP: `agents.metrics_server` does that. No timestamps on samples: they would switch off Prometheus' staleness.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, Protocol, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from agents.families import Value
from agents.families import counter as _counter
from agents.families import gauge as _gauge
from agents.journeys.exposition import web_families
from agents.worker_truth import Histogram, WorkerTruth
from schemas.events import AGENT_STATES
from schemas.journeys import WebReport
from schemas.metrics import (
    CHAT_COUNTS,
    METRICS,
    PREFIX,
    QUEUE_METRICS,
    VARIANTS,
    WAIT_OUTCOMES,
    WINDOW_COUNTS,
    WINDOW_LABELS,
    WINDOW_SECONDS,
    Metric,
)
from schemas.snapshots import GroupSnapshot, Measures, Proportion, QueueSnapshot, Snapshot
from streams.site import Site

_NOTHING = Proportion(0, 0, 0.0, 0.0)
_UNKNOWN = float("nan")
_of_all = cast("_Reader", attrgetter(*WINDOW_COUNTS.values(), *WINDOW_SECONDS.values()))
_of_chats = cast("_Reader", attrgetter(*CHAT_COUNTS.values()))


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


class Sample(NamedTuple):
    """One series of a queue: what follows the metric's name, and the labels besides queue and channel."""

    suffix: str = ""
    labels: Mapping[str, str] = {}


class Prepared(NamedTuple):
    """What stays the same of a queue from scrape to scrape.

    Attributes:
        texts: of each metric its lines, with a %a for each value: of a number, what Python writes in ASCII.
        places: of each metric where its values begin and end in `Exposition._values`.
        limits: the values of its limits for alerts, on all channels and on its own.
    """

    texts: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...]
    limits: tuple[float, ...]
    own_limits: tuple[float, ...]


class Exposition(Collector):
    """A prometheus_client collector of everything declared in `schemas.metrics`, and its fast text.

    Args:
        source: where the snapshots are; they must hold the windows exported.
        worker: the process's own truth; None for an exporter that runs no worker.
        build: version and revision.
        windows: which windows are exported; fewer make a scrape proportionally smaller.
        site: whose opening hours, owners and limits for alerts are exported.
        report: the newest report of the web site; None, or what says None: this process does not own its pages.
        stuck_floor: from how many visitors stuck on one page an alert is worth it.
    """

    def __init__(
        self,
        source: SnapshotSource,
        worker: WorkerTruth | None = None,
        build: Build | None = None,
        windows: Sequence[str] = WINDOW_LABELS,
        site: Site | None = None,
        report: Callable[[], WebReport | None] | None = None,
        stuck_floor: int = 10,
    ) -> None:
        self._source = source
        self._worker = worker
        self._build = build or Build()
        self._windows = tuple(windows)
        self._site = site or Site()
        self._report = report
        self._stuck_floor = stuck_floor
        self._render_seconds = Histogram(METRICS[PREFIX + "render_seconds"].edges)
        self._prepared: dict[tuple[str, str], Prepared] = {}
        self._texts: list[bytes] = []
        """The texts of all prepared queues, in their order, by metric."""

    # --- for people and Prometheus ----------------------------------------------------------------------------

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape as bytes and its content type, in the format that `accept` asks for."""
        began = time.perf_counter()
        snapshots = self._source.snapshots()
        encode, content_type = choose_encoder(accept)
        rest = CollectorRegistry(auto_describe=False)
        rest.register(_Fixed(self._others(snapshots)))
        body = b"".join([*self._queues_text(_queues(snapshots)), encode(rest)])
        self._render_seconds.observe(time.perf_counter() - began)
        return body, content_type

    def collect(self) -> Iterator[Family]:
        """Everything as prometheus_client's families: the reference, and for registries that have other collectors."""
        snapshots = self._source.snapshots()
        families = [Family(metric.name, metric.help, metric.kind) for metric in QUEUE_METRICS]
        for queue in _queues(snapshots):
            values = iter(self._values(queue, self._prepare(queue)))
            names = {"queue": queue.queue, "channel": queue.channel}
            for metric, family in zip(QUEUE_METRICS, families, strict=True):
                for sample in self._samples(metric, queue):
                    family.add_sample(metric.name + sample.suffix, {**names, **sample.labels}, next(values))
        yield from families
        yield from self._others(snapshots)

    def describe(self) -> Iterable[Family]:
        """Nothing: names are declared, so a registry need not scrape to learn them."""
        return []

    # --- per queue --------------------------------------------------------------------------------------------

    def _samples(self, metric: Metric, s: QueueSnapshot) -> list[Sample]:
        """The series of one metric of a queue, in the order of `_values`."""
        if metric.channels and s.channel not in metric.channels:
            return []
        match metric.labels[2:]:
            case ("state",):
                return [Sample(labels={"state": state}) for state in AGENT_STATES]
            case ("window",):
                return [Sample(labels={"window": window}) for window in self._windows]
            case ("window", "outcome"):
                return _histogram_samples(s.edges_s) if "day" in self._windows else []
            case ("owner", "team"):
                policy = self._site.policy(s.queue, s.channel)
                team = policy.team or ""
                return [Sample(labels={"owner": policy.owner or team, "team": team})]
            case _:
                return [Sample()]

    def _values(self, s: QueueSnapshot, prepared: Prepared) -> list[Value]:
        """All values of one queue, in the order of `QUEUE_METRICS` and of `_samples`."""
        agents, windows = s.agents, [s.windows[window] for window in self._windows]
        expected_s = _UNKNOWN if s.expected_wait_s is None else s.expected_wait_s
        is_open = int(self._site.is_open(s.as_of_ms, s.queue))
        values: list[Value] = [
            s.waiting, s.at_risk, (s.oldest_waiting_ms or 0) / 1000, s.in_service, expected_s,
            s.callbacks_open, (s.oldest_callback_ms or 0) / 1000, is_open, 1,
            *prepared.limits, s.answer_within_s, s.target, s.published_ms / 1000,
        ]  # fmt: skip
        values += [agents.get(state, 0) for state in AGENT_STATES]
        for over_windows in zip(*map(_of_all, windows), strict=True):
            values += over_windows
        for variant in VARIANTS:
            proportions = [each.proportions.get(variant, _NOTHING) for each in windows]
            values += [each.numerator for each in proportions]
            values += [each.n for each in proportions]
        if "day" in self._windows:
            day = s.windows["day"]
            for counts, waited_s in (
                (day.answered_histogram, day.answered_wait_s),
                (day.abandoned_histogram, day.abandoned_wait_s),
            ):
                values += accumulate(counts)
                values += (waited_s, values[-1])
        if prepared.own_limits:
            values += prepared.own_limits
            for over_windows in zip(*map(_of_chats, windows), strict=True):
                values += over_windows
        return values

    def _queues_text(self, queues: Sequence[QueueSnapshot]) -> Iterator[bytes]:
        """The text of each metric of the queues."""
        prepared = self._prepare_all(queues)
        columns: list[list[Value]] = [[] for _ in QUEUE_METRICS]
        for queue, known in zip(queues, prepared, strict=True):
            values = self._values(queue, known)
            for column, (begin, end) in zip(columns, known.places, strict=True):
                column += values[begin:end]
        for text, column in zip(self._texts, columns, strict=True):
            yield text % tuple(column)

    def _prepare_all(self, queues: Sequence[QueueSnapshot]) -> list[Prepared]:
        """What stays the same of these queues; anew only where they are others than at the last scrape."""
        keys = [(s.queue, s.channel) for s in queues]
        if not self._texts or keys != list(self._prepared):
            known = self._prepared
            self._prepared = {
                key: known.get(key) or self._prepare(queue) for key, queue in zip(keys, queues, strict=True)
            }
            self._texts = [
                b"".join([_header(metric), *(each.texts[number] for each in self._prepared.values())])
                for number, metric in enumerate(QUEUE_METRICS)
            ]
        return list(self._prepared.values())

    def _prepare(self, s: QueueSnapshot) -> Prepared:
        texts: list[bytes] = []
        places: list[tuple[int, int]] = []
        begin = 0
        for metric in QUEUE_METRICS:
            lines = []
            for sample in self._samples(metric, s):
                pairs = sorted({"queue": s.queue, "channel": s.channel, **sample.labels}.items())
                labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
                lines.append(f"{metric.name}{sample.suffix}{{{labels}}} %a\n")
            texts.append("".join(lines).encode("utf-8", "replace"))
            places.append((begin, begin + len(lines)))
            begin += len(lines)
        limits = self._site.policy(s.queue, s.channel).alert_limits()
        own = (limits.first_response_s, limits.silent_abandonment)
        return Prepared(
            tuple(texts),
            tuple(places),
            (limits.longest_wait_s, limits.expected_wait_s, limits.abandonment, limits.callback_wait_s),
            tuple(each for each in own if each is not None),
        )

    # --- the site and this process ----------------------------------------------------------------------------

    def _others(self, snapshots: Sequence[Snapshot]) -> Iterator[Family]:
        yield from self._groups(snapshots)
        yield from web_families(None if self._report is None else self._report(), self._stuck_floor)
        build = InfoMetricFamily(PREFIX + "build", METRICS[PREFIX + "build_info"].help)
        build.add_metric([], {"version": self._build.version, "revision": self._build.revision})
        yield build
        if self._worker is not None:
            yield from _truth(self._worker)
        yield _histogram("render_seconds", {(): self._render_seconds})

    def _groups(self, snapshots: Sequence[Snapshot]) -> Iterator[Family]:
        """The site, where this process owns its row, and the teams whose rows it owns."""
        groups = [s for s in snapshots if isinstance(s, GroupSnapshot)]
        site = next((s for s in groups if s.group == "site"), None)
        teams = [s for s in groups if s.group == "team"]

        def of_site(value: Callable[[GroupSnapshot], Value]) -> dict[tuple[str, ...], Value]:
            return {} if site is None else {(): value(site)}

        states = {} if site is None else site.agents
        yield _gauge("agents", {(state,): states.get(state, 0) for state in AGENT_STATES if site is not None})
        yield _gauge(
            "team_agents", {(s.name, state): s.agents.get(state, 0) for s in teams for state in AGENT_STATES}
        )
        yield _gauge("site_open", of_site(lambda s: self._site.is_open(s.as_of_ms)))
        yield _gauge("site_snapshot_timestamp_seconds", of_site(lambda s: s.published_ms / 1000))
        yield _gauge("notices", of_site(lambda s: len(s.notices)))


class _Fixed(Collector):
    """Families that were collected already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _queues(snapshots: Sequence[Snapshot]) -> list[QueueSnapshot]:
    return [each for each in snapshots if isinstance(each, QueueSnapshot)]


def _truth(worker: WorkerTruth) -> Iterator[Family]:
    """What one process knows of itself. Each dict is copied in one step: its owner goes on writing meanwhile."""
    newest = dict.fromkeys(worker.sources, 0)
    for (source, _), at_ms in worker.newest_event_ms.copy().items():
        newest[source] = max(newest.get(source, 0), at_ms)
    yield _gauge(
        "source_last_event_timestamp_seconds", {(source,): ms / 1000 for source, ms in newest.items()}
    )
    beats_s: dict[tuple[str, ...], Value] = {
        (source,): ms / 1000 for source, ms in worker.heartbeat_ms.copy().items()
    }
    yield _gauge("heartbeat_timestamp_seconds", beats_s)
    yield _histogram(
        "event_delay_seconds", {(source,): each for source, each in worker.delay_seconds.copy().items()}
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


def _histogram_samples(edges_s: Sequence[float]) -> list[Sample]:
    """The series of `queuelight_window_wait_seconds`: of each outcome its buckets, then sum and count."""
    edges = [floatToGoString(edge) for edge in (*edges_s, float("inf"))]  # type: ignore[no-untyped-call]
    return [
        Sample(suffix, {"window": "day", "outcome": outcome, **le})
        for outcome in WAIT_OUTCOMES
        for suffix, le in (*(("_bucket", {"le": edge}) for edge in edges), ("_sum", {}), ("_count", {}))
    ]


def _header(metric: Metric) -> bytes:
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n".replace(
        "%", "%%"
    ).encode()


def _escaped(value: str) -> str:
    """A label value for the text of both formats, and safe as a %-template."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return escaped.replace("%", "%%")
