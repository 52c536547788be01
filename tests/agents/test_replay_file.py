"""Is everything in a recorded file accounted for, and is what comes out what the file says?"""

import csv
import json
from pathlib import Path

import pytest

from agents.recording import LONGEST_LINE, LineNumbers, Recording, site_for
from agents.replay_file import Outputs, Replayed, encoded, replay
from agents.settings import Settings, load
from schemas.dead_letters import DeadLetter
from schemas.errors import InputError
from streams.readers import SITES
from tests.agents.recordings import BANK, call


def replayed(
    path: Path, format_: str = "jsonl", settings: Settings | None = None, **outputs: Path
) -> Replayed:
    return replay(
        settings or Settings(), Recording(path, format_), 900, Outputs(**outputs), broker=False, speed=None
    )


def written(tmp_path: Path, content: bytes, name: str = "calls.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def as_read(made: Replayed) -> dict[str, dict[str, object]]:
    report: dict[str, dict[str, object]] = json.loads(encoded(made.report()))
    return report


def test_every_line_with_data_is_a_record_and_blank_ones_are_not(tmp_path: Path) -> None:
    lines = [b"\n", *call("c-1"), b"  \r\n", b"{\n", *call("c-2")]
    lines[-1] = lines[-1].rstrip()
    source = as_read(replayed(written(tmp_path, b"".join(lines))))["source"]
    assert (source["records"], source["events"]) == (7, 6)
    assert source["dead_letters"] == {"not_json": 1}


def test_a_byte_order_mark_is_no_part_of_the_first_event(tmp_path: Path) -> None:
    source = as_read(replayed(written(tmp_path, b"\xef\xbb\xbf" + b"".join(call("c-1")))))["source"]
    assert (source["events"], source["dead_letters"]) == (3, {})


def test_a_line_longer_than_memory_should_hold_is_one_dead_letter(tmp_path: Path) -> None:
    endless = b'{"type":"' + b"x" * (LONGEST_LINE * 2) + b'"}\n'
    source = as_read(replayed(written(tmp_path, endless + b"".join(call("c-1")))))["source"]
    assert (source["records"], source["events"], source["dead_letters"]) == (4, 3, {"too_large": 1})


def test_rows_of_the_bank_that_are_no_offered_contact_are_records_too(tmp_path: Path) -> None:
    report = as_read(replayed(written(tmp_path, BANK), "anonymous-bank"))
    assert (report["source"]["records"], report["source"]["events"]) == (4, 5)
    assert report["source"]["dead_letters"] == {"unreadable_row": 1}
    assert (report["total"]["offered"], report["total"]["answered"], report["total"]["wait_sum_s"]) == (
        2,
        1,
        30.0,
    )


def test_dead_letters_are_written_with_the_line_they_are_from(tmp_path: Path) -> None:
    bad = {4: b"{\n", 8: b'{"type":"contact.queued","time":"1970-01-01T00:00:00Z"}\n'}
    path = written(tmp_path, b"".join([*call("c-1"), bad[4], *call("c-2"), bad[8], *call("c-3")]))
    letters = tmp_path / "letters.jsonl"
    replayed(path, dead_letters=letters)
    told = {row["line"]: row for row in map(json.loads, letters.read_text().splitlines())}
    assert {line: row["reason"] for line, row in told.items()} == {4: "not_json", 8: "not_an_event"}
    assert told[4]["payload_bytes"] == 1
    replayed(written(tmp_path, BANK, "bank.txt"), "anonymous-bank", dead_letters=letters)
    assert [json.loads(line)["line"] for line in letters.read_text().splitlines()] == [5]


def test_line_numbers_are_remembered_only_for_the_newest_records() -> None:
    numbers = LineNumbers(remembered=2)
    for line in (10, 20, 30):
        numbers.add("calls", 0, line)
    assert [numbers.of("calls", 0, offset) for offset in (0, 1, 2, 3)] == [None, 20, 30, None]
    assert numbers.of("chats", 0, 0) is None


def test_gauges_are_written_for_each_minute_of_each_day(tmp_path: Path) -> None:
    gauges = tmp_path / "g.csv"
    at = "2026-05-01T10:00:5"
    replayed(
        written(tmp_path, b"".join([call("c-1", at=at)[0], *call("c-2", at="2026-05-01T10:02:0")])),
        gauges=gauges,
    )
    rows = list(csv.reader(gauges.open(encoding="utf-8")))
    assert rows[0] == ["date", "minute", "waiting", "in_service"]
    assert len(rows) == 1 + 1440
    assert next(row for row in rows[1:] if row[2] != "0") == ["2026-05-01", "601", "1", "0"]


def test_an_event_told_twice_counts_once(tmp_path: Path) -> None:
    report = as_read(replayed(written(tmp_path, b"".join(call("c-1") * 2))))
    assert report["total"]["offered"] == 1
    assert report["source"]["duplicates"] == 3


def test_a_recording_can_be_read_again_and_counts_anew(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path, b"".join(call("c-1"))), "jsonl")
    assert [len(list(recording.read())) for _ in range(2)] == [3, 3]
    assert (recording.records, recording.items, recording.line) == (3, 3, 3)


