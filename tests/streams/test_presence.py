"""Is an agent's timeline what the signs of life say, in any order?"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.presence import NEVER, AgentTimeline
from streams.view import View

LIMIT_MS = 1000
END_MS = 9000


def view(state: str = "available", contacts: int = 0) -> View:
    return View(state, ("Sales",), "Nord", contacts)


SIGNS = st.lists(
    st.tuples(st.integers(0, 60).map(lambda n: n * 100), st.sampled_from(("available", "busy", "break", "offline"))),
    min_size=1, max_size=10, unique_by=lambda sign: sign[0],
)  # fmt: skip


def timeline(signs: list[tuple[int, str]]) -> AgentTimeline:
    made = AgentTimeline()
    for at_ms, state in signs:
        made.add(at_ms, view(state), at_ms, LIMIT_MS)
    return made


@given(SIGNS, st.randoms(use_true_random=False))
def test_the_state_at_any_time_is_that_of_the_last_sign_until_the_limit(
    signs: list[tuple[int, str]], dice: object
) -> None:
    shuffled = [*signs, *signs[:3]]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    made = timeline(shuffled)
    for t in range(0, END_MS, 50):
        last = max((sign for sign in signs if sign[0] <= t), default=None)
        seen = made.at(t)
        if last is None:
            assert seen is None
        else:
            alive = t < last[0] + LIMIT_MS or last[1] == "offline"
            assert seen is not None
            assert seen.state == (last[1] if alive else "lost")


@given(SIGNS)
def test_spans_follow_each_other_without_gap_from_the_first_sign_on(signs: list[tuple[int, str]]) -> None:
    spans = list(timeline(signs).spans(0, END_MS))
    assert spans[0][0] == min(at_ms for at_ms, _ in signs)
    assert spans[-1][1] == END_MS
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(low < high for low, high, _ in spans)


@given(SIGNS, st.integers(0, END_MS))
def test_forgetting_the_past_leaves_the_rest_of_the_timeline_as_it_was(
    signs: list[tuple[int, str]], horizon: int
) -> None:
    made = timeline(signs)
    before = list(made.spans(horizon, END_MS + 2000))
    made.forget_before(horizon)
    assert list(made.spans(horizon, END_MS + 2000)) == before
    made.order()
    assert list(made.spans(horizon, END_MS + 2000)) == before


def test_a_state_said_to_hold_since_earlier_begins_there() -> None:
    made = timeline([(0, "available")])
    assert made.add(400, view("break"), 700, LIMIT_MS) == 400
    assert [(low, high, v.state) for low, high, v in made.spans(0, 900)] == [
        (0, 400, "available"),
        (400, 900, "break"),
    ]


def test_a_sign_told_twice_is_no_news() -> None:
    made = timeline([(0, "available")])
    assert made.add(0, view(), 0, LIMIT_MS) is None


def test_of_two_views_since_one_instant_the_later_one_begins_when_it_was_said() -> None:
    for signs in (((0, 0, 1), (0, 300, 2)), ((0, 300, 2), (0, 0, 1))):
        made = AgentTimeline()
        for since_ms, at_ms, contacts in signs:
            made.add(since_ms, view("busy", contacts), at_ms, LIMIT_MS)
        assert [(low, v.contacts) for low, _, v in made.spans(0, 500)] == [(0, 1), (300, 2)]


def test_an_agent_whose_contacts_go_up_and_down_within_one_state_is_seen_with_the_newest_count() -> None:
    """As vendors send it: `since` is when the state began, the contacts are those of the moment."""
    signs = [(0, 0, 1), (0, 300, 2), (0, 500, 2), (0, 600, 1), (0, 800, 1)]
    for told in (signs, signs[::-1], [signs[n] for n in (3, 0, 4, 1, 2, 1)]):
        made = AgentTimeline()
        for since_ms, at_ms, contacts in told:
            made.add(since_ms, view("busy", contacts), at_ms, LIMIT_MS)
        assert [(low, high, v.contacts) for low, high, v in made.spans(0, 900)] == [
            (0, 300, 1),
            (300, 600, 2),
            (600, 900, 1),
        ]


SINCE = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3)).map(lambda s: (s[0] * 100, (s[0] + s[1]) * 100, s[2])),
    min_size=1, max_size=12,
)  # fmt: skip


@given(SINCE, st.integers(0, END_MS), st.randoms(use_true_random=False))
def test_any_order_and_forgetting_make_the_same_timeline(
    signs: list[tuple[int, int, int]], horizon: int, dice: object
) -> None:
    def told(order: list[tuple[int, int, int]]) -> AgentTimeline:
        made = AgentTimeline()
        for since_ms, at_ms, contacts in order:
            made.add(since_ms, view("busy", contacts), at_ms, LIMIT_MS)
        return made

    shuffled = [*signs, *signs[:3]]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    made = told(shuffled)
    assert (made.starts, made.alive) == (told(signs).starts, told(signs).alive)
    after = list(made.spans(horizon, END_MS))
    made.forget_before(horizon)
    assert list(made.spans(horizon, END_MS)) == after


def test_an_agent_with_a_contact_in_hand_is_shown_busy_but_in_wrap_up() -> None:
    assert [view(state, 1).shown for state in ("available", "busy", "break", "wrap_up")] == [
        "busy",
        "busy",
        "busy",
        "wrap_up",
    ]
    assert view("available").shown == "available"


@given(SINCE, st.integers(0, END_MS), st.integers(400, 3000))
def test_a_sign_taken_in_by_the_short_way_makes_the_timeline_that_the_long_way_makes(
    signs: list[tuple[int, int, int]], now_ms: int, limit_ms: int
) -> None:
    long, short = AgentTimeline(), AgentTimeline()
    for since_ms, at_ms, contacts in sorted(signs, key=lambda each: each[1]):
        said = view("busy", contacts)
        if not long.starts and since_ms == at_ms:
            short.begin(said, at_ms, limit_ms)
        elif not long.starts or short.go_on(since_ms, said, at_ms, limit_ms, now_ms) is None:
            assert (short.said, short.starts, short.alive) == (long.said, long.starts, long.alive)
            short.add(since_ms, said, at_ms, limit_ms)
        long.add(since_ms, said, at_ms, limit_ms)
        assert (short.said, short.starts, short.alive) == (long.said, long.starts, long.alive)


def test_the_short_way_says_when_a_view_begins_or_that_it_goes_on_or_leaves_the_sign_to_the_long_way() -> (
    None
):
    made = timeline([(0, "available")])
    assert made.go_on(0, view(), 300, LIMIT_MS, 9000) == NEVER
    assert made.go_on(350, view("busy", 1), 400, LIMIT_MS, 9000) == 350
    assert made.go_on(350, view("busy", 2), 500, LIMIT_MS, 9000) == 500
    assert [made.go_on(*sign, LIMIT_MS, 1000) for sign in (
        (350, view("busy", 2), 500), (100, view("break"), 600), (1100, view("break"), 1100), (1600, view(), 1600),
    )] == [None] * 4  # fmt: skip
