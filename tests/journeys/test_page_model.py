from copy import deepcopy
from random import Random

import pytest

from schemas.journeys import WebReport, decode_report, encode_journeys
from schemas.web_rows import (
    SITE_ROW,
    customer_row,
    moments_row,
    offers_row,
    page_row,
    reason_row,
    switch_row,
)
from streams.journeys.day_number import day_number
from streams.journeys.page_model import Memo, cells_of, report_of
from streams.journeys.policy import DAY_MS, OTHER_PAGES, JourneyPolicy, Offer
from streams.journeys.sketch import bucket
from streams.site import Site
from tests.journeys.page_world import NOW_MS, SITE, TODAY, Days, Visits, browsing, stuck_walk


def report(days: Days, site: Site = SITE, stuck: dict[str, int] | None = None) -> WebReport:
    return report_of(days, now_ms=NOW_MS, site=site, model=None, stuck_by_page=stuck or {})


def a_site(seed: int, sessions: int = 3000) -> Visits:
    """One page in ten has a problem, and everything else is as usual."""
    random, visits = Random(seed), Visits()
    for _ in range(sessions):
        bad = random.random() < 0.1
        contacted = random.random() < (0.3 if bad else 0.02)
        walk = browsing(random) + (stuck_walk("/broken", random) if bad else [])
        visits.session(walk + ([("/contact", 5.0)] if contacted else []), contacted)
    return visits


def test_a_site_of_which_nothing_is_known_has_no_rates_and_no_pages() -> None:
    found = report({})
    assert (found.views, found.pages, found.base.rate, found.self_resolution.rate) == (0, (), None, None)
    assert decode_report(encode_journeys(found)) == found


def test_on_day_one_a_page_with_views_and_no_outcome_is_unsure_and_has_no_rate() -> None:
    (page,) = report({page_row("/a"): {TODAY: {"views": 3, "sessions": 2, "visitors": 2}}}).pages
    assert (page.verdict, page.views, page.sessions, page.visitors) == ("unsure", 3, 2, 2)
    assert (page.contact.rate, page.lift, page.own_lift, page.lead_median_s) == (None, None, None, None)
    assert (page.engaged_median_s, page.engaged_median_contacted_s) == (None, None)


def test_a_page_that_precedes_contacts_comes_first_whatever_its_views() -> None:
    found = a_site(1).report()
    assert found.pages[0].page == "/broken"
    assert found.pages[0].views < found.pages[1].views
    views = [page.views for page in found.pages[1:]]
    assert views == sorted(views, reverse=True)


def test_the_base_rate_is_over_content_and_help_pages_only() -> None:
    visits = Visits()
    visits.add(page_row("/a"), n=100, k=2, bn=100, bk=2)
    visits.add(page_row("/help/a"), n=50, k=4, bn=50, bk=4)
    visits.add(page_row("/contact"), n=80, k=70)
    visits.add(page_row("/order/thanks"), n=30, k=0, bn=30, bk=0)
    visits.add(page_row(OTHER_PAGES), n=50, k=0, bn=50, bk=0)
    base = visits.report().base
    assert (base.k, base.n, base.rate) == (6.0, 200.0, 0.03)


def test_the_lift_of_the_whole_site_is_one_and_of_a_bad_page_what_it_is_worth() -> None:
    visits = Visits()
    visits.add(page_row("/good"), n=90_000, k=1800, bn=90_000, bk=1800)
    visits.add(page_row("/bad"), n=10_000, k=1200, bn=10_000, bk=1200)
    models = visits.models()
    assert models["/bad"].lift == pytest.approx(4.0, rel=0.01)
    assert models["/good"].lift == pytest.approx(2 / 3, rel=0.01)
    low, high = models["/bad"].lift_low, models["/bad"].lift_high
    assert low is not None
    assert high is not None
    assert 3.5 < low < 4.0 < high < 4.5


def test_a_contact_page_is_called_so_even_when_every_visit_ends_in_a_contact() -> None:
    visits = a_site(2)
    visits.add(page_row("/contact/form"), n=500, k=500, bn=0, bk=0)
    assert {page.verdict for page in visits.report().pages if page.page_class == "contact"} == {"contact"}


