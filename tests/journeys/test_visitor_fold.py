"""What is counted, told and kept of visitors? Stories, each with the numbers that must come of it."""

from msgspec.structs import replace

from schemas.errors import Reason
from schemas.journeys import StuckModel
from schemas.topics import PAGE_PARTIALS, WEB
from schemas.web_rows import SITE_ROW
from streams.driver import Stored
from streams.journeys.page_fold import PageFold
from streams.journeys.policy import OTHER_PAGES
from streams.journeys.sketch import bucket
from streams.journeys.telling import PageTeller
from streams.site import Site
from tests.journeys.visits import (
    BASE,
    DAY,
    DAY_NUMBER,
    HOUR,
    SITE,
    SURE,
    Browser,
    Watcher,
    event,
    model_event,
    watched,
)

T_S = 1800


def with_policy(**changes: object) -> Site:
    return replace(SITE, journeys=replace(SITE.journeys, **changes))


def loop(visitor: str = "ann", page: str = "/pay", at_s: float = 0) -> Browser:
    """Three views of a page: stuck at the third."""
    return Browser(visitor).view(at_s, page).view(at_s + 10, page).view(at_s + 20, page)


# --- counters -----------------------------------------------------------------------------------------------------


def test_views_sessions_and_visitors_count_at_once() -> None:
    watcher = watched(Browser().view(0, "/a").view(9, "/b").view(20, "/a"), Browser("ben").view(5, "/a"))
    assert watcher.count(SITE_ROW) == {"sessions": 2, "visitors": 2, "views": 4}
    assert watcher.count("p", "/a") == {"sessions": 2, "visitors": 2, "views": 3}


def test_a_visitor_who_comes_back_the_same_day_is_one_visitor_and_two_sessions() -> None:
    watcher = watched(Browser().view(0, "/a").view(1801, "/a").view(1805, "/b"))
    counted = watcher.count(SITE_ROW)
    assert (counted["sessions"], counted["visitors"], counted["views"], counted["known"]) == (2, 1, 3, 1)
    page = watcher.count("p", "/a")
    assert (page["sessions"], page["visitors"], page["views"]) == (2, 1, 2)


def test_a_session_ends_after_more_than_30_minutes_without_an_event() -> None:
    assert watched(Browser().view(0, "/a").view(1800, "/b")).count(SITE_ROW)["sessions"] == 1
    assert watched(Browser().view(0, "/a").view(1800.001, "/b")).count(SITE_ROW)["sessions"] == 2


def test_closing_a_forgotten_tab_begins_no_session() -> None:
    assert watched(Browser().view(0, "/a").leave(7200)).count(SITE_ROW)["sessions"] == 1


def test_a_session_is_known_t_after_its_last_event_and_not_before() -> None:
    browser = Browser().view(0, "/a").ping(10, 20).leave(30)
    assert "known" not in watched(browser, until_s=30 + T_S - 1).count(SITE_ROW)
    watcher = watched(browser, until_s=31 + T_S)
    assert watcher.count(SITE_ROW)["known"] == watcher.count(SITE_ROW)["n"] == 1
    page = watcher.count("p", "/a")
    assert (page["n"], page["bn"], page[f"e{bucket(15)}"]) == (1, 1, 1)
    assert watcher.count("b", "/a", "") == {"n": 1}
    assert watcher.count("m", "/a") == {"n0": 1}


def test_a_session_that_goes_on_after_it_was_known_is_not_known_any_more() -> None:
    site = with_policy(within_ms=60_000)
    watcher = watched(Browser().view(0, "/a"), until_s=62, site=site)
    assert watcher.count(SITE_ROW)["known"] == 1
    late = Browser()
    late.views = 1
    watcher.feed(late.view(63, "/b").events).settle()
    assert watcher.count(SITE_ROW) == {"sessions": 1, "visitors": 1, "views": 2}
    assert watcher.at(63 + 61).count(SITE_ROW)["known"] == 1


