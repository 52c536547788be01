"""How do a simulated contact centre and its web site feed a real pipeline? In real time, with the truth beside it."""

import time
from collections.abc import Callable, Iterator
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from agents.feed import Feed
from agents.wall_clock import wall_ms
from schemas.errors import InputError
from schemas.events import AnyEvent
from schemas.snapshots import encode_json
from schemas.topics import SOURCES, WEB
from schemas.web_events import WebEvent
from streams.driver import Item
from streams.simulator import Plan, Simulation, encode, with_events_per_s
from streams.simulator.web import WebSimulation
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_shop import default_web_site
from streams.site import Site
from streams.truth import Truth

if TYPE_CHECKING:
    from agents.settings import Settings

_CHUNK_MS = 50
_ENDLESS_MS = 7 * 86_400_000
_HEARTBEAT_MS = 5000
_TELL_MS = 1000


AnySent = tuple[str, str, AnyEvent | WebEvent]
"""Topic, key, event."""


class Together:
    """A contact centre and its web site: what both send, in time order.

    `before` is called before each event is given out: offers to visitors may change what is still to come.
    """

    def __init__(
        self,
        centre: Simulation | None,
        web: WebSimulation | None,
        before: Callable[[WebSimulation], None] = lambda web: None,
    ) -> None:
        self._centre = centre
        self._web = web
        self._before = before

    def events(self, from_ms: int, to_ms: int) -> Iterator[AnySent]:
        """(topic, key, event) for from_ms <= time < to_ms."""
        parts: list[Iterator[AnySent]] = []
        if self._centre is not None:
            parts.append(iter(self._centre.events(from_ms, to_ms)))
        if self._web is not None:
            parts.append(self._web_events(self._web, from_ms, to_ms))
        return merge(*parts, key=lambda sent: sent[2].time)

    def _web_events(self, web: WebSimulation, from_ms: int, to_ms: int) -> Iterator[AnySent]:
        for sent in web.events(from_ms, to_ms):
            yield sent
            self._before(web)


def feed_live(
    feed: Feed,
    simulation: "Simulation | Together",
    seconds: float | None,
    stopped: Callable[[], bool],
    on_sent: Callable[[int], None] = lambda sent: None,
    warm_up_s: float = 0.0,
) -> tuple[int, int]:
    """Send simulated events at the moment they happen, until `seconds` are over or `stopped` says so.

    Args:
        on_sent: told every second of event time how many records were sent.
        warm_up_s: how much of the past is sent at once before, so that there is something to see.

    Returns:
        From when to when events were simulated, in Unix ms.
    """
    start_ms = wall_ms() - round(warm_up_s * 1000)
    end_ms = start_ms + (_ENDLESS_MS if seconds is None else round((seconds + warm_up_s) * 1000))
    beat_ms = told_ms = 0
    last_ms = start_ms
    for topic, key, event in simulation.events(start_ms, end_ms):
        at_ms = round(event.time.timestamp() * 1000)
        while (ahead_ms := at_ms - wall_ms()) > 0:
            if stopped():
                break
            time.sleep(min(_CHUNK_MS, ahead_ms) / 1000)
        if stopped():
            break
        feed.send(Item(topic, key, encode(event)))
        last_ms = at_ms
        if at_ms >= beat_ms + _HEARTBEAT_MS:
            beat_ms = at_ms
            feed.beat(at_ms)
        if at_ms >= told_ms + _TELL_MS:
            told_ms = at_ms
            on_sent(feed.sent)
    feed.flush()
    return start_ms, last_ms


def plan_for(site: Site, rate: float) -> Plan:
    """A plan that makes about `rate` events per second on this site, the same at every hour."""
    return with_events_per_s(site, Plan(flat=True, callback_after_s=1200.0), rate)


def web_plan_for(rate: float) -> WebPlan:
    """A plan that makes about `rate` events of the web site per second, the same at every hour."""
    tried = WebPlan(flat=True, sessions_per_day=24_000.0)
    hours = 2
    seen = WebSimulation(default_web_site(), tried, 0, keep_truth=False).events(0, hours * 3_600_000)
    settled = sum(topic == WEB and event.time.hour >= 1 for topic, _, event in seen) / 3600
    return tried.at_rate(tried.sessions_per_day * rate / settled)


def run_simulation(
    settings: "Settings",
    rate: float,
    seed: int,
    seconds: float | None,
    truth: Path | None,
    on_sent: Callable[[int], None] = lambda sent: None,
    stopped: Callable[[], bool] = lambda: False,
    web_rate: float = 0.0,
) -> int:
    """Feed Kafka from a simulated centre; write what the numbers must be to `truth`; return the exit code.

    Args:
        web_rate: events per second of its web site; the contacts it causes come on top. Not with `truth`.

    Raises:
        InputError: the rate is not positive, or the truth was asked for without an end.
    """
    if rate <= 0:
        raise InputError(f"rate {rate}: expected events per second above 0")
    if web_rate < 0:
        raise InputError(f"web rate {web_rate}: expected events per second, 0 for no web site")
    if web_rate and truth is not None:
        raise InputError(
            "the truth is of the contact centre alone: not with a web site, which causes contacts"
        )
    simulation = Simulation(settings.site, plan_for(settings.site, rate), seed, keep_record=truth is not None)
    web = None
    if web_rate:
        web = WebSimulation(default_web_site(), web_plan_for(web_rate), seed, keep_truth=False)
    feed = Feed(settings, replay=False, topics=(*SOURCES, WEB) if web else SOURCES)
    try:
        feed_live(feed, Together(simulation, web), seconds, stopped, on_sent)
    finally:
        if truth is not None and seconds is not None:
            truth.write_bytes(encode_json(Truth(settings.site, simulation.record).report(1800)))
    return 0
