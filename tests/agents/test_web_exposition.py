"""Does a scrape say what the report on the web site says, and only where this process owns its pages?"""

import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.exposition import Exposition
from agents.snapshot_store import MemorySnapshots
from schemas.definitions import DEFINITIONS
from schemas.journeys import WebReport
from schemas.metrics import METRICS, WEB_METRICS
from streams.journeys.policy import OTHER_PAGES
from tests.reports import CONTACT, FEES, HELP, RETURNS, THIN, page_of, report_of

AT_MS = 1_790_000_000_000
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(report: WebReport | None, floor: int = 10) -> Values:
    which = Exposition(MemorySnapshots(), report=lambda: report, stuck_floor=floor)
    families = text_string_to_metric_families(which.render()[0].decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(found: Values, name: str, **labels: str) -> float:
    return found[f"queuelight_{name}", tuple(sorted(labels.items()))]


def test_every_page_of_the_report_says_its_numerator_and_denominator() -> None:
    report = report_of(AT_MS)
    found = scraped(report)
    for page in report.pages:
        assert value(found, "page_views", page=page.page) == page.views
        assert value(found, "page_known_visits", page=page.page) == page.contact.n
        assert value(found, "page_contacted_visits", page=page.page) == page.contact.k
        assert value(found, "page_stuck_visitors", page=page.page) == page.stuck_now
        assert value(found, "page_verdict", page=page.page, verdict=page.verdict) == 1
    assert value(found, "page_lead_median_seconds", page=RETURNS) == 254
    assert ("queuelight_page_lead_median_seconds", (("page", THIN),)) not in found


def test_all_other_pages_are_one_row_that_brings_the_sum_to_the_base_of_the_site() -> None:
    report = report_of(AT_MS)
    found = scraped(report)
    assert value(found, "page_views", page="other") == report.other_views
    of_base = [RETURNS, FEES, "/products", HELP, THIN, "other"]
    known = sum(value(found, "page_known_visits", page=page) for page in of_base)
    contacted = sum(value(found, "page_contacted_visits", page=page) for page in of_base)
    assert known == pytest.approx(value(found, "web_base_known_visits")) == report.base.n
    assert contacted == pytest.approx(value(found, "web_base_contacted_visits")) == report.base.k
    assert CONTACT not in of_base


def test_pages_that_were_never_counted_by_name_are_in_that_row_too() -> None:
    rest = page_of(OTHER_PAGES, views=50)
    found = scraped(report_of(AT_MS, pages=(rest,)))
    assert value(found, "page_views", page="other") == 1_450
    assert {labels for name, labels in found if name == "queuelight_page_views"} == {(("page", "other"),)}


def test_the_site_says_its_sessions_its_help_and_what_became_of_flags() -> None:
    found = scraped(report_of(AT_MS), floor=12)
    assert value(found, "web_sessions") == 5400
    assert (value(found, "web_contacted_sessions"), value(found, "web_known_sessions")) == (205.5, 5100)
    assert value(found, "web_resolved_help_sessions") / value(found, "web_known_help_sessions") == 0.88
    assert value(found, "web_silent_leavers") == 143
    assert value(found, "web_flags_raised") == 260
    assert value(found, "web_flags_cleared", reason="contact") == 61
    assert value(found, "web_report_timestamp_seconds") == AT_MS / 1000
    assert value(found, "alert_stuck_visitors") == 12
    assert value(found, "channel_switches", source="web", channel="voice") == 88.4
    here = {"queue": "注文・配送", "channel": "voice"}
    assert value(found, "customer_fcr_numerator_contacts", **here) == 700
    assert value(found, "customer_fcr_denominator_contacts", **here) == 900
    assert value(found, "customer_repeat_numerator_contacts", **here) == 200


def test_what_ended_no_flag_yet_is_told_as_nothing() -> None:
    found = scraped(report_of(AT_MS, flags_cleared={}))
    assert [value(found, "web_flags_cleared", reason=why) for why in ("progress", "contact", "left")] == [
        0
    ] * 3


def test_interventions_are_told_by_page_kind_and_arm() -> None:
    found = scraped(report_of(AT_MS))
    here = {"page": RETURNS, "kind": "チャット案内"}
    assert value(found, "intervention_flagged_visitors", arm="offer", **here) == 700
    assert value(found, "intervention_contacted_visitors", arm="holdout", **here) == 38
    assert value(found, "interventions", result="accepted", **here) == 210


def test_who_does_not_own_the_pages_tells_nothing_of_them() -> None:
    names = {metric.name for metric in WEB_METRICS}
    assert {name for name, _ in scraped(None)} & names == set()
    assert {name for name, _ in scraped(report_of(AT_MS))} & names == names


def test_help_texts_quote_the_definitions() -> None:
    for name, measure in {
        "page_contacted_visits": "contact_rate", "web_base_known_visits": "base_rate", "page_stuck_visitors": "stuck",
        "web_known_help_sessions": "self_resolution", "intervention_flagged_visitors": "holdout",
        "web_silent_leavers": "silent_leavers", "page_lead_median_seconds": "lead_time",
        "customer_fcr_numerator_contacts": "fcr",
    }.items():  # fmt: skip
        assert DEFINITIONS[measure].text in METRICS[f"queuelight_{name}"].help


@pytest.mark.system
def test_promtool_finds_no_fault_with_a_scrape() -> None:
    page = Exposition(MemorySnapshots(), report=lambda: report_of(AT_MS)).render()[0]
    found = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, b"")
