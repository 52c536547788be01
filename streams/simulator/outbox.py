"""How does what happened become events? CloudEvents with unique ids, in the order they are put in.

Refuses to decide anything; it only writes down, also for the record, when a contact was last heard of.
"""

from datetime import UTC, datetime
from typing import Protocol, TypeVar

import schemas.events as e
from schemas.topics import PRESENCE
from streams.simulator.actors import Agent, Contact
from streams.simulator.record import Segment

SOURCE = "sim/acd"
Sent = tuple[str, str, e.AnyEvent]
"""Topic, key, event."""

_Data = TypeVar("_Data", contravariant=True)


class _Maker(Protocol[_Data]):
    """The constructor of an event type whose data is `_Data`."""

    def __call__(self, *, id: str, source: str, time: datetime, subject: str, data: _Data) -> e.AnyEvent: ...


class Outbox:
    """Events not yet taken, in time order. `prefix` makes the ids differ from other simulations'."""

    def __init__(self, prefix: str, segment_ids: bool) -> None:
        self.events: list[Sent] = []
        self.count = 0
        self._prefix = prefix
        self._segment_ids = segment_ids
        self._now_ms = -1
        self._now = datetime.fromtimestamp(0, UTC)

    def queued(self, now_ms: int, contact: Contact) -> None:
        """The contact entered its line."""
        data = e.Queued(
            contact_id=contact.contact_id, segment_id=self._id(contact.segment), queue=contact.line.name,
            channel=contact.line.channel, customer_id=contact.customer_id, reason=contact.reason,
        )  # fmt: skip
        self._put(now_ms, contact, e.ContactQueued, data)

    def by_agent(
        self, now_ms: int, contact: Contact, kind: _Maker[e.ByAgent], segment: Segment, agent: Agent
    ) -> None:
        """Something an agent did: offered, declined, answered."""
        data = e.ByAgent(contact.contact_id, self._id(segment), agent_id=agent.agent_id)
        self._put(now_ms, contact, kind, data)

    def finished(
        self, now_ms: int, contact: Contact, kind: _Maker[e.Finished], segment: Segment, agent: Agent
    ) -> None:
        """The agent is done with the contact: ended, wrapped."""
        data = e.Finished(contact.contact_id, self._id(segment), agent_id=agent.agent_id)
        self._put(now_ms, contact, kind, data)

    def plain(self, now_ms: int, contact: Contact, kind: _Maker[e.ContactRef]) -> None:
        """Something that says no more than which visit: held, resumed, abandoned, callback requested."""
        self._put(now_ms, contact, kind, e.ContactRef(contact.contact_id, self._id(contact.segment)))

    def transferred(self, now_ms: int, contact: Contact, agent: Agent, to_queue: str) -> None:
        """The agent passes the contact on."""
        data = e.Transferred(
            contact.contact_id, self._id(contact.segment), agent_id=agent.agent_id, to_queue=to_queue
        )
        self._put(now_ms, contact, e.ContactTransferred, data)

    def overflowed(
        self, now_ms: int, contact: Contact, reason: e.OverflowReason, to_queue: str | None
    ) -> None:
        """The system takes the contact out of the line."""
        data = e.Overflowed(contact.contact_id, self._id(contact.segment), reason=reason, to_queue=to_queue)
        self._put(now_ms, contact, e.ContactOverflowed, data)

    def message(self, now_ms: int, contact: Contact, by: e.Party) -> None:
        """Somebody writes. Before the contact is queued for the first time, there is no visit to name."""
        segment_id = self._id(contact.segment) if contact.visits else None
        self._put(now_ms, contact, e.ChatMessage, e.Message(contact.contact_id, segment_id, by=by))

    def sign(self, now_ms: int, agent: Agent) -> None:
        """The agent's state as shown, since when, and with how many contacts."""
        since = datetime.fromtimestamp(agent.since_ms / 1000, UTC)
        signs = agent.signs
        data = e.AgentPresence(
            agent.agent_id, agent.shown_state, signs.queues, signs.team, agent.shown_contacts, since
        )
        self.count += 1
        event = e.AgentState(
            id=f"{self._prefix}-{self.count}",
            source=SOURCE,
            time=self._time(now_ms),
            subject=agent.agent_id,
            data=data,
        )
        self.events.append((PRESENCE, agent.agent_id, event))

    def _put(self, now_ms: int, contact: Contact, kind: _Maker[_Data], data: _Data) -> None:
        self.count += 1
        contact.segment.last_event_ms = now_ms
        key = contact.contact_id
        event = kind(
            id=f"{self._prefix}-{self.count}", source=SOURCE, time=self._time(now_ms), subject=key, data=data
        )
        self.events.append((contact.topic, key, event))

    def _id(self, segment: Segment) -> str | None:
        return segment.segment_id if self._segment_ids else None

    def _time(self, now_ms: int) -> datetime:
        if now_ms != self._now_ms:
            self._now_ms = now_ms
            self._now = datetime.fromtimestamp(now_ms / 1000, UTC)
        return self._now
