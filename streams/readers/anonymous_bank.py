"""The call log of an Israeli bank, 1999 ("Anonymous Bank", Technion SEELab): one tab-separated row a call.

The queue is the call type; a call that did not wait queues and is answered at `vru_exit`; it leaves the queue `q_time`
after it queued and its service lasts `ser_time`. Clock times have no date of their own: one more than 12 h before
`vru_entry` is on the next day. Source: Brown et al., Statistical Analysis of a Telephone Call Center, JASA 100 (2005).

Nor do they have an offset. When clocks go forward (2 April 1999, 2:00 becomes 3:00), a time in the hour that is left
out is as long after the change: 2:30 is 3:30. When they go back (3 September, 2:00 becomes 1:00), a time in the hour
that comes twice is in the first of the two.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from schemas import events as e
from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import InputError, Reason
from schemas.topics import CALLS
from streams.driver import Item
from streams.site import CHANNEL_POLICIES, HOUR_MS, Limits, QueuePolicy, Site

ZONE = ZoneInfo("Asia/Jerusalem")
TYPES = ("PS", "NW", "NE", "TT", "IN", "PE")
_PATIENT = QueuePolicy(reap_after_s=2 * 86_400.0)
"""Nothing is said of a call while it waits or is served, and the log knows how both ended: none is ever lost."""
SITE = Site(
    name="anonymous-bank",
    zone="Asia/Jerusalem",
    queue_defaults=CHANNEL_POLICIES | {"voice": _PATIENT},
    queues=dict.fromkeys(TYPES, _PATIENT),
    # A wait and a service of up to a day each: the end still counts in the interval the call was queued in.
    limits=Limits(keep_ms=49 * HOUR_MS),
)
NAMES = (
    "vru+line", "call_id", "customer_id", "priority", "type", "date", "vru_entry", "vru_exit", "vru_time", "q_start",
    "q_exit", "q_time", "outcome", "ser_start", "ser_exit", "ser_time", "server",
)  # fmt: skip
"""The columns, in the order of a file that does not name them."""
_HALF_DAY_S = 12 * 3600
_encode = msgspec.json.Encoder().encode

_Call = list[tuple[datetime, int, e.CloudEvent]]


def read(lines: Iterable[bytes]) -> Iterator[Item | DeadLetter | None]:
    """Items in time order (the file is sorted by telephone line, so it is read whole first).

    Raises:
        InputError: the first line names columns, and one is missing, unknown or named twice.
    """
    timed: list[tuple[datetime, int, Item]] = []
    order: list[int] = []
    ids = _Ids()
    for number, line in enumerate(lines):
        text = line.decode("utf-8", "replace")
        if not text.strip():
            continue
        row = _cells(text)
        if not order:
            named = _named(row)
            order = named or list(range(len(NAMES)))
            if named:
                continue
        try:
            if len(row) != len(NAMES):
                raise ValueError(f"{len(row)} columns, expected {len(NAMES)}")
            events = _events_of([row[at] for at in order], ids)
        except (ValueError, OverflowError) as error:
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


def names_columns(line: bytes) -> bool:
    """True for a line that names columns: it is no record."""
    return _are_names([_plain(cell) for cell in _cells(line.decode("utf-8", "replace"))])


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.rstrip("\r\n").split("\t")]


def _are_names(words: list[str]) -> bool:
    return len(set(_PLAIN_NAMES) & set(words)) > 1


def _named(row: list[str]) -> list[int]:
    """Where each of `NAMES` stands in a line of names; empty: the line is a call.

    Case, blanks and + _ - do not matter. Where all names that are known stand in their documented places, so do the
    others, however they are spelled.

    Raises:
        InputError: see `read`.
    """
    known = list(_PLAIN_NAMES)
    words = [_plain(cell) for cell in row]
    if not _are_names(words):
        return []
    if len(words) == len(known) and all(
        word == name or word not in known for word, name in zip(words, known, strict=True)
    ):
        return list(range(len(known)))
    for word, cell in zip(words, row, strict=True):
        if word not in known:
            raise InputError(f"anonymous-bank: unknown column {cell[:60]!r}, expected {', '.join(NAMES)}")
        if words.count(word) > 1:
            raise InputError(f"anonymous-bank: column {cell!r} is named twice")
    for word, name in zip(known, NAMES, strict=True):
        if word not in words:
            raise InputError(f"anonymous-bank: there is no column {name}")
    return [words.index(word) for word in known]


def _plain(name: str) -> str:
    return re.sub(r"[\s+_-]", "", name.lower())


_PLAIN_NAMES = tuple(map(_plain, NAMES))


class _Ids:
    """Ids of calls: their keys. A row that repeats a key with other cells is another call; the same row is not."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._calls: dict[str, int] = {}

    def of(self, key: str, row: list[str]) -> str:
        """The id of the call that a row with this key tells of."""
        text = "\t".join(row)
        known = self._known.get(text)
        if known is None:
            number = self._calls[key] = self._calls.get(key, 0) + 1
            known = self._known[text] = key if number == 1 else f"{key}#{number}"
        return known


def _events_of(row: list[str], ids: _Ids) -> _Call:
    """The events of one call, its cells in the order of `NAMES`; none when it was never offered to an agent.

    Raises:
        ValueError: a cell that is needed holds no time or number.
    """
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
    ) = row
    if outcome not in ("AGENT", "HANG", "PHANTOM"):
        raise ValueError(f"outcome {outcome!r}, expected AGENT, HANG or PHANTOM")
    if outcome == "PHANTOM":
        return []
    queued = _seconds(q_start) != 0  # no midnight: it did not queue
    if outcome == "HANG" and not queued:
        return []
    if not kind:
        raise ValueError("no call type")
    midnight = datetime.strptime(day, "%y%m%d")  # noqa: DTZ007  # local until `_instant`
    queued_at = _instant(midnight, q_start if queued else exit_, _seconds(entry))
    wait_s = int(q_time)
    service_s = int(ser_time) if outcome == "AGENT" else 0
    if wait_s < 0 or service_s < 0:
        raise ValueError(f"negative duration: q_time {q_time}, ser_time {ser_time}")
    left_at = queued_at + timedelta(seconds=wait_s)
    contact = ids.of(f"{day}/{line}/{call_id}", row)
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
    """Second of the day of a clock time H:MM:SS; 0 alone is 0:00:00."""
    if clock == "0":
        return 0
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 60):
        raise ValueError(f"{clock!r} is no time of the day")
    return hours * 3600 + minutes * 60 + seconds


def _instant(midnight: datetime, clock: str, entry_s: int) -> datetime:
    second = _seconds(clock)
    days = 1 if second < entry_s - _HALF_DAY_S else 0
    local = midnight + timedelta(days=days, seconds=second)
    return local.replace(tzinfo=ZONE).astimezone(UTC)
