"""What must Prometheus record for the dashboards, besides what the alerts' own rules record already?

A recording rule for every gauge that a panel reads. Refuses to know alerts: their rules are written by hand.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from dashboards.grafana.promql import labels_of, level_of
from schemas.metrics import METRICS, VARIANTS

FOLDER = Path(__file__).resolve().parents[1] / "prometheus" / "rules"
FILE = FOLDER / "dashboards.yml"
_NAME = re.compile(r"[a-z_]+:(queuelight_[a-z_]+):last")
_HEAD = """\
# Read by Prometheus. Written by `python -m dashboards.grafana`: what the dashboards read and no alert needs.
#
# Over 15 s, three scrapes: a missed scrape leaves no gap, and while a queue moves from one worker to another both may
# show it (hence `max`, never `sum`). Every 15 s: people look at lines, and each evaluation is stored.

groups:
  - name: queuelight-dashboards
    interval: 15s
    rules:
"""


def text(asked: Iterable[str]) -> str:
    """The file of rules for what these texts of dashboards ask."""
    named = {name for each in asked for name in _names(each)}
    elsewhere = {name for path in FOLDER.glob("*.yml") if path != FILE for name in _recorded(path)}
    names = (each for metric in METRICS for each in (metric, f"{metric}_bucket"))
    wanted = (name for name in names if f"{level_of(name)}:{name}:last" in named - elsewhere)
    return _HEAD + "".join(map(_rule, wanted))


def _names(asked: str) -> set[str]:
    """Every recorded name in a dashboard, whichever variant it shows."""
    return {
        found[0] for variant in VARIANTS for found in _NAME.finditer(asked.replace("${variant}", variant))
    }


def _recorded(path: Path) -> list[str]:
    return re.findall(r"^\s*- record: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def _rule(name: str) -> str:
    labels = labels_of(name)
    by = f" by ({', '.join(labels)})" if labels else ""
    return (
        f"      - record: {level_of(name)}:{name}:last\n        expr: max{by} (last_over_time({name}[15s]))\n"
    )
