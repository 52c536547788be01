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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from schemas.errors import BrokerError, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings

_WITHIN_S = 60.0
_MOST_WORKERS = 1000
"""On one machine."""
_MOST_EVICTIONS = 4
"""A paused worker or a broker's death evicts a member once, seldom twice; a namesake does it every few seconds."""
_MOST_EVICTIONS_OF_SETTLED = 12
_SETTLED_S = 10.0
"""Who has been a member for so long is settled: two namesakes never are while they evict each other."""


@contextmanager
def alone_under_its_name(settings: "Settings") -> Iterator["Settings"]:
    """Hold the worker's name while it runs; it is free again at the death of the process, however it dies.

    Where workers share a folder, as containers of one service do, each takes the first free of NAME-1, NAME-2, ...: the
    names stay the same though the processes, and the hosts they see, are new ones.

    Yields:
        The settings, with the name that was taken.

    Raises:
        SettingsError: another process of this machine holds it.
    """
    own = settings.worker
    names = (
        [own.name] if own.names_folder is None else [f"{own.name}-{n}" for n in range(1, _MOST_WORKERS + 1)]
    )
    folder = own.names_folder or Path(tempfile.gettempdir())
    for name in names:
        held = _held(folder / _lock_file(settings, name))
        if held is not None:
            with held:
                yield replace(settings, worker=own.model_copy(update={"name": name}))
            return
    if own.names_folder is None:
        raise SettingsError(
            f"a worker named {own.name!r} runs on this machine already: give each its own --name"
        )
    raise SettingsError(f"{_MOST_WORKERS} workers named {own.name!r} hold their names in {folder} already")


def _held(path: Path) -> TextIO | None:
    """The file, locked as long as it is open; None where another process has locked it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _lock_file(settings: "Settings", name: str) -> str:
    kafka = settings.kafka
    digest = hashlib.sha256(f"{kafka.broker} {kafka.app_id} {name}".encode()).hexdigest()[:16]
    return f"queuelight-{os.getuid()}-{digest}.lock"


class Membership:
    """Counts how often this process had to join its group anew under another member id.

    Two processes of one name evict each other in turn. The one that has worked undisturbed before bears more of it, so
    that the newcomer gives up, and never both.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._member_id = ""
        self._joined_s = 0.0
        self._most = _MOST_EVICTIONS
        self._evictions: deque[float] = deque(maxlen=_MOST_EVICTIONS_OF_SETTLED)

    def seen(self, member_id: str, at_s: float) -> None:
        """Note the id under which the group knows us now; empty: none.

        Raises:
            BrokerError: evicted too often in a minute.
        """
        if not member_id:
            return
        if member_id == self._member_id:
            if at_s - self._joined_s >= _SETTLED_S:
                self._most = _MOST_EVICTIONS_OF_SETTLED
            return
        if self._member_id:
            self._evictions.append(at_s)
        self._member_id, self._joined_s = member_id, at_s
        if len(self._evictions) >= self._most and at_s - self._evictions[-self._most] < _WITHIN_S:
            raise BrokerError(
                f"evicted from the group {self._most} times within {_WITHIN_S:.0f} s: another process works under "
                f"the name {self._name!r}; give each its own --name"
            )
