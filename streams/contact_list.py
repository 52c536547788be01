"""Which contacts stand behind a queue's number now? Who waits and who gave up lately, of one shard and of all.

Kept beside the numbers, for whoever asks what is behind them. Refuses to know who they are: ids are passed on as they
are given.
"""

from collections import deque
from collections.abc import Iterable
from heapq import merge, nsmallest
from itertools import islice
from operator import itemgetter

from schemas.drill import Listed

__all__ = ["MOST_LISTED", "ContactLists", "Listed", "merged"]

MOST_LISTED = 50
"""Of each kind and row, by a shard and after merging."""


class ContactLists:
    """Contacts of one shard by row."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, int]] = {}
        """Row -> contact id -> when it was queued, ms."""
        self._abandoned: dict[str, deque[tuple[str, int, int]]] = {}
        """Row -> (contact id, queued, left), the newest last."""

    def waits(self, row: str, contact_id: str, queued_ms: int) -> None:
        """A contact waits in a row."""
        waiting = self._waiting.get(row)
        if waiting is None:
            waiting = self._waiting[row] = {}
        waiting[contact_id] = queued_ms

    def left(self, row: str, contact_id: str) -> None:
        """It waits there no more."""
        waiting = self._waiting.get(row)
        if waiting is not None:
            waiting.pop(contact_id, None)

    def abandoned(self, row: str, contact_id: str, queued_ms: int, left_ms: int) -> None:
        """It hung up."""
        entry = (contact_id, queued_ms, left_ms)
        known = self._abandoned.get(row)
        if known is None:
            known = self._abandoned[row] = deque(maxlen=MOST_LISTED)
        if entry not in known:
            known.append(entry)

    def unsaid(self, row: str, contact_id: str) -> None:
        """It turned out that it did not hang up."""
        known = self._abandoned.get(row)
        if known is not None and any(entry[0] == contact_id for entry in known):
            kept = [entry for entry in known if entry[0] != contact_id]
            known.clear()
            known.extend(kept)

    def listed(self, limit: int) -> dict[str, Listed]:
        """By row, at most `limit` each: who waits longest first, who gave up last first."""
        out: dict[str, Listed] = {}
        for row, waiting in self._waiting.items():
            if waiting:
                out[row] = Listed(nsmallest(limit, waiting.items(), key=itemgetter(1)))
        for row, abandoned in self._abandoned.items():
            if abandoned:
                each = out.setdefault(row, Listed([]))
                newest = sorted(abandoned, key=itemgetter(2), reverse=True)
                each.abandoned = list(islice(newest, limit))
        return out


def merged(parts: Iterable[Listed], limit: int = MOST_LISTED) -> Listed:
    """One list of several: who waits longest first, who gave up last first, at most `limit` of each.

    >>> merged([Listed([("b", 2)], []), Listed([("a", 1)], [("d", 1, 8), ("c", 1, 5)])], 1)
    Listed(waiting=[('a', 1)], abandoned=[('d', 1, 8)])
    """
    known = list(parts)
    waiting = merge(*(each.waiting for each in known), key=lambda contact: contact[1])
    abandoned = merge(*(each.abandoned for each in known), key=lambda contact: contact[2], reverse=True)
    return Listed(list(islice(waiting, limit)), list(islice(abandoned, limit)))
