"""Are open promises to call back those of the simulated day that were not kept?"""

import msgspec
import pytest

from schemas.snapshots import QueueSnapshot
from streams.driver import Driver
from streams.simulator import Simulation
from streams.simulator.record import Record
from tests.streams.true_days import HOUR_MS, LIVELY, MIDNIGHT, items_of, small_site

HOURS = 3


@pytest.mark.parametrize("late_s", [0.0, 600.0])
def test_open_promises_are_those_that_the_simulator_did_not_keep(late_s: float) -> None:
    plan = msgspec.structs.replace(LIVELY, flat=True, callback_share=0.5, callback_after_s=1800.0)
    simulation = Simulation(small_site(), plan, seed=4)
    driver = Driver(simulation.site, partitions=2)
    driver.feed(items_of(simulation, HOURS, late_s))
    driver.finish(MIDNIGHT + HOURS * HOUR_MS)
    assert isinstance(simulation.record, Record)
    last = {segment.segment_id.partition("/")[0]: segment for segment in simulation.record.segments}
    made = sum(segment.outcome == "callback" for segment in simulation.record.segments)
    expected: dict[str, list[int]] = {}
    for segment in last.values():
        if segment.outcome == "callback":
            assert segment.left_ms is not None
            expected.setdefault(segment.queue, []).append(segment.left_ms)
    seen = {
        s.queue: (s.callbacks_open, s.oldest_callback_ms)
        for s in driver.snapshots()
        if isinstance(s, QueueSnapshot)
    }
    assert {queue: told for queue, told in seen.items() if told[0]} == {
        queue: (len(promised), min(promised)) for queue, promised in expected.items()
    }
    assert made > 2 * sum(map(len, expected.values())) > 20
