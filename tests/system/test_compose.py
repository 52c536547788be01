"""Does what docker-compose.yml starts work together? Its words, variables, files and health checks, run without Docker.

Grafana is not on this machine: its files are tested in tests/grafana/, and nobody has seen them in this composition.
"""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.compose.natively import Natively
from tests.system.members import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
WORKERS = 2
QUEUES = 5


def with_known_addresses(text: str, natively: Natively) -> str:
    """Prometheus' configuration without the name server of Docker, which knows the containers."""
    config = yaml.safe_load(text)
    manager = f"127.0.0.1:{natively.port('alertmanager', 9093)}"
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [manager]}]}]
    workers, *others = config["scrape_configs"]
    (found,) = workers.pop("dns_sd_configs")
    assert found["names"] == ["worker"]
    ports = [natively.port("worker", found["port"], number + 1) for number in range(WORKERS)]
    workers["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    for job in others:
        ((target,),) = (each["targets"] for each in job["static_configs"])
        service, port = target.split(":")
        job["static_configs"] = [{"targets": [f"127.0.0.1:{natively.port(service, int(port))}"]}]
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Natively]:
    """Everything but Grafana, with two workers and the simulator, as healthy as the file asks it to be."""
    folder = tmp_path_factory.mktemp("compose")
    with Natively(folder, {"/etc/prometheus/prometheus.yml": with_known_addresses}) as natively:
        for name in ("worker", "wallboard", "collector", "simulator", "prometheus"):
            natively.up(name)
        natively.up("worker", 2)
        for name, container in (
            ("worker", 1),
            ("worker", 2),
            ("wallboard", 1),
            ("collector", 1),
            ("prometheus", 1),
        ):
            healthy(natively, name, container)
        yield natively


def healthy(natively: Natively, name: str, container: int = 1) -> None:
    until(lambda: natively.is_healthy(name, container), f"{name}-{container} is healthy")


def answer(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as got:
        return json.load(got)


def test_the_board_shows_simulated_contacts_of_every_configured_queue(running: Natively) -> None:
    def queues() -> Any:
        return answer(running.port("wallboard", 8080), "/api/v1/board")["queues"].values()

    until(lambda: len(queues()) == QUEUES and all(queue["offered"] for queue in queues()), "contacts")


def test_prometheus_scrapes_everything_of_ours_and_its_rules_keep_every_queue(running: Natively) -> None:
    def asked(query: str) -> int:
        path = f"/api/v1/query?{urlencode({'query': query})}"
        return len(answer(running.port("prometheus", 9090), path)["data"]["result"])

    until(lambda: asked('up{job="queuelight"} == 1') == WORKERS, "every worker is scraped")
    until(lambda: asked("queuelight_wallboard_streams") == 1, "the wallboard is scraped")
    until(lambda: asked("queuelight_collector_spool_bytes") == 1, "the collector is scraped")
    waiting = "queue_channel:queuelight_queue_waiting_contacts:last"
    until(lambda: asked(waiting) == QUEUES, "every queue is kept")


def test_alertmanager_hears_prometheus(running: Natively) -> None:
    def fires() -> set[str]:
        alerts = answer(running.port("alertmanager", 9093), "/api/v2/alerts")
        return {alert["labels"]["alertname"] for alert in alerts}

    until(lambda: "QueuelightWatchdog" in fires(), "the watchdog")


def test_a_container_that_replaces_another_takes_over_its_name(running: Natively) -> None:
    def name_of(container: int) -> str:
        return running.log(f"worker-{container}").read_text().split("worker ", 1)[1].split(":")[0]

    names = {container: name_of(container) for container in (1, 2)}
    assert set(names.values()) == {"worker-1", "worker-2"}
    running.kill("worker", 1)
    running.up("worker", 3)
    healthy(running, "worker", 3)
    assert name_of(3) == names[1]
