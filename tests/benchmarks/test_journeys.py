"""Does the benchmark of journeys count as it says it does?"""

from datetime import UTC, datetime
from typing import Literal
from xml.etree import ElementTree

import pytest

import schemas.web_events as w
from schemas.journeys import Arm, ArmResult, Flag, InterventionResult, PageModel, Rate, WebReport
from streams.simulator.web_truth import StuckSpell, TrueContact, TrueOffer, WebTruth
from tests.benchmarks.journey_judge import (
    PRODUCT,
    Case,
    Planted,
    covers,
    judge_cases,
    judge_flags,
    judge_pages,
    label,
    planted,
)
from tests.benchmarks.journey_rules import RULES, Scores, Watched
from tests.benchmarks.journey_scores import (
    Bin,
    Brier,
    Point,
    average_precision,
    brier,
    calibration_error,
    curve,
    deciles,
    quantile,
    steps,
)
from tests.benchmarks.journeys_picture import draw

START_MS = 1_790_000_000_000

# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_score_that_puts_all_that_came_first_has_the_whole_area() -> None:
    assert average_precision(curve([(0.9, True), (0.8, True), (0.3, False)])) == 1.0


def test_the_area_is_the_mean_of_the_precision_at_each_that_came() -> None:
    points = curve([(4, True), (3, False), (2, True), (1, False)])
    assert points[0] == Point(4, 1.0, 0.5)
    assert points[2] == Point(2, 2 / 3, 1.0)
    assert average_precision(points) == pytest.approx((1.0 + 2 / 3) / 2)


def test_cases_of_equal_score_come_together_so_that_a_constant_has_the_share_of_all() -> None:
    points = curve([(1.0, True), (1.0, False), (1.0, False), (1.0, False)])
    assert points == [Point(1.0, 0.25, 1.0)]
    assert average_precision(points) == 0.25


def test_reliability_is_by_parts_of_equal_size_or_by_what_was_said() -> None:
    scored = [(0.125, False), (0.25, False), (0.5, True), (0.75, True)]
    assert deciles(scored, 2) == [Bin(0.1875, 0.0, 2), Bin(0.625, 1.0, 2)]
    assert [each.n for each in steps(scored, [0.2, 0.6])] == [1, 2, 1]
    assert calibration_error([Bin(0.1, 0.2, 3), Bin(0.5, 0.4, 1)]) == pytest.approx(0.1)


def test_always_saying_the_mean_has_no_skill_and_knowing_has_all() -> None:
    outcomes = [True, False, False, False]
    assert brier([(0.25, came) for came in outcomes]) == Brier(0.1875, 0.0)
    assert brier([(float(came), came) for came in outcomes]) == Brier(0.0, 1.0)


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert quantile([], 0.5) is None
    assert quantile([3, 1, 2], 0.5) == 2


# --- rules ------------------------------------------------------------------------------------------------------------


