"""How likely is a contact, by the model that was valid at the time? Models by time, with what they said before.

Refuses to know how a model is made and what it weighs: `streams.journeys.stuck_model`.
"""

from collections.abc import Iterable
from itertools import pairwise

from schemas.journeys import StuckModel
from streams.journeys.page_names import PageNames
from streams.journeys.stuck_model import DEFAULT_MODEL, probability

_MOST = 100_000
"""Answers of one model that are remembered."""


class Judge:
    """One model at work. `version`: of the model; `from_ms`: since when it is valid."""

    __slots__ = ("_known", "_pages", "from_ms", "model", "version")

    def __init__(self, model: StuckModel, pages: PageNames, from_ms: int) -> None:
        self.model = model
        self.version: int = model.version
        self.from_ms = from_ms
        self._pages = pages
        self._known: dict[int, float] = {}

    def probability(self, page: int, pattern: int) -> float:
        """Of a contact within T, for a subject page (its number) and a pattern."""
        key = page << 16 | pattern
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[key] = probability(self.model, self._pages.names[page], pattern)
        return known

    def forget_answers(self) -> None:
        """A number stands for another page now."""
        self._known.clear()


class Judges:
    """Models in the order in which they become valid. Before the first the default model judges."""

    __slots__ = ("_all", "_pages", "newest")

    def __init__(self, pages: PageNames) -> None:
        self._pages = pages
        self.newest = Judge(DEFAULT_MODEL, pages, -1)
        self._all: list[Judge] = [self.newest]

    def at(self, at_ms: int) -> Judge:
        """Who judges what happens at a time."""
        if at_ms >= self.newest.from_ms:
            return self.newest
        for judge in reversed(self._all):
            if at_ms >= judge.from_ms:
                return judge
        return self._all[0]

    def is_news(self, model: StuckModel) -> bool:
        """Whether `take` would change anything."""
        same = [judge for judge in self._all if judge.from_ms == model.valid_from_ms]
        return not same or same[0].version < model.version

    def take(self, model: StuckModel) -> None:
        """Let a model judge from its time on, in place of an older one valid since the same time."""
        kept = [judge for judge in self._all if judge.from_ms != model.valid_from_ms]
        kept.append(Judge(model, self._pages, model.valid_from_ms))
        self._set(kept)

    def expire(self, horizon_ms: int) -> None:
        """Forget models that judge nothing later than `horizon_ms`."""
        judges = self._all
        if len(judges) > 1 and judges[1].from_ms <= horizon_ms:
            kept = [each for each, after in pairwise(judges) if after.from_ms > horizon_ms]
            self._set([*kept, judges[-1]])

    def forget_answers(self) -> None:
        """A number stands for another page now."""
        for judge in self._all:
            judge.forget_answers()

    def models(self) -> list[StuckModel]:
        """All that are told, in order; never the default."""
        return [judge.model for judge in self._all if judge.from_ms >= 0]

    def load(self, models: Iterable[StuckModel]) -> None:
        """Take over stored models."""
        for model in models:
            self.take(model)

    def _set(self, judges: list[Judge]) -> None:
        self._all = sorted(judges, key=_valid_from)
        self.newest = self._all[-1]


def _valid_from(judge: Judge) -> int:
    return judge.from_ms
