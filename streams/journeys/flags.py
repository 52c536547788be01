"""When is a visitor stuck, and until when? The life of a session's flags, from the probabilities at its moments.

    none  --p >= threshold, not cooling-->                        open
    open  --progress page, p < cleared_below x threshold-->       none, cleared by progress
    open  --contact of the customer-->                            none, cleared by contact
    open  --no event for left_ms-->                               none, cleared by leaving, then

After a flag is cleared none is raised for `cool_ms`. Between the two thresholds nothing changes. Refuses to know
visitors, models and where probabilities come from.
"""

from hashlib import blake2b
from typing import Final

PROGRESS: Final = "progress"
CONTACT: Final = "contact"
LEFT: Final = "left"

RAISED: Final = 1
CLEARED: Final = 2
"""What `FlagLife.judge` may say."""


class Raised:
    """One flag. `page` is a number, `cleared_ms` -1 while it is open, `customer` "" where nobody was known."""

    __slots__ = (
        "cleared",
        "cleared_ms",
        "customer",
        "page",
        "pattern",
        "probability",
        "raised_ms",
        "version",
    )

    def __init__(
        self, raised_ms: int, page: int, pattern: int, probability: float, version: int, customer: str
    ) -> None:
        self.raised_ms = raised_ms
        self.page = page
        self.pattern = pattern
        self.probability = probability
        self.version = version
        self.customer = customer
        self.cleared_ms = -1
        self.cleared = ""

    def state(self) -> tuple[int, str, int, int, float, int, str]:
        """All of it but when it was raised, to compare."""
        return (
            self.cleared_ms, self.cleared, self.page, self.pattern, self.probability, self.version, self.customer,
        )  # fmt: skip


class FlagLife:
    """The flags of one session, in order; at most the last one is open."""

    __slots__ = ("cool_ms", "cool_until_ms", "flags", "open", "threshold", "until")

    def __init__(self, threshold: float, cleared_below: float, cool_ms: int) -> None:
        self.threshold = threshold
        self.until = cleared_below * threshold
        self.cool_ms = cool_ms
        self.flags: list[Raised] = []
        self.open: Raised | None = None
        self.cool_until_ms = -1

    def judge(
        self, at_ms: int, page: int, pattern: int, probability: float, version: int, customer: str
    ) -> int:
        """Take in how likely a contact is at a time; say what that changed (0: nothing)."""
        if self.open is not None:
            if probability < self.until:
                return self.clear(at_ms, PROGRESS)
            return 0
        if probability < self.threshold or at_ms < self.cool_until_ms:
            return 0
        self.open = Raised(at_ms, page, pattern, probability, version, customer)
        self.flags.append(self.open)
        return RAISED

    def clear(self, at_ms: int, how: str) -> int:
        """Close the open flag, if there is one."""
        flag = self.open
        if flag is None:
            return 0
        flag.cleared_ms = at_ms
        flag.cleared = how
        self.open = None
        self.cool_until_ms = at_ms + self.cool_ms
        return CLEARED


def session_id(visitor_id: str, start_ms: int) -> str:
    """The id of a visitor's session: the same whoever derives it."""
    return "s" + _digest(f"{visitor_id}\x1f{start_ms}")


def flag_id(visitor_id: str, start_ms: int, raised_ms: int) -> str:
    """The id of the flag that was raised at a time in the session that began at `start_ms`."""
    return "f" + _digest(f"{visitor_id}\x1f{start_ms}\x1f{raised_ms}")


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
