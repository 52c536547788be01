"""How does one run real workers as processes, hurt them, and let them come back?"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from agents.settings import Settings


def _work(settings: Settings) -> None:
    import logging

    from agents.worker import run_worker

    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(run_worker(settings))


class Member:
    """One worker of a group under its own name; it can be killed, stopped, paused and started again."""

    def __init__(self, settings: Settings, name: str, metrics_port: int = 0) -> None:
        own = settings.worker.model_copy(update={"name": name, "metrics_port": metrics_port})
        self._settings = replace(settings, worker=own)
        self._process: SpawnProcess | None = None

    def start(self) -> None:
        """Start a process of this name."""
        self._process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._settings,), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process of this name that was started last."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal and, where it ends the process, wait for the end."""
        assert self._process is not None
        os.kill(self.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._process.join(30)
            assert not self._process.is_alive()

    def is_alive(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.is_alive()

    def end(self) -> None:
        """End the process whatever state it is in."""
        if self._process is not None and self._process.is_alive():
            self.send(signal.SIGKILL)


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)
