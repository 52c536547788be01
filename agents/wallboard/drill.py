"""What stands behind a queue's tile? All measures of all windows, the intervals of the day, and the contacts.

Refuses to know where they are kept and who may ask.
"""

import csv
import io

from msgspec import Struct

from agents.drill_store import Behind
from schemas.drill import DayInterval
from schemas.snapshots import Measures, QueueState
from streams.contact_list import MOST_LISTED
from streams.snapshot import queue_snapshot


class WaitingContact(Struct, frozen=True, gc=False):
    """A contact that waits; `id` is a pseudonym."""

    id: str
    queued_ms: int


class AbandonedContact(Struct, frozen=True, gc=False):
    """A contact that gave up; `id` is a pseudonym."""

    id: str
    queued_ms: int
    left_ms: int
    wait_s: float


class QueueAnswer(Struct, kw_only=True):
    """What stands behind the numbers of a queue and channel. Instants end in `_ms` (Unix epoch), `now` is the server's.

    `windows` is on the event basis, `arrival` and `intervals` on the arrival basis. `day_ms`: when the business day
    began; null while no worker has told. `listed_ms`: when the oldest list of contacts was made.
    """

    queue: str
    channel: str
    now: int
    published_ms: int
    windows: dict[str, Measures]
    arrival: dict[str, Measures]
    day_ms: int | None
    intervals: list[DayInterval]
    listed_ms: int | None
    waiting: list[WaitingContact]
    """Who waits longest first."""
    more_waiting: int
    """How many wait beyond those that are listed."""
    abandoned: list[AbandonedContact]
    """Who gave up last first."""


def answer(state: QueueState, behind: Behind, now_ms: int) -> QueueAnswer:
    """All there is to say of a queue and channel."""
    seen = queue_snapshot(state)
    day = behind.day
    return QueueAnswer(
        queue=state.queue,
        channel=state.channel,
        now=now_ms,
        published_ms=state.published_ms,
        windows=seen.windows,
        arrival=seen.arrival,
        day_ms=None if day is None else day.day_ms,
        intervals=[] if day is None else day.intervals,
        listed_ms=behind.listed_ms,
        waiting=[WaitingContact(*each) for each in behind.contacts.waiting],
        more_waiting=max(0, state.waiting - MOST_LISTED)
        if len(behind.contacts.waiting) >= MOST_LISTED
        else 0,
        abandoned=[
            AbandonedContact(contact, queued_ms, left_ms, (left_ms - queued_ms) / 1000)
            for contact, queued_ms, left_ms in behind.contacts.abandoned
        ],
    )


COLUMNS = tuple(name for name in DayInterval.__struct_fields__ if name != "start_ms")


def as_csv(intervals: list[DayInterval]) -> str:
    """The intervals as a table with a header; what does not exist is empty."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    for each in intervals:
        table.writerow(["" if (value := getattr(each, name)) is None else value for name in COLUMNS])
    return out.getvalue()
