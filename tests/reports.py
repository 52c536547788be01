"""What might the report on a web site say? One with every kind of page and intervention, for tests that need no history.

Its numbers are made up and fit together; refuses to know how a real one is computed.
"""

from msgspec import structs

from schemas.journeys import (
    ArmResult,
    Flag,
    InterventionResult,
    PageModel,
    Rate,
    Reason,
    Resolution,
    Switch,
    VisitorNow,
    WebReport,
)

FEES, RETURNS, HELP, CONTACT, THIN, LISTED = (
    "/料金・プラン", "/returns/:id/label", "/help/delivery", "/contact", "/press", "/products",
)  # fmt: skip
_BASE = Rate(k=400.0, n=20_000.0, rate=0.02, low=0.0181, high=0.022)


def page_of(page: str, **changed: object) -> PageModel:
    """A page that nothing is special about."""
    made = PageModel(
        page=page, page_class="content", verdict="none", views=900, sessions=700, visitors=650,
        contact=Rate(k=14.5, n=700.2, rate=0.0206, low=0.0124, high=0.0342), lift=1.03, lift_low=0.62, lift_high=1.71,
        own_lift=1.0, own_lift_low=0.6, lead_median_s=310.0, engaged_median_s=25.0,
    )  # fmt: skip
    return structs.replace(made, **changed)


def report_of(at_ms: int, **changed: object) -> WebReport:
    """A busy day on which two pages precede contacts."""
    pages = (
        page_of(
            RETURNS, verdict="precedes", views=1_830, sessions=1_204, visitors=1_150, stuck_now=7, queue="注文・配送",
            contact=Rate(k=131.4, n=1_010.2, rate=0.1262, low=0.1086, high=0.1501), lift=6.31, lift_low=5.2,
            lift_high=7.64, own_lift=6.1, own_lift_low=5.0, lead_median_s=254.0,
            reasons={"返品ラベル": 88.2, "refund": 31.0, "other": 12.2}, engaged_median_contacted_s=96.0,
        ),
        page_of(
            FEES, verdict="precedes", views=2_410, sessions=1_900, visitors=1_720, stuck_now=2, queue="Billing",
            contact=Rate(k=96.0, n=1_700.0, rate=0.0565, low=0.0464, high=0.0683), lift=2.82, lift_low=2.21,
            lift_high=3.51, reasons={"billing": 70.0, "contract": 26.0},
        ),
        page_of(
            LISTED, verdict="announces", views=5_320, sessions=3_100, contact=Rate(k=140.0, n=4_000.0, rate=0.035, low=0.0297, high=0.0412),
            lift=1.75, lift_low=1.44, lift_high=2.11, own_lift=1.02, own_lift_low=0.8, announced_by=RETURNS,
        ),
        page_of(
            CONTACT, page_class="contact", verdict="contact", views=610, sessions=540,
            contact=Rate(k=205.0, n=520.0, rate=0.394, low=0.353, high=0.437), lift=19.7, lift_low=17.4, lift_high=22.3,
        ),
        page_of(HELP, page_class="help", views=1_200, help_contact=Rate(k=120.0, n=1_000.0, rate=0.12, low=0.1, high=0.14)),
        page_of(THIN, verdict="unsure", views=12, contact=Rate(k=1.0, n=9.0, rate=0.024, low=0.004, high=0.12), lift=1.2,
                lift_low=0.2, lift_high=6.0, lead_median_s=None),
    )  # fmt: skip
    offers = InterventionResult(
        page=RETURNS, kind="チャット案内", shown=640, accepted=210, declined=96,
        offer=ArmResult(contact=Rate(k=170, n=700, rate=0.2429, low=0.2126, high=0.276), resolved=Rate(k=420, n=700, rate=0.6, low=0.563, high=0.636)),
        holdout=ArmResult(contact=Rate(k=38, n=80, rate=0.475, low=0.369, high=0.583), resolved=Rate(k=30, n=80, rate=0.375, low=0.277, high=0.484)),
        effect=0.2321, effect_low=0.121, effect_high=0.344, avoided_per_day=18.6, avoided_low=9.7, avoided_high=27.5, verdict="helps",
    )  # fmt: skip
    unsure = InterventionResult(
        page=FEES, kind="FAQ link", shown=90, accepted=12, declined=3,
        offer=ArmResult(contact=Rate(k=31, n=100, rate=0.31, low=0.228, high=0.406), resolved=Rate(k=50, n=100, rate=0.5, low=0.404, high=0.596)),
        holdout=ArmResult(contact=Rate(k=4, n=11, rate=0.364, low=0.152, high=0.646), resolved=Rate(k=5, n=11, rate=0.4545, low=0.213, high=0.72)),
        effect=0.0536, effect_low=-0.172, effect_high=0.344, avoided_per_day=0.7, avoided_low=-2.2, avoided_high=4.4,
    )  # fmt: skip
    made = WebReport(
        as_of_ms=at_ms, views=12_282, sessions=5_400, visitors=4_900, bots=310, linked_sessions=2_100,
        contacted=Rate(k=205.5, n=5_100.0, rate=0.0403, low=0.0352, high=0.0461), base=_BASE,
        self_resolution=Rate(k=880.0, n=1_000.0, rate=0.88, low=0.858, high=0.899), silent_leavers=143, flags_raised=260,
        flags_cleared={"progress": 90, "contact": 61, "left": 100}, pages=pages, other_pages=31, other_views=1_400,
        interventions=(offers, unsure),
        switches=(Switch(from_channel="web", to_channel="voice", count=88.4), Switch(from_channel="chat", to_channel="voice", count=21.0)),
        resolutions=(Resolution(
            queue="注文・配送", channel="voice", fcr=Rate(k=700.0, n=900.0, rate=0.778, low=0.749, high=0.804),
            fcr_provisional=Rate(k=150.0, n=170.0, rate=0.882, low=0.825, high=0.923),
            repeat=Rate(k=200.0, n=1_000.0, rate=0.2, low=0.176, high=0.226),
        ),),
    )  # fmt: skip
    return structs.replace(made, **changed)


