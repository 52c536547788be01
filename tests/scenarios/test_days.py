"""Stories about time: business days, clock changes, late news, and what survives midnight."""

import pytest

from streams.site import Limits, QueuePolicy, Site
from tests.scenarios.contact_centre import ContactCentre, clock
from tests.streams.bench import event

EARLY = Site(
    name="early", zone="Europe/Berlin", day_starts_at="05:00",
    queues={"Sales": QueuePolicy(), "Night": QueuePolicy(day_starts_at="20:00")},
)  # fmt: skip


def test_the_business_day_begins_at_its_hour_and_not_at_midnight(order: str) -> None:
    centre = ContactCentre(order, EARLY)
    centre.contact("2026-03-02 04:59:59.999", "Sales").answered("2026-03-02 05:00:10")
    centre.contact("2026-03-02 05:00:00", "Sales").answered("2026-03-02 05:00:30")
    centre.contact("2026-03-02 19:59:59", "Night").abandoned("2026-03-02 20:00:30")
    centre.look("2026-03-02 20:01:00")
    days = centre.report()["by_day"]
    assert {day: row["offered"] for day, row in days.items()} == {"2026-03-01": 2, "2026-03-02": 1}
    assert (centre.today("Sales").offered, centre.queue("Sales").windows["day"].answered) == (1, 2)
    assert (centre.today("Night").offered, centre.queue("Night").windows["day"].abandoned) == (0, 1)


@pytest.mark.parametrize(
    ("day", "next_day", "hours", "offset"),
    [("2026-03-28", "2026-03-29", 23, "+01:00"), ("2026-10-24", "2026-10-25", 25, "+02:00"),
     ("2026-06-01", "2026-06-02", 24, "+02:00")],
)  # fmt: skip
def test_a_day_of_23_or_25_hours_adds_up(day: str, next_day: str, hours: int, offset: str) -> None:
    """The day that starts at five in the morning before the clocks change is the one that is shorter or longer."""
    centre = ContactCentre("in order", EARLY)
    start_ms, end_ms = centre.ms(f"{day} 05:00:00"), centre.ms(f"{next_day} 05:00:00")
    assert end_ms - start_ms == hours * 3_600_000
    for number in range(hours):
        at_ms = start_ms + number * 3_600_000 + 60_000
        for kind, ms in (("queued", at_ms), ("answered", at_ms + 10_000), ("ended", at_ms + 40_000)):
            data = {"contact_id": f"c{number}", **({"queue": "Sales"} if kind == "queued" else {})}
            centre.send("calls", f"c{number}", event(f"contact.{kind}", ms, **data))
    centre.look(f"{next_day} 05:30:00")
    report = centre.report(3600)
    assert report["by_day"][day]["offered"] == hours
    starts = [key for key in report["by_interval"] if key.endswith(" Sales")]
    assert starts[0] == f"{day}T05:00:00{offset} Sales"
    assert len(starts) == hours
    assert [report["by_interval"][start]["offered"] for start in starts] == [1] * hours


def test_who_waits_when_the_day_ends_still_waits_in_the_new_one() -> None:
    centre = ContactCentre("in order", day="2026-03-02")
    centre.agent("ann", "23:58:00", "available")
    call = centre.contact("23:59:00", "Sales")
    centre.look("2026-03-03 00:00:30")
    snapshot = centre.queue("Sales")
    assert (snapshot.waiting, snapshot.arrival["day"].offered, snapshot.agents) == (1, 0, {"available": 1})
    assert snapshot.arrival["day"].queue_length_max == 1
    call.answered("2026-03-03 00:01:00").ended("2026-03-03 00:02:00")
    centre.look("2026-03-03 00:05:00")
    snapshot = centre.queue("Sales")
    assert (snapshot.waiting, snapshot.arrival["day"].answered, snapshot.windows["day"].answered) == (0, 0, 1)
    days = centre.report()["by_day"]
    assert (days["2026-03-02"]["answered"], days["2026-03-02"]["asa_s"]) == (1, 120.0)
    assert (days["2026-03-02"]["queue_length_area_s"], days["2026-03-03"]["queue_length_area_s"]) == (
        60.0,
        60.0,
    )


