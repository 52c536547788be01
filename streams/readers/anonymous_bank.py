"""The call log of an Israeli bank, 1999 ("Anonymous Bank", Technion SEELab): one tab-separated row a call.

The queue is the call type; a call that did not wait queues and is answered at `vru_exit`; it leaves the queue `q_time`
after it queued and its service lasts `ser_time`. Clock times have no date of their own: one more than 12 h before
`vru_entry` is on the next day. Source: Brown et al., Statistical Analysis of a Telephone Call Center, JASA 100 (2005).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from schemas import events as e
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from schemas.topics import CALLS
from streams.driver import Item
from streams.site import QueuePolicy, Site

ZONE = ZoneInfo("Asia/Jerusalem")
TYPES = ("PS", "NW", "NE", "TT", "IN", "PE")
SITE = Site(name="anonymous-bank", zone="Asia/Jerusalem", queues={t: QueuePolicy() for t in TYPES})
COLUMNS = 17
_HALF_DAY_S = 12 * 3600
_NOT_QUEUED = "0:00:00"
_encode = msgspec.json.Encoder().encode

_Call = list[tuple[datetime, int, e.CloudEvent]]


def read(lines: Iterable[bytes]) -> Iterator[Item | DeadLetter | None]:
    """Items in time order (the file is sorted by telephone line, so it is read whole first)."""
    timed: list[tuple[datetime, int, Item]] = []
    for number, line in enumerate(lines):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text.strip() or (number == 0 and text.startswith("vru")):
            continue
        try:
            events = _events_of(text.split("\t"))
        except (ValueError, IndexError, OverflowError) as error:
            detail = f"line {number + 1}: {error}"
            yield dead_letter(Reason.UNREADABLE_ROW, detail, "anonymous-bank", 0, number, line)
            continue
        if not events:
            yield None
            continue
        key = str(events[0][2].subject)
        timed.extend((at, len(timed), Item(CALLS, key, _encode(event))) for at, _, event in events)
    timed.sort(key=lambda each: each[0])
    for _, _, item in timed:
        yield item


def _events_of(row: list[str]) -> _Call:
    """The events of one call; none when it was never offered to an agent.

    Raises:
        ValueError: a column is missing or holds no time or number.
    """
    if len(row) != COLUMNS:
        raise ValueError(f"{len(row)} columns, expected {COLUMNS}")
    (
        line,
        call_id,
        customer,
        _,
        kind,
        day,
        entry,
        exit_,
        _,
        q_start,
        _,
        q_time,
        outcome,
        _,
        _,
        ser_time,
        server,
    ) = (value.strip() for value in row)
    if outcome not in ("AGENT", "HANG", "PHANTOM"):
        raise ValueError(f"outcome {outcome!r}, expected AGENT, HANG or PHANTOM")
    queued = q_start != _NOT_QUEUED
    if outcome == "PHANTOM" or (outcome == "HANG" and not queued):
        return []
    if not kind:
        raise ValueError("no call type")
    midnight = datetime.strptime(day, "%y%m%d")  # noqa: DTZ007  # local until `_instant`
    queued_at = _instant(midnight, q_start if queued else exit_, _seconds(entry))
    wait_s, service_s = int(q_time), int(ser_time)
    if wait_s < 0 or service_s < 0:
        raise ValueError(f"negative duration: q_time {q_time}, ser_time {ser_time}")
    left_at = queued_at + timedelta(seconds=wait_s)
    contact = f"{day}/{line}/{call_id}"
    customer_id = None if customer in ("", "0") else customer

    def head(step: str, at: datetime) -> dict[str, object]:
        return {"id": f"{contact}/{step}", "source": "anonymous-bank", "time": at, "subject": contact}

    start = e.Queued(contact_id=contact, queue=kind, channel="voice", customer_id=customer_id)
    out: _Call = [(queued_at, 0, e.ContactQueued(**head("queued", queued_at), data=start))]  # type: ignore[arg-type]
    if outcome == "HANG":
        ref = e.ContactRef(contact_id=contact)
        out.append((left_at, 1, e.ContactAbandoned(**head("abandoned", left_at), data=ref)))  # type: ignore[arg-type]
        return out
    agent_id = None if server in ("", "NO_SERVER") else server
    by = e.ByAgent(contact_id=contact, agent_id=agent_id)
    done = e.Finished(contact_id=contact, agent_id=agent_id)
    ended_at = left_at + timedelta(seconds=service_s)
    out.append((left_at, 1, e.ContactAnswered(**head("answered", left_at), data=by)))  # type: ignore[arg-type]
    out.append((ended_at, 2, e.ContactEnded(**head("ended", ended_at), data=done)))  # type: ignore[arg-type]
    return out


def _seconds(clock: str) -> int:
    """Second of the day of a clock time H:MM:SS."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 60):
        raise ValueError(f"{clock!r} is no time of the day")
    return hours * 3600 + minutes * 60 + seconds


def _instant(midnight: datetime, clock: str, entry_s: int) -> datetime:
    second = _seconds(clock)
    days = 1 if second < entry_s - _HALF_DAY_S else 0
    local = midnight + timedelta(days=days, seconds=second)
    return local.replace(tzinfo=ZONE).astimezone(UTC)
