"""Is a board what its file says, are mistakes in the file named, and does a change of the file change the board?"""

import logging
import os
from pathlib import Path

import pytest

from agents.settings import load, variables
from agents.settings.shown import describe
from agents.settings.wallboard import THRESHOLD_MEASURES
from agents.wallboard.config import BoardConfig, Reloader, boards_of
from agents.wallboard.frames import Painter
from schemas.counts import (
    CALLBACK_LATE,
    FIRST_RESPONSE_MS,
    FIRST_RESPONSES_IN_X,
    HANDLED,
    OVERFLOWED,
    SILENT_ABANDONED,
    TALK_MS,
)
from schemas.errors import SettingsError
from tests.wallboard.rows import PANE, in_every_window, now_ms, queue_of

FILE = """
    [wallboard]
    title = "大阪"
    window = "15m"
    stale_after_s = 20
    host = "10.0.0.5"
    port = 9000
    [wallboard.thresholds]
    waiting = { warning = 5, critical = 10 }
    sl = { warning = 0.8, critical = 0.6 }
    [wallboard.thresholds."注文・配送"]
    waiting = { critical = 20 }
    [wallboard.boards."floor 2"]
    queues = ["注文・配送", "Sales.EU"]
    theme = "light"
    [wallboard.boards."floor 2".thresholds]
    sl = { critical = 0.5 }
    asa_s = { warning = 30 }
    [wallboard.boards."floor 2".thresholds."Sales.EU"]
    asa_s = { warning = 60 }
    [wallboard.access]
    require_token = true
    trusted_proxies = ["10.1.2.3/8", "::1"]
    forward_auth_header = "Remote-User"
    host_names = ["Wall.Example"]
"""


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*variables(), "QUEUELIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queuelight.toml"
    path.write_text(text, encoding="utf-8")
    return path


def boards(tmp_path: Path, text: str = FILE) -> dict[str, BoardConfig]:
    return boards_of(load(written(tmp_path, text)))


def test_without_settings_there_is_one_board_that_shows_everything() -> None:
    assert boards_of(load()) == {"default": BoardConfig()}
    assert BoardConfig().shows("anything")


def test_a_board_inherits_what_it_does_not_say(tmp_path: Path) -> None:
    made = boards(tmp_path)
    assert list(made) == ["default", "floor 2"]
    floor = made["floor 2"]
    assert (floor.name, floor.title, floor.window, floor.stale_after_s) == ("floor 2", "大阪", "15m", 20)
    assert (floor.theme, made["default"].theme) == ("light", "dark")
    assert floor.queues == ("注文・配送", "Sales.EU")
    assert floor.shows("Sales.EU")
    assert not floor.shows("Sales")


def test_a_board_may_say_of_itself_what_differs_from_the_others_even_if_that_is_the_built_in_default(
    tmp_path: Path,
) -> None:
    text = '[wallboard]\ntheme = "light"\n[wallboard.boards.a]\ntheme = "dark"\n[wallboard.boards.default]\ntitle = "t"'
    made = boards(tmp_path, text)
    assert (made["a"].theme, made["default"].theme, made["default"].title) == ("dark", "light", "t")


def test_thresholds_of_a_queue_and_of_a_board_go_before_common_ones(tmp_path: Path) -> None:
    made = boards(tmp_path)
    common = {"waiting": (5, 10), "sl": (0.8, 0.6)}
    assert made["default"].scope().thresholds == {"": common, "注文・配送": {"waiting": (None, 20)}}
    assert made["floor 2"].scope().thresholds == {
        "": {"waiting": (5, 10), "sl": (None, 0.5), "asa_s": (30, None)},
        "注文・配送": {"waiting": (None, 20)},
        "Sales.EU": {"asa_s": (60, None)},
    }
    assert made["floor 2"].scope()[:2] == ("15m", frozenset({"注文・配送", "Sales.EU"}))


BUSY = PANE | {
    HANDLED: 2, TALK_MS: 600_000, FIRST_RESPONSES_IN_X: 1, FIRST_RESPONSE_MS: 50_000, SILENT_ABANDONED: 3,
    CALLBACK_LATE: 4, next(iter(OVERFLOWED.values())): 5,
}  # fmt: skip
"""As `PANE`, and five minutes of handling, a first response after 50 s, and contacts that left otherwise."""
REACHED = {
    "waiting": (6, 7), "at_risk": (1, 2), "longest_wait_s": (60, 3600), "asa_s": (4, 4.1), "aht_s": (300, 301),
    "first_response_s": (50, 51), "abandonment": (0.2, 0.21), "sl": (0.8, 0.79), "answer_rate": (0.43, 0.42),
    "abandoned": (2, 3), "silent_abandoned": (3, 4), "callback": (4, 5), "available": (2, 1),
}  # fmt: skip
"""A warning that such a queue reaches, and a critical level that it does not."""


