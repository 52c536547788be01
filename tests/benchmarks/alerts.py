"""How often do the shipped alerts ring for nothing, what do they find, and how soon?

    python -m tests.benchmarks.alerts [--days 200] [--json] [--picture docs/alerts.svg] [--keep FOLDER]

Simulated days (`tests.benchmarks.alert_days`) go through the pipeline; a real Prometheus holds what a worker would have
answered to scrapes 15 s apart, and evaluates the rules of `dashboards/prometheus/rules` at each of these instants;
`for`, `keep_firing_for` and recovery margins are applied as Prometheus does (`tests.prometheus.firing`). Beside them
stands the rule that everybody writes first: service level below target over 5 min, for 1 min.

`--keep` keeps the days (not the verdicts), so that other rules can be tried on them within minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from schemas.metrics import PREFIX
from tests.benchmarks.alert_days import (
    HEALTHY,
    INCIDENT_ENDS_MS,
    KINDS,
    NAMES,
    OPENS_MS,
    STEP_S,
    STRIKES_MS,
    VOLUMES,
    Day,
    days,
    samples,
)
from tests.benchmarks.alerts_picture import Mark, Row, draw
from tests.prometheus.firing import Firing, firings
from tests.prometheus.history import History, Rule, Span
from tests.prometheus.shipped import RULES
from tests.system.local_prometheus import add_blocks

ALERTS = (
    "QueuelightQueueUnstaffed",
    "QueuelightLongestWait",
    "QueuelightWaitingPastTarget",
    "QueuelightNoAgentAvailable",
    "QueuelightExpectedWaitHigh",
    "QueuelightServiceLevelCollapsed",
    "QueuelightServiceLevelBelowTarget",
    "QueuelightAbandonmentHigh",
)
"""The shipped alerts about one voice queue that call somebody."""
NAIVE = "naive"
TARGET = 0.8
_RATIO = (
    'queuelight_window_sl_offered_numerator_contacts{{window="{0}"}}'
    ' / (queuelight_window_sl_offered_denominator_contacts{{window="{0}"}} > 0)'
)
_LEVEL, _AROUND_S = _RATIO.format("30m"), 900.0
_NAIVE = Rule(True, NAIVE, f"{_RATIO.format('5m')} < {TARGET}", {}, for_s=60.0, keep_s=0.0)
_AGE = "queue_channel:queuelight_queue_longest_wait_seconds:age"
_EXPECTED = "queue_channel:queuelight_queue_expected_wait_seconds:last"
_X = "on (queue, channel) (%d * queue_channel:queuelight_sl_threshold_seconds:last)"
OTHER_LIMITS = tuple(
    Rule(True, f"{what} > {times} X", f"{metric} > {_X % times}", {}, for_s, keep_s)
    for what, metric, for_s, keep_s in (
        ("longest wait", _AGE, 15.0, 60.0),
        ("expected wait", _EXPECTED, 60.0, 120.0),
    )
    for times in (3, 6, 12)
)
"""What limits on time alone would do."""
SERVICE_LEVEL, ANY = "service level", "any"
GROUPS = {
    SERVICE_LEVEL: ("QueuelightServiceLevelCollapsed", "QueuelightServiceLevelBelowTarget"),
    ANY: ALERTS,
}
"""Alerts that are looked at as one: those that ask what the naive rule asks, and all that are shipped."""
_BATCH = 20
"""Days that one Prometheus holds at a time."""
_OWN_STATE = re.compile(r'ALERTS\{alertname="(\w+)",\s*alertstate="firing"\}')
_NEVER = "nothing_has_this_name"
_ALWAYS = "queue_channel:queuelight_queue_waiting_contacts:last"


class Verdict(NamedTuple):
    """What one alert did on one day."""

    day: Day
    alert: str
    firings: tuple[Firing, ...]
    false: int
    """How many of them began while customers were served as promised: see `_is_false`."""

    def delay_s(self) -> float | None:
        """How long after the incident began it fired; 0 if it did already, None if it did not before the end."""
        strikes_s, ends_s = STRIKES_MS / 1000, INCIDENT_ENDS_MS / 1000
        began = [max(0.0, each.from_s - strikes_s) for each in self.firings if strikes_s < each.to_s]
        return min((each for each in began if each <= ends_s - strikes_s), default=None)


# --- from days to verdicts --------------------------------------------------------------------------------------------


def shipped() -> list[Rule]:
    """The rules of the product that `ALERTS` need, in their order; the alerts are the last."""
    with History(RULES) as prometheus:
        prometheus.start()
        everything = prometheus.rules()
    alerts = [rule for rule in everything if rule.name in ALERTS]
    missing = set(ALERTS) - {rule.name for rule in alerts}
    if missing:
        raise SystemExit(f"dashboards/prometheus/rules has no alert named {', '.join(sorted(missing))}")
    needed: list[Rule] = []
    read = set[str]().union(*(rule.reads() for rule in (*alerts, _NAIVE, *OTHER_LIMITS)))
    for rule in reversed([rule for rule in everything if not rule.is_alert]):
        if rule.name in read:
            needed.append(rule)
            read |= rule.reads()
    unknown = raw_names([*needed, *alerts]) - NAMES
    if unknown:
        raise SystemExit(f"alert_days.NAMES lacks {', '.join(sorted(unknown))}, which the rules read")
    return [*reversed(needed), *alerts]


def raw_names(rules: Iterable[Rule]) -> set[str]:
    """The metrics of the exposition that these rules read, and those that the benchmark compares them with."""
    read = set[str]().union(*(rule.reads() for rule in (*rules, _NAIVE)))
    return {name for name in read if name.startswith(PREFIX)}


def simulated(batch: Sequence[Day], names: set[str], folder: Path, on_done: Iterator[object]) -> None:
    """Make the blocks of these days, unless they are there from another run and hold the metrics of these names."""
    said = folder / "days.json"
    if said.exists():
        kept, metrics = json.loads(said.read_text())
        if kept == json.loads(json.dumps(batch)) and names <= set(metrics):
            for _ in batch:
                next(on_done)
            return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def lines() -> Iterator[str]:
        for _, turn in groupby(batch, key=lambda day: day.span):
            alike = list(turn)
            yield from samples(alike)
            for _ in alike:
                next(on_done)

    add_blocks(lines(), folder / "blocks", folder)
    said.write_text(json.dumps([batch, sorted(NAMES)]))


def judged(batch: Sequence[Day], rules: Sequence[Rule], folder: Path) -> Iterator[Verdict]:
    """What each alert does on each of these days."""
    whole = Span(OPENS_MS, max(day.span.to_ms for day in batch), STEP_S)
    names = {rule.name for rule in rules}
    with History(RULES) as prometheus:
        prometheus.copy_blocks(folder / "blocks")
        prometheus.start()
        prometheus.record([whole], lambda rule: rule.name in names)
        level = {series.labels["queue"]: series.values for series in prometheus.query_range(_LEVEL, whole)}
        for rule in (*(rule for rule in rules if rule.is_alert), _NAIVE, *OTHER_LIMITS):
            holds = _present(prometheus, _OWN_STATE.sub(_NEVER, rule.expr), whole)
            stays = _present(prometheus, _OWN_STATE.sub(_ALWAYS, rule.expr), whole)
            for day in batch:
                instants = [at_ms / 1000 for at_ms in day.span.instants()]
                found = firings(instants, holds[day.queue], rule.for_s, rule.keep_s, stays[day.queue])
                false = sum(_is_false(each, level[day.queue], instants[-1]) for each in found)
                yield Verdict(day, rule.name, tuple(found), false)


def _is_false(firing: Firing, level: dict[float, float], ends_s: float) -> bool:
    """True when the service level of the half hour around the beginning (the last one of the day, at its end) was
    at its target: whoever looked up from the alarm saw customers being served as promised.
    """
    return level.get(min(firing.from_s + _AROUND_S, ends_s), 1.0) >= TARGET


def _present(prometheus: History, expr: str, span: Span) -> defaultdict[str, set[float]]:
    """Where the expression has a value, by queue."""
    found: defaultdict[str, set[float]] = defaultdict(set)
    for series in prometheus.query_range(expr, span):
        found[series.labels["queue"]] |= series.values.keys()
    return found


def with_groups(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts, and one more for each day and each of `GROUPS`, as if its alerts were one."""
    known = list(verdicts)
    by_group: dict[tuple[Day, str], list[Verdict]] = defaultdict(list)
    for each in known:
        for name, members in GROUPS.items():
            if each.alert in members:
                by_group[each.day, name].append(each)
    return known + [
        Verdict(
            day, name, tuple(sorted(f for each in group for f in each.firings)), sum(g.false for g in group)
        )
        for (day, name), group in by_group.items()
    ]


