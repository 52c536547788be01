"""How does a test own a server process, so that it never outlives the test?

Refuses to know which server it is, how that one is configured, and when it is ready.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

# Below the range from which Linux takes the local ports of outgoing connections: a client that keeps
# reconnecting to a server that is down could otherwise be given the server's own port, and talk to itself.
_PORTS = range(20_000, 30_000)
# Reads until its parent is gone, however it went, then kills the group of the server and removes its folder.
_LEASH = 'read -r _; kill -9 -"$1" 2>/dev/null; [ -z "$2" ] || rm -rf "$2"'


class ServerError(RuntimeError):
    """A server that cannot be started, or that died; the message says what to do or what it said last."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in random.sample(_PORTS, 200):
        if _is_free(port):
            return port
    raise ServerError(f"none of 200 ports tried between {_PORTS.start} and {_PORTS.stop - 1} is free")


def claim_port(wanted: int | None) -> int:
    """The wanted port, or any free one; a taken port is an error here, not the answer of a stranger later."""
    if wanted is None:
        return free_port()
    if not _is_free(wanted):
        raise ServerError(f"port {wanted} of 127.0.0.1 is taken by another process")
    return wanted


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def program(name: str, package: str) -> str:
    """The path of an installed program, or an error that says how to install it."""
    path = shutil.which(name)
    if path is None:
        raise ServerError(f"{name} was not found on PATH: sudo apt-get install -y {package}")
    return path


class DataFolder:
    """A given folder, which is kept, or a temporary one, which is removed."""

    def __init__(self, given: Path | None, prefix: str) -> None:
        self._given = given
        self._prefix = prefix
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> Path:
        """The folder; made at the first call, the same one at every later call."""
        if self._given is not None:
            self._given.mkdir(parents=True, exist_ok=True)
            return self._given.resolve()
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix=self._prefix)
        return Path(self._temporary.name)

    @property
    def temporary(self) -> Path | None:
        """The folder if it is a temporary one that exists now."""
        return None if self._temporary is None else Path(self._temporary.name)

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None


class ServerProcess:
    """One child process with its output in a log file. It dies with us, even if we are killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    def start(
        self,
        command: Sequence[str],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        remove: Path | None = None,
    ) -> None:
        """Run the command, appending what it prints to the log file; should we be killed, remove the folder.

        `env` is its whole environment; by default it has ours.
        """
        if self._process is not None:
            raise ServerError(f"{self.name} is already running as process {self._process.pid}")
        self._log = log
        with log.open("ab") as output:
            # A session of its own: Ctrl-C in a terminal reaches us alone, and we stop the server in order.
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._leash = subprocess.Popen(
            ["sh", "-c", _LEASH, "leash", str(self._process.pid), str(remove or "")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def check_alive(self) -> None:
        """Raise with the end of the log if the process has exited."""
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise ServerError(
                f"{self.name} does not run (exit code {code}); its log {self._log}:\n{self.log_tail()}"
            )

    def wait(self, patience_s: float | None = None) -> int | None:
        """Wait until the process ends by itself; its exit code, or None when patience runs out."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self, with_signal: signal.Signals, patience_s: float) -> None:
        """Send the signal and wait for the exit; SIGKILL when patience runs out. Nothing if not running."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.poll() is None:
                os.killpg(process.pid, with_signal)
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            self._release_leash()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines the server printed that speak of an error, or else the last lines."""
        if self._log is None or not self._log.exists():
            return "(no log)"
        printed = self._log.read_text(errors="replace").splitlines()
        telling = [line for line in printed if "ERROR" in line or "Exception" in line]
        return "\n".join((telling or printed)[-lines:])

    def _release_leash(self) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            leash.kill()
            leash.wait()
            if leash.stdin is not None:
                leash.stdin.close()


class LocalServer(ABC):
    """One server on 127.0.0.1. The constructor does nothing; `start()` starts.

    Args:
        data: its folder, which is kept; None: a temporary one, which is removed.
        port: a given port or, None, any free one.
    """

    name: ClassVar[str]
    """For people."""
    word: ClassVar[str]
    """In names of files."""
    stop_patience_s: ClassVar[float] = 10.0

    def __init__(self, data: Path | None, port: int | None) -> None:
        self._folder = DataFolder(data, f"queuelight-{self.word}-")
        self._port = port
        self._process = ServerProcess(self.name)

    @abstractmethod
    def _command(self) -> list[str]:
        """What to run, now that port and folder are there."""

    @abstractmethod
    def _wait_until_ready(self) -> None:
        """Return when it answers.

        Raises:
            ServerError: it died, or did not answer in time; the message has the end of its log.
        """

    @property
    def port(self) -> int:
        """Where it listens; known after the first start and kept since."""
        if self._port is None:
            raise ServerError(f"the port of {self.name} is chosen at its start")
        return self._port

    @property
    def address(self) -> str:
        """As "127.0.0.1:port"."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def folder(self) -> Path:
        """Where its configuration, its log and its data are."""
        return self._folder.open()

    @property
    def log(self) -> Path:
        """The file with everything the server printed, of all its starts."""
        return self.folder / f"{self.word}.log"

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self._port = claim_port(self._port)
        self._process.start(self._command(), self.log, remove=self._folder.temporary)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in order. Data in a given folder stay, a temporary folder is removed."""
        self._process.end(signal.SIGTERM, self.stop_patience_s)
        self._folder.close()

    def kill(self) -> None:
        """SIGKILL, as a crash would do; the folder stays."""
        self._process.end(signal.SIGKILL, self.stop_patience_s)

    def restart(self) -> None:
        """Stop in order and start again, on the same address and the same folder."""
        self._process.end(signal.SIGTERM, self.stop_patience_s)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
