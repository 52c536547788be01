"""What the command line says of a recording that is of little use; the file of settings it finds by itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import agents.progress
import agents.simulate
from agents.cli import app
from agents.settings import load, variables
from schemas.errors import SettingsError
from streams.driver import Item
from streams.simulator import Plan, Simulation, default_site
from tests.agents.recordings import BANK, BANK_HEADER, bank_row, call


@pytest.fixture(autouse=True)
def _alone_in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*variables(), "QUEUELIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="queuelight")


def replayed(
    tmp_path: Path, content: bytes, format_: str = "anonymous-bank"
) -> tuple[Result, dict[str, object]]:
    path = tmp_path / "calls.txt"
    path.write_bytes(content)
    result = run("replay", path, "--format", format_, "--report", tmp_path / "r.json")
    source: dict[str, object] = json.loads((tmp_path / "r.json").read_text())["source"]
    return result, source


# --- records of no use --------------------------------------------------------------------------------------------


def test_rows_that_could_not_be_used_are_told_with_their_reasons(tmp_path: Path) -> None:
    result, source = replayed(tmp_path, BANK_HEADER + bank_row("AGENT") + b"no row\r\n" * 11)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "warning: 11 of 12 records could not be used: unreadable_row 11"
    assert (source["records"], source["dead_letters"]) == (12, {"unreadable_row": 11})


def test_reasons_of_events_are_told_like_those_of_rows(tmp_path: Path) -> None:
    bad = [b"{\n", b"{\n", b'{"type":"contact.queued","time":"1970-01-01T00:00:00Z"}\n']
    result, _ = replayed(tmp_path, b"".join([*call("c-1"), *bad]), "jsonl")
    assert "3 of 6 records could not be used: not_json 2, not_an_event 1" in result.stderr


def test_a_recording_of_which_all_was_used_is_told_without_a_warning(tmp_path: Path) -> None:
    result, _ = replayed(tmp_path, BANK_HEADER + bank_row("AGENT"))
    assert result.stderr == f"wrote {tmp_path / 'r.json'}\n"


def test_a_recording_of_which_nothing_could_be_used_is_a_failure_and_its_report_is_written(
    tmp_path: Path,
) -> None:
    result, source = replayed(tmp_path, BANK_HEADER + b"no row\r\n" * 3)
    assert result.exit_code == 1
    assert "none of 3 records could be used" in result.stderr
    assert (source["events"], source["dead_letters"]) == (0, {"unreadable_row": 3})


def test_rows_left_out_on_purpose_are_counted_apart_and_are_no_failure(tmp_path: Path) -> None:
    left_out = bank_row("HANG", 3, q_start="0:00:00") + bank_row("PHANTOM", 4)
    result, source = replayed(tmp_path, BANK_HEADER + left_out)
    assert (result.exit_code, source["records"], source["left_out"], source["events"]) == (0, 2, 2, 0)
    _, source = replayed(tmp_path, BANK)
    offered, unreadable = 2, 1
    assert (source["records"], source["left_out"]) == (offered + unreadable + 1, 1)


def test_a_header_that_lacks_a_column_is_misuse_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "calls.txt"
    path.write_bytes(BANK_HEADER.replace(b"\tser_time", b"") + bank_row("AGENT"))
    result = run("replay", path, "--format", "anonymous-bank")
    assert result.exit_code == 2
    assert "there is no column ser_time" in result.stderr


# --- settings -------------------------------------------------------------------------------------------------


def test_the_file_in_the_working_directory_is_read_when_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("config").stdout.startswith("# no file")
    (tmp_path / "queuelight.toml").write_text('[site]\nname = "here"\n')
    shown = run("config").stdout
    assert shown.startswith("# queuelight.toml\n")
    assert 'name = "here"  # file' in shown
    monkeypatch.setenv("QUEUELIGHT_SITE_NAME", "environment")
    assert load().site.name == "environment"
    monkeypatch.delenv("QUEUELIGHT_SITE_NAME")
    (tmp_path / "named.toml").write_text('[site]\nname = "named"\n')
    monkeypatch.setenv("QUEUELIGHT_CONFIG", "named.toml")
    assert load().site.name == "named"
    (tmp_path / "given.toml").write_text('[site]\nname = "given"\n')
    assert load(Path("given.toml")).site.name == "given"


def test_a_mistake_in_the_file_of_the_working_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "queuelight.toml").write_text("[site]\nnmae = 1\n")
    result = run("config")
    assert result.exit_code == 2
    assert "queuelight.toml: unknown key `nmae` in [site]: did you mean `name`?" in result.stderr


@pytest.mark.parametrize("table", ["site", 'queues."Sales"'])
def test_a_business_day_begins_where_an_interval_does(tmp_path: Path, table: str) -> None:
    path = tmp_path / "settings.toml"
    for minute in ("00", "15", "30", "45"):
        path.write_text(f'[{table}]\nday_starts_at = "09:{minute}"\n')
        load(path)
    path.write_text(f'[{table}]\nday_starts_at = "09:07"\n')
    with pytest.raises(SettingsError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: `day_starts_at` in [{table}]: expected minutes 00, 15, 30 or 45, as intervals begin, saw '09:07'"
    )


# --- how far a simulation is ------------------------------------------------------------------------------------


class Sink:
    """Takes what would go to Kafka."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, _: Item) -> None:
        self.sent += 1

    def beat(self, _: int) -> None: ...

    def flush(self) -> None: ...


def test_a_simulation_tells_every_second_how_much_it_has_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 1_790_000_000_000

    def passes(seconds: float) -> None:
        nonlocal now_ms
        now_ms += round(seconds * 1000)

    monkeypatch.setattr(agents.simulate, "wall_ms", lambda: now_ms)
    monkeypatch.setattr("agents.simulate.time.sleep", passes)
    site = default_site(4)
    simulation = Simulation(site, Plan(flat=True, contacts_per_s=5.0), 1)
    told: list[int] = []
    sink = Sink()
    agents.simulate.feed_live(sink, simulation, 20, lambda: False, told.append)  # type: ignore[arg-type]
    assert 15 <= len(told) <= 20
    assert told == sorted(told)
    assert told[-1] <= sink.sent


@pytest.mark.parametrize("seconds", ["30", None])
def test_a_simulation_with_an_end_shows_how_far_it_is(
    seconds: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, int]] = []

    def run_simulation(*given: object, web_rate: float) -> int:
        on_sent: Callable[[int], None] = given[-1]  # type: ignore[assignment]
        for sent in (100, 5000):
            on_sent(sent)
        return 0

    monkeypatch.setattr(agents.simulate, "run_simulation", run_simulation)
    monkeypatch.setattr(agents.progress.Progress, "to", lambda _, done, of: shown.append((done, of)))
    end = ["--seconds", seconds] if seconds else []
    assert run("simulate", "--rate", "50", "--web-rate", "10", *end).exit_code == 0
    assert shown == ([(100, 1800), (1800, 1800)] if seconds else [])
