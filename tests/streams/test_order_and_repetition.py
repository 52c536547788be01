"""Do the numbers depend on luck? On order, repetition, runs, the moments of telling, crashes: they must not."""

import msgspec
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from schemas.topics import CALLS, PRESENCE
from streams.fold import BUCKETS
from tests.streams.bench import MINUTE, Bench, Entries, assert_same_numbers, differences, dumped
from tests.streams.stories import END, SITE, Play, plays

TOPICS = {"contacts": CALLS, "agents": PRESENCE}


def undisturbed(play: Play, topic: str) -> Bench:
    """Every event in order, alone and at once, and no accident."""
    bench = Bench(SITE, play.in_order, topic)
    for _ in play.in_order:
        bench.run(1)
        bench.tell()
        bench.merge()
    bench.finish(END)
    return bench


def disturbed(play: Play, topic: str, *, event_clock: bool = True) -> Bench:
    bench = Bench(SITE, play.arriving, topic, event_clock=event_clock)
    if not event_clock:
        bench.now_ms = END - MINUTE
    bench.play(play.actions)
    bench.finish(END)
    return bench


def unmatched_and_lost(bench: Bench) -> tuple[int, int]:
    return bench.fold.truth.unmatched, bench.fold.truth.lost


def without_seen(entries: Entries) -> dict[object, object]:
    """Stored stage 2 rows without the time of their last sign of life, which is only stored now and then."""
    return {key: msgspec.msgpack.decode(v)[1:] if key[0] == "r" else v for key, v in entries.items()}


@given(plays("contacts"))
def test_contacts_count_the_same_in_any_order_repeated_and_with_workers_dying(play: Play) -> None:
    note(f"{play.actions}")
    calm, wild = undisturbed(play, CALLS), disturbed(play, CALLS)
    assert_same_numbers(calm, wild)
    assert unmatched_and_lost(calm) == unmatched_and_lost(wild)
    assert calm.fold.truth.duplicates + play.repeated == wild.fold.truth.duplicates
    assert calm.fold.truth.records + play.repeated == wild.fold.truth.records


@given(plays("agents"))
def test_agents_count_the_same_in_any_order_repeated_and_with_workers_dying(play: Play) -> None:
    note(f"{play.actions}")
    assert_same_numbers(undisturbed(play, PRESENCE), disturbed(play, PRESENCE))


@pytest.mark.parametrize("of", ["contacts", "agents"])
def test_the_wall_clock_of_the_worker_decides_nothing_but_now(of: str) -> None:
    @given(plays(of))
    def check(play: Play) -> None:
        assert_same_numbers(undisturbed(play, TOPICS[of]), disturbed(play, TOPICS[of], event_clock=False))

    check()


@pytest.mark.parametrize("of", ["contacts", "agents"])
def test_a_checkpoint_told_only_of_changes_equals_a_whole_dump(of: str) -> None:
    @given(plays(of))
    def check(play: Play) -> None:
        bench = Bench(SITE, play.arriving, TOPICS[of])
        for name, count in [*play.actions, ("checkpoint", 0), ("checkpoint_queues", 0)]:
            bench.play([(name, count)]) if name == "run" else getattr(bench, name)()
        assert not differences(dict(bench.store.entries), dict(dumped(bench.fold)))
        assert not differences(without_seen(bench.queue_store.entries), without_seen(dumped(bench.queues)))

    check()


@given(plays("contacts"))
def test_a_fold_loaded_from_a_dump_dumps_the_same_again(play: Play) -> None:
    bench = disturbed(play, CALLS)
    once = dumped(bench.fold)
    again = Bench(SITE)
    again.fold.load(list(once.items()))
    assert dumped(again.fold) == once
    assert all(not again.fold.dump(b) or b < BUCKETS for b in range(BUCKETS))


@given(plays("contacts"), st.integers(0, 40))
def test_what_a_paused_worker_tells_after_it_was_replaced_changes_nothing(
    play: Play, paused_after: int
) -> None:
    calm = undisturbed(play, CALLS)
    bench = Bench(SITE, play.arriving, CALLS)
    bench.run(paused_after)
    bench.checkpoint()
    bench.merge()
    at = bench.position
    zombie_fold, zombie_teller = bench.crash()
    bench.tell()
    bench.merge()
    bench.play()
    bench.finish(END)
    rest = Bench(SITE, play.arriving[at:], CALLS)
    rest.fold, rest.teller = zombie_fold, zombie_teller
    rest.play()
    rest.finish(END)
    bench.partials += rest.partials
    assert rest.partials
    bench.merge()
    assert_same_numbers(calm, bench)


@given(plays("contacts"))
def test_a_worker_that_starts_from_nothing_and_reads_all_again_takes_back_what_another_told(
    play: Play,
) -> None:
    bench = Bench(SITE, play.arriving, CALLS)
    bench.play(play.actions)
    bench.tell()
    bench.store.entries.clear()
    bench.store.position = 0
    bench.crash()
    bench.tell()
    bench.play()
    bench.finish(END)
    assert_same_numbers(undisturbed(play, CALLS), bench)
