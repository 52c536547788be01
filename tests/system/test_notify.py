"""Does a webhook hear of every flag, signed, in order, and once where that can be had, whatever happens between?"""

import hmac
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import Producer

from agents.journeys.notify import Notifier
from agents.journeys.webhook import Posted
from agents.kafka_client import client_settings
from agents.settings import Settings
from agents.signing import signature
from agents.topics import create_topics
from schemas.topics import STUCK_FLAGS
from streams.routing import partition_of
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.members import until
from tests.system.replays import settings_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
SECRET = b"between us"
Answer = Callable[["Receiver", str], int | None]
"""(receiver, id) -> status; None: hang up without a word."""


@dataclass
class Receiver:
    """A server that people might run; `answer` says what it thinks of a message."""

    answer: Answer = lambda receiver, id_: 204
    heard: list[tuple[str, str]] = field(default_factory=list)
    """(visitor, id) of every message that was taken."""
    tries: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def serve(self) -> ThreadingHTTPServer:
        """Serve in a thread on a free port."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event, told = json.loads(body), self.headers["X-Queuelight-Id"]
                receiver.tries[told] += 1
                moment = dict(
                    part.split("=", 1) for part in self.headers["X-Queuelight-Signature"].split(",")
                )
                expected = signature(SECRET, int(moment["t"]), body)
                if (
                    not hmac.compare_digest(expected, self.headers["X-Queuelight-Signature"])
                    or event["id"] != told
                ):
                    receiver.wrong.append(told)
                status = receiver.answer(receiver, told)
                if status is None:
                    self.close_connection = True
                    return
                if 200 <= status < 300:
                    receiver.heard.append((event["data"]["visitor_id"], told))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    """A receiver and its address."""
    made = Receiver()
    server = made.serve()
    yield made, f"http://127.0.0.1:{server.server_port}/flags?from=us"
    server.shutdown()
    server.server_close()


class Running:
    """A notifier in a thread."""

    def __init__(self, settings: Settings, url: str, give_up_s: float = 60.0) -> None:
        self._stop = threading.Event()
        self.notifier = Notifier(settings, url, SECRET, give_up_s, self._stop.is_set)
        self._thread = threading.Thread(target=self.notifier.run, daemon=True)
        self._thread.start()
        until(
            lambda: len(self.notifier._lanes) == settings.kafka.partitions,
            "a notifier with all partitions",
            30,
        )

    def stop(self) -> Counter[Posted]:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.notifier.counts


def application(kafka: LocalKafka, name: str) -> Settings:
    settings = settings_for(kafka, name, Site())
    create_topics(settings)
    return settings


def produce(settings: Settings, visitors: int, each: range) -> list[tuple[str, str]]:
    producer = Producer(client_settings(settings))
    made = []
    for number in each:
        for visitor in (f"v{n}" for n in range(visitors)):
            event = {"type": "stuck.raised", "id": f"{visitor}-{number}", "data": {"visitor_id": visitor}}
            made.append((visitor, str(event["id"])))
            producer.produce(
                settings.kafka.topic_prefix + STUCK_FLAGS,
                json.dumps(event).encode(),
                visitor.encode(),
                partition_of(visitor, settings.kafka.partitions),
            )
    assert producer.flush(10) == 0
    return made


def by_visitor(heard: list[tuple[str, str]]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for visitor, told in heard:
        out.setdefault(visitor, []).append(told)
    return out


def test_every_flag_is_heard_once_signed_and_in_order_though_the_receiver_is_moody(
    kafka: LocalKafka, receiver: tuple[Receiver, str]
) -> None:
    at, url = receiver

    def moody(receiver: Receiver, told: str) -> int | None:
        if receiver.tries[told] > 1 or not told.endswith(("-3", "-7")):
            return 204
        return 503 if told.endswith("-3") else None

    at.answer = moody
    settings = application(kafka, "notify-moody")
    running = Running(settings, url)
    sent = produce(settings, 6, range(10))
    until(lambda: len(at.heard) == len(sent), "all flags heard")
    counts = running.stop()
    assert at.wrong == []
    assert by_visitor(at.heard) == by_visitor(sent)
    assert counts == {Posted.TAKEN: 60}
    assert running.notifier.retries == 12


def test_what_the_receiver_refuses_for_good_is_passed_over_and_counted(
    kafka: LocalKafka, receiver: tuple[Receiver, str]
) -> None:
    at, url = receiver
    at.answer = lambda receiver, told: 422 if told == "v1-1" else 500 if told == "v1-2" else 200
    settings = application(kafka, "notify-refusing")
    running = Running(settings, url, give_up_s=1.5)
    produce(settings, 2, range(4))
    until(lambda: len(at.heard) == 6, "all others heard")
    counts = running.stop()
    assert at.tries["v1-1"] == 1
    assert at.tries["v1-2"] > 1
    assert counts == {Posted.TAKEN: 6, Posted.REFUSED: 1, Posted.GIVEN_UP: 1}
    assert by_visitor(at.heard)["v1"] == ["v1-0", "v1-3"]


def test_a_notifier_that_comes_back_goes_on_where_it_stood(
    kafka: LocalKafka, receiver: tuple[Receiver, str]
) -> None:
    at, url = receiver
    settings = application(kafka, "notify-again")
    produce(settings, 3, range(5))  # before anybody asked: of no use to a receiver that is new
    first = Running(settings, url)
    early = produce(settings, 3, range(10, 15))
    until(lambda: len(at.heard) == len(early), "the first flags heard")
    at.answer = lambda receiver, told: 503
    late = produce(settings, 3, range(20, 25))
    until(lambda: any(told.endswith("-20") for told in at.tries), "a try that fails")
    first.stop()
    at.answer = lambda receiver, told: 200
    second = Running(settings, url)
    until(lambda: len(at.heard) == len(early) + len(late), "the other flags heard")
    second.stop()
    assert by_visitor(at.heard) == by_visitor(early + late)
