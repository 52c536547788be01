"""Who tells a thousand browsers what changed? One reader of the store per process; every frame is encoded once.

A client that reads slowly never delays another: of what it has not read only the newest counts, and it gets a whole
snapshot in place of frames that were dropped. Refuses to know HTTP.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import UNSET, structs

from agents.wall_clock import wall_ms
from agents.wallboard.config import BoardConfig
from agents.wallboard.frames import (
    Acks,
    BeatFrame,
    DeltaFrame,
    Painter,
    SiteTile,
    SnapshotFrame,
    Tile,
    changes,
    needs_action,
    newest_ms,
)
from agents.wallboard.web import WebFrame, web_frame
from schemas.journeys import Journey, VisitorNow, WebReport
from schemas.snapshots import QueueState, RowState, encode_json

log = logging.getLogger(__name__)

FRAME_GAP_S = 0.45
"""At least so long between two frames of a board: numbers that flicker faster are not read. A little less than half a
second: of one who publishes twice a second, the delay of one late frame would be that of all later ones."""
GATHER_S = 0.005
"""What is published in parts of one moment comes in one frame."""
_SNAPSHOT_KEPT_MS = 500
BEAT_EVERY_S = 2.0
WEB_EVERY_S = 1.0
"""The web site is read so often at most, and only while somebody looks at it."""
_RESYNC_S = 2.0
"""The store is read at least so often, whatever was announced: announcements may be lost, and so may the store."""
_MOST_PENDING = 8
_RETRY_S = 0.5


class StoreDown(Exception):
    """The store does not answer; the reason is the message."""


class Store(Protocol):
    """Where a board's numbers come from: Redis, or the process of the demo. Every method may raise `StoreDown`."""

    async def read(self) -> tuple[Sequence[RowState], Acks]:
        """The newest state of every row, the same object as before where nothing changed; who acknowledged what."""
        ...

    def announcements(self) -> AsyncIterator[None]:
        """One item whenever something may have changed."""
        ...

    async def forget(self, acks: Acks) -> None:
        """Drop these acknowledgements, unless newer ones have taken their places."""
        ...


class Journeys(Protocol):
    """Where visitors and customers are found: Redis, or the process of the demo. Every method may raise `StoreDown`."""

    async def report(self) -> WebReport | None:
        """The newest report; None: there is none yet."""
        ...

    async def visitors(self) -> Sequence[VisitorNow]:
        """Whoever is worth watching now."""
        ...

    async def journey(self, customers: Sequence[str]) -> Journey | None:
        """What is known of a customer, under the first of these names that is known; None: nothing."""
        ...

    def announcements(self) -> AsyncIterator[None]:
        """One item whenever something about a visitor may have changed."""
        ...


class Client:
    """One open stream: frames that wait to be sent. `sees_web`: it wants those of the web site, too."""

    def __init__(self, channel: "Channel", *, sees_web: bool = False) -> None:
        self._channel = channel
        self.sees_web = sees_web
        self._web: bytes | None = None
        self._pending: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._needs_snapshot = True
        self._is_over = False
        self._wake.set()

    def offer(self, frame: bytes) -> None:
        """Queue a frame; if too many wait, all are dropped for a snapshot."""
        if self._needs_snapshot:
            return
        if len(self._pending) >= _MOST_PENDING:
            self._pending.clear()
            self._needs_snapshot = True
        else:
            self._pending.append(frame)
        self._wake.set()

    def offer_web(self, frame: bytes) -> None:
        """Keep the newest frame of the web site until it can be sent."""
        self._web = frame
        self._wake.set()

    def end(self) -> None:
        """No more frames."""
        self._is_over = True
        self._wake.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """Frames as they come, a snapshot first."""
        while not self._is_over:
            await self._wake.wait()
            self._wake.clear()
            while not self._is_over and (self._needs_snapshot or self._pending or self._web):
                if self._needs_snapshot:
                    self._needs_snapshot = False
                    yield self._channel.snapshot_frame()
                elif self._pending:
                    yield self._pending.popleft()
                elif self._web:
                    web, self._web = self._web, None
                    yield web


