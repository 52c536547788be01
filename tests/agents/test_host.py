"""Does a rebalance lose what a fold has let go and the producer has not yet taken?"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pytest
from faust.types import TP

from agents.host import Host, Outgoing, Shard
from agents.lane import Run, RunTable
from schemas.dead_letters import DeadLetter
from streams.fold import Fold, Record

SOURCE = TP("queue-partials", 0)


class Letting:
    """A fold that lets every record go once: nobody can ask it again."""

    clock_ms = 0

    def __init__(self) -> None:
        self.held: list[bytes] = []

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        self.held += [record.value or b"" for record in records]
        return []

    def settle(self, now_ms: int) -> None: ...

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        return {}

    def dump(self, bucket: int) -> dict[str, bytes]:
        return {}

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None: ...


class LettingStage:
    def fold(self, tp: TP) -> Fold:
        return cast(Fold, Letting())

    def open(self, shard: Shard) -> None: ...

    def close(self, shard: Shard) -> None: ...

    def tell(self, shard: Shard, *, at_checkpoint: bool) -> list[Outgoing]:
        fold = cast(Letting, shard.fold)
        out, fold.held = fold.held, []
        return [("intervals", None, value, 0) for value in out]


class Producer:
    """Takes messages while its door is open."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.door = asyncio.Event()
        self.door.set()
        self.shuts_after: int | None = None

    async def send(self, message: Outgoing) -> "asyncio.Future[object]":
        if self.shuts_after is not None and len(self.taken) >= self.shuts_after:
            self.shuts_after = None
            self.door.clear()
        await self.door.wait()
        if message[0] == "intervals":
            self.taken.append(message[2] or b"")
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class Table:
    changelog_topic_name = "changelog"

    def __init__(self) -> None:
        self.records: dict[int, dict[bytes, bytes]] = {}


class Record0:
    timestamp = 0

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.value = b"%d" % offset


async def hosted(producer: Producer) -> Host:
    table = cast(RunTable, Table())
    host = Host(
        {SOURCE.topic: LettingStage()},
        {SOURCE.topic: table},
        "one",
        "dead-letters",
        producer.send,
        Silent(),
        lambda letter: b"",
    )

    async def earliest(tps: Iterable[TP]) -> Mapping[TP, int]:
        return dict.fromkeys(tps, 0)

    host.earliest = earliest
    host.on_assigned([SOURCE])
    await host.on_recovered()
    await host.on_run(Run(SOURCE, [Record0(offset) for offset in range(10)]))
    return host


@pytest.mark.parametrize("at_checkpoint", [False, True])
@pytest.mark.parametrize("way", ["closed while it sends", "out of patience"])
def test_what_a_rebalance_finds_in_the_middle_of_sending_is_sent_by_the_next_incarnation(
    way: str, at_checkpoint: bool
) -> None:
    async def scene() -> list[bytes]:
        producer = Producer()
        host = await hosted(producer)
        producer.shuts_after = 4
        shard = host.shards[SOURCE]
        tell = host.checkpoint if at_checkpoint else host.flush
        if way == "out of patience":
            await asyncio.wait_for(host.on_revoked(0.05), 5)
            telling = None
        else:
            telling = asyncio.create_task(tell(shard))
            while producer.door.is_set():
                await asyncio.sleep(0)
        host.on_assigned([SOURCE])
        await host.on_recovered()
        producer.door.set()
        if telling is not None:
            await telling
        await host.flush(host.shards[SOURCE])
        return producer.taken

    taken = asyncio.run(scene())
    assert list(dict.fromkeys(taken)) == [b"%d" % offset for offset in range(10)]
    assert len(taken) <= 11, "one may be sent twice, no more"