def report_through(at_ms: int) -> WebReport:
    """A report whose counts grow through the day, and on which ever other visitors are stuck."""
    minute = at_ms // 60_000
    share = minute % 1440 / 1440
    made = report_of(at_ms)
    pages = tuple(
        structs.replace(
            page,
            views=round(page.views * share),
            stuck_now=page.stuck_now and page.stuck_now + minute // 20 % 4,
        )
        for page in made.pages
    )
    return structs.replace(
        made, pages=pages, sessions=round(made.sessions * share), silent_leavers=round(143 * share),
        flags_raised=round(260 * share), flags_cleared={why: round(n * share) for why, n in made.flags_cleared.items()},
    )  # fmt: skip


def stuck_of(
    number: int, at_ms: int, *, page: str = RETURNS, raised_ms: int | None = None, **changed: object
) -> VisitorNow:
    """A visitor who has been stuck for a while, and could be offered help."""
    visitor, customer = f"v1_{number:024x}", f"c1_{number:024x}"
    known = (
        Reason(code="base", log_odds=-3.9),
        Reason(code="rage_click", log_odds=1.4),
        Reason(code="form_error", log_odds=1.1),
        Reason(code="page", log_odds=1.9, detail=page),
    )
    reasons = tuple(sorted(known, key=lambda each: -abs(each.log_odds)))
    flag = Flag(
        id=f"f{number}", visitor_id=visitor, session_id=f"s{number}", page=page,
        raised_ms=at_ms - 90_000 * number if raised_ms is None else raised_ms, probability=0.62, threshold=0.3,
        arm="offer", queue="注文・配送", kind="チャット案内", customer_id=customer, reasons=reasons, model_version=3,
    )  # fmt: skip
    made = VisitorNow(
        visitor_id=visitor, session_id=f"s{number}", page=page, seen_ms=at_ms - 5_000, probability=0.62,
        reasons=reasons, flag=flag, customer_id=customer, offer=True,
    )  # fmt: skip
    return structs.replace(made, **changed)
