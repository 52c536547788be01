"""What does a browser get to see? Tiles made of snapshots, and what changed since the frame before.

Ratios come with their n; a ratio of nothing is null. Times are Unix ms of the server, so ages need no client's clock.
Refuses to know how frames travel and how a tile looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType, field, structs

from agents.board_rows import SERVICE_LEVEL, Ratio, board_rows, judge, site_row
from schemas.snapshots import GroupSnapshot, Measures, QueueSnapshot, QueueState, RowState
from streams.snapshot import glance

KEY_SEPARATOR = "\x1f"


class Level(Struct, frozen=True, gc=False):
    """A proportion: `value` (null where n = 0) of `n`, with the 95 % Wilson interval where it is known."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


class Tile(Struct, frozen=True, gc=False, kw_only=True):
    """One queue and channel on a board. Seconds end in `_s`, Unix times in `_ms`; `levels`: thresholds exceeded."""

    queue: str
    channel: str
    state: str
    published_ms: int
    waiting: int
    at_risk: int
    oldest_ms: int | None
    in_service: int
    agents: dict[str, int]
    x_s: float
    target: float
    sl: Level
    offered: int
    answered: int
    abandoned: int
    callback: int
    overflowed: int
    silent_abandoned: int
    abandonment: Level
    answer_rate: Level
    asa_s: float | None
    aht_s: float | None
    first_response_s: float | None
    trend: list[int]
    levels: dict[str, str] = field(default_factory=dict)


class SiteTile(Struct, frozen=True, gc=False, kw_only=True):
    """All queues of a board together. `truth`: the pipeline's own state.

    `agents`: those of the site, each counted once; none on a board of some queues, whose agents nobody counts once.
    """

    name: str
    published_ms: int
    waiting: int
    at_risk: int
    oldest_ms: int | None
    in_service: int
    agents: dict[str, int]
    sl: Level
    offered: int
    answered: int
    abandoned: int
    callback: int
    silent_abandoned: int
    abandonment: Level
    answer_rate: Level
    asa_s: float | None
    aht_s: float | None
    trend: list[int]
    truth: dict[str, dict[str, int]]
    dead_letters: dict[str, int]
    lost: int
    notices: list[str]
    heard_ms: int
    """When the pipeline last heard of a source through Kafka; 0: not known."""
    missing: list[str]
    """Queues that the board is to show and nobody has ever published."""


class Ack(Struct, frozen=True):
    """Who said that they see to a breach, and when."""

    by: str
    at_ms: int


Acks = Mapping[str, Ack]
"""By tile key."""


class SnapshotFrame(Struct, kw_only=True):
    """All there is to see. A new `boot` is another process; `seq` counts the deltas of a board."""

    boot: str
    seq: int
    now: int
    """The server's clock."""
    as_of: int | None
    """When any of its rows was published last; null: none was."""
    redis_down_since: int | None
    board: dict[str, object]
    queues: Mapping[str, Tile]
    site: SiteTile | None
    acks: Acks


TileChange = dict[str, object]
"""Fields of a tile: all of one that is new, those that changed of one that was there."""


class DeltaFrame(Struct, kw_only=True):
    """What changed since the frame before; null: the queue is gone. What did not change is left out, in tiles, too."""

    seq: int
    now: int
    as_of: int | None
    queues: Mapping[str, TileChange | None]
    site: SiteTile | UnsetType | None = UNSET
    acks: Acks | UnsetType = UNSET
    """All of them, whenever one changed."""
    board: dict[str, object] | UnsetType = UNSET


class BeatFrame(Struct, kw_only=True):
    """A sign of life that carries the ages; it does not count."""

    seq: int
    now: int
    as_of: int | None
    redis_down_since: int | None


class Scope(NamedTuple):
    """What a board shows: over which window, which queues (empty: all), and the thresholds of its tiles.

    `thresholds`: queue, "" for all -> measure -> (warning, critical), None where there is none. A measure named in
    `_LOW_IS_BAD` is judged downwards.
    """

    window: str = "30m"
    queues: frozenset[str] = frozenset()
    thresholds: Mapping[str, Mapping[str, tuple[float | None, float | None]]] = {}


_LOW_IS_BAD = ("sl", "answer_rate", "available")


def key_of(row: QueueState | QueueSnapshot) -> str:
    """The tile's key in frames."""
    return f"{row.queue}{KEY_SEPARATOR}{row.channel}"


class _Made(NamedTuple):
    """A tile, without what depends on the clock, and what it was made of."""

    row: RowState
    glance: QueueSnapshot
    tile: Tile
    limits: Mapping[str, tuple[float | None, float | None]]


class Painter:
    """Makes the tiles of one board. Of a row that was not published again nothing is made twice."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._made: dict[str, _Made] = {}
        self._site: tuple[GroupSnapshot | None, SiteTile | None] = None, None

    def paint(self, rows: Iterable[RowState], now_ms: int) -> tuple[dict[str, Tile], SiteTile | None]:
        """Tiles of the board's queues by key, and all of them together (None while nothing is published)."""
        before, made = self._made, {}
        is_same = True
        site: GroupSnapshot | None = None
        for row in rows:
            if isinstance(row, GroupSnapshot):
                site = row if row.group == "site" else site
                continue
            if self._scope.queues and row.queue not in self._scope.queues:
                continue
            key = key_of(row)
            known = before.get(key)
            if known is None or known.row is not row:
                known, is_same = self._make(row), False
            made[key] = known
        self._made = made
        if not is_same or len(made) != len(before) or site is not self._site[0]:
            glances = [each.glance for each in made.values()]
            self._site = site, _site_tile(glances, site, now_ms, self._scope)
        return {key: _at(each, now_ms) for key, each in made.items()}, self._site[1]

    def _make(self, row: RowState) -> _Made:
        seen = glance(row, self._scope.window)
        assert isinstance(seen, QueueSnapshot)
        thresholds = self._scope.thresholds
        limits = {**thresholds.get("", {}), **thresholds.get(seen.queue, {})}
        return _Made(row, seen, _tile(seen, self._scope), limits)