# --- from verdicts to a table -----------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """`n` days; on how many the alert fired; how often it began to; how often falsely; median delay in seconds."""

    n: int
    fired: int
    rings: int
    false: int
    delay_s: float | None


Table = dict[tuple[str, str, int], Cell]
"""(alert, kind of day, calls per hour) -> what it did."""


def table(verdicts: Iterable[Verdict]) -> Table:
    """All verdicts counted."""
    groups: dict[tuple[str, str, int], list[Verdict]] = defaultdict(list)
    for each in verdicts:
        groups[each.alert, each.day.kind, each.day.volume.per_hour].append(each)
    return {key: _cell(key[1], group) for key, group in groups.items()}


def _cell(kind: str, group: list[Verdict]) -> Cell:
    rings, false = sum(len(each.firings) for each in group), sum(each.false for each in group)
    if kind == HEALTHY:
        return Cell(len(group), sum(bool(each.firings) for each in group), rings, false, None)
    delays = [delay for each in group if (delay := each.delay_s()) is not None]
    return Cell(len(group), len(delays), rings, false, median(delays) if delays else None)


def as_markdown(counted: Table) -> str:
    """The tables of docs/alerts.md."""
    shown = (*ALERTS, SERVICE_LEVEL, NAIVE)
    parts = [_table("Rings per healthy day (of these false)", counted, HEALTHY, shown, _rate)]
    parts += [
        _table(f"Found, median minutes: {kind}", counted, kind, (*ALERTS, SERVICE_LEVEL, ANY, NAIVE), _found)
        for kind in KINDS
    ]
    others = [rule.name for rule in OTHER_LIMITS]
    parts.append(
        _table(
            "Limits on time alone: rings per healthy day (of these false)", counted, HEALTHY, others, _rate
        )
    )
    return "\n".join(parts)


