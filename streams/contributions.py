"""What does one visit add to the panes? A pure function of the visit, the queue's promise and the clock.

A contribution is a tuple of *increments* ``(at_ms, slot, value)`` in the order in which things happened, so that an
event that arrives in order only appends. The fold adds new minus old contributions to its panes.
"""

from bisect import bisect_left
from typing import NamedTuple

from schemas.counts import (
    ABANDONED_FROM,
    ABANDONED_WAIT_MS,
    ANSWERED_FROM,
    ANSWERED_WAIT_MS,
    BEYOND_MS,
    CALLBACK_IN_X,
    CALLBACK_LATE,
    CALLBACK_WAIT_MS,
    DECLINED,
    FIRST_RESPONSE_MS,
    FIRST_RESPONSES_IN_X,
    FIRST_RESPONSES_LATE,
    HANDLED,
    HOLD_MS,
    LOST,
    LOST_WAIT_MS,
    OFFERED,
    OVERFLOWED,
    OVERFLOWED_WAIT_MS,
    SILENT_ABANDONED,
    TALK_MS,
    TRANSFERRED_IN,
    TRANSFERRED_OUT,
    WRAP_UP_MS,
)
from streams.contact import ENDED_UNSEEN_MS, Visit
from streams.site import Site

Increment = tuple[int, int, int]
"""(at_ms, slot, value)"""
NEVER = 1 << 62


class Segment(NamedTuple):
    """What one visit means to its queue. Times in ms; -1: not yet, or never."""

    queue: str
    channel: str
    queued_ms: int
    left_ms: int
    service_from_ms: int
    service_to_ms: int
    increments: tuple[Increment, ...]
    due_ms: int
    """When time alone changes this next; `NEVER`: it does not."""
    lost: int
    """1 if the contact was given up here: no event for too long."""
    timed: bool
    """True when time alone changed something."""
    promised: bool
    """True when it ended in the promise to call back."""


class Promise:
    """The numbers of one queue's policy, in ms, ready for the hot path."""

    __slots__ = (
        "abandoned_slots",
        "answered_slots",
        "edges_ms",
        "edges_s",
        "in_x_ms",
        "policy",
        "reap_ms",
        "short_ms",
        "silent_ms",
    )

    def __init__(self, site: Site, queue: str, channel: str, edges_ms: tuple[int, ...]) -> None:
        policy = self.policy = site.policy(queue, channel)
        self.short_ms = round(policy.short_abandon_s * 1000)
        self.in_x_ms = round(policy.answer_within_s * 1000)
        self.silent_ms = round(policy.silent_after_s * 1000)
        self.reap_ms = round(policy.reap_after_s * 1000)
        self.edges_ms = edges_ms
        self.edges_s = [edge / 1000 for edge in edges_ms]
        self.answered_slots = [ANSWERED_FROM + edge for edge in (*edges_ms, BEYOND_MS)]
        self.abandoned_slots = [ABANDONED_FROM + edge for edge in (*edges_ms, BEYOND_MS)]


