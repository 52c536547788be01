"""Who contacted, and which visitors are they? The fold over the topic `customers`: one partition, many customers.

Of every customer the contacts of the last days and the visitors linked to them are kept, each as the newest statement
says. What follows is derived: the visitors' partitions are told of the contacts, counters say how many came back, and
journeys list earlier contacts. Refuses to know web sessions, and who the customer is.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

import msgspec

from schemas.customers import (
    CustomerClock,
    CustomerContact,
    CustomerForgotten,
    CustomerStatement,
    CustomerVisitor,
    decode_customer,
)
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from schemas.events import MAX_NAME
from schemas.journeys import JourneyContact
from schemas.web_events import Contacted
from schemas.web_rows import DayCounts
from streams.decode import NEWEST_MS, OLDEST_MS, is_clean
from streams.fold import BUCKETS, Record
from streams.journeys.counted_days import KEY as DAY_KEY
from streams.journeys.counted_days import CountedDays
from streams.journeys.day_number import DayNumbers
from streams.journeys.resolution import DAY_MS, NEVER, counted, due_ms, in_order
from streams.journeys.stored_meta import ContactFact, CustomerMeta, VisitorFact
from streams.shard import bucket_of
from streams.site import Site

MOST_CONTACTS = 200
"""Of one customer; beyond it the oldest do not count."""
MOST_VISITORS = 50
"""Linked to one customer; beyond it those linked first do not count."""
MOST_LISTED = 50
"""Earlier contacts of a customer that a journey lists."""
LINKED_MS = 30 * DAY_MS
"""How long a visitor counts as the customer's after it was linked."""
OPEN_MS = 30 * DAY_MS
"""How long a contact that does not end is kept."""
_META_KEY = "m"
_CUSTOMER_KEY = "k"

_encode = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(CustomerMeta).decode
_decode = msgspec.msgpack.Decoder(tuple[int, int, dict[str, ContactFact], dict[str, VisitorFact]]).decode


class Customer:
    """One customer, opened to be changed: facts as they are, and as they were when last derived, at `counted_ms`.

    What is as old as `forgotten_ms`, or older, is to be forgotten.
    """

    __slots__ = (
        "contacts",
        "contacts_before",
        "counted_ms",
        "forgotten_ms",
        "visitors",
        "visitors_before",
    )

    def __init__(
        self,
        counted_ms: int,
        forgotten_ms: int,
        contacts: dict[str, ContactFact],
        visitors: dict[str, VisitorFact],
    ) -> None:
        self.counted_ms = counted_ms
        self.forgotten_ms = forgotten_ms
        self.contacts = contacts
        self.visitors = visitors
        self.contacts_before = dict(contacts)
        self.visitors_before = dict(visitors)


