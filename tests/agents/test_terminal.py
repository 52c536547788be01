"""Does the board in the terminal say what the snapshots say, on every width, and own up to what it does not know?"""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import datetime
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from agents.board_rows import SMALL_N, State, board_rows, judge, site_of, site_row
from agents.board_view import OK, WATCH, clock, printable, render, sparkline
from agents.picture import draw, morning
from agents.settings import Settings
from agents.terminal import language, run_board, run_top
from schemas.errors import SettingsError
from schemas.snapshots import GroupSnapshot, Proportion, QueueSnapshot, Snapshot, decode_snapshot, encode_json
from streams.driver import Driver
from streams.simulator import default_site

TOKYO = ZoneInfo("Asia/Tokyo")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def picture() -> tuple[list[Snapshot], int]:
    return morning(minutes=100)


@pytest.fixture
def snapshots(picture: tuple[list[Snapshot], int]) -> list[Snapshot]:
    """Copies, so that a test may change what it likes."""
    return [decode_snapshot(encode_json(each)) for each in picture[0]]


@pytest.fixture
def now_ms(picture: tuple[list[Snapshot], int]) -> int:
    return picture[1] + 300


def shown(
    snapshots: list[Snapshot], now_ms: int, width: int = 120, height: int | None = None, **more: str
) -> list[str]:
    console = Console(width=width, file=StringIO(), color_system=None, highlight=False)
    console.print(render(snapshots, now_ms, width=width, height=height, zone=TOKYO, **more))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def coloured(snapshots: list[Snapshot], now_ms: int, **environment: str) -> str:
    console = Console(
        width=120, file=StringIO(), force_terminal=True, color_system="truecolor", _environ=environment
    )
    console.print(render(snapshots, now_ms, width=120, zone=TOKYO))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def queues(snapshots: list[Snapshot]) -> list[QueueSnapshot]:
    return [each for each in snapshots if isinstance(each, QueueSnapshot)]


def line_of(lines: list[str], name: str) -> str:
    return next(line for line in lines if name in line)


# --- what is said --------------------------------------------------------------------------------------------------


def test_the_morning_has_queues_in_every_state(snapshots: list[Snapshot]) -> None:
    assert {judge(each, "30m") for each in queues(snapshots)} == set(State)


def test_every_queue_has_its_numbers_beside_its_name(snapshots: list[Snapshot], now_ms: int) -> None:
    lines = shown(snapshots, now_ms, 220)
    for s in queues(snapshots):
        m = s.windows["30m"]
        line = line_of(lines, s.queue)
        cells = line.split()
        assert f"{s.target * 100:g}/{s.answer_within_s:g}s" in cells
        for number in (s.waiting, s.at_risk, s.in_service, m.offered, m.answered, m.abandoned):
            assert str(number) in cells
        level = m.proportions["sl_offered"]
        assert str(level.n) in cells
        assert f"{int(1000 * level.numerator / level.n) / 10}%".replace("100.0%", "100%") in cells


