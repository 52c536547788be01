"""Does one real bank's month come out as published, to the last digit? In order, shuffled, repeated and divided."""

import csv
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest

from schemas.dead_letters import DeadLetter
from schemas.errors import InputError, Reason
from streams.decode import decode, unix_ms
from streams.driver import Driver, Item
from streams.readers import READERS, SITES, anonymous_bank
from streams.report import Report, ReportBuilder, source_of

FORMAT = "anonymous-bank"
SITE = SITES[FORMAT]
HEADER = (
    b"vru+line\tcall_id\tcustomer_id\tpriority\ttype\tdate\tvru_entry\tvru_exit\tvru_time\tq_start\tq_exit\tq_time\t"
    b"outcome\tser_start\tser_exit\tser_time\tserver\r\n"
)
COUNTS = {
    "offered": "offered", "answered": "answered", "abandoned": "abandoned", "ab_short_5": "abandoned_short",
    "ans_le_20": "answered_in_x", "ab_le_20": "abandoned_in_x", "wait_sum": "wait_sum_s", "max_wait": "longest_wait_max_s",
}  # fmt: skip
RATIOS = {
    "asa_all": ("asa_s", 1), "aht": ("aht_s", 1), "abandon_pct": ("abandonment_rate", 100),
    "sl_20_offered": ("sl_offered", 100), "sl_20_short_5": ("sl_short_out", 100),
    "sl_20_exab": ("sl_abandoned_late", 100), "sl_20_amazon": ("sl_removed", 100), "sl_20_answered": ("sl_answered", 100),
}  # fmt: skip


class Month:
    """The month as one run of the pipeline told it."""

    def __init__(self, items: Iterable[Item], partitions: int, records: int) -> None:
        driver = Driver(SITE, partitions)
        driver.feed(items)
        driver.finish()
        builder = ReportBuilder(SITE, 1800)
        for row in driver.intervals.values():
            builder.add(row)
        self.letters = driver.dead_letters
        self.report: Report = builder.report(source_of(driver.truths().values(), records, {}))
        self.gauges = {
            (date, minute): (waiting, serving) for date, minute, waiting, serving in builder.gauges()
        }

    def part(self, key: str) -> dict[str, dict[str, object]]:
        part = self.report[key]
        assert isinstance(part, dict)
        return part

    @property
    def total(self) -> dict[str, object]:
        total = self.report["total"]
        assert isinstance(total, dict)
        return total

    @property
    def half_hours(self) -> list[dict[str, object]]:
        rows = self.report["by_interval"]
        assert isinstance(rows, list)
        return rows


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> list[bytes]:
    path = shared_data / "anonymous_bank_1999_02.txt"
    if not path.exists():
        pytest.skip("reference data not here: ../shared/data/anonymous_bank_1999_02.txt")
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def items(lines: list[bytes]) -> list[Item]:
    return [item for item in READERS[FORMAT](lines) if isinstance(item, Item)]