def test_a_contact_within_t_counts_for_every_page_of_that_time_with_its_lead_and_reason() -> None:
    browser = Browser().view(0, "/a").ping(5).link(6).view(400, "/pay").ping(410).contacted(2000)
    watcher = watched(browser, until_s=5000)
    assert watcher.count(SITE_ROW)["contacted"] == 1
    assert (watcher.count(SITE_ROW)["n"], watcher.count(SITE_ROW)["k"]) == (2, 1)
    assert "k" not in watcher.count("p", "/a")
    pay = watcher.count("p", "/pay")
    assert (pay["n"], pay["k"], pay["bn"], pay["bk"], pay[f"l{bucket(1590)}"]) == (1, 1, 1, 1, 1)
    assert pay[f"c{bucket(5)}"] == 1
    assert watcher.count("r", "/pay", "iban") == {"k": 1}
    assert watcher.count("b", "/pay", "/a") == {"n": 1, "k": 1}


def test_a_contact_exactly_t_later_counts_and_one_a_moment_later_does_not() -> None:
    browser = Browser().view(0, "/a").link(1)
    assert watched(browser, Browser().contacted(T_S), until_s=5000).count("p", "/a")["k"] == 1
    assert "k" not in watched(browser, Browser().contacted(T_S + 0.001), until_s=5000).count("p", "/a")


def test_a_contact_told_long_after_corrects_what_was_known() -> None:
    watcher = watched(Browser().view(0, "/a").link(1), until_s=2 * 3600)
    assert "contacted" not in watcher.count(SITE_ROW)
    watcher.feed(Browser().contacted(600, told_s=7100).events).settle()
    assert watcher.count(SITE_ROW)["contacted"] == watcher.count("p", "/a")["k"] == 1
    gone = Browser().contacted(600, told_s=7150, revision=2, withdrawn=True)
    assert "contacted" not in watcher.feed(gone.events).settle().count(SITE_ROW)


def test_engaged_pages_before_the_contact_page_are_told_from_those_after_it() -> None:
    browser = Browser().view(0, "/pay").ping(5, 15).view(20, "/contact").ping(25).view(40, "/b").ping(45)
    watcher = watched(browser, until_s=4000)
    assert "bn" in watcher.count("p", "/pay")
    assert "bn" not in watcher.count("p", "/contact")
    assert "bn" not in watcher.count("p", "/b")
    assert watcher.count(SITE_ROW)["n"] == 2, "the contact page is no part of the base rate"


def test_help_is_judged_after_24_hours() -> None:
    browser = Browser().view(0, "/help/x").link(1)
    assert "help_n" not in watched(browser, until_s=86_400 - 5).count(SITE_ROW)
    helped = watched(browser, until_s=86_402)
    assert (helped.count(SITE_ROW)["help_n"], helped.count("p", "/help/x")["help_n"]) == (1, 1)
    called = watched(browser, Browser().contacted(80_000), until_s=86_402)
    assert (called.count(SITE_ROW)["help_k"], called.count("p", "/help/x")["help_k"]) == (1, 1)
    assert called.count("x", "web", "voice") == {"k": 1}


def test_who_leaves_in_trouble_without_contact_or_progress_left_silently() -> None:
    assert watched(loop(), until_s=4000).count(SITE_ROW)["silent"] == 1
    assert "silent" not in watched(loop().view(30, "/shop/thanks"), until_s=4000).count(SITE_ROW)
    assert "silent" not in watched(loop().link(25).contacted(60), until_s=4000).count(SITE_ROW)
    assert "silent" not in watched(Browser().view(0, "/a"), until_s=4000).count(SITE_ROW)


def test_a_session_over_midnight_counts_on_the_day_it_began_and_each_page_on_the_day_of_its_first_event() -> (
    None
):
    midnight_s = 14 * 3600  # Berlin is an hour ahead: BASE is ten o'clock
    watcher = watched(Browser().view(midnight_s - 10, "/a").view(midnight_s + 10, "/b"))
    assert watcher.count(SITE_ROW) == {"sessions": 1, "visitors": 1, "views": 2}
    assert watcher.count("p", "/a")["views"] == 1
    assert watcher.count("p", "/b", day=DAY_NUMBER + 1)["views"] == 1


# --- who is who ---------------------------------------------------------------------------------------------------


