"""What does the board look like? Draws `docs/board.svg` from a simulated morning: `python -m agents.picture [FILE]`.

The numbers are the pipeline's: simulator -> driver -> snapshots -> board. Run again, it draws the same picture. The
SVG is our own because rich's squeezes Japanese and fetches its font from elsewhere.
"""

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style

from agents.board_view import render
from schemas.snapshots import Snapshot
from streams.driver import Driver, Item
from streams.simulator import Incident, Plan, Simulation, default_site, encode

WIDTH = 120
_OPENS = "2026-10-01T08:00:00+09:00"
_MINUTES = 101
_PLAN = Plan(
    contacts_per_s=0.33,
    flat=True,
    load=0.7,
    ring_s=2.5,
    client_deaths_per_day=0.1,
    incidents=(
        Incident(after_s=4700.0, lasts_s=3600.0, surge=2.6, queues=("注文・配送",)),
        Incident(after_s=5100.0, lasts_s=3600.0, staff_leaves=0.75, queues=("Sales (chat)",)),
        Incident(after_s=5850.0, lasts_s=900.0, staff_leaves=0.9, surge=5.0, queues=("Technical support",)),
    ),
)
_CELL_W, _CELL_H, _SIZE, _EDGE = 9.6, 21, 16, 16
_INK, _PAPER = "#e4e4e4", "#1c1c1c"
_FONTS = (
    "'DejaVu Sans Mono',Menlo,Consolas,'Noto Sans Mono CJK JP','Noto Sans CJK JP','Hiragino Sans',monospace"
)
_RUN = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*|[\u2581-\u2588]+|[^\x20-\x7e\u2581-\u2588]+")
"""What is set in one piece: words of one width, a sparkline, signs and Japanese."""


def morning(plan: Plan = _PLAN, minutes: float = _MINUTES, seed: int = 3) -> tuple[list[Snapshot], int]:
    """The snapshots of ten queues after so many minutes, and the time (Unix ms) they are of."""
    opens_ms = int(datetime.fromisoformat(_OPENS).timestamp() * 1000)
    now_ms = opens_ms + int(minutes * 60_000)
    simulation = Simulation(default_site(10), plan, seed=seed, keep_record=False)
    driver = Driver(simulation.site, partitions=2)
    driver.feed(Item(topic, key, encode(event)) for topic, key, event in simulation.events(opens_ms, now_ms))
    driver.finish(now_ms)
    return list(driver.snapshots(now_ms)), now_ms


def draw(snapshots: list[Snapshot], now_ms: int, lang: str = "en", width: int = WIDTH) -> str:
    """The board as SVG."""
    console = Console(width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    lines = console.render_lines(render(snapshots, now_ms, lang, width, zone=ZoneInfo("Asia/Tokyo")))
    parts: list[str] = []
    for row, line in enumerate(lines):
        column = 0
        for text, style, _ in line:
            parts += _pieces(text, style or Style(), column, row)
            column += cell_len(text)
    wide, high = round(width * _CELL_W + 2 * _EDGE), len(lines) * _CELL_H + 2 * _EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="{_FONTS}" '
        f'font-size="{_SIZE}" fill="{_INK}">\n<title>The live board: queuelight top</title>\n'
        f'<rect width="{wide}" height="{high}" rx="8" fill="{_PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _pieces(text: str, style: Style, column: int, row: int) -> Iterator[str]:
    """Background, underline and words of one piece of a line, each word on its own cells."""
    left, top = _EDGE + column * _CELL_W, _EDGE + row * _CELL_H
    wide = cell_len(text) * _CELL_W
    if style.bgcolor is not None:
        fill = style.bgcolor.get_truecolor().hex
        yield f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{_CELL_H - 1}" fill="{fill}"/>'
    if style.underline:
        yield f'<rect x="{left:.1f}" y="{top + _CELL_H - 2}" width="{wide:.1f}" height="1" fill="#5a5a5a"/>'
    ink = f' fill="{style.color.get_truecolor().hex}"' if style.color is not None else ""
    ink += ' font-weight="bold"' if style.bold else ""
    for found in _RUN.finditer(text):
        run = found.group()
        x = left + cell_len(text[: found.start()]) * _CELL_W
        yield (
            f'<text x="{x:.1f}" y="{top + 16}" textLength="{cell_len(run) * _CELL_W:.1f}"'
            f'{ink} xml:space="preserve">{escape(run)}</text>'
        )


def main(arguments: list[str]) -> int:
    """Draw the picture of the README, or of the file named."""
    target = Path(arguments[0]) if arguments else Path(__file__).parent.parent / "docs" / "board.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    snapshots, now_ms = morning()
    target.write_text(draw(snapshots, now_ms + 400), encoding="utf-8")
    print(target, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
