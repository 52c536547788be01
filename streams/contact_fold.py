"""What do the contacts of one source partition add up to? The stage 1 fold for the topics `calls` and `chats`.

Facts are only collected while records are read; each touched contact is then derived once (`settle`), however many
events it had: cheaper, and one code path for order, repetition and correction.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain

import msgspec

from schemas import events as e
from schemas.dead_letters import DeadLetter
from schemas.errors import Reason
from schemas.partials import (
    INTERVAL_MS,
    MINUTE_MS,
    PANE_MS,
    SITE_ROW,
    Kind,
    SourceTruth,
    queue_row,
)
from streams import contact as c
from streams.contributions import NEVER, Increment, Promises, Segment, segment_of
from streams.decode import Unusable, is_clean
from streams.fold import BUCKETS, Record
from streams.longest import LongestWaits
from streams.rows import Pane, Row, oldest_kept
from streams.shard import Batch, Shard, bucket_of
from streams.site import Site

_KIND_OF: dict[type, int] = {
    e.ContactQueued: c.QUEUED,
    e.ContactOffered: c.OFFERED,
    e.ContactDeclined: c.DECLINED,
    e.ContactAnswered: c.ANSWERED,
    e.ContactHeld: c.HELD,
    e.ContactResumed: c.RESUMED,
    e.ContactTransferred: c.TRANSFERRED,
    e.ContactOverflowed: c.OVERFLOWED,
    e.ContactCallbackRequested: c.CALLBACK,
    e.ContactAbandoned: c.ABANDONED,
    e.ContactEnded: c.ENDED,
    e.ContactWrapped: c.WRAPPED,
    e.ChatMessage: c.MESSAGE,
}
_BY_AGENT = frozenset((c.OFFERED, c.DECLINED, c.ANSWERED, c.WRAPPED))

SLOT_MS = 10_000
"""Width of a slot of the wheel that wakes contacts."""
HOT_SLOTS = 60
"""How many slots a finished contact is held ready for late events before it is packed."""


class Known:
    """What is held of a contact that events or time may still change."""

    __slots__ = ("due_ms", "facts", "life", "segments", "slot")

    def __init__(self, facts: tuple[c.Fact, ...], life: c.Life, segments: tuple[Segment, ...]) -> None:
        self.facts = facts
        self.life = life
        self.segments = segments
        self.due_ms = NEVER
        """When time alone changes this contact, in ms."""
        self.slot = NEVER
        """The slot of the wheel in which it will be looked at again."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[c.Fact, ...]).decode
_OPEN, _FINISHED = b"\0", b"\1"

_EVENT_PANE, _EVENT_INTERVAL = int(Kind.EVENT_PANE), int(Kind.EVENT_INTERVAL)
_ARRIVAL_MINUTE, _ARRIVAL_INTERVAL = int(Kind.ARRIVAL_MINUTE), int(Kind.ARRIVAL_INTERVAL)
_LENGTH, _SERVICE, _WAITING = int(Kind.LENGTH_PANE), int(Kind.SERVICE_PANE), int(Kind.WAITING_PANE)


