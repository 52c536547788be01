"""Does what stands behind a number add up to it, is it of today only, and does it tell nobody who somebody is?"""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from starlette.routing import Mount

from agents.drill_store import Behind, MemoryDrill, RedisDrill
from agents.pseudonym import Pseudonyms
from agents.snapshot_store import MemorySnapshots
from agents.wallboard import openapi
from agents.wallboard.config import BoardConfig
from agents.wallboard.server import Wallboard
from agents.wallboard.stores import MemoryStore
from schemas.drill import Day, DayInterval, Listed, SourceList
from schemas.partials import INTERVAL_MS, agents_row, queue_row
from schemas.snapshots import IntervalRow, QueueSnapshot
from streams.contact_list import merged
from streams.day_book import DayBook
from streams.driver import Driver, Item
from streams.simulator import Plan, Simulation, default_site, encode, with_events_per_s
from streams.site import QueuePolicy, Site
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.wallboard.rows import PANE, SITE, queue_of, site_of
from tests.wallboard.walls import Wall, publish, screen

ROW = queue_row("Sales", "voice")
H = 3_600_000
TOKYO = Site(name="Tokyo", zone="Asia/Tokyo", queues={"Sales": QueuePolicy(day_starts_at="05:00")})
FIVE = 1_795_636_800_000
"""05:00 in Tokyo on 2026-11-26."""


def interval(start_ms: int, row: str = ROW, arrival: dict[int, int] | None = None) -> IntervalRow:
    arrival = PANE if arrival is None else arrival
    return IntervalRow(
        row=row, start_ms=start_ms, arrival=arrival, event={}, time={}, queue_length_max=3,
        queue_length_area_ms=0, minutes=[],
    )  # fmt: skip


# --- the day ----------------------------------------------------------------------------------------------------------


def test_a_day_has_every_interval_that_has_begun_with_zeros_where_nothing_happened() -> None:
    book = DayBook(TOKYO)
    now = FIVE + 3 * INTERVAL_MS + 5
    assert book.take([interval(FIVE + INTERVAL_MS)], now) == {ROW}
    day = book.day(ROW, now)
    assert (day.day_ms, day.next_day_ms) == (FIVE, FIVE + 24 * H)
    assert [each.offered for each in day.intervals] == [0, 10, 0, 0]
    assert day.intervals[0].start == "2026-11-26T05:00:00+09:00"
    second = day.intervals[1]
    assert (second.answered, second.answered_in_x, second.abandoned, second.queue_length_max) == (8, 8, 2, 3)
    assert (second.sl_offered, second.asa_s, second.abandonment_rate) == (0.8, 4.0, 0.2)
    assert (day.intervals[0].sl_offered, day.intervals[0].asa_s) == (None, None)


def test_a_new_day_begins_empty_at_the_hour_of_the_queue_and_yesterday_is_not_taken_in_any_more() -> None:
    book = DayBook(TOKYO)
    book.take([interval(FIVE)], FIVE + 1)
    assert book.take([], FIVE + 24 * H - 1) == set()
    assert book.take([], FIVE + 24 * H) == {ROW}
    assert [each.offered for each in book.day(ROW, FIVE + 24 * H).intervals] == [0]
    assert book.take([interval(FIVE + 23 * H)], FIVE + 24 * H) == set(), "a correction of yesterday"
    assert book.take([interval(FIVE + 24 * H)], FIVE + 24 * H) == {ROW}
    assert [each.offered for each in book.day(ROW, FIVE + 24 * H).intervals] == [10]


def test_a_correction_replaces_its_interval_and_rows_of_agents_have_no_day() -> None:
    book = DayBook(TOKYO)
    book.take([interval(FIVE), interval(FIVE, agents_row("Sales"))], FIVE)
    assert book.rows() == [ROW]
    book.take([interval(FIVE, arrival={0: 1})], FIVE)
    assert [each.offered for each in book.day(ROW, FIVE).intervals] == [1]
    book.drop([ROW])
    assert book.rows() == []


