"""Do the windows hold what a plain recount of the visits says, at any instant?

event basis    |----|----|----|----|--      panes of 10 s; 1m holds the current pane and the five before it
arrival basis  |------------------------    panes of a minute; 1m holds the current minute
"""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.snapshots import WINDOWS, Measures, QueueSnapshot
from streams.site import QueuePolicy, Site
from tests.streams.bench import BASE, HOUR, MINUTE, Bench, event

SITE = Site(queues={"Sales": QueuePolicy(answer_within_s=20.0, short_abandon_s=5.0)})
X_MS, SHORT_MS = 20_000, 5_000


class Visit(NamedTuple):
    """One visit to the only queue there is, in ms after BASE; -1: it never came to that."""

    queued: int
    wait: int
    outcome: str
    talk: int
    wrap: int

    @property
    def left(self) -> int:
        return self.queued + self.wait

    @property
    def ended(self) -> int:
        return self.left + self.talk


visits = st.builds(
    Visit,
    st.integers(0, 3 * HOUR),
    st.sampled_from((0, 1, 5_000, 5_001, 19_999, 20_000, 20_001, 95_000, 400_000)),
    st.sampled_from(("answered", "answered", "abandoned", "callback_requested", "overflowed")),
    st.sampled_from((0, 9_999, 61_000, 1_000_000)),
    st.sampled_from((0, 30_000)),
)


def told(number: int, visit: Visit) -> list[tuple[int, bytes]]:
    who = {"contact_id": f"c{number}"}
    steps = [(visit.queued, "queued", {"queue": "Sales"}), (visit.left, visit.outcome, {})]
    if visit.outcome == "answered":
        steps += [(visit.ended, "ended", {}), (visit.ended + visit.wrap, "wrapped", {})]
    return [(at, event(f"contact.{kind}", BASE + at, **who, **extra)) for at, kind, extra in steps]


def board_at(story: list[Visit], now: int) -> QueueSnapshot:
    """The board at `now` ms after BASE, told all that has happened by then."""
    events = sorted(
        (each for n, v in enumerate(story) for each in told(n, v) if each[0] <= now), key=lambda e: e[0]
    )
    bench = Bench(SITE, [value for _, value in events])
    for _ in range(0, len(events), 5):
        bench.run(5)
        bench.tell()
        bench.merge()
    bench.finish(BASE + now)
    (board,) = (s for s in bench.queues.snapshots(0, 1, 0, everything=True) if isinstance(s, QueueSnapshot))
    return board


def recount(story: list[Visit], now: int, since: int, *, by_arrival: bool) -> dict[str, float]:
    """The plain way: look at every visit."""

    def count(at: int, visit: Visit) -> bool:
        return at <= now and (visit.queued if by_arrival else at) >= since

    left = [v for v in story if count(v.left, v)]
    answered = [v for v in left if v.outcome == "answered"]
    abandoned = [v for v in left if v.outcome == "abandoned"]
    handled = [v for v in story if v.outcome == "answered" and count(v.ended, v)]
    wrapped = [v for v in story if v.outcome == "answered" and count(v.ended + v.wrap, v)]
    return {
        "offered": sum(count(v.queued, v) for v in story),
        "answered": len(answered),
        "answered_in_x": sum(v.wait <= X_MS for v in answered),
        "abandoned": len(abandoned),
        "abandoned_in_x": sum(v.wait <= X_MS for v in abandoned),
        "abandoned_short": sum(v.wait <= SHORT_MS for v in abandoned),
        "callback": sum(v.outcome == "callback_requested" for v in left),
        "overflowed": sum(v.outcome == "overflowed" for v in left),
        "handled": len(handled),
        "wait_sum_s": sum(v.wait for v in left) / 1000,
        "talk_s": sum(v.talk for v in handled) / 1000,
        "wrap_up_s": sum(v.wrap for v in wrapped) / 1000,
    }


def shown(m: Measures, names: dict[str, float]) -> dict[str, float]:
    return {name: getattr(m, name) for name in names}


@given(st.lists(visits, max_size=15), st.integers(0, 3 * HOUR + 30 * MINUTE))
def test_every_rolling_window_equals_a_recount_of_the_visits(story: list[Visit], now: int) -> None:
    board = board_at(story, now)
    for window, length in WINDOWS.items():
        since = now // 10_000 * 10_000 + 10_000 - length
        expected = recount(story, now, since, by_arrival=False)
        assert shown(board.windows[window], expected) == pytest.approx(expected), window
        since = now // MINUTE * MINUTE + MINUTE - length
        expected = recount(story, now, since, by_arrival=True)
        assert shown(board.arrival[window], expected) == pytest.approx(expected), window
    for basis, m in ((False, board.windows["day"]), (True, board.arrival["day"])):
        expected = recount(story, now, 0, by_arrival=basis)
        assert shown(m, expected) == pytest.approx(expected)


@given(st.lists(visits, max_size=15), st.integers(0, 3 * HOUR + 30 * MINUTE))
def test_who_waits_now_since_when_and_past_the_target_equals_a_recount(story: list[Visit], now: int) -> None:
    board = board_at(story, now)
    waiting = [v.queued for v in story if v.queued <= now and not v.left <= now]
    assert board.waiting == len(waiting)
    assert board.oldest_waiting_ms == (BASE + min(waiting) if waiting else None)
    assert board.at_risk == sum(queued < now - X_MS for queued in waiting)
    assert board.in_service == sum(v.outcome == "answered" and v.left <= now < v.ended for v in story)
    lengths = [
        sum(v.queued <= minute * MINUTE < v.left for v in story)
        for minute in range(now // MINUTE - 29, now // MINUTE + 1)
    ]
    assert board.trend == lengths


@given(st.lists(visits, max_size=15), st.integers(0, 3 * HOUR + 30 * MINUTE))
def test_the_longest_queue_its_area_and_the_longest_wait_of_the_day_equal_a_recount(
    story: list[Visit], now: int
) -> None:
    day = board_at(story, now).arrival["day"]
    changes = {at for v in story for at in (v.queued, v.left) if at <= now}
    assert day.queue_length_max == max(
        (sum(v.queued <= t < v.left for v in story) for t in changes), default=0
    )
    area = sum(max(0, min(v.left, now) - v.queued) for v in story)
    assert day.queue_length_area_s == area / 1000
    waits = [v.wait for v in story if v.left <= now]
    assert day.longest_wait_max_s == (max(waits) / 1000 if waits else None)
