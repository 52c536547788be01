"""What does the project ship for Prometheus and Alertmanager, and what do their own tools say of it?"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

PROMETHEUS = Path(__file__).resolve().parents[2] / "dashboards" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))


class Rule(NamedTuple):
    """One rule: `name` of its alert or of what it records; `stays` is its `keep_firing_for`, "" where it has none."""

    name: str
    records: bool
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    stays: str


def _rules() -> Iterator[Rule]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                name, words = rule.get("alert") or rule["record"], rule.get("annotations", {})
                stays = rule.get("keep_firing_for", "")
                yield Rule(name, "record" in rule, rule["expr"], rule.get("labels", {}), words, stays)


RECORDED = [rule for rule in _rules() if rule.records]
ALERTS = {rule.name: rule for rule in _rules() if not rule.records}


def run(*command: str | Path, zone: str = "UTC") -> str:
    """Run a tool; what it printed. What it finds wrong fails the test."""
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "TZ": zone},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
