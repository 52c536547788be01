"""What would the counters of pages be after visits of which the truth is known? Counts as `schemas.web_rows` says."""

from random import Random

from schemas.journeys import PageModel, WebReport
from schemas.web_rows import SITE_ROW, before_row, page_row
from streams.journeys.day_number import day_number
from streams.journeys.page_model import report_of
from streams.journeys.sketch import bucket
from streams.site import Site

NOW_MS = 1_795_000_000_000
SITE = Site()
TODAY = day_number(SITE, NOW_MS)
Days = dict[str, dict[int, dict[str, int]]]


class Visits:
    """Counters of sessions that all happened, and whose outcomes are all known, on one day."""

    def __init__(self, site: Site = SITE, befores: int = 1) -> None:
        self.site = site
        self.befores = befores
        self.days: Days = {}

    def add(self, row: str, day: int = TODAY, **counts: int) -> None:
        total = self.days.setdefault(row, {}).setdefault(day, {})
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count

    def session(self, steps: list[tuple[str, float]], contacted: bool, day: int = TODAY) -> None:
        """A session as (page, engaged seconds) in order; the contact follows at once after the last step."""
        k = int(contacted)
        engaged: dict[str, float] = {}
        before: dict[str, list[str]] = {}
        on_contact: dict[str, bool] = {}
        reached_contact = False
        for page, seconds in steps:
            reached_contact = reached_contact or self.site.journeys.page_class(page) == "contact"
            if page not in before:
                before[page] = sorted(engaged, key=lambda each: -engaged[each])[: self.befores] or [""]
                on_contact[page] = reached_contact
            engaged[page] = engaged.get(page, 0.0) + seconds
            self.add(page_row(page), day, views=1)
        self.add(SITE_ROW, day, sessions=1, views=len(steps), known=1, contacted=k)
        for page, seconds in engaged.items():
            clean = int(seconds > 0 and not on_contact[page])
            self.add(page_row(page), day, sessions=1, n=1, k=k, bn=clean, bk=clean * k)
            self.add(page_row(page), day, **{f"e{bucket(seconds)}": 1, f"c{bucket(seconds)}": k})
            if clean:
                for each in before[page]:
                    self.add(before_row(page, each), day, n=1, k=k)

    def report(self) -> WebReport:
        return report_of(self.days, now_ms=NOW_MS, site=self.site, model=None, stuck_by_page={})

    def models(self) -> dict[str, PageModel]:
        return {each.page: each for each in self.report().pages}


def browsing(random: Random, pages: int = 12) -> list[tuple[str, float]]:
    """A walk over a few harmless pages, after the home page more often than not."""
    home = [("/", random.uniform(2, 20))] if random.random() < 0.6 else []
    chosen = random.sample(range(pages), random.randint(1, 3))
    return home + [(f"/product/{number}", random.uniform(5, 60)) for number in chosen]


def stuck_walk(page: str, random: Random) -> list[tuple[str, float]]:
    """A stay on the page that makes a problem."""
    return [(page, random.uniform(30, 240))]
