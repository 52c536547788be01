"""How does one run what docker-compose.yml starts, without Docker? As processes of this machine, one for each container.

Words, variables, health checks and configuration are the file's own. Replaced are only places: a service's name and port by
a free port of 127.0.0.1, a path in a container by the file, folder or volume that is mounted there. Refuses to know
images: their programs must be on this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.compose.compose_file import ROOT, Service, services
from tests.system.kafka_doors import OpenDoor
from tests.system.local_kafka import LocalKafka
from tests.system.members import until
from tests.system.server_process import ServerError, ServerProcess, free_port, program

_SECRETS = "/run/secrets"
_HERE = ("localhost", "127.0.0.1", "0.0.0.0")
_STOP_PATIENCE_S = 20.0
_START_PATIENCE_S = 60.0
_PROGRAMS: Mapping[str, Callable[[], str]] = {
    "queuelight": lambda: str(Path(sys.executable).with_name("queuelight")),
    "valkey-server": lambda: program("redis-server", "redis-server"),
    "valkey-cli": lambda: program("redis-cli", "redis-tools"),
    "prometheus": lambda: program("prometheus", "prometheus"),
    "alertmanager": lambda: program("prometheus-alertmanager", "prometheus-alertmanager"),
}
_ENTRY_POINTS = {"prometheus": ["prometheus"], "alertmanager": ["alertmanager"]}
"""Of images whose entry point the file leaves as it is."""
_BROKER_ASKED = "/opt/kafka/bin/kafka-broker-api-versions.sh"
_ASKS = """\
#!{python}
# Kafka's own tool is in none of the jars that a broker needs: the same question, asked by another client.
import sys
from confluent_kafka.admin import AdminClient
asked = dict(zip(sys.argv[1::2], sys.argv[2::2]))
AdminClient({{"bootstrap.servers": asked["--bootstrap-server"], "log_level": 2}}).list_topics(timeout=5)
"""


class Natively:
    """The services of the compose file; `up` starts one and what it needs, leaving stops all.

    Args:
        folder: where secrets, volumes, logs and rewritten files are put.
        rewritten: what a mounted file says here, by its path in the container: where a place cannot be replaced as text.
    """

    def __init__(
        self, folder: Path, rewritten: Mapping[str, Callable[[str, Natively], str]] | None = None
    ) -> None:
        self._folder = folder
        self._rewritten = rewritten or {}
        self._services = services()
        self._ports: dict[tuple[str, str], int] = defaultdict(free_port)
        self._running: dict[str, ServerProcess] = {}
        self._kafka: LocalKafka | None = None
        self._programs = folder / "bin"

    # --- life -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._programs.mkdir(parents=True)
        for name, found in _PROGRAMS.items():
            (self._programs / name).symlink_to(found())
        asks = self._programs / Path(_BROKER_ASKED).name
        asks.write_text(_ASKS.format(python=sys.executable))
        asks.chmod(0o755)
        secrets = ["make", "-C", str(ROOT), "secrets", f"SECRETS={self._folder / 'secrets'}"]
        subprocess.run(secrets, check=True, capture_output=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running.values()):
            process.end(signal.SIGTERM, _STOP_PATIENCE_S)
        if self._kafka is not None:
            self._kafka.stop()

    def up(self, name: str, container: int = 1) -> None:
        """Start a container of a service, when what it needs is as it must be; a running one is left alone."""
        service = self._services[name]
        for need, condition in service.needs.items():
            self.up(need)
            self._wait_for(need, condition)
        own = f"{name}-{container}"
        if own in self._running or (name == "kafka" and self._kafka is not None):
            return
        for inside in service.mounts:
            self._path(service, inside)  # also what no word names
        if name == "kafka":
            self._kafka = LocalKafka(port=self.port("kafka", 9092), doors=_AsComposed(service, self))
            self._kafka.start()
            return
        words = [self._here(word, service, own) for word in (*_ENTRY_POINTS.get(name, []), *service.words)]
        self._running[own] = ServerProcess(own)
        self._running[own].start(words, self.log(own), cwd=self._folder, env=self._environment(service, own))

    def kill(self, name: str, container: int = 1) -> None:
        """End a container as a crash would."""
        self._running.pop(f"{name}-{container}").end(signal.SIGKILL, _STOP_PATIENCE_S)

    # --- asked ------------------------------------------------------------------------------------------------

    def port(self, service: str, inside: int, container: int = 1) -> int:
        """The port of this machine that stands for one in a container."""
        return self._ports[f"{service}-{container}", str(inside)]

    def log(self, container: str) -> Path:
        """What a container prints: "worker-2"."""
        return self._folder / f"{container}.log"

    def is_healthy(self, name: str, container: int = 1) -> bool:
        """The answer of the service's own health check."""
        service, own = self._services[name], f"{name}-{container}"
        head, *words = [self._here(word, service, own) for word in service.health]
        command = ["sh", "-c", *words] if head == "CMD-SHELL" else [head, *words]
        asked = subprocess.run(command, capture_output=True, env=self._environment(service, own), timeout=60)
        return asked.returncode == 0

    def _wait_for(self, name: str, condition: str) -> None:
        if condition == "service_healthy":
            until(lambda: self.is_healthy(name), f"{name} is healthy", _START_PATIENCE_S)
            return
        assert condition == "service_completed_successfully", condition
        process = self._running[f"{name}-1"]
        code = process.wait(_START_PATIENCE_S)
        if code != 0:
            raise ServerError(f"{name} ended with {code}:\n{process.log_tail()}")

    # --- places -----------------------------------------------------------------------------------------------

    def _environment(self, service: Service, own: str) -> dict[str, str]:
        said = {}
        for name, value in service.environment.items():
            port = name.endswith("_PORT")
            said[name] = str(self._ports[own, value]) if port else self._here(value, service, own)
        return {"PATH": f"{self._programs}:{os.environ['PATH']}", "HOME": str(self._folder), **said}

    def _here(self, text: str, service: Service, own: str) -> str:
        """A text with the places in it that stand for those in a container."""
        text = text.replace(_BROKER_ASKED, Path(_BROKER_ASKED).name)
        paths = sorted([*service.mounts, _SECRETS], key=len, reverse=True)
        text = re.sub("|".join(map(re.escape, paths)), lambda m: str(self._path(service, m[0])), text)
        names = "|".join(map(re.escape, (*self._services, *_HERE)))
        text = re.sub(rf"\b({names}):(\d+)", lambda m: self._address(m[1], m[2], own), text)
        text = re.sub(r"(?<=--port )\d+|(?<=-p )\d+", lambda m: str(self._ports[own, m[0]]), text)
        return text.replace("0.0.0.0", "127.0.0.1")

    def _address(self, host: str, port: str, own: str) -> str:
        return f"127.0.0.1:{self._ports[own if host in _HERE else f'{host}-1', port]}"

    def _path(self, service: Service, inside: str) -> Path:
        """Where that is which a container sees under a path."""
        if inside == _SECRETS:
            return self._folder / "secrets"
        source = service.mounts[inside]
        if isinstance(source, str):
            volume = self._folder / "volumes" / source
            volume.mkdir(parents=True, exist_ok=True)
            return volume
        # Beside one another as in the container: one file names others by their place relative to its own.
        seen = self._folder / "mounts" / service.name / inside.lstrip("/")
        if not seen.exists():
            seen.parent.mkdir(parents=True, exist_ok=True)
            if inside in self._rewritten:
                seen.write_text(self._rewritten[inside](source.read_text(encoding="utf-8"), self))
            else:
                seen.symlink_to(source)
        return seen


