"""Who comes to the simulated web site? Customers with one or more browsers, shared browsers, and people unknown.

Refuses to know what they do there. Every customer is the same each time it is asked for: nothing is stored but who was
here lately.
"""

from collections import deque

from msgspec import Struct

from streams.simulator.agenda import Dice
from streams.simulator.web_dice import any_of, dice_of, pseudonym, weighted
from streams.simulator.web_plan import WebPlan

_LATELY = 200
_SECOND_BROWSER = 0.4


class Person(Struct, frozen=True):
    """Somebody in front of one browser. `customer_id` None: no customer. `link`: see `web_plan.LINKS`.

    `shared`: others use this browser, too, so that people log out.
    """

    visitor_id: str
    customer_id: str | None
    known: bool
    link: str
    shared: bool = False


class People:
    """All who might come, from the plan and a seed."""

    def __init__(self, plan: WebPlan, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._customers = plan.customers()
        self._lately: deque[Person] = deque(maxlen=_LATELY)
        self._strangers = 0

    def comes(self, dice: Dice) -> Person:
        """Whose session begins."""
        if self._lately and dice.chance(self._plan.returning):
            return any_of(dice, self._lately)
        if dice.chance(self._plan.anonymous):
            self._strangers += 1
            visitor_id = pseudonym("v1_", self._seed, "stranger", self._strangers)
            person = Person(visitor_id, None, dice.chance(0.3), "never")
        else:
            person = self.customer(int(dice.random() * self._customers), dice)
        self._lately.append(person)
        return person

    def customer(self, number: int, dice: Dice) -> Person:
        """A customer at one of their browsers."""
        plan, seed = self._plan, self._seed
        own = dice_of(seed, "customer", number)
        known, more = own.chance(plan.known), own.chance(plan.more_browsers)
        link = weighted(own, plan.links)
        browser = 1 if more and dice.chance(_SECOND_BROWSER) else 0
        owner = number - 1 if self._borrows(number) and browser == 0 else number
        shared = browser == 0 and (owner != number or self._borrows(number + 1))
        visitor_id = pseudonym("v1_", seed, "browser", owner, browser)
        if shared and link == "remembered":
            link = "early"
        return Person(visitor_id, pseudonym("c1_", seed, "customer", number), known, link, shared)

    def _borrows(self, number: int) -> bool:
        """Every second customer may use the browser of the one before."""
        return number % 2 == 1 and dice_of(self._seed, "shares", number).chance(2 * self._plan.shared)
