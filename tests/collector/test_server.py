"""What is a browser or a back end answered, and does anything but an honest request leave a trace in Kafka?"""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.collector import serve
from tests.collector.running import (
    BACKEND,
    KEYS,
    ORIGIN,
    OTHER,
    Running,
    Said,
    batch,
    identify,
    now_ms,
    seen,
    settings,
)

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("spool")) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_yet(collector: Running) -> None:
    collector.kafka.records.clear()


def metric(collector: Running, line: str) -> float:
    page = collector.metrics.page("")[0].decode()
    found = re.search(rf"^{re.escape(line)} ([\d.e+]+)$", page, re.MULTILINE)
    assert found is not None, line
    return float(found[1])


# --- honest requests --------------------------------------------------------------------------------------------------


def test_a_batch_is_answered_202_and_is_in_kafka(collector: Running) -> None:
    before = metric(collector, 'queuelight_collector_requests_total{outcome="taken",way="web"}')
    said = collector.post(batch(seen(), seen("ping", "e2")))
    assert (said.status, said.body) == (202, b"")
    assert [each["type"] for each in collector.values] == ["web.page_view", "web.page_ping"]
    assert {record.key for record in collector.kafka.records} == {KEYS.visitor("browser1")}
    assert said.headers["access-control-allow-origin"] == ORIGIN
    assert said.headers["access-control-expose-headers"] == "Retry-After"
    assert "Origin" in said.headers["vary"]
    assert metric(collector, 'queuelight_collector_requests_total{outcome="taken",way="web"}') == before + 1
    assert metric(collector, 'queuelight_collector_events_total{type="web.page_view"}') >= 1


def test_fields_that_we_do_not_know_are_passed_over(collector: Running) -> None:
    said = collector.post(batch(seen(new={"a": [1]}), new=True), content_type="application/json")
    assert said.status == 202
    assert b"new" not in collector.kafka.records[0].value


def test_a_bot_is_taken_as_one(collector: Running) -> None:
    collector.post(batch(), user_agent="Googlebot/2.1")
    assert collector.values[0]["data"]["bot"] is True


def test_where_a_signature_is_wrong_the_rest_is_taken_and_the_answer_says_so(collector: Running) -> None:
    said = collector.post(batch(seen(), identify("tanaka", "a wrong secret")))
    assert said.status == 202
    assert said.json == {
        "refused": 1,
        "error": "expected the signature of the site's server",
        "field": "events[1].signature",
    }
    assert [each["type"] for each in collector.values] == ["web.page_view"]
    assert metric(collector, 'queuelight_collector_refused_events_total{reason="not_signed"}') >= 1


def test_a_browser_may_ask_before_it_sends(collector: Running) -> None:
    asked = {
        "Origin": OTHER,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    said = collector.ask("OPTIONS", "/v1/web", headers=asked)
    assert said.status == 204
    assert said.headers["access-control-allow-origin"] == OTHER
    assert said.headers["access-control-allow-methods"] == "POST"
    assert said.headers["access-control-allow-headers"] == "content-type"
    refused = collector.ask("OPTIONS", "/v1/web", headers=asked | {"Origin": "https://evil.example"})
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers


def event(**more: Any) -> dict[str, Any]:
    data = {"contact_id": "c1", "queue": "q", "customer_id": "tanaka"}
    time_ = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"id": "1", "source": "crm", "type": "contact.queued", "time": time_, "data": data} | more


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (event(), "application/cloudevents+json; charset=utf-8"),
        ([event(), event(id="2")], "application/cloudevents-batch+json"),
        ([event()], "application/json"),
    ],
    ids=range(3),
)
def test_what_a_back_end_signs_is_taken(collector: Running, body: object, kind: str) -> None:
    said = collector.send(body, kind)
    assert (said.status, said.body) == (202, b"")
    assert {record.topic for record in collector.kafka.records} == {"calls"}
    assert len(collector.kafka.records) == (len(body) if isinstance(body, list) else 1)
    assert b"tanaka" not in collector.kafka.records[0].value


