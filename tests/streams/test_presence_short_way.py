"""Does the presence fold count what the timelines say, by the short way as by the long one, live and after a restart?"""

import random
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events as e
from schemas.counts import AVAILABLE_MS, BREAK_MS, BUSY_MS, CONTACT_MS, WRAPPING_MS, WRAPPING_ONLY_MS
from schemas.partials import INTERVAL_MS, PANE_MS, SITE_ROW, Kind, agents_row, team_row
from schemas.topics import PRESENCE
from streams.decode import decode, unix_ms
from streams.driver import SourceFold, Stored
from streams.presence import AgentTimeline
from streams.presence_fold import PresenceFold
from streams.rows import parse_entry
from streams.view import View
from tests.streams.bench import (
    BASE,
    DAY,
    MINUTE,
    SECOND,
    Bench,
    Entries,
    Store,
    assert_same_numbers,
    dumped,
    event,
    rfc3339,
)
from tests.streams.stories import END, SITE, Play, plays, signs

LATER = END + MINUTE
"""By when all that came up to `END` is counted: what comes late is not counted at once."""


class LongWay(PresenceFold):
    """Takes the long way for every sign."""

    def _begin(self, *_: object) -> bool:
        return False

    def _go_on(self, *_: object) -> bool:
        return False


class Watched(PresenceFold):
    """Knows how many signs took the long way."""

    long = 0

    def _sign(self, *args: object) -> None:
        self.long += 1
        super()._sign(*args)  # type: ignore[arg-type]


class LongBench(Bench):
    def _new_fold(self) -> SourceFold:
        return LongWay(self.site, self.topic, 0, event_clock=self.event_clock)


def sign(
    at_ms: int, state: str = "available", contacts: int = 0, agent_id: str = "ann", **more: object
) -> bytes:
    return event("agent.state", at_ms, **{"agent_id": agent_id, "state": state, "queues": ["Sales"], "contacts": contacts, **more})  # fmt: skip


def live(kind: type[PresenceFold] = PresenceFold) -> PresenceFold:
    return kind(SITE, PRESENCE, 0)


def tell(fold: PresenceFold, now_ms: int, *values: bytes) -> None:
    assert not fold.apply([Stored(n, value) for n, value in enumerate(values)], now_ms)


def meaning(entries: Entries) -> dict[str, object]:
    """Stored entries, panes without zeros."""
    out: dict[str, object] = {}
    for key, value in entries.items():
        if key[0] == "p":
            pane = {slot: ms for slot, ms in parse_entry(key, value)[3].items() if ms}
            if pane:
                out[key] = pane
        else:
            out[key] = value
    return out


def shown(fold: PresenceFold) -> dict[str, dict[str, int]]:
    return {row.name: row.agents for row in fold.shard.rows.values() if row.agents}


# --- the truth, one millisecond of one agent after the other --------------------------------------------------


def rows_of(view: View) -> list[str]:
    return [SITE_ROW, *map(agents_row, view.queues), *([team_row(view.team)] if view.team else [])]


def counters(view: View) -> dict[int, int]:
    if view.state == "lost":
        return {}
    if view.state == "wrap_up":
        in_hand = {CONTACT_MS: view.contacts} if view.contacts else {WRAPPING_ONLY_MS: 1}
        return {BUSY_MS: 1, WRAPPING_MS: 1, **in_hand}
    if view.contacts or view.state == "busy":
        return {BUSY_MS: 1, CONTACT_MS: view.contacts or 1}
    return {"available": {AVAILABLE_MS: 1}, "break": {BREAK_MS: 1}}.get(view.state, {})


def timelines(values: Iterable[bytes]) -> list[AgentTimeline]:
    made: dict[str, AgentTimeline] = {}
    for value in values:
        told = decode(value, len(value))
        assert isinstance(told, e.AgentState)
        data, at_ms = told.data, unix_ms(told.time)
        since_ms = at_ms if data.since is None else unix_ms(data.since)
        assert at_ms is not None
        assert since_ms is not None
        view = View(data.state, tuple(sorted(data.queues)), data.team or "", data.contacts)
        made.setdefault(data.agent_id, AgentTimeline()).add(since_ms, view, at_ms, SITE.limits.agent_lost_ms)
    return list(made.values())