@pytest.fixture(
    scope="module", params=["as it was, 1 partition", "2 s late, 3 partitions", "60 s late, 2 partitions"]
)
def month(request: pytest.FixtureRequest, items: list[Item], lines: list[bytes]) -> Month:
    """The month in order; and with every event up to so many seconds late and one in twenty sent twice."""
    if str(request.param).startswith("as it was"):
        return Month(items, 1, len(lines) - 1)
    late_s, partitions = (2.0, 3) if str(request.param).startswith("2 s") else (60.0, 2)
    dice = random.Random(5)
    told = items + dice.sample(items, len(items) // 20)
    return Month(shuffled(told, late_s, dice), partitions, len(lines) - 1)


def shuffled(items: list[Item], late_s: float, dice: random.Random) -> list[Item]:
    return [
        item
        for _, _, item in sorted(
            (at_s(item) + dice.uniform(0, late_s), n, item) for n, item in enumerate(items)
        )
    ]


def at_s(item: Item) -> float:
    event = decode(item.value, 10_000)
    at_ms = unix_ms(event.time)  # type: ignore[union-attr]
    assert at_ms is not None
    return at_ms / 1000


def table(shared_data: Path, name: str) -> list[dict[str, str]]:
    with (shared_data / "reference" / f"ab_feb_{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def compare(row: Mapping[str, object], told: Mapping[str, object], where: object) -> None:
    """Counts exactly; ratios and means to four digits; an empty cell is a ratio that does not exist."""
    for column, name in COUNTS.items():
        assert told[name] == int(str(row[column])), (where, name)
    for column, (name, scale) in RATIOS.items():
        value = told[name]
        if row[column] in ("", None):
            assert value is None, (where, name)
        else:
            assert isinstance(value, float)
            assert value * scale == pytest.approx(float(str(row[column])), abs=1e-4), (where, name)


def day_of(date: str) -> str:
    return f"19{date[:2]}-{date[2:4]}-{date[4:]}"


def start_of(row: Mapping[str, str]) -> str:
    half_hour = int(row["half_hour"])
    return f"{day_of(row['date'])}T{half_hour // 2:02d}:{half_hour % 2 * 30:02d}:00+02:00"


# --- the published tables -----------------------------------------------------------------------------------


def test_the_month_has_the_published_total(month: Month, shared_data: Path) -> None:
    summary = json.loads((shared_data / "reference" / "ab_feb_summary.json").read_text(encoding="utf-8"))[
        "feb"
    ]
    compare(summary, month.total, "month")
    assert month.total["queue_length_max"] == summary["max_queue"] == 17
    assert month.total["queue_length_area_s"] == summary["area_s"]
    assert month.total["waiting"] == 0


def test_every_call_type_has_its_published_row(month: Month, shared_data: Path) -> None:
    rows = table(shared_data, "by_type")
    assert {row["type"] for row in rows} == set(month.part("by_queue"))
    for row in rows:
        compare(row, month.part("by_queue")[row["type"]], row["type"])


def test_every_day_has_its_published_row_and_queue_length(month: Month, shared_data: Path) -> None:
    days = month.part("by_day")
    rows = table(shared_data, "by_day")
    assert [day_of(row["date"]) for row in rows] == list(days)
    for row in rows:
        compare(row, days[day_of(row["date"])], row["date"])
    for row in table(shared_data, "queue_length_by_day"):
        told = days[day_of(row["date"])]
        expected = (int(row["max_len"]), int(row["area_s"]))
        assert (told["queue_length_max"], told["queue_length_area_s"]) == expected, row["date"]


def test_every_half_hour_of_every_type_has_its_published_row_and_the_others_are_empty(
    month: Month, shared_data: Path
) -> None:
    told = {(row["start"], row["queue"]): row for row in month.half_hours}
    assert len(told) == len(month.half_hours) == 28 * 48 * 6
    for row in table(shared_data, "by_halfhour_type"):
        compare(row, told.pop((start_of(row), row["type"])), row)
    assert len(told) == 28 * 48 * 6 - 2831
    for empty in told.values():
        assert (empty["offered"], empty["wait_sum_s"]) == (0, 0)
        assert all(empty[name] is None for name, _ in RATIOS.values())
        assert empty["longest_wait_max_s"] is None


def test_the_half_hours_of_all_types_add_up_to_the_published_half_hours(
    month: Month, shared_data: Path
) -> None:
    sums: dict[object, dict[str, float]] = {}
    for row in month.half_hours:
        into = sums.setdefault(row["start"], dict.fromkeys(COUNTS.values(), 0))
        for name in COUNTS.values():
            value = row[name] or 0
            assert isinstance(value, int | float)
            into[name] = max(into[name], value) if name == "longest_wait_max_s" else into[name] + value
    rows = {start_of(row): row for row in table(shared_data, "by_halfhour")}
    for start, into in sums.items():
        found = rows.get(str(start))
        expected = {name: int(found[column]) if found else 0 for column, name in COUNTS.items()}
        assert into == expected, start


def test_at_every_minute_as_many_wait_and_are_served_as_published(month: Month, shared_data: Path) -> None:
    rows = table(shared_data, "per_minute_gauges")
    assert len(month.gauges) == len(rows) == 28 * 1440
    for row in rows:
        told = month.gauges[day_of(row["date"]), int(row["minute"])]
        assert told == (int(row["waiting"]), int(row["in_service"])), row


def test_every_row_of_the_log_is_accounted_for(month: Month, items: list[Item]) -> None:
    source = month.report["source"]
    assert isinstance(source, dict)
    assert not month.letters
    assert source["records"] == 33_344
    assert source["events"] - source["duplicates"] == len(items)
    assert source["duplicates"] in (0, len(items) // 20)
    assert (source["late"], source["unmatched"], source["ignored"]) == (0, 0, 0)


# --- the reader ---------------------------------------------------------------------------------------------


def row(**changes: str) -> bytes:
    """A row of the log: a call that waits from 10:00:10 for 30 s and is served for 100 s."""
    cells = {
        "line": "AA0101", "call_id": "7", "customer": "0", "priority": "0", "type": "PS", "date": "990203",
        "vru_entry": "10:00:00", "vru_exit": "10:00:10", "vru_time": "10", "q_start": "10:00:10", "q_exit": "10:00:40",
        "q_time": "30", "outcome": "AGENT", "ser_start": "10:00:39", "ser_exit": "10:02:20", "ser_time": "100",
        "server": "DORIT",
    }  # fmt: skip
    return "\t".join((cells | changes).values()).encode() + b"\r\n"


def told_of(*rows: bytes) -> list[tuple[str, str]]:
    """(type, local time) of the events in the order they come out."""
    out = []
    for item in READERS[FORMAT]([HEADER, *rows]):
        if isinstance(item, Item):
            event = decode(item.value, 10_000)
            local = event.time.astimezone(SITE.calendar("").zone)  # type: ignore[union-attr]
            out.append((type(event).__name__, local.isoformat()[:19]))
    return out


def test_a_call_that_waits_is_answered_when_its_wait_ends_not_when_service_is_said_to_start() -> None:
    assert told_of(row()) == [
        ("ContactQueued", "1999-02-03T10:00:10"),
        ("ContactAnswered", "1999-02-03T10:00:40"),
        ("ContactEnded", "1999-02-03T10:02:20"),
    ]


def test_a_call_that_did_not_wait_is_queued_and_answered_as_it_leaves_the_ivr() -> None:
    direct = row(q_start="0:00:00", q_exit="0:00:00", q_time="0")
    assert told_of(direct)[:2] == [
        ("ContactQueued", "1999-02-03T10:00:10"),
        ("ContactAnswered", "1999-02-03T10:00:10"),
    ]


def test_a_caller_who_hangs_up_in_the_ivr_and_a_phantom_were_never_offered() -> None:
    ivr = row(outcome="HANG", q_start="0:00:00", q_exit="0:00:00", q_time="0")
    assert told_of(ivr, row(outcome="PHANTOM")) == []
    assert list(READERS[FORMAT]([HEADER, ivr])) == [None]


def test_numbers_of_a_call_that_was_never_offered_may_be_broken() -> None:
    broken = {"date": "", "vru_exit": "?", "q_time": "-1", "ser_time": "x", "type": ""}
    phantom = row(outcome="PHANTOM", q_start="nothing", vru_entry="", **broken)
    ivr = row(outcome="HANG", q_start="0:00:00", **broken)
    assert list(READERS[FORMAT]([HEADER, phantom, ivr])) == [None, None]


def test_a_caller_who_hangs_up_in_the_queue_needs_no_service_time() -> None:
    assert [kind for kind, _ in told_of(row(outcome="HANG", ser_time=""))] == [
        "ContactQueued",
        "ContactAbandoned",
    ]


@pytest.mark.parametrize("never", ["0:00:00", "00:00:00", "0:0:0", "0"])
def test_a_call_that_did_not_queue_may_say_so_in_other_words(never: str) -> None:
    direct = row(q_start=never, q_exit=never, q_time="0")
    assert told_of(direct)[0] == ("ContactQueued", "1999-02-03T10:00:10")
    assert told_of(row(outcome="HANG", q_start=never, q_exit=never, q_time="0")) == []


def test_a_wait_over_midnight_ends_on_the_next_day() -> None:
    late = row(vru_entry="23:59:30", vru_exit="23:59:40", q_start="23:59:40", q_exit="0:00:10")
    assert told_of(late) == [
        ("ContactQueued", "1999-02-03T23:59:40"),
        ("ContactAnswered", "1999-02-04T00:00:10"),
        ("ContactEnded", "1999-02-04T00:01:50"),
    ]


def test_a_call_that_enters_before_midnight_and_queues_after_it_queues_on_the_next_day() -> None:
    late = row(vru_entry="23:59:50", vru_exit="0:00:05", q_start="0:00:05", q_exit="0:00:35")
    assert told_of(late)[0] == ("ContactQueued", "1999-02-04T00:00:05")


def test_a_call_half_a_day_after_its_entry_is_not_taken_for_the_day_before() -> None:
    odd = row(vru_entry="9:00:00", q_start="21:00:00")
    assert told_of(odd)[0] == ("ContactQueued", "1999-02-03T21:00:00")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b"AA0101\t7\t0\r\n", "3 columns, expected 17"),
        (row(q_time="-1"), "negative"),
        (row(ser_time="x"), "'x'"),
        (row(q_start="25:00:00"), "25:00:00"),
        (row(q_start="10:00"), "unpack"),
        (row(date="990231"), "day"),
        (row(date=""), "''"),
        (row(outcome="AGNET"), "AGNET"),
        (row(type=""), "no call type"),
        (row(q_time="9" * 30), "line 3"),
        (b"\xff\xfe\x00", "1 columns"),
    ],
)
def test_a_row_that_cannot_be_read_becomes_a_dead_letter_with_its_line_and_the_rest_is_read(
    broken: bytes, says: str
) -> None:
    out = list(READERS[FORMAT]([HEADER, row(call_id="1"), broken, row(call_id="2")]))
    (letter,) = (each for each in out if isinstance(each, DeadLetter))
    assert letter.reason == Reason.UNREADABLE_ROW
    assert letter.detail.startswith("line 3: ")
    assert says in letter.detail
    assert letter.offset == 2
    assert letter.payload == broken
    assert {item.key for item in out if isinstance(item, Item)} == {"990203/AA0101/1", "990203/AA0101/2"}