def _table(
    title: str, counted: Table, kind: str, alerts: Iterable[str], shown: Callable[[Cell | None], str]
) -> str:
    head = " | ".join([title, *(f"{volume} calls/h" for volume in VOLUMES)])
    lines = [f"| {head} |", "|---|" + "---:|" * len(VOLUMES)]
    for alert in alerts:
        cells = (shown(counted.get((alert, kind, volume.per_hour))) for volume in VOLUMES)
        lines.append(f"| {' | '.join([_shown(alert), *cells])} |")
    return "\n".join(lines) + "\n"


_SHOWN = {
    NAIVE: "service level < 80 % over 5 min",
    SERVICE_LEVEL: "service level alerts",
    ANY: "first of all alerts",
}


def _shown(alert: str) -> str:
    return _SHOWN.get(alert) or (f"`{alert}`" if alert in ALERTS else alert)


def _rate(cell: Cell | None) -> str:
    return "-" if cell is None else f"{cell.rings / cell.n:.2f} ({cell.false / cell.n:.2f})"


def _found(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    minutes = "" if cell.delay_s is None else f", {cell.delay_s / 60:.1f}"
    return f"{cell.fired} of {cell.n}{minutes}"


def picture(counted: Table) -> str:
    """The delays as SVG."""

    def mark(alert: str, kind: str, volume: int) -> Mark:
        cell = counted.get((alert, kind, volume), Cell(0, 0, 0, 0, None))
        return Mark(
            None if cell.delay_s is None else cell.delay_s / 60, cell.fired / cell.n if cell.n else 0.0
        )

    groups = {
        kind: [
            Row(
                f"{volume} calls/h",
                {
                    "naive": mark(NAIVE, kind, volume.per_hour),
                    "ours": mark(SERVICE_LEVEL, kind, volume.per_hour),
                    "any": mark(ANY, kind, volume.per_hour),
                },
            )
            for volume in VOLUMES
        ]
        for kind in KINDS
    }
    names = {"naive": _SHOWN[NAIVE], "ours": _SHOWN[SERVICE_LEVEL], "any": _SHOWN[ANY]}
    return draw(
        groups, names, "How long it takes until an alert rings, by kind of incident and volume of calls"
    )


def as_json(counted: Table) -> str:
    """The table as a JSON list."""
    rows = [
        {"alert": alert, "day": kind, "calls_per_hour": volume, **cell._asdict()}
        for (alert, kind, volume), cell in counted.items()
    ]
    return json.dumps(rows, indent=1)


# --- the program ------------------------------------------------------------------------------------------------------


def measure(count: int, keep: Path | None) -> Table:
    """Simulate, judge and count so many days; with a progress bar on a terminal."""
    rules = shipped()
    made, names = days(count), raw_names(rules)
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="queuelight-days-") as folder:
        bar = iter(track(made, "days", console=Console(stderr=True), transient=True))
        verdicts: list[Verdict] = []
        for start in range(0, count, _BATCH):
            batch, place = made[start : start + _BATCH], Path(folder) / str(start)
            simulated(batch, names, place, bar)
            verdicts += judged(batch, rules, place)
    return table(with_groups(verdicts))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.alerts",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--days", type=int, default=200, help="how many days; 40 or more have every kind and volume"
    )
    parser.add_argument("--json", action="store_true", help="print the counts as JSON in place of the table")
    parser.add_argument("--picture", type=Path, help="write the delays as SVG here")
    parser.add_argument("--keep", type=Path, help="keep the simulated days here, and use those that are here")
    args = parser.parse_args()
    counted = measure(args.days, args.keep)
    if args.picture is not None:
        args.picture.write_text(picture(counted), encoding="utf-8")
    print(as_json(counted) if args.json else as_markdown(counted), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
