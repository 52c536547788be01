"""Who is stuck, which pages are to blame, and did helping help? The product against a simulated site of known truth.

    python -m tests.benchmarks.journeys [--quick] [--seeds 20] [--runs 200] [--jobs 2] [--json] [--picture FILE.svg]

Each seed is a site's life of several days through the whole pipeline (`JourneyDriver`): the model is learned as the days
go by, the last day is judged. Flags: did a contact follow within T, and how much later? Moments: the product's
probability against the best single-signal rules, and calibration. Pages: are those that "precede contacts" the causes?
`--runs` smaller lives with offers that prevent a planted share of contacts, and as many with offers that do nothing:
does the interval of the report hold what was planted, and does it report nothing where there is nothing?
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.progress import track

from tests.benchmarks.journey_judge import PRODUCT, curves, reliability
from tests.benchmarks.journey_offers import OfferFigures, OfferRun, judge_offers, offer_run
from tests.benchmarks.journey_scores import quantile
from tests.benchmarks.journey_world import FULL, QUICK, Life, SeedFigures, judged_life
from tests.benchmarks.journeys_picture import draw

PARTS = OfferFigures._fields[1:]


PARTS = OfferFigures._fields[1:]


def measure(
    seeds: Sequence[int], life: Life, runs: int, jobs: int
) -> tuple[list[SeedFigures], OfferFigures | None]:
    """Live every seed, and the runs with offers; a progress bar on a terminal."""
    console = Console(stderr=True)
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        lives = pool.map(partial(judged_life, life=life), seeds)
        figures = list(track(lives, "seeds", total=len(seeds), console=console, transient=True))
        offers: list[OfferRun] = []
        for effect in (0.8, 0.0) if runs else ():
            made = pool.map(partial(offer_run, effect=effect), range(1000, 1000 + runs))
            offers += track(made, f"offers, effect {effect}", total=runs, console=console, transient=True)
    return figures, judge_offers(offers) if offers else None


def judged(quick: bool) -> dict[str, object]:
    """The summary of 20 lives and 200 runs with offers of each kind; `quick`: of two shorter ones and few runs."""
    return summary(
        *measure(range(1, (2 if quick else 20) + 1), QUICK if quick else FULL, 6 if quick else 200, 2)
    )


def summary(figures: Sequence[SeedFigures], offers: OfferFigures | None) -> dict[str, object]:
    """Everything, as means over the seeds and the worst of them, for JSON."""
    leads = [lead for each in figures for lead in [each.flags.lead_s[1]] if lead is not None]
    rules = list(figures[0].cases.areas)
    return {
        "seeds": len(figures),
        "events": sum(each.events for each in figures),
        "events_per_s": round(sum(each.events for each in figures) / sum(each.seconds for each in figures)),
        "flags": {
            "raised": sum(each.flags.flags for each in figures),
            "contacts": sum(each.flags.contacts for each in figures),
            **{
                name: _of([getattr(each.flags, name) for each in figures])
                for name in ("precision", "joined", "stuck", "recall", "recall_caused", "recall_stuck")
            },
            "lead_median_s": _of(leads) if leads else None,
            "lead_quartiles_s": [each.flags.lead_s for each in figures],
        },
        "moments": {
            "count": sum(each.cases.moments for each in figures),
            "share_contacted": _of([each.cases.share for each in figures]),
            "share_contacted_joined": _of([each.cases.share_joined for each in figures]),
            "areas": {name: _of([each.cases.areas[name] for each in figures]) for name in rules},
            "areas_before_contact_page": {
                name: _of([each.cases.areas_before[name] for each in figures]) for name in rules
            },
            "ratio": _of([each.cases.ratio for each in figures]),
            "ratio_before_contact_page": _of([each.cases.ratio_before for each in figures]),
            "brier": _of([each.cases.brier.score for each in figures]),
            "brier_skill": _of([each.cases.brier.skill for each in figures]),
            "calibration_error": _of([each.cases.calibration_error for each in figures]),
            "reliability": [
                bin_._asdict() for bin_ in reliability([case for each in figures for case in each.moments])
            ],
        },
        "pages": {
            "precision_at_5": _of([each.pages.precision_at_5 for each in figures]),
            "found": _of([each.pages.found for each in figures]),
            "wrong": sorted({page for each in figures for page in each.pages.wrong}),
            "contact_or_announcing_listed": sum(len(each.pages.announcing) for each in figures),
            "listed": [each.pages.listed for each in figures],
        },
        "offers": None
        if offers is None
        else {
            "runs": offers.runs,
            **{name: part._asdict() for name, part in zip(PARTS, offers[1:], strict=True)},
        },
    }


def _of(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(mean(values), 4), "least": round(min(values), 4), "most": round(max(values), 4),
        "median": round(quantile(values, 0.5) or 0.0, 4),
    }  # fmt: skip


def as_markdown(found: dict[str, object]) -> str:
    """The table: each figure as mean (least - most) over the seeds."""
    lines = ["| figure | mean | least | most |", "|---|---:|---:|---:|"]
    for part in ("flags", "moments", "pages"):
        for name, value in _flat(part, found[part]):
            lines.append(f"| {name} | {value['mean']:.3f} | {value['least']:.3f} | {value['most']:.3f} |")
    lines += ["", "| said | came | moments |", "|---:|---:|---:|"]
    for each in found["moments"]["reliability"]:  # type: ignore[index]
        lines.append(f"| {each['said']:.3%} | {each['came']:.3%} | {each['n']} |")
    if found["offers"] is not None:
        lines += [
            "",
            "| offers | results | covered | helps | harms | width |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for name in PARTS:
            part = found["offers"][name]  # type: ignore[index]
            shares = " | ".join(f"{part[key]:.3f}" for key in ("covered", "helps", "harms", "width"))
            lines.append(f"| {name.replace('_', ', ')} | {part['results']} | {shares} |")
    return "\n".join(lines) + "\n"


def _flat(name: str, value: object) -> list[tuple[str, dict[str, float]]]:
    """Every figure that has a mean, with its name."""
    if not isinstance(value, dict):
        return []
    if "mean" in value:
        return [(name, value)]
    return [each for key, inner in value.items() for each in _flat(f"{name}: {key}", inner)]


def picture(figures: Sequence[SeedFigures]) -> str:
    """Reliability, and precision against recall, over the moments of all seeds."""
    moments = [case for each in figures for case in each.moments]
    found = {name: points for name, points in curves(moments).items() if name != "contact page"}
    areas = {name: mean(each.cases.areas[name] for each in figures) for name in found}
    best = max(area for name, area in areas.items() if name != PRODUCT)
    return draw(
        reliability(moments),
        found,
        areas,
        f"Contacts come as often as said; the area is {areas[PRODUCT] / best:.1f} times that of the best single signal",
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.journeys",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="two shorter lives and few runs with offers")
    parser.add_argument("--seeds", type=int, help="how many lives (default 20)")
    parser.add_argument("--runs", type=int, help="how many runs with offers of each kind (default 200)")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--picture", type=Path, help="write reliability and precision against recall here")
    args = parser.parse_args()
    seeds = args.seeds if args.seeds is not None else 2 if args.quick else 20
    runs = args.runs if args.runs is not None else 6 if args.quick else 200
    figures, offers = measure(range(1, seeds + 1), QUICK if args.quick else FULL, runs, args.jobs)
    if args.picture is not None:
        args.picture.write_text(picture(figures), encoding="utf-8")
    found = summary(figures, offers)
    print(json.dumps(found, indent=1) if args.json else as_markdown(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
