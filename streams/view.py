"""What does a sign of life say of an agent? Refuses to know when, and for how long.

Stored as it is, so that it is not compiled: see `streams/stored.py`.
"""

from typing import NamedTuple

LOST = "lost"
OFFLINE = "offline"


class View(NamedTuple):
    """What a sign says: the state sent, the queues served (sorted), the team ("" = none), contacts in hand."""

    state: str
    queues: tuple[str, ...]
    team: str
    contacts: int

    @property
    def shown(self) -> str:
        """The state boards show: whoever has a contact in hand is busy (or in wrap-up), whatever was sent."""
        return "busy" if self.contacts and self.state != "wrap_up" else self.state

    def lost(self) -> "View":
        """The same agent without a sign of life: lost, unless they had signed off."""
        return View(self.state if self.state == OFFLINE else LOST, self.queues, self.team, 0)
