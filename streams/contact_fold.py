"""What do the contacts of one source partition add up to? The stage 1 fold for the topics `calls` and `chats`.

Facts are only collected while records are read; each touched contact is then derived once (`settle`), however many
events it had: cheaper, and one code path for order, repetition and correction.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain
from typing import TypeAlias

import msgspec

from schemas import events as e
from schemas.dead_letters import DeadLetter
from schemas.errors import Reason
from schemas.partials import (
    INTERVAL_MS,
    PANE_MS,
    SITE_ROW,
    Kind,
    RowPartial,
    SourceTruth,
    queue_row,
)
from streams import contact as c
from streams.contributions import NEVER, Increment, Promises, Segment, contributions
from streams.decode import Unusable, is_clean
from streams.fold import BUCKETS, Record
from streams.longest import LongestWaits
from streams.rows import Row, oldest_kept
from streams.shard import Shard, bucket_of
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
_SLOT_MS = 10_000

Known: TypeAlias = tuple[tuple[c.Fact, ...], tuple[Segment, ...], int, int, int]
"""What is held of an open contact: facts, segments, unmatched facts, when to look again (ms), 1 if lost."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[c.Fact, ...]).decode
_OPEN, _FINISHED = b"\0", b"\1"

_EVENT_PANE, _EVENT_INTERVAL = int(Kind.EVENT_PANE), int(Kind.EVENT_INTERVAL)
_ARRIVAL_PANE, _ARRIVAL_INTERVAL = int(Kind.ARRIVAL_PANE), int(Kind.ARRIVAL_INTERVAL)
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
        self._rows: dict[tuple[str, str], Row] = {}
        self._longest = LongestWaits(self._waits_of_interval)
        self._site_row = self.shard.row(SITE_ROW)
        self._oldest_pane = 0
        self._oldest_interval = 0

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self.shard.clock_ms

    @property
    def truth(self) -> SourceTruth:
        """What this shard saw of its source."""
        return self.shard.truth

    @property
    def open_contacts(self) -> int:
        """Contacts that time may still change."""
        return sum(1 for bucket in self._contacts for known in bucket.values() if type(known) is tuple)

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

    # --- meaning ----------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Derive every contact that has new facts or whose time has come; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        self._oldest_pane = oldest_kept(PANE_MS, now_ms, 0)
        self._oldest_interval = oldest_kept(INTERVAL_MS, now_ms, shard.site.limits.keep_ms)
        pending, self._pending = self._pending, {}
        for contact_id, new in pending.items():
            self._merge(contact_id, new, now_ms)
        self._wake(now_ms)
        self._longest.refresh()
        shard.expire()
        self._longest.expire(self._oldest_interval)

    def _merge(self, contact_id: str, new: list[c.Fact], now_ms: int) -> None:
        bucket = self._contacts[hash(contact_id) % BUCKETS]
        held = bucket.get(contact_id)
        if held is None:
            self._count += 1
            facts: tuple[c.Fact, ...] = ()
            old: Known | None = None
        else:
            old = self._known(held, now_ms)
            facts = old[0]
        if len(new) == 1 and (not facts or new[0] > facts[-1]):
            if facts and new[0][0] < facts[-1][0]:
                self.truth.corrected += 1
            facts = (*facts, new[0])
        else:
            merged = self._merged(facts, new)
            if merged is None:
                return
            facts = merged
        if len(facts) >= self.shard.site.limits.max_events_per_contact:
            self._full.add(contact_id)
        self._replace(contact_id, bucket, old, facts, now_ms)

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

    def _known(self, held: Known | bytes, now_ms: int) -> Known:
        if type(held) is bytes:
            facts = _decode(held[1:])
            return facts, *contributions(facts, now_ms, self._promises)
        return held  # type: ignore[return-value]

    def _replace(
        self, contact_id: str, bucket: dict[str, Known | bytes], old: Known | None, facts: tuple[c.Fact, ...], now_ms: int
    ) -> None:
        segments, unmatched, due_ms, lost = contributions(facts, now_ms, self._promises)
        truth = self.truth
        if old is None:
            for segment in segments:
                self._add(segment, 1)
            truth.unmatched += unmatched
            truth.lost += lost
            sleeping_ms = NEVER
        else:
            self._exchange(old[1], segments)
            truth.unmatched += unmatched - old[2]
            truth.lost += lost - old[4]
            sleeping_ms = old[3]
        if due_ms == NEVER:
            wake_ms = facts[-1][0] + self.shard.site.limits.keep_ms
            bucket[contact_id] = _FINISHED + _encode(facts)
            self._sleep(contact_id, wake_ms)
        else:
            wake_ms = min(due_ms, max(sleeping_ms, now_ms)) if sleeping_ms != NEVER else due_ms
            bucket[contact_id] = (facts, segments, unmatched, wake_ms, lost)
            if wake_ms < sleeping_ms:
                self._sleep(contact_id, wake_ms)
        self._unsaved.add(contact_id)

    def _sleep(self, contact_id: str, wake_ms: int) -> None:
        slot = wake_ms // _SLOT_MS
        sleepers = self._wheel.get(slot)
        if sleepers is None:
            self._wheel[slot] = [contact_id]
            heappush(self._slots, slot)
        else:
            sleepers.append(contact_id)

    def _wake(self, now_ms: int) -> None:
        """Look again at contacts whose time has come: reap, note silent chats, forget the long finished."""
        now_slot = now_ms // _SLOT_MS
        while self._slots and self._slots[0] <= now_slot:
            slot = heappop(self._slots)
            for contact_id in self._wheel.pop(slot):
                bucket = self._contacts[hash(contact_id) % BUCKETS]
                held = bucket.get(contact_id)
                if held is None:
                    continue
                if type(held) is bytes:
                    self._forget_or_sleep(contact_id, bucket, _decode(held[1:])[-1][0], now_ms)
                elif held[3] // _SLOT_MS == slot:  # otherwise a later entry stands for it
                    self._look_again(contact_id, bucket, held, now_ms)  # type: ignore[arg-type]
            if slot == now_slot:
                break

    def _look_again(self, contact_id: str, bucket: dict[str, Known | bytes], known: Known, now_ms: int) -> None:
        facts, segments, unmatched, _, lost = known
        due_ms = contributions(facts, now_ms, self._promises)[2]
        if now_ms >= known[3] or due_ms == NEVER:
            self._replace(contact_id, bucket, (facts, segments, unmatched, NEVER, lost), facts, now_ms)
        else:
            self._sleep(contact_id, known[3])

    def _forget_or_sleep(self, contact_id: str, bucket: dict[str, Known | bytes], last_ms: int, now_ms: int) -> None:
        wake_ms = last_ms + self.shard.site.limits.keep_ms
        if wake_ms <= now_ms:
            del bucket[contact_id]
            self._count -= 1
            self._full.discard(contact_id)
            self._unsaved.add(contact_id)
        else:
            self._sleep(contact_id, wake_ms)

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
            if before[:3] != after[:3]:
                self._add(before, -1)
                self._add(after, 1)
                continue
            row = self._row(after[0], after[1])
            queued_ms = after[2]
            if before[3] != after[3]:
                self._wait(row, queued_ms, before[3], -1)
                self._wait(row, queued_ms, after[3], 1)
            if before[4:6] != after[4:6]:
                self._serve(row, before[4], before[5], -1)
                self._serve(row, after[4], after[5], 1)
            gone, come = before[6], after[6]
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
        queue, channel, queued_ms, left_ms, from_ms, to_ms, increments = segment
        row = self._row(queue, channel)
        self._wait(row, queued_ms, left_ms, sign)
        self._serve(row, from_ms, to_ms, sign)
        self._tally(row, queued_ms, increments, sign)

    def _wait(self, row: Row, queued_ms: int, left_ms: int, sign: int) -> None:
        """Queue length: one more from `queued_ms` until before `left_ms` (both directions in time, both rows)."""
        if left_ms >= 0:
            number = queued_ms // INTERVAL_MS
            if number >= self._oldest_interval:
                self._longest.change(row, number, left_ms - queued_ms, sign)
            if left_ms == queued_ms:
                row.changed = True
                return
        for each in (row, self._site_row):
            each.changed = True
            if left_ms < 0:
                each.add(_WAITING, queued_ms // PANE_MS, queued_ms % PANE_MS, sign)
            elif left_ms // PANE_MS >= self._oldest_pane:
                each.add(_LENGTH, left_ms // PANE_MS, left_ms % PANE_MS, -sign)
            if queued_ms // PANE_MS >= self._oldest_pane:
                each.add(_LENGTH, queued_ms // PANE_MS, queued_ms % PANE_MS, sign)

    def _serve(self, row: Row, from_ms: int, to_ms: int, sign: int) -> None:
        if from_ms < 0 or from_ms == to_ms:
            return
        for each in (row, self._site_row):
            each.changed = True
            if to_ms < 0:
                each.in_service += sign
            elif to_ms // PANE_MS >= self._oldest_pane:
                each.add(_SERVICE, to_ms // PANE_MS, 1 if to_ms % PANE_MS else 0, -sign)
            if from_ms // PANE_MS >= self._oldest_pane:
                each.add(_SERVICE, from_ms // PANE_MS, 1 if from_ms % PANE_MS else 0, sign)

    def _tally(self, row: Row, queued_ms: int, increments: tuple[Increment, ...], sign: int) -> None:
        """Add increments to the four kinds of panes: both bases, both widths. The hottest loop of stage 1."""
        row.changed = True
        for kind, width, oldest in (
            (_ARRIVAL_PANE, PANE_MS, self._oldest_pane),
            (_ARRIVAL_INTERVAL, INTERVAL_MS, self._oldest_interval),
        ):
            number = queued_ms // width
            if number < oldest:
                continue
            panes = row.panes[kind]
            pane = panes.get(number)
            if pane is None:
                pane = panes[number] = {}
            row.untold[kind].add(number)
            for _, slot, value in increments:
                pane[slot] = pane.get(slot, 0) + sign * value
        for kind, width, oldest in (
            (_EVENT_PANE, PANE_MS, self._oldest_pane),
            (_EVENT_INTERVAL, INTERVAL_MS, self._oldest_interval),
        ):
            panes, untold = row.panes[kind], row.untold[kind]
            last = -1
            for at_ms, slot, value in increments:
                number = at_ms // width
                if number < oldest:
                    continue
                if number != last:
                    pane = panes.get(number)
                    if pane is None:
                        pane = panes[number] = {}
                    untold.add(number)
                    last = number
                pane[slot] = pane.get(slot, 0) + sign * value  # type: ignore[index]

    def _waits_of_interval(self, row: Row, number: int) -> list[int]:
        """All finished waits of the contacts queued in one interval: the slow, exact way."""
        waits = []
        for held in chain.from_iterable(bucket.values() for bucket in self._contacts):
            for queue, channel, queued_ms, left_ms, *_ in self._known(held, self.clock_ms)[1]:
                if left_ms >= 0 and queued_ms // INTERVAL_MS == number and self._row(queue, channel) is row:
                    waits.append(left_ms - queued_ms)
        return waits

    # --- out --------------------------------------------------------------------------------------------------

    def flush(self) -> list[RowPartial]:
        """Rows with what changed in them since the last call."""
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
            facts = _decode(value[1:])
            held: Known | bytes = value
            wake_ms = facts[-1][0] + self.shard.site.limits.keep_ms
            if value[:1] == _OPEN:
                segments, unmatched, wake_ms, lost = contributions(facts, now_ms, self._promises)
                held = (facts, segments, unmatched, wake_ms, lost)
            if len(facts) >= self.shard.site.limits.max_events_per_contact:
                self._full.add(contact_id)
            self._contacts[hash(contact_id) % BUCKETS][contact_id] = held
            self._sleep(contact_id, wake_ms)
        self._count = len(packed)
        self._site_row = self.shard.row(SITE_ROW)
        self.tell_all()


def _packed(held: Known | bytes) -> bytes:
    return held if type(held) is bytes else _OPEN + _encode(held[0])