def test_a_late_answer_corrects_the_interval_it_belongs_to() -> None:
    centre = ContactCentre()
    call = centre.contact("9:00:00", "Sales")
    centre.look("10:55:00")
    call.answered("9:00:12").ended("9:03:12")
    centre.look("10:56:00")
    row = centre.report()["by_interval"]["2026-03-02T09:00:00+01:00 Sales"]
    assert (row["answered"], row["answered_in_x"], row["asa_s"], row["att_s"], row["waiting"]) == (
        1,
        1,
        12.0,
        180.0,
        0,
    )
    assert centre.queue("Sales").windows["1h"].answered == 0
    assert centre.queue("Sales").windows["day"].answered == 1
    assert centre.source("late_dropped") == 0


def test_news_older_than_is_kept_is_counted_as_late_and_as_nothing_else() -> None:
    site = Site(name="short", zone="UTC", queues={"Sales": QueuePolicy()}, limits=Limits(keep_ms=3_600_000))
    centre = ContactCentre("in order", site, partitions=1)
    centre.contact("9:00:00", "Sales").answered("9:00:10").ended("9:02:00")
    centre.look("11:00:00")
    before = centre.report()
    centre.contact("9:59:59.999", "Sales").answered("9:59:59.999")
    centre.contact("10:00:00", "Sales").answered("10:00:00")
    centre.look("11:00:01")
    assert centre.source("late_dropped") == 2
    assert centre.report()["by_interval"].pop("2026-03-02T10:00:00+00:00 Sales")["answered"] == 1
    earlier = {k: v for k, v in centre.report()["by_interval"].items() if k < "2026-03-02T10:00"}
    assert earlier == {k: v for k, v in before["by_interval"].items() if k < "2026-03-02T10:00"}


def test_events_sent_again_long_after_a_contact_was_forgotten_count_nothing_twice() -> None:
    """A contact that came back late in its life is remembered from its last event on, not from its first rest."""
    site = Site(name="short", zone="UTC", queues={"Sales": QueuePolicy()}, limits=Limits(keep_ms=7_200_000))
    centre = ContactCentre("in order", site, partitions=1)
    call = centre.contact("9:00:00", "Sales").answered("9:00:10").ended("9:02:00")
    centre.look("9:40:00")
    call.queued("10:30:00", "Sales").answered("10:30:05").ended("10:31:00")
    centre.look("11:20:00")
    assert centre.today("Sales").offered == 2
    centre.look("11:50:00")
    call.queued("10:30:00", "Sales").answered("10:30:05").ended("10:31:00")
    centre.look("11:51:00")
    assert centre.today("Sales").offered == 2
    assert centre.source("duplicates") == 3


def test_an_interval_in_which_nobody_called_is_there_with_zeros_and_without_ratios() -> None:
    centre = ContactCentre()
    centre.contact("9:00:00", "Sales").answered("9:00:05")
    centre.contact("9:40:00", "Sales").answered("9:40:05")
    centre.look("10:00:00")
    row = centre.report()["by_interval"]["2026-03-02T09:15:00+01:00 Sales"]
    assert (row["offered"], row["sl_offered"], row["asa_s"], row["longest_wait_max_s"]) == (
        0,
        None,
        None,
        None,
    )
    assert "2026-03-02T09:15:00+01:00 Support" in centre.report()["by_interval"]


def test_a_rolling_minute_forgets_what_happened_more_than_a_minute_ago() -> None:
    centre = ContactCentre()
    centre.contact("9:00:00", "Sales").answered("9:00:05")
    centre.look("9:00:59")
    assert centre.queue("Sales").windows["1m"].answered == 1
    centre.look("9:01:10")
    snapshot = centre.queue("Sales")
    assert (snapshot.windows["1m"].answered, snapshot.windows["5m"].answered) == (0, 1)
    assert snapshot.trend[-1] == 0


def test_the_trend_holds_the_queue_length_at_each_full_minute() -> None:
    centre = ContactCentre()
    for number in range(3):
        centre.contact(clock(30 + 60 * number), "Sales").abandoned(clock(60 * 4 + 30))
    centre.look("9:06:30")
    assert centre.queue("Sales").trend[-7:] == [0, 1, 2, 3, 3, 0, 0]
    assert centre.group().trend == centre.queue("Sales").trend
