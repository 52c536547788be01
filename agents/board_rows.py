"""Which queue needs somebody now, and what do all queues together say? Rows of a board, made of snapshots.

Sums are sums of base counts; ratios and means come from summed numerators and denominators, never from averages.
Refuses to know how a row looks: `agents.board_view` says that.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from msgspec import Struct

from schemas.snapshots import GroupSnapshot, Measures, QueueSnapshot, Snapshot

STALE_AFTER_MS = 10_000
"""Numbers older than this are shown as stale, in ms."""
SMALL_N = 10
"""Below so many contacts a service level under its target is no breach yet: one caller more would turn it."""
SERVICE_LEVEL = "sl_offered"
"""The variant on the board."""


class State(IntEnum):
    """How a queue does, the neediest first.

    BREACH: the service level of the window is below its target. AT_RISK: somebody waits past X right now, or the
    service level is below its target but rests on fewer than SMALL_N contacts. OK: neither.
    """

    BREACH = 0
    AT_RISK = 1
    OK = 2


class Ratio(Struct, frozen=True, gc=False):
    """Numerator and denominator; with n = 0 there is no ratio."""

    numerator: float
    n: int

    @property
    def value(self) -> float | None:
        """The quotient, if it exists."""
        return self.numerator / self.n if self.n else None

    def __add__(self, other: "Ratio") -> "Ratio":
        return Ratio(self.numerator + other.numerator, self.n + other.n)


_NONE = Ratio(0, 0)


class BoardRow(Struct, frozen=True, kw_only=True):
    """What a board says of one queue, or of all of them (`state` None). Seconds end in `_s`."""

    queue: str
    channel: str
    state: State | None
    is_stale: bool
    waiting: int
    at_risk: int
    longest_s: float | None
    in_service: int
    agents: dict[str, int] | None
    answer_within_s: float | None
    target: float | None
    service_level: Ratio
    interval: tuple[float, float] | None
    """95 % Wilson interval of the service level."""
    asa: Ratio
    aht: Ratio
    abandonment: Ratio
    answer_rate: Ratio
    occupancy: float | None
    offered: int
    answered: int
    abandoned: int
    trend: list[int]


def board_rows(snapshots: Iterable[Snapshot], now_ms: int, window: str) -> list[BoardRow]:
    """One row per queue and channel, the neediest first."""
    rows = [_row(each, now_ms, window) for each in snapshots if isinstance(each, QueueSnapshot)]
    return sorted(rows, key=_need)


def site_row(rows: Sequence[BoardRow], site: GroupSnapshot | None, now_ms: int) -> BoardRow:
    """All queues together; agents come from the site's own snapshot, which has each of them once."""
    longest = [row.longest_s for row in rows if row.longest_s is not None]
    return BoardRow(
        queue="",
        channel="",
        state=None,
        is_stale=all(row.is_stale for row in rows),
        waiting=sum(row.waiting for row in rows),
        at_risk=sum(row.at_risk for row in rows),
        longest_s=max(longest, default=None),
        in_service=sum(row.in_service for row in rows),
        agents=site.agents if site is not None and not is_stale(site, now_ms) else None,
        answer_within_s=None,
        target=None,
        service_level=sum((row.service_level for row in rows), _NONE),
        interval=None,
        asa=sum((row.asa for row in rows), _NONE),
        aht=sum((row.aht for row in rows), _NONE),
        abandonment=sum((row.abandonment for row in rows), _NONE),
        answer_rate=sum((row.answer_rate for row in rows), _NONE),
        occupancy=None,
        offered=sum(row.offered for row in rows),
        answered=sum(row.answered for row in rows),
        abandoned=sum(row.abandoned for row in rows),
        trend=[sum(each) for each in zip(*(row.trend for row in rows), strict=True)] if rows else [],
    )


def site_of(snapshots: Iterable[Snapshot]) -> GroupSnapshot | None:
    """The snapshot of the whole site, if it is there."""
    return next((s for s in snapshots if isinstance(s, GroupSnapshot) and s.group == "site"), None)


def is_stale(snapshot: Snapshot, now_ms: int) -> bool:
    """True when nobody has published this row for too long."""
    return now_ms - snapshot.published_ms > STALE_AFTER_MS


def judge(snapshot: QueueSnapshot, window: str) -> State:
    """How a queue does over a window."""
    level = snapshot.windows[window].proportions.get(SERVICE_LEVEL)
    if level is not None and level.numerator / level.n < snapshot.target:
        return State.BREACH if level.n >= SMALL_N else State.AT_RISK
    return State.AT_RISK if snapshot.at_risk else State.OK


def _row(s: QueueSnapshot, now_ms: int, window: str) -> BoardRow:
    m = s.windows[window]
    stale = is_stale(s, now_ms)
    seen_ms = s.published_ms if stale else now_ms  # nobody knows whether they still wait
    level = m.proportions.get(SERVICE_LEVEL)
    return BoardRow(
        queue=s.queue,
        channel=s.channel,
        state=judge(s, window),
        is_stale=stale,
        waiting=s.waiting,
        at_risk=s.at_risk,
        longest_s=None if s.oldest_waiting_ms is None else max(0, seen_ms - s.oldest_waiting_ms) / 1000,
        in_service=s.in_service,
        agents=s.agents,
        answer_within_s=s.answer_within_s,
        target=s.target,
        service_level=_ratio(m, SERVICE_LEVEL),
        interval=None if level is None else (level.low, level.high),
        asa=Ratio(m.answered_wait_s, m.answered),
        aht=Ratio(m.talk_s + m.hold_sum_s + m.wrap_up_s, m.handled),
        abandonment=_ratio(m, "abandonment_rate"),
        answer_rate=_ratio(m, "answer_rate"),
        occupancy=m.occupancy,
        offered=m.offered,
        answered=m.answered,
        abandoned=m.abandoned,
        trend=s.trend,
    )


def _ratio(measures: Measures, name: str) -> Ratio:
    proportion = measures.proportions.get(name)
    return Ratio(proportion.numerator, proportion.n) if proportion else _NONE


def _need(row: BoardRow) -> tuple[int, int, float, int, float, str, str]:
    """Sort key: state, people past the target, longest wait in units of X, waiting, distance to the target."""
    assert row.state is not None
    assert row.answer_within_s is not None
    assert row.target is not None
    level = row.service_level.value
    return (
        row.state,
        -row.at_risk,
        -(row.longest_s or 0.0) / max(row.answer_within_s, 0.001),
        -row.waiting,
        0.0 if level is None else level - row.target,
        row.queue,
        row.channel,
    )
