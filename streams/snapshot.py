"""What does a reader see of one row? From merged panes to the published state, and from that to the snapshot."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from schemas import counts as k
from schemas.partials import Kind, SourceTruth, row_parts
from schemas.snapshots import GroupSnapshot, Measures, QueueSnapshot, QueueState, RowState, Snapshot
from streams.contributions import Promises
from streams.expected_wait import EXPECTED_FROM, expected_wait_s
from streams.kpi import histogram, measures, windows_of
from streams.merged_row import MergedRow
from streams.rows import Pane
from streams.site import Site

TREND_MINUTES = 30
_decode = msgspec.json.Decoder(dict[int, int]).decode


def queue_state(
    site: Site,
    promises: Promises,
    row: MergedRow,
    agents: MergedRow | None,
    now_ms: int,
    published_ms: int,
    epoch: int,
    position: int,
) -> QueueState:
    """One queue and channel at `now_ms` (the pipeline's clock), as base counts."""
    _, queue, channel = row_parts(row.name)
    promise = promises.of(queue, channel)
    longest, area_ms = row.lengths_of_day()
    return QueueState(
        site=site.name,
        queue=queue,
        channel=channel,
        as_of_ms=now_ms,
        published_ms=published_ms,
        epoch=epoch,
        position=position,
        waiting=row.waiting,
        at_risk=row.waiting_since_before(now_ms - promise.in_x_ms),
        oldest_waiting_ms=row.oldest_waiting_ms(),
        in_service=row.in_service,
        agents=dict(agents.agents) if agents else {},
        answer_within_s=promise.policy.answer_within_s,
        target=promise.policy.target,
        event=row.packed(Kind.EVENT_PANE),
        arrival=row.packed(Kind.ARRIVAL_MINUTE),
        time=agents.packed(Kind.TIME_PANE) if agents else {},
        day_longest_wait_ms=row.day_longest_wait_ms(),
        day_queue_length_max=longest,
        day_queue_length_area_ms=area_ms,
        trend=row.trend(now_ms, TREND_MINUTES),
        edges_s=promise.edges_s,
        callbacks_open=row.callbacks,
        oldest_callback_ms=row.oldest_callback_ms(),
    )


def unpacked(rings: Mapping[str, Raw]) -> dict[str, Pane]:
    """The counts of all windows of one basis of a `QueueState`."""
    return windows_of({name: _decode(ring) for name, ring in rings.items()})


def queue_snapshot(state: QueueState) -> QueueSnapshot:
    """What a reader sees of a queue and channel: all measures of all windows."""
    counts = unpacked(state.arrival)
    arrival = {w: measures(pane) for w, pane in counts.items()}
    day = arrival["day"]
    if state.day_longest_wait_ms is not None:
        day.longest_wait_max_s = state.day_longest_wait_ms / 1000
    day.queue_length_max = state.day_queue_length_max
    day.queue_length_area_s = state.day_queue_length_area_ms / 1000
    _add_histograms(day, counts["day"], state.edges_s)
    return _seen(state, tuple(state.event), arrival)


def glance(state: RowState, *windows: str) -> Snapshot:
    """What a reader sees of a row who looks at some windows on the event basis only: of one, a tenth of the work."""
    return _seen(state, windows, {}) if isinstance(state, QueueState) else state


def _seen(state: QueueState, windows: Sequence[str], arrival: dict[str, Measures]) -> QueueSnapshot:
    counts, time = unpacked(state.event), unpacked(state.time)
    made = {w: measures(counts[w], time.get(w), state.at_risk) for w in windows}
    if "day" in made:
        _add_histograms(made["day"], counts["day"], state.edges_s)
    return QueueSnapshot(
        site=state.site,
        queue=state.queue,
        channel=state.channel,
        as_of_ms=state.as_of_ms,
        published_ms=state.published_ms,
        epoch=state.epoch,
        position=state.position,
        waiting=state.waiting,
        at_risk=state.at_risk,
        oldest_waiting_ms=state.oldest_waiting_ms,
        in_service=state.in_service,
        agents=state.agents,
        answer_within_s=state.answer_within_s,
        target=state.target,
        windows=made,
        arrival=arrival,
        trend=state.trend,
        edges_s=state.edges_s,
        callbacks_open=state.callbacks_open,
        oldest_callback_ms=state.oldest_callback_ms,
        expected_wait_s=expected_wait_s(state, counts[EXPECTED_FROM], time.get(EXPECTED_FROM)),
    )


def _add_histograms(day: Measures, counts: Pane, edges_s: list[float]) -> None:
    edges_ms = tuple([round(edge * 1000) for edge in edges_s])
    day.answered_histogram = histogram(counts, k.ANSWERED_FROM, edges_ms)
    day.abandoned_histogram = histogram(counts, k.ABANDONED_FROM, edges_ms)


def snapshot_of(state: RowState) -> Snapshot:
    """What a reader sees of a row."""
    return queue_snapshot(state) if isinstance(state, QueueState) else state


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
    times = row.counts(Kind.TIME_PANE)
    windows = {w: measures({}, time) for w, time in times.items()}
    day = windows["day"]
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
        agents=dict(row.agents),
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
    "lag",
)  # fmt: skip
