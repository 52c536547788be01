"""How does a simulated contact centre feed a real pipeline? In real time, with the truth written beside it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agents.feed import Feed
from schemas.errors import InputError
from schemas.snapshots import encode_json
from streams.driver import Item
from streams.simulator import Plan, Simulation, encode, with_events_per_s
from streams.site import Site
from streams.truth import Truth

if TYPE_CHECKING:
    from agents.settings import Settings

_CHUNK_MS = 50
_ENDLESS_MS = 7 * 86_400_000
_HEARTBEAT_MS = 5000


def feed_live(
    feed: Feed,
    simulation: Simulation,
    seconds: float | None,
    stopped: Callable[[], bool],
    on_sent: Callable[[int], None] = lambda sent: None,
    warm_up_s: float = 0.0,
) -> tuple[int, int]:
    """Send simulated events at the moment they happen, until `seconds` are over or `stopped` says so.

    Args:
        warm_up_s: how much of the past is sent at once before, so that there is something to see.

    Returns:
        From when to when events were simulated, in Unix ms.
    """
    start_ms = _now_ms() - round(warm_up_s * 1000)
    end_ms = start_ms + (_ENDLESS_MS if seconds is None else round((seconds + warm_up_s) * 1000))
    beat_ms = 0
    last_ms = start_ms
    for topic, key, event in simulation.events(start_ms, end_ms):
        at_ms = round(event.time.timestamp() * 1000)
        while (ahead_ms := at_ms - _now_ms()) > 0:
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
            on_sent(feed.sent)
    feed.flush()
    return start_ms, last_ms


def plan_for(site: Site, rate: float) -> Plan:
    """A plan that makes about `rate` events per second on this site, the same at every hour."""
    return with_events_per_s(site, Plan(flat=True), rate)


def run_simulation(
    settings: "Settings",
    rate: float,
    seed: int,
    seconds: float | None,
    truth: Path | None,
    on_sent: Callable[[int], None] = lambda sent: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Feed Kafka from a simulated centre; write what the numbers must be to `truth`; return the exit code.

    Raises:
        InputError: the rate is not positive, or the truth was asked for without an end.
    """
    if rate <= 0:
        raise InputError(f"rate {rate}: expected events per second above 0")
    simulation = Simulation(settings.site, plan_for(settings.site, rate), seed, keep_record=truth is not None)
    feed = Feed(settings, replay=False)
    try:
        feed_live(feed, simulation, seconds, stopped, on_sent)
    finally:
        if truth is not None and seconds is not None:
            truth.write_bytes(encode_json(Truth(settings.site, simulation.record).report(1800)))
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
