"""Which topics are there? Name, key, partitions, retention and compaction of each, as data.

Refuses to know how topics are created: `agents.topics` does that.
"""

from msgspec import Struct

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
RUN_BYTES = 4 * 1024 * 1024
"""Largest message of the internal topics, in bytes."""


class Topic(Struct, frozen=True):
    """One Kafka topic. `retention_ms` None means for ever (compacted topics)."""

    name: str
    key: str
    holds: str
    partitions: int
    retention_ms: int | None
    compacted: bool = False
    max_message_bytes: int = 1024 * 1024
    events: tuple[str, ...] = ()

    def settings(self) -> dict[str, str]:
        """The topic's settings in Kafka's words."""
        if not self.compacted:
            return {
                "cleanup.policy": "delete",
                "retention.ms": str(self.retention_ms),
                "max.message.bytes": str(self.max_message_bytes),
            }
        return {
            "cleanup.policy": "compact",
            "segment.bytes": str(16 * 1024 * 1024),
            "segment.ms": str(MINUTE_MS),
            "min.cleanable.dirty.ratio": "0.1",
            "max.compaction.lag.ms": str(MINUTE_MS),
            "delete.retention.ms": str(MINUTE_MS),
            "max.message.bytes": str(self.max_message_bytes),
        }


CONTACT_EVENTS = (
    "contact.queued", "contact.offered", "contact.declined", "contact.answered", "contact.held", "contact.resumed",
    "contact.transferred", "contact.overflowed", "contact.callback_requested", "contact.abandoned", "contact.ended",
    "contact.wrapped",
)  # fmt: skip

WEB_EVENTS = (
    "web.page_view", "web.page_ping", "web.click", "web.error", "web.form_error", "web.search", "web.page_leave",
    "identity.linked", "intervention.shown", "intervention.accepted", "intervention.declined",
)  # fmt: skip
STUCK_EVENTS = ("stuck.raised", "stuck.cleared", "stuck.withdrawn")

CALLS = "calls"
CHATS = "chats"
PRESENCE = "presence"
PARTIALS = "queue-partials"
SNAPSHOTS = "queue-snapshots"
INTERVALS = "queue-intervals"
DEAD_LETTERS = "dead-letters"
WEB = "web"
CUSTOMERS = "customers"
PAGE_PARTIALS = "page-partials"
STUCK_FLAGS = "stuck-flags"
VISITOR_STAGE, CUSTOMER_STAGE, PAGE_STAGE = "visitors", "customers", "pages"
"""Names of the stages of journeys; their checkpoints are named after them."""
SOURCES = (CALLS, CHATS, PRESENCE)
"""The topics that stage 1 reads, all with the same number of partitions."""


def topics(partitions: int, app_id: str, prefix: str = "") -> tuple[Topic, ...]:
    """All topics of one installation.

    Args:
        partitions: of every topic but the dead letters, also of the checkpoint changelogs (they must agree).
        app_id: the Faust application id; it names the checkpoint changelogs.
        prefix: put before every name, so that several installations share one cluster.
    """

    def source(name: str, key: str, holds: str, events: tuple[str, ...]) -> Topic:
        return Topic(
            prefix + name, key, holds, partitions, 3 * DAY_MS, events=(*events, "pipeline.heartbeat")
        )

    def changelog(stage: str) -> Topic:
        name = f"{app_id}-{stage}-checkpoints-changelog"
        return Topic(
            name, "owner and part", f"exact checkpoints of {stage}", partitions, None, True, RUN_BYTES
        )

    return (
        source(
            CALLS, "contact_id", "events of calls, e-mails, forms: every channel but chat", CONTACT_EVENTS
        ),
        source(CHATS, "contact_id", "events and messages of chats", (*CONTACT_EVENTS, "chat.message")),
        source(PRESENCE, "agent_id", "states of agents", ("agent.state",)),
        source(WEB, "visitor_id", "what visitors of the web site do, under pseudonyms", WEB_EVENTS),
        Topic(
            prefix + PARTIALS,
            "queue",
            "absolute partial results of stage 1",
            partitions,
            6 * HOUR_MS,
            False,
            RUN_BYTES,
        ),
        Topic(
            prefix + SNAPSHOTS, "row", "the newest snapshot of every row", partitions, None, True, RUN_BYTES
        ),
        Topic(
            prefix + INTERVALS,
            "row and interval",
            "15 min intervals per row",
            partitions,
            None,
            True,
            RUN_BYTES,
        ),
        Topic(
            prefix + CUSTOMERS,
            "customer_id",
            "contacts and visitors of customers, under pseudonyms",
            partitions,
            8 * DAY_MS,
        ),
        Topic(
            prefix + PAGE_PARTIALS,
            "none: all in partition 0",
            "absolute counters of pages by business day",
            partitions,
            6 * HOUR_MS,
            False,
            RUN_BYTES,
        ),
        Topic(
            prefix + STUCK_FLAGS,
            "visitor_id",
            "visitors who are stuck, and who no longer are",
            partitions,
            3 * DAY_MS,
            events=STUCK_EVENTS,
        ),
        Topic(
            prefix + DEAD_LETTERS, "topic-partition-offset", "records that could not be used", 1, 14 * DAY_MS
        ),
        changelog("stage1"),
        changelog("stage2"),
        changelog(VISITOR_STAGE),
        changelog(CUSTOMER_STAGE),
        changelog(PAGE_STAGE),
    )
