"""When is something a sign of trouble? Each signal just below and just above its threshold."""

import json
from pathlib import Path

import pytest

from schemas.journeys import FEATURE_BIT, FEATURES
from streams.journeys.session import moment_page, moment_pattern
from streams.journeys.signals import SIGNALS, TROUBLE, ClickBurst
from tests.journeys.visits import Browser, Watcher, watched

VECTORS = Path(__file__).resolve().parents[2] / "../shared/data/vendors/posthog/rageclick_vectors.json"


def pattern(*browsers: Browser) -> set[str]:
    """The features of the one visitor there is."""
    watcher = watched(*browsers)
    assert not watcher.letters
    return features(watcher)


def features(watcher: Watcher, visitor: str = "ann") -> set[str]:
    (live,) = [
        bucket[visitor].live for bucket in watcher.fold._visitors if visitor in bucket
    ]  # the pattern is what the model sees; nothing shows it before a visitor is worth watching
    assert live is not None
    return {name for name, bit in FEATURE_BIT.items() if live.pattern & bit}


def seen(*views: tuple[float, str]) -> Browser:
    browser = Browser()
    for at_s, page in views:
        browser.view(at_s, page)
    return browser


def test_signals_are_the_first_features_in_their_order() -> None:
    assert FEATURES[: len(SIGNALS)] == SIGNALS
    assert (1 << len(SIGNALS)) - 1 == TROUBLE


def test_the_third_view_of_a_page_within_15_minutes_is_a_loop() -> None:
    assert "loop" not in pattern(seen((0, "/a"), (10, "/b"), (20, "/a")))
    assert "loop" in pattern(seen((0, "/a"), (10, "/b"), (20, "/a"), (30, "/c"), (899.999, "/a")))
    assert "loop" not in pattern(seen((0, "/a"), (10, "/b"), (20, "/a"), (30, "/c"), (900, "/a")))


def test_reloading_a_page_twice_is_a_loop_too() -> None:
    assert "loop" in pattern(seen((0, "/a"), (10, "/a"), (20, "/a")))


def test_a_signal_counts_for_15_minutes() -> None:
    loop = seen((0, "/a"), (1, "/a"), (2, "/a"))
    assert "loop" in pattern(loop.ping(901.999))
    assert "loop" not in pattern(loop.ping(902))


def test_going_back_within_5_seconds_without_having_been_engaged_is_a_quick_back() -> None:
    assert "quick_back" in pattern(seen((0, "/a"), (10, "/b"), (14.999, "/a")))
    assert "quick_back" not in pattern(seen((0, "/a"), (10, "/b"), (15, "/a")))
    assert "quick_back" not in pattern(seen((0, "/a"), (10, "/b")).ping(12).view(14, "/a"))
    assert "quick_back" not in pattern(seen((0, "/a"), (10, "/b"), (14, "/c")))


def test_four_clicks_within_a_second_on_one_spot_are_rage() -> None:
    def clicks(*at_s: float, x: int = 0) -> Browser:
        browser = Browser().view(0, "/a")
        for number, each in enumerate(at_s):
            browser.click(each, x=number * x)
        return browser

    assert "rage_click" in pattern(clicks(1, 1.3, 1.6, 1.999))
    assert "rage_click" not in pattern(clicks(1, 1.3, 1.6))
    assert "rage_click" not in pattern(clicks(1, 1.3, 1.6, 2))
    assert "rage_click" in pattern(clicks(1, 1.1, 1.2, 1.3, x=29))
    assert "rage_click" not in pattern(clicks(1, 1.1, 1.2, 1.3, x=30))


def test_clicks_on_steppers_are_no_rage_however_many() -> None:
    browser = Browser().view(0, "/a")
    for each in range(12):
        browser.click(1 + each / 10, exempt=True)
    assert "rage_click" not in pattern(browser)


def test_a_click_without_effect_is_dead_and_one_of_unknown_effect_is_not() -> None:
    assert "dead_click" in pattern(Browser().view(0, "/a").click(1, dead=True))
    assert "dead_click" not in pattern(Browser().view(0, "/a").click(1, dead=False).click(9))


def test_two_errors_within_a_minute_are_a_burst_but_images_that_do_not_load_are_none() -> None:
    assert "error" in pattern(Browser().view(0, "/a").error(1).error(60.999, "network"))
    assert "error" not in pattern(Browser().view(0, "/a").error(1).error(61))
    assert "error" not in pattern(Browser().view(0, "/a").error(1, "resource").error(2, "resource").error(3))


