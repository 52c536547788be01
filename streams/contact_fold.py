"""What do the contacts of one source partition add up to? The stage 1 fold for the topics `calls` and `chats`.

Facts are only collected while records are read; each touched contact is then derived once (`settle`), however many
events it had: cheaper, and one code path for order, repetition and correction.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain

import msgspec

from schemas import events as e
from schemas.counts import DECLINED, OFFERED, WRAP_UP_MS
from schemas.dead_letters import DeadLetter
from schemas.drill import Listed
from schemas.errors import Reason
from schemas.partials import INTERVAL_MS, SourceTruth, queue_row
from streams import contact as c
from streams.callbacks import Callbacks
from streams.contact_customers import KEY as CUSTOMER_KEY
from streams.contact_customers import ContactCustomers, Stand
from streams.contact_customers import ContactOfCustomer as ContactOfCustomer
from streams.contact_list import ContactLists
from streams.contact_panes import ContactPanes
from streams.contributions import (
    NEVER,
    Increment,
    Promise,
    Promises,
    Segment,
    answered,
    first_response,
    handled,
    left_unanswered,
    segment_of,
)
from streams.decode import Unusable, is_clean
from streams.fold import BUCKETS, Record
from streams.longest import LongestWaits
from streams.rows import Row
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
_FIRST = frozenset((c.QUEUED, c.MESSAGE))
"""Kinds that a contact usually begins with."""
_BY_AGENT = frozenset((c.OFFERED, c.DECLINED, c.ANSWERED, c.WRAPPED))
_TURNS = frozenset((c.QUEUED, c.TRANSFERRED, c.CALLBACK, c.OVERFLOWED, c.ABANDONED, c.ENDED))
"""Kinds after which a contact stands otherwise than before to its customer."""

SLOT_MS = 10_000
"""Width of a slot of the wheel that wakes contacts."""
HOT_SLOTS = 60
"""How many slots a finished contact is held ready for late events before it is packed."""


class Known:
    """What is held of a contact that events or time may still change.

    Invariant: the panes hold what `segment_of` says of its visits, its newest event being at `last_ms`, at `told_ms`.
    """

    __slots__ = (
        "count",
        "due_ms",
        "facts",
        "last_kind",
        "last_ms",
        "life",
        "others",
        "promise",
        "row",
        "segment_id",
        "slot",
        "told_ms",
    )

    def __init__(self) -> None:
        self.facts = b""
        """`count` facts, sorted, each as MessagePack."""
        self.count = 0
        self.last_ms = -1
        """When the newest event was; `NEVER` while facts are pending."""
        self.last_kind = 0
        self.segment_id = ""
        self.life = c.Life()
        """The life with `segment_id`, that of the newest fact."""
        self.others: dict[str, c.Life] | None = None
        """All lives by segment id, where there are several."""
        self.row: Row | None = None
        """The row of the newest visit of `life`, and its `promise`; None: to be looked up (`ContactFold._row_of`)."""
        self.promise: Promise | None = None
        self.told_ms = 0
        """The clock at which time alone had changed something in what the panes hold; 0: it had not."""
        self.due_ms = NEVER
        """When time alone changes this contact, in ms; never too late, perhaps too early."""
        self.slot = NEVER
        """The slot of the wheel in which it will be looked at again."""

    def visits(self) -> list[c.Visit]:
        """All visits, in order."""
        return self.life.visits if self.others is None else c.visits_of(self.others.values())

    @property
    def unmatched(self) -> int:
        """Facts that fit nowhere."""
        if self.others is None:
            return self.life.unmatched
        return sum(life.unmatched for life in self.others.values())

    def packed(self) -> bytes:
        """All facts as one MessagePack array."""
        return _ARRAY + self.count.to_bytes(4, "big") + self.facts


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[c.Fact, ...]).decode
_ARRAY = b"\xdd"
_OPEN, _FINISHED = b"\0", b"\1"


class ContactFold:
    """Contacts of one partition of `calls` or `chats` -> panes per queue and channel, and the site's queue length.

    A contact that time can no longer change is held packed; it is forgotten `limits.keep_ms` after its last event.
    """

    def __init__(self, site: Site, topic: str, partition: int, *, event_clock: bool = False) -> None:
        self.shard = Shard(site, topic, partition, event_clock=event_clock)
        self._promises = Promises(site)
        self._contacts: tuple[dict[str, Known | bytes], ...] = tuple({} for _ in range(BUCKETS))
        self._count = 0
        self._read_ms = 0
        """The clock when records were read last."""
        self._pending: dict[str, list[c.Fact]] = {}
        self._full: set[str] = set()
        self._most_events = site.limits.max_events_per_contact
        self._unsaved: set[str] = set()
        self._wheel: dict[int, list[str]] = {}
        self._slots: list[int] = []
        self._finished: dict[int, list[str]] = {}
        self._lists = ContactLists()
        self._longest = LongestWaits(self._waits_of_interval)
        self._panes = ContactPanes(self.shard, self._longest)
        self._callbacks = Callbacks(self.shard)
        self._customers = ContactCustomers()

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
        self._read_ms = now_ms
        return self.shard.read(records, now_ms, self._take, self._step)

    def _take(self, event: e.AnyEvent, at_ms: int) -> Unusable | None:
        if self.shard.meta.truth.newest_event_ms > self._panes.lengths_until_ms:
            self._reach()
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
        if self._full and contact_id in self._full:
            return Unusable(
                Reason.TOO_MANY_EVENTS, f"contact {contact_id[:60]!r} has {self._most_events} events already"
            )
        if kind == c.QUEUED:
            if data.customer_id is not None:  # type: ignore[union-attr]
                self._customers.name(contact_id, data.customer_id, at_ms)  # type: ignore[union-attr]
            if data.reason is not None:  # type: ignore[union-attr]
                self._explain(contact_id, data.reason, at_ms, when_done=False)  # type: ignore[union-attr]
        elif (kind == c.WRAPPED or kind == c.ENDED) and data.reason is not None:  # type: ignore[union-attr]
            self._explain(contact_id, data.reason, at_ms, when_done=True)  # type: ignore[union-attr]
        fact = (at_ms, kind, data.segment_id or "", a, b)  # type: ignore[union-attr]
        known = self._contacts[hash(contact_id) % BUCKETS].get(contact_id)
        if known is None:
            if kind in _FIRST and contact_id not in self._pending:
                self._meet(contact_id, fact)
                return None
        elif (
            type(known) is Known
            and (
                at_ms > known.last_ms
                or (kind == c.OFFERED and known.last_kind == c.QUEUED and at_ms == known.last_ms)
            )
            and not known.told_ms
            and self._go_on(contact_id, known, fact)
        ):
            return None
        self._put_off(contact_id, known, fact)
        return None

    def _reach(self) -> None:
        """The newest event may move the time from which lengths are late: what was read before goes by the old one.

        So that depends only on what was read, not on when it was settled; a worker that reads again does the same.
        """
        panes, now_ms = self._panes, self.shard.clock_ms
        read_ms = now_ms if self.shard.event_clock else max(now_ms, self._read_ms)
        if panes.reached_ms(read_ms) > panes.lengths_until_ms:
            self._merge_pending(now_ms)
            panes.reach(read_ms)

    def _merge_pending(self, now_ms: int) -> None:
        pending, self._pending = self._pending, {}
        for contact_id, new in pending.items():
            self._merge(contact_id, new, now_ms)

    def _explain(self, contact_id: str, reason: str, at_ms: int, *, when_done: bool) -> None:
        """Note why a contact was made; what is no name for people is none for a row either."""
        if is_clean(reason):
            self._customers.explain(contact_id, reason, at_ms, when_done=when_done)

    def _put_off(self, contact_id: str, known: Known | bytes | None, fact: c.Fact) -> None:
        """Let `settle` derive the contact anew, with this fact."""
        facts = self._pending.get(contact_id)
        if facts is None:
            self._pending[contact_id] = [fact]
            if type(known) is Known:
                known.last_kind, known.last_ms = 0, NEVER
        else:
            facts.append(fact)
            if len(facts) >= self._most_events:
                self._full.add(contact_id)

    # --- the short way: what comes in order only adds -----------------------------------------------------------
    #
    # Nearly every event is later than all others of its contact and means just one thing. Then the panes are changed
    # at once, by what `segment_of` would say more than before. Everything else takes the long way (`_merge`): derive
    # the contact from all its facts, old contributions out, new ones in. Both end in the same numbers
    # (tests/streams/test_order_and_repetition.py).

    def _meet(self, contact_id: str, fact: c.Fact) -> None:
        """A contact unknown so far enters a queue, or writes before it does."""
        known = Known()
        known.segment_id = fact[2]
        self._count += 1
        self._contacts[hash(contact_id) % BUCKETS][contact_id] = known
        if fact[1] == c.QUEUED:
            self._enter(contact_id, known, fact)
        else:
            known.life.take(fact)
        self._note(contact_id, known, fact)
        self._sleep(contact_id, known, max(fact[0], self.shard.meta.clock_ms))

    def _enter(self, contact_id: str, known: Known, fact: c.Fact) -> None:
        """A contact enters its first queue."""
        at_ms, _, _, queue, channel = fact
        known.life.take(fact)
        row = known.row = self._panes.row(queue, channel)
        promise = known.promise = self._promises.of(queue, channel)
        self._panes.wait(row, at_ms, -1, 1)
        self._lists.waits(row.name, contact_id, at_ms)
        self._panes.tally(row, at_ms, ((at_ms, OFFERED, 1),), 1)
        known.due_ms = at_ms + promise.reap_ms + 1

    def _note(self, contact_id: str, known: Known, fact: c.Fact) -> None:
        known.facts += _encode(fact)
        known.last_ms = fact[0]
        known.last_kind = fact[1]
        known.count += 1
        if known.count >= self._most_events:
            self._full.add(contact_id)
        self._unsaved.add(contact_id)
        if not self._customers.is_empty and fact[1] in _TURNS:
            self._customers.touch(contact_id)

    def _go_on(self, contact_id: str, known: Known, fact: c.Fact) -> bool:
        """Take in a fact later than all others of its contact; False: it needs the long way (nothing is changed)."""
        life = known.life
        if not life.visits:
            return self._go_on_to_queue(contact_id, known, fact)
        at_ms, kind, segment_id = fact[:3]
        if segment_id != known.segment_id:
            return False
        visit = life.visits[-1]
        row, promise = known.row, known.promise
        if row is None or promise is None:
            row = known.row = self._panes.row(visit.queue, visit.channel)
            promise = known.promise = self._promises.of(visit.queue, visit.channel)
        state = life.state
        panes = self._panes
        increments: list[Increment] = []
        if kind == c.MESSAGE:
            unanswered = visit.agent_first < 0
            life.take(fact)
            if unanswered and visit.agent_first >= 0:
                first_response(visit, promise, increments)
            if visit.unanswered_since == at_ms and at_ms + promise.silent_ms < known.due_ms:
                known.due_ms = at_ms + promise.silent_ms
                self._sleep(contact_id, known, max(at_ms, self.shard.meta.clock_ms))
        elif kind == c.WRAPPED:
            if len(life.visits) > 1:
                return False
            if life.take(fact):
                increments.append((at_ms, WRAP_UP_MS, at_ms - visit.ended_ms))
            else:
                life.unmatched += 1
                self.truth.unmatched += 1
        elif state == c.WAITING:
            if kind == c.OFFERED:
                pass
            elif kind == c.DECLINED:
                life.take(fact)
                increments.append((at_ms, DECLINED, 1))
            elif kind == c.ANSWERED and visit.ended_unseen_ms < 0:
                life.take(fact)
                answered(visit, promise, increments)
                panes.leave(row, visit.queued_ms, at_ms)
                panes.serve(row, at_ms, -1, 1)
                self._lists.left(row.name, contact_id)
            elif kind == c.ABANDONED and not self._was_silent(visit, at_ms):
                life.take(fact)
                left_unanswered(visit, promise, increments)
                panes.leave(row, visit.queued_ms, at_ms)
                self._lists.left(row.name, contact_id)
                self._lists.abandoned(row.name, contact_id, visit.queued_ms, at_ms)
                known.due_ms = NEVER if known.others is None else at_ms
            else:
                return False
        elif state == c.HANDLING:
            if kind == c.HELD or (kind == c.RESUMED and visit.held_since >= 0):
                life.take(fact)
            elif (
                kind == c.ENDED or (kind == c.TRANSFERRED and known.others is None)
            ) and not self._was_silent(visit, at_ms):
                life.take(fact)
                handled(visit, increments)
                panes.finish(row, visit.left_ms, at_ms)
                known.due_ms = NEVER if known.others is None else at_ms
            else:
                return False
        else:
            return False
        if increments:
            panes.tally(row, visit.queued_ms, increments, 1)
        self._note(contact_id, known, fact)
        return True

    def _go_on_to_queue(self, contact_id: str, known: Known, fact: c.Fact) -> bool:
        """Take in the next fact of a contact that has been in no queue: it writes on, or it enters one."""
        kind, segment_id = fact[1:3]
        if kind == c.MESSAGE and segment_id == known.segment_id:
            known.life.take(fact)
        elif kind == c.QUEUED and known.others is None:
            if segment_id != known.segment_id:
                life = c.Life()
                known.others = {known.segment_id: known.life, segment_id: life}
                known.segment_id, known.life = segment_id, life
            self._enter(contact_id, known, fact)
            self._sleep(contact_id, known, max(fact[0], self.shard.meta.clock_ms))
        else:
            return False
        self._note(contact_id, known, fact)
        return True

    def _step(self) -> None:
        self.settle(self.shard.clock_ms)
        self.shard.collect()

    def advance(self, to_ms: int) -> None:
        """In a replay: let event time come to `to_ms` without an event."""
        if to_ms > self.clock_ms:
            self.shard.stride(to_ms, self._step)

    def _was_silent(self, visit: c.Visit, at_ms: int) -> bool:
        """True when the customer of a chat that is over at `at_ms` had waited too long for words."""
        since_ms = visit.unanswered_since
        return since_ms >= 0 and at_ms >= since_ms + self._promises.of(visit.queue, visit.channel).silent_ms

    # --- meaning ----------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Derive every contact that has new facts or whose time has come; see `streams.fold.Fold`."""
        shard = self.shard
        if not shard.event_clock:
            shard.advance(now_ms)
        now_ms = shard.clock_ms
        self._panes.advance(now_ms)
        self._merge_pending(now_ms)
        self._wake(now_ms)
        self._longest.refresh()
        self._forget()
        self._callbacks.expire()
        shard.expire()
        self._longest.expire(self._panes.oldest_interval)

    def _merge(self, contact_id: str, new: list[c.Fact], now_ms: int) -> None:
        bucket = self._contacts[hash(contact_id) % BUCKETS]
        held = bucket.get(contact_id)
        known = self._unpacked(held, now_ms) if isinstance(held, bytes) else held or Known()
        facts = _decode(known.packed())
        merged = self._merged(facts, new)
        if merged is None:
            known.last_ms = facts[-1][0]
            return
        if held is None:
            self._count += 1
        bucket[contact_id] = known
        if facts:
            known.last_ms = facts[-1][0]
        before, unmatched = self._segments(known, known.told_ms), known.unmatched
        _live(known, merged)
        self.truth.unmatched += known.unmatched - unmatched
        if known.count >= self._most_events:
            self._full.add(contact_id)
        self._retell(contact_id, known, before, now_ms)

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
        """Open a packed contact: the panes hold what it means now."""
        known = Known()
        _live(known, _decode(packed[1:]))
        self._date(known, self._segments(known, now_ms), now_ms)
        return known

    def _segments(self, known: Known, now_ms: int) -> tuple[Segment, ...]:
        of = self._promises.of
        return tuple([segment_of(v, known.last_ms, now_ms, of(v.queue, v.channel)) for v in known.visits()])

    @staticmethod
    def _date(known: Known, segments: tuple[Segment, ...], now_ms: int) -> None:
        """Note when time alone changes a contact next, and whether it has already."""
        known.due_ms = min((segment.due_ms for segment in segments), default=NEVER)
        known.told_ms = now_ms if any(segment.timed for segment in segments) else 0

    def _retell(self, contact_id: str, known: Known, before: tuple[Segment, ...], now_ms: int) -> None:
        """Put what a contact means now into the panes in place of what it meant before; plan the next look."""
        after = self._segments(known, now_ms)
        self.truth.lost += sum(segment.lost for segment in after) - sum(segment.lost for segment in before)
        self._panes.exchange(before, after)
        self._callbacks.exchange(before, after)
        self._list(contact_id, known, before, after)
        self._date(known, after, now_ms)
        self._unsaved.add(contact_id)
        self._customers.touch(contact_id)
        self._sleep(contact_id, known, now_ms)

    def _list(
        self, contact_id: str, known: Known, before: tuple[Segment, ...], after: tuple[Segment, ...]
    ) -> None:
        """List a contact as what it means now."""
        for segment in before:
            row = queue_row(segment.queue, segment.channel)
            self._lists.left(row, contact_id)
            self._lists.unsaid(row, contact_id)
        for segment, visit in zip(after, known.visits(), strict=True):
            row = queue_row(segment.queue, segment.channel)
            if segment.left_ms < 0:
                self._lists.waits(row, contact_id, segment.queued_ms)
            elif visit.outcome == "abandoned":
                self._lists.abandoned(row, contact_id, segment.queued_ms, segment.left_ms)

    def _list_restored(self, contact_id: str, known: Known) -> None:
        """List a contact that was stored; where time alone changed nothing, its visits say it all."""
        if known.told_ms:
            self._list(contact_id, known, (), self._segments(known, known.told_ms))
            return
        for visit in known.visits():
            row = self._panes.row(visit.queue, visit.channel).name
            if visit.left_ms < 0:
                self._lists.waits(row, contact_id, visit.queued_ms)
            elif visit.outcome == "abandoned":
                self._lists.abandoned(row, contact_id, visit.queued_ms, visit.left_ms)

    def listed(self, limit: int) -> dict[str, Listed]:
        """Contacts behind the numbers of each row, at most `limit` of a kind: see `schemas.drill.Listed`."""
        return self._lists.listed(limit)

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
                    before = self._segments(known, known.told_ms)  # type: ignore[arg-type, union-attr]
                    self._retell(contact_id, known, before, now_ms)  # type: ignore[arg-type]
                else:
                    again.append((contact_id, known))  # type: ignore[arg-type]
        for contact_id, known in again:
            self._sleep(contact_id, known, now_ms)

    def _pack(self, contact_id: str, bucket: dict[str, Known | bytes], known: Known) -> None:
        """A contact that is over takes little room from now on, and is forgotten when corrections are too late."""
        bucket[contact_id] = _FINISHED + known.packed()
        self._unsaved.add(contact_id)
        self._plan_forgetting(contact_id, known.last_ms)

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
                    self._customers.forget(contact_id)

    def _waits_of_interval(self, row: Row, number: int) -> list[int]:
        """All finished waits of the contacts queued in one interval: the slow, exact way."""
        waits = []
        for held in chain.from_iterable(bucket.values() for bucket in self._contacts):
            known = self._unpacked(held, self.clock_ms) if isinstance(held, bytes) else held
            for s in self._segments(known, known.told_ms):
                if (
                    s.left_ms >= 0
                    and s.queued_ms // INTERVAL_MS == number
                    and self._panes.row(s.queue, s.channel) is row
                ):
                    waits.append(s.left_ms - s.queued_ms)
        return waits

    # --- out --------------------------------------------------------------------------------------------------

    def flush(self, *, whole: bool = True) -> list[Batch]:
        """Rows with what changed in them since the last call, in the order of time; see `Row.partial`."""
        return self.shard.flush(whole=whole)

    def take_customers(self) -> list[ContactOfCustomer]:
        """Contacts of customers, new or changed since the last call, as they stand; the fold must be settled.

        A contact that several customers are named for is that of whom it was named for first (by time, then by
        name), and is told withdrawn to the others. Its reason is the newest given when an agent was done with it,
        else the newest given when it was queued.
        """
        self._look_at_customers()
        return self._customers.take()

    def _look_at_customers(self) -> None:
        """Bring up to date how contacts of customers stand."""
        for contact_id in self._customers.take_touched():
            held = self._contacts[hash(contact_id) % BUCKETS].get(contact_id)
            if held is None:
                continue
            known = self._unpacked(held, self.clock_ms) if isinstance(held, bytes) else held
            visits = known.visits()
            if visits:
                self._customers.stands(contact_id, self._stand(known, visits))

    def _stand(self, known: Known, visits: list[c.Visit]) -> Stand:
        """How a contact stands; see `schemas.customers.CustomerContact`."""
        first, last = visits[0], visits[-1]
        outcome = last.outcome
        if outcome == "answered":
            lost = known.told_ms and self._segment(known, last).lost
            outcome = "" if last.ended_ms < 0 and not lost else outcome
        elif outcome == c.OPEN and known.told_ms and self._segment(known, last).lost:
            outcome = "lost"
        handled_ms = 0
        if outcome:
            for visit in visits:
                if visit.outcome == "answered" and visit.ended_ms > handled_ms:
                    handled_ms = visit.ended_ms
        return first.channel, first.queue, first.queued_ms, outcome, handled_ms

    def _segment(self, known: Known, visit: c.Visit) -> Segment:
        promise = self._promises.of(visit.queue, visit.channel)
        return segment_of(visit, known.last_ms, known.told_ms, promise)

    def tell_all(self) -> None:
        """Let the next flush, and the next look at customers, tell everything that lives."""
        self.shard.tell_all()
        self._customers.tell_all()

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
        self._look_at_customers()
        for bucket, key, said in self._customers.take_changes():
            out.setdefault(bucket, {})[key] = said
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = self.shard.dump(bucket)
        for contact_id, held in self._contacts[bucket].items():
            out["c" + contact_id] = _packed(held)
        out.update((key, waits) for key, waits in self._longest.dump() if bucket_of(key) == bucket)
        self._look_at_customers()
        out.update(self._customers.dump(bucket))
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        packed: list[tuple[str, bytes]] = []
        for key, value in entries:
            if key[0] == "c":
                packed.append((key[1:], value))
            elif key[0] == "l":
                self._longest.load_entry(key, value)
            elif key[0] == CUSTOMER_KEY:
                self._customers.load_entry(key, value)
            else:
                self.shard.load_entry(key, value)
        now_ms = self.shard.clock_ms
        self._panes.advance(now_ms)
        for contact_id, value in packed:
            bucket = self._contacts[hash(contact_id) % BUCKETS]
            if value[:1] == _FINISHED:
                bucket[contact_id] = value
                self._plan_forgetting(contact_id, _decode(value[1:])[-1][0])
                continue
            known = bucket[contact_id] = self._unpacked(value, now_ms)
            self._list_restored(contact_id, known)
            self._sleep(contact_id, known, now_ms)
            if known.count >= self._most_events:
                self._full.add(contact_id)
        self._count = len(packed)
        self.tell_all()


def _packed(held: Known | bytes) -> bytes:
    return held if isinstance(held, bytes) else _OPEN + held.packed()


def _live(known: Known, facts: tuple[c.Fact, ...]) -> None:
    """Derive a contact from all that is known about it."""
    known.facts = b"".join(map(_encode, facts))
    known.count = len(facts)
    known.last_ms, known.last_kind, known.segment_id = facts[-1][0], 0, facts[-1][2]
    lives = c.lives(facts)
    known.life = lives[known.segment_id]
    known.others = lives if len(lives) > 1 else None
    known.row = known.promise = None