def test_the_intervals_of_a_simulated_day_add_up_to_the_day_of_the_snapshot() -> None:
    site = default_site(6)
    driver = Driver(site, 2)
    began = 1_795_618_800_000
    plan = with_events_per_s(site, Plan(flat=True), 3.0)
    events = Simulation(site, plan, 5, keep_record=False).events(began, began + 3 * H)
    driver.feed(Item(topic, key, encode(event)) for topic, key, event in events)
    driver.finish(began + 3 * H)
    book = DayBook(site)
    book.take(driver.intervals.values(), driver.now_ms)
    seen = 0
    for snapshot in driver.snapshots():
        if not isinstance(snapshot, QueueSnapshot):
            continue
        day = book.day(queue_row(snapshot.queue, snapshot.channel), driver.now_ms)
        whole = snapshot.arrival["day"]
        for name in ("offered", "answered", "answered_in_x", "abandoned", "callback", "overflowed", "lost"):
            assert sum(getattr(each, name) for each in day.intervals) == getattr(whole, name), name
        seen += whole.offered
    assert seen > 1000


# --- contacts ---------------------------------------------------------------------------------------------------------


_waiting = st.lists(st.tuples(st.text("abc", max_size=2), st.integers(0, 9)), max_size=5)
_abandoned = st.lists(st.tuples(st.text("abc", max_size=2), st.just(0), st.integers(0, 9)), max_size=5)


@given(st.lists(st.tuples(_waiting, _abandoned), max_size=4), st.integers(0, 8))
def test_lists_of_shards_merge_into_what_one_list_of_all_would_be(
    parts: list[tuple[list[tuple[str, int]], list[tuple[str, int, int]]]], limit: int
) -> None:
    lists = [
        Listed(sorted(waiting, key=lambda c: c[1]), sorted(abandoned, key=lambda c: -c[2]))
        for waiting, abandoned in parts
    ]
    made = merged(lists, limit)
    everyone = sorted(queued for each in lists for _, queued in each.waiting)
    gone = sorted((left for each in lists for *_, left in each.abandoned), reverse=True)
    assert [queued for _, queued in made.waiting] == everyone[:limit]
    assert [left for *_, left in made.abandoned] == gone[:limit]


def test_a_pseudonym_is_the_same_with_the_same_key_and_says_nothing_with_another() -> None:
    one, again, other = Pseudonyms("key"), Pseudonyms("key"), Pseudonyms("another")
    assert one.of("090-1234-5678") == again.of("090-1234-5678")
    assert one.of("090-1234-5678") != other.of("090-1234-5678")
    assert one.of("090-1234-5678") != one.of("090-1234-5679")
    assert Pseudonyms().of("x") != Pseudonyms().of("x"), "without a key it is random"
    assert len(one.of("x")) == 10
    assert int(one.of("\ud800x"), 16) >= 0, "whatever an id is made of"


# --- where it is kept -------------------------------------------------------------------------------------------------


DAY = Day(
    day_ms=FIVE, next_day_ms=FIVE + 24 * H, intervals=[DayInterval(start_ms=FIVE, start="s", offered=1)]
)
LATER = Day(day_ms=FIVE, next_day_ms=FIVE + 24 * H, intervals=[])


@pytest.fixture
def empty(redis: LocalRedis) -> LocalRedis:
    with Redis.from_url(redis.url) as client:
        client.flushall()
    return redis


def on_redis(
    url: str, work: Callable[[RedisDrill, Callable[[int], Awaitable[None]]], Awaitable[None]]
) -> None:
    """Run with a writing store, and something that waits until so many values were stored or refused."""

    async def run() -> None:
        client = redis.asyncio.Redis.from_url(url)
        drill = RedisDrill(client, SITE)
        done = 0
        more = asyncio.Condition()

        async def told() -> None:
            async with more:
                more.notify_all()

        def count(_: str, number: int) -> None:
            nonlocal done
            done += number
            tasks.create_task(told())

        async def written(number: int) -> None:
            async with asyncio.timeout(10), more:
                await more.wait_for(lambda: done >= number)

        drill.count(count)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(drill.run())
            await work(drill, written)
            running.cancel()
        await client.aclose()

    asyncio.run(run())


@pytest.mark.system
def test_what_an_owner_of_the_past_writes_is_refused_for_days_and_for_contacts(empty: LocalRedis) -> None:
    async def work(drill: RedisDrill, written: Callable[[int], Awaitable[None]]) -> None:
        drill.offer_days({ROW: DAY}, 2, 10)
        drill.offer_contacts("calls/0", SourceList(5, {ROW: Listed([("a", 1)])}), 2, 10)
        await written(2)
        drill.offer_days({ROW: LATER}, 1, 99)
        drill.offer_contacts("calls/0", SourceList(6, {}), 2, 9)
        await written(4)
        assert await drill.behind(ROW) == Behind(DAY, Listed([("a", 1)]), 5)
        drill.remove_days([ROW], 1, 99)
        await written(5)
        assert (await drill.behind(ROW)).day == DAY
        drill.remove_days([ROW], 2, 10)
        drill.offer_contacts("calls/0", SourceList(7, {}), 3, 0)
        await written(7)
        assert await drill.behind(ROW) == Behind(None, Listed(), 7)

    on_redis(empty.url, work)


