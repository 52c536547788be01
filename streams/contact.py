"""What happened to a contact? From the set of facts known about it to its visits to queues (segments).

Order of arrival and repetition do not matter: facts are kept sorted by time and the visits are derived from the whole
set. Refuses to know queues' promises, panes and Kafka.

The life of one visit (``none`` is before the first and after the last):

    none    --queued-->            waiting
    waiting --offered, declined--> waiting
    waiting --answered-->          handling     outcome answered
    waiting --abandoned-->         left         outcome abandoned
    waiting --callback_requested-> left         outcome callback    (also from left: it explains an abandon)
    waiting --overflowed-->        left         outcome overflowed  (also from left: it explains an abandon)
    waiting --queued-->            waiting      the old visit overflowed (requeued), a new one starts
    waiting --ended-->             waiting      over, outcome unknown: lost after a while unless an answer turns up
    handling --held, resumed-->    handling
    handling --transferred-->      handled      transferred out; the next visit is transferred in
    handling --ended, queued-->    handled
    any     --wrapped-->           same         belongs to the last visit that this agent answered
    any     --message-->           same

A fact that fits nowhere changes nothing and is counted as unmatched. Facts of the same millisecond are taken in the
order in which they fit (leaving comes before queueing again, queueing before being answered).
"""

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final, TypeAlias

OFFERED = 1
DECLINED = 2
ANSWERED = 3
HELD = 4
RESUMED = 5
TRANSFERRED = 6
CALLBACK = 7
OVERFLOWED = 8
ABANDONED = 9
ENDED = 10
WRAPPED = 11
QUEUED = 12
MESSAGE = 13

Fact: TypeAlias = tuple[int, int, str, str, str]
"""(at_ms, kind, segment_id or "", a, b). QUEUED: a queue, b channel. By an agent: a agent_id. OVERFLOWED: a reason.
MESSAGE: a party, b event id."""

OPEN: Final = ""
"""Outcome of a visit that still waits."""
ENDED_UNSEEN_MS = 120_000
"""How long an ended contact whose outcome is unknown waits for its late answer before it is lost."""

NONE, WAITING, HANDLING, LEFT = range(4)
"""The states of a life."""


class Visit:
    """One visit of a contact to one queue. Times in ms; -1 where it has not happened."""

    left_ms = -1
    outcome = OPEN
    overflow_reason = ""
    agent = ""
    ended_ms = -1
    hold_ms = 0
    held_since = -1
    wrapped_ms = -1
    transferred_in = False
    transferred_out = False
    declined: tuple[int, ...] = ()
    ended_unseen_ms = -1
    customer_first = -1
    agent_first = -1
    unanswered_since = -1

    def __init__(self, queue: str, channel: str, queued_ms: int) -> None:
        self.queue = queue
        self.channel = channel
        self.queued_ms = queued_ms

    def leave(self, outcome: str, at_ms: int) -> None:
        """The wait ends; the first sign of leaving decides when, the better explanation decides how."""
        if self.left_ms < 0:
            self.left_ms = at_ms
        self.outcome = outcome

    def end(self, at_ms: int) -> None:
        """The conversation ends; an open hold ends with it."""
        if self.held_since >= 0:
            self.hold_ms += at_ms - self.held_since
            self.held_since = -1
        self.ended_ms = at_ms


