"""How fast is stock Faust at web visitors, as its documentation shows it: a table per visitor, one of pages?

A part of what `streams.journeys` does, in one agent function: sessions, engaged time, loops, rage clicks, errors and
searches of each visitor, and views and sessions of each page. Durable by the tables' changelog topics: one record for
each event, and one more for each view. Configured as `stock_faust` says.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import faust

from tests.benchmarks.peers.stock_faust import app_of
from tests.benchmarks.peers.stopwatch import Flags, Stopwatch, flags, leave

GAP_S = 1800.0
_NEWEST = 60
_Visitor = dict[str, Any]


def build(told: Flags) -> faust.App:
    """The application: the topic of web events, two tables, one agent function."""
    app = app_of(told)
    topic = app.topic(told.topic, key_type=bytes, value_serializer="json")
    visitors = app.Table("visitors", partitions=told.partitions)
    pages = app.Table("pages", partitions=told.partitions)
    watch = Stopwatch()

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def follow(stream: Any) -> None:
        seen = 0
        async for event in stream:
            if not watch.running:
                watch.start()
            seen += 1
            data = event["data"]
            if "visitor_id" in data:
                at_s = datetime.fromisoformat(event["time"]).timestamp()
                visitor, is_new = taken(visitors.get(data["visitor_id"]), event["type"], data, at_s)
                visitors[data["visitor_id"]] = visitor
                if event["type"] == "web.page_view":
                    views, sessions = pages.get(data["page"]) or (0, 0)
                    pages[data["page"]] = (views + 1, sessions + is_new)
            if seen == told.expected:
                watch.stop()
                watch.report("faust", faust.__version__, seen)
                leave()

    return app


def taken(known: _Visitor | None, kind: str, data: dict[str, Any], at_s: float) -> tuple[_Visitor, bool]:
    """A visitor after one more event, and whether a page was seen for the first time in the session."""
    if known is None or at_s - known["last_s"] > GAP_S:
        count = 1 if known is None else known["sessions"] + 1
        visitor: _Visitor = {
            "sessions": count, "views": [], "pings": {}, "clicks": [], "rage": 0, "dead": 0, "errors": 0,
            "form_errors": 0, "searches": 0, "loops": 0,
        }  # fmt: skip
    else:
        visitor = dict(known)
    visitor["last_s"] = at_s
    is_new = False
    if kind == "web.page_view":
        recent = [each for each in visitor["views"] if at_s - each[1] <= 900.0]
        is_new = all(each[0] != data["page"] for each in visitor["views"])
        same = sum(each[0] == data["page"] for each in recent)
        visitor["loops"] += same >= 2
        visitor["views"] = [*visitor["views"], (data["page"], at_s)][-_NEWEST:]
    elif kind == "web.page_ping":
        beat = int(at_s // 10)
        pings = dict(visitor["pings"])
        last, engaged_s = pings.get(data["page"], (0, 5.0))
        pings[data["page"]] = (beat, engaged_s + 10.0 * (beat != last))
        visitor["pings"] = pings
    elif kind == "web.click":
        near = [
            each
            for each in visitor["clicks"]
            if at_s - each[2] <= 1.0 and abs(each[0] - data["x"]) + abs(each[1] - data["y"]) < 30
        ]
        visitor["rage"] += len(near) >= 3
        visitor["dead"] += bool(data.get("dead"))
        visitor["clicks"] = [*near, (data["x"], data["y"], at_s)][-8:]
    elif kind == "web.error":
        visitor["errors"] += 1
    elif kind == "web.form_error":
        visitor["form_errors"] += 1
    elif kind == "web.search":
        visitor["searches"] += data.get("hits") == 0
    return visitor, is_new


def main() -> None:
    """Run a worker until all records are taken in."""
    app = build(flags())
    sys.argv = ["faust", "-L", "uvloop", "worker", "--without-web", "-l", "warn"]
    app.main()


if __name__ == "__main__":
    main()
