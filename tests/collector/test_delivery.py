"""Is everything that is said to be kept in Kafka in the end, in its order, however often Kafka goes and comes?"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as searching
from hypothesis import strategies as st

from agents.collector.delivery import Delivery
from agents.collector.records import Record
from agents.collector.spool import Spool, SpoolFull
from tests.collector.running import MemoryKafka


def one(number: int, size: int = 0) -> list[Record]:
    return [Record("web", "v", b"%d:" % number + b"x" * size)]


class World:
    """A delivery with a Kafka that can be away."""

    def __init__(self, folder: Path, most_bytes: int = 100_000) -> None:
        self.kafka = MemoryKafka()
        self.spool = Spool(folder, most_bytes)
        self.acknowledged: list[float] = []
        self.delivery = Delivery(self.kafka, self.spool, self.acknowledged.append, patience_s=0.05)

    @property
    def numbers(self) -> list[int]:
        return [int(record.value.partition(b":")[0]) for record in self.kafka.records]

    async def settled(self) -> None:
        """When the spool is empty and Kafka is used again."""
        async with asyncio.timeout(10):
            while self.delivery.is_spooling:
                self.kafka.fail()
                await asyncio.sleep(0.01)


def lived(folder: Path, life: Callable[[World], Awaitable[None]], most_bytes: int = 100_000) -> World:
    async def run() -> World:
        world = World(folder, most_bytes)
        world.spool.open()
        world.delivery.start()
        try:
            await life(world)
            world.delivery.check()
        finally:
            await world.delivery.close()
            await world.spool.close()
        return world

    return asyncio.run(run())


def test_with_kafka_there_nothing_touches_the_disk(tmp_path: Path) -> None:
    async def life(world: World) -> None:
        await asyncio.gather(*(world.delivery.keep(one(number)) for number in range(10)))
        assert world.numbers == list(range(10))
        assert world.spool.bytes == 0

    assert len(lived(tmp_path, life).acknowledged) == 10


def test_what_kafka_does_not_acknowledge_is_kept_on_disk_and_comes_before_what_is_newer(
    tmp_path: Path,
) -> None:
    async def life(world: World) -> None:
        await world.delivery.keep(one(0))
        world.kafka.is_away = True
        await asyncio.gather(*(world.delivery.keep(one(number)) for number in range(1, 4)))
        assert world.delivery.is_spooling
        await world.delivery.keep(one(4))
        assert world.spool.entries == 4
        world.kafka.is_away = False
        await world.delivery.keep(one(5))
        await world.settled()
        await world.delivery.keep(one(6))
        assert world.numbers == list(range(7))

    lived(tmp_path, life)


def test_when_kafka_says_it_failed_it_is_kept_on_disk_at_once(tmp_path: Path) -> None:
    async def life(world: World) -> None:
        world.kafka.is_away = True
        keeping = asyncio.create_task(world.delivery.keep(one(0)))
        await asyncio.sleep(0)
        world.kafka.fail()
        await keeping
        world.kafka.is_away = False
        await world.settled()
        assert world.numbers == [0]

    lived(tmp_path, life)


def test_what_is_left_of_an_earlier_run_comes_first(tmp_path: Path) -> None:
    async def first(world: World) -> None:
        world.kafka.is_away = True
        await asyncio.gather(*(world.delivery.keep(one(number)) for number in range(3)))

    async def second(world: World) -> None:
        await world.delivery.keep(one(3))
        await world.settled()
        assert world.numbers == [0, 1, 2, 3]

    lived(tmp_path, first)
    lived(tmp_path, second)


def test_when_the_spool_is_full_nobody_is_told_that_more_is_kept(tmp_path: Path) -> None:
    async def life(world: World) -> None:
        world.kafka.is_away = True
        kept = []

        async def fill() -> None:
            for number in range(1000):
                await world.delivery.keep(one(number, 500))
                kept.append(number)

        with pytest.raises(SpoolFull):
            await fill()
        assert len(kept) > 10
        world.kafka.is_away = False
        await world.settled()
        assert world.delivery.can_take
        assert [number for number in world.numbers if number in set(kept)] == kept

    lived(tmp_path, life, most_bytes=10_000)


def test_an_answer_of_kafka_that_comes_too_late_changes_nothing(tmp_path: Path) -> None:
    async def life(world: World) -> None:
        world.kafka.is_away = True
        tells: list[Callable[[bool], None]] = []
        world.kafka.send = lambda records, tell: tells.append(tell)  # type: ignore[method-assign]
        await world.delivery.keep(one(0))
        tells[0](True)
        tells[0](False)
        assert world.delivery.is_spooling
        assert world.spool.entries == 1

    lived(tmp_path, life)


@searching(max_examples=25)
@given(st.lists(st.sampled_from(["send", "send", "send", "away", "back", "fail"]), max_size=25))
def test_whatever_kafka_does_everything_kept_is_there_in_the_end(steps: list[str]) -> None:
    async def life(world: World) -> None:
        keeping = []
        for number, step in enumerate(steps):
            if step == "send":
                keeping.append(asyncio.create_task(world.delivery.keep(one(number))))
            elif step == "fail":
                world.kafka.fail()
            else:
                world.kafka.is_away = step == "away"
            await asyncio.sleep(0)
        await asyncio.gather(*keeping)
        world.kafka.is_away = False
        await world.settled()
        expected = [number for number, step in enumerate(steps) if step == "send"]
        assert sorted(set(world.numbers)) == expected
        first_seen = list(dict.fromkeys(world.numbers))
        assert first_seen == expected, "something older came after something newer"

    with TemporaryDirectory() as name:
        lived(Path(name), life)
