"""Does a board stay as small as it was, however many frames it has told or taken? The frames of hours in half a minute.

As fast as it goes: the server without a pause between frames, the page as soon as it has taken those before.
"""

import asyncio
import gc
import re
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from msgspec import structs
from playwright.sync_api import Page, expect

from agents.snapshot_store import MemorySnapshots
from agents.wallboard import hub
from agents.wallboard.config import BoardConfig
from agents.wallboard.frames import Ack, key_of
from agents.wallboard.hub import Client, Hub
from agents.wallboard.server import Wallboard
from agents.wallboard.stores import MemoryStore
from schemas.partials import queue_row
from schemas.snapshots import QueueState
from tests.system.members import until
from tests.system.server_process import free_port
from tests.wallboard.page_world import chromium, page_of, see
from tests.wallboard.rows import now_ms, queue_of, site_of
from tests.wallboard.test_page_day import heap

QUEUES = 20
CHANGED = 2
"""So many queues say something new in every publication."""
BREACH_EVERY, GUEST_EVERY = 10, 20
PERIOD = BREACH_EVERY * QUEUES
"""After so many publications everything is as it was, but for the numbers."""
BOARDS = {"default": BoardConfig()}

PUBLICATIONS = 10_000
QUARTER = PUBLICATIONS // 4
KEPT_BYTES = 100_000
"""A server may hold so much more at the end than after a quarter: 13 bytes a frame."""
HELD = 10
"""Frames that may wait for a client who does not read."""


