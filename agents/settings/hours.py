"""How are opening hours written? `[site.hours]` and `[queues."NAME".hours]`: weekdays, holidays, special days.

Refuses to know when anything is open: `streams.hours` does.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.settings.values import Section
from schemas.errors import SettingsError
from streams.hours import MINUTES_OF_DAY, WEEKDAYS, Hours, Span, Spans

_SPAN = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
_DAYS = re.compile(f"({'|'.join(WEEKDAYS)})-({'|'.join(WEEKDAYS)})")


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found:
        begins, ends = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if begins < MINUTES_OF_DAY and ends <= MINUTES_OF_DAY and begins != ends:
            return begins, ends if ends > begins else ends + MINUTES_OF_DAY
    raise ValueError(f"expected hours such as 09:00-18:00, 22:00-06:00 or 00:00-24:00, saw {text!r:.60}")


def _listed(value: object) -> object:
    """One span may stand without a list."""
    return [value] if isinstance(value, str) else value


def _clean(spans: tuple[str, ...]) -> tuple[str, ...]:
    for text in spans:
        _span(text)
    return spans


_DaySpans = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_clean)]
_CLOSED = "not said: closed, where any weekday is"


class HoursSection(Section):
    """`[site.hours]`: nothing said means always open. A queue that says a weekday says the whole week."""

    mon: _DaySpans | None = Field(
        None, description=f'"09:00-18:00", or a list; `mon-fri = ..` says several days; {_CLOSED}.'
    )
    tue: _DaySpans | None = Field(None, description="Likewise; 22:00-06:00 ends on the day after.")
    wed: _DaySpans | None = Field(None, description="Likewise.")
    thu: _DaySpans | None = Field(None, description="Likewise.")
    fri: _DaySpans | None = Field(None, description="Likewise.")
    sat: _DaySpans | None = Field(None, description="Likewise.")
    sun: _DaySpans | None = Field(None, description="Likewise.")
    holidays: tuple[date, ...] | None = Field(
        None, description='Days that are closed, such as `["2026-01-01"]`.'
    )
    special: dict[date, _DaySpans] | None = Field(
        None, description='Days with hours of their own: `{ "2026-12-24" = "09:00-13:00" }`.'
    )

    @model_validator(mode="after")
    def _each_day_once(self) -> "HoursSection":
        both = set(self.holidays or ()) & set(self.special or ())
        if both:
            raise ValueError(f"{min(both)} is in holidays and in special: expected one of them")
        return self

    def hours(self, others: Hours) -> Hours:
        """The hours this says; what it does not say is as in `others`: the week, the holidays, the special days."""
        week = [getattr(self, day) for day in WEEKDAYS]
        special = {
            day: spans for day, spans in others.special if (self.special if spans else self.holidays) is None
        }
        special |= dict.fromkeys(self.holidays or (), ())
        special |= {day: _spans(texts) for day, texts in (self.special or {}).items()}
        return Hours(
            week=others.week if week == [None] * 7 else tuple(_spans(each or ()) for each in week),
            special=tuple(sorted(special.items())),
        )


def _spans(texts: tuple[str, ...]) -> Spans:
    return tuple(sorted(_span(text) for text in texts))


def with_days(hours: object, table: str, source: str) -> object:
    """A table of hours as written, with `mon-fri` as five days; anything else stays, to be refused by its name.

    Raises:
        SettingsError: a day is said twice.
    """
    if not isinstance(hours, Mapping):
        return hours
    out: dict[object, object] = {}
    for key, value in hours.items():
        for day in _days(key):
            if day in out:
                raise SettingsError(f"{source}: `{day}` is said twice in [{table}]")
            out[day] = value
    return out


def _days(key: object) -> list[object]:
    found = _DAYS.fullmatch(key) if isinstance(key, str) else None
    if found is None:
        return [key]
    first, last = WEEKDAYS.index(found[1]), WEEKDAYS.index(found[2])
    return [WEEKDAYS[day % 7] for day in range(first, last + 1 if last >= first else last + 8)]


def hours_shown(hours: Hours) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables that say these hours, as (name below `hours`, {key: value})."""
    yield (
        "",
        {
            **{day: _texts(spans) for day, spans in zip(WEEKDAYS, hours.week, strict=True)},
            "holidays": tuple(day.isoformat() for day, spans in hours.special if not spans),
        },
    )
    special = {day.isoformat(): _texts(spans) for day, spans in hours.special if spans}
    if special:
        yield ".special", special


def _texts(spans: Spans) -> tuple[str, ...]:
    return tuple(
        f"{_clock(begins)}-{_clock(ends if ends <= MINUTES_OF_DAY else ends - MINUTES_OF_DAY)}"
        for begins, ends in spans
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
