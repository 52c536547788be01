"""Does a scrape say exactly what the snapshots say, in both formats, and does the server stay polite?"""

import gzip
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse
from math import isnan
from typing import NamedTuple

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from agents.exposition import Build, Exposition
from agents.metrics_server import MOST_REQUESTS, MetricsServer
from agents.snapshot_store import MemorySnapshots
from agents.worker_truth import WorkerTruth
from schemas.dead_letters import dead_letter
from schemas.errors import Reason, SettingsError
from schemas.events import AGENT_STATES
from schemas.metrics import METRICS, WINDOW_LABELS
from schemas.partials import SITE_ROW, SourceTruth, queue_row
from schemas.snapshots import GroupSnapshot, QueueSnapshot, RowState, Snapshot
from streams.driver import Driver, Item
from streams.hours import Hours
from streams.simulator import DEMO, Simulation, default_site, encode
from streams.site import QueuePolicy, Site
from streams.snapshot import snapshot_of
from tests.reports import report_of

START = int(datetime.fromisoformat("2026-10-01T09:00:00+09:00").timestamp() * 1000)
TOPICS = ("calls", "chats", "presence", "queue-partials")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NASTY = 'A "quoted" \\ 100 % line\nbreak {queue="x"} 注文 🚀'


@pytest.fixture(scope="module")
def states() -> list[RowState]:
    simulation = Simulation(default_site(6), DEMO, seed=5)
    driver = Driver(simulation.site, partitions=2)
    driver.feed(Item(t, k, encode(e)) for t, k, e in simulation.events(START, START + 2_400_000))
    driver.finish()
    return list(driver.states(driver.now_ms))


@pytest.fixture(scope="module")
def snapshots(states: list[RowState]) -> list[Snapshot]:
    return [snapshot_of(state) for state in states]


class Rows(NamedTuple):
    """Snapshots to export, as they are."""

    rows: list[Snapshot]

    def snapshots(self) -> list[Snapshot]:
        return self.rows


def worker() -> WorkerTruth:
    truth = WorkerTruth(TOPICS, 1000, sources=TOPICS[:3], clock=lambda: 1_790_000_000.5)
    truth.assigned([("calls", 0), ("calls", 1), ("queue-partials", 0)])
    truth.restored([("calls", 0), ("calls", 1), ("queue-partials", 0)])
    return truth


def exposition(
    rows: list[Snapshot], truth: WorkerTruth | None = None, site: Site | None = None
) -> Exposition:
    return Exposition(Rows(rows), truth or worker(), Build("0.1.0", "abc"), site=site)


NOT_KNOWN = -1.0
"""Stands for NaN, which equals nothing."""
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def values(samples: Iterator[Sample]) -> Values:
    return {
        (s.name, tuple(sorted(s.labels.items()))): NOT_KNOWN if isnan(s.value) else s.value for s in samples
    }


def scraped(which: Exposition, accept: str = "") -> Values:
    body = which.render(accept)[0].decode()
    parse = openmetrics.text_string_to_metric_families if accept else text_string_to_metric_families
    return values(s for family in parse(body) for s in family.samples)


def value(found: Values, name: str, **labels: str) -> float:
    return found[f"queuelight_{name}", tuple(sorted(labels.items()))]


# --- what is said --------------------------------------------------------------------------------------------------


def test_a_scrape_says_what_the_snapshot_of_each_queue_says(snapshots: list[Snapshot]) -> None:
    found = scraped(exposition(snapshots))
    queues = [s for s in snapshots if isinstance(s, QueueSnapshot)]
    assert len(queues) == 6
    for s in queues:
        here = {"queue": s.queue, "channel": s.channel}
        assert value(found, "queue_waiting_contacts", **here) == s.waiting
        assert value(found, "queue_at_risk_contacts", **here) == s.at_risk
        oldest_s = value(found, "queue_oldest_waiting_timestamp_seconds", **here)
        assert oldest_s == pytest.approx((s.oldest_waiting_ms or 0) / 1000, abs=0.0005)
        assert value(found, "sl_threshold_seconds", **here) == s.answer_within_s
        assert value(found, "sl_target_ratio", **here) == s.target
        assert value(found, "queue_agents", state="busy", **here) == s.agents.get("busy", 0)
        for window in WINDOW_LABELS:
            m = s.windows[window]
            there = here | {"window": window}
            assert value(found, "window_offered_contacts", **there) == m.offered
            assert value(found, "window_answered_in_threshold_contacts", **there) == m.answered_in_x
            assert value(found, "window_hold_seconds", **there) == pytest.approx(m.hold_sum_s)
            level = m.proportions.get("sl_offered")
            assert value(found, "window_sl_offered_denominator_contacts", **there) == (
                level.n if level else 0
            )
            assert value(found, "window_sl_offered_numerator_contacts", **there) == m.answered_in_x


