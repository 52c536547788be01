"""Which of the pages before contacts cause them, and which only lie on the way? Told apart by what visits did before.

A contact is credited to every page of its session, so that pages beside a cause look like one. For each suspect the
visits are set aside that other suspects explain; what remains is its own. Refuses to know more than pairs of pages: of
two that no one ever sees apart, it cannot be known which it is.
"""

from collections.abc import Mapping
from math import exp, hypot, log
from typing import NamedTuple

from streams.journeys.beta import beta_quantile
from streams.journeys.policy import JourneyPolicy
from streams.journeys.rates import TAIL, shrunk, wilson

STRENGTH = 20.0
"""How many visits the prior weighs: below so many, a page is judged rather by its site than by itself. At a base rate
of 3 % that is 0.6 contacts; at the default floor of 50 visits a page's own count 5/7."""
ENRICHED = 2.0
"""So many times more often than visits usually do, the contacts of a page that is sought come after suspects."""
MOSTLY = 0.8
"""A page with few visits of its own is explained when so large a share of its contacts come from other suspects."""


class Count(NamedTuple):
    """Visits `n`, and those that a contact followed, `k`. May be decayed."""

    n: float
    k: float

    def minus(self, other: "Count") -> "Count":
        """What remains without others; overlaps may make that too little, never less than nothing."""
        n = max(0.0, self.n - other.n)
        return Count(n, min(n, max(0.0, self.k - other.k)))


NONE = Count(0.0, 0.0)


class Lift(NamedTuple):
    """How many times the base rate, with its 95 % interval."""

    lift: float
    low: float
    high: float


class Base:
    """The rate of a site, with its own uncertainty: Jeffreys' posterior Beta(k + 1/2, n - k + 1/2)."""

    def __init__(self, count: Count) -> None:
        hits, misses = count.k + 0.5, max(0.0, count.n - count.k) + 0.5
        self.usual = hits / (hits + misses)
        self.low = beta_quantile(TAIL, hits, misses)
        self.high = beta_quantile(1 - TAIL, hits, misses)

    def lift(self, count: Count) -> Lift:
        """The lift of a page with `n` > 0: its shrunk rate / the base rate.

        The interval joins both uncertainties on the scale of logarithms (MOVER: Zou and Donner, Construction of
        confidence limits about effect measures, Statistics in Medicine 27 (2008)). The base's vanishes when the site
        has many more visits than the page; where the page is much of the site, the interval is too wide rather than
        too narrow.
        """
        rate = shrunk(count.k, count.n, self.usual, STRENGTH)
        assert rate.rate is not None
        assert rate.low is not None
        assert rate.high is not None
        lift = rate.rate / self.usual
        if rate.low <= 0:
            low = 0.0
        else:
            low = lift * exp(-hypot(log(rate.rate / rate.low), log(self.high / self.usual)))
        high = lift * exp(hypot(log(rate.high / rate.rate), log(self.usual / self.low)))
        return Lift(lift, low, high)

    def may_exceed(self, count: Count, lift: float) -> bool:
        """Whether the lift itself, not only its lower bound, reaches `lift`: a cheap test before the interval."""
        return self.usual * STRENGTH + count.k >= lift * self.usual * (count.n + STRENGTH)


class Ways(NamedTuple):
    """Where visits come from.

    `flows`: (page, before) -> visits of `page` before which `before` held the visitor longest, "" = none; at least of
    suspects after suspects and after none. `shares`: before -> share (0-1) of all visits after any page.
    """

    flows: Mapping[tuple[str, str], Count]
    shares: Mapping[str, float]


class Origin(NamedTuple):
    """Is it this page's doing (`precedes`)? `own`: visits that no other page explains; `by`: the page that does."""

    precedes: bool
    own: Count
    by: str | None


def origins(
    suspects: Mapping[str, Count], ways: Ways, base: Base, policy: JourneyPolicy
) -> dict[str, Origin]:
    """Tell apart the causes among suspects.

    Args:
        suspects: pages whose lift is beyond chance -> their engaged visits before the first view of a contact page.
        ways: flows between them; those that are missing were none.

    A suspect *holds* when its own visits, those after no other suspect, have a lift of at least `policy.lift` that is
    above 1 with 97.5 %, and when it is not sought by those who have a problem already (`_is_sought`). Otherwise it
    *fails*; below the floor it is open. Pages that fail announce. A page that holds or is open, but does so no more
    without the visits that went on to a worse page, only leads there: it then explains nothing any more, and all is
    judged anew. What is open at last is explained if `MOSTLY` of its contacts come from other suspects.
    """
    return _Inquiry(suspects, ways, base, policy).run()


