"""What would journeys say of these events? All their folds, run in one thread without a broker.

As `streams.driver` does for queues: the same folds and the same bytes between them, deterministic; time is event time.
Customers keep the names that events give them. Agents' states and queues are of no interest here.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from schemas.customers import CustomerStatement, encode_customer
from schemas.dead_letters import DeadLetter
from schemas.journeys import (
    Flag,
    JourneyContact,
    JourneySession,
    StuckModel,
    VisitorNow,
    WebReport,
    encode_journeys,
)
from schemas.topics import CALLS, CHATS, CUSTOMERS, PAGE_PARTIALS, WEB
from schemas.web_rows import DayCounts
from streams.contact_fold import ContactFold
from streams.decode import unix_ms
from streams.driver import Item, Stored
from streams.fold import Record
from streams.journeys.customer_fold import CustomerFold
from streams.journeys.page_fold import PageFold
from streams.journeys.shown import FlagChange, Link
from streams.journeys.telling import (
    ClockTeller,
    PageTeller,
    contacted_event,
    model_event,
    of_contact,
    of_link,
)
from streams.journeys.visitor_fold import VisitorFold
from streams.routing import partition_of
from streams.site import Site

STRIDE_MS = 60_000
"""How much event time is read before what it means is told on."""
IDLE_STRIDE_MS = 600_000
"""How far time goes at once where nothing happens."""
COUNTED_EVERY_MS = 300_000
"""How often counters are told."""
_MOST_IDLE_STRIDES = 1000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Visitors(Protocol):
    """A `VisitorFold`, as far as the driver knows it."""

    @property
    def clock_ms(self) -> int: ...
    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]: ...
    def settle(self, now_ms: int) -> None: ...
    def advance(self, now_ms: int) -> None: ...
    def take_days(self) -> list[DayCounts]: ...
    def take_links(self) -> list[Link]: ...
    def take_flags(self) -> list[FlagChange]: ...
    def take_visitors(self) -> dict[str, VisitorNow | None]: ...
    def take_sessions(self) -> dict[tuple[str, str], JourneySession | None]: ...
    def stuck_by_page(self) -> dict[str, int]: ...
    def dump(self, bucket: int) -> dict[str, bytes]: ...


class _NewVisitors(Protocol):
    def __call__(self, site: Site, topic: str, partition: int, *, event_clock: bool) -> Visitors: ...


class _Timed(Struct, gc=False):
    time: datetime


_decode_time = msgspec.json.Decoder(_Timed).decode


class _Log:
    """One partition: what was written to it and has not been read."""

    def __init__(self) -> None:
        self.unread: list[Stored] = []
        self.position = 0

    def write(self, value: bytes) -> None:
        self.unread.append(Stored(self.position, value))
        self.position += 1

    def read(self) -> list[Stored]:
        out, self.unread = self.unread, []
        return out


class _Contacts:
    """A partition of `calls` or `chats`."""

    def __init__(self, site: Site, topic: str, partition: int) -> None:
        self.log = _Log()
        self.fold = ContactFold(site, topic, partition, event_clock=True)
        self.clock = ClockTeller(topic, partition)


class _Web:
    """A partition of `web`."""

    def __init__(self, site: Site, partition: int, new: _NewVisitors) -> None:
        self.log = _Log()
        self.fold = new(site, WEB, partition, event_clock=True)
        self.clock = ClockTeller(WEB, partition)
        self.teller = PageTeller(WEB, partition, 1)


class _Customers:
    """A partition of `customers`."""

    def __init__(self, site: Site, partition: int, sources: int) -> None:
        self.log = _Log()
        self.fold = CustomerFold(site, CUSTOMERS, partition, sources=sources, event_clock=True)
        self.teller = PageTeller(CUSTOMERS, partition, 1)


class JourneyDriver:
    """Feeds items through the folds of journeys, in strides of a minute of event time.

    Args:
        site: what was promised, and when a visitor is stuck.
        partitions: of every topic.
        new_visitors: makes the fold of a partition of `web`.
    """

    def __init__(self, site: Site, partitions: int = 2, *, new_visitors: _NewVisitors = VisitorFold) -> None:
        self._partitions = partitions
        each = range(partitions)
        self._contacts = {(topic, p): _Contacts(site, topic, p) for topic in (CALLS, CHATS) for p in each}
        self._web = [_Web(site, p, new_visitors) for p in each]
        self._customers = [_Customers(site, p, 3 * partitions) for p in each]
        self._page_log = _Log()
        self.pages = PageFold(site, PAGE_PARTIALS, 0, sources=2 * partitions, event_clock=True)
        """Counters, as merged."""
        self._newest_ms = 0
        self._edge_ms = 0
        self._counted_ms = 0
        self._flags: dict[str, Flag] = {}
        self._sessions: dict[tuple[str, str], JourneySession] = {}
        self._visitors: dict[str, VisitorNow] = {}
        self._listed: dict[str, tuple[JourneyContact, ...]] = {}
        self.models: list[StuckModel] = []
        """All models ever fitted, the oldest first."""
        self.dead_letters: list[DeadLetter] = []

    # --- in ---------------------------------------------------------------------------------------------------

    def feed(self, items: Iterable[Item]) -> None:
        """Take in items, about in the order of time; what they mean is known after `finish` (and, lagging, before)."""
        logs: dict[str, list[_Log]] = {WEB: [web.log for web in self._web]}
        for topic in (CALLS, CHATS):
            logs[topic] = [self._contacts[topic, p].log for p in range(self._partitions)]
        for item in items:
            of_topic = logs.get(item.topic)
            if of_topic is None:
                continue
            at_ms = _at_ms(item.value)
            if at_ms >= self._edge_ms:
                self._come_to(at_ms)
            of_topic[partition_of(item.key, self._partitions)].write(item.value)

    def finish(self, now_ms: int = 0) -> None:
        """Let time come to `now_ms`, or to the newest event, everywhere, and tell everything."""
        self._turn(0)
        self._idle(now_ms)
        self._turn(now_ms, whole=True)

    def _come_to(self, at_ms: int) -> None:
        """An event begins a new stride."""
        if self._edge_ms:
            self._turn(0)
            self._idle(at_ms)
        self._edge_ms = at_ms // STRIDE_MS * STRIDE_MS + STRIDE_MS

    def _idle(self, to_ms: int) -> None:
        """Let time pass in strides as long as it stays before `to_ms`."""
        if not self._newest_ms:
            return
        stride_ms = max(IDLE_STRIDE_MS, (to_ms - self._newest_ms) // _MOST_IDLE_STRIDES)
        while self._newest_ms + stride_ms < to_ms:
            self._turn(self._newest_ms + stride_ms)

    # --- one round --------------------------------------------------------------------------------------------

    def _turn(self, to_ms: int, *, whole: bool = False) -> None:
        """Read what was written, come to `to_ms` or the newest event, and pass on what follows until all is quiet."""
        newest_ms = max(self._newest_ms, to_ms)
        for contacts in self._contacts.values():
            newest_ms = max(newest_ms, self._read(contacts.fold, contacts.log))
        for web in self._web:
            newest_ms = max(newest_ms, self._read(web.fold, web.log))
        self._newest_ms = newest_ms
        for contacts in self._contacts.values():
            contacts.fold.advance(newest_ms)
            contacts.fold.settle(0)
            contacts.fold.flush()
        self._tell_contacts()
        while True:
            for web in self._web:
                self._read(web.fold, web.log)
                web.fold.advance(newest_ms)
                web.fold.settle(0)
            self._tell_links()
            for customers in self._customers:
                self._read(customers.fold, customers.log)
                customers.fold.settle(0)
            if not self._tell_contacted():
                break
        self._show()
        if whole or newest_ms >= self._counted_ms + COUNTED_EVERY_MS:
            self._counted_ms = newest_ms
            self._count()

    def _read(self, fold: ContactFold | Visitors | CustomerFold | PageFold, log: _Log) -> int:
        records = log.read()
        if records:
            self.dead_letters += fold.apply(records, 0)
        return fold.clock_ms

    def _tell_contacts(self) -> None:
        for contacts in self._contacts.values():
            fold, revision = contacts.fold, (1, contacts.log.position)
            self._tell_clock(contacts.clock, fold.clock_ms)
            for told in sorted(fold.take_customers(), key=lambda told: (told.customer_id, told.contact_id)):
                self._say(told.customer_id, of_contact(told, told.customer_id, revision))

    def _tell_links(self) -> None:
        for web in self._web:
            fold, revision = web.fold, (1, web.log.position)
            self._tell_clock(web.clock, fold.clock_ms)
            for link in sorted(fold.take_links()):
                self._say(
                    link.customer_id,
                    of_link(
                        link.visitor_id, link.customer_id, link.at_ms, revision, withdrawn=link.withdrawn
                    ),
                )

    def _tell_clock(self, teller: ClockTeller, clock_ms: int) -> None:
        clock = teller.tell(clock_ms, event_clock=True)
        if clock is not None:
            value = encode_customer(clock)
            for customers in self._customers:
                customers.log.write(value)

    def _say(self, customer_id: str, statement: CustomerStatement) -> None:
        log = self._customers[partition_of(customer_id, self._partitions)].log
        log.write(encode_customer(statement))

    def _tell_contacted(self) -> bool:
        """Write contacts to the partitions of their visitors; say whether there were any."""
        any_told = False
        for customers in self._customers:
            fold = customers.fold
            contacted = fold.take_contacted((1, customers.log.position))
            contacted.sort(key=lambda told: (told.customer_id, told.visitor_id, told.contact_id))
            for number, told in enumerate(contacted):
                any_told = True
                event = contacted_event(told, fold.clock_ms, number)
                log = self._web[partition_of(told.visitor_id, self._partitions)].log
                log.write(encode_journeys(event))
        return any_told

    def _count(self) -> None:
        """Tell counters, and visitors' partitions of a new model."""
        for web in self._web:
            days, stuck = web.fold.take_days(), web.fold.stuck_by_page()
            self._tell_days(web.teller, days, web.log.position, web.fold.clock_ms, stuck)
        for customers in self._customers:
            fold = customers.fold
            self._tell_days(customers.teller, fold.take_days(), customers.log.position, fold.clock_ms, None)
        self._read(self.pages, self._page_log)
        self.pages.settle(0)
        model = self.pages.take_model(self.pages.clock_ms)
        if model is not None:
            self.models.append(model)
            event = model_event(model, self.pages.clock_ms)
            for web in self._web:
                web.log.write(encode_journeys(event))

    def _tell_days(
        self,
        teller: PageTeller,
        days: list[DayCounts],
        position: int,
        clock_ms: int,
        stuck: dict[str, int] | None,
    ) -> None:
        for value in teller.tell(days, position, clock_ms, event_clock=True, stuck=stuck, anyway=True):
            self._page_log.write(value)

    def _show(self) -> None:
        """Keep what readers would be shown."""
        for web in self._web:
            for change, flag in web.fold.take_flags():
                if change == "withdrawn":
                    self._flags.pop(flag.id, None)
                else:
                    self._flags[flag.id] = flag
            _put(self._visitors, web.fold.take_visitors())
            _put(self._sessions, web.fold.take_sessions())
        for customers in self._customers:
            _put(self._listed, customers.fold.take_contacts())

    # --- out --------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """How far event time has come."""
        return self._newest_ms

    @property
    def model(self) -> StuckModel | None:
        """The newest model; None: none has been fitted yet."""
        return self.pages.model

    def visitor_folds(self) -> list[Visitors]:
        """The folds of all partitions of `web`."""
        return [web.fold for web in self._web]

    def report(self) -> WebReport:
        """The web site and its contacts, now."""
        return self.pages.report()

    def flags(self) -> list[Flag]:
        """All flags ever raised and not withdrawn, as they stand, in the order in which they were raised."""
        return sorted(self._flags.values(), key=lambda flag: (flag.raised_ms, flag.id))

    def visitors(self) -> dict[str, VisitorNow]:
        """Visitors worth watching now."""
        return self._visitors

    def sessions(self) -> dict[tuple[str, str], JourneySession]:
        """Sessions of known customers, by (customer, session)."""
        return self._sessions

    def contacts(self) -> dict[str, tuple[JourneyContact, ...]]:
        """Contacts of each customer, the newest first."""
        return self._listed


def _put(into: dict[_Key, _Value], changes: Mapping[_Key, _Value | None]) -> None:
    """Take in changes; None: gone."""
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value


def _at_ms(value: bytes) -> int:
    """When an event was; 0 where it does not say so."""
    try:
        return unix_ms(_decode_time(value).time) or 0
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
