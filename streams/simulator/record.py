"""What did the simulator decide? The real fate of every segment and every sign of life of every agent.

Refuses to know what any of it means for a number: `streams.truth` says that, and reads nothing but this.
"""

from array import array

import msgspec
from msgspec import Struct

STATES = ("available", "busy", "wrap_up", "break", "offline")
"""The states agents send, by the number under which their signs are kept."""


class Segment(Struct, gc=False, eq=False):
    """One visit of one contact to one queue, as it was. Times in Unix ms; None where it never came to that.

    `outcome` is "waiting" until the visit ended; a segment whose last event never came keeps it for ever.
    `last_event_ms` is the newest event of the contact while this was its newest segment.
    """

    segment_id: str
    queue: str
    queued_ms: int
    last_event_ms: int
    outcome: str = "waiting"
    left_ms: int | None = None
    overflow_reason: str | None = None
    ended_ms: int | None = None
    wrapped_ms: int | None = None
    hold_ms: int = 0
    declined: int = 0
    transferred_in: bool = False
    transferred_out: bool = False
    first_customer_ms: int | None = None
    last_customer_ms: int | None = None
    first_agent_ms: int | None = None
    last_agent_ms: int | None = None


class Signs(Struct, gc=False, eq=False):
    """Every sign of life of one agent: when, in which state, with how many contacts in hand."""

    agent_id: str
    team: str
    queues: tuple[str, ...]
    at_ms: "array[int]" = msgspec.field(default_factory=lambda: array("q"))
    states: "array[int]" = msgspec.field(default_factory=lambda: array("b"))
    contacts: "array[int]" = msgspec.field(default_factory=lambda: array("b"))


class Record(Struct, gc=False, eq=False):
    """Everything decided between `from_ms` and `to_ms`. Complete once all events have been taken."""

    from_ms: int
    to_ms: int
    queues: tuple[str, ...]
    """The queues that get contacts."""
    segments: list[Segment] = msgspec.field(default_factory=list)
    agents: list[Signs] = msgspec.field(default_factory=list)
    events: int = 0
    complete: bool = False