class Floor:
    """Twenty queues that breach and recover in turn, and guests: a queue of a name that nobody knows comes and goes."""

    def __init__(self) -> None:
        self.number = 0
        """Publications so far."""
        self.memory = MemorySnapshots()
        self.store = MemoryStore(self.memory)
        self._steady = [queue_of(f"Queue {place:02}") for place in range(QUEUES)]
        self._site = site_of()
        self.memory.publish([*self._steady, self._site])

    def breaching(self) -> QueueState:
        """The queue that is in breach."""
        name = self._steady[self.number // BREACH_EVERY % QUEUES].queue
        (found,) = (row for row in self.memory.states() if isinstance(row, QueueState) and row.queue == name)
        return found

    def guest(self) -> str:
        """The guest that is there, or was there last."""
        return f"Guest {self.number // GUEST_EVERY}"

    async def publish(self) -> None:
        """Publish what is new: something always is."""
        self.number += 1
        breach, since = divmod(self.number, BREACH_EVERY)
        places = {(self.number * CHANGED + each) % QUEUES for each in range(CHANGED)}
        if since == 0:  # one breaches, the one before recovers
            places |= {breach % QUEUES, (breach - 1) % QUEUES}
        at_ms = now_ms()
        self.memory.publish(
            [
                structs.replace(
                    self._steady[place],
                    published_ms=at_ms,
                    waiting=self.number % 97,
                    oldest_waiting_ms=at_ms - self.number % 90_000,
                    trend=[self.number % 23] * 30,
                    target=0.9 if place == breach % QUEUES else 0.8,
                )
                for place in sorted(places)
            ]
        )
        agents = {"available": self.number % 31}
        self.memory.publish([structs.replace(self._site, published_ms=at_ms, agents=agents)])
        if self.number % GUEST_EVERY == 0:
            self.memory.publish([queue_of(self.guest())])
        if self.number % GUEST_EVERY == GUEST_EVERY // 2:
            self.memory.remove([queue_row(self.guest(), "voice")])
        if since == BREACH_EVERY // 2:
            await self.store.acknowledge(
                key_of(self._steady[breach % QUEUES]), Ack(f"Aoi {self.number}", at_ms)
            )


# --- the server -------------------------------------------------------------------------------------------------------


async def _read(client: Client) -> int:
    """Read every frame, and none twice; the number of the last one."""
    seq = -1
    async for frame in client.frames():
        told = _seq_of(frame)
        assert told == seq + 1
        seq = told
    return seq


def _seq_of(frame: bytes) -> int:
    return int(frame.split(b"\n", 2)[1].removeprefix(b"id: "))


async def _waiting(frames: AsyncIterator[bytes]) -> list[bytes]:
    """The frames that can be had at once."""
    found: list[bytes] = []
    while True:
        asked = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        if not asked.done():
            asked.cancel()
            return found
        found.append(asked.result())


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _serve_a_day() -> None:
    floor = Floor()
    told = Hub(floor.store, BOARDS)
    channel = told.channel("default")
    assert channel is not None
    readers = [Client(channel) for _ in range(3)]
    deaf = Client(channel)
    channel.clients |= {*readers, deaf}
    unread = deaf.frames()
    await anext(unread)
    reading = [asyncio.create_task(_read(client)) for client in readers]
    await asyncio.sleep(0)  # they have asked for their snapshots
    sizes = []
    for number in range(1, PUBLICATIONS + 1):
        await floor.publish()
        assert await told.look()
        await asyncio.sleep(0)
        # Tracing is slow, and what is held at a time was made in the period before.
        if number == QUARTER - PERIOD:
            tracemalloc.start()
        if number in (QUARTER, PUBLICATIONS):
            sizes.append(_traced_bytes())
    held = await _waiting(unread)
    told.close()
    assert await asyncio.gather(*reading) == [PUBLICATIONS] * len(readers)
    assert 0 < len(held) <= HELD
    assert _seq_of(held[-1]) == PUBLICATIONS
    assert abs(sizes[1] - sizes[0]) < KEPT_BYTES, sizes


def test_a_server_that_has_told_ten_thousand_frames_holds_none_of_them() -> None:
    try:
        asyncio.run(_serve_a_day())
    finally:
        tracemalloc.stop()


# --- the page ---------------------------------------------------------------------------------------------------------

AT_ONCE = 5
"""Fewer than a client may be behind: every frame arrives as it was told."""
GROWN_MB, GROWN_NODES = 0.4, 300
"""A page may hold so much more at the end than after a quarter; at 500 bytes a frame it is 1.5 MB on the wall."""
COUNT = """
window.taken = { deltas: 0, seq: -1, wanted: -1, tell: () => {} };
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (kind, take) {
  listen.call(this, kind, (event) => {
    take(event);
    if (kind !== "delta" && kind !== "snapshot") return;
    taken.deltas += kind === "delta";
    taken.seq = Number(event.lastEventId);
    if (taken.seq >= taken.wanted) taken.tell();
  });
};
"""
REACHED = """(seq) => new Promise((tell) => {
  Object.assign(taken, { wanted: seq, tell: () => tell(taken.deltas) });
  if (taken.seq >= seq) taken.tell();
})"""


class Server:
    """A board that is served in a thread of its own, and fed there."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._wallboard = Wallboard(floor.store, BOARDS)
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def served(self) -> Iterator[str]:
        """The board at an address."""
        port = free_port()
        config = uvicorn.Config(
            self._wallboard.app, port=port, log_level="warning", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(server.serve()), daemon=True)
        thread.start()
        until(lambda: server.started, "the server listens", 10)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)
        self._loop.close()

    def tell(self, frames: int) -> int:
        """Publish so often, each in a frame of its own; return the number of the last one."""
        return asyncio.run_coroutine_threadsafe(self._tell(frames), self._loop).result(30)

    async def _tell(self, frames: int) -> int:
        channel = self._wallboard.hub.channel("default")
        assert channel is not None
        for _ in range(frames):
            seq = channel.seq
            await self._floor.publish()
            self._wallboard.hub.wake()
            while channel.seq == seq:
                await asyncio.sleep(0)
        return channel.seq


@pytest.mark.parametrize(
    ("view", "frames"),
    [
        ("wall", 2500),
        ("desk", 800),
        pytest.param("wall", 40_000, marks=pytest.mark.soak),
        pytest.param("desk", 40_000, marks=pytest.mark.soak),
    ],
)
def test_a_page_that_has_taken_thousands_of_frames_holds_none_of_them(
    monkeypatch: pytest.MonkeyPatch, view: str, frames: int
) -> None:
    for pause in ("FRAME_GAP_S", "GATHER_S"):
        monkeypatch.setattr(hub, pause, 0.0)
    floor = Floor()
    server = Server(floor)
    # A small screen: what is painted is not the question.
    with chromium() as browser, server.served() as url, page_of(browser, size=(960, 540)) as page:
        page.add_init_script(COUNT)
        see(page, url, f"?lang=en&view={view}")
        sizes = []
        for number in (frames // 4, frames):
            _take(page, server, floor, number)
            page.wait_for_function("() => document.getAnimations().length === 0")
            sizes.append(heap(page))
        _shows_the_newest(page, server, floor)
    (early_mb, early_nodes), (late_mb, late_nodes) = sizes
    assert late_mb - early_mb < GROWN_MB, sizes
    assert late_nodes - early_nodes < GROWN_NODES, sizes


def _take(page: Page, server: Server, floor: Floor, frames: int) -> None:
    """Let the page take frames until it has had so many, and a period is over."""
    deltas = 0
    while deltas < frames or floor.number % PERIOD:
        deltas = page.evaluate(REACHED, server.tell(AT_ONCE))


def _shows_the_newest(page: Page, server: Server, floor: Floor) -> None:
    """The breach of now and who takes care of it, the guest of now, and the numbers of the newest frame."""
    page.evaluate(REACHED, server.tell(BREACH_EVERY // 2))
    breaching = floor.breaching()
    box = page.locator(".tile, .row").filter(
        has=page.locator(".name").get_by_text(breaching.queue, exact=True)
    )
    expect(box.locator(".badge")).to_have_text("breach")
    expect(box.locator(".attention")).to_contain_text(f"Aoi {floor.number}")
    expect(box.locator('[data-measure="waiting"]')).to_have_text(re.compile(rf"(?<!\d){breaching.waiting}$"))
    guests = {name for name in page.locator(".name").all_text_contents() if name.startswith("Guest")}
    assert guests <= {floor.guest()}