def test_a_link_at_the_end_joins_the_past_of_the_session() -> None:
    browser = Browser().view(0, "/pay").view(60, "/b").link(900).contacted(1000)
    watcher = watched(browser, until_s=4000)
    assert watcher.count("p", "/pay")["k"] == watcher.count("p", "/b")["k"] == 1
    assert watcher.count(SITE_ROW)["linked"] == 1
    (link,) = watcher.links.values()
    assert (link.customer_id, link.at_ms) == ("c1_ann", BASE + 900_000)


def test_a_link_that_arrives_an_hour_late_joins_as_if_it_had_been_on_time() -> None:
    on_time = watched(Browser().view(0, "/pay").link(30).view(60, "/b").contacted(100), until_s=8000)
    late = watched(Browser().view(0, "/pay").view(60, "/b"), until_s=3700)
    late.feed(Browser().link(30).contacted(100).events).at(8000)
    assert late.told() == on_time.told()


def test_on_a_shared_device_a_contact_labels_only_what_its_customer_did() -> None:
    browser = Browser().view(0, "/pay").link(5, "c1_ann").view(100, "/b").link(150, None).view(200, "/c")
    browser.link(210, "c1_bob").view(220, "/d").contacted(400, "c1_bob")
    watcher = watched(browser, until_s=5000)
    assert {page: watcher.count("p", page).get("k", 0) for page in ("/pay", "/b", "/c", "/d")} == {
        "/pay": 0, "/b": 0, "/c": 1, "/d": 1,
    }  # fmt: skip
    shown = {key[0]: [page.page for page in told.pages] for key, told in watcher.sessions.items()}
    assert shown == {"c1_ann": ["/pay", "/b"], "c1_bob": ["/c", "/d"]}


def test_two_browsers_of_one_customer_are_both_labelled() -> None:
    ann, phone = Browser().view(0, "/pay").link(1), Browser("phone").view(50, "/b").link(51)
    ann.contacted(100)
    phone.contacted(100)
    watcher = watched(ann, phone, until_s=4000)
    assert watcher.count("p", "/pay")["k"] == watcher.count("p", "/b")["k"] == 1
    assert watcher.count(SITE_ROW)["contacted"] == 2


def test_after_logging_out_nobody_is_known_any_more() -> None:
    watcher = watched(Browser().view(0, "/a").link(1).link(2, None).view(3, "/b").contacted(60), until_s=4000)
    assert "k" not in watcher.count("p", "/b")


def test_who_was_linked_in_an_earlier_session_still_is() -> None:
    watcher = watched(Browser().view(0, "/a").link(1).view(7200, "/b").contacted(7300), until_s=12_000)
    assert watcher.count("p", "/b")["k"] == 1
    assert "k" not in watcher.count("p", "/a")
    assert watcher.count(SITE_ROW)["linked"] == 2


# --- bots -----------------------------------------------------------------------------------------------------------


def test_a_bot_that_says_so_counts_as_one_and_nowhere_else() -> None:
    watcher = watched(Browser().view(0, "/a", bot=True).view(5, "/b"), until_s=4000)
    assert watcher.days == {(SITE_ROW, DAY_NUMBER): {"bots": 1}}


def test_more_than_60_views_in_5_minutes_without_a_click_or_ping_are_no_human() -> None:
    def visit(views: int, every_s: float, *, click: bool = False) -> Watcher:
        browser = Browser()
        for number in range(views):
            browser.view(number * every_s, f"/p{number % 50}")
            if click and number == 30:
                browser.click(number * every_s)
        return watched(browser)

    assert visit(61, 4.9).count(SITE_ROW) == {"bots": 1}
    assert visit(60, 1).count(SITE_ROW)["sessions"] == 1
    assert visit(61, 5).count(SITE_ROW)["sessions"] == 1
    assert visit(61, 1, click=True).count(SITE_ROW)["sessions"] == 1


def test_a_flag_of_a_visitor_that_turns_out_to_be_a_bot_is_withdrawn() -> None:
    browser = loop()
    for number in range(80):
        browser.view(30 + number, f"/p{number}")
    watcher = Watcher().feed(browser.events[:10]).settle()
    assert watcher.flags
    watcher.feed(browser.events[10:]).settle()
    assert (watcher.flags, watcher.fold.stuck_by_page()) == ({}, {})
    assert watcher.count(SITE_ROW) == {"bots": 1}


