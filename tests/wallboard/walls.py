"""How does a test own a real wallboard: its process, its Redis rows, its streams?

Refuses to know what a test expects of them.
"""

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from agents.snapshot_store import RedisSnapshots
from schemas.snapshots import RowState
from tests.system.members import until
from tests.system.server_process import ServerProcess, free_port
from tests.wallboard.rows import SITE

QUEUELIGHT = Path(sys.executable).with_name("queuelight")
_STOP_PATIENCE_S = 20.0


class Wall:
    """One process of `queuelight wallboard`. The constructor does nothing; `start` starts and waits for an answer."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        toml: str = "",
        *words: str,
        site: str = SITE,
        day_starts_at: str = "00:00",
    ) -> None:
        self.port = free_port()
        self.config = folder / f"wall-{self.port}.toml"
        self._head = (
            f'[site]\nname = "{site}"\nday_starts_at = "{day_starts_at}"\n[redis]\nurl = "{redis_url}"\n'
        )
        self._words = words
        self._log = folder / f"wall-{self.port}.log"
        self._process = ServerProcess("wallboard")
        self.write(toml)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def write(self, toml: str) -> None:
        """Put settings into its file."""
        self.config.write_text(self._head + toml, encoding="utf-8")

    def start(self) -> Self:
        """Start it, and return when it answers."""
        port = str(self.port)
        self._process.start(
            [str(QUEUELIGHT), "wallboard", "--config", str(self.config), "--port", port, *self._words],
            self._log,
        )
        until(self._answers, "the wallboard answers", 30)
        return self

    def _answers(self) -> bool:
        self._process.check_alive()
        return self.get("/livez")[0] == 200

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> int | None:
        """Send a signal, wait for the end, and return the exit code; None: it did not end."""
        os.kill(self.pid, with_signal)
        code = self._process.wait(_STOP_PATIENCE_S)
        self._process.end(signal.SIGKILL, _STOP_PATIENCE_S)
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self._process.end(signal.SIGKILL, _STOP_PATIENCE_S)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer; (0, b"") while nobody answers."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def board(self, name: str = "default") -> dict[str, Any]:
        """The snapshot of a board."""
        status, body = self.get(f"/api/v1/board?board={name}")
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found


class Frame(NamedTuple):
    """One event of a stream."""

    event: str
    id: str
    data: dict[str, Any]


class Screen:
    """One open stream, read as a browser does."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.retry_ms: int | None = None

    def next(self) -> Frame:
        """The next event."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "retry":
                self.retry_ms = int(value)
            elif name:
                fields[name] = value
            elif fields:
                return Frame(fields["event"], fields["id"], json.loads(fields["data"]))
        raise AssertionError("the stream ended")

    def until(self, is_it: Callable[[Frame], bool], most: int = 40) -> Frame:
        """The first event of which that is true, of the next `most`."""
        seen = []
        for _ in range(most):
            frame = self.next()
            if is_it(frame):
                return frame
            seen.append((frame.event, frame.id))
        raise AssertionError(f"not among {seen}")

    def read_to_the_end(self) -> None:
        """Read until the stream ends in order; a stream that is cut off is an error."""
        for _ in self._lines:
            pass

    def named(self, event: str) -> Frame:
        """The next event of this name."""
        return self.until(lambda frame: frame.event == event)


@contextmanager
def screen(url: str, board: str = "default", **headers: str) -> Iterator[Screen]:
    """Open a stream of a board."""
    with (
        httpx.Client(timeout=20) as client,
        client.stream("GET", f"{url}/api/v1/stream", params={"board": board}, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        yield Screen(answer.iter_lines())


def publish(
    url: str, rows: Sequence[RowState], removed: Sequence[str] = (), position: int = 1
) -> dict[str, int]:
    """Publish rows as a worker does; return how many were stored, and how many the fence refused."""

    async def run() -> dict[str, int]:
        store = RedisSnapshots(url, SITE)
        results = {"stored": 0, "fenced": 0}
        done = asyncio.Event()

        def count(result: str, number: int) -> None:
            results[result] += number
            if sum(results.values()) == len(rows) + len(removed):
                done.set()

        store.count = count
        store.offer(rows)
        store.remove(removed, 1, position)
        running = asyncio.create_task(store.run())
        async with asyncio.timeout(10):
            await done.wait()
        running.cancel()
        await store.close()
        return results

    return asyncio.run(run())
