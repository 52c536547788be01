"""What would a contact centre send? Typed events in time order, from nothing but site, plan, seed and span.

Refuses to know the clock, files and brokers; sleeping until an event is due is left to whoever takes it.
"""

from collections.abc import Iterator

import msgspec

from schemas.errors import SettingsError
from schemas.events import CHANNELS
from streams.simulator.actors import Agent, Line
from streams.simulator.agenda import Agenda, Dice
from streams.simulator.arrivals import Arrivals
from streams.simulator.calls import Calls
from streams.simulator.chats import Chats
from streams.simulator.floor import Floor
from streams.simulator.outbox import Outbox, Sent
from streams.simulator.plan import Plan
from streams.simulator.record import Record, Signs
from streams.simulator.service import Service
from streams.simulator.staff import Staff
from streams.simulator.staffing import agents_per_queue, channels, weights
from streams.site import Site

encode = msgspec.json.Encoder().encode
"""An event as CloudEvents structured JSON, `time` in RFC 3339 with "Z"."""

_NEIGHBOURS = 3
_GAP_SHARE_OF_REAPER = 0.9


class Simulation:
    """A contact centre that has not opened yet. The same arguments make the same events."""

    def __init__(self, site: Site, plan: Plan, seed: int, keep_record: bool = True) -> None:
        """`keep_record`: False for a run without end, whose record would grow for ever."""
        unknown = {name for incident in plan.incidents for name in incident.queues} - set(site.queues)
        if unknown:
            raise SettingsError(f"incidents of the plan: expected queues of the site, saw {sorted(unknown)}")
        self.site = site
        self.plan = plan
        self.seed = seed
        self.record: Record | None = None
        """What was decided in the newest run; `streams.truth.Truth` reads it once all events were taken."""
        self._keep_record = keep_record

    def events(self, from_ms: int, to_ms: int) -> Iterator[Sent]:
        """(topic, key, event) for from_ms <= time < to_ms, in time order; opens anew each time it is called.

        A shorter span gives the beginning of a longer one.
        """
        agenda, outbox = Agenda(), Outbox(f"s{self.seed}.{from_ms // 1000:x}", self.plan.segment_ids)
        record = Record(from_ms, to_ms, tuple(self.site.queues)[: self.plan.queues])
        if self._keep_record:
            self.record = record
        self._open(agenda, outbox, record, from_ms)
        waiting_to_go = outbox.events
        while (due := agenda.next_before(to_ms)) is not None:
            now_ms, deed = due
            deed(now_ms)
            if waiting_to_go:
                yield from waiting_to_go
                waiting_to_go.clear()
        record.events = outbox.count
        record.complete = True

    def _open(self, agenda: Agenda, outbox: Outbox, record: Record, from_ms: int) -> None:
        """Wire the parts and let the first deeds happen."""
        site, plan, dice = self.site, self.plan, Dice(self.seed)
        lines = _lines(site, plan)
        homes = _agents(site, plan, lines, self.seed)
        record.agents = [agent.signs for home in homes for agent in home]
        staff = Staff(plan, dice, agenda, outbox, homes)
        staff.limit_silence(site.limits.agent_lost_ms)
        staff.keep_signs = self._keep_record
        floor = Floor(plan, dice, agenda, outbox, staff, record if self._keep_record else None)
        staff.when_free = floor.feed
        service = Service(plan, dice, agenda, outbox, staff, floor)
        chats = Chats(plan, dice, agenda, outbox, service)
        floor.conversations = {False: Calls(plan, dice, agenda, outbox, service), True: chats}
        prefix = f"c{self.seed}.{from_ms // 1000:x}"
        arrivals = Arrivals(plan, dice, agenda, floor, staff, chats, site.zone, prefix)
        staff.open(from_ms)
        arrivals.open(lines, weights(len(lines)), from_ms)


def _lines(site: Site, plan: Plan) -> list[Line]:
    """The queues that get contacts. Neighbours take transfers and overflow, and share agents and channel."""
    kinds = channels(site, plan)
    lines = []
    for number, (name, kind) in enumerate(zip(site.queues, kinds, strict=False)):
        policy = site.queues[name]
        channel = next((c for c in CHANNELS if c == kind), None)
        if channel is None:
            raise SettingsError(f"queue {name!r}: expected a channel of {CHANNELS}, saw {kind!r}")
        overflows = int((number + 1) * plan.overflow_share) > int(number * plan.overflow_share)
        longest_gap_ms = int(policy.reap_after_s * 1000 * _GAP_SHARE_OF_REAPER)
        lines.append(Line(name, policy, channel, overflows, longest_gap_ms))
    for kind in dict.fromkeys(kinds):
        alike = [line for line in lines if line.channel == kind]
        for place, line in enumerate(alike):
            steps = range(1, 1 + min(_NEIGHBOURS, len(alike) - 1))
            line.neighbours = [alike[(place + step) % len(alike)] for step in steps]
    return lines


def _agents(site: Site, plan: Plan, lines: list[Line], seed: int) -> list[list[Agent]]:
    """The agents at home in each line; every third serves one other line as well, every third two."""
    homes: list[list[Agent]] = []
    number = 0
    for line, count in zip(lines, agents_per_queue(site, plan), strict=True):
        home = []
        for rank in range(count):
            number += 1
            served = (line, *line.neighbours[: (rank + 1) % 3])
            queues = tuple(each.name for each in served)
            signs = Signs(f"agent-{seed}-{number}", line.policy.team or line.name, queues)
            home.append(Agent(signs.agent_id, served, plan.chat_capacity if line.is_chat else 1, signs))
        homes.append(home)
    return homes