@pytest.mark.parametrize("measure", THRESHOLD_MEASURES)
def test_every_measure_with_a_threshold_reaches_it(tmp_path: Path, measure: str) -> None:
    warning, critical = REACHED[measure]
    text = f"[wallboard.thresholds]\n{measure} = {{ warning = {warning}, critical = {critical} }}"
    row = queue_of(
        "a", waiting=6, at_risk=1, oldest_waiting_ms=now_ms() - 65_000, agents={"available": 2, "busy": 3},
        event=in_every_window(BUSY),
    )  # fmt: skip
    tiles, _ = Painter(boards(tmp_path, text)["default"].scope()).paint([row], now_ms())
    assert tiles["a\x1fvoice"].levels == {measure: "warning"}


@pytest.mark.parametrize(
    ("agents", "level"),
    [({"available": 1}, "warning"), ({"busy": 2}, "critical"), ({"available": 2}, None), ({}, None)],
)
def test_few_available_agents_are_a_breach_unless_nobody_knows_of_agents(
    tmp_path: Path, agents: dict[str, int], level: str | None
) -> None:
    made = boards(tmp_path, "[wallboard.thresholds]\navailable = { warning = 1, critical = 0 }")
    tiles, _ = Painter(made["default"].scope()).paint([queue_of("a", agents=agents)], now_ms())
    assert tiles["a\x1fvoice"].levels.get("available") == level


def test_the_page_learns_neither_who_may_see_it_nor_where_files_lie(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"png")
    text = FILE.replace("[wallboard]", f'[wallboard]\nlogo = "{tmp_path}/logo.png"')
    board = boards(tmp_path, text)["default"]
    shown = board.shown()
    assert set(shown) == set(BoardConfig.model_fields) - {"thresholds"}
    assert shown["logo"] == "logo.png"
    assert shown["logo_version"]
    assert str(tmp_path) not in repr(shown)
    assert board.logo_file == tmp_path / "logo.png"
    assert BoardConfig().shown()["logo"] == ""
    assert BoardConfig().shown()["logo_version"] == ""
    assert BoardConfig().logo_file is None


