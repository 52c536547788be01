"""What does stage 2 of journeys make of sources that come and go, and of its own restarts in between?"""

import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.counts import STATE_VERSION
from schemas.errors import Reason
from schemas.journeys import StuckModel, WebReport
from schemas.topics import PAGE_PARTIALS, WEB
from schemas.web_rows import (
    SITE_ROW,
    STUCK_ROW,
    Counts,
    DayCounts,
    PagePartial,
    decode_page_partial,
    encode_page_partial,
    page_row,
)
from streams.driver import Stored
from streams.fold import BUCKETS
from streams.journeys import page_fold
from streams.journeys.page_fold import MODEL_EVERY_MS, REFRESH_EVERY_MS, PageFold
from streams.journeys.page_model import Memo, report_of
from streams.journeys.policy import JourneyPolicy
from streams.journeys.telling import CLOCK_EVERY_MS, PageTeller
from streams.site import Site
from tests.streams.bench import BASE, DAY, HOUR, MINUTE, SECOND

SITE = Site(zone="Asia/Tokyo", journeys=JourneyPolicy(keep_days=10))
DAY_0 = 20_514
"""2026-03-02, the business day of `BASE`."""
FAQ = page_row("/faq")


def seen(
    days: Mapping[str, Mapping[int, Mapping[str, int]]],
    *,
    now_ms: int,
    site: Site,
    model: StuckModel | None,
    stuck_by_page: Mapping[str, int],
    memo: Memo | None,
) -> WebReport:
    """A report that shows what it was made of."""
    views = sum(counts.get("views", 0) for counts in days.get(SITE_ROW, {}).values())
    return WebReport(as_of_ms=now_ms, views=views, flags_cleared=dict(stuck_by_page), model=model)


def cells(
    days: Mapping[str, Mapping[int, Mapping[str, int]]], today: int, policy: JourneyPolicy
) -> dict[str, dict[int, tuple[float, float]]]:
    return {row: {today: (len(of_row), policy.keep_days)} for row, of_row in days.items()}


def fitted(
    cells: Mapping[str, Mapping[int, tuple[float, float]]],
    *,
    version: int,
    valid_from_ms: int,
    policy: JourneyPolicy,
) -> StuckModel:
    return StuckModel(version=version, valid_from_ms=valid_from_ms, base=0.0, moments=len(cells))


class Stage:
    """A fold of `page-partials` and its log."""

    def __init__(self, *, sources: int = 1, event_clock: bool = False) -> None:
        self._sources, self._event_clock = sources, event_clock
        self.fold = self.new()
        self.log: list[bytes] = []
        self.position = self.stored_position = 0
        self.entries: dict[str, bytes] = {}

    def new(self) -> PageFold:
        return PageFold(
            SITE, PAGE_PARTIALS, 0, sources=self._sources, event_clock=self._event_clock, report_of=seen,
            cells_of=cells, fit=fitted,
        )  # fmt: skip

    def read(self, values: list[bytes] | None = None) -> None:
        self.log += values or []
        batch = [Stored(self.position + n, v) for n, v in enumerate(self.log[self.position :])]
        assert not self.fold.apply(batch, 0)
        self.position = len(self.log)

    def tell(
        self,
        *days: DayCounts,
        partition: int = 0,
        epoch: int = 1,
        now_ms: int = BASE,
        full: bool = False,
        event_clock: bool = False,
    ) -> None:
        partial = PagePartial(STATE_VERSION, epoch, WEB, partition, 0, now_ms, list(days), full, event_clock)
        self.read([encode_page_partial(partial)])

    def checkpoint(self) -> None:
        for bucket in self.fold.take_changes().values():
            for key, value in bucket.items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value
        self.stored_position = self.position

    def crash(self) -> None:
        self.fold = self.new()
        self.fold.load(list(self.entries.items()))
        self.position = self.stored_position

    def counts(self, row: str = FAQ, day: int = DAY_0) -> Mapping[str, int]:
        return self.fold.days.get(row, {}).get(day, {})


def dumped(fold: PageFold) -> dict[str, bytes]:
    return {key: value for bucket in range(BUCKETS) for key, value in fold.dump(bucket).items()}


def said(counts: Counts, row: str = FAQ, day: int = DAY_0) -> DayCounts:
    return DayCounts(row, day, counts)


# --- sums -------------------------------------------------------------------------------------------------------


