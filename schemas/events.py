"""What is an event? CloudEvents 1.0 in structured JSON, one typed struct per ``type``.

Refuses to know what an event *means*: `streams/` says that. Times are RFC 3339 with a zone; durations never travel,
only the two events that bound them. Unknown fields are ignored; an unknown ``type`` is counted and skipped.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_NAME = 200
"""Longest id or name, in characters."""

Id = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME, description="An opaque id, namespaced by its source.")
]
Name = Annotated[
    str,
    Meta(
        min_length=1, max_length=MAX_NAME, description="A name shown to people. UTF-8, no control characters."
    ),
]
Channel = Literal["voice", "chat", "email", "form", "sns", "video"]
OverflowReason = Literal["timeout", "key_press", "redirected", "queue_closed", "requeued", "other"]
Party = Literal["customer", "agent", "bot", "system"]
State = Literal["available", "busy", "wrap_up", "break", "offline"]

CHANNELS: tuple[Channel, ...] = ("voice", "chat", "email", "form", "sns", "video")
OVERFLOW_REASONS: tuple[OverflowReason, ...] = (
    "timeout",
    "key_press",
    "redirected",
    "queue_closed",
    "requeued",
    "other",
)
AGENT_STATES: tuple[str, ...] = ("available", "busy", "wrap_up", "break", "offline", "lost")
"""The states that boards show; ``lost`` is derived (no sign of life), never sent."""


class ContactRef(Struct, gc=False, frozen=True):
    """Which visit of which contact. `segment_id` is the source's own id of the visit, where it has one."""

    contact_id: Id
    segment_id: Id | None = None


class Queued(ContactRef, gc=False, frozen=True, kw_only=True):
    """The contact entered a queue: a segment starts."""

    queue: Name
    channel: Channel = "voice"
    customer_id: Id | None = None
    reason: Name | None = None


class ByAgent(ContactRef, gc=False, frozen=True, kw_only=True):
    """Something an agent did, or that happened at an agent."""

    agent_id: Id | None = None


class Finished(ByAgent, gc=False, frozen=True, kw_only=True):
    """An agent is done with a contact. `reason`: why it was made (wrap-up code), where the agent says so."""

    reason: Name | None = None


class Transferred(ContactRef, gc=False, frozen=True, kw_only=True):
    """The agent passed the contact on; a new visit, if any, starts with its own `contact.queued`."""

    agent_id: Id | None = None
    to_queue: Name | None = None


class Overflowed(ContactRef, gc=False, frozen=True, kw_only=True):
    """The system took the contact out of the queue unanswered."""

    reason: OverflowReason = "other"
    to_queue: Name | None = None


class Message(ContactRef, gc=False, frozen=True, kw_only=True):
    """One message of a chat. Its text never travels here."""

    by: Party


class AgentPresence(Struct, gc=False, frozen=True):
    """The state of one agent from `since` (default: the event's time) on. Sent again, it is a sign of life."""

    agent_id: Id
    state: State
    queues: tuple[Name, ...] = ()
    team: Name | None = None
    contacts: Annotated[int, Meta(ge=0, le=1000, description="Contacts in hand at once.")] = 0
    since: datetime | None = None


class Heartbeat(Struct, gc=False, frozen=True):
    """A synthetic event through the whole pipeline: it moves clocks and changes no number.

    `clock` "event" says that it belongs to a replay, whose time is that of its newest event: a worker that lives by
    the wall clock refuses it (`wrong_clock`). It switches nothing.
    """

    sequence: int = 0
    clock: Literal["wall", "event"] = "wall"


class CloudEvent(Struct, gc=False, frozen=True, tag_field="type", kw_only=True):
    """The attributes every event shares (CloudEvents 1.0, JSON, structured mode)."""

    id: Id
    source: Id
    time: datetime
    subject: str | None = None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: str | None = None


class ContactQueued(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.queued"):
    """A segment starts: the contact waits in a queue."""

    data: Queued


class ContactOffered(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.offered"):
    """It rings at an agent. The customer still waits."""

    data: ByAgent


class ContactDeclined(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.declined"):
    """It rang at an agent and was not taken. The customer still waits."""

    data: ByAgent


class ContactAnswered(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.answered"):
    """An agent took the contact: the wait ends as answered."""

    data: ByAgent


class ContactHeld(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.held"):
    """The agent put the customer on hold."""

    data: ContactRef


class ContactResumed(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.resumed"):
    """The agent came back from hold."""

    data: ContactRef


class ContactTransferred(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.transferred"):
    """The agent passed the contact on: handling of this segment ends."""

    data: Transferred


class ContactOverflowed(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.overflowed"):
    """The system took the contact out of the queue unanswered."""

    data: Overflowed


class ContactCallbackRequested(
    CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.callback_requested"
):
    """The customer left the queue by asking to be called back."""

    data: ContactRef


class ContactAbandoned(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.abandoned"):
    """The customer gave up waiting."""

    data: ContactRef


class ContactEnded(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.ended"):
    """The conversation is over: talk ends, wrap-up may begin."""

    data: Finished


class ContactWrapped(CloudEvent, gc=False, frozen=True, kw_only=True, tag="contact.wrapped"):
    """The agent finished the wrap-up (after-contact work) of a segment."""

    data: Finished


class ChatMessage(CloudEvent, gc=False, frozen=True, kw_only=True, tag="chat.message"):
    """Somebody wrote in a chat."""

    data: Message


class AgentState(CloudEvent, gc=False, frozen=True, kw_only=True, tag="agent.state"):
    """An agent's state, the queues they serve and how many contacts they have in hand."""

    data: AgentPresence


class PipelineHeartbeat(CloudEvent, gc=False, frozen=True, kw_only=True, tag="pipeline.heartbeat"):
    """A synthetic event that proves the pipeline alive and moves its event-time clock."""

    data: Heartbeat


ContactEvent = (
    ContactQueued | ContactOffered | ContactDeclined | ContactAnswered | ContactHeld | ContactResumed
    | ContactTransferred | ContactOverflowed | ContactCallbackRequested | ContactAbandoned | ContactEnded
    | ContactWrapped | ChatMessage
)  # fmt: skip
"""What happens to a contact (topics `calls` and `chats`)."""

AnyEvent = ContactEvent | AgentState | PipelineHeartbeat
"""Every event Queuelight understands."""

EVENT_STRUCTS: tuple[type[CloudEvent], ...] = (
    ContactQueued, ContactOffered, ContactDeclined, ContactAnswered, ContactHeld, ContactResumed, ContactTransferred,
    ContactOverflowed, ContactCallbackRequested, ContactAbandoned, ContactEnded, ContactWrapped, ChatMessage,
    AgentState, PipelineHeartbeat,
)  # fmt: skip
EVENT_TYPES: dict[str, type[CloudEvent]] = {str(s.__struct_config__.tag): s for s in EVENT_STRUCTS}