class Promises:
    """The promise of every queue and channel met so far (bounded by the fold's limit on queues)."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._edges_ms = site.edges_ms()
        self._known: dict[tuple[str, str], Promise] = {}

    def of(self, queue: str, channel: str) -> Promise:
        """The promise of one queue and channel."""
        promise = self._known.get((queue, channel))
        if promise is None:
            promise = Promise(self._site, queue, channel, self._edges_ms)
            self._known[queue, channel] = promise
        return promise


def segment_of(visit: Visit, last_ms: int, now_ms: int, promise: Promise) -> Segment:
    """What a visit means at `now_ms`, the newest event of its contact being at `last_ms`."""
    out = [(visit.queued_ms, OFFERED, 1)]
    left_ms = visit.left_ms
    due_ms = NEVER
    lost = 0
    timed = False
    if visit.transferred_in:
        out.append((visit.queued_ms, TRANSFERRED_IN, 1))
    for at_ms in visit.declined:
        out.append((at_ms, DECLINED, 1))
    if visit.outcome == "answered":
        over_ms = visit.ended_ms
        answered(visit, promise, out)
        if over_ms >= 0:
            handled(visit, out)
        if over_ms < 0:
            due_ms = last_ms + promise.reap_ms + 1
            if now_ms >= due_ms:
                over_ms, due_ms, lost = due_ms - 1, NEVER, 1
        from_ms, to_ms, over_ms = left_ms, over_ms, visit.ended_ms
    else:
        from_ms = to_ms = -1
        if left_ms < 0:
            seen_ms = visit.ended_unseen_ms
            gone_ms = seen_ms if seen_ms >= 0 else last_ms + promise.reap_ms
            due_ms = gone_ms + 1 + (ENDED_UNSEEN_MS if seen_ms >= 0 else 0)
            if now_ms >= due_ms:
                left_ms, due_ms, lost = gone_ms, NEVER, 1
                _lost(visit.queued_ms, left_ms, out)
        else:
            left_unanswered(visit, promise, out)
        over_ms = left_ms
    if visit.agent_first >= 0:
        first_response(visit, promise, out)
    if visit.unanswered_since >= 0:
        silent_ms = visit.unanswered_since + promise.silent_ms
        if (now_ms if over_ms < 0 else min(now_ms, over_ms)) >= silent_ms:
            out.append((silent_ms, SILENT_ABANDONED, 1))
            timed = True
        elif over_ms < 0:
            due_ms = min(due_ms, silent_ms)
    return Segment(
        visit.queue,
        visit.channel,
        visit.queued_ms,
        left_ms,
        from_ms,
        to_ms,
        tuple(out),
        due_ms,
        lost,
        timed or bool(lost),
        visit.outcome == "callback",
    )


def answered(visit: Visit, promise: Promise, out: list[Increment]) -> None:
    """Append what the answer adds."""
    left_ms = visit.left_ms
    wait_ms = left_ms - visit.queued_ms
    out.append((left_ms, promise.answered_slots[bisect_left(promise.edges_ms, wait_ms)], 1))
    if wait_ms:
        out.append((left_ms, ANSWERED_WAIT_MS, wait_ms))


def handled(visit: Visit, out: list[Increment]) -> None:
    """Append what the end of an answered visit adds, and the wrap-up after it."""
    ended_ms = visit.ended_ms
    out.append((ended_ms, HANDLED, 1))
    out.append((ended_ms, TALK_MS, ended_ms - visit.left_ms - visit.hold_ms))
    if visit.hold_ms:
        out.append((ended_ms, HOLD_MS, visit.hold_ms))
    if visit.transferred_out:
        out.append((ended_ms, TRANSFERRED_OUT, 1))
    if visit.wrapped_ms >= 0:
        out.append((visit.wrapped_ms, WRAP_UP_MS, visit.wrapped_ms - ended_ms))


def left_unanswered(visit: Visit, promise: Promise, out: list[Increment]) -> None:
    """Append what leaving without an answer adds."""
    left_ms, outcome = visit.left_ms, visit.outcome
    wait_ms = left_ms - visit.queued_ms
    if outcome == "abandoned":
        out.append((left_ms, promise.abandoned_slots[bisect_left(promise.edges_ms, wait_ms)], 1))
        out.append((left_ms, ABANDONED_WAIT_MS, wait_ms))
    elif outcome == "callback":
        out.append((left_ms, CALLBACK_IN_X if wait_ms <= promise.in_x_ms else CALLBACK_LATE, 1))
        out.append((left_ms, CALLBACK_WAIT_MS, wait_ms))
    elif outcome == "overflowed":
        out.append((left_ms, OVERFLOWED.get(visit.overflow_reason, OVERFLOWED["other"]), 1))
        out.append((left_ms, OVERFLOWED_WAIT_MS, wait_ms))
    else:
        _lost(visit.queued_ms, left_ms, out)


def _lost(queued_ms: int, left_ms: int, out: list[Increment]) -> None:
    out.append((left_ms, LOST, 1))
    out.append((left_ms, LOST_WAIT_MS, left_ms - queued_ms))


def first_response(visit: Visit, promise: Promise, out: list[Increment]) -> None:
    """Append what the first answer in a chat adds."""
    asked_ms = visit.customer_first if 0 <= visit.customer_first <= visit.agent_first else visit.queued_ms
    took_ms = visit.agent_first - asked_ms
    in_x = took_ms <= promise.in_x_ms
    out.append((visit.agent_first, FIRST_RESPONSES_IN_X if in_x else FIRST_RESPONSES_LATE, 1))
    out.append((visit.agent_first, FIRST_RESPONSE_MS, took_ms))
