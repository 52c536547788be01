"""What does `queuelight alerts` say? With a real Alertmanager that was told of alerts, and the shipped inhibitions."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.local_alertmanager import Listener, LocalAlertmanager, shipped_routes
from tests.system.members import until
from tests.system.server_process import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
SITE = "東京"


def alert(name: str, severity: str, minutes: float, **more: str) -> dict[str, Any]:
    """One alert as Prometheus tells it, firing for so many minutes."""
    words = {key: more.pop(key) for key in ("summary", "summary_ja", "value", "limit", "n") if key in more}
    labels = {"alertname": name, "severity": severity, "site": SITE, **more}
    now = datetime.now(UTC)
    starts = (now - timedelta(minutes=minutes)).isoformat()
    return {
        "labels": labels,
        "annotations": words,
        "startsAt": starts,
        "endsAt": (now + timedelta(hours=1)).isoformat(),
    }


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as heard:
        yield heard


@pytest.fixture
def alertmanager(listener: Listener) -> Iterator[LocalAlertmanager]:
    with LocalAlertmanager(shipped_routes(listener)) as server:
        yield server


def told(*words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("queuelight"))
    return subprocess.run(
        [program, "alerts", *words], capture_output=True, text=True, timeout=60, check=False
    )


def listed(alertmanager: LocalAlertmanager) -> list[dict[str, Any]]:
    done = told("--alertmanager", alertmanager.url, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["alerts"]
    assert isinstance(found, list)
    return found


def long_wait() -> dict[str, Any]:
    return alert(
    "QueuelightLongestWait", "critical", 3.0, about="floor", queue="注文・配送", channel="voice", owner="support",
    summary="Customers wait far longer than promised.", summary_ja="お客様の待ち時間が約束を大きく超えています。",
    value="1m 16s", limit="1m 0s", n="4",
)  # fmt: skip


def below() -> dict[str, Any]:
    return alert(
    "QueuelightServiceLevelBelowTarget", "warning", 9.0, about="service", queue="Sales", channel="voice",
    summary="The service level is below its target, beyond chance.", value="50%", limit="80%", n="20",
)  # fmt: skip


def watchdog() -> dict[str, Any]:
    return alert("QueuelightWatchdog", "none", 60.0, about="watchdog", summary="Alerting works.")


def stranger() -> dict[str, Any]:
    return alert("DiskFull", "critical", 1.0)


def test_the_worst_is_first_and_each_line_says_how_bad_since_when_where_what_and_the_numbers(
    alertmanager: LocalAlertmanager,
) -> None:
    alertmanager.post("/api/v2/alerts", [below(), long_wait(), watchdog(), stranger()])
    until(lambda: len(alertmanager.alerts()) == 4, "Alertmanager has heard of them")
    done = told("--alertmanager", alertmanager.url, "--lang", "en")
    assert done.returncode == 0
    assert done.stderr == ""
    heading, first, second = (line for line in done.stdout.splitlines() if line.strip())
    assert heading.split() == ["How", "bad", "Since", "Where", "What", "Numbers", "Taken", "on", "by"]
    for part in (
        "▲ act now",
        f"{SITE} · 注文・配送 (voice)",
        "Customers wait far longer",
        "1m 16s · limit 1m 0s · n = 4",
        "(3m ",
    ):
        assert part in first
    for part in ("● watch", "Sales (voice)", "50% · limit 80% · n = 20", "(9m "):
        assert part in second


def test_in_japanese_the_words_are_japanese(alertmanager: LocalAlertmanager) -> None:
    alertmanager.post("/api/v2/alerts", [long_wait(), watchdog()])
    until(lambda: len(alertmanager.alerts()) == 2, "Alertmanager has heard of them")
    said = told("--alertmanager", alertmanager.url, "--lang", "ja").stdout
    for part in ("重要度", "▲ 至急", "お客様の待ち時間が約束を大きく超えています。", "基準 1m 0s"):
        assert part in said


def test_who_silenced_an_alert_and_which_alert_stands_for_another_is_said(
    alertmanager: LocalAlertmanager,
) -> None:
    now = datetime.now(UTC)
    unstaffed = alert(
        "QueuelightQueueUnstaffed", "critical", 1.0, about="floor", queue="Sales", channel="voice"
    )
    alertmanager.post("/api/v2/alerts", [below(), long_wait(), unstaffed])
    alertmanager.post("/api/v2/silences", {
        "matchers": [{"name": "queue", "value": "注文・配送", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "田中", "comment": "増員を手配中",
    })  # fmt: skip

    def states() -> list[str]:
        return sorted(each["status"]["state"] for each in alertmanager.alerts())

    until(lambda: states() == ["active", "suppressed", "suppressed"], "Alertmanager has judged them")
    said = {each["alert"]: each for each in listed(alertmanager)}
    assert said["QueuelightQueueUnstaffed"]["told"]
    assert not said["QueuelightLongestWait"]["told"]
    assert [(h["by"], h["comment"]) for h in said["QueuelightLongestWait"]["handling"]] == [
        ("田中", "増員を手配中")
    ]
    assert said["QueuelightServiceLevelBelowTarget"]["instead"] == ["QueuelightQueueUnstaffed"]
    table = told("--alertmanager", alertmanager.url, "--lang", "en").stdout
    assert "田中 until " in table
    assert "QueuelightQueueUnstaffed stands" in table


def test_nothing_fires_is_said_and_so_is_a_watchdog_that_does_not(alertmanager: LocalAlertmanager) -> None:
    done = told("--alertmanager", alertmanager.url, "--lang", "en")
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "The watchdog does not fire: alerts may not reach Alertmanager.", "No alert fires.",
    ]  # fmt: skip


def test_an_alertmanager_that_does_not_answer_is_an_error_of_one_line() -> None:
    port = free_port()
    done = told("--alertmanager", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"queuelight: Alertmanager at http://127.0.0.1:{port} does not answer: [Errno 111] Connection refused"
    ]


def test_who_answers_but_is_no_alertmanager_is_said_to_be_none(listener: Listener) -> None:
    done = told("--alertmanager", f"http://{listener.address}")
    assert done.returncode == 1
    assert "it answered 501" in done.stderr


@pytest.mark.parametrize(
    "said", [b"HTTP/1.0 200 OK\r\n\r\nhello", b'HTTP/1.0 200 OK\r\n\r\n[{"labels": 1}]', b"SSH-2.0-x\r\n"]
)
def test_an_answer_that_is_none_of_alertmanager_is_an_error_of_one_line(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        done = told("--alertmanager", f"http://127.0.0.1:{server.getsockname()[1]}")
        answering.join()
    assert done.returncode == 1
    assert "its answer is none of Alertmanager" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [(), ("--alertmanager", "ftp://x")])
def test_without_an_address_the_command_was_misused(words: tuple[str, ...]) -> None:
    done = told(*words)
    assert done.returncode == 2
    assert (
        "expected an address such as http://HOST:9093" in done.stderr or "give --alertmanager" in done.stderr
    )
