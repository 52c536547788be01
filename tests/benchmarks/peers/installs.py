"""What must be installed before a peer can run, and where?

Each peer gets a folder of its own under `.cache/peers/`: a virtual environment with exactly the versions in the
text file beside its program, or a Maven build. Installed once, and again when the file or source changes; an
interrupted installation leaves no marker and is repeated. It refuses to know how a peer is run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.system.fetched import CACHE, fetched
from tests.system.server_process import ServerError, program

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
PEERS = CACHE / "peers"

_JAVA_PROJECT = HERE / "kafka_streams"
_PATIENCE_S = 1_200


class InstallError(RuntimeError):
    """A peer could not be installed; the message ends with what the installer said."""


def python_of(requirements: Path) -> Path:
    """The interpreter of a virtual environment with exactly these requirements."""
    folder = PEERS / requirements.stem.removesuffix("_waits")

    def install() -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        _run([*pip, "-r", str(requirements)])

    _once(folder, sys.version, [requirements], install)
    return folder / "bin" / "python"


def kafka_streams_classpath() -> str:
    """The class path of the Kafka Streams program, compiled, with its libraries."""
    folder = PEERS / "kafka-streams"
    pom, sources = _JAVA_PROJECT / "pom.xml", _JAVA_PROJECT / "src"

    def build() -> None:
        maven = [program("mvn", "maven"), "-q", "-B", "-f", str(pom), f"-Dbuild.folder={folder}"]
        copy = [
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder / 'libs'}",
        ]
        _run([*maven, "compile", *copy])

    try:
        program("javac", "openjdk-17-jdk-headless")
        _once(folder, "", [pom, *sorted(sources.rglob("*.java"))], build)
    except ServerError as missing:
        raise InstallError(str(missing)) from missing
    return f"{folder / 'classes'}:{folder / 'libs'}/*"


def _once(folder: Path, salt: str, inputs: Iterable[Path], install: Callable[[], None]) -> None:
    """Install into the folder unless a complete installation from the same inputs is there."""
    wanted = hashlib.sha256(salt.encode() + b"".join(file.read_bytes() for file in inputs)).hexdigest()

    def fill(empty: Path) -> None:
        print(f"installing {folder.name}, once, into {empty}", file=sys.stderr)
        install()

    fetched(folder, wanted, fill)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired as late:
        raise InstallError(f"{' '.join(command)} took more than {_PATIENCE_S} s") from late
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