class _Inquiry:
    def __init__(self, suspects: Mapping[str, Count], ways: Ways, base: Base, policy: JourneyPolicy) -> None:
        self.suspects, self.ways, self.base, self.policy = suspects, ways, base, policy
        self.lifts = {page: base.lift(count).low for page, count in suspects.items() if count.n > 0}
        self.worst = sorted(self.lifts, key=lambda page: (-self.lifts[page], page))
        self.explain = set(self.worst)
        self.own: dict[str, Count] = {}
        self.verdicts: dict[str, bool | None] = {}
        self.leads: dict[str, tuple[Count, str]] = {}

    def run(self) -> dict[str, Origin]:
        self._judge_all()
        while self._find_one_that_leads():
            self._judge_all()
        out = {page: self._origin(page) for page in self.worst}
        self._break_circles(out)
        return out

    def _flow(self, page: str, before: str) -> Count:
        return self.ways.flows.get((page, before), NONE)

    def _judge_all(self) -> None:
        for page in self.worst:
            feeders = [before for before in self.worst if before in self.explain and before != page]
            own = self.suspects[page]
            for before in feeders:
                own = own.minus(self._flow(page, before))
            self.own[page] = own
            holds = self._holds(own)
            self.verdicts[page] = False if holds and self._is_sought(page, own, feeders) else holds

    def _holds(self, count: Count) -> bool | None:
        if count.n < self.policy.floor_n:
            return None
        return self._above(count)

    def _above(self, count: Count) -> bool:
        if count.n <= 0:
            return False
        lift = self.base.lift(count)
        return lift.lift >= self.policy.lift and lift.low >= 1

    def _is_sought(self, page: str, own: Count, feeders: list[str]) -> bool:
        """Whether those who have a problem look this page up: an opening-hours page is seen from anywhere by them.

        Then its contacts come after other suspects far more often than visits on this site do, and it is followed by
        contacts more often, after them, than its own risk and theirs would give together. Of two causes in a row, the
        second has no more than that.
        """
        fed, joint = NONE, 0.0
        for before in feeders:
            flow = self._flow(page, before)
            fed = Count(fed.n + flow.n, fed.k + flow.k)
            joint += flow.n * self.suspects[before].k / self.suspects[before].n
        after_any_k = self.suspects[page].k - self._flow(page, "").k
        if fed.n <= 0 or after_any_k <= 0:
            return False
        usual = sum(self.ways.shares.get(before, 0.0) for before in feeders)
        if wilson(fed.k, max(after_any_k, fed.k))[0] < ENRICHED * usual:
            return False
        risk = (own.k + STRENGTH * self.base.usual) / (own.n + STRENGTH)
        return wilson(fed.k, fed.n)[0] > 1 - (1 - risk) * (1 - joint / fed.n)

    def _find_one_that_leads(self) -> bool:
        """The least suspect page that only leads to a worse one is taken out."""
        for page in reversed(self.worst):
            if page not in self.explain or self.verdicts[page] is False:
                continue
            worse = [
                other
                for other in self.explain
                if self.lifts[other] > self.lifts[page] and self.verdicts[other] is not False
            ]
            onward = {other: self._flow(other, page) for other in worse}
            if not any(count.k > 0 for count in onward.values()):
                continue
            target = max(sorted(onward), key=lambda other: onward[other].k)
            rest = self.own[page]
            for count in onward.values():
                rest = rest.minus(count)
            if self._is_led(page, target, rest, sum(count.k for count in onward.values())):
                self.leads[page] = (rest, target)
                self.explain.discard(page)
                return True
        return False

    def _is_led(self, page: str, target: str, rest: Count, onward_k: float) -> bool:
        holds = self._holds(rest)
        if holds is None:
            return self.verdicts[target] is True and onward_k >= MOSTLY * self.own[page].k
        return not holds

    def _origin(self, page: str) -> Origin:
        if page in self.leads:
            rest, target = self.leads[page]
            return Origin(precedes=False, own=rest, by=target)
        own, holds = self.own[page], self.verdicts[page]
        feeders = sorted(other for other in self.explain if other != page)
        if holds is None:
            fed_k = sum(self._flow(page, other).k for other in feeders)
            holds = fed_k < MOSTLY * self.suspects[page].k and self._above(own)
        if holds or not feeders:
            return Origin(precedes=True, own=own, by=None)
        return Origin(precedes=False, own=own, by=max(feeders, key=lambda other: self._flow(page, other).k))

    def _break_circles(self, found: dict[str, Origin]) -> None:
        """Pages that explain only each other: the worst of them stands for itself."""
        for page in self.worst:
            passed = [page]
            by = found[page].by
            while by is not None and by not in passed:
                passed.append(by)
                by = found[by].by
            if by is not None:
                circle = passed[passed.index(by) :]
                worst = min(circle, key=self.worst.index)
                found[worst] = Origin(precedes=True, own=found[worst].own, by=None)
