"""How often did what happen, by row and business day? Counters of one source, as `page-partials` tells them.

Refuses to know what is counted: `schemas.web_rows` names rows and counters.
"""

from collections.abc import Iterator

import msgspec

from schemas.web_rows import Counts, DayCounts
from streams.shard import bucket_of

KEY = "d"
"""How keys of stored entries begin."""
_SEPARATOR = "\x1e"

Place = tuple[str, int]
"""(row, day)"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class CountedDays:
    """Counters that change by differences and are told whole. Days before `oldest` are not counted any more."""

    def __init__(self) -> None:
        self._days: dict[Place, Counts] = {}
        self._untold: set[Place] = set()
        self._unsaved: set[Place] = set()
        self.oldest = 0

    def add(self, row: str, day: int, counter: str, value: int) -> None:
        """Add to one counter (`value` may be negative); what becomes 0 vanishes."""
        if day < self.oldest:
            return
        place = row, day
        counts = self._days.get(place)
        if counts is None:
            counts = self._days[place] = {}
        after = counts.get(counter, 0) + value
        if after:
            counts[counter] = after
        else:
            counts.pop(counter, None)
            if not counts:
                del self._days[place]
        self._untold.add(place)
        self._unsaved.add(place)

    def expire(self, oldest: int) -> None:
        """Forget days before `oldest`; whoever was told of them forgets them, too."""
        if oldest <= self.oldest:
            return
        self.oldest = oldest
        for place in [place for place in self._days if place[1] < oldest]:
            del self._days[place]
            self._untold.discard(place)
            self._unsaved.add(place)

    def take(self) -> list[DayCounts]:
        """Rows and days that changed since the last call, whole, in order."""
        untold, self._untold = self._untold, set()
        days = self._days
        return [DayCounts(row, day, dict(days.get((row, day), {}))) for row, day in sorted(untold)]

    def tell_all(self) -> None:
        """Let the next `take` tell everything."""
        self._untold.update(self._days)

    # --- storage ----------------------------------------------------------------------------------------------

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Entries changed since the last call; None: removed."""
        unsaved, self._unsaved = self._unsaved, set()
        for place in unsaved:
            counts = self._days.get(place)
            yield _key(place), None if counts is None else _encode(counts)

    def dump(self, bucket: int) -> Iterator[tuple[str, bytes]]:
        """Entries of one bucket (`streams.shard.bucket_of`)."""
        for place, counts in self._days.items():
            key = _key(place)
            if bucket_of(key) == bucket:
                yield key, _encode(counts)

    def load_entry(self, key: str, value: bytes) -> None:
        """Take in one stored entry."""
        row, _, day = key[len(KEY) :].rpartition(_SEPARATOR)
        self._days[row, int(day)] = _decode(value)


def _key(place: Place) -> str:
    return f"{KEY}{place[0]}{_SEPARATOR}{place[1]}"
