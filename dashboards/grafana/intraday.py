"""How does the day run, against yesterday and a week ago?"""

from collections.abc import Callable

from dashboards.grafana.board import Board, Place, Row
from dashboards.grafana.panels import (
    ACT,
    CALM,
    CONTACTS,
    RATIO,
    SECONDS,
    WATCH,
    WELL,
    Column,
    Line,
    Query,
    figure,
    intervals,
    lines,
    rows,
)
from dashboards.grafana.promql import (
    before,
    grown,
    level,
    now,
    per_queue,
    ratio,
    service_level,
    total,
    total_service_level,
    window,
)
from dashboards.grafana.words import says

_QUARTER = "15m"
_DAYS = (("", "today"), ("1d", "yesterday"), ("1w", "a week ago"))
_LOOKS = (
    Line("^today$", WELL),
    Line("^yesterday$", "#e69f00", dashed=True),
    Line("^a week ago$", CALM, dashed=True),
    Line("^n ", only_in_legend=True, unit=CONTACTS),
)
_AGO = "Yesterday and a week ago are 24 h and 168 h before: over a change of clocks they are an hour off."
_EACH_QUARTER = f"The selected queues together, in the 15 minutes that end at each point. {_AGO}"


def _quarter(sums: str, ago: str = "") -> str:
    """Contacts or seconds of a quarter of an hour, all selected queues together."""
    return total(grown(window(sums, "day"), _QUARTER, ago))


def _level(part: str, ago: str = "") -> str:
    return total(grown(level(part, length="day"), _QUARTER, ago))


def _offered(ago: str = "") -> str:
    return _quarter("offered_contacts", ago)


def _abandoned(ago: str = "") -> str:
    return _quarter("abandoned_contacts", ago)


def _n(ago: str = "") -> str:
    return _level("denominator", ago)


def _service_level(ago: str = "") -> str:
    return ratio(_level("numerator", ago), _n(ago))


def _asa(ago: str = "") -> str:
    return ratio(_quarter("answered_wait_seconds", ago), _quarter("answered_contacts", ago))


def _aht(ago: str = "") -> str:
    parts = " + ".join(_quarter(f"{part}_seconds", ago) for part in ("talk", "hold", "wrap_up"))
    return ratio(f"({parts})", _quarter("handled_contacts", ago))


def _waiting(ago: str = "") -> str:
    return total(before(now("queue_waiting_contacts"), ago))


def _three(expr: Callable[[str], str], prefix: str = "") -> list[Query]:
    """The same of today, of yesterday and of a week ago."""
    return [Query(expr(ago), f"{prefix}{name}", "1m") for ago, name in _DAYS]


def _so_far(name: str) -> list[Column]:
    """One count of the business day so far, and as it stood at the same time before."""
    count = window(f"{name}_contacts", "day")
    return [Column(f"{name.capitalize()} {day}", per_queue(before(count, ago))) for ago, day in _DAYS]


_SHARE_LEFT = f"(1 - {now('sl_target_ratio')})"
_MISSED = f"({level('denominator', length='day')} - {level('numerator', length='day')})"
_ALLOWED = f"{level('denominator', length='day')} * on (site, queue, channel) {_SHARE_LEFT}"

_INTERVAL_COLUMNS = (
    Column("Offered", _offered()),
    Column("Answered", _quarter("answered_contacts")),
    Column("Abandoned", _abandoned()),
    Column("Service level", _service_level(), RATIO, 1),
    Column("n", _n()),
    Column("ASA", _asa(), SECONDS, 0),
    Column("AHT", _aht(), SECONDS, 0),
    Column("Handled", _quarter("handled_contacts")),
)

BOARD = Board(
    uid="queuelight-intraday",
    title="Queuelight · Intraday",
    question="How does the day run? Each quarter of an hour against yesterday and a week ago, and the budget spent.",
    variables=("site", "channel", "queue", "variant"),
    since="now/d",
    refresh="1m",
    rows=(
        Row("The day so far", (
            Place(figure(
                "Service level of the day", says("sl_offered", "n", more="The business day, selected queues together."),
                RATIO, [Query(total_service_level(length="day"), "service level"),
                        Query(total(level("denominator", length="day")), "n")], decimals=1,
            ), 12, 5),
            Place(figure(
                "Budget spent",
                says("target", more="Misses of the day so far, divided by the misses that the target allows for as "
                     "many contacts (n x (1 - target)): at 100 % the day's target is just kept."),
                RATIO, [Query(ratio(total(_MISSED), total(_ALLOWED)), "spent"),
                        Query(total(_MISSED), "n missed")],
                ((None, WELL), (0.8, WATCH), (1, ACT)), decimals=0,
            ), 12, 5),
            Place(rows(
                "Queues, the day so far", says("offered", "abandoned", "sl_offered", more=_AGO), ("queue", "channel"),
                (*_so_far("offered"), *_so_far("abandoned"),
                 Column("Service level", service_level(length="day"), RATIO, 1),
                 Column("n", per_queue(level("denominator", length="day")))),
            ), 24, 10),
        )),
        Row("Today, yesterday, a week ago", (
            Place(lines("Offered", says("offered", more=_EACH_QUARTER), CONTACTS, _three(_offered), _LOOKS)),
            Place(lines("Service level", says("sl_offered", "n", more=_EACH_QUARTER), RATIO,
                        [*_three(_service_level), *_three(_n, "n ")], _LOOKS, most=1)),
            Place(lines("Abandoned", says("abandoned", more=_EACH_QUARTER), CONTACTS, _three(_abandoned), _LOOKS)),
            Place(lines("Average speed of answer", says("asa_s", more=_EACH_QUARTER), SECONDS, _three(_asa), _LOOKS)),
            Place(lines("Average handling time", says("aht_s", more=_EACH_QUARTER), SECONDS, _three(_aht), _LOOKS)),
            Place(lines("Waiting", says("waiting", more=f"The selected queues together. {_AGO}"), CONTACTS,
                        _three(_waiting), _LOOKS)),
        )),
        Row("Intervals", (
            Place(intervals(
                "Quarters of an hour", says("offered", "answered", "abandoned", "asa_s", "aht_s",
                                            more="Each row is the 15 minutes that end at its time."),
                _INTERVAL_COLUMNS, _QUARTER,
            ), 24, 12),
        )),
    ),
)  # fmt: skip
