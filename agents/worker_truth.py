"""How is this worker doing? Lag, restores, refusals, checkpoints, what its sources said: cheap counters of one process.

Told by the host once per run of records, read by the metrics server's thread: plain ints in plain dicts, which that
thread copies whole. Refuses to know Prometheus: `agents.exposition` shows what is counted here.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from schemas.dead_letters import DeadLetter
from schemas.errors import Reason
from schemas.metrics import METRICS, REDIS_RESULTS
from schemas.partials import SourceTruth

Part = tuple[str, int]
"""(topic, partition)."""

SOURCE_COUNTS = ("events", "late_dropped", "duplicates", "corrected", "unmatched", "ignored", "lost")
"""Fields of `SourceTruth` that are shown as counters."""


class Histogram:
    """Counts of durations per bucket, not cumulative; the last bucket has no upper edge. Seconds."""

    __slots__ = ("counts", "edges", "total_s")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self.counts = [0] * (len(self.edges) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.edges, seconds)] += 1
        self.total_s += seconds


class WorkerTruth:
    """Counters and gauges of one worker. Instants in Unix seconds, durations in seconds.

    Args:
        topics: the topics this worker reads, so that known label sets start at 0.
        ready_lag: most messages a partition may be behind for the worker to count as ready.
        sources: those of `topics` that bring events; default: all of them.
        clock: says the time in Unix seconds.
    """

    def __init__(
        self,
        topics: Iterable[str],
        ready_lag: int,
        sources: Iterable[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        known = tuple(topics)
        self.sources = known if sources is None else tuple(sources)
        self._ready_lag = ready_lag
        self._clock = clock
        run_edges = METRICS["queuelight_run_seconds"].edges
        self.run_seconds = {topic: Histogram(run_edges) for topic in known}
        delay_edges = METRICS["queuelight_event_delay_seconds"].edges
        self.delay_seconds = {source: Histogram(delay_edges) for source in self.sources}
        self.heartbeat_ms = dict.fromkeys(self.sources, 0)
        self.pause_seconds = Histogram(METRICS["queuelight_checkpoint_pause_seconds"].edges)
        self.runs_refused = dict.fromkeys(known, 0)
        self.dead_letter_counts: dict[tuple[str, ...], int] = {
            (topic, reason.value): 0 for topic in known for reason in Reason
        }
        self.redis_write_counts = dict.fromkeys(REDIS_RESULTS, 0)
        self.source_counts = {(source, name): 0 for source in self.sources for name in SOURCE_COUNTS}
        self.undecodable: dict[tuple[str, ...], int] = {
            (source, reason.value): 0 for source in self.sources for reason in Reason
        }
        self.rebalances = 0
        self.records = 0
        self.ready_since: float | None = None
        self.lags: dict[Part, int] = {}
        self.positions: dict[Part, int] = {}
        self.checkpointed_at: dict[Part, float] = {}
        self.recovering: dict[Part, bool] = {}
        self.newest_event_ms: dict[Part, int] = {}
        self._seen: dict[Part, tuple[tuple[int, ...], dict[str, int]]] = {}

    # --- told by the host -------------------------------------------------------------------------------------

    def run(self, topic: str, partition: int, records: int, seconds: float, position: int) -> None:
        """A run of records was applied."""
        self.records += records
        self.positions[topic, partition] = position
        self.run_seconds[topic].observe(seconds)

    def refused(self, topic: str) -> None:
        """A run did not continue where the shard stood."""
        self.runs_refused[topic] += 1

    def dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Records were set aside."""
        counts = self.dead_letter_counts
        for letter in letters:
            key = letter.topic, str(letter.reason)
            counts[key] = counts.get(key, 0) + 1

    def checkpoint(self, topic: str, partition: int, pause_seconds: float) -> None:
        """A checkpoint was cut; the stream paused for so long."""
        self.checkpointed_at[topic, partition] = self._clock()
        self.pause_seconds.observe(pause_seconds)

    def assigned(self, tps: Iterable[Part]) -> None:
        """A rebalance gave us these partitions; nothing of others is shown any more."""
        self.rebalances += 1
        owned = {(topic, partition) for topic, partition in tps}
        self.lags = {k: v for k, v in self.lags.items() if k in owned}
        self.positions = {k: v for k, v in self.positions.items() if k in owned}
        self.checkpointed_at = {k: v for k, v in self.checkpointed_at.items() if k in owned}
        self.newest_event_ms = {k: v for k, v in self.newest_event_ms.items() if k in owned}
        self.recovering = dict.fromkeys(sorted(owned), True)
        self._seen.clear()
        self.ready_since = None

    def restored(self, tps: Iterable[Part]) -> None:
        """All partitions are restored."""
        self.recovering = dict.fromkeys(tps, False)
        self.ready_since = self._clock()

    def source(self, topic: str, partition: int, truth: SourceTruth) -> None:
        """What an owned source partition has seen since the beginning of its state.

        To be called once when the partition is restored, before its first run (counts nothing: that part was counted
        by whoever saw it first), and then now and then. Counters only rise by what is new since the last call.
        """
        part = topic, partition
        now = tuple(getattr(truth, name) for name in SOURCE_COUNTS)
        letters = dict(truth.dead_letters)
        if part in self._seen:
            before, letters_before = self._seen[part]
            for name, new, old in zip(SOURCE_COUNTS, now, before, strict=True):
                self.source_counts[topic, name] += max(0, new - old)
            for reason, count in letters.items():
                key = topic, str(reason)
                self.undecodable[key] = self.undecodable.get(key, 0) + max(
                    0, count - letters_before.get(reason, 0)
                )
        self._seen[part] = now, letters
        self.newest_event_ms[part] = truth.newest_event_ms

    def heard(self, topic: str, delays_ms: Iterable[int], heartbeat_ms: int) -> None:
        """How late some events of a source came, in ms, and the time of the newest heartbeat in a partition of it."""
        delays = self.delay_seconds[topic]
        for delay_ms in delays_ms:
            delays.observe(max(0, delay_ms) / 1000)
        self.heartbeat_ms[topic] = max(self.heartbeat_ms[topic], heartbeat_ms)

    def redis_writes(self, result: str, rows: int) -> None:
        """Rows were stored, fenced or failed."""
        self.redis_write_counts[result] += rows

    def lag(self, topic: str, partition: int, messages: int) -> None:
        """How far behind the newest message a partition is."""
        self.lags[topic, partition] = messages

    # --- judged -----------------------------------------------------------------------------------------------

    def not_ready(self) -> list[str]:
        """Why this worker is not ready; empty: it is."""
        if not self.rebalances:
            return ["no partitions assigned yet"]
        recovering, lags = dict(self.recovering), dict(self.lags)
        problems = [
            f"restoring {topic}/{partition}"
            for (topic, partition), busy in sorted(recovering.items())
            if busy
        ]
        if not problems:
            unknown = sorted(recovering.keys() - lags.keys())
            problems = [f"{topic}/{partition}: not known yet how far behind" for topic, partition in unknown]
        return problems + [
            f"{topic}/{partition} is {lag} messages behind"
            for (topic, partition), lag in sorted(lags.items())
            if lag > self._ready_lag
        ]
