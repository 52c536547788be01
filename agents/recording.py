"""What does a recorded file hold? Its lines through a reader, with every row and every unusable line accounted for.

Refuses to know what happens to the items: `agents.replay_file` replays them, `decode` prints them.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from agents.settings import Settings, nearest
from schemas.dead_letters import DeadLetter
from schemas.errors import InputError
from streams.driver import Item
from streams.readers import IS_HEADER, READERS, SITES
from streams.site import Site

STANDARD = Path("-")
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of a line that are kept; what is longer is no event anyway, and memory has an end."""
_BOM = b"\xef\xbb\xbf"

Look = Callable[["Recording"], None]


class Recording:
    """One file in one format. Reading it again starts anew.

    Args:
        path: the file, or "-" for standard input.
        format_: one of the readers' names.

    Raises:
        InputError: there is no such format or file, or it cannot be read.
    """

    def __init__(self, path: Path, format_: str) -> None:
        if format_ not in READERS:
            near = nearest(format_, READERS)
            hint = f"did you mean {near}?" if near else f"expected one of {', '.join(READERS)}"
            raise InputError(f"unknown format {format_!r}: {hint}")
        self.path = path
        self.format = format_
        self.bytes_total = _size(path)
        self._start()

    def _start(self) -> None:
        self.bytes_read = 0
        self.records = 0
        """Lines with data so far."""
        self.line = 0
        self.is_read = False
        """True once the file's last line was taken; items may still come."""
        self.items = 0
        self.left_out = 0
        """Records that are no offered contact."""
        self.letters: dict[str, int] = {}
        self.first_letter: DeadLetter | None = None

    @property
    def current_line(self) -> int | None:
        """The line the newest item is from; None where a reader sorts."""
        return None if self.is_read else self.line

    def read(
        self, refused: Callable[[DeadLetter, int | None], None] = lambda letter, line: None
    ) -> Iterator[Item]:
        """Items in time order; unusable lines go to `refused` with their line number.

        Raises:
            InputError: reading fails, or the file holds no record at all.
        """
        self._start()
        for each in READERS[self.format](self._lines()):
            if each is None:
                self.left_out += 1
            elif isinstance(each, DeadLetter):
                self.letters[each.reason] = self.letters.get(each.reason, 0) + 1
                self.first_letter = self.first_letter or each
                refused(each, self.line)
            else:
                self.items += 1
                yield each
        if not self.records:
            raise InputError(f"{self.path}: the file is empty, expected records in the format {self.format}")

    def _lines(self) -> Iterator[bytes]:
        """Lines, none longer than can be kept; counts bytes, lines and records."""
        is_header = IS_HEADER.get(self.format)
        try:
            with _opened(self.path) as file:
                while line := file.readline(LONGEST_LINE):
                    self.bytes_read += len(line)
                    rest = line
                    while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
                        rest = file.readline(LONGEST_LINE)
                        self.bytes_read += len(rest)
                    if self.line == 0:
                        line = line.removeprefix(_BOM)
                    self.line += 1
                    names_columns = self.line == 1 and is_header is not None and is_header(line)
                    if line and not line.isspace() and not names_columns:
                        self.records += 1
                    yield line
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror}") from None
        self.is_read = True


def _size(path: Path) -> int | None:
    """The size in bytes, None where it is not known beforehand."""
    if path == STANDARD:
        return None
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a file, this is a folder")
        with path.open("rb"):
            return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if path == STANDARD else path.open("rb", buffering=1024 * 1024)


def site_for(settings: Settings, format_: str) -> Site:
    """The site to replay with: the configured one, else the one the format implies.

    A configured site without a zone takes the zone of a format that has one.
    """
    implied = SITES.get(format_)
    if implied is None or (settings.says_site and settings.says("site", "zone")):
        return settings.site
    if not settings.says_site:
        return implied
    return settings.site if implied.zone == "UTC" else _in_zone(settings.site, implied.zone)


def _in_zone(site: Site, zone: str) -> Site:
    return Site(
        name=site.name,
        zone=zone,
        day_starts_at=site.day_starts_at,
        queue_defaults=site.queue_defaults,
        queues=site.queues,
        limits=site.limits,
    )


class LineNumbers:
    """Which line did a record of a topic partition come from? Remembers the newest records of each, no more."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._lines: dict[tuple[str, int], deque[int | None]] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def add(self, topic: str, partition: int, line: int | None) -> None:
        """The next record of a topic partition came from `line`."""
        lines = self._lines.setdefault((topic, partition), deque(maxlen=self._remembered))
        lines.append(line)
        self._counts[topic, partition] = self._counts.get((topic, partition), 0) + 1

    def of(self, topic: str, partition: int, offset: int) -> int | None:
        """The line of a record, as far as it is remembered."""
        lines = self._lines.get((topic, partition))
        if lines is None:
            return None
        back = offset - self._counts[topic, partition]
        return lines[back] if -len(lines) <= back < 0 else None
