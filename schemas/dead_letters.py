"""What is a dead letter? A record that could not be used, with everything needed to find and repair it."""

from msgspec import Struct

from schemas.errors import Reason

KEPT_BYTES = 1024
"""How much of the payload a dead letter carries, in bytes."""


class DeadLetter(Struct, frozen=True, gc=False):
    """One unusable record. `(topic, partition, offset)` is its identity: sent twice, it is still one.

    `detail` says what was expected and seen; `payload` holds the first `KEPT_BYTES` bytes (base64 in JSON).
    """

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    payload: bytes
    payload_bytes: int


def dead_letter(
    reason: Reason, detail: str, topic: str, partition: int, offset: int, payload: bytes
) -> DeadLetter:
    """Build a dead letter, keeping the head of the payload and a detail of bounded length."""
    return DeadLetter(reason, detail[:300], topic, partition, offset, payload[:KEPT_BYTES], len(payload))