def test_health_is_answered_and_the_tracker_is_handed_out_where_there_is_one(collector: Running) -> None:
    assert collector.ask("GET", "/livez").json == {"status": "ok", "problems": []}
    assert collector.ask("GET", "/readyz").status == 200
    tracker = Path(__file__).resolve().parents[2] / "dashboards/tracker/queuelight.js"
    said = collector.ask("GET", "/queuelight.js")
    assert said.status == (200 if tracker.is_file() else 404)
    if tracker.is_file():
        assert said.body == tracker.read_bytes()
        assert "max-age" in said.headers["cache-control"]
        again = {"If-None-Match": said.headers["etag"]}
        assert collector.ask("GET", "/queuelight.js", headers=again).status == 304


# --- hostile requests -------------------------------------------------------------------------------------------------


def text(**more: Any) -> bytes:
    return json.dumps(batch(seen(**more))).encode()


BATCHES: dict[str, tuple[object, dict[str, str], int, str | None]] = {
    # what is sent, headers, status, the field that the answer names (None: not looked at)
    "nothing": (b"", {}, 400, ""),
    "no JSON": (b"hello", {}, 400, ""),
    "half a JSON": (text()[:-10], {}, 400, ""),
    "two of them": (text() * 2, {}, 400, ""),
    "null": (b"null", {}, 400, ""),
    "a list": (b"[]", {}, 400, ""),
    "invalid UTF-8": (text().replace(b"browser1", b"\xff\xfe"), {}, 400, None),
    "UTF-16": (text().decode().encode("utf-16"), {}, 400, None),
    "a lone surrogate": (text().replace(b'"v1"', b'"\\ud800"'), {}, 400, None),
    "NaN": (text().replace(b'"sent": ', b'"sent": NaN, "old": '), {}, 400, None),
    "infinity": (text().replace(b'"sent": ', b'"sent": 1e999, "old": '), {}, 400, None),
    "a huge number": (text().replace(b'"sent": ', b'"sent": ' + b"9" * 5000), {}, 400, None),
    "deep lists": (text().replace(b'"sent": ', b'"x": ' + b"[" * 10_000 + b'0, "sent": '), {}, 400, None),
    "deep lists, closed": (
        text().replace(b'"sent": ', b'"x": ' + b"[" * 20_000 + b"]" * 20_000 + b', "sent": '), {}, 400, None),
    "deep objects": (b'{"site":' * 8_000, {}, 400, None),
    "no site": ({key: value for key, value in batch().items() if key != "site"}, {}, 400, "site"),
    "a site of another type": (batch(site=5), {}, 400, "site"),
    "a site of strange letters": (batch(site="../shop"), {}, 400, "site"),
    "an unknown site": (batch(site="nobody"), {}, 403, "site"),
    "no visitor": (batch(visitor=None), {}, 400, "visitor"),
    "an empty visitor": (batch(visitor=""), {}, 400, "visitor"),
    "a long visitor": (batch(visitor="x" * 65), {}, 400, "visitor"),
    "no events": (batch() | {"events": []}, {}, 400, "events"),
    "events that are none": (batch() | {"events": {"0": seen()}}, {}, 400, "events"),
    "too many events": (
        batch(*({"type": "ping", "id": "1", "at": 0, "view": "v", "url": "/"} for _ in range(201))), {}, 400, "events"),
    "an unknown type": (batch(seen(), seen("keylog")), {}, 400, "events[1].type"),
    "no type": (batch({"id": "1"}), {}, 400, "events[0].type"),
    "a negative time": (batch(seen(at=-1)), {}, 400, "events[0].at"),
    "a time in words": (batch(seen(at="now")), {}, 400, "events[0].at"),
    "a time in pieces": (batch(seen(at=1.5)), {}, 400, "events[0].at"),
    "a time of the next century": (batch(seen(at=9_999_999_999_999)), {}, 400, "events[0].at"),
    "a time of last week": (batch(seen(at=now_ms() - 7 * DAY_MS)), {}, 400, "events[0].at"),
    "an id of strange letters": (batch(seen(id="<script>")), {}, 400, "events[0].id"),
    "a long URL": (batch(seen(url=f"{ORIGIN}/" + "x" * 3000)), {}, 400, "events[0].url"),
    "a URL of another site": (batch(seen(url="https://evil.example/")), {}, 400, "events[0].url"),
    "a URL that hides its host": (batch(seen(url=f"{ORIGIN}:x@evil.example/")), {}, 400, "events[0].url"),
    "a click far away": (batch(seen("click", x=10**9, y=0)), {}, 400, "events[0].x"),
    "a click on text": (batch(seen("click", x="1", y=0)), {}, 400, "events[0].x"),
    "a kind of error we do not know": (batch(seen("error", kind="alien")), {}, 400, "events[0].kind"),
    "negative hits": (batch(seen("search", hits=-1)), {}, 400, "events[0].hits"),
    "a long search": (batch(seen("search", term="x" * 201)), {}, 400, "events[0].term"),
    "an offer that was eaten": (batch(seen("intervention", what="eaten", kind="x")), {}, 400, "events[0].what"),
    "an offer of control characters": (
        batch(seen("intervention", what="shown", kind="\x07")), {}, 400, "events[0].kind"),
    "a login nobody signed": (batch(seen("identify", customer="tanaka")), {}, 400, "events[0].signature"),
    "a login somebody else signed": (batch(identify("tanaka", "guess")), {}, 400, "events[0].signature"),
    "too large": (text() + b" " * 70_000, {}, 413, ""),
    "a form": (text(), {"content_type": "application/x-www-form-urlencoded"}, 415, ""),
    "HTML": (text(), {"content_type": "text/html"}, 415, ""),
    "no type of content": (text(), {"content_type": ""}, 415, ""),
    "zipped": (gzip.compress(text()), {"content_encoding": "gzip"}, 415, ""),
    "a bomb": (gzip.compress(b"0" * 50_000_000), {"content_encoding": "gzip"}, 415, ""),
    "another encoding": (text(), {"content_encoding": "br, gzip"}, 415, ""),
    "no origin": (text(), {"origin": ""}, 403, ""),
    "another origin": (text(), {"origin": "https://evil.example"}, 403, ""),
    "an origin that begins like ours": (text(), {"origin": f"{ORIGIN}.evil.example"}, 403, ""),
    "the origin of nobody": (text(), {"origin": "null"}, 403, ""),
    "ours without TLS": (text(), {"origin": ORIGIN.replace("https", "http")}, 403, ""),
    "the origin of our other site": (text(), {"origin": OTHER}, 403, "site"),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
def test_a_hostile_batch_is_refused_and_leaves_nothing(name: str, collector: Running) -> None:
    body, headers, status, field = BATCHES[name]
    said = collector.post(body, **headers)
    assert said.status == status, said.body
    assert not collector.kafka.records
    assert said.json["error"]
    if field is not None:
        assert said.json.get("field") == field, said.json
    assert (said.headers.get("access-control-allow-origin") == ORIGIN) == (
        headers.get("origin", ORIGIN) == ORIGIN
    )


def signed(**how: Any) -> dict[str, Any]:
    return how


EVENTS: dict[str, tuple[object, dict[str, Any], int]] = {
    "not signed": (event(), {"header": ""}, 401),
    "signed in no form": (event(), {"header": "hello"}, 401),
    "signed by a stranger": (event(), {"secret": "a secret of a stranger"}, 401),
    "signed for another body": (event(), {"header": "t=1,v1=" + "0" * 64}, 401),
    "signed long ago": (event(), {"at_s": round(time.time()) - 4000}, 401),
    "signed for the future": (event(), {"at_s": round(time.time()) + 4000}, 401),
    "signed, and no JSON": (b"hello", {}, 400),
    "signed, and deep": (b"[" * 50_000, {}, 400),
    "signed, and no events": ([], {}, 400),
    "signed, and one is wrong": ([event(), event(data={})], {}, 400),
    "signed, of the future": (event(time="2090-01-01T00:00:00Z"), {}, 400),
    "signed, of ours": (event(type="pipeline.model", data={}), {}, 400),
    "signed, in a form": (event(), {"kind": "text/plain"}, 415),
    "signed, and too large": (b" " * 1_100_000, {}, 413),
    "signed, and too many": ([event()] * 1001, {}, 400),
}


@pytest.mark.parametrize("name", EVENTS)
def test_hostile_events_are_refused_and_leave_nothing(name: str, collector: Running) -> None:
    body, how, status = EVENTS[name]
    said = collector.send(body, **how)
    assert said.status == status, said.body
    assert said.json["error"]
    assert BACKEND.encode() not in said.body
    assert not collector.kafka.records


def test_a_request_that_is_played_again_changes_nothing(collector: Running) -> None:
    body = json.dumps(event(id="again")).encode()
    at_s = round(time.time())
    assert collector.send(body, at_s=at_s).status == 202
    assert len(collector.kafka.records) == 1
    assert collector.send(body, at_s=at_s).status == 202
    assert len(collector.kafka.records) == 1


def test_the_answer_names_which_event_and_which_field(collector: Running) -> None:
    said = collector.send([event(), event(data={"contact_id": "c"})])
    assert said.json == {
        "error": "contact.queued: Object missing required field `queue`",
        "field": "[1].data.queue",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/web", 405), ("PUT", "/v1/web", 405), ("DELETE", "/v1/events", 405), ("OPTIONS", "/v1/events", 405),
     ("POST", "/", 404), ("GET", "/metrics", 404), ("GET", "/../../etc/passwd", 404), ("GET", "/queuelight.js.map", 404),
     ("TRACE", "/v1/web", 405)],
)  # fmt: skip
def test_other_methods_and_places_are_not_there(
    collector: Running, method: str, path: str, status: int
) -> None:
    assert collector.ask(method, path).status == status


