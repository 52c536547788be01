"""Whose contacts are they, and why were they made? What one shard tells of contacts whose customer is known.

Only what was said is kept: per contact who was named when, and the best reason. Each telling is absolute, so that order
and repetition do not matter. Refuses to know visits (`ContactFold` says how a contact stands) and what it means to the
customer (`streams.journeys`).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from streams.fold import BUCKETS

MOST_NAMED = 16
"""How many customers one contact is said to belong to at most; beyond it those named last do not count."""
KEY = "k"
"""How keys of stored entries begin."""

Stand = tuple[str, str, int, str, int]
"""(channel, queue, queued_ms, outcome, handled_ms)"""
Reasoned = tuple[int, int, str]
"""(1: said when an agent was done, 0: when it was queued; at_ms; reason): the greatest counts."""


class ContactOfCustomer(NamedTuple):
    """A contact as it stands; see `schemas.customers.CustomerContact`. `customer_id`: as its source gives it."""

    customer_id: str
    contact_id: str
    channel: str
    queue: str
    queued_ms: int
    outcome: str
    reason: str | None
    handled_ms: int
    withdrawn: bool


class Said:
    """What was said of one contact."""

    __slots__ = ("named", "reason", "stand")

    def __init__(self) -> None:
        self.named: dict[str, int] = {}
        """Customer -> when it was first named, ms."""
        self.reason: Reasoned | None = None
        self.stand: Stand | None = None
        """How the contact stands; None: it has been in no queue yet."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[dict[str, int], Reasoned | None, Stand | None]).decode


class ContactCustomers:
    """Contacts of one shard of which something was said. What is not said costs nothing."""

    def __init__(self) -> None:
        self._known: tuple[dict[str, Said], ...] = tuple({} for _ in range(BUCKETS))
        self.is_empty = True
        """True while nothing has been said of any contact."""
        self._touched: set[str] = set()
        self._untold: dict[str, list[str]] = {}
        """Contact id -> who is no longer named at all."""
        self._unsaved: set[str] = set()

    def name(self, contact_id: str, customer_id: str, at_ms: int) -> None:
        """A contact is said to be a customer's."""
        said = self._said(contact_id)
        named = said.named
        before = named.get(customer_id)
        if before is not None and before <= at_ms:
            return
        named[customer_id] = at_ms
        gone = self._untold.setdefault(contact_id, [])
        if len(named) > MOST_NAMED:
            last = _in_order(named)[-1]
            del named[last]
            gone.append(last)
        self._touched.add(contact_id)
        self._unsaved.add(contact_id)

    def explain(self, contact_id: str, reason: str, at_ms: int, *, when_done: bool) -> None:
        """A reason is given for a contact."""
        said = self._said(contact_id)
        given = (1 if when_done else 0, at_ms, reason)
        if said.reason is None or given > said.reason:
            said.reason = given
            self._untold.setdefault(contact_id, [])
            self._touched.add(contact_id)
            self._unsaved.add(contact_id)

    def _said(self, contact_id: str) -> Said:
        bucket = self._known[hash(contact_id) % BUCKETS]
        said = bucket.get(contact_id)
        if said is None:
            said = bucket[contact_id] = Said()
            self.is_empty = False
        return said

    def touch(self, contact_id: str) -> None:
        """The contact may stand otherwise than before."""
        if contact_id in self._known[hash(contact_id) % BUCKETS]:
            self._touched.add(contact_id)

    def forget(self, contact_id: str) -> None:
        """The contact is forgotten; what was told of it remains."""
        if self._known[hash(contact_id) % BUCKETS].pop(contact_id, None) is not None:
            self._touched.discard(contact_id)
            self._untold.pop(contact_id, None)
            self._unsaved.add(contact_id)

    # --- out --------------------------------------------------------------------------------------------------

    def take_touched(self) -> Iterable[str]:
        """Contacts of which `stands` must be said."""
        out, self._touched = self._touched, set()
        return out

    def stands(self, contact_id: str, stand: Stand) -> None:
        """How a contact stands now; called for every contact taken by `take_touched`."""
        said = self._known[hash(contact_id) % BUCKETS].get(contact_id)
        if said is None:
            return
        if said.stand != stand:
            said.stand = stand
            self._unsaved.add(contact_id)
            self._untold.setdefault(contact_id, [])

    def tell_all(self) -> None:
        """Let the next `take` tell everything."""
        for bucket in self._known:
            for contact_id in bucket:
                self._untold.setdefault(contact_id, [])

    def take(self) -> list[ContactOfCustomer]:
        """What is new or has changed since the last call, and whose contact one is not, or no longer."""
        out: list[ContactOfCustomer] = []
        for contact_id, gone in self._untold.items():
            said = self._known[hash(contact_id) % BUCKETS].get(contact_id)
            if said is None or said.stand is None:
                continue
            channel, queue, queued_ms, outcome, handled_ms = said.stand
            reason = None if said.reason is None else said.reason[2]
            named = _in_order(said.named)
            for place, customer_id in enumerate([*named, *gone]):
                withdrawn = place > 0 or not named
                out.append(
                    ContactOfCustomer(
                        customer_id,
                        contact_id,
                        channel,
                        queue,
                        queued_ms,
                        outcome,
                        reason,
                        handled_ms,
                        withdrawn,
                    )
                )
        self._untold.clear()
        return out

    # --- storage ----------------------------------------------------------------------------------------------

    def take_changes(self) -> Iterator[tuple[int, str, bytes | None]]:
        """(bucket, key, value) of entries changed since the last call."""
        unsaved, self._unsaved = self._unsaved, set()
        for contact_id in unsaved:
            bucket = hash(contact_id) % BUCKETS
            said = self._known[bucket].get(contact_id)
            yield bucket, KEY + contact_id, None if said is None else _packed(said)

    def dump(self, bucket: int) -> Iterator[tuple[str, bytes]]:
        """Entries of one bucket."""
        for contact_id, said in self._known[bucket].items():
            yield KEY + contact_id, _packed(said)

    def load_entry(self, key: str, value: bytes) -> None:
        """Take in one stored entry."""
        said = self._said(key[len(KEY) :])
        said.named, said.reason, said.stand = _decode(value)


def _in_order(named: dict[str, int]) -> list[str]:
    """Customers, who was named first first."""
    if len(named) < 2:
        return list(named)
    return [customer_id for _, customer_id in sorted([(at_ms, each) for each, at_ms in named.items()])]


def _packed(said: Said) -> bytes:
    return _encode((said.named, said.reason, said.stand))
