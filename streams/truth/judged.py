"""How is one segment to be judged, at the end of the simulated time? Straight from the simulator's record.

Refuses to know the pipeline: nothing is shared with the code whose numbers it is to check. All times in ms.
"""

from msgspec import Struct

from streams.simulator.record import Record, Segment
from streams.site import QueuePolicy, Site


class Judged(Struct, gc=False):
    """A segment and every verdict on it. None: it never came to that."""

    queue: str
    queued_ms: int
    left_ms: int | None
    outcome: str
    wait_ms: int | None
    in_x: bool
    short: bool
    declined: int
    transferred_in: bool
    transferred_out: bool
    talk_ms: int | None
    hold_ms: int | None
    wrap_up_ms: int | None
    silent: bool
    first_response_ms: int | None
    first_response_in_x: bool

    @property
    def handled(self) -> bool:
        """Talk is known to be over."""
        return self.talk_ms is not None


def judge_all(site: Site, record: Record) -> list[Judged]:
    """Every segment of the record, judged as of the end of the simulated time."""
    return [_judge(segment, site.queues[segment.queue], record.to_ms) for segment in record.segments]


def _judge(segment: Segment, policy: QueuePolicy, until_ms: int) -> Judged:
    x_ms = round(policy.answer_within_s * 1000)
    outcome, left_ms = _outcome(segment, policy, until_ms)
    wait_ms = None if left_ms is None else left_ms - segment.queued_ms
    talk_ms = hold_ms = wrap_up_ms = None
    if segment.left_ms is not None and segment.ended_ms is not None:
        hold_ms = segment.hold_ms
        talk_ms = segment.ended_ms - segment.left_ms - hold_ms
        if segment.wrapped_ms is not None:
            wrap_up_ms = segment.wrapped_ms - segment.ended_ms
    response_ms = _first_response(segment)
    return Judged(
        queue=segment.queue,
        queued_ms=segment.queued_ms,
        left_ms=left_ms,
        outcome=outcome,
        wait_ms=wait_ms,
        in_x=wait_ms is not None and wait_ms <= x_ms,
        short=outcome == "abandoned"
        and wait_ms is not None
        and wait_ms <= round(policy.short_abandon_s * 1000),
        declined=segment.declined,
        transferred_in=segment.transferred_in,
        transferred_out=segment.transferred_out,
        talk_ms=talk_ms,
        hold_ms=hold_ms,
        wrap_up_ms=wrap_up_ms,
        silent=_is_silent(segment, policy, _closed_ms(segment, outcome, left_ms, policy, until_ms)),
        first_response_ms=response_ms,
        first_response_in_x=response_ms is not None and response_ms <= x_ms,
    )


def _outcome(segment: Segment, policy: QueuePolicy, until_ms: int) -> tuple[str, int | None]:
    """A contact that waits, unheard of for longer than the reaper's limit, left at that limit as lost."""
    reaped_ms = _reaped_ms(segment, policy)
    if segment.outcome == "waiting" and until_ms > reaped_ms:
        return "lost", reaped_ms
    return segment.outcome, segment.left_ms


def _reaped_ms(segment: Segment, policy: QueuePolicy) -> int:
    return segment.last_event_ms + round(policy.reap_after_s * 1000)


def _closed_ms(
    segment: Segment, outcome: str, left_ms: int | None, policy: QueuePolicy, until_ms: int
) -> int:
    """When nothing more could be said in this segment."""
    if segment.ended_ms is not None:
        return segment.ended_ms
    if outcome != "answered" and left_ms is not None:
        return left_ms
    return min(until_ms, _reaped_ms(segment, policy))


def _is_silent(segment: Segment, policy: QueuePolicy, closed_ms: int) -> bool:
    """The customer wrote, nobody answered the last words, and they were the last for long enough."""
    customer_ms, agent_ms = segment.last_customer_ms, segment.last_agent_ms
    if customer_ms is None or (agent_ms is not None and agent_ms > customer_ms):
        return False
    return closed_ms - customer_ms >= round(policy.silent_after_s * 1000)


def _first_response(segment: Segment) -> int | None:
    """From the customer's first words in the queue; from queueing if there were none before the agent's."""
    agent_ms, customer_ms = segment.first_agent_ms, segment.first_customer_ms
    if agent_ms is None:
        return None
    if customer_ms is None or customer_ms > agent_ms:
        return agent_ms - segment.queued_ms
    return agent_ms - customer_ms
