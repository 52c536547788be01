"""How many people come to the simulated web site, and what kind of people? All dials as one frozen struct.

The world is meant to be realistic, not easy. Of a hundred sessions of people on the default site and plan six or seven
get stuck: three of them contact (half of those within five minutes, nearly all within half an hour), one or two find
help on the site, two leave in silence. One more contacts for a reason that no page gave. Of nearly half of those
contacts no link between visitor and customer is ever known. Trouble is everywhere: scripts fail, people fill in fields
twice, tap for fun, read for long and go in circles without ever wanting to contact anybody.
"""

import msgspec
from msgspec import Struct

from streams.simulator.plan import DAY_CURVE

LINKS: tuple[tuple[str, float], ...] = (
    ("remembered", 0.4), ("early", 0.2), ("late", 0.18), ("at_contact", 0.08), ("never", 0.14),
)  # fmt: skip
"""When it becomes known which customer a visitor is: at once (still logged in), after a login at the beginning, at the
first page that asks for it, only by the contact (call token, chat), or not at all."""


class WebPlan(Struct, frozen=True, kw_only=True):
    """All dials. Shares are 0-1, times in seconds; `*_s` of a distribution is its mean."""

    sessions_per_day: float = 6000.0
    """New sessions of people, averaged over a day; returns come on top."""
    flat: bool = False
    """The same rate at every hour, instead of `curve`: a demo has life whenever it starts."""
    curve: tuple[float, ...] = DAY_CURVE

    customers_per_session: float = 3.0
    """Size of the pool of customers, as a multiple of the sessions of a day."""
    anonymous: float = 0.35
    """Sessions by people who are no customers (yet)."""
    returning: float = 0.2
    """Sessions by somebody who was here lately, for no reason."""
    more_browsers: float = 0.3
    """Customers who use a second browser, too, in two sessions of five."""
    shared: float = 0.04
    """Customers who use the browser of another one."""
    known: float = 0.9
    """Customers whom the contact centre recognises."""
    links: tuple[tuple[str, float], ...] = LINKS

    stuck: float = 1.0
    """Multiplies the causes' shares of views that get a visitor stuck."""
    retry: float = 0.3
    """Silent leavers who come back for the same page some hours later."""
    lead_s: float = 420.0
    """From the last stay on the causing page until the contact (log-normal)."""
    lead_sigma: float = 0.8
    looks_up: float = 0.7
    """People about to contact who look at a contact or announcing page before."""
    intends: float = 0.008
    """Sessions by people who only come to contact; no page is to blame."""
    other_contacts: float = 0.015
    """Contacts per session by people who need no web site for it; half of them are its customers all the same."""

    noise: float = 1.0
    """Multiplies errors, dead clicks, form errors, rage and zero-hit searches that mean nothing."""
    double_tabs: float = 0.08
    """Sessions with a page in a second tab."""
    bots: float = 0.04
    """Sessions by robots, per session of a person. Half of them say so."""

    offer_effect: float = 0.0
    """Probability that a shown offer prevents the contact, if it was still to come."""
    accepts: float = 0.4
    declines: float = 0.3
    """Shares of shown offers; the rest is ignored."""

    def level(self, hour: int) -> float:
        """Sessions in a local hour relative to the day's mean."""
        if self.flat:
            return 1.0
        return self.curve[hour % len(self.curve)] * len(self.curve) / sum(self.curve)

    def customers(self) -> int:
        """Size of the pool of customers."""
        return int(self.sessions_per_day * self.customers_per_session) + 10

    def at_rate(self, sessions_per_day: float) -> "WebPlan":
        """The same plan with another number of sessions."""
        return msgspec.structs.replace(self, sessions_per_day=sessions_per_day)


WEB_DEMO = WebPlan(sessions_per_day=40_000.0, flat=True, stuck=2.0, lead_s=240.0, customers_per_session=0.3)
"""Alive within minutes: about one session in two seconds, three visitors a minute get stuck, two contact."""
