"""Does the list of firing alerts say the same on a wide and on a narrow terminal, and is bad told from worse?"""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from agents.firing import Fired, Firing, Handling
from agents.firing_shown import WORDS, show

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
WAIT = Firing(
    alert="QueuelightLongestWait", severity="critical", since=NOW - timedelta(minutes=3), site="東京", queue="注文・配送",
    channel="voice", summary="Customers wait far longer than promised.", value="1m 16s", limit="1m 0s", n="4",
)  # fmt: skip
TAKEN = Firing(
    alert="QueuelightServiceLevelBelowTarget", severity="warning", since=NOW - timedelta(days=1, minutes=5),
    summary="The service level is below its target.", queue="Sales", told=False,
    handling=(Handling("田中", "増員を手配中", NOW + timedelta(hours=1)),),
)  # fmt: skip


def shown(*alerts: Firing, width: int, lang: str = "en", watched: bool = True) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    show(Fired(alerts, watched), lang, NOW, Console(file=out, width=width), Console(file=err, width=200))
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("width", [60, 80, 240])
def test_every_width_says_everything(width: int) -> None:
    text, _ = shown(WAIT, TAKEN, width=width)
    for part in (
        "▲ act now",
        "● watch",
        "02:57:00 (3m 00s)",
        "11-01 02:55:00 (24h 05m)",
        "東京 · 注文・配送",
        "n = 4",
        "田中 until 04:00",
    ):
        assert part in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_where_there_is_room_an_alert_is_a_line() -> None:
    assert len(shown(WAIT, TAKEN, width=240)[0].splitlines()) == 3


def test_a_severity_of_somebody_elses_is_shown_by_its_name() -> None:
    page = Firing(alert="QueuelightOwn", severity="page", since=NOW, summary="A rule of this site.")
    assert "· page" in shown(page, width=200)[0]


@pytest.mark.parametrize("lang", WORDS)
def test_nothing_fires_and_a_missing_watchdog_are_said_apart_from_the_list(lang: str) -> None:
    out, err = shown(width=200, lang=lang, watched=False)
    assert out == ""
    assert err.splitlines() == [WORDS[lang]["unwatched"], WORDS[lang]["none"]]


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["ja"].keys()
