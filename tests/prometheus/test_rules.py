"""Does every alert ring when it should, not a step earlier, and survive what happens to workers? On both Prometheus."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.prometheus.alert_stories import (
    OTHER,
    QUEUE,
    RUNS,
    STEP_S,
    STORIES,
    WELL,
    A,
    B,
    Rows,
    Scrape,
    Story,
    Yaml,
    kept,
    process_scrape,
    queue_scrape,
    scrapes_of,
    staffed,
    unit_test,
)
from tests.prometheus.shipped import ALERTS, PROMETHEUS, run
from tests.system.prometheus_programs import Programs

GROUPS = [
    "queuelight-floor",
    "queuelight-service",
    "queuelight-pipeline",
    "queuelight-pipeline-trends",
    "queuelight-web-usual",
    "queuelight-web",
]


def hold(programs: Programs, folder: Path, alert: str, *tests: Yaml) -> None:
    """Let promtool hold an alert to these tests; only rules that it needs are evaluated."""
    path = folder / "stories.yml"
    files = {"floor": ["floor"], "service": ["floor", "service"], "web": ["web"]}.get(
        ALERTS[alert].labels["about"], ["floor", "pipeline"]
    )
    whole = {
        "rule_files": [str(PROMETHEUS / "rules" / f"{name}.yml") for name in files],
        "evaluation_interval": f"{STEP_S}s",
        "group_eval_order": [group for group in GROUPS if group.split("-")[1] in files],
        "tests": list(tests),
    }
    path.write_text(json.dumps(whole, ensure_ascii=False))  # which is YAML as well
    run(programs.promtool, "test", "rules", path)


def live(
    *workers: tuple[str, Rows, Rows], until_s: int, queues: tuple[str, ...] = (QUEUE,), channel: str = "voice"
) -> list[Scrape]:
    """Scrapes of workers (instance, what it says of each queue, what of itself)."""
    return [
        {
            key: value
            for instance, rows, process in workers
            for each in (
                *(queue_scrape(rows, t, queue, channel, instance) for queue in queues if rows),
                process_scrape(process, t, instance),
            )
            for key, value in each.items()
        }
        for t in range(0, until_s + STEP_S, STEP_S)
    ]


def ringing(story: Story) -> Yaml:
    """The alert of a story as promtool expects it."""
    rule, labels = ALERTS[story.alert], story.told()
    link = rule.annotations["dashboard_url"].replace("{{ $labels.channel }}", labels.get("channel", ""))
    link = link.replace("{{ $labels.queue | urlquery }}", quote_plus(labels.get("queue", "")))
    expected = {**rule.annotations, "dashboard_url": link, **story.numbers}
    return {"exp_labels": {**rule.labels, **labels}, "exp_annotations": expected}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.alert}-{story.onset_s}")
def test_an_alert_rings_in_time_survives_hardship_and_ends(
    story: Story, programs: Programs, tmp_path: Path
) -> None:
    rings, well, slack = story.first_ring_s, story.well_again_s, story.slack_s
    told, silent = [ringing(story)], list[Yaml]()
    checks = {
        story.onset_s - STEP_S: silent,
        max(rings - slack, story.onset_s - STEP_S): silent,
        rings: told,
        well + story.stays_s + slack - STEP_S: silent,
    }
    held_s = rings, well + story.stays_s - slack
    scrapes = list(scrapes_of(story, trouble=True))
    hold(programs, tmp_path, story.alert, unit_test(scrapes, checks, story.alert, held_s))


@pytest.mark.parametrize("story", [s for s in STORIES if s.nearly or s.nearly_process], ids=lambda s: s.alert)
def test_an_alert_stays_silent_just_below_its_limit(story: Story, programs: Programs, tmp_path: Path) -> None:
    scrapes = list(scrapes_of(story, trouble=False))
    checks = {at_s: list[Yaml]() for at_s in range(story.onset_s, len(scrapes) * STEP_S, 60)}
    hold(programs, tmp_path, story.alert, unit_test(scrapes, checks, story.alert))


def quiet(at_s: int) -> dict[int, list[Yaml]]:
    """Nobody is called at a moment when somebody would be, were it not for one thing."""
    return {at_s: []}


def story_of(alert: str) -> Story:
    return next(story for story in STORIES if story.alert == alert)


_OF_THE_QUEUE = ("queuelight_queue_info", "queuelight_queue_open")
FLOOR = [
    story.alert for story in STORIES if story.of_queue and story.alert != "QueuelightServiceLevelBudgetSpent"
]


@pytest.mark.parametrize("alert", FLOOR)
def test_nobody_is_called_for_a_queue_that_is_closed(alert: str, programs: Programs, tmp_path: Path) -> None:
    story = story_of(alert)
    closed = {**story.worse, "queuelight_queue_open": 0}
    scrapes = list(scrapes_of(replace(story, nearly=closed), trouble=False))
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(story.first_ring_s + 60), alert))


def test_a_wait_between_limit_and_margin_keeps_an_alert_but_begins_none(
    programs: Programs, tmp_path: Path
) -> None:
    alert, oldest = "QueuelightLongestWait", "queuelight_queue_oldest_waiting_timestamp_seconds"

    def queued_at(t: int) -> float:
        age_s = 50 if t < 120 or 200 <= t < 400 else 61 if t < 200 else 44
        return max(0, t - age_s)

    company = {"queuelight_queue_at_risk_contacts": 3}
    scrapes = live((A, {**WELL, **company, oldest: queued_at}, RUNS), until_s=480)
    told = [ringing(replace(story_of(alert), numbers={"value": "1m 1s", "limit": "1m 0s", "n": "1"}))]
    within = [ringing(replace(story_of(alert), numbers={"value": "50s", "limit": "1m 0s", "n": "1"}))]
    checks = {115: list[Yaml](), 155: told, 395: within, 460: list[Yaml]()}
    hold(programs, tmp_path, alert, unit_test(scrapes, checks, alert, (155, 455)))


def test_one_or_two_who_wait_long_ring_at_four_times_the_limit(programs: Programs, tmp_path: Path) -> None:
    alert, oldest = "QueuelightLongestWait", "queuelight_queue_oldest_waiting_timestamp_seconds"
    two = {**WELL, "queuelight_queue_at_risk_contacts": 2}
    within = live((A, {**two, oldest: lambda t: max(0, t - 240)}, RUNS), until_s=360)
    beyond = live((A, {**two, oldest: lambda t: max(0, t - 241)}, RUNS), until_s=360)
    told = [ringing(replace(story_of(alert), numbers={"value": "4m 1s", "limit": "1m 0s", "n": "1"}))]
    hold(
        programs, tmp_path, alert, unit_test(within, quiet(360), alert), unit_test(beyond, {360: told}, alert)
    )


def test_two_who_wait_are_too_few_for_a_long_expected_wait(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightExpectedWaitHigh"
    two = {"queuelight_queue_expected_wait_seconds": 600, "queuelight_queue_waiting_contacts": 2}
    scrapes = live((A, {**WELL, **two}, RUNS), until_s=240)
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(240), alert))


def test_a_site_that_reports_no_agents_has_no_unstaffed_queues(programs: Programs, tmp_path: Path) -> None:
    nobody = {key: value for key, value in RUNS.items() if not key.startswith("queuelight_agents")}
    none = {**WELL, **staffed(0, 0, offline=0)}
    scrapes = live((A, none, {**nobody, 'queuelight_agents{state="available"}': 0}), until_s=120)
    alert = "QueuelightQueueUnstaffed"
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(120), alert))


def test_nine_contacts_are_too_few_for_a_collapse(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightServiceLevelCollapsed"
    scrapes = live((A, {**WELL, **kept("5m", 0, 9), **kept("15m", 0, 9)}, RUNS), until_s=240)
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(240), alert))


def test_of_three_contacts_all_missed_are_too_few_and_of_five_enough(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightServiceLevelBelowTarget"
    few = live((A, {**WELL, **kept("30m", 0, 4)}, RUNS), until_s=120)
    enough = live((A, {**WELL, **kept("30m", 0, 5)}, RUNS), until_s=120)
    told = [ringing(replace(story_of(alert), numbers={"value": "0%", "limit": "80%", "n": "5"}))]
    hold(programs, tmp_path, alert, unit_test(few, quiet(120), alert), unit_test(enough, {120: told}, alert))


def test_one_queue_alone_is_no_site(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightSiteServiceLevelCollapsed"
    scrapes = live((A, {**WELL, **kept("5m", 0, 40), **kept("15m", 0, 40)}, RUNS), until_s=120)
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(120), alert))


def test_an_owner_that_changes_from_worker_to_worker_fails_no_rule(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightWaitingPastTarget"
    late = {**WELL, **story_of(alert).worse}
    renamed = {key: value for key, value in late.items() if "info" not in key}
    renamed['queuelight_queue_info{owner="sales",team="north"}'] = 1
    told = replace(story_of(alert), labels={"owner": "sales"})
    scrapes = [
        *live((A, late, RUNS), until_s=60),
        *live((A, late, RUNS), (B, renamed, RUNS), until_s=10),
        *live((B, renamed, RUNS), until_s=120),
    ]
    hold(programs, tmp_path, alert, unit_test(scrapes, {180: [ringing(told)]}, alert))


def test_a_queue_of_which_no_owner_and_no_hours_are_told_is_watched_all_the_same(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightWaitingPastTarget"
    story = story_of(alert)
    bare = {key: value for key, value in {**WELL, **story.worse}.items() if not key.startswith(_OF_THE_QUEUE)}
    expected = ringing(story)
    labels = {"queue": QUEUE, "channel": "voice", **ALERTS[alert].labels}
    scrapes = live((A, bare, RUNS), until_s=60)
    hold(programs, tmp_path, alert, unit_test(scrapes, {60: [{**expected, "exp_labels": labels}]}, alert))


# --- the web site -----------------------------------------------------------------------------------------------------

STUCK = 'queuelight_page_stuck_visitors{page="/料金"}'
HOURS_S = 3 * 3600


def surge(value: str) -> list[Yaml]:
    return [
        ringing(replace(story_of("QueuelightStuckVisitorsSurge"), numbers={"value": value, "limit": "10"}))
    ]


def test_a_page_on_which_many_are_always_stuck_rings_at_three_times_its_usual(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightStuckVisitorsSurge"

    def until(stuck: int) -> list[Scrape]:
        return live((A, {}, {**RUNS, STUCK: lambda t: 8 if t < HOURS_S else stuck}), until_s=HOURS_S + 120)

    hold(
        programs, tmp_path, alert,
        unit_test(until(23), quiet(HOURS_S + 120), alert),
        unit_test(until(24), {HOURS_S - 5: [], HOURS_S + 120: surge("24")}, alert),
    )  # fmt: skip


def test_a_surge_that_wavers_is_one_and_begins_none(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightStuckVisitorsSurge"

    def stuck(t: int) -> float:
        return 9 if t < 120 else 10 if t < 240 else 8 if t < 900 else 7

    scrapes = live((A, {}, {**RUNS, STUCK: stuck}), until_s=1300)
    checks = {115: list[Yaml](), 200: surge("10"), 890: surge("8"), 1250: list[Yaml]()}
    hold(programs, tmp_path, alert, unit_test(scrapes, checks, alert))


def test_a_report_that_is_a_minute_old_proves_nothing(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightStuckVisitorsSurge"
    old = {**RUNS, STUCK: 50, "queuelight_web_report_timestamp_seconds": lambda t: t - 61}
    hold(programs, tmp_path, alert, unit_test(live((A, {}, old), until_s=300), quiet(300), alert))


# --- the pipeline -----------------------------------------------------------------------------------------------------


def test_the_watchdog_never_rests(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightWatchdog"
    rule = ALERTS[alert]
    always: list[Yaml] = [{"exp_labels": rule.labels, "exp_annotations": rule.annotations}]
    hold(programs, tmp_path, alert, unit_test([{}] * 20, {0: always, 95: always}, alert))


def pipeline_alert(alert: str, **labels: str) -> Yaml:
    rule = ALERTS[alert]
    return {"exp_labels": {**rule.labels, **labels}, "exp_annotations": rule.annotations}


def test_when_no_worker_answers_somebody_is_called_within_a_minute(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightTelemetryAbsent"
    scrapes = [*live((A, WELL, RUNS), until_s=120), *[Scrape()] * 24, *live((A, WELL, RUNS), until_s=60)]
    told = [pipeline_alert(alert)]
    hold(programs, tmp_path, alert, unit_test(scrapes, {145: [], 190: told, 240: told, 285: []}, alert))


def test_two_workers_with_one_partition_are_told_after_a_minute(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightTwoOwners"
    scrapes = [*live((A, WELL, RUNS), until_s=55), *live((A, WELL, RUNS), (B, WELL, RUNS), until_s=90)]
    rule = pipeline_alert(alert, topic="calls", partition="0")
    told: list[Yaml] = [{**rule, "exp_annotations": {**ALERTS[alert].annotations, "value": "2"}}]
    hold(programs, tmp_path, alert, unit_test(scrapes, {115: [], 120: told}, alert))


def test_a_partition_that_moves_has_one_owner(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightTwoOwners"
    both = live((A, WELL, RUNS), (B, WELL, RUNS), until_s=45)
    scrapes = [*live((A, WELL, RUNS), until_s=55), *both, *live((B, WELL, RUNS), until_s=90)]
    hold(programs, tmp_path, alert, unit_test(scrapes, {at_s: [] for at_s in range(60, 190, 5)}, alert))


def test_a_queue_that_is_no_longer_told_of_while_others_are_is_missed(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightQueueVanished"
    both = live((A, WELL, RUNS), until_s=115, queues=(QUEUE, OTHER))
    scrapes = [*both, *live((A, WELL, RUNS), until_s=300, queues=(OTHER,))]
    told = [pipeline_alert(alert, queue=QUEUE, channel="voice")]
    hold(programs, tmp_path, alert, unit_test(scrapes, {235: [], 265: told, 400: told}, alert))


def test_when_all_queues_vanish_no_queue_is_missed(programs: Programs, tmp_path: Path) -> None:
    alert = "QueuelightQueueVanished"
    scrapes = [*live((A, WELL, RUNS), until_s=115), *[Scrape()] * 60]
    hold(programs, tmp_path, alert, unit_test(scrapes, quiet(400), alert))


def test_partitions_handed_round_six_times_in_a_quarter_of_an_hour_are_told(
    programs: Programs, tmp_path: Path
) -> None:
    alert, counter = "QueuelightRebalancingOften", "queuelight_rebalances_total"

    def until(times: int) -> list[Scrape]:
        return live((A, {}, {counter: lambda t: 1 + min(times, max(0, t // 60 - 1))}), until_s=720)

    busy: list[Yaml] = [
        {**pipeline_alert(alert), "exp_annotations": {**ALERTS[alert].annotations, "value": "8"}}
    ]
    checks = {120: list[Yaml](), 720: busy}
    hold(
        programs, tmp_path, alert, unit_test(until(4), quiet(720), alert), unit_test(until(8), checks, alert)
    )


def test_a_dead_letter_of_a_kind_never_seen_before_is_told_at_once(
    programs: Programs, tmp_path: Path
) -> None:
    alert = "QueuelightDeadLetters"
    new = {**RUNS, 'queuelight_dead_letters_total{topic="chats",reason="bad_time"}': 1}
    scrapes = [*live((A, {}, RUNS), until_s=55), *live((A, {}, new), until_s=960)]
    rule = pipeline_alert(alert, topic="chats", reason="bad_time")
    told: list[Yaml] = [{**rule, "exp_annotations": {**ALERTS[alert].annotations, "value": "1"}}]
    hold(programs, tmp_path, alert, unit_test(scrapes, {55: [], 60: told, 985: []}, alert))
