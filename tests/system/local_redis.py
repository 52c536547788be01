"""How does one run a real Redis for tests and benchmarks, empty at every start?

One redis-server on 127.0.0.1 that writes nothing to disk. It refuses to know keys, scripts and who uses it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.system.authority import Authority
from tests.system.server_process import LocalServer, ServerError, program

_START_PATIENCE_S = 20.0
_GLANCE_S = 0.02


@dataclass(frozen=True)
class RedisLock:
    """TLS, a password, and certificates that clients must show, all signed by one authority."""

    authority: Authority
    password: str

    def options(self, port: int) -> list[str]:
        """The server's; nobody gets in unencrypted."""
        own = self.authority.issue("redis")
        files = {
            "--tls-cert-file": own.shown,
            "--tls-key-file": own.key,
            "--tls-ca-cert-file": self.authority.ca,
        }
        named = [str(word) for pair in files.items() for word in pair]
        return ["--port", "0", "--tls-port", str(port), *named, "--requirepass", self.password]

    def client(self) -> dict[str, str]:
        """What a client says besides the address, in redis-py's words."""
        own = self.authority.issue("probe")
        files = {"ssl_certfile": own.shown, "ssl_keyfile": own.key, "ssl_ca_certs": self.authority.ca}
        return {"password": self.password, **{name: str(path) for name, path in files.items()}}


class LocalRedis(LocalServer):
    """One Redis server, empty at every start; its log in the given folder or in a temporary one."""

    name = "Redis"
    word = "redis"

    def __init__(
        self, data: Path | None = None, port: int | None = None, lock: RedisLock | None = None
    ) -> None:
        super().__init__(data, port)
        self._lock = lock

    @property
    def url(self) -> str:
        """The address for clients, as "redis://127.0.0.1:port/0"; known after the first start."""
        return f"redis{'s' if self._lock else ''}://{self.address}/0"

    def _command(self) -> list[str]:
        place = ["--bind", "127.0.0.1", "--dir", str(self.folder)]
        door = self._lock.options(self.port) if self._lock else ["--port", str(self.port)]
        return [program("redis-server", "redis-server"), *place, *door, "--save", "", "--appendonly", "no"]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE_S
        known = self._lock.client() if self._lock else {}
        with Redis.from_url(self.url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0), **known) as client:
            while time.monotonic() < deadline:
                self._process.check_alive()
                try:
                    if client.ping():
                        return
                except RedisError:
                    # A refused connection answers at once: look again a moment later, not in a busy loop.
                    time.sleep(_GLANCE_S)
        raise ServerError(f"Redis did not answer at {self.url}:\n{self._process.log_tail()}")
