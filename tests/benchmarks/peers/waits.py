"""What does every peer read, and what must it answer?

A topic of answered contacts, the same for a given number of events: 1000 per second of event time, in order
within a partition, over 50 queues. `expected` computes the answer straight from the same events; `check`
compares a peer's results with it, window by window. It refuses to know how a peer works and how fast it was.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.benchmarks.peers.stopwatch import IN_TARGET_MS, WINDOW_MS

TOPIC = "bench-waits"
PARTITIONS = 4
QUEUES = 50
_FIRST_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, the start of a window
# Systems that emit a window when it is over need one record after the end, per queue. Its own window is ignored.
_CLOSING_AFTER_MS = 120_000

Window = tuple[str, int]
Sums = tuple[int, int, int]


@dataclass(frozen=True)
class Wait:
    """One answered contact."""

    contact: int
    queue: int
    at_ms: int
    wait_ms: int

    def encoded(self) -> bytes:
        """The record's value, about 140 bytes of JSON."""
        event = {
            "contact_id": f"c{self.contact:07d}",
            "queue": f"q{self.queue:03d}",
            "channel": "voice",
            "at_ms": self.at_ms,
            "outcome": "answered",
            "agent_id": f"a{self.contact % 700:04d}",
            "wait_ms": self.wait_ms,
        }
        return json.dumps(event, separators=(",", ":")).encode()


def waits(events: int) -> Iterator[Wait]:
    """The events that count, in the order of their time; always the same ones."""
    chance = random.Random(20_260_101)
    for i in range(events):
        yield Wait(i, chance.randrange(QUEUES), _FIRST_MS + i, int(chance.expovariate(1 / 15_000)))


def closing(events: int) -> Iterator[Wait]:
    """One record per queue, long after the last event, whose only purpose is to end the windows before it."""
    at_ms = _FIRST_MS + events + _CLOSING_AFTER_MS
    for queue in range(QUEUES):
        yield Wait(events + queue, queue, at_ms, 0)


def records(events: int) -> int:
    """How many records the topic holds: what a peer is told to expect."""
    return events + QUEUES


def fill(broker: str, topic: str, events: int) -> None:
    """Create the topic and write every record to it."""
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])[topic].result()
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(error)

    # Idempotent, or a batch that is sent again comes after its successors, and event time no longer only rises.
    settings = {"enable.idempotence": True, "linger.ms": 20, "queue.buffering.max.messages": 200_000}
    producer = Producer({"bootstrap.servers": broker, **settings})
    for stream in (waits(events), closing(events)):
        for wait in stream:
            while len(producer) > 150_000:
                producer.poll(0.1)
            producer.produce(
                topic,
                wait.encoded(),
                f"q{wait.queue:03d}",
                partition=wait.queue % PARTITIONS,
                timestamp=wait.at_ms,
                on_delivery=delivered,
            )
    producer.flush()
    if refused:
        raise KafkaException(refused[0])


def expected(events: int) -> dict[Window, Sums]:
    """The right answer: count, sum of waits and waits within the target, per queue and window."""
    windows: dict[Window, Sums] = {}
    for wait in waits(events):
        window = (f"q{wait.queue:03d}", wait.at_ms - wait.at_ms % WINDOW_MS)
        count, total, within = windows.get(window, (0, 0, 0))
        windows[window] = (count + 1, total + wait.wait_ms, within + (wait.wait_ms <= IN_TARGET_MS))
    return windows


def check(folder: Path, right: dict[Window, Sums]) -> str | None:
    """What is wrong with the results in the folder; None if every window of every queue is exactly right."""
    file = folder / "results.jsonl"
    if not file.exists():
        return f"wrote no {file.name}"
    last = max(start_ms for _, start_ms in right)
    got: dict[Window, Sums] = {}
    for line in file.read_text().splitlines():
        queue, start_ms, count, total, within = json.loads(line)
        if start_ms <= last:
            got[queue, start_ms] = (count, total, within)
    wrong = [window for window in right.keys() | got.keys() if right.get(window) != got.get(window)]
    if not wrong:
        return None
    window = min(wrong)
    return (
        f"{len(wrong)} of {len(right)} windows are wrong; counted {sum(sums[0] for sums in got.values())} events, "
        f"expected {sum(sums[0] for sums in right.values())}; first: {window}: expected {right.get(window)}, "
        f"got {got.get(window)}"
    )
