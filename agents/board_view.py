"""How does the live board look? Snapshots in, lines of text out: pure, for any width, in Japanese and English.

Every state has a colour, a shape and a word; grey means stale and nothing else; a ratio that does not exist is "-".
Refuses to know where snapshots come from and how lines reach a screen.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import NamedTuple
from unicodedata import category

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from agents.board_rows import (
    SMALL_N,
    STALE_AFTER_MS,
    BoardRow,
    Ratio,
    State,
    board_rows,
    is_stale,
    site_of,
    site_row,
)
from schemas.definitions import DEFINITIONS
from schemas.snapshots import GroupSnapshot, QueueSnapshot, Snapshot

OK, WATCH, ACT = "#56b4e9", "#f0e442", "#d55e00"
"""Blue, yellow, vermilion: told apart under every common colour blindness."""
GREY = "#8a8a8a"
QUIET = "#9a9a9a"
_CHIPS = {State.BREACH: f"bold #000000 on {ACT}", State.AT_RISK: f"bold #000000 on {WATCH}", State.OK: OK}
_SHAPES = {State.BREACH: "▲", State.AT_RISK: "●", State.OK: "✓"}
_BARS = "▁▂▃▄▅▆▇█"
_FULL_BAR_AT_LEAST = 4
"""A single contact is no full bar."""
_GAP = 1
_TALL = 30
"""Lines from which on a screen has room for the whole legend."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "breach": "breach", "at_risk": "at risk", "ok": "ok", "stale": "stale", "state": "State", "queue": "Queue",
        "all": "All queues", "channel": "Ch", "interval": "95 %", "last": "last {window}", "today": "today",
        "voice": "voice", "chat": "chat", "email": "e-mail", "form": "form", "sns": "sns", "video": "video",
        "more": "… and {n} more: {states}",
        "stale_all": "STALE since {at} — no snapshot newer than {age}",
        "stale_some": "{n} of {all} queues STALE since {at} — their numbers are old",
        "unheard": "NOTHING NEW comes through Kafka since {at} ({age}) — the numbers are old",
        "empty": "No snapshots yet. Is a worker running, and does it publish to this store?",
        "legend": "▲ SL below target|● somebody waits past the target time, or SL below target with n < {small}|"
        "SL = {formula}, {window} (sl_offered)|Target 80/20s = 80 % answered within 20 s",
        "legend_short": "▲ below target  ● waits past it  SL = {formula}",
        "ago": "{age} ago", "data": "data {age} old", "never": "no event yet", "lost": "lost",
    },
    "ja": {
        "breach": "未達", "at_risk": "注意", "ok": "良好", "stale": "古い", "state": "状態", "queue": "キュー",
        "all": "全キュー", "channel": "種別", "interval": "95%区間", "last": "直近{window}", "today": "本日",
        "voice": "音声", "chat": "チャット", "email": "メール", "form": "フォーム", "sns": "SNS", "video": "ビデオ",
        "more": "… 他 {n} キュー: {states}",
        "stale_all": "{at} から更新停止 — {age}より新しいデータがありません",
        "stale_some": "{all} キュー中 {n} が {at} から更新停止 — 灰色の数値は古い値です",
        "unheard": "{at} から Kafka のデータが届いていません ({age}) — 数値は古い値です",
        "empty": "データがまだありません。ワーカーは動いていますか。保存先は合っていますか。",
        "legend": "▲ SLが目標未達|● 目標時間を過ぎた待ちあり、または n < {small} で未達|"
        "SL = {formula}、{window} (sl_offered)|目標 80/20s = 20秒以内に80%応答",
        "legend_short": "▲ 目標未達  ● 目標超過の待ちあり  SL = {formula}",
        "ago": "{age}前", "data": "データ {age}前", "never": "イベントなし", "lost": "消失",
    },
}  # fmt: skip
"""What is no measure; measures have their words in `schemas.definitions`."""

_WINDOW_WORDS = {
    "en": {"1m": "1 min", "5m": "5 min", "15m": "15 min", "30m": "30 min", "1h": "60 min"},
    "ja": {"1m": "1分", "5m": "5分", "15m": "15分", "30m": "30分", "1h": "60分"},
}


