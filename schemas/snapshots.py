"""What do boards, Prometheus and reports read? The numbers of one row, now (JSON).

Ratios are 0-1 and ``null`` where their denominator is 0; every ratio comes with numerator, ``n`` and the 95 %
Wilson interval. Seconds end in ``_s``, instants in ``_ms`` (Unix epoch).
"""

import msgspec
from msgspec import Raw, Struct

WINDOWS: dict[str, int] = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000}
"""The rolling windows and their length in ms; ``day`` (the business day) is beside them."""

SERVICE_LEVELS = ("sl_offered", "sl_short_out", "sl_abandoned_late", "sl_removed", "sl_answered")


class Proportion(Struct, frozen=True, gc=False):
    """A ratio with what it rests on. `low` and `high`: 95 % Wilson score interval."""

    numerator: int
    n: int
    low: float
    high: float


class Measures(Struct, gc=False, kw_only=True):
    """Every base count and measure of `definitions.md` for one window of one row."""

    offered: int = 0
    answered: int = 0
    answered_in_x: int = 0
    abandoned: int = 0
    abandoned_in_x: int = 0
    abandoned_short: int = 0
    callback: int = 0
    callback_in_x: int = 0
    overflowed: int = 0
    overflowed_by_reason: dict[str, int] = msgspec.field(default_factory=dict)
    lost: int = 0
    transferred_in: int = 0
    transferred_out: int = 0
    declined: int = 0
    handled: int = 0
    silent_abandoned: int = 0
    wait_sum_s: float = 0.0
    answered_wait_s: float = 0.0
    abandoned_wait_s: float = 0.0
    callback_wait_s: float = 0.0
    overflowed_wait_s: float = 0.0
    lost_wait_s: float = 0.0
    talk_s: float = 0.0
    hold_sum_s: float = 0.0
    wrap_up_s: float = 0.0
    asa_s: float | None = None
    att_s: float | None = None
    hold_s: float | None = None
    acw_s: float | None = None
    aht_s: float | None = None
    abandonment_rate: float | None = None
    abandonment_rate_short_out: float | None = None
    answer_rate: float | None = None
    transfer_rate: float | None = None
    sl_offered: float | None = None
    sl_short_out: float | None = None
    sl_abandoned_late: float | None = None
    sl_removed: float | None = None
    sl_answered: float | None = None
    sl_live: float | None = None
    proportions: dict[str, Proportion] = msgspec.field(default_factory=dict)
    first_responses: int = 0
    first_responses_in_x: int = 0
    first_response_sum_s: float = 0.0
    first_response_s: float | None = None
    longest_wait_max_s: float | None = None
    queue_length_max: int | None = None
    queue_length_area_s: float | None = None
    occupancy: float | None = None
    concurrency: float | None = None
    cph: float | None = None
    busy_s: float = 0.0
    available_s: float = 0.0
    wrapping_s: float = 0.0
    answered_histogram: list[int] = msgspec.field(default_factory=list)
    abandoned_histogram: list[int] = msgspec.field(default_factory=list)


class QueueSnapshot(Struct, gc=False, kw_only=True, tag_field="row", tag="queue"):
    """One queue and channel, now. `windows` is on the event basis, `arrival` on the arrival basis."""

    site: str
    queue: str
    channel: str
    as_of_ms: int
    published_ms: int
    epoch: int
    position: int
    waiting: int
    at_risk: int
    oldest_waiting_ms: int | None
    in_service: int
    agents: dict[str, int]
    answer_within_s: float
    target: float
    windows: dict[str, Measures]
    arrival: dict[str, Measures]
    trend: list[int]
    """Queue length at each of the last 30 full minutes, oldest first."""
    edges_s: list[float]
    """Upper edges of the wait histograms."""
    expected_wait_s: float | None = None
    """Of a contact joining now; None where nothing is known."""
    callbacks_open: int = 0
    """Callbacks promised and not yet made."""
    oldest_callback_ms: int | None = None
    """When the oldest of them was promised."""


class QueueState(Struct, gc=False, kw_only=True, tag_field="row", tag="queue-state"):
    """What `QueueSnapshot` is made of, as base counts: all that the pipeline has to send several times a second.

    `streams.snapshot.queue_snapshot` makes the measures of it, where they are read. Counts are {slot: value} with the
    slots of `schemas.counts`; of the wait histograms only the day's are here, of the others what lies within X.
    """

    site: str
    queue: str
    channel: str
    as_of_ms: int
    published_ms: int
    epoch: int
    position: int
    waiting: int
    at_risk: int
    oldest_waiting_ms: int | None
    in_service: int
    agents: dict[str, int]
    answer_within_s: float
    target: float
    event: dict[str, Raw]
    """Event basis: by rolling window what the next shorter one lacks, so that little changes; and ``day``. As JSON."""
    arrival: dict[str, Raw]
    """Arrival basis, likewise."""
    time: dict[str, Raw]
    """Time of the queue's agents, likewise; empty where it has none."""
    day_longest_wait_ms: int | None
    day_queue_length_max: int
    day_queue_length_area_ms: int
    trend: list[int]
    edges_s: list[float]
    callbacks_open: int = 0
    oldest_callback_ms: int | None = None


class GroupSnapshot(Struct, gc=False, kw_only=True, tag_field="row", tag="group"):
    """The whole site (`group` = "site") or one team: agents counted once each; `truth` only for the site."""

    site: str
    group: str
    name: str
    as_of_ms: int
    published_ms: int
    epoch: int
    position: int
    agents: dict[str, int]
    windows: dict[str, Measures]
    waiting: int = 0
    in_service: int = 0
    trend: list[int] = msgspec.field(default_factory=list)
    truth: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    """Per source topic: the fields of `schemas.partials.SourceTruth`."""
    dead_letters: dict[str, int] = msgspec.field(default_factory=dict)
    notices: list[str] = msgspec.field(default_factory=list)
    heard_ms: int = 0
    """Of the site: the newest clock of a source that came through Kafka, Unix ms; 0: none, or this is a replay."""


Snapshot = QueueSnapshot | GroupSnapshot
RowState = QueueState | GroupSnapshot
"""What is published of a row: in Redis, and in the memory of its worker."""


class IntervalRow(Struct, gc=False, kw_only=True):
    """One 15 min interval of one row on one basis, as raw counts so that longer intervals add up exactly."""

    row: str
    start_ms: int
    arrival: dict[int, int]
    event: dict[int, int]
    time: dict[int, int]
    queue_length_max: int
    queue_length_area_ms: int
    minutes: list[tuple[int, int]]
    """(waiting, in service) at second 0 of each minute."""
    epoch: int = 0
    position: int = 0


encode_json = msgspec.json.Encoder().encode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode
decode_state = msgspec.json.Decoder(RowState).decode
encode_interval = msgspec.msgpack.Encoder().encode
decode_interval = msgspec.msgpack.Decoder(IntervalRow).decode