@pytest.mark.system
def test_contacts_of_all_shards_are_one_list_in_redis_as_in_memory(empty: LocalRedis) -> None:
    first = SourceList(50, {ROW: Listed([("a", 1), ("c", 3)], [("x", 1, 9)]), "other": Listed([("z", 0)])})
    second = SourceList(40, {ROW: Listed([("b", 2)], [("y", 1, 10)])})
    expected = Behind(DAY, Listed([("a", 1), ("b", 2), ("c", 3)], [("y", 1, 10), ("x", 1, 9)]), 40)

    async def work(drill: RedisDrill | MemoryDrill, written: Callable[[int], Awaitable[None]]) -> None:
        drill.offer_days({ROW: DAY}, 1, 1)
        drill.offer_contacts("calls/0", first, 1, 1)
        drill.offer_contacts("chats/1", second, 1, 1)
        await written(3)
        assert await drill.behind(ROW) == expected
        assert await drill.behind("absent") == Behind(None, Listed(), 40)

    async def at_once(_: int) -> None: ...

    on_redis(empty.url, work)
    memory = MemoryDrill()
    asyncio.run(_done(work(memory, at_once)))
    memory.withdraw([ROW], ["calls/0", "chats/1"])
    assert asyncio.run(memory.behind(ROW)) == Behind(None, Listed(), None)


async def _done(work: Awaitable[None]) -> None:
    await work


@pytest.mark.system
def test_nobody_is_woken_by_what_stands_behind_the_numbers(empty: LocalRedis) -> None:
    async def work(drill: RedisDrill, written: Callable[[int], Awaitable[None]]) -> None:
        drill.offer_days({ROW: DAY}, 1, 1)
        await written(1)

    on_redis(empty.url, work)
    with Redis.from_url(empty.url) as client:
        assert client.exists("queuelight:{wall}:seq") == 0


# --- what the wallboard answers ---------------------------------------------------------------------------------------


@pytest.fixture
def wall(empty: LocalRedis, tmp_path: Path) -> Iterator[Wall]:
    publish(empty.url, [queue_of("Sales"), queue_of("注文/配送", "chat"), site_of()])
    day = DayBook(TOKYO)
    day.take([interval(FIVE + INTERVAL_MS)], FIVE + 2 * INTERVAL_MS)
    listed = {
        ROW: Listed([("00000000aa", FIVE)], [("00000000bb", FIVE, FIVE + 12_500)]),
        queue_row("注文/配送", "chat"): Listed([("00000000cc", FIVE)]),
    }

    async def work(drill: RedisDrill, written: Callable[[int], Awaitable[None]]) -> None:
        drill.offer_days({ROW: day.day(ROW, FIVE + 2 * INTERVAL_MS)}, 1, 1)
        drill.offer_contacts("calls/0", SourceList(FIVE, listed), 1, 1)
        await written(2)

    on_redis(empty.url, work)
    with Wall(tmp_path, empty.url) as running:
        until(lambda: len(running.board()["queues"]) == 2, "the rows were read")
        yield running


def asked(wall: Wall, queue: str, rest: str = "") -> dict[str, Any]:
    status, body = wall.get(f"/api/v1/queues/{quote(queue, safe='')}{rest}")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.system
def test_behind_a_queue_are_its_windows_its_day_and_its_contacts(wall: Wall) -> None:
    found = asked(wall, "Sales", "?channel=voice")
    assert (found["queue"], found["channel"]) == ("Sales", "voice")
    assert set(found["windows"]) == set(found["arrival"]) == {"1m", "5m", "15m", "30m", "1h", "day"}
    assert found["windows"]["5m"]["sl_offered"] == 0.8
    assert found["windows"]["5m"]["proportions"]["sl_offered"]["n"] == 10
    assert found["day_ms"] == FIVE
    assert [each["offered"] for each in found["intervals"]] == [0, 10, 0]
    assert found["waiting"] == [{"id": "00000000aa", "queued_ms": FIVE}]
    assert found["abandoned"] == [
        {"id": "00000000bb", "queued_ms": FIVE, "left_ms": FIVE + 12_500, "wait_s": 12.5}
    ]
    assert found["listed_ms"] == FIVE


