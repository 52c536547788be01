"""How should the simulated contact centre behave? All its dials as one frozen struct.

Refuses to know how many people that takes (`streams.simulator.staffing`) and what happens then.
"""

import msgspec
from msgspec import Struct

DAY_CURVE: tuple[float, ...] = (
    0.12, 0.08, 0.06, 0.05, 0.06, 0.1, 0.2, 0.4, 0.8, 1.6, 2.1, 2.05,
    1.7, 1.8, 1.95, 1.9, 1.8, 1.7, 1.4, 1.15, 0.9, 0.65, 0.4, 0.22,
)  # fmt: skip
"""Arrivals by local hour, relative to each other: a contact centre in Japan on a weekday."""


class Incident(Struct, frozen=True, kw_only=True):
    """Something goes wrong for a while. `queues` empty: everywhere.

    `staff_leaves` is the share (0-1) of the queues' agents that go offline as soon as their hands are empty;
    `surge` multiplies the arrivals (1 = as planned, 3 = three times as many). `talk` multiplies how long the talk of
    calls answered meanwhile takes (1.5 = half as long again).
    """

    after_s: float
    lasts_s: float
    staff_leaves: float = 0.0
    surge: float = 1.0
    talk: float = 1.0
    queues: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """All dials. Shares are 0-1 and times in seconds; `*_s` of a distribution is its mean."""

    contacts_per_s: float = 0.25
    """New contacts per second, over all queues, averaged over a day."""
    queues: int | None = None
    """How many of the site's queues get contacts and agents, in the site's order; None: all of them."""
    flat: bool = False
    """The same rate and staff at every hour, instead of `curve`: a demo has life whenever it starts."""
    curve: tuple[float, ...] = DAY_CURVE
    load: float = 0.82
    """Work offered / work the staff on duty can do, breaks considered."""
    agents: int | None = None
    """Agents at the busiest hour; None: as many as `load` asks for."""

    talk_s: float = 190.0
    hold_share: float = 0.18
    hold_s: float = 35.0
    wrap_s: float = 25.0
    ring_s: float = 4.0
    ring_timeout_s: float = 18.0
    decline_share: float = 0.02
    patience_s: float = 170.0
    short_share: float = 0.015
    """Contacts that hang up within the short-abandon threshold unless they are answered before."""
    transfer_share: float = 0.06
    overflow_share: float = 0.5
    """Queues that send contacts elsewhere after `overflow_after_s`, or away when there is nowhere else."""
    overflow_after_s: float = 240.0
    key_press_share: float = 0.01
    callback_share: float = 0.15
    """Callers that take the offer of a callback, if they wait long enough to hear it."""
    callback_after_s: float = 0.0
    """They are called back, that is queued again, after a fifth of this or up to nine fifths; 0: never."""

    chat_capacity: int = 3
    chat_patience_s: float = 420.0
    chat_turns: float = 3.5
    """Messages of the agent per chat, on average, beyond the first."""
    chat_think_s: float = 24.0
    """How long customer and agent each take to write."""
    silent_share: float = 0.02
    """Chats in which the customer's last message stays unanswered, decided per customer message."""
    bot_share: float = 0.2
    """Chats that begin with a bot, before they are queued."""

    lost_ends: float = 0.001
    """Answered contacts whose `contact.ended` (and wrap-up) never comes."""
    lost_leaves: float = 0.0005
    """Waiting contacts that leave without any event."""
    known_customers: float = 0.85
    segment_ids: bool = True
    """Send the source's own id of each visit."""

    heartbeat_s: float = 240.0
    break_every_s: float = 5400.0
    break_s: float = 600.0
    client_deaths_per_day: float = 0.05
    """How often an agent's client dies, per agent and day: no more signs until the agent logs in again."""
    incidents: tuple[Incident, ...] = ()

    def level(self, hour: int) -> float:
        """Arrivals in a local hour relative to the day's mean."""
        if self.flat:
            return 1.0
        return self.curve[hour % len(self.curve)] * len(self.curve) / sum(self.curve)

    def peak(self) -> float:
        """The greatest level of the day."""
        return max(self.level(hour) for hour in range(len(self.curve)))

    def at_rate(self, contacts_per_s: float) -> "Plan":
        """The same plan with another mean rate of contacts."""
        return msgspec.structs.replace(self, contacts_per_s=contacts_per_s)


DEMO = Plan(
    flat=True,
    contacts_per_s=0.35,
    load=0.87,
    callback_after_s=1200.0,
    lost_leaves=0.0,
    client_deaths_per_day=0.5,
)
"""Eight queues or so, alive at every hour."""