def test_the_waits_of_the_day_are_a_histogram_that_contains_every_x(snapshots: list[Snapshot]) -> None:
    found = scraped(exposition(snapshots))
    answered = 0
    for s in (each for each in snapshots if isinstance(each, QueueSnapshot)):
        day = s.windows["day"]
        here = {"queue": s.queue, "channel": s.channel, "window": "day"}
        for outcome, total, wait_s, in_x in (
            ("answered", day.answered, day.answered_wait_s, day.answered_in_x),
            ("abandoned", day.abandoned, day.abandoned_wait_s, day.abandoned_in_x),
        ):
            there = here | {"outcome": outcome}
            assert value(found, "window_wait_seconds_bucket", le=str(s.answer_within_s), **there) == in_x
            assert value(found, "window_wait_seconds_bucket", le="+Inf", **there) == total
            assert value(found, "window_wait_seconds_count", **there) == total
            assert value(found, "window_wait_seconds_sum", **there) == pytest.approx(wait_s)
        answered += day.answered
    assert answered > 100


def test_first_responses_are_said_of_chats_only(snapshots: list[Snapshot]) -> None:
    found = scraped(exposition(snapshots))
    channels = set()
    for s in (each for each in snapshots if isinstance(each, QueueSnapshot)):
        here = {"queue": s.queue, "channel": s.channel, "window": "day"}
        key = "queuelight_window_first_response_contacts", tuple(sorted(here.items()))
        assert (key in found) == (s.channel == "chat")
        if s.channel == "chat":
            day = s.windows["day"]
            assert found[key] == day.first_responses > 10
            assert day.first_response_s == pytest.approx(day.first_response_sum_s / day.first_responses)
            assert value(found, "window_first_response_seconds", **here) == day.first_response_sum_s
            met = value(found, "window_first_response_in_threshold_contacts", **here)
            assert met == day.first_responses_in_x
        channels.add(s.channel)
    assert channels == {"voice", "chat"}


def test_the_expected_wait_is_said_and_is_no_number_where_nothing_is_known(
    snapshots: list[Snapshot],
) -> None:
    found = scraped(exposition(snapshots))
    for s in (each for each in snapshots if isinstance(each, QueueSnapshot)):
        expected_s = value(found, "queue_expected_wait_seconds", queue=s.queue, channel=s.channel)
        assert expected_s == (NOT_KNOWN if s.expected_wait_s is None else s.expected_wait_s)
    empty = scraped(exposition(list(Driver(default_site(2), 1).snapshots(0))))
    assert value(empty, "queue_expected_wait_seconds", queue="Billing", channel="voice") == NOT_KNOWN