@pytest.mark.system
def test_a_name_with_a_slash_and_a_queue_without_a_day_are_answered_too(wall: Wall) -> None:
    found = asked(wall, "注文/配送")
    assert (found["queue"], found["channel"]) == ("注文/配送", "chat")
    assert (found["day_ms"], found["intervals"]) == (None, [])
    assert [each["id"] for each in found["waiting"]] == ["00000000cc"]
    for path in (
        "/api/v1/queues/absent",
        "/api/v1/queues/Sales?channel=chat",
        "/api/v1/queues/absent/intervals.csv",
    ):
        assert wall.get(path)[0] == 404


@pytest.mark.system
def test_the_day_is_a_table_with_a_header(wall: Wall) -> None:
    answer = httpx.get(f"{wall.url}/api/v1/queues/Sales/intervals.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Sales-voice.csv"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["start"] for each in table] == [f"2026-11-26T05:{m}:00+09:00" for m in ("00", "15", "30")]
    assert table[1]["offered"] == "10"
    assert table[1]["sl_offered"] == "0.8"
    assert table[0]["sl_offered"] == ""


@pytest.mark.system
def test_while_redis_is_away_nothing_is_told_that_may_be_wrong(tmp_path: Path) -> None:
    with LocalRedis() as own:
        publish(own.url, [queue_of("Sales")])
        with Wall(tmp_path, own.url) as wall:
            until(lambda: bool(wall.board()["queues"]), "it was read")
            own.kill()
            assert wall.get("/api/v1/queues/Sales")[0] == 503


# --- the document -----------------------------------------------------------------------------------------------------


def test_the_document_names_every_route_and_no_other() -> None:
    wallboard = Wallboard(MemoryStore(MemorySnapshots()), {"default": BoardConfig()})
    served = {
        (route.path.replace(":path", ""), method.lower())  # type: ignore[attr-defined]
        for route in wallboard.app.routes
        if not isinstance(route, Mount)
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    paths = openapi.document("1")["paths"]
    assert isinstance(paths, dict)
    told = {(path, method) for path, methods in paths.items() for method in methods}
    assert told == served - {("/", "get"), ("/assets-local/logo", "get")}


@pytest.mark.system
def test_what_is_answered_is_what_the_document_says(wall: Wall, empty: LocalRedis) -> None:
    _, body = wall.get("/api/v1/openapi.json")
    document = json.loads(body)
    assert document["openapi"] == "3.1.0"

    def check(name: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    paths = {
        "/api/v1/board": "SnapshotFrame", "/api/v1/words?lang=ja": "Words", "/api/v1/queues/Sales": "QueueAnswer",
        "/livez": "Alive", "/api/v1/board?board=x": "Problem",
    }  # fmt: skip
    for path, name in paths.items():
        check(name, json.loads(wall.get(path)[1]))
    sent = {"queue": "Sales", "channel": "voice", "by": "Aoi"}
    check("Acknowledgement", sent)
    publish(empty.url, [queue_of("Sales", target=0.9, position=2)])
    until(
        lambda: json.loads(wall.get("/api/v1/board")[1])["queues"]["Sales\x1fvoice"]["state"] == "breach",
        "a breach",
    )
    with screen(wall.url) as stream:
        check("SnapshotFrame", stream.next().data)
        same = {"sec-fetch-site": "same-origin"}
        check("Ack", httpx.post(f"{wall.url}/api/v1/acknowledgements", json=sent, headers=same).json())
        check("DeltaFrame", stream.named("delta").data)
        check("BeatFrame", stream.named("beat").data)
    with pytest.raises(jsonschema.ValidationError):
        check("BeatFrame", {"seq": "1"})


@pytest.mark.system
def test_every_reference_in_the_document_leads_somewhere(wall: Wall) -> None:
    _, body = wall.get("/api/v1/openapi.json")
    document = json.loads(body)
    names = set(document["components"]["schemas"])
    text = body.decode()
    found = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert found <= names
    assert "thresholds" not in document["components"]["schemas"]["Board"]["properties"]
