"""What does Prometheus read of the web site? The report that this process's owner of the pages made last, as gauges.

Pages are those of the report; all others are one row, `other`. Ratios are told as numerator and denominator. Refuses to
know how a report is made, and which process owns the pages.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family

from agents.families import Value, gauge
from schemas.journeys import InterventionResult, PageModel, Rate, WebReport
from schemas.metrics import CLEARED, INTERVENTIONS, OTHER_PAGE
from streams.journeys.policy import OTHER_PAGES

_MOST_INTERVENTIONS = 200
"""Pages and kinds of help that are exported: those with most visitors. A setting of another site made more."""
_Rows = dict[tuple[str, ...], Value]


def web_families(report: WebReport | None, stuck_floor: int) -> Iterator[Family]:
    """Every metric of the web site.

    Args:
        report: the newest; None: another process owns the pages, or there is no web site.
        stuck_floor: from how many visitors stuck on a page an alert is worth it.
    """
    pages = () if report is None else report.pages
    yield from _pages(report, pages)
    yield from _site(report)
    yield from _interventions(() if report is None else report.interventions[:_MOST_INTERVENTIONS])
    switches = () if report is None else report.switches
    yield gauge("channel_switches", {(s.from_channel, s.to_channel): s.count for s in switches})
    yield from _resolutions(report)
    yield gauge("alert_stuck_visitors", {} if report is None else {(): stuck_floor})


def _name(page: PageModel) -> str:
    return OTHER_PAGE if page.page == OTHER_PAGES else page.page


def _pages(report: WebReport | None, pages: Iterable[PageModel]) -> Iterator[Family]:
    views: _Rows = {}
    known: _Rows = {}
    contacted: _Rows = {}
    for page in pages:
        here = (_name(page),)
        views[here] = views.get(here, 0) + page.views
        known[here] = known.get(here, 0) + page.contact.n
        contacted[here] = contacted.get(here, 0) + page.contact.k
    if report is not None:
        rest = (OTHER_PAGE,)
        counted = [page.contact for page in pages if page.page_class in ("content", "help")]
        views[rest] = views.get(rest, 0) + report.other_views
        known[rest] = known.get(rest, 0) + max(0.0, report.base.n - sum(each.n for each in counted))
        contacted[rest] = contacted.get(rest, 0) + max(0.0, report.base.k - sum(each.k for each in counted))
    yield gauge("page_views", views)
    yield gauge("page_known_visits", known)
    yield gauge("page_contacted_visits", contacted)
    leads: _Rows = {(_name(p),): p.lead_median_s for p in pages if p.lead_median_s is not None}
    yield gauge("page_lead_median_seconds", leads)
    yield gauge("page_verdict", {(_name(p), p.verdict): 1 for p in pages})
    named = (page for page in pages if page.page != OTHER_PAGES)  # nobody helps on "other"
    yield gauge("page_stuck_visitors", {(page.page,): page.stuck_now for page in named})


def _site(report: WebReport | None) -> Iterator[Family]:
    def one(name: str, value: Value) -> Family:
        return gauge(name, {} if report is None else {(): value})

    told = report or WebReport(as_of_ms=0)
    yield one("web_views", told.views)
    yield one("web_visitors", told.visitors)
    yield one("web_bot_sessions", told.bots)
    yield one("web_sessions", told.sessions)
    yield one("web_linked_sessions", told.linked_sessions)
    yield one("web_known_sessions", told.contacted.n)
    yield one("web_contacted_sessions", told.contacted.k)
    yield one("web_base_known_visits", told.base.n)
    yield one("web_base_contacted_visits", told.base.k)
    yield one("web_known_help_sessions", told.self_resolution.n)
    yield one("web_resolved_help_sessions", told.self_resolution.k)
    yield one("web_silent_leavers", told.silent_leavers)
    yield one("web_flags_raised", told.flags_raised)
    cleared: _Rows = {(why,): told.flags_cleared.get(why, 0) for why in CLEARED}
    yield gauge("web_flags_cleared", {} if report is None else cleared)
    yield one("web_report_timestamp_seconds", told.as_of_ms / 1000)


def _interventions(results: Iterable[InterventionResult]) -> Iterator[Family]:
    flagged: _Rows = {}
    contacted: _Rows = {}
    done: _Rows = {}
    for each in results:
        for arm, result in (("offer", each.offer), ("holdout", each.holdout)):
            flagged[each.page, each.kind, arm] = result.contact.n
            contacted[each.page, each.kind, arm] = result.contact.k
        for what in INTERVENTIONS:
            done[each.page, each.kind, what] = getattr(each, what)
    yield gauge("intervention_flagged_visitors", flagged)
    yield gauge("intervention_contacted_visitors", contacted)
    yield gauge("interventions", done)


def _resolutions(report: WebReport | None) -> Iterator[Family]:
    found = () if report is None else report.resolutions
    for name in ("fcr", "fcr_provisional", "repeat"):
        rates: list[tuple[tuple[str, str], Rate]] = [((r.queue, r.channel), getattr(r, name)) for r in found]
        yield gauge(f"customer_{name}_numerator_contacts", {labels: rate.k for labels, rate in rates})
        yield gauge(f"customer_{name}_denominator_contacts", {labels: rate.n for labels, rate in rates})
