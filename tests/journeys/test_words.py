import pytest

from schemas.journeys import FEATURES, Reason
from streams.journeys.stuck_model import DEFAULT_MODEL, reasons
from streams.journeys.words import Lang, words

CODES = ["base", "page", *(name for name in FEATURES if not name.startswith("engaged")), "engaged"]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_reason_has_words_of_its_own(lang: Lang) -> None:
    said = [words(Reason(code=code, log_odds=1.0), lang) for code in CODES]
    assert len(set(said)) == len(CODES)
    assert not set(said) & set(CODES)
    assert all(phrase.strip() and "{" not in phrase for phrase in said)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_reason_the_model_can_give_has_words(lang: Lang) -> None:
    given = reasons(DEFAULT_MODEL, "/cart", (1 << len(FEATURES)) - 1)
    assert all(words(reason, lang) != reason.code for reason in given)


@pytest.mark.parametrize(
    ("reason", "en", "ja"),
    [
        (Reason(code="loop", log_odds=0.9), "three visits or more to the same page", "同じページを3回以上表示"),
        (Reason(code="engaged", log_odds=0.3, detail="75"), "75 s busy on the page", "ページを75秒間操作"),
        (Reason(code="engaged", log_odds=0.6, detail="300"), "5 min busy on the page", "ページを5分間操作"),
        (Reason(code="page", log_odds=0.6, detail="/料金"), "the page /料金", "ページ /料金"),
        (Reason(code="page", log_odds=0.6, detail=""), "no page read yet", "まだ本文のページを見ていない"),
        (Reason(code="moon_phase", log_odds=0.1), "moon_phase", "moon_phase"),
    ],
)  # fmt: skip
def test_reasons_are_said_in_both_languages(reason: Reason, en: str, ja: str) -> None:
    assert (words(reason, "en"), words(reason, "ja")) == (en, ja)
