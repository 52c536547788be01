"""How did the agents spend their time, and in which state are they at the end? Told from their signs of life.

Busy: contacts in hand or wrapping up. Available: waiting for one. Breaks are neither. An agent silent for
longer than the limit is lost from the limit on, but one who signed off stays offline. Concurrency is over the time
with at least one contact: wrap-up with empty hands is busy, and not part of it.
"""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from schemas.events import AGENT_STATES
from streams.simulator.record import STATES, Record, Signs
from streams.truth.measures import AgentTimes, ratio


class Period(Struct, gc=False):
    """A stretch of one agent's time between two signs of life, or after the last."""

    state: str
    contacts: int
    length_ms: int


def agent_times(record: Record, agent_lost_ms: int) -> AgentTimes:
    """The site's agents, once each, up to the end of the simulated time."""
    spent = dict.fromkeys(("busy", "wrap_up", "available", "break", "lost"), 0)
    contact_ms = in_contact_ms = 0
    for signs in record.agents:
        if not signs.at_ms:
            continue  # the shift has not begun
        for period in _periods(signs, record.to_ms, agent_lost_ms):
            kind = _kind(period)
            if kind is not None:
                spent[kind] += period.length_ms
                in_hand = period.contacts or (kind == "busy")
                contact_ms += in_hand * period.length_ms
                in_contact_ms += period.length_ms if in_hand else 0
    busy_ms = spent["busy"] + spent["wrap_up"]
    return {
        "busy_s": busy_ms / 1000,
        "wrapping_s": spent["wrap_up"] / 1000,
        "available_s": spent["available"] / 1000,
        "break_s": spent["break"] / 1000,
        "lost_s": spent["lost"] / 1000,
        "occupancy": ratio(busy_ms, busy_ms + spent["available"]),
        "concurrency": ratio(contact_ms, in_contact_ms),
        "agents": count_states(record.agents, record.to_ms, agent_lost_ms),
    }


def count_states(agents: list[Signs], until_ms: int, agent_lost_ms: int) -> dict[str, int]:
    """Agents by state at a moment; those never heard of are not there at all."""
    counts = Counter(
        state for signs in agents for state in [state_at_end(signs, until_ms, agent_lost_ms)] if state
    )
    return {state: counts[state] for state in AGENT_STATES}


def state_at_end(signs: Signs, until_ms: int, agent_lost_ms: int) -> str | None:
    """The agent's state at the end; None if there never was a sign of life."""
    if not signs.at_ms:
        return None
    state = STATES[signs.states[-1]]
    return "lost" if state != "offline" and until_ms - signs.at_ms[-1] >= agent_lost_ms else state


def _kind(period: Period) -> str | None:
    """Which sum the period belongs to; time offline belongs to none."""
    if period.state in ("lost", "wrap_up"):
        return period.state
    if period.contacts or period.state == "busy":
        return "busy"
    return None if period.state == "offline" else period.state


def _periods(signs: Signs, until_ms: int, agent_lost_ms: int) -> Iterator[Period]:
    ends = [*signs.at_ms[1:], until_ms]
    for at_ms, end_ms, number, contacts in zip(signs.at_ms, ends, signs.states, signs.contacts, strict=True):
        silent_from_ms = min(end_ms, at_ms + agent_lost_ms)
        yield Period(STATES[number], contacts, silent_from_ms - at_ms)
        if end_ms > silent_from_ms:
            yield Period("offline" if STATES[number] == "offline" else "lost", 0, end_ms - silent_from_ms)
