"""What happened, interval by interval? The reconciling report (arrival basis) from the pipeline's interval rows.

The report is a contract (README, "The report"): `source`, `total`, `by_queue`, `by_day`, `by_interval`.
"""

from collections.abc import Iterable, Iterator

import msgspec

from schemas.counts import OFFERED
from schemas.errors import InputError
from schemas.partials import INTERVAL_MS, MINUTE_MS, SITE_ROW, SourceTruth, row_parts
from schemas.snapshots import IntervalRow, Measures
from streams.kpi import add, measures, with_x
from streams.rows import Pane
from streams.site import Site

Report = dict[str, object]
_LEFT_OUT = ("sl_live", "answered_histogram", "abandoned_histogram")


class _Sum:
    """Counts, queue length and agents' time of some intervals."""

    def __init__(self) -> None:
        self.counts: Pane = {}
        self.time: Pane = {}
        self.longest = 0
        self.area_ms = 0

    def row(self) -> dict[str, object]:
        """The measures M of the report."""
        out: Measures = measures(self.counts, self.time)
        out.queue_length_max = self.longest
        out.queue_length_area_s = self.area_ms / 1000
        made: dict[str, object] = msgspec.to_builtins(out)
        for name in _LEFT_OUT:
            del made[name]
        known = out.answered + out.abandoned + out.callback + out.overflowed + out.lost
        made["waiting"] = out.offered - known
        if out.longest_wait_max_s is None or not known:
            made["longest_wait_max_s"] = None
        return made


