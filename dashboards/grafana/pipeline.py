"""Can the numbers be believed?"""

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    CONTACTS,
    HIGHER_IS_WORSE,
    PER_SECOND,
    SECONDS,
    WATCH,
    WELL,
    Column,
    Line,
    Query,
    figure,
    lines,
    rows,
)
from dashboards.grafana.promql import SITE, percentile, rate, raw, recorded
from dashboards.grafana.words import helps, says

_NEWEST = f"max by (source) ({raw('source_last_event_timestamp_seconds')})"
_HEARTBEAT = f"max by (source) ({raw('heartbeat_timestamp_seconds')})"
_TAIL = (Line("p50", WELL), Line("p99", ACT))
_ODD = (
    ("duplicate", "duplicates"), ("corrected", "corrected"), ("unmatched", "unmatched"),
    ("late_dropped", "late_dropped"), ("ignored", "ignored"),
)  # fmt: skip
"""Counter `events_<name>_total` -> its definition."""
_PART = "{{topic}} {{partition}}"


def _tail(base: str, by: str = "") -> list[Query]:
    """Middle and tail of a histogram."""
    legend = f" {{{{{by}}}}}" if by else ""
    return [Query(percentile(q, base, by), f"p{100 * q:g}{legend}") for q in (0.5, 0.99)]


BOARD = Board(
    uid="queuelight-pipeline",
    title="Queuelight · Pipeline",
    question="Can the numbers be believed? How old they are, what is waiting, what was odd, who works.",
    variables=("site",),
    rows=(
        Row("Now", (
            Place(figure("Newest event", says("newest_event"), SECONDS,
                         [Query(f"time() - ({_NEWEST} > 0)", "{{source}}")], ((None, WELL), (60, ACT)),
                         decimals=0, trend=False), 8, 5),
            Place(figure("Rows published", helps("queue_snapshot_timestamp_seconds", more="The oldest of all queues."),
                         SECONDS, [Query(f"time() - min({recorded('queue_snapshot_timestamp_seconds')}{{{SITE}}})")],
                         ((None, WELL), (10, ACT)), decimals=0, trend=False, none="no numbers"), 4, 5),
            Place(figure("Lag", says("lag"), CONTACTS, [Query(f"sum({raw('consumer_lag_messages')})")],
                         ((None, WELL), (1000, WATCH), (10000, ACT))), 4, 5),
            Place(figure("Restoring", helps("recovering"), CONTACTS, [Query(f"sum({raw('recovering')})")],
                         HIGHER_IS_WORSE, trend=False), 4, 5),
            Place(figure("Notices", helps("notices"), CONTACTS, [Query(f"max({recorded('notices')}{{{SITE}}})")],
                         HIGHER_IS_WORSE, trend=False), 4, 5),
        )),
        Row("Events", (
            Place(lines("Events", helps("events_total"), PER_SECOND,
                        [Query(rate("events_total", "source"), "{{source}}")])),
            Place(lines("Lag", says("lag"), CONTACTS,
                        [Query(f"max by (topic, partition) ({raw('consumer_lag_messages')})", _PART)])),
            Place(lines("Age of the newest event", says("newest_event"), SECONDS,
                        [Query(f"time() - ({_NEWEST} > 0)", "{{source}}")])),
            Place(lines("Age of the newest heartbeat", helps("heartbeat_timestamp_seconds"), SECONDS,
                        [Query(f"time() - ({_HEARTBEAT} > 0)", "{{source}}")])),
            Place(lines("Delay of events", helps("event_delay_seconds"), SECONDS,
                        _tail("event_delay_seconds", "source"), _TAIL), 24),
        )),
        Row("What was odd", (
            Place(lines("Odd events", says(*(name for _, name in _ODD)), PER_SECOND,
                        [Query(f"sum(rate({raw(f'events_{counter}_total')}[$__rate_interval]))", counter)
                         for counter, _ in _ODD])),
            Place(lines("Undecodable", says("undecodable"), PER_SECOND,
                        [Query(rate("events_undecodable_total", "reason"), "{{reason}}")])),
            Place(lines("Dead letters", helps("dead_letters_total"), PER_SECOND,
                        [Query(rate("dead_letters_total", "topic"), "{{topic}}")])),
            Place(lines("Contacts lost", helps("contacts_lost_total"), PER_SECOND,
                        [Query(rate("contacts_lost_total", "source"), "{{source}}")])),
        )),
        Row("Work", (
            Place(lines("Runs of records", helps("run_seconds"), SECONDS, _tail("run_seconds", "topic"), _TAIL)),
            Place(lines("Pause of a checkpoint", helps("checkpoint_pause_seconds"), SECONDS,
                        _tail("checkpoint_pause_seconds"), _TAIL)),
            Place(lines("Age of the last checkpoint", helps("checkpoint_timestamp_seconds"), SECONDS,
                        [Query(f"time() - (max by (topic, partition) ({raw('checkpoint_timestamp_seconds')}) > 0)",
                               _PART)])),
            Place(lines("Rendering a scrape", helps("render_seconds"), SECONDS, _tail("render_seconds"), _TAIL)),
            Place(lines("Writes to Redis", helps("redis_writes_total"), PER_SECOND,
                        [Query(rate("redis_writes_total", "result"), "{{result}}")],
                        (Line("^stored$", WELL), Line("^fenced$", WATCH), Line("^failed$", ACT)))),
            Place(lines("Rebalances and refused runs", helps("rebalances_total", "runs_refused_total"), CONTACTS,
                        [Query(f"sum(increase({raw('rebalances_total')}[$__rate_interval]))", "rebalances"),
                         Query(f"sum(increase({raw('runs_refused_total')}[$__rate_interval]))", "refused runs")])),
            Place(lines("Samples of a scrape", "How many samples each worker's page held; beyond the limit of the "
                        "scrape configuration Prometheus keeps none of them.", CONTACTS,
                        [Query(f'scrape_samples_scraped{{{SITE}}} and on (instance) {raw("build_info")}',
                               "{{instance}}")])),
            Place(rows("Builds", helps("build_info"), ("instance", "version", "revision"),
                       [Column("Workers", f"count by (instance, version, revision) ({raw('build_info')})")]), 12, 8),
        )),
    ),
)  # fmt: skip
