"""Which files are written? One for each dashboard and one of rules, always the same bytes from the same program."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import alerts, floor, intraday, one_queue, people, pipeline, rules, web
from dashboards.grafana.board import dashboard

FOLDER = Path(__file__).parent / "json"
BOARDS = (floor.BOARD, one_queue.BOARD, intraday.BOARD, people.BOARD, web.BOARD, alerts.BOARD, pipeline.BOARD)
"""From the general to the specific: the order in which one asks."""


def files() -> dict[Path, str]:
    """The text of each file by its path: the dashboards, and the rules that record what they read."""
    texts = {FOLDER / f"{board.uid}.json": _text(dashboard(board)) for board in BOARDS}
    return {**texts, rules.FILE: rules.text(texts.values())}


def _text(made: object) -> str:
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
