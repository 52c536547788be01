"""Do other months of the bank come out right? Rows made up here, against numbers worked out from their clock columns.

The reference below knows nothing of the pipeline: it counts, at every minute and second by second of change, the calls
that the columns say were waiting or served then.
"""

import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest

from streams.driver import Driver, Item
from streams.readers import READERS, SITES
from streams.report import ReportBuilder
from tests.streams.true_days import listed, mapping

FORMAT = "anonymous-bank"
SITE = SITES[FORMAT]
MINUTE, HOUR, DAY = 60, 3600, 86_400
MONTH = datetime(1999, 2, 1)  # noqa: DTZ001  # the log's clock has no zone


class Call(NamedTuple):
    """A call that queues `at` seconds after the month began, by the clock."""

    at: int
    wait_s: int
    service_s: int = 0
    answered: bool = True
    kind: str = "PS"

    @property
    def left(self) -> int:
        return self.at + self.wait_s

    @property
    def ended(self) -> int:
        return self.left + (self.service_s if self.answered else 0)


def at(day: int, clock: str) -> int:
    """Seconds from the beginning of the month to a clock time of one of its days."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return (day - 1) * DAY + hours * HOUR + minutes * MINUTE + seconds


def rows(calls: Iterable[Call], month: datetime = MONTH) -> list[bytes]:
    """The calls as the log tells them: every cell that stands for a clock time is without its date."""

    def clock(second: int) -> str:
        moment = month + timedelta(seconds=second)
        return f"{moment.hour}:{moment:%M:%S}"

    out = []
    for number, call in enumerate(calls):
        entry = call.at - 10
        date = f"{month + timedelta(seconds=entry):%y%m%d}"
        queue = [clock(call.at), clock(call.left), call.wait_s] if call.wait_s else ["0:00:00", "0:00:00", 0]
        service = [clock(call.left), clock(call.ended), call.service_s]
        outcome, server = ("AGENT", "DORIT") if call.answered else ("HANG", "NO_SERVER")
        cells = ["AA0101", number, 0, 0, call.kind, date, clock(entry), clock(call.at), 10, *queue, outcome]
        out.append("\t".join(map(str, [*cells, *service, server])).encode() + b"\r\n")
    return out


def replayed(calls: Iterable[Call], month: datetime = MONTH) -> ReportBuilder:
    driver = Driver(SITE, 2)
    driver.feed(item for item in READERS[FORMAT](rows(calls, month)) if isinstance(item, Item))
    driver.finish()
    builder = ReportBuilder(SITE, 1800)
    for row in driver.intervals.values():
        builder.add(row)
    return builder


def lengths(calls: Iterable[Call], from_: int, to: int) -> tuple[int, int]:
    """Longest queue and its integral (s) from a second to before another; leaving comes first."""
    calls = list(calls)
    moments = sorted({from_, to, *(t for call in calls for t in (call.at, call.left) if from_ < t < to)})
    levels = [sum(call.at <= moment < call.left for call in calls) for moment in moments[:-1]]
    spans = [after - before for before, after in pairwise(moments)]
    return max(levels), sum(level * span for level, span in zip(levels, spans, strict=True))


def assert_true(calls: list[Call], builder: ReportBuilder, month: datetime = MONTH) -> None:
    """Total, days, half hours and gauges are what the calls say; the days are those on which one queued."""
    report = builder.report({})
    total = mapping(report["total"])
    assert (total["lost"], total["waiting"]) == (0, 0)
    assert_counts(calls, total, "total")
    longest, area = lengths(calls, 0, max(call.left for call in calls) + 1)
    assert (total["queue_length_max"], total["queue_length_area_s"]) == (longest, area)
    days = sorted({call.at // DAY for call in calls})
    days = list(range(days[0], days[-1] + 1))
    dates = {day: f"{month + timedelta(days=day):%Y-%m-%d}" for day in days}
    assert list(mapping(report["by_day"])) == list(dates.values())
    for day, date in dates.items():
        row = mapping(mapping(report["by_day"])[date])
        assert_counts([call for call in calls if call.at // DAY == day], row, date)
        expected = lengths(calls, day * DAY, (day + 1) * DAY)
        assert (row["queue_length_max"], row["queue_length_area_s"]) == expected, date
    told = {(str(row["start"])[:16], row["queue"]): row for row in listed(report["by_interval"])}
    for kind in SITE.queues:
        for half_hour in range(days[0] * 48, (days[-1] + 1) * 48):
            start = f"{month + timedelta(seconds=half_hour * 1800):%Y-%m-%dT%H:%M}"
            own = [call for call in calls if call.kind == kind and call.at // 1800 == half_hour]
            if own or (start, kind) in told:  # on one day of the year the clock leaves two of them out
                assert_counts(own, told[start, kind], (start, kind))
    gauges = {row[:2]: row[2:] for row in builder.gauges()}
    assert len(gauges) == len(days) * 1440
    for day, date in dates.items():
        there = [call for call in calls if call.at // DAY <= day <= call.ended // DAY]
        for minute in range(1440):
            now = day * DAY + minute * MINUTE
            waiting = sum(call.at <= now < call.left for call in there)
            serving = sum(call.left <= now < call.ended for call in there)
            assert gauges[date, minute] == (waiting, serving), (date, minute)


def assert_counts(calls: list[Call], told: Mapping[str, object], where: object) -> None:
    answered = [call for call in calls if call.answered]
    expected = {
        "offered": len(calls),
        "answered": len(answered),
        "answered_in_x": sum(call.wait_s <= 20 for call in answered),
        "abandoned": len(calls) - len(answered),
        "abandoned_short": sum(call.wait_s <= 5 for call in calls if not call.answered),
        "wait_sum_s": sum(call.wait_s for call in calls),
        "longest_wait_max_s": max((call.wait_s for call in calls), default=None),
        "talk_s": sum(call.service_s for call in answered),
        "handled": len(answered),
    }
    assert {name: told[name] for name in expected} == expected, where


def hourly(days: int) -> list[Call]:
    """Short calls around the clock, so that time goes on."""
    return [Call(hour * HOUR + 300, 10, 60, kind="NW") for hour in range(days * 24)]


# --- calls that are longer than the reaper waits elsewhere ---------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_s", "service_s", "answered"),
    [
        (12_000, 100, True), (30, 12_000, True), (12_000, 12_000, True), (12_000, 0, False), (80_000, 30, True),
        (30, 80_000, True), (80_000, 80_000, True), (80_000, 0, False),
    ],
)  # fmt: skip
def test_no_call_of_a_recorded_day_is_given_up_however_long_it_waits_or_is_served(
    wait_s: int, service_s: int, answered: bool
) -> None:
    call = Call(at(1, "10:00:10"), wait_s, service_s, answered)
    calls = [call, *hourly(call.ended // DAY + 1)]
    assert_true(calls, replayed(calls))


def test_a_wait_of_80000_seconds_has_the_queue_lengths_that_one_works_out_by_hand() -> None:
    report = replayed([Call(at(3, "10:00:10"), 80_000, 30)]).report({})
    total, days = mapping(report["total"]), mapping(report["by_day"])
    assert (total["answered"], total["lost"], total["asa_s"], total["aht_s"]) == (1, 0, 80_000.0, 30.0)
    assert (total["queue_length_max"], total["queue_length_area_s"]) == (1, 80_000.0)
    first, second = mapping(days["1999-02-03"]), mapping(days["1999-02-04"])
    assert (first["queue_length_max"], first["queue_length_area_s"]) == (1, 50_390.0)
    assert (second["offered"], second["queue_length_max"], second["queue_length_area_s"]) == (0, 1, 29_610.0)


def test_a_queue_that_the_bank_does_not_name_is_as_patient() -> None:
    calls = [Call(at(1, "10:00:10"), 12_000, 12_000, kind="ZZ"), *hourly(1)]
    assert_true(calls, replayed(calls))


# --- the ends of a month ------------------------------------------------------------------------------------------


def test_a_service_beyond_the_last_midnight_and_a_call_just_after_the_first_add_no_day() -> None:
    calls = [Call(at(1, "0:03:05"), 0, 60), Call(at(2, "10:00:00"), 30, 60), Call(at(2, "23:58:00"), 0, 300)]
    assert_true(calls, replayed(calls))


def test_a_wait_beyond_the_last_midnight_has_its_day_in_every_part() -> None:
    builder = replayed([Call(at(1, "23:59:00"), 150, 300)])
    report = builder.report({})
    assert list(mapping(report["by_day"])) == ["1999-02-01", "1999-02-02"]
    day = mapping(mapping(report["by_day"])["1999-02-02"])
    assert (day["offered"], day["queue_length_max"], day["queue_length_area_s"]) == (0, 1, 90.0)
    assert len(listed(report["by_interval"])) == 2 * 48 * 6
    gauges = {row[:2]: row[2:] for row in builder.gauges()}
    assert len(gauges) == 2 * 1440
    assert [gauges["1999-02-02", minute] for minute in (0, 1, 2, 6, 7)] == [
        (1, 0),
        (1, 0),
        (0, 1),
        (0, 1),
        (0, 0),
    ]


def test_a_day_on_which_the_bank_is_closed_is_there_with_zeros() -> None:
    calls = [Call(at(19, "13:00:00"), 5, 60), Call(at(21, "20:30:00"), 0, 60)]
    assert_true(calls, replayed(calls))


def test_a_wrong_date_does_not_fill_the_days_until_then_with_zeros() -> None:
    builder = replayed([Call(at(1, "10:00:00"), 5, 60), Call(at(10, "10:00:00"), 5, 60)])
    report = builder.report({})
    assert list(mapping(report["by_day"])) == ["1999-02-01", "1999-02-10"]
    assert len(listed(report["by_interval"])) == 2 * 48 * 6
    assert len(list(builder.gauges())) == 2 * 1440


# --- whole months -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "seed"),
    [(datetime(1999, 4, 1), 1), (datetime(1999, 9, 1), 2), (datetime(1999, 12, 28), 3)],  # noqa: DTZ001
)
def test_days_of_other_months_come_out_as_their_clock_columns_say(month: datetime, seed: int) -> None:
    """Among them those on which the clocks change, at night, when nobody calls."""
    dice = random.Random(seed)
    calls = []
    for _ in range(400):
        day, kind = dice.randrange(5), dice.choice(list(SITE.queues))
        second = int(dice.triangular(7 * HOUR, DAY - 1, 11 * HOUR))
        wait_s = dice.choice((0, 0, 1, 5, 20, 21, int(dice.expovariate(1 / 70))))
        answered = not wait_s or dice.random() < 0.8
        # Nobody is served over the hour of the change.
        service_s = min(int(dice.expovariate(1 / 180)), DAY + HOUR - second - wait_s)
        calls.append(Call(day * DAY + second, wait_s, max(0, service_s), answered, kind))
    last = max(call.left for call in calls) // DAY
    calls.append(Call(last * DAY + 12 * HOUR, 0, 60))  # no wait goes beyond the days that somebody calls on
    assert_true(calls, replayed(calls, month), month)


# --- hours that the clock leaves out, or shows twice --------------------------------------------------------------


def told_of(clock: str, date: str, wait_s: int) -> tuple[list[str], dict[int, int]]:
    """The starts of half hours with a call, and who waits by minute, of a call that queues at a clock time."""
    day = datetime.strptime(date, "%Y-%m-%d")  # noqa: DTZ007  # the log's clock has no zone
    builder = replayed([Call(at(1, clock), wait_s, 60)], day)
    starts = [str(row["start"]) for row in listed(builder.report({})["by_interval"]) if row["offered"]]
    gauges = list(builder.gauges())
    assert len(gauges) == len({row[:2] for row in gauges}) == 1440
    return starts, {minute: waiting for _, minute, waiting, _ in gauges if waiting}


def test_a_clock_time_in_the_hour_that_is_left_out_is_as_long_after_the_change() -> None:
    assert told_of("2:29:30", "1999-04-02", 60) == (["1999-04-02T03:00:00+03:00"], {210: 1})
    assert told_of("3:00:00", "1999-04-02", 60) == (["1999-04-02T03:00:00+03:00"], {180: 1})


def test_a_wait_over_the_hour_that_is_left_out_lasts_as_long_as_it_says() -> None:
    assert told_of("1:58:30", "1999-04-02", 180) == (["1999-04-02T01:30:00+02:00"], {119: 1, 180: 1, 181: 1})


def test_a_clock_time_in_the_hour_that_comes_twice_is_in_the_first() -> None:
    assert told_of("1:29:30", "1999-09-03", 60) == (["1999-09-03T01:00:00+03:00"], {90: 1})
    assert told_of("2:00:00", "1999-09-03", 60) == (["1999-09-03T02:00:00+02:00"], {120: 1})


def test_a_wait_into_the_second_of_the_doubled_hours_is_seen_at_its_minutes_too() -> None:
    assert told_of("1:58:30", "1999-09-03", 180) == (["1999-09-03T01:30:00+03:00"], {119: 1, 60: 1, 61: 1})
