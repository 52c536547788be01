"""What does a board show of the web site? The newest report and who is stuck now, page by page.

Of visitors a board gets short names that lead nowhere, and of queues only its own. Refuses to know how reports are
made.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from schemas.journeys import Arm, InterventionResult, PageModel, VisitorNow, WebReport
from schemas.snapshots import QueueState, RowState

STALE_AFTER_S = 30.0
"""A report is made at least every ten seconds; one that is three times as old is out of date."""
MOST_VISITORS = 100
_MOST_REASONS = 3
_NAME_DIGITS = 8
_BELIEVED_MS = 10_000


class StuckVisitor(Struct, frozen=True, kw_only=True):
    """One visitor who is stuck, under a short name; `reasons` are codes, the greatest first.

    `offer`: help may be suggested now; else `withheld` says why not.
    """

    name: str
    page: str
    since_ms: int
    seen_ms: int
    probability: float
    arm: Arm
    reasons: tuple[str, ...]
    queue: str | None = None
    kind: str | None = None
    offer: bool = False
    withheld: str | None = None


class StuckPage(Struct, frozen=True, kw_only=True):
    """Who is stuck on one page: how many, since when the first, why, and who could help.

    `reasons`: code -> visitors, besides the page itself. `free`: agents available in `queue`; null: no queue, or
    nothing is known of it.
    `offers`: for how many help may be suggested; `withheld`: why not -> for how many others.
    """

    page: str
    stuck: int
    since_ms: int
    reasons: dict[str, int]
    queue: str | None
    free: int | None
    offers: int
    withheld: dict[str, int]


class WebFrame(Struct, kw_only=True):
    """The web site, now. Latest wins: a frame that was lost is replaced by the next.

    `now`: the server's clock; `report.as_of_ms` against it is the age, and beyond `stale_after_s` the numbers are out
    of date. `report` null: no web event was ever counted. `redis_down_since`: since when nothing could be read.
    """

    seq: int
    now: int
    stale_after_s: float
    redis_down_since: int | None
    report: WebReport | None
    stuck: tuple[StuckPage, ...]
    visitors: tuple[StuckVisitor, ...]
    watched: int
    """Visitors whose probability is at least half the threshold, the stuck ones included."""


def web_frame(
    seq: int,
    report: WebReport | None,
    visitors: Sequence[VisitorNow],
    rows: Iterable[RowState],
    queues: frozenset[str],
    at_ms: int,
    down_since_ms: int | None = None,
) -> WebFrame:
    """What one board shows.

    Args:
        seq: the board's newest frame; web frames do not count.
        report: the newest; None: there is none yet.
        visitors: whoever is watched.
        rows: what queues publish, for who is free.
        queues: those on the board; empty: all.
        at_ms: the server's clock.
        down_since_ms: since when the store is away; None: it answers.
    """
    stuck = [each for each in visitors if each.flag is not None and each.flag.cleared_ms is None]
    free = _free(rows, queues, at_ms)
    named = sorted((_visitor(each, queues) for each in stuck), key=lambda each: (each.since_ms, each.name))
    return WebFrame(
        seq=seq,
        now=at_ms,
        stale_after_s=STALE_AFTER_S,
        redis_down_since=down_since_ms,
        report=None if report is None else _seen(report, queues),
        stuck=_by_page(stuck, free, queues),
        visitors=tuple(named[:MOST_VISITORS]),
        watched=len(visitors),
    )


def _seen(report: WebReport, queues: frozenset[str]) -> WebReport:
    """The report without what a board has no use for, and without queues that are not on it."""
    pages: tuple[PageModel, ...] = report.pages
    results: tuple[InterventionResult, ...] = report.interventions
    resolutions = report.resolutions
    if queues:
        pages = tuple(structs.replace(p, queue=p.queue if p.queue in queues else None) for p in pages)
        resolutions = tuple(each for each in resolutions if each.queue in queues)
    return structs.replace(report, model=None, pages=pages, interventions=results, resolutions=resolutions)


def _visitor(now: VisitorNow, queues: frozenset[str]) -> StuckVisitor:
    flag = now.flag
    assert flag is not None, "only the stuck are shown"
    return StuckVisitor(
        name=short_name(now.visitor_id),
        page=flag.page,
        since_ms=flag.raised_ms,
        seen_ms=now.seen_ms,
        probability=now.probability,
        arm=flag.arm,
        reasons=top_reasons(now),
        queue=_known(flag.queue, queues),
        kind=flag.kind,
        offer=now.offer,
        withheld=now.withheld,
    )


def _by_page(
    stuck: Sequence[VisitorNow], free: Mapping[str, int], queues: frozenset[str]
) -> tuple[StuckPage, ...]:
    pages: dict[str, list[VisitorNow]] = {}
    for now in stuck:
        assert now.flag is not None, "only the stuck are counted"
        pages.setdefault(now.flag.page, []).append(now)
    found = [_page(page, of_page, free, queues) for page, of_page in pages.items()]
    return tuple(sorted(found, key=lambda each: (-each.stuck, each.since_ms, each.page)))


def _page(
    page: str, of_page: Sequence[VisitorNow], free: Mapping[str, int], queues: frozenset[str]
) -> StuckPage:
    flags = [now.flag for now in of_page if now.flag is not None]
    leads = Counter(flag.queue for flag in flags if flag.queue is not None)
    queue = _known(leads.most_common(1)[0][0] if leads else None, queues)
    reasons = Counter(code for now in of_page for code in top_reasons(now, besides=("base", "page")))
    return StuckPage(
        page=page,
        stuck=len(flags),
        since_ms=min(flag.raised_ms for flag in flags),
        reasons=dict(reasons.most_common(_MOST_REASONS)),
        queue=queue,
        free=None if queue is None else free.get(queue),
        offers=sum(now.offer for now in of_page),
        withheld=dict(Counter(now.withheld for now in of_page if now.withheld is not None)),
    )


def top_reasons(now: VisitorNow, besides: tuple[str, ...] = ("base",)) -> tuple[str, ...]:
    """The codes that speak for a contact, the greatest first; what holds for everybody (`besides`) is no reason."""
    for_it = [each for each in now.reasons if each.log_odds > 0 and each.code not in besides]
    return tuple(each.code for each in sorted(for_it, key=lambda each: -each.log_odds)[:_MOST_REASONS])


def short_name(visitor_id: str) -> str:
    """Eight digits by which people at two screens know that they speak of the same visitor."""
    return hashlib.sha256(visitor_id.encode()).hexdigest()[:_NAME_DIGITS]


def _known(queue: str | None, queues: frozenset[str]) -> str | None:
    return queue if not queues or queue in queues else None


def _free(rows: Iterable[RowState], queues: frozenset[str], at_ms: int) -> dict[str, int]:
    """Available agents by queue, on whichever channel has most; of rows that are out of date nothing is known."""
    free: dict[str, int] = {}
    for row in rows:
        is_shown = isinstance(row, QueueState) and (not queues or row.queue in queues)
        if is_shown and isinstance(row, QueueState) and at_ms - row.published_ms <= _BELIEVED_MS:
            free[row.queue] = max(free.get(row.queue, 0), row.agents.get("available", 0))
    return free
