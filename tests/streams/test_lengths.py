"""Is the queue length, worked backwards from who waits now, what a plain sweep says?"""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS
from streams.lengths import lengths
from streams.stored import Lengths

END_MS = 3 * INTERVAL_MS + 7 * MINUTE_MS + 500
STAYS = st.tuples(
    st.integers(-MINUTE_MS, END_MS), st.sampled_from((0, 1, 25, 10_000, 60_000, 1_000_000, 9_000_000))
)


def panes_of(changes: list[tuple[int, int]]) -> dict[int, dict[int, int]]:
    out: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for at_ms, net in changes:
        out[at_ms // PANE_MS][at_ms % PANE_MS] += net
    return out


def minutes_of(changes: list[tuple[int, int]]) -> dict[int, dict[int, int]]:
    out: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for at_ms, net in changes:
        out[at_ms // MINUTE_MS][1 if at_ms % MINUTE_MS else 0] += net
    return out


@given(st.lists(STAYS, max_size=12), st.lists(STAYS, max_size=6))
def test_every_interval_equals_a_sweep(waits: list[tuple[int, int]], services: list[tuple[int, int]]) -> None:
    def changes(stays: list[tuple[int, int]]) -> list[tuple[int, int]]:
        ends = [(at + long, -1) for at, long in stays if at + long <= END_MS]
        return [(at, 1) for at, _ in stays] + ends

    def level(stays: list[tuple[int, int]], t: int) -> int:
        return sum(at <= t < at + long for at, long in stays)

    waiting = sum(at + long > END_MS for at, long in waits)
    serving = sum(at + long > END_MS for at, long in services)
    found = lengths(waiting, serving, panes_of(changes(waits)), minutes_of(changes(services)), 0, END_MS)
    assert list(found) == [0, 1, 2, 3]
    for number, each in found.items():
        start, end = number * INTERVAL_MS, min((number + 1) * INTERVAL_MS, END_MS)
        moments = {start, *(at for at, _ in changes(waits) if start <= at < (number + 1) * INTERVAL_MS)}
        assert each.longest == max(level(waits, t) for t in moments)
        assert each.area_ms == sum(max(0, min(at + long, end) - max(at, start)) for at, long in waits)
        marks = [t for t in range(start, (number + 1) * INTERVAL_MS, MINUTE_MS) if t <= END_MS]
        assert list(each.minutes) == [(level(waits, t), level(services, t)) for t in marks]


def test_of_two_changes_in_one_instant_only_the_result_counts() -> None:
    found = lengths(0, 0, {0: {0: 1, 5000: 0}, 1: {0: -1}}, {}, 0, 20_000)
    assert found[0] == Lengths(1, 10_000, ((1, 0),))


def test_an_interval_begins_with_those_who_waited_already() -> None:
    found = lengths(2, 0, {}, {}, 1, INTERVAL_MS + 1000)
    assert found == {1: Lengths(2, 2000, ((2, 0),))}