class CustomerFold:
    """Customers of one partition.

    With `event_clock` (a replay) time goes on as the slowest of `sources`, once all of them have told their clock.
    What is told is a pure function of the newest statement about each contact and visitor, and of the clock.
    """

    def __init__(
        self, site: Site, topic: str, partition: int, *, sources: int = 1, event_clock: bool = False
    ) -> None:
        self.site = site
        self.topic = topic
        self.partition = partition
        self._sources = sources
        self._meta = CustomerMeta(event_clock=event_clock)
        self._repeat_ms = site.journeys.repeat_days * DAY_MS
        self._keep_ms = self._repeat_ms + DAY_MS + site.limits.keep_ms
        self._recent_ms = site.limits.keep_ms
        self._most_customers = site.journeys.most_visitors
        self._customers: tuple[dict[str, bytes], ...] = tuple({} for _ in range(BUCKETS))
        self._open: dict[str, Customer] = {}
        self._due: dict[str, int] = {}
        """Customer -> when time alone changes something; who was changed last is last."""
        self._heap: list[tuple[int, str]] = []
        self._days = CountedDays()
        self._day_numbers = DayNumbers(site)
        self._contacted: dict[tuple[str, str, str], Contacted] = {}
        """(customer, visitor, contact) -> what is to be told."""
        self._listed: dict[str, tuple[JourneyContact, ...] | None] = {}
        self._unsaved: set[str] = set()

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self._meta.clock_ms

    @property
    def is_replay(self) -> bool:
        """True when time is event time."""
        return self._meta.event_clock

    @property
    def customers(self) -> int:
        """How many are known."""
        return len(self._due)

    @property
    def dropped(self) -> Mapping[str, int]:
        """What was beyond a limit, and how often: contacts, visitors, customers, late."""
        return self._meta.dropped

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in statements; see `streams.fold.Fold`."""
        letters = []
        for record in records:
            value = record.value or b""
            try:
                statement = decode_customer(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                reason = Reason.NOT_AN_EVENT if value else Reason.EMPTY
                letters.append(
                    dead_letter(reason, str(error), self.topic, self.partition, record.offset, value)
                )
                continue
            wrong = self._take(statement)
            if wrong is not None:
                letters.append(
                    dead_letter(wrong[0], wrong[1], self.topic, self.partition, record.offset, value)
                )
        return letters

    def _take(self, statement: CustomerStatement) -> tuple[Reason, str] | None:
        if isinstance(statement, CustomerContact):
            return self._take_contact(statement)
        if isinstance(statement, CustomerVisitor):
            return self._take_visitor(statement)
        if isinstance(statement, CustomerForgotten):
            return self._take_forgotten(statement)
        return self._take_clock(statement)

    def _take_contact(self, told: CustomerContact) -> tuple[Reason, str] | None:
        wrong = _wrong_ids(told.customer_id, told.contact_id) or _wrong_names(
            told.channel, told.queue, told.reason
        )
        if wrong is not None:
            return wrong
        if not _believable(told.queued_ms) or not (told.handled_ms == 0 or _believable(told.handled_ms)):
            return Reason.TIME_OUT_OF_RANGE, f"queued {told.queued_ms}, handled {told.handled_ms} ms"
        epoch, position = told.revision
        fact = ContactFact(
            epoch, position, told.outcome, told.handled_ms, told.channel, told.queue, told.queued_ms,
            told.reason or "", told.withdrawn,
        )  # fmt: skip
        if self._contact_ends_ms(fact) <= self._meta.clock_ms:
            self._drop("late")
            return None
        contacts = self._opened(told.customer_id).contacts
        known = contacts.get(told.contact_id)
        if known is None or fact > known:
            contacts[told.contact_id] = fact
        return None

    def _take_visitor(self, told: CustomerVisitor) -> tuple[Reason, str] | None:
        wrong = _wrong_ids(told.customer_id, told.visitor_id)
        if wrong is not None:
            return wrong
        if not _believable(told.at_ms):
            return Reason.TIME_OUT_OF_RANGE, f"linked at {told.at_ms} ms"
        if told.at_ms + LINKED_MS <= self._meta.clock_ms:
            self._drop("late")
            return None
        epoch, position = told.revision
        fact = VisitorFact(epoch, position, told.at_ms, told.withdrawn)
        visitors = self._opened(told.customer_id).visitors
        known = visitors.get(told.visitor_id)
        if known is None or fact > known:
            visitors[told.visitor_id] = fact
        return None

    def _take_forgotten(self, told: CustomerForgotten) -> tuple[Reason, str] | None:
        wrong = _wrong_ids(told.customer_id)
        if wrong is not None:
            return wrong
        if not _believable(told.at_ms):
            return Reason.TIME_OUT_OF_RANGE, f"forgotten at {told.at_ms} ms"
        if told.at_ms + LINKED_MS <= self._meta.clock_ms:
            self._drop("late")
            return None
        customer = self._opened(told.customer_id)
        customer.forgotten_ms = max(customer.forgotten_ms, told.at_ms)
        return None

    def _take_clock(self, told: CustomerClock) -> tuple[Reason, str] | None:
        if told.now_ms and not _believable(told.now_ms):
            return Reason.TIME_OUT_OF_RANGE, f"the clock of a source is at {told.now_ms} ms"
        meta = self._meta
        if not (meta.event_clock and told.event_clock and told.now_ms):
            return None  # by the wall clock, or of a source where nothing has happened yet
        meta.clocks[told.source] = max(told.now_ms, meta.clocks.get(told.source, 0))
        if len(meta.clocks) >= self._sources:
            self._advance(min(meta.clocks.values()))
        return None

    def _opened(self, customer_id: str) -> Customer:
        customer = self._open.get(customer_id)
        if customer is None:
            packed = self._customers[bucket_of(customer_id)].get(customer_id)
            customer = Customer(0, 0, {}, {}) if packed is None else Customer(*_decode(packed))
            self._open[customer_id] = customer
        return customer

    def _drop(self, what: str) -> None:
        self._meta.dropped[what] = self._meta.dropped.get(what, 0) + 1

    # --- meaning ----------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Derive every customer of whom there is news, or whose time has come; see `streams.fold.Fold`."""
        meta = self._meta
        if not meta.event_clock:
            self._advance(now_ms)
        while self._heap and self._heap[0][0] <= meta.clock_ms:
            due, customer_id = heappop(self._heap)
            if self._due.get(customer_id) == due:
                self._opened(customer_id)
        opened, self._open = self._open, {}
        for customer_id, customer in opened.items():
            self._derive(customer_id, customer)
        while len(self._due) > self._most_customers:
            self._remove(next(iter(self._due)))
            self._drop("customers")
        if meta.clock_ms:
            oldest = self._day_numbers.of(meta.clock_ms) - self.site.journeys.keep_days
            if oldest > meta.oldest_day:
                meta.oldest_day = oldest
                self._days.expire(oldest)

    def _advance(self, now_ms: int) -> None:
        self._meta.clock_ms = max(self._meta.clock_ms, now_ms)

    def _derive(self, customer_id: str, customer: Customer) -> None:
        """Tell what differs from before; forget what is too old to matter; store the customer, or nothing of them."""
        now_ms = self._meta.clock_ms
        if customer.forgotten_ms:
            self._leave_out(customer_id, customer)
        self._limit(customer)
        self._count(customer, now_ms)
        self._tell_visitors(customer_id, customer)
        contacts, visitors = customer.contacts, customer.visitors
        for old in [each for each, fact in contacts.items() if self._contact_ends_ms(fact) <= now_ms]:
            del contacts[old]
        for old in [each for each, fact in visitors.items() if fact.at_ms + LINKED_MS <= now_ms]:
            del visitors[old]
        if contacts != customer.contacts_before:
            self._list(customer_id, customer)
        if customer.forgotten_ms + LINKED_MS <= now_ms:
            customer.forgotten_ms = 0
        forgotten_ms = customer.forgotten_ms
        if not contacts and not visitors and not forgotten_ms:
            self._remove(customer_id)
            return
        packed = _encode((now_ms, forgotten_ms, contacts, visitors))
        self._customers[bucket_of(customer_id)][customer_id] = packed
        self._unsaved.add(customer_id)
        self._wait(customer_id, customer, now_ms)

    def _leave_out(self, customer_id: str, customer: Customer) -> None:
        """Leave out what is to be forgotten. Visitors of that time are not told: they are forgotten, too."""
        contacts, visitors, forgotten_ms = customer.contacts, customer.visitors, customer.forgotten_ms
        for old in [each for each, fact in contacts.items() if fact.queued_ms <= forgotten_ms]:
            del contacts[old]
        gone = [each for each, fact in visitors.items() if fact.at_ms <= forgotten_ms]
        for old in gone:
            del visitors[old]
            customer.visitors_before.pop(old, None)
        for told in [each for each in self._contacted if each[0] == customer_id and each[1] in gone]:
            del self._contacted[told]

    def _limit(self, customer: Customer) -> None:
        """Let go what is beyond the limits: the oldest."""
        contacts, visitors = customer.contacts, customer.visitors
        if len(contacts) > MOST_CONTACTS:
            for _, old in sorted([(fact.queued_ms, each) for each, fact in contacts.items()])[
                :-MOST_CONTACTS
            ]:
                del contacts[old]
                self._drop("contacts")
        if len(visitors) > MOST_VISITORS:
            for _, old in sorted([(fact.at_ms, each) for each, fact in visitors.items()])[:-MOST_VISITORS]:
                del visitors[old]
                self._drop("visitors")

    def _count(self, customer: Customer, now_ms: int) -> None:
        """Put what the contacts mean now into the counters, in place of what they meant before."""
        before = counted(customer.contacts_before, customer.counted_ms, self._repeat_ms, self._day_numbers)
        after = counted(customer.contacts, now_ms, self._repeat_ms, self._day_numbers)
        add = self._days.add
        for (row, day, counter), value in after.items():
            change = value - before.pop((row, day, counter), 0)
            if change:
                add(row, day, counter, change)
        for (row, day, counter), value in before.items():
            add(row, day, counter, -value)

    def _tell_visitors(self, customer_id: str, customer: Customer) -> None:
        """Tell each visitor of each contact where either is new or differs; what is beyond the limits is withdrawn."""
        contacts, visitors = customer.contacts, customer.visitors
        contacts_before, visitors_before = customer.contacts_before, customer.visitors_before
        news = [each for each, fact in contacts.items() if _differ(contacts_before.get(each), fact)]
        for visitor_id, link in visitors.items():
            known = visitors_before.get(visitor_id)
            changed = known is None or known.withdrawn != link.withdrawn
            for contact_id in contacts if changed else news:
                self._tell(
                    customer_id, visitor_id, contact_id, contacts[contact_id], withdrawn=link.withdrawn
                )
        gone = [each for each in contacts_before if each not in contacts]
        left = [each for each in visitors_before if each not in visitors]
        if gone or left:
            for visitor_id in visitors_before:
                for contact_id in contacts_before if visitor_id not in visitors else gone:
                    fact = contacts_before[contact_id]
                    self._tell(customer_id, visitor_id, contact_id, fact, withdrawn=True)

    def _tell(
        self, customer_id: str, visitor_id: str, contact_id: str, fact: ContactFact, *, withdrawn: bool
    ) -> None:
        self._contacted[customer_id, visitor_id, contact_id] = Contacted(
            visitor_id=visitor_id,
            customer_id=customer_id,
            contact_id=contact_id,
            channel=fact.channel,
            queue=fact.queue,
            queued_ms=fact.queued_ms,
            reason=fact.reason or None,
            withdrawn=withdrawn or fact.withdrawn,
        )

    def _list(self, customer_id: str, customer: Customer) -> None:
        """Note the earlier contacts of a customer where they differ from before."""
        after = _listed(customer.contacts)
        if after != _listed(customer.contacts_before):
            self._listed[customer_id] = after or None

    def _wait(self, customer_id: str, customer: Customer, now_ms: int) -> None:
        """Look at the customer again when time alone changes something."""
        due = due_ms(customer.contacts, now_ms, self._repeat_ms)
        for fact in customer.contacts.values():
            due = min(due, self._contact_ends_ms(fact))
        for link in customer.visitors.values():
            due = min(due, link.at_ms + LINKED_MS)
        if customer.forgotten_ms:
            due = min(due, customer.forgotten_ms + LINKED_MS)
        if self._due.pop(customer_id, NEVER) != due:
            heappush(self._heap, (due, customer_id))
        self._due[customer_id] = due
        if len(self._heap) > 4 * len(self._due) + 1000:
            self._heap = [(each_due, each) for each, each_due in self._due.items()]
            heapify(self._heap)

    def _contact_ends_ms(self, fact: ContactFact) -> int:
        """When a contact is forgotten: nothing depends on it any more, and corrections are too late."""
        if not fact.outcome:
            return fact.queued_ms + OPEN_MS
        return _newest_ms(fact) + self._keep_ms

    def _remove(self, customer_id: str) -> None:
        self._customers[bucket_of(customer_id)].pop(customer_id, None)
        self._due.pop(customer_id, None)
        self._unsaved.add(customer_id)

    def forget(self, customer_id: str) -> None:
        """Drop everything of a customer: nothing is counted or listed of them, and visitors' contacts are withdrawn.

        What is told again comes back: see `schemas.customers.CustomerForgotten` for what stays forgotten.
        """
        customer = self._opened(customer_id)
        del self._open[customer_id]
        customer.contacts, customer.visitors = {}, {}
        self._contacted = {each: told for each, told in self._contacted.items() if each[0] != customer_id}
        self._count(customer, self._meta.clock_ms)
        self._tell_visitors(customer_id, customer)
        self._listed[customer_id] = None
        self._remove(customer_id)

    # --- out --------------------------------------------------------------------------------------------------

    def take_contacted(self, revision: tuple[int, int] = (0, 0)) -> list[Contacted]:
        """What visitors are to be told of contacts, new or changed since the last call.

        Args:
            revision: (epoch of this shard, next offset it has not seen).
        """
        out, self._contacted = self._contacted, {}
        return [msgspec.structs.replace(each, revision=revision) for each in out.values()]

    def take_days(self) -> list[DayCounts]:
        """Counters that changed since the last call: rows ``c`` and ``x`` of `schemas.web_rows`."""
        return self._days.take()

    def take_contacts(self) -> dict[str, tuple[JourneyContact, ...] | None]:
        """Earlier contacts of each customer where they changed since the last call, the newest first; None: none."""
        out, self._listed = self._listed, {}
        return out

    def tell_all(self) -> None:
        """Let the next calls tell everything that lives.

        Visitors and journeys hear again of customers with a contact or link younger than `limits.keep_ms`: what is
        older they were told long ago, and remember.
        """
        self._days.tell_all()
        recent_ms = self._meta.clock_ms - self._recent_ms
        for bucket in self._customers:
            for customer_id, packed in bucket.items():
                _, _, contacts, visitors = _decode(packed)
                recent = {each: fact for each, fact in contacts.items() if _newest_ms(fact) >= recent_ms}
                linked = any(link.at_ms >= recent_ms for link in visitors.values())
                if recent or linked:
                    self._listed[customer_id] = _listed(contacts) or None
                for visitor_id, link in visitors.items():
                    for contact_id, fact in (contacts if link.at_ms >= recent_ms else recent).items():
                        self._tell(customer_id, visitor_id, contact_id, fact, withdrawn=link.withdrawn)

    # --- storage ----------------------------------------------------------------------------------------------

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        out: dict[int, dict[str, bytes | None]] = {0: {_META_KEY: _encode(self._meta)}}
        unsaved, self._unsaved = self._unsaved, set()
        for customer_id in unsaved:
            bucket = bucket_of(customer_id)
            packed = self._customers[bucket].get(customer_id)
            out.setdefault(bucket, {})[_CUSTOMER_KEY + customer_id] = packed
        for key, counts in self._days.take_changes():
            out.setdefault(bucket_of(key), {})[key] = counts
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = {_META_KEY: _encode(self._meta)} if bucket == 0 else {}
        for customer_id, packed in self._customers[bucket].items():
            out[_CUSTOMER_KEY + customer_id] = packed
        out.update(self._days.dump(bucket))
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        for key, value in entries:
            if key == _META_KEY:
                self._meta = _decode_meta(value)
            elif key[0] == DAY_KEY:
                self._days.load_entry(key, value)
            else:
                customer_id = key[len(_CUSTOMER_KEY) :]
                self._customers[bucket_of(customer_id)][customer_id] = value
        self._days.oldest = self._meta.oldest_day
        for bucket in self._customers:
            for customer_id, packed in bucket.items():
                customer = Customer(*_decode(packed))
                self._wait(customer_id, customer, customer.counted_ms)
        self.tell_all()


