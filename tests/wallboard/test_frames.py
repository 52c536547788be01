"""Are tiles the snapshot's numbers, however they came to be, and does a client ever see frames that do not fit?"""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.settings import load
from agents.snapshot_store import MemorySnapshots
from agents.wallboard.config import BoardConfig, boards_of
from agents.wallboard.frames import Level, Painter, Scope, changes
from agents.wallboard.hub import Client, Hub
from agents.wallboard.stores import MemoryStore
from schemas.snapshots import WINDOWS, Measures, QueueSnapshot, QueueState, RowState
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from tests.wallboard.rows import now_ms, queue_of, rings_of, site_of

BEGAN = 1_795_618_800_000
DOCS = Path(__file__).resolve().parents[2] / "docs/wallboard.md"


@pytest.fixture(scope="module")
def driver() -> Driver:
    """Forty minutes of a simulated centre."""
    site = default_site(8)
    made = Driver(site, 2)
    plan = with_events_per_s(site, Plan(flat=True), 8.0)
    events = Simulation(site, plan, 3, keep_record=False).events(BEGAN, BEGAN + 2_400_000)
    made.feed(Item(topic, key, encode(event)) for topic, key, event in events)
    made.finish(BEGAN + 2_400_000)
    return made


def _same(level: Level, measures: Measures, name: str) -> bool:
    found = measures.proportions.get(name)
    if found is None:
        return level == Level(None, 0)
    return level == Level(getattr(measures, name), found.n, found.low, found.high)


@pytest.mark.parametrize("window", ["5m", "30m", "day"])
def test_a_tile_says_what_the_snapshot_says_over_its_window(driver: Driver, window: str) -> None:
    tiles, site = Painter(Scope(window)).paint(list(driver.states()), driver.now_ms)
    queues = [each for each in driver.snapshots() if isinstance(each, QueueSnapshot)]
    assert len(tiles) == len(queues) >= 8
    for queue in queues:
        tile = tiles[f"{queue.queue}\x1f{queue.channel}"]
        m = queue.windows[window]
        assert _same(tile.sl, m, "sl_offered")
        assert _same(tile.abandonment, m, "abandonment_rate")
        assert _same(tile.answer_rate, m, "answer_rate")
        for name in (
            "offered",
            "answered",
            "abandoned",
            "callback",
            "overflowed",
            "silent_abandoned",
            "asa_s",
            "aht_s",
        ):
            assert getattr(tile, name) == getattr(m, name), name
        for name in ("waiting", "at_risk", "in_service", "agents", "trend", "published_ms"):
            assert getattr(tile, name) == getattr(queue, name), name
        assert tile.oldest_ms == queue.oldest_waiting_ms
    assert site is not None
    whole = [queue.windows[window] for queue in queues]
    assert site.offered == sum(m.offered for m in whole) > 0
    assert site.sl.value == sum(m.answered_in_x for m in whole) / sum(m.answered + m.abandoned for m in whole)
    assert site.asa_s == pytest.approx(sum(m.answered_wait_s for m in whole) / sum(m.answered for m in whole))
    assert site.waiting == sum(queue.waiting for queue in queues)
    assert site.truth["calls"]["events"] > 0


def test_a_queue_without_traffic_shows_zeros_and_no_ratio() -> None:
    idle = queue_of("idle", event=rings_of({window: {} for window in (*WINDOWS, "day")}))
    tiles, site = Painter(Scope()).paint([idle], now_ms())
    tile = tiles["idle\x1fvoice"]
    assert (tile.offered, tile.waiting, tile.state) == (0, 0, "ok")
    assert tile.sl == tile.abandonment == tile.answer_rate == Level(None, 0)
    assert (tile.asa_s, tile.aht_s) == (None, None)
    assert site is not None
    assert site.sl == Level(None, 0)


_rows = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)


@given(st.lists(_rows, max_size=8), st.sampled_from([frozenset(), frozenset("ab")]))
def test_a_painter_that_remembers_paints_what_one_that_does_not_would(
    steps: list[dict[str, int]], queues: frozenset[str]
) -> None:
    scope = Scope("30m", queues, {"": {"waiting": (1, 3), "longest_wait_s": (5, None)}})
    painter, at_ms = Painter(scope), BEGAN
    known: dict[str, QueueState] = {}
    for step in steps:
        at_ms += 3000
        known = {
            name: known[name] if name in known and known[name].waiting == waiting else _row(name, waiting)
            for name, waiting in step.items()
        }
        rows: list[RowState] = [*known.values(), SITE]
        assert painter.paint(rows, at_ms) == Painter(scope).paint(rows, at_ms)


SITE = site_of()


def _row(name: str, waiting: int) -> QueueState:
    return queue_of(name, waiting=waiting, oldest_waiting_ms=BEGAN if waiting else None, published_ms=BEGAN)


@pytest.mark.parametrize(
    ("measure", "limits", "levels"),
    [
        ("waiting", (5, 10), {4: None, 5: "warning", 9: "warning", 10: "critical"}),
        ("waiting", (None, 10), {9: None, 10: "critical"}),
        ("waiting", (5, None), {5: "warning", 99: "warning"}),
    ],
)
def test_a_threshold_is_reached_at_its_value(
    measure: str, limits: tuple[float | None, float | None], levels: dict[int, str | None]
) -> None:
    painter = Painter(Scope(thresholds={"": {measure: limits}}))
    for waiting, level in levels.items():
        tiles, _ = painter.paint([queue_of("a", waiting=waiting)], BEGAN)
        assert tiles["a\x1fvoice"].levels.get(measure) == level


