"""What happens in a call? Talk, sometimes a hold, sometimes the customer hangs up while on hold."""

from functools import partial

import schemas.events as e
from streams.simulator.actors import Contact
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.outbox import Outbox
from streams.simulator.plan import Plan
from streams.simulator.service import Service

_HANGS_UP_ON_HOLD = 0.05
_LEAST_TALK_MS = 5000


class Calls:
    """Conversations on every channel but chat."""

    def __init__(self, plan: Plan, dice: Dice, agenda: Agenda, outbox: Outbox, service: Service) -> None:
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._outbox = outbox
        self._service = service

    def queued(self, contact: Contact, now_ms: int) -> None:
        """A caller hears music."""

    def answered(self, contact: Contact, now_ms: int) -> None:
        """Decide how long there is to talk, and begin."""
        contact.talk_left_ms = self._dice.lognormal(self._plan.talk_s * contact.line.talk, 0.75)
        self._talk(contact, now_ms)

    def _talk(self, contact: Contact, now_ms: int) -> None:
        left_ms = min(contact.talk_left_ms, contact.line.longest_gap_ms)
        if left_ms > _LEAST_TALK_MS and self._dice.chance(self._plan.hold_share):
            part_ms = int(left_ms * self._dice.random()) or 1
            contact.talk_left_ms = left_ms - part_ms
            self._agenda.at(now_ms + part_ms, partial(self._hold, contact))
        else:
            self._agenda.at(now_ms + left_ms, partial(self._service.finish, contact))

    def _hold(self, contact: Contact, now_ms: int) -> None:
        self._outbox.plain(now_ms, contact, e.ContactHeld)
        length_ms = min(self._dice.exponential(self._plan.hold_s), contact.line.longest_gap_ms)
        ends = self._hang_up if self._dice.chance(_HANGS_UP_ON_HOLD) else self._resume
        self._agenda.at(now_ms + length_ms, partial(ends, contact, now_ms))

    def _resume(self, contact: Contact, held_ms: int, now_ms: int) -> None:
        contact.segment.hold_ms += now_ms - held_ms
        self._outbox.plain(now_ms, contact, e.ContactResumed)
        self._talk(contact, now_ms)

    def _hang_up(self, contact: Contact, held_ms: int, now_ms: int) -> None:
        """The hold has no end of its own: it ends with the call."""
        contact.segment.hold_ms += now_ms - held_ms
        self._service.finish(contact, now_ms)