def test_sources_add_up_and_a_source_replaces_what_it_said_before() -> None:
    stage = Stage()
    stage.tell(said({"n": 3, "k": 1}))
    stage.tell(said({"n": 10}), partition=1)
    assert stage.counts() == {"n": 13, "k": 1}
    stage.tell(said({"n": 4, "e7": 2}))
    assert stage.counts() == {"n": 14, "e7": 2}
    stage.tell(said({}), partition=1)
    stage.tell(said({}))
    assert stage.fold.days == {}
    assert set(dumped(stage.fold)) == {"m"}


def test_a_new_owner_takes_back_what_it_does_not_hold_once_it_has_told_everything() -> None:
    stage = Stage()
    stage.tell(said({"n": 3}), said({"views": 9}, SITE_ROW), full=True)
    stage.tell(said({"n": 1}), partition=1, full=True)
    stage.tell(said({"n": 2}), epoch=2)
    assert (stage.counts(), stage.counts(SITE_ROW)) == ({"n": 3}, {"views": 9})
    stage.tell(epoch=2, full=True)
    assert (stage.counts(), stage.counts(SITE_ROW)) == ({"n": 3}, {})


def test_what_a_paused_owner_tells_after_it_was_replaced_is_ignored() -> None:
    stage = Stage()
    stage.tell(said({"n": 3}), epoch=2)
    stage.tell(said({"n": 99}), epoch=1, full=True)
    assert stage.counts() == {"n": 3}


def test_a_restart_in_the_middle_of_a_sweep_goes_on_with_it() -> None:
    stage = Stage()
    stage.tell(said({"n": 3}), said({"views": 9}, SITE_ROW), full=True)
    stage.tell(said({"n": 2}), epoch=2)
    stage.checkpoint()
    stage.crash()
    stage.tell(epoch=2, full=True)
    assert (stage.counts(), stage.counts(SITE_ROW)) == ({"n": 2}, {})


def test_a_page_whose_name_holds_the_separator_of_stored_keys_survives_a_restart() -> None:
    stage = Stage()
    stage.tell(said({"n": 3}, page_row("\x1eother")))
    stage.checkpoint()
    stage.crash()
    assert stage.counts(page_row("\x1eother")) == {"n": 3}


def test_days_are_kept_as_long_as_the_policy_says_and_not_told_into_being_again() -> None:
    stage = Stage()
    stage.tell(said({"n": 1}), said({"n": 2}, day=DAY_0 + 1))
    stage.fold.settle(BASE + 10 * DAY)
    assert set(stage.fold.days[FAQ]) == {DAY_0, DAY_0 + 1}
    stage.fold.settle(BASE + 11 * DAY)
    assert set(stage.fold.days[FAQ]) == {DAY_0 + 1}
    stage.tell(said({"n": 5}))
    assert set(stage.fold.days[FAQ]) == {DAY_0 + 1}
    stage.fold.settle(BASE + 20 * DAY)
    stage.checkpoint()
    assert set(stage.entries) == {"m"} == set(dumped(stage.fold))


def test_beyond_the_limit_new_counters_are_not_kept_and_old_ones_still_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_fold, "MOST_PANES", 2)
    stage = Stage()
    stage.tell(*(said({"n": 1}, page_row(f"/{n}")) for n in range(4)))
    assert (len(stage.fold.days), stage.fold.dropped) == (2, 2)
    stage.tell(said({"n": 7}, page_row("/0")), said({}, page_row("/1")), said({"n": 5}, page_row("/3")))
    assert {row: days[DAY_0]["n"] for row, days in stage.fold.days.items()} == {
        page_row("/0"): 7,
        page_row("/3"): 5,
    }


# --- time -------------------------------------------------------------------------------------------------------


def test_in_a_replay_time_goes_on_as_the_slowest_source_once_all_are_there() -> None:
    stage = Stage(sources=2, event_clock=True)
    stage.tell(now_ms=BASE + HOUR, event_clock=True)
    assert stage.fold.clock_ms == 0
    stage.tell(now_ms=0, event_clock=True, partition=1)
    assert stage.fold.clock_ms == 0
    stage.tell(now_ms=BASE, event_clock=True, partition=1)
    stage.fold.settle(BASE + DAY)
    assert stage.fold.clock_ms == BASE
    stage.tell(now_ms=BASE + DAY, event_clock=True, partition=1)
    assert stage.fold.clock_ms == BASE + HOUR


