"""Who waits, at whom does it ring, who gives up? First come, first served; the agent free for longest first.

Refuses to know what is said once a contact is answered (`calls`, `chats`).
"""

from functools import partial

import schemas.events as e
from streams.simulator.actors import (
    GONE,
    RINGING,
    TALKING,
    WAITING,
    Agent,
    Contact,
    Line,
)
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.outbox import Outbox
from streams.simulator.plan import Plan
from streams.simulator.record import Record, Segment
from streams.simulator.staff import Staff, enlist, unlist
from streams.simulator.wiring import Conversation

_MOST_VISITS = 4
_LEAST_RING_MS = 700


class Floor:
    """All lines. Contacts enter; they leave as answered, abandoned, called back or overflowed."""

    def __init__(
        self, plan: Plan, dice: Dice, agenda: Agenda, outbox: Outbox, staff: Staff, record: Record | None
    ) -> None:
        self.conversations: dict[bool, Conversation] = {}
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._outbox = outbox
        self._staff = staff
        self._record = record

    def enter(self, contact: Contact, line: Line, transferred_in: bool, now_ms: int) -> None:
        """The contact is queued: a new segment starts."""
        contact.line = line
        contact.visits += 1
        segment_id = f"{contact.contact_id}/{contact.visits}"
        contact.segment = Segment(segment_id, line.name, now_ms, now_ms, transferred_in=transferred_in)
        if self._record is not None:
            self._record.segments.append(contact.segment)
        self._outbox.queued(now_ms, contact)
        self._plan_leaving(contact, now_ms)
        self.conversations[line.is_chat].queued(contact, now_ms)
        self._wait(contact, now_ms, first=False)

    def feed(self, agent: Agent, now_ms: int) -> None:
        """Give a free agent whoever waits longest in the agent's lines, or list the agent as free."""
        while agent.in_hand() < agent.capacity:
            heads = [contact for line in agent.lines if (contact := _head(line, agent)) is not None]
            if not heads:
                enlist(agent)
                return
            contact = min(heads, key=_queued_ms)
            contact.line.waiting.remove(contact)
            self._ring(contact, agent, now_ms)
        unlist(agent)

    def _wait(self, contact: Contact, now_ms: int, first: bool) -> None:
        contact.where = WAITING
        line = contact.line
        agent = next((each for each in line.free if each not in contact.formers), None)
        if agent is not None:
            self._ring(contact, agent, now_ms)
        elif first:
            line.waiting.appendleft(contact)
        else:
            line.waiting.append(contact)

    def _ring(self, contact: Contact, agent: Agent, now_ms: int) -> None:
        contact.where = RINGING
        contact.agent = agent
        contact.rings += 1
        agent.ringing += 1
        unlist(agent)
        if agent.in_hand() < agent.capacity:
            enlist(agent)
        self._outbox.by_agent(now_ms, contact, e.ContactOffered, contact.segment, agent)
        plan = self._plan
        if self._dice.chance(plan.decline_share):
            rings_ms = self._dice.between(1.0, plan.ring_timeout_s)
            self._agenda.at(now_ms + rings_ms, partial(self._decline, contact, agent, contact.rings))
        else:
            rings_ms = _LEAST_RING_MS + self._dice.exponential(plan.ring_s - _LEAST_RING_MS / 1000)
            rings_ms = min(rings_ms, int(plan.ring_timeout_s * 1000))
            self._agenda.at(now_ms + rings_ms, partial(self._answer, contact, agent, contact.rings))

    def _answer(self, contact: Contact, agent: Agent, ring: int, now_ms: int) -> None:
        if contact.where != RINGING or contact.rings != ring:
            return
        contact.where = TALKING
        agent.ringing -= 1
        agent.contacts += 1
        contact.segment.left_ms = now_ms
        contact.segment.outcome = "answered"
        self._outbox.by_agent(now_ms, contact, e.ContactAnswered, contact.segment, agent)
        self._staff.show(agent, now_ms)
        self.conversations[contact.line.is_chat].answered(contact, now_ms)

    def _decline(self, contact: Contact, agent: Agent, ring: int, now_ms: int) -> None:
        if contact.where != RINGING or contact.rings != ring:
            return
        contact.segment.declined += 1
        contact.agent = None
        agent.ringing -= 1
        self._outbox.by_agent(now_ms, contact, e.ContactDeclined, contact.segment, agent)
        self._staff.pause(agent, now_ms)
        self._wait(contact, now_ms, first=True)

    def _plan_leaving(self, contact: Contact, now_ms: int) -> None:
        """Decide when the contact leaves if nobody answers before, and as what."""
        plan, dice, line = self._plan, self._dice, contact.line
        contact.leaves_as = "abandoned"
        if dice.chance(plan.short_share):
            wait_ms = dice.between(0.3, line.policy.short_abandon_s)
        elif line.is_chat:
            wait_ms = dice.lognormal(plan.chat_patience_s, 0.7)
        else:
            wait_ms = dice.exponential(plan.patience_s)
        if line.overflows and wait_ms > plan.overflow_after_s * 1000:
            wait_ms = int(plan.overflow_after_s * 1000)
            contact.leaves_as = "timeout"
        if dice.chance(plan.key_press_share):
            wait_ms = self._sooner(contact, wait_ms, dice.between(5.0, 60.0), "key_press")
        elif not line.is_chat and dice.chance(plan.callback_share):
            wait_ms = self._sooner(contact, wait_ms, dice.between(20.0, 90.0), "callback")
        leave_ms = now_ms + min(wait_ms, line.longest_gap_ms)
        self._agenda.at(leave_ms, partial(self._leave, contact, contact.segment))

    def _sooner(self, contact: Contact, planned_ms: int, wait_ms: int, leaves_as: str) -> int:
        if wait_ms >= planned_ms:
            return planned_ms
        contact.leaves_as = leaves_as
        return wait_ms

    def _leave(self, contact: Contact, segment: Segment, now_ms: int) -> None:
        if contact.segment is not segment or contact.where not in (WAITING, RINGING):
            return
        if contact.where == RINGING and contact.leaves_as != "abandoned":
            # The system does not take away what already rings; now only the customer's patience counts.
            contact.leaves_as = "abandoned"
            wait_ms = min(self._dice.exponential(60.0), contact.line.longest_gap_ms)
            self._agenda.at(now_ms + wait_ms, partial(self._leave, contact, segment))
            return
        agent = contact.agent
        contact.agent = None
        if agent is None:
            contact.line.waiting.remove(contact)
        contact.where = GONE
        if not self._dice.chance(self._plan.lost_leaves):
            self._tell_leaving(contact, segment, now_ms)
        if agent is not None:
            agent.ringing -= 1
            self._staff.settle(agent, now_ms)

    def _tell_leaving(self, contact: Contact, segment: Segment, now_ms: int) -> None:
        segment.left_ms = now_ms
        match contact.leaves_as:
            case "abandoned":
                segment.outcome = "abandoned"
                self._outbox.plain(now_ms, contact, e.ContactAbandoned)
            case "callback":
                segment.outcome = "callback"
                self._outbox.plain(now_ms, contact, e.ContactCallbackRequested)
                self._plan_callback(contact, now_ms)
            case "key_press":
                self._overflow(contact, segment, "key_press", now_ms)
            case _:
                self._overflow(contact, segment, "timeout", now_ms)

    def _plan_callback(self, contact: Contact, now_ms: int) -> None:
        mean_s = self._plan.callback_after_s
        if mean_s and contact.visits < _MOST_VISITS:
            back_ms = now_ms + self._dice.between(0.2 * mean_s, 1.8 * mean_s)
            self._agenda.at(back_ms, partial(self.enter, contact, contact.line, False))

    def _overflow(self, contact: Contact, segment: Segment, reason: e.OverflowReason, now_ms: int) -> None:
        neighbours = contact.line.neighbours
        to_line = neighbours[0] if neighbours and contact.visits < _MOST_VISITS else None
        segment.outcome = "overflowed"
        segment.overflow_reason = reason
        self._outbox.overflowed(now_ms, contact, reason, to_line.name if to_line else None)
        if to_line is not None:
            again_ms = now_ms + self._dice.between(0.05, 0.4)
            self._agenda.at(again_ms, partial(self.enter, contact, to_line, False))


def _head(line: Line, agent: Agent) -> Contact | None:
    """Whoever waits longest in the line and does not come from this agent."""
    return next((contact for contact in line.waiting if agent not in contact.formers), None)


def _queued_ms(contact: Contact) -> int:
    return contact.segment.queued_ms
