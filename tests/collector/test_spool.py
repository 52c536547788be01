"""Is what was put on the disk there after any crash, in its order, and is what was not put refused?"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.collector.records import Record
from agents.collector.spool import Spool, SpoolFull
from schemas.errors import SettingsError


def records(number: int, size: int = 10) -> list[Record]:
    return [Record("web", f"visitor{number}", b"%d:" % number + b"x" * size)]


def number_of(entry: list[Record]) -> int:
    return int(entry[0].value.partition(b":")[0])


def opened(folder: Path, most: int = 1_000_000, segment: int = 100_000) -> Spool:
    spool = Spool(folder, most, segment)
    spool.open()
    return spool


async def drained(spool: Spool, most_bytes: int = 1000) -> list[int]:
    """The numbers of all entries, each taken and done with."""
    found = []
    while entries := await spool.read(most_bytes):
        found += [number_of(each.records) for each in entries]
        spool.done(entries)
    return found


def with_spool(folder: Path, work: Callable[[Spool], Awaitable[None]], most: int = 1_000_000) -> None:
    async def run() -> None:
        spool = opened(folder, most)
        try:
            await work(spool)
        finally:
            await spool.close()

    asyncio.run(run())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("spool-*.log"))


def test_what_was_put_comes_back_in_its_order_and_then_is_gone(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        await asyncio.gather(*(spool.put(records(number)) for number in range(300)))
        assert not spool.is_empty
        assert spool.entries == 300
        assert await drained(spool) == list(range(300))
        assert spool.is_empty
        assert (spool.bytes, spool.entries) == (0, 0)
        assert not files(tmp_path)
        await spool.put(records(300))
        assert await drained(spool) == [300]

    with_spool(tmp_path, run)


def test_it_is_there_for_the_next_process_however_the_last_one_ended(tmp_path: Path) -> None:
    async def first() -> None:
        spool = opened(tmp_path)
        await asyncio.gather(*(spool.put(records(number)) for number in range(5)))
        shutil.copytree(tmp_path, tmp_path / "left")
        await spool.close()

    asyncio.run(first())

    async def second(spool: Spool) -> None:
        await spool.put(records(5))
        assert await drained(spool) == list(range(6))

    with_spool(tmp_path / "left", second)


def test_what_is_read_and_not_done_with_comes_again(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        for number in range(3):
            await spool.put(records(number))
        first = await spool.read(1)
        assert [number_of(each.records) for each in first] == [0]
        assert await spool.read(1) == first
        spool.done(first)
        assert await drained(spool) == [1, 2]

    with_spool(tmp_path, run)


def test_it_grows_over_files_and_each_goes_when_it_is_done_with(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        for number in range(30):
            await spool.put(records(number, 10_000))
        before = len(files(tmp_path))
        assert before >= 3
        spool.done(await spool.read(50_000))
        spool.done(await spool.read(60_000))
        assert len(files(tmp_path)) == before - 1
        await spool.put(records(30))
        assert (await drained(spool))[-1] == 30
        assert not files(tmp_path)

    with_spool(tmp_path, run)


def test_beyond_its_bound_nothing_is_taken_until_there_is_room(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        taken = 0

        async def fill() -> None:
            nonlocal taken
            while True:
                await spool.put(records(taken, 1000))
                taken += 1

        with pytest.raises(SpoolFull):
            await fill()
        assert 80 < taken < 100
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 100_000
        with pytest.raises(SpoolFull):
            await asyncio.gather(*(spool.put(records(number, 90_000)) for number in range(3)))
        spool.done(await spool.read(1_000_000))
        await spool.put(records(taken, 1000))
        assert len(await drained(spool)) < taken
        assert spool.has_room

    with_spool(tmp_path, run, most=100_000)


def test_a_disk_that_takes_nothing_is_a_spool_that_is_full_and_later_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(spool: Spool) -> None:
        await spool.put(records(0))
        with monkeypatch.context() as disk:

            def no_space(handle: int) -> None:
                raise OSError(28, "No space left on device")

            disk.setattr(os, "fsync", no_space)
            with pytest.raises(SpoolFull, match="No space"):
                await spool.put(records(1))
        await spool.put(records(2))
        assert await drained(spool) == [0, 2]

    with_spool(tmp_path, run)


def test_two_collectors_do_not_share_one(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        with pytest.raises(SettingsError, match="another collector"):
            opened(tmp_path)

    with_spool(tmp_path, run)
    with_spool(tmp_path, lambda spool: asyncio.sleep(0))


def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be used"):
        opened(tmp_path / "file" / "spool")


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=12),
    cut=st.integers(0, 200),
    garbage=st.binary(max_size=60),
)
def test_after_a_crash_in_the_middle_of_writing_whole_entries_are_there_and_torn_ones_are_not(
    sizes: list[int], cut: int, garbage: bytes
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        ends: list[int] = []

        async def fill(spool: Spool) -> None:
            for number, size in enumerate(sizes):
                await spool.put(records(number, size))
                ends.append(spool.bytes)

        with_spool(folder, fill)
        (path,) = files(folder)
        whole = path.read_bytes()
        left = max(0, len(whole) - cut)
        path.write_bytes(whole[:left] + garbage)
        expected = sum(end <= left for end in ends)
        if (whole[:left] + garbage).startswith(whole):
            expected = len(sizes)

        async def again(spool: Spool) -> None:
            await spool.put(records(1000))
            found = await drained(spool)
            # What was cut may by chance be what garbage begins with.
            assert found[:expected] == list(range(expected))
            assert found[-1] == 1000
            assert len(found) in (expected + 1, expected + 2)
            assert (spool.torn_bytes > 0) == (len(whole[:left] + garbage) > ends[len(found) - 2] if len(found) > 1
                                              else left + len(garbage) > 0)  # fmt: skip

        with_spool(folder, again)


def test_a_byte_that_changed_on_the_disk_ends_the_file_there_and_what_follows_is_set_aside(
    tmp_path: Path,
) -> None:
    async def fill(spool: Spool) -> None:
        for number in range(10):
            await spool.put(records(number))

    with_spool(tmp_path, fill)
    (path,) = files(tmp_path)
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)

    async def again(spool: Spool) -> None:
        found = await drained(spool)
        assert found == list(range(len(found)))
        assert 3 <= len(found) < 10
        assert spool.torn_bytes > 0

    with_spool(tmp_path, again)
    (torn,) = tmp_path.glob("*.torn")
    assert torn.read_bytes() == bytes(held[-torn.stat().st_size :])
