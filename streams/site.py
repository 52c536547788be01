"""What has been promised, per queue? The targets, limits and calendars every fold is given. Frozen data, no I/O.

Source of the defaults: definitions.md (X = 20 s voice, 60 s chat; target 80 %; short abandon 5 s; silent chat 5 min).
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from schemas.counts import DEFAULT_EDGES_S
from streams.hours import ALWAYS, Hours, is_open
from streams.journeys.policy import JourneyPolicy

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class AlertLimits(NamedTuple):
    """Beyond which values a queue is worth an alert: waits in seconds, shares 0-1. None: not judged on its channel."""

    longest_wait_s: float
    expected_wait_s: float
    abandonment: float
    callback_wait_s: float
    first_response_s: float | None
    silent_abandonment: float | None


class QueuePolicy(Struct, frozen=True, gc=False, kw_only=True):
    """What one queue promises and how its contacts are judged.

    `answer_within_s` is X, inclusive. `target` is the share (0-1) to be answered within X. `reap_after_s`: a contact
    without any event for longer is counted as lost. `zone`, `day_starts_at` ("HH:MM") and `hours` default to the
    site's, `owner` (who is told of its alerts) to the team; `alert_*`: see `alert_limits`.
    """

    channel: str = "voice"
    answer_within_s: float = 20.0
    target: float = 0.8
    short_abandon_s: float = 5.0
    silent_after_s: float = 300.0
    reap_after_s: float = 7200.0
    zone: str | None = None
    day_starts_at: str | None = None
    team: str | None = None
    owner: str | None = None
    hours: Hours | None = None
    alert_longest_wait_s: float | None = None
    alert_expected_wait_s: float | None = None
    alert_abandonment: float = 0.1
    alert_callback_wait_s: float = 3600.0
    alert_first_response_s: float | None = None
    alert_silent_abandonment: float = 0.1

    def alert_limits(self) -> AlertLimits:
        """The limits for alerts: waits default to three times X, a first response to twice X."""
        x_s, is_chat = self.answer_within_s, self.channel == "chat"
        return AlertLimits(
            longest_wait_s=self.alert_longest_wait_s or 3 * x_s,
            expected_wait_s=self.alert_expected_wait_s or 3 * x_s,
            abandonment=self.alert_abandonment,
            callback_wait_s=self.alert_callback_wait_s,
            first_response_s=(self.alert_first_response_s or 2 * x_s) if is_chat else None,
            silent_abandonment=self.alert_silent_abandonment if is_chat else None,
        )


CHANNEL_POLICIES: dict[str, QueuePolicy] = {
    "voice": QueuePolicy(),
    "chat": QueuePolicy(channel="chat", answer_within_s=60.0, reap_after_s=24 * 3600.0),
    "email": QueuePolicy(channel="email", answer_within_s=4 * 3600.0, reap_after_s=7 * 86400.0),
    "form": QueuePolicy(channel="form", answer_within_s=4 * 3600.0, reap_after_s=7 * 86400.0),
    "sns": QueuePolicy(channel="sns", answer_within_s=600.0, reap_after_s=2 * 86400.0),
    "video": QueuePolicy(channel="video"),
}


class Limits(Struct, frozen=True, gc=False, kw_only=True):
    """Bounds that keep state finite. Times in ms.

    `keep_ms`: how long panes accept corrections (later events are `late_dropped`). `agent_lost_ms`: an agent without
    sign of life for longer is `lost`. `max_queues`: names a shard admits besides the configured ones. `max_contacts`:
    finished contacts a shard remembers; beyond it the oldest go and events before them are `late_dropped`.
    """

    keep_ms: int = 26 * HOUR_MS
    agent_lost_ms: int = 15 * MINUTE_MS
    max_queues: int = 1000
    max_agents: int = 20_000
    max_contacts: int = 1_000_000
    max_events_per_contact: int = 2000
    max_record_bytes: int = 256 * 1024
    ahead_ms: int = 10 * MINUTE_MS
    """How far an event may lie ahead of the clock before it is refused."""


class Site(Struct, frozen=True, kw_only=True):
    """One contact centre: its name, calendar and queues."""

    name: str = "default"
    zone: str = "UTC"
    day_starts_at: str = "00:00"
    hours: Hours = ALWAYS
    queue_defaults: dict[str, QueuePolicy] = msgspec.field(default_factory=lambda: dict(CHANNEL_POLICIES))
    queues: dict[str, QueuePolicy] = msgspec.field(default_factory=dict)
    limits: Limits = Limits()
    journeys: JourneyPolicy = JourneyPolicy()

    def policy(self, queue: str, channel: str) -> QueuePolicy:
        """The policy of a queue: its own, else the default of the channel."""
        own = self.queues.get(queue)
        if own is not None and own.channel == channel:
            return own
        return (
            self.queue_defaults.get(channel) or CHANNEL_POLICIES.get(channel) or QueuePolicy(channel=channel)
        )

    def edges_ms(self) -> tuple[int, ...]:
        """Upper edges of the wait histograms in ms, the same for all queues: the defaults, every X and every
        short-abandon threshold in use.
        """
        policies = [*CHANNEL_POLICIES.values(), *self.queue_defaults.values(), *self.queues.values()]
        in_use = {round(p.answer_within_s * 1000) for p in policies}
        in_use |= {round(p.short_abandon_s * 1000) for p in policies if p.short_abandon_s > 0}
        return tuple(sorted(in_use | {s * 1000 for s in DEFAULT_EDGES_S}))

    def is_open(self, at_ms: int, queue: str = "") -> bool:
        """Whether the site, or a queue, is open at an instant (Unix ms)."""
        own = self.queues.get(queue)
        hours = own.hours if own is not None else None
        return is_open(self.hours if hours is None else hours, self._zone(queue), at_ms)

    def _zone(self, queue: str) -> str:
        own = self.queues.get(queue)
        return (own.zone if own else None) or self.zone

    def calendar(self, queue: str) -> "Calendar":
        """The business day of a queue."""
        own = self.queues.get(queue)
        zone = self._zone(queue)
        starts = (own.day_starts_at if own else None) or self.day_starts_at
        return calendar(zone, starts)


class Calendar:
    """Where business days begin, in one zone. Days have 23, 24 or 25 hours."""

    def __init__(self, zone: str, day_starts_at: str) -> None:
        self.zone = ZoneInfo(zone)
        hour, minute = day_starts_at.split(":")
        self.hour, self.minute = int(hour), int(minute)
        self._start_ms = 0
        self._end_ms = 0

    def day_bounds_ms(self, at_ms: int) -> tuple[int, int]:
        """Start (inclusive) and end (exclusive) of the business day that holds `at_ms`, in Unix ms."""
        if not self._start_ms <= at_ms < self._end_ms:
            self._start_ms, self._end_ms = self._find(at_ms)
        return self._start_ms, self._end_ms

    def bounds_of(self, day: str) -> tuple[int, int]:
        """The same of a business day by its date (YYYY-MM-DD)."""
        return self.day_bounds_ms(self._start_of(date.fromisoformat(day)))

    def day_of(self, at_ms: int) -> str:
        """The date (YYYY-MM-DD) on which the business day of `at_ms` began."""
        start_ms, _ = self.day_bounds_ms(at_ms)
        return self.local_iso(start_ms)[:10]

    def local_iso(self, at_ms: int) -> str:
        """`at_ms` as ISO 8601 with the zone's offset."""
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone).isoformat()

    def _find(self, at_ms: int) -> tuple[int, int]:
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone)
        starts = [self._start_of((local + timedelta(days=offset)).date()) for offset in (-2, -1, 0, 1, 2)]
        last = max(i for i, start in enumerate(starts) if start <= at_ms)
        return starts[last], starts[last + 1]

    def _start_of(self, day: date) -> int:
        start = datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=self.zone)
        return int(start.timestamp() * 1000)


@lru_cache(maxsize=256)
def calendar(zone: str, day_starts_at: str) -> Calendar:
    """The calendar of a zone and starting hour (shared: it only memoises the day it was last asked for)."""
    return Calendar(zone, day_starts_at)


def histogram_bucket(edges_ms: tuple[int, ...], wait_ms: int) -> int:
    """Index of the bucket that holds `wait_ms`; edges are inclusive upper bounds (`wait <= edge`)."""
    return bisect_left(edges_ms, wait_ms)
