"""The life of a visit: which fact does what in which state. Drawn as a table, checked cell by cell."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import contact as c
from streams.contact import Fact, Life, lives, visits_of

KINDS = {
    "offered": c.OFFERED, "declined": c.DECLINED, "answered": c.ANSWERED, "held": c.HELD, "resumed": c.RESUMED,
    "transferred": c.TRANSFERRED, "callback": c.CALLBACK, "overflowed": c.OVERFLOWED, "abandoned": c.ABANDONED,
    "ended": c.ENDED, "wrapped": c.WRAPPED, "queued": c.QUEUED, "message": c.MESSAGE,
}  # fmt: skip


def fact(kind: str, at_ms: int, a: str = "", b: str = "", segment: str = "") -> Fact:
    default = {
        "queued": ("Sales", "voice"),
        "answered": ("ann", ""),
        "wrapped": ("ann", ""),
        "message": ("customer", "m"),
    }
    first, second = default.get(kind, ("", ""))
    return at_ms, KINDS[kind], segment, a or first, b or second


def story(*kinds: str) -> tuple[Fact, ...]:
    """Facts a second apart."""
    return tuple(fact(kind, 1000 * (n + 1)) for n, kind in enumerate(kinds))


def live(facts: Iterable[Fact]) -> Life:
    """All lives of a contact as one."""
    alive = lives(facts).values()
    whole = Life()
    whole.visits = visits_of(alive) if alive else []
    whole.unmatched = sum(life.unmatched for life in alive)
    return whole


def sketch(life: Life) -> list[tuple[object, ...]]:
    """All that is known of the visits."""
    return [
        tuple(
            (name, value)
            for name in dir(visit)
            if name[0] != "_" and not callable(value := getattr(visit, name))
        )
        for visit in life.visits
    ]


BEGINNINGS = {
    "none": (),
    "waiting": ("queued",),
    "handling": ("queued", "answered"),
    "held": ("queued", "answered", "held"),
    "abandoned": ("queued", "abandoned"),
    "callback": ("queued", "callback"),
    "handled": ("queued", "answered", "ended"),
    "wrapped": ("queued", "answered", "ended", "wrapped"),
}
#              offered declined answered held resumed transf callback overfl abandon ended wrapped queued message
TABLE = {
    "none":      ".       .        .      .     .      .       .       .       .      .      .      +      0",
    "waiting":   "0       +        +      .     .      .       +       +       +      +      .      +      +",
    "handling":  ".       .        .      +     .      +       .       .       .      +      .      +      +",
    "held":      ".       .        .      0     +      +       .       .       .      +      .      +      +",
    "abandoned": ".       .        .      .     .      .       +       +       0      0      .      +      0",
    "callback":  ".       .        .      .     .      .       0       0       0      0      .      +      0",
    "handled":   ".       .        .      .     .      .       .       .       .      .      +      +      0",
    "wrapped":   ".       .        .      .     .      .       .       .       .      .      .      +      0",
}  # fmt: skip
"""+ fits and says something new; 0 fits and says nothing new; . fits nowhere."""
CELLS = [
    (state, kind, sign) for state, row in TABLE.items() for kind, sign in zip(KINDS, row.split(), strict=True)
]  # fmt: skip


@pytest.mark.parametrize(("state", "kind", "sign"), CELLS)
def test_each_fact_in_each_state_does_what_the_table_says(state: str, kind: str, sign: str) -> None:
    before = live(story(*BEGINNINGS[state]))
    after = live(story(*BEGINNINGS[state], kind))
    assert (after.unmatched, sketch(after) != sketch(before)) == {
        "+": (0, True),
        "0": (0, False),
        ".": (1, False),
    }[sign]


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=12), st.data())
def test_a_fact_that_fits_nowhere_leaves_the_rest_of_the_life_as_it_was(
    kinds: list[str], data: st.DataObject
) -> None:
    facts = story(*kinds)
    life = Life()
    kept = []
    for each in facts:
        before = sketch(life)
        if life.take(each):
            kept.append(each)
        else:
            assert sketch(life) == before
    assert sketch(live(tuple(kept))) == sketch(live(facts)) == sketch(life)
    assert live(facts).unmatched == len(facts) - len(kept)


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=12))
def test_going_on_with_one_more_fact_is_the_same_as_living_it_all_again(kinds: list[str]) -> None:
    facts = story(*kinds)
    life = Life()
    for each in facts:
        life.unmatched += not life.take(each)
    assert (sketch(life), life.unmatched) == (sketch(live(facts)), live(facts).unmatched)


def test_facts_of_one_millisecond_are_taken_in_the_order_in_which_they_fit() -> None:
    together = [
        fact(kind, 5, a="bo" if kind == "answered" else "") for kind in ("queued", "answered", "ended")
    ]
    for order in permutations(together):
        life = Life()
        life.take_together(list(order))
        (visit,) = life.visits
        assert (visit.outcome, visit.left_ms, visit.ended_ms, life.unmatched) == ("answered", 5, 5, 0)


def test_a_caller_requeued_in_one_millisecond_leaves_before_queueing_again() -> None:
    facts = (fact("queued", 1), *sorted([fact("overflowed", 9, "timeout"), fact("queued", 9, "Support")]))
    first, second = live(facts).visits
    assert (first.outcome, first.overflow_reason, first.left_ms) == ("overflowed", "timeout", 9)
    assert (second.queue, second.queued_ms, second.outcome) == ("Support", 9, c.OPEN)


def test_the_first_sign_of_leaving_decides_when_and_the_better_explanation_how() -> None:
    (visit,) = live((fact("queued", 0), fact("abandoned", 7), fact("callback", 9))).visits
    assert (visit.outcome, visit.left_ms) == ("callback", 7)
    (visit,) = live((fact("queued", 0), fact("callback", 7), fact("overflowed", 9, "timeout"))).visits
    assert (visit.outcome, visit.left_ms) == ("callback", 7)


def test_a_visit_after_a_transfer_is_transferred_in_also_across_segment_ids() -> None:
    facts = (
        fact("queued", 0, segment="a"), fact("answered", 1, segment="a"), fact("transferred", 5, segment="a"),
        fact("queued", 5, "Support", segment="b"),
    )  # fmt: skip
    plain = tuple((at, kind, "", a, b) for at, kind, _, a, b in facts)
    for each in (facts, plain):
        first, second = live(tuple(sorted(each))).visits
        assert (first.transferred_out, second.transferred_in, first.transferred_in) == (True, True, False)


def test_an_open_hold_ends_with_the_conversation() -> None:
    (visit,) = live(story("queued", "answered", "held", "ended")).visits
    assert (visit.hold_ms, visit.ended_ms, visit.held_since) == (1000, 4000, -1)