def test_two_refused_fields_within_one_view_are_a_burst() -> None:
    assert "form_error" in pattern(Browser().view(0, "/pay").refuse(1).refuse(200))
    assert "form_error" not in pattern(Browser().view(0, "/pay").refuse(1).view(2, "/pay").refuse(3))


def test_a_search_without_a_hit_counts_and_one_with_unknown_hits_does_not() -> None:
    assert "zero_hits" in pattern(Browser().view(0, "/a").search(1, 0))
    assert "zero_hits" not in pattern(Browser().view(0, "/a").search(1, 1).search(2, None))


def test_help_and_contact_pages_stay_known_for_the_whole_session() -> None:
    browser = seen((0, "/help/x"), (5, "/contact"), (1500, "/a"))
    assert {"help_viewed", "contact_page"} <= pattern(browser)
    assert not {"help_viewed", "contact_page"} & pattern(browser.view(3301, "/a"))


def test_engaged_time_is_that_of_the_subject_page_over_all_its_views() -> None:
    browser = Browser().view(0, "/a").ping(10, 20, 30)
    assert "engaged_30" not in pattern(browser)
    assert "engaged_30" in pattern(browser.ping(40))
    browser.view(45, "/b")
    assert "engaged_30" not in pattern(browser)
    browser.view(60, "/a")
    assert "engaged_30" in pattern(browser)
    assert {"engaged_60", "engaged_30"} <= pattern(browser.ping(70, 80, 90, 100))
    assert "engaged_120" not in pattern(browser)


def test_two_tabs_of_one_page_are_engaged_each_for_itself_and_a_slot_counts_once() -> None:
    one, two = Browser().view(0, "/a"), Browser()
    two.views = 1
    two.view(0.5, "/a")
    one.ping(11, 12)
    two.ping(13)
    one.ping(14, 21)
    watcher = watched(one, two)
    (visitor,) = [bucket["ann"] for bucket in watcher.fold._visitors if "ann" in bucket]
    assert visitor.live is not None
    assert [each.engaged_s for each in visitor.live.visits.values()] == [15 + 5]


def test_the_subject_stays_the_last_content_or_help_page() -> None:
    watcher = watched(seen((0, "/pay"), (5, "/contact"), (9, "/shop/thanks")))
    (visitor,) = [bucket["ann"] for bucket in watcher.fold._visitors if "ann" in bucket]
    assert visitor.live is not None
    names = watcher.fold._pages.names
    assert [names[moment_page(moment)] for moment in visitor.live.moments] == ["/pay"] * 3
    assert moment_pattern(visitor.live.moments[-1]) == FEATURE_BIT["contact_page"] == visitor.live.pattern


def test_who_was_here_within_24_hours_is_returning() -> None:
    assert "returning" in pattern(seen((0, "/a"), (24 * 3600, "/a")))
    assert "returning" not in pattern(seen((0, "/a"), (24 * 3600 + 1, "/a")))


def test_who_contacted_within_seven_days_is_known_for_it_only_after_the_link_and_only_as_that_customer() -> (
    None
):
    browser = Browser().view(0, "/a").contacted(-6 * 86_400, told_s=1)
    assert "contacted_before" not in pattern(browser)
    assert "contacted_before" in pattern(browser.link(2).view(3, "/b"))
    other = Browser().view(0, "/a").contacted(-6 * 86_400, "c1_bob", told_s=1).link(2).view(3, "/b")
    assert "contacted_before" not in pattern(other)
    older = Browser().view(0, "/a").contacted(-7 * 86_400 - 1, told_s=1).link(2).view(3, "/b")
    assert "contacted_before" not in pattern(older)


@pytest.mark.skipif(not VECTORS.exists(), reason="reference data not here: ../shared/data")
def test_bursts_of_clicks_are_judged_as_posthog_does_with_its_parameters() -> None:
    told = json.loads(VECTORS.read_text(encoding="utf-8"))
    for case in told["cases"]:
        rules = {**told["defaults"], **case["config"]}
        burst = ClickBurst(rules["click_count"], rules["timeout_ms"], rules["threshold_px"], within_ms=None)
        assert [burst.click(*click) for click in case["clicks"]] == case["rage"], case["name"]
