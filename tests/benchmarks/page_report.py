"""How long does the report of a site's pages take, and how long the model of stuck visitors?

    python -m tests.benchmarks.page_report [--pages 2000] [--days 35] [--json]

Counters of a made-up site, as many days as are kept: every page after ten others, some pages with causes. `first_ms`
is a report of counters never seen before; `again_ms` the median of reports between which a tenth of the pages changed.
"""

from __future__ import annotations

import argparse
import json
import time
from random import Random
from statistics import median

from schemas.web_rows import SITE_ROW, before_row, page_row, reason_row
from streams.journeys.day_number import day_number
from streams.journeys.page_model import Memo, report_of
from streams.journeys.policy import JourneyPolicy
from streams.journeys.stuck_model import DEFAULT_MODEL, fit
from streams.site import Site

NOW_MS = 1_795_000_000_000
Days = dict[str, dict[int, dict[str, int]]]


def counters(pages: int, days: int, random: Random) -> Days:
    """Rows of `pages` pages over the last `days` days; one page in fifty is bad, views are spread as in real sites."""
    today = day_number(Site(), NOW_MS)
    out: Days = {SITE_ROW: {}}
    names = [f"/section-{index % 40}/page-{index}" for index in range(pages)]
    for index, page in enumerate(names):
        busy, rate = 20 + 4000 // (1 + index), 0.25 if index % 50 == 7 else 0.03
        befores = ["", *random.sample(names, 9)]
        for day in range(today - days + 1, today + 1):
            n = random.randint(busy // 2, busy)
            k = sum(random.random() < rate for _ in range(min(n, 200))) * max(1, n // 200)
            counts = {"views": 2 * n, "sessions": n, "visitors": n, "n": n, "k": k, "bn": n, "bk": k}
            for letter, count in (("e", 25), ("c", 8), ("l", 8)):
                counts |= {f"{letter}{random.randint(0, 90)}": random.randint(1, 9) for _ in range(count)}
            out.setdefault(page_row(page), {})[day] = counts
            for before in befores:
                part = {"n": n // 10, "k": k // 10}
                out.setdefault(before_row(page, before), {})[day] = part
            out.setdefault(reason_row(page, "billing"), {})[day] = {"k": k}
    for day in range(today - days + 1, today + 1):
        out[SITE_ROW][day] = {"views": 100, "sessions": 50, "known": 50, "contacted": 2}
    return out


def cells(count: int, pages: int, random: Random) -> dict[str, dict[int, tuple[float, float]]]:
    """About `count` cells with few outcomes each."""
    out: dict[str, dict[int, tuple[float, float]]] = {}
    for _ in range(count):
        pattern = sum(1 << bit for bit in range(15) if random.random() < 0.25)
        n = float(random.randint(1, 80))
        out.setdefault(f"/page-{random.randrange(pages)}", {})[pattern] = (
            n,
            float(int(n * random.random() / 8)),
        )
    return out


def measure(pages: int, days: int) -> dict[str, float]:
    """Times of the processor in ms, so that what else runs here does not count."""
    random, site, memo = Random(1), Site(), Memo()
    made = counters(pages, days, random)
    begin = time.process_time()
    report = report_of(made, now_ms=NOW_MS, site=site, model=None, stuck_by_page={}, memo=memo)
    first = time.process_time() - begin
    today, again = day_number(site, NOW_MS), []
    rows = [row for row in made if row[0] == "p"]
    for _ in range(10):
        for row in random.sample(rows, len(rows) // 10):
            for counter in ("views", "n", "bn"):
                made[row][today][counter] += 1
            memo.changed(row)
        begin = time.process_time()
        report_of(made, now_ms=NOW_MS, site=site, model=None, stuck_by_page={}, memo=memo)
        again.append(time.process_time() - begin)
    moments = cells(5000, 500, random)
    begin = time.process_time()
    fit(moments, version=1, valid_from_ms=0, policy=JourneyPolicy(), prior=DEFAULT_MODEL)
    fitted = time.process_time() - begin
    return {
        "pages": pages,
        "days": days,
        "rows": len(made),
        "preceding": sum(each.verdict == "precedes" for each in report.pages),
        "first_ms": round(first * 1000, 1),
        "again_ms": round(median(again) * 1000, 1),
        "fit_5000_cells_ms": round(fitted * 1000, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.pages, options.days)
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:20} {value:>10}")


if __name__ == "__main__":
    main()