class _AsComposed(OpenDoor):
    """Kafka's properties as the image makes them of the variables, but for addresses and the folder of the data."""

    _PLACES = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs")
    _OF_THE_IMAGE = ("CLUSTER_ID", "KAFKA_HEAP_OPTS")

    def __init__(self, service: Service, natively: Natively) -> None:
        self._said = {
            key.removeprefix("KAFKA_").lower().replace("_", "."): value
            for key, value in service.environment.items()
            if key not in self._OF_THE_IMAGE
        }
        self._natively = natively

    def properties(self, port: int, controller: int) -> str:
        """All properties that the file says; each listener on a port of its own."""
        ports = {"9092": port, "9093": controller, "9094": self._natively.port("kafka", 9094)}
        listeners = re.sub(r"0\.0\.0\.0:(\d+)", lambda m: f"127.0.0.1:{ports[m[1]]}", self._said["listeners"])
        advertised = re.sub(
            r"//\w+:(\d+)", lambda m: f"//127.0.0.1:{ports[m[1]]}", self._said["advertised.listeners"]
        )
        said = {key: value for key, value in self._said.items() if key not in self._PLACES}
        said |= {"listeners": listeners, "advertised.listeners": advertised}
        return "".join(f"{key}={value}\n" for key, value in said.items())
