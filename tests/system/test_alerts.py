"""From agents who leave to the ring of a webhook: real Kafka, Redis, worker, Prometheus and Alertmanager, shipped rules.

Rules, routes, intervals and inhibitions are those of `dashboards/prometheus`; only addresses and the name of the site
are put in. The site has no route of its own, so everything goes to the webhook.
"""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agents.feed import Feed
from agents.settings import Settings
from agents.topics import create_topics
from schemas.topics import CALLS, CHATS, PRESENCE
from streams.driver import Item
from streams.site import QueuePolicy, Site
from tests.prometheus.shipped import PROMETHEUS
from tests.streams.bench import event
from tests.system.local_alertmanager import Listener, LocalAlertmanager, Ring, shipped_routes
from tests.system.local_kafka import LocalKafka
from tests.system.local_prometheus import LocalPrometheus
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until
from tests.system.replays import settings_for
from tests.system.server_process import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
VOICE, CHAT = "注文・配送", "Chat support"
SITE = Site(
    name="alerts",
    queues={
        # The wait of one chat is worth an alert (at four times the limit) only after its source has been silent for long
        # enough to be noticed.
        VOICE: QueuePolicy(answer_within_s=5.0, owner="support"),
        CHAT: QueuePolicy(channel="chat", alert_longest_wait_s=25.0, alert_expected_wait_s=3600.0),
    },
)
FOR_S = 15
"""`for` of QueuelightQueueUnstaffed."""
RING_WITHIN_S = 20
SLACK_S = 1.0
"""For two clocks read in two processes."""


class Floor:
    """Two queues whose events a test tells by hand; heartbeats of sources go on until they fall silent."""

    def __init__(self, settings: Settings) -> None:
        self._feed = Feed(settings, replay=False)
        self._alive = {CALLS, CHATS, PRESENCE}
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._lock = threading.Lock()

    def __enter__(self) -> "Floor":
        self._beats.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._beats.join()

    def tell(self, topic: str, key: str, kind: str, **data: object) -> float:
        """Send an event of now; when that was, in Unix seconds."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self._feed.send(Item(topic, key, event(kind, at_ms, **data)))
            self._feed.flush()
        return at_ms / 1000

    def agent(self, agent_id: str, state: str, queue: str) -> float:
        return self.tell(PRESENCE, agent_id, "agent.state", agent_id=agent_id, state=state, queues=[queue])

    def falls_silent(self, source: str) -> None:
        self._alive.discard(source)

    def _beat(self) -> None:
        while not self._over.wait(2.0):
            for topic in sorted(self._alive):
                self.tell(topic, topic, "pipeline.heartbeat", clock="wall")


class Installation(NamedTuple):
    """Everything that runs."""

    floor: Floor
    worker: Member
    prometheus: LocalPrometheus
    alertmanager: LocalAlertmanager
    listener: Listener

    def rings(self, alert: str | None = None) -> list[Ring]:
        heard = self.listener.rings("/alerts")
        return [ring for ring in heard if alert is None or ring.labels["alertname"] == alert]

    def value(self, expr: str) -> float | None:
        found = self.prometheus.query(expr)
        return found[0].value if found else None


@pytest.fixture
def installed(kafka: LocalKafka, redis: LocalRedis, tmp_path: Path) -> Iterator[Installation]:
    """An installation with the shipped rules and routes."""
    settings = settings_for(kafka, "alerts", SITE, redis)
    create_topics(settings)
    port = free_port()
    worker = Member(settings, "worker", port)
    with Listener() as listener, LocalAlertmanager(shipped_routes(listener)) as alertmanager:
        config = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
        config = config.replace("127.0.0.1:9093", alertmanager.address)
        config = config.replace("127.0.0.1:9108", f"127.0.0.1:{port}")
        config = config.replace("rules/*.yml", f"{PROMETHEUS}/rules/*.yml").replace(
            "site: default", "site: 東京"
        )
        worker.start()
        try:
            with LocalPrometheus(config) as prometheus, Floor(settings) as floor:
                yield Installation(floor, worker, prometheus, alertmanager, listener)
        finally:
            worker.end()


def test_an_incident_rings_once_in_time_and_is_resolved_once_though_the_worker_is_killed_and_a_source_is_silent(
    installed: Installation,
) -> None:
    floor = installed.floor
    for agent_id in ("a1", "a2"):
        floor.agent(agent_id, "available", VOICE)
    floor.agent("c1", "available", CHAT)
    until(
        lambda: installed.value(f'queue_channel:queuelight_queue_agents:staffed{{queue="{VOICE}"}}') == 2,
        "Prometheus sees the agents",
    )
    until(lambda: len(installed.listener.rings("/watchdog")) > 0, "the watchdog's beat")

    # The source of chats falls silent with a customer in the queue; on the phone all agents leave.
    floor.tell(CHATS, "chat", "contact.queued", contact_id="chat", queue=CHAT, channel="chat")
    floor.falls_silent(CHATS)
    for agent_id in ("a1", "a2"):
        floor.agent(agent_id, "offline", VOICE)
    left_s = floor.tell(CALLS, "call", "contact.queued", contact_id="call", queue=VOICE, channel="voice")

    until(lambda: bool(installed.rings("QueuelightQueueUnstaffed")), "the webhook rings")
    (ring,) = installed.rings()
    held_s = left_s + FOR_S
    assert held_s - SLACK_S <= ring.at_s <= held_s + RING_WITHIN_S
    assert ring.labels["queue"] == VOICE
    assert ring.labels["owner"] == "support"
    assert ring.labels["site"] == "東京"

    installed.worker.send(signal.SIGKILL)
    killed_s = time.time()
    installed.worker.start()
    renewed = f'queue_channel:queuelight_queue_snapshot_timestamp_seconds:last{{queue="{VOICE}"}}'
    until(lambda: (installed.value(renewed) or 0.0) > killed_s, "the worker came back")
    floor.agent("a1", "available", VOICE)
    floor.tell(CALLS, "call", "contact.answered", contact_id="call", agent_id="a1")

    # The silence of chats is noticed though the worker is another: what was known of the source is known again.
    until(lambda: bool(installed.rings("QueuelightTelemetryStale")), "somebody is told of the silence", 120)
    until(lambda: len(installed.rings("QueuelightQueueUnstaffed")) > 1, "it is over", 150)

    # The wait of the chat became an alert meanwhile; nobody was told, for its numbers are as old as its source.
    suppressed = [
        each["labels"]["alertname"] for each in installed.alertmanager.alerts()
        if each["labels"].get("channel") == "chat" and each["status"]["state"] == "suppressed"
    ]  # fmt: skip
    assert "QueuelightLongestWait" in suppressed
    told = [(each.labels["alertname"], each.status) for each in installed.rings()]
    assert sorted(told) == [
        ("QueuelightQueueUnstaffed", "firing"),
        ("QueuelightQueueUnstaffed", "resolved"),
        ("QueuelightTelemetryStale", "firing"),
    ]