def test_calls_that_share_their_second_and_their_call_id_stay_apart() -> None:
    keys = {
        item.key
        for item in READERS[FORMAT]([row(), row(line="AA0102"), row(date="990204")])
        if isinstance(item, Item)
    }
    assert len(keys) == 3


def keys_of(*rows: bytes) -> list[str]:
    """The contacts of rows, each once."""
    return list(dict.fromkeys(item.key for item in READERS[FORMAT](rows) if isinstance(item, Item)))


def test_rows_with_the_same_key_and_other_cells_are_calls_of_their_own_and_the_same_row_is_not() -> None:
    one, two, three = row(), row(ser_time="101"), row(q_start="11:00:10", q_exit="11:00:40")
    assert keys_of(one, two, one, three, two) == ["990203/AA0101/7", "990203/AA0101/7#2", "990203/AA0101/7#3"]
    assert keys_of(row(outcome="PHANTOM", ser_time="9"), row(q_time="x"), one) == ["990203/AA0101/7"]


def test_two_calls_under_one_key_are_both_counted_however_the_rows_are_shuffled_and_repeated() -> None:
    rows = [
        row(),
        row(ser_time="300"),
        row(q_start="11:00:10", q_time="50"),
        row(call_id="8"),
        row(date="990204"),
    ]
    told = []
    for seed in range(6):
        mixed = rows * 2 if seed else rows
        random.Random(seed).shuffle(mixed)
        month = Month([i for i in READERS[FORMAT](mixed) if isinstance(i, Item)], 2, len(mixed))
        told.append({**month.report, "source": None})
    assert told[0]["total"]["offered"] == 5  # type: ignore[index]
    assert all(each == told[0] for each in told)


