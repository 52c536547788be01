"""Does the report find what offers do? Many small lives with a planted effect, and as many with none.

The effect is planted in the visitor (an offer that is shown prevents the contact with this probability), not in the rate:
what it comes to for the flagged visitors of a page is counted by the simulator, which knows who would have contacted.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from schemas.journeys import InterventionResult
from streams.journeys.policy import DAY_MS
from streams.simulator.web import WebSimulation
from streams.simulator.web_plan import WebPlan
from tests.benchmarks.journey_judge import Planted, covers, planted
from tests.benchmarks.journey_world import BEGINS_MS, WEB, live, site_of

HOLDOUT = 0.5
"""More than the default of 0.1, so that small lives say anything."""
_LEAST_ARM = 8
"""Results with fewer in either arm are not judged: they say nothing, and their intervals hold everything."""
_PLAN = WebPlan(
    sessions_per_day=2000.0, flat=True, stuck=3.0, bots=0.0, anonymous=0.1, known=1.0, links=(("remembered", 1.0),)
)  # fmt: skip
"""A lively site where everybody is logged in: as many of the contacts are known as can be."""


class OfferRun(NamedTuple):
    """One life: what was planted, and what the report says, by page and kind."""

    effect: float
    planted: dict[tuple[str, str], Planted]
    results: tuple[InterventionResult, ...]


class Covered(NamedTuple):
    """Results judged. `covered`: share whose interval holds the planted effect; `helps`, `harms`: share that say so;
    `width`: mean of the intervals' widths.
    """

    results: int
    covered: float
    helps: float
    harms: float
    width: float


class OfferFigures(NamedTuple):
    """With an effect planted and with none: of the result with most flags in each run, and of all results.

    Each result is an answer of its own, at 95 %: of twenty, one may be wrong.
    """

    runs: int
    planted_main: Covered
    planted_all: Covered
    nothing_main: Covered
    nothing_all: Covered


def offer_run(seed: int, effect: float) -> OfferRun:
    """Live one day of a lively site with offers."""
    simulation = WebSimulation(WEB, replace(_PLAN, offer_effect=effect), seed)
    site = site_of(HOLDOUT)
    lived = live(simulation, site, BEGINS_MS + DAY_MS, 60_000, offers=True)
    done = planted(lived.flags, lived.truth, site.journeys.within_ms)
    return OfferRun(effect, done, lived.report.interventions)


def judge_offers(runs: Sequence[OfferRun]) -> OfferFigures:
    """Planted effects are those of all runs together: the rate that a run's interval is to hold."""
    totals: dict[tuple[float, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for run in runs:
        for (page, kind), counted in run.planted.items():
            totals[run.effect, page, kind][0] += counted.n
            totals[run.effect, page, kind][1] += counted.prevented
    main: dict[bool, list[tuple[InterventionResult, float]]] = {True: [], False: []}
    every: dict[bool, list[tuple[InterventionResult, float]]] = {True: [], False: []}
    for run in runs:
        judged = []
        for result in run.results:
            n, prevented = totals[run.effect, result.page, result.kind]
            if n and min(result.offer.contact.n, result.holdout.contact.n) >= _LEAST_ARM:
                judged.append((result, prevented / n))
        every[run.effect > 0] += judged
        if judged:
            main[run.effect > 0].append(max(judged, key=_size))
    return OfferFigures(
        len(runs), _covered(main[True]), _covered(every[True]), _covered(main[False]), _covered(every[False])
    )


def _size(judged: tuple[InterventionResult, float]) -> float:
    return judged[0].offer.contact.n + judged[0].holdout.contact.n


def _covered(judged: Sequence[tuple[InterventionResult, float]]) -> Covered:
    n = len(judged)
    if not n:
        return Covered(0, 0.0, 0.0, 0.0, 0.0)
    widths = [(result.effect_high or 0.0) - (result.effect_low or 0.0) for result, _ in judged]
    return Covered(
        n,
        sum(covers(result, effect) for result, effect in judged) / n,
        sum(result.verdict == "helps" for result, _ in judged) / n,
        sum(result.verdict == "harms" for result, _ in judged) / n,
        sum(widths) / n,
    )
