"""Where do boards, screen pop and the terminal find visitors and journeys? In Redis, or in the memory of the demo.

Redis holds, per site: a hash `web` with the newest report of the web site; a hash `visitors` with whoever is worth
watching now, announced on a channel of the same name; and for each customer a hash `journey:<customer>` with sessions
and contacts, which goes two days after the last of them. The first two are fenced (`agents.fenced_hash`); of a journey
the newest word wins. Refuses to know who may ask, and what the values mean.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

from agents.fenced_hash import GONE, FencedHash, Keys
from agents.redis_client import said, shown
from schemas.errors import QueuelightError
from schemas.journeys import (
    Journey,
    JourneyContact,
    JourneySession,
    VisitorNow,
    WebReport,
    decode_report,
    decode_session,
    decode_visitor,
    encode_journeys,
)
from streams.routing import partition_of

if TYPE_CHECKING:
    from agents.settings import Settings

log = logging.getLogger(__name__)

JOURNEY_KEPT_S = 48 * 3600
MOST_SESSIONS = 20
"""Sessions that are shown of one customer; twice as many are kept."""
MOST_CONTACTS = 50
MOST_WAITING = 50_000
"""Fields of journeys that wait for a Redis that is away; beyond it the oldest are not written."""
ANEW_EVERY_S = 60.0
"""How often everything that lives is written again: a Redis that started empty fills."""
_BATCH = 500
_REPORT = "report"
_decode_contacts = msgspec.json.Decoder(tuple[JourneyContact, ...]).decode
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Made = TypeVar("_Made")
_PATIENCE_S = 5.0
_TROUBLE = (RedisError, OSError, TimeoutError)

_WRITE_JOURNEY = """
for i = 1, #ARGV - 2, 2 do
  if ARGV[i+1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i+1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[#ARGV - 1])
local most = tonumber(ARGV[#ARGV])
if redis.call('HLEN', KEYS[1]) > most + 1 then
  local sessions, all = {}, redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 's/' then
      sessions[#sessions + 1] = {cjson.decode(all[i+1])['start_ms'], all[i]}
    end
  end
  table.sort(sessions, function(a, b) return a[1] > b[1] end)
  for i = most + 1, #sessions do
    redis.call('HDEL', KEYS[1], sessions[i][2])
  end
end
"""

Sessions = Mapping[tuple[str, str], JourneySession | None]
"""(customer, session id) -> the session; None: it is no longer this customer's."""
Contacts = Mapping[str, tuple[JourneyContact, ...] | None]
"""Customer -> contacts; None: there are none any more."""
Visitors = Mapping[str, VisitorNow | None]
"""Visitor -> what is to be shown; None: nothing any more."""


class JourneyWriter(Protocol):
    """Whoever takes what the shards of this worker say of visitors and customers."""

    def begin(self, partition: int, partitions: int, epoch: int) -> None:
        """A shard of `web` begins to tell; what it does not tell at first is none of its visitors any more."""
        ...

    def offer_visitors(self, partition: int, visitors: Visitors) -> None: ...
    def end(self, partition: int) -> None:
        """A shard of `web` is no longer ours."""
        ...

    def offer_report(self, report: WebReport, epoch: int, position: int) -> None: ...
    def offer_sessions(self, sessions: Sessions) -> None: ...
    def offer_contacts(self, partition: int, contacts: Contacts) -> None: ...


class JourneyReader(Protocol):
    """Whoever can say what is known of visitors and customers."""

    async def report(self) -> WebReport | None: ...
    async def visitors(self) -> list[VisitorNow]: ...
    async def journey(self, customer: str) -> Journey | None: ...


class MemoryJourneys:
    """Of the shards of this process: all there are, in the demo."""

    def __init__(self) -> None:
        self._report: WebReport | None = None
        self._visitors: dict[int, dict[str, VisitorNow]] = {}
        self._sessions: dict[str, dict[str, JourneySession]] = {}
        self._contacts: dict[str, tuple[JourneyContact, ...]] = {}

    def begin(self, partition: int, partitions: int, epoch: int) -> None:
        """Forget what the shard said before."""
        self._visitors[partition] = {}

    def offer_visitors(self, partition: int, visitors: Visitors) -> None:
        """Keep visitors."""
        _replace(self._visitors.setdefault(partition, {}), visitors)

    def end(self, partition: int) -> None:
        """Forget the visitors of a shard."""
        self._visitors.pop(partition, None)

    def offer_report(self, report: WebReport, epoch: int, position: int) -> None:
        """Keep the report."""
        self._report = report

    def offer_sessions(self, sessions: Sessions) -> None:
        """Keep sessions, the newest of each customer."""
        for (customer, session_id), session in sessions.items():
            known = self._sessions.setdefault(customer, {})
            _replace(known, {session_id: session})
            if len(known) > 2 * MOST_SESSIONS:
                del known[min(known, key=lambda each: known[each].start_ms)]
            if not known:
                del self._sessions[customer]

    def offer_contacts(self, partition: int, contacts: Contacts) -> None:
        """Keep the contacts of customers."""
        _replace(self._contacts, contacts)

    async def report(self) -> WebReport | None:
        """The newest report of the web site; None: there is none yet."""
        return self._report

    async def visitors(self) -> list[VisitorNow]:
        """Whoever is worth watching now, the most stuck first."""
        return _by_need(each for shard in self._visitors.copy().values() for each in shard.copy().values())

    async def journey(self, customer: str) -> Journey | None:
        """What is known of a customer; None: nothing."""
        sessions = self._sessions.get(customer, {})
        return _journey(customer, list(sessions.values()), self._contacts.get(customer, ()))


class RedisJourneys:
    """Of all shards of a site, in Redis. `report`, `visitors` and `journey` are for readers; the rest for workers.

    Args:
        client: the connections; who hands them over closes them.
        site: its name.
    """

    def __init__(self, client: redis.Redis, site: str) -> None:
        self._start = f"queuelight:{{{site}}}:"
        self._client = client
        self._web = FencedHash(client, Keys(self._start + "web", self._start + "web-fences"))
        keys = visitor_keys(site)
        self._shown, self._channel = keys[0], keys[3]
        self._visitors = FencedHash(client, Keys(*keys))
        self._script = client.register_script(_WRITE_JOURNEY)
        self._owned: dict[int, _Owned] = {}
        self._told: tuple[WebReport, int, int] | None = None
        self._waiting: dict[tuple[str, str], bytes] = {}
        self._wake = asyncio.Event()
        self._sweep = asyncio.Event()
        self._count: Callable[[str, int], None] = lambda result, fields: None
        self._decoded: dict[bytes, VisitorNow] = {}

    def count(self, count: Callable[[str, int], None]) -> None:
        """Tell what becomes of values: stored, fenced or failed."""
        self._web.count = self._visitors.count = self._count = count

    # --- for workers ------------------------------------------------------------------------------------------

    def begin(self, partition: int, partitions: int, epoch: int) -> None:
        """A shard of `web` begins to tell."""
        self._owned[partition] = _Owned(partitions, epoch)

    def offer_visitors(self, partition: int, visitors: Visitors) -> None:
        """Let visitors be written soon; with the first telling of a shard, what it does not name goes."""
        owned = self._owned[partition]
        _replace(owned.visitors, visitors)
        for visitor, now in visitors.items():
            self._offer(partition, owned, visitor, GONE if now is None else encode_journeys(now))
        if not owned.told:
            owned.told = True
            self._sweep.set()

    def _offer(self, partition: int, owned: "_Owned", visitor: str, value: bytes) -> None:
        self._visitors.offer(visitor, owned.epoch, 0, value, fence=f"web/{partition}")

    def end(self, partition: int) -> None:
        """Do not write what still waits of a shard that is no longer ours."""
        owned = self._owned.pop(partition, None)
        if owned is not None:
            self._visitors.withdraw(list(owned.visitors))

    def offer_report(self, report: WebReport, epoch: int, position: int) -> None:
        """Let the report be written soon."""
        self._told = report, epoch, position
        self._web.offer(_REPORT, epoch, position, encode_journeys(report))

    def offer_sessions(self, sessions: Sessions) -> None:
        """Let sessions be written soon."""
        for (customer, session_id), session in sessions.items():
            self._put(customer, f"s/{session_id}", GONE if session is None else encode_journeys(session))

    def offer_contacts(self, partition: int, contacts: Contacts) -> None:
        """Let the contacts of customers be written soon."""
        for customer, all_of_them in contacts.items():
            newest = sorted(all_of_them or (), key=lambda each: -each.queued_ms)[:MOST_CONTACTS]
            self._put(customer, f"contacts/{partition}", encode_journeys(newest) if newest else GONE)

    def _put(self, customer: str, field: str, value: bytes) -> None:
        self._waiting[customer, field] = value
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._count("failed", 1)
        self._wake.set()

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._web.run())
            tasks.create_task(self._visitors.run())
            tasks.create_task(self._write_journeys())
            tasks.create_task(self._keep_swept())
            tasks.create_task(self._write_anew())

    async def _write_journeys(self) -> None:
        pause_s = 0.1
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = {key: self._waiting[key] for key in list(self._waiting)[:_BATCH]}
                for key in batch:
                    del self._waiting[key]
                try:
                    await self._write(batch)
                except _TROUBLE as error:
                    self._count("failed", len(batch))
                    log.warning("Redis: %s; trying again in %.1f s", error, pause_s)
                    self._waiting = {**batch, **self._waiting}
                    await asyncio.sleep(pause_s)
                    pause_s = min(2.0, pause_s * 2)
                    continue
                pause_s = 0.1
                self._count("stored", len(batch))

    async def _write(self, batch: Mapping[tuple[str, str], bytes]) -> None:
        by_customer: dict[str, list[str | bytes | int]] = {}
        for (customer, field), value in batch.items():
            by_customer.setdefault(customer, []).extend((field, value))
        pipeline = self._client.pipeline(transaction=False)
        for customer, args in by_customer.items():
            await self._script(
                [self._journey_key(customer)], [*args, JOURNEY_KEPT_S, 2 * MOST_SESSIONS], client=pipeline
            )
        await pipeline.execute()

    async def _keep_swept(self) -> None:
        """Take away the visitors whom the former owner of a shard told of and the new one does not."""
        while True:
            await self._sweep.wait()
            self._sweep.clear()
            try:
                stored = [_text(each) for each in await self._client.hkeys(self._shown)]
            except _TROUBLE:
                await asyncio.sleep(1.0)
                self._sweep.set()
                continue
            for partition, owned in self._owned.items():
                if not owned.told or owned.swept:
                    continue
                owned.swept = True
                for visitor in stored:
                    is_its = partition_of(visitor, owned.partitions) == partition
                    if is_its and visitor not in owned.visitors:
                        self._offer(partition, owned, visitor, GONE)

    async def _write_anew(self) -> None:
        while True:
            await asyncio.sleep(ANEW_EVERY_S)
            for partition, owned in self._owned.items():
                for visitor, now in owned.visitors.items():
                    self._offer(partition, owned, visitor, encode_journeys(now))
            if self._told is not None:
                self.offer_report(*self._told)

    # --- for readers ------------------------------------------------------------------------------------------

    async def report(self) -> WebReport | None:
        """The newest report of the web site; None: there is none yet.

        Raises:
            RedisError: Redis cannot be reached.
        """
        value = await self._client.hget(self._start + "web", _REPORT)
        try:
            return None if value is None else decode_report(value)
        except msgspec.DecodeError:
            log.warning("the report in Redis cannot be read; is its writer of another version?")
            return None

    async def visitors(self) -> list[VisitorNow]:
        """Whoever is worth watching now, the most stuck first.

        Raises:
            RedisError: Redis cannot be reached.
        """
        before, self._decoded = self._decoded, {}
        for each in await self._client.hvals(self._shown):
            value = _bytes(each)
            try:
                self._decoded[value] = before.get(value) or decode_visitor(value)
            except msgspec.DecodeError:
                log.warning("a visitor in Redis cannot be read; is its writer of another version?")
        return _by_need(self._decoded.values())

    async def visitor(self, visitor: str) -> VisitorNow | None:
        """One of them; None: not worth watching, or not known.

        Raises:
            RedisError: Redis cannot be reached.
        """
        value = await self._client.hget(self._shown, visitor)
        return None if value is None else decode_visitor(value)

    async def journey(self, customer: str) -> Journey | None:
        """What is known of a customer (under the pseudonym); None: nothing.

        Raises:
            RedisError: Redis cannot be reached.
        """
        sessions: list[JourneySession] = []
        contacts: list[JourneyContact] = []
        for field, value in (await self._client.hgetall(self._journey_key(customer))).items():
            try:
                if _text(field).startswith("s/"):
                    sessions.append(decode_session(value))
                else:
                    contacts += _decode_contacts(value)
            except msgspec.DecodeError:
                log.warning("a journey in Redis cannot be read; is its writer of another version?")
        return _journey(customer, sessions, contacts)

    async def first_journey(self, customers: Sequence[str]) -> Journey | None:
        """The first that is known of one customer with several pseudonyms; None: none is.

        Raises:
            RedisError: Redis cannot be reached.
        """
        for customer in customers:
            found = await self.journey(customer)
            if found is not None:
                return found
        return None

    async def forget(self, customers: Sequence[str], visitors: Sequence[str]) -> int:
        """Delete what is stored of a customer, under any name, and its visitors; returns how many values there were.

        Raises:
            RedisError: Redis cannot be reached.
        """
        pipeline = self._client.pipeline(transaction=True)
        pipeline.delete(*map(self._journey_key, customers))
        if visitors:
            pipeline.hdel(self._shown, *visitors)
            pipeline.publish(self._channel, "{}")
        return sum(int(each) for each in (await pipeline.execute())[:2])

    def _journey_key(self, customer: str) -> str:
        return f"{self._start}journey:{customer}"


async def asked(settings: "Settings", ask: "Callable[[RedisJourneys], Awaitable[_Made]]") -> _Made:
    """What the Redis in the settings says.

    Raises:
        QueuelightError: it does not answer.
    """
    client = redis.Redis.from_url(
        settings.redis.address, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
    )
    try:
        return await ask(RedisJourneys(client, settings.site.name))
    except _TROUBLE as error:
        why = said(error, settings.redis)
        raise QueuelightError(f"Redis at {shown(settings.redis)}: {why}") from None
    finally:
        await client.aclose()


class _Owned:
    """A shard of `web`: whom it tells of. `told`: it has begun; `swept`: nobody else is there any more."""

    __slots__ = ("epoch", "partitions", "swept", "told", "visitors")

    def __init__(self, partitions: int, epoch: int) -> None:
        self.partitions = partitions
        self.epoch = epoch
        self.visitors: dict[str, VisitorNow] = {}
        self.told = self.swept = False


def visitor_keys(site: str) -> tuple[str, str, str, str]:
    """Redis keys of visitors: values, fences, sequence number, channel."""
    start = f"queuelight:{{{site}}}:visitor"
    return start + "s", start + "-fences", start + "-seq", start + "s"


def _replace(into: dict[_Key, _Value], new: Mapping[_Key, _Value | None]) -> None:
    for key, value in new.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _by_need(visitors: Iterable[VisitorNow]) -> list[VisitorNow]:
    return sorted(visitors, key=lambda each: (each.flag is None, -each.probability, each.visitor_id))


def _journey(
    customer: str, sessions: Sequence[JourneySession], contacts: Sequence[JourneyContact]
) -> Journey | None:
    if not sessions and not contacts:
        return None
    return Journey(
        customer_id=customer,
        sessions=tuple(sorted(sessions, key=lambda each: -each.start_ms)[:MOST_SESSIONS]),
        contacts=tuple(sorted(contacts, key=lambda each: -each.queued_ms)[:MOST_CONTACTS]),
    )
