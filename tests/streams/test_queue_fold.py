"""What does stage 2 make of owners that come and go, and of its own restarts in between?"""

import msgspec

from schemas.partials import (
    INTERVAL_MS,
    SITE_ROW,
    Kind,
    Partial,
    RowPartial,
    SourceTruth,
    decode_partial,
    encode_partial,
    queue_row,
)
from schemas.snapshots import QueueSnapshot
from schemas.topics import CALLS, PARTIALS, PRESENCE
from streams.driver import Stored
from streams.merged_row import MergedRow
from streams.queue_fold import QueueFold
from streams.rows import Pane
from streams.site import QueuePolicy, Site
from tests.streams.bench import BASE, DAY, MINUTE, SECOND, Bench, assert_same_numbers, dumped, event

SITE = Site(queues={"Sales": QueuePolicy(), "Support": QueuePolicy()})


def calls(*steps: tuple[str, int, str]) -> list[bytes]:
    """(kind, seconds, contact); everyone queues for Sales, but for contacts whose name begins with u: Support."""
    out = []
    for kind, at_s, contact in steps:
        queue = "Support" if contact.startswith("u") else "Sales"
        extra = {"queue": queue} if kind == "queued" else {}
        out.append(event(f"contact.{kind}", BASE + at_s * SECOND, contact_id=contact, **extra))
    return out


STORY = calls(
    ("queued", 0, "a"), ("queued", 5, "u1"), ("answered", 9, "a"), ("queued", 20, "b"), ("abandoned", 40, "u1"),
    ("queued", 50, "u2"), ("ended", 95, "a"),
)  # fmt: skip


def in_small_messages(value: bytes) -> list[bytes]:
    """A partial as a shard too large for one message would tell it: a row a message; the last one says `full`."""
    whole = decode_partial(value)
    parts = [[row] for row in whole.rows] or [[]]
    return [
        encode_partial(msgspec.structs.replace(whole, rows=part, full=whole.full and n == len(parts) - 1))
        for n, part in enumerate(parts)
    ]


def test_a_restart_of_stage_2_while_a_new_owner_still_tells_takes_back_what_the_old_one_told() -> None:
    """The new owner begins again from nothing; stage 2 dies after each of its messages in turn."""
    messages = 4
    for dies_after in range(messages):
        calm, bench = Bench(SITE, STORY), Bench(SITE, STORY)
        for each in (calm, bench):
            each.play()
            each.tell()
            each.merge()
        bench.crash()
        bench.run(3)
        bench.settle()
        told = [part for _, value in bench.teller.tell(3) for part in in_small_messages(value)]
        assert len(told) >= 3
        for place, value in enumerate(told):
            bench.partials.append(value)
            bench.merge()
            if place == dies_after:
                bench.checkpoint_queues()
                bench.crash_queues()
        bench.play()
        for each in (calm, bench):
            each.finish(BASE + 3 * MINUTE)
        assert_same_numbers(calm, bench)


def test_the_numbers_of_a_partition_that_has_no_owner_for_a_while_stay_as_they_were_told() -> None:
    bench = Bench(SITE, STORY)
    bench.play()
    bench.finish(BASE + 2 * MINUTE)
    before = bench.numbers()
    bench.crash()
    bench.merge()
    assert bench.numbers() == before


def test_partials_of_another_version_or_that_are_none_are_dead_letters_and_stop_nothing() -> None:
    bench = Bench(SITE, STORY)
    bench.play()
    bench.tell()
    good = bench.partials[0]
    other = encode_partial(msgspec.structs.replace(decode_partial(good), version=99))
    fold = QueueFold(SITE, PARTIALS, 0, owns=lambda home: True, event_clock=True)
    deep_row = RowPartial(SITE_ROW, [(0, 1, msgspec.Raw(b"\x91" * 100_000 + b"\xc0"))])
    deep = encode_partial(msgspec.structs.replace(decode_partial(good), rows=[deep_row]))
    bad = (b"", None, b"\xc1", good[:-3], other, deep)
    letters = fold.apply([Stored(n, v) for n, v in enumerate((*bad, good))], 0)
    assert [letter.offset for letter in letters] == list(range(len(bad)))
    assert fold.clock_ms == BASE + 95 * SECOND


def test_telling_the_same_partials_again_in_the_same_order_changes_nothing() -> None:
    bench = Bench(SITE, STORY)
    for _ in STORY:
        bench.run(1)
        bench.tell()
        bench.merge()
    bench.finish(BASE + 2 * MINUTE)
    before = bench.numbers()
    bench.partials += bench.partials
    bench.merge()
    assert bench.numbers() == before


