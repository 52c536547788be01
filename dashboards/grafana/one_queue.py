"""Why this queue? Its promise by every name, who waited how long, who came and who gave up, how patient people are."""

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    AGENTS,
    CALM,
    CONTACTS,
    PALETTE,
    RATIO,
    SECONDS,
    WELL,
    Column,
    Line,
    Query,
    bars,
    figure,
    heat,
    lines,
    rows,
)
from dashboards.grafana.patience import STEPS_S, ended, still_patient
from dashboards.grafana.promql import (
    age,
    grown,
    level,
    now,
    per_queue,
    quotient,
    ratio,
    service_level,
    total,
    total_service_level,
    waits,
    wilson,
    window,
)
from dashboards.grafana.words import helps, says
from schemas.definitions import DEFINITIONS
from schemas.metrics import VARIANTS

_QUEUE = "{{queue}} · {{channel}}"
_TOGETHER = "The selected queues together."
_PER_STEP = f"In the step before each point, so that the bars add up. {_TOGETHER}"
_N_LEGEND = Line("^n ", only_in_legend=True, unit=CONTACTS)
_PRESENT = now("queue_agents", 'state!="offline"')
_OUTCOMES = ("callback", "overflowed", "lost", "silent_abandoned")


def _by_variant(exprs: dict[str, str]) -> str:
    """One row a variant, told apart by a label."""
    named = (
        f'label_replace({expr}, "service_level", "{DEFINITIONS[variant].label_en}", "", "")'
        for variant, expr in exprs.items()
    )
    return " or ".join(named)


def _side_by_side() -> list[Column]:
    numerators = {v: total(level("numerator", v)) for v in VARIANTS}
    ns = {v: total(level("denominator", v)) for v in VARIANTS}
    return [
        Column("Share", _by_variant({v: total_service_level(v) for v in VARIANTS}), RATIO, 1),
        Column("95 % from", _by_variant({v: wilson(numerators[v], ns[v], "-") for v in VARIANTS}), RATIO, 1),
        Column("to", _by_variant({v: wilson(numerators[v], ns[v], "+") for v in VARIANTS}), RATIO, 1),
        Column("In X", _by_variant(numerators)),
        Column("n", _by_variant(ns)),
    ]


_HOUR = "Of the hour before each point; in the first hour of a business day of what has passed of it."


def _per_step(name: str, legend: str) -> Query:
    return Query(total(grown(window(f"{name}_contacts", "day"), "$__interval")), legend, "1m")


def _percentile(q: float) -> Query:
    return Query(f"histogram_quantile({q:g}, {grown(waits('answered'), '1h')})", f"p{100 * q:g}")


