"""How does a fold run on Faust, exactly? Shards, positions, assignment, checkpoints.

The host knows folds, runs and checkpoints; it refuses to know contacts, queues, Redis and Prometheus. It is called
from one event loop only.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from faust.types import TP

from agents.checkpoint import Checkpointer, Cut, newest_epoch, restore, shard_name, stale_keys
from agents.lane import Run, RunTable
from agents.wall_clock import wall_ms
from schemas.dead_letters import DeadLetter
from schemas.errors import BrokenInvariant
from streams.fold import Fold

log = logging.getLogger(__name__)

REFUSALS_BEFORE_ASKING = 3
"""After so many refused runs the broker is asked whether the missing offsets still exist."""


Outgoing = tuple[str, bytes | None, bytes | None, int | None]
"""(topic, key, value, partition)"""
Send = Callable[[Outgoing], Awaitable[asyncio.Future[object]]]


class Stage(Protocol):
    """What a stage adds to a shard: the fold and what it tells."""

    def fold(self, tp: TP) -> Fold:
        """A new, empty fold for a source partition."""
        ...

    def open(self, shard: "Shard") -> None:
        """A shard has been restored: everything must be told anew."""
        ...

    def close(self, shard: "Shard") -> None:
        """A shard is no longer ours."""
        ...

    def tell(self, shard: "Shard", *, at_checkpoint: bool) -> list[Outgoing]:
        """Settle the fold and say what changed, as messages."""
        ...


class Observer(Protocol):
    """Counts what happens; called once per run, never per record."""

    def run(self, topic: str, partition: int, records: int, seconds: float, position: int) -> None: ...
    def refused(self, topic: str) -> None: ...
    def dead_letters(self, letters: Sequence[DeadLetter]) -> None: ...
    def checkpoint(self, topic: str, partition: int, pause_seconds: float) -> None: ...
    def assigned(self, tps: Iterable[TP]) -> None: ...
    def restored(self, tps: Iterable[TP]) -> None: ...


class Shard:
    """One source partition: its fold, the next offset it expects, and how it is stored and told."""

    def __init__(
        self, tp: TP, stage: Stage, fold: Fold, position: int | None, epoch: int, owner: str
    ) -> None:
        self.tp = tp
        self.stage = stage
        self.fold = fold
        self.position = position
        self.epoch = epoch
        self.covered: int | None = None
        self.checkpointer = Checkpointer(shard_name(tp.topic, tp.partition), owner, epoch)
        self.checkpointed_position: int | None = None
        self.outbox: list[Outgoing] = []
        """What the fold has let go and the producer has not yet been handed: a rebalance must not lose it."""
        self.sending: set[asyncio.Future[object]] = set()
        self.storing = asyncio.Lock()
        self.telling = asyncio.Lock()
        """Held from taking out what changed until all of it is handed to the producer: values must not overtake."""
        self.refusals = 0
        self.closed = False

    @property
    def is_dirty(self) -> bool:
        """True when a checkpoint would store something new."""
        return self.position != self.checkpointed_position or not self.checkpointer.is_complete


class Host:
    """All shards of this worker.

    Args:
        stages: by source topic.
        tables: the checkpoint table of each source topic.
        owner: the worker's name, part of all checkpoint keys.
        send: hands one message to the producer; awaits room, returns a future of the acknowledgement.
    """

    def __init__(
        self,
        stages: Mapping[str, Stage],
        tables: Mapping[str, RunTable],
        owner: str,
        dead_letter_topic: str,
        send: Send,
        observer: Observer,
        encode_letter: Callable[[DeadLetter], bytes],
    ) -> None:
        self._stages = stages
        self._tables = tables
        self._owner = owner
        self._dead_letter_topic = dead_letter_topic
        self._send = send
        self._observer = observer
        self._encode_letter = encode_letter
        self._stale: dict[TP, list[bytes]] = {}
        self._recovered: set[str] = set()
        self.shards: dict[TP, Shard] = {}
        self.earliest: Callable[[Iterable[TP]], Awaitable[Mapping[TP, int]]] | None = None
        self.seek: Callable[[Mapping[TP, int]], Awaitable[None]] | None = None
        self.failed: Callable[[BaseException], None] = lambda error: None
        self.is_restored = False

    # --- records ----------------------------------------------------------------------------------------------

    async def on_run(self, run: Run) -> None:
        """Apply a run of records, or refuse it when it does not continue where the shard stands."""
        shard = self.shards.get(TP(run.topic, run.partition))
        if shard is None or not self.is_restored:
            return
        records = run.records
        first = records[0].offset
        if shard.position is None:
            shard.position = first
        if run.offset < shard.position:
            return
        if first > shard.position:
            if not await self._bridge(shard, first):
                return
        elif first < shard.position:
            records = [record for record in records if record.offset >= shard.position]
        shard.refusals = 0
        started = time.perf_counter()
        letters = shard.fold.apply(records, wall_ms())
        shard.position = run.offset + 1
        if letters:
            self._observer.dead_letters(letters)
            for letter in letters:
                key = f"{letter.topic}-{letter.partition}-{letter.offset}".encode()
                shard.outbox.append((self._dead_letter_topic, key, self._encode_letter(letter), None))
            async with shard.telling:
                await self._post(shard)
        seconds = time.perf_counter() - started
        self._observer.run(run.topic, run.partition, len(records), seconds, shard.position)

    async def _post(self, shard: Shard) -> None:
        """Empty the outbox; nothing leaves it before the producer has it (so one may be sent twice)."""
        while shard.outbox and not shard.closed:
            await self.send(shard, shard.outbox[0])
            del shard.outbox[0]

    async def _bridge(self, shard: Shard, first: int) -> bool:
        """A hole before `first`: fetch again, unless the broker no longer has what is missing."""
        self._observer.refused(shard.tp.topic)
        shard.refusals += 1
        assert self.seek is not None
        assert self.earliest is not None
        assert shard.position is not None
        if shard.refusals >= REFUSALS_BEFORE_ASKING:
            earliest = (await self.earliest([shard.tp]))[shard.tp]
            if earliest > shard.position or shard.refusals > 10 * REFUSALS_BEFORE_ASKING:
                log.error("%s: offsets %d to %d are gone", shard.tp, shard.position, first - 1)
                shard.position = first
                return True
        if shard.refusals % REFUSALS_BEFORE_ASKING == 1:
            log.info("%s: expected offset %d, got %d; fetching again", shard.tp, shard.position, first)
            await self.seek({shard.tp: shard.position})
        return False

    async def send(self, shard: Shard, message: Outgoing) -> None:
        """Produce a message on behalf of a shard; a failure ends the process."""
        if shard.closed:
            return
        future = asyncio.ensure_future(await self._send(message))
        shard.sending.add(future)
        future.add_done_callback(lambda done: self._sent(shard, done))

    def _sent(self, shard: Shard, done: asyncio.Future[object]) -> None:
        shard.sending.discard(done)
        if not done.cancelled() and done.exception() is not None:
            self.failed(BrokenInvariant(f"a message of {shard.tp} was not stored: {done.exception()!r}"))

    async def flush(self, shard: Shard) -> None:
        """Tell what changed in a shard."""
        if shard.closed or not self.is_restored:
            return
        if shard.telling.locked():
            return
        async with shard.telling:
            shard.outbox += shard.stage.tell(shard, at_checkpoint=False)
            await self._post(shard)

    # --- checkpoints ------------------------------------------------------------------------------------------

    async def checkpoint(self, shard: Shard) -> None:
        """Store a shard: what it told first, then its parts, then the manifest; then its offset may be committed."""
        if shard.closed or shard.position is None or not self.is_restored or not shard.is_dirty:
            return
        async with shard.storing:
            if shard.closed:
                return
            async with shard.telling:
                started = time.perf_counter()
                shard.outbox += shard.stage.tell(shard, at_checkpoint=True)
                position = shard.position
                cut = shard.checkpointer.cut(shard.fold, position)
                self._observer.checkpoint(shard.tp.topic, shard.tp.partition, time.perf_counter() - started)
                await self._post(shard)
            await self._store(shard, cut)
            shard.checkpointed_position = position

    async def _store(self, shard: Shard, cut: Cut) -> None:
        changelog = self._tables[shard.tp.topic].changelog_topic_name
        partition = shard.tp.partition
        for key, value in cut.parts:
            await self.send(shard, (changelog, key, value, partition))
        await self._acknowledged(shard)
        if cut.manifest is None or shard.closed:
            return
        await self.send(shard, (changelog, *cut.manifest, partition))
        for key in self._stale.pop(shard.tp, []):
            await self.send(shard, (changelog, key, None, partition))
        await self._acknowledged(shard)
        shard.covered = cut.position

    @staticmethod
    async def _acknowledged(shard: Shard) -> None:
        """Wait for what has been sent up to now (more may be sent meanwhile)."""
        if sending := set(shard.sending):
            await asyncio.wait(sending)

    def owned(self) -> list[TP]:
        """The source partitions of this worker."""
        return list(self.shards)

    def covered(self, tp: TP) -> int | None:
        """The offset that may be committed: what the newest stored manifest covers; None: there is none."""
        shard = self.shards.get(tp)
        return None if shard is None else shard.covered

    # --- assignment -------------------------------------------------------------------------------------------

    async def on_revoked(self, patience_s: float) -> None:
        """Before others take over: store every shard once more, as far as the time allows."""
        shards = [shard for shard in self.shards.values() if not shard.closed]
        if not shards or not self.is_restored:
            return
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.gather(*(self.checkpoint(shard) for shard in shards))
        except TimeoutError:
            log.warning(
                "not all shards could be stored before the rebalance; their next owner replays a little"
            )
        self.is_restored = False

    def on_assigned(self, tps: Iterable[TP]) -> None:
        """Drop the shards that are no longer ours, with everything published from them."""
        sources = {tp for tp in tps if tp.topic in self._stages}
        self._observer.assigned(sources)
        self.is_restored = False
        for tp in [tp for tp in self.shards if tp not in sources]:
            shard = self.shards.pop(tp)
            shard.closed = True
            shard.stage.close(shard)
        for tp in sources:
            if tp not in self.shards:
                stage = self._stages[tp.topic]
                self.shards[tp] = Shard(tp, stage, stage.fold(tp), None, 0, self._owner)

    async def on_recovered(self) -> None:
        """All changelogs have been read: bring every shard to the best state there is, in a new incarnation."""
        fresh = []
        for tp, shard in list(self.shards.items()):
            records = self._tables[tp.topic].records.get(tp.partition, {})
            name = shard_name(tp.topic, tp.partition)
            epoch = max(wall_ms(), shard.epoch + 1, newest_epoch(records, name) + 1)
            found = restore(records, name)
            fold, position = shard.fold, shard.position
            if found is not None and (position is None or found.position > position):
                fold, position = shard.stage.fold(tp), found.position
                fold.load(found.entries.items())
            shard.closed = True
            shard.stage.close(shard)
            new = Shard(tp, shard.stage, fold, position, epoch, self._owner)
            if fold is shard.fold:
                new.outbox = list(shard.outbox)  # a copy: the old one may be at its first message
            self._stale[tp] = list(stale_keys(records, name))
            self.shards[tp] = new
            if position is None:
                fresh.append(tp)
            new.stage.open(new)
            await asyncio.sleep(0)
        if fresh:
            assert self.earliest is not None
            for tp, offset in (await self.earliest(fresh)).items():
                self.shards[tp].position = offset
        for table in self._tables.values():
            table.records.clear()
        self.is_restored = True
        self._observer.restored(self.shards)
        log.info("restored %d shards", len(self.shards))

    async def positions(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where to read on, for every source partition of ours."""
        return {
            tp: position
            for tp in tps
            if (shard := self.shards.get(tp)) is not None and (position := shard.position) is not None
        }