class Life:
    """The state machine of the table above, over facts taken in the order of time."""

    __slots__ = ("state", "transferring", "unmatched", "visits")

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        """In the order in which they began."""
        self.state = NONE
        self.unmatched = 0
        self.transferring = False

    def take(self, fact: Fact) -> bool:
        """Apply a fact if it fits the current state; say whether it did."""
        at_ms, kind, _, a, b = fact
        state = self.state
        if kind == QUEUED:
            self._queue(at_ms, a, b)
            return True
        if kind == MESSAGE:
            return self._message(at_ms, a)
        if kind == WRAPPED:
            return self._wrap(at_ms, a)
        if state == WAITING:
            return self._while_waiting(at_ms, kind, a)
        if state == HANDLING:
            return self._while_handling(at_ms, kind)
        return state == LEFT and self._after_leaving(kind, a)

    def _queue(self, at_ms: int, queue: str, channel: str) -> None:
        if self.state == WAITING:
            current = self.visits[-1]
            if current.ended_unseen_ms >= 0:
                current.leave("lost", current.ended_unseen_ms)
            else:
                current.overflow_reason = "requeued"
                current.leave("overflowed", at_ms)
        elif self.state == HANDLING:
            self.visits[-1].end(at_ms)
        visit = Visit(queue, channel, at_ms)
        if self.transferring:
            visit.transferred_in = True
            self.transferring = False
        self.visits.append(visit)
        self.state = WAITING

    def _while_waiting(self, at_ms: int, kind: int, a: str) -> bool:
        visit = self.visits[-1]
        if kind == ANSWERED:
            visit.agent = a
            visit.leave("answered", at_ms)
            self.state = HANDLING
            if visit.ended_unseen_ms >= 0:
                visit.end(max(at_ms, visit.ended_unseen_ms))
                self.state = NONE
        elif kind == ABANDONED:
            visit.leave("abandoned", at_ms)
            self.state = LEFT
        elif kind in (CALLBACK, OVERFLOWED):
            self._explain(visit, at_ms, kind, a)
            self.state = LEFT
        elif kind == DECLINED:
            visit.declined += (at_ms,)
        elif kind == ENDED:
            if visit.ended_unseen_ms < 0:
                visit.ended_unseen_ms = at_ms
        else:
            return kind == OFFERED
        return True

    @staticmethod
    def _explain(visit: Visit, at_ms: int, kind: int, reason: str) -> None:
        if kind == CALLBACK:
            visit.leave("callback", at_ms)
        else:
            visit.overflow_reason = reason
            visit.leave("overflowed", at_ms)

    def _while_handling(self, at_ms: int, kind: int) -> bool:
        visit = self.visits[-1]
        if kind in (ENDED, TRANSFERRED):
            visit.end(at_ms)
            self.state = NONE
            if kind == TRANSFERRED:
                visit.transferred_out = self.transferring = True
        elif kind == HELD:
            if visit.held_since < 0:
                visit.held_since = at_ms
        elif kind == RESUMED:
            if visit.held_since < 0:
                return False
            visit.hold_ms += at_ms - visit.held_since
            visit.held_since = -1
        else:
            return False
        return True

    def _after_leaving(self, kind: int, a: str) -> bool:
        visit = self.visits[-1]
        if kind in (CALLBACK, OVERFLOWED):
            if visit.outcome == "abandoned":
                self._explain(visit, visit.left_ms, kind, a)
            return True
        return kind in (ENDED, ABANDONED)

    def _wrap(self, at_ms: int, agent: str) -> bool:
        for visit in reversed(self.visits):
            if visit.outcome == "answered" and (not agent or not visit.agent or visit.agent == agent):
                if visit.ended_ms < 0 or visit.wrapped_ms >= 0:
                    return False
                visit.wrapped_ms = at_ms
                return True
        return False

    def _message(self, at_ms: int, by: str) -> bool:
        visit = self.visits[-1] if self.visits else None
        if visit is None or (self.state in (NONE, LEFT) and at_ms > max(visit.ended_ms, visit.left_ms)):
            return True
        if by == "customer":
            visit.unanswered_since = at_ms
            if visit.customer_first < 0:
                visit.customer_first = at_ms
        elif by == "agent":
            visit.unanswered_since = -1
            if visit.agent_first < 0:
                visit.agent_first = at_ms
        return True

    def take_together(self, facts: list[Fact]) -> None:
        """Facts of one millisecond: again and again the first that fits, until none does."""
        rest = facts
        while rest:
            for index, fact in enumerate(rest):
                deferred = fact[1] == WRAPPED and len(rest) > 1 and index < len(rest) - 1
                if not deferred and self.take(fact):
                    rest = rest[:index] + rest[index + 1 :]
                    break
            else:
                self.unmatched += len(rest)
                return


def lives(facts: Iterable[Fact]) -> dict[str, Life]:
    """The lives that the facts about a contact tell, by segment id, from all that is known.

    Args:
        facts: sorted. Facts with a segment id are told apart by it; the others by time.
    """
    by_id: dict[str, list[Fact]] = {}
    for fact in facts:
        by_id.setdefault(fact[2], []).append(fact)
    return {segment_id: _live(each) for segment_id, each in by_id.items()}


def visits_of(alive: Collection[Life]) -> list[Visit]:
    """The visits of a contact in the order in which they began; the visit that starts after a transfer is
    transferred in, whatever its segment id.
    """
    if len(alive) == 1:
        return next(iter(alive)).visits
    visits = sorted(
        (visit for life in alive for visit in life.visits), key=lambda v: (v.queued_ms, v.queue, v.channel)
    )
    for earlier, later in pairwise(visits):
        if earlier.transferred_out and later.queued_ms >= earlier.ended_ms:
            later.transferred_in = True
    return visits


def _live(facts: list[Fact]) -> Life:
    life = Life()
    index, count = 0, len(facts)
    while index < count:
        at_ms = facts[index][0]
        after = index + 1
        while after < count and facts[after][0] == at_ms:
            after += 1
        if after == index + 1:
            if not life.take(facts[index]):
                life.unmatched += 1
        else:
            life.take_together(facts[index:after])
        index = after
    return life
