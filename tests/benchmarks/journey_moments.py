"""At which moments was a visitor judged, how, and what would a rule have said just then?

The moments are those that the product's own sessions note, taken from what a worker would store of its visitors; the
probability is that of the model which was valid at the time. The rules look at the same events (`journey_rules`).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import schemas.web_events as w
from schemas.journeys import FEATURE_BIT, StuckModel
from schemas.topics import WEB
from streams.fold import BUCKETS
from streams.journeys import facts as f
from streams.journeys.day_number import DayNumbers
from streams.journeys.derived import derive
from streams.journeys.driver import JourneyDriver
from streams.journeys.judges import Judges
from streams.journeys.page_names import PageNames
from streams.journeys.session import World, moment_at, moment_page, moment_pattern
from streams.journeys.stored_visitor import decode_pages, decode_visitor
from streams.journeys.stuck_model import DEFAULT_MODEL, probability
from streams.simulator.web_browser import WebSent
from streams.simulator.web_truth import WebTruth
from streams.site import Site
from tests.benchmarks.journey_judge import Case, label
from tests.benchmarks.journey_rules import Scores, Watched


class Moment(NamedTuple):
    """A moment of the product: when, whose, the subject page and the pattern of features."""

    at_ms: int
    visitor_id: str
    page: str
    pattern: int


class RuleBook:
    """What the rules say of every visitor, event by event, from a time on."""

    def __init__(self, contact_pages: tuple[str, ...], from_ms: int) -> None:
        self._contact_pages = contact_pages
        self._from_ms = from_ms
        self._watched: dict[str, Watched] = defaultdict(Watched)
        self._times: dict[str, list[int]] = defaultdict(list)
        self._scores: dict[str, list[Scores]] = defaultdict(list)

    def see(self, sent: WebSent) -> None:
        """Take in an event."""
        topic, visitor_id, event = sent
        if topic != WEB or not isinstance(event, w.BrowserEvent):
            return
        at_ms = round(event.time.timestamp() * 1000)
        scores = self._watched[visitor_id].see(event, self._contact_pages)
        if at_ms >= self._from_ms:
            self._times[visitor_id].append(at_ms)
            self._scores[visitor_id].append(scores)

    def at(self, visitor_id: str, at_ms: int) -> Scores | None:
        """What they said at a time; None: nothing had happened."""
        place = bisect_right(self._times[visitor_id], at_ms)
        return self._scores[visitor_id][place - 1] if place else None


def moments_of(driver: JourneyDriver, site: Site, from_ms: int, to_ms: int) -> list[Moment]:
    """All moments between two times of visitors who are still remembered."""
    found: list[Moment] = []
    for fold in driver.visitor_folds():
        entries = dict(entry for bucket in range(BUCKETS) for entry in fold.dump(bucket).items())
        found += _moments(entries, site, from_ms, to_ms)
    return found


def _moments(entries: dict[str, bytes], site: Site, from_ms: int, to_ms: int) -> Iterator[Moment]:
    pages = PageNames(site.journeys)
    stored = decode_pages(entries["w"])
    pages.load(stored.names, stored.seen_ms)
    world = World(site.journeys, pages, Judges(pages), DayNumbers(site))
    for key, value in entries.items():
        if not key.startswith("v"):
            continue
        visitor = decode_visitor(value)
        facts = f.unpack(visitor.facts, visitor.count)
        for session in derive(world, facts, visitor.contacts, visitor.told_ms):
            for noted in session.moments:
                at_ms = moment_at(session, noted)
                if from_ms <= at_ms < to_ms:
                    yield Moment(at_ms, key[1:], pages.names[moment_page(noted)], moment_pattern(noted))


def cases_of(
    moments: list[Moment], rules: RuleBook, models: list[StuckModel], truth: WebTruth, within_ms: int
) -> list[Case]:
    """Every moment of a person with what was said and what came; robots, known to the simulator, are left out."""
    robots = {session.visitor_id for session in truth.sessions if session.bot}
    contacts = truth.by_visitor()
    cases = []
    for moment in moments:
        scores = rules.at(moment.visitor_id, moment.at_ms)
        if scores is None or moment.visitor_id in robots:
            continue
        model = next((each for each in reversed(models) if each.valid_from_ms <= moment.at_ms), DEFAULT_MODEL)
        came, joined = label(contacts.get(moment.visitor_id, ()), moment.at_ms, within_ms)
        cases.append(
            Case(
                moment.at_ms, moment.visitor_id, probability(model, moment.page, moment.pattern), scores, came, joined,
                not moment.pattern & FEATURE_BIT["contact_page"],
            )
        )  # fmt: skip
    return cases
