"""What do the stages of journeys tell, and to whom? Folds of `streams.journeys` meet topics and Redis here.

``visitors`` reads the topic `web`, ``customers`` what is said of customers, ``pages`` the counters of pages. Each tells
at every flush what others wait for (links, flags, contacts) and once a second what is only counted. Refuses to know
what a visit, a contact or a flag is.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec
from faust.types import TP

from agents.host import Outgoing, Shard
from agents.journeys.customer_keys import CustomerKeys
from agents.journeys.store import JourneyWriter
from agents.pump import FAR_BEHIND
from agents.wall_clock import wall_ms
from schemas.customers import CustomerStatement, encode_customer
from schemas.flag_events import flag_event
from schemas.journeys import VisitorNow, WebReport, encode_journeys
from schemas.topics import CUSTOMERS, PAGE_PARTIALS, STUCK_FLAGS, WEB
from streams.contact_fold import ContactOfCustomer
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

COUNTED_EVERY_MS = 1000
"""How often counters and journeys are told; links, contacts and flags are told at every flush."""
MOST_SESSIONS = 500
MOST_SESSIONS_BEHIND = 50
"""Of how many visitors journeys are told at a time, each derived anew for it; and while there is much to read."""
OFFERS_EVERY_MS = 1000
"""How often it is asked again whether somebody is free for those who are stuck."""
CONTACT_TOPICS = 2
"""`calls` and `chats`: with `web` they tell `customers`."""

HasFree = Callable[[str], int]
"""Queue -> agents available."""


class CustomerTeller:
    """Says to `customers` what one source knows of contacts, visitors and time.

    Args:
        prefix: of topics.
        partitions: of `customers`.
        keys: makes pseudonyms of customers; None: there are none, and no contact is told.
    """

    def __init__(self, prefix: str, partitions: int, keys: CustomerKeys | None) -> None:
        self._topic = prefix + CUSTOMERS
        self._prefix = prefix
        self._partitions = partitions
        self._keys = keys
        self._clocks: dict[TP, ClockTeller] = {}

    def open(self, shard: Shard) -> None:
        """Tell the clock anew."""
        self._clocks[shard.tp] = ClockTeller(shard.tp.topic.removeprefix(self._prefix), shard.tp.partition)

    def clock(self, shard: Shard, now_ms: int, *, event_clock: bool) -> list[Outgoing]:
        """The clock of a shard, to every partition: when a replay begins, and about every ten seconds."""
        clock = self._clocks[shard.tp].tell(now_ms, event_clock=event_clock)
        if clock is None:
            return []
        value = encode_customer(clock)
        return [(self._topic, None, value, partition) for partition in range(self._partitions)]

    def contacts(self, shard: Shard, changed: Iterable[ContactOfCustomer]) -> list[Outgoing]:
        """Contacts of customers that changed."""
        assert shard.position is not None
        if self._keys is None:
            return []
        revision, name_of = (shard.epoch, shard.position), self._keys.of
        return [
            self._to(name, of_contact(each, name, revision))
            for each in changed
            for name in (name_of(each.customer_id),)
        ]

    def links(self, shard: Shard, links: Iterable[Link]) -> list[Outgoing]:
        """Visitors of customers that changed."""
        assert shard.position is not None
        revision = shard.epoch, shard.position
        out = []
        for visitor, customer, at_ms, withdrawn in links:
            out.append(self._to(customer, of_link(visitor, customer, at_ms, revision, withdrawn=withdrawn)))
        return out

    def _to(self, customer: str, statement: CustomerStatement) -> Outgoing:
        value = encode_customer(statement)
        return self._topic, customer.encode(), value, partition_of(customer, self._partitions)


class CounterTeller:
    """Says to `page-partials` what the shards of one stage have counted: about once a second, and at checkpoints."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tellers: dict[TP, PageTeller] = {}
        self._told_ms: dict[TP, int] = {}

    def open(self, shard: Shard) -> None:
        """A new incarnation tells everything, at its first turn."""
        topic = shard.tp.topic.removeprefix(self._prefix)
        self._tellers[shard.tp] = PageTeller(topic, shard.tp.partition, shard.epoch)
        self._told_ms.pop(shard.tp, None)

    def close(self, shard: Shard) -> None:
        """The shard is no longer ours."""
        self._tellers.pop(shard.tp, None)

    def has_begun(self, shard: Shard) -> bool:
        """Whether the incarnation had a turn."""
        return shard.tp in self._told_ms

    def takes_turn(self, shard: Shard, now_ms: int, *, at_checkpoint: bool) -> bool:
        """Whether it is the shard's turn to `tell`; if so, that is noted."""
        is_turn = (
            at_checkpoint or now_ms // COUNTED_EVERY_MS != self._told_ms.get(shard.tp, 0) // COUNTED_EVERY_MS
        )
        if is_turn:
            self._told_ms[shard.tp] = now_ms
        return is_turn

    def tell(
        self, shard: Shard, fold: VisitorFold | CustomerFold, stuck: Mapping[str, int] | None = None
    ) -> list[Outgoing]:
        """What changed in the counters of a shard; `stuck`: by page, where it knows visitors."""
        assert shard.position is not None
        told = self._tellers[shard.tp].tell(
            fold.take_days(), shard.position, fold.clock_ms, event_clock=fold.is_replay, stuck=stuck
        )
        return [(self._prefix + PAGE_PARTIALS, None, value, 0) for value in told]


