"""What was the longest wait of each interval? A maximum that can be corrected.

A sum takes back a value by subtracting it; a maximum cannot. So each interval of each row keeps its few longest
waits; only when corrections have used them all up are the contacts asked again.
"""

from bisect import insort
from collections.abc import Callable, Iterator

import msgspec

from schemas.counts import LONGEST_WAIT_MS
from schemas.partials import Kind
from streams.rows import Row

KEPT = 8
"""How many of the longest waits of an interval are kept."""
_SEPARATOR = "\x1e"
_INTERVAL = int(Kind.ARRIVAL_INTERVAL)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class LongestWaits:
    """The longest waits (ms) per row and arrival interval.

    Args:
        recount: returns all waits of one interval of one row; asked only when the kept ones are used up.
    """

    def __init__(self, recount: Callable[[Row, int], list[int]]) -> None:
        self._recount = recount
        self._kept: dict[tuple[str, int], list[int]] = {}
        """Ascending; a leading -1 says that shorter ones were let go."""
        self._stale: dict[tuple[str, int], Row] = {}
        self._unsaved: set[tuple[str, int]] = set()
        self._oldest = 0

    def change(self, row: Row, number: int, wait_ms: int, sign: int) -> None:
        """Add (sign 1) or take back (sign -1) one wait of interval `number`."""
        key = (row.name, number)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = []
        trimmed = 1 if kept and kept[0] < 0 else 0
        if sign > 0:
            if trimmed and (len(kept) == 1 or wait_ms < kept[1]):
                return
            insort(kept, wait_ms, lo=trimmed)
            if len(kept) > KEPT + trimmed:
                del kept[trimmed]
                if not trimmed:
                    kept.insert(0, -1)
        elif wait_ms in kept:
            kept.remove(wait_ms)
            if kept == [-1]:
                self._stale[key] = row
                return
        else:
            return
        self._unsaved.add(key)
        self._show(row, number, kept)

    def refresh(self) -> None:
        """Recount the intervals whose kept waits were used up by corrections."""
        stale, self._stale = self._stale, {}
        for key, row in stale.items():
            waits = sorted(self._recount(row, key[1]))
            self._kept[key] = ([-1] if len(waits) > KEPT else []) + waits[-KEPT:]
            self._unsaved.add(key)
            self._show(row, key[1], self._kept[key])

    @staticmethod
    def _show(row: Row, number: int, kept: list[int]) -> None:
        panes = row.panes[_INTERVAL]
        pane = panes.get(number)
        if pane is None:
            pane = panes[number] = {}
        longest = kept[-1] if kept else None
        if pane.get(LONGEST_WAIT_MS) != longest:
            if longest is None:
                del pane[LONGEST_WAIT_MS]
            else:
                pane[LONGEST_WAIT_MS] = longest
            row.untold[_INTERVAL].add(number)
            row.changed = True

    def expire(self, oldest: int) -> None:
        """Forget intervals before `oldest`."""
        if oldest == self._oldest:
            return
        self._oldest = oldest
        for key in [key for key in self._kept if key[1] < oldest]:
            del self._kept[key]
            self._unsaved.add(key)

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Stored form of what changed since the last call."""
        for key in self._unsaved:
            kept = self._kept.get(key)
            yield _entry(key), None if kept is None else _encode(kept)
        self._unsaved.clear()

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Stored form of everything."""
        for key, kept in self._kept.items():
            yield _entry(key), _encode(kept)

    def load_entry(self, key: str, value: bytes) -> None:
        """Take in one stored entry."""
        row, number = key[1:].split(_SEPARATOR)
        self._kept[row, int(number)] = _decode(value)


def _entry(key: tuple[str, int]) -> str:
    return f"l{key[0]}{_SEPARATOR}{key[1]}"
