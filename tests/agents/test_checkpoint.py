"""Is a checkpoint exact whatever is written of it before a crash, and whoever else writes late?"""

import random
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from agents.checkpoint import CHUNK_BYTES, Checkpointer, Cut, newest_epoch, restore, shard_name, stale_keys
from schemas.dead_letters import DeadLetter
from streams.fold import BUCKETS, Record

SHARD = shard_name("calls", 1)
OTHER = shard_name("calls", 11)
"""A shard whose name begins like the other's."""


class Words:
    """The simplest fold: a dictionary; each record is one change."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.changed: set[str] = set()

    @property
    def clock_ms(self) -> int:
        return 0

    def set(self, key: str, value: bytes | None) -> None:
        self.changed.add(key)
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        raise NotImplementedError

    def settle(self, now_ms: int) -> None:
        raise NotImplementedError

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        out: dict[int, dict[str, bytes | None]] = {}
        for key in self.changed:
            out.setdefault(hash(key) % BUCKETS, {})[key] = self.entries.get(key)
        self.changed.clear()
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        return {key: value for key, value in self.entries.items() if hash(key) % BUCKETS == bucket}

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        self.entries = dict(entries)


def change(fold: Words, dice: random.Random, times: int) -> None:
    for _ in range(times):
        key = f"k{dice.randrange(60)}"
        fold.set(key, None if dice.random() < 0.2 else dice.randbytes(dice.randrange(1, 30)))


def messages(cut: Cut) -> list[tuple[bytes, bytes]]:
    return [*cut.parts, *([cut.manifest] if cut.manifest else [])]


def complete(fold: Words, checkpointer: Checkpointer, position: int = 0) -> dict[bytes, bytes]:
    """A changelog with the first complete checkpoint."""
    log: dict[bytes, bytes] = {}
    while True:
        cut = checkpointer.cut(fold, position)
        log.update(messages(cut))
        if cut.manifest:
            return log


@pytest.mark.parametrize("seed", range(12))
def test_a_crash_after_any_message_leaves_the_last_complete_state(seed: int) -> None:
    dice = random.Random(seed)
    fold, checkpointer = Words(), Checkpointer(SHARD, "a", 1)
    log: dict[bytes, bytes] = {}
    expected: tuple[int, dict[str, bytes]] | None = None
    for position in range(1, 3 * BUCKETS):
        change(fold, dice, dice.randrange(8))
        cut = checkpointer.cut(fold, position)
        told = messages(cut)
        for index, (key, value) in enumerate(told):
            log[key] = value
            if index == len(told) - 1 and cut.manifest:
                expected = position, dict(fold.entries)
            found = restore(log, SHARD)
            assert (found and (found.position, found.entries)) == expected
    assert expected is not None


def test_nothing_is_restored_before_every_bucket_has_been_written() -> None:
    fold, checkpointer = Words(), Checkpointer(SHARD, "a", 1)
    fold.set("k", b"v")
    log: dict[bytes, bytes] = {}
    cuts = 0
    while not checkpointer.is_complete:
        assert restore(log, SHARD) is None
        log.update(messages(checkpointer.cut(fold, 7)))
        cuts += 1
    assert cuts == 4
    found = restore(log, SHARD)
    assert found is not None
    assert (found.position, found.epoch, found.entries) == (7, 1, {"k": b"v"})


def test_late_writes_of_a_paused_owner_harm_nothing() -> None:
    dice = random.Random(1)
    old_fold, old = Words(), Checkpointer(SHARD, "a", 1)
    change(old_fold, dice, 50)
    log = complete(old_fold, old, position=10)
    found = restore(log, SHARD)
    assert found is not None
    fold, new = Words(), Checkpointer(SHARD, "a", newest_epoch(log, SHARD) + 1)
    fold.load(found.entries.items())
    change(fold, dice, 20)
    log.update(complete(fold, new, position=20))
    change(old_fold, dice, 5)
    late = messages(old.cut(old_fold, 12))
    for key, value in late:
        log[key] = value
        again = restore(log, SHARD)
        assert again is not None
        assert (again.position, again.epoch, again.entries) == (20, 2, fold.entries)


def test_what_another_incarnation_left_is_named_for_removal_and_nothing_else() -> None:
    fold = Words()
    fold.set("k", b"v")
    log = complete(fold, Checkpointer(SHARD, "a", 1))
    others = complete(fold, Checkpointer(OTHER, "a", 5))
    log.update(others)
    assert {*stale_keys(log, SHARD)} == {*log} - {*others}
    assert newest_epoch(log, SHARD) == 1
    assert newest_epoch(log, shard_name("chats", 1)) == 0


def test_a_state_larger_than_one_record_is_cut_into_chunks() -> None:
    fold, checkpointer = Words(), Checkpointer(SHARD, "a", 1)
    large = random.Random(0).randbytes(3 * CHUNK_BYTES)
    fold.set("k", large)
    log = complete(fold, checkpointer)
    assert all(len(value) <= CHUNK_BYTES + 64 for value in log.values())
    found = restore(log, SHARD)
    assert found is not None
    assert found.entries == {"k": large}
    del log[next(key for key in log if b"|b" in key and key.endswith(b".2"))]
    assert restore(log, SHARD) is None


def test_a_manifest_of_another_state_version_is_not_read() -> None:
    fold = Words()
    fold.set("k", b"v")
    log = complete(fold, Checkpointer(SHARD, "a", 1))
    key = next(key for key in log if key.endswith(b"|m"))
    manifest = msgspec.msgpack.decode(log[key])
    log[key] = msgspec.msgpack.encode([manifest[0] + 1, *manifest[1:]])
    assert restore(log, SHARD) is None


def test_old_deltas_are_let_go() -> None:
    dice = random.Random(3)
    fold, checkpointer = Words(), Checkpointer(SHARD, "a", 1)
    log = complete(fold, checkpointer)
    sizes = []
    for position in range(6 * BUCKETS):
        change(fold, dice, 3)
        log.update(messages(checkpointer.cut(fold, position)))
        sizes.append(len(log))
    assert sizes[-1] == sizes[4 * BUCKETS]
