"""How does one watch the contact centre from a terminal? The board, read twice a second, redrawn in place.

Refuses to know what the board looks like (`agents.board_view`) and where snapshots are kept (a `Board` is passed in).
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import MsgspecError
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from agents.board_view import WORDS, render
from agents.wall_clock import wall_ms
from schemas.errors import QueuelightError, SettingsError
from schemas.snapshots import Snapshot

if TYPE_CHECKING:
    from agents.settings import Settings
    from agents.snapshot_store import Board

READ_EVERY_S = 0.5
READ_PATIENCE_S = 5.0
PLAIN_EVERY_S = 5.0
"""How often the board is printed where there is no terminal to redraw."""
_CANNOT_READ = (RedisError, OSError, TimeoutError, QueuelightError, MsgspecError)

__all__ = ["language", "render", "run_board", "run_top"]


def language(wanted: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """The language of the board: what was asked for, else the environment's, else English."""
    if wanted:
        return wanted if wanted in WORDS else "en"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


class _Reader:
    """Keeps the newest snapshots; when reading fails it keeps the old ones, which then grow stale on screen."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self.snapshots: list[Snapshot] = []
        self.problem = ""
        self.tried = asyncio.Event()
        """Something is known: snapshots, or why there are none."""

    async def read(self) -> None:
        """Read once."""
        try:
            async with asyncio.timeout(READ_PATIENCE_S):  # wait_for can swallow a cancellation in Python 3.11
                self.snapshots = await self._board.read()
            self.problem = ""
        except _CANNOT_READ as error:
            self.problem = f"{type(error).__name__}: {error}"
        self.tried.set()

    async def keep_reading(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(READ_EVERY_S)


async def run_board(
    board: "Board",
    lang: str,
    once: bool = False,
    seconds: float | None = None,
    header: str | Callable[[], str] = "",
    stop: asyncio.Event | None = None,
    window: str = "30m",
    console: Console | None = None,
) -> int:
    """Show the board until `stop` is set or `seconds` have passed; return the exit code.

    On a terminal it takes the whole screen and gives it back; elsewhere a plain board is printed every 5 s.

    Args:
        board: where the newest snapshots are.
        lang: "ja" or "en".
        once: print the board once, without control codes where there is no terminal. 1 when there is nothing to show.
        seconds: how long; None: until stopped.
        header: a line below the title, or what says it, each time anew.
        stop: set by whoever wants the board to end; None: Ctrl-C and SIGTERM end it.
        window: "1m", "5m", "15m", "30m", "1h" or "day".
        console: where to; by default stdout.
    """
    screen = console or Console(highlight=False)
    reader = _Reader(board)
    line = header if callable(header) else lambda: header
    if once:
        await reader.read()
        _print(screen, reader, lang, window, line)
        return 0 if reader.snapshots and not reader.problem else 1
    own_signals = () if stop else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in own_signals:  # else the terminal would be left in the middle of the board
        loop.add_signal_handler(number, stop.set)
    reading = asyncio.create_task(reader.keep_reading())
    ends_at = None if seconds is None else time.monotonic() + seconds
    try:
        await _sleep(reader.tried, READ_EVERY_S, ends_at)
        if screen.is_terminal and not screen.is_dumb_terminal and screen.file.isatty():
            await _redraw(screen, reader, lang, window, line, stop, ends_at)
        else:
            await _reprint(screen, reader, lang, window, line, stop, ends_at)
    finally:
        for number in own_signals:
            loop.remove_signal_handler(number)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    return 0


async def _redraw(
    screen: Console,
    reader: _Reader,
    lang: str,
    window: str,
    header: Callable[[], str],
    stop: asyncio.Event,
    ends_at: float | None,
) -> None:
    """Redraw in place: the lines are written over each other, so nothing flickers."""
    with Live(console=screen, screen=True, auto_refresh=False) as live:
        while not stop.is_set() and (ends_at is None or time.monotonic() < ends_at):
            width, height = screen.size
            board = render(reader.snapshots, wall_ms(), lang, width, height, window, header(), reader.problem)
            live.update(board, refresh=True)
            await _sleep(stop, READ_EVERY_S, ends_at)


async def _reprint(
    screen: Console,
    reader: _Reader,
    lang: str,
    window: str,
    header: Callable[[], str],
    stop: asyncio.Event,
    ends_at: float | None,
) -> None:
    while not stop.is_set() and (ends_at is None or time.monotonic() < ends_at):
        await _sleep(stop, PLAIN_EVERY_S, ends_at)
        _print(screen, reader, lang, window, header)


def _print(screen: Console, reader: _Reader, lang: str, window: str, header: Callable[[], str]) -> None:
    board = render(reader.snapshots, wall_ms(), lang, screen.width, None, window, header(), reader.problem)
    screen.print(board, soft_wrap=False)


async def _sleep(until: asyncio.Event, seconds: float, ends_at: float | None) -> None:
    """Wait for an event, but no longer than so many seconds, nor beyond the end."""
    left = seconds if ends_at is None else min(seconds, ends_at - time.monotonic())
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, left)):
            await until.wait()


def run_top(settings: "Settings", lang: str | None = None, once: bool = False, window: str = "30m") -> int:
    """`queuelight top`: the board of the site in Redis, until Ctrl-C. Returns the exit code.

    Raises:
        SettingsError: no Redis is named.
    """
    from agents.snapshot_store import RedisSnapshots

    if settings.redis.url is None:
        raise SettingsError(
            "the board reads from Redis: say where with --redis redis://HOST:PORT or redis.url"
        )
    url = settings.redis.address

    async def show() -> int:
        store = RedisSnapshots(url, settings.site.name)
        try:
            return await run_board(store, language(lang), once=once, window=window)
        finally:
            await store.close()

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(
            errors="replace"
        )  # a terminal that cannot show Japanese must not end the board
    return asyncio.run(show())