def render(
    snapshots: Sequence[Snapshot],
    now_ms: int,
    lang: str = "en",
    width: int = 80,
    height: int | None = None,
    window: str = "30m",
    header: str = "",
    problem: str = "",
    zone: tzinfo | None = None,
) -> RenderableType:
    """The board at `now_ms` as lines that fit.

    Args:
        snapshots: the newest of every row.
        now_ms: the viewer's clock, Unix ms.
        lang: "ja" or "en".
        width: columns of the screen; less important columns go first.
        height: lines of the screen; the neediest queues stay. None: all of them.
        window: "1m", "5m", "15m", "30m", "1h" or "day".
        header: one quiet line below the title, such as an address.
        problem: why reading fails just now.
        zone: of the clock; None: this machine's.
    """
    lines = _View(lang, width, window, now_ms, zone).lines(snapshots, height, header, problem)
    return Group(*lines)


class _Column(NamedTuple):
    """`importance`: the smallest stay longest; columns of the same go together. `widest`: how far it may grow."""

    name: str
    importance: int
    width: int
    cell: Callable[[BoardRow], Text | str]
    widest: int = 0
    is_left: bool = False


class _View:
    def __init__(self, lang: str, width: int, window: str, now_ms: int, zone: tzinfo | None) -> None:
        self.lang = lang if lang in WORDS else "en"
        self.words = WORDS[self.lang]
        self.width = max(20, width)
        self.now_ms = now_ms
        self.zone = zone
        span = _WINDOW_WORDS[self.lang].get(window)
        self.window = window
        self.window_words = self.words["last"].format(window=span) if span else self.words["today"]

    # --- the page ---------------------------------------------------------------------------------------------

    def lines(
        self, snapshots: Sequence[Snapshot], height: int | None, header: str, problem: str
    ) -> list[Text]:
        site = site_of(snapshots)
        rows = board_rows(snapshots, self.now_ms, self.window)
        total = site_row(rows, site, self.now_ms)
        name = next((s.site for s in snapshots), "Queuelight")
        top = [self._title(name, rows)]
        if header:
            top.append(_cropped(Text(printable(header), QUIET), self.width))
        top += [_cropped(Text(f" {line} ", f"bold #000000 on {WATCH}"), self.width) for line in self._warnings(
            snapshots, site, problem)]  # fmt: skip
        if not rows:
            return [*top, Text(), Text(self.words["empty"], "bold")]
        bottom = [*self._legend(height), *self._truth(site, snapshots)]
        room = None if height is None else max(1, height - len(top) - len(bottom) - 3)  # head, total, blank
        shown = rows if room is None or len(rows) <= room else rows[: max(1, room - 1)]
        columns = self._columns([total, *shown])
        middle = [self._heads(columns), *(self._line(columns, row) for row in (total, *shown))]
        if len(shown) < len(rows):
            middle.append(self._more(rows[len(shown) :]))
        spare = 0 if room is None else room - len(rows)
        middle += [Text()] * (1 + max(0, spare))
        return [*top, *middle, *bottom]

    def _title(self, name: str, rows: Sequence[BoardRow]) -> Text:
        left = Text.assemble((printable(name), "bold"), (f"  {self.window_words}", QUIET))
        right = Text()
        wide = self.width >= 70
        stale = sum(row.is_stale for row in rows)
        if stale:
            right.append(f" ? {stale} {self.words['stale'] if wide else ''} ", GREY).append(" ")
        for state in State if stale < len(rows) else ():
            count = sum(row.state is state and not row.is_stale for row in rows)
            word = f"{self._word(state)} " if wide else ""
            right.append(f" {_SHAPES[state]} {count} {word}", _CHIPS[state] if count else QUIET).append(" ")
        right.append(self._clock(self.now_ms), "bold")
        if cell_len(left.plain) + cell_len(right.plain) >= self.width:
            left.truncate(max(8, self.width - cell_len(right.plain) - 1), overflow="ellipsis")
        gap = max(1, self.width - cell_len(left.plain) - cell_len(right.plain))
        return _cropped(Text.assemble(left, " " * gap, right), self.width)

    def _warnings(self, snapshots: Sequence[Snapshot], site: GroupSnapshot | None, problem: str) -> list[str]:
        """What has to be said before any number."""
        out = [printable(problem)] if problem else []
        stale = [s for s in snapshots if isinstance(s, QueueSnapshot) and is_stale(s, self.now_ms)]
        queues = sum(isinstance(s, QueueSnapshot) for s in snapshots)
        if stale:
            newest_ms = max(s.published_ms for s in stale)
            since = self._clock(newest_ms)
            age = self._age(self.now_ms - newest_ms)
            text = self.words["stale_all" if len(stale) == queues else "stale_some"]
            out.append(text.format(at=since, age=age, n=len(stale), all=queues))
        if site is not None:
            if site.heard_ms and self.now_ms - site.heard_ms > STALE_AFTER_MS and len(stale) < queues:
                given = {"at": self._clock(site.heard_ms), "age": self._age(self.now_ms - site.heard_ms)}
                out.append(self.words["unheard"].format(**given))
            out += [printable(notice) for notice in site.notices]
        return out

    def _more(self, hidden: Sequence[BoardRow]) -> Text:
        counts = [(state, sum(row.state is state for row in hidden)) for state in State]
        states = "  ".join(f"{_SHAPES[state]} {n} {self._word(state)}" for state, n in counts if n)
        return _cropped(Text(self.words["more"].format(n=len(hidden), states=states), "bold"), self.width)

    def _legend(self, height: int | None) -> list[Text]:
        """What the signs mean; one line on a small screen."""
        formula = (
            DEFINITIONS["sl_offered"].sentence("ja")
            if self.lang == "ja"
            else DEFINITIONS["sl_offered"].formula
        )
        given = {"formula": formula, "window": self.window_words, "small": SMALL_N}
        if height is not None and height < _TALL:
            return [_cropped(Text(self.words["legend_short"].format(**given), QUIET), self.width)]
        return self._flowing(
            [Text(part) for part in self.words["legend"].format(**given).split("|")], "   ", QUIET
        )

    def _flowing(self, parts: Sequence[Text], between: str, style: str) -> list[Text]:
        """Parts one after the other, in as many lines as they need."""
        lines = [Text(style=style)]
        for part in parts:
            if lines[-1].plain and cell_len(lines[-1].plain + between + part.plain) > self.width:
                lines.append(Text(style=style))
            if lines[-1].plain:
                lines[-1].append(between)
            lines[-1].append_text(part)
        return [_cropped(line, self.width) for line in lines]

    # --- pipeline truth ---------------------------------------------------------------------------------------

    def _truth(self, site: GroupSnapshot | None, snapshots: Sequence[Snapshot]) -> list[Text]:
        """The last lines: how fresh, and what was not counted."""
        parts: list[Text] = []
        newest_ms = max((s.published_ms for s in snapshots), default=0)
        late = self.now_ms - newest_ms > STALE_AFTER_MS
        parts.append(
            Text(self.words["data"].format(age=self._age(self.now_ms - newest_ms)), "bold" if late else "")
        )
        if site is not None:
            parts += [
                self._source(topic, counts["newest_event_ms"]) for topic, counts in sorted(site.truth.items())
            ]
            parts += self._counts(site)
        return self._flowing(parts, " · ", GREY if late else QUIET)

    def _source(self, topic: str, newest_ms: int) -> Text:
        age = (
            self.words["ago"].format(age=self._age(self.now_ms - newest_ms))
            if newest_ms
            else self.words["never"]
        )
        return Text(f"{printable(topic)} {age}")

    def _counts(self, site: GroupSnapshot) -> list[Text]:
        """Sums over the sources; what is in no number stands out."""
        sums: dict[str, int] = {}
        for counts in site.truth.values():
            for name, value in counts.items():
                sums[name] = sums.get(name, 0) + value
        sums["undecodable"] = sum(site.dead_letters.values())
        out = []
        for name in (
            "events",
            "late_dropped",
            "duplicates",
            "corrected",
            "unmatched",
            "undecodable",
            "lost",
            "lag",
        ):
            if name not in sums:
                continue
            label = self.words["lost"] if name == "lost" else DEFINITIONS[name].label(self.lang, short=True)
            not_counted = sums[name] and name in ("late_dropped", "undecodable")
            out.append(Text(f"{label} {sums[name]:,}", f"bold {WATCH}" if not_counted else ""))
        return out

    # --- the table --------------------------------------------------------------------------------------------

    def _columns(self, rows: Sequence[BoardRow]) -> list[tuple[_Column, int]]:
        """The columns that fit, with their widths, in their order on the screen. Numbers are never cut."""
        longest_name = max(cell_len(self._queue(row).plain) for row in rows)
        every = []
        for column in self._all_columns(min(36, max(longest_name, 12))):
            width = max(column.width, cell_len(self._head(column.name)))
            if not column.widest:
                width = max(width, *(cell_len(str(column.cell(row))) for row in rows))
            every.append(column._replace(width=width))
        room = self.width + _GAP
        kept: set[str] = set()
        by_importance = sorted(every, key=_importance)
        for _, group in groupby(by_importance, _importance):
            together = list(group)
            needed = sum(column.width + _GAP for column in together)
            if needed <= room:
                kept |= {column.name for column in together}
                room -= needed
        widths: list[tuple[_Column, int]] = []
        for column in every:
            if column.name in kept:
                extra = min(room, max(0, column.widest - column.width))
                if column.name == "trend":  # a bar per 1, 2 or 3 minutes
                    extra = max(n for n in (0, 5, 20) if n <= extra)
                room -= extra
                widths.append((column, column.width + extra))
        return widths

    def _all_columns(self, name_width: int) -> list[_Column]:
        def agents(state: str) -> Callable[[BoardRow], str]:
            return lambda row: "-" if row.agents is None else str(row.agents.get(state, 0))

        narrow = min(name_width, 14 if self.width < 100 else 22)
        return [
            _Column("state", 0, self._chip_width(), self._state, is_left=True),
            _Column("queue", 1, narrow, self._queue, name_width, is_left=True),
            _Column("channel", 15, 6 if self.lang == "en" else 8, self._channel, is_left=True),
            _Column("waiting", 2, 4, self._waiting),
            _Column("longest_wait", 3, 6, self._longest),
            _Column("at_risk", 4, 4, self._at_risk),
            _Column("trend", 10, 10, self._trend, 30, is_left=True),
            _Column("sl_offered", 5, 5, self._level),
            _Column("interval", 18, 6, self._interval),
            _Column("target", 8, 6, self._target),
            _Column("n", 6, 4, lambda row: f"{row.service_level.n:,}"),
            _Column("asa_s", 11, 5, lambda row: _clock_of(row.asa)),
            _Column("aht_s", 19, 5, lambda row: _clock_of(row.aht)),
            _Column("abandonment_rate", 9, 6, lambda row: _percent(row.abandonment.value)),
            _Column("answer_rate", 21, 6, lambda row: _percent(row.answer_rate.value)),
            _Column("offered", 16, 5, lambda row: f"{row.offered:,}"),
            _Column("answered", 16, 5, lambda row: f"{row.answered:,}"),
            _Column("abandoned", 16, 5, lambda row: f"{row.abandoned:,}"),
            _Column("in_service", 14, 4, lambda row: str(row.in_service)),
            _Column("available", 7, 4, self._available),
            _Column("busy", 7, 4, agents("busy")),
            _Column("wrap_up", 12, 4, agents("wrap_up")),
            _Column("break", 12, 4, agents("break")),
            _Column("lost", 22, 4, agents("lost")),
            _Column("occupancy", 20, 6, lambda row: _percent(row.occupancy)),
        ]

    def _head(self, name: str) -> str:
        if name == "state":
            return " " + self.words[name]
        return self.words[name] if name in self.words and name not in DEFINITIONS else _short(name, self.lang)

    def _heads(self, columns: Sequence[tuple[_Column, int]]) -> Text:
        line = Text(style=f"{QUIET} underline")
        for column, width in columns:
            line.append_text(_fitted(Text(self._head(column.name)), width, is_left=column.is_left))
            line.append(" " * _GAP)
        line.right_crop(_GAP)
        line.append(" " * (self.width - cell_len(line.plain)))
        return line

    def _line(self, columns: Sequence[tuple[_Column, int]], row: BoardRow) -> Text:
        line = Text(style="bold" if row.state is None else "")
        for column, width in columns:
            cell = self._trend(row, width) if column.name == "trend" else column.cell(row)
            text = Text(cell) if isinstance(cell, str) else cell
            line.append_text(_fitted(text, width, is_left=column.is_left))
            line.append(" " * _GAP)
        line.right_crop(_GAP)
        return Text(line.plain, f"{GREY} not bold") if row.is_stale else line

    # --- cells ------------------------------------------------------------------------------------------------

    def _word(self, state: State) -> str:
        return self.words[state.name.lower()]

    def _chip_width(self) -> int:
        return max(cell_len(self._word(state)) for state in State) + 4

    def _state(self, row: BoardRow) -> Text:
        if row.state is None:
            return Text()
        if row.is_stale:
            return Text(f" ? {self.words['stale']}")
        chip = _fitted(
            Text(f" {_SHAPES[row.state]} {self._word(row.state)}"), self._chip_width(), is_left=True
        )
        chip.stylize(_CHIPS[row.state])
        return chip

    def _queue(self, row: BoardRow) -> Text:
        return Text(self.words["all"] if row.state is None else printable(row.queue))

    def _channel(self, row: BoardRow) -> Text:
        return Text(self.words.get(row.channel, printable(row.channel)), QUIET)

    def _waiting(self, row: BoardRow) -> Text:
        return Text(f"{row.waiting:,}", "bold" if row.waiting else QUIET)

    def _longest(self, row: BoardRow) -> Text:
        if row.longest_s is None:
            return Text("-", QUIET)
        late = row.answer_within_s is not None and row.longest_s > row.answer_within_s
        return Text(clock(row.longest_s), f"bold {WATCH}" if late else "")

    def _at_risk(self, row: BoardRow) -> Text:
        return Text(f"{row.at_risk:,}", f"bold {WATCH}" if row.at_risk else QUIET)

    def _level(self, row: BoardRow) -> Text:
        value = row.service_level.value
        return Text(_percent(value), QUIET if value is None else f"bold {WATCH}" if _misses(row) else "bold")

    def _interval(self, row: BoardRow) -> Text:
        if row.interval is None:
            return Text("-", QUIET)
        low, high = row.interval
        return Text(f"{low * 100:.0f}-{high * 100:.0f}", QUIET)

    def _target(self, row: BoardRow) -> Text:
        if row.target is None or row.answer_within_s is None:
            return Text()
        return Text(f"{row.target * 100:g}/{_seconds(row.answer_within_s)}", QUIET)

    def _available(self, row: BoardRow) -> Text:
        if row.agents is None:
            return Text("-", QUIET)
        count = row.agents.get("available", 0)
        return Text(str(count), "" if count else f"bold {WATCH}" if row.waiting else QUIET)

    def _trend(self, row: BoardRow, width: int = 10) -> Text:
        return Text(sparkline(row.trend, width), OK)

    # --- times ------------------------------------------------------------------------------------------------

    def _clock(self, at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone).strftime("%H:%M:%S")

    def _age(self, age_ms: int) -> str:
        seconds = max(0, age_ms) / 1000
        units = ("秒", "分", "時間") if self.lang == "ja" else (" s", " min", " h")
        if seconds < 10:
            return f"{seconds:.1f}{units[0]}"
        if seconds < 120:
            return f"{seconds:.0f}{units[0]}"
        return f"{seconds / 60:.0f}{units[1]}" if seconds < 7200 else f"{seconds / 3600:.0f}{units[2]}"


