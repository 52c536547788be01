"""What does one contact add to the panes? A pure function of its facts, the queues' promises and the clock.

A segment's contribution is a tuple of *increments* ``(at_ms, slot, value)`` in the order in which things happened, so
that an event that arrives in order only appends. The fold adds new minus old contributions to its panes.
"""

from typing import TypeAlias

from schemas.counts import (
    ABANDONED,
    ABANDONED_HISTOGRAM,
    ABANDONED_IN_X,
    ABANDONED_SHORT,
    ABANDONED_WAIT_MS,
    ANSWERED,
    ANSWERED_HISTOGRAM,
    ANSWERED_IN_X,
    ANSWERED_WAIT_MS,
    CALLBACK,
    CALLBACK_IN_X,
    CALLBACK_WAIT_MS,
    DECLINED,
    FIRST_RESPONSE_MS,
    FIRST_RESPONSES,
    FIRST_RESPONSES_IN_X,
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
from streams.contact import ENDED_UNSEEN_MS, OPEN, Fact, Visit, visits_of
from streams.site import Site, histogram_bucket

Increment: TypeAlias = tuple[int, int, int]
"""(at_ms, slot, value)"""
Segment: TypeAlias = tuple[str, str, int, int, int, int, tuple[Increment, ...]]
"""(queue, channel, queued_ms, left_ms, service_from_ms, service_to_ms, increments); -1: not yet, or never."""

NEVER = 1 << 62


class Promise:
    """The numbers of one queue's policy, in ms, ready for the hot path."""

    __slots__ = ("edges_ms", "in_x_ms", "reap_ms", "short_ms", "silent_ms")

    def __init__(self, site: Site, queue: str, channel: str, edges_ms: tuple[int, ...]) -> None:
        policy = site.policy(queue, channel)
        self.in_x_ms = round(policy.answer_within_s * 1000)
        self.short_ms = round(policy.short_abandon_s * 1000)
        self.silent_ms = round(policy.silent_after_s * 1000)
        self.reap_ms = round(policy.reap_after_s * 1000)
        self.edges_ms = edges_ms


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


def contributions(facts: tuple[Fact, ...], now_ms: int, promises: Promises) -> tuple[tuple[Segment, ...], int, int, int]:
    """What a contact adds to the panes at `now_ms`.

    Returns:
        its segments, how many facts fit nowhere, when (ms) time alone changes this next (`NEVER`: it does not), and
        1 if the contact was given up (lost), else 0.
    """
    visits, unmatched = visits_of(facts)
    last_ms = facts[-1][0]
    segments = []
    due_ms = NEVER
    lost = 0
    for visit in visits:
        promise = promises.of(visit.queue, visit.channel)
        service_to_ms = visit.ended_ms
        if visit.outcome == OPEN:
            seen_ms = visit.ended_unseen_ms
            gone_ms, patience_ms = (seen_ms, ENDED_UNSEEN_MS) if seen_ms >= 0 else (last_ms + promise.reap_ms, 0)
            if now_ms > gone_ms + patience_ms:
                visit.leave("lost", gone_ms)
                lost = 1
            else:
                due_ms = min(due_ms, gone_ms + patience_ms + 1)
        elif visit.outcome == "answered" and service_to_ms < 0:
            if now_ms > last_ms + promise.reap_ms:
                service_to_ms = last_ms + promise.reap_ms
                lost = 1
            else:
                due_ms = min(due_ms, last_ms + promise.reap_ms + 1)
        silent = False
        if visit.unanswered_since >= 0:
            silent_ms = visit.unanswered_since + promise.silent_ms
            over_ms = visit.ended_ms if visit.outcome == "answered" else visit.left_ms
            silent = min(now_ms, over_ms if over_ms >= 0 else now_ms) >= silent_ms
            if not silent and over_ms < 0:
                due_ms = min(due_ms, silent_ms)
        answered = visit.outcome == "answered"
        segments.append(
            (
                visit.queue,
                visit.channel,
                visit.queued_ms,
                visit.left_ms,
                visit.left_ms if answered else -1,
                service_to_ms if answered else -1,
                _increments(visit, promise, silent),
            )
        )
    return tuple(segments), unmatched, due_ms, lost


def _increments(visit: Visit, promise: Promise, silent: bool) -> tuple[Increment, ...]:
    queued_ms, left_ms, outcome = visit.queued_ms, visit.left_ms, visit.outcome
    out: list[Increment] = [(queued_ms, OFFERED, 1)]
    if visit.transferred_in:
        out.append((queued_ms, TRANSFERRED_IN, 1))
    for at_ms in visit.declined:
        out.append((at_ms, DECLINED, 1))
    if outcome == "answered":
        wait_ms = left_ms - queued_ms
        out.append((left_ms, ANSWERED, 1))
        out.append((left_ms, ANSWERED_HISTOGRAM + histogram_bucket(promise.edges_ms, wait_ms), 1))
        if wait_ms:
            out.append((left_ms, ANSWERED_WAIT_MS, wait_ms))
        if wait_ms <= promise.in_x_ms:
            out.append((left_ms, ANSWERED_IN_X, 1))
        if visit.ended_ms >= 0:
            _handling(visit, out)
    elif outcome != OPEN:
        _left_unanswered(visit, promise, out)
    if visit.agent_first >= 0:
        _first_response(visit, promise, out)
    if silent:
        out.append((visit.unanswered_since + promise.silent_ms, SILENT_ABANDONED, 1))
    return tuple(out)


def _handling(visit: Visit, out: list[Increment]) -> None:
    ended_ms = visit.ended_ms
    out.append((ended_ms, HANDLED, 1))
    out.append((ended_ms, TALK_MS, ended_ms - visit.left_ms - visit.hold_ms))
    if visit.hold_ms:
        out.append((ended_ms, HOLD_MS, visit.hold_ms))
    if visit.transferred_out:
        out.append((ended_ms, TRANSFERRED_OUT, 1))
    if visit.wrapped_ms >= 0:
        out.append((visit.wrapped_ms, WRAP_UP_MS, visit.wrapped_ms - ended_ms))


def _left_unanswered(visit: Visit, promise: Promise, out: list[Increment]) -> None:
    left_ms = visit.left_ms
    wait_ms = left_ms - visit.queued_ms
    in_x = wait_ms <= promise.in_x_ms
    if visit.outcome == "abandoned":
        out.append((left_ms, ABANDONED, 1))
        out.append((left_ms, ABANDONED_HISTOGRAM + histogram_bucket(promise.edges_ms, wait_ms), 1))
        out.append((left_ms, ABANDONED_WAIT_MS, wait_ms))
        if in_x:
            out.append((left_ms, ABANDONED_IN_X, 1))
        if wait_ms <= promise.short_ms:
            out.append((left_ms, ABANDONED_SHORT, 1))
    elif visit.outcome == "callback":
        out.append((left_ms, CALLBACK, 1))
        out.append((left_ms, CALLBACK_WAIT_MS, wait_ms))
        if in_x:
            out.append((left_ms, CALLBACK_IN_X, 1))
    elif visit.outcome == "overflowed":
        out.append((left_ms, OVERFLOWED.get(visit.overflow_reason, OVERFLOWED["other"]), 1))
        out.append((left_ms, OVERFLOWED_WAIT_MS, wait_ms))
    else:
        out.append((left_ms, LOST, 1))
        out.append((left_ms, LOST_WAIT_MS, wait_ms))


def _first_response(visit: Visit, promise: Promise, out: list[Increment]) -> None:
    asked_ms = visit.customer_first if visit.customer_first >= 0 else visit.queued_ms
    took_ms = max(0, visit.agent_first - asked_ms)
    out.append((visit.agent_first, FIRST_RESPONSES, 1))
    out.append((visit.agent_first, FIRST_RESPONSE_MS, took_ms))
    if took_ms <= promise.in_x_ms:
        out.append((visit.agent_first, FIRST_RESPONSES_IN_X, 1))