# --- the line that names the columns ------------------------------------------------------------------------------


def reordered(line: bytes, order: list[int]) -> bytes:
    cells = line.rstrip().split(b"\t")
    return b"\t".join(cells[at] for at in order) + b"\r\n"


def test_columns_in_another_order_are_found_by_their_names(lines: list[bytes]) -> None:
    order = list(range(17))
    random.Random(3).shuffle(order)
    some = [HEADER, *lines[1:2000]]
    assert list(READERS[FORMAT](reordered(line, order) for line in some)) == list(READERS[FORMAT](some))


@pytest.mark.parametrize(
    ("written", "now"),
    [
        (b"vru+line", b"VRU + Line"),
        (b"vru+line", b"vru_line"),
        (b"q_time", b" Q Time "),
        (b"server", b"SERVER"),
    ],
)
def test_names_of_columns_may_be_written_in_other_ways(written: bytes, now: bytes) -> None:
    named = HEADER.replace(written, now)
    assert list(READERS[FORMAT]([named, row()])) == list(READERS[FORMAT]([HEADER, row()]))


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (HEADER.replace(b"\tq_time", b""), "there is no column q_time"),
        (
            HEADER.replace(b"q_time\toutcome", b"outcome\twaited"),
            "unknown column 'waited', expected vru+line, call_id, ",
        ),
        (HEADER.replace(b"server", b"server\tnote"), "unknown column 'note'"),
        (HEADER.replace(b"q_time", b"ser_time"), "column 'ser_time' is named twice"),
    ],
)
def test_a_column_that_is_missing_unknown_or_named_twice_is_refused_by_its_name(
    named: bytes, says: str
) -> None:
    with pytest.raises(InputError) as error:
        list(READERS[FORMAT]([named, row()]))
    assert says in str(error.value)