def test_opening_hours_owners_and_limits_come_from_the_settings(snapshots: list[Snapshot]) -> None:
    by_name = {s.queue: s for s in snapshots if isinstance(s, QueueSnapshot)}
    billing, chat = by_name["Billing"], next(s for s in by_name.values() if s.channel == "chat")
    tokyo = msgspec.structs.replace(
        default_site(6),
        hours=Hours(week=(((540, 1080),),) * 7),
        queues={
            "Billing": QueuePolicy(team="Kyoto", alert_longest_wait_s=42.0),
            chat.queue: QueuePolicy(
                channel="chat", answer_within_s=60.0, team="Nara", owner="夜勤", hours=Hours(week=((),) * 7)
            ),
        },
    )
    found = scraped(exposition(snapshots, site=tokyo))
    one = {"queue": "Billing", "channel": "voice"}
    other = {"queue": chat.queue, "channel": "chat"}
    assert value(found, "queue_info", owner="Kyoto", team="Kyoto", **one) == 1
    assert value(found, "queue_info", owner="夜勤", team="Nara", **other) == 1
    assert (value(found, "queue_open", **one), value(found, "queue_open", **other)) == (1, 0)
    assert value(found, "site_open") == 1
    assert value(found, "alert_longest_wait_seconds", **one) == 42
    assert value(found, "alert_expected_wait_seconds", **one) == 60
    assert value(found, "alert_expected_wait_seconds", **other) == 180
    assert value(found, "alert_abandonment_ratio", **one) == 0.1
    assert value(found, "alert_callback_wait_seconds", **one) == 3600
    assert value(found, "alert_first_response_seconds", **other) == 120
    assert value(found, "alert_silent_abandonment_ratio", **other) == 0.1
    assert not [
        name
        for name, labels in found
        if name.endswith("first_response_seconds") and ("queue", "Billing") in labels
    ]
    night = [msgspec.structs.replace(billing, as_of_ms=billing.as_of_ms + 12 * 3_600_000)]
    assert value(scraped(exposition(list(night), site=tokyo)), "queue_open", **one) == 0


def test_a_team_says_its_agents(snapshots: list[Snapshot]) -> None:
    teams = [s for s in snapshots if isinstance(s, GroupSnapshot) and s.group == "team"]
    found = scraped(exposition(snapshots))
    assert teams
    for team in teams:
        for state in AGENT_STATES:
            assert value(found, "team_agents", team=team.name, state=state) == team.agents.get(state, 0)


def test_the_fast_text_says_the_same_as_the_reference_collector_in_both_formats(
    snapshots: list[Snapshot],
) -> None:
    which = exposition(snapshots)
    registry = CollectorRegistry()
    registry.register(which)
    reference = {
        family.name: (family.type, family.documentation, values(iter(family.samples)))
        for family in text_string_to_metric_families(generate_latest(registry).decode())
    }
    text = which.render("")[0].decode()
    fast = {
        family.name: (family.type, family.documentation, values(iter(family.samples)))
        for family in text_string_to_metric_families(text)
    }
    moving = "queuelight_render_seconds"
    assert {k: v for k, v in fast.items() if k != moving} == {
        k: v for k, v in reference.items() if k != moving
    }
    other = scraped(which, OPENMETRICS)
    flat = {
        k: v for _, _, found in reference.values() for k, v in found.items() if not k[0].startswith(moving)
    }
    assert {k: v for k, v in other.items() if not k[0].startswith(moving)} == flat


def test_what_is_exported_is_declared_and_what_is_declared_is_exported(snapshots: list[Snapshot]) -> None:
    truth = worker()
    truth.lag("calls", 0, 1)
    truth.checkpoint("calls", 0, 0.01)
    which = Exposition(Rows(snapshots), truth, report=lambda: report_of(START))
    families = list(which.collect())
    suffix = {"counter": "_total", "info": "_info"}
    exported = {f.name + suffix.get(f.type, ""): f for f in families}
    assert exported.keys() == METRICS.keys()
    assert len(exported) == len(families)
    for name, family in exported.items():
        assert family.type == METRICS[name].kind
        assert family.documentation == METRICS[name].help
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name].labels), name


def test_a_name_with_every_special_sign_comes_back_unchanged(snapshots: list[Snapshot]) -> None:
    first = next(s for s in snapshots if isinstance(s, QueueSnapshot))
    nasty = QueueSnapshot(
        **{name: getattr(first, name) for name in first.__struct_fields__} | {"queue": NASTY}
    )
    for accept in ("", OPENMETRICS):
        found = scraped(exposition([nasty]), accept)
        assert value(found, "queue_waiting_contacts", queue=NASTY, channel=first.channel) == first.waiting


def test_a_queue_without_contacts_is_exported_with_zeros(snapshots: list[Snapshot]) -> None:
    empty = list(Driver(default_site(2), 1).snapshots(0))
    found = scraped(exposition(empty))
    for state in AGENT_STATES:
        assert value(found, "queue_agents", queue="Billing", channel="voice", state=state) == 0
    there = {"queue": "Billing", "channel": "voice", "window": "day"}
    assert value(found, "window_sl_answered_denominator_contacts", **there) == 0
    oldest_s = value(found, "queue_oldest_waiting_timestamp_seconds", queue="Billing", channel="voice")
    assert oldest_s == 0
    assert value(found, "agents", state="available") == 0


