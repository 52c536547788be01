"""What would the numbers of a recorded file be? Replays it through the driver or Kafka, and writes what came out.

Refuses to know formats (`agents.recording`) and how Kafka is driven (`agents.replay`).
"""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

from agents.progress import Progress
from agents.recording import STANDARD, LineNumbers, Recording, site_for
from agents.settings import Settings
from schemas.dead_letters import DeadLetter
from schemas.errors import InputError
from schemas.snapshots import GroupSnapshot
from schemas.topics import WEB
from streams.decode import Unusable, decode
from streams.driver import RUN, Driver, Item
from streams.journeys.decode import decode_web
from streams.readers import WEB_ONLY
from streams.report import Report, ReportBuilder, source_of
from streams.routing import partition_of
from streams.site import Limits

PARTITIONS = 2
_encode_letter = msgspec.json.Encoder().encode
Refused = Callable[[DeadLetter, int | None], None]


@dataclass(frozen=True)
class Outputs:
    """Where results go; None: nowhere, "-": standard output."""

    report: Path | None = None
    gauges: Path | None = None
    dead_letters: Path | None = None

    def check(self) -> None:
        """Find out before the work, not after it, that results cannot be written.

        Raises:
            InputError: the folder of a file is missing, or two results want standard output.
        """
        wanted = [path for path in (self.report, self.gauges, self.dead_letters) if path is not None]
        if wanted.count(STANDARD) > 1:
            raise InputError("only one of --report, --gauges and --dead-letters can go to standard output")
        for path in wanted:
            if path != STANDARD and path.is_dir():
                raise InputError(f"{path}: expected a file to write, this is a folder")
            if path != STANDARD and not path.parent.is_dir():
                raise InputError(f"{path}: there is no folder {path.parent}")


@dataclass
class Replayed:
    """What came out of a replay."""

    builder: ReportBuilder
    source: dict[str, object]
    warnings: list[str] = field(default_factory=list)
    is_void: bool = False
    """True when there were records, and none of them could be used."""

    def report(self) -> Report:
        """The report of the README."""
        return self.builder.report(self.source)


def replay(
    settings: Settings,
    recording: Recording,
    interval_s: int,
    outputs: Outputs,
    *,
    broker: bool,
    speed: float | None,
    running: bool = False,
) -> Replayed:
    """Replay a recording and write what was asked for; the report itself is left to the caller.

    Args:
        running: with `broker`: through the workers that run already, see `agents.replay.replay_through_kafka`.

    Raises:
        InputError: the file, an option or an output is of no use.
        BrokerError: with `broker`, Kafka or its workers do not do their part.
    """
    if recording.format in WEB_ONLY:
        raise InputError(f"{recording.format} has no contacts to report: expected `queuelight decode`")
    outputs.check()
    settings = settings.with_site(site_for(settings, recording.format))
    builder = ReportBuilder(settings.site, interval_s)
    with _writing(outputs.dead_letters) as file:
        refused = _writer(file)
        if broker:
            made = _through_kafka(settings, recording, interval_s, speed, refused, running=running)
        else:
            made = _through_driver(settings, recording, builder, refused)
    made.is_void = not (made.source["events"] or recording.left_out)
    made.warnings += _warnings(recording, made)
    if outputs.gauges is not None:
        _write(outputs.gauges, _gauges(made.builder))
    if outputs.report is not None:
        _write(outputs.report, encoded(made.report()))
    return made