class ReportBuilder:
    """Collects interval rows (the newest version of each wins) and makes the report of them.

    Args:
        site: the promises and calendars that judge the counts.
        interval_s: length of the intervals in seconds: a multiple of 900 that divides a day.

    Raises:
        InputError: `interval_s` is no such number.
    """

    def __init__(self, site: Site, interval_s: int = 1800) -> None:
        if interval_s <= 0 or interval_s * 1000 % INTERVAL_MS or 86_400 % interval_s:
            raise InputError(f"interval of {interval_s} s: expected a multiple of 900 s that divides a day")
        self._site = site
        self._interval_ms = interval_s * 1000
        self._rows: dict[str, dict[int, IntervalRow]] = {}

    def add(self, row: IntervalRow) -> None:
        """Take in one interval row; it replaces an earlier version of itself, but not one of a later owner."""
        known = self._rows.setdefault(row.row, {})
        before = known.get(row.start_ms)
        if before is None or (row.epoch, row.position) >= (before.epoch, before.position):
            known[row.start_ms] = row

    def report(self, source: dict[str, object]) -> Report:
        """The whole report."""
        by_queue: dict[str, _Sum] = {}
        by_day: dict[str, _Sum] = {day: _Sum() for day in self._days()}
        by_interval: dict[tuple[int, str], _Sum] = {}
        total = _Sum()
        for name, starts in self._rows.items():
            parts = row_parts(name)
            if parts[0] == "q":
                self._add_queue(parts[1], parts[2], starts, (total, by_queue, by_day, by_interval))
            elif parts[0] == "a":
                for row in starts.values():
                    add(by_queue.setdefault(parts[1], _Sum()).time, row.time)
        for start_ms, row in self._rows.get(SITE_ROW, {}).items():
            if not row.time and not row.queue_length_max:
                continue  # measured, but before anything happened or after all of it
            add(total.time, row.time)
            day = by_day.setdefault(self._site.calendar("").day_of(start_ms), _Sum())
            add(day.time, row.time)
            for each in (total, day):
                each.longest = max(each.longest, row.queue_length_max)
                each.area_ms += row.queue_length_area_ms
        return {
            "source": source,
            "total": total.row(),
            "by_queue": {name: by_queue[name].row() for name in sorted(by_queue)},
            "by_day": {day: by_day[day].row() for day in sorted(by_day)},
            "by_interval": list(self._interval_rows(by_interval)),
        }

    def _add_queue(
        self,
        queue: str,
        channel: str,
        starts: dict[int, IntervalRow],
        into: tuple[_Sum, dict[str, _Sum], dict[str, _Sum], dict[tuple[int, str], _Sum]],
    ) -> None:
        total, by_queue, by_day, by_interval = into
        policy = self._site.policy(queue, channel)
        calendar = self._site.calendar(queue)
        x_ms, short_ms = round(policy.answer_within_s * 1000), round(policy.short_abandon_s * 1000)
        whole = by_queue.setdefault(queue, _Sum())
        for start_ms, row in starts.items():
            day_ms, _ = calendar.day_bounds_ms(start_ms)
            interval_ms = day_ms + (start_ms - day_ms) // self._interval_ms * self._interval_ms
            interval = by_interval.setdefault((interval_ms, queue), _Sum())
            counts = with_x(row.arrival, x_ms, short_ms)
            for each in (total, whole, by_day.setdefault(calendar.day_of(start_ms), _Sum()), interval):
                add(each.counts, counts)
            for each in (whole, interval):
                each.longest = max(each.longest, row.queue_length_max)
                each.area_ms += row.queue_length_area_ms

    def _span_ms(self) -> tuple[int, int]:
        """From the first to the end of the last interval in which a contact was offered."""
        starts = [
            s
            for name, rows in self._rows.items()
            if name[0] == "q"
            for s, r in rows.items()
            if r.arrival.get(OFFERED)
        ]
        return (min(starts), max(starts) + INTERVAL_MS) if starts else (0, 0)

    def _days(self) -> Iterator[str]:
        calendar = self._site.calendar("")
        low_ms, high_ms = self._span_ms()
        while low_ms < high_ms:
            yield calendar.day_of(low_ms)
            low_ms = calendar.day_bounds_ms(low_ms)[1]

    def _interval_rows(self, known: dict[tuple[int, str], _Sum]) -> Iterator[dict[str, object]]:
        """Every interval of every queue on every day of the report, empty ones too."""
        low_ms, high_ms = self._span_ms()
        queues = sorted({queue for _, queue in known} | set(self._site.queues))
        rows: list[tuple[int, str, _Sum]] = []
        for queue in queues:
            calendar = self._site.calendar(queue)
            at_ms = calendar.day_bounds_ms(low_ms)[0] if high_ms else 0
            while at_ms < high_ms:
                day_ms, next_ms = calendar.day_bounds_ms(at_ms)
                for start_ms in range(day_ms, next_ms, self._interval_ms):
                    rows.append((start_ms, queue, known.get((start_ms, queue)) or _Sum()))
                at_ms = next_ms
        rows.sort(key=lambda row: row[:2])
        for start_ms, queue, each in rows:
            yield {"start": self._site.calendar(queue).local_iso(start_ms), "queue": queue, **each.row()}

    def gauges(self) -> Iterator[tuple[str, int, int, int]]:
        """(date, minute of the day, waiting, in service) at second 0 of every minute, over all queues."""
        calendar = self._site.calendar("")
        low_ms, high_ms = self._span_ms()
        waiting: dict[int, int] = {}
        serving: dict[int, int] = {}
        for name, starts in self._rows.items():
            for start_ms, row in starts.items():
                for minute, (length, service) in enumerate(row.minutes, start_ms // MINUTE_MS):
                    if name == SITE_ROW:
                        waiting[minute] = length
                    elif name[0] == "q":
                        serving[minute] = serving.get(minute, 0) + service
        while low_ms < high_ms:
            start_ms, end_ms = calendar.day_bounds_ms(low_ms)
            date = calendar.day_of(low_ms)
            for number, at_ms in enumerate(range(start_ms, end_ms, MINUTE_MS)):
                minute = at_ms // MINUTE_MS
                yield date, number, waiting.get(minute, 0), serving.get(minute, 0)
            low_ms = end_ms


def source_of(truths: Iterable[SourceTruth], records: int, letters: dict[str, int]) -> dict[str, object]:
    """The `source` part of the report.

    Args:
        truths: what the source shards saw.
        records: rows or lines of the input.
        letters: dead letters of the reader, by reason (those of the shards are added).
    """
    out: dict[str, int] = dict.fromkeys(
        ("events", "duplicates", "late", "corrected", "unmatched", "ignored"), 0
    )
    dead = dict(letters)
    for truth in truths:
        out["events"] += truth.events
        out["duplicates"] += truth.duplicates
        out["late"] += truth.late_dropped
        out["corrected"] += truth.corrected
        out["unmatched"] += truth.unmatched
        out["ignored"] += truth.ignored
        for reason, count in truth.dead_letters.items():
            dead[reason] = dead.get(reason, 0) + count
    return {"records": records, **out, "dead_letters": dead}