def test_the_site_line_has_sums_and_ratios_of_sums_and_each_agent_once(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    total = site_row(board_rows(snapshots, now_ms, "30m"), site_of(snapshots), now_ms)
    each = [s.windows["30m"] for s in queues(snapshots)]
    assert total.waiting == sum(s.waiting for s in queues(snapshots))
    assert total.service_level.n == sum(m.answered + m.abandoned for m in each)
    assert total.service_level.value == sum(m.answered_in_x for m in each) / total.service_level.n
    assert total.asa.value == pytest.approx(
        sum(m.answered_wait_s for m in each) / sum(m.answered for m in each)
    )
    site = site_of(snapshots)
    assert site is not None
    assert total.agents == site.agents
    assert site.agents["busy"] < sum(s.agents.get("busy", 0) for s in queues(snapshots))


def test_breached_queues_come_first_and_among_them_those_where_most_wait_past_the_target(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    rows = board_rows(snapshots, now_ms, "30m")
    states = [row.state for row in rows]
    assert states == sorted(states, key=lambda state: state or 0)
    at_risk = [row.at_risk for row in rows if row.state is State.BREACH]
    assert at_risk == sorted(at_risk, reverse=True)


def test_a_queue_without_contacts_shows_dashes_and_never_zero_percent() -> None:
    lines = shown(list(Driver(default_site(2), 1).snapshots(1000)), 1000, 220)
    line = line_of(lines, "Billing")
    assert "%" not in line
    assert "✓ ok" in line
    assert line.split().count("-") >= 6
    assert "100%" not in line_of(lines, "All queues")


def test_a_service_level_just_below_the_target_is_not_rounded_up_to_it(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    queue = queues(snapshots)[0]
    queue.target = 0.8
    queue.windows["30m"].proportions["sl_offered"] = Proportion(7996, 10_000, 0.79, 0.81)
    line = line_of(shown([queue], now_ms), queue.queue)
    assert "79.9%" in line
    assert "▲ breach" in line


def test_few_contacts_below_the_target_are_at_risk_but_no_breach(snapshots: list[Snapshot]) -> None:
    queue = queues(snapshots)[0]
    queue.at_risk, queue.target = 0, 0.8
    for n, state in ((SMALL_N - 1, State.AT_RISK), (SMALL_N, State.BREACH)):
        queue.windows["30m"].proportions["sl_offered"] = Proportion(1, n, 0.0, 0.5)
        assert judge(queue, "30m") is state
    queue.windows["30m"].proportions["sl_offered"] = Proportion(8, 10, 0.0, 1.0)
    assert judge(queue, "30m") is State.OK
    queue.at_risk = 1
    assert judge(queue, "30m") is State.AT_RISK


def test_the_longest_wait_goes_on_between_two_snapshots(snapshots: list[Snapshot], now_ms: int) -> None:
    queue = queues(snapshots)[0]
    queue.oldest_waiting_ms = now_ms - 61_000
    assert " 1:01 " in line_of(shown([queue], now_ms), queue.queue)
    assert " 1:04 " in line_of(shown([queue], now_ms + 3000), queue.queue)


def test_the_window_is_chosen_and_said(snapshots: list[Snapshot], now_ms: int) -> None:
    lines = shown(snapshots, now_ms, 120, window="5m")
    assert "last 5 min" in lines[0]
    row = board_rows(snapshots, now_ms, "5m")[0]
    assert f" {row.service_level.n} " in line_of(lines, row.queue)
    assert "today" in shown(snapshots, now_ms, window="day")[0]
    assert "本日" in shown(snapshots, now_ms, window="day", lang="ja")[0]


def test_the_last_lines_say_how_fresh_the_data_is_and_what_was_not_counted(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    site = site_of(snapshots)
    assert site is not None
    site.truth["calls"] |= {"late_dropped": 7, "unmatched": 2}
    site.dead_letters = {"not_json": 3}
    text = " ".join(shown(snapshots, now_ms)[-3:])
    for words in (
        "data 0.3 s old",
        "calls ",
        "chats ",
        "presence ",
        "late 7",
        "unmatched 2",
        "undecodable 3",
        "lost ",
    ):
        assert words in text


def test_notices_come_before_any_number(snapshots: list[Snapshot], now_ms: int) -> None:
    site = site_of(snapshots)
    assert site is not None
    site.notices = ["limit on queue names reached"]
    assert "limit on queue names reached" in shown(snapshots, now_ms)[1]


# --- stale ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "NOTHING NEW comes through Kafka"), ("ja", "Kafka のデータが届いていません")]
)
def test_kafka_that_delivers_nothing_is_said_though_everything_is_published(
    snapshots: list[Snapshot], now_ms: int, lang: str, said: str
) -> None:
    site = site_of(snapshots)
    assert site is not None
    assert not any(said in line for line in shown(snapshots, now_ms, lang=lang))
    site.heard_ms = now_ms - 9_000
    assert not any(said in line for line in shown(snapshots, now_ms, lang=lang))
    site.heard_ms = now_ms - 11_000
    assert any(said in line for line in shown(snapshots, now_ms, lang=lang))


def test_old_numbers_are_grey_and_the_board_says_since_when_before_it_shows_one(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    lines = shown(snapshots, now_ms + 20_000)
    since = datetime.fromtimestamp((now_ms - 300) / 1000, TOKYO).strftime("%H:%M:%S")
    assert f"STALE since {since}" in lines[1]
    assert "20 s" in lines[1]
    assert not any("breach" in line for line in lines[:-4])
    painted = coloured(snapshots, now_ms + 20_000)
    table = painted.split("All queues")[1].split("SL below")[0]
    assert "38;2;86;180;233" not in table  # no blue: nothing is known to be well
    assert f"{since}" in shown(snapshots, now_ms + 20_000, lang="ja")[1]


def test_one_queue_nobody_publishes_any_more_is_grey_alone(snapshots: list[Snapshot], now_ms: int) -> None:
    old = queues(snapshots)[0]
    old.published_ms -= 60_000
    lines = shown(snapshots, now_ms)
    assert f"1 of {len(queues(snapshots))} queues STALE" in lines[1]
    assert "? stale" in line_of(lines, old.queue)
    assert sum("? stale" in line for line in lines[2:]) == 1


def test_an_empty_store_says_so(now_ms: int) -> None:
    assert any("No snapshots yet" in line for line in shown([], now_ms))
    assert any("データがまだありません" in line for line in shown([], now_ms, lang="ja"))


# --- every screen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 140, 200, 300])
def test_no_line_is_wider_than_the_screen(
    snapshots: list[Snapshot], now_ms: int, width: int, lang: str
) -> None:
    for late_ms in (0, 20_000):
        lines = shown(snapshots, now_ms + late_ms, width, None, lang=lang)
        assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("height", [10, 14, 24, 40])
def test_the_board_fills_the_height_and_the_truth_is_at_the_bottom(
    snapshots: list[Snapshot], now_ms: int, height: int
) -> None:
    lines = shown(snapshots, now_ms, 80, height)
    assert len(lines) == height
    assert "lost " in lines[-1]


def test_on_a_small_screen_the_neediest_stay_and_the_rest_is_counted(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    rows = board_rows(snapshots, now_ms, "30m")
    lines = shown(snapshots, now_ms, 80, 14)
    assert rows[0].queue in "\n".join(lines)
    more = line_of(lines, "more:")
    hidden = int(more.split("and ")[1].split(" ")[0])
    signs = ("▲ breach", "● at risk", "✓ ok")
    assert sum(any(sign in line for sign in signs) for line in lines[2:-4]) + hidden == len(rows)


def test_a_wider_screen_shows_no_less(snapshots: list[Snapshot], now_ms: int) -> None:
    heads = [shown(snapshots, now_ms, width)[1].split() for width in (60, 80, 120, 160, 220)]
    assert [len(head) for head in heads] == sorted(len(head) for head in heads)
    assert {"Wait", "Longest", "Past", "SL", "n"} <= set(heads[1])


def test_japanese_names_take_two_columns_each_so_that_numbers_stay_below_each_other(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    lines = shown(snapshots, now_ms, 120)
    head = next(line for line in lines if "Longest" in line)
    end = cell_len(head[: head.index("Wait") + 4])
    for s in queues(snapshots):
        line = line_of(lines, s.queue)
        before = next(i for i in range(len(line) + 1) if cell_len(line[:i]) >= end)
        assert line[:before].endswith(f" {s.waiting}")


def test_a_long_name_is_cut_and_a_number_never(snapshots: list[Snapshot], now_ms: int) -> None:
    queue = queues(snapshots)[0]
    queue.queue = "とても長い名前のキュー" * 10
    queue.waiting = 1_234_567
    for width in (80, 120, 200):
        line = line_of(shown([queue], now_ms, width), "とても")
        assert "…" in line
        assert "1,234,567" in line


def test_a_name_cannot_write_markup_or_move_the_cursor(snapshots: list[Snapshot], now_ms: int) -> None:
    queue = queues(snapshots)[0]
    queue.queue = "[red]\x1b[2J\u202eevil"
    painted = coloured([queue], now_ms)
    assert "[red]" in painted
    assert "\x1b[2J" not in painted
    assert "\u202e" not in painted
    assert printable("全角　空白") == "全角　空白"


def test_without_colours_every_state_still_has_its_shape_and_word(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    painted = coloured(snapshots, now_ms, NO_COLOR="1")
    assert "38;2;" not in painted
    for sign in ("▲ breach", "● at risk", "✓ ok"):
        assert sign in painted


def test_the_three_states_have_the_colours_everybody_can_tell_apart(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    painted = coloured(snapshots, now_ms)
    assert (OK, WATCH) == ("#56b4e9", "#f0e442")
    for code in ("38;2;86;180;233", "48;2;240;228;66", "48;2;213;94;0"):
        assert code in painted


def test_bars_and_clocks() -> None:
    assert sparkline([0] * 30, 10) == "▁" * 10
    assert sparkline([1], 1) == "▃"  # a single contact is no full bar
    assert sparkline([], 10) == ""
    assert len(sparkline(list(range(30)), 15)) == 15
    assert clock(59.9) == "0:59"
    assert clock(3600) == "1:00:00"


# --- running it ----------------------------------------------------------------------------------------------------


class Shelf:
    """A store that holds what it is given, as of now."""

    def __init__(self, snapshots: list[Snapshot], failing: bool = False) -> None:
        self.snapshots = snapshots
        self.failing = failing
        self.stop = asyncio.Event()

    async def read(self) -> list[Snapshot]:
        if self.failing:
            raise ConnectionRefusedError("Connection refused: 127.0.0.1:6379")
        for each in self.snapshots:
            each.published_ms = time.time_ns() // 1_000_000
        return self.snapshots


def plain(width: int = 100) -> Console:
    return Console(width=width, file=StringIO(), force_terminal=False)


def test_once_prints_one_plain_board(snapshots: list[Snapshot]) -> None:
    console = plain()
    assert asyncio.run(run_board(Shelf(snapshots), "ja", once=True, console=console)) == 0
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "\x1b" not in text
    assert "待ち呼" in text
    assert "STALE" not in text


def test_once_with_nothing_to_show_fails(snapshots: list[Snapshot]) -> None:
    assert asyncio.run(run_board(Shelf([]), "en", once=True, console=plain())) == 1
    console = plain()
    assert asyncio.run(run_board(Shelf(snapshots, failing=True), "en", once=True, console=console)) == 1
    assert isinstance(console.file, StringIO)
    assert "Connection refused" in console.file.getvalue()


def test_the_board_ends_when_it_is_told_to(snapshots: list[Snapshot]) -> None:
    async def story() -> int:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        return await asyncio.wait_for(run_board(Shelf(snapshots), "en", stop=stop, console=plain()), 5)

    assert asyncio.run(story()) == 0


def test_the_board_ends_even_when_it_is_told_to_in_the_middle_of_a_read(snapshots: list[Snapshot]) -> None:
    class Slow(Shelf):
        async def read(self) -> list[Snapshot]:
            await asyncio.sleep(0)
            self.stop.set()
            return await super().read()

    async def story() -> int:
        shelf = Slow(snapshots)
        return await asyncio.wait_for(run_board(shelf, "en", stop=shelf.stop, console=plain()), 5)

    assert [asyncio.run(story()) for _ in range(20)] == [0] * 20


def test_the_board_ends_after_its_time(snapshots: list[Snapshot]) -> None:
    began = time.monotonic()
    console = plain()
    assert (
        asyncio.run(
            run_board(Shelf(snapshots), "en", seconds=0.2, header="http://x/metrics", console=console)
        )
        == 0
    )
    assert time.monotonic() - began < 2
    assert isinstance(console.file, StringIO)
    assert "http://x/metrics" in console.file.getvalue()


_ON_A_TERMINAL = """
import asyncio, sys
from agents.terminal import run_board
from schemas.snapshots import decode_snapshot

class Shelf:
    async def read(self):
        return [decode_snapshot(line) for line in open(sys.argv[1], "rb")]

sys.exit(asyncio.run(run_board(Shelf(), "en")))
"""


@pytest.mark.timeout(30)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_is_given_back_however_the_board_is_ended(
    snapshots: list[Snapshot], tmp_path: Path, ending: signal.Signals
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b"\n".join(encode_json(each) for each in snapshots))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color", "COLUMNS": "90"}
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_A_TERMINAL, str(rows)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    seen = b""
    while b"All queues" not in seen:
        seen += os.read(ours, 65536)
    process.send_signal(ending)
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
    os.close(ours)
    assert process.wait(10) == 0
    assert b"Traceback" not in seen
    assert seen.index(b"\x1b[?1049h") < seen.rindex(b"\x1b[?1049l")
    assert b"\x1b[?25h" in seen  # the cursor is back


def test_top_without_a_store_says_what_to_give() -> None:
    with pytest.raises(SettingsError, match="--redis"):
        run_top(Settings(redis=type(Settings().redis)(url=None)), "en", once=True)


def test_the_language_is_what_was_asked_for_or_the_environments() -> None:
    assert language("ja", {}) == "ja"
    assert language(None, {"LANG": "ja_JP.UTF-8"}) == "ja"
    assert language(None, {"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}) == "en"
    assert language(None, {}) == "en"
    assert language("fr", {"LANG": "ja_JP.UTF-8"}) == "en"


# --- the picture of the README -------------------------------------------------------------------------------------


def test_the_picture_is_well_formed_fetches_nothing_and_names_every_queue(
    snapshots: list[Snapshot], now_ms: int
) -> None:
    svg = draw(snapshots, now_ms)
    texts = "".join(ElementTree.fromstring(svg).itertext())
    for s in queues(snapshots):
        assert s.queue.split(" (")[0] in texts
    assert "url(" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_in_the_documents_shows_what_the_program_draws() -> None:
    snapshots, now_ms = morning()
    stored = (REPOSITORY / "docs" / "board.svg").read_text(encoding="utf-8")
    assert stored == draw(snapshots, now_ms + 400), "draw it again: python -m agents.picture"


def test_snapshots_survive_the_store_unchanged(picture: tuple[list[Snapshot], int]) -> None:
    for each in picture[0]:
        assert msgspec.to_builtins(decode_snapshot(encode_json(each))) == msgspec.to_builtins(each)
    assert any(isinstance(each, GroupSnapshot) for each in picture[0])
