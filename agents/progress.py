"""How far is it? A progress bar on standard error: only on a terminal, and only for what takes more than a second.

Refuses to know what is done; whoever does it hands over the recording or a count.
"""

import sys
import time
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agents.recording import Recording
from streams.driver import Item

if TYPE_CHECKING:
    from rich import progress as rich_progress

_PATIENCE_S = 1.0
_EVERY = 2000


class Progress:
    """Rate and remaining time of one piece of work. Inert until the work has taken a second.

    Args:
        doing: what is done, as a word ("replaying").
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._started = 0.0
        self._bar: rich_progress.Progress | None = None
        self._task: rich_progress.TaskID | None = None
        self._unit = ""

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def over(self, recording: Recording, items: Iterator[Item]) -> Iterator[Item]:
        """The same items; shows how much of the file is read, then, where a reader sorts, how many items are done."""
        if not sys.stderr.isatty():
            yield from items
            return
        for number, item in enumerate(items):
            if recording.is_read:
                rest = list(chain([item], items))
                for done, each in enumerate(rest):
                    if done % _EVERY == 0:
                        self._show(f"{self._doing} {recording.path.name}", done, len(rest), "events")
                    yield each
                return
            if number % _EVERY == 0:
                self._show(
                    f"{self._doing} {recording.path.name}", recording.bytes_read, recording.bytes_total, "B"
                )
            yield item

    def to(self, done: int, of: int) -> None:
        """So many messages of so many are done."""
        if sys.stderr.isatty():
            self._show(self._doing, done, of, "messages")

    def _show(self, what: str, done: int, of: int | None, unit: str) -> None:
        if time.monotonic() - self._started < _PATIENCE_S:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        if self._task is None or unit != self._unit:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._unit = unit
            self._task = self._bar.add_task(what, total=of, rate="")
        self._bar.update(self._task, completed=done, total=of, rate=_rate(self._bar, self._task, unit))


def _rate(bar: "rich_progress.Progress", task: "rich_progress.TaskID", unit: str) -> str:
    speed = next((each.speed for each in bar.tasks if each.id == task), None)
    if not speed:
        return ""
    return f"{speed / 1e6:.1f} MB/s" if unit == "B" else f"{speed:,.0f} {unit}/s"


def _bar() -> "rich_progress.Progress":
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
