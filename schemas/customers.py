"""What does stage 1 tell the owner of a customer? Contacts and links, each absolute (topic `customers`, MessagePack).

Keyed by customer, under the pseudonym that the collector and the workers share. Repeating or replaying one changes
nothing: of two statements about the same contact, or of the same visitor and customer, the greater `revision` wins.
"""

import msgspec
from msgspec import Struct

Revision = tuple[int, int]
"""(epoch of the shard that tells, position in its source)."""


class CustomerContact(Struct, array_like=True, gc=False, frozen=True, tag="c"):
    """One contact as it stands. `queue`, `channel`, `queued_ms`: of its first visit; `reason`: the newest known.

    `outcome`: of its last visit, "" while it waits or is handled. `handled_ms`: when its handling ended (0: not yet).
    `withdrawn`: facts that came later say it is not this customer's.
    """

    customer_id: str
    contact_id: str
    channel: str
    queue: str
    queued_ms: int
    outcome: str
    reason: str | None
    handled_ms: int
    revision: Revision
    withdrawn: bool = False


class CustomerVisitor(Struct, array_like=True, gc=False, frozen=True, tag="v"):
    """A visitor is linked to this customer since `at_ms`. `withdrawn`: a correction says it never was."""

    customer_id: str
    visitor_id: str
    at_ms: int
    revision: Revision
    withdrawn: bool = False


class CustomerClock(Struct, array_like=True, gc=False, frozen=True, tag="t"):
    """A source's clock, told to every partition about every 10 s, and when a replay begins."""

    source: str
    now_ms: int
    event_clock: bool


class CustomerForgotten(Struct, array_like=True, gc=False, frozen=True, tag="f"):
    """Everything of this customer up to `at_ms` (Unix ms) is to be forgotten, and stays so when it is replayed."""

    customer_id: str
    at_ms: int


CustomerStatement = CustomerContact | CustomerVisitor | CustomerClock | CustomerForgotten
encode_customer = msgspec.msgpack.Encoder().encode
decode_customer = msgspec.msgpack.Decoder(CustomerStatement).decode
