"""Does the application say when to come back, where it can say nothing else?"""

import pytest
from starlette.testclient import TestClient

from agents.drill_store import Behind
from agents.snapshot_store import MemorySnapshots
from agents.wallboard.config import BoardConfig
from agents.wallboard.frames import Ack
from agents.wallboard.hub import StoreDown
from agents.wallboard.server import Wallboard
from agents.wallboard.stores import MemoryStore
from tests.wallboard.rows import queue_of


class Away(MemoryStore):
    """A store that was read once and answers no more."""

    async def behind(self, row: str) -> Behind:
        raise StoreDown("away")

    async def acknowledge(self, key: str, ack: Ack) -> None:
        raise StoreDown("away")


@pytest.fixture
def client() -> TestClient:
    snapshots = MemorySnapshots()
    snapshots.publish([queue_of("Sales")])
    wallboard = Wallboard(Away(snapshots), {"default": BoardConfig()})
    wallboard.hub.rows = snapshots.states()
    return TestClient(wallboard.app)


def test_while_redis_is_away_it_is_said_when_to_come_back(client: TestClient) -> None:
    said = {"queue": "Sales", "channel": "voice", "by": "Aoi"}
    for answer in (client.get("/api/v1/queues/Sales"), client.post("/api/v1/acknowledgements", json=said)):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["content-type"] == "application/problem+json"
    assert "retry-after" not in client.get("/api/v1/queues/absent").headers


def test_the_head_of_a_stream_is_told_without_a_stream(client: TestClient) -> None:
    answer = client.head("/api/v1/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.head("/api/v1/stream?board=absent").status_code == 404
