"""Does the longest wait of an interval stay right however often waits are taken back?"""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.counts import LONGEST_WAIT_MS
from schemas.partials import Kind, queue_row
from streams.longest import KEPT, LongestWaits
from streams.rows import Row

NAME = queue_row("Sales", "voice")


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=120), st.integers(0, 120))
def test_the_longest_wait_is_that_of_the_waits_left_after_any_taking_back(
    steps: list[tuple[int, int]], loaded: int
) -> None:
    """Each step adds a wait, or takes back one of those there are; on the way it is stored and loaded once."""
    there: Counter[int] = Counter()
    row = Row(NAME)

    def recount(_: Row, number: int) -> list[int]:
        return list(there.elements())

    longest = LongestWaits(recount)
    stored: dict[str, bytes] = {}
    for place, (wait, pick) in enumerate(steps):
        if pick < 5 and there:
            wait = sorted(there)[-1 - pick % len(there)]
            there -= Counter([wait])
            longest.change(row, 7, wait, -1)
        else:
            there[wait] += 1
            longest.change(row, 7, wait, 1)
        longest.refresh()
        shown = row.panes[Kind.ARRIVAL_INTERVAL].get(7, {}).get(LONGEST_WAIT_MS)
        assert shown == (max(there.elements()) if +there else None)
        for key, value in longest.take_changes():
            assert value is not None
            stored[key] = value
        assert stored == dict(longest.dump())
        if place == loaded:
            longest = LongestWaits(recount)
            for key, value in stored.items():
                longest.load_entry(key, value)


def test_only_a_few_waits_are_kept_and_old_intervals_are_forgotten() -> None:
    row = Row(NAME)
    longest = LongestWaits(lambda row, number: [])
    for wait in range(1000):
        longest.change(row, 7, wait, 1)
    assert len(longest._kept[NAME, 7]) == KEPT + 1
    longest.expire(8)
    assert list(longest.dump()) == []
    assert dict(longest.take_changes()) == {f"l{NAME}\x1e7": None}
