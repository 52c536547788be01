"""What must the numbers be? The report of a simulated span, on the arrival basis.

Everything about a segment counts in the interval and the business day it was queued in.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import TypedDict

from schemas.errors import InputError
from streams.simulator.record import Record
from streams.site import Site
from streams.truth.agents import agent_times, count_states, state_at_end
from streams.truth.judged import Judged, judge_all
from streams.truth.lengths import Lengths
from streams.truth.measures import M, measure


class Report(TypedDict):
    """The report contract."""

    source: dict[str, int]
    total: M
    by_queue: dict[str, M]
    by_day: dict[str, M]
    by_interval: list[M]


class Truth:
    """What the simulator did, as numbers: from complete lists of segments, apart from the pipeline."""

    def __init__(self, site: Site, record: Record | None) -> None:
        """`record`: of a simulation whose events were all taken."""
        if record is None or not record.complete:
            raise InputError(
                "truth: expected the record of a simulation that came to its end, saw one that did not"
            )
        self.site = site
        self.record = record
        self.segments: list[Judged] = judge_all(site, record)

    def report(self, interval_s: int) -> Report:
        """All measures in total, by queue, by business day and by queue and interval of that length.

        Intervals divide each queue's business day from its start, and appear where a contact was offered.
        """
        return {
            "source": {
                "from_ms": self.record.from_ms,
                "to_ms": self.record.to_ms,
                "events": self.record.events,
                "segments": len(self.segments),
            },
            "total": self._total(),
            "by_queue": self._by_queue(),
            "by_day": self._by_day(),
            "by_interval": self._by_interval(interval_s * 1000),
        }

    def presence(self) -> dict[str, dict[str, dict[str, int]]]:
        """Agents by state at the end: {"site" | "queue" | "team": {name: {state: agents}}}.

        The site's name is "". An agent of several queues counts in each of them.
        """
        record, limit_ms = self.record, self.site.limits.agent_lost_ms

        def count(names: Callable[[int], tuple[str, ...]]) -> dict[str, dict[str, int]]:
            groups = defaultdict(list)
            for number, signs in enumerate(record.agents):
                for name in names(number):
                    groups[name].append(signs)
            return {name: count_states(group, record.to_ms, limit_ms) for name, group in groups.items()}

        agents = record.agents
        return {
            "site": count(lambda number: ("",)),
            "queue": count(lambda number: agents[number].queues),
            "team": count(lambda number: (agents[number].team,)),
        }

    def agent_states(self) -> dict[str, str]:
        """The state of each agent at the end; only those who ever gave a sign of life."""
        limit_ms = self.site.limits.agent_lost_ms
        states = {s.agent_id: state_at_end(s, self.record.to_ms, limit_ms) for s in self.record.agents}
        return {agent_id: state for agent_id, state in states.items() if state is not None}

    def lengths(self, queue: str | None = None) -> Lengths:
        """Queue length over time, of one queue or of all together."""
        return Lengths(s for s in self.segments if queue is None or s.queue == queue)

    def _total(self) -> M:
        total = measure(self.segments)
        total["queue_length_max"] = self.lengths().maximum(self.record.from_ms, self.record.to_ms)
        total["agents"] = agent_times(self.record, self.site.limits.agent_lost_ms)
        return total

    def _by_queue(self) -> dict[str, M]:
        """Every configured queue, also where nothing happened."""
        result = {}
        for queue, segments in self._segments_by_queue().items():
            result[queue] = measure(segments)
            result[queue]["queue_length_max"] = Lengths(segments).maximum(
                self.record.from_ms, self.record.to_ms
            )
        return result

    def _by_day(self) -> dict[str, M]:
        """Each segment on the business day of its queue; the longest queue, over all queues, by the site's days."""
        lengths, bounds = self.lengths(), self._site_days()
        groups: dict[str, list[Judged]] = defaultdict(list)
        for segment in self.segments:
            groups[self.site.calendar(segment.queue).day_of(segment.queued_ms)].append(segment)
        result = {}
        for day, segments in sorted(groups.items()):
            result[day] = measure(segments)
            result[day]["queue_length_max"] = self._peak(lengths, *bounds[day]) if day in bounds else 0
        return result

    def _site_days(self) -> dict[str, tuple[int, int]]:
        calendar, at_ms = self.site.calendar(""), self.record.from_ms
        days = {}
        while at_ms < self.record.to_ms:
            days[calendar.day_of(at_ms)] = calendar.day_bounds_ms(at_ms)
            at_ms = calendar.day_bounds_ms(at_ms)[1]
        return days

    def _by_interval(self, interval_ms: int) -> list[M]:
        rows = []
        for queue, segments in self._segments_by_queue().items():
            lengths, calendar = Lengths(segments), self.site.calendar(queue)
            groups: dict[int, list[Judged]] = defaultdict(list)
            for segment in segments:
                day_ms, _ = calendar.day_bounds_ms(segment.queued_ms)
                groups[segment.queued_ms - (segment.queued_ms - day_ms) % interval_ms].append(segment)
            for start_ms, group in groups.items():
                row: M = {"start": calendar.local_iso(start_ms), "queue": queue, **measure(group)}
                row["queue_length_max"] = self._peak(lengths, start_ms, start_ms + interval_ms)
                rows.append((start_ms, row))
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def _peak(self, lengths: Lengths, start_ms: int, end_ms: int) -> int:
        return lengths.maximum(start_ms, min(end_ms, self.record.to_ms))

    def _segments_by_queue(self) -> dict[str, list[Judged]]:
        groups: dict[str, list[Judged]] = {queue: [] for queue in self.site.queues}
        for segment in self.segments:
            groups[segment.queue].append(segment)
        return groups
