"""Does a wallboard tell browsers what Redis says, whatever happens to Redis, to it, and to whoever reads slowly?

A process of its own, a Redis of its own, streams read byte by byte.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec import structs
from redis import Redis

from agents.wallboard.hub import FRAME_GAP_S
from agents.wallboard.serve import bound
from schemas.partials import queue_row
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.wallboard.rows import SITE, now_ms, queue_of, site_of
from tests.wallboard.walls import QUEUELIGHT, Screen, Wall, publish, screen

pytestmark = pytest.mark.system
SALES, CHAT = "Sales\x1fvoice", "注文・配送\x1fchat"
SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def rows(redis: LocalRedis) -> None:
    """Two queues and the site in an otherwise empty Redis."""
    with Redis.from_url(redis.url) as client:
        client.flushall()
    publish(redis.url, [queue_of("Sales"), queue_of("注文・配送", "chat"), site_of()])


@pytest.fixture
def wall(redis: LocalRedis, rows: None, tmp_path: Path) -> Iterator[Wall]:
    with Wall(tmp_path, redis.url) as running:
        until(lambda: len(running.board()["queues"]) == 2, "the rows were read")
        yield running


# --- frames -----------------------------------------------------------------------------------------------------------


def test_a_stream_begins_with_a_snapshot_of_all_there_is_and_the_time_to_come_back_after(wall: Wall) -> None:
    with screen(wall.url) as stream:
        first = stream.next()
        assert stream.retry_ms == 2000
    assert first.event == "snapshot"
    data = first.data
    assert first.id == str(data["seq"])
    assert re.fullmatch(r"[0-9a-f]{16}", data["boot"])
    assert set(data["queues"]) == {SALES, CHAT}
    tile = data["queues"][SALES]
    assert (tile["offered"], tile["answered"], tile["abandoned"]) == (10, 8, 2)
    assert tile["sl"]["value"] == 0.8
    assert tile["sl"]["n"] == 10
    assert tile["asa_s"] == 4.0
    assert data["site"]["sl"] == {"value": 0.8, "n": 20, "low": None, "high": None}
    assert data["site"]["agents"] == {"available": 3}
    assert data["redis_down_since"] is None
    assert abs(data["now"] - now_ms()) < 2000
    assert data["as_of"] <= data["now"]
    board = wall.board()
    assert board["queues"] == data["queues"]
    assert board["boot"] == data["boot"]


def test_deltas_count_up_and_hold_only_what_changed(wall: Wall, redis: LocalRedis) -> None:
    with screen(wall.url) as stream:
        before = stream.next()
        for number in range(1, 4):
            publish(redis.url, [queue_of("Sales", waiting=number, position=number)])
            delta = stream.named("delta")
            assert delta.data["seq"] == before.data["seq"] + 1
            assert delta.id == str(delta.data["seq"])
            assert set(delta.data["queues"]) == {SALES}
            assert delta.data["queues"][SALES]["waiting"] == number
            assert delta.data["site"]["waiting"] == number
            assert delta.data["as_of"] >= before.data["as_of"]
            before = delta


def test_what_is_gone_is_null_and_what_was_published_twice_is_not_told_twice(
    wall: Wall, redis: LocalRedis
) -> None:
    same = queue_of("Sales", waiting=7)
    with screen(wall.url) as stream:
        stream.next()
        publish(redis.url, [same])
        assert set(stream.named("delta").data["queues"]) == {SALES}
        publish(redis.url, [same])
        publish(redis.url, [], [queue_row("注文・配送", "chat")], position=2)
        delta = stream.named("delta")
        assert delta.data["queues"] == {CHAT: None}


def test_a_state_of_an_owner_of_the_past_reaches_no_screen(wall: Wall, redis: LocalRedis) -> None:
    with screen(wall.url) as stream:
        stream.next()
        publish(redis.url, [queue_of("Sales", waiting=5, epoch=2)])
        assert stream.named("delta").data["queues"][SALES]["waiting"] == 5
        publish(redis.url, [queue_of("注文・配送", "chat", waiting=1)])
        with Redis.from_url(redis.url) as client:
            assert client.hget("queuelight:{wall}:fences", queue_row("Sales", "voice")) == b"2:1"
        assert publish(redis.url, [queue_of("Sales", waiting=99, epoch=1)]) == {"stored": 0, "fenced": 1}
        assert wall.board()["queues"][SALES]["waiting"] == 5


def test_beats_come_in_silence_carry_the_ages_and_do_not_count(wall: Wall) -> None:
    with screen(wall.url) as stream:
        first = stream.next()
        beats, times = [], []
        for _ in range(3):
            beats.append(stream.next())
            times.append(time.monotonic())
    assert {beat.event for beat in beats} == {"beat"}
    assert {beat.data["seq"] for beat in beats} == {first.data["seq"]}
    assert {beat.data["as_of"] for beat in beats} == {first.data["as_of"]}
    assert beats[0].data["now"] < beats[1].data["now"] < beats[2].data["now"]
    assert max(late - early for early, late in pairwise(times)) < 3.0


def test_frames_come_at_most_twice_a_second_however_often_rows_are_published(
    wall: Wall, redis: LocalRedis
) -> None:
    with screen(wall.url) as stream:
        began = stream.next().data["seq"]
        started = time.monotonic()
        for number in range(60):
            publish(redis.url, [queue_of("Sales", waiting=number + 1)])
        delta = stream.until(lambda frame: frame.event == "delta" and _waiting(frame.data) == 60)
        took_s = time.monotonic() - started
    assert delta.data["seq"] - began <= took_s / FRAME_GAP_S + 1


def _waiting(data: dict[str, dict[str, dict[str, int] | None]]) -> int:
    """What a frame says of SALES; -1: nothing, or that it is gone (Redis came back empty)."""
    return (data["queues"].get(SALES) or {}).get("waiting", -1)


def test_a_reader_who_falls_behind_gets_the_newest_snapshot_and_delays_nobody(
    wall: Wall, redis: LocalRedis
) -> None:
    many = [queue_of(f"queue {number:04d}", trend=[0] * 30) for number in range(2000)]
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", wall.port))
    slow.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with slow, screen(wall.url) as stream:
        stream.next()
        last = 0
        for number in range(1, 17):
            trend = [1_000_000_000 + number] * 30  # a large change: small ones fit into what sockets hold
            changed = [
                structs.replace(row, waiting=number, trend=trend, published_ms=now_ms()) for row in many
            ]
            publish(redis.url, changed)
            delta = stream.named("delta")
            while delta.data["queues"].get("queue 1999\x1fvoice", {}).get("waiting") != number:
                delta = stream.named("delta")
            assert not last or delta.data["seq"] > last
            last = delta.data["seq"]
        events = _read_through(slow, last)
    names = [name for name, _ in events]
    assert names[0] == "snapshot"
    jump = names.index("snapshot", 1)
    assert events[jump][1] > events[jump - 1][1] + 1, "frames in between were dropped"
    for (_, before), (name, after) in pairwise(events):
        assert name == "snapshot" or after == before + 1, "a delta never follows a gap"


def _read_through(slow: socket.socket, seq: int) -> list[tuple[str, int]]:
    """(event, id) of all frames but beats, up to `seq`."""
    slow.settimeout(20)
    raw = b""
    found: list[tuple[str, int]] = []
    while not found or found[-1][1] < seq:
        more = slow.recv(1 << 20)
        assert more, "the stream ended"
        raw += more
        found = [
            (name.decode(), int(number))
            for name, number in re.findall(rb"event: (snapshot|delta)\nid: (\d+)\n", raw)
        ]
    return found


# --- Redis goes and comes ---------------------------------------------------------------------------------------------


def test_while_redis_is_away_screens_are_told_since_when_and_it_comes_back_by_itself(tmp_path: Path) -> None:
    with LocalRedis() as redis:
        publish(redis.url, [queue_of("Sales", waiting=1)])
        with Wall(tmp_path, redis.url) as wall, screen(wall.url) as stream:
            stream.until(lambda frame: SALES in frame.data.get("queues", {}))
            killed_ms = now_ms()
            redis.kill()
            beat = stream.until(lambda frame: frame.data.get("redis_down_since") is not None)
            assert 0 <= beat.data["redis_down_since"] - killed_ms < 3000
            again = stream.until(lambda frame: frame.event == "beat")
            assert again.data["redis_down_since"] == beat.data["redis_down_since"], (
                "since when, not how often"
            )
            assert wall.board()["redis_down_since"] == beat.data["redis_down_since"]
            assert wall.board()["queues"][SALES]["waiting"] == 1, "the numbers stay, and are old"
            redis.start()
            started = time.monotonic()
            publish(redis.url, [queue_of("Sales", waiting=2)])
            stream.until(lambda frame: _waiting({"queues": {}, **frame.data}) == 2)
            stream.until(
                lambda frame: "redis_down_since" in frame.data and not frame.data["redis_down_since"]
            )
            assert time.monotonic() - started < 5


def test_a_redis_that_hangs_is_away_too(wall: Wall, redis: LocalRedis) -> None:
    with screen(wall.url) as stream:
        stream.next()
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            stream.until(lambda frame: frame.data.get("redis_down_since") is not None)
            assert time.monotonic() - stopped < 6
            assert wall.get("/livez")[0] == 200
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        stream.until(lambda frame: frame.event == "beat" and frame.data["redis_down_since"] is None)


def test_a_wallboard_started_before_redis_waits_for_it(tmp_path: Path) -> None:
    with LocalRedis() as redis:
        redis.kill()
        with Wall(tmp_path, redis.url) as wall:
            until(lambda: wall.board()["redis_down_since"] is not None, "it is told")
            redis.start()
            publish(redis.url, [queue_of("Sales")])
            until(lambda: SALES in wall.board()["queues"], "it was read", 5)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_a_change_of_the_file_reaches_open_screens_without_a_restart(wall: Wall) -> None:
    wall.write('[wallboard.boards."floor 2"]\nqueues = ["Sales"]\n')
    until(lambda: wall.get("/api/v1/board?board=floor%202")[0] == 200, "the new board", 10)
    assert set(wall.board("floor%202")["queues"]) == {SALES}
    with screen(wall.url) as stream, screen(wall.url, "floor 2") as floor:
        boot, seq = (stream.next().data[key] for key in ("boot", "seq"))
        floor.next()
        wall.write('[wallboard]\ntitle = "大阪"\n[wallboard.boards."floor 2"]\nqueues = ["注文・配送"]\n')
        delta = stream.named("delta")
        assert delta.data["board"]["title"] == "大阪"
        assert delta.data["seq"] == seq + 1
        delta = floor.named("delta")
        assert delta.data["queues"][SALES] is None
        assert CHAT in delta.data["queues"]
        wall.write('[wallboard]\ntitel = "wrong"\n')
        until(lambda: "did you mean `title`?; the boards stay as they are" in wall.log, "it is logged", 10)
        assert wall.board()["board"]["title"] == "大阪"
        wall.write('[wallboard]\ntitle = "東京"\n[wallboard.thresholds]\nwaiting = {warning = 0.5}\n')
        assert stream.named("delta").data["board"]["title"] == "東京"
        floor.read_to_the_end()
    assert wall.get("/api/v1/board?board=floor%202")[0] == 404
    assert wall.board()["boot"] == boot


def test_thresholds_of_the_file_raise_levels_with_time_alone(
    redis: LocalRedis, rows: None, tmp_path: Path
) -> None:
    toml = "[wallboard.thresholds]\nlongest_wait_s = {warning = 2, critical = 4}\nsl = {warning = 0.9}\n"
    with Wall(tmp_path, redis.url, toml) as wall, screen(wall.url) as stream:
        publish(redis.url, [queue_of("Sales", waiting=1, oldest_waiting_ms=now_ms())])
        seen = []
        for level in (None, "warning", "critical"):
            frame = stream.until(
                lambda frame, level=level: (  # type: ignore[misc]
                    (tile := frame.data.get("queues", {}).get(SALES))
                    and tile.get("levels", {}).get("longest_wait_s") == level
                )
            )
            seen.append(frame.data["queues"][SALES]["levels"])
        assert [each["sl"] for each in seen] == ["warning"] * 3


def test_the_logo_of_a_board_is_served_and_no_other_file(
    redis: LocalRedis, rows: None, tmp_path: Path
) -> None:
    (tmp_path / "logo.svg").write_text("<svg/>")
    with Wall(tmp_path, redis.url, f'[wallboard]\nlogo = "{tmp_path}/logo.svg"\n') as wall:
        assert wall.get("/assets-local/logo") == (200, b"<svg/>")
        assert wall.get("/assets-local/logo?board=absent")[0] == 404
        assert wall.board()["board"]["logo"] == "logo.svg"
        for path in ("/assets/../../pyproject.toml", "/assets/%2e%2e/%2e%2e/__init__.py", "/assets-local/x"):
            assert wall.get(path)[0] == 404


# --- acknowledgements -------------------------------------------------------------------------------------------------


def breach(redis: LocalRedis, wall: Wall, position: int = 2) -> None:
    """Let eight of ten in time not be enough."""
    publish(redis.url, [queue_of("Sales", target=0.9, position=position)])
    until(lambda: wall.board()["queues"][SALES]["state"] == "breach", "the breach is shown")


def test_an_acknowledgement_on_one_wallboard_is_seen_on_another(
    wall: Wall, redis: LocalRedis, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    breach(redis, wall)
    with Wall(tmp_path / "b", redis.url) as other, screen(other.url) as stream:
        assert stream.next().data["boot"] != wall.board()["boot"]
        asked = {"queue": "Sales", "channel": "voice", "by": " 佐藤 "}
        answer = httpx.post(f"{wall.url}/api/v1/acknowledgements", json=asked, headers=SAME)
        assert answer.status_code == 200
        told = answer.json()
        assert told["by"] == "佐藤"
        assert abs(told["at_ms"] - now_ms()) < 2000
        frame = stream.until(lambda frame: bool(frame.data.get("acks")))
        assert frame.data["acks"] == {SALES: told}
        until(lambda: wall.board()["acks"] == {SALES: told}, "the first shows it, too", 5)


def test_an_acknowledgement_is_forgotten_when_the_breach_is_over_whoever_is_looking(
    wall: Wall, redis: LocalRedis
) -> None:
    breach(redis, wall)
    asked = {"queue": "Sales", "channel": "voice", "by": "佐藤"}
    with Redis.from_url(redis.url) as client:
        stored = f"queuelight:{{{SITE}}}:acks"
        assert httpx.post(f"{wall.url}/api/v1/acknowledgements", json=asked, headers=SAME).status_code == 200
        until(lambda: SALES in wall.board()["acks"], "it is shown")
        client.hset(stored, CHAT, client.hget(stored, SALES))
        publish(redis.url, [queue_of("Sales", position=3)])
        until(lambda: client.exists(stored) == 0, "both are gone: neither queue is in breach", 5)
        breach(redis, wall, position=4)
        assert wall.board()["acks"] == {}


def test_what_is_not_in_breach_cannot_be_acknowledged(wall: Wall) -> None:
    asked = {"queue": "Sales", "channel": "voice", "by": "佐藤"}
    answer = httpx.post(f"{wall.url}/api/v1/acknowledgements", json=asked, headers=SAME)
    assert answer.status_code == 409
    assert "not in breach" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"queue": "Sales", "channel": "voice", "by": "   "}, 400),
        ({"queue": "Sales", "channel": "voice", "by": "a\x07b"}, 400),
        ({"queue": "Sales", "channel": "voice", "by": "x" * 81}, 400),
        ({"queue": "Sales", "channel": "voice"}, 400),
        ({"queue": "absent", "channel": "voice", "by": "Aoi"}, 404),
    ],
)
def test_what_cannot_be_acknowledged_is_refused_with_a_reason(
    wall: Wall, body: dict[str, str], status: int
) -> None:
    answer = httpx.post(f"{wall.url}/api/v1/acknowledgements", json=body, headers=SAME)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert wall.board()["acks"] == {}


def test_while_redis_is_away_nothing_is_acknowledged(tmp_path: Path) -> None:
    with LocalRedis() as redis:
        publish(redis.url, [queue_of("Sales", target=0.9)])
        with Wall(tmp_path, redis.url) as wall:
            until(lambda: SALES in wall.board()["queues"], "it was read")
            redis.kill()
            asked = {"queue": "Sales", "channel": "voice", "by": "Aoi"}
            answer = httpx.post(f"{wall.url}/api/v1/acknowledgements", json=asked, headers=SAME)
            assert answer.status_code == 503


# --- who gets in ------------------------------------------------------------------------------------------------------


def test_every_answer_of_the_process_carries_the_headers_of_a_safe_page(wall: Wall) -> None:
    for path in ("/", "/api/v1/board", "/api/v1/words?lang=ja", "/absent", "/assets/index.html"):
        headers = httpx.get(wall.url + path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in headers
    with httpx.stream("GET", f"{wall.url}/api/v1/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
    assert httpx.get(wall.url, headers={"host": "evil.example"}).status_code == 421


def told(*words: str) -> str:
    done = subprocess.run([str(QUEUELIGHT), *words], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def test_off_loopback_a_board_opens_with_its_link_once_until_that_is_revoked(
    redis: LocalRedis, rows: None, tmp_path: Path
) -> None:
    with Wall(tmp_path, redis.url, "", "--host", "0.0.0.0") as wall:
        assert wall.get("/api/v1/board")[0] == 401
        assert wall.get("/")[0] == 401
        config = ("--config", str(wall.config))
        link = told("board-token", "create", *config, "--url", wall.url, "--label", "入口").strip()
        token_id = told("board-token", "list", *config).splitlines()[1].split("\t")[0]
        with httpx.Client(base_url=wall.url, follow_redirects=True, timeout=20) as browser:
            assert browser.get(link).status_code == 200
            assert browser.get("/api/v1/board").json()["queues"]
            assert httpx.get(link).status_code == 401, "it works once"
            with browser.stream("GET", "/api/v1/stream") as answer:
                stream = Screen(answer.iter_lines())
                stream.next()
                told("board-token", "revoke", token_id, *config)
                stream.read_to_the_end()
            assert browser.get("/api/v1/board").status_code == 401
    secret = urlsplit(link).query
    assert secret not in wall.log
    with Redis.from_url(redis.url) as client:
        stored = b"".join(
            value for key in client.scan_iter("*token*") for value in client.hgetall(key).values()
        )
    assert secret.encode() not in stored


def test_a_sign_in_is_believed_from_the_proxy_and_from_nobody_else(
    redis: LocalRedis, rows: None, tmp_path: Path
) -> None:
    access = '[wallboard.access]\nforward_auth_header = "Remote-User"\ntrusted_proxies = ["{}"]\n'
    with Wall(tmp_path, redis.url, access.format("127.0.0.1")) as wall:
        assert wall.get("/api/v1/board")[0] == 401
        assert wall.get("/api/v1/board", **{"Remote-User": "aoi"})[0] == 200
        assert "aoi" not in wall.log
    with Wall(tmp_path, redis.url, access.format("10.0.0.1")) as wall:
        assert wall.get("/api/v1/board", **{"Remote-User": "aoi"})[0] == 401
        headers = {"Remote-User": "aoi", "X-Forwarded-For": "10.0.0.1"}
        assert wall.get("/api/v1/board", **headers)[0] == 401, "not even who says to be the proxy"


def test_on_loopback_what_was_forwarded_is_not_from_this_machine(wall: Wall) -> None:
    assert wall.get("/api/v1/board")[0] == 200
    assert wall.get("/api/v1/board", **{"X-Forwarded-For": "127.0.0.1"})[0] == 401


# --- the end ----------------------------------------------------------------------------------------------------------


def test_sigterm_ends_hundreds_of_streams_in_order_and_the_next_process_is_known_by_its_boot(
    redis: LocalRedis, rows: None, tmp_path: Path
) -> None:
    wall = Wall(tmp_path, redis.url, "[wallboard.access]\nstreams_per_address = 1000\n")
    with wall:
        until(lambda: len(wall.board()["queues"]) == 2, "the rows were read")
        open_streams = []
        for _ in range(300):
            each = socket.create_connection(("127.0.0.1", wall.port), timeout=10)
            each.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            open_streams.append(each)
        for each in open_streams:
            assert each.recv(100).startswith(b"HTTP/1.1 200")
        with screen(wall.url) as stream:
            first = stream.next()
            started = time.monotonic()
            assert wall.end() == 0
            assert time.monotonic() - started <= 2.0
            stream.read_to_the_end()
        for each in open_streams:
            assert _rest(each).endswith(b"\r\n0\r\n\r\n"), "the last chunk: nobody was cut off"
            each.close()
        wall.start()
        with screen(wall.url) as stream:
            again = stream.next()
        assert again.data["boot"] != first.data["boot"]


def _rest(stream: socket.socket) -> bytes:
    raw = b""
    while more := stream.recv(1 << 16):
        raw += more
    return raw


def test_an_address_that_is_taken_is_said_in_a_line(wall: Wall) -> None:
    done = subprocess.run(
        [str(QUEUELIGHT), "wallboard", "--config", str(wall.config), "--port", str(wall.port)],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{wall.port}" in done.stderr.splitlines()[-1]


def test_without_redis_named_it_says_what_to_give() -> None:
    done = subprocess.run(
        [str(QUEUELIGHT), "wallboard"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert "give --redis redis://HOST:6379/0 or [redis] url" in done.stderr


def test_words_are_the_definitions_in_both_languages(wall: Wall) -> None:
    for lang, word in (("ja", "待ち呼"), ("en", "queue length")):
        status, body = wall.get(f"/api/v1/words?lang={lang}")
        assert status == 200
        assert json.loads(body)["measures"]["waiting"]["label"] == word


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="of Linux")
def test_the_kernel_lets_go_of_whoever_takes_nothing_for_half_a_minute() -> None:
    with bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
