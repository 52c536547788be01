"""Is what a wallboard says of the day what happened, from events on a real Kafka through a worker and a real Redis?"""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from streams.contact_list import MOST_LISTED
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port
from tests.wallboard.page_world import becomes, page_of, see
from tests.wallboard.walls import QUEUELIGHT, Wall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
COUNTS = ("offered", "answered", "answered_in_x", "abandoned", "callback", "overflowed", "lost")


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    """A running Apache Kafka."""
    with LocalKafka() as broker:
        yield broker


def test_the_intervals_and_contacts_behind_every_queue_are_the_truth_also_after_a_kill_of_the_worker(
    kafka: LocalKafka, redis: LocalRedis, tmp_path: Path
) -> None:
    begins = datetime.now(UTC) - timedelta(hours=6)
    toml = (
        f'[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "drill"\ntopic_prefix = "drill."\n'
        '[wallboard.access]\npseudonym_key = "k"\n'
    )
    wall = Wall(tmp_path, redis.url, toml, site="drill", day_starts_at=f"{begins:%H:00}")
    truth = tmp_path / "truth.json"
    worker = ServerProcess("worker")
    port = str(free_port())

    def told(*words: str) -> None:
        subprocess.run([str(QUEUELIGHT), *words, "--config", str(wall.config)], check=True, timeout=120)

    def start() -> None:
        program = [str(QUEUELIGHT), "worker", "--config", str(wall.config), "--metrics-port", port]
        worker.start(program, tmp_path / "worker.log")

    told("topics", "create")
    start()
    try:
        with wall:
            told("simulate", "--rate", "300", "--seconds", "12", "--queues", "6", "--truth", str(truth))
            true = {
                queue: {name: row[name] for name in COUNTS}
                for queue, row in json.loads(truth.read_text())["by_queue"].items()
            }
            assert sum(row["offered"] for row in true.values()) > 100
            _until_told(wall, true)
            _check_contacts(wall, json.loads(truth.read_text())["by_queue"], redis)
            worker.end(signal.SIGKILL, 10)
            start()
            until(lambda: _published_ms(wall) > datetime.now(UTC).timestamp() * 1000 - 2000, "it is back")
            _until_told(wall, true)
    finally:
        worker.end(signal.SIGKILL, 10)


def _until_told(wall: Wall, true: dict[str, dict[str, int]]) -> None:
    def sums() -> dict[str, dict[str, int]]:
        return {queue: _sums(wall, queue) for queue in true}

    try:
        until(lambda: sums() == true, "the truth", 60)
    except AssertionError:
        assert sums() == true


def _sums(wall: Wall, queue: str) -> dict[str, int]:
    intervals = _asked(wall, queue)["intervals"]
    return {name: sum(each[name] for each in intervals) for name in COUNTS}


def _asked(wall: Wall, queue: str) -> dict[str, Any]:
    status, body = wall.get(f"/api/v1/queues/{quote(queue)}")
    found: dict[str, Any] = json.loads(body)
    return found if status == 200 else {"intervals": [], "waiting": [], "abandoned": []}


def _check_contacts(wall: Wall, true: dict[str, dict[str, int]], redis: LocalRedis) -> None:
    """Who waits and who gave up are as many as there are, in order, and have no name that anybody knows."""

    def counts() -> dict[str, tuple[int, int]]:
        found = {queue: _asked(wall, queue) for queue in true}
        return {queue: (len(each["waiting"]), len(each["abandoned"])) for queue, each in found.items()}

    expected = {
        queue: (min(row["waiting"], MOST_LISTED), min(row["abandoned"], MOST_LISTED))
        for queue, row in true.items()
    }
    assert sum(abandoned for _, abandoned in expected.values()) > 0
    try:
        until(lambda: counts() == expected, "the contacts", 20)
    except AssertionError:
        assert counts() == expected
    for queue in true:
        found = _asked(wall, queue)
        queued = [each["queued_ms"] for each in found["waiting"]]
        left = [each["left_ms"] for each in found["abandoned"]]
        assert queued == sorted(queued)
        assert left == sorted(left, reverse=True)
        for each in found["waiting"] + found["abandoned"]:
            assert re.fullmatch(r"[0-9a-f]{10}", each["id"])
    with Redis.from_url(redis.url) as client:
        stored = b"".join(client.hgetall("queuelight:{drill}:contacts").values())
    assert stored
    assert not re.search(rb'\["[^"]{0,9}"|\["[^"]{11,}"', stored), "an id that is no pseudonym"


def test_a_broker_that_is_away_is_told_in_browsers_and_so_is_its_return(
    redis: LocalRedis, browser: Browser, tmp_path: Path
) -> None:
    with LocalKafka() as kafka:
        toml = f'[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "away"\ntopic_prefix = "away."\n'
        wall = Wall(tmp_path, redis.url, toml, site="away")
        program = [str(QUEUELIGHT), "--config", str(wall.config)]
        told = [program[0], "simulate", "--rate", "100", "--seconds", "3", "--queues", "4", *program[1:]]
        subprocess.run([program[0], "topics", "create", *program[1:]], check=True, timeout=60)
        worker = ServerProcess("worker")
        worker.start(
            [program[0], "worker", *program[1:], "--metrics-port", str(free_port())], tmp_path / "w.log"
        )
        try:
            subprocess.run(told, check=True, timeout=60)
            with wall, page_of(browser) as page:
                see(page, wall.url, "?lang=en")
                # Nothing happens any more, and the board stays live: Kafka delivers signs of life.
                quiet_until = time.monotonic() + 12
                until(lambda: time.monotonic() > quiet_until or _state(page) != "live", "a quiet while", 20)
                assert _state(page) == "live"
                kafka.kill()
                becomes(page, "stale", 16)
                expect(page.locator("#banner")).to_contain_text("nothing new comes through Kafka")
                kafka.start()
                becomes(page, "live", 60)
        finally:
            worker.end(signal.SIGKILL, 10)


def _state(page: Page) -> str | None:
    return page.locator("body").get_attribute("data-state")


def _published_ms(wall: Wall) -> int:
    return wall.board()["as_of"] or 0
