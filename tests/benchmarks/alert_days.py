"""Which days do alerts have to judge? Healthy ones with their noise, and days on which something goes wrong at 10:00.

Every day is one voice queue of one volume, open from 9:00 to 18:00, with X = 20 s and a target of 80 %. Staffed so that
about 90 % are answered within X when nothing is wrong, and staffed evenly: whoever takes a break is relieved; and no
event is lost: a contact that left without a word would wait for two hours. What is left is the noise of arrivals and of handling times, and that is enough: in a queue one late answer brings the next.
Refuses to know alerts.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import NamedTuple

from schemas.metrics import PREFIX, QUEUE_METRICS
from streams.simulator import Incident, Plan, Sent, Simulation
from streams.site import QueuePolicy, Site
from tests.prometheus.history import Span, Worker, dated

STEP_S = 15
OPENS_MS = 1_790_812_800_000
"""2026-10-01 09:00 in Tokyo: every day is this one, under a name of its own."""
_STRIKES_S = 3600
_INCIDENT_S = 2 * 3600
_HEALTHY_S = 9 * 3600
_CREEPS, _CREEP_EVERY_S = 5, 900
STRIKES_MS = OPENS_MS + _STRIKES_S * 1000
INCIDENT_ENDS_MS = STRIKES_MS + _INCIDENT_S * 1000
CLOSES_MS = OPENS_MS + _HEALTHY_S * 1000
HEALTHY = "healthy"
_NEVER_S = 1e9
WINDOWS = ("5m", "15m", "30m")
"""The windows that alerts look at."""
NAMES = frozenset(
    [metric.name for metric in QUEUE_METRICS if not metric.name.startswith(PREFIX + "window_")]
    + [PREFIX + "agents"]
    + [f"{PREFIX}window_{base}_contacts" for base in ("answered", "abandoned")]
    + [
        f"{PREFIX}window_{variant}_{part}_contacts"
        for variant in ("sl_live", "sl_offered")
        for part in ("numerator", "denominator")
    ]
)
"""What is kept of a scrape: what alerts about a voice queue may read."""


class Volume(NamedTuple):
    """How many calls an hour, and who is there for them.

    `talk_s` makes up for agents being whole people. `creep`: by how much of the planned rate arrivals rise, five times
    within an hour, until the service level is about 65 %.
    """

    per_hour: int
    agents: int
    talk_s: float
    creep: float

    def __str__(self) -> str:
        return f"{self.per_hour:,}"


VOLUMES = (
    Volume(20, 3, 160.0, 0.25),
    Volume(60, 7, 190.0, 0.15),
    Volume(300, 24, 190.0, 0.055),
    Volume(1200, 83, 190.0, 0.03),
)
KINDS = ("unstaffed", "half leave", "arrivals double", "calls longer", "slow fall")
"""Everybody is gone (or calls go to a queue that nobody serves); half of the agents leave; twice the calls; calls take
half as long again; the service level sinks to 65 % within an hour."""


def _incidents(kind: str, volume: Volume) -> tuple[Incident, ...]:
    def one(staff_leaves: float = 0.0, surge: float = 1.0, talk: float = 1.0, late_s: int = 0) -> Incident:
        return Incident(
            after_s=_STRIKES_S + late_s,
            lasts_s=_INCIDENT_S - late_s,
            staff_leaves=staff_leaves,
            surge=surge,
            talk=talk,
        )

    match kind:
        case "unstaffed":
            return (one(staff_leaves=1.0),)
        case "half leave":
            return (one(staff_leaves=0.5),)
        case "arrivals double":
            return (one(surge=2.0),)
        case "calls longer":
            return (one(talk=1.5),)
        case "slow fall":
            return tuple(one(surge=1 + volume.creep, late_s=_CREEP_EVERY_S * n) for n in range(_CREEPS))
        case _:
            return ()


class Day(NamedTuple):
    """One day. `kind` is `HEALTHY` or one of `KINDS`."""

    number: int
    volume: Volume
    kind: str

    @property
    def queue(self) -> str:
        """The name of its queue, which no other day has."""
        return f"day {self.number}"

    @property
    def span(self) -> Span:
        """The instants at which it is scraped."""
        return Span(OPENS_MS, CLOSES_MS if self.kind == HEALTHY else INCIDENT_ENDS_MS, STEP_S)

    def events(self) -> Iterator[Sent]:
        """What its contact centre sends, in time order."""
        plan = Plan(
            contacts_per_s=self.volume.per_hour / 3600,
            flat=True,
            agents=self.volume.agents,
            talk_s=self.volume.talk_s,
            break_every_s=_NEVER_S,
            client_deaths_per_day=0.0,
            lost_leaves=0.0,
            lost_ends=0.0,
            incidents=_incidents(self.kind, self.volume),
        )
        simulation = Simulation(_site(self), plan, seed=self.number, keep_record=False)
        return simulation.events(OPENS_MS, self.span.to_ms)


def _site(*days: Day) -> Site:
    return Site(name="days", zone="Asia/Tokyo", queues={day.queue: QueuePolicy() for day in days})


def samples(days: Sequence[Day]) -> Iterator[str]:
    """What a worker answers to every scrape of these days, as OpenMetrics with times: the metrics of `NAMES`.

    The days have one span, and so the worker has all their queues at once: of each it says what it would say without
    the others, for less.
    """
    (span,) = {day.span for day in days}
    events = merge(*(day.events() for day in days), key=lambda sent: sent[2].time)
    worker = Worker(_site(*days), events, windows=WINDOWS, with_truth=False)
    return dated(worker, span.instants(), NAMES, f'instance="{days[0].queue}",job="queuelight"')


def days(count: int) -> list[Day]:
    """So many days: of each volume as many healthy ones as others, those of all kinds in turn."""
    made = []
    for number in range(count):
        turn, place = divmod(number, len(VOLUMES))
        pair, is_other = divmod(turn, 2)
        made.append(Day(number, VOLUMES[place], KINDS[pair % len(KINDS)] if is_other else HEALTHY))
    return made