def _through_driver(
    settings: Settings, recording: Recording, builder: ReportBuilder, refused: Refused
) -> Replayed:
    driver = Driver(settings.site, PARTITIONS)
    numbers = LineNumbers(2 * RUN)
    with Progress("replaying") as progress:
        items = progress.over(recording, recording.read(refused))
        while chunk := list(_numbered(islice(items, RUN // 2), recording, numbers)):
            driver.feed(chunk)
            _refuse(driver, numbers, refused)
        driver.finish()
    _refuse(driver, numbers, refused)
    for row in driver.intervals.values():
        builder.add(row)
    truths = driver.truths().values()
    return Replayed(builder, source_of(truths, recording.records, recording.letters, recording.left_out))


def _numbered(items: Iterator[Item], recording: Recording, numbers: LineNumbers) -> Iterator[Item]:
    for item in items:
        numbers.add(item.topic, partition_of(item.key, PARTITIONS), recording.current_line)
        yield item


def _refuse(driver: Driver, numbers: LineNumbers, refused: Refused) -> None:
    letters, driver.dead_letters = driver.dead_letters, []
    for letter in letters:
        refused(letter, numbers.of(letter.topic, letter.partition, letter.offset))


def _through_kafka(
    settings: Settings,
    recording: Recording,
    interval_s: int,
    speed: float | None,
    refused: Refused,
    *,
    running: bool,
) -> Replayed:
    from agents.replay import replay_through_kafka

    with Progress("sending") as progress:
        items = progress.over(recording, recording.read(refused))
        through = replay_through_kafka(
            settings, items, interval_s, running=running, speed=speed, on_processed=progress.to
        )
    source = source_from_snapshot(through.truth, recording, beats=through.sent - recording.items)
    return Replayed(through.builder, source)


def source_from_snapshot(site: GroupSnapshot, recording: Recording, beats: int) -> dict[str, object]:
    """The `source` part of the report from what the pipeline says of itself; `beats` is no event of the recording."""
    names = {"events": "events", "duplicates": "duplicates", "late": "late_dropped", "corrected": "corrected"}
    names |= {"unmatched": "unmatched", "ignored": "ignored"}
    sums = {name: sum(topic.get(key, 0) for topic in site.truth.values()) for name, key in names.items()}
    sums["events"] -= beats
    dead = dict(recording.letters)
    for reason, count in site.dead_letters.items():
        dead[reason] = dead.get(reason, 0) + count
    return {"records": recording.records, "left_out": recording.left_out, **sums, "dead_letters": dead}


def _warnings(recording: Recording, made: Replayed) -> list[str]:
    if made.is_void:
        first = recording.first_letter
        why = f" (the first: {first.detail})" if first else ""
        return [
            f"none of {recording.records:,} records could be used: is {recording.path} really {recording.format}?{why}"
        ]
    dead = made.source["dead_letters"]
    assert isinstance(dead, dict)
    if not dead:
        return []
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in dead.items())
    return [f"{sum(dead.values()):,} of {recording.records:,} records could not be used: {reasons}"]


# --- decode -----------------------------------------------------------------------------------------------------


def decode_to(out: BinaryIO, recording: Recording, tell: Callable[[str], None]) -> int:
    """Write the canonical events of a recording, one JSON line each; say which lines cannot be used.

    Returns:
        How many could not.
    """
    unusable = 0

    def refused(letter: DeadLetter, line: int | None) -> None:
        nonlocal unusable
        unusable += 1
        tell(f"{recording.path} line {line}: {letter.reason}: {letter.detail}")

    max_bytes, encode = Limits().max_record_bytes, msgspec.json.Encoder().encode
    with Progress("decoding") as progress:
        items = recording.read(refused)
        # A bar between the lines of a terminal would spoil both.
        for item in items if out.isatty() else progress.over(recording, items):
            event = (decode_web if item.topic == WEB else decode)(item.value, max_bytes)
            if isinstance(event, Unusable):
                unusable += 1
                tell(f"{recording.path} line {recording.line}: {event.reason or 'ignored'}: {event.detail}")
            else:
                out.write(encode(event) + b"\n")
    out.flush()
    return unusable


# --- out --------------------------------------------------------------------------------------------------------


def encoded(report: Report) -> bytes:
    """The report as it is written: indented JSON."""
    # Reasons of dead letters are keys: an enum of str, which orjson takes only when told to.
    return orjson.dumps(
        report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    )


def _gauges(builder: ReportBuilder) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "minute", "waiting", "in_service"))
    writer.writerows(builder.gauges())
    return text.getvalue().encode()


def _writing(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    if path is None:
        return nullcontext(None)
    return nullcontext(sys.stdout.buffer) if path == STANDARD else path.open("wb")


def _writer(file: BinaryIO | None) -> Refused:
    """Writes dead letters as JSON lines: what `dead-letters` holds, and the line of the file."""

    def write(letter: DeadLetter, line: int | None) -> None:
        if file is not None:
            file.write(_encode_letter({"line": line, **msgspec.structs.asdict(letter)}) + b"\n")

    return write


def _write(path: Path, content: bytes) -> None:
    if path == STANDARD:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        path.write_bytes(content)
