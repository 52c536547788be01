"""Which metrics are exported? Name, type, labels and help of each, declared once; the help quotes definitions.md.

Rules: one prefix, base units, timestamps and no ages, no ratios (numerator and denominator instead, so that they add up
over queues), the service-level variant in the name, nothing in a label that configuration or an enum does not bound.
Refuses to know how they are filled: `agents.exposition` does that.
"""

from typing import Literal

from msgspec import Struct

from schemas.counts import DEFAULT_EDGES_S
from schemas.definitions import DEFINITIONS
from schemas.snapshots import SERVICE_LEVELS, WINDOWS

PREFIX = "queuelight_"
WINDOW_LABELS: tuple[str, ...] = (*WINDOWS, "day")
"""Values of the label `window`; a selector that forgets it adds them up."""
VARIANTS: tuple[str, ...] = (*SERVICE_LEVELS, "sl_live")
REDIS_RESULTS = ("stored", "fenced", "failed")

Kind = Literal["gauge", "counter", "histogram", "info"]


class Metric(Struct, frozen=True, kw_only=True):
    """One metric.

    `edges`: the upper bounds of a histogram's buckets, in seconds. `channels`: whose queues have it; empty: all.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    edges: tuple[float, ...] = ()
    channels: tuple[str, ...] = ()


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
    "agent_busy": "busy_s",
    "agent_available": "available_s",
    "agent_wrap_up": "wrapping_s",
}
"""<what> of `queuelight_window_<what>_seconds` -> field of `Measures`."""

CHAT_COUNTS: dict[str, str] = {
    "first_response_contacts": "first_responses",
    "first_response_in_threshold_contacts": "first_responses_in_x",
    "first_response_seconds": "first_response_sum_s",
}
"""<what> of `queuelight_window_<what>` -> field of `Measures`; of chats only."""

WAIT_OUTCOMES: dict[str, str] = {"answered": "answered_histogram", "abandoned": "abandoned_histogram"}
"""Label `outcome` of `queuelight_window_wait_seconds` -> field of `Measures`."""

_DEFINED_AS = {"lost": "lost_contacts"}
_QUEUE = ("queue", "channel")
_WINDOW = (*_QUEUE, "window")
_PART = ("topic", "partition")
_CHAT = ("chat",)
_LOCAL = "Counted by this process since it started; what is processed again after a crash counts again."
_RUN_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_PAUSE_EDGES = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)
_DELAY_EDGES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
DELAY_EVERY = 16
"""The delay of one event in so many is measured."""


def _gauge(name: str, labels: tuple[str, ...], text: str, channels: tuple[str, ...] = ()) -> Metric:
    return Metric(name=PREFIX + name, kind="gauge", labels=labels, help=text, channels=channels)


def _limit(name: str, what: str, channels: tuple[str, ...] = ()) -> Metric:
    return _gauge(
        f"alert_{name}",
        _QUEUE,
        f"Beyond this {what} the queue is worth an alert; from the settings.",
        channels,
    )


def _counter(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name=f"{PREFIX}{name}_total", kind="counter", labels=labels, help=f"{text} {_LOCAL}")


def _histogram(
    name: str, labels: tuple[str, ...], text: str, edges: tuple[float, ...] = _RUN_EDGES
) -> Metric:
    return Metric(name=f"{PREFIX}{name}_seconds", kind="histogram", labels=labels, help=text, edges=edges)


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
    _gauge("queue_expected_wait_seconds", _QUEUE, f"{_says('expected_wait_s')} NaN = nothing is known."),
    _gauge("queue_callbacks_open_contacts", _QUEUE, _says("callbacks_open")),
    _gauge(
        "queue_oldest_callback_timestamp_seconds",
        _QUEUE,
        "When the oldest callback that is still to be made was promised; 0 = there is none.",
    ),
    _gauge(
        "queue_open", _QUEUE, "1 within the opening hours of the queue, else 0; always 1 where none are set."
    ),
    _gauge(
        "queue_info",
        (*_QUEUE, "owner", "team"),
        "Who is told of the alerts of a queue, and the team that serves it; always 1.",
    ),
    _limit("longest_wait_seconds", "longest wait"),
    _limit("expected_wait_seconds", "expected wait"),
    _limit("abandonment_ratio", "abandonment rate"),
    _limit("callback_wait_seconds", "age of a callback that was promised"),
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
    _histogram(
        "window_wait",
        (*_WINDOW, "outcome"),
        "Waits of the segments that ended this business day, by outcome (event basis). State, not a counter: the day "
        "begins at 0, and corrections may lower it. Of a span: m - m offset 5m, never rate().",
        DEFAULT_EDGES_S,
    ),
    _limit("first_response_seconds", "first response time", _CHAT),
    _limit("silent_abandonment_ratio", "share of silent abandons", _CHAT),
    *(
        _gauge(f"window_{what}", _WINDOW, f"{_says(field)} Event basis.", _CHAT)
        for what, field in CHAT_COUNTS.items()
    ),
)
"""What is exported of every owned queue and channel: these labels, then `state`, `window` or others. The edges of
`queuelight_window_wait_seconds` are those declared and every X and short-abandon threshold in use.
"""

SITE_METRICS: tuple[Metric, ...] = (
    _gauge("agents", ("state",), "Agents of the site by state, each once."),
    _gauge("team_agents", ("team", "state"), "Agents of a team by state, each once."),
    _gauge("site_open", (), "1 within the opening hours of the site, else 0; always 1 where none are set."),
    _gauge("site_snapshot_timestamp_seconds", (), "When the numbers of the site were published."),
    _gauge(
        "notices",
        (),
        "Things said on every board, such as the limit on queue names being reached; 0 is normal.",
    ),
)
"""Exported by the worker that owns the row of the site, or of the team."""

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
    _gauge(
        "heartbeat_timestamp_seconds",
        ("source",),
        "Time of the newest heartbeat, a synthetic event through the whole pipeline, that this process has read from "
        "this source; 0 = none.",
    ),
    _histogram(
        "event_delay",
        ("source",),
        f"From the time of an event until this process read it, of one event in {DELAY_EVERY}; not in replays. "
        f"{_LOCAL}",
        _DELAY_EDGES,
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
        "Values offered to Redis: stored, fenced (a newer owner wrote them already) or failed.",
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
    _histogram("checkpoint_pause", (), "How long cutting a checkpoint paused the stream.", _PAUSE_EDGES),
    _histogram("render", (), "How long rendering one scrape took."),
)
"""The pipeline truth of one process."""

_PAGE = ("page",)
_ARM = ("page", "kind", "arm")
_TODAY = "Of the business day so far: state, not a counter."
_FADING = "Older days weigh less: no whole numbers."
OTHER_PAGE = "other"
"""Value of the label `page` for all pages that are not exported by name. Page keys begin with a slash."""
CLEARED = ("progress", "contact", "left")
INTERVENTIONS = ("shown", "accepted", "declined")

WEB_METRICS: tuple[Metric, ...] = (
    _gauge(
        "page_views", _PAGE, f"Views of a page; the most viewed pages by name, the rest as other. {_TODAY}"
    ),
    _gauge(
        "page_known_visits",
        _PAGE,
        "Visits of a page (one page in one session) whose outcome is known: the denominator of its contact rate. "
        f"{_FADING}",
    ),
    _gauge(
        "page_contacted_visits",
        _PAGE,
        f"Of queuelight_page_known_visits those that a contact followed: the numerator. {_says('contact_rate')}",
    ),
    _gauge("page_lead_median_seconds", _PAGE, f"{_says('lead_time')} Absent where no contact followed."),
    _gauge("page_verdict", ("page", "verdict"), f"{_says('page_verdict')} Always 1."),
    _gauge("page_stuck_visitors", _PAGE, _says("stuck")),
    _gauge("web_views", (), f"Page views of the web site. {_TODAY}"),
    _gauge("web_visitors", (), f"Browsers seen on the web site. {_TODAY}"),
    _gauge(
        "web_bot_sessions", (), f"Sessions of browsers that say they are no people, or behave so. {_TODAY}"
    ),
    _gauge("web_sessions", (), f"{_says('web_sessions')} {_TODAY}"),
    _gauge("web_linked_sessions", (), f"Web sessions whose customer is known. {_TODAY}"),
    _gauge("web_known_sessions", (), f"Web sessions whose outcome is known. {_FADING}"),
    _gauge(
        "web_contacted_sessions",
        (),
        f"Numerator over queuelight_web_known_sessions. {_says('contacted_share')}",
    ),
    _gauge("web_base_known_visits", (), f"Denominator of the base rate. {_says('base_rate')} {_FADING}"),
    _gauge("web_base_contacted_visits", (), f"Numerator of the base rate. {_says('base_rate')} {_FADING}"),
    _gauge(
        "web_known_help_sessions", (), f"Denominator of self-resolution. {_says('self_resolution')} {_FADING}"
    ),
    _gauge(
        "web_resolved_help_sessions",
        (),
        f"Numerator of self-resolution. {_says('self_resolution')} {_FADING}",
    ),
    _gauge("web_silent_leavers", (), f"{_says('silent_leavers')} {_TODAY}"),
    _gauge("web_flags_raised", (), f"Times a visitor was found stuck. {_TODAY}"),
    _gauge(
        "web_flags_cleared", ("reason",), f"Times a visitor was stuck no more, by what ended it. {_TODAY}"
    ),
    _gauge(
        "intervention_flagged_visitors",
        _ARM,
        f"Stuck visitors whose outcome is known, by page, kind of help and arm. {_says('holdout')} "
        "Over the days kept.",
    ),
    _gauge(
        "intervention_contacted_visitors",
        _ARM,
        f"Of queuelight_intervention_flagged_visitors those who contacted within T. {_says('offer_effect')}",
    ),
    _gauge(
        "interventions",
        ("page", "kind", "result"),
        "Offers shown, accepted and declined, by page and kind, over the days kept.",
    ),
    _gauge(
        "channel_switches",
        ("source", "channel"),
        f"{_says('channel_switches')} From source to channel. {_FADING}",
    ),
    *(
        _gauge(
            f"customer_{name}_{part}_contacts",
            _QUEUE,
            f"{part.capitalize()}. {_says(definition)}{more} {_FADING}",
        )
        for name, definition, more in (
            ("fcr", "fcr", ""),
            ("fcr_provisional", "fcr", " Provisional: of contacts younger than that."),
            ("repeat", "repeat_share", ""),
        )
        for part in ("numerator", "denominator")
    ),
    _gauge("web_report_timestamp_seconds", (), "When the report on the web site was made."),
    _gauge(
        "alert_stuck_visitors",
        (),
        "From so many visitors stuck on one page at once a surge is worth an alert; from the settings.",
    ),
)
"""Exported by the worker that owns the pages. What fades or is corrected may fall: gauges, like those of queues."""

WALLBOARD_METRICS: tuple[Metric, ...] = (
    _counter(
        "journey_reads", ("result",), "Questions for the journey of a customer, by how they were answered."
    ),
    _gauge("wallboard_streams", (), "Open streams of boards and of stuck visitors."),
)
"""Exported by the wallboard, a process of its own."""

METRICS: dict[str, Metric] = {
    each.name: each for each in (*QUEUE_METRICS, *SITE_METRICS, *WEB_METRICS, *WORKER_METRICS)
}
"""Every metric of a worker by name. What is not here is not exported, and the other way round; a test holds it."""