class ContactFold:
    """Contacts of one partition of `calls` or `chats` -> panes per queue and channel, and the site's queue length.

    A contact that time can no longer change is held packed; it is forgotten `limits.keep_ms` after its last event.
    """

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._promises = Promises(site)
        self._contacts: tuple[dict[str, Known | bytes], ...] = tuple({} for _ in range(BUCKETS))
        self._count = 0
        self._pending: dict[str, list[c.Fact]] = {}
        self._full: set[str] = set()
        self._unsaved: set[str] = set()
        self._wheel: dict[int, list[str]] = {}
        self._slots: list[int] = []
        self._finished: dict[int, list[str]] = {}
        self._rows: dict[tuple[str, str], Row] = {}
        self._longest = LongestWaits(self._waits_of_interval)
        self._site_row = self.shard.row(SITE_ROW)
        self._oldest_pane = 0
        self._oldest_minute = 0
        self._oldest_interval = 0

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self.shard.clock_ms

    @property
    def is_replay(self) -> bool:
        """True when time is event time."""
        return self.shard.event_clock

    @property
    def truth(self) -> SourceTruth:
        """What this shard saw of its source."""
        return self.shard.truth

    @property
    def open_contacts(self) -> int:
        """Contacts held ready: open ones and those finished lately."""
        return sum(
            1 for bucket in self._contacts for known in bucket.values() if not isinstance(known, bytes)
        )

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Collect the facts of a run of records; see `streams.fold.Fold`."""
        return self.shard.read(records, now_ms, self._take, self._step)

    def _take(self, event: e.AnyEvent, at_ms: int) -> Unusable | None:
        kind = _KIND_OF.get(type(event))
        if kind is None:
            if type(event) is e.PipelineHeartbeat:
                return None
            return Unusable(Reason.WRONG_TOPIC, f"{type(event).__name__} does not belong here")
        data = event.data
        a = b = ""
        if kind == c.QUEUED:
            a, b = data.queue, data.channel  # type: ignore[union-attr]
            if a not in self.shard.meta.names:
                if not is_clean(a):
                    return Unusable(Reason.BAD_NAME, f"queue {a[:60]!r} has control characters or is blank")
                a = self.shard.admit(a)
        elif kind in _BY_AGENT:
            a = data.agent_id or ""  # type: ignore[union-attr]
        elif kind == c.OVERFLOWED:
            a = data.reason  # type: ignore[union-attr]
        elif kind == c.MESSAGE:
            a, b = data.by, event.id  # type: ignore[union-attr]
        contact_id = data.contact_id  # type: ignore[union-attr]
        fact = (at_ms, kind, data.segment_id or "", a, b)  # type: ignore[union-attr]
        facts = self._pending.get(contact_id)
        if facts is None:
            self._pending[contact_id] = [fact]
        else:
            facts.append(fact)
            if len(facts) > self.shard.site.limits.max_events_per_contact:
                self._full.add(contact_id)
        if self._full and contact_id in self._full:
            facts = self._pending[contact_id]
            facts.pop()
            if not facts:
                del self._pending[contact_id]
            limit = self.shard.site.limits.max_events_per_contact
            return Unusable(Reason.TOO_MANY_EVENTS, f"contact {contact_id[:60]!r} has {limit} events already")
        return None

    def _step(self) -> None:
        self.settle(self.shard.clock_ms)
        self.shard.collect()

    def advance(self, to_ms: int) -> None:
        """In a replay: let event time come to `to_ms` without an event."""
        if to_ms > self.clock_ms:
            self.shard.stride(to_ms, self._step)

    # --- meaning ----------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Derive every contact that has new facts or whose time has come; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        self._oldest_pane = oldest_kept(PANE_MS, now_ms, 0)
        self._oldest_minute = oldest_kept(MINUTE_MS, now_ms, 0)
        self._oldest_interval = oldest_kept(INTERVAL_MS, now_ms, shard.site.limits.keep_ms)
        pending, self._pending = self._pending, {}
        for contact_id, new in pending.items():
            self._merge(contact_id, new, now_ms)
        self._wake(now_ms)
        self._longest.refresh()
        self._forget()
        shard.expire()
        self._longest.expire(self._oldest_interval)

    def _merge(self, contact_id: str, new: list[c.Fact], now_ms: int) -> None:
        bucket = self._contacts[hash(contact_id) % BUCKETS]
        held = bucket.get(contact_id)
        if held is None:
            self._count += 1
            known = Known((), c.Life(), ())
        else:
            known = self._unpacked(held, now_ms) if type(held) is bytes else held  # type: ignore[assignment]
        facts, life, unmatched = known.facts, known.life, known.life.unmatched
        if len(new) == 1 and (not facts or new[0][0] > facts[-1][0]):
            known.facts = (*facts, new[0])
            if not c.go_on(life, new[0]):
                known.life = c.live(known.facts)
        else:
            merged = self._merged(facts, new)
            if merged is None:
                return
            known.facts = merged
            known.life = c.live(merged)
        self.truth.unmatched += known.life.unmatched - unmatched
        if len(known.facts) >= self.shard.site.limits.max_events_per_contact:
            self._full.add(contact_id)
        bucket[contact_id] = known
        self._retell(contact_id, known, now_ms)

    def _merged(self, facts: tuple[c.Fact, ...], new: list[c.Fact]) -> tuple[c.Fact, ...] | None:
        """Old and new facts, sorted; None when nothing is new. Counts duplicates and corrections."""
        truth = self.truth
        known = set(facts)
        newest_ms = facts[-1][0] if facts else 0
        fresh = []
        for fact in new:
            if fact in known:
                truth.duplicates += 1
                continue
            known.add(fact)
            fresh.append(fact)
            if fact[0] < newest_ms:
                truth.corrected += 1
            else:
                newest_ms = fact[0]
        return tuple(sorted(chain(facts, fresh))) if fresh else None

    def _unpacked(self, packed: bytes, now_ms: int) -> Known:
        """Open a packed contact: the segments are those that the panes hold."""
        facts = _decode(packed[1:])
        life = c.live(facts)
        return Known(facts, life, self._segments(facts, life, now_ms))

    def _segments(self, facts: tuple[c.Fact, ...], life: c.Life, now_ms: int) -> tuple[Segment, ...]:
        last_ms = facts[-1][0]
        of = self._promises.of
        return tuple([segment_of(v, last_ms, now_ms, of(v.queue, v.channel)) for v in life.visits])

    def _retell(self, contact_id: str, known: Known, now_ms: int) -> None:
        """Put what a contact means now into the panes in place of what it meant before; plan the next look."""
        old = known.segments
        segments = known.segments = self._segments(known.facts, known.life, now_ms)
        due_ms = NEVER
        lost = 0
        for segment in segments:
            due_ms = min(due_ms, segment.due_ms)
            lost += segment.lost
        for segment in old:
            lost -= segment.lost
        if lost:
            self.truth.lost += lost
        self._exchange(old, segments)
        self._unsaved.add(contact_id)
        known.due_ms = due_ms
        self._sleep(contact_id, known, now_ms)

    def _sleep(self, contact_id: str, known: Known, now_ms: int) -> None:
        """Look at the contact again when it is due, and every `HOT_MS` at the latest."""
        slot = min(known.due_ms // SLOT_MS, now_ms // SLOT_MS + HOT_SLOTS)
        if slot < known.slot:
            known.slot = slot
            sleepers = self._wheel.get(slot)
            if sleepers is None:
                self._wheel[slot] = [contact_id]
                heappush(self._slots, slot)
            else:
                sleepers.append(contact_id)

    def _wake(self, now_ms: int) -> None:
        """Look again at contacts whose time has come: reap, note silent chats, pack the long finished."""
        now_slot = now_ms // SLOT_MS
        again: list[tuple[str, Known]] = []
        while self._slots and self._slots[0] <= now_slot:
            slot = heappop(self._slots)
            for contact_id in self._wheel.pop(slot):
                bucket = self._contacts[hash(contact_id) % BUCKETS]
                known = bucket.get(contact_id)
                if known is None or type(known) is bytes or known.slot != slot:  # type: ignore[union-attr]
                    continue
                known.slot = NEVER  # type: ignore[union-attr]
                if known.due_ms == NEVER:  # type: ignore[union-attr]
                    self._pack(contact_id, bucket, known)  # type: ignore[arg-type]
                elif known.due_ms <= now_ms:  # type: ignore[union-attr]
                    self._retell(contact_id, known, now_ms)  # type: ignore[arg-type]
                else:
                    again.append((contact_id, known))  # type: ignore[arg-type]
        for contact_id, known in again:
            self._sleep(contact_id, known, now_ms)

    def _pack(self, contact_id: str, bucket: dict[str, Known | bytes], known: Known) -> None:
        """A contact that is over takes little room from now on, and is forgotten when corrections are too late."""
        bucket[contact_id] = _FINISHED + _encode(known.facts)
        self._unsaved.add(contact_id)
        self._plan_forgetting(contact_id, known.facts[-1][0])

    def _plan_forgetting(self, contact_id: str, last_ms: int) -> None:
        slot = last_ms // INTERVAL_MS + 1
        finished = self._finished.get(slot)
        if finished is None:
            self._finished[slot] = [contact_id]
        else:
            finished.append(contact_id)

    def _forget(self) -> None:
        """Forget finished contacts that are too old to correct, or the oldest where there are too many."""
        limits = self.shard.site.limits
        while self._finished:
            slot = min(self._finished)
            if slot * INTERVAL_MS > self.clock_ms - limits.keep_ms and self._count <= limits.max_contacts:
                return
            self.shard.meta.horizon_ms = max(self.shard.meta.horizon_ms, slot * INTERVAL_MS)
            for contact_id in self._finished.pop(slot):
                bucket = self._contacts[hash(contact_id) % BUCKETS]
                held = bucket.get(contact_id)
                if (
                    isinstance(held, bytes) and _decode(held[1:])[-1][0] // INTERVAL_MS < slot
                ):  # nothing later since
                    del bucket[contact_id]
                    self._count -= 1
                    self._full.discard(contact_id)
                    self._unsaved.add(contact_id)

    # --- panes ------------------------------------------------------------------------------------------------

    def _row(self, queue: str, channel: str) -> Row:
        row = self._rows.get((queue, channel))
        if row is None:
            row = self._rows[queue, channel] = self.shard.row(queue_row(queue, channel))
        return row

    def _exchange(self, old: tuple[Segment, ...], new: tuple[Segment, ...]) -> None:
        """Old contributions out, new ones in; what both share is not touched."""
        shared = min(len(old), len(new))
        for before, after in zip(old[:shared], new[:shared], strict=True):
            if before == after:
                continue
            queued_ms = after.queued_ms
            if (
                before.queued_ms != queued_ms
                or before.queue != after.queue
                or before.channel != after.channel
            ):
                self._add(before, -1)
                self._add(after, 1)
                continue
            row = self._row(after.queue, after.channel)
            if before.left_ms != after.left_ms:
                self._wait(row, queued_ms, before.left_ms, -1)
                self._wait(row, queued_ms, after.left_ms, 1)
            if before.service_from_ms != after.service_from_ms or before.service_to_ms != after.service_to_ms:
                self._serve(row, before.service_from_ms, before.service_to_ms, -1)
                self._serve(row, after.service_from_ms, after.service_to_ms, 1)
            gone, come = before.increments, after.increments
            same = 0
            for one, other in zip(gone, come, strict=False):
                if one != other:
                    break
                same += 1
            if same < len(gone):
                self._tally(row, queued_ms, gone[same:], -1)
            if same < len(come):
                self._tally(row, queued_ms, come[same:], 1)
        for segment in old[shared:]:
            self._add(segment, -1)
        for segment in new[shared:]:
            self._add(segment, 1)

    def _add(self, segment: Segment, sign: int) -> None:
        row = self._row(segment.queue, segment.channel)
        self._wait(row, segment.queued_ms, segment.left_ms, sign)
        self._serve(row, segment.service_from_ms, segment.service_to_ms, sign)
        self._tally(row, segment.queued_ms, segment.increments, sign)

    def _wait(self, row: Row, queued_ms: int, left_ms: int, sign: int) -> None:
        """Queue length: one more from `queued_ms` until before `left_ms`, in the queue's row and in the site's."""
        site_row = self._site_row
        row.changed = site_row.changed = True
        if left_ms < 0:
            row.waiting += sign
            site_row.waiting += sign
            row.add(_WAITING, queued_ms // MINUTE_MS, queued_ms % MINUTE_MS, sign)
        else:
            number = queued_ms // INTERVAL_MS
            if number >= self._oldest_interval:
                self._longest.change(row, number, left_ms - queued_ms, sign)
            if left_ms == queued_ms:
                return
            number, offset_ms = divmod(left_ms, PANE_MS)
            if number >= self._oldest_pane:
                row.add(_LENGTH, number, offset_ms, -sign)
                site_row.add(_LENGTH, number, offset_ms, -sign)
        number, offset_ms = divmod(queued_ms, PANE_MS)
        if number >= self._oldest_pane:
            row.add(_LENGTH, number, offset_ms, sign)
            site_row.add(_LENGTH, number, offset_ms, sign)

    def _serve(self, row: Row, from_ms: int, to_ms: int, sign: int) -> None:
        """Contacts in service: one more from `from_ms` until before `to_ms`."""
        if from_ms < 0 or from_ms == to_ms:
            return
        row.changed = True
        if to_ms < 0:
            row.in_service += sign
        elif to_ms // MINUTE_MS >= self._oldest_minute:
            row.add(_SERVICE, to_ms // MINUTE_MS, 1 if to_ms % MINUTE_MS else 0, -sign)
        if from_ms // MINUTE_MS >= self._oldest_minute:
            row.add(_SERVICE, from_ms // MINUTE_MS, 1 if from_ms % MINUTE_MS else 0, sign)

    def _tally(self, row: Row, queued_ms: int, increments: tuple[Increment, ...], sign: int) -> None:
        """Add increments to the panes of both bases and both widths. The hottest loop of stage 1."""
        row.changed = True
        number = queued_ms // INTERVAL_MS
        if number >= self._oldest_interval:
            pane = row.pane(_ARRIVAL_INTERVAL, number)
            for _, slot, value in increments:
                pane[slot] = pane.get(slot, 0) + sign * value
            number = queued_ms // MINUTE_MS
            if number >= self._oldest_minute:
                pane = row.pane(_ARRIVAL_MINUTE, number)
                for _, slot, value in increments:
                    pane[slot] = pane.get(slot, 0) + sign * value
        last_ms = -1
        narrow: Pane = {}
        wide: Pane = {}
        for at_ms, slot, value in increments:
            if at_ms != last_ms:
                last_ms = at_ms
                number = at_ms // PANE_MS
                narrow = row.pane(_EVENT_PANE, number) if number >= self._oldest_pane else {}
                number = at_ms // INTERVAL_MS
                wide = row.pane(_EVENT_INTERVAL, number) if number >= self._oldest_interval else {}
            change = sign * value
            narrow[slot] = narrow.get(slot, 0) + change
            wide[slot] = wide.get(slot, 0) + change

    def _waits_of_interval(self, row: Row, number: int) -> list[int]:
        """All finished waits of the contacts queued in one interval: the slow, exact way."""
        waits = []
        for held in chain.from_iterable(bucket.values() for bucket in self._contacts):
            known = self._unpacked(held, self.clock_ms) if isinstance(held, bytes) else held
            for s in known.segments:
                if (
                    s.left_ms >= 0
                    and s.queued_ms // INTERVAL_MS == number
                    and self._row(s.queue, s.channel) is row
                ):
                    waits.append(s.left_ms - s.queued_ms)
        return waits

    # --- out --------------------------------------------------------------------------------------------------

    def flush(self) -> list[Batch]:
        """Rows with what changed in them since the last call, in the order of time."""
        return self.shard.flush()

    def tell_all(self) -> None:
        """Let the next flush tell everything that lives."""
        self.shard.tell_all()

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        out = self.shard.take_changes()
        for contact_id in self._unsaved:
            bucket = hash(contact_id) % BUCKETS
            held = self._contacts[bucket].get(contact_id)
            out.setdefault(bucket, {})["c" + contact_id] = None if held is None else _packed(held)
        self._unsaved.clear()
        for key, waits in self._longest.take_changes():
            out.setdefault(bucket_of(key), {})[key] = waits
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = self.shard.dump(bucket)
        for contact_id, held in self._contacts[bucket].items():
            out["c" + contact_id] = _packed(held)
        out.update((key, waits) for key, waits in self._longest.dump() if bucket_of(key) == bucket)
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        packed: list[tuple[str, bytes]] = []
        for key, value in entries:
            if key[0] == "c":
                packed.append((key[1:], value))
            elif key[0] == "l":
                self._longest.load_entry(key, value)
            else:
                self.shard.load_entry(key, value)
        now_ms = self.shard.clock_ms
        for contact_id, value in packed:
            bucket = self._contacts[hash(contact_id) % BUCKETS]
            if value[:1] == _FINISHED:
                bucket[contact_id] = value
                self._plan_forgetting(contact_id, _decode(value[1:])[-1][0])
                continue
            known = bucket[contact_id] = self._unpacked(value, now_ms)
            known.due_ms = min((s.due_ms for s in known.segments), default=NEVER)
            self._sleep(contact_id, known, now_ms)
            if len(known.facts) >= self.shard.site.limits.max_events_per_contact:
                self._full.add(contact_id)
        self._count = len(packed)
        self._site_row = self.shard.row(SITE_ROW)
        self.tell_all()


def _packed(held: Known | bytes) -> bytes:
    return held if isinstance(held, bytes) else _OPEN + _encode(held.facts)
