"""How fast is the fold of visitors alone, and how large is a visitor? `python -m tests.benchmarks.web_fold [--json]`

Visitors of half an hour, interleaved in the order of time: views, pings, clicks, errors, searches, a login of every
third. Prints events/s (of processor time, decoding included) and bytes a visitor (of the whole process, all of them live).
"""

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from schemas.topics import WEB
from streams.driver import Stored
from streams.journeys.policy import JourneyPolicy
from streams.journeys.visitor_fold import VisitorFold
from streams.site import Site

BASE_MS = 1_772_442_000_000
PAGES = (*(f"/shop/category-{n % 37}/item-{n}" for n in range(400)), "/help/iban", "/contact")
RUN = 2000
SITE = Site(name="bench", zone="Europe/Berlin", journeys=JourneyPolicy(most_visitors=2_000_000))


def _event(kind: str, at_ms: int, number: int, visitor: str, data: str) -> bytes:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"specversion":"1.0","id":"{visitor[3:15]}-{number}","source":"tracker","type":"{kind}","time":"{at}",'
        f'"subject":"{visitor}","data":{{"visitor_id":"{visitor}",{data}}}}}'
    ).encode()


def life(visitor: str, start_ms: int, dice: random.Random) -> Iterator[tuple[int, bytes]]:
    """About 25 events of one visitor."""
    at_ms, number = start_ms, 0

    def told(kind: str, data: str) -> tuple[int, bytes]:
        nonlocal number
        number += 1
        return at_ms, _event(kind, at_ms, number, visitor, data)

    for view in range(dice.randint(3, 9)):
        where = f'"page":"{dice.choice(PAGES)}","view_id":"{visitor[3:9]}{view}"'
        yield told("web.page_view", where)
        for _ in range(dice.randint(0, 4)):
            at_ms += dice.randint(8000, 14_000)
            yield told("web.page_ping", where)
        if dice.random() < 0.5:
            at_ms += 700
            yield told(
                "web.click", f'{where},"x":{dice.randint(0, 900)},"y":{dice.randint(0, 900)},"target":"link"'
            )
        if dice.random() < 0.05:
            yield told("web.error", f'{where},"kind":"script"')
        if dice.random() < 0.05:
            yield told("web.search", f'{where},"hits":{dice.randint(0, 2)}')
        if view == 2 and visitor[-1] in "abcde":
            yield told("identity.linked", f'"customer_id":"c1_{visitor[3:27]}"')
        at_ms += dice.randint(300, 9000)
        yield told("web.page_leave", where)


def traffic(visitors: int, within_ms: int, seed: int = 1) -> list[bytes]:
    """Everything that so many visitors do who begin within a time, in the order of time."""
    dice = random.Random(seed)
    events: list[tuple[int, bytes]] = []
    for number in range(visitors):
        visitor = f"v1_{random.Random(number).getrandbits(96):024x}"
        events += life(visitor, BASE_MS + dice.randrange(within_ms), dice)
    events.sort(key=lambda each: each[0])
    return [value for _, value in events]


def memory() -> int:
    """Resident bytes of this process."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def speed(visitors: int, within_ms: int) -> dict[str, float]:
    """Events/s with time going on as in the events: visitors come, are known, and are packed."""
    records = [Stored(offset, value) for offset, value in enumerate(traffic(visitors, within_ms))]
    fold = VisitorFold(SITE, WEB, 0, event_clock=True)
    began = time.process_time()
    for start in range(0, len(records), RUN):
        fold.apply(records[start : start + RUN], BASE_MS)
        fold.settle(fold.clock_ms)
        fold.take_days(), fold.take_flags(), fold.take_links(), fold.take_visitors()
    elapsed_s = time.process_time() - began
    return {
        "events": len(records),
        "events_per_s": len(records) / elapsed_s,
        "us_per_event": 1e6 * elapsed_s / len(records),
    }


def room(visitors: int) -> dict[str, float]:
    """Bytes a live visitor, all of them at once."""
    fold = VisitorFold(SITE, WEB, 0, event_clock=True)
    before = memory()
    offset = 0
    for part in range(0, visitors, 1000):
        dice = random.Random(part)
        values = [
            value
            for number in range(part, part + 1000)
            for _, value in life(
                f"v1_{random.Random(number).getrandbits(96):024x}", BASE_MS + dice.randrange(60_000), dice
            )
        ]
        fold.apply([Stored(offset + each, value) for each, value in enumerate(values)], BASE_MS)
        offset += len(values)
    assert fold.visitors == visitors
    return {
        "live_visitors": visitors,
        "bytes_per_visitor": (memory() - before) / visitors,
        "events_per_visitor": offset / visitors,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--visitors", type=int, default=5000)
    parser.add_argument("--hours", type=float, default=2.0, help="over which visitors begin")
    arguments = parser.parse_args()
    done = {**room(arguments.visitors), **speed(arguments.visitors, int(arguments.hours * 3_600_000))}
    if arguments.json:
        json.dump(done, sys.stdout, indent=1)
    else:
        sys.stdout.write("\n".join(f"{name}: {value:,.1f}" for name, value in done.items()) + "\n")


if __name__ == "__main__":
    main()
