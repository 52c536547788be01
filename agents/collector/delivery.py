"""When is an event kept? When Kafka has acknowledged it, or, while Kafka is away, when it is in the spool on disk.

While anything is in the spool everything goes through it, so that what happened first arrives first. What was on its
way when Kafka went silent is put there too, and may so arrive twice: events have ids, and count once. Refuses to know
events.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from agents.collector.records import Record
from agents.collector.spool import Entry, Spool, SpoolFull

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""Kafka is away when it has not acknowledged something for so long."""
_LOOK_S = 0.2
_REPLAYED_BYTES = 1_000_000
_AGAIN_S = 0.5
_REPLAY_PATIENCE_S = 20.0


class Sender(Protocol):
    """What delivers to Kafka; see `agents.collector.producing`."""

    def send(self, records: Sequence[Record], tell: Callable[[bool], None]) -> None: ...


class _Pending:
    """A request that waits for Kafka."""

    __slots__ = ("done", "records", "since_s")

    def __init__(self, records: Sequence[Record], done: "asyncio.Future[None]", since_s: float) -> None:
        self.records = records
        self.done = done
        self.since_s = since_s


class Delivery:
    """Keeps records, by way of Kafka or the spool. Inert until `start`.

    Args:
        sender: to Kafka.
        spool: opened.
        acknowledged: called with the seconds that Kafka took, of each request.
        patience_s: see `PATIENCE_S`.
    """

    def __init__(
        self,
        sender: Sender,
        spool: Spool,
        acknowledged: Callable[[float], None] = lambda seconds: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._sender = sender
        self._spool = spool
        self._acknowledged = acknowledged
        self._patience_s = patience_s
        self._pending: dict[int, _Pending] = {}
        self._numbers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._has_work = asyncio.Event()
        self.is_spooling = False
        """True while new records go to the spool."""

    def start(self) -> None:
        """Begin to watch, and to bring to Kafka what the spool holds."""
        if not self._spool.is_empty:
            self._turn_to_spool("events of an earlier run are in it")
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._drain())]

    def check(self) -> None:
        """Raise what ended a task of ours."""
        for task in self._tasks:
            if task.done():
                task.result()

    @property
    def can_take(self) -> bool:
        """True when a request would be kept, as far as one can see."""
        return not self.is_spooling or self._spool.has_room

    async def keep(self, records: Sequence[Record]) -> None:
        """Return when the records are kept: whoever is told so may forget them.

        Raises:
            SpoolFull: they are not kept.
        """
        if not records:
            return
        if self.is_spooling:
            await self._spool.put(records)
            return
        loop = asyncio.get_running_loop()
        number = self._numbers = self._numbers + 1
        pending = self._pending[number] = _Pending(records, loop.create_future(), loop.time())
        self._sender.send(records, lambda good: self._told(number, good))
        await pending.done

    def _told(self, number: int, good: bool) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return  # Kafka was late: it is in the spool
        if not good:
            self._turn_to_spool("Kafka refused or lost something")
            return
        del self._pending[number]
        self._acknowledged(asyncio.get_running_loop().time() - pending.since_s)
        if not pending.done.done():  # whoever sent it may have left
            pending.done.set_result(None)

    # --- while Kafka is away ----------------------------------------------------------------------------------

    def _turn_to_spool(self, why: str) -> None:
        """Put what is on its way into the spool, in its order, and everything that comes from now on."""
        if not self.is_spooling:
            log.warning("events go to the spool: %s", why)
        self.is_spooling = True
        pending, self._pending = self._pending, {}
        for each in pending.values():
            try:
                kept = self._spool.put(each.records)
            except SpoolFull as full:
                _end(each.done, full)
                continue
            kept.add_done_callback(lambda f, done=each.done: _end(done, f.exception()))  # type: ignore[misc]
        self._has_work.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            oldest = next(iter(self._pending.values()), None)
            now_s = asyncio.get_running_loop().time()
            if oldest is not None and now_s - oldest.since_s > self._patience_s:
                self._turn_to_spool("Kafka does not answer")

    async def _drain(self) -> None:
        while True:
            await self._has_work.wait()
            entries = await self._spool.read(_REPLAYED_BYTES)
            if entries:
                if await self._replayed(entries):
                    self._spool.done(entries)
                else:
                    await asyncio.sleep(_AGAIN_S)
            elif self._spool.is_empty:
                self._spool.trim()
                self._has_work.clear()
                self.is_spooling = False
                log.warning("the spool is empty: events go to Kafka again")
            else:
                await asyncio.sleep(0.005)  # it is being written

    async def _replayed(self, entries: Sequence[Entry]) -> bool:
        """True when Kafka has acknowledged all of them."""
        left = len(entries)
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def told(good: bool) -> None:
            nonlocal left
            left -= 1
            if not heard.done() and (not good or left == 0):
                heard.set_result(good)

        for entry in entries:
            self._sender.send(entry.records, told)
        try:
            async with asyncio.timeout(_REPLAY_PATIENCE_S):
                return await heard
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Stop watching and draining; what the spool holds stays for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _end(done: "asyncio.Future[None]", error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
