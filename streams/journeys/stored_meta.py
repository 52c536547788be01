"""What do the folds of customers and pages store? Plain structs and tuples, as MessagePack arrays.

On their own for the reason that `streams.stored` is: mypyc compiles neither structs of msgspec nor the annotations by
which it reads tuples.
"""

from typing import NamedTuple

from msgspec import Struct, field

from schemas.journeys import StuckModel


class ContactFact(NamedTuple):
    """One contact as it was told (`schemas.customers.CustomerContact`); of two about the same, the greater counts."""

    epoch: int
    position: int
    outcome: str
    handled_ms: int
    channel: str
    queue: str
    queued_ms: int
    reason: str
    """"" where it is not known."""
    withdrawn: bool


class VisitorFact(NamedTuple):
    """One visitor as it was told (`schemas.customers.CustomerVisitor`); of two about the same, the greater counts."""

    epoch: int
    position: int
    at_ms: int
    withdrawn: bool


class CustomerMeta(Struct, array_like=True):
    """The part of a `CustomerFold` that is not of one customer."""

    clock_ms: int = 0
    clocks: dict[str, int] = field(default_factory=dict)
    """Source -> how far it has come; in a replay."""
    event_clock: bool = False
    dropped: dict[str, int] = field(default_factory=dict)
    """What was beyond a limit -> how often."""
    oldest_day: int = 0


class PageMeta(Struct, array_like=True):
    """The part of a `PageFold` that is no counter."""

    clock_ms: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, int] = field(default_factory=dict)
    event_clock: bool = False
    sweeping: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    """Source -> (row, day) of all that its new owner has told so far, until it has told everything."""
    fit_ms: int = 0
    """When the next model is due; 0: no time is known yet."""
    model: StuckModel | None = None
    version: int = 0
    """Of the newest model ever made."""
    oldest_day: int = 0