def test_below_the_floor_a_page_is_unsure_however_bad_it_looks() -> None:
    visits = a_site(3)
    visits.add(page_row("/new"), views=49, n=49, k=40, bn=49, bk=40)
    assert visits.models()["/new"].verdict == "unsure"
    visits.add(page_row("/new"), n=1, bn=1)
    assert visits.models()["/new"].verdict == "precedes"


def test_small_counts_are_shrunk_to_the_base_rate() -> None:
    visits = Visits()
    visits.add(page_row("/site"), n=10_000, k=300, bn=10_000, bk=300)
    visits.add(page_row("/new"), n=2, k=1, bn=2, bk=1)
    contact = visits.models()["/new"].contact
    assert (contact.k, contact.n) == (1.0, 2.0)
    assert contact.rate == pytest.approx((1 + 20 * 0.0301) / 22, rel=0.01)


def test_what_was_a_half_life_ago_weighs_half_and_what_is_beyond_the_days_kept_nothing() -> None:
    half = int(SITE.journeys.half_life_days)
    days: Days = {
        page_row("/a"): {
            day: {"n": 100, "k": 10, "views": 7}
            for day in (TODAY, TODAY - half, TODAY - 2 * half, TODAY - 35)
        }
    }
    (page,) = report(days).pages
    assert (page.contact.n, page.contact.k, page.views) == (175.0, 17.5, 7)


def test_a_problem_of_last_month_fades_and_one_of_today_shows() -> None:
    visits = a_site(4)
    visits.add(page_row("/old"), day=TODAY - 33, n=400, k=120, bn=400, bk=120)
    visits.add(page_row("/today"), n=400, k=120, bn=400, bk=120)
    models = visits.models()
    assert models["/today"].verdict == "precedes"
    assert models["/old"].verdict == "unsure"


def test_medians_tell_those_who_contacted_from_those_who_did_not() -> None:
    days: Days = {
        page_row("/a"): {
            TODAY: {
                "n": 40,
                "k": 10,
                f"e{bucket(20)}": 30,
                f"e{bucket(200)}": 10,
                f"c{bucket(200)}": 10,
                f"l{bucket(600)}": 10,
            }
        }
    }
    (page,) = report(days).pages
    assert page.engaged_median_s == pytest.approx(20, rel=0.05)
    assert page.engaged_median_contacted_s == pytest.approx(200, rel=0.05)
    assert page.lead_median_s == pytest.approx(600, rel=0.05)


def test_reasons_of_contacts_are_told_by_page_the_most_frequent_first() -> None:
    days: Days = {
        page_row("/a"): {TODAY: {"n": 10, "k": 3}},
        reason_row("/a", "billing"): {TODAY: {"k": 1}},
        reason_row("/a", "配送"): {TODAY: {"k": 2}},
        reason_row("/gone", "billing"): {TODAY: {"k": 5}},
    }
    (page,) = report(days).pages
    assert list(page.reasons.items()) == [("配送", 2.0), ("billing", 1.0)]


def test_help_pages_say_how_often_they_were_not_enough_and_others_do_not() -> None:
    days: Days = {
        page_row("/help/a"): {TODAY: {"help_n": 20, "help_k": 5}},
        page_row("/b"): {TODAY: {"n": 1}},
    }
    models = {page.page: page for page in report(days).pages}
    rate = models["/help/a"].help_contact
    assert rate is not None
    assert (rate.k, rate.n, rate.rate) == (5.0, 20.0, 0.25)
    assert models["/b"].help_contact is None


