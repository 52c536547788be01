"""Are the methods of Faust that the run lane overrides or relies on still those it was written for? And what it adds."""

import hashlib
import inspect
from typing import Any

import aiokafka
import pytest
from aiokafka.structs import ConsumerRecord
from faust.app.base import App
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.table import Table
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from agents import lane
from schemas.errors import BrokenInvariant

WRITTEN_FOR = {
    (driver.Consumer, "_new_offset"): "d8eb69eb445f",
    (driver.Consumer, "_filter_tps_with_pending_acks"): "1724b3555bd1",
    (driver.Consumer, "_add_gap"): "f01c595fb2b1",
    (driver.Consumer, "perform_seek"): "fb84a3ee6ae9",
    (driver.Consumer, "_new_consumer_thread"): "0bc8e7de1009",
    (driver.Consumer, "commit"): "62bb9c75b159",
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"): "70e4db0e4dd3",
    (Table, "apply_changelog_batch"): "70b53d732d78",
    (TableManager, "on_start"): "c39281f83579",
    (TableManager, "_update_channels"): "f1159fe206cd",
    (Schema, "compile"): "8dbf7e3cb0c2",
    (App, "create_event"): "0c6ec2f2ee7e",
}
"""Digest of the source of each method, without white space."""


def digest(owner: type, name: str) -> str:
    source = inspect.getsource(inspect.unwrap(getattr(owner, name)))
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("owner", "name"), WRITTEN_FOR)
def test_a_method_of_faust_is_the_one_the_lane_was_written_for(owner: type, name: str) -> None:
    assert digest(owner, name) == WRITTEN_FOR[owner, name], (
        f"read {owner.__name__}.{name} and agents/lane.py again"
    )


def test_the_consumer_has_the_settings_that_pace_its_fetches() -> None:
    known = inspect.signature(aiokafka.AIOKafkaConsumer.__init__).parameters
    assert {"fetch_min_bytes", "fetch_max_wait_ms"} <= set(known)
    source = inspect.getsource(aiokafka.AIOKafkaConsumer)
    assert "self._fetch_min_bytes" in source
    assert "self._fetch_max_wait_ms" in source


def record(offset: int, key: bytes | None = b"k", value: bytes | None = b"v") -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("calls", 3, offset, offset * 10, 0, key, value, None, 1, 1, ())


def test_a_fetch_becomes_runs_of_limited_length_in_order() -> None:
    tp, other = TP("calls", 3), TP("chats", 0)
    fetched = [record(offset) for offset in range(lane.MAX_RUN + 5)]
    runs = list(lane.RunScheduler().iterate({tp: fetched, other: fetched[:1]}))
    assert [(where, run.records[0].offset, run.offset) for where, run in runs] == [
        (tp, 0, lane.MAX_RUN - 1),
        (tp, lane.MAX_RUN, lane.MAX_RUN + 4),
        (other, 0, 0),
    ]
    assert runs[1][1].timestamp == fetched[-1].timestamp


def test_a_run_looks_like_a_record_to_faust() -> None:
    run = lane.Run(TP("calls", 3), [record(7)])
    for name in (
        "topic",
        "partition",
        "offset",
        "timestamp",
        "timestamp_type",
        "key",
        "value",
        "headers",
        "checksum",
    ):
        assert hasattr(run, name), name
    assert run.value is run


def test_read_offsets_are_never_remembered() -> None:
    memory = lane._NoMemory()
    memory[TP("calls", 0)] = 5
    memory.update({TP("calls", 0): 6})
    assert memory[TP("calls", 0)] is None


def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lane.check_versions()
    monkeypatch.setattr(lane, "FAUST_VERSION", "0.15.4")
    with pytest.raises(
        BrokenInvariant, match=r"faust-streaming 0\.15\.3 is installed; .* written for 0\.15\.4"
    ):
        lane.check_versions()
