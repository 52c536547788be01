"""Where do events wait while Kafka is away? In files that only grow, each entry with its length and checksum.

An entry is one request's records, all or none. It is on the disk before anybody is told that it is kept; entries come
back in the order in which they were put, from the oldest file, which goes when all of it is in Kafka. Refuses to know
when that is (`agents.collector.delivery`).
"""

import asyncio
import fcntl
import logging
import os
import struct
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from agents.collector.records import Record
from schemas.errors import SettingsError

log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
_HEAD = struct.Struct("<II")
"""Length and CRC-32 of what follows."""
_ROOM = 1024 * 1024
_MOST_ENTRY = 64 * 1024 * 1024
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


class SpoolFull(Exception):
    """There is no room for more, or the disk does not take it."""


class Entry(NamedTuple):
    """What was put, and where it ends: segment, byte."""

    records: list[Record]
    segment: int
    end: int


class _Segment:
    """One file. `size`: bytes that are whole and on the disk; `read`: how many of them came back for good."""

    def __init__(self, number: int, path: Path, size: int) -> None:
        self.number = number
        self.path = path
        self.size = size
        self.read = 0


class Spool:
    """A bounded queue on disk. Made inert; `open` reads what is there.

    Args:
        folder: where the files are; made if missing. One process at a time.
        most_bytes: of all files together.
        segment_bytes: from which size on a new file is begun.
    """

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._most = most_bytes
        self._segment_bytes = min(segment_bytes, most_bytes // 8)
        self._segments: deque[_Segment] = deque()
        self._lock: BinaryIO | None = None
        self._file: BinaryIO | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self.bytes = 0
        """On the disk."""
        self.entries = 0
        """Entries that wait."""
        self.torn_bytes = 0
        """Bytes at ends of files that were no whole entry when the spool was opened: nobody was told they are kept."""

    # --- life -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the folder, and mend what a crash left.

        Raises:
            SettingsError: it cannot be used, or another collector uses it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            paths = sorted(self._folder.glob("spool-*.log"), key=_number)
            for path in paths:
                self._mend(path)
        except BlockingIOError:
            self._unlock()
            raise SettingsError(
                f"{self._folder}: another collector uses this spool; give each its own"
            ) from None
        except OSError as error:
            self._unlock()
            raise SettingsError(f"{self._folder}: cannot be used as a spool: {error.strerror}") from None

    def _mend(self, path: Path) -> None:
        """Cut a file behind its last whole entry; what is cut of a file that was complete is set aside."""
        with path.open("r+b") as file:
            good, entries = _whole(file)
            size = file.seek(0, os.SEEK_END)
            if good < size:
                self.torn_bytes += size - good
                log.warning("%s: %d bytes at its end are no whole entry", path, size - good)
                file.seek(good)
                path.with_suffix(".torn").write_bytes(file.read())
                file.truncate(good)
                os.fsync(file.fileno())
        if good == 0:
            path.unlink()
            return
        self._segments.append(_Segment(_number(path), path, good))
        self.bytes += good
        self.entries += entries

    async def close(self) -> None:
        """Write what waits, and let go of the folder."""
        while self._writing is not None:
            await asyncio.wait({self._writing})
        if self._file is not None:
            self._file.close()
            self._file = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # --- asked ------------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """True when nothing waits, on disk or for it."""
        return not self._waiting and self._writing is None and all(s.read == s.size for s in self._segments)

    @property
    def has_room(self) -> bool:
        """True while a large request finds room."""
        return self.bytes + self._waiting_bytes + min(_ROOM, self._most // 4) <= self._most

    # --- in ---------------------------------------------------------------------------------------------------

    def put(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Keep records; the future is done when they are on the disk.

        Raises:
            SpoolFull: there is no room; nothing was kept.
        """
        payload = _encode(list(records))
        entry = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        if self.bytes + self._waiting_bytes + len(entry) > self._most:
            raise SpoolFull(f"the spool holds {self.bytes} of {self._most} bytes")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._waiting_bytes += len(entry)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return done

    async def _write(self) -> None:
        """Write and sync whatever waits, together, until nothing does."""
        while self._waiting:
            group, self._waiting = self._waiting, []
            data = b"".join(entry for entry, _ in group)
            try:
                segment = self._segment()
                assert self._file is not None
                await asyncio.to_thread(_write_all, self._file, segment.size, data)
            except OSError as error:
                self._give_up(group, error)
                continue
            finally:
                self._waiting_bytes -= len(data)
            segment.size += len(data)
            self.bytes += len(data)
            self.entries += len(group)
            for _, done in group:
                if not done.done():
                    done.set_result(None)
        self._writing = None

    def _give_up(self, group: list[tuple[bytes, "asyncio.Future[None]"]], error: OSError) -> None:
        log.error("%s: %s", self._folder, error.strerror)
        if self._file is not None:
            self._file.close()
            self._file = None
        for _, done in group:
            if not done.done():
                done.set_exception(SpoolFull(f"the spool cannot be written: {error.strerror}"))

    def _segment(self) -> _Segment:
        """The file that is written to; each start and each failure begins a new one."""
        if self._file is not None and self._segments and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        if self._file is not None:
            self._file.close()
            self._file = None
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / f"spool-{number:08}.log"
        self._file = path.open("w+b")
        _sync_folder(self._folder)
        segment = _Segment(number, path, 0)
        self._segments.append(segment)
        return segment

    # --- out --------------------------------------------------------------------------------------------------

    async def read(self, most_bytes: int) -> list[Entry]:
        """The oldest entries that are not done with, about `most_bytes` of them; of one file at a time."""
        for segment in self._segments:
            if segment.read < segment.size:
                begin, end = segment.read, segment.size
                return await asyncio.to_thread(_entries, segment.path, segment.number, begin, end, most_bytes)
        return []

    def done(self, entries: Sequence[Entry]) -> None:
        """These, which were read, are in Kafka: files that hold nothing else go."""
        for segment in self._segments:
            if entries and segment.number == entries[-1].segment:
                segment.read = entries[-1].end
                self.entries -= len(entries)
        self.trim()

    def trim(self) -> None:
        """Remove files that hold nothing that waits."""
        while self._segments and self._segments[0].read == self._segments[0].size:
            if len(self._segments) == 1:
                if self._writing is not None:
                    return  # it is being written to
                if self._file is not None:
                    self._file.close()
                    self._file = None
            segment = self._segments.popleft()
            self.bytes -= segment.size
            segment.path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("spool-")
    return int(digits) if digits.isdigit() else 0


def _whole(file: BinaryIO) -> tuple[int, int]:
    """How many bytes at the beginning of a file are whole entries, and how many entries."""
    good, entries = 0, 0
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return good, entries
        length, checksum = _HEAD.unpack(head)
        if not 0 < length <= _MOST_ENTRY:
            return good, entries
        payload = file.read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return good, entries
        good += _HEAD.size + length
        entries += 1


def _entries(path: Path, number: int, begin: int, end: int, most_bytes: int) -> list[Entry]:
    found: list[Entry] = []
    with path.open("rb") as file:
        file.seek(begin)
        at = begin
        while at < end and (not found or at - begin < most_bytes):
            length, _ = _HEAD.unpack(file.read(_HEAD.size))
            at += _HEAD.size + length
            found.append(Entry(_decode(file.read(length)), number, at))
    return found


def _write_all(file: BinaryIO, at: int, data: bytes) -> None:
    """Write behind what is whole, also where an earlier try left a piece, and wait for the disk."""
    file.seek(at)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
