"""Which pages precede contacts, who is stuck, did help lower contacts?"""

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
    lines,
    rows,
)
from dashboards.grafana.promql import SITE, ratio, recorded, wilson
from dashboards.grafana.words import helps, says

_PAGE = "{{page}}"
_MOST_LINES = 10


def _now(base: str, more: str = "") -> str:
    return f"{recorded(base)}{{{SITE}{more and ', '}{more}}}"


def _one(base: str) -> str:
    """A number of the site without name and labels, to be divided."""
    return f"max by (site) ({_now(base)})"


def _of(base: str, by: str, more: str = "") -> str:
    return f"max by (site, {by}) ({_now(base, more)})"


_KNOWN, _CONTACTED = _of("page_known_visits", "page"), _of("page_contacted_visits", "page")
_RATE = ratio(_CONTACTED, _KNOWN)
_BASE = ratio(_one("web_base_contacted_visits"), _one("web_base_known_visits"))
_LIFT = f"({_RATE}) / on (site) group_left () (({_BASE}) > 0)"
_PRECEDES = _now("page_verdict", 'verdict="precedes"')
_STUCK = _of("page_stuck_visitors", "page")


def _arm(arm: str) -> tuple[str, str]:
    """Who contacted and how many there were of one arm, by page and kind."""
    chosen = f'arm="{arm}"'
    contacted = _of("intervention_contacted_visitors", "page, kind", chosen)
    return contacted, _of("intervention_flagged_visitors", "page, kind", chosen)


_OFFER, _HOLDOUT = _arm("offer"), _arm("holdout")
_PAGE_COLUMNS = (
    Column("Rate", _RATE, RATIO, 1),
    Column("95 % from", wilson(_CONTACTED, _KNOWN, "-"), RATIO, 1),
    Column("to", wilson(_CONTACTED, _KNOWN, "+"), RATIO, 1),
    Column("n", f"round({_KNOWN})"),
    Column("Lift", _LIFT, CONTACTS, 1),
    Column("Lead", _of("page_lead_median_seconds", "page"), SECONDS, 0),
    Column("Views today", _of("page_views", "page")),
    Column("Stuck now", _STUCK, CONTACTS, None, ((None, CALM), (1, WATCH))),
)
_ARM_COLUMNS = (
    Column("Offer", ratio(*_OFFER), RATIO, 1),
    Column("n offer", _OFFER[1], CONTACTS, 0),
    Column("Holdout", ratio(*_HOLDOUT), RATIO, 1),
    Column("n holdout", _HOLDOUT[1], CONTACTS, 0),
    Column("Effect", f"({ratio(*_HOLDOUT)}) - ({ratio(*_OFFER)})", RATIO, 1),
)


def _share(title: str, name: str, numerator: str, denominator: str) -> Place:
    k, n = _one(numerator), _one(denominator)
    queries = [Query(ratio(k, n), "share"), Query(n, "n")]
    return Place(figure(title, says(name), RATIO, queries, ((None, WELL),), decimals=1, trend=False), 6, 5)


BOARD = Board(
    uid="queuelight-web",
    title="Queuelight · Web and contacts",
    question="Which pages precede contacts, who is stuck, did help lower contacts?",
    variables=("site",),
    rows=(
        Row("Now", (
            Place(figure("Stuck now", says("stuck"), CONTACTS, [Query(f"sum({_now('page_stuck_visitors')})")],
                         ((None, WELL), (1, WATCH))), 4, 5),
            Place(figure("Sessions", says("web_sessions"), CONTACTS, [Query(_one("web_sessions"))]), 4, 5),
            _share("Contacted", "contacted_share", "web_contacted_sessions", "web_known_sessions"),
            _share("Self-resolution, estimated", "self_resolution", "web_resolved_help_sessions",
                   "web_known_help_sessions"),
            Place(figure("Age of the report", helps("web_report_timestamp_seconds"), SECONDS,
                         [Query(f"time() - {_one('web_report_timestamp_seconds')}")], ((None, WELL), (30, ACT)),
                         decimals=0, trend=False, none="no report"), 4, 5),
        )),
        Row("Who is stuck", (
            Place(lines("Stuck visitors by page", says("stuck"), CONTACTS,
                        [Query(f"topk({_MOST_LINES}, {_STUCK} > 0)", _PAGE)])),
            Place(lines("Flags", helps("web_flags_raised", "web_flags_cleared"), CONTACTS,
                        [Query(_one("web_flags_raised"), "raised"),
                         Query(_of("web_flags_cleared", "reason"), "ended: {{reason}}")],
                        (Line("^raised$", WATCH), Line("progress$", WELL), Line("contact$", ACT),
                         Line("left$", CALM)))),
        )),
        Row("Which pages", (
            Place(rows("Pages", says("contact_rate", "lift", "lead_time"), ("page",), _PAGE_COLUMNS, "Lift"), 24, 11),
            Place(lines("Contact rate of pages that precede contacts",
                        says("contact_rate", "base_rate", "page_verdict"), RATIO,
                        [Query(f"({_RATE}) and on (site, page) {_PRECEDES}", _PAGE),
                         Query(_BASE, "base rate"),
                         Query(f"round({_KNOWN}) and on (site, page) {_PRECEDES}", f"n {_PAGE}")],
                        (Line("^base rate$", CALM, dashed=True), Line("^n ", only_in_legend=True, unit=CONTACTS)))),
            Place(rows("Verdicts", says("page_verdict"), ("page", "verdict"),
                       [Column("Now", _of("page_verdict", "page, verdict"))]), 12, 8),
        )),
        Row("Did help help", (
            Place(rows("Interventions", says("offer_effect", "holdout"), ("page", "kind"), _ARM_COLUMNS, "n offer"),
                  14, 8),
            Place(rows("Offers", helps("interventions"), ("page", "kind", "result"),
                       [Column("Offers", _of("interventions", "page, kind, result"))]), 10, 8),
        )),
        Row("Beyond the page", (
            Place(lines("Silent leavers", says("silent_leavers"), CONTACTS,
                        [Query(_one("web_silent_leavers"), "today")]), 8),
            Place(rows("Channel switches", says("channel_switches"), ("source", "channel"),
                       [Column("Customers", _of("channel_switches", "source, channel"), CONTACTS, 0)]), 8, 8),
            Place(rows("Resolution", says("fcr", "repeat_share"), ("queue", "channel"), (
                Column("FCR", ratio(_of("customer_fcr_numerator_contacts", "queue, channel"),
                                    _of("customer_fcr_denominator_contacts", "queue, channel")), RATIO, 1),
                Column("n FCR", _of("customer_fcr_denominator_contacts", "queue, channel"), CONTACTS, 0),
                Column("Provisional", ratio(_of("customer_fcr_provisional_numerator_contacts", "queue, channel"),
                                            _of("customer_fcr_provisional_denominator_contacts", "queue, channel")),
                       RATIO, 1),
                Column("Repeat", ratio(_of("customer_repeat_numerator_contacts", "queue, channel"),
                                       _of("customer_repeat_denominator_contacts", "queue, channel")), RATIO, 1),
                Column("n repeat", _of("customer_repeat_denominator_contacts", "queue, channel"), CONTACTS, 0),
            )), 8, 8),
        )),
    ),
)  # fmt: skip
