"""What is still to be sent, and what happens next? Sessions and contacts as trails of events that can be cut short.

Refuses to know why one is.
"""

from bisect import bisect_left
from heapq import heappop, heappush
from typing import Generic, TypeVar

from msgspec import Struct

from streams.simulator.web_browser import Dated, WebSent
from streams.simulator.web_truth import StuckSpell, TrueContact, TrueSession

T = TypeVar("T")


class Trail(Struct, eq=False):
    """Events to come, in time order; `place`: the next one. `number`: among all trails."""

    number: int
    events: list[Dated]
    place: int = 0

    def cut(self, from_ms: int) -> None:
        """What would be from `from_ms` on does not take place."""
        del self.events[max(self.place, bisect_left(self.events, (from_ms,))) :]

    def ends_ms(self) -> int:
        """Time of the last event; 0: there is none."""
        return self.events[-1].at_ms if self.events else 0


class Stay(Struct, eq=False):
    """The newest session of a visitor, as long as anything of it is to come."""

    session: TrueSession
    trail: Trail
    spell: StuckSpell | None
    contact: TrueContact | None
    contact_trail: Trail | None

    def ends_ms(self) -> int:
        """When the last of it will have been sent."""
        return max(self.trail.ends_ms(), self.contact_trail.ends_ms() if self.contact_trail else 0)


class Programme(Generic[T]):
    """Trails, and turns of the caller's, in the order of time; `now_ms` is that of the newest thing taken."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._waiting: list[tuple[int, int, Trail | T]] = []
        self._entered = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def turn(self, at_ms: int, due: T) -> None:
        """Have `due` handed out at a time."""
        self._entered += 1
        heappush(self._waiting, (at_ms, self._entered, due))

    def trail(self, events: list[Dated]) -> Trail:
        """Have events sent, each at its time."""
        self._entered += 1
        trail = Trail(self._entered, sorted(events, key=lambda each: each[:2]))
        self._queue(trail)
        return trail

    def next_before(self, end_ms: int) -> "WebSent | T | None":
        """What comes next, if anything does before `end_ms`: an event to send, or a turn."""
        while self._waiting and self._waiting[0][0] < end_ms:
            self.now_ms, _, due = heappop(self._waiting)
            if not isinstance(due, Trail):
                return due
            if due.place < len(due.events):
                sent = due.events[due.place].sent
                due.place += 1
                self._queue(due)
                return sent
        return None

    def _queue(self, trail: Trail) -> None:
        if trail.place < len(trail.events):
            heappush(self._waiting, (trail.events[trail.place].at_ms, trail.number, trail))
