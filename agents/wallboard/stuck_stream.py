"""Who became stuck, and who is not any more? Server-sent events for back ends that show help to visitors.

One reader of the store for all who listen, and only while somebody does. Refuses to know who may listen.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from agents.wallboard.hub import Journeys, StoreDown
from agents.wallboard.journeys import reason_texts
from schemas.journeys import Cleared, VisitorNow
from schemas.snapshots import encode_json

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
"""Announcements come by the thousand: the store is read so often at most."""
RESYNC_S = 2.0
"""And at least so often: announcements may be lost."""
_BEAT_S = 10.0
_MOST_PENDING = 1000
Change = Literal["raised", "changed", "cleared"]


class StuckEvent(Struct, frozen=True, kw_only=True):
    """One flag of a visitor. Events `raised` (also for those who were stuck before the stream began) and `changed`:
    `offer`, or why it is `withheld`, is another than before. `cleared`: the visitor is not stuck any more; why, where
    it is known.
    """

    id: str
    visitor: str
    customer: str | None
    page: str
    raised_ms: int
    probability: float
    arm: str
    kind: str | None
    queue: str | None
    offer: bool
    withheld: str | None
    reasons: tuple[str, ...]
    cleared_ms: int | None = None
    cleared: Cleared | None = None


def changes_of(
    before: Mapping[str, VisitorNow], visitors: Sequence[VisitorNow], at_ms: int
) -> tuple[dict[str, VisitorNow], list[tuple[Change, StuckEvent]]]:
    """Who is stuck by the flag's id, and what changed since.

    Args:
        before: who was stuck.
        visitors: whoever is watched now.
        at_ms: when a flag ended of which nothing else is known.
    """
    flagged = {each.flag.id: each for each in visitors if each.flag is not None}
    is_open = {
        name: each for name, each in flagged.items() if each.flag is not None and each.flag.cleared_ms is None
    }
    told: list[tuple[Change, StuckEvent]] = []
    for name, was in before.items():
        if name not in is_open:
            now = flagged.get(name, was)
            assert now.flag is not None, "only visitors with a flag are kept"
            told.append(("cleared", _event_of(now, now.flag.cleared_ms or at_ms)))
    for name, now in is_open.items():
        known = before.get(name)
        if known is None:
            told.append(("raised", _event_of(now)))
        elif (known.offer, known.withheld) != (now.offer, now.withheld):
            told.append(("changed", _event_of(now)))
    return is_open, told


def _event_of(now: VisitorNow, cleared_ms: int | None = None) -> StuckEvent:
    flag = now.flag
    assert flag is not None, "only visitors with a flag are told of"
    is_over = cleared_ms is not None
    return StuckEvent(
        id=flag.id,
        visitor=flag.visitor_id,
        customer=flag.customer_id or now.customer_id,
        page=flag.page,
        raised_ms=flag.raised_ms,
        probability=now.probability,
        arm=flag.arm,
        kind=flag.kind,
        queue=flag.queue,
        offer=now.offer and not is_over,
        withheld=None if is_over else now.withheld,
        reasons=reason_texts(flag.reasons, "en"),
        cleared_ms=cleared_ms,
        cleared=flag.cleared,
    )


class Listener:
    """One open stream: events that wait. Who does not read is let go: a gap would lose a change."""

    def __init__(self, first: Sequence[bytes] = ()) -> None:
        self._pending: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._most = _MOST_PENDING + len(first)
        for event in first:
            self._pending.put_nowait(event)

    def offer(self, event: bytes) -> None:
        """Queue an event; if too many wait, the stream ends, and who comes back is told of everybody anew."""
        if self._pending.qsize() >= self._most:
            self.end()
        else:
            self._pending.put_nowait(event)

    def end(self) -> None:
        """No more events; those that wait are given up."""
        while not self._pending.empty():
            self._pending.get_nowait()
        self._pending.put_nowait(None)

    async def events(self) -> AsyncIterator[bytes]:
        """Events as they come, a comment while there is none."""
        while True:
            try:
                async with asyncio.timeout(_BEAT_S):
                    event = await self._pending.get()
            except TimeoutError:
                event = b": still here\n\n"
            if event is None:
                return
            yield event


class StuckWatch:
    """Tells listeners of flags.

    Args:
        journeys: where visitors are.
        now_ms: the clock.
    """

    def __init__(self, journeys: Journeys, now_ms: Callable[[], int]) -> None:
        self._journeys = journeys
        self._now_ms = now_ms
        self._listeners: set[Listener] = set()
        self._open: dict[str, VisitorNow] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self) -> Listener:
        """Listen from now on; whoever is stuck already is told first."""
        listener = Listener([_sse("raised", _event_of(now)) for now in self._open.values()])
        if self._is_closed:
            listener.end()
            return listener
        self._listeners.add(listener)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._read())]
            self._wake.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more; without listeners nothing is read."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._stop()

    def close(self) -> None:
        """End all streams, and begin no other."""
        self._is_closed = True
        for listener in self._listeners:
            listener.end()
        self._stop()

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks, self._open = [], {}

    async def _listen(self) -> None:
        while True:
            with suppress(StoreDown):
                async for _ in self._journeys.announcements():
                    self._wake.set()
            await asyncio.sleep(RESYNC_S)

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RESYNC_S):
                    await self._wake.wait()
            self._wake.clear()
            began_s = time.monotonic()
            await self._look()
            await asyncio.sleep(max(0.0, began_s + LOOK_EVERY_S - time.monotonic()))

    async def _look(self) -> None:
        try:
            visitors = await self._journeys.visitors()
        except StoreDown as error:
            log.warning("visitors cannot be read: %s", error)
            return
        self._open, told = changes_of(self._open, visitors, self._now_ms())
        for change, event in told:
            sent = _sse(change, event)
            for listener in self._listeners:
                listener.offer(sent)


def _sse(change: Change, event: StuckEvent) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (change.encode(), event.id.encode(), encode_json(event))
