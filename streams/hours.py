"""When is a queue open? Opening hours by weekday, holidays and special days, in one zone.

A span belongs to the day on which it begins, also where it runs over midnight. A clock time that comes twice (the end
of summer time) opens at its first and closes at its last; one that is left out counts as far from midnight as on other
days. Refuses to know the clock: the instant is an argument.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_DAY = 1440
_MINUTE_MS = 60_000

Span: TypeAlias = tuple[int, int]
"""From (inclusive) and to (exclusive), in minutes since the midnight at which the day begins; to <= 2880."""
Spans: TypeAlias = tuple[Span, ...]

ALL_DAY: Spans = ((0, MINUTES_OF_DAY),)


class Hours(Struct, frozen=True, gc=False, cache_hash=True, kw_only=True):
    """Opening hours. Without any they are: always.

    `week`: the spans of each weekday, Monday first. `special`: (date, its spans) of days with their own; none: closed.
    """

    week: tuple[Spans, ...] = (ALL_DAY,) * 7
    special: tuple[tuple[date, Spans], ...] = ()

    def of_day(self, day: date) -> Spans:
        """The spans that begin on a day."""
        return next((spans for special, spans in self.special if special == day), self.week[day.weekday()])


ALWAYS = Hours()


def is_open(hours: Hours, zone: str, at_ms: int) -> bool:
    """Whether it is open at an instant (Unix ms), by the clocks of an IANA time zone."""
    return hours == ALWAYS or _is_open(hours, zone, at_ms // _MINUTE_MS)


@lru_cache(maxsize=4096)
def _is_open(hours: Hours, zone: str, minute: int) -> bool:
    """Spans begin and end at full minutes, and so do they in UTC: no zone has been off by seconds since 1972."""
    clocks = ZoneInfo(zone)
    at_s = minute * 60
    today = datetime.fromtimestamp(at_s, UTC).astimezone(clocks).date()
    return any(
        begins_s <= at_s < ends_s
        for day in (today - timedelta(days=1), today)
        for begins_s, ends_s in _instants(hours.of_day(day), day, clocks)
    )


def _instants(spans: Spans, day: date, clocks: ZoneInfo) -> Iterator[tuple[float, float]]:
    """The spans of a day in Unix seconds."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=clocks)
    for begins, ends in spans:
        closing = midnight + timedelta(minutes=ends)
        last_s = max(closing.timestamp(), closing.replace(fold=1).timestamp())
        yield (midnight + timedelta(minutes=begins)).timestamp(), last_s