BOARD = Board(
    uid="queuelight-queue",
    title="Queuelight · Queue",
    question="Why this queue? Promise, waits, arrivals and patience of the selected queues.",
    variables=("site", "channel", "queue", "window", "variant"),
    rows=(
        Row("The promise", (
            Place(lines(
                "Service level and target", says("sl_offered", "target", "n"), RATIO,
                [Query(service_level(), _QUEUE), Query(per_queue(level("denominator")), f"n {_QUEUE}"),
                 Query(per_queue(now("sl_target_ratio")), f"target {_QUEUE}")],
                (_N_LEGEND, Line("^target ", CALM, dashed=True)), most=1,
            ), 14, 9),
            Place(rows(
                "Service levels side by side", says(*VARIANTS, more=f"{_TOGETHER} Vendors mean different things "
                                                    "by service level: the same contacts, by each of the names."),
                ("service_level",), _side_by_side(),
            ), 10, 9),
            Place(lines(
                "Service levels over time", says(*VARIANTS, more=_TOGETHER), RATIO,
                [*(Query(total_service_level(v), DEFINITIONS[v].label_en) for v in VARIANTS),
                 *(Query(total(level("denominator", v)), f"n {DEFINITIONS[v].label_en}") for v in VARIANTS)],
                (*(Line(f"^{DEFINITIONS[v].label_en.replace('(', '[(]').replace(')', '[)]')}$", color)
                   for v, color in zip(VARIANTS, PALETTE, strict=False)), _N_LEGEND), most=1,
            ), 24, 9),
        )),
        Row("Waits", (
            Place(heat(
                "Wait of the answered", helps("window_wait_seconds", more=_TOGETHER),
                grown(waits("answered"), "$__interval"), "5m",
            ), 12, 9),
            Place(heat(
                "Wait of the abandoned", helps("window_wait_seconds", more=_TOGETHER),
                grown(waits("abandoned"), "$__interval"), "5m",
            ), 12, 9),
            Place(lines(
                "Percentiles and mean of the answered", helps("window_wait_seconds", more=f"{_HOUR} {says('asa_s')}"),
                SECONDS,
                [_percentile(0.5), _percentile(0.9), _percentile(0.95),
                 Query(quotient("answered_wait_seconds", by="answered_contacts"), "mean (ASA)")],
            )),
            Place(lines(
                "Longest and expected wait", says("longest_wait", more=helps("queue_expected_wait_seconds")), SECONDS,
                [Query(per_queue(age("queue_oldest_waiting_timestamp_seconds")), f"longest {_QUEUE}"),
                 Query(per_queue(now("queue_expected_wait_seconds")), f"expected {_QUEUE}"),
                 Query(per_queue(now("sl_threshold_seconds")), f"X {_QUEUE}"),
                 Query(per_queue(now("alert_longest_wait_seconds")), f"alert {_QUEUE}")],
                (Line("^expected ", dashed=True), Line("^X ", CALM, dashed=True), Line("^alert ", ACT, dashed=True)),
            )),
        )),
        Row("Arrivals", (
            Place(lines(
                "Offered", says("offered", more=_PER_STEP), CONTACTS, [_per_step("offered", "offered")],
                (Line("^offered$", WELL),), bars=True,
            )),
            Place(lines(
                "Abandoned", says("abandoned", "abandoned_short", more=_PER_STEP), CONTACTS,
                [_per_step("abandoned", "abandoned"), _per_step("abandoned_short", "of these short")],
                (Line("^abandoned$", ACT), Line("^of these short$", "#e69f00")), bars=True,
            )),
            Place(lines(
                "Other ends", says("callback", "overflowed", "lost_contacts", "silent_abandoned", more=_TOGETHER),
                CONTACTS, [Query(total(window(f"{name}_contacts")), name.replace("_", " ")) for name in _OUTCOMES],
            )),
            Place(lines(
                "Agents of the queue", helps("queue_agents"), AGENTS,
                [Query(f"max by (site, queue, channel, state) ({_PRESENT})",
                       "{{state}} {{queue}} {{channel}}")],
            )),
        )),
        Row("Promises by chat and by telephone", (
            Place(lines(
                "First response in chats", says("first_response_s", more="Mean and n of the window chosen above."),
                SECONDS,
                [Query(per_queue(ratio(window("first_response_seconds"), window("first_response_contacts"))), _QUEUE),
                 Query(per_queue(window("first_response_contacts")), f"n {_QUEUE}")], (_N_LEGEND,),
            )),
            Place(lines(
                "Callbacks to be made", says("callbacks_open"), CONTACTS,
                [Query(per_queue(now("queue_callbacks_open_contacts")), _QUEUE)],
            ), 6),
            Place(lines(
                "Age of the oldest callback", helps("queue_oldest_callback_timestamp_seconds"), SECONDS,
                [Query(per_queue(age("queue_oldest_callback_timestamp_seconds")), _QUEUE)],
            ), 6),
        )),
        Row("Patience", (
            Place(bars(
                "Patience curve",
                "How many would still wait after so many seconds if nobody were answered: Kaplan and Meier's estimate "
                f"from the waits of the business day; who was answered counts as patient until then. {_TOGETHER}",
                RATIO, [Query(still_patient(step), f"after {step:g} s") for step in STEPS_S], most=1,
            ), 18, 10),
            Place(figure(
                "n of the patience curve",
                "Contacts of the business day that the patience curve rests on: answered and abandoned.", CONTACTS,
                [Query(ended("answered"), "n answered"), Query(ended("abandoned"), "n abandoned")], trend=False,
            ), 6, 10),
        )),
    ),
)  # fmt: skip
