"""The commands as people run them: processes with a real Kafka and Redis, and what they print, write and answer."""

import asyncio
import json
import re
import signal
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.snapshot_store import RedisSnapshots
from schemas.snapshots import QueueSnapshot
from streams.simulator import Plan, Simulation, default_site, with_events_per_s
from tests.streams.true_days import items_of
from tests.system.commands import command, readiness, told
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.system.server_process import free_port

COUNTS = (
    "offered", "answered", "answered_in_x", "abandoned", "abandoned_in_x", "abandoned_short", "callback",
    "overflowed", "handled", "transferred_in", "transferred_out", "declined",
)  # fmt: skip

pytestmark = pytest.mark.timeout(240)


def configured(folder: Path, kafka: LocalKafka, redis: LocalRedis, name: str) -> Path:
    """Settings of an installation of its own, whose business day does not end while the test runs."""
    begins = datetime.now(UTC) - timedelta(hours=6)
    path = folder / "queuelight.toml"
    path.write_text(
        f'[site]\nname = "{name}"\nzone = "UTC"\nday_starts_at = "{begins:%H:00}"\n'
        f'[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "{name}"\ntopic_prefix = "{name}."\n'
        f'[redis]\nurl = "{redis.url}"\n'
    )
    return path


def metrics_page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def on_redis(redis: LocalRedis, site: str) -> dict[str, QueueSnapshot]:
    async def read() -> dict[str, QueueSnapshot]:
        store = RedisSnapshots(redis.url, site)
        try:
            return {s.queue: s for s in await store.read() if isinstance(s, QueueSnapshot)}
        finally:
            await store.close()

    return asyncio.run(read())


def test_what_a_worker_shows_of_a_simulation_is_the_truth_written_beside_it(
    kafka: LocalKafka, redis: LocalRedis, tmp_path: Path
) -> None:
    config, truth, port = configured(tmp_path, kafka, redis, "live"), tmp_path / "truth.json", free_port()
    told("topics", "create", "--config", config)
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(command("worker", "--config", config, "--metrics-port", port), stderr=log)
    try:
        until(lambda: readiness(port)[0] == 503, "a worker that says it is not ready yet", 30)
        assert readiness(port)[1]["problems"]
        until(
            lambda: readiness(port) == (200, {"status": "ok", "problems": []}), "a worker that is ready", 60
        )
        told("simulate", "--rate", 400, "--seconds", 15, "--queues", 12, "--config", config, "--truth", truth)
        true = json.loads(truth.read_text())
        assert true["total"]["offered"] > 300
        expected = {name: row["offered"] for name, row in true["by_queue"].items()}

        def offered() -> dict[str, int]:
            return {name: s.arrival["day"].offered for name, s in on_redis(redis, "live").items()}

        try:
            until(lambda: offered() == expected, "every contact on Redis", 30)
        except AssertionError:
            assert offered() == expected
        until(lambda: readiness(port)[0] == 200, "nothing left to do")
        queues = on_redis(redis, "live")
        for name, expected in true["by_queue"].items():
            seen = queues[name].arrival["day"]
            assert {c: getattr(seen, c) for c in COUNTS} == {c: expected[c] for c in COUNTS}, name
            assert queues[name].waiting == expected["waiting"], name
        page = metrics_page(port)
        found = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stdout + found.stderr) == (0, "")
        said = {
            sample.labels["queue"]: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == "queuelight_window_offered_contacts" and sample.labels["window"] == "day"
        }
        assert said == {name: row["offered"] for name, row in true["by_queue"].items()}
        delays = re.findall(r'queuelight_event_delay_seconds_count\{source="live.calls"\} ([\d.]+)', page)
        assert [float(count) > 30 for count in delays] == [True]
        board = told("top", "--once", "--window", "day", "--config", config).stdout
        assert "today" in board
        assert all(name[:6] in board for name in true["by_queue"])
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0, (tmp_path / "worker.log").read_text()
    finally:
        worker.kill()
        worker.wait(20)


@pytest.mark.alone
def test_of_two_workers_under_one_name_the_newcomer_gives_up_and_the_other_works_on(
    kafka: LocalKafka, redis: LocalRedis, tmp_path: Path
) -> None:
    config, ports = configured(tmp_path, kafka, redis, "twins"), (free_port(), free_port())
    told("topics", "create", "--config", config)

    def start(port: int, *more: str) -> subprocess.Popen[str]:
        words = command("worker", "--config", config, "--metrics-port", port, *more)
        return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    workers = [start(ports[0])]
    try:
        until(lambda: readiness(ports[0])[0] == 200, "the first is ready")
        ready_s = time.monotonic()
        refused = subprocess.run(
            command("worker", "--config", config), capture_output=True, text=True, timeout=30, check=False
        )
        assert refused.returncode == 2
        assert "runs on this machine already: give each its own --name" in refused.stderr
        elsewhere = kafka.bootstrap.replace("127.0.0.1", "localhost")
        assert elsewhere != kafka.bootstrap
        until(lambda: time.monotonic() > ready_s + 12, "the first has settled")
        workers.append(start(ports[1], "--broker", elsewhere))
        until(lambda: any(w.poll() is not None for w in workers), "one gives up", 90)
        _, said = workers[1].communicate(timeout=20)
        assert workers[1].returncode == 1
        assert "evicted from the group 4 times" in said
        until(lambda: readiness(ports[0])[0] == 200, "the other is ready", 60)
        assert workers[0].poll() is None
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate(timeout=20)


def test_a_replay_through_kafka_reports_what_the_replay_without_it_does(
    kafka: LocalKafka, tmp_path: Path
) -> None:
    site = default_site(12)
    simulation = Simulation(site, with_events_per_s(site, Plan(flat=True), 2.0), seed=3, keep_record=False)
    recording = tmp_path / "day.jsonl"
    lines = [item.value for item in items_of(simulation, 3)]
    lines.insert(len(lines) // 2, b'{"type": "contact.queued"}')
    recording.write_bytes(b"\n".join(lines) + b"\n")
    reports = []
    for number, extra in enumerate(([], ["--broker", kafka.bootstrap])):
        report = tmp_path / f"{number}.json"
        told("replay", recording, "--format", "jsonl", "--report", report, *extra)
        reports.append(json.loads(report.read_text()))
    without, through = reports
    assert without == through
    assert without["total"]["offered"] > 1000
    assert sum(without["source"]["dead_letters"].values()) == 1
