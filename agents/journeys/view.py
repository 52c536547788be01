"""How is a journey, or the reason of a flag, shown in a terminal? Texts for people, in Japanese and English.

Refuses to know where it comes from: `agents.journeys.store` reads.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from math import exp

from rich.text import Text

from agents.board_view import ACT, OK, QUIET, WATCH, clock, printable
from schemas.journeys import (
    Flag,
    Journey,
    JourneyContact,
    JourneyPage,
    JourneySearch,
    JourneySession,
    Reason,
    VisitorNow,
)
from streams.journeys.words import words as in_words

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "customer": "Customer", "visitor": "visitor", "contact": "contact", "search": "search", "hits": "{n} results",
        "unknown_hits": "results not known", "errors": "{n} errors", "stuck": "stuck", "cleared": "no longer stuck",
        "progress": "got on", "left": "left the site", "engaged": "engaged {age}",
        "probability": "{p} likely to contact", "threshold": "from {p} on", "offer": "offer now: {kind}",
        "withheld": "no offer: {why}", "queue": "queue {queue}", "open": "open", "about": "about {reason}",
        "sum": "log-odds together", "seen": "on {page}, seen at {at}", "since": "stuck since {at}",
        "until": "{start} to {end}",
    },
    "ja": {
        "customer": "お客様", "visitor": "訪問者", "contact": "問い合わせ", "search": "検索", "hits": "{n} 件",
        "unknown_hits": "件数不明", "errors": "エラー {n} 件", "stuck": "困っている", "cleared": "解消",
        "progress": "先へ進んだ", "left": "サイトを離れた", "engaged": "閲覧 {age}",
        "probability": "問い合わせる確率 {p}", "threshold": "{p} 以上", "offer": "今すぐ提案: {kind}",
        "withheld": "提案しない: {why}", "queue": "キュー {queue}", "open": "対応中", "about": "用件 {reason}",
        "sum": "対数オッズの合計", "seen": "{page}、最終 {at}", "since": "{at} から困っている",
        "until": "{start} 〜 {end}",
    },
}  # fmt: skip
_WITHHELD: dict[str, dict[str, str]] = {
    "en": {"holdout": "held out, to measure whether offers help"},
    "ja": {
        "holdout": "効果を測るための対照群", "no agent free": "空いている担当者なし",
        "no offer for this page": "このページには提案なし",
    },
}  # fmt: skip
"""Words of `VisitorNow.withheld`, where they are others than those it says itself."""


def explained(visitor: VisitorNow, lang: str, zone: tzinfo | None = None) -> list[Text]:
    """Why a visitor is, or is not, expected to contact: every reason with what it adds, the greatest first.

    Args:
        visitor: as it was told last.
        lang: "ja" or "en".
        zone: of the clock; None: this machine's.
    """
    words = WORDS[lang]
    say = _Clock(zone)
    flag = visitor.flag
    lines = [Text(f"{words['visitor']} {printable(visitor.visitor_id)}", "bold")]
    if visitor.customer_id is not None:
        lines[0].append(f" · {words['customer']} {printable(visitor.customer_id)}", QUIET)
    where = words["seen"].format(page=printable(visitor.page), at=say.at(visitor.seen_ms))
    lines.append(Text(where))
    if flag is not None:
        limit = words["threshold"].format(p=_percent(flag.threshold))
        lines.append(_since(flag, words, say).append(f" ({limit})", QUIET))
    lines += [Text(), Text(words["probability"].format(p=_percent(visitor.probability)), "bold")]
    lines += _reasons(visitor.reasons, lang)
    if flag is not None:
        lines += [Text(), _advice(visitor, flag, lang)]
    return lines


def _since(flag: Flag, words: dict[str, str], say: "_Clock") -> Text:
    return Text("▲ " + words["since"].format(at=say.at(flag.raised_ms)), ACT)


def _reasons(reasons: Sequence[Reason], lang: str) -> Iterator[Text]:
    """One line for each: what it adds to the log-odds, by which factor it changes the odds, and the words."""
    total = 0.0
    for reason in reasons:
        total += reason.log_odds
        style = WATCH if reason.log_odds > 0 else OK
        line = Text(f"  {reason.log_odds:+6.2f}  ", style)
        line.append(f"×{exp(reason.log_odds):<7.2f}", QUIET)
        yield line.append(printable(in_words(reason, lang)))
    yield Text(f"  {total:+6.2f}  {WORDS[lang]['sum']}", "bold")


def _advice(visitor: VisitorNow, flag: Flag, lang: str) -> Text:
    words = WORDS[lang]
    if visitor.offer:
        text = Text(words["offer"].format(kind=printable(flag.kind or "")), WATCH)
    else:
        why = visitor.withheld or "-"
        text = Text(words["withheld"].format(why=_WITHHELD[lang].get(why, why)), QUIET)
    return (
        text
        if flag.queue is None
        else text.append(f" · {words['queue'].format(queue=printable(flag.queue))}", QUIET)
    )


def timeline(journey: Journey, lang: str, zone: tzinfo | None = None) -> list[Text]:
    """A customer's sessions and contacts, the newest first; within a session in the order of time.

    Args:
        journey: as it is stored.
        lang: "ja" or "en".
        zone: of the clock; None: this machine's.
    """
    words, say = WORDS[lang], _Clock(zone)
    parts = [(each.start_ms, _session(each, lang, say)) for each in journey.sessions]
    parts += [(each.queued_ms, [_contact(each, words, say)]) for each in journey.contacts]
    lines = [Text(f"{words['customer']} {printable(journey.customer_id)}", "bold")]
    for _, part in sorted(parts, key=lambda each: -each[0]):
        lines += [Text(), *part]
    return lines


def _contact(contact: JourneyContact, words: dict[str, str], say: "_Clock") -> Text:
    text = Text(f"☎ {say.day(contact.queued_ms)} {say.at(contact.queued_ms)}  ", ACT)
    outcome = contact.outcome or words["open"]
    text.append(f"{words['contact']} · {contact.channel} · {printable(contact.queue)} · {outcome}", "default")
    if contact.reason:
        text.append(f" · {words['about'].format(reason=printable(contact.reason))}", QUIET)
    return text


def _session(session: JourneySession, lang: str, say: "_Clock") -> list[Text]:
    words = WORDS[lang]
    span = words["until"].format(start=say.at(session.start_ms), end=say.at(session.end_ms))
    head = Text(f"▦ {say.day(session.start_ms)} {span}", "bold")
    head.append(f" · {words['visitor']} {printable(session.visitor_id)}", QUIET)
    if session.errors:
        head.append(f" · {words['errors'].format(n=session.errors)}", WATCH)
    rows: list[tuple[int, int, Text]] = [(each.at_ms, 0, _page(each, lang, say)) for each in session.pages]
    rows += [(each.at_ms, 1, _search(each, words, say)) for each in session.searches]
    for flag in session.flags:
        rows.append((flag.raised_ms, 2, _flag(flag, words, say)))
        if flag.cleared_ms is not None:
            rows.append((flag.cleared_ms, 3, _cleared(flag, flag.cleared_ms, words, say)))
    return [head, *(text for *_, text in sorted(rows, key=lambda each: each[:2]))]


def _page(page: JourneyPage, lang: str, say: "_Clock") -> Text:
    text = Text(f"  {say.at(page.at_ms)}  ", QUIET).append(printable(page.page), "default")
    if page.engaged_s:
        text.append(f"  {WORDS[lang]['engaged'].format(age=clock(page.engaged_s))}", QUIET)
    for signal in page.signals:
        text.append(f"  ● {printable(in_words(Reason(code=signal, log_odds=0.0), lang))}", WATCH)
    return text


def _search(search: JourneySearch, words: dict[str, str], say: "_Clock") -> Text:
    hits = words["unknown_hits"] if search.hits is None else words["hits"].format(n=search.hits)
    term = f" 「{printable(search.term)}」" if search.term else ""
    text = Text(f"  {say.at(search.at_ms)}  ", QUIET)
    return text.append(f"{words['search']}{term}: {hits}", WATCH if search.hits == 0 else "default")


def _flag(flag: Flag, words: dict[str, str], say: "_Clock") -> Text:
    text = Text(f"  {say.at(flag.raised_ms)}  ", QUIET)
    return text.append(f"▲ {words['stuck']} · {printable(flag.page)} · {_percent(flag.probability)}", ACT)


def _cleared(flag: Flag, at_ms: int, words: dict[str, str], say: "_Clock") -> Text:
    why = words.get(flag.cleared or "", "")
    return Text(f"  {say.at(at_ms)}  ", QUIET).append(f"✓ {words['cleared']} · {why}", OK)


class _Clock:
    """Days and times of day in one zone."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)

    def at(self, at_ms: int) -> str:
        return f"{self._local(at_ms):%H:%M:%S}"

    def day(self, at_ms: int) -> str:
        return f"{self._local(at_ms):%Y-%m-%d}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