def assert_true(fold: PresenceFold, values: Iterable[bytes], now_ms: int) -> None:
    """All panes hold the time of the timelines up to `now_ms`, and boards show who is in which state."""
    true: dict[tuple[str, int, int], Counter[int]] = {}
    states: dict[str, Counter[str]] = {}
    for timeline in timelines(values):
        for from_ms, to_ms, view in timeline.spans(0, now_ms):
            for kind, width in ((Kind.TIME_PANE, PANE_MS), (Kind.TIME_INTERVAL, INTERVAL_MS)):
                for number in range(from_ms // width, (to_ms - 1) // width + 1):
                    ms = min(to_ms, (number + 1) * width) - max(from_ms, number * width)
                    for row in rows_of(view):
                        pane = true.setdefault((row, kind, number), Counter())
                        pane.update({slot: weight * ms for slot, weight in counters(view).items()})
        now = timeline.at(now_ms)
        for row in rows_of(now) if now else ():
            states.setdefault(row, Counter())[now.shown if now else ""] += 1
    told: dict[tuple[str, int, int], Counter[int]] = {}
    for name, held in fold.shard.rows.items():
        for kind in (Kind.TIME_PANE, Kind.TIME_INTERVAL):
            for number, counts in held.panes[kind].items():
                each = Counter({slot: ms for slot, ms in counts.items() if ms})
                told.setdefault((name, kind, number), Counter()).update(each)
                if (
                    kind == Kind.TIME_PANE
                ):  # nested: an interval's own pane holds what has left the narrow ones
                    interval = name, Kind.TIME_INTERVAL, number * PANE_MS // INTERVAL_MS
                    told.setdefault(interval, Counter()).update(each)
    assert {key: pane for key, pane in told.items() if pane} == {
        key: pane for key, pane in true.items() if pane
    }
    assert shown(fold) == states


# --- any life, by both ways -----------------------------------------------------------------------------------


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, bytes, str]]:
    """Signs as they arrive live: when, what, and what the worker does then. Most come in order and soon."""
    told = [each for number in range(draw(st.integers(1, 3))) for each in draw(signs(number))]
    dice: random.Random = draw(st.randoms(use_true_random=False))
    pauses_ms = draw(
        st.sampled_from(((0, 40, 900), (0, 40, 900, 5000, -30_000), (0, 3000, 400_000, 1_500_000)))
    )
    arriving = []
    for at_ms, value in told:
        for _ in range(1 + (dice.random() < 0.15)):
            arriving.append((min(END, at_ms + dice.choice(pauses_ms)), value))
    arriving.sort(key=lambda each: each[0])
    does = ("nothing", "nothing", "settle", "settle", "store", "restart")
    return [(now_ms, value, dice.choice(does)) for now_ms, value in arriving]


def lived(
    kind: type[PresenceFold], arriving: list[tuple[int, bytes, str]], *, dies: bool = True
) -> PresenceFold:
    """What becomes of a worker; one that dies goes on where it stored last, and is told the rest again."""
    fold, store, at = live(kind), Store(), 0
    restarts = set()
    while at < len(arriving):
        now_ms, value, does = arriving[at]
        tell(fold, now_ms, value)
        at += 1
        if does != "nothing":
            fold.settle(now_ms)
        if dies and does == "store":
            store.save(fold, at)
        elif dies and does == "restart" and at not in restarts:
            restarts.add(at)
            fold, at = live(kind), store.position
            if store.entries:
                fold.load(list(store.entries.items()))
    fold.settle(LATER)
    return fold


@given(arrivals())
def test_live_every_millisecond_of_every_agent_is_counted_where_it_was_spent(
    arriving: list[tuple[int, bytes, str]],
) -> None:
    assert_true(lived(PresenceFold, arriving, dies=False), [value for _, value, _ in arriving], LATER)


@given(arrivals())
def test_live_the_short_way_stores_what_the_long_way_stores(arriving: list[tuple[int, bytes, str]]) -> None:
    short, long = lived(PresenceFold, arriving, dies=False), lived(LongWay, arriving, dies=False)
    assert meaning(dumped(short)) == meaning(dumped(long))
    assert shown(short) == shown(long)


@given(arrivals())
def test_a_worker_that_died_between_two_counts_goes_on_as_if_it_had_not(
    arriving: list[tuple[int, bytes, str]],
) -> None:
    died = lived(PresenceFold, arriving)
    assert_true(died, [value for _, value, _ in arriving], LATER)
    now = meaning(dumped(lived(PresenceFold, arriving, dies=False)))
    stored = meaning(dumped(died))
    assert {key: entry for key, entry in stored.items() if key != "m"} == {
        key: entry for key, entry in now.items() if key != "m"
    }


@pytest.mark.parametrize("event_clock", [True, False])
def test_in_any_order_and_repeated_the_short_way_ends_in_the_numbers_of_the_long_way(
    event_clock: bool,
) -> None:
    @given(plays("agents"))
    def check(play: Play) -> None:
        ways = []
        for kind in (Bench, LongBench):
            bench = kind(SITE, play.arriving, PRESENCE, event_clock=event_clock)
            bench.now_ms = 0 if event_clock else END - MINUTE
            bench.play(play.actions)
            bench.finish(END)
            ways.append(bench)
        short, long = ways
        assert_same_numbers(short, long)
        assert meaning(dumped(short.fold)) == meaning(dumped(long.fold))
        assert short.fold.truth == long.fold.truth

    check()


# --- who takes which way --------------------------------------------------------------------------------------


def shift() -> list[tuple[int, bytes]]:
    """An agent's signs over a quarter of an hour, in order."""
    said = [(0, "available", 0, 0), (60, "available", 0, 0), (61, "busy", 1, 61), (90, "busy", 2, 61), (100, "busy", 1, 61),
            (130, "wrap_up", 0, 128), (190, "available", 0, 188), (400, "available", 0, 188), (630, "break", 0, 620)]  # fmt: skip
    return [(BASE + at * SECOND, sign(BASE + at * SECOND, state, contacts, since=rfc3339(BASE + since * SECOND)))
            for at, state, contacts, since in said]  # fmt: skip