class VisitorStage:
    """The topic `web`: who is stuck goes to `stuck-flags` and Redis, counters to `page-partials`, links to `customers`.

    Args:
        has_free: how many agents of a queue are available.
    """

    def __init__(
        self,
        site: Site,
        prefix: str,
        partitions: int,
        *,
        event_clock: bool,
        customers: CustomerTeller,
        store: JourneyWriter,
        has_free: HasFree,
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._partitions = partitions
        self._event_clock = event_clock
        self._customers = customers
        self._store = store
        self._has_free = has_free
        self._counters = CounterTeller(prefix)
        self._stuck: dict[TP, dict[str, VisitorNow]] = {}
        self._asked_ms: dict[TP, int] = {}

    def fold(self, tp: TP) -> VisitorFold:
        """A new, empty fold."""
        topic = tp.topic.removeprefix(self._prefix)
        return VisitorFold(self._site, topic, tp.partition, event_clock=self._event_clock)

    def open(self, shard: Shard) -> None:
        """Tell everything, in the name of the new incarnation."""
        self._fold(shard).tell_all()
        self._counters.open(shard)
        self._customers.open(shard)
        self._stuck[shard.tp] = {}
        self._store.begin(shard.tp.partition, self._partitions, shard.epoch)

    def close(self, shard: Shard) -> None:
        """Do not speak for a shard that is no longer ours."""
        self._counters.close(shard)
        if self._stuck.pop(shard.tp, None) is not None:
            self._store.end(shard.tp.partition)

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle, show whoever is stuck, and return what goes to topics."""
        if shard.position is None:
            return []
        now_ms = wall_ms()
        fold = self._fold(shard)
        fold.settle(now_ms)
        out = self._customers.clock(shard, fold.clock_ms, event_clock=fold.is_replay)
        out += self._customers.links(shard, fold.take_links())
        out += [self._flag(change) for change in fold.take_flags()]
        self._show(shard, fold.take_visitors(), now_ms)
        if self._counters.takes_turn(shard, now_ms, at_checkpoint=at_checkpoint):
            is_behind = fold.truth.lag > FAR_BEHIND
            self._store.offer_sessions(
                fold.take_sessions(MOST_SESSIONS_BEHIND if is_behind else MOST_SESSIONS)
            )
            out += self._counters.tell(shard, fold, fold.stuck_by_page())
        return out

    def _flag(self, told: FlagChange) -> Outgoing:
        visitor = told.flag.visitor_id
        value = encode_journeys(flag_event(told.change, told.flag))
        return self._prefix + STUCK_FLAGS, visitor.encode(), value, partition_of(visitor, self._partitions)

    # --- what is shown ----------------------------------------------------------------------------------------

    def _show(self, shard: Shard, changed: Mapping[str, VisitorNow | None], now_ms: int) -> None:
        """Let visitors be seen, with what to do for them; ask again now and then whether somebody is free."""
        stuck = self._stuck[shard.tp]
        shown: dict[str, VisitorNow | None] = {}
        for visitor, now in changed.items():
            stuck.pop(visitor, None)
            shown[visitor] = now if now is None else self._advised(now)
            if now is not None and now.flag is not None and now.flag.queue is not None:
                stuck[visitor] = now
        if now_ms - self._asked_ms.get(shard.tp, 0) >= OFFERS_EVERY_MS:
            self._asked_ms[shard.tp] = now_ms
            for visitor, now in stuck.items():
                advised = self._advised(now)
                if (advised.offer, advised.withheld) != (now.offer, now.withheld):
                    shown[visitor] = advised
        for visitor in stuck.keys() & shown.keys():
            told = shown[visitor]
            assert told is not None
            stuck[visitor] = told
        if shown or not self._counters.has_begun(shard):  # the first telling is made even with nobody to show
            self._store.offer_visitors(shard.tp.partition, shown)

    def _advised(self, now: VisitorNow) -> VisitorNow:
        """The same visitor with whether help is to be offered now, or why not."""
        flag = now.flag
        if flag is None:
            return now
        withheld = None
        if flag.kind is None:
            withheld = "no offer for this page"
        elif flag.arm == "holdout":
            withheld = "holdout"
        elif flag.queue is not None and not self._has_free(flag.queue):
            withheld = "no agent free"
        return msgspec.structs.replace(now, offer=withheld is None, withheld=withheld)

    @staticmethod
    def _fold(shard: Shard) -> VisitorFold:
        assert isinstance(shard.fold, VisitorFold)
        return shard.fold


class CustomerStage:
    """What is said of customers: their contacts go to the partitions of their visitors, and to Redis."""

    def __init__(
        self, site: Site, prefix: str, partitions: int, *, event_clock: bool, store: JourneyWriter
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._partitions = partitions
        self._event_clock = event_clock
        self._store = store
        self._counters = CounterTeller(prefix)

    def fold(self, tp: TP) -> CustomerFold:
        """A new, empty fold."""
        topic = tp.topic.removeprefix(self._prefix)
        sources = (CONTACT_TOPICS + 1) * self._partitions
        return CustomerFold(self._site, topic, tp.partition, sources=sources, event_clock=self._event_clock)

    def open(self, shard: Shard) -> None:
        """Tell everything, in the name of the new incarnation."""
        self._fold(shard).tell_all()
        self._counters.open(shard)

    def close(self, shard: Shard) -> None:
        """Do not speak for a shard that is no longer ours."""
        self._counters.close(shard)

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle, and return what goes to topics."""
        if shard.position is None:
            return []
        now_ms = wall_ms()
        fold = self._fold(shard)
        fold.settle(now_ms)
        out: list[Outgoing] = []
        for number, told in enumerate(fold.take_contacted((shard.epoch, shard.position))):
            visitor = told.visitor_id
            value = encode_journeys(contacted_event(told, fold.clock_ms, number))
            target = partition_of(visitor, self._partitions)
            out.append((self._prefix + WEB, visitor.encode(), value, target))
        self._store.offer_contacts(shard.tp.partition, fold.take_contacts())
        if self._counters.takes_turn(shard, now_ms, at_checkpoint=at_checkpoint):
            out += self._counters.tell(shard, fold)
        return out

    @staticmethod
    def _fold(shard: Shard) -> CustomerFold:
        assert isinstance(shard.fold, CustomerFold)
        return shard.fold


class PageStage:
    """Counters of pages: the report goes to Redis, and how visitors are judged to every partition of `web`."""

    def __init__(
        self, site: Site, prefix: str, partitions: int, *, event_clock: bool, store: JourneyWriter
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._partitions = partitions
        self._event_clock = event_clock
        self._store = store
        self.newest: WebReport | None = None
        """The report as it was told last; None: this worker does not own it."""

    def fold(self, tp: TP) -> PageFold:
        """A new, empty fold."""
        topic = tp.topic.removeprefix(self._prefix)
        return PageFold(
            self._site,
            topic,
            tp.partition,
            sources=2 * self._partitions,
            event_clock=self._event_clock,
        )

    def open(self, shard: Shard) -> None:
        """Nothing: a fold that was restored counts as changed, and tells its report soon."""

    def close(self, shard: Shard) -> None:
        """Show nothing of a shard that is no longer ours."""
        if shard.tp.partition == 0:
            self.newest = None

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle, let the report be written, and return the newest model where one is due."""
        if shard.position is None:
            return []
        now_ms = wall_ms()
        fold = shard.fold
        assert isinstance(fold, PageFold)
        fold.settle(now_ms)
        report = fold.take_report(now_ms)
        if report is not None and shard.tp.partition == 0:
            self.newest = report
            self._store.offer_report(report, shard.epoch, shard.position)
        model = fold.take_model(now_ms) if self._site.journeys.learn else None
        if model is None:
            return []
        value = encode_journeys(model_event(model, fold.clock_ms))
        return [(self._prefix + WEB, None, value, partition) for partition in range(self._partitions)]
