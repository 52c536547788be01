"""Do page views, sessions and engaged time of recorded web data equal those of Snowplow's own model?

Where the definitions differ, and what is done about it: a session of Snowplow ends where its tracker says, not after 30
minutes (each is a visitor of its own in `streams.readers.snowplow`). Its `page_views` of a session count pages that only
have pings (three sessions); ours count views. Its start and end run over events that we have no counterpart of.
"""

import csv
from pathlib import Path

import pytest
from msgspec.structs import replace

from schemas.dead_letters import DeadLetter
from streams.driver import Item
from streams.fold import BUCKETS
from streams.journeys import facts as f
from streams.journeys.derived import derive
from streams.journeys.session import Session
from streams.readers import snowplow
from streams.site import Limits
from tests.journeys.visits import DAY, Watcher

DATA = Path(__file__).resolve().parents[2] / "../shared/data/vendors/snowplow"
SOURCE = DATA / "web_events_source.csv"
needs_data = pytest.mark.skipif(not SOURCE.exists(), reason="reference data not here: ../shared/data")


def expected(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read() -> tuple[list[Item], int, int]:
    with SOURCE.open("rb") as file:
        made = list(snowplow.read(file))
    items = [each for each in made if isinstance(each, Item)]
    letters = sum(isinstance(each, DeadLetter) for each in made)
    return items, letters, sum(each is None for each in made)


def sessions() -> dict[str, Session]:
    items, _, _ = read()
    site = replace(snowplow.SITE, limits=Limits(keep_ms=365 * DAY))
    watcher = Watcher(site, model=None).feed(item.value for item in items).settle()
    assert not watcher.letters
    fold, out = watcher.fold, {}
    for bucket in range(BUCKETS):
        for visitor_id, visitor in fold._visitors[bucket].items():
            facts = f.unpack(visitor.facts, visitor.count)
            (session,) = derive(fold._world, facts, (), 0)
            if not session.bot:
                out[visitor_id] = session
    return out


@needs_data
def test_every_row_is_an_event_or_left_out_for_a_reason() -> None:
    items, letters, left_out = read()
    assert (letters, len(items) + left_out) == (0, 160)


@needs_data
def test_there_are_43_page_views_each_with_its_time() -> None:
    items, _, _ = read()
    views = [item for item in items if b'"web.page_view"' in item.value and b'"bot":false' in item.value]
    assert len(views) == len(expected("web_page_views_expected.csv")) == 43


@needs_data
def test_there_are_18_sessions_with_the_views_and_the_engaged_time_of_the_reference() -> None:
    made = sessions()
    told = {row["domain_sessionid"]: row for row in expected("web_sessions_expected.csv")}
    assert len(made) == len(told) == 18
    for session_id, row in told.items():
        session = made[session_id]
        engaged_s = sum(visit.engaged_s for visit in session.visits.values())
        only_pings = session.views == 0
        assert (session.views or 1, engaged_s) == (int(row["page_views"]), int(row["engaged_time_in_s"]))
        assert only_pings == (row["total_events"] == "1" and engaged_s > 0)
    assert sum(visit.engaged_s for session in made.values() for visit in session.visits.values()) == 60


@needs_data
def test_engaged_time_of_each_page_view_is_that_of_the_reference() -> None:
    told = {
        row["page_view_id"]: int(row["engaged_time_in_s"]) for row in expected("web_page_views_expected.csv")
    }
    assert sum(told.values()) == 45
    made = sessions()
    by_session: dict[str, int] = {}
    for row in expected("web_page_views_expected.csv"):
        known = by_session.get(row["domain_sessionid"], 0)
        by_session[row["domain_sessionid"]] = known + told[row["page_view_id"]]
    for session_id, engaged_s in by_session.items():
        assert sum(visit.engaged_s for visit in made[session_id].visits.values()) == engaged_s


def test_a_row_without_its_times_is_a_dead_letter_and_the_rest_is_read() -> None:
    header = ",".join(snowplow._COLUMNS)
    fine = 'page_view,e1,2021-03-01 20:00:00,2021-03-01 20:00:00,,2021-03-01 20:00:00,s1,/a,Mozilla,"[{""id"":""p1""}]"'
    made = list(
        snowplow.read(f"{line}\n".encode() for line in (header, "page_view,e0,,,,,s1,/,,", fine, "page_view"))
    )
    assert [type(each) for each in made] == [DeadLetter, DeadLetter, Item]
