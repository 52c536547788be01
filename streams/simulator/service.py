"""How does handling end? Ended or transferred, then wrap-up; now and then the news of it is lost."""

from functools import partial

import schemas.events as e
from streams.simulator.actors import GONE, Agent, Contact, Line
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.floor import Floor
from streams.simulator.outbox import Outbox
from streams.simulator.plan import Plan
from streams.simulator.record import Segment
from streams.simulator.staff import Staff

_MOST_VISITS = 3


class Service:
    """The end of a conversation, the same for calls and chats."""

    def __init__(
        self, plan: Plan, dice: Dice, agenda: Agenda, outbox: Outbox, staff: Staff, floor: Floor
    ) -> None:
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._outbox = outbox
        self._staff = staff
        self._floor = floor

    def finish(self, contact: Contact, now_ms: int) -> None:
        """Talk is over: the contact goes, or goes on to another queue; the agent wraps up."""
        agent, segment = contact.agent, contact.segment
        assert agent is not None
        contact.agent = None
        contact.where = GONE
        agent.contacts -= 1
        agent.wrapping += 1
        told = not self._dice.chance(self._plan.lost_ends)
        if told:
            self._tell_end(contact, segment, agent, now_ms)
        self._staff.show(agent, now_ms)
        wrap_ms = min(self._dice.lognormal(self._plan.wrap_s, 0.7), contact.line.longest_gap_ms)
        self._agenda.at(now_ms + wrap_ms, partial(self._wrapped, contact, segment, agent, told))

    def _tell_end(self, contact: Contact, segment: Segment, agent: Agent, now_ms: int) -> None:
        segment.ended_ms = now_ms
        to_line = self._next_line(contact)
        if to_line is None:
            self._outbox.finished(now_ms, contact, e.ContactEnded, segment, agent)
            return
        segment.transferred_out = True
        contact.formers = (*contact.formers, agent)
        self._outbox.transferred(now_ms, contact, agent, to_line.name)
        again_ms = now_ms + self._dice.between(0.1, 0.9)
        self._agenda.at(again_ms, partial(self._floor.enter, contact, to_line, True))

    def _next_line(self, contact: Contact) -> Line | None:
        neighbours = contact.line.neighbours
        if neighbours and contact.visits < _MOST_VISITS and self._dice.chance(self._plan.transfer_share):
            return neighbours[int(self._dice.random() * len(neighbours))]
        return None

    def _wrapped(self, contact: Contact, segment: Segment, agent: Agent, told: bool, now_ms: int) -> None:
        agent.wrapping -= 1
        if told:
            segment.wrapped_ms = now_ms
            self._outbox.finished(now_ms, contact, e.ContactWrapped, segment, agent)
        self._staff.settle(agent, now_ms)