class Channel:
    """One board: its newest tiles, its sequence of frames, its clients."""

    def __init__(self, board: BoardConfig, boot: str) -> None:
        self.board = board
        self.boot = boot
        self.seq = 0
        self.redis_down_since: int | None = None
        self.clients: set[Client] = set()
        self._painter = Painter(board.scope())
        self._tiles: dict[str, Tile] = {}
        self._site: SiteTile | None = None
        self._acks: Acks = {}
        self._as_of: int | None = None
        self._snapshot: tuple[int, bytes] | None = None
        self._web: tuple[WebFrame, bytes] | None = None

    def take(self, rows: Sequence[RowState], acks: Acks, board: BoardConfig, at_ms: int) -> bytes | None:
        """Bring the board up to date; return the frame of what changed, None if nothing did."""
        if board is not self.board:
            self._painter = Painter(board.scope())
        tiles, site = self._painter.paint(rows, at_ms)
        acks = {key: ack for key, ack in acks.items() if key in tiles and needs_action(tiles[key])}
        self._as_of = newest_ms(tiles.values(), site)
        delta = DeltaFrame(seq=self.seq + 1, now=at_ms, as_of=self._as_of, queues=changes(self._tiles, tiles))
        if site is not self._site and site != self._site:
            delta.site = site
        if acks != self._acks:
            delta.acks = acks
        if board != self.board:
            delta.board = board.shown()
        self.board, self._tiles, self._site, self._acks = board, tiles, site, acks
        if not delta.queues and delta.site is delta.acks is delta.board is UNSET:
            return None
        self.seq = delta.seq
        self._snapshot = None
        return _event("delta", delta)

    def needs_action(self, key: str) -> bool | None:
        """Whether a tile's breach may be acknowledged; None: it is not on this board."""
        tile = self._tiles.get(key)
        return None if tile is None else needs_action(tile)

    def snapshot(self, at_ms: int) -> SnapshotFrame:
        """All there is to see."""
        return SnapshotFrame(
            boot=self.boot,
            seq=self.seq,
            now=at_ms,
            as_of=self._as_of,
            redis_down_since=self.redis_down_since,
            board=self.board.shown(),
            queues=self._tiles,
            site=self._site,
            acks=self._acks,
        )

    def snapshot_frame(self) -> bytes:
        """The snapshot as an event, encoded once for all who come in the same half second."""
        at_ms = wall_ms()
        made = self._snapshot
        if made is None or at_ms - made[0] > _SNAPSHOT_KEPT_MS:
            made = self._snapshot = at_ms, _event("snapshot", self.snapshot(at_ms))
        return made[1]

    def beat(self, at_ms: int) -> bytes:
        """A sign of life that carries the ages."""
        return _event(
            "beat",
            BeatFrame(seq=self.seq, now=at_ms, as_of=self._as_of, redis_down_since=self.redis_down_since),
        )

    def tell(self, frame: bytes) -> None:
        """Hand a frame to all clients."""
        for client in self.clients:
            client.offer(frame)

    @property
    def sees_web(self) -> bool:
        """True while somebody looks at the web site here."""
        return any(client.sees_web for client in self.clients)

    def web_event(self, frame: WebFrame) -> bytes:
        """A frame of the web site as an event; the same bytes as before where nothing changed but the clock."""
        if self._web is None or not _same_web(self._web[0], frame):
            self._web = frame, _event("web", frame)
        return self._web[1]

    def tell_web(self, frame: WebFrame) -> None:
        """Hand a frame of the web site to those who want it; nothing, if it says what the one before said."""
        before = None if self._web is None else self._web[1]
        event = self.web_event(frame)
        if event is before:
            return
        for client in self.clients:
            if client.sees_web:
                client.offer_web(event)

    def mark(self, down_since_ms: int | None) -> None:
        """Note since when the store is away (None: it answers)."""
        self.redis_down_since = down_since_ms
        self._snapshot = None

    def close(self) -> None:
        """End all streams."""
        for client in self.clients:
            client.end()


