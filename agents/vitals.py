"""How is this worker doing? Lag, restores, refusals, checkpoints: counted once per run, judged for the probes.

Refuses to know Prometheus: `agents.exposition` shows what is counted here.
"""

import time
from collections.abc import Iterable, Sequence

from faust.types import TP

from schemas.dead_letters import DeadLetter

Owned = tuple[str, int]


class Vitals:
    """Counters and gauges of one worker. Times in Unix seconds; durations in seconds.

    Args:
        topics: the source topics, so that known label sets start at 0.
        ready_lag: most messages a partition may be behind for the worker to count as ready.
    """

    def __init__(self, topics: Iterable[str], ready_lag: int) -> None:
        self._ready_lag = ready_lag
        self.runs_refused: dict[str, int] = dict.fromkeys(topics, 0)
        self.dead_letter_counts: dict[tuple[str, str], int] = {}
        self.redis_write_counts: dict[str, int] = {"stored": 0, "fenced": 0, "failed": 0}
        self.rebalances = 0
        self.lags: dict[Owned, int] = {}
        self.positions: dict[Owned, int] = {}
        self.checkpointed_at: dict[Owned, float] = {}
        self.recovering: dict[Owned, bool] = {}
        self.run_seconds: list[tuple[str, float]] = []
        self.pause_seconds: list[float] = []
        self.records = 0
        self.ready_since: float | None = None

    # --- told by the host -------------------------------------------------------------------------------------

    def run(self, topic: str, partition: int, records: int, seconds: float, position: int) -> None:
        """A run of records was applied."""
        self.records += records
        self.positions[topic, partition] = position
        if len(self.run_seconds) < 10_000:
            self.run_seconds.append((topic, seconds))

    def refused(self, topic: str) -> None:
        """A run did not continue where the shard stood."""
        self.runs_refused[topic] = self.runs_refused.get(topic, 0) + 1

    def dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Records were set aside."""
        for letter in letters:
            key = (letter.topic, str(letter.reason))
            self.dead_letter_counts[key] = self.dead_letter_counts.get(key, 0) + 1

    def checkpoint(self, topic: str, partition: int, pause_seconds: float) -> None:
        """A checkpoint was cut; the stream paused for so long."""
        self.checkpointed_at[topic, partition] = time.time()
        if len(self.pause_seconds) < 10_000:
            self.pause_seconds.append(pause_seconds)

    def assigned(self, tps: Iterable[TP]) -> None:
        """A rebalance gave us these partitions; nothing of others is shown any more."""
        self.rebalances += 1
        owned = {(tp.topic, tp.partition) for tp in tps}
        for each in (self.lags, self.positions, self.checkpointed_at):
            for key in [key for key in each if key not in owned]:
                del each[key]  # type: ignore[attr-defined]
        self.recovering = dict.fromkeys(owned, True)
        self.ready_since = None

    def restored(self, tps: Iterable[TP]) -> None:
        """All partitions are restored."""
        self.recovering = {(tp.topic, tp.partition): False for tp in tps}
        self.ready_since = time.time()

    def redis_writes(self, result: str, rows: int) -> None:
        """Rows were stored, fenced or failed."""
        self.redis_write_counts[result] = self.redis_write_counts.get(result, 0) + rows

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """How far behind the newest message a partition is."""
        self.lags[topic, partition] = messages

    # --- judged -----------------------------------------------------------------------------------------------

    def not_ready(self) -> list[str]:
        """Why this worker is not ready; empty: it is."""
        if not self.rebalances:
            return ["no partitions assigned yet"]
        problems = [f"restoring {topic}/{p}" for (topic, p), busy in sorted(self.recovering.items()) if busy]
        behind = [(k, lag) for k, lag in sorted(self.lags.items()) if lag > self._ready_lag]
        return problems + [f"{topic}/{p} is {lag} messages behind" for (topic, p), lag in behind]
