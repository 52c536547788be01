"""Who takes part? Queues with people waiting, agents with hands, contacts on their way. State only.

Refuses to know the rules: `floor`, `staff`, `calls` and `chats` move these.
"""

from collections import deque

import msgspec
from msgspec import Struct

from schemas.events import Channel, State
from schemas.topics import CALLS, CHATS
from streams.simulator.record import Segment, Signs
from streams.site import QueuePolicy

WAITING, RINGING, TALKING, GONE = range(4)
"""Where a contact is."""


class Line(Struct, eq=False):
    """One queue: who waits in it, and which agents could answer now (the one free for longest first)."""

    name: str
    policy: QueuePolicy
    channel: Channel
    overflows: bool
    longest_gap_ms: int
    """No contact goes without an event for longer: the reaper only takes those whose events were lost."""
    waiting: "deque[Contact]" = msgspec.field(default_factory=deque)
    free: "dict[Agent, None]" = msgspec.field(default_factory=dict)
    neighbours: "list[Line]" = msgspec.field(default_factory=list)
    talk: float = 1.0
    """How much longer than planned calls take now."""

    @property
    def is_chat(self) -> bool:
        """Chats are written in; everything else is talked in."""
        return self.channel == "chat"

    @property
    def topic(self) -> str:
        """Chats travel on their own topic."""
        return CHATS if self.channel == "chat" else CALLS


class Agent(Struct, eq=False):
    """A person who answers contacts. `resting` is the state shown once the hands are empty."""

    agent_id: str
    lines: tuple[Line, ...]
    capacity: int
    signs: Signs
    resting: State = "offline"
    on_duty: bool = False
    away: bool = False
    dead: bool = False
    beating: bool = False
    break_at_ms: int = 0
    break_ms: int = 0
    breaks: int = 0
    ringing: int = 0
    contacts: int = 0
    wrapping: int = 0
    shown_state: State = "offline"
    shown_contacts: int = 0
    since_ms: int = 0
    last_sign_ms: int = 0

    def in_hand(self) -> int:
        """Contacts that occupy the agent, from ringing to the end of the wrap-up."""
        return self.ringing + self.contacts + self.wrapping


class Contact(Struct, eq=False):
    """One customer interaction, from its first event to its last."""

    contact_id: str
    topic: str
    customer_id: str | None
    reason: str | None
    line: Line
    segment: Segment
    visits: int = 0
    where: int = GONE
    rings: int = 0
    agent: Agent | None = None
    formers: tuple[Agent, ...] = ()
    """Agents who passed the contact on; it never rings at them again."""
    leaves_as: str = "abandoned"
    talk_left_ms: int = 0
    opening_ms: int = 0
    turns_left: int = 0
