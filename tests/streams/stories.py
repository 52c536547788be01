"""Random lives of contacts and agents, sensible and absurd, as records and as arrivals in any order."""

import random
from typing import NamedTuple

from hypothesis import strategies as st

from streams.site import Limits, QueuePolicy, Site
from tests.streams.bench import BASE, HOUR, MINUTE, event, rfc3339

SITE = Site(
    name="bench",
    zone="Europe/Berlin",
    queues={
        "Sales": QueuePolicy(reap_after_s=600.0, short_abandon_s=5.0),
        "料金": QueuePolicy(
            channel="chat", answer_within_s=60.0, silent_after_s=120.0, reap_after_s=900.0, team="東京"
        ),
    },
    limits=Limits(agent_lost_ms=4 * MINUTE),
)
END = BASE + HOUR
LATEST = END - 5 * MINUTE

_NEXT = {
    "none": ("queued",),
    "waiting": ("offered", "declined", "answered", "answered", "answered", "abandoned", "callback_requested", "overflowed",
                "queued", "ended", "message"),
    "handling": ("held", "resumed", "transferred", "ended", "ended", "message", "message", "queued"),
    "left": ("callback_requested", "overflowed", "queued", "ended", "abandoned", "wrapped", "message"),
}  # fmt: skip
_KINDS = sorted({kind for kinds in _NEXT.values() for kind in kinds})
_AFTER = {
    "queued": "waiting", "answered": "handling", "abandoned": "left", "callback_requested": "left",
    "overflowed": "left", "transferred": "left", "ended": "left",
}  # fmt: skip
_PAUSES_MS = (0, 0, 1, 25, 1000, 4999, 5000, 20_000, 20_001, 61_000, 130_000, 400_000, 700_000)


class Told(NamedTuple):
    """One record and when it happened."""

    at_ms: int
    value: bytes


class Play(NamedTuple):
    """The same records in order, and as they arrive, with what happens to the worker in between."""

    in_order: list[bytes]
    arriving: list[bytes]
    repeated: int
    actions: list[tuple[str, int]]


@st.composite
def lives(draw: st.DrawFn, number: int) -> list[Told]:
    """One contact's events, in the order of time; several may share a millisecond."""
    dice = draw(st.randoms(use_true_random=False))
    ids = draw(st.sampled_from(("none", "visit", "some")))
    at_ms = BASE + draw(st.integers(0, 20)) * 97_000
    state, visit = "none", 0
    out = []
    for _ in range(draw(st.integers(1, 12))):
        at_ms = min(LATEST, at_ms + dice.choice(_PAUSES_MS))
        kind = dice.choice(_KINDS) if dice.random() < 0.15 else dice.choice(_NEXT[state])
        visit += kind == "queued"
        named = ids == "visit" or (ids == "some" and dice.random() < 0.5)
        where = {"contact_id": f"c{number}", "segment_id": f"v{visit}" if named else None}
        out.append(Told(at_ms, _event(kind, at_ms, where, dice)))
        state = _AFTER.get(kind, state)
    return out


def _event(kind: str, at_ms: int, where: dict[str, str | None], dice: random.Random) -> bytes:
    if kind == "message":
        return event("chat.message", at_ms, **where, by=dice.choice(("customer", "agent", "bot")))
    extra: dict[str, str] = {}
    if kind == "queued":
        queue = dice.choice(("Sales", "料金", "New"))
        extra = {"queue": queue, "channel": "chat" if queue == "料金" else "voice"}
    elif kind in ("offered", "declined", "answered", "ended", "wrapped"):
        extra = {"agent_id": dice.choice(("ann", "bo"))}
    elif kind == "overflowed":
        extra = {"reason": dice.choice(("timeout", "key_press"))}
    return event(f"contact.{kind}", at_ms, **where, **extra)


@st.composite
def signs(draw: st.DrawFn, number: int) -> list[Told]:
    """One agent's signs of life; the state may have begun before it was told."""
    dice = draw(st.randoms(use_true_random=False))
    at_ms = BASE + draw(st.integers(0, 10)) * 61_000
    since_ms = at_ms
    out = []
    for _ in range(draw(st.integers(1, 12))):
        at_ms = min(LATEST, at_ms + dice.choice(_PAUSES_MS))
        if dice.random() < 0.6:
            since_ms = at_ms - dice.choice((0, 0, 0, 3, 20_000))
        said: dict[str, object] = {
            "agent_id": f"a{number}",
            "state": dice.choice(("available", "busy", "wrap_up", "break", "offline")),
            "queues": dice.choice((["Sales"], ["Sales", "料金"], [], ["New", "料金"])),
            "team": dice.choice((None, "東京", "Nord")),
            "contacts": dice.choice((0, 0, 1, 3)),
        }
        if dice.random() < 0.7:
            said["since"] = rfc3339(since_ms)
        out.append(Told(at_ms, event("agent.state", at_ms, **said)))
    return out


_WORKER = ("settle", "tell", "merge", "checkpoint", "crash", "checkpoint_queues", "crash_queues")


@st.composite
def plays(draw: st.DrawFn, of: str) -> Play:
    """A few lives, told in order and in disorder."""
    make = lives if of == "contacts" else signs
    told = [each for number in range(draw(st.integers(1, 4))) for each in draw(make(number))]
    told.sort(key=lambda each: each.at_ms)
    in_order = [each.value for each in told]
    dice = draw(st.randoms(use_true_random=False))
    repeated = [value for value in in_order if dice.random() < 0.25]
    arriving = in_order + repeated
    if draw(st.booleans()):
        dice.shuffle(arriving)
    else:
        arriving.sort(key=lambda value: in_order.index(value) + dice.uniform(0, 4))
    actions = [
        ("run", dice.randint(1, 6)) if dice.random() < 0.5 else (dice.choice(_WORKER), 0)
        for _ in range(draw(st.integers(0, 25)))
    ]
    return Play(in_order, arriving, len(repeated), actions)
