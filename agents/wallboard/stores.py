"""Where does the wallboard read? In Redis, or in the memory of the demo's worker.

Writes nothing but acknowledgements. Refuses to know what the numbers mean.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import msgspec
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agents.drill_store import Behind, MemoryDrill, RedisDrill
from agents.journeys.store import JourneyReader, RedisJourneys, visitor_keys
from agents.snapshot_store import MemorySnapshots, keys_of
from agents.wallboard.frames import Ack, Acks
from agents.wallboard.hub import StoreDown
from schemas.journeys import Journey, VisitorNow, WebReport
from schemas.snapshots import RowState, decode_state

log = logging.getLogger(__name__)

_TROUBLE = (RedisError, OSError, TimeoutError)
_PATIENCE_S = 2.0
ACK_KEPT_S = 4 * 3600
"""Acknowledgements are forgotten when the breach is over, and all of them four hours after the last one."""
_decode_ack = msgspec.json.Decoder(Ack).decode
_FORGET = """
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', KEYS[1], ARGV[at]) end
end
"""


def connected(url: str) -> redis.Redis:
    """A client that says soon when Redis is away: a connection that a restart has cut is opened again once."""
    return redis.Redis.from_url(
        url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 1)
    )


class RedisStore:
    """Row states and acknowledgements of a site in Redis."""

    def __init__(self, url: str, site: str) -> None:
        self._client = connected(url)
        self._rows, _, _, self._channel = keys_of(site)
        self._acks = f"queuelight:{{{site}}}:acks"
        self._drill = RedisDrill(self._client, site)
        self._forget = self._client.register_script(_FORGET)
        self._decoded: dict[bytes, RowState] = {}

    async def read(self) -> tuple[Sequence[RowState], Acks]:
        """The newest row states and acknowledgements.

        Raises:
            StoreDown: Redis does not answer.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hvals(self._rows)
        pipeline.hgetall(self._acks)
        try:
            values, stored = await pipeline.execute()
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error
        before, self._decoded = self._decoded, {}
        for value in values:
            try:
                self._decoded[value] = before.get(value) or decode_state(value)
            except msgspec.DecodeError:
                log.warning("a row in Redis cannot be read; is its writer of another version?")
        acks: dict[str, Ack] = {}
        for key, value in stored.items():
            with suppress(msgspec.DecodeError):
                acks[key.decode()] = _decode_ack(value)
        return list(self._decoded.values()), acks

    async def announcements(self) -> AsyncIterator[None]:
        """One item for each publication, and one at the beginning.

        Raises:
            StoreDown: Redis does not answer.
        """
        async for _ in _announced(self._client, self._channel):
            yield None

    async def acknowledge(self, key: str, ack: Ack) -> None:
        """Store who acknowledged a breach of a tile, for the screens of all wallboards.

        Raises:
            StoreDown: Redis does not answer.
        """
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(self._acks, key, msgspec.json.encode(ack))
        pipeline.expire(self._acks, ACK_KEPT_S)
        pipeline.publish(self._channel, "{}")
        try:
            await pipeline.execute()
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def forget(self, acks: Acks) -> None:
        """Drop these acknowledgements, unless newer ones have taken their places.

        Raises:
            StoreDown: Redis does not answer.
        """
        said = [part for key, ack in acks.items() for part in (key.encode(), msgspec.json.encode(ack))]
        try:
            await self._forget(keys=[self._acks], args=said)
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def behind(self, row: str) -> Behind:
        """What stands behind a row.

        Raises:
            StoreDown: Redis does not answer.
        """
        try:
            return await self._drill.behind(row)
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class RedisVisitors:
    """Visitors, journeys and the report on the web site in Redis."""

    def __init__(self, url: str, site: str) -> None:
        self._client = connected(url)
        self._journeys = RedisJourneys(self._client, site)
        self._channel = visitor_keys(site)[3]

    async def report(self) -> WebReport | None:
        """The newest report; None: there is none yet.

        Raises:
            StoreDown: Redis does not answer.
        """
        try:
            return await self._journeys.report()
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def visitors(self) -> list[VisitorNow]:
        """Whoever is worth watching now, the most stuck first.

        Raises:
            StoreDown: Redis does not answer.
        """
        try:
            return await self._journeys.visitors()
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def journey(self, customers: Sequence[str]) -> Journey | None:
        """What is known of a customer, under the first of these names that is known; None: nothing.

        Raises:
            StoreDown: Redis does not answer.
        """
        try:
            return await self._journeys.first_journey(customers)
        except _TROUBLE as error:
            raise StoreDown(str(error)) from error

    async def announcements(self) -> AsyncIterator[None]:
        """One item for each change of a visitor, and one at the beginning.

        Raises:
            StoreDown: Redis does not answer.
        """
        async for _ in _announced(self._client, self._channel):
            yield None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class MemoryVisitors:
    """Visitors, journeys and the report of a worker in this process."""

    def __init__(self, journeys: JourneyReader, every_s: float = 0.5) -> None:
        self._journeys = journeys
        self._every_s = every_s

    async def report(self) -> WebReport | None:
        """The newest report; None: there is none yet."""
        return await self._journeys.report()

    async def visitors(self) -> list[VisitorNow]:
        """Whoever is worth watching now, the most stuck first."""
        return await self._journeys.visitors()

    async def journey(self, customers: Sequence[str]) -> Journey | None:
        """What is known of a customer, under the first of these names that is known; None: nothing."""
        for customer in customers:
            found = await self._journeys.journey(customer)
            if found is not None:
                return found
        return None

    async def announcements(self) -> AsyncIterator[None]:
        """One item every half second."""
        while True:
            yield None
            await asyncio.sleep(self._every_s)


async def _announced(client: redis.Redis, channel: str) -> AsyncIterator[None]:
    """One item for each message on a channel, and one at the beginning: what was told before is not told again."""
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    try:
        await pubsub.subscribe(channel)
        yield None
        while True:
            if await pubsub.get_message(timeout=1.0) is not None:
                yield None
    except _TROUBLE as error:
        raise StoreDown(str(error)) from error
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]


class MemoryStore:
    """Row states of a worker in this process."""

    def __init__(
        self, snapshots: MemorySnapshots, drill: MemoryDrill | None = None, every_s: float = 0.5
    ) -> None:
        self._snapshots = snapshots
        self._drill = drill or MemoryDrill()
        self._every_s = every_s
        self._acks: dict[str, Ack] = {}

    async def read(self) -> tuple[Sequence[RowState], Acks]:
        """The newest row states and acknowledgements."""
        return self._snapshots.states(), dict(self._acks)

    async def announcements(self) -> AsyncIterator[None]:
        """One item every half second: the worker publishes that often anyway."""
        while True:
            await asyncio.sleep(self._every_s)
            yield None

    async def acknowledge(self, key: str, ack: Ack) -> None:
        """Keep who acknowledged a breach of a tile."""
        self._acks[key] = ack

    async def forget(self, acks: Acks) -> None:
        """Drop these acknowledgements, unless newer ones have taken their places."""
        for key, ack in acks.items():
            if self._acks.get(key) == ack:
                del self._acks[key]

    async def behind(self, row: str) -> Behind:
        """What stands behind a row."""
        return await self._drill.behind(row)