def test_where_less_is_worse_a_threshold_is_reached_from_above_and_nothing_is_no_breach() -> None:
    scope = Scope(thresholds={"": {"sl": (0.8, 0.5), "asa_s": (1.0, None)}, "b": {"sl": (0.7, None)}})
    idle = queue_of("idle", event=rings_of({window: {} for window in (*WINDOWS, "day")}))
    tiles, _ = Painter(scope).paint([queue_of("a"), queue_of("b"), idle], BEGAN)
    assert tiles["a\x1fvoice"].levels == {"sl": "warning", "asa_s": "warning"}
    assert tiles["b\x1fvoice"].levels == {"asa_s": "warning"}
    assert tiles["idle\x1fvoice"].levels == {}


def test_changes_are_what_turns_the_tiles_of_before_into_those_of_now() -> None:
    painter = Painter(Scope())
    before, _ = painter.paint([queue_of("a"), queue_of("b")], BEGAN)
    told_ms = before["b\x1fvoice"].published_ms
    after, _ = painter.paint([queue_of("b", waiting=1, published_ms=told_ms), queue_of("c")], BEGAN)
    delta = changes(before, after)
    assert delta["a\x1fvoice"] is None
    assert delta["c\x1fvoice"] == msgspec.structs.asdict(after["c\x1fvoice"])
    assert delta["b\x1fvoice"] == {"waiting": 1}
    assert msgspec.structs.replace(before["b\x1fvoice"], waiting=1) == after["b\x1fvoice"]


# --- clients ----------------------------------------------------------------------------------------------------------


class Desk:
    """A hub on a store in memory, looked at by hand."""

    def __init__(self) -> None:
        self.rows = MemorySnapshots()
        self.hub = Hub(MemoryStore(self.rows), {"default": BoardConfig()})
        channel = self.hub.channel("default")
        assert channel is not None
        self.channel = channel

    async def publish(self, waiting: int) -> None:
        self.rows.publish([queue_of("a", waiting=waiting)])
        await self.hub.look()

    def client(self) -> Client:
        made = Client(self.channel)
        self.channel.clients.add(made)
        return made


def _said(frame: bytes) -> tuple[str, int, int]:
    """Event, seq, and who waits in queue a."""
    found = re.fullmatch(rb"event: (\w+)\nid: (\d+)\ndata: (.*)\n\n", frame)
    assert found is not None
    data = msgspec.json.decode(found[3])
    return found[1].decode(), int(found[2]), data["queues"]["a\x1fvoice"]["waiting"]


@given(st.lists(st.one_of(st.just("publish"), st.just("read")), max_size=60))
def test_whoever_reads_however_slowly_never_sees_a_gap_and_ends_with_the_newest(steps: list[str]) -> None:
    async def run() -> None:
        desk = Desk()
        await desk.publish(0)
        frames = aiter(desk.client().frames())
        held, published, unread = 0, 0, 1

        async def read() -> None:
            nonlocal held, unread
            kind, seq, waiting = _said(await anext(frames))
            assert kind == "snapshot" or seq == held + 1
            held = seq
            unread = 0 if waiting == published else 1

        for step in steps:
            if step == "publish":
                published += 1
                await desk.publish(published)
                unread = 1
            elif unread:
                await read()
        while unread:
            await read()
        assert held == desk.channel.seq

    asyncio.run(run())


def test_what_waits_for_a_client_is_bounded_and_shared() -> None:
    async def run() -> None:
        desk = Desk()
        clients = [desk.client() for _ in range(3)]
        for client in clients:
            await anext(aiter(client.frames()))
        for number in range(1, 9):
            await desk.publish(number)
        first, *others = (client._pending for client in clients)
        assert len(first) == 8
        assert all(ours is theirs for other in others for ours, theirs in zip(first, other, strict=True))
        await desk.publish(9)
        assert not first

    asyncio.run(run())


def test_a_look_says_whether_it_told_anything_new() -> None:
    async def run() -> None:
        desk = Desk()
        desk.rows.publish([queue_of("a", waiting=1)])
        assert await desk.hub.look()
        assert not await desk.hub.look(), "what is not new puts no frame off"
        desk.rows.publish([queue_of("a", waiting=2)])
        assert await desk.hub.look()

    asyncio.run(run())


def test_a_closed_hub_ends_its_streams_and_begins_no_other() -> None:
    async def run() -> None:
        desk = Desk()
        client = desk.client()
        frames = aiter(client.frames())
        await anext(frames)
        desk.hub.close()
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
        assert desk.hub.channel("default") is None

    asyncio.run(run())


# --- the documentation ------------------------------------------------------------------------------------------------


def _examples() -> Iterator[str]:
    return iter(re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL))


def test_the_settings_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg/>")
    for number, text in enumerate(_examples()):
        assert tomllib.loads(text)
        path = tmp_path / f"{number}.toml"
        path.write_text(text.replace("/etc/queuelight/logo.svg", str(logo)), encoding="utf-8")
        assert boards_of(load(path))
    assert number == 1
