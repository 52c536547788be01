"""How does a simulated life of a site go through the pipeline? Days of events in, flags, moments and a report out.

Refuses to know whether what comes out is right: `journey_judge` says that.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

from msgspec.structs import replace

from schemas.journeys import Flag, WebReport
from streams.driver import Item
from streams.journeys.driver import JourneyDriver
from streams.journeys.policy import DAY_MS
from streams.simulator import default_site, encode
from streams.simulator.web import WebSimulation
from streams.simulator.web_browser import WebSent
from streams.simulator.web_plan import WebPlan
from streams.simulator.web_shop import default_web_site
from streams.simulator.web_truth import WebTruth
from streams.site import Site
from tests.benchmarks.journey_judge import (
    Case,
    CaseFigures,
    FlagFigures,
    PageFigures,
    judge_cases,
    judge_flags,
    judge_pages,
)
from tests.benchmarks.journey_moments import RuleBook, cases_of, moments_of

WEB = default_web_site()
BEGINS_MS = int(datetime.fromisoformat("2026-10-01T00:00:00+09:00").timestamp() * 1000)
THRESHOLD = 0.25
"""Of half of the contacts no link is ever known, so that 0.25 said is about every second visitor in truth."""


class Life(NamedTuple):
    """How long and how lively; the last day is judged."""

    days: int
    sessions_per_day: float


FULL = Life(6, 4000.0)
QUICK = Life(4, 3000.0)


class SeedFigures(NamedTuple):
    """One seed."""

    seed: int
    flags: FlagFigures
    cases: CaseFigures
    pages: PageFigures
    events: int
    seconds: float
    moments: list[Case]


class Lived(NamedTuple):
    """What came out of a life. `seconds`: of the pipeline alone."""

    truth: WebTruth
    driver: JourneyDriver
    flags: list[Flag]
    report: WebReport
    events: int
    seconds: float


Seen = Callable[[WebSent], None]


def site_of(holdout: float = 0.1) -> Site:
    """What the owner of the site has written down."""
    return replace(default_site(8), journeys=replace(WEB.policy(), threshold=THRESHOLD, holdout=holdout))


def live(
    simulation: WebSimulation,
    site: Site,
    to_ms: int,
    step_ms: int,
    *,
    offers: bool = False,
    seen: Seen | None = None,
) -> Lived:
    """Feed a life to the pipeline, `step_ms` at a time, offering help where a flag of the offer arm says so."""
    driver = JourneyDriver(site)
    offered: set[str] = set()
    spent, events = 0.0, 0
    for batch in _batches(simulation.events(BEGINS_MS, to_ms), step_ms):
        events += len(batch)
        items = [Item(topic, key, encode(event)) for topic, key, event in batch]
        started = perf_counter()
        driver.feed(items)
        spent += perf_counter() - started
        if seen is not None:
            for sent in batch:
                seen(sent)
        for flag in driver.flags() if offers else ():
            if flag.id not in offered and flag.arm == "offer" and flag.kind is not None:
                offered.add(flag.id)
                simulation.offered(flag.visitor_id, flag.raised_ms, flag.kind, flag.id)
    started = perf_counter()
    driver.finish(to_ms)
    spent += perf_counter() - started
    return Lived(simulation.truth, driver, driver.flags(), driver.report(), events, spent)


def _batches(events: Iterator[WebSent], step_ms: int) -> Iterator[list[WebSent]]:
    batch: list[WebSent] = []
    end_ms = BEGINS_MS + step_ms
    for sent in events:
        at_ms = round(sent[2].time.timestamp() * 1000)
        if at_ms >= end_ms:
            yield batch
            batch = []
            end_ms = at_ms - at_ms % step_ms + step_ms
        batch.append(sent)
    yield batch


def judged_life(seed: int, life: Life) -> SeedFigures:
    """Live one seed, and judge its last day but for the contacts that come too late to be seen."""
    to_ms = BEGINS_MS + life.days * DAY_MS
    from_ms = to_ms - DAY_MS
    simulation = WebSimulation(WEB, WebPlan(sessions_per_day=life.sessions_per_day), seed)
    site = site_of()
    within_ms = site.journeys.within_ms
    rules = RuleBook(WEB.contact, from_ms)
    lived = live(simulation, site, to_ms, 300_000, seen=rules.see)
    until_ms = to_ms - within_ms
    moments = moments_of(lived.driver, site, from_ms, until_ms)
    cases = cases_of(moments, rules, lived.driver.models, lived.truth, within_ms)
    return SeedFigures(
        seed, judge_flags(lived.flags, lived.truth, from_ms, until_ms, within_ms), judge_cases(cases),
        judge_pages(lived.report, lived.truth), lived.events, lived.seconds, cases,
    )  # fmt: skip