def test_what_this_worker_no_longer_owns_is_gone_at_once(states: list[RowState]) -> None:
    memory = MemorySnapshots()
    memory.publish(states)
    which = Exposition(memory, worker())
    assert "Billing" in which.render()[0].decode()
    memory.remove([queue_row("Billing", "voice"), SITE_ROW])
    after = which.render()[0].decode()
    assert "Billing" not in after
    assert 'queuelight_agents{state="busy"}' not in after


def test_no_sample_has_a_timestamp(snapshots: list[Snapshot]) -> None:
    for family in exposition(snapshots).collect():
        assert all(sample.timestamp is None for sample in family.samples)


def test_fewer_windows_make_a_smaller_scrape(snapshots: list[Snapshot]) -> None:
    small, large = (
        len(Exposition(Rows(snapshots), windows=w).render()[0]) for w in (("30m",), WINDOW_LABELS)
    )
    assert small < large / 3


def test_without_the_day_no_waits_are_told(snapshots: list[Snapshot], states: list[RowState]) -> None:
    memory = MemorySnapshots()
    memory.publish(states)
    some = Rows(memory.glances(("30m", "1h")))
    which = Exposition(some, windows=("30m", "1h"))
    found = scraped(which)
    assert not [name for name, _ in found if name.startswith("queuelight_window_wait_seconds")]
    everything = scraped(exposition(snapshots))
    moving = ("queuelight_render", "queuelight_build")
    assert (
        found.items() - {item for item in found.items() if item[0][0].startswith(moving)}
        <= everything.items()
    )


def test_the_site_says_its_agents_once_each_and_how_many_notices_there_are(snapshots: list[Snapshot]) -> None:
    site = next(s for s in snapshots if isinstance(s, GroupSnapshot) and s.group == "site")
    found = scraped(exposition(snapshots))
    assert sum(value(found, "agents", state=state) for state in AGENT_STATES) == sum(site.agents.values())
    assert value(found, "notices") == 0


# --- the worker's own truth ----------------------------------------------------------------------------------------


def test_known_label_sets_start_at_zero() -> None:
    found = scraped(exposition([]))
    assert value(found, "dead_letters_total", topic="chats", reason="not_json") == 0
    assert value(found, "redis_writes_total", result="fenced") == 0
    assert value(found, "runs_refused_total", topic="presence") == 0
    assert value(found, "events_undecodable_total", source="calls", reason="empty") == 0
    assert value(found, "run_seconds_count", topic="calls") == 0
    reasons = {dict(labels)["reason"] for name, labels in found if name == "queuelight_dead_letters_total"}
    assert reasons == {reason.value for reason in Reason}


def test_what_the_host_tells_is_what_a_scrape_shows() -> None:
    truth = worker()
    truth.run("calls", 0, 1000, 0.004, 5000)
    truth.run("calls", 0, 1000, 3.0, 6000)
    truth.refused("calls")
    truth.dead_letters([dead_letter(Reason.NOT_JSON, "expected {", "calls", 0, 7, b"x")])
    truth.redis_writes("stored", 12)
    truth.lag("calls", 1, 42)
    truth.checkpoint("calls", 0, 0.02)
    for accept in ("", OPENMETRICS):
        found = scraped(exposition([], truth), accept)
        assert value(found, "run_seconds_count", topic="calls") == 2
        assert value(found, "run_seconds_bucket", topic="calls", le="0.005") == 1
        assert value(found, "run_seconds_bucket", topic="calls", le="+Inf") == 2
        assert value(found, "run_seconds_sum", topic="calls") == pytest.approx(3.004)
        assert value(found, "runs_refused_total", topic="calls") == 1
        assert value(found, "dead_letters_total", topic="calls", reason="not_json") == 1
        assert value(found, "redis_writes_total", result="stored") == 12
        assert value(found, "consumer_lag_messages", topic="calls", partition="1") == 42
        assert value(found, "checkpoint_timestamp_seconds", topic="calls", partition="0") == 1_790_000_000.5
        assert value(found, "rebalances_total") == 1
        assert value(found, "build_info", version="0.1.0", revision="abc") == 1


