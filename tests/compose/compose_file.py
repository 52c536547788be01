"""What does docker-compose.yml say, once its variables have their defaults?

Refuses to know Docker: services are words, variables, mounts and a question after their health.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\$|\$\{\w+:-([^}]*)\}")


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        words: what is run: entry point and command.
        environment: its variables.
        mounts: what is seen under a path: a file or folder of the checkout, or the name of a volume.
        health: how its health is asked for: words, or one line for a shell after "CMD-SHELL"; empty: not at all.
        needs: names of services, and what must be true of them: "service_healthy", "service_completed_successfully".
        said: everything the file says of it.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    mounts: Mapping[str, Path | str]
    health: Sequence[str]
    needs: Mapping[str, str]
    said: Mapping[str, Any]


def whole_file() -> dict[str, Any]:
    """The file as it is in force where no variable is set."""
    text = _VARIABLE.sub(lambda m: "$" if m[0] == "$$" else m[1], FILE.read_text(encoding="utf-8"))
    read = yaml.safe_load(text)
    assert isinstance(read, dict)
    return read


def services() -> dict[str, Service]:
    """Every service by name."""
    return {name: _service(name, said) for name, said in whole_file()["services"].items()}


def _service(name: str, said: Mapping[str, Any]) -> Service:
    entry = said.get("entrypoint", [] if "build" not in said else ["queuelight"])
    mounts: dict[str, Path | str] = {}
    for volume in said.get("volumes", []):
        source, target = volume.split(":")[:2]
        mounts[target] = ROOT / source if source.startswith(".") else source
    return Service(
        name=name,
        words=[*entry, *map(str, said.get("command", []))],
        environment={key: str(value) for key, value in said.get("environment", {}).items()},
        mounts=mounts,
        health=[word for word in said.get("healthcheck", {}).get("test", []) if word != "CMD"],
        needs={need: how["condition"] for need, how in said.get("depends_on", {}).items()},
        said=said,
    )
