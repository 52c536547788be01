"""What happened, interval by interval? The reconciling report (arrival basis) from the pipeline's interval rows.

The report is a contract (README, "The report"): `source`, `total`, `by_queue`, `by_day`, `by_interval`.

`by_day`, `by_interval` and the gauges tell of the same business days: those on which something was queued, somebody
waited, or agents spent time, so that days and intervals add up to the total; and the days between them, with zeros,
unless more than a week lies between: then it was no holiday, but a wrong date. A contact that is only served beyond the
end of a day (arrival basis: all of it counts where it was queued) makes no day of its own.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

import msgspec

from schemas.errors import InputError
from schemas.partials import INTERVAL_MS, MINUTE_MS, SITE_ROW, SourceTruth, row_parts
from schemas.snapshots import IntervalRow, Measures
from streams.kpi import add, measures, with_x
from streams.rows import Pane
from streams.site import Site

Report = dict[str, object]
_DAY_MINUTES = 24 * 60
_MOST_EMPTY_DAYS = 7
"""As long as a queue is published with 0 after it was seen last."""
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
        days = self._days()
        by_queue: dict[str, _Sum] = {}
        by_day: dict[str, _Sum] = {day: _Sum() for day in days}
        by_interval: dict[tuple[int, str], _Sum] = {}
        total = _Sum()
        for name, starts in self._rows.items():
            parts = row_parts(name)
            if parts[0] == "q":
                self._add_queue(parts[1], parts[2], starts, (total, by_queue, by_day, by_interval))
            elif parts[0] == "a":
                for row in starts.values():
                    interval = by_interval.setdefault(self._interval_of(parts[1], row.start_ms), _Sum())
                    for each in (by_queue.setdefault(parts[1], _Sum()), interval):
                        add(each.time, row.time)
        for start_ms, row in self._rows.get(SITE_ROW, {}).items():
            day = by_day.get(self._site.calendar("").day_of(start_ms))
            for each in filter(None, (total, day)):
                add(each.time, row.time)
                each.longest = max(each.longest, row.queue_length_max)
                each.area_ms += row.queue_length_area_ms
        return {
            "source": source,
            "total": total.row(),
            "by_queue": {name: by_queue[name].row() for name in sorted(by_queue)},
            "by_day": {day: by_day[day].row() for day in days},
            "by_interval": list(self._interval_rows(days, by_interval)),
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
            day = by_day.get(calendar.day_of(start_ms))
            if day is None:
                continue  # measured, but before anything happened or after all of it
            interval = by_interval.setdefault(self._interval_of(queue, start_ms), _Sum())
            counts = with_x(row.arrival, x_ms, short_ms)
            for each in (total, whole, day, interval):
                add(each.counts, counts)
            for each in (whole, interval):
                each.longest = max(each.longest, row.queue_length_max)
                each.area_ms += row.queue_length_area_ms

    def _interval_of(self, queue: str, at_ms: int) -> tuple[int, str]:
        """The interval of a queue that holds an instant: when it begins, and the queue."""
        day_ms, _ = self._site.calendar(queue).day_bounds_ms(at_ms)
        return day_ms + (at_ms - day_ms) // self._interval_ms * self._interval_ms, queue

    def _days(self) -> list[str]:
        """The business days (YYYY-MM-DD) that the report tells of, in order."""
        told: set[str] = set()
        for name, starts in self._rows.items():
            letter, *names = row_parts(name)
            if letter in "qas":
                calendar = self._site.calendar(names[0] if names else "")
                told |= {calendar.day_of(start_ms) for start_ms, row in starts.items() if _tells(row)}
        out: list[date] = []
        for day in sorted(map(date.fromisoformat, told)):
            empty = (day - out[-1]).days - 1 if out else 0
            if 0 < empty <= _MOST_EMPTY_DAYS:
                out += [day - timedelta(days=before) for before in range(empty, 0, -1)]
            out.append(day)
        return [day.isoformat() for day in out]

    def _interval_rows(
        self, days: list[str], known: dict[tuple[int, str], _Sum]
    ) -> Iterator[dict[str, object]]:
        """Every interval of every queue on every day of the report, empty ones too."""
        queues = sorted({queue for _, queue in known} | set(self._site.queues))
        rows: list[tuple[int, str, _Sum]] = []
        for queue in queues:
            for day in days:
                for start_ms in range(*self._site.calendar(queue).bounds_of(day), self._interval_ms):
                    rows.append((start_ms, queue, known.get((start_ms, queue)) or _Sum()))
        rows.sort(key=lambda row: row[:2])
        for start_ms, queue, each in rows:
            yield {"start": self._site.calendar(queue).local_iso(start_ms), "queue": queue, **each.row()}

    def gauges(self) -> Iterator[tuple[str, int, int, int]]:
        """(date, minute, waiting, in service) at second 0 of every minute, over all queues.

        `minute` is that of the local clock, hour * 60 + minute, from the hour the business day starts at. Every day has
        each of the 1440 once: on a day that is an hour shorter those of the hour left out say 0, and where the clock
        shows a minute twice, it is the greater number of the two.
        """
        calendar = self._site.calendar("")
        waiting: dict[int, int] = {}
        serving: dict[int, int] = {}
        for name, starts in self._rows.items():
            for start_ms, row in starts.items():
                for minute, (length, service) in enumerate(row.minutes, start_ms // MINUTE_MS):
                    if name == SITE_ROW:
                        waiting[minute] = length
                    elif name[0] == "q":
                        serving[minute] = serving.get(minute, 0) + service
        first = calendar.hour * 60 + calendar.minute
        for day in self._days():
            shown = {(first + number) % _DAY_MINUTES: (0, 0) for number in range(_DAY_MINUTES)}
            for at_ms in range(*calendar.bounds_of(day), MINUTE_MS):
                local = datetime.fromtimestamp(at_ms / 1000, calendar.zone)
                clock, minute = local.hour * 60 + local.minute, at_ms // MINUTE_MS
                length, service = shown[clock]
                shown[clock] = max(length, waiting.get(minute, 0)), max(service, serving.get(minute, 0))
            for clock, (length, service) in shown.items():
                yield day, clock, length, service


def _tells(row: IntervalRow) -> bool:
    """True when something was queued in the interval, somebody waited, or agents spent time.

    Somebody who waits at the very instant at which a recording ends has not waited in the interval that begins there.
    """
    return row.queue_length_area_ms > 0 or any(row.arrival.values()) or any(row.time.values())


def source_of(
    truths: Iterable[SourceTruth], records: int, letters: dict[str, int], left_out: int = 0
) -> dict[str, object]:
    """The `source` part of the report.

    Args:
        truths: what the source shards saw.
        records: rows or lines of the input.
        letters: dead letters of the reader, by reason (those of the shards are added).
        left_out: rows that the reader left out because they are no offered contact.
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
    return {"records": records, "left_out": left_out, **out, "dead_letters": dead}
