"""Does a board see what visitors do, and nobody's name? Frames of the web site, without a browser."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from msgspec import structs

from agents.journeys.store import MemoryJourneys
from agents.wallboard.config import BoardConfig
from agents.wallboard.frames import Acks
from agents.wallboard.hub import Client, Hub, StoreDown
from agents.wallboard.stores import MemoryVisitors
from agents.wallboard.web import MOST_VISITORS, web_frame
from schemas.journeys import StuckModel, VisitorNow, WebReport
from schemas.snapshots import RowState, encode_json
from tests.reports import FEES, RETURNS, report_of, stuck_of
from tests.wallboard.rows import now_ms, queue_of

ALL: frozenset[str] = frozenset()
QUEUE = "注文・配送"


def test_pages_are_ordered_by_how_many_are_stuck_and_say_since_when_and_why() -> None:
    at_ms = now_ms()
    visitors = [stuck_of(1, at_ms, page=FEES), stuck_of(2, at_ms), stuck_of(3, at_ms)]
    rows = [queue_of(QUEUE, agents={"available": 2}), queue_of(QUEUE, "chat", agents={"available": 3})]
    frame = web_frame(7, report_of(at_ms), visitors, rows, ALL, at_ms)
    first, second = frame.stuck
    assert (first.page, first.stuck, second.page, second.stuck) == (RETURNS, 2, FEES, 1)
    assert first.since_ms == at_ms - 3 * 90_000
    assert first.reasons == {"rage_click": 2, "form_error": 2}
    assert (first.queue, first.free, first.offers, first.withheld) == (QUEUE, 3, 2, {})


def test_why_nothing_is_offered_is_counted_by_reason_and_who_is_only_watched_is_not_stuck() -> None:
    at_ms = now_ms()
    held = stuck_of(1, at_ms, offer=False, withheld="holdout")
    late = [stuck_of(n, at_ms, offer=False, withheld="no agent free") for n in (2, 3)]
    near = structs.replace(stuck_of(4, at_ms), flag=None)
    over = stuck_of(5, at_ms)
    assert over.flag is not None
    over = structs.replace(over, flag=structs.replace(over.flag, cleared_ms=at_ms, cleared="progress"))
    frame = web_frame(1, None, [held, *late, near, over], [], ALL, at_ms)
    (page,) = frame.stuck
    assert (page.stuck, page.offers, page.withheld) == (3, 0, {"holdout": 1, "no agent free": 2})
    assert frame.watched == 5


def test_no_id_of_a_visitor_or_customer_is_in_a_frame_nor_the_model() -> None:
    at_ms = now_ms()
    model = StuckModel(version=1, valid_from_ms=0, base=-3.0, weights={"loop": 1.0})
    text = encode_json(
        web_frame(1, report_of(at_ms, model=model), [stuck_of(1, at_ms)], [], ALL, at_ms)
    ).decode()
    for hidden in ("v1_", "c1_", "visitor_id", "customer_id", "weights"):
        assert hidden not in text
    assert '"name":"' in text


def test_a_board_of_some_queues_learns_nothing_of_others() -> None:
    at_ms = now_ms()
    rows = [queue_of(QUEUE, agents={"available": 2})]
    frame = web_frame(1, report_of(at_ms), [stuck_of(1, at_ms)], rows, frozenset({"Sales"}), at_ms)
    assert QUEUE not in encode_json(frame).decode()
    assert (frame.stuck[0].queue, frame.stuck[0].free) == (None, None)


def test_who_is_free_is_not_known_of_a_row_that_is_out_of_date() -> None:
    at_ms = now_ms()
    rows = [queue_of(QUEUE, agents={"available": 2}, published_ms=at_ms - 11_000)]
    assert web_frame(1, None, [stuck_of(1, at_ms)], rows, ALL, at_ms).stuck[0].free is None


def test_a_frame_is_bounded_however_many_are_stuck() -> None:
    at_ms = now_ms()
    visitors = [stuck_of(n, at_ms) for n in range(MOST_VISITORS + 50)]
    frame = web_frame(1, None, visitors, [], ALL, at_ms)
    assert len(frame.visitors) == MOST_VISITORS
    assert frame.stuck[0].stuck == MOST_VISITORS + 50


# --- the stream -------------------------------------------------------------------------------------------------------


class Nothing:
    async def read(self) -> tuple[Sequence[RowState], Acks]:
        return [], {}

    async def announcements(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield None

    async def forget(self, acks: Acks) -> None:
        raise AssertionError("there is none")


def test_frames_are_encoded_once_and_the_latest_wins() -> None:
    async def run() -> None:
        store = MemoryJourneys()
        hub = Hub(Nothing(), {"default": BoardConfig()}, MemoryVisitors(store))
        channel = hub.channel("default")
        assert channel is not None
        seeing, other = Client(channel, sees_web=True), Client(channel)
        channel.clients |= {seeing, other}
        at_ms = now_ms()
        for sessions in (1, 2, 3):
            report = report_of(at_ms, sessions=sessions)
            channel.tell_web(web_frame(0, report, [], [], ALL, at_ms))
        again = web_frame(0, report_of(at_ms, sessions=3), [], [], ALL, at_ms + 1)
        event = channel.web_event(again)
        assert event is channel.web_event(again)
        frames = seeing.frames()
        first, second = await anext(frames), await anext(frames)
        assert first.startswith(b"event: snapshot\n")
        assert second is event
        assert b'"sessions":3' in second
        seeing.end()
        assert [frame async for frame in frames] == []
        others = other.frames()
        assert (await anext(others)).startswith(b"event: snapshot\n")
        other.end()
        assert [frame async for frame in others] == []

    asyncio.run(run())


class Broken(MemoryVisitors):
    is_down = False

    async def visitors(self) -> list[VisitorNow]:
        if self.is_down:
            raise StoreDown("away")
        return await super().visitors()


def test_while_the_store_is_away_a_board_keeps_the_last_report_and_says_since_when() -> None:
    async def run() -> tuple[WebReport | None, int | None]:
        store = MemoryJourneys()
        store.offer_report(report_of(now_ms()), 1, 1)
        visitors = Broken(store)
        hub = Hub(Nothing(), {"default": BoardConfig()}, visitors)
        assert (await hub.web(hub.boards["default"])).redis_down_since is None
        visitors.is_down = True
        hub._web_looked_s = float("-inf")
        frame = await hub.web(hub.boards["default"])
        return frame.report, frame.redis_down_since

    report, since_ms = asyncio.run(run())
    assert report is not None
    assert since_ms is not None
