"""Which events are in a topic? Every record of every partition, up to where it ends now."""

from __future__ import annotations

from collections import Counter

import msgspec
from confluent_kafka import Consumer, TopicPartition

from tests.system.local_kafka import LocalKafka


class _Id(msgspec.Struct, gc=False):
    id: str


_decode = msgspec.json.Decoder(_Id).decode


def ids_in(kafka: LocalKafka, topic: str) -> Counter[str]:
    """How often each event id is in the topic."""
    return Counter(_decode(value).id for _, _, value in records_in(kafka, topic))


def records_in(kafka: LocalKafka, topic: str) -> list[tuple[int, bytes, bytes]]:
    """(partition, key, value) of every record, in the order of each partition."""
    consumer = Consumer({
        "bootstrap.servers": kafka.bootstrap, "group.id": "looks", "enable.auto.commit": False, "log_level": 2,
    })  # fmt: skip
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in partitions}
        left = {p: high for p, (low, high) in ends.items() if high > low}
        consumer.assign([TopicPartition(topic, p, 0) for p in left])
        found = []
        while left:
            for message in consumer.consume(10_000, timeout=1.0):
                partition, offset, value = message.partition(), message.offset(), message.value()
                assert partition is not None
                assert offset is not None
                assert isinstance(value, bytes)
                key = message.key()
                found.append((partition, key if isinstance(key, bytes) else b"", value))
                if partition in left and offset >= left[partition] - 1:
                    del left[partition]
        return found
    finally:
        consumer.close()
