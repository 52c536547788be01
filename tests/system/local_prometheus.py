"""How does one run a real Prometheus for tests and benchmarks, on blocks made before, and ask it?

One prometheus on 127.0.0.1 with a given configuration. It refuses to know what the numbers mean and who scrapes whom.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.system.server_process import LocalServer, ServerError, program

_START_PATIENCE_S = 30.0
_GLANCE_S = 0.05
_PACKAGE = "prometheus"
_NO_SCRAPES = "global: {scrape_interval: 15s, evaluation_interval: 15s}\n"


class QueryError(RuntimeError):
    """Prometheus refused a query; the message is its own."""


class Series(NamedTuple):
    """One series of an answer: its labels (`__name__` among them) and {Unix seconds: value}, in time order."""

    labels: dict[str, str]
    values: dict[float, float]

    @property
    def value(self) -> float:
        """The newest value."""
        return next(reversed(self.values.values()))


class HttpServer(LocalServer):
    """A server of the Prometheus family: it answers HTTP, and says at /-/ready whether it is."""

    def __init__(self, data: Path | None, port: int | None, patience_s: float) -> None:
        super().__init__(data, port)
        self._client = httpx.Client(timeout=patience_s, trust_env=False)

    @property
    def url(self) -> str:
        """Its address, "http://127.0.0.1:port"; known after the first start."""
        return f"http://{self.address}"

    def stop(self) -> None:
        """Stop in order; a temporary folder is removed."""
        super().stop()
        self._client.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE_S
        while time.monotonic() < deadline:
            self._process.check_alive()
            try:
                if self._client.get(self.url + "/-/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            # A refused connection answers at once: look again a moment later, not in a busy loop.
            time.sleep(_GLANCE_S)
        raise ServerError(f"{self.name} was not ready at {self.url}:\n{self._process.log_tail()}")


class LocalPrometheus(HttpServer):
    """One Prometheus.

    Args:
        config: its configuration as YAML; by default it scrapes nothing.
        data, port: see `LocalServer`.
        lookback_s: how old a sample may be that an instant is answered with; by default Prometheus' 5 min.
    """

    name = "Prometheus"
    word = "prometheus"
    stop_patience_s = 20.0

    def __init__(
        self,
        config: str = _NO_SCRAPES,
        data: Path | None = None,
        port: int | None = None,
        lookback_s: int = 300,
    ) -> None:
        super().__init__(data, port, patience_s=120.0)
        self._config = config
        self._lookback_s = lookback_s

    @property
    def blocks(self) -> Path:
        """The folder of its time series; what is added to it is seen after a restart."""
        return self.folder / "blocks"

    def _command(self) -> list[str]:
        config = self.folder / "prometheus.yml"
        config.write_text(self._config, encoding="utf-8")
        return [
            program("prometheus", _PACKAGE),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.blocks}",
            # Simulated days may lie long ago.
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={self.address}",
            "--rules.alert.resend-delay=2s",
            f"--query.lookback-delta={self._lookback_s}s",
            "--log.level=warn",
        ]

    # --- asked ------------------------------------------------------------------------------------------------

    def query(self, expr: str, at_s: float | None = None) -> list[Series]:
        """The instant vector of an expression at a Unix time; None: now.

        Raises:
            QueryError: the expression is none.
        """
        asked: dict[str, str | float] = {"query": expr}
        if at_s is not None:
            asked["time"] = at_s
        found = self.get("/api/v1/query", asked)
        assert isinstance(found, dict)
        if found["resultType"] == "scalar":
            at, value = found["result"]
            return [Series({}, {float(at): float(value)})]
        return [Series(each["metric"], dict([_sample(each["value"])])) for each in found["result"]]

    def query_range(self, expr: str, from_s: float, to_s: float, step_s: float) -> list[Series]:
        """The series of an expression at from_s, from_s + step_s, ... up to and including `to_s`, in Unix seconds.

        Raises:
            QueryError: the expression is none, or asks for more than 11,000 points.
        """
        asked: dict[str, str | float] = {"query": expr, "start": from_s, "end": to_s, "step": step_s}
        found = self.get("/api/v1/query_range", asked)
        assert isinstance(found, dict)
        return [Series(each["metric"], dict(map(_sample, each["values"]))) for each in found["result"]]

    def get(self, path: str, asked: Mapping[str, str | float] | None = None) -> object:
        """The `data` of an answer of the HTTP API.

        Raises:
            QueryError: it answers with an error.
        """
        answer = (
            self._client.post(self.url + path, data=asked) if asked else self._client.get(self.url + path)
        )
        said = answer.json()
        if said["status"] != "success":
            raise QueryError(f"{path} {dict(asked or {})}: {said['error']}")
        return said["data"]


def _sample(pair: tuple[float, str]) -> tuple[float, float]:
    at_s, value = pair
    return float(at_s), float(value)


def promtool(*words: str | Path) -> str:
    """Run promtool; what it printed.

    Raises:
        ServerError: it is missing or found something wrong; the message is what it said.
    """
    command = [program("promtool", _PACKAGE), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise ServerError(f"promtool {' '.join(map(str, words))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def add_blocks(lines: Iterator[str], blocks: Path, work: Path) -> None:
    """Add samples to a folder of time series; a running Prometheus sees them after its next start.

    Args:
        lines: OpenMetrics with a time in Unix seconds on every sample, ends of line included; samples of one series
            in time order. The final "# EOF" is added here.
        blocks: made if it is missing.
        work: a folder for the text, which is removed afterwards.
    """
    text = work / "samples.openmetrics"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.write("# EOF\n")
    blocks.mkdir(parents=True, exist_ok=True)
    # Blocks of a day and more: promtool reads the whole text anew for each.
    promtool(
        "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=2190h", "--quiet", text, blocks
    )
    text.unlink()