def test_access_is_normalised(tmp_path: Path) -> None:
    wallboard = load(written(tmp_path, FILE)).wallboard
    assert (wallboard.host, wallboard.port) == ("10.0.0.5", 9000)
    access = wallboard.access
    assert access.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert access.forward_auth_header == "remote-user"
    assert access.host_names == ("wall.example",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[wallboard]\nteme = 1", "unknown key `teme` in [wallboard]: did you mean `theme`?"),
        ("[wallboard]\nshow_agents = true", "unknown key `show_agents` in [wallboard]"),
        ("[wallbord]", "unknown section `wallbord`: did you mean `wallboard`?"),
        (
            '[wallboard.boards."floor 2"]\nquues = []',
            'unknown key `quues` in [wallboard.boards."floor 2"]: did you mean `queues`?',
        ),
        ('[wallboard.boards."a"]\nhost = "x"', 'unknown key `host` in [wallboard.boards."a"]'),
        ("[wallboard.access]\nrequire_tokn = true", "did you mean `require_token`?"),
        (
            "[wallboard.thresholds]\nwating = {warning = 1}",
            "unknown key `wating` in [wallboard.thresholds]: did you mean `waiting`?",
        ),
        (
            "[wallboard.thresholds.Sales]\nwating = {warning = 1}",
            'unknown key `wating` in [wallboard.thresholds."Sales"]: did you mean `waiting`?',
        ),
        (
            "[wallboard.thresholds]\nwaiting = {warnin = 1}",
            "unknown key `warnin` in [wallboard.thresholds.waiting]: did you mean `warning`?",
        ),
        (
            "[wallboard.boards.a.thresholds.Sales]\nsl = {criticl = 1}",
            'unknown key `criticl` in [wallboard.boards."a".thresholds."Sales".sl]: did you mean `critical`?',
        ),
        ("[wallboard.thresholds]\nwaiting = 5", "expected a table [wallboard.thresholds.waiting], saw 5"),
        ("[wallboard.thresholds]\nwating = 5", 'expected a table [wallboard.thresholds."wating"], saw 5'),
        ("[wallboard]\nthresholds = 5", "expected a table [wallboard.thresholds], saw 5"),
        ("[wallboard]\nboards = 5", "expected a table [wallboard.boards], saw 5"),
        ("[wallboard.boards]\na = 5", 'expected a table [wallboard.boards."a"], saw 5'),
        ("[wallboard]\naccess = 5", "expected a table [wallboard.access], saw 5"),
    ],
)
def test_an_unknown_key_is_refused_with_its_table_and_the_nearest_known_one(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        boards(tmp_path, text)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[wallboard]\ntheme = "pink"', "`theme` in [wallboard]: expected 'auto', 'dark' or 'light'"),
        (
            "[wallboard.boards.a]\nstale_after_s = 1",
            '`stale_after_s` in [wallboard.boards."a"]: expected a value greater than or equal to 5, saw 1',
        ),
        ("[wallboard]\nrotate_s = nan", "`rotate_s` in [wallboard]: expected a"),
        ('[wallboard]\ntitle = "a\\u0007b"', "`title` in [wallboard]: expected at most 100 characters"),
        ('[wallboard]\nlogo = "/absent.png"', "`logo` in [wallboard]: expected a file, there is none at"),
        ('[wallboard]\nlogo = "/etc/passwd"', "`logo` in [wallboard]: expected a picture"),
        (
            "[wallboard.thresholds]\nwaiting = {warning = 5, critical = 5}",
            "`waiting` in [wallboard.thresholds]: expected critical above warning, saw warning 5 and critical 5",
        ),
        (
            "[wallboard.thresholds.Sales]\nsl = {warning = 0.6, critical = 0.8}",
            '`sl` in [wallboard.thresholds."Sales"]: expected critical below warning',
        ),
        (
            "[wallboard.thresholds]\nabandonment = {warning = 5}",
            "`warning` in [wallboard.thresholds.abandonment]: expected a value less than or equal to 1, saw 5",
        ),
        ("[wallboard.thresholds]\nwaiting = {}", "`waiting` in [wallboard.thresholds]: expected warning, cr"),
        (
            '[wallboard.access]\ntrusted_proxies = ["proxy"]',
            "expected an address or network such as 10.0.0.0/8, saw 'proxy'",
        ),
        (
            '[wallboard.access]\nforward_auth_header = "Remote-User"',
            "`access` in [wallboard]: forward_auth_header needs trusted_proxies as well",
        ),
        ('[wallboard.access]\nhost_names = ["http://wall"]', "expected a host name without scheme and port"),
        ('[wallboard.boards."a\\u0007"]', "expected a name of 1 to 200 characters"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        boards(tmp_path, text)
    assert expected in str(error.value)


def test_what_is_described_can_be_read_back_and_says_the_same(tmp_path: Path) -> None:
    first = load(written(tmp_path, FILE))
    assert 'queues = ["注文・配送", "Sales.EU"]  # file' in describe(first)
    again = load(written(tmp_path, describe(first)))
    assert again.wallboard == first.wallboard
    assert boards_of(again) == boards_of(first)


def test_the_key_of_pseudonyms_is_masked(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[wallboard.access]\npseudonym_key = "hidden"'))
    assert settings.wallboard.access.pseudonym_key is not None
    assert settings.wallboard.access.pseudonym_key.get_secret_value() == "hidden"
    assert 'pseudonym_key = "***"  # file' in describe(settings)
    assert "hidden" not in describe(settings) + repr(settings)
    with pytest.raises(SettingsError) as error:
        load(written(tmp_path, '[wallboard.access]\npseudonym_key = ""'))
    assert "`pseudonym_key` in [wallboard.access]" in str(error.value)


def test_the_environment_can_say_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_WALLBOARD_STALE_AFTER_S", "30")
    monkeypatch.setenv("QUEUELIGHT_WALLBOARD_ACCESS", '{"require_token": true}')
    monkeypatch.setenv("QUEUELIGHT_WALLBOARD_BOARDS", '{"a": {"queues": ["Sales"]}}')
    settings = load()
    assert settings.wallboard.access.require_token is True
    assert boards_of(settings)["a"].queues == ("Sales",)
    assert boards_of(settings)["a"].stale_after_s == 30


class Changes:
    """A file that is watched, and what was told of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = written(tmp_path, '[wallboard]\ntitle = "one"')
        self.told: list[dict[str, BoardConfig]] = []
        self.reloader = Reloader(self.path, boards_of(load(self.path)), self.told.append)

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def look(self) -> None:
        """Until a change has settled."""
        self.reloader.check()
        self.reloader.check()

    @property
    def titles(self) -> list[str]:
        return [boards["default"].title for boards in self.told]


def test_a_changed_file_changes_the_boards_once(tmp_path: Path) -> None:
    changes = Changes(tmp_path)
    changes.look()
    assert changes.titles == []
    changes.write('[wallboard]\ntitle = "three"')
    changes.look()
    changes.look()
    assert changes.titles == ["three"]


def test_a_file_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    changes = Changes(tmp_path)
    changes.look()
    changes.write("")
    changes.reloader.check()
    changes.write('[wallboard]\ntitle = "whole"')
    changes.reloader.check()
    assert changes.titles == []
    changes.reloader.check()
    assert changes.titles == ["whole"]


def test_a_change_of_the_same_length_is_seen_by_its_time(tmp_path: Path) -> None:
    changes = Changes(tmp_path)
    before = changes.path.stat()
    changes.write('[wallboard]\ntitle = "two"')
    os.utime(changes.path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    changes.look()
    assert changes.titles == ["two"]


def test_a_mistake_is_logged_once_and_the_boards_stay_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = Changes(tmp_path)
    changes.write("[wallboard]\ntitel = 1")
    with caplog.at_level(logging.INFO):
        changes.look()
        changes.look()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "did you mean `title`?; the boards stay as they are" in errors[0]
    assert changes.titles == []
    changes.write('[wallboard]\ntitle = "mended"')
    changes.look()
    assert changes.titles == ["mended"]


def test_a_file_that_goes_and_comes_back_is_read_again(tmp_path: Path) -> None:
    changes = Changes(tmp_path)
    changes.path.unlink()
    changes.look()
    assert changes.titles == []
    changes.write('[wallboard]\ntitle = "back"')
    changes.look()
    assert changes.titles == ["back"]


class Logos(Changes):
    """A file that names a logo for one of its two boards."""

    def __init__(self, tmp_path: Path) -> None:
        self.logo = tmp_path / "logo.svg"
        self.paint("<svg/>")
        super().__init__(tmp_path)
        self.write(f'[wallboard.boards.a]\nlogo = "{self.logo}"\n[wallboard.boards.b]')
        self.look()

    def paint(self, text: str) -> None:
        """Another picture, of another time: clocks of file systems are coarse."""
        self.logo.write_text(text, encoding="utf-8")
        self._painted = getattr(self, "_painted", 1_700_000_000_000_000_000) + 1
        os.utime(self.logo, ns=(self._painted, self._painted))

    @property
    def versions(self) -> list[str]:
        return [str(boards["a"].shown()["logo_version"]) for boards in self.told]


@pytest.mark.parametrize("picture", ["<svg></svg>", "<SVG/>"])
def test_another_picture_in_the_logos_file_is_another_version_once(tmp_path: Path, picture: str) -> None:
    changes = Logos(tmp_path)
    changes.look()
    assert len(changes.versions) == 1
    changes.paint(picture)
    changes.look()
    changes.look()
    assert len(changes.versions) == len(set(changes.versions)) == 2
    assert changes.told[0]["b"] == changes.told[1]["b"]


def test_a_logo_that_a_file_named_from_the_start_is_watched(tmp_path: Path) -> None:
    changes = Logos(tmp_path)
    again = Reloader(changes.path, boards_of(load(changes.path)), changes.told.append)
    changes.paint("<svg></svg>")
    again.check()
    again.check()
    assert len(set(changes.versions)) == 2


def test_a_logo_that_is_replaced_by_way_of_nothing_is_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = Logos(tmp_path)
    changes.logo.unlink()
    changes.look()
    assert "expected a file, there is none" in caplog.text
    assert len(changes.versions) == 1
    changes.paint("<svg></svg>")
    changes.look()
    assert len(set(changes.versions)) == 2


def test_a_logo_that_no_board_shows_any_more_is_not_watched(tmp_path: Path) -> None:
    changes = Logos(tmp_path)
    changes.write("[wallboard.boards.a]")
    changes.look()
    assert changes.versions[-1] == ""
    changes.paint("<svg></svg>")
    changes.look()
    assert len(changes.told) == 2


def test_without_a_file_there_is_nothing_to_watch() -> None:
    told: list[dict[str, BoardConfig]] = []
    Reloader(None, {}, told.append).check()
    assert told == []


def test_a_board_knows_where_and_when_the_sites_day_begins(tmp_path: Path) -> None:
    made = boards(tmp_path, '[site]\nzone = "Asia/Tokyo"\nday_starts_at = "05:00"\n')
    assert (made["default"].zone, made["default"].day_starts_at) == ("Asia/Tokyo", "05:00")
    assert made["default"].shown()["zone"] == "Asia/Tokyo"
