"""What happens in a chat? Messages by both, sometimes a bot first, sometimes silence.

One thing at a time is planned for each answered chat, so nothing needs to be called off.
"""

from functools import partial

from streams.simulator.actors import GONE, TALKING, Contact
from streams.simulator.agenda import Agenda, Deed, Dice
from streams.simulator.outbox import Outbox
from streams.simulator.plan import Plan
from streams.simulator.record import Segment
from streams.simulator.service import Service

_WRITES_TWICE = 0.12
_ASKS_AGAIN = 0.3
_OPENS_AFTER_TRANSFER = 0.5
_CUSTOMER_GOES = 0.03


class Chats:
    """Conversations in writing."""

    def __init__(self, plan: Plan, dice: Dice, agenda: Agenda, outbox: Outbox, service: Service) -> None:
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._outbox = outbox
        self._service = service

    def with_bot(self, contact: Contact, then: Deed, now_ms: int) -> None:
        """A bot asks, the customer writes back; then the contact is queued."""
        self._outbox.message(now_ms, contact, "bot")
        self._agenda.at(now_ms + self._dice.between(4.0, 30.0), partial(self._reply_to_bot, contact, then))

    def queued(self, contact: Contact, now_ms: int) -> None:
        """Customers say what they want while they wait; after a transfer many leave that to the agents."""
        contact.opening_ms = now_ms
        if contact.visits == 1 or self._dice.chance(_OPENS_AFTER_TRANSFER):
            contact.opening_ms = now_ms + self._dice.between(0.5, 15.0)
            self._agenda.at(contact.opening_ms, partial(self._open, contact, contact.segment))

    def answered(self, contact: Contact, now_ms: int) -> None:
        """The agent reads what is there and writes; never before the customer's opening words."""
        contact.turns_left = int(self._dice.exponential(self._plan.chat_turns) / 1000 + 0.5)
        first_ms = max(now_ms, contact.opening_ms) + self._think_ms(contact)
        self._agenda.at(first_ms, partial(self._agent_writes, contact))

    def _reply_to_bot(self, contact: Contact, then: Deed, now_ms: int) -> None:
        self._outbox.message(now_ms, contact, "customer")
        self._agenda.at(now_ms + self._dice.between(0.2, 2.0), partial(self._bot_gives_up, contact, then))

    def _bot_gives_up(self, contact: Contact, then: Deed, now_ms: int) -> None:
        self._outbox.message(now_ms, contact, "bot")
        then(now_ms)

    def _open(self, contact: Contact, segment: Segment, now_ms: int) -> None:
        if contact.segment is not segment or contact.where == GONE:
            return
        self._customer_says(contact, now_ms)
        if contact.where != TALKING and self._dice.chance(_ASKS_AGAIN):
            again_ms = now_ms + self._dice.between(30.0, 150.0)
            self._agenda.at(again_ms, partial(self._ask_again, contact, segment))

    def _ask_again(self, contact: Contact, segment: Segment, now_ms: int) -> None:
        if contact.segment is segment and contact.where not in (GONE, TALKING):
            self._customer_says(contact, now_ms)

    def _customer_says(self, contact: Contact, now_ms: int) -> None:
        self._outbox.message(now_ms, contact, "customer")
        segment = contact.segment
        segment.last_customer_ms = now_ms
        if segment.first_customer_ms is None:
            segment.first_customer_ms = now_ms

    def _customer_writes(self, contact: Contact, now_ms: int) -> None:
        self._customer_says(contact, now_ms)
        if self._dice.chance(_WRITES_TWICE):
            more_ms = now_ms + self._think_ms(contact) // 3 + 1
            self._agenda.at(more_ms, partial(self._customer_writes, contact))
        elif self._dice.chance(self._plan.silent_share):
            silence_ms = self._dice.between(0.5, 2.5) * contact.line.policy.silent_after_s
            self._close_after(contact, silence_ms, now_ms)
        else:
            self._agenda.at(now_ms + self._think_ms(contact), partial(self._agent_writes, contact))

    def _agent_writes(self, contact: Contact, now_ms: int) -> None:
        self._outbox.message(now_ms, contact, "agent")
        segment = contact.segment
        segment.last_agent_ms = now_ms
        if segment.first_agent_ms is None:
            segment.first_agent_ms = now_ms
        if contact.turns_left == 0:
            self._close_after(contact, self._dice.between(3.0, 40.0), now_ms)
        elif self._dice.chance(_CUSTOMER_GOES):
            self._close_after(contact, self._dice.between(120.0, 400.0), now_ms)
        else:
            contact.turns_left -= 1
            self._agenda.at(now_ms + self._think_ms(contact), partial(self._customer_writes, contact))

    def _close_after(self, contact: Contact, wait_ms: float, now_ms: int) -> None:
        wait = min(int(wait_ms), contact.line.longest_gap_ms)
        self._agenda.at(now_ms + wait, partial(self._service.finish, contact))

    def _think_ms(self, contact: Contact) -> int:
        return min(1000 + self._dice.exponential(self._plan.chat_think_s - 1.0), contact.line.longest_gap_ms)
