"""What does the tracker cost a page that loads: milliseconds of its main thread, and bytes?

    python -m tests.benchmarks.tracker [--loads 30] [--json]

A page of two thousand elements is loaded in a real Chromium, with consent told before the tracker runs, so that all
of it starts. Chromium traces the load and some time after it. Counted is every task of the main thread in which the
tracker stands: its compiling and running, and each call of a listener, timer or promise of its own. `load`: all but the
first sending, 5 s later, which is `first_batch`. `cpu`: time of the thread on a processor, which
other processes do not change much; `wall`: with waiting for the browser's other processes (storage) and for a
processor. Also counted: layouts and styles that its code forced. Ends with 1 if the 95th percentile of the CPU time of
a load is above 5 ms, or if a layout was forced.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.rig import percentile
from tests.system.server_process import program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MOST_MS = 5.0
AFTER_MS = 5500
ELEMENTS = 2000
_CATEGORIES = [
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-v8.compile",
    "v8",
]
_OURS = "/queuelight.js"
_FILL = f"""addEventListener("DOMContentLoaded", () => {{
  const filling = document.createElement("div");
  for (let n = 0; n < {ELEMENTS} / 2; n++) {{
    const row = filling.appendChild(document.createElement("p"));
    row.appendChild(document.createElement("a")).textContent = "row " + n;
  }}
  document.body.append(filling);
}})"""


def _url_of(event: dict[str, Any]) -> str:
    data = event.get("args", {}).get("data") or {}
    frames = data.get("stackTrace") or event.get("args", {}).get("beginData", {}).get("stackTrace") or []
    return str(data.get("url") or data.get("fileName") or (frames[0]["url"] if frames else ""))


class Cost(NamedTuple):
    """Main-thread ms of our script in one trace, and the layouts and styles that it forced."""

    load_cpu_ms: float
    load_wall_ms: float
    batch_cpu_ms: float
    forced: int


def cost_of(trace: list[dict[str, Any]]) -> Cost:
    """What a trace tells of us. Events within others of ours count once.

    Raises:
        RuntimeError: we are not in it.
    """
    complete = [event for event in trace if event.get("ph") == "X" and _url_of(event).endswith(_OURS)]
    loads = [event for event in complete if event["name"] == "EvaluateScript"]
    if not loads:
        raise RuntimeError(f"expected a trace of {_OURS}, saw {len(trace)} events of others")
    thread = (loads[0]["pid"], loads[0]["tid"])
    ours = sorted(
        (event for event in complete if (event["pid"], event["tid"]) == thread), key=lambda event: event["ts"]
    )
    load_cpu_us = load_wall_us = batch_cpu_us = covered_us = 0.0
    for event in ours:
        if event["ts"] < covered_us:
            continue
        covered_us = event["ts"] + event.get("dur", 0)
        if event["args"].get("data", {}).get("functionName") == "flush":
            batch_cpu_us += event.get("tdur", 0)
        else:
            load_cpu_us += event.get("tdur", 0)
            load_wall_us += event.get("dur", 0)
    forced = sum(event["name"] in ("Layout", "UpdateLayoutTree") for event in ours)
    return Cost(load_cpu_us / 1000, load_wall_us / 1000, batch_cpu_us / 1000, forced)


def measure(loads: int) -> dict[str, object]:
    """Main-thread ms of `loads` page loads, and bytes."""
    # Imported here: whoever lists benchmarks needs no browser.
    from tests.tracker.web_site import Collector, WebSite, gzipped_bytes
    from tests.wallboard.page_world import CHROMIUM, chromium

    program(str(CHROMIUM), "chromium")
    with Collector() as collector, WebSite(collector) as site, chromium() as browser:
        costs = [_load(browser, site.url) for _ in range(loads + 1)][1:]
        collector.check()
    cpu_ms = [cost.load_cpu_ms for cost in costs]
    return {
        "loads": loads,
        "load_cpu_p50_ms": round(percentile(cpu_ms, 0.5), 2),
        "load_cpu_p95_ms": round(percentile(cpu_ms, 0.95), 2),
        "load_wall_p50_ms": round(percentile([cost.load_wall_ms for cost in costs], 0.5), 2),
        "first_batch_cpu_p50_ms": round(percentile([cost.batch_cpu_ms for cost in costs], 0.5), 2),
        "forced_layouts": sum(cost.forced for cost in costs),
        "gzipped_bytes": gzipped_bytes(),
    }


def _load(browser: Browser, url: str) -> Cost:
    from tests.tracker.conftest import CONSENT

    # A context of its own: nothing is in a cache of compiled code.
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(CONSENT)
    page.add_init_script(_FILL)
    browser.start_tracing(page=page, categories=_CATEGORIES)
    page.goto(url)
    page.mouse.move(200, 200)
    page.wait_for_timeout(AFTER_MS)
    trace = json.loads(browser.stop_tracing())["traceEvents"]
    context.close()
    return cost_of(trace)


def main() -> int:
    """Measure what the tracker costs a page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tracker", description=main.__doc__)
    parser.add_argument("--loads", type=int, default=30, help="how many page loads (default 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    found = measure(args.loads)
    print(json.dumps(found, indent=2) if args.json else "\n".join(f"{k:20} {v}" for k, v in found.items()))
    p95 = found["load_cpu_p95_ms"]
    assert isinstance(p95, float)
    return int(p95 > MOST_MS or found["forced_layouts"] != 0)


if __name__ == "__main__":
    sys.exit(main())
