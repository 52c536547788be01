"""What was every queue's business day so far, interval by interval? Collects the interval rows of one shard of stage 2.

On the arrival basis, as reports are. Refuses to know days that are over: `streams.report` knows them.
"""

from collections.abc import Iterable

from schemas.drill import Day, DayInterval
from schemas.partials import INTERVAL_MS, row_parts
from schemas.snapshots import IntervalRow
from streams.contributions import Promises
from streams.kpi import measures, with_x
from streams.site import Site


class DayBook:
    """The current business day of every queue and channel of one shard."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._promises = Promises(site)
        self._days: dict[str, tuple[Day, dict[int, DayInterval]]] = {}

    def take(self, rows: Iterable[IntervalRow], now_ms: int) -> set[str]:
        """Take in intervals that changed and let days begin; return the rows whose day differs from before."""
        changed = {name for name, (day, _) in self._days.items() if now_ms >= day.next_day_ms}
        for name in changed:
            self._begin(name, now_ms)
        for row in rows:
            kind, *names = row_parts(row.row)
            if kind != "q":
                continue
            if row.row not in self._days:
                self._begin(row.row, now_ms)
                changed.add(row.row)
            day, intervals = self._days[row.row]
            if day.day_ms <= row.start_ms < day.next_day_ms:
                intervals[row.start_ms] = self._judged(row, *names)
                changed.add(row.row)
        return changed

    def rows(self) -> list[str]:
        """Every row there is a day of."""
        return list(self._days)

    def day(self, row: str, now_ms: int) -> Day:
        """The day of a row so far; nothing happened in an interval that was never told."""
        day, told = self._days[row]
        calendar = self._site.calendar(row_parts(row)[1])
        day.intervals = [
            told.get(start_ms) or DayInterval(start_ms=start_ms, start=calendar.local_iso(start_ms))
            for start_ms in range(day.day_ms, min(now_ms + 1, day.next_day_ms), INTERVAL_MS)
        ]
        return day

    def drop(self, rows: Iterable[str]) -> None:
        """Forget rows that are no longer there."""
        for row in rows:
            self._days.pop(row, None)

    def _begin(self, name: str, now_ms: int) -> None:
        day_ms, next_ms = self._site.calendar(row_parts(name)[1]).day_bounds_ms(now_ms)
        self._days[name] = Day(day_ms=day_ms, next_day_ms=next_ms, intervals=[]), {}

    def _judged(self, row: IntervalRow, queue: str, channel: str) -> DayInterval:
        promise = self._promises.of(queue, channel)
        m = measures(with_x(row.arrival, promise.in_x_ms, promise.short_ms, histogram=False))
        return DayInterval(
            start_ms=row.start_ms,
            start=self._site.calendar(queue).local_iso(row.start_ms),
            offered=m.offered,
            answered=m.answered,
            answered_in_x=m.answered_in_x,
            abandoned=m.abandoned,
            callback=m.callback,
            overflowed=m.overflowed,
            lost=m.lost,
            sl_offered=m.sl_offered,
            asa_s=m.asa_s,
            abandonment_rate=m.abandonment_rate,
            queue_length_max=row.queue_length_max,
        )
