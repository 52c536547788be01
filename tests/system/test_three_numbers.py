"""Do Prometheus, the wallboard and the report say the same numbers of the same moment?

What is compared is the business day of every queue, once a finite load has come to rest: contacts of the last hour went
through a real Kafka, a worker, Redis and a wallboard; Prometheus scraped the worker; the report is what `queuelight
replay` makes of the same events, up to the same moment.

Boards and Prometheus count an outcome when it happens (event basis), reports when its contact was queued (arrival
basis). For windows of minutes these differ by design. Of a whole day that holds every contact from beginning to end both
must be the same, and so must the day on the arrival basis that the wallboard shows behind a tile.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import pytest

from agents.feed import Feed
from agents.settings import load
from schemas import events as e
from schemas.metrics import PREFIX, WINDOW_COUNTS, WINDOW_SECONDS
from streams.driver import Item
from streams.simulator import Simulation, default_site, encode
from tests.simulated import still_waiting
from tests.streams.true_days import LIVELY
from tests.system.local_kafka import LocalKafka
from tests.system.local_prometheus import LocalPrometheus
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port
from tests.wallboard.walls import QUEUELIGHT, Wall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
QUEUES = 5
ANY_TIME = msgspec.structs.replace(LIVELY, flat=True, incidents=())
"""Brings every outcome whatever time it is now: it knows no night, nor shifts."""
LOAD = timedelta(minutes=40)
AT_REST = timedelta(minutes=10)
"""Longer than a silent chat stays undecided (5 min), and an end without a known outcome (2 min)."""
AT_REST_TOO = {what: field for what, field in WINDOW_SECONDS.items() if not what.startswith("agent_")}
"""Agents' time goes on while contacts are at rest: three looks at it, one after the other, are at three moments."""
OUTCOMES = ("answered", "abandoned", "abandoned_short", "callback", "overflowed", "silent_abandoned")
TOLD_S = 2.0
"""Stage 1 tells everything at least once a second."""


class Three(NamedTuple):
    """The same day, told by three; by queue. Prometheus: {(metric, queue): value} of the window "day"."""

    prometheus: dict[tuple[str, str], float]
    wallboard: dict[str, dict[str, Any]]
    report: dict[str, dict[str, Any]]
    """The measures M of the report."""


