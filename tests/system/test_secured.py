"""Everything over TLS: Kafka with SCRAM-SHA-512 or certificates of the clients, Redis with a password and certificates.

What is refused is said in one line, without the secret, and ends the process.
"""

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourceType  # type: ignore[attr-defined]

from streams.simulator import Plan, Simulation, default_site, with_events_per_s
from tests.streams.true_days import items_of
from tests.system.authority import Authority
from tests.system.commands import command, readiness, told
from tests.system.kafka_doors import LockedDoors
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis, RedisLock
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
USER, PASSWORD, REDIS_PASSWORD = "queuelight", "sword fish", "p@ss: w/rd %"


@dataclass(frozen=True)
class Secured:
    """Servers behind locked doors, and two authorities: one vouches for them, the other does not."""

    folder: Path
    kafka: LocalKafka
    doors: LockedDoors
    redis: LocalRedis
    ours: Authority
    strange: Authority

    def settings(self, name: str, kafka: dict[str, object], redis: dict[str, object]) -> Path:
        """A file with settings of an installation of its own."""
        own = self.ours.issue("client")
        certificate = {"ca_file": self.ours.ca, "cert_file": own.shown, "key_file": own.key}
        tables: dict[str, dict[str, object]] = {
            "site": {"name": name},
            "kafka": {"app_id": name, "topic_prefix": f"{name}.", "partitions": 2, **kafka},
            "redis": {"url": self.redis.url, "password_file": self.held(REDIS_PASSWORD), **certificate, **redis},
        }  # fmt: skip
        path = self.folder / f"{name}.toml"
        path.write_text("".join(f"[{table}]\n{_lines(values)}" for table, values in tables.items()))
        return path

    def by_password(self, name: str, redis: dict[str, object] | None = None, **kafka: object) -> Path:
        """Kafka by SCRAM."""
        known = {"broker": self.kafka.bootstrap, "security_protocol": "SASL_SSL", "ca_file": self.ours.ca}
        sasl = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": USER, "sasl_password_file": self.held(PASSWORD)}  # fmt: skip
        return self.settings(name, {**known, **sasl, **kafka}, redis or {})

    def held(self, secret: str) -> Path:
        """A file that holds a secret."""
        path = self.folder / f"secret-{secret.encode().hex()}"
        path.write_text(secret + "\n")
        return path


def _lines(values: dict[str, object]) -> str:
    return "".join(
        f"{key} = {value if isinstance(value, int) else json.dumps(str(value))}\n"
        for key, value in values.items()
    )


def _allow_what_production_lists(doors: LockedDoors) -> None:
    """The rights in docs/production.md, to the user for the installation "whole", to a certificate for replays."""
    topic, group, may = ResourceType.TOPIC, ResourceType.GROUP, AclOperation
    doors.allow(USER, topic, "whole", may.READ, may.WRITE, may.DESCRIBE_CONFIGS, may.CREATE)
    doors.allow(USER, group, "whole", may.READ)
    doors.allow(
        "CN=feed", topic, "replay-", may.READ, may.WRITE, may.DESCRIBE_CONFIGS, may.CREATE, may.DELETE
    )
    doors.allow("CN=feed", group, "replay-", may.READ)
    doors.allow("CN=feed", group, "queuelight-re", may.READ)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Running servers."""
    folder = tmp_path_factory.mktemp("secured")
    ours, strange = Authority(folder / "ours", "ours"), Authority(folder / "strange", "strange")
    doors = LockedDoors.made(ours, USER, PASSWORD, folder)
    with LocalKafka(doors=doors) as kafka, LocalRedis(lock=RedisLock(ours, REDIS_PASSWORD)) as redis:
        _allow_what_production_lists(doors)
        yield Secured(folder, kafka, doors, redis, ours, strange)


def _board(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/board", timeout=5) as answer:
            return dict(json.load(answer))
    except OSError:
        return {"queues": {}}


def refused(*words: object) -> tuple[int, str]:
    """The exit code of a command that fails, and what it said: no traceback, and no secret."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    assert not any(secret in said for secret in (PASSWORD, REDIS_PASSWORD, "wrong"))
    return done.returncode, said


def test_contacts_go_from_the_feed_to_the_board_with_nothing_unencrypted(secured: Secured) -> None:
    config, metrics, board = secured.by_password("whole"), free_port(), free_port()
    assert "whole.dead-letters" in told("topics", "create", "--config", config).stdout
    checked = told("check", "--config", config).stdout
    assert checked.count("ok ") == 4, checked
    worker, wallboard = ServerProcess("worker"), ServerProcess("wallboard")
    worker.start(
        command("worker", "--config", config, "--metrics-port", metrics), secured.folder / "worker.log"
    )
    wallboard.start(command("wallboard", "--config", config, "--port", board), secured.folder / "board.log")
    try:
        until(lambda: readiness(metrics)[0] == 200, "a worker that is ready")
        told("simulate", "--rate", 150, "--seconds", 4, "--queues", 3, "--config", config)
        until(lambda: len(_board(board)["queues"]) == 3, "three queues on the board")
        assert sum(queue["offered"] for queue in _board(board)["queues"].values()) > 20
        told("top", "--once", "--config", config)
        assert told("board-token", "create", "--label", "floor", "--config", config).stdout
    finally:
        worker.end(signal.SIGTERM, 20)
        wallboard.end(signal.SIGTERM, 20)


