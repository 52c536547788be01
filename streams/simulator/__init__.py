"""What would a contact centre send, and what did it really do? A simulator: pure, seeded, in time order.

    simulation = Simulation(default_site(200), Plan(), seed=1)
    for topic, key, event in simulation.events(from_ms, to_ms): ...
    Truth(simulation.site, simulation.record).report(900)

One deed after another is taken off the `agenda`. `arrivals` make contacts, the `floor` lets them wait and
ring, `calls` and `chats` say what follows, `service` ends it; `staff` comes, rests and goes; the `outbox`
turns all of it into events.
"""

from streams.simulator.names import default_site
from streams.simulator.outbox import SOURCE, Sent
from streams.simulator.plan import DAY_CURVE, DEMO, Incident, Plan
from streams.simulator.record import STATES, Record, Segment, Signs
from streams.simulator.simulation import Simulation, encode
from streams.simulator.staffing import agents_per_queue, events_per_s, with_events_per_s

__all__ = [
    "DAY_CURVE", "DEMO", "SOURCE", "STATES", "Incident", "Plan", "Record", "Segment", "Sent", "Signs",
    "Simulation", "agents_per_queue", "default_site", "encode", "events_per_s", "with_events_per_s",
]  # fmt: skip