def test_a_lost_partition_takes_its_series_along() -> None:
    truth = worker()
    truth.lag("calls", 1, 42)
    truth.source("calls", 1, SourceTruth(newest_event_ms=5000))
    truth.assigned([("calls", 0)])
    found = scraped(exposition([], truth))
    assert not [k for k in found if ("partition", "1") in k[1]]
    assert value(found, "recovering", topic="calls", partition="0") == 1
    assert value(found, "source_last_event_timestamp_seconds", source="calls") == 0


def test_counters_of_a_source_rise_by_what_is_new_and_never_fall() -> None:
    truth = worker()
    truth.source("calls", 0, SourceTruth(events=1000, newest_event_ms=60_000))  # as restored
    truth.source(
        "calls", 0, SourceTruth(events=1010, duplicates=3, dead_letters={"empty": 2}, newest_event_ms=61_000)
    )
    truth.source("calls", 1, SourceTruth(events=500, newest_event_ms=59_000))
    truth.assigned([("calls", 0), ("calls", 1)])
    truth.source("calls", 0, SourceTruth(events=990))  # restored from an older checkpoint
    truth.source("calls", 0, SourceTruth(events=995, newest_event_ms=61_500))
    found = scraped(exposition([], truth))
    assert value(found, "events_total", source="calls") == 15
    assert value(found, "events_duplicate_total", source="calls") == 3
    assert value(found, "events_undecodable_total", source="calls", reason="empty") == 2
    assert value(found, "source_last_event_timestamp_seconds", source="calls") == 61.5


def test_a_source_says_how_late_its_events_come_and_when_its_heart_beat() -> None:
    truth = worker()
    truth.heard("calls", [80, 2400, -30], 1_790_000_000_000)
    truth.heard("calls", [], 1_789_999_999_000)
    found = scraped(exposition([], truth))
    assert value(found, "event_delay_seconds_count", source="calls") == 3
    assert value(found, "event_delay_seconds_bucket", source="calls", le="0.1") == 2
    assert value(found, "event_delay_seconds_sum", source="calls") == pytest.approx(2.48)
    assert value(found, "event_delay_seconds_count", source="chats") == 0
    assert value(found, "heartbeat_timestamp_seconds", source="calls") == 1_790_000_000
    assert value(found, "heartbeat_timestamp_seconds", source="chats") == 0


def test_pauses_tell_whether_they_are_below_thirty_milliseconds() -> None:
    truth = worker()
    for pause_s in (0.029, 0.031):
        truth.checkpoint("calls", 0, pause_s)
    found = scraped(exposition([], truth))
    assert value(found, "checkpoint_pause_seconds_bucket", le="0.02") == 0
    assert value(found, "checkpoint_pause_seconds_bucket", le="0.03") == 1


def test_a_worker_is_ready_once_restored_and_caught_up() -> None:
    truth = WorkerTruth(TOPICS, ready_lag=100)
    assert truth.not_ready() == ["no partitions assigned yet"]
    truth.assigned([("calls", 0)])
    assert truth.not_ready() == ["restoring calls/0"]
    truth.restored([("calls", 0)])
    truth.lag("calls", 0, 101)
    assert truth.not_ready() == ["calls/0 is 101 messages behind"]
    truth.lag("calls", 0, 100)
    assert truth.not_ready() == []


# --- the server ----------------------------------------------------------------------------------------------------


class Health:
    def __init__(self) -> None:
        self.live: list[str] = []
        self.ready: list[str] = []


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(snapshots: list[Snapshot], health: Health) -> Iterator[MetricsServer]:
    which = MetricsServer(exposition(snapshots).render, lambda: health.live, lambda: health.ready)
    which.start()
    yield which
    which.stop()


def ask(server: MetricsServer, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*server.address, timeout=5)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_metrics_come_in_the_format_that_is_asked_for(server: MetricsServer) -> None:
    response, body = ask(server, "/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'queue="注文・配送"' in body.decode()
    response, body = ask(server, "/metrics?x=1", Accept=OPENMETRICS)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.system
def test_promtool_finds_no_fault_with_a_scrape(server: MetricsServer) -> None:
    page = ask(server, "/metrics")[1]
    found = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, b"")


