"""What does the collector hand on? Records of Kafka, and what it had to refuse.

Refuses to know where from and where to.
"""

from typing import NamedTuple


class Record(NamedTuple):
    """One record to be produced; `topic` with the installation's prefix."""

    topic: str
    key: str
    value: bytes


class Refused(NamedTuple):
    """What cannot be taken, and where it stands: a bounded `reason`, a sentence, the path of a field."""

    reason: str
    error: str
    field: str


class Taken(NamedTuple):
    """What became of a request: records in the order in which it happened, their types, and what was refused."""

    records: list[Record]
    types: list[str]
    refused: list[Refused]


REASONS = (
    "too_old", "not_signed", "wrong_host", "bad_name", "unknown_type", "not_an_event", "time_out_of_range",
    "time_in_future",
)  # fmt: skip
"""Why single events are refused; each is a metric label."""