# --- flags ----------------------------------------------------------------------------------------------------------


def test_a_visitor_is_stuck_from_the_threshold_on_and_everybody_is_told_once() -> None:
    watcher = watched(loop())
    flag = watcher.flag()
    assert (flag.page, flag.raised_ms, flag.kind, flag.queue) == ("/pay", BASE + 20_000, "chat", "Billing")
    assert (flag.probability, flag.model_version) == (0.5, 1)
    assert watcher.changes == [("raised", flag.id)]
    assert watcher.fold.stuck_by_page() == {"/pay": 1}
    assert watcher.visitors["ann"].flag == flag
    assert watcher.count(SITE_ROW)["flags"] == 1


def test_a_flag_is_cleared_by_a_progress_page() -> None:
    watcher = watched(loop().view(30, "/shop/thanks"))
    assert (watcher.flag().cleared, watcher.flag().cleared_ms) == ("progress", BASE + 30_000)
    assert watcher.count(SITE_ROW)["cleared_progress"] == 1
    assert watcher.fold.stuck_by_page() == {}


def test_a_flag_is_cleared_when_the_probability_falls_far_and_not_when_it_falls_a_little() -> None:
    def fallen(weight: float) -> Watcher:
        weights = {"loop": 4.0, "help_viewed": weight}
        watcher = Watcher(model=replace(SURE, weights=weights))
        return watcher.feed(loop().view(30, "/faq/iban").events).settle()

    assert fallen(-1.2).flag().cleared is None, "0.23 is below the threshold, but not below 0.18"
    assert fallen(-1.6).flag().cleared == "progress"


def test_a_flag_is_cleared_by_a_contact_of_its_customer_and_by_no_other() -> None:
    assert watched(loop().link(25).contacted(60)).flag().cleared == "contact"
    assert watched(loop().link(25).contacted(60, "c1_bob")).flag().cleared is None


def test_who_does_nothing_for_5_minutes_has_left() -> None:
    watcher = watched(loop(), until_s=319)
    assert watcher.flag().cleared is None
    watcher.at(321)
    assert (watcher.flag().cleared, watcher.flag().cleared_ms) == ("left", BASE + 320_000)
    assert watcher.visitors == {}
    assert watcher.count(SITE_ROW)["cleared_left"] == 1


def test_after_a_flag_none_is_raised_for_10_minutes() -> None:
    browser = loop().view(30, "/shop/thanks").view(40, "/pay").ping(*range(50, 600, 10))
    assert len(watched(browser).flags) == 1
    assert len(watched(browser.ping(629, 631)).flags) == 2


def test_an_event_that_arrives_late_withdraws_what_it_disproves() -> None:
    watcher = watched(loop())
    first = watcher.flag().id
    early = Browser()
    early.views = 9
    watcher.feed(early.view(-10, "/pay").events).settle()
    assert [change for change, _ in watcher.changes] == ["raised", "withdrawn", "raised"]
    assert watcher.flag().raised_ms == BASE + 10_000
    assert watcher.flag().id != first


def test_a_model_that_arrives_late_judges_what_came_after_its_time_again() -> None:
    calm = StuckModel(version=2, valid_from_ms=BASE + 15_000, base=-5.0)
    watcher = watched(loop())
    assert watcher.flags
    watcher.feed([model_event(calm, BASE + 60_000)]).settle()
    assert not watcher.flags
    assert "flags" not in watcher.count(SITE_ROW)


def test_offers_count_by_page_and_kind_and_arm_when_the_outcome_is_known() -> None:
    everybody, nobody = with_policy(holdout=0.0), with_policy(holdout=1.0)
    browser = loop().link(25).offered(30, "shown", kind="other", page="/x").contacted(60)
    offered = watched(browser, until_s=2 * 86_400, site=everybody)
    row = offered.count("i", "/pay", "chat")
    assert row == {"offer_n": 1, "offer_k": 1, "offer_n24": 1}
    assert offered.count("i", "/x", "other") == {"shown": 1}
    held = watched(loop(), until_s=2 * 86_400, site=nobody).count("i", "/pay", "chat")
    assert held == {"holdout_n": 1, "holdout_n24": 1, "holdout_r24": 1}


