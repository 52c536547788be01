"""What would Prometheus remember besides what it scraped? What the shipped rules record, and the alerts that fired.

Refuses to know dashboards: `tests.grafana.asked` reads what they ask.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from tests.prometheus.firing import firings
from tests.prometheus.history import Day, Rule, Span

RULES = sorted((Path(__file__).resolve().parents[2] / "dashboards" / "prometheus" / "rules").glob("*.yml"))
"""The shipped rules."""


def remember(day: Day, more: Sequence[Span] = ()) -> None:
    """Add what is recorded of the day (and of more spans), and ALERTS of every alert that would have fired in the day."""
    day.history.record([*more, day.by_minute, day.by_scrape])
    alerts = [rule for rule in day.history.rules() if rule.is_alert]
    day.history.add(line for rule in alerts for line in _fired(day, rule))
    day.history.start()


def _fired(day: Day, rule: Rule) -> Iterator[str]:
    """The series that Prometheus keeps of an alert, from where its condition held."""
    held: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for span in (day.by_minute, day.by_scrape):
        for series in day.history.query_range(rule.expr, span):
            labels = {name: value for name, value in series.labels.items() if name != "__name__"}
            held.setdefault(tuple(sorted((labels | rule.labels).items())), set()).update(series.values)
    instants = sorted({at_ms / 1000 for at_ms in chain(day.by_minute.instants(), day.by_scrape.instants())})
    for own, holds_at in held.items():
        fires = firings(instants, holds_at, rule.for_s, rule.keep_s)
        pairs = "".join(f',{name}="{value}"' for name, value in own)
        for at_s in instants:
            if any(each.from_s <= at_s < each.to_s for each in fires):
                yield f'ALERTS{{alertname="{rule.name}",alertstate="firing"{pairs}}} 1 {at_s:.3f}\n'
