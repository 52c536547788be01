"""Which metrics are exported? Name, type, labels and help of each, declared once; the help quotes definitions.md.

Rules: one prefix, base units, timestamps and no ages, no ratios (numerator and denominator instead, so that they add up
over queues), the service-level variant in the name, nothing in a label that configuration or an enum does not bound.
Refuses to know how they are filled: `agents.exposition` does that.
"""

from typing import Literal

from msgspec import Struct

from schemas.definitions import DEFINITIONS
from schemas.snapshots import SERVICE_LEVELS, WINDOWS

PREFIX = "queuelight_"
WINDOW_LABELS: tuple[str, ...] = (*WINDOWS, "day")
"""Values of the label `window`; a selector that forgets it adds them up."""
VARIANTS: tuple[str, ...] = (*SERVICE_LEVELS, "sl_live")
REDIS_RESULTS = ("stored", "fenced", "failed")

Kind = Literal["gauge", "counter", "histogram", "info"]


class Metric(Struct, frozen=True, kw_only=True):
    """One metric. `edges`: the upper bounds of a histogram's buckets, in seconds."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    edges: tuple[float, ...] = ()


WINDOW_COUNTS: dict[str, str] = {
    "offered": "offered",
    "answered": "answered",
    "answered_in_threshold": "answered_in_x",
    "abandoned": "abandoned",
    "abandoned_in_threshold": "abandoned_in_x",
    "abandoned_short": "abandoned_short",
    "silent_abandoned": "silent_abandoned",
    "callback": "callback",
    "callback_in_threshold": "callback_in_x",
    "overflowed": "overflowed",
    "lost": "lost",
    "transferred_in": "transferred_in",
    "transferred_out": "transferred_out",
    "declined": "declined",
    "handled": "handled",
}
"""<base> of `queuelight_window_<base>_contacts` -> field of `Measures`."""

WINDOW_SECONDS: dict[str, str] = {
    "answered_wait": "answered_wait_s",
    "abandoned_wait": "abandoned_wait_s",
    "talk": "talk_s",
    "hold": "hold_sum_s",
    "wrap_up": "wrap_up_s",
}
"""<what> of `queuelight_window_<what>_seconds` -> field of `Measures`."""

_DEFINED_AS = {"lost": "lost_contacts"}
_QUEUE = ("queue", "channel")
_WINDOW = (*_QUEUE, "window")
_PART = ("topic", "partition")
_LOCAL = "Counted by this process since it started; what is processed again after a crash counts again."
_RUN_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name=PREFIX + name, kind="gauge", labels=labels, help=text)


def _counter(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name=f"{PREFIX}{name}_total", kind="counter", labels=labels, help=f"{text} {_LOCAL}")


def _histogram(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(
        name=f"{PREFIX}{name}_seconds", kind="histogram", labels=labels, help=text, edges=_RUN_EDGES
    )


def _says(name: str) -> str:
    definition = DEFINITIONS[name]
    text = definition.text
    return f"{definition.label_en[0].upper()}{definition.label_en[1:]}: {text}."


QUEUE_METRICS: tuple[Metric, ...] = (
    _gauge("queue_waiting_contacts", _QUEUE, _says("waiting")),
    _gauge("queue_at_risk_contacts", _QUEUE, _says("at_risk")),
    _gauge(
        "queue_oldest_waiting_timestamp_seconds",
        _QUEUE,
        "When the segment that waits longest was queued; 0 = nobody waits. Its age is the longest wait.",
    ),
    _gauge("queue_in_service_contacts", _QUEUE, _says("in_service")),
    _gauge("sl_threshold_seconds", _QUEUE, f"{DEFINITIONS['answer_within_s'].text}."),
    _gauge("sl_target_ratio", _QUEUE, _says("target")),
    _gauge("queue_snapshot_timestamp_seconds", _QUEUE, "When the numbers of this queue were published."),
    _gauge(
        "queue_agents",
        (*_QUEUE, "state"),
        "Agents who serve the queue, by state. An agent who serves several queues appears in each: never sum over "
        "queues, read queuelight_agents.",
    ),
    *(
        _gauge(f"window_{base}_contacts", _WINDOW, f"{_says(_DEFINED_AS.get(field, field))} Event basis.")
        for base, field in WINDOW_COUNTS.items()
    ),
    *(
        _gauge(f"window_{what}_seconds", _WINDOW, f"{_says(field)} Event basis.")
        for what, field in WINDOW_SECONDS.items()
    ),
    *(
        _gauge(
            f"window_{variant}_{part}_contacts",
            _WINDOW,
            f"{part.capitalize()} of {variant}, {DEFINITIONS[variant].text}. Sum over queues, then divide by "
            "(denominator > 0).",
        )
        for variant in VARIANTS
        for part in ("numerator", "denominator")
    ),
)
"""What is exported of every owned queue and channel: these labels, then `state` or `window`."""

SITE_METRICS: tuple[Metric, ...] = (
    _gauge("agents", ("state",), "Agents of the site by state, each once."),
    _gauge("site_snapshot_timestamp_seconds", (), "When the numbers of the site were published."),
    _gauge(
        "notices",
        (),
        "Things said on every board, such as the limit on queue names being reached; 0 is normal.",
    ),
)
"""Exported by the worker that owns the site's row."""

WORKER_METRICS: tuple[Metric, ...] = (
    Metric(
        name=PREFIX + "build_info",
        kind="info",
        labels=("version", "revision"),
        help="Which build this is; always 1.",
    ),
    _gauge(
        "source_last_event_timestamp_seconds",
        ("source",),
        "Time of the newest event in the partitions of this source that this worker owns; 0 = none seen.",
    ),
    _counter("events", ("source",), "Events understood."),
    _counter("events_late_dropped", ("source",), _says("late_dropped")),
    _counter("events_duplicate", ("source",), _says("duplicates")),
    _counter("events_corrected", ("source",), _says("corrected")),
    _counter("events_unmatched", ("source",), _says("unmatched")),
    _counter("events_ignored", ("source",), _says("ignored")),
    _counter("events_undecodable", ("source", "reason"), _says("undecodable")),
    _counter("contacts_lost", ("source",), _says("lost_contacts")),
    _counter(
        "dead_letters", ("topic", "reason"), "Records set aside as dead letters, by where they came from."
    ),
    _counter(
        "redis_writes",
        ("result",),
        "Rows offered to Redis: stored, fenced (a newer owner wrote them already) or failed.",
    ),
    _gauge("consumer_lag_messages", _PART, "Messages of an owned partition that were not processed yet."),
    _gauge("checkpoint_timestamp_seconds", _PART, "When the last checkpoint of an owned partition was cut."),
    _gauge("recovering", _PART, "1 while an owned partition is being restored, else 0."),
    _counter("rebalances", (), "Assignments of partitions to this worker."),
    _counter(
        "runs_refused",
        ("topic",),
        "Runs of records that did not continue where the shard stood: a hole that was fetched again.",
    ),
    _histogram("run", ("topic",), "How long the processing of one run of records took."),
    _histogram("checkpoint_pause", (), "How long cutting a checkpoint paused the stream."),
    _histogram("render", (), "How long rendering one scrape took."),
)
"""The pipeline truth of one process."""

METRICS: dict[str, Metric] = {each.name: each for each in (*QUEUE_METRICS, *SITE_METRICS, *WORKER_METRICS)}
"""Every metric by name. What is not here is not exported, and the other way round; a test holds it."""
