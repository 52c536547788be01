"""What might a worker have published? Row states for tests that need rows, not their history."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, structs

from schemas.counts import ABANDONED_FROM, ABANDONED_WAIT_MS, ANSWERED_FROM, ANSWERED_WAIT_MS, OFFERED
from schemas.snapshots import WINDOWS, GroupSnapshot, QueueState
from streams.kpi import measures, with_x

SITE = "wall"
PANE = {
    OFFERED: 10, ANSWERED_FROM + 5_000: 8, ABANDONED_FROM + 30_000: 2, ANSWERED_WAIT_MS: 32_000,
    ABANDONED_WAIT_MS: 58_000,
}  # fmt: skip
"""Ten were offered, eight answered within 5 s (4 s on average), two abandoned after half a minute."""


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def rings_of(panes: Mapping[str, dict[int, int]]) -> dict[str, Raw]:
    """What each window has that the next shorter one lacks, as it is published."""
    return {window: Raw(msgspec.json.encode(pane)) for window, pane in panes.items()}


def in_every_window(pane: dict[int, int]) -> dict[str, Raw]:
    """The same counts in every window, judged by an X of 20 s."""
    judged = with_x(pane, 20_000, 5_000)
    return rings_of({window: judged if window in ("1m", "day") else {} for window in (*WINDOWS, "day")})


def queue_of(name: str, channel: str = "voice", **changed: Any) -> QueueState:
    """A queue of which every window holds `PANE`, published now."""
    rings = in_every_window(PANE)
    at_ms = now_ms()
    made = QueueState(
        site=SITE, queue=name, channel=channel, as_of_ms=at_ms, published_ms=at_ms, epoch=1, position=1,
        waiting=0, at_risk=0, oldest_waiting_ms=None, in_service=0, agents={}, answer_within_s=20.0, target=0.8,
        event=rings, arrival=rings, time={}, day_longest_wait_ms=None, day_queue_length_max=0,
        day_queue_length_area_ms=0, trend=[0] * 30, edges_s=[],
    )  # fmt: skip
    return structs.replace(made, **changed)


def site_of(**changed: Any) -> GroupSnapshot:
    """The site's own row, published now."""
    at_ms = now_ms()
    made = GroupSnapshot(
        site=SITE, group="site", name=SITE, as_of_ms=at_ms, published_ms=at_ms, epoch=1, position=1,
        agents={"available": 3}, windows=dict.fromkeys([*WINDOWS, "day"], measures({})), trend=[0] * 30,
    )  # fmt: skip
    return structs.replace(made, **changed)