class Story:
    """What one visitor does, told in seconds."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.page = "/"
        self.number = 0

    def _event(self, kind: type[w.BrowserEvent], data: object, at_s: float) -> Scores:
        self.number += 1
        time = datetime.fromtimestamp(START_MS / 1000 + at_s, UTC)
        event = kind(id=str(self.number), source="test", time=time, data=data)  # type: ignore[arg-type]
        return self.watched.see(event, ("/contact",))

    def view(self, page: str, at_s: float) -> Scores:
        self.page = page
        return self._event(w.WebPageView, w.View(visitor_id="v", page=page, view_id=page), at_s)

    def ping(self, at_s: float) -> Scores:
        return self._event(w.WebPagePing, w.OnPage(visitor_id="v", page=self.page, view_id="1"), at_s)

    def click(self, at_s: float, x: int = 5, *, dead: bool = False, exempt: bool = False) -> Scores:
        data = w.Clicked(visitor_id="v", page=self.page, view_id="1", x=x, y=5, dead=dead, exempt=exempt)
        return self._event(w.WebClick, data, at_s)

    def error(self, at_s: float) -> Scores:
        data = w.Failed(visitor_id="v", page=self.page, view_id="1", kind="script")
        return self._event(w.WebError, data, at_s)


def test_dwell_is_the_engaged_time_on_the_page_shown_over_all_its_views() -> None:
    story = Story()
    story.view("/a", 0)
    assert [story.ping(at).dwell_s for at in (10, 20)] == [10, 20]
    assert story.view("/b", 21).dwell_s == 0
    assert story.view("/a", 30).dwell_s == 20


def test_four_quick_clicks_on_a_spot_are_rage_and_steppers_are_not() -> None:
    story = Story()
    story.view("/a", 0)
    assert [story.click(1 + i / 10).rages for i in range(4)] == [0, 0, 0, 1]
    assert [story.click(5 + i / 10, exempt=True).rages for i in range(4)][-1] == 1
    assert [story.click(9 + i / 2).rages for i in range(4)][-1] == 1
    assert [story.click(20 + i / 10, x=100 * i).rages for i in range(4)][-1] == 1


def test_loops_and_errors_are_counted_over_fifteen_minutes() -> None:
    story = Story()
    for at in (0, 20):
        assert story.view("/a", at).loop < 3
        story.view("/b", at + 10)
    assert story.view("/a", 40).loop == 3
    assert story.error(60).errors == 1
    assert story.click(61, dead=True).dead == 1
    late = story.ping(60 + 15 * 60)
    assert (late.loop, late.errors) == (0, 0)


def test_a_contact_page_once_seen_is_remembered_until_the_session_is_over() -> None:
    story = Story()
    assert story.view("/contact", 0).contact_page == 1
    assert story.view("/a", 60).contact_page == 1
    assert story.view("/a", 60 + 31 * 60).contact_page == 0


# --- judging ----------------------------------------------------------------------------------------------------------

T_MS = 30 * 60_000


def contact(
    visitor: str,
    at_s: float,
    *,
    joined: bool = True,
    cause: str | None = "/bad",
    prevented: str | None = None,
) -> TrueContact:
    return TrueContact(
        f"{visitor}-{at_s}", START_MS + int(at_s * 1000), "voice", "q", None, "c", visitor, START_MS, cause, 1, joined,
        prevented,
    )  # fmt: skip


def flag(visitor: str, at_s: float, *, arm: Arm = "offer", number: int = 1) -> Flag:
    return Flag(
        id=f"f-{visitor}-{number}", visitor_id=visitor, session_id="s", page="/bad", kind="chat", probability=0.4,
        raised_ms=START_MS + int(at_s * 1000), threshold=0.3, arm=arm,
    )  # fmt: skip


def truth(
    *contacts: TrueContact, stuck: tuple[StuckSpell, ...] = (), offers: tuple[TrueOffer, ...] = ()
) -> WebTruth:
    return WebTruth(
        ("/bad", "/worse"), ("/hours",), ("/contact",), contacts=list(contacts), stuck=list(stuck), offers=list(offers)
    )  # fmt: skip


def test_a_contact_counts_after_the_moment_and_within_t_and_a_link_makes_it_known() -> None:
    contacts = [contact("a", 60, joined=False), contact("a", 120)]
    assert label(contacts, START_MS, T_MS) == (True, True)
    assert label(contacts, START_MS, 60_000) == (True, False)
    assert label(contacts, START_MS + 120_000, T_MS) == (False, False)


def test_flags_are_right_when_a_contact_follows_and_contacts_are_found_when_a_flag_came_before() -> None:
    true = truth(
        contact("a", 100), contact("b", 100, joined=False), contact("c", 100, cause=None),
        contact("d", 100, prevented="f-d"),
        stuck=(StuckSpell("a", START_MS, "/bad", START_MS, START_MS + 100_000, "contacted"),
               StuckSpell("e", START_MS, "/bad", START_MS, START_MS + 100_000, "left")),
    )  # fmt: skip
    flags = [flag("a", 40), flag("a", 70, number=2), flag("b", 80), flag("d", 50), flag("e", 200)]
    found = judge_flags(flags, true, START_MS, START_MS + 3_600_000, T_MS)
    assert (found.flags, found.contacts) == (5, 3)
    assert (found.precision, found.joined, found.stuck) == (3 / 5, 2 / 5, 2 / 5)
    assert (found.recall, found.recall_caused, found.recall_stuck) == (2 / 3, 1.0, 0.5)
    assert found.lead_s == (20.0, 60.0, 60.0)


def test_moments_compare_the_product_with_the_best_single_signal() -> None:
    def case(probability: float, dwell_s: float, came: bool, before: bool = True) -> Case:
        return Case(START_MS, "v", probability, Scores(dwell_s, 0, 0, 0, 0, 0), came, came, before)

    cases = [
        case(0.9, 10, True),
        case(0.1, 30, False),
        case(0.1, 30, False),
        case(0.1, 30, False, before=False),
    ]
    found = judge_cases(cases)
    assert found.areas[PRODUCT] == 1.0
    assert found.areas["dwell"] == found.areas["loop"] == 0.25
    assert found.ratio == 4.0
    assert found.ratio_before == 3.0


def test_pages_are_right_when_they_have_a_cause_and_a_place_left_free_is_a_miss() -> None:
    def page(name: str, verdict: Literal["precedes", "unsure"]) -> PageModel:
        rate = Rate(k=1, n=2)
        return PageModel(
            page=name, page_class="content", verdict=verdict, views=1, sessions=1, visitors=1, contact=rate
        )  # fmt: skip

    pages = (page("/bad", "precedes"), page("/hours", "precedes"), page("/worse", "unsure"))
    found = judge_pages(WebReport(as_of_ms=0, pages=pages), truth())
    assert found.listed == ("/bad", "/hours")
    assert (found.precision_at_5, found.found) == (0.2, 0.5)
    assert found.wrong == found.announcing == ("/hours",)


def test_the_planted_effect_is_what_the_product_would_have_seen_of_those_it_offered_help() -> None:
    def offer(visitor: str, at_s: float, *, joined: bool = True) -> TrueOffer:
        at_ms = START_MS + int(at_s * 1000)
        return TrueOffer(visitor, f"f-{visitor}-1", "chat", START_MS, at_ms, joined, True)

    offers = (offer("a", 100), offer("b", 100, joined=False), offer("c", 100_000))
    flags = [flag(each, 0) for each in "abcd"] + [flag("e", 0, arm="holdout")]
    assert planted(flags, truth(offers=offers), T_MS) == {("/bad", "chat"): Planted(4, 1)}


def test_an_interval_covers_what_lies_in_it_and_none_covers_nothing() -> None:
    rate = Rate(k=1, n=10)
    arm = ArmResult(contact=rate, resolved=rate)

    def result(low: float | None, high: float | None) -> InterventionResult:
        return InterventionResult(
            page="/bad", kind="chat", offer=arm, holdout=arm, shown=1, accepted=0, declined=0, effect_low=low,
            effect_high=high,
        )  # fmt: skip

    assert covers(result(0.1, 0.3), 0.2)
    assert not covers(result(0.1, 0.3), 0.0)
    assert not covers(result(None, None), 0.0)


# --- picture ----------------------------------------------------------------------------------------------------------


def test_the_picture_is_well_formed_and_names_every_curve_and_every_part() -> None:
    curves = {name: [Point(1.0, 0.5, 0.4), Point(0.5, 0.2, 1.0)] for name in ("model", *RULES[:4])}
    bins = [Bin(0.01, 0.012, 500), Bin(0.3, 0.28, 40)]
    drawn = ElementTree.fromstring(draw(bins, curves, dict.fromkeys(curves, 0.25), "Said & came"))
    svg = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{svg}text")]
    assert {f"{name}: 0.250" for name in curves} <= set(texts)
    titles = ["".join(title.itertext()) for title in drawn.iter(f"{svg}title")]
    assert titles == ["Said & came", "said 1.00%, came 1.20%, n = 500", "said 30.00%, came 28.00%, n = 40"]
    assert len(list(drawn.iter(f"{svg}polyline"))) == len(curves)