def test_an_unreadable_row_goes_where_it_is_asked_for(tmp_path: Path) -> None:
    refused: list[tuple[DeadLetter, int | None]] = []
    list(
        Recording(written(tmp_path, BANK), "anonymous-bank").read(
            lambda letter, line: refused.append((letter, line))
        )
    )
    assert [(letter.reason.value, line) for letter, line in refused] == [("unreadable_row", 5)]


def test_without_settings_the_format_says_what_the_site_is() -> None:
    assert site_for(Settings(), "anonymous-bank") == SITES["anonymous-bank"]


def test_configured_queues_replace_those_of_the_format_but_its_zone_stays_unless_one_is_given(
    tmp_path: Path,
) -> None:
    path = tmp_path / "queuelight.toml"
    path.write_text("[queues.PS]\nanswer_within_s = 30\n")
    site = site_for(load(path), "anonymous-bank")
    assert (site.zone, site.queues["PS"].answer_within_s, len(site.queues)) == ("Asia/Jerusalem", 30.0, 1)
    path.write_text('[site]\nzone = "UTC"\n')
    assert site_for(load(path), "anonymous-bank").zone == "UTC"
    path.write_text("[limits]\nkeep_h = 30\n")
    assert site_for(load(path), "jsonl").zone == "UTC"


def test_a_result_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(call("c-1")))
    with pytest.raises(InputError, match="this is a folder"):
        replayed(path, report=tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        replayed(path, gauges=tmp_path / "absent" / "g.csv")


def test_a_month_of_a_real_bank_comes_out_as_published(shared_data: Path, tmp_path: Path) -> None:
    gauges = tmp_path / "g.csv"
    made = replay(
        Settings(),
        Recording(shared_data / "anonymous_bank_1999_02.txt", "anonymous-bank"),
        1800,
        Outputs(gauges=gauges),
        broker=False,
        speed=None,
    )
    report = made.report()
    total, source = report["total"], report["source"]
    assert isinstance(total, dict)
    assert isinstance(source, dict)
    assert (source["records"], source["dead_letters"]) == (33_344, {})
    assert (total["offered"], total["answered"], total["abandoned"]) == (31_125, 27_162, 3_963)
    assert (round(total["asa_s"], 4), round(total["aht_s"], 4)) == (40.7743, 176.3530)
    assert total["queue_length_max"] == 17
    with gauges.open() as ours, (shared_data / "reference/ab_feb_per_minute_gauges.csv").open() as theirs:
        pairs = zip(csv.reader(ours), csv.reader(theirs), strict=True)
        next(pairs)
        assert all((a[0][2:].replace("-", ""), a[1:]) == (b[0], b[1:]) for a, b in pairs)
