"""Is a queue open exactly when its clocks say so, over midnight and over the change of clocks, too?"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.hours import ALL_DAY, ALWAYS, Hours, Spans, is_open

BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"
NINE_TO_SIX = Hours(week=(((540, 1080),),) * 5 + ((), ()))
ZONES = (BERLIN, TOKYO, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
DAY_MIN = 1440


def at(local: str, zone: str = BERLIN, fold: int = 0) -> int:
    return round(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def open_minutes(hours: Hours, zone: str, begin_ms: int, end_ms: int) -> int:
    return sum(is_open(hours, zone, each) for each in range(begin_ms, end_ms, 60_000))


def test_a_queue_opens_at_the_minute_it_says_and_is_closed_at_the_minute_it_closes() -> None:
    opens, closes = at("2026-10-01T09:00", TOKYO), at("2026-10-01T18:00", TOKYO)
    assert [is_open(NINE_TO_SIX, TOKYO, ms) for ms in (opens - 1, opens, closes - 1, closes)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not is_open(NINE_TO_SIX, TOKYO, at("2026-10-03T12:00", TOKYO))


def test_a_night_shift_belongs_to_the_day_it_begins_on() -> None:
    friday_night = Hours(week=((), (), (), (), ((1320, 1800),), (), ()))
    assert is_open(friday_night, BERLIN, at("2026-10-03T05:59"))
    assert not is_open(friday_night, BERLIN, at("2026-10-03T06:00"))
    assert not is_open(friday_night, BERLIN, at("2026-10-02T05:59"))


def test_a_holiday_closes_what_begins_on_it_and_not_the_night_before() -> None:
    nights = Hours(week=(((1320, 1800),),) * 7, special=((date(2026, 12, 25), ()),))
    assert is_open(nights, BERLIN, at("2026-12-25T03:00"))
    assert not is_open(nights, BERLIN, at("2026-12-25T23:00"))
    assert not is_open(nights, BERLIN, at("2026-12-26T03:00"))


def test_a_special_day_has_its_own_hours_also_on_a_weekend() -> None:
    hours = Hours(week=NINE_TO_SIX.week, special=((date(2026, 10, 3), ((600, 720),)),))
    assert is_open(hours, BERLIN, at("2026-10-03T11:59"))
    assert not is_open(hours, BERLIN, at("2026-10-03T12:00"))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_open_all_day_is_open_for_as_many_hours_as_the_day_has(day: str, hours: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(BERLIN))
    only_today = Hours(week=((),) * 7, special=((begin.date(), ALL_DAY),))
    around = [round((begin + timedelta(days=n)).timestamp() * 1000) for n in (-1, 2)]
    assert open_minutes(only_today, BERLIN, *around) == hours * 60


def test_a_clock_time_that_comes_twice_opens_at_its_first_and_closes_at_its_last() -> None:
    opening, closing = (
        Hours(week=((),) * 7, special=((date(2026, 10, 25), span),)) for span in (((150, 600),), ((60, 150),))
    )
    assert is_open(opening, BERLIN, at("2026-10-25T02:30", fold=0))
    assert is_open(opening, BERLIN, at("2026-10-25T02:00", fold=1))
    assert is_open(closing, BERLIN, at("2026-10-25T02:29", fold=1))
    assert not is_open(closing, BERLIN, at("2026-10-25T02:30", fold=1))


def test_a_clock_time_that_is_left_out_counts_from_midnight_as_on_other_days() -> None:
    hours = Hours(week=((),) * 7, special=((date(2026, 3, 29), ((150, 600),)),))
    assert not is_open(hours, BERLIN, at("2026-03-29T03:29"))
    assert is_open(hours, BERLIN, at("2026-03-29T03:30"))
    assert open_minutes(hours, BERLIN, at("2026-03-29T00:00"), at("2026-03-30T00:00")) == 390


def test_a_day_that_begins_at_one_opens_then() -> None:
    santiago = "America/Santiago"
    hours = Hours(week=(((0, 120),),) * 7)
    noons = (at(f"2026-09-{day:02d}T12:00", santiago) for day in (5, 6))
    assert open_minutes(hours, santiago, *noons) == 60
    assert is_open(hours, santiago, at("2026-09-06T01:00", santiago))


def test_who_says_nothing_is_always_open() -> None:
    assert is_open(ALWAYS, BERLIN, 0)
    assert is_open(Hours(), TOKYO, at("2026-01-01T00:00", TOKYO))


bounds = st.integers(240, DAY_MIN)
"""Nobody changes clocks between four in the morning and midnight in `ZONES`."""


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    begins = draw(bounds.filter(lambda m: m < DAY_MIN))
    ends = draw(bounds.filter(lambda m: m != begins))
    return ((begins, ends if ends > begins else ends + DAY_MIN),)


@given(
    week=st.tuples(*[st.one_of(st.just(()), spans())] * 7),
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 366 * DAY_MIN),
)
def test_on_every_day_of_a_year_the_wall_clock_decides(
    week: tuple[Spans, ...], zone: str, minute: int
) -> None:
    at_ms = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000) + minute * 60_000
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    clock = local.hour * 60 + local.minute
    today, yesterday = week[local.weekday()], week[local.weekday() - 1]
    expected = any(begins <= clock < ends for begins, ends in today) or any(
        clock + DAY_MIN < ends for _, ends in yesterday
    )
    assert is_open(Hours(week=week), zone, at_ms) == expected
