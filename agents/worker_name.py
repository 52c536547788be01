"""Is this process the only one of its name? Two members under one name evict each other for ever and both stand still.

On one machine the second is refused at its start. Elsewhere Kafka evicts the elder each time; whoever is evicted again
and again gives up, so one of them works on.
"""

import fcntl
import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import BrokerError, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings

_WITHIN_S = 60.0
_MOST_EVICTIONS = 4
"""A paused worker or a broker's death evicts a member once, seldom twice; a namesake does it every few seconds."""


@contextmanager
def sole_on_this_machine(settings: "Settings") -> Iterator[None]:
    """Hold the worker's name while it runs; it is free again at the death of the process, however it dies.

    Raises:
        SettingsError: another process of this machine holds it.
    """
    kafka, name = settings.kafka, settings.worker.name
    digest = hashlib.sha256(f"{kafka.broker} {kafka.app_id} {name}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"queuelight-{os.getuid()}-{digest}.lock"
    with path.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"a worker named {name!r} runs on this machine already: give each its own --name"
            ) from error
        yield


class Membership:
    """Counts how often this process had to join its group anew under another member id."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._member_id = ""
        self._evictions: deque[float] = deque(maxlen=_MOST_EVICTIONS)

    def seen(self, member_id: str, at_s: float) -> None:
        """Note the id under which the group knows us now; empty: none.

        Raises:
            BrokerError: evicted too often in a minute.
        """
        if not member_id or member_id == self._member_id:
            return
        if self._member_id:
            self._evictions.append(at_s)
        self._member_id = member_id
        if len(self._evictions) == _MOST_EVICTIONS and at_s - self._evictions[0] < _WITHIN_S:
            raise BrokerError(
                f"evicted from the group {_MOST_EVICTIONS} times within {_WITHIN_S:.0f} s: another process works under "
                f"the name {self._name!r}; give each its own --name"
            )
