"""Is the promise kept now?"""

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    AGENTS,
    CALM,
    CONTACTS,
    HIGHER_IS_WORSE,
    RATIO,
    SECONDS,
    WATCH,
    WELL,
    Column,
    Line,
    Query,
    figure,
    lines,
    rows,
)
from dashboards.grafana.promql import (
    SITE,
    age,
    level,
    now,
    per_queue,
    ratio,
    recorded,
    service_level,
    total,
    total_service_level,
    wilson,
    window,
)
from dashboards.grafana.words import helps, says

_QUEUE = "{{queue}} · {{channel}}"
_N_LEGEND = Line("^n ", only_in_legend=True, unit=CONTACTS)
_SL = "Of the variant and window chosen above. n = 0 shows –: the ratio does not exist then."
_NUMERATOR, _N = level("numerator"), level("denominator")


def _agents(state: str) -> str:
    return per_queue(now("queue_agents", f'state="{state}"'))


_COLUMNS = (
    Column("Service level", service_level(), RATIO, 1),
    Column("95 % from", per_queue(wilson(_NUMERATOR, _N, "-")), RATIO, 1),
    Column("to", per_queue(wilson(_NUMERATOR, _N, "+")), RATIO, 1),
    Column("n", per_queue(_N)),
    Column("Target", per_queue(now("sl_target_ratio")), RATIO, 0),
    Column("Above target", f"{service_level()} - {per_queue(now('sl_target_ratio'))}", RATIO, 1,
           ((None, ACT), (-0.1, WATCH), (0, WELL))),
    Column("Waiting", per_queue(now("queue_waiting_contacts"))),
    Column("Past X", per_queue(now("queue_at_risk_contacts")), CONTACTS, 0, HIGHER_IS_WORSE),
    Column("Longest wait", per_queue(age("queue_oldest_waiting_timestamp_seconds")), SECONDS, 0),
    Column("X", per_queue(now("sl_threshold_seconds")), SECONDS, 0),
    Column("Expected wait", per_queue(now("queue_expected_wait_seconds")), SECONDS, 0),
    Column("Available", _agents("available"), AGENTS),
    Column("Busy", _agents("busy"), AGENTS),
    Column("Offered", per_queue(window("offered_contacts"))),
    Column("Abandoned", per_queue(window("abandoned_contacts"))),
    Column("ASA", per_queue(ratio(window("answered_wait_seconds"), window("answered_contacts"))), SECONDS, 0),
)  # fmt: skip

BOARD = Board(
    uid="queuelight-floor",
    title="Queuelight · Floor",
    question="Is the promise kept now? Service level with n and interval, who waits and how long, who serves.",
    variables=("site", "channel", "queue", "window", "variant"),
    rows=(
        Row("Now", (
            Place(figure(
                "Age of the numbers", helps("queue_snapshot_timestamp_seconds", more="The oldest of the selection."),
                SECONDS, [Query(f"time() - min({now('queue_snapshot_timestamp_seconds')})")],
                ((None, WELL), (10, ACT)), decimals=0, none="no numbers", trend=False,
            ), 3, 5),
            Place(figure(
                "Service level", says("sl_offered", "n", more=f"The selected queues together. {_SL}"), RATIO,
                [Query(total_service_level(), "service level"), Query(total(_N), "n")], decimals=1,
            ), 5, 5),
            Place(figure(
                "Waiting", says("waiting", "at_risk"), CONTACTS,
                [Query(total(now("queue_waiting_contacts")), "waiting"),
                 Query(total(now("queue_at_risk_contacts")), "past X")],
            ), 4, 5),
            Place(figure(
                "Longest wait", says("longest_wait"), SECONDS,
                [Query(f"max({age('queue_oldest_waiting_timestamp_seconds')})")], decimals=0,
            ), 3, 5),
            Place(figure(
                "Agents", helps("agents"), AGENTS,
                [Query(f"{recorded('agents')}{{{SITE}}}", "{{state}}")], trend=False,
            ), 9, 5),
        )),
        Row("Queues", (
            Place(rows(
                "Queues", says("sl_offered", "at_risk", "longest_wait", "asa_s", more=_SL),
                ("queue", "channel"), _COLUMNS,
            ), 24, 10),
        )),
        Row("Over time", (
            Place(lines(
                "Service level", says("sl_offered", "n", more=_SL), RATIO,
                [Query(service_level(), _QUEUE), Query(per_queue(_N), f"n {_QUEUE}")], (_N_LEGEND,), most=1,
            )),
            Place(lines(
                "Waiting", says("waiting"), CONTACTS, [Query(per_queue(now("queue_waiting_contacts")), _QUEUE)],
            )),
            Place(lines(
                "Longest wait", says("longest_wait"), SECONDS,
                [Query(per_queue(age("queue_oldest_waiting_timestamp_seconds")), _QUEUE)],
            )),
            Place(lines(
                "Agents by state", helps("agents"), AGENTS,
                [Query(f"{recorded('agents')}{{{SITE}}}", "{{state}}")],
                (Line("^available$", WELL), Line("^busy$", "#009e73"), Line("^wrap_up$", "#e69f00"),
                 Line("^break$", CALM), Line("^lost$", ACT)),
            )),
        )),
    ),
)  # fmt: skip