def _at(made: _Made, now_ms: int) -> Tile:
    """The tile now: waits grow, and so may the levels."""
    if not made.limits:
        return made.tile
    oldest_ms = made.tile.oldest_ms
    wait_s = 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
    return structs.replace(made.tile, levels=_levels(made.tile, wait_s, made.limits))


def _tile(s: QueueSnapshot, scope: Scope) -> Tile:
    m = s.windows[scope.window]
    return Tile(
        queue=s.queue,
        channel=s.channel,
        state=judge(s, scope.window).name.lower(),
        published_ms=s.published_ms,
        waiting=s.waiting,
        at_risk=s.at_risk,
        oldest_ms=s.oldest_waiting_ms,
        in_service=s.in_service,
        agents=s.agents,
        x_s=s.answer_within_s,
        target=s.target,
        sl=_level(m, SERVICE_LEVEL),
        offered=m.offered,
        answered=m.answered,
        abandoned=m.abandoned,
        callback=m.callback,
        overflowed=m.overflowed,
        silent_abandoned=m.silent_abandoned,
        abandonment=_level(m, "abandonment_rate"),
        answer_rate=_level(m, "answer_rate"),
        asa_s=m.asa_s,
        aht_s=m.aht_s,
        first_response_s=m.first_response_s,
        trend=s.trend,
    )


def _levels(
    tile: Tile, wait_s: float, limits: Mapping[str, tuple[float | None, float | None]]
) -> dict[str, str]:
    levels: dict[str, str] = {}
    for measure, (warning, critical) in limits.items():
        value = _judged(tile, wait_s, measure)
        if value is None:
            continue
        sign = -1 if measure in _LOW_IS_BAD else 1
        for name, limit in (("critical", critical), ("warning", warning)):
            if limit is not None and sign * value >= sign * limit:
                levels[measure] = name
                break
    return levels


def _judged(tile: Tile, wait_s: float, measure: str) -> float | None:
    """The number of a tile that a threshold is held against; None: there is none."""
    if measure == "longest_wait_s":
        return wait_s
    if measure == "available":
        return tile.agents.get(measure, 0) if tile.agents else None
    value: Level | float | None = getattr(tile, measure)
    return value.value if isinstance(value, Level) else value


def _site_tile(
    queues: Sequence[QueueSnapshot], site: GroupSnapshot | None, now_ms: int, scope: Scope
) -> SiteTile | None:
    if site is None and not queues:
        return None
    row = site_row(board_rows(queues, now_ms, scope.window), site, now_ms)
    oldest = [s.oldest_waiting_ms for s in queues if s.oldest_waiting_ms is not None]
    windows = [s.windows[scope.window] for s in queues]
    newest = max((s.published_ms for s in queues), default=0)
    return SiteTile(
        name="" if site is None else site.name,
        published_ms=newest if site is None else site.published_ms,
        waiting=row.waiting,
        at_risk=row.at_risk,
        oldest_ms=min(oldest, default=None),
        in_service=row.in_service,
        agents={} if site is None or scope.queues else site.agents,
        sl=_of(row.service_level),
        offered=row.offered,
        answered=row.answered,
        abandoned=row.abandoned,
        callback=sum(m.callback for m in windows),
        silent_abandoned=sum(m.silent_abandoned for m in windows),
        abandonment=_of(row.abandonment),
        answer_rate=_of(row.answer_rate),
        asa_s=row.asa.value,
        aht_s=row.aht.value,
        trend=row.trend,
        truth={} if site is None else site.truth,
        dead_letters={} if site is None else site.dead_letters,
        lost=sum(m.lost for m in windows),
        notices=[] if site is None else site.notices,
        heard_ms=0 if site is None else site.heard_ms,
        missing=sorted(scope.queues - {s.queue for s in queues}),
    )


def newest_ms(tiles: Iterable[Tile], site: SiteTile | None) -> int | None:
    """When anything on a board was published last; where it shows no queue, the site."""
    return max((tile.published_ms for tile in tiles), default=None if site is None else site.published_ms)


def needs_action(tile: Tile) -> bool:
    """True while a breach may be acknowledged: of the queue's promise, or of a critical threshold."""
    return tile.state == "breach" or "critical" in tile.levels.values()


def _level(measures: Measures, name: str) -> Level:
    found = measures.proportions.get(name)
    if found is None or not found.n:
        return Level(None, 0)
    return Level(found.numerator / found.n, found.n, found.low, found.high)


def _of(ratio: Ratio) -> Level:
    return Level(ratio.value, round(ratio.n))


def changes(before: Mapping[str, Tile], after: Mapping[str, Tile]) -> dict[str, TileChange | None]:
    """Tiles that are new, what changed in those that differ, and None for those that are gone."""
    out: dict[str, TileChange | None] = {}
    names = Tile.__struct_fields__
    for key, tile in after.items():
        known = before.get(key)
        if known is None:
            out[key] = structs.asdict(tile)
        elif known is not tile:
            pairs = zip(names, structs.astuple(known), structs.astuple(tile), strict=True)
            if changed := {name: value for name, was, value in pairs if was != value}:
                out[key] = changed
    out.update((key, None) for key in before if key not in after)
    return out
