"""Did contacts follow where it was said that they would? Flags, pages and offers against what was simulated.

Refuses to know how the pipeline came to what it says.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.journeys import Flag, InterventionResult, WebReport
from streams.simulator.web_truth import StuckSpell, TrueContact, WebTruth
from tests.benchmarks.journey_rules import RULES, Scores
from tests.benchmarks.journey_scores import (
    Bin,
    Brier,
    Point,
    Scored,
    average_precision,
    brier,
    calibration_error,
    curve,
    deciles,
    quantile,
    steps,
)

PRODUCT = "model"
SINGLE_SIGNALS = RULES[:5]
"""What the target compares with. Having seen the contact page is told, too, but says so too late to help."""
EDGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


class Case(NamedTuple):
    """One moment of a session: what the product and the rules said, and what came within T.

    `came`: a contact. `joined`: one that a link makes known, which is all that the product can learn from.
    `before`: no contact page had been seen in this session.
    """

    at_ms: int
    visitor_id: str
    probability: float
    scores: Scores
    came: bool
    joined: bool
    before: bool


class FlagFigures(NamedTuple):
    """Flags and what followed. Shares of flags: `precision` contacted within T, `joined` as far as links tell,
    `stuck` were truly stuck then. Shares of contacts within the site's sessions: `recall`, of those with a cause
    `recall_caused`; `recall_stuck`: of all who were stuck. `lead_s`: quartiles from flag to contact.
    """

    flags: int
    contacts: int
    precision: float
    joined: float
    stuck: float
    recall: float
    recall_caused: float
    recall_stuck: float
    lead_s: tuple[float | None, float | None, float | None]


class CaseFigures(NamedTuple):
    """Probabilities and rules over the same moments. `areas`, `areas_before`: average precision by name; the latter
    over moments at which no contact page had been seen. `ratio`: product / best single signal.
    """

    moments: int
    share: float
    share_joined: float
    areas: dict[str, float]
    areas_before: dict[str, float]
    ratio: float
    ratio_before: float
    brier: Brier
    calibration_error: float


class PageFigures(NamedTuple):
    """Pages said to precede contacts, in the order of the report. `precision_at_5`: of the first five, a place that is
    not filled counting as a miss; `found`: of all causing pages; `wrong`: those that cause nothing.
    """

    listed: tuple[str, ...]
    precision_at_5: float
    found: float
    wrong: tuple[str, ...]
    announcing: tuple[str, ...]


def label(contacts: Sequence[TrueContact], at_ms: int, within_ms: int) -> tuple[bool, bool]:
    """Whether one of a visitor's contacts came within T after a moment, and whether a link makes one known."""
    following = [each for each in contacts if at_ms < each.at_ms <= at_ms + within_ms]
    return bool(following), any(each.joined for each in following)


def judge_flags(
    flags: Sequence[Flag], truth: WebTruth, from_ms: int, to_ms: int, within_ms: int
) -> FlagFigures:
    """Flags raised, and contacts that came, from `from_ms` to `to_ms`."""
    judged = [flag for flag in flags if from_ms <= flag.raised_ms < to_ms]
    contacts = truth.by_visitor()
    labels = [label(contacts.get(flag.visitor_id, ()), flag.raised_ms, within_ms) for flag in judged]
    raised: dict[str, list[int]] = {}
    for flag in flags:
        raised.setdefault(flag.visitor_id, []).append(flag.raised_ms)
    came = [each for several in contacts.values() for each in several if from_ms <= each.at_ms < to_ms]
    leads = {each.contact_id: _lead_s(each, raised, within_ms) for each in came}
    caused = [each for each in came if each.cause is not None]
    spells: dict[str, list[StuckSpell]] = {}
    for spell in truth.stuck:
        spells.setdefault(spell.visitor_id, []).append(spell)
    was_stuck = [_within(flag.raised_ms, spells.get(flag.visitor_id, ())) for flag in judged]
    of_day = [spell for spell in truth.stuck if from_ms <= spell.from_ms < to_ms]
    known = [lead for lead in leads.values() if lead is not None]
    return FlagFigures(
        len(judged), len(came), _share(came for came, _ in labels), _share(joined for _, joined in labels),
        _share(was_stuck), _share(lead is not None for lead in leads.values()),
        _share(leads[each.contact_id] is not None for each in caused),
        _share(any(spell.from_ms <= at <= spell.to_ms for at in raised.get(spell.visitor_id, ())) for spell in of_day),
        (quantile(known, 0.25), quantile(known, 0.5), quantile(known, 0.75)),
    )  # fmt: skip


