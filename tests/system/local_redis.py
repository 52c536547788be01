"""How does one run a real Redis for tests and benchmarks, empty at every start?

One redis-server on 127.0.0.1 that writes nothing to disk. It refuses to know keys, scripts and who uses it.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.system.server_process import DataFolder, ServerError, ServerProcess, claim_port, program

_START_PATIENCE_S = 20.0
_STOP_PATIENCE_S = 10.0
_GLANCE_S = 0.02


class LocalRedis:
    """One Redis server on 127.0.0.1. The constructor does nothing; `start()` starts."""

    def __init__(self, data: Path | None = None, port: int | None = None) -> None:
        """Its log in the given folder, which is kept, or in a temporary one; a given port or any free one."""
        self._folder = DataFolder(data, "queuelight-redis-")
        self._port = port
        self._process = ServerProcess("Redis")

    @property
    def url(self) -> str:
        """The address for clients, as "redis://127.0.0.1:port/0"; known after the first start."""
        if self._port is None:
            raise ServerError("the port of Redis is chosen at its start")
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file with everything the server printed, of all its starts."""
        return self._folder.open() / "redis.log"

    def start(self) -> None:
        """Start an empty server, and return when it answers a PING."""
        redis = program("redis-server", "redis-server")
        self._port = claim_port(self._port)
        place = ["--bind", "127.0.0.1", "--port", str(self._port), "--dir", str(self._folder.open())]
        command = [redis, *place, "--save", "", "--appendonly", "no"]
        self._process.start(command, self.log, remove=self._folder.temporary)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in order; a temporary folder is removed."""
        self._process.end(signal.SIGTERM, _STOP_PATIENCE_S)
        self._folder.close()

    def kill(self) -> None:
        """SIGKILL, as a crash would do."""
        self._process.end(signal.SIGKILL, _STOP_PATIENCE_S)

    def restart(self) -> None:
        """Stop in order and start again on the same address, empty."""
        self._process.end(signal.SIGTERM, _STOP_PATIENCE_S)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE_S
        with Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline:
                self._process.check_alive()
                try:
                    if client.ping():
                        return
                except RedisError:
                    # A refused connection answers at once: look again a moment later, not in a busy loop.
                    time.sleep(_GLANCE_S)
        raise ServerError(f"Redis did not answer at {self.url}:\n{self._process.log_tail()}")
