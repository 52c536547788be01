"""Does every record and row have one home, the same one for producers and both stages?"""

from hypothesis import given
from hypothesis import strategies as st

from schemas.partials import SITE_ROW, RowPartial, agents_row, home_of, queue_row, row_parts, team_row
from streams.routing import Router, owner, partition_of, topic_of

NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: "\x1f" not in name and not any(0xD800 <= ord(c) < 0xE000 for c in name)
)


def test_a_key_lies_where_librdkafka_puts_it() -> None:
    assert [partition_of(key, 7) for key in ("123456789", "料金", "")] == [
        0xCBF43926 % 7,
        partition_of("料金", 7),
        0,
    ]


@given(NAMES, st.integers(1, 20))
def test_every_home_has_exactly_one_owner(name: str, partitions: int) -> None:
    assert sum(owner(p, partitions)(name) for p in range(partitions)) == 1


@given(NAMES, st.integers(1, 20))
def test_all_rows_of_a_queue_live_together(name: str, partitions: int) -> None:
    router = Router(partitions)
    homes = {router.of(row) for row in (queue_row(name, "voice"), queue_row(name, "chat"), agents_row(name))}
    assert homes == {partition_of(name, partitions)}
    assert router.of(queue_row(name, "voice")) == partition_of(home_of(queue_row(name, "voice")), partitions)


@given(st.lists(NAMES, max_size=20, unique=True))
def test_rows_are_divided_without_loss(names: list[str]) -> None:
    rows = [RowPartial(queue_row(name, "voice"), []) for name in names]
    divided = Router(3).divide(rows)
    assert sorted(row.row for part in divided.values() for row in part) == sorted(row.row for row in rows)


def test_rows_say_what_they_are() -> None:
    assert row_parts(queue_row("Sales", "chat")) == ["q", "Sales", "chat"]
    assert [row_parts(row)[0] for row in (agents_row("Sales"), team_row("Nord"), SITE_ROW)] == ["a", "t", "s"]


def test_agents_states_go_to_presence_and_everything_else_to_calls() -> None:
    assert [topic_of(kind) for kind in ("agent.state", "contact.queued", "chat.message")] == [
        "presence",
        "calls",
        "calls",
    ]