def test_a_replay_goes_through_kafka_with_certificates_on_both_sides(
    secured: Secured, tmp_path: Path
) -> None:
    own = secured.ours.issue("feed")
    files = {"ca_file": secured.ours.ca, "cert_file": own.shown, "key_file": own.key}
    broker = f"127.0.0.1:{secured.doors.mutual}"
    config = secured.settings("mutual", {"security_protocol": "SSL", **files}, {})
    recording, report = tmp_path / "day.jsonl", tmp_path / "report.json"
    site = default_site(3)
    simulation = Simulation(site, with_events_per_s(site, Plan(flat=True), 0.2), seed=5, keep_record=False)
    recording.write_bytes(b"\n".join(item.value for item in items_of(simulation, 1)) + b"\n")
    told("replay", recording, "--format", "jsonl", "--report", report, "--broker", broker, "--config", config)
    assert json.loads(report.read_text())["total"]["offered"] > 50


KAFKA_COMMANDS = [
    ("check",),
    ("topics", "create"),
    ("worker", "--metrics-port", 0),
    ("simulate", "--rate", 50, "--seconds", 1),
]
REDIS_COMMANDS = [
    ("check",),
    ("worker", "--metrics-port", 0),
    ("wallboard", "--port", 0),
    ("board-token", "list"),
]


@pytest.mark.parametrize("words", KAFKA_COMMANDS, ids=lambda words: words[0])
def test_a_password_that_kafka_refuses_ends_every_command_with_the_reason(
    words: tuple[object, ...], secured: Secured
) -> None:
    config = secured.by_password("password", sasl_password_file=secured.held("wrong"))
    code, said = refused(*words, "--config", config)
    assert code == 1
    assert f"Kafka at {secured.kafka.bootstrap}" in said
    assert "invalid credentials with SASL mechanism SCRAM-SHA-512" in said


@pytest.mark.parametrize("words", KAFKA_COMMANDS[2:], ids=lambda words: words[0])
def test_a_broker_nobody_vouches_for_ends_every_command_with_the_reason(
    words: tuple[object, ...], secured: Secured
) -> None:
    config = secured.by_password("broker", ca_file=secured.strange.ca)
    code, said = refused(*words, "--config", config)
    assert code == 1
    assert f"Kafka at {secured.kafka.bootstrap}" in said
    assert "certificate could not be verified, verify that [kafka] ca_file is correctly configured" in said


def test_a_certificate_of_strangers_is_refused_by_kafka(secured: Secured) -> None:
    own = secured.strange.issue("client")
    files = {"ca_file": secured.ours.ca, "cert_file": own.shown, "key_file": own.key}
    broker = f"127.0.0.1:{secured.doors.mutual}"
    config = secured.settings("stranger", {"broker": broker, "security_protocol": "SSL", **files}, {})
    code, said = refused("topics", "create", "--config", config)
    assert (code, "bad certificate" in said) == (1, True), said


def test_a_file_without_a_certificate_is_a_mistake_in_the_settings(secured: Secured) -> None:
    config = secured.by_password("nothing", ca_file=secured.held("wrong"))
    for words in KAFKA_COMMANDS[2:]:
        code, said = refused(*words, "--config", config)
        assert (code, "[kafka] ca_file failed" in said) == (2, True), said


@pytest.mark.parametrize("words", REDIS_COMMANDS, ids=lambda words: words[0])
def test_a_password_that_redis_refuses_ends_every_command_with_the_reason(
    words: tuple[object, ...], secured: Secured
) -> None:
    config = secured.by_password("cache", {"password_file": secured.held("wrong")})
    code, said = refused(*words, "--config", config)
    assert code == 1
    assert f"{secured.redis.url}: invalid username-password pair" in said


@pytest.mark.parametrize("words", REDIS_COMMANDS[1:3], ids=lambda words: words[0])
def test_a_redis_nobody_vouches_for_ends_every_command_with_the_reason(
    words: tuple[object, ...], secured: Secured
) -> None:
    config = secured.by_password("vouched", {"ca_file": secured.strange.ca})
    code, said = refused(*words, "--config", config)
    assert code == 1
    assert f"{secured.redis.url}: " in said
    assert "certificate verify failed" in said


def test_a_redis_that_asks_for_a_certificate_refuses_whoever_has_none(secured: Secured) -> None:
    config = secured.settings("bare", {}, {})
    config.write_text("".join(line for line in config.open() if not line.startswith(("cert_", "key_"))))
    code, said = refused("board-token", "list", "--config", config)
    # TLS 1.3: Redis refuses after the handshake, and its word is lost where we were writing already.
    assert code == 1
    assert re.search(r"certificate required|Connection reset by peer.*does it ask for a certificate", said), (
        said
    )


def test_what_a_user_may_not_do_is_said(secured: Secured) -> None:
    code, said = refused("topics", "create", "--config", secured.by_password("foreign"))
    assert (code, "topic foreign.calls could not be created" in said) == (1, True), said
    assert "authorization" in said.lower()
