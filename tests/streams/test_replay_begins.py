"""A worker that lives by the wall clock is told that a replay of the past begins."""

from datetime import UTC, datetime

import msgspec

from schemas import events as e
from schemas.counts import OFFERED
from schemas.partials import Kind, queue_row
from schemas.topics import CALLS, PRESENCE
from streams.contact_fold import ContactFold
from streams.driver import Stored
from streams.presence_fold import PresenceFold
from streams.site import Site

NOW_MS = 1_772_442_000_000
PAST = datetime(1999, 2, 1, 9, 0, tzinfo=UTC)


def stored(*events: e.AnyEvent) -> list[Stored]:
    return [Stored(n, msgspec.json.encode(event)) for n, event in enumerate(events)]


def beat() -> e.PipelineHeartbeat:
    return e.PipelineHeartbeat(id="b", source="t", time=PAST, data=e.Heartbeat(clock="event"))


def test_its_first_events_count_though_they_are_too_old_by_the_wall_clock() -> None:
    fold = ContactFold(Site(), CALLS, 0)
    fold.settle(NOW_MS)
    queued = e.ContactQueued(id="q", source="t", time=PAST, data=e.Queued("c", queue="Sales"))
    assert not fold.apply(stored(beat(), queued), NOW_MS)
    fold.settle(NOW_MS)
    panes = fold.shard.row(queue_row("Sales", "voice")).panes
    for kind in (Kind.EVENT_PANE, Kind.ARRIVAL_MINUTE):
        assert [pane[OFFERED] for pane in panes[kind].values()] == [1], kind


def test_agents_who_are_there_say_nothing_new_while_no_time_passes() -> None:
    fold = PresenceFold(Site(), PRESENCE, 0)
    fold.settle(NOW_MS)
    sign = e.AgentState(
        id="a", source="t", time=PAST, data=e.AgentPresence("ann", "available", queues=("Sales",))
    )
    assert not fold.apply(stored(beat(), sign), NOW_MS)
    fold.settle(NOW_MS)
    assert any(batch.rows for batch in fold.flush())
    fold.settle(NOW_MS + 60_000)
    assert not any(batch.rows for batch in fold.flush())
