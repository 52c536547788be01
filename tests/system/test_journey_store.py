"""Do readers find in Redis what workers said of visitors and customers, and nothing of owners of the past?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis.asyncio as aioredis

from agents.journeys import store as journey_store
from agents.journeys.store import MOST_CONTACTS, MOST_SESSIONS, MemoryJourneys, RedisJourneys
from schemas.journeys import (
    Flag,
    JourneyContact,
    JourneyPage,
    JourneySession,
    VisitorNow,
    WebReport,
)
from streams.routing import partition_of
from tests.system.local_redis import LocalRedis

pytestmark = pytest.mark.system
SITE = "journeys"
PARTITIONS = 2


@pytest.fixture(scope="module")
def redis() -> Iterator[LocalRedis]:
    """A running Redis."""
    with LocalRedis() as server:
        yield server


def visitor(name: str, probability: float, flag: Flag | None = None) -> VisitorNow:
    return VisitorNow(
        visitor_id=name,
        session_id=f"{name}-1",
        page="/bill",
        seen_ms=1,
        probability=probability,
        reasons=(),
        flag=flag,
    )


def flag(visitor_id: str) -> Flag:
    return Flag(
        id=f"f-{visitor_id}", visitor_id=visitor_id, session_id="s", page="/bill", raised_ms=1, probability=0.5,
        threshold=0.3, arm="offer",
    )  # fmt: skip


def session(number: int, customer_visitor: str = "v1", pages: int = 1) -> JourneySession:
    seen = tuple(JourneyPage(page=f"/page/{n}", at_ms=number * 1000 + n) for n in range(pages))
    return JourneySession(
        session_id=f"s{number}",
        visitor_id=customer_visitor,
        start_ms=number * 1000,
        end_ms=number * 1000 + 500,
        pages=seen,
    )


def contact(number: int) -> JourneyContact:
    return JourneyContact(
        contact_id=f"c{number}", channel="voice", queue="Bills", queued_ms=number, outcome="answered"
    )


def of_partition(partition: int) -> Iterator[str]:
    return (name for n in range(1000) if partition_of(name := f"v{n}", PARTITIONS) == partition)


Work = Callable[[RedisJourneys, aioredis.Redis], Awaitable[None]]


def running(server: LocalRedis, work: Work) -> None:
    """Do some work with a store that writes."""

    async def run() -> None:
        client = aioredis.Redis.from_url(server.url)
        await client.flushall()
        store = RedisJourneys(client, SITE)
        writing = asyncio.create_task(store.run())
        try:
            await work(store, client)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await client.aclose()

    asyncio.run(run())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


def test_redis_and_memory_answer_alike(redis: LocalRedis) -> None:
    async def work(store: RedisJourneys, client: aioredis.Redis) -> None:
        memory = MemoryJourneys()
        for each in (store, memory):
            assert await each.report() is None
            assert await each.journey("c1_a") is None
            each.begin(0, PARTITIONS, 5)
            each.offer_visitors(
                0, {"v1": visitor("v1", 0.2), "v2": visitor("v2", 0.4), "v3": visitor("v3", 0.1)}
            )
            each.offer_visitors(0, {"v1": None, "v3": visitor("v3", 0.35, flag("v3"))})
            each.offer_report(WebReport(as_of_ms=7, views=3), 5, 1)
            each.offer_sessions({("c1_a", f"s{n}"): session(n) for n in range(3)})
            each.offer_sessions({("c1_a", "s1"): None, ("c1_b", "s9"): session(9)})
            each.offer_contacts(1, {"c1_a": (contact(1), contact(2)), "c1_c": None})

        async def is_written() -> bool:
            return await store.report() == await memory.report() and (
                await store.journey("c1_b") == await memory.journey("c1_b")
            )

        await until(is_written)
        assert [each.visitor_id for each in await memory.visitors()] == ["v3", "v2"]
        assert await store.visitors() == await memory.visitors()
        journey = await store.journey("c1_a")
        assert journey == await memory.journey("c1_a")
        assert journey is not None
        assert [each.session_id for each in journey.sessions] == ["s2", "s0"]
        assert [each.contact_id for each in journey.contacts] == ["c2", "c1"]
        assert await store.journey("c1_c") is None

    running(redis, work)


def test_a_new_owner_takes_back_whom_the_former_one_told_of_and_only_those(redis: LocalRedis) -> None:
    own, other = list(of_partition(0))[:3], list(of_partition(1))[:2]

    async def work(store: RedisJourneys, client: aioredis.Redis) -> None:
        async def shown() -> set[str]:
            return {each.visitor_id for each in await store.visitors()}

        former = RedisJourneys(client, SITE)
        writing = asyncio.create_task(former.run())
        for partition, names in ((0, own), (1, other)):
            former.begin(partition, PARTITIONS, 1)
            former.offer_visitors(partition, {name: visitor(name, 0.2) for name in names})

        async def all_told() -> bool:
            return await shown() == {*own, *other}

        await until(all_told)
        store.begin(0, PARTITIONS, 2)
        store.offer_visitors(0, {own[0]: visitor(own[0], 0.3)})

        async def swept() -> bool:
            return await shown() == {own[0], *other}

        await until(swept)
        former.offer_visitors(0, {own[1]: visitor(own[1], 0.9), own[0]: visitor(own[0], 0.9)})
        former.offer_visitors(1, {other[0]: None})

        async def other_is_gone() -> bool:
            return await shown() <= {*own, *other[1:]}

        await until(other_is_gone)
        assert {each.visitor_id: each.probability for each in await store.visitors()} == {
            own[0]: 0.3,
            other[1]: 0.2,
        }
        writing.cancel()

    running(redis, work)


def test_a_journey_is_bounded_goes_after_two_days_and_is_read_within_50_ms(redis: LocalRedis) -> None:
    async def work(store: RedisJourneys, client: aioredis.Redis) -> None:
        for number in range(100):
            store.offer_sessions({("c1_a", f"s{number}"): session(number, pages=100)})
            await asyncio.sleep(0)
        store.offer_contacts(0, {"c1_a": tuple(contact(n) for n in range(200))})
        key = f"queuelight:{{{SITE}}}:journey:c1_a"

        async def is_written() -> bool:
            return await client.hexists(key, "contacts/0") and await client.hexists(key, "s/s99")

        await until(is_written)
        assert await client.hlen(key) <= 2 * MOST_SESSIONS + 1
        assert 0 < await client.ttl(key) <= journey_store.JOURNEY_KEPT_S
        took = []
        for _ in range(20):
            began = time.perf_counter()
            journey = await store.journey("c1_a")
            took.append(time.perf_counter() - began)
        assert journey is not None
        assert [each.session_id for each in journey.sessions] == [f"s{99 - n}" for n in range(MOST_SESSIONS)]
        assert [each.contact_id for each in journey.contacts] == [f"c{199 - n}" for n in range(MOST_CONTACTS)]
        assert sorted(took)[len(took) // 2] <= 0.05

    running(redis, work)


def test_a_redis_that_started_empty_fills_again(redis: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey_store, "ANEW_EVERY_S", 0.1)

    async def work(store: RedisJourneys, client: aioredis.Redis) -> None:
        async def is_whole() -> bool:
            return len(await store.visitors()) == 1 and await store.report() is not None

        store.begin(0, PARTITIONS, 1)
        store.offer_visitors(0, {"v1": visitor("v1", 0.2)})
        store.offer_report(WebReport(as_of_ms=7), 1, 1)
        await until(is_whole)
        await client.flushall()
        await until(is_whole)

    running(redis, work)


def test_of_a_forgotten_customer_nothing_is_left(redis: LocalRedis) -> None:
    async def work(store: RedisJourneys, client: aioredis.Redis) -> None:
        store.begin(0, PARTITIONS, 1)
        store.offer_visitors(0, {"v1": visitor("v1", 0.2), "v2": visitor("v2", 0.2)})
        store.offer_sessions({("c1_a", "s1"): session(1), ("c1_b", "s2"): session(2, "v2")})

        async def is_written() -> bool:
            return await store.journey("c1_b") is not None and len(await store.visitors()) == 2

        await until(is_written)
        assert await store.forget(["c1_a", "c2_a"], ["v1"]) == 2
        assert await store.journey("c1_a") is None
        assert [each.visitor_id for each in await store.visitors()] == ["v2"]
        assert await store.journey("c1_b") is not None
        assert await store.forget(["c1_a", "c2_a"], ["v1"]) == 0

    running(redis, work)
