"""What does a reader see of one row? From merged panes to the published snapshot."""

from schemas import counts as k
from schemas.partials import Kind, SourceTruth, row_parts
from schemas.snapshots import GroupSnapshot, QueueSnapshot
from streams.contributions import Promises
from streams.kpi import histogram, measures
from streams.merged_row import MergedRow
from streams.site import Site

TREND_MINUTES = 30


def queue_snapshot(
    site: Site,
    promises: Promises,
    row: MergedRow,
    agents: MergedRow | None,
    now_ms: int,
    published_ms: int,
    epoch: int,
    position: int,
) -> QueueSnapshot:
    """The snapshot of one queue and channel at `now_ms` (the pipeline's clock)."""
    _, queue, channel = row_parts(row.name)
    promise = promises.of(queue, channel)
    edges_ms = promise.edges_ms
    at_risk = row.waiting_since_before(now_ms - promise.in_x_ms)

    time = agents.window(Kind.TIME_PANE) if agents else {}
    windows = {w: measures(pane, time.get(w), at_risk) for w, pane in row.window(Kind.EVENT_PANE).items()}
    arrival = {w: measures(pane) for w, pane in row.window(Kind.ARRIVAL_MINUTE).items()}
    event_day, arrival_day = row.day(Kind.EVENT_INTERVAL), row.day(Kind.ARRIVAL_INTERVAL)
    windows["day"] = measures(event_day, agents.day(Kind.TIME_INTERVAL) if agents else None, at_risk)
    day = arrival["day"] = measures(arrival_day)
    longest_ms = row.day_longest_wait_ms()
    day.longest_wait_max_s = None if longest_ms is None else longest_ms / 1000
    day.queue_length_max, area_ms = row.lengths_of_day()
    day.queue_length_area_s = area_ms / 1000
    for each, pane in ((windows["day"], event_day), (day, arrival_day)):
        each.answered_histogram = histogram(pane, k.ANSWERED_FROM, edges_ms)
        each.abandoned_histogram = histogram(pane, k.ABANDONED_FROM, edges_ms)
    return QueueSnapshot(
        site=site.name,
        queue=queue,
        channel=channel,
        as_of_ms=now_ms,
        published_ms=published_ms,
        epoch=epoch,
        position=position,
        waiting=row.waiting,
        at_risk=at_risk,
        oldest_waiting_ms=row.oldest_waiting_ms(),
        in_service=row.in_service,
        agents=agents.agents if agents else {},
        answer_within_s=promise.policy.answer_within_s,
        target=promise.policy.target,
        windows=windows,
        arrival=arrival,
        trend=row.trend(now_ms, TREND_MINUTES),
        edges_s=[edge / 1000 for edge in edges_ms],
    )


def group_snapshot(
    site: Site,
    row: MergedRow,
    truths: dict[str, SourceTruth],
    now_ms: int,
    published_ms: int,
    epoch: int,
    position: int,
) -> GroupSnapshot:
    """The snapshot of the site's row or of one team's."""
    parts = row_parts(row.name)
    windows = {w: measures({}, time) for w, time in row.window(Kind.TIME_PANE).items()}
    day = windows["day"] = measures({}, row.day(Kind.TIME_INTERVAL))
    day.queue_length_max, area_ms = row.lengths_of_day()
    day.queue_length_area_s = area_ms / 1000
    by_topic: dict[str, dict[str, int]] = {}
    letters: dict[str, int] = {}
    overflowing = 0
    for source, truth in truths.items():
        topic = by_topic.setdefault(source.rpartition("/")[0], dict.fromkeys(_TRUTH, 0))
        for name in _TRUTH:
            value = getattr(truth, name)
            topic[name] = max(topic[name], value) if name == "newest_event_ms" else topic[name] + value
        for reason, count in truth.dead_letters.items():
            letters[reason] = letters.get(reason, 0) + count
        overflowing += truth.overflow_names
    notices = (
        [] if not overflowing else [f"limit on queue names reached: the rest is under {k.OVERFLOW_ROW!r}"]
    )
    return GroupSnapshot(
        site=site.name,
        group="site" if parts[0] == "s" else "team",
        name=site.name if parts[0] == "s" else parts[1],
        as_of_ms=now_ms,
        published_ms=published_ms,
        epoch=epoch,
        position=position,
        agents=row.agents,
        windows=windows,
        waiting=row.waiting,
        in_service=row.in_service,
        trend=row.trend(now_ms, TREND_MINUTES) if parts[0] == "s" else [],
        truth=by_topic,
        dead_letters=letters,
        notices=notices,
    )


_TRUTH = (
    "records", "events", "duplicates", "corrected", "unmatched", "late_dropped", "ignored", "lost", "newest_event_ms",
)  # fmt: skip
