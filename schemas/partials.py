"""What does stage 1 tell stage 2? Absolute values of what changed, packed per target partition (MessagePack).

Repeating or replaying a partial changes nothing. Pane kinds: see `Kind`.
"""

from enum import IntEnum

import msgspec
from msgspec import Raw, Struct

SECOND_MS = 1000
PANE_MS = 10_000
"""Width of the panes behind rolling windows on the event basis."""
MINUTE_MS = 60_000
"""Width of the panes behind rolling windows on the arrival basis, which move minute by minute."""
INTERVAL_MS = 900_000
"""Width of the panes behind intervals and the business day."""


class Kind(IntEnum):
    """What a pane counts. ``EVENT``: outcomes where they happened. ``ARRIVAL``: everything where it was queued.

    The panes behind rolling windows are nested in those of 15 min (`WIDE_OF`): an interval is what its own pane says
    and all narrow panes within it. Each count is in one of them only.
    """

    EVENT_PANE = 0
    ARRIVAL_MINUTE = 1
    EVENT_INTERVAL = 2
    ARRIVAL_INTERVAL = 3
    TIME_PANE = 4
    TIME_INTERVAL = 5
    LENGTH_PANE = 6
    """Queue length of a queue: {ms in the pane: net change}."""
    SERVICE_PANE = 7
    """Contacts in service: {0 or 1: net change}, exactly at the start of the minute, or later in it."""
    WAITING_PANE = 8
    """Who still waits, by the minute they queued in: {ms in the minute: contacts}. Kept until they leave."""
    SITE_LENGTH_PANE = 9
    """Queue length of the site, likewise: panes of a second, since a pane is told whole and here everything meets."""
    LATE_LENGTH = 10
    """Changes of queue length and of contacts in service that were too late for their narrow pane, by the minute: see
    `streams.lengths`. Each change is here or in a narrow pane, never in both."""


KIND_MS: tuple[int, ...] = (
    PANE_MS, MINUTE_MS, INTERVAL_MS, INTERVAL_MS, PANE_MS, INTERVAL_MS, PANE_MS, MINUTE_MS, MINUTE_MS,
    SECOND_MS, INTERVAL_MS,
)  # fmt: skip
"""Width of the panes of each kind, in ms."""

WIDE_OF: dict[int, int] = {
    Kind.EVENT_PANE: Kind.EVENT_INTERVAL,
    Kind.ARRIVAL_MINUTE: Kind.ARRIVAL_INTERVAL,
    Kind.TIME_PANE: Kind.TIME_INTERVAL,
}
"""Narrow kind -> the kind of the 15 min pane that takes in its counts when no rolling window needs them any more."""

LATER = frozenset(
    {
        Kind.ARRIVAL_MINUTE, Kind.ARRIVAL_INTERVAL, Kind.EVENT_INTERVAL, Kind.TIME_INTERVAL,
        Kind.LENGTH_PANE, Kind.SERVICE_PANE, Kind.SITE_LENGTH_PANE,
        Kind.LATE_LENGTH,
    }
)  # fmt: skip
"""Kinds that reports, gauges and days are made of: a shard that is live tells them about once a second."""

SITE_ROW = "s"
"""The row for the whole site (agents once each, queue length over all queues)."""
_SEPARATOR = "\x1f"


def queue_row(queue: str, channel: str) -> str:
    """Name of the row of a queue and channel."""
    return f"q{_SEPARATOR}{queue}{_SEPARATOR}{channel}"


def agents_row(queue: str) -> str:
    """Name of the row of the agents who serve a queue."""
    return f"a{_SEPARATOR}{queue}"


def team_row(team: str) -> str:
    """Name of the row of a team's agents."""
    return f"t{_SEPARATOR}{team}"


def row_parts(row: str) -> list[str]:
    """The parts of a row's name: kind letter, name, channel."""
    return row.split(_SEPARATOR)


def home_of(row: str) -> str:
    """The word that decides the target partition: rows of one queue live together, whatever their channel."""
    parts = row_parts(row)
    return parts[1] if parts[0] in "qa" else row


class SourceTruth(Struct, array_like=True, gc=False):
    """What one shard of stage 1 saw of its source partition, since the beginning of its state. Counts of records."""

    records: int = 0
    events: int = 0
    duplicates: int = 0
    corrected: int = 0
    unmatched: int = 0
    late_dropped: int = 0
    ignored: int = 0
    lost: int = 0
    newest_event_ms: int = 0
    dead_letters: dict[str, int] = msgspec.field(default_factory=dict)
    overflow_names: int = 0
    lag: int = 0
    """Records not read yet, as the worker saw it last; the one thing here that is not the fold's own."""


class RowPartial(Struct, array_like=True, gc=False):
    """Changed panes of one row, each absolute: (kind, pane number, packed {slot: value}); empty means gone."""

    row: str
    panes: list[tuple[int, int, Raw]]
    waiting: int = 0
    in_service: int = 0
    agents: dict[str, int] | None = None
    whole: bool = True
    """False: changed panes of the kinds `LATER` are still to come, and do not fit to `waiting` and `in_service`."""
    callbacks: int = 0
    """Callbacks promised and not yet made; `oldest_callback_ms`: when the oldest was promised, 0 = none."""
    oldest_callback_ms: int = 0


class Partial(Struct, array_like=True, gc=False):
    """One message of `queue-partials`.

    `epoch` (ms) names the incarnation of the shard: of two, the greater one is the owner. `position` is the next
    source offset that the values do not cover. `now_ms` is the shard's clock.
    """

    version: int
    epoch: int
    topic: str
    partition: int
    position: int
    now_ms: int
    rows: list[RowPartial]
    truth: SourceTruth | None = None
    full: bool = False
    """True: with this message everything that lives has been told in this epoch; what was not told is gone."""
    event_clock: bool = False
    """True in a replay: `now_ms` is event time."""


encode_partial = msgspec.msgpack.Encoder().encode
decode_partial = msgspec.msgpack.Decoder(Partial).decode