class Hub:
    """Reads the store and tells the clients of every board.

    Args:
        store: where the numbers are.
        boards: the boards by name; `reload` replaces them.
        journeys: where visitors are; None: there is no web site to show.
    """

    def __init__(
        self, store: Store, boards: Mapping[str, BoardConfig], journeys: Journeys | None = None
    ) -> None:
        self._store = store
        self._journeys = journeys
        self._web: tuple[WebReport | None, Sequence[VisitorNow]] = None, ()
        self._web_looked_s = -WEB_EVERY_S
        self._web_down_since_ms: int | None = None
        self._boot = secrets.token_hex(8)
        self._channels: dict[str, Channel] = {}
        self._wake = asyncio.Event()
        self._told_s = -FRAME_GAP_S
        """When the newest frame was told: a look at the store that found nothing new delays none."""
        self._down_since_ms: int | None = None
        self._is_closed = False
        self.boards: Mapping[str, BoardConfig] = {}
        """As they are configured now."""
        self.rows: Sequence[RowState] = ()
        """The newest state of every row."""
        self.reload(boards)

    def channel(self, board: str) -> Channel | None:
        """The channel of a board; None: there is no such board, or no stream begins any more."""
        return None if self._is_closed else self._channels.get(board)

    def channels(self) -> list[Channel]:
        """The channels of all boards."""
        return list(self._channels.values())

    def shows(self, board: str, queue: str) -> bool:
        """True when there is such a board and the queue is on it."""
        found = self.boards.get(board)
        return found is not None and found.shows(queue)

    def row(self, queue: str, channel: str | None = None) -> QueueState | None:
        """The newest state of a queue and channel (None: whichever there is); None: there is no such row."""
        for row in self.rows:
            if isinstance(row, QueueState) and row.queue == queue and channel in (None, row.channel):
                return row
        return None

    def reload(self, boards: Mapping[str, BoardConfig]) -> None:
        """Other boards from now on; open streams are told what changed, those of a board that is gone end."""
        self.boards = dict(boards)
        for name in self._channels.keys() - boards.keys():
            self._channels.pop(name).close()
        for name, board in boards.items():
            if name not in self._channels:
                channel = self._channels[name] = Channel(board, self._boot)
                channel.mark(self._down_since_ms)
                channel.take(self.rows, {}, board, wall_ms())
        self._wake.set()

    def wake(self) -> None:
        """Something changed: look at once."""
        self._wake.set()

    def close(self) -> None:
        """End all streams, and begin no other."""
        self._is_closed = True
        for channel in self._channels.values():
            channel.close()

    async def run(self) -> None:
        """Until cancelled: read, tell, beat."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._read())
            tasks.create_task(self._beat())
            tasks.create_task(self._watch_web())

    async def web(self, board: BoardConfig) -> WebFrame:
        """The web site as a board shows it, at most `WEB_EVERY_S` old; while the store is away, as it was."""
        await self._look_at_web()
        report, visitors = self._web
        seq = self._channels[board.name].seq if board.name in self._channels else 0
        queues = frozenset(board.queues)
        return web_frame(seq, report, visitors, self.rows, queues, wall_ms(), self._web_down_since_ms)

    async def _look_at_web(self) -> None:
        if self._journeys is None or time.monotonic() - self._web_looked_s < WEB_EVERY_S:
            return
        self._web_looked_s = time.monotonic()
        try:
            report, visitors = await self._journeys.report(), await self._journeys.visitors()
        except StoreDown as error:
            if self._web_down_since_ms is None:
                log.warning("visitors cannot be read: %s", error)
                self._web_down_since_ms = wall_ms()
            return
        self._web_down_since_ms = None
        self._web = report, visitors

    async def _watch_web(self) -> None:
        while True:
            await asyncio.sleep(WEB_EVERY_S * 1.02)
            for channel in list(self._channels.values()):
                if channel.sees_web:
                    channel.tell_web(await self.web(channel.board))

    async def _listen(self) -> None:
        while True:
            with suppress(StoreDown):
                async for _ in self._store.announcements():
                    self._wake.set()
            self._wake.set()  # perhaps it is not only the announcements that are away
            await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RESYNC_S if self._down_since_ms is None else _RETRY_S):
                    await self._wake.wait()
            await asyncio.sleep(max(GATHER_S, self._told_s + FRAME_GAP_S - time.monotonic()))
            self._wake.clear()
            looked_s = time.monotonic()
            if await self.look():
                self._told_s = looked_s

    async def look(self) -> bool:
        """Read the store once, and tell what changed; False: nothing did."""
        try:
            self.rows, acks = await self._store.read()
        except StoreDown as error:
            if self._down_since_ms is None:
                log.warning("the store does not answer: %s", error)
                self._set_down(wall_ms())
            return False
        if self._down_since_ms is not None:
            log.info("the store answers again")
            self._set_down(None)
        at_ms = wall_ms()
        has_told = False
        for name, channel in self._channels.items():
            frame = channel.take(self.rows, acks, self.boards[name], at_ms)
            if frame is not None:
                channel.tell(frame)
                has_told = True
        await self._forget({key: ack for key, ack in acks.items() if self._is_over(key)})
        return has_told

    def _is_over(self, key: str) -> bool:
        """True when a tile is on a board and on none in breach: who acknowledged that has not seen the next one."""
        needs = [
            each for channel in self._channels.values() if (each := channel.needs_action(key)) is not None
        ]
        return bool(needs) and not any(needs)

    async def _forget(self, acks: Acks) -> None:
        if acks:
            with suppress(StoreDown):  # the next look finds them again
                await self._store.forget(acks)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY_S)
            self._beat_now()

    def _beat_now(self) -> None:
        at_ms = wall_ms()
        for channel in self._channels.values():
            channel.tell(channel.beat(at_ms))

    def _set_down(self, since_ms: int | None) -> None:
        self._down_since_ms = since_ms
        for channel in self._channels.values():
            channel.mark(since_ms)
        self._beat_now()


def _same_web(one: WebFrame, other: WebFrame) -> bool:
    """True when they differ in nothing but their clocks."""
    return structs.replace(one, now=0, seq=0) == structs.replace(other, now=0, seq=0)


def _event(name: str, frame: SnapshotFrame | DeltaFrame | BeatFrame | WebFrame) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), frame.seq, encode_json(frame))
