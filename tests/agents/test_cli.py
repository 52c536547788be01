"""Does the command line say what it can, answer with data on stdout and talk on stderr, and name what went wrong?"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from agents.cli import app
from agents.settings import variables
from schemas.documents import PUBLIC_TYPES
from tests.agents.recordings import BANK, BANK_HEADER, bank_row, call

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    ["demo"], ["worker"], ["simulate"], ["replay"], ["top"], ["decode"], ["check"], ["config"], ["schema"],
    ["topics"], ["topics", "create"], ["wallboard"], ["board-token"], ["board-token", "create"],
    ["board-token", "list"], ["board-token", "revoke"], ["healthcheck"], ["collect"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*variables(), "QUEUELIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def run(*words: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin, prog_name="queuelight")


def in_a_process(*words: str, **options: object) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "agents.cli", *words], env=environment, cwd="/", **options
    )


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "bank.txt"
    path.write_bytes(BANK)
    return path


@pytest.mark.parametrize("words", [[], *COMMANDS], ids=" ".join)
def test_every_help_fits_one_screen(words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) <= (24 if words else 30), "only the list of all commands may be longer"
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("...") for line in lines[1:]), "a sentence was cut off"


def test_help_answers_at_once_because_nothing_heavy_is_imported() -> None:
    heavy = "('faust', 'aiokafka', 'pydantic_settings', 'redis')"
    script = f"import sys, agents.cli; print([m for m in {heavy} if m in sys.modules])"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 2.0  # 0.1 s where nothing else runs


def test_the_version_is_a_line() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("queuelight")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["replay", "file"], "Missing option '--format'"),
        (["replay", "absent.jsonl", "--format", "jsonl"], "absent.jsonl: there is no such file"),
        (["replay", "/", "--format", "jsonl"], "/: expected a file, this is a folder"),
        (["replay", "/dev/null", "--format", "jsonl"], "/dev/null: the file is empty"),
        (["replay", "/dev/null", "--format", "anonymus-bank"], "did you mean anonymous-bank?"),
        (["replay", "/dev/null", "--format", "jsonl", "--interval", "7"], "expected a multiple of 900 s"),
        (["replay", "/dev/null", "--format", "jsonl", "--speed", "60"], "--speed 60 needs --broker"),
        (
            ["replay", "/dev/null", "--format", "jsonl", "--running-workers"],
            "--running-workers needs --broker",
        ),
        (
            ["replay", "/dev/null", "--format", "jsonl", "--speed", "fast"],
            "expected max, or a number above 0",
        ),
        (
            ["replay", "/dev/null", "--format", "jsonl", "--report", "/absent/r.json"],
            "there is no folder /absent",
        ),
        (["replay", "/dev/null", "--format", "jsonl", "--report", "-", "--gauges", "-"], "only one of"),
        (["decode", "absent.jsonl", "--format", "jsonl"], "absent.jsonl: there is no such file"),
        (["simulate", "--rate", "5", "--truth", "t.json"], "--truth needs --seconds"),
        (["simulate", "--rate", "5", "--queues", "0"], "--queues 0: expected 1 to 100000"),
        (["worker", "--broker", "nowhere"], "`broker` in [kafka]: expected HOST:PORT"),
        (["worker", "--config", "absent.toml"], "absent.toml: there is no such file"),
        (["top"], "give --redis"),
        (["schema", "--type", "contact.queue"], "did you mean contact.queued?"),
        (["schema", "--asyncapi", "--type", "contact.queued"], "expected only one of"),
    ],
)
def test_misuse_is_answered_in_one_line_and_with_exit_code_2(words: list[str], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not result.stdout
    assert "Traceback" not in result.stderr


def test_a_replay_without_a_report_prints_a_table(bank: Path) -> None:
    result = run("replay", bank, "--format", "anonymous-bank")
    assert result.exit_code == 0, result.stderr
    assert "4 records, 5 events, 1 dead letters (unreadable_row)" in result.stdout
    heading, *rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert heading[:4] == ["queue", "offered", "answered", "abandoned"]
    assert ["PS", "2", "1", "1", "50.0%", "50.0%", "0.0"] in [row[:7] for row in rows]
    assert next(row for row in rows if row[0] == "total")[1:4] == ["2", "1", "1"]


def test_a_report_on_standard_output_is_all_there_is_on_standard_output(bank: Path) -> None:
    result = run("replay", bank, "--format", "anonymous-bank", "--report", "-")
    report = json.loads(result.stdout)
    assert report["source"]["records"] == 4
    assert report["total"]["offered"] == 2


def test_a_file_of_another_format_is_replayed_to_nothing_with_a_warning_and_exit_code_1(bank: Path) -> None:
    result = run("replay", bank, "--format", "jsonl")
    assert result.exit_code == 1
    assert "none of 5 records could be used: is" in result.stderr


def test_decoded_events_replay_to_the_same_report(bank: Path, tmp_path: Path) -> None:
    config = tmp_path / "queuelight.toml"
    queues = "".join(f"[queues.{name}]\n" for name in ("PS", "NW", "NE", "TT", "IN", "PE"))
    config.write_text(f'[site]\nname = "bank"\nzone = "Asia/Jerusalem"\n{queues}')
    decoded = run("decode", bank, "--format", "anonymous-bank")
    assert "bank.txt line 5: unreadable_row" in decoded.stderr
    first = run("replay", bank, "--format", "anonymous-bank", "--report", "-")
    again = run(
        "replay", "-", "--format", "jsonl", "--config", config, "--report", "-", stdin=decoded.stdout.encode()
    )
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert {key: one[key] for key in one if key != "source"} == {
        key: two[key] for key in two if key != "source"
    }


def test_decode_says_which_lines_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"".join([*call("c-1"), b"{\n", b'{"type": "coffee.brewed"}\n', *call("c-2")]))
    result = run("decode", path, "--format", "jsonl")
    assert result.exit_code == 0
    assert [json.loads(line)["data"]["contact_id"] for line in result.stdout.splitlines()] == ["c-1"] * 3 + [
        "c-2"
    ] * 3
    assert "mixed.jsonl line 4: not_json" in result.stderr
    assert "mixed.jsonl line 5: ignored: unknown type 'coffee.brewed'" in result.stderr


def test_a_reader_who_closes_the_pipe_early_ends_a_long_decode_in_peace(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"".join(line for number in range(3000) for line in call(f"c-{number}")))
    with in_a_process(
        "decode", str(path), "--format", "jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert orjson.loads(process.stdout.readline())["type"] == "contact.queued"
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_the_settings_in_force_are_printed_with_secrets_masked(tmp_path: Path) -> None:
    path = tmp_path / "queuelight.toml"
    path.write_text('[redis]\nurl = "redis://:swordfish@h:6379/0"\n')
    result = run("config", "--config", path, "--broker", "k:9092")
    assert result.exit_code == 0
    assert 'url = "redis://:***@h:6379/0"  # file' in result.stdout
    assert 'broker = "k:9092"  # flag' in result.stdout
    assert "| `[kafka] broker` |" in run("config", "--table").stdout


def test_schemas_are_printed_or_written(tmp_path: Path) -> None:
    assert json.loads(run("schema", "--type", "chat.message").stdout)["title"] == "chat.message"
    assert json.loads(run("schema", "--asyncapi").stdout)["asyncapi"] == "3.0.0"
    assert "anyOf" in json.loads(run("schema").stdout)
    result = run("schema", "--write", tmp_path / "new")
    assert result.exit_code == 0
    assert {path.stem for path in (tmp_path / "new").iterdir()} == {*PUBLIC_TYPES, "asyncapi"}


def test_a_check_without_servers_looks_at_the_settings_alone() -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok     settings: no file, site 'default' in UTC, 0 queue(s)")


def test_a_check_names_the_redis_it_cannot_reach_without_its_password() -> None:
    result = run("check", "--redis", "redis://:swordfish@127.0.0.1:1/0")
    assert result.exit_code == 1
    assert "WRONG  redis: redis://:***@127.0.0.1:1/0" in result.stdout
    assert "swordfish" not in result.stdout + result.stderr


def test_the_header_of_a_bank_file_alone_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "header.txt"
    path.write_bytes(BANK_HEADER)
    result = run("replay", path, "--format", "anonymous-bank")
    assert result.exit_code == 2
    assert "the file is empty" in result.stderr
    path.write_bytes(BANK_HEADER + bank_row("HANG", q_start="0:00:00"))
    assert run("replay", path, "--format", "anonymous-bank").exit_code == 0
