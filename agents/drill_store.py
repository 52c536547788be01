"""Where is kept what stands behind the numbers? In Redis, or in the memory of the demo's worker.

Redis holds, per site, two hashes with fences (`agents.fenced_hash`), which nobody announces: `intervals`, by row, the
business day so far (`schemas.drill.Day`); `contacts`, by shard of stage 1, who waits and who gave up
(`schemas.drill.SourceList`). They are read when somebody asks. Refuses to know who may ask.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import redis.asyncio as redis

from agents.fenced_hash import GONE, FencedHash, Keys
from schemas.drill import Day, Listed, SourceList, decode_day, decode_list, encode_drill
from streams.contact_list import merged

log = logging.getLogger(__name__)


class Behind(NamedTuple):
    """What stands behind one row: its day so far, its contacts, and when the oldest list of them was made."""

    day: Day | None
    contacts: Listed
    listed_ms: int | None


class DrillWriter(Protocol):
    """Whoever takes what stands behind the numbers of this worker's shards."""

    def offer_days(self, days: Mapping[str, Day], epoch: int, position: int) -> None: ...
    def remove_days(self, rows: Sequence[str], epoch: int, position: int) -> None: ...
    def offer_contacts(self, source: str, listed: SourceList, epoch: int, position: int) -> None: ...
    def withdraw(self, rows: Sequence[str], sources: Sequence[str]) -> None: ...


class MemoryDrill:
    """Of the shards of this process: all there are, in the demo."""

    def __init__(self) -> None:
        self._days: dict[str, Day] = {}
        self._lists: dict[str, SourceList] = {}

    def offer_days(self, days: Mapping[str, Day], epoch: int, position: int) -> None:
        """Keep the days of rows."""
        self._days.update(days)

    def remove_days(self, rows: Sequence[str], epoch: int, position: int) -> None:
        """Forget rows."""
        self.withdraw(rows, ())

    def offer_contacts(self, source: str, listed: SourceList, epoch: int, position: int) -> None:
        """Keep the contacts of a shard."""
        self._lists[source] = listed

    def withdraw(self, rows: Sequence[str], sources: Sequence[str]) -> None:
        """Forget what is no longer ours."""
        for row in rows:
            self._days.pop(row, None)
        for source in sources:
            self._lists.pop(source, None)

    async def behind(self, row: str) -> Behind:
        """What stands behind a row."""
        return _behind(row, self._days.get(row), self._lists.values())


class RedisDrill:
    """Of all shards of a site, in Redis. `behind` is for boards; the rest is for the worker that writes.

    Args:
        client: the connections; who hands them over closes them.
        site: its name.
    """

    def __init__(self, client: redis.Redis, site: str) -> None:
        start = f"queuelight:{{{site}}}:"
        self._client = client
        self._intervals, self._contacts = start + "intervals", start + "contacts"
        self._days = FencedHash(client, Keys(self._intervals, start + "interval-fences"))
        self._lists = FencedHash(client, Keys(self._contacts, start + "contact-fences"))
        self._decoded: dict[bytes, SourceList] = {}

    def count(self, count: Callable[[str, int], None]) -> None:
        """Tell what becomes of values: stored, fenced or failed."""
        self._days.count = self._lists.count = count

    def offer_days(self, days: Mapping[str, Day], epoch: int, position: int) -> None:
        """Let days be written soon."""
        for row, day in days.items():
            self._days.offer(row, epoch, position, encode_drill(day))

    def remove_days(self, rows: Sequence[str], epoch: int, position: int) -> None:
        """Let rows vanish, unless a newer owner has written them."""
        for row in rows:
            self._days.offer(row, epoch, position, GONE)

    def offer_contacts(self, source: str, listed: SourceList, epoch: int, position: int) -> None:
        """Let the contacts of a shard be written soon."""
        self._lists.offer(source, epoch, position, encode_drill(listed))

    def withdraw(self, rows: Sequence[str], sources: Sequence[str]) -> None:
        """Do not write what still waits of what is no longer ours."""
        self._days.withdraw(rows)
        self._lists.withdraw(sources)

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._days.run())
            tasks.create_task(self._lists.run())

    async def behind(self, row: str) -> Behind:
        """What stands behind a row.

        Raises:
            RedisError: Redis cannot be reached.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hget(self._intervals, row)
        pipeline.hvals(self._contacts)
        day, values = await pipeline.execute()
        before, self._decoded = self._decoded, {}
        for value in values:
            try:
                self._decoded[value] = before.get(value) or decode_list(value)
            except msgspec.DecodeError:
                log.warning("contacts in Redis cannot be read; is their writer of another version?")
        return _behind(row, None if day is None else decode_day(day), self._decoded.values())


def _behind(row: str, day: Day | None, lists: Collection[SourceList]) -> Behind:
    found = [each.rows[row] for each in lists if row in each.rows]
    return Behind(day, merged(found), min((each.at_ms for each in lists), default=None))