def test_what_a_worker_with_another_clock_tells_touches_nothing() -> None:
    live, replay = Stage(), Stage(event_clock=True)
    for stage, mine in ((live, False), (replay, True)):
        stage.tell(said({"n": 3}), said({"/faq": 2}, STUCK_ROW, 0), event_clock=mine)
        stage.fold.settle(BASE)
        before = stage.fold.clock_ms, dumped(stage.fold)
        for partition in range(3):
            stage.tell(said({"n": 8}), now_ms=BASE + DAY, partition=partition, epoch=9, event_clock=not mine)
        assert (stage.fold.clock_ms, dumped(stage.fold)) == before
        stage.tell(said({"n": 4}), event_clock=mine)
        assert stage.counts() == {"n": 4}


# --- reports and models -----------------------------------------------------------------------------------------


def test_a_report_is_made_when_something_changed_and_at_most_once_a_second() -> None:
    stage = Stage()
    assert stage.fold.take_report(BASE) is None
    stage.tell(said({"views": 2}, SITE_ROW))
    stage.fold.settle(BASE)
    first = stage.fold.take_report(BASE)
    assert first is not None
    assert (first.as_of_ms, first.views) == (BASE, 2)
    stage.tell(said({"views": 3}, SITE_ROW))
    assert stage.fold.take_report(BASE + 999) is None
    stage.fold.settle(BASE + SECOND)
    second = stage.fold.take_report(BASE + SECOND)
    assert second is not None
    assert second.views == 3
    stage.tell(said({"views": 3}, SITE_ROW))
    assert stage.fold.take_report(BASE + 5 * SECOND) is None
    assert stage.fold.take_report(BASE + SECOND + REFRESH_EVERY_MS) is not None


def test_who_is_stuck_now_adds_up_over_sources_and_outlives_the_days() -> None:
    stage = Stage()
    stage.tell(said({"/faq": 2, "/pay": 1}, STUCK_ROW, 0))
    stage.tell(said({"/faq": 1}, STUCK_ROW, 0), partition=1)
    stage.fold.settle(BASE + 30 * DAY)
    stage.checkpoint()
    stage.crash()
    assert stage.fold.stuck_by_page == {"/faq": 3, "/pay": 1}
    report = stage.fold.take_report(BASE)
    assert report is not None
    assert report.flags_cleared == {"/faq": 3, "/pay": 1}
    assert stage.fold.days == {}
    stage.tell(said({}, STUCK_ROW, 0))
    assert stage.fold.stuck_by_page == {"/faq": 1}


def test_a_model_is_due_after_ten_minutes_and_then_every_hour_and_is_valid_a_minute_later() -> None:
    stage = Stage()
    stage.tell(said({"n": 1}))
    due = []
    for minute in range(150):
        stage.fold.settle(BASE + minute * MINUTE)
        model = stage.fold.take_model(0)
        if model is not None:
            due.append((minute, model.version))
            assert model.valid_from_ms == BASE + (minute + 1) * MINUTE
            assert model.moments == 1
    assert due == [(10, 1), (70, 2), (130, 3)]


def test_a_restart_makes_the_same_model_again_but_no_other_one() -> None:
    stage = Stage()
    stage.tell(said({"n": 1}))
    stage.fold.settle(BASE)
    stage.checkpoint()
    stage.fold.settle(BASE + 10 * MINUTE)
    first = stage.fold.take_model(0)
    stage.crash()
    stage.fold.settle(BASE + 10 * MINUTE)
    assert stage.fold.take_model(0) == first
    stage.checkpoint()
    stage.crash()
    assert stage.fold.model == first
    stage.fold.settle(BASE + 11 * MINUTE)
    assert stage.fold.take_model(0) is None
    stage.fold.settle(BASE + 10 * MINUTE + MODEL_EVERY_MS)
    second = stage.fold.take_model(0)
    assert second is not None
    assert second.version == 2


def test_no_model_is_made_of_what_a_new_owner_has_told_by_half() -> None:
    stage = Stage()
    stage.tell(said({"n": 1}), full=True)
    stage.fold.settle(BASE)
    stage.tell(said({"n": 1}), epoch=2)
    stage.fold.settle(BASE + HOUR)
    assert stage.fold.take_model(0) is None
    stage.tell(epoch=2, full=True)
    assert stage.fold.take_model(0) is not None


