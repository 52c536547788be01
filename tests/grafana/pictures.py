"""What do the dashboards show of a simulated day? `python -m tests.grafana.pictures [FOLDER]` draws each.

Three days go through the pipeline into a real Prometheus (today, yesterday, a week ago), every panel asks its queries,
and Chromium draws the answers. Grafana draws none of it: see `tests.grafana.drawing`.
"""

import html
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from streams.simulator import Plan, Simulation
from tests.grafana import drawing
from tests.grafana.asked import CHOSEN, Json, boards, filled, of_panel
from tests.grafana.remembered import RULES, remember
from tests.prometheus.history import OPENS_MS, Day, History, Span, Worker, dated, simulated_day
from tests.system.local_prometheus import Series
from tests.system.server_process import program

DAY_MS = 86_400_000
STEP_S = 120
BUSY = {"queuelight-queue": {"queue": "注文・配送"}}
"""What is chosen in a dashboard that is about one queue: the one whose agents leave at 11:00."""


def main(folder: Path) -> None:
    """Draw every dashboard into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with History(RULES, lookback_s=10) as history:
        day = simulated_day(history)
        spans = [_earlier(day, days) for days in (7, 1)]
        # What was added is seen after a start.
        history.start()
        remember(day, spans)
        pages = {uid: page(day, board) for uid, board in boards().items()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium", "chromium"), args=["--no-sandbox"]
        )
        for uid, (text, height) in pages.items():
            view = browser.new_page(viewport={"width": 1480, "height": height})
            view.set_content(text)
            view.screenshot(path=folder / f"{uid.removeprefix('queuelight-')}.png")
            view.close()
        browser.close()


def _earlier(day: Day, days: int) -> Span:
    """A healthy day before the day: the same centre, other customers."""
    opens_ms = OPENS_MS - days * DAY_MS
    span = Span(opens_ms, opens_ms + day.ends_ms - OPENS_MS, 60)
    plan = Plan(contacts_per_s=0.06 if days == 1 else 0.052, queues=8)
    events = Simulation(day.site, plan, seed=days, keep_record=False).events(opens_ms, span.to_ms)
    day.history.add(dated(Worker(day.site, events), span.instants()))
    return span


def page(day: Day, board: Json) -> tuple[str, int]:
    """A dashboard as a page, and how tall it is."""
    chosen = {**CHOSEN, **BUSY.get(board["uid"], {})}
    cells = [_cell(day, board, panel, chosen) for panel in board["panels"]]
    tall = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * 32
    offered = [each for each in board["templating"]["list"] if each["type"] != "datasource"]
    values = (f"<span>{each['label']} <b>{_said(each, chosen[each['name']])}</b></span>" for each in offered)
    head = f"<h1>{board['title']}</h1><p>{html.escape(board['description'])}</p>"
    grid = f'<div class="grid" style="height:{tall}px">{"".join(cells)}</div>'
    return f'{drawing.PAGE}{head}<div class="chosen">{"".join(values)}</div>{grid}', tall + 130


def _said(variable: Json, value: str) -> str:
    texts = {option["value"]: option["text"] for option in variable.get("options", [])}
    return html.escape(texts.get(value, "All" if value == ".*" else value))


def _cell(day: Day, board: Json, panel: Json, chosen: dict[str, str]) -> str:
    grid = panel["gridPos"]
    place = f"left:{grid['x'] * 60}px;top:{grid['y'] * 32}px;width:{grid['w'] * 60 - 6}px;height:{grid['h'] * 32 - 6}px"
    if panel["type"] == "row":
        return f'<div class="row" style="{place}">{panel["title"]}</div>'
    answers = [_answer(day, each.expr, each.instant, each.every, chosen) for each in of_panel(board, panel)]
    inside = drawing.body(panel, answers, (OPENS_MS / 1000, day.ends_ms / 1000))
    return f'<div class="panel" style="{place}"><h2>{html.escape(panel["title"])}</h2>{inside}</div>'


def _answer(day: Day, expr: str, instant: bool, every: str, chosen: dict[str, str]) -> list[Series]:
    step_s = max(STEP_S, 60 * int(every.removesuffix("m") or 0))
    asked = filled(expr, span="8h", step=f"{step_s}s", rate="4m", chosen=chosen)
    if instant:
        return day.history.query(asked, day.ends_ms)
    return day.history.query_range(asked, Span(OPENS_MS, day.ends_ms, step_s))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "docs" / "grafana")