def _lead_s(contact: TrueContact, raised: Mapping[str, list[int]], within_ms: int) -> float | None:
    """From the first flag within T before a contact to it."""
    times = [
        at_ms
        for at_ms in raised.get(contact.visitor_id or "", ())
        if contact.at_ms - within_ms <= at_ms < contact.at_ms
    ]
    return (contact.at_ms - min(times)) / 1000 if times else None


def _within(at_ms: int, spells: Iterable[StuckSpell]) -> bool:
    return any(spell.from_ms <= at_ms <= spell.to_ms for spell in spells)


def _share(values: Iterable[bool]) -> float:
    counted = list(values)
    return sum(counted) / len(counted) if counted else 0.0


def curves(cases: Sequence[Case]) -> dict[str, list[Point]]:
    """Precision and recall of the product and of every rule against contacts that truly came."""
    found = {PRODUCT: curve((case.probability, case.came) for case in cases)}
    for number, rule in enumerate(RULES):
        found[rule] = curve((float(case.scores[number]), case.came) for case in cases)
    return found


def judge_cases(cases: Sequence[Case]) -> CaseFigures:
    """What the moments of the judged day say. Calibration is against contacts that links make known: what p means."""
    areas = {name: average_precision(points) for name, points in curves(cases).items()}
    early = {
        name: average_precision(points)
        for name, points in curves([case for case in cases if case.before]).items()
    }
    scored = said(cases)
    return CaseFigures(
        len(cases), _share(case.came for case in cases), _share(case.joined for case in cases), areas, early,
        _ratio(areas), _ratio(early), brier(scored), calibration_error(deciles(scored)),
    )  # fmt: skip


def said(cases: Iterable[Case]) -> list[Scored]:
    """What was said, and whether a contact came that a link makes known."""
    return [(case.probability, case.joined) for case in cases]


def reliability(cases: Sequence[Case]) -> list[Bin]:
    """Parts by what was said: the high probabilities, of which there are few, are the ones that count."""
    return steps(said(cases), EDGES)


def _ratio(areas: Mapping[str, float]) -> float:
    best = max(areas[rule] for rule in SINGLE_SIGNALS)
    return areas[PRODUCT] / best if best else 0.0


def judge_pages(report: WebReport, truth: WebTruth) -> PageFigures:
    """Pages of the report against the hidden causes."""
    listed = tuple(page.page for page in report.pages if page.verdict == "precedes")
    causing = set(truth.causing)
    return PageFigures(
        listed, sum(page in causing for page in listed[:5]) / 5, _share(page in listed for page in truth.causing),
        tuple(page for page in listed if page not in causing),
        tuple(page for page in listed if page in (*truth.announcing, *truth.contact_pages)),
    )  # fmt: skip


class Planted(NamedTuple):
    """What offers truly did for the flagged visitors of one page: how many were to be offered help, and of how many a
    contact was prevented that the product would have seen within T of the flag.
    """

    n: int
    prevented: int


def planted(flags: Sequence[Flag], truth: WebTruth, within_ms: int) -> dict[tuple[str, str], Planted]:
    """By page and kind of offer."""
    prevented = {
        each.flag_id: each.contact_ms
        for each in truth.offers
        if each.prevented and each.joined and each.contact_ms is not None
    }
    found: dict[tuple[str, str], list[int]] = {}
    for flag in flags:
        if flag.arm != "offer" or flag.kind is None:
            continue
        counted = found.setdefault((flag.page, flag.kind), [0, 0])
        counted[0] += 1
        at_ms = prevented.get(flag.id)
        counted[1] += at_ms is not None and at_ms - flag.raised_ms <= within_ms
    return {key: Planted(*counted) for key, counted in found.items()}


def covers(result: InterventionResult, effect: float) -> bool:
    """Whether an effect lies within the interval that the report gives."""
    return (
        result.effect_low is not None
        and result.effect_high is not None
        and result.effect_low <= effect <= result.effect_high
    )