def test_signs_in_order_all_take_the_short_way_and_are_the_truth() -> None:
    fold = live(Watched)
    assert isinstance(fold, Watched)
    for at_ms, value in shift():
        tell(fold, at_ms + 80, value)
        fold.settle(at_ms + 200)
    fold.settle(BASE + 20 * MINUTE)
    assert fold.long == 0
    assert_true(fold, [value for _, value in shift()], BASE + 20 * MINUTE)


def test_signs_in_order_all_take_the_short_way_though_the_worker_is_an_hour_behind() -> None:
    fold = live(Watched)
    assert isinstance(fold, Watched)
    now_ms = BASE + 62 * MINUTE
    for n, (_, value) in enumerate(shift()):
        tell(fold, now_ms + 11 * n * SECOND, value)
        fold.settle(now_ms + 11 * n * SECOND)
    fold.settle(BASE + 64 * MINUTE)
    assert fold.long == 0
    assert_true(fold, [value for _, value in shift()], BASE + 64 * MINUTE)


def test_a_sign_that_comes_after_a_later_one_takes_the_long_way_and_counts_as_a_correction() -> None:
    fold = live(Watched)
    assert isinstance(fold, Watched)
    values = [value for _, value in shift()]
    values[3], values[4] = values[4], values[3]
    for value in values:
        tell(fold, BASE + 11 * MINUTE, value)
        fold.settle(BASE + 11 * MINUTE)
    fold.settle(BASE + 20 * MINUTE)
    assert fold.long == 1
    assert fold.truth.corrected == 1
    assert_true(fold, values, BASE + 20 * MINUTE)


def test_a_state_told_ahead_of_the_clock_counts_when_its_time_has_come() -> None:
    fold = live()
    values = [sign(BASE), sign(BASE + 30 * SECOND, "break")]
    tell(fold, BASE, *values)
    for second in (0, 5, 29, 31, 40):
        fold.settle(BASE + second * SECOND)
        assert shown(fold)[SITE_ROW] == ({"available": 1} if second < 30 else {"break": 1})
    assert_true(fold, values, BASE + 40 * SECOND)


def test_a_checkpoint_between_two_counts_holds_the_time_up_to_the_count_and_no_more() -> None:
    fold, store = live(), Store()
    values = [sign(BASE), sign(BASE + 14 * SECOND, "busy", 1), sign(BASE + 15 * SECOND, "break")]
    tell(fold, BASE, values[0])
    fold.settle(BASE + 14 * SECOND)
    tell(fold, BASE + 15 * SECOND, *values[1:])
    fold.settle(BASE + 15 * SECOND)
    store.save(fold, 3)
    assert msgspec.msgpack.decode(store.entries["h"]) == BASE + 14 * SECOND
    again = live()
    again.load(list(store.entries.items()))
    assert meaning(dumped(again)) == meaning(dumped(fold))
    for each in (fold, again):
        each.settle(BASE + 40 * SECOND)
        assert_true(each, values, BASE + 40 * SECOND)


def test_an_agent_told_of_so_late_that_they_are_lost_again_is_stored_as_they_count() -> None:
    fold, store = live(), Store()
    now_ms = BASE + 30 * MINUTE
    values = [sign(BASE + 20 * MINUTE, agent_id="bo"), sign(BASE), sign(BASE + MINUTE, "busy", 1)]
    tell(fold, now_ms, values[0])
    fold.settle(now_ms)
    tell(fold, now_ms, *values[1:])
    fold.settle(now_ms)
    store.save(fold, 3)
    again = live()
    again.load(list(store.entries.items()))
    for each in (fold, again):
        assert meaning(dumped(each)) == meaning(store.entries)
        each.settle(now_ms + MINUTE)
        assert_true(each, values, now_ms + MINUTE)


# --- bounds ---------------------------------------------------------------------------------------------------


def test_however_often_an_agent_gives_a_sign_one_look_at_them_is_planned() -> None:
    fold = live()
    for second in range(0, 3600, 7):
        at_ms = BASE + second * SECOND
        tell(fold, at_ms, sign(at_ms, ("available", "busy")[second % 2]))
        fold.settle(at_ms)
        assert len(fold._changes) == 1
    fold.settle(BASE + 2 * 60 * MINUTE)
    assert not fold._changes
    assert shown(fold)[SITE_ROW] == {"lost": 1}


def test_an_agent_not_heard_of_for_a_week_leaves_the_boards_though_the_worker_was_down() -> None:
    fold, store = live(), Store()
    tell(fold, BASE, sign(BASE))
    fold.settle(BASE)
    store.save(fold, 1)
    again = live()
    again.load(list(store.entries.items()))
    again.settle(BASE + 8 * DAY)
    assert shown(again) == {}
    assert not any(key[0] == "g" for key in dumped(again))