def test_without_names_the_columns_stand_in_the_documented_order() -> None:
    assert [item.key for item in READERS[FORMAT]([row()]) if isinstance(item, Item)] == [
        "990203/AA0101/7"
    ] * 3


def test_the_canonical_events_replay_from_jsonl_as_they_were_read(items: list[Item]) -> None:
    some = items[:3000]
    assert [i for i in READERS["jsonl"](item.value + b"\n" for item in some) if isinstance(i, Item)] == some


@pytest.mark.parametrize("interval_s", [0, -900, 1000, 900.5, 7 * 900])
def test_intervals_that_do_not_divide_a_day_are_refused(interval_s: int) -> None:
    with pytest.raises(InputError):
        ReportBuilder(SITE, interval_s)


def test_the_report_is_json(month: Month) -> None:
    assert json.loads(msgspec.json.encode(month.report))["total"]["offered"] == 31_125


def test_another_spelling_of_a_name_in_its_place_is_that_column_and_the_line_is_no_record() -> None:
    spelled = HEADER.replace(b"vru+line", b"line").replace(b"server", b"agent")
    assert anonymous_bank.names_columns(spelled)
    assert not anonymous_bank.names_columns(row())
    assert list(READERS[FORMAT]([spelled, row()])) == list(READERS[FORMAT]([HEADER, row()]))
