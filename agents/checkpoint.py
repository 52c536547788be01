"""How is a shard's state kept in a changelog so that a crash at any moment leaves a complete, exact copy?

Pure: keys and bytes in, keys and bytes out. A checkpoint is a *delta* (entries changed since the last one), a few
*base* buckets in turn (so that every delta becomes obsolete after one round), and last a *manifest* that names the
source position and every part by key and sequence number. Each incarnation of a shard writes under its own name and
alternates between two slots, so a half-written checkpoint, or the late writes of a paused worker, never damage a
complete one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from schemas.counts import STATE_VERSION
from streams.fold import BUCKETS, Fold

CHUNK_BYTES = 512 * 1024
"""Largest payload of one changelog record."""
RING = 4 * BUCKETS
"""How many keys deltas take in turn: more than can be needed at once."""
_SEPARATOR = "|"

_encode = msgspec.msgpack.Encoder().encode


class Part(Struct, array_like=True, frozen=True, gc=False):
    """Where one base bucket or delta lies: its key (without chunk), sequence number, chunks."""

    key: str
    sequence: int
    chunks: int


class Manifest(Struct, array_like=True, gc=False):
    """A complete state: all of `bases`, then every delta newer than its bucket's base, in order."""

    version: int
    epoch: int
    sequence: int
    position: int
    bases: dict[int, Part]
    deltas: list[Part]


class Cut(NamedTuple):
    """One checkpoint to be written: `parts` first, then, once they are acknowledged, the manifest (if complete)."""

    position: int
    parts: list[tuple[bytes, bytes]]
    manifest: tuple[bytes, bytes] | None
    entries: int


_Delta = dict[int, dict[str, bytes | None]]
_decode_manifest = msgspec.msgpack.Decoder(Manifest).decode
_decode_chunk = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
_decode_base = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_decode_delta = msgspec.msgpack.Decoder(_Delta).decode


def shard_name(topic: str, partition: int) -> str:
    """The name of a shard in keys."""
    return f"{topic}/{partition}"


class Checkpointer:
    """Writes the checkpoints of one incarnation of a shard.

    Args:
        shard: see `shard_name`.
        owner: the worker's name.
        epoch: Unix ms at which this incarnation began; with `owner` it makes the keys unique.
    """

    def __init__(self, shard: str, owner: str, epoch: int) -> None:
        self._prefix = f"{shard}{_SEPARATOR}{owner}:{epoch}{_SEPARATOR}"
        self._epoch = epoch
        self._sequence = 0
        self._bases: dict[int, Part] = {}
        self._slots: dict[int, int] = {}
        self._deltas: list[Part] = []
        self._next = 0

    @property
    def is_complete(self) -> bool:
        """True once every bucket has a base, so that a manifest can be written."""
        return len(self._bases) == BUCKETS

    def cut(self, fold: Fold, position: int) -> Cut:
        """Take a checkpoint of a settled fold at source position `position` (synchronous: one point in time)."""
        self._sequence += 1
        changes = fold.take_changes()
        parts: list[tuple[bytes, bytes]] = []
        entries = 0
        for _ in range(1 if self.is_complete else BUCKETS // 4):
            bucket = self._next
            self._next = (bucket + 1) % BUCKETS
            dumped = fold.dump(bucket)
            entries += len(dumped)
            changes.pop(bucket, None)
            slot = self._slots[bucket] = 1 - self._slots.get(bucket, 1)
            self._bases[bucket] = self._write(f"b{bucket}.{slot}", dumped, parts)
        if changes:
            entries += sum(len(each) for each in changes.values())
            self._deltas.append(self._write(f"d{self._sequence % RING}", changes, parts))
        if not self.is_complete:
            return Cut(position, parts, None, entries)
        oldest = min(part.sequence for part in self._bases.values())
        self._deltas = [part for part in self._deltas if part.sequence > oldest]
        manifest = Manifest(STATE_VERSION, self._epoch, self._sequence, position, self._bases, self._deltas)
        return Cut(position, parts, ((self._prefix + "m").encode(), _encode(manifest)), entries)

    def _write(self, name: str, value: object, parts: list[tuple[bytes, bytes]]) -> Part:
        payload = _encode(value)
        chunks = max(1, -(-len(payload) // CHUNK_BYTES))
        key = self._prefix + name
        for index in range(chunks):
            chunk = payload[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            parts.append((f"{key}.{index}".encode(), _encode((self._sequence, chunk))))
        return Part(key, self._sequence, chunks)


class Restored(NamedTuple):
    """A complete state found in a changelog."""

    position: int
    epoch: int
    entries: dict[str, bytes]


def restore(records: Mapping[bytes, bytes], shard: str) -> Restored | None:
    """The state with the greatest position among the complete manifests of a shard; None: there is none.

    Every consistent manifest is the true state at its position, so there is nothing else to compare.
    """
    found = []
    start = (shard + _SEPARATOR).encode()
    for key, value in records.items():
        if key.startswith(start) and key.endswith(b"|m"):
            manifest = _decode_manifest(value)
            if manifest.version == STATE_VERSION:
                found.append(manifest)
    for manifest in sorted(found, key=lambda m: (m.position, m.epoch), reverse=True):
        entries = _assemble(records, manifest)
        if entries is not None:
            return Restored(manifest.position, manifest.epoch, entries)
    return None


def stale_keys(records: Iterable[bytes], shard: str) -> Iterator[bytes]:
    """Keys of a shard's earlier incarnations, to be removed once the present one has a complete manifest."""
    start = (shard + _SEPARATOR).encode()
    return (key for key in records if key.startswith(start))


def newest_epoch(records: Mapping[bytes, bytes], shard: str) -> int:
    """The greatest epoch any manifest of a shard was written in; 0 without any."""
    start = (shard + _SEPARATOR).encode()
    return max(
        (_decode_manifest(v).epoch for k, v in records.items() if k.startswith(start) and k.endswith(b"|m")),
        default=0,
    )


def _assemble(records: Mapping[bytes, bytes], manifest: Manifest) -> dict[str, bytes] | None:
    """All entries a manifest names; None when a part is missing or of another sequence."""
    entries: dict[str, bytes] = {}
    for part in manifest.bases.values():
        payload = _read(records, part)
        if payload is None:
            return None
        entries.update(_decode_base(payload))
    for part in manifest.deltas:
        payload = _read(records, part)
        if payload is None:
            return None
        for bucket, changes in _decode_delta(payload).items():
            if part.sequence <= manifest.bases[bucket].sequence:
                continue
            for key, value in changes.items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
    return entries


def _read(records: Mapping[bytes, bytes], part: Part) -> bytes | None:
    chunks = []
    for index in range(part.chunks):
        value = records.get(f"{part.key}.{index}".encode())
        if value is None:
            return None
        sequence, chunk = _decode_chunk(value)
        if sequence != part.sequence:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
