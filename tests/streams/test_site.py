"""Do policies and calendars say what was promised?"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.site import QueuePolicy, Site, calendar, histogram_bucket

HOUR_MS = 3_600_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@given(
    st.integers(ms("2020-01-01T00:00:00+00:00"), ms("2032-01-01T00:00:00+00:00")),
    st.sampled_from(
        ("Europe/Berlin", "Asia/Tokyo", "Asia/Jerusalem", "America/St_Johns", "Australia/Lord_Howe", "UTC")
    ),
    st.sampled_from(("00:00", "05:00", "20:30")),
)
def test_every_instant_lies_in_exactly_one_business_day(at_ms: int, zone: str, starts: str) -> None:
    made = calendar(zone, starts)
    start_ms, end_ms = made.day_bounds_ms(at_ms)
    assert start_ms <= at_ms < end_ms
    assert 23 * HOUR_MS <= end_ms - start_ms <= 25 * HOUR_MS
    assert made.day_bounds_ms(start_ms - 1)[1] == start_ms
    assert made.day_bounds_ms(end_ms)[0] == end_ms
    local = datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    assert f"{local:%H:%M}" == starts
    assert made.day_of(at_ms) == f"{local:%Y-%m-%d}"


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_days_on_which_the_clocks_change_have_23_or_25_hours(date: str, hours: int) -> None:
    start_ms, end_ms = calendar("Europe/Berlin", "00:00").day_bounds_ms(ms(f"{date}T12:00:00+02:00"))
    assert (end_ms - start_ms) / HOUR_MS == hours


def test_a_queue_keeps_its_own_zone_and_hour_or_those_of_the_site() -> None:
    site = Site(
        zone="UTC",
        day_starts_at="03:00",
        queues={"Own": QueuePolicy(zone="Asia/Tokyo", day_starts_at="05:00")},
    )
    assert site.calendar("Own").local_iso(0) == "1970-01-01T09:00:00+09:00"
    assert site.calendar("Own").day_of(ms("2026-03-02T19:59:00+00:00")) == "2026-03-02"
    assert site.calendar("other").day_of(ms("2026-03-02T02:59:00+00:00")) == "2026-03-01"


def test_a_policy_is_that_of_the_queue_where_the_channel_fits_else_the_channels() -> None:
    site = Site(queues={"Sales": QueuePolicy(answer_within_s=7.0)})
    assert site.policy("Sales", "voice").answer_within_s == 7.0
    assert site.policy("Sales", "chat").answer_within_s == 60.0
    assert site.policy("new", "voice").answer_within_s == 20.0
    assert site.policy("new", "carrier pigeon").channel == "carrier pigeon"


def test_the_histograms_edges_hold_every_threshold_in_use() -> None:
    site = Site(
        queues={
            "a": QueuePolicy(answer_within_s=7.5, short_abandon_s=3.0),
            "b": QueuePolicy(short_abandon_s=0.0),
        }
    )
    edges = site.edges_ms()
    assert {7_500, 3_000, 20_000, 5_000, 60_000} <= set(edges)
    assert list(edges) == sorted(set(edges))
    assert min(edges) > 0


def test_a_wait_lies_in_the_bucket_whose_edge_it_does_not_exceed() -> None:
    assert [histogram_bucket((5, 10), wait) for wait in (0, 5, 6, 10, 11)] == [0, 0, 1, 1, 2]