def _importance(column: _Column) -> int:
    return column.importance


def _misses(row: BoardRow) -> bool:
    value = row.service_level.value
    return value is not None and row.target is not None and value < row.target


def _short(name: str, lang: str) -> str:
    return DEFINITIONS[name].label(lang, short=True)


def clock(seconds: float) -> str:
    """A duration as m:ss, h:mm:ss from an hour on, hours only from a hundred of them.

    >>> clock(24.4), clock(3723), clock(400_000)
    ('0:24', '1:02:03', '111h')
    """
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 360_000:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 3600}h"


def sparkline(values: Sequence[int], width: int) -> str:
    """The values as bars, the greatest of each group of neighbours where there are more values than columns.

    >>> sparkline([0, 0, 4, 8], 4), sparkline([0, 0, 4, 8], 2)
    ('▁▁▄█', '▁█')
    """
    if not values:
        return ""
    group = -(-len(values) // width)
    peaks = [max(values[start : start + group]) for start in range(0, len(values), group)]
    top = max(_FULL_BAR_AT_LEAST, *peaks)
    return "".join(_BARS[-(-peak * (len(_BARS) - 1) // top)] for peak in peaks)


def printable(text: str) -> str:
    """The text without anything that could move a cursor or turn writing around."""
    return "".join(c if c.isprintable() or category(c) == "Zs" else "�" for c in text)


def _fitted(text: Text, width: int, *, is_left: bool) -> Text:
    """Exactly `width` columns; what is too long ends in "…"."""
    text.truncate(width, overflow="ellipsis")
    space = " " * (width - cell_len(text.plain))
    return Text.assemble(text, space) if is_left else Text.assemble(space, text)


def _cropped(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text


def _percent(value: float | None) -> str:
    """One decimal, rounded down: 79.96 % is not 80 %."""
    if value is None:
        return "-"
    tenths = int(value * 1000 + 1e-9)
    return "100%" if tenths == 1000 else f"{tenths // 10}.{tenths % 10}%"


def _clock_of(ratio: Ratio) -> str:
    return "-" if ratio.value is None else clock(ratio.value)


def _seconds(seconds: float) -> str:
    return (
        f"{seconds:g}s"
        if seconds < 600
        else f"{seconds / 60:g}m"
        if seconds < 7200
        else f"{seconds / 3600:g}h"
    )
