"""What do the folds of stage 1 share? Decoding with its dead letters, the clock, the rows they tell, their storage.

Refuses to know contacts and agents: `ContactFold` and `PresenceFold` have a `Shard` each.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from schemas.counts import OVERFLOW_ROW
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from schemas.events import PipelineHeartbeat
from schemas.metrics import DELAY_EVERY
from schemas.partials import RowPartial, SourceTruth
from streams.decode import NEWEST_MS, OLDEST_MS, Unusable, decode, unix_ms
from streams.fold import BUCKETS, Record
from streams.rows import TURNS, Row, parse_entry
from streams.site import Site
from streams.stored import ShardMeta

META_KEY = "m"
ROW_FORGOTTEN_MS = 7 * 86_400_000
"""A row without any event for longer is no longer told (definitions.md: seen in the last 7 days)."""
_TURN_MS = 1000
_STEP_MS = 300_000
"""In a replay, settle and tell at least every five minutes of event time, so that no pane expires untold."""
_STRIDE_MS = 1_800_000
_MOST_DELAYS = 10_000
"""How many delays are kept for whoever takes them, about."""
_MOST_STRIDES = 200
"""A gap in event time is crossed in strides of half an hour, up to 100 h of them."""


Decode: TypeAlias = Callable[[bytes | None, int], Any]
"""Bytes of a record, and how many may be; an event of the topic, or `Unusable`."""


class Batch(NamedTuple):
    """Rows as they were when the shard's clock stood at `clock_ms`."""

    clock_ms: int
    rows: list[RowPartial]


_OF_A_REPLAY: Final = Unusable(
    Reason.WRONG_CLOCK, "a heartbeat of a replay, but time is the wall clock's here"
)
_encode_meta = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(ShardMeta).decode