# --- on the wire ------------------------------------------------------------------------------------------------------

HEAD = f"POST /v1/web HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nContent-Type: text/plain\r\n"


def raw(collector: Running, data: bytes, patience_s: float = 5.0) -> bytes:
    """The head of the answer; empty: the connection ended without one."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=patience_s) as sent:
        sent.sendall(data)
        answered = b""
        while b"\r\n\r\n" not in answered and (piece := sent.recv(10_000)):
            answered += piece
        return answered


def test_a_body_that_does_not_come_is_not_waited_for(collector: Running) -> None:
    began = time.monotonic()
    answered = raw(collector, f"{HEAD}Content-Length: 1000\r\n\r\n".encode() + b'{"site":')
    assert answered.startswith(b"HTTP/1.1 408")
    assert 0.8 < time.monotonic() - began < 4


@pytest.mark.parametrize("before", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "second"])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(
    collector: Running, before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "HEAD_S", 0.3)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=5) as sent:
        if before:
            sent.sendall(before)
            assert sent.recv(1000).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        sent.sendall(HEAD.encode())
        try:
            while sent.recv(1000):
                pass
        except ConnectionResetError:
            pass
        assert 0.2 < time.monotonic() - began < 3


def test_a_body_without_end_is_not_read_to_it(collector: Running) -> None:
    chunk = b"2710\r\n" + b" " * 10_000 + b"\r\n"
    answered = raw(collector, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 10)
    assert answered.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/web HTTP/9.9\r\n\r\n",
        f"{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!".encode(),
        f"{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n".encode(),
        f"{HEAD}Content-Length: -1\r\n\r\n".encode(),
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\nxyz\r\n".encode(),
        HEAD.encode() + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=range(8),
)
def test_what_is_no_http_is_refused_and_leaves_nothing(collector: Running, data: bytes) -> None:
    try:
        answered = raw(collector, data)
    except ConnectionResetError:
        answered = b""
    assert not answered or answered.startswith(b"HTTP/1.1 4"), answered
    assert not collector.kafka.records
    assert collector.ask("GET", "/livez").status == 200


def test_whoever_hangs_up_in_the_middle_leaves_nothing(collector: Running) -> None:
    whole = text()
    for length in (1, len(whole) // 2, len(whole) - 1):
        with socket.create_connection(("127.0.0.1", collector.port), timeout=5) as sent:
            sent.sendall(f"{HEAD}Content-Length: {len(whole)}\r\n\r\n".encode() + whole[:length])
    assert collector.post(batch()).status == 202
    assert len(collector.kafka.records) == 1


# --- limits -----------------------------------------------------------------------------------------------------------


def posted(collector: Running, times: int, **headers: str) -> list[Said]:
    return [collector.post(batch(), **headers) for _ in range(times)]


def test_an_address_that_sends_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with Running(tmp_path, settings(requests_per_minute=6)) as collector:
        said = posted(collector, 8)
        assert [each.status for each in said] == [202] * 6 + [429] * 2
        assert 1 <= int(said[-1].headers["retry-after"]) <= 10
        assert said[-1].headers["access-control-allow-origin"] == ORIGIN
        assert len(collector.kafka.records) == 6


def test_behind_a_proxy_each_client_has_its_own_rate_and_nobody_can_claim_another(tmp_path: Path) -> None:
    own = settings(requests_per_minute=2, trusted_proxies=("127.0.0.1",))
    with Running(tmp_path, own) as collector:
        assert [each.status for each in posted(collector, 3, x_forwarded_for="192.0.2.1")] == [202, 202, 429]
        assert posted(collector, 1, x_forwarded_for="192.0.2.2")[0].status == 202
        assert posted(collector, 1, x_forwarded_for="192.0.2.9, 192.0.2.1")[0].status == 429
    with Running(tmp_path, settings(requests_per_minute=2)) as collector:
        statuses = [posted(collector, 1, x_forwarded_for=f"192.0.2.{n}")[0].status for n in range(3)]
        assert statuses == [202, 202, 429]


def test_no_address_is_in_events_metrics_or_the_log(
    collector: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        collector.post(batch(), x_forwarded_for="203.0.113.77")
        collector.post(b"hello", x_forwarded_for="203.0.113.77")
    told = (
        caplog.text.encode()
        + b"".join(r.value for r in collector.kafka.records)
        + collector.metrics.page("")[0]
    )
    assert b"203.0.113.77" not in told
    assert b"127.0.0.1" not in told


def test_with_kafka_away_requests_are_taken_until_the_disk_is_full_and_then_told_to_come_back(
    tmp_path: Path,
) -> None:
    with Running(tmp_path, spool_bytes=5_000) as collector:
        collector.kafka.is_away = True
        said = posted(collector, 15)
        statuses = [each.status for each in said]
        assert statuses[0] == 202
        assert statuses[-1] == 503
        assert said[-1].headers["retry-after"] == "5"
        taken = statuses.count(202)
        collector.kafka.is_away = False
        collector.kafka.fail()
        deadline = time.monotonic() + 10
        while len(collector.kafka.records) < taken and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(collector.kafka.records) == taken
        while (last := collector.post(batch())).status != 202 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert last.status == 202


def test_a_full_spool_is_not_ready(tmp_path: Path) -> None:
    with Running(tmp_path, spool_bytes=800) as collector:
        collector.kafka.is_away = True
        assert posted(collector, 4)[-1].status == 503
        said = collector.ask("GET", "/readyz")
        assert said.status == 503
        assert said.json["problems"] == ["Kafka does not answer, and the spool is full"]
        assert collector.ask("GET", "/livez").status == 200
