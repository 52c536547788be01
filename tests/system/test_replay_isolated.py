"""Does a replay leave the installation alone that runs on the same broker, and feed its workers only when told to?"""

import asyncio
import json
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from agents.feed import Feed
from agents.replay import replay_through_kafka
from agents.settings import Settings, load
from agents.snapshot_store import RedisSnapshots
from agents.topics import create_topics
from schemas.errors import BrokerError
from schemas.snapshots import QueueSnapshot
from schemas.topics import CALLS
from streams.driver import Driver, Item
from streams.readers import READERS
from streams.report import ReportBuilder
from streams.site import Site
from tests.agents.recordings import call
from tests.streams.bench import event
from tests.system.commands import command, told
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.replays import run, settings_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def configured(folder: Path, kafka: LocalKafka, redis: LocalRedis, name: str) -> Path:
    """Settings of an installation of its own."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'[site]\nname = "{name}"\n[kafka]\nbroker = "{kafka.bootstrap}"\napp_id = "{name}"\n'
        f'topic_prefix = "{name}."\npartitions = 2\n[redis]\nurl = "{redis.url}"\n'
    )
    return path


def waiting(settings: Settings) -> int:
    """How many wait on the live board."""

    async def read() -> int:
        store = RedisSnapshots(settings.redis.address, settings.site.name)
        try:
            return sum(each.waiting for each in await store.read() if isinstance(each, QueueSnapshot))
        finally:
            await store.close()

    return asyncio.run(read())


def feed_live(settings: Settings, first: int) -> None:
    """Five callers who wait from now on."""
    feed, now_ms = Feed(settings, replay=False), int(datetime.now(UTC).timestamp() * 1000)
    for number in range(first, first + 5):
        value = event("contact.queued", now_ms, contact_id=f"live-{number}", queue="Live")
        feed.send(Item(CALLS, f"live-{number}", value))
    feed.flush()


def topics(kafka: LocalKafka) -> set[str]:
    return set(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics)


def recorded(folder: Path) -> Path:
    path = folder / "calls.jsonl"
    path.write_bytes(b"".join(line for number in range(40) for line in call(f"c-{number}")))
    return path


def test_a_replay_beside_a_live_installation_is_none_of_its_business(
    kafka: LocalKafka, redis: LocalRedis, tmp_path: Path
) -> None:
    config, recording = configured(tmp_path, kafka, redis, "beside"), recorded(tmp_path)
    settings = load(config)
    create_topics(settings)
    worker = Member(settings, "one")
    worker.start()
    try:
        feed_live(settings, 0)
        until(lambda: waiting(settings) == 5, "the first callers on the board")
        words = "replay", recording, "--format", "jsonl", "--config", config, "--report"
        without, through = tmp_path / "without.json", tmp_path / "through.json"
        told(*words, without)
        done = told(*words, through, "--broker", kafka.bootstrap)
        assert "group beside is left alone" in done.stderr
        assert json.loads(through.read_text()) == json.loads(without.read_text())
        assert json.loads(through.read_text())["total"]["offered"] == 40
        assert not [topic for topic in topics(kafka) if topic.startswith("replay-")]
        assert waiting(settings) == 5
        feed_live(settings, 5)
        until(lambda: waiting(settings) == 10, "the board goes on")

        told_to = command(*words, through, "--broker", kafka.bootstrap, "--running-workers")
        refused = subprocess.run(told_to, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 1
        assert "beside.calls had records before" in refused.stderr
        assert waiting(settings) == 10
    finally:
        worker.end()


def test_running_workers_of_a_replay_report_what_the_driver_does_and_none_goes_on_live(
    kafka: LocalKafka, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(kafka, "running", Site(), replay=True)
    with recorded(tmp_path).open("rb") as lines:
        items = tuple(item for item in READERS["jsonl"](lines) if isinstance(item, Item))
    with pytest.raises(BrokerError, match="no worker of group running is running"):
        replay_through_kafka(settings, items, 900, running=True)
    worker = Member(settings, "one")
    try:
        through = run(settings, items, [worker], lambda: None)
        driver, builder = Driver(settings.site), ReportBuilder(settings.site, 900)
        driver.feed(items)
        driver.finish()
        for row in driver.intervals.values():
            builder.add(row)
        assert through.builder.report({}) == builder.report({})
        worker.send(signal.SIGTERM)
        live = Member(settings_for(kafka, "running", Site()), "one")
        live.start()
        until(lambda: not live.is_alive(), "a live worker finds the state of a replay, and ends")
        assert " is that of a replay, which does not fit `clock` in [worker]" in capfd.readouterr().err
    finally:
        worker.end()


def test_workers_that_live_by_the_wall_clock_make_no_report(kafka: LocalKafka, tmp_path: Path) -> None:
    settings = settings_for(kafka, "walled", Site())
    with recorded(tmp_path).open("rb") as lines:
        items = tuple(item for item in READERS["jsonl"](lines) if isinstance(item, Item))
    worker = Member(settings, "one")
    try:
        with pytest.raises(BrokerError, match="live by the wall clock"):
            run(settings, items, [worker], lambda: None)
    finally:
        worker.end()
