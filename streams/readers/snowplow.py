"""Events of Snowplow's web tracker, as the columns of its table `atomic.events` in a CSV file with a header.

Page views and pings become events of the web; its other events have no counterpart and are passed over. What Snowplow
means and `streams.journeys` does not is done here: events without a session, those sent more than three days after they
were made, and those more than three days after the first of their session are left out; of events with one id the first
that was collected counts, and of page views with one id the earliest. A session ends where the tracker says, so each is
a visitor of its own here, and `SITE` lets three days pass within one. Pings bear the device's time, by which Snowplow
measures engagement; views the corrected one. Source: snowplow/dbt-snowplow-web (Apache-2.0), its model.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from schemas.dead_letters import DeadLetter, dead_letter
from schemas.errors import Reason
from schemas.events import CloudEvent
from schemas.topics import WEB
from schemas.web_events import OnPage, View, WebPagePing, WebPageView
from streams.driver import Item
from streams.journeys.policy import DAY_MS, JourneyPolicy
from streams.site import Site

SITE = Site(name="snowplow", journeys=JourneyPolicy(session_gap_ms=3 * DAY_MS))
LONGEST = timedelta(days=3)
"""How late an event may be sent, and how long a session may last."""
_PAGE = "contexts_com_snowplowanalytics_snowplow_web_page_1_0_0"
_COLUMNS = (
    "event", "event_id", "collector_tstamp", "dvce_created_tstamp", "dvce_sent_tstamp", "derived_tstamp",
    "domain_sessionid", "page_urlpath", "useragent", _PAGE,
)  # fmt: skip
_ROBOT = re.compile(
    r"bot|crawl|slurp|spider|archiv|spinn|sniff|seo|audit|survey|pingdom|worm|capture|(?:browser|screen)shots|analyz"
    r"|index|thumb|check|facebook|phantomjs|semalt",
    re.IGNORECASE,
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_Row = Mapping[str, str]


def read(lines: Iterable[bytes]) -> Iterator[Item | DeadLetter | None]:
    """Items in time order (rows lie in any order, so the file is read whole first); None for a row left out.

    A row with an empty time or without its columns is a dead letter.
    """
    rows: list[_Row] = []
    for number, row in enumerate(csv.DictReader(line.decode("utf-8", "replace") for line in lines)):
        try:
            _check(row)
        except (ValueError, KeyError, TypeError) as error:
            detail = f"row {number + 1}: {type(error).__name__}: {error}"
            raw = ",".join(str(value) for value in row.values()).encode()
            yield dead_letter(Reason.UNREADABLE_ROW, detail, "snowplow", 0, number, raw)
            continue
        rows.append(row)
    kept = _first_views(_within_sessions(_first_told(rows)))
    for _ in range(len(rows) - len(kept)):
        yield None
    events = sorted((_event_of(row) for row in kept), key=lambda each: each.time)
    for event in events:
        yield Item(WEB, str(event.subject), _encode(event))


def _check(row: _Row) -> None:
    for name in _COLUMNS:
        if not isinstance(row[name], str):
            raise ValueError(f"no column {name!r}")
    for name in ("collector_tstamp", "dvce_created_tstamp", "derived_tstamp"):
        _time(row, name)


def _time(row: _Row, name: str) -> datetime:
    return datetime.fromisoformat(row[name]).replace(tzinfo=UTC)


def _view_id(row: _Row) -> str:
    """The id of the page view an event belongs to; "" where there is none."""
    try:
        context = _decode(row[_PAGE])
    except msgspec.DecodeError:
        return ""
    while isinstance(context, list) and context:
        context = context[0]
    return str(context.get("id") or "") if isinstance(context, dict) else ""


def _first_told(rows: Iterable[_Row]) -> list[_Row]:
    """One row an event id, of those that have a session and were sent in time."""
    best: dict[str, _Row] = {}
    for row in rows:
        sent = row["dvce_sent_tstamp"]
        if not row["domain_sessionid"] or (
            sent and _time(row, "dvce_sent_tstamp") > _time(row, "dvce_created_tstamp") + LONGEST
        ):
            continue
        known = best.get(row["event_id"])
        if known is None or _time(row, "collector_tstamp") < _time(known, "collector_tstamp"):
            best[row["event_id"]] = row
    return list(best.values())


def _within_sessions(rows: list[_Row]) -> list[_Row]:
    """Rows no more than three days after the first of their session."""
    began: dict[str, datetime] = {}
    for row in rows:
        at = _time(row, "collector_tstamp")
        began[row["domain_sessionid"]] = min(at, began.get(row["domain_sessionid"], at))
    return [row for row in rows if _time(row, "collector_tstamp") <= began[row["domain_sessionid"]] + LONGEST]


def _first_views(rows: list[_Row]) -> list[_Row]:
    """Pings and, of page views with one id, the earliest; those without an id are none."""
    views: dict[str, _Row] = {}
    out: list[_Row] = []
    for row in rows:
        view = _view_id(row)
        if not view or row["event"] not in ("page_view", "page_ping"):
            continue
        if row["event"] == "page_ping":
            out.append(row)
            continue
        known = views.get(view)
        if known is None or _time(row, "derived_tstamp") < _time(known, "derived_tstamp"):
            views[view] = row
    return [*views.values(), *out]


def _event_of(row: _Row) -> CloudEvent:
    visitor, page = row["domain_sessionid"][:200], row["page_urlpath"][:200] or "/"
    view = _view_id(row)[:200]
    identity = f"{row['event_id']}"
    if row["event"] == "page_ping":
        return WebPagePing(
            id=identity, source="snowplow", time=_time(row, "dvce_created_tstamp"), subject=visitor,
            data=OnPage(visitor_id=visitor, page=page, view_id=view),
        )  # fmt: skip
    return WebPageView(
        id=identity, source="snowplow", time=_time(row, "derived_tstamp"), subject=visitor,
        data=View(visitor_id=visitor, page=page, view_id=view, bot=bool(_ROBOT.search(row["useragent"]))),
    )  # fmt: skip
