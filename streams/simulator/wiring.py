"""How do the parts of the simulator call each other back? Types only, so that their imports go one way."""

from collections.abc import Callable
from typing import Protocol

from streams.simulator.actors import Agent, Contact

AgentHook = Callable[[Agent, int], None]
"""Called with an agent and the time in ms."""


class Conversation(Protocol):
    """What customer and agent do with each other, on one kind of channel."""

    def queued(self, contact: Contact, now_ms: int) -> None:
        """The contact began to wait."""

    def answered(self, contact: Contact, now_ms: int) -> None:
        """An agent took the contact."""