def test_the_numbers_of_the_site_are_of_today_and_its_rates_of_all_days_kept() -> None:
    today = {
        "views": 90,
        "sessions": 30,
        "visitors": 25,
        "bots": 2,
        "linked": 9,
        "known": 20,
        "contacted": 3,
        "help_n": 10,
        "help_k": 2,
        "silent": 4,
        "flags": 6,
        "cleared_progress": 3,
        "cleared_contact": 1,
    }
    found = report(
        {
            SITE_ROW: {
                TODAY: today,
                TODAY - 7: {"views": 1000, "known": 20, "contacted": 1, "help_n": 2, "help_k": 2},
            }
        }
    )
    assert (found.views, found.sessions, found.visitors, found.bots, found.linked_sessions) == (
        90,
        30,
        25,
        2,
        9,
    )
    assert (found.contacted.k, found.contacted.n) == (3.5, 30.0)
    assert (found.self_resolution.k, found.self_resolution.n) == (8.0, 11.0)
    assert (found.silent_leavers, found.flags_raised) == (4, 6)
    assert found.flags_cleared == {"progress": 3, "contact": 1, "left": 0}


def test_pages_beyond_those_shown_are_counted_and_their_views_are_not_lost() -> None:
    site = Site(journeys=JourneyPolicy(most_shown=2))
    days: Days = {page_row(f"/{i}"): {TODAY: {"views": i}} for i in range(1, 6)}
    days[page_row(OTHER_PAGES)] = {TODAY: {"views": 100}}
    found = report(days, site)
    assert [page.page for page in found.pages] == ["/5", "/4"]
    assert (found.other_pages, found.other_views) == (4, 106)


def test_who_is_stuck_now_stands_at_the_page_with_the_queue_that_could_help() -> None:
    site = Site(journeys=JourneyPolicy(offers=(Offer(pages="/pay*", kind="chat", queue="billing"),)))
    days: Days = {page_row("/pay/card"): {TODAY: {"views": 9}}, page_row("/a"): {TODAY: {"views": 3}}}
    pay, other = report(days, site, {"/pay/card": 4}).pages
    assert (pay.stuck_now, pay.queue) == (4, "billing")
    assert (other.stuck_now, other.queue) == (0, None)


def test_interventions_count_people_undecayed_over_the_days_they_ran() -> None:
    counts = {"offer_n": 90, "offer_k": 18, "holdout_n": 30, "holdout_k": 15, "shown": 80}
    days: Days = {offers_row("/a", "faq"): {TODAY - day: counts for day in range(7)}}
    (found,) = report(days).interventions
    assert (found.page, found.kind, found.shown, found.offer.contact.n) == ("/a", "faq", 560, 630.0)
    assert found.effect == pytest.approx(0.3)
    assert found.verdict == "helps"
    day_ms, _ = SITE.calendar("").day_bounds_ms(NOW_MS)
    assert found.avoided_per_day == pytest.approx(0.3 * 630 / (6 + (NOW_MS - day_ms) / DAY_MS))


def test_switches_and_resolutions_are_told_by_channel() -> None:
    found = report({
        switch_row("web", "voice"): {TODAY: {"k": 8}, TODAY - 7: {"k": 4}},
        switch_row("chat", "voice"): {TODAY: {"k": 12}},
        customer_row("billing", "voice"): {TODAY: {"fcr_n": 10, "fcr_k": 7, "repeat_n": 20, "repeat_k": 5}},
    })  # fmt: skip
    assert [(each.from_channel, each.to_channel, each.count) for each in found.switches] == [
        ("chat", "voice", 12.0),
        ("web", "voice", 10.0),
    ]
    (resolution,) = found.resolutions
    assert (resolution.queue, resolution.channel, resolution.fcr.rate, resolution.repeat.rate) == (
        "billing",
        "voice",
        0.7,
        0.25,
    )
    assert resolution.fcr_provisional.rate is None


def test_cells_are_read_from_the_counters_of_moments_and_fade_as_pages_do() -> None:
    days: Days = {
        moments_row("/a"): {TODAY: {"n0": 10, "k0": 1, "n1f": 3}, TODAY - 7: {"n0": 10, "k1f": 2}},
        moments_row(""): {TODAY: {"n7": 1}},
        page_row("/a"): {TODAY: {"n": 5}},
    }
    assert cells_of(days, TODAY, SITE.journeys) == {
        "/a": {0: (15.0, 1.0), 0x1F: (3.0, 1.0)},
        "": {7: (1.0, 0.0)},
    }