def test_interventions_of_a_flag_count_where_the_flag_was_raised() -> None:
    watcher = watched(loop())
    flag = watcher.flag().id
    answer = Browser().offered(40, "shown", kind="popup", page="/x", flag=flag)
    answer.offered(50, "accepted", kind="popup", page="/x", flag=flag)
    watcher.feed(answer.events).settle()
    assert watcher.count("i", "/pay", "chat") == {"shown": 1, "accepted": 1}
    assert watcher.count("i", "/x", "popup") == {}


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_journey_shows_pages_with_their_signals_searches_and_errors() -> None:
    browser = Browser().view(0, "/pay").ping(5, 15).refuse(16).refuse(17).search(20, 0, "iban")
    browser.error(25).view(30, "/faq").link(40)
    watcher = watched(browser)
    (session,) = watcher.sessions.values()
    assert [(page.page, page.engaged_s, page.signals) for page in session.pages] == [
        ("/pay", 15.0, ("form_error", "zero_hits")), ("/faq", 0.0, ()),
    ]  # fmt: skip
    assert [(search.hits, search.term) for search in session.searches] == [(0, "iban")]
    assert session.errors == 1
    assert [flag.page for flag in session.flags] == ["/pay"]


def test_at_most_so_many_journeys_are_told_at_once_and_none_is_lost() -> None:
    watcher = Watcher()
    for number in range(5):
        watcher.feed(Browser(f"v{number}").view(0, "/a").link(1).events)
    watcher.fold.settle(watcher.now_ms)
    told = [watcher.fold.take_sessions(2) for _ in range(4)]
    assert [len(each) for each in told] == [2, 2, 1, 0]


def test_who_is_forgotten_leaves_nothing_and_stays_forgotten_when_told_again() -> None:
    browser = loop().link(25)
    watcher = watched(browser)
    counted = watcher.count(SITE_ROW)
    watcher.feed([event("visitor.forgotten", BASE + 100_000, visitor_id="ann")]).settle()
    assert [watcher.sessions, watcher.visitors, watcher.flags, watcher.links] == [{}, {}, {}, {}]
    watcher.feed(browser.events).settle()
    assert watcher.count(SITE_ROW) == counted
    assert not any(b"c1_ann" in value for value in watcher.dumped().values())


# --- limits -----------------------------------------------------------------------------------------------------------


def test_pages_beyond_the_limit_are_one_row_and_counted() -> None:
    watcher = Watcher(with_policy(most_pages=2))
    for number in range(5):
        watcher.feed(Browser(f"v{number}").view(number, f"/p{number}").events)
    watcher.settle()
    assert watcher.count("p", OTHER_PAGES)["views"] == 3
    assert watcher.fold.truth.overflow_names == 3
    assert watcher.count("p", "/p1")["views"] == 1


def test_events_beyond_the_limit_of_a_session_are_dead_letters() -> None:
    watcher = Watcher(with_policy(most_events_per_session=10))
    watcher.feed(Browser().view(0, "/a").ping(*range(1, 15)).events).settle()
    assert [letter.reason for letter in watcher.letters] == [Reason.TOO_MANY_EVENTS] * 5


def test_beyond_the_limit_those_who_were_silent_longest_go_and_what_was_counted_stays() -> None:
    watcher = Watcher(with_policy(most_visitors=3))
    for number in range(5):
        watcher.feed(Browser(f"v{number}").view(number * 4000, "/a").events).settle()
    watcher.at(5 * 4000)
    assert watcher.fold.visitors == 3
    assert watcher.fold.truth.lost == 2
    assert watcher.count("p", "/a")["views"] == 5
    assert not any(key in ("vv0", "vv1") for key in watcher.dumped())


def test_a_flood_of_visitors_at_once_is_bounded_too() -> None:
    watcher = Watcher(with_policy(most_visitors=10))
    watcher.feed([each for n in range(50) for each in Browser(f"v{n}").view(n, "/a").events]).settle()
    assert watcher.fold.visitors <= 10


