"""How are firing alerts shown in a terminal? A table, worst first: colour, shape and word say how bad.

Refuses to know where they come from: `agents.firing` asks.
"""

import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.board_view import ACT, OK, QUIET, WATCH
from agents.firing import Fired, Firing
from schemas.snapshots import encode_json

_WIDE = 240
"""Of a table that goes to a file or a pipe: one line for each alert."""
_NARROW = 120
"""Columns of a terminal below which what is said of an alert stands one below the other."""
_LOOKS = {
    "critical": ("▲", f"bold #000000 on {ACT}"), "warning": ("●", f"bold #000000 on {WATCH}"), "info": ("○", OK),
}  # fmt: skip
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "critical": "act now", "warning": "watch", "info": "info", "severity": "How bad", "since": "Since",
        "where": "Where", "what": "What", "numbers": "Numbers", "handled": "Taken on by", "limit": "limit {limit}",
        "silenced": "{by} until {until}: {comment}", "instead": "not told: {alerts} stands for it",
        "none": "No alert fires.", "unwatched": "The watchdog does not fire: alerts may not reach Alertmanager.",
    },
    "ja": {
        "critical": "至急", "warning": "注意", "info": "参考", "severity": "重要度", "since": "開始",
        "where": "場所", "what": "内容", "numbers": "数値", "handled": "対応者", "limit": "基準 {limit}",
        "silenced": "{by}({until} まで):{comment}", "instead": "通知なし:{alerts} に含む",
        "none": "発生中のアラートはありません。",
        "unwatched": "監視用アラートが届いていません。アラートが Alertmanager に届いていない可能性があります。",
    },
}  # fmt: skip


def print_alerts(fired: Fired, lang: str, *, as_json: bool) -> None:
    """Print what fires to stdout, in the zone of this machine; talk goes to stderr."""
    if as_json:
        sys.stdout.buffer.write(encode_json(fired) + b"\n")
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    show(fired, lang, datetime.now(UTC).astimezone(), out, err)


def show(fired: Fired, lang: str, now: datetime, out: Console, err: Console) -> None:
    """Print what fires; to `err` whether alerting itself works.

    Args:
        lang: "ja" or "en".
        now: with its zone; times of day are shown in that zone.
    """
    words = WORDS[lang]
    if not fired.watched:
        err.print(words["unwatched"])
    if not fired.alerts:
        err.print(words["none"])
        return
    columns = ("where", "what", "numbers", "handled")
    is_narrow = out.width < _NARROW
    table = Table(box=None, pad_edge=False, header_style=QUIET)
    for name in ("severity", "since", *(columns[:1] if is_narrow else columns)):
        table.add_column(words[name], no_wrap=name in ("severity", "since"), overflow="fold")
    for each in fired.alerts:
        parts = _parts(each, lang, now)
        told = [Text("\n").join(part for part in parts if part)] if is_narrow else parts
        table.add_row(_chip(each, words), _since(each.since, now), *told, style="" if each.told else QUIET)
    out.print(table)


def _chip(each: Firing, words: dict[str, str]) -> Text:
    shape, style = _LOOKS.get(each.severity, ("·", ""))
    return Text(f" {shape} {words.get(each.severity, each.severity)} ", style if each.told else "")


def _parts(each: Firing, lang: str, now: datetime) -> list[Text]:
    """Where, what, the numbers, who has taken it on."""
    words = WORDS[lang]
    summary = (lang == "ja" and each.summary_ja) or each.summary
    return [_where(each), Text(summary), Text(_numbers(each, words)), Text(_handled(each, words, now))]


def _since(since: datetime, now: datetime) -> str:
    """The time of day, with the date if that is another one, and how long ago."""
    local = since.astimezone(now.tzinfo)
    minutes, seconds = divmod(max(0, round((now - since).total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    age = f"{hours}h {minutes:02}m" if hours else f"{minutes}m {seconds:02}s"
    day = "" if local.date() == now.date() else f"{local:%m-%d} "
    return f"{day}{local:%H:%M:%S} ({age})"


def _where(each: Firing) -> Text:
    queue = f"{each.queue} ({each.channel})" if each.queue else each.channel
    return Text(" · ".join(part for part in (each.site, queue, each.subject) if part))


def _numbers(each: Firing, words: dict[str, str]) -> str:
    limit = words["limit"].format(limit=each.limit) if each.limit else ""
    n = f"n = {each.n}" if each.n else ""
    return " · ".join(part for part in (each.value, limit, n) if part)


def _handled(each: Firing, words: dict[str, str], now: datetime) -> str:
    who = [
        words["silenced"].format(by=h.by, until=f"{h.until.astimezone(now.tzinfo):%H:%M}", comment=h.comment)
        for h in each.handling
    ]
    if each.instead:
        who.append(words["instead"].format(alerts=", ".join(each.instead)))
    return "; ".join(who)
