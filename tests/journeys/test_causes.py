"""Small worlds in which it is known which page makes people contact us."""

from collections.abc import Callable
from random import Random

import pytest

from schemas.journeys import PageModel
from streams.journeys.causes import Base, Count, Ways, origins
from streams.journeys.policy import JourneyPolicy
from tests.journeys.page_world import Visits, browsing, stuck_walk

SEEDS = range(5)
CONTACT = [("/contact", 10.0)]


def world(seed: int, one: Callable[[Random, Visits], None], sessions: int = 6000) -> dict[str, PageModel]:
    random, visits = Random(seed), Visits()
    for _ in range(sessions):
        one(random, visits)
    return visits.models()


def calm(random: Random, visits: Visits) -> None:
    """A harmless session: one in fifty contacts us all the same."""
    contacted = random.random() < 0.02
    visits.session(browsing(random) + (CONTACT if contacted else []), contacted)


def causes(models: dict[str, PageModel]) -> set[str]:
    return {page for page, model in models.items() if model.verdict == "precedes"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_with_a_problem_precedes_contacts_and_harmless_ones_do_not(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        if random.random() < 0.1:
            stuck = random.random() < 0.25
            walk = browsing(random) + stuck_walk("/broken", random)
            visits.session(walk + (CONTACT if stuck else []), stuck)
        else:
            calm(random, visits)

    models = world(seed, one)
    assert causes(models) == {"/broken"}
    assert models["/contact"].verdict == "contact"
    assert models["/"].verdict == "none"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_that_people_with_a_problem_see_on_their_way_only_announces(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        if random.random() < 0.15:
            stuck = random.random() < 0.25
            walk = browsing(random) + stuck_walk("/broken", random)
            if random.random() < (0.6 if stuck else 0.05):
                walk.append(("/opening-hours", 15.0))
            visits.session(walk + (CONTACT if stuck else []), stuck)
        elif random.random() < 0.05:
            visits.session([*browsing(random), ("/opening-hours", 15.0)], random.random() < 0.03)
        else:
            calm(random, visits)

    models = world(seed, one)
    assert causes(models) == {"/broken"}
    assert models["/opening-hours"].lift_low is not None
    assert models["/opening-hours"].lift_low > 1.5
    assert models["/opening-hours"].verdict == "announces"
    assert models["/opening-hours"].announced_by == "/broken"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_that_is_seen_only_after_problems_announces_though_it_has_no_visits_of_its_own(
    seed: int,
) -> None:
    def one(random: Random, visits: Visits) -> None:
        draw = random.random()
        if draw < 0.2:
            page = "/broken" if draw < 0.14 else "/faulty"
            stuck = random.random() < 0.25
            walk = stuck_walk(page, random)
            if random.random() < (0.5 if stuck else 0.05):
                walk.append(("/opening-hours", 15.0))
            visits.session(walk + (CONTACT if stuck else []), stuck)
        else:
            calm(random, visits)

    models = world(seed, one)
    assert causes(models) == {"/broken", "/faulty"}
    assert (models["/opening-hours"].verdict, models["/opening-hours"].announced_by) == (
        "announces",
        "/broken",
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_two_causes_that_are_often_visited_one_after_the_other_both_precede(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        draw = random.random()
        if draw < 0.2:
            pages = ["/broken", "/faulty"]
            random.shuffle(pages)
            pages = pages[: 1 if draw < 0.08 else 2]
            stuck = random.random() < 1 - 0.8 ** len(pages)
            walk = [step for page in pages for step in stuck_walk(page, random)]
            visits.session(walk + (CONTACT if stuck else []), stuck)
        else:
            calm(random, visits)

    assert causes(world(seed, one)) == {"/broken", "/faulty"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cause_to_which_everyone_comes_from_a_neutral_page_is_still_the_cause(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        if random.random() < 0.15:
            stuck = random.random() < 0.25
            walk = [("/category", 25.0), ("/broken", random.uniform(10, 100))]
            visits.session(walk + (CONTACT if stuck else []), stuck)
        elif random.random() < 0.15:
            visits.session([("/category", 25.0), *browsing(random)], random.random() < 0.02)
        else:
            calm(random, visits)

    models = world(seed, one)
    assert causes(models) == {"/broken"}
    assert models["/category"].verdict == "announces"
    assert models["/category"].announced_by == "/broken"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_neutral_page_that_leads_to_several_causes_is_none(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        if random.random() < 0.3:
            stuck, walk = False, [("/category", 25.0)]
            if random.random() < 0.7:
                stuck = random.random() < 0.3
                walk += stuck_walk(random.choice(["/broken", "/faulty", "/dead-end"]), random)
            else:
                stuck = random.random() < 0.02
            visits.session(walk + (CONTACT if stuck else []), stuck)
        else:
            calm(random, visits)

    assert causes(world(seed, one)) == {"/broken", "/faulty", "/dead-end"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chain_of_pages_that_announce_leads_back_to_the_cause(seed: int) -> None:
    def one(random: Random, visits: Visits) -> None:
        if random.random() < 0.15:
            stuck = random.random() < 0.3
            walk = stuck_walk("/broken", random)
            if random.random() < (0.6 if stuck else 0.05):
                walk.append(("/opening-hours", 300.0))
                if random.random() < 0.7:
                    walk.append(("/phone-menu", 20.0))
            visits.session(walk + (CONTACT if stuck else []), stuck)
        else:
            calm(random, visits)

    models = world(seed, one)
    assert causes(models) == {"/broken"}
    assert models["/phone-menu"].verdict == "announces"


@pytest.mark.parametrize("seed", range(10))
def test_where_no_page_causes_contacts_none_is_accused(seed: int) -> None:
    assert causes(world(seed, calm, 3000)) == set()


def test_a_page_whose_visitors_go_on_through_a_page_that_announces_stays_the_cause() -> None:
    base = Base(Count(10_000, 300))
    suspects = {"/broken": Count(1000, 200), "/hours": Count(150, 120)}
    flows = {("/hours", "/broken"): Count(130, 118)}
    found = origins(suspects, Ways(flows, {}), base, JourneyPolicy())
    assert {page: origin.precedes for page, origin in found.items()} == {"/broken": True, "/hours": False}
    assert found["/hours"].by == "/broken"


def test_pages_that_explain_only_each_other_leave_the_worse_one_as_the_cause() -> None:
    base = Base(Count(10_000, 300))
    suspects = {"/a": Count(400, 100), "/b": Count(400, 90)}
    flows = {("/a", "/b"): Count(390, 98), ("/b", "/a"): Count(390, 88)}
    found = origins(suspects, Ways(flows, {}), base, JourneyPolicy())
    assert found["/a"].precedes
    assert (found["/b"].precedes, found["/b"].by) == (False, "/a")


def test_no_page_is_explained_by_itself_and_every_explanation_ends_at_a_cause() -> None:
    random, base = Random(3), Base(Count(100_000, 3000))
    for _ in range(200):
        pages = [f"/{i}" for i in range(random.randint(1, 8))]
        suspects = {
            page: Count(n := random.uniform(60, 2000), n * random.uniform(0.08, 0.6)) for page in pages
        }
        flows = {
            (page, before): Count(suspects[page].n * share, suspects[page].k * share * random.random())
            for page in pages
            for before in pages
            if page != before and random.random() < 0.6
            for share in (random.random(),)
        }
        found = origins(suspects, Ways(flows, {}), base, JourneyPolicy())
        assert set(found) == set(pages)
        for page in pages:
            passed = {page}
            while not found[page].precedes:
                by = found[page].by
                assert by is not None
                assert by not in passed
                passed.add(by)
                page = by
