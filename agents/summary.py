"""What does a report say at a glance? A table for people; whoever wants to compute takes `--report`."""

import io
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.table import Table

from streams.report import Report

Row = Mapping[str, object]
_WIDTH = 110
"""Of a table that goes to a file or a pipe."""

_COLUMNS = ("offered", "answered", "abandoned", "SL", "abandon", "ASA", "AHT", "longest", "max queue")


def print_summary(report: Report, out: TextIO) -> None:
    """Totals, then one line per queue."""
    # Rendered first and written at once: a console would end the process itself when the reader has gone.
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=out.isatty(), highlight=False, width=None if out.isatty() else _WIDTH
    )
    console.print(_source(_row(report["source"])), markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("queue", overflow="fold")
    for heading in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in _row(report["by_queue"]).items():
        table.add_row(*_cells(name, _row(row)))
    table.add_section()
    table.add_row(*_cells("total", _row(report["total"])), style="bold")
    console.print(table)
    console.print(
        "SL = sl_offered = answered in X / (answered + abandoned); ASA, AHT and longest wait in seconds",
        style="dim",
    )
    out.write(text.getvalue())


def _row(value: object) -> Row:
    assert isinstance(value, dict)
    return value


def _source(source: Row) -> str:
    dead = _row(source["dead_letters"])
    parts = [f"{source['records']:,} records", f"{source['events']:,} events"]
    parts += [
        f"{source[name]:,} {name}" for name in ("duplicates", "late", "unmatched", "ignored") if source[name]
    ]
    parts += [f"{count:,} dead letters ({reason})" for reason, count in dead.items()]
    return ", ".join(parts)


def _cells(name: str, row: Row) -> list[str]:
    counts = [f"{row[key]:,}" for key in ("offered", "answered", "abandoned")]
    shares = [_shown(row["sl_offered"], 100, "%"), _shown(row["abandonment_rate"], 100, "%")]
    times = [_shown(row[key]) for key in ("asa_s", "aht_s", "longest_wait_max_s")]
    longest_queue = row["queue_length_max"]
    return [name, *counts, *shares, *times, "-" if longest_queue is None else str(longest_queue)]


def _shown(value: object, scale: int = 1, unit: str = "") -> str:
    """A measure with one decimal; "-" where it does not exist."""
    return f"{value * scale:.1f}{unit}" if isinstance(value, int | float) else "-"