def _newest_ms(fact: ContactFact) -> int:
    return max(fact.queued_ms, fact.handled_ms)


def _differ(one: ContactFact | None, other: ContactFact) -> bool:
    """True when visitors must be told of a contact anew."""
    return one is None or (one.channel, one.queue, one.queued_ms, one.reason, one.withdrawn) != (
        other.channel, other.queue, other.queued_ms, other.reason, other.withdrawn
    )  # fmt: skip


def _listed(contacts: Mapping[str, ContactFact]) -> tuple[JourneyContact, ...]:
    """The newest contacts of a customer, the newest first."""
    newest = in_order(contacts)[-MOST_LISTED:]
    newest.reverse()
    return tuple(
        [
            JourneyContact(
                contact_id=contact_id,
                channel=fact.channel,
                queue=fact.queue,
                queued_ms=queued_ms,
                outcome=fact.outcome,
                reason=fact.reason or None,
            )
            for queued_ms, contact_id, fact in newest
        ]
    )


def _believable(at_ms: int) -> bool:
    return OLDEST_MS <= at_ms <= NEWEST_MS


def _wrong_ids(*ids: str) -> tuple[Reason, str] | None:
    for each in ids:
        if not 1 <= len(each) <= MAX_NAME:
            return Reason.BAD_NAME, f"an id of {len(each)} characters, expected 1 to {MAX_NAME}"
    return None


def _wrong_names(channel: str, queue: str, reason: str | None) -> tuple[Reason, str] | None:
    for name in (channel, queue, reason):
        if name is not None and not (1 <= len(name) <= MAX_NAME and is_clean(name)):
            return Reason.BAD_NAME, f"name {name[:60]!r} has control characters, is blank or too long"
    return None
