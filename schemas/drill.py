"""What stands behind a queue's numbers? The intervals of its business day, and the contacts that wait or gave up.

Ids of contacts are pseudonyms here (see `agents.pseudonym`). Seconds end in ``_s``, instants in ``_ms`` (Unix epoch).
"""

import msgspec
from msgspec import Struct


class DayInterval(Struct, frozen=True, gc=False, kw_only=True):
    """15 minutes of one queue and channel on the arrival basis; a ratio of nothing is null."""

    start_ms: int
    start: str
    """The same as ISO 8601 in the queue's zone."""
    offered: int = 0
    answered: int = 0
    answered_in_x: int = 0
    abandoned: int = 0
    callback: int = 0
    overflowed: int = 0
    lost: int = 0
    sl_offered: float | None = None
    asa_s: float | None = None
    abandonment_rate: float | None = None
    queue_length_max: int = 0


class Day(Struct, gc=False, kw_only=True):
    """The business day of one queue and channel so far: every interval that has begun, in order of time."""

    day_ms: int
    """When the day began."""
    next_day_ms: int
    intervals: list[DayInterval]


class Listed(Struct, gc=False):
    """Contacts of one queue and channel: (id, queued_ms) that wait, the oldest first, and (id, queued_ms, left_ms)
    that were abandoned, the newest first.
    """

    waiting: list[tuple[str, int]] = []
    abandoned: list[tuple[str, int, int]] = []


class SourceList(Struct, gc=False):
    """The contacts that one shard of stage 1 lists, by row, as it did at `at_ms`."""

    at_ms: int
    rows: dict[str, Listed]


encode_drill = msgspec.json.Encoder().encode
decode_day = msgspec.json.Decoder(Day).decode
decode_list = msgspec.json.Decoder(SourceList).decode