class Shard:
    """Clock, rows and storage of one source partition.

    With `event_clock` the clock is the newest event time (replays); otherwise it is the `now_ms` given (live). No
    message changes that: where the clock is the wall's, a heartbeat of a replay is a dead letter. What is restored goes
    on by the clock it was stored with. In a replay time stands still without events, and one from far ahead moves it
    for good: a replay's consumer group must never count live.
    """

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool) -> None:
        self.site = site
        self.topic = topic
        self.partition = partition
        self.meta = ShardMeta(event_clock=event_clock)
        self.rows: dict[str, Row] = {}
        self._expired = 0
        """The second, since 1970, whose turn of `expire` is over."""
        self._stepped_ms = 0
        self._batches: list[Batch] = []
        self.own_types: frozenset[type] = frozenset()
        """Events that the pipeline makes itself: they prove no source alive, and move no clock."""
        self.heartbeat_ms = 0
        """Time of the newest heartbeat read by this process; 0: none."""
        self._delays_ms: list[int] = []

    @property
    def event_clock(self) -> bool:
        """True in a replay: the clock is the newest event time."""
        return self.meta.event_clock

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms; never goes back."""
        return self.meta.clock_ms

    @property
    def truth(self) -> SourceTruth:
        """What this shard saw of its source."""
        return self.meta.truth

    def advance(self, now_ms: int) -> None:
        """Move the clock forward."""
        if now_ms > self.meta.clock_ms:
            self.meta.clock_ms = now_ms
            self.meta.horizon_ms = max(self.meta.horizon_ms, now_ms - self.site.limits.keep_ms)

    def read(
        self,
        records: Sequence[Record],
        now_ms: int,
        take: Callable[[Any, int], Unusable | None],
        step: Callable[[], None],
        decode: Decode = decode,
    ) -> list[DeadLetter]:
        """Decode a run of records and hand each usable event to `take(event, at_ms)`.

        `step` must settle and `collect`; it is called in a replay whenever event time has moved on by minutes.
        """
        if not self.event_clock and not self.clock_ms:
            self.advance(
                now_ms
            )  # names are admitted as of now, not as of 1970: the first `expire` would forget them
        truth, limits = self.meta.truth, self.site.limits
        letters: list[DeadLetter] = []
        max_bytes = limits.max_record_bytes
        latest_ms = NEWEST_MS if self.event_clock else max(now_ms, self.meta.clock_ms) + limits.ahead_ms
        newest_ms = truth.newest_event_ms
        truth.records += len(records)
        delays_ms: list[int] = []
        for record in records:
            value = record.value
            event = decode(value, max_bytes)
            if type(event) is Unusable:
                self._refuse(record, event, letters)
                continue
            beats = type(event) is PipelineHeartbeat
            if beats and event.data.clock == "event" and not self.event_clock:
                self._refuse(record, _OF_A_REPLAY, letters)
                continue
            at_ms = unix_ms(event.time)
            if at_ms is None or not OLDEST_MS <= at_ms <= latest_ms:
                self._refuse(record, _bad_time(at_ms, latest_ms), letters)
                continue
            if beats and at_ms > self.heartbeat_ms:
                self.heartbeat_ms = at_ms
            if not record.offset % DELAY_EVERY:
                delays_ms.append(now_ms - at_ms)
            if at_ms > newest_ms and type(event) not in self.own_types:
                newest_ms = truth.newest_event_ms = at_ms
                if self.event_clock:
                    self.stride(at_ms, step)
            if at_ms < self.meta.horizon_ms:
                truth.late_dropped += 1
                continue
            refused = take(event, at_ms)
            if refused is None:
                truth.events += 1
            else:
                self._refuse(record, refused, letters)
        if not self.event_clock and len(self._delays_ms) < _MOST_DELAYS:
            self._delays_ms += delays_ms
        return letters

    def take_delays_ms(self) -> list[int]:
        """How long after their time some of the events since the last call were read, in ms."""
        out, self._delays_ms = self._delays_ms, []
        return out

    def stride(self, to_ms: int, step: Callable[[], None]) -> None:
        """In a replay: move the clock to `to_ms`, settling and telling on the way whenever it is far."""
        stepped_ms = self._stepped_ms or self.meta.clock_ms
        if stepped_ms and to_ms >= stepped_ms + _STEP_MS:
            step()
            for _ in range(_MOST_STRIDES):
                if to_ms <= self.meta.clock_ms + _STRIDE_MS:
                    break
                self.advance(self.meta.clock_ms + _STRIDE_MS)
                step()
            self._stepped_ms = to_ms
        elif not self._stepped_ms:
            self._stepped_ms = to_ms
        self.advance(to_ms)

    def collect(self, *, whole: bool = True) -> None:
        """Set aside what changed, as told at this moment of event time; see `Row.partial`."""
        rows = [
            row.partial(whole=whole) for row in self.rows.values() if row.changed or (whole and row.later)
        ]
        if rows:
            self._batches.append(Batch(self.meta.clock_ms, rows))

    def _refuse(self, record: Record, unusable: Unusable, letters: list[DeadLetter]) -> None:
        if unusable.reason is None:
            self.meta.truth.ignored += 1
            return
        counts = self.meta.truth.dead_letters
        counts[unusable.reason] = counts.get(unusable.reason, 0) + 1
        letters.append(
            dead_letter(
                unusable.reason,
                unusable.detail,
                self.topic,
                self.partition,
                record.offset,
                record.value or b"",
            )
        )

    def admit(self, name: str) -> str:
        """The name under which a queue or team is counted: its own, or the overflow row beyond the limit."""
        known = self.meta.names
        if name in known or name in self.site.queues:
            known[name] = self.meta.clock_ms
            return name
        if len(known) >= self.site.limits.max_queues:
            self.meta.truth.overflow_names += 1
            return OVERFLOW_ROW
        known[name] = self.meta.clock_ms
        return name

    def row(self, name: str) -> Row:
        """A row by its name, made on first use."""
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = Row(name)
        return row

    def expire(self) -> None:
        """Drop old panes, rows and names: a sixtieth of them in every second, for an even load."""
        now_ms = self.meta.clock_ms
        second = now_ms // _TURN_MS
        if second == self._expired:
            return
        turns = {each % TURNS for each in range(max(self._expired + 1, second - TURNS + 1), second + 1)}
        self._expired = second
        for row in self.rows.values():
            if row.turn in turns:
                row.expire(now_ms, self.site.limits.keep_ms)
        if 0 in turns:
            forgotten_ms = now_ms - ROW_FORGOTTEN_MS
            self.meta.names = {name: at_ms for name, at_ms in self.meta.names.items() if at_ms > forgotten_ms}

    def flush(self, *, whole: bool = True) -> list[Batch]:
        """What changed since the last call, in the order of time; the last batch is of now."""
        self.collect(whole=whole)
        out, self._batches = self._batches, []
        if not out or out[-1].clock_ms != self.meta.clock_ms:
            out.append(Batch(self.meta.clock_ms, []))
        return out

    def tell_all(self) -> None:
        """Let the next flush tell everything."""
        for row in self.rows.values():
            row.tell_all()

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed panes and the meta entry, by bucket."""
        out: dict[int, dict[str, bytes | None]] = {0: {META_KEY: self._pack_meta()}}
        for row in self.rows.values():
            if row.unsaved or row.changed or row.later:
                out.setdefault(bucket_of(row.name), {}).update(row.take_unsaved())
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of the rows of one bucket; bucket 0 also holds the meta entry."""
        out: dict[str, bytes] = {META_KEY: self._pack_meta()} if bucket == 0 else {}
        for row in self.rows.values():
            if bucket_of(row.name) == bucket:
                out.update(row.dump())
        return out

    def load_entry(self, key: str, value: bytes) -> bool:
        """Take in one stored entry; False when it is not one of the shard's own."""
        if key == META_KEY:
            self.meta = _decode_meta(value)
            for name, (waiting, in_service) in self.meta.now.items():
                row = self.row(name)
                row.waiting, row.in_service = waiting, in_service
            for name, promised in self.meta.promised.items():
                self.row(name).promise(promised)
        elif key[0] == "p":
            name, kind, number, pane = parse_entry(key, value)
            self.row(name).panes[kind][number] = pane
        else:
            return False
        return True

    def _pack_meta(self) -> bytes:
        self.meta.now = {
            r.name: (r.waiting, r.in_service) for r in self.rows.values() if r.waiting or r.in_service
        }
        return _encode_meta(self.meta)


def bucket_of(key: str) -> int:
    """The bucket of a key in this process (another process may differ: buckets are told apart by name on disk)."""
    return hash(key) % BUCKETS


def _bad_time(at_ms: int | None, latest_ms: int) -> Unusable:
    if at_ms is None:
        return Unusable(Reason.TIME_OUT_OF_RANGE, "the time has no zone")
    if at_ms > latest_ms and at_ms <= NEWEST_MS:
        return Unusable(Reason.TIME_IN_FUTURE, f"{at_ms - latest_ms} ms beyond what the clock allows")
    return Unusable(Reason.TIME_OUT_OF_RANGE, f"{at_ms} ms is outside 1990-2100")
