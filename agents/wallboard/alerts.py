"""Which alerts does a board show? What Alertmanager said last, asked every few seconds for all screens together.

Refuses to know what an alert means: `agents.firing` reads Alertmanager's answer.
"""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from agents.firing import AlertmanagerError, Fired, Firing, fired
from agents.wall_clock import wall_ms

log = logging.getLogger(__name__)

ASK_EVERY_S = 5.0
_OLD_MS = 20_000


class FiringAlerts(Struct, frozen=True, kw_only=True):
    """The alerts that fire, the worst first.

    `as_of` (Unix ms) is when Alertmanager said so; None: it never did. `known` is False while it does not answer, and
    the alerts are those of before. `watched` is False when the alert that always fires does not: alerts may be missing.
    """

    as_of: int | None
    known: bool
    watched: bool
    alerts: tuple[Firing, ...]


class _Heard(NamedTuple):
    fired: Fired = Fired((), watched=False)
    as_of: int | None = None
    problem: str = ""


class AlertWatch:
    """Keeps what Alertmanager said last; inert until `start`.

    It asks in a thread of its own that nobody waits for: an Alertmanager that hangs must not keep a wallboard from
    ending.

    Args:
        url: "http://HOST:9093"; None: boards show no alerts.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._heard = _Heard()
        self._over = threading.Event()

    def start(self) -> None:
        """Ask from now on; without an address there is nothing to do."""
        if self._url is not None:
            asking = threading.Thread(target=self._ask, args=(self._url,), name="alerts", daemon=True)
            asking.start()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()

    def seen(self, shows: Callable[[str], bool]) -> FiringAlerts | None:
        """What a board sees: alerts of its queues and of none, those that nobody is told of left out.

        Args:
            shows: whether a queue is on the board.

        Returns:
            None where no Alertmanager is named.
        """
        if self._url is None:
            return None
        heard = self._heard
        is_old = heard.as_of is None or wall_ms() - heard.as_of > _OLD_MS
        return FiringAlerts(
            as_of=heard.as_of,
            known=not is_old and not heard.problem,
            watched=heard.fired.watched,
            alerts=tuple(
                each for each in heard.fired.alerts if each.told and (not each.queue or shows(each.queue))
            ),
        )

    def _ask(self, url: str) -> None:
        while not self._over.is_set():
            before = self._heard
            try:
                self._heard = _Heard(fired(url), wall_ms())
            except AlertmanagerError as error:
                self._heard = before._replace(problem=str(error))
                if str(error) != before.problem:
                    log.warning("%s; boards show the alerts of before", error)
            self._over.wait(ASK_EVERY_S)
