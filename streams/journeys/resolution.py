"""Was the customer helped the first time? What the contacts of one customer add to the counters, at a given time.

Formulas: definitions.md. *FCR*: of handled contacts, those with no further contact by the same customer (for the same
reason, where both are known) that begins before D days after the handling ended have passed; counted for good once
they have, and as provisional until then. *Repeat*: contacts that begin within D days after another one of the same
customer began. *Switch*: two contacts in a row, on different channels, that begin within 24 h of each other. All count
on the business day on which the contact was queued (a switch: the later one), for the queue and channel of its first
visit. Refuses to know who the customer is.
"""

from collections.abc import Mapping

from schemas.web_rows import customer_row, switch_row
from streams.journeys.day_number import DayNumbers
from streams.journeys.stored_meta import ContactFact

DAY_MS = 86_400_000
SWITCH_MS = DAY_MS
NEVER = 1 << 62

Counted = dict[tuple[str, int, str], int]
"""(row, day, counter) -> how many."""


def in_order(contacts: Mapping[str, ContactFact]) -> list[tuple[int, str, ContactFact]]:
    """(queued_ms, contact id, fact) of the contacts that are the customer's, in the order in which they began."""
    return sorted([(fact.queued_ms, each, fact) for each, fact in contacts.items() if not fact.withdrawn])


def counted(contacts: Mapping[str, ContactFact], now_ms: int, repeat_ms: int, days: DayNumbers) -> Counted:
    """What the contacts of one customer add, at `now_ms`; `repeat_ms` is D."""
    out: Counted = {}
    ordered = in_order(contacts)
    before: ContactFact | None = None
    for place, (queued_ms, _, fact) in enumerate(ordered):
        day = days.of(queued_ms)
        row = customer_row(fact.queue, fact.channel)
        _count(out, row, day, "repeat_n")
        if before is not None:
            since_ms = queued_ms - before.queued_ms
            if since_ms <= repeat_ms:
                _count(out, row, day, "repeat_k")
            if since_ms <= SWITCH_MS and before.channel != fact.channel:
                _count(out, switch_row(before.channel, fact.channel), day, "k")
        before = fact
        if fact.handled_ms:
            over_ms = fact.handled_ms + repeat_ms
            kind = "fcr" if over_ms <= now_ms else "prov"
            _count(out, row, day, kind + "_n")
            if not _returned(ordered, place, fact, over_ms):
                _count(out, row, day, kind + "_k")
    return out


def due_ms(contacts: Mapping[str, ContactFact], now_ms: int, repeat_ms: int) -> int:
    """When time alone changes what `counted` says next; `NEVER`: it does not."""
    due = NEVER
    for fact in contacts.values():
        over_ms = fact.handled_ms + repeat_ms
        if fact.handled_ms and now_ms < over_ms < due:
            due = over_ms
    return due


def _returned(
    ordered: list[tuple[int, str, ContactFact]], place: int, fact: ContactFact, over_ms: int
) -> bool:
    """True when a contact was followed by another one for the same reason, as far as reasons are known."""
    reason = fact.reason
    for later in range(place + 1, len(ordered)):
        queued_ms, _, other = ordered[later]
        if queued_ms > over_ms:
            return False
        if not reason or not other.reason or reason == other.reason:
            return True
    return False


def _count(out: Counted, row: str, day: int, counter: str) -> None:
    key = row, day, counter
    out[key] = out.get(key, 0) + 1