def test_a_business_day_has_the_number_of_the_date_on_which_it_began() -> None:
    tokyo = Site(zone="Asia/Tokyo", day_starts_at="05:00")
    assert day_number(Site(), 0) == 0
    assert day_number(Site(), 12 * DAY_MS - 1) == 11
    assert day_number(tokyo, 0) == 0  # 09:00 on 1970-01-01
    assert day_number(tokyo, -5 * 3_600_000) == -1  # 04:00 on that day: still the day before


def test_the_order_in_which_counters_came_does_not_matter() -> None:
    visits, random = a_site(5, 800), Random(1)
    rows = list(visits.days.items())
    random.shuffle(rows)
    mixed = {row: {day: dict(sorted(counts.items())) for day, counts in days.items()} for row, days in rows}
    one, other = report(visits.days), report(mixed)
    assert [page.page for page in one.pages] == [page.page for page in other.pages]
    assert [page.verdict for page in one.pages] == [page.verdict for page in other.pages]


def test_a_report_with_a_memory_says_the_same_as_one_without() -> None:
    visits, memo, random = a_site(6, 800), Memo(), Random(2)
    for step in range(6):
        before = deepcopy(visits.days)
        visits.session([*browsing(random), *stuck_walk("/broken", random)], True)
        for row, days in visits.days.items():
            if before.get(row) != days:
                memo.changed(row)
        now_ms = NOW_MS + step // 3 * DAY_MS
        with_memory = report_of(
            visits.days, now_ms=now_ms, site=SITE, model=None, stuck_by_page={}, memo=memo
        )
        assert with_memory == report_of(visits.days, now_ms=now_ms, site=SITE, model=None, stuck_by_page={})


def test_counters_that_contradict_each_other_for_a_moment_break_nothing() -> None:
    """Sources tell at different times: contacts may be there before the visits they belong to."""
    days: Days = {
        page_row("/a"): {TODAY: {"n": 60, "k": 80, "bn": 60, "bk": 75, "e10": 3, "c10": 5}},
        page_row("/b"): {TODAY: {"n": 0, "k": 2, "bn": 0, "bk": 1}},
        page_row("/c"): {TODAY: {}},
        SITE_ROW: {TODAY: {"help_n": 1, "help_k": 3, "known": 2, "contacted": 4}},
    }
    found = report(days)
    for page in found.pages:
        for rate in (page.contact, found.self_resolution, found.contacted):
            if rate.rate is not None:
                assert 0 <= rate.rate <= 1


@pytest.mark.parametrize("seed", range(3))
def test_in_a_large_site_the_pages_listed_first_are_the_causes(seed: int) -> None:
    """Sixty pages, five with a problem, ten that lead there, five that people with a problem look up from anywhere."""
    random, visits = Random(seed), Visits()
    neutral, causes = [f"/page/{i}" for i in range(50)], [f"/cause/{i}" for i in range(5)]
    sought = [f"/info/{i}" for i in range(5)]
    busy = {page: random.paretovariate(1.2) for page in neutral} | {
        page: random.uniform(0.5, 2) for page in causes
    }
    risk = {page: random.uniform(0.15, 0.4) for page in causes}
    leads = {f"/page/{i}": causes[i % 5] for i in range(10)}
    for _ in range(10_000):
        stuck, onward, steps = False, None, []
        for _ in range(random.randint(1, 5)):
            page = onward or random.choices(list(busy), list(busy.values()))[0]
            onward = leads[page] if page in leads and random.random() < 0.5 else None
            stuck = random.random() < risk.get(page, 0.0)
            steps.append((page, random.expovariate(1 / 40) * (2 if stuck else 1)))
            if stuck:
                break
        stuck = stuck or random.random() < 0.01
        for page in sought:
            if random.random() < (0.18 if stuck else 0.01):
                steps.append((page, random.expovariate(1 / 15)))
        if stuck:
            steps.append(("/contact", 8.0))
        visits.session(steps, stuck)
    pages = visits.report().pages
    preceding = [page.page for page in pages if page.verdict == "precedes"]
    assert sum(page.startswith("/cause/") for page in preceding[:5]) >= 4
    assert len(preceding) <= 6
    assert all(page.verdict == "announces" for page in pages if page.page in sought)