# --- bad input --------------------------------------------------------------------------------------------------


def test_what_is_no_partial_is_a_dead_letter_and_stops_nothing() -> None:
    stage = Stage()
    good = PagePartial(STATE_VERSION, 1, WEB, 0, 0, BASE, [said({"n": 1})])
    bad = [
        b"", b"\xc1", b"\x91" * 100_000, encode_page_partial(good)[:-3],
        encode_page_partial(msgspec.structs.replace(good, version=99)),
        encode_page_partial(msgspec.structs.replace(good, days=[said({}, day=1 << 40)])),
        encode_page_partial(msgspec.structs.replace(good, days=[said({}, day=-1)])),
        msgspec.msgpack.encode([STATE_VERSION, 1, WEB, 0, 0, BASE, [["p", 1, {"n": "many"}]]]),
    ]  # fmt: skip
    letters = stage.fold.apply([Stored(n, v) for n, v in enumerate([*bad, encode_page_partial(good)])], 0)
    assert [letter.offset for letter in letters] == list(range(len(bad)))
    assert {letter.reason for letter in letters} == {Reason.NOT_AN_EVENT}
    assert stage.counts() == {"n": 1}


# --- telling ----------------------------------------------------------------------------------------------------


def test_the_first_telling_of_an_incarnation_says_that_it_is_everything_even_when_that_is_nothing() -> None:
    for days in ([], [said({"n": 1})]):
        (value,) = PageTeller(WEB, 3, 7).tell(days, 12, BASE)
        told = decode_page_partial(value)
        assert (told.full, told.days, told.epoch, told.partition, told.position) == (True, days, 7, 3, 12)


def test_nothing_is_told_while_nothing_happens_but_the_clock_now_and_then() -> None:
    teller = PageTeller(WEB, 0, 1)
    start_ms = BASE // CLOCK_EVERY_MS * CLOCK_EVERY_MS
    assert teller.tell([], 0, start_ms)
    assert not teller.tell([], 5, start_ms + CLOCK_EVERY_MS - 1)
    assert teller.tell([], 5, start_ms + CLOCK_EVERY_MS - 1, anyway=True)
    (value,) = teller.tell([], 5, start_ms + CLOCK_EVERY_MS)
    told = decode_page_partial(value)
    assert (told.now_ms, told.full) == (start_ms + CLOCK_EVERY_MS, False)
    assert [decode_page_partial(v).event_clock for v in teller.tell([], 5, start_ms, event_clock=True)] == [
        True
    ]


def test_who_is_stuck_is_told_when_it_changes() -> None:
    teller = PageTeller(WEB, 0, 1)
    teller.tell([], 0, BASE, stuck={})
    (value,) = teller.tell([], 1, BASE, stuck={"/faq": 2})
    assert decode_page_partial(value).days == [said({"/faq": 2}, STUCK_ROW, 0)]
    assert not teller.tell([], 1, BASE, stuck={"/faq": 2})
    (value,) = teller.tell([], 1, BASE, stuck={})
    assert decode_page_partial(value).days == [said({}, STUCK_ROW, 0)]


def test_much_is_told_in_messages_of_a_megabyte_and_the_last_one_of_the_first_telling_is_full() -> None:
    many = [said({f"e{n}": n for n in range(200)}, page_row(f"/{n}")) for n in range(2000)]
    values = PageTeller(WEB, 0, 1).tell(many, 0, BASE)
    told = [decode_page_partial(value) for value in values]
    assert len(values) > 3
    assert max(map(len, values)) < 2 << 20
    assert [each.full for each in told] == [False] * (len(told) - 1) + [True]
    assert [each for part in told for each in part.days] == many


# --- luck -------------------------------------------------------------------------------------------------------

ROWS = (SITE_ROW, FAQ, page_row("/pay"))


