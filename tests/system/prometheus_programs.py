"""Which Prometheus and Alertmanager are there to test with? Those of this machine, and those of a later Debian.

Rules and configuration must hold on the oldest version in use and on a present one. The later ones are taken with apt
from wherever this machine takes its Debian packages, unpacked and not installed: nothing is started, nothing replaced.
Refuses to know how servers are run.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.system.fetched import CACHE, fetched
from tests.system.server_process import ServerError, program

UNPACKED = CACHE / "prometheus-3"
LATER = "forky"
"""The Debian release after the ones that have Prometheus 2: it keeps its name and a Prometheus 3 for years."""
_PACKAGES = ("prometheus", "promtool", "prometheus-alertmanager")


class Programs(NamedTuple):
    """The programs of one release."""

    prometheus: str
    promtool: str
    alertmanager: str
    amtool: str


def installed() -> Programs:
    """Those on PATH.

    Raises:
        ServerError: one is missing; the message says how to install it.
    """
    return Programs(
        program("prometheus", "prometheus"),
        program("promtool", "prometheus"),
        program("prometheus-alertmanager", "prometheus-alertmanager"),
        program("amtool", "prometheus-alertmanager"),
    )


def later() -> Programs:
    """Prometheus 3 and its Alertmanager; fetched at the first call.

    Raises:
        ServerError: this machine has no apt, or its mirror no such packages.
    """
    fetched(UNPACKED, LATER, _unpack)
    names = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
    return Programs(*(str(UNPACKED / name) for name in names))


def _unpack(folder: Path) -> None:
    """Put the programs of the packages into the folder."""
    print(f"fetching Prometheus 3 with apt, once, into {folder.parent}", file=sys.stderr)
    work = folder / "work"
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "archives" / "partial").mkdir(parents=True)
    (work / "sources.list").write_text(f"deb {_mirror()} {LATER} main\n")
    apt = (
        "apt-get", "-qq",
        "-o", f"Dir::Etc::SourceList={work}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
        "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}", "-o", "Dir::State::status=/dev/null",
        "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
        # The user that apt hands downloads to may not write into this folder.
        "-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
    )  # fmt: skip
    _run(*apt, "update")
    _run(*apt, "download", *_PACKAGES, cwd=work)
    for package in work.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(package), str(work / "tree"))
    for path in (work / "tree" / "usr" / "bin").iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(work)


@functools.cache
def _mirror() -> str:
    """Where this machine takes the packages of Debian itself."""
    said = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
    if not said:
        raise ServerError(
            "apt takes no packages of Debian here: expected a Debian machine after `apt-get update`"
        )
    return said.splitlines()[0]


def _run(*command: str, cwd: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise ServerError(f"{command[0]} was not found: Prometheus 3 is taken from Debian packages")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise ServerError(
            f"{' '.join(command[:2])} ... {command[-1]}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    try:
        later()
    except ServerError as error:
        # The tests that need them say so themselves.
        print(f"Prometheus 3 is not here: {error}", file=sys.stderr)