def day_begins(now: datetime) -> datetime:
    """The beginning of a business day that holds the load whatever time it is."""
    return (now - timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def three(kafka: LocalKafka, redis: LocalRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder = tmp_path_factory.mktemp("three")
    now = datetime.now(UTC)
    toml = f'[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "three"\ntopic_prefix = "three."\n'
    wall = Wall(folder, redis.url, toml, site="three", day_starts_at=f"{day_begins(now):%H:00}")
    told = [str(QUEUELIGHT), "topics", "create", "--config", str(wall.config)]
    subprocess.run(told, check=True, timeout=120)
    ends_ms = int((now - AT_REST).timestamp() * 1000)
    site = default_site(QUEUES)
    simulated = Simulation(site, ANY_TIME, seed=21).events(
        ends_ms - int(LOAD / timedelta(milliseconds=1)), ends_ms
    )
    events = [*simulated, still_waiting(site, ends_ms)]
    port = free_port()
    scraping = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: queuelight
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
    worker = ServerProcess("worker")
    words = [str(QUEUELIGHT), "worker", "--config", str(wall.config), "--metrics-port", str(port)]
    try:
        worker.start(words, folder / "worker.log")
        with wall, LocalPrometheus(scraping) as prometheus:
            feed = Feed(load(wall.config), replay=False)
            for topic, key, event in events:
                feed.send(Item(topic, key, encode(event)))
            feed.flush()
            at_rest(prometheus, wall, feed.sent)
            moment = datetime.now(UTC)
            yield Three(
                {
                    (series.labels["__name__"], series.labels["queue"]): series.value
                    for window in ('window="day"', 'window=""')
                    for series in prometheus.query(f'{{__name__=~"{PREFIX}.+",queue!="",{window}}}')
                },
                {queue: behind(wall, queue, row["channel"]) for queue, row in rows(wall).items()},
                replayed(folder, wall.config, [encode(event) for _, _, event in events], moment),
            )
    finally:
        worker.end(signal.SIGKILL, 10)


def at_rest(prometheus: LocalPrometheus, wall: Wall, sent: int) -> None:
    """Wait until every event is counted, told, published, scraped and shown."""

    def newest(expr: str) -> float:
        return max((series.value for series in prometheus.query(expr)), default=0.0)

    until(lambda: newest(f"sum({PREFIX}events_total)") == sent, "every event is counted")
    counted_s = time.time() + TOLD_S
    until(lambda: newest(f"min({PREFIX}queue_snapshot_timestamp_seconds)") > counted_s, "it is published")
    until(lambda: wall.board()["as_of"] > counted_s * 1000, "the wallboard knows")


def rows(wall: Wall) -> dict[str, dict[str, Any]]:
    return {tile["queue"]: tile for tile in wall.board()["queues"].values()}


def behind(wall: Wall, queue: str, channel: str) -> dict[str, Any]:
    """All measures that the wallboard shows behind the tile of a queue, and who waits, from the tile."""
    status, body = wall.get(f"/api/v1/queues/{quote(queue)}?channel={channel}")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found | {"tile": rows(wall)[queue]}


def replayed(folder: Path, config: Path, lines: list[bytes], moment: datetime) -> dict[str, dict[str, Any]]:
    """The report of the events up to the moment."""
    beat = e.PipelineHeartbeat(id="end", source="test", time=moment, data=e.Heartbeat(clock="event"))
    recording, report = folder / "events.jsonl", folder / "report.json"
    recording.write_bytes(b"\n".join([*lines, encode(beat)]) + b"\n")
    words = ["replay", str(recording), "--format", "jsonl", "--report", str(report), "--config", str(config)]
    subprocess.run([str(QUEUELIGHT), *words], check=True, timeout=120)
    found: dict[str, dict[str, Any]] = json.loads(report.read_bytes())["by_queue"]
    return found


def test_there_is_something_to_compare(three: Three) -> None:
    assert set(three.report) == set(three.wallboard) == {queue for _, queue in three.prometheus}
    assert len(three.report) == QUEUES
    for outcome in OUTCOMES:
        assert sum(each[outcome] for each in three.report.values()) > 0, outcome
    assert sum(each["waiting"] for each in three.report.values()) > 0


@pytest.mark.parametrize(("base", "field"), WINDOW_COUNTS.items())
def test_all_three_count_the_same(three: Three, base: str, field: str) -> None:
    for queue, report in three.report.items():
        scraped = three.prometheus[f"{PREFIX}window_{base}_contacts", queue]
        shown = three.wallboard[queue]
        assert scraped == report[field] == shown["windows"]["day"][field] == shown["arrival"]["day"][field], (
            queue
        )


@pytest.mark.parametrize(("what", "field"), AT_REST_TOO.items())
def test_all_three_measured_the_same_time(three: Three, what: str, field: str) -> None:
    for queue, report in three.report.items():
        scraped = three.prometheus[f"{PREFIX}window_{what}_seconds", queue]
        shown = three.wallboard[queue]["windows"]["day"][field]
        assert scraped == pytest.approx(report[field], abs=1e-6), queue
        assert shown == pytest.approx(report[field], abs=1e-6), queue


def test_all_three_have_the_same_contacts_waiting(three: Three) -> None:
    for queue, report in three.report.items():
        waiting = three.prometheus[f"{PREFIX}queue_waiting_contacts", queue]
        assert waiting == report["waiting"] == three.wallboard[queue]["tile"]["waiting"], queue


@pytest.mark.parametrize(
    "variant", ["sl_offered", "sl_short_out", "sl_abandoned_late", "sl_removed", "sl_answered"]
)
def test_all_three_have_the_same_service_level_and_the_same_n(three: Three, variant: str) -> None:
    for queue, report in three.report.items():
        parts = [
            three.prometheus[f"{PREFIX}window_{variant}_{part}_contacts", queue]
            for part in ("numerator", "denominator")
        ]
        for told in (report, three.wallboard[queue]["windows"]["day"]):
            assert [told["proportions"][variant]["numerator"], told["proportions"][variant]["n"]] == parts, (
                queue
            )
            assert told[variant] == pytest.approx(parts[0] / parts[1]), queue
