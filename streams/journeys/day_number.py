"""Which business day is it, as a number? Days since 1970-01-01 of the date on which the site's business day began."""

from bisect import bisect_right
from datetime import date

from streams.site import Site

_EPOCH = date(1970, 1, 1).toordinal()
_MOST = 400


def day_number(site: Site, at_ms: int) -> int:
    """The number of the business day of an instant (Unix ms)."""
    return date.fromisoformat(site.calendar("").day_of(at_ms)).toordinal() - _EPOCH


class DayNumbers:
    """Numbers of the business days of one site. What was asked for is remembered, in bounds."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._calendar = site.calendar("")
        self._starts: list[int] = []
        self._days: list[tuple[int, int]] = []
        """(end, number) of the day that begins at the same place of `_starts`."""

    def of(self, at_ms: int) -> int:
        """The number of the business day that holds `at_ms`, which must lie in the years 1990-2100."""
        place = bisect_right(self._starts, at_ms) - 1
        if place >= 0:
            end_ms, number = self._days[place]
            if at_ms < end_ms:
                return number
        if len(self._starts) >= _MOST:
            self._starts.clear()
            self._days.clear()
            place = -1
        start_ms, end_ms = self._calendar.day_bounds_ms(at_ms)
        number = day_number(self._site, at_ms)
        self._starts.insert(place + 1, start_ms)
        self._days.insert(place + 1, (end_ms, number))
        return number
