"""What do folds of journeys send each other, and in how many messages? Pure packing, shared by worker and driver."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from schemas.counts import STATE_VERSION
from schemas.customers import (
    CustomerClock,
    CustomerContact,
    CustomerStatement,
    CustomerVisitor,
    Revision,
)
from schemas.journeys import StuckModel
from schemas.topics import RUN_BYTES
from schemas.web_events import Contacted, PipelineModel, VisitorContacted
from schemas.web_rows import STUCK_ROW, DayCounts, PagePartial, encode_page_partial
from streams.contact_customers import ContactOfCustomer

CLOCK_EVERY_MS = 10_000
"""How often others hear of a clock, whether or not anything changed."""
SOURCE = "queuelight/journeys"
"""Of events that the pipeline makes."""
_PACKED_BYTES = RUN_BYTES // 4


class PageTeller:
    """Packs the counters of one source; all messages go to partition 0 of `page-partials`.

    Args:
        topic: of the source, without a prefix.
        epoch: names the shard's incarnation, in ms. Its first telling must hold everything, and says so.
    """

    def __init__(self, topic: str, partition: int, epoch: int) -> None:
        self._topic = topic
        self._partition = partition
        self._epoch = epoch
        self._first = True
        self._clock_told: tuple[int, bool] | None = None
        self._stuck: dict[str, int] = {}

    def tell(
        self,
        days: Iterable[DayCounts],
        position: int,
        now_ms: int,
        *,
        event_clock: bool = False,
        stuck: Mapping[str, int] | None = None,
        anyway: bool = False,
    ) -> list[bytes]:
        """Messages with what changed; none where nothing did and the clock was told lately.

        Args:
            days: rows and days that changed, whole.
            position: the next offset that the source has not seen.
            now_ms: the clock of the source; 0: it has none yet.
            stuck: how many visitors are stuck now, by page; None: the source knows no visitors.
            anyway: tell the clock, however little it moved.
        """
        told = list(days)
        if stuck is not None and (stuck != self._stuck or (self._first and stuck)):
            self._stuck = dict(stuck)
            told.append(DayCounts(STUCK_ROW, 0, self._stuck))
        turn = now_ms // CLOCK_EVERY_MS, event_clock
        if not (told or anyway or self._first or turn != self._clock_told):
            return []
        self._clock_told = turn
        parts: list[list[DayCounts]] = [[]]
        size = 0
        for each in told:
            size += 24 + len(each.row) + 12 * len(each.counts)
            if size > _PACKED_BYTES and parts[-1]:
                parts.append([])
                size = 0
            parts[-1].append(each)
        out = [
            encode_page_partial(
                PagePartial(
                    STATE_VERSION,
                    self._epoch,
                    self._topic,
                    self._partition,
                    position,
                    now_ms,
                    part,
                    self._first and index == len(parts) - 1,
                    event_clock,
                )
            )
            for index, part in enumerate(parts)
        ]
        self._first = False
        return out


class ClockTeller:
    """Says when the clock of one source must be told to every partition of `customers`."""

    def __init__(self, topic: str, partition: int) -> None:
        self._source = f"{topic}/{partition}"
        self._told: tuple[int, bool] | None = None

    def tell(self, now_ms: int, *, event_clock: bool, anyway: bool = False) -> CustomerClock | None:
        """The clock, if it is its turn: about every ten seconds, when a replay begins, or `anyway`."""
        turn = now_ms // CLOCK_EVERY_MS, event_clock
        if turn == self._told and not anyway:
            return None
        self._told = turn
        return CustomerClock(self._source, now_ms, event_clock)


def of_contact(told: ContactOfCustomer, customer_id: str, revision: Revision) -> CustomerStatement:
    """A contact of a customer, under the name that everybody knows the customer by."""
    return CustomerContact(
        customer_id,
        told.contact_id,
        told.channel,
        told.queue,
        told.queued_ms,
        told.outcome,
        told.reason,
        told.handled_ms,
        revision,
        told.withdrawn,
    )


def of_link(
    visitor_id: str, customer_id: str, at_ms: int, revision: Revision, *, withdrawn: bool
) -> CustomerStatement:
    """A visitor of a customer."""
    return CustomerVisitor(customer_id, visitor_id, at_ms, revision, withdrawn)


def contacted_event(told: Contacted, clock_ms: int, number: int) -> VisitorContacted:
    """A contact as an event for the visitor's partition of `web`.

    Its time is that of telling, never that of the contact: what one tells of long ago would come too late.

    Args:
        clock_ms: of the shard that tells.
        number: which one of those told at this revision, to tell their ids apart.
    """
    epoch, position = told.revision
    return VisitorContacted(
        id=f"contacted-{epoch}-{position}-{number}",
        source=SOURCE,
        time=_instant(clock_ms or told.queued_ms),
        subject=told.visitor_id,
        data=told,
    )


def model_event(model: StuckModel, clock_ms: int) -> PipelineModel:
    """A model as an event for every partition of `web`."""
    return PipelineModel(
        id=f"model-{model.version}-{model.valid_from_ms}",
        source=SOURCE,
        time=_instant(clock_ms),
        data=model,
    )


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
