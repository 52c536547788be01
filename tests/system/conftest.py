"""Real servers for the system tests: one Kafka and one Redis for all, topics of their own for each test."""

from collections.abc import Iterator

import pytest

from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """A running Apache Kafka."""
    with LocalKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def redis() -> Iterator[LocalRedis]:
    """A running Redis."""
    with LocalRedis() as server:
        yield server
