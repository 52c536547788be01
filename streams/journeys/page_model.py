"""What does each page do to contacts, and what does the whole site look like? One report from counters by day.

Older days weigh less: half after `half_life_days`. Nothing is kept: the same counters give the same report. Refuses to
know visitors and events; `schemas.web_rows` says what is counted.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from schemas.journeys import (
    InterventionResult,
    PageClass,
    PageModel,
    Rate,
    Resolution,
    StuckModel,
    Switch,
    WebReport,
)
from schemas.web_rows import SITE_ROW, before_row, page_row, web_row_parts
from streams.journeys.arms import results
from streams.journeys.causes import NONE, STRENGTH, Base, Count, Lift, Origin, Ways, origins
from streams.journeys.day_number import day_number
from streams.journeys.policy import OTHER_PAGES, JourneyPolicy
from streams.journeys.rates import measured, shrunk
from streams.journeys.sketch import quantile
from streams.site import Site

Row = Mapping[int, Mapping[str, int]]
"""Number of the business day -> counter -> count."""
Days = Mapping[str, Row]
"""Name of the row -> the row."""
Sums = tuple[float, float, float, float]
"""Decayed `n`, `k`, `bn`, `bk` of a row."""
_SEPARATOR = page_row("")[1:]
_NO_ROW: Row = {}
_NO_COUNTS: Mapping[str, int] = {}


def weights_of(today: int, policy: JourneyPolicy) -> dict[int, float]:
    """What a day weighs: today 1, half of it `half_life_days` before, nothing from `keep_days` on.

    The next two days weigh 1, too: clocks of sources differ.
    """
    past = {today - age: 0.5 ** (age / policy.half_life_days) for age in range(policy.keep_days)}
    return {**past, today + 1: 1.0, today + 2: 1.0}


def cells_of(days: Days, today: int, policy: JourneyPolicy) -> dict[str, dict[int, tuple[float, float]]]:
    """What `stuck_model.fit` learns from: subject page -> pattern -> (moments, followed by a contact), decayed."""
    weights = weights_of(today, policy)
    out: dict[str, dict[int, tuple[float, float]]] = {}
    for name, row in days.items():
        if name[:1] != "m":
            continue
        cells: dict[int, tuple[float, float]] = {}
        for counter, count in _decayed(row, weights).items():
            pattern = int(counter[1:], 16)
            n, k = cells.get(pattern, (0.0, 0.0))
            cells[pattern] = (n + count, k) if counter[0] == "n" else (n, k + count)
        if cells:
            out[web_row_parts(name)[1]] = cells
    return out


class Memo:
    """Sums of rows that did not change since the last report of the same site, so that they need not be formed again.

    Whoever keeps one names every row that changed, appeared or went; a new business day empties it.
    """

    def __init__(self) -> None:
        self.day = -1
        self.sums: dict[str, Sums] = {}

    def changed(self, row: str) -> None:
        """The counters of this row are others now."""
        self.sums.pop(row, None)

    def of_day(self, day: int) -> dict[str, Sums]:
        """What is remembered, if it is of this business day."""
        if day != self.day:
            self.day = day
            self.sums.clear()
        return self.sums


def report_of(
    days: Days,
    *,
    now_ms: int,
    site: Site,
    model: StuckModel | None,
    stuck_by_page: Mapping[str, int],
    memo: Memo | None = None,
) -> WebReport:
    """The report of a site at an instant.

    Args:
        days: counters of every row and day, summed over sources.
        now_ms: the instant (Unix ms); its business day is "today".
        stuck_by_page: page -> visitors who are stuck on it now.
        memo: of the reports before; it changes how long this takes, not what it says.
    """
    return _Reporter(days, now_ms, site, memo or Memo()).report(model, stuck_by_page)


class _Page(NamedTuple):
    """One page: views, sessions and visitors of today; known visits, and the engaged ones before a contact page."""

    page: str
    page_class: PageClass
    row: Row
    views: int
    visits: Count
    engaged: Count


class _Reporter:
    def __init__(self, days: Days, now_ms: int, site: Site, memo: Memo) -> None:
        self.days, self.now_ms, self.site, self.policy = days, now_ms, site, site.journeys
        self.today = day_number(site, now_ms)
        self.weights = weights_of(self.today, self.policy)
        self.memo = memo.of_day(self.today)
        self.by_letter = _by_letter(days)
        self.pages = self._pages()
        regular = [each for each in self.pages.values() if each.page_class in ("content", "help")]
        self.visits = _sum(each.visits for each in regular)
        self.usual = Base(self.visits).usual
        self.base = Base(_sum(each.engaged for each in regular))
        self.lifts = self._lifts()
        self.origins = self._origins()

    def report(self, model: StuckModel | None, stuck_by_page: Mapping[str, int]) -> WebReport:
        row = self.days.get(SITE_ROW, _NO_ROW)
        today, long = row.get(self.today, _NO_COUNTS), _decayed(row, self.weights)
        shown = self._shown()
        views = {each.page: each.views for each in self.pages.values()}
        return WebReport(
            as_of_ms=self.now_ms,
            views=today.get("views", 0),
            sessions=today.get("sessions", 0),
            visitors=today.get("visitors", 0),
            bots=today.get("bots", 0),
            linked_sessions=today.get("linked", 0),
            contacted=measured(long.get("contacted", 0.0), long.get("known", 0.0)),
            base=measured(self.visits.k, self.visits.n),
            self_resolution=measured(
                long.get("help_n", 0.0) - long.get("help_k", 0.0), long.get("help_n", 0.0)
            ),
            silent_leavers=today.get("silent", 0),
            flags_raised=today.get("flags", 0),
            flags_cleared={
                cleared: today.get(f"cleared_{cleared}", 0) for cleared in ("progress", "contact", "left")
            },
            pages=self._models(shown, stuck_by_page),
            other_pages=len(views) - len(shown),
            other_views=sum(views.values()) - sum(views[page] for page in shown),
            interventions=self._interventions(),
            switches=self._switches(),
            resolutions=self._resolutions(),
            model=model,
        )

    def _pages(self) -> dict[str, _Page]:
        weights, today, memo = self.weights, self.today, self.memo
        out: dict[str, _Page] = {}
        for name in self.by_letter["p"]:
            row, page = self.days[name], name[2:]
            n, k, bn, bk = memo[name] if name in memo else _remember(memo, name, row, weights)
            page_class = _class_of(self.policy, page)
            views = row.get(today, _NO_COUNTS).get("views", 0)
            out[page] = _Page(page, page_class, row, views, Count(n, k), Count(bn, bk))
        return out

    def _lifts(self) -> dict[str, Lift]:
        """The lifts of suspects."""
        out: dict[str, Lift] = {}
        least = max(float(self.policy.floor_n), 1e-9)
        for each in self.pages.values():
            if each.page_class == "contact" or each.page == OTHER_PAGES or each.engaged.n < least:
                continue
            if self.base.may_exceed(each.engaged, self.policy.lift):
                lift = self.base.lift(each.engaged)
                if lift.low >= self.policy.lift:
                    out[each.page] = lift
        return out

    def _origins(self) -> dict[str, Origin]:
        if not self.lifts:
            return {}
        flows: dict[tuple[str, str], Count] = {}
        befores = {"", *self.lifts}
        for page in self.lifts:
            for before in befores:
                row = self.days.get(before_row(page, before))
                if row is not None:
                    long = _decayed(row, self.weights)
                    flows[page, before] = Count(long.get("n", 0.0), long.get("k", 0.0))
        suspects = {page: self.pages[page].engaged for page in self.lifts}
        return origins(suspects, Ways(flows, self._shares(befores)), self.base, self.policy)

    def _shares(self, befores: set[str]) -> dict[str, float]:
        """Of all engaged visits after a page: which share is after each of these?"""
        days, weights, memo = self.days, self.weights, self.memo
        after = dict.fromkeys(befores, 0.0)
        for name in self.by_letter["b"]:
            before = name[name.rindex(_SEPARATOR) + 1 :]
            if before in after:
                after[before] += (memo[name] if name in memo else _remember(memo, name, days[name], weights))[
                    0
                ]
        total = sum(each.engaged.n for each in self.pages.values()) - after[""]
        return {before: n / total for before, n in after.items() if before and total > 0}

    def _shown(self) -> list[str]:
        def first(page: str) -> tuple[int, float, float, str]:
            origin, each = self.origins.get(page), self.pages[page]
            if origin is not None and origin.precedes:
                return 0, -self.lifts[page].low, 0.0, page
            return 1, -float(each.views), -each.visits.n, page

        named = (page for page in self.pages if page != OTHER_PAGES)
        return sorted(named, key=first)[: self.policy.most_shown]

    def _models(self, shown: list[str], stuck_by_page: Mapping[str, int]) -> tuple[PageModel, ...]:
        reasons = self._reasons(set(shown))
        return tuple(
            self._model(self.pages[page], reasons.get(page, {}), stuck_by_page.get(page, 0)) for page in shown
        )

    def _model(self, each: _Page, reasons: dict[str, float], stuck_now: int) -> PageModel:
        today, long = each.row.get(self.today, _NO_COUNTS), _decayed(each.row, self.weights)
        origin = self.origins.get(each.page, Origin(precedes=False, own=NONE, by=None))
        lift = self.base.lift(each.engaged) if each.engaged.n > 0 else None
        own = self.base.lift(origin.own) if origin.own.n > 0 else None
        everyone, contacted = _sketch(long, "e"), _sketch(long, "c")
        quiet = {number: count - contacted.get(number, 0.0) for number, count in everyone.items()}
        offer = self.policy.offer_for(each.page)
        return PageModel(
            page=each.page,
            page_class=each.page_class,
            verdict=self._verdict(each, origin),
            views=each.views,
            sessions=today.get("sessions", 0),
            visitors=today.get("visitors", 0),
            contact=shrunk(each.visits.k, each.visits.n, self.usual, STRENGTH),
            lift=lift and lift.lift,
            lift_low=lift and lift.low,
            lift_high=lift and lift.high,
            own_lift=own and own.lift,
            own_lift_low=own and own.low,
            lead_median_s=quantile(_sketch(long, "l"), 0.5),
            engaged_median_s=quantile(quiet, 0.5),
            engaged_median_contacted_s=quantile(contacted, 0.5),
            reasons=reasons,
            announced_by=origin.by,
            help_contact=_rate(long, "help") if each.page_class == "help" else None,
            stuck_now=stuck_now,
            queue=offer.queue if offer is not None else None,
        )

    def _verdict(
        self, each: _Page, origin: Origin
    ) -> Literal["precedes", "announces", "contact", "none", "unsure"]:
        if each.page_class == "contact":
            return "contact"
        if origin.precedes:
            return "precedes"
        if origin.by is not None:
            return "announces"
        return "unsure" if each.engaged.n < self.policy.floor_n else "none"

    def _reasons(self, pages: set[str]) -> dict[str, dict[str, float]]:
        """Contacts by page and reason, the most frequent reason first."""
        found: dict[str, dict[str, float]] = {}
        for name in self.by_letter["r"]:
            _, page, reason = web_row_parts(name)
            if page in pages:
                count = _decayed(self.days[name], self.weights).get("k", 0.0)
                if count > 0:
                    found.setdefault(page, {})[reason] = count
        return {
            page: dict(sorted(reasons.items(), key=lambda each: (-each[1], each[0])))
            for page, reasons in found.items()
        }

    def _interventions(self) -> tuple[InterventionResult, ...]:
        """Results of every page and kind, those with most visitors first."""
        day_ms, next_ms = self.site.calendar("").day_bounds_ms(self.now_ms)
        passed = (self.now_ms - day_ms) / (next_ms - day_ms)
        out: list[InterventionResult] = []
        for name in self.by_letter["i"]:
            _, page, kind = web_row_parts(name)
            counted = {
                day: counts for day, counts in self.days[name].items() if day in self.weights and counts
            }
            if counted:
                total = _decayed(counted, dict.fromkeys(counted, 1.0))
                counts = {counter: int(count) for counter, count in total.items()}
                out.append(results(page, kind, counts, self.today - min(counted) + passed))
        out.sort(key=lambda each: (-each.offer.contact.n - each.holdout.contact.n, each.page, each.kind))
        return tuple(out[: self.policy.most_shown])

    def _switches(self) -> tuple[Switch, ...]:
        out: list[Switch] = []
        for name in self.by_letter["x"]:
            _, from_channel, to_channel = web_row_parts(name)
            count = _decayed(self.days[name], self.weights).get("k", 0.0)
            if count > 0:
                out.append(Switch(from_channel=from_channel, to_channel=to_channel, count=count))
        return tuple(sorted(out, key=lambda each: (-each.count, each.from_channel, each.to_channel)))

    def _resolutions(self) -> tuple[Resolution, ...]:
        out: list[Resolution] = []
        for name in sorted(self.by_letter["c"]):
            _, queue, channel = web_row_parts(name)
            long = _decayed(self.days[name], self.weights)
            if any(long.values()):
                fcr, provisional, repeat = (_rate(long, prefix) for prefix in ("fcr", "prov", "repeat"))
                out.append(
                    Resolution(
                        queue=queue, channel=channel, fcr=fcr, fcr_provisional=provisional, repeat=repeat
                    )
                )
        return tuple(out)


def _by_letter(days: Days) -> dict[str, list[str]]:
    """Names of rows by what they are about, of those that a report needs."""
    out: dict[str, list[str]] = {letter: [] for letter in "pbrixc"}
    for name in days:
        names = out.get(name[:1])
        if names is not None:
            names.append(name)
    return out


def _remember(memo: dict[str, Sums], name: str, row: Row, weights: Mapping[int, float]) -> Sums:
    """Visits of a row over the days kept, each day with its weight."""
    n = k = bn = bk = 0.0
    for day, counts in row.items():
        if "n" in counts and day in weights:
            weight = weights[day]
            n += weight * counts["n"]
            k += weight * counts.get("k", 0)
            bn += weight * counts.get("bn", 0)
            bk += weight * counts.get("bk", 0)
    memo[name] = n, k, bn, bk
    return memo[name]


def _decayed(row: Row, weights: Mapping[int, float]) -> dict[str, float]:
    """The counters of a row over the days kept, each day with its weight."""
    total: dict[str, float] = {}
    for day, counts in row.items():
        if day in weights:
            weight = weights[day]
            for counter, count in counts.items():
                if counter in total:
                    total[counter] += weight * count
                else:
                    total[counter] = weight * count
    return total


def _sum(counts: Iterable[Count]) -> Count:
    n = k = 0.0
    for count in counts:
        n += count.n
        k += count.k
    return Count(n, k)


def _rate(long: Mapping[str, float], prefix: str) -> Rate:
    return measured(long.get(f"{prefix}_k", 0.0), long.get(f"{prefix}_n", 0.0))


def _sketch(long: Mapping[str, float], letter: str) -> dict[int, float]:
    """The sketch whose counters are the letter and the number of a bucket."""
    return {int(name[1:]): count for name, count in long.items() if name[0] == letter and name[1:].isdigit()}


@lru_cache(maxsize=1 << 14)
def _class_of(policy: JourneyPolicy, page: str) -> PageClass:
    """As `JourneyPolicy.page_class`, remembered: a report asks for the same pages every second."""
    return policy.page_class(page)
