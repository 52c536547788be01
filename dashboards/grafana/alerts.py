"""Which alerts fired, when, how often and how long?"""

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    CONTACTS,
    SECONDS,
    WATCH,
    WELL,
    Column,
    Line,
    Query,
    figure,
    lines,
    rows,
    spans,
)
from dashboards.grafana.promql import SITE

# Alerts of the pipeline have no queue and no channel: `.*` matches them, too.
_OURS = f'alertname=~"Queuelight.*", alertname!="QueuelightWatchdog", {SITE}, channel=~"$channel", queue=~"$queue"'
_FIRING = f'ALERTS{{{_OURS}, alertstate="firing"}}'
_PENDING = f'ALERTS{{{_OURS}, alertstate="pending"}}'
_KEYS = ("alertname", "severity", "queue", "channel")
_BY = f"by ({', '.join(_KEYS)})"
_SOURCE = "Prometheus keeps every alert as the series ALERTS while its condition holds (pending) and while it fires."
_MINUTES = "Looked at once a minute: what fired for less than a minute may be missing."

_COLUMNS = (
    Column("Fired", f"sum {_BY} (count_over_time(({_FIRING} unless {_FIRING} offset 1m)[$__range:1m]))"),
    Column("Time firing", f"60 * sum {_BY} (count_over_time({_FIRING}[$__range:1m]))", SECONDS, 0),
)

BOARD = Board(
    uid="queuelight-alerts",
    title="Queuelight · Alert history",
    question="Which alerts fired, when, how often and how long, and of which queues?",
    variables=("site", "channel", "queue"),
    since="now-24h",
    refresh="15s",
    rows=(
        Row("Now", (
            Place(figure("Firing", f"Alerts that fire now. {_SOURCE}", CONTACTS,
                         [Query(f"count({_FIRING}) or vector(0)", "firing")],
                         ((None, WELL), (1, ACT)), trend=False), 4, 5),
            Place(figure("Pending", f"Alerts whose condition holds, but not yet for long enough. {_SOURCE}", CONTACTS,
                         [Query(f"count({_PENDING}) or vector(0)", "pending")],
                         ((None, WELL), (1, WATCH)), trend=False), 4, 5),
            Place(lines("Firing by severity", f"Alerts that fire, by severity. {_SOURCE}", CONTACTS,
                        [Query(f"count by (severity) ({_FIRING})", "{{severity}}")],
                        (Line("^critical$", ACT), Line("^warning$", WATCH), Line("^info$", WELL))), 16, 5),
        )),
        Row("When", (
            Place(spans("When which alert fired", f"A band while an alert fires of any selected queue. {_SOURCE}",
                        [Query(f"count by (alertname) ({_FIRING})", "{{alertname}}")]), 24, 14),
        )),
        Row("How often, how long", (
            Place(rows("Alerts of the time shown", f"How often each alert began to fire, and for how long it did "
                       f"altogether. {_MINUTES} {_SOURCE}", _KEYS, _COLUMNS, sort="Time firing"), 24, 10),
        )),
    ),
)  # fmt: skip
