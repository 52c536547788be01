"""What would a rule with one signal say of a visitor? Those that vendors sell: dwell, rage clicks, loops, errors.

Computed from the raw events, apart from the product's code, at every event of a browser. Each score is the strength of
one signal, so that a rule has every threshold: the best it could be. Signals are of the last 15 min of the visitor;
dwell is the engaged time on the page that is shown (10 s per ping, all views of it within the session).
"""

from collections import Counter, deque
from typing import NamedTuple

import schemas.web_events as w

WINDOW_MS = 15 * 60_000
_GAP_MS = 30 * 60_000
_RAGE_CLICKS, _RAGE_MS, _RAGE_PIXELS = 4, 1000, 30

RULES = ("dwell", "rage click", "loop", "error", "dead click", "contact page")


class Scores(NamedTuple):
    """Strength of each signal, in the order of `RULES`."""

    dwell_s: float
    rages: int
    loop: int
    errors: int
    dead: int
    contact_page: int


class Watched:
    """One visitor, event by event in the order of time."""

    def __init__(self) -> None:
        self._seen_ms = -_GAP_MS
        self._engaged: Counter[str] = Counter()
        self._signals: deque[tuple[int, str, str]] = deque()
        self._clicks: deque[tuple[int, int, int]] = deque(maxlen=_RAGE_CLICKS)
        self._page = ""
        self._contact_page = 0

    def see(self, event: w.BrowserEvent, contact_pages: tuple[str, ...]) -> Scores:
        """Take in one event; what the rules say after it."""
        at_ms = round(event.time.timestamp() * 1000)
        if at_ms - self._seen_ms >= _GAP_MS:
            self.__init__()  # type: ignore[misc]
        self._seen_ms = at_ms
        self._page = event.data.page
        match event:
            case w.WebPageView():
                self._signals.append((at_ms, "view", self._page))
                self._contact_page |= self._page in contact_pages
            case w.WebPagePing():
                self._engaged[self._page] += 10
            case w.WebError() | w.WebFormError():
                self._signals.append((at_ms, "error", ""))
            case w.WebClick():
                self._click(at_ms, event.data)
            case _:
                pass
        while self._signals and self._signals[0][0] <= at_ms - WINDOW_MS:
            self._signals.popleft()
        return self._scores()

    def _click(self, at_ms: int, click: w.Clicked) -> None:
        if click.dead:
            self._signals.append((at_ms, "dead", ""))
        if click.exempt:
            return
        self._clicks.append((at_ms, click.x, click.y))
        first_ms, x, y = self._clicks[0]
        near = all(abs(px - x) + abs(py - y) <= _RAGE_PIXELS for _, px, py in self._clicks)
        if len(self._clicks) == _RAGE_CLICKS and at_ms - first_ms <= _RAGE_MS and near:
            self._signals.append((at_ms, "rage", ""))
            self._clicks.clear()

    def _scores(self) -> Scores:
        counts = Counter(kind for _, kind, _ in self._signals)
        views = Counter(page for _, kind, page in self._signals if kind == "view")
        return Scores(
            float(self._engaged[self._page]), counts["rage"], max(views.values(), default=0), counts["error"],
            counts["dead"], self._contact_page,
        )  # fmt: skip