def test_metrics_are_compressed_for_those_who_can_read_it(server: MetricsServer) -> None:
    plain = ask(server, "/metrics")[1]
    response, body = ask(server, "/metrics", Accept_Encoding="gzip, deflate")
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(body) < len(plain) / 5
    assert gzip.decompress(body).startswith(plain[:1000])


def test_probes_say_what_is_wrong(server: MetricsServer, health: Health) -> None:
    assert ask(server, "/livez")[0].status == 200
    assert json.loads(ask(server, "/readyz")[1]) == {"status": "ok", "problems": []}
    health.ready = ["calls/0 is 50000 messages behind"]
    response, body = ask(server, "/readyz")
    assert response.status == 503
    assert json.loads(body)["problems"] == health.ready
    assert ask(server, "/livez")[0].status == 200


def test_head_has_the_headers_of_get_and_no_body(server: MetricsServer) -> None:
    response, body = ask(server, "/readyz", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("PUT", "/livez", 405)]
)
def test_other_paths_and_methods_are_refused(
    server: MetricsServer, method: str, path: str, status: int
) -> None:
    assert ask(server, path, method)[0].status == status


def test_a_check_that_fails_is_an_error_and_does_not_end_the_server(snapshots: list[Snapshot]) -> None:
    def broken() -> list[str]:
        raise RuntimeError("broken")

    server = MetricsServer(exposition(snapshots).render, broken, list)
    server.start()
    try:
        assert ask(server, "/livez")[0].status == 500
        assert ask(server, "/readyz")[0].status == 200
    finally:
        server.stop()


def test_a_taken_port_is_a_settings_error_that_says_which(server: MetricsServer) -> None:
    host, port = server.address
    with pytest.raises(SettingsError, match=f"{host}:{port}"):
        MetricsServer(lambda accept: (b"", ""), list, list, host, port).start()


def test_too_many_requests_at_once_are_turned_away_and_the_server_recovers(server: MetricsServer) -> None:
    idle = [socket.create_connection(server.address) for _ in range(MOST_REQUESTS)]
    try:
        for connection in idle:
            connection.sendall(b"GET /livez HTTP/1.0\r\n")  # never finished: holds a thread
        turned_away = 0
        for _ in range(50):
            with suppress(ConnectionError):
                if ask(server, "/livez")[0].status == 503:
                    turned_away += 1
                    break
        assert turned_away
    finally:
        for connection in idle:
            connection.close()
    for _ in range(100):
        with suppress(ConnectionError):
            if ask(server, "/livez")[0].status == 200:
                break
    else:
        pytest.fail("the server did not recover")


def test_a_scrape_leaves_snapshots_that_change_meanwhile_in_peace() -> None:
    memory, truth = MemorySnapshots(), worker()
    which = Exposition(memory, truth)
    drivers = [list(Driver(Site(queues=default_site(n).queues), 1).states(0)) for n in (2, 12)]
    failures: list[BaseException] = []

    def scrape() -> None:
        try:
            for _ in range(40):
                which.render()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    turn = 0
    while thread.is_alive():
        turn += 1
        memory.publish(drivers[turn % 2])
        memory.remove([queue_row("Billing", "voice")])
        truth.lag("calls", turn % 100, turn)
        truth.run("calls", turn % 100, 1, 0.001, turn)
    thread.join()
    assert not failures


def test_stopping_twice_is_harmless_and_frees_the_port(server: MetricsServer) -> None:
    address = server.address
    server.stop()
    server.stop()
    again = MetricsServer(lambda accept: (b"", "text/plain"), list, list, *address)
    assert again.start() == address
    again.stop()


def test_a_queue_has_264_series_and_a_queue_of_chats_20_more(snapshots: list[Snapshot]) -> None:
    lines = exposition(snapshots).render()[0].decode().splitlines()
    queues = [s for s in snapshots if isinstance(s, QueueSnapshot)]
    found = {s.channel: sum(f'queue="{s.queue}"' in line for line in lines) for s in queues}
    assert found == {"voice": 264, "chat": 284}
