"""How does a test put a web site into Redis? Reports, visitors and journeys, as workers write them.

Refuses to know what a test expects to see.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import redis.asyncio as redis

from agents.journeys.store import RedisJourneys
from schemas.journeys import JourneyContact, JourneySession, VisitorNow, WebReport

_EPOCH = 1


def written(url: str, site: str, offer: Callable[[RedisJourneys], int]) -> None:
    """Write what is offered, and return when it is stored. `offer` returns how many values these are."""

    async def run() -> None:
        client = redis.Redis.from_url(url)
        store = RedisJourneys(client, site)
        done = asyncio.Event()
        stored, wanted = 0, 1 << 30

        def count(result: str, number: int) -> None:
            nonlocal stored
            stored += number if result == "stored" else 0
            if stored >= wanted:
                done.set()

        store.count(count)
        store.begin(0, 1, _EPOCH)
        running = asyncio.create_task(store.run())
        wanted = offer(store)
        if wanted:
            async with asyncio.timeout(10):
                await done.wait()
        running.cancel()
        await client.aclose()

    with ThreadPoolExecutor(1) as apart:  # where pages are open, their loop runs in this thread
        apart.submit(lambda: asyncio.run(run())).result()


def publish_web(
    url: str, site: str, report: WebReport | None, visitors: Mapping[str, VisitorNow | None]
) -> None:
    """A report, and whoever is watched."""

    def offer(store: RedisJourneys) -> int:
        if report is not None:
            store.offer_report(report, _EPOCH, 1)
        store.offer_visitors(0, visitors)
        return len(visitors) + (report is not None)

    written(url, site, offer)


def publish_journey(
    url: str,
    site: str,
    customer: str,
    sessions: tuple[JourneySession, ...],
    contacts: tuple[JourneyContact, ...],
) -> None:
    """The journey of a customer."""

    def offer(store: RedisJourneys) -> int:
        store.offer_sessions({(customer, each.session_id): each for each in sessions})
        store.offer_contacts(0, {customer: contacts})
        return len(sessions) + 1

    written(url, site, offer)