def test_visitors_are_forgotten_when_nothing_of_them_can_be_corrected() -> None:
    watcher = watched(loop(), until_s=(26 * HOUR + HOUR) / 1000)
    assert watcher.fold.visitors == 0
    assert watcher.count(SITE_ROW)["known"] == 1
    late = Browser().view(5, "/a")
    assert watcher.feed(late.events).settle().fold.truth.late_dropped == 1


def test_a_returning_visitor_keeps_only_what_can_still_be_corrected() -> None:
    watcher = Watcher(SITE)
    for day in range(10):
        watcher.feed(Browser().view(day * 20 * 3600, "/a").events).settle()
    (packed,) = [value for key, value in watcher.dumped().items() if key == "vann"]
    assert len(packed) < 400


def test_days_that_cannot_change_any_more_are_let_go() -> None:
    watcher = watched(Browser().view(0, "/a"), until_s=6 * DAY / 1000)
    watcher.fold.tell_all()
    assert watcher.fold.take_days() == []


def test_while_the_source_lags_behind_nobody_counts_as_silent() -> None:
    watcher = Watcher(event_clock=False)
    watcher.now_ms = BASE + 3 * HOUR
    watcher.fold.truth.lag = 1000
    watcher.feed(loop().events).settle()
    assert watcher.flag().cleared is None
    assert "known" not in watcher.count(SITE_ROW)
    watcher.fold.truth.lag = 0
    watcher.settle()
    assert watcher.flag().cleared == "left"
    assert watcher.count(SITE_ROW)["known"] == 1


def test_what_is_told_again_counts_once_even_under_another_time() -> None:
    first = event("web.page_view", BASE, visitor_id="ann", page="/a", view_id="1")
    again = first.replace(b"09:00:00.000", b"09:00:00.250")
    watcher = Watcher().feed([first, first, again]).settle()
    assert watcher.count(SITE_ROW)["views"] == 1
    assert watcher.fold.truth.duplicates == 2
    other = Watcher().feed([again, first]).settle()
    assert other.told() == watcher.told()


# --- replays and the pipeline's own events --------------------------------------------------------------------------


def test_a_replay_counts_days_long_past_and_time_of_pages_goes_on_as_its() -> None:
    site = with_policy(keep_days=10)
    replay = Watcher(site)
    pages = PageFold(site, PAGE_PARTIALS, 0, sources=1, event_clock=True)
    replay.feed([event("pipeline.heartbeat", BASE, clock="event"), *loop("old").events])
    replay.fold.advance(BASE + 2 * HOUR)
    replay.fold.settle(0)
    told = PageTeller(WEB, 0, 1).tell(replay.fold.take_days(), 0, replay.fold.clock_ms, event_clock=True)
    pages.apply([Stored(n, value) for n, value in enumerate(told)], BASE + 40 * DAY)
    assert set(pages.days[SITE_ROW]) == {DAY_NUMBER}
    assert pages.days[SITE_ROW][DAY_NUMBER]["views"] == 3
    assert pages.days[SITE_ROW][DAY_NUMBER]["known"] == 1
    assert pages.clock_ms == replay.fold.clock_ms


def test_a_heartbeat_of_a_replay_is_refused_where_visitors_are_watched_live() -> None:
    live = Watcher(event_clock=False)
    live.now_ms = BASE + HOUR // 6
    live.feed([event("pipeline.heartbeat", BASE - 40 * DAY, clock="event"), *loop().events]).settle()
    assert live.fold.truth.dead_letters == {Reason.WRONG_CLOCK: 1}
    assert (live.fold.is_replay, live.fold.clock_ms) == (False, live.now_ms)
    assert live.count(SITE_ROW)["views"] == 3


def test_events_that_the_pipeline_makes_itself_prove_no_web_site_alive() -> None:
    quiet = Watcher(event_clock=False)
    assert quiet.fold.truth.newest_event_ms == 0
    quiet.feed([event("web.page_view", BASE, visitor_id="ann", page="/a", view_id="1")])
    quiet.now_ms = BASE + HOUR
    quiet.feed([model_event(SURE, BASE + HOUR)])
    assert quiet.fold.truth.newest_event_ms == BASE
