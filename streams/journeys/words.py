"""How is a reason said to a person? One short phrase for each, in English and Japanese.

Refuses to know how much a reason weighs: whoever shows it puts the number beside it.
"""

from typing import Literal

from schemas.journeys import Reason

Lang = Literal["en", "ja"]

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "base": "usual on this site",
        "page": "the page {}",
        "no page": "no page read yet",
        "loop": "three visits or more to the same page",
        "quick_back": "came back from a page at once",
        "rage_click": "clicked again and again in one place",
        "dead_click": "clicked where nothing happens",
        "error": "something on the page broke",
        "form_error": "a form was refused or filled in again",
        "zero_hits": "searched and found nothing",
        "help_viewed": "read a help page",
        "contact_page": "looked at the contact page",
        "returning": "was here before within 24 hours",
        "contacted_before": "contacted us within the last 7 days",
        "engaged": "{} busy on the page",
    },
    "ja": {
        "base": "このサイトの通常の割合",
        "page": "ページ {}",
        "no page": "まだ本文のページを見ていない",
        "loop": "同じページを3回以上表示",
        "quick_back": "開いてすぐに前のページへ戻った",
        "rage_click": "同じ場所を連続してクリック",
        "dead_click": "反応しない場所をクリック",
        "error": "ページでエラーが発生",
        "form_error": "フォームの入力エラーまたは再入力",
        "zero_hits": "検索結果が0件",
        "help_viewed": "ヘルプ・FAQを閲覧",
        "contact_page": "問い合わせページを表示",
        "returning": "24時間以内に再訪問",
        "contacted_before": "過去7日以内に問い合わせあり",
        "engaged": "ページを{}操作",
    },
}
CODES: tuple[str, ...] = tuple(code for code in _WORDS["en"] if code != "no page")
"""All codes that a `Reason` can have."""
_TIMES: dict[str, tuple[str, str]] = {"en": ("{} s", "{} min"), "ja": ("{}秒間", "{}分間")}


def words(reason: Reason, lang: str = "en") -> str:
    """A reason in words; one whose code is not known is said by its code.

    >>> words(Reason(code="engaged", log_odds=0.6, detail="150"))
    '2 min busy on the page'
    """
    known = _WORDS[lang]
    if reason.code == "page":
        return known["page"].format(reason.detail) if reason.detail else known["no page"]
    if reason.code == "engaged":
        return known["engaged"].format(_time(reason.detail, lang) if reason.detail else "").strip()
    return known.get(reason.code, reason.code)


def _time(detail: str, lang: str) -> str:
    seconds, minutes = _TIMES[lang]
    total = int(detail) if detail.isdecimal() else 0
    return seconds.format(total) if total < 120 else minutes.format(total // 60)
