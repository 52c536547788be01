"""What does a browser send while somebody uses it? Views, pings, clicks, failures, links: events of one session.

Refuses to know why anybody does anything; that is `streams.simulator.web_visitor`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

import schemas.web_events as w
from schemas.events import ContactEvent
from schemas.topics import WEB
from streams.simulator.agenda import Dice

SOURCE = "sim/web"
PING_MS = 10_000
WebSent = tuple[str, str, w.WebEvent | ContactEvent]
"""Topic, key, event."""

_SIZE = (1200, 2400)
_GAP_SHARE, _GAP_S = 0.15, 60.0
_Data = TypeVar("_Data", contravariant=True)


class Dated(NamedTuple):
    """What is sent at a time, in ms. `number` keeps the order of what happens at the same ms."""

    at_ms: int
    number: int
    sent: WebSent


class _Maker(Protocol[_Data]):
    def __call__(
        self, *, id: str, source: str, time: datetime, subject: str, data: _Data
    ) -> w.WebEvent | ContactEvent: ...


class Browser:
    """One session of one visitor, being written. `now_ms` moves as time is spent; `page` is what is shown.

    Ids are `prefix`, a hyphen and a number.
    """

    def __init__(self, visitor_id: str, prefix: str, now_ms: int, dice: Dice) -> None:
        self.visitor_id = visitor_id
        self.now_ms = now_ms
        self.page = ""
        self.events: list[Dated] = []
        self._prefix = prefix
        self._dice = dice
        self._views = 0
        self._view_id = ""

    def open(self, page: str, *, bot: bool = False) -> None:
        """Leave the page that is shown, and see another one, or the same anew."""
        before = self.page or None
        self.leave()
        self._views += 1
        self.page, self._view_id = page, f"{self._prefix}v{self._views}"
        view = w.View(visitor_id=self.visitor_id, page=page, view_id=self._view_id, from_page=before, bot=bot)
        self._put(self.now_ms, w.WebPageView, view)

    def leave(self) -> None:
        """Close the page that is shown."""
        if self.page:
            self._put(self.now_ms, w.WebPageLeave, self._where())
            self.now_ms += self._dice.between(0.05, 0.4)
            self.page = ""

    def stay(self, engaged_s: float) -> tuple[int, int]:
        """Spend engaged time, with a ping every 10 s, and sometimes a pause without. Returns from when to when."""
        start_ms, engaged_ms = self.now_ms, int(engaged_s * 1000)
        pings = engaged_ms // PING_MS
        pause_ms = self._dice.exponential(_GAP_S) if self._dice.chance(_GAP_SHARE) else 0
        pause_after = int(self._dice.random() * (pings + 1))
        where = self._where()
        for number in range(1, pings + 1):
            late_ms = pause_ms if number > pause_after else 0
            self._put(start_ms + number * PING_MS + late_ms, w.WebPagePing, where)
        self.now_ms = start_ms + engaged_ms + pause_ms + 1
        return start_ms, self.now_ms

    def beside(self, page: str, engaged_s: float) -> None:
        """Look at a page in another tab, and come back to the one that is shown."""
        here = self.page, self._view_id
        self._views += 1
        self.page, self._view_id = page, f"{self._prefix}v{self._views}"
        view = w.View(visitor_id=self.visitor_id, page=page, view_id=self._view_id, from_page=here[0])
        self._put(self.now_ms, w.WebPageView, view)
        self.stay(engaged_s)
        if self._dice.chance(0.5):
            self._put(self.now_ms, w.WebPageLeave, self._where())
        self.page, self._view_id = here

    def click(self, at_ms: int, *, dead: bool | None = False, target: w.Target = "link") -> None:
        """One click somewhere."""
        self._click(at_ms, *self._somewhere(), dead, target, exempt=False)

    def burst(self, at_ms: int, *, dead: bool | None, exempt: bool = False) -> None:
        """Click on the same spot again and again."""
        x, y = self._somewhere()
        for _ in range(4 + int(4 * self._dice.random())):
            jitter = int(8 * self._dice.random()), int(8 * self._dice.random())
            self._click(at_ms, x + jitter[0], y + jitter[1], dead, "button", exempt=exempt)
            at_ms += self._dice.between(0.09, 0.2)

    def fail(self, at_ms: int, kind: w.ErrorKind, status: int | None = None) -> None:
        """Something breaks."""
        data = w.Failed(
            visitor_id=self.visitor_id, page=self.page, view_id=self._view_id, kind=kind, status=status
        )
        self._put(at_ms, w.WebError, data)

    def refuse(self, at_ms: int, kind: w.FormErrorKind) -> None:
        """The form on this page does not take what was filled in, or it is filled in again."""
        data = w.FormFailed(
            visitor_id=self.visitor_id, page=self.page, view_id=self._view_id, kind=kind, form="main",
            field=f"field-{1 + int(3 * self._dice.random())}",
        )  # fmt: skip
        self._put(at_ms, w.WebFormError, data)

    def search(self, at_ms: int, hits: int) -> None:
        """The site's own search answers."""
        data = w.Searched(visitor_id=self.visitor_id, page=self.page, view_id=self._view_id, hits=hits)
        self._put(at_ms, w.WebSearch, data)

    def link(self, at_ms: int, customer_id: str | None, proof: w.Proof = "login") -> None:
        """Say who the visitor is from now on; None: nobody's any more."""
        linked = w.Linked(visitor_id=self.visitor_id, customer_id=customer_id, proof=proof)
        self._put(at_ms, w.IdentityLinked, linked)

    def offer(
        self, at_ms: int, what: "Callable[..., w.Intervention]", kind: str, page: str, flag_id: str
    ) -> None:
        """An offer is shown, accepted or declined."""
        data = w.Intervened(visitor_id=self.visitor_id, kind=kind, page=page, flag_id=flag_id)
        self._put(at_ms, what, data)

    def _where(self) -> w.OnPage:
        return w.OnPage(visitor_id=self.visitor_id, page=self.page, view_id=self._view_id)

    def _somewhere(self) -> tuple[int, int]:
        return int(_SIZE[0] * self._dice.random()), int(_SIZE[1] * self._dice.random())

    def _click(
        self, at_ms: int, x: int, y: int, dead: bool | None, target: w.Target, *, exempt: bool
    ) -> None:
        data = w.Clicked(
            visitor_id=self.visitor_id, page=self.page, view_id=self._view_id, x=x, y=y, target=target, dead=dead,
            exempt=exempt,
        )  # fmt: skip
        self._put(at_ms, w.WebClick, data)

    def _put(self, at_ms: int, kind: _Maker[_Data], data: _Data) -> None:
        number = len(self.events)
        event = kind(
            id=f"{self._prefix}-{number}", source=SOURCE, time=datetime.fromtimestamp(at_ms / 1000, UTC),
            subject=self.visitor_id, data=data,
        )  # fmt: skip
        self.events.append(Dated(at_ms, number, (WEB, self.visitor_id, event)))
