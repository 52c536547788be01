"""The report's days: which there are, that days and intervals add up, and what clocks that change do to the gauges."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from schemas.counts import AVAILABLE_MS, BUSY_MS, OFFERED
from schemas.partials import SITE_ROW, agents_row, queue_row
from schemas.snapshots import IntervalRow
from streams.report import ReportBuilder
from streams.site import QueuePolicy, Site
from tests.scenarios.contact_centre import ContactCentre
from tests.streams.true_days import listed, mapping, number

QUARTER_MS = 900_000
HOUR_MS = 4 * QUARTER_MS
DAY_MS = 24 * HOUR_MS
SALES = queue_row("Sales", "voice")
SITE = Site(queues={"Sales": QueuePolicy(), "Support": QueuePolicy()})


def interval(row: str, start_ms: int, **told: object) -> IntervalRow:
    known: dict[str, object] = {
        "arrival": {}, "event": {}, "time": {}, "queue_length_max": 0, "queue_length_area_ms": 0, "minutes": [],
    }  # fmt: skip
    return IntervalRow(row=row, start_ms=start_ms, **(known | told))  # type: ignore[arg-type]


def built(*rows: IntervalRow, site: Site = SITE, interval_s: int = 1800) -> ReportBuilder:
    builder = ReportBuilder(site, interval_s)
    for row in rows:
        builder.add(row)
    return builder


def days_of(builder: ReportBuilder) -> list[str]:
    """The days of the report, which are the same in all its parts and in the gauges."""
    report = builder.report({})
    days = list(mapping(report["by_day"]))
    assert sorted({str(row["start"])[:10] for row in listed(report["by_interval"])}) == days
    assert list(dict.fromkeys(row[0] for row in builder.gauges())) == days
    return days


def offered(day: int, **told: object) -> IntervalRow:
    """One contact is queued at noon of a day of January 1970."""
    return interval(SALES, (day - 1) * DAY_MS + 12 * HOUR_MS, arrival={OFFERED: 1}, **told)


def test_an_interval_that_was_only_measured_makes_no_day() -> None:
    quiet = [interval(row, at_ms) for row in (SALES, SITE_ROW) for at_ms in (0, 2 * DAY_MS)]
    served = interval(SALES, 2 * DAY_MS, minutes=[(0, 1)] * 15)
    assert days_of(built(offered(2), *quiet, served)) == ["1970-01-02"]


def test_who_waits_at_the_instant_at_which_the_recording_ends_makes_no_day_and_is_not_lost() -> None:
    waits = {"queue_length_max": 2, "minutes": [(2, 0)]}
    for starts_ms, days in ((DAY_MS, ["1970-01-01"]), (13 * HOUR_MS, ["1970-01-01"])):
        builder = built(
            offered(1), interval(SALES, starts_ms, **waits), interval(SITE_ROW, starts_ms, **waits)
        )
        assert days_of(builder) == days
        assert mapping(builder.report({})["total"])["queue_length_max"] == 2
    rows = listed(builder.report({})["by_interval"])
    assert [row["start"] for row in rows if row["queue_length_max"]] == ["1970-01-01T13:00:00+00:00"]


def test_a_day_on_which_somebody_still_waits_keeps_its_longest_queue_in_every_part() -> None:
    long = {"queue_length_max": 3, "queue_length_area_ms": 60_000, "minutes": [(3, 0)] + [(0, 0)] * 14}
    builder = built(offered(1), interval(SALES, DAY_MS, **long), interval(SITE_ROW, DAY_MS, **long))
    assert days_of(builder) == ["1970-01-01", "1970-01-02"]
    report = builder.report({})
    day = mapping(mapping(report["by_day"])["1970-01-02"])
    assert (day["offered"], day["queue_length_max"], day["queue_length_area_s"]) == (0, 3, 60.0)
    first = next(row for row in listed(report["by_interval"]) if str(row["start"]).startswith("1970-01-02"))
    assert (first["offered"], first["queue_length_max"], first["queue_length_area_s"]) == (0, 3, 60.0)
    assert next(row for row in builder.gauges() if row[0] == "1970-01-02") == ("1970-01-02", 0, 3, 0)


def test_a_day_on_which_nobody_came_is_there_with_zeros_and_up_to_a_week_of_them() -> None:
    assert days_of(built(offered(1), offered(3))) == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert len(days_of(built(offered(1), offered(9)))) == 9
    empty = mapping(mapping(built(offered(1), offered(3)).report({})["by_day"])["1970-01-02"])
    assert (empty["offered"], empty["sl_offered"], empty["queue_length_max"]) == (0, None, 0)


def test_a_wrong_date_adds_its_day_and_not_every_day_until_then() -> None:
    builder = built(offered(1), offered(10), offered(10 + 365))
    assert days_of(builder) == ["1970-01-01", "1970-01-10", "1971-01-10"]
    assert len(listed(builder.report({})["by_interval"])) == 3 * 48 * 2
    assert mapping(builder.report({})["total"])["offered"] == 3


def test_agents_time_of_a_queue_is_in_its_intervals_and_adds_up() -> None:
    ann = {"time": {BUSY_MS: 300_000, AVAILABLE_MS: 600_000}}
    rows = [interval(agents_row("Sales"), at_ms, **ann) for at_ms in (0, QUARTER_MS, HOUR_MS, 2 * DAY_MS)]
    report = built(offered(1), *rows).report({})
    told = {str(row["start"]): row for row in listed(report["by_interval"]) if row["queue"] == "Sales"}
    busy = {start: row["busy_s"] for start, row in told.items() if row["busy_s"]}
    assert busy == {
        "1970-01-01T00:00:00+00:00": 600.0,
        "1970-01-01T01:00:00+00:00": 300.0,
        "1970-01-03T00:00:00+00:00": 300.0,
    }
    assert told["1970-01-01T00:00:00+00:00"]["occupancy"] == pytest.approx(1 / 3)
    assert told["1970-01-01T00:30:00+00:00"]["occupancy"] is None
    whole = mapping(mapping(report["by_queue"])["Sales"])
    for name in ("busy_s", "available_s"):
        assert sum(number(row[name]) for row in told.values()) == whole[name], name


def test_agents_who_serve_calls_are_busy_in_the_intervals_of_their_queue() -> None:
    centre = ContactCentre()
    centre.agent("ann", "9:00:00", "available", queues=("Sales",))
    centre.contact("9:10:00", "Sales").answered("9:10:10").ended("9:11:10")
    centre.agent("ann", "9:10:10", "busy", queues=("Sales",), contacts=1)
    centre.agent("ann", "9:20:10", "available", queues=("Sales",))
    centre.look("9:30:00")
    report = centre.report()
    rows = {key: row for key, row in report["by_interval"].items() if key.endswith(" Sales")}
    assert rows["2026-03-02T09:00:00+01:00 Sales"]["busy_s"] == 290.0
    assert rows["2026-03-02T09:15:00+01:00 Sales"]["busy_s"] == 310.0
    assert rows["2026-03-02T09:15:00+01:00 Sales"]["occupancy"] == pytest.approx(310 / 900)
    for name in ("busy_s", "available_s"):
        assert sum(number(row[name]) for row in rows.values()) == report["by_queue"]["Sales"][name], name


# --- clocks that change ---------------------------------------------------------------------------------------

JERUSALEM = Site(zone="Asia/Jerusalem", queues={"Sales": QueuePolicy()})
SPRING_MS = int(datetime.fromisoformat("1999-04-02T00:00:00+02:00").timestamp() * 1000)
"""Midnight of the day on which the clock leaves out the hour from 2:00 to 3:00."""
AUTUMN_MS = int(datetime.fromisoformat("1999-09-03T00:00:00+03:00").timestamp() * 1000)
"""Midnight of the day on which the clock shows the hour from 1:00 to 2:00 twice."""


def minutes_of(start_ms: int, hours: int, told: Mapping[int, int], site: Site = JERUSALEM) -> dict[int, int]:
    """Who waits by minute of the clock, of a day on which as many wait at the elapsed minutes as is told."""
    rows = [interval(SALES, start_ms, arrival={OFFERED: 1})]
    for number_ in range(hours * 4):
        minutes = [(told.get(number_ * 15 + minute, 0), 0) for minute in range(15)]
        rows.append(interval(SITE_ROW, start_ms + number_ * QUARTER_MS, minutes=minutes))
    gauges = list(built(*rows, site=site).gauges())
    assert len(gauges) == len({row[:2] for row in gauges}) == 1440
    assert {minute for _, minute, _, _ in gauges} == set(range(1440))
    return {minute: waiting for _, minute, waiting, _ in gauges if waiting}


def test_minutes_of_the_gauges_are_those_of_the_clock_on_a_day_that_leaves_an_hour_out() -> None:
    assert minutes_of(SPRING_MS, 23, {0: 1, 119: 2, 120: 3, 23 * 60 - 1: 4}) == {
        0: 1,
        119: 2,
        180: 3,
        1439: 4,
    }


def test_a_minute_that_the_clock_shows_twice_is_one_row_with_the_greater_number() -> None:
    told = {0: 1, 60: 2, 90: 3, 120: 9, 150: 2, 179: 5, 180: 6, 25 * 60 - 1: 7}
    assert minutes_of(AUTUMN_MS, 25, told) == {0: 1, 60: 9, 90: 3, 119: 5, 120: 6, 1439: 7}


def test_a_business_day_that_begins_at_five_has_its_gauges_from_five_on() -> None:
    site = Site(day_starts_at="05:00", queues={"Sales": QueuePolicy()})
    assert minutes_of(5 * HOUR_MS, 24, {0: 1, 1139: 2, 1140: 3}, site) == {300: 1, 1439: 2, 0: 3}
    builder = built(interval(SALES, 5 * HOUR_MS, arrival={OFFERED: 1}), site=site)
    assert [row[1] for row in builder.gauges()][:2] == [300, 301]
