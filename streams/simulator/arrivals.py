"""When do contacts arrive, and who is scheduled for that? The day's curve, hour by hour, and incidents.

Within an hour arrivals are a Poisson process of constant rate: it has no memory and may start anew each hour.
"""

from bisect import bisect_right
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from math import log
from zoneinfo import ZoneInfo

from msgspec import Struct

from streams.simulator.actors import Contact, Line
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.chats import Chats
from streams.simulator.floor import Floor
from streams.simulator.plan import Incident, Plan
from streams.simulator.record import Segment
from streams.simulator.staff import Staff

_HOUR_MS = 3_600_000
_FIRST_SIGN_ON_S = 2.0
_CUSTOMERS_PER_DAILY_CONTACT = 4
_REASONS = (
    "配送状況",
    "返品",
    "請求内容",
    "解約",
    "不具合",
    "order status",
    "invoice",
    "password",
    None,
    None,
)


class Stream(Struct, eq=False):
    """One source of contacts: for which lines, in which proportions, at which rate on the day's mean."""

    lines: list[Line]
    cumulated: list[float]
    per_ms: float
    until_ms: int | None = None


class Arrivals:
    """Makes contacts and hands them to the floor."""

    def __init__(
        self,
        plan: Plan,
        dice: Dice,
        agenda: Agenda,
        floor: Floor,
        staff: Staff,
        chats: Chats,
        zone: str,
        prefix: str,
    ) -> None:
        self._plan = plan
        self._dice = dice
        self._agenda = agenda
        self._floor = floor
        self._staff = staff
        self._chats = chats
        self._zone = ZoneInfo(zone)
        self._prefix = prefix
        self._customers = int(plan.contacts_per_s * 86_400 * _CUSTOMERS_PER_DAILY_CONTACT) + 1
        self._count = 0
        self._streams: list[Stream] = []
        self._level = 1.0
        self._hour_end_ms = 0

    def open(self, lines: list[Line], weights: list[float], now_ms: int) -> None:
        """Begin: contacts come to all lines in proportion to their weights; incidents go on the agenda."""
        if not lines:
            return
        self._streams.append(_stream(lines, weights, self._plan.contacts_per_s))
        for incident in self._plan.incidents:
            start = partial(self._strike, incident, lines, weights)
            self._agenda.at(now_ms + int(incident.after_s * 1000), start)
        self._hour(True, now_ms)

    def _hour(self, first: bool, now_ms: int) -> None:
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self._zone)
        into_hour_ms = (local.minute * 60 + local.second) * 1000 + now_ms % 1000
        self._hour_end_ms = now_ms - into_hour_ms + _HOUR_MS
        self._level = self._plan.level(local.hour)
        staff_level = max(self._level, self._plan.level(local.hour + 1)) / self._plan.peak()
        self._staff.staff_for(staff_level, _FIRST_SIGN_ON_S if first else None, now_ms)
        for stream in self._streams:
            self._next(stream, float(now_ms))
        self._agenda.at(self._hour_end_ms, partial(self._hour, False))

    def _strike(self, incident: Incident, lines: list[Line], weights: list[float], now_ms: int) -> None:
        self._staff.strike(incident, now_ms)
        hit = [i for i, line in enumerate(lines) if not incident.queues or line.name in incident.queues]
        end_ms = now_ms + int(incident.lasts_s * 1000)
        for i in hit:
            _change_talk(lines[i], incident.talk, now_ms)
            self._agenda.at(end_ms, partial(_change_talk, lines[i], 1 / incident.talk))
        share = sum(weights[i] for i in hit) / sum(weights)
        extra = self._plan.contacts_per_s * share * (incident.surge - 1.0)
        if extra > 0:
            stream = _stream([lines[i] for i in hit], [weights[i] for i in hit], extra)
            stream.until_ms = end_ms
            self._streams.append(stream)
            self._next(stream, float(now_ms))

    def _next(self, stream: Stream, after_ms: float) -> None:
        at_ms = after_ms - log(1.0 - self._dice.random()) / (stream.per_ms * self._level)
        if at_ms < self._hour_end_ms and (stream.until_ms is None or at_ms < stream.until_ms):
            self._agenda.at(int(at_ms), partial(self._arrive, stream, at_ms))

    def _arrive(self, stream: Stream, exact_ms: float, now_ms: int) -> None:
        draw = self._dice.random() * stream.cumulated[-1]
        line = stream.lines[bisect_right(stream.cumulated, draw)]
        contact = self._new_contact(line, now_ms)
        enter = partial(self._floor.enter, contact, line, False)
        if line.is_chat and self._dice.chance(self._plan.bot_share):
            self._chats.with_bot(contact, enter, now_ms)
        else:
            enter(now_ms)
        self._next(stream, exact_ms)

    def _new_contact(self, line: Line, now_ms: int) -> Contact:
        self._count += 1
        customer = None
        if self._dice.chance(self._plan.known_customers):
            customer = f"customer-{int(self._dice.random() * self._customers)}"
        reason = _REASONS[int(self._dice.random() * len(_REASONS))]
        before_queueing = Segment("", line.name, now_ms, now_ms)
        contact_id = f"{self._prefix}-{self._count}"
        return Contact(contact_id, line.topic, customer, reason, line, before_queueing)


def _change_talk(line: Line, factor: float, _now_ms: int) -> None:
    line.talk *= factor


def _stream(lines: list[Line], weights: list[float], per_s: float) -> Stream:
    return Stream(lines, list(accumulate(weights)), per_s / 1000)
