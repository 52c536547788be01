"""The report: which version of an interval counts, and which intervals it accepts."""

import pytest

from schemas.counts import OFFERED
from schemas.errors import InputError
from schemas.partials import queue_row
from schemas.snapshots import IntervalRow
from streams.report import ReportBuilder
from streams.site import Site


def row(offered: int, epoch: int, position: int) -> IntervalRow:
    return IntervalRow(
        row=queue_row("Sales", "voice"), start_ms=0, arrival={OFFERED: offered}, event={}, time={},
        queue_length_max=0, queue_length_area_ms=0, minutes=[], epoch=epoch, position=position,
    )  # fmt: skip


def offered_after(*rows: IntervalRow) -> object:
    builder = ReportBuilder(Site(), 900)
    for each in rows:
        builder.add(each)
    total = builder.report({})["total"]
    assert isinstance(total, dict)
    return total["offered"]


def test_a_newer_version_of_an_interval_replaces_an_older_one() -> None:
    assert offered_after(row(1, 5, 10), row(2, 5, 11)) == 2


def test_an_owner_of_the_past_that_wakes_up_changes_nothing() -> None:
    assert offered_after(row(2, 6, 10), row(1, 5, 99)) == 2


@pytest.mark.parametrize("interval_s", [0, -900, 600, 1000, 7 * 900])
def test_an_interval_that_does_not_fit_the_panes_or_the_day_is_refused(interval_s: int) -> None:
    with pytest.raises(InputError):
        ReportBuilder(Site(), interval_s)