def test_a_queue_nobody_calls_is_published_while_agents_serve_it_and_for_a_week_after() -> None:
    """Also where stage 2 was restarted in between."""
    signs = [
        event(
            "agent.state",
            BASE + day * DAY + n * 600 * SECOND,
            agent_id="ann",
            state="available",
            queues=["Rare"],
        )
        for day in range(9)
        for n in range(6)
    ]
    bench = Bench(SITE, signs, PRESENCE)

    def published() -> set[str]:
        snapshots = bench.queues.snapshots(0, 1, 0, everything=True)
        return {s.queue for s in snapshots if isinstance(s, QueueSnapshot)}

    for _ in signs:
        bench.run(1)
        bench.tell(everywhere=True)
        bench.checkpoint_queues()
        bench.crash_queues()
        bench.merge()
        assert published() == {"Rare", "Sales", "Support"}
    bench.finish(BASE + 15 * DAY)
    assert "Rare" in published()
    bench.finish(
        BASE + 24 * DAY
    )  # the agent was forgotten a week after the last sign, the queue a week after that
    assert published() == {"Sales", "Support"}
    assert not [key for key in dumped(bench.queues) if "Rare" in key]
    bench.checkpoint_queues()
    assert not [key for key in bench.queue_store.entries if "Rare" in key]


def test_a_wait_of_25_ms_into_a_pane_is_no_longest_wait() -> None:
    """25 is also the number of a slot: panes of queue length hold instants, not slots."""
    at_ms = BASE + 25
    told = [event("contact.queued", at_ms, contact_id="a", queue="Sales"), *STORY]
    bench = Bench(SITE, told)
    bench.play()
    bench.finish(BASE + 100 * SECOND)
    (board,) = (
        s for s in bench.queues.snapshots(0, 1, 0, everything=True) if getattr(s, "queue", "") == "Sales"
    )
    assert isinstance(board, QueueSnapshot)
    assert board.arrival["day"].queue_length_max == 1


def test_who_waited_and_left_in_another_minute_leaves_no_trace_of_the_oldest_wait() -> None:
    bench = Bench(SITE, calls(("queued", 0, "a"), ("queued", 70, "b"), ("answered", 80, "a")))
    for _ in range(3):
        bench.run(1)
        bench.tell()
        bench.merge()
    (board,) = (
        s for s in bench.queues.snapshots(0, 1, 0, everything=True) if getattr(s, "queue", "") == "Sales"
    )
    assert isinstance(board, QueueSnapshot)
    assert (board.waiting, board.oldest_waiting_ms) == (1, BASE + 70 * SECOND)


def test_a_source_that_lags_holds_the_clock_of_a_replay_back() -> None:
    fold = QueueFold(SITE, PARTIALS, 0, owns=lambda home: True, sources=2, event_clock=True)
    row = RowPartial(queue_row("Sales", "voice"), [])
    for partition, now_ms in ((0, BASE + 1000), (1, BASE + 100), (0, BASE + 5000)):
        fold._take(Partial(1, 1, CALLS, partition, 0, now_ms, [row], SourceTruth(), True, True))
    assert fold.clock_ms == BASE + 100


class Asked(dict[int, Pane]):
    """Panes that count how often one is asked for."""

    times = 0

    def __contains__(self, number: object) -> bool:
        self.times += 1
        return super().__contains__(number)


def test_a_source_weeks_ahead_of_the_others_makes_measuring_no_longer() -> None:
    """In a replay nothing keeps the partitions together: the net of what lies ahead must not be gathered anew."""

    def row(ahead_ms: int) -> tuple[MergedRow, Asked]:
        made = MergedRow(SITE_ROW, SITE.calendar(""), lambda counts, *, histogram: counts)
        waits = {0: 2}, {ahead_ms: 3}
        for source, changes in zip(("calls/0", "calls/1"), waits, strict=True):
            panes = [
                (
                    int(Kind.SITE_LENGTH_PANE),
                    (BASE + ms) // SECOND,
                    msgspec.Raw(msgspec.msgpack.encode({(BASE + ms) % SECOND: change})),
                )
                for ms, change in changes.items()
            ]
            made.take(source, RowPartial(SITE_ROW, panes, waiting=sum(changes.values())))
        asked = Asked(made.panes[Kind.SITE_LENGTH_PANE])
        made.panes = tuple(
            asked if kind == Kind.SITE_LENGTH_PANE else panes for kind, panes in enumerate(made.panes)
        )
        made.measure_lengths(BASE + MINUTE, DAY)
        return made, asked

    near, asked_near = row(20 * MINUTE)
    far, asked_far = row(30 * DAY)
    number = BASE // INTERVAL_MS
    assert far.lengths[number] == near.lengths[number]
    assert far.lengths[number].longest == 2
    assert asked_far.times == asked_near.times > 0