class Source:
    """A source that counts, dies, and is followed by one that remembers what was stored."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.epoch = 1
        self.counted: dict[tuple[str, int], Counts] = {}
        self.changed: set[tuple[str, int]] = set()
        self.teller = PageTeller(WEB, partition, 1)
        self.zombies: list[tuple[PageTeller, dict[tuple[str, int], Counts]]] = []

    def count(self, dice: random.Random) -> None:
        place = dice.choice(ROWS), DAY_0 + dice.randint(0, 1)
        counts = self.counted.setdefault(place, {})
        counter = dice.choice("abc")
        counts[counter] = counts.get(counter, 0) + dice.choice((1, 2, -1))
        if not counts[counter]:
            del counts[counter]
        self.changed.add(place)

    def told(self) -> list[bytes]:
        days = [DayCounts(*place, dict(self.counted.get(place, {}))) for place in sorted(self.changed)]
        self.changed = set()
        return self.teller.tell(days, 0, BASE, anyway=True)

    def die(self, dice: random.Random) -> None:
        """Another owner has lost some of what was counted; it tells all it holds."""
        before = {place: dict(counts) for place, counts in self.counted.items()}
        self.zombies.append((self.teller, before))
        self.counted = {place: counts for place, counts in before.items() if dice.random() < 0.6}
        self.changed = set(self.counted)
        self.epoch += 1
        self.teller = PageTeller(WEB, self.partition, self.epoch)

    def wake_a_zombie(self) -> list[bytes]:
        teller, counted = self.zombies[-1]
        return teller.tell([DayCounts(*place, {"a": 1000}) for place in counted], 0, BASE, anyway=True)


@given(st.randoms(use_true_random=False))
def test_the_sums_are_those_of_the_newest_owners_whatever_is_repeated_replayed_or_woken(
    dice: random.Random,
) -> None:
    stage = Stage()
    sources = [Source(n) for n in range(3)]
    for _ in range(dice.randint(1, 60)):
        source = dice.choice(sources)
        what = dice.random()
        if what < 0.5:
            source.count(dice)
        elif what < 0.75:
            stage.read(source.told())
        elif what < 0.8:
            source.die(dice)
        elif what < 0.85 and source.zombies and source.epoch > 1:
            stage.read(source.told() + source.wake_a_zombie())
        elif what < 0.9:
            stage.checkpoint()
        elif what < 0.95:
            stage.crash()
        else:
            stage.read(stage.log[dice.randint(0, len(stage.log)) :])
    for source in sources:
        stage.read(source.told())
    expected: dict[str, dict[int, Counts]] = {}
    for source in sources:
        for (row, day), counts in source.counted.items():
            into = expected.setdefault(row, {}).setdefault(day, {})
            for counter, value in counts.items():
                into[counter] = into.get(counter, 0) + value
    nonzero = {
        row: {day: {c: v for c, v in counts.items() if v} for day, counts in days.items()}
        for row, days in expected.items()
    }
    nonzero = {row: {day: counts for day, counts in days.items() if counts} for row, days in nonzero.items()}
    assert stage.fold.days == {row: days for row, days in nonzero.items() if days}
    stage.checkpoint()
    assert stage.entries == dumped(stage.fold)
    again = stage.new()
    again.load(list(stage.entries.items()))
    assert again.days == stage.fold.days
    assert dumped(again) == stage.entries


def test_a_report_of_changes_is_the_report_of_everything() -> None:
    def told(page: str, day: int, **counts: int) -> DayCounts:
        return DayCounts(page_row(page), day, counts)

    def partial(position: int, now_ms: int, *days: DayCounts) -> Stored:
        sent = PagePartial(STATE_VERSION, 1, "web", 0, position, now_ms, list(days))
        return Stored(position, encode_page_partial(sent))

    day_ms = 86_400_000
    today = 20_500
    fold = PageFold(SITE, PAGE_PARTIALS, 0)
    changes = [
        [told("/a", today, views=3, n=90, k=20, bn=90, bk=20)],
        [told("/b", today, views=1, n=80, k=1, bn=80, bk=1)],
        [told("/a", today, views=4, n=95, k=2, bn=95, bk=2), told("/b", today)],
        [told("/a", today - 3, n=60, k=30, bn=60, bk=30)],
    ]
    for position, days in enumerate(changes):
        now_ms = today * day_ms + 1000 * (position + 1)
        fold.apply([partial(position, now_ms, *days)], now_ms)
        fold.settle(now_ms)
        fresh = report_of(fold.days, now_ms=now_ms, site=SITE, model=None, stuck_by_page={})
        assert fold.report() == fresh
    later_ms = (today + SITE.journeys.keep_days - 1) * day_ms
    fold.settle(later_ms)
    assert fold.report() == report_of(fold.days, now_ms=later_ms, site=SITE, model=None, stuck_by_page={})
