"""A bench for `VisitorFold`: events of visitors as records, and everything a fold tells, kept as readers keep it."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from schemas.dead_letters import DeadLetter
from schemas.journeys import Flag, JourneySession, StuckModel, VisitorNow
from schemas.topics import WEB
from schemas.web_rows import Counts
from streams.driver import Stored
from streams.fold import BUCKETS
from streams.journeys.policy import JourneyPolicy, Offer
from streams.journeys.shown import Link
from streams.journeys.visitor_fold import VisitorFold
from streams.site import Site

BASE = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp() * 1000)
"""A Monday morning in Berlin, 10 o'clock, in Unix ms."""
DAY_NUMBER = 20_514
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000

SURE = StuckModel(
    version=1, valid_from_ms=0, base=-4.0,
    weights={"loop": 4.0, "rage_click": 4.0, "form_error": 4.0, "zero_hits": 2.0, "engaged_120": 1.5},
)  # fmt: skip
"""One strong signal makes a visitor stuck (p = 0.5), nothing else does."""
POLICY = JourneyPolicy(
    offers=(Offer(pages="/pay*", kind="chat", queue="Billing"), Offer(pages="/faq*", kind="tutorial"))
)
SITE = Site(name="web", zone="Europe/Berlin", journeys=POLICY)


def event(kind: str, at_ms: int, /, **data: object) -> bytes:
    """One CloudEvent as it lies on the topic; its content is its id."""
    told = {name: value for name, value in data.items() if value is not None}
    name = f"{kind}@{at_ms}/" + "/".join(str(value) for value in told.values())[:150]
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    head = {"id": name, "source": "test", "type": kind, "time": at}
    return json.dumps({**head, "data": told}, ensure_ascii=False).encode()


class Browser:
    """Writes what one visitor does; times in seconds since `BASE`."""

    def __init__(self, visitor: str = "ann") -> None:
        self.visitor = visitor
        self.events: list[bytes] = []
        self.page = "/"
        self.views = 0

    def _put(self, kind: str, at_s: float, /, **data: object) -> "Browser":
        at_ms = BASE + round(at_s * 1000)
        self.events.append(event(kind, at_ms, visitor_id=self.visitor, **data))
        return self

    def _here(self, kind: str, at_s: float, /, **data: object) -> "Browser":
        return self._put(kind, at_s, page=self.page, view_id=f"{self.visitor}-{self.views}", **data)

    def view(self, at_s: float, page: str, *, bot: bool | None = None) -> "Browser":
        self.page = page
        self.views += 1
        return self._here("web.page_view", at_s, bot=bot)

    def ping(self, *at_s: float) -> "Browser":
        for each in at_s:
            self._here("web.page_ping", each)
        return self

    def click(
        self, at_s: float, x: int = 5, y: int = 5, *, dead: bool | None = None, exempt: bool = False
    ) -> "Browser":
        return self._here("web.click", at_s, x=x, y=y, dead=dead, exempt=exempt)

    def error(self, at_s: float, kind: str = "script") -> "Browser":
        return self._here("web.error", at_s, kind=kind)

    def refuse(self, at_s: float) -> "Browser":
        return self._here("web.form_error", at_s, form="pay", field="iban")

    def search(self, at_s: float, hits: int | None, term: str | None = None) -> "Browser":
        return self._here("web.search", at_s, hits=hits, term=term)

    def leave(self, at_s: float) -> "Browser":
        return self._here("web.page_leave", at_s)

    def link(self, at_s: float, customer: str | None = "c1_ann") -> "Browser":
        return self._put("identity.linked", at_s, customer_id=customer)

    def contacted(
        self, at_s: float, customer: str = "c1_ann", contact: str = "call-1", *, told_s: float | None = None,
        channel: str = "voice", reason: str | None = "iban", revision: int = 1, withdrawn: bool = False,
    ) -> "Browser":  # fmt: skip
        return self._put(
            "visitor.contacted", at_s if told_s is None else told_s, customer_id=customer, contact_id=contact,
            channel=channel, queue="Billing", queued_ms=BASE + round(at_s * 1000), reason=reason,
            revision=(1, revision), withdrawn=withdrawn,
        )  # fmt: skip

    def offered(
        self, at_s: float, what: str, *, kind: str = "chat", page: str | None = None, flag: str | None = None
    ) -> "Browser":
        return self._put(f"intervention.{what}", at_s, kind=kind, page=page, flag_id=flag)


def model_event(model: StuckModel, at_ms: int) -> bytes:
    head = {"id": f"model-{model.version}", "source": "test", "type": "pipeline.model"}
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return json.dumps({**head, "time": at, "data": msgspec.to_builtins(model)}).encode()


SURE_EVENT = model_event(SURE, BASE - HOUR)


class Watcher:
    """One fold, fed and listened to."""

    def __init__(
        self, site: Site = SITE, *, model: StuckModel | None = SURE, event_clock: bool = True
    ) -> None:
        self.site = site
        self.event_clock = event_clock
        self.fold = VisitorFold(site, WEB, 0, event_clock=event_clock)
        self.offset = 0
        self.letters: list[DeadLetter] = []
        self.days: dict[tuple[str, int], Counts] = {}
        self.flags: dict[str, Flag] = {}
        self.changes: list[tuple[str, str]] = []
        self.links: dict[tuple[str, str], Link] = {}
        self.visitors: dict[str, VisitorNow] = {}
        self.sessions: dict[tuple[str, str], JourneySession] = {}
        self.store: dict[str, bytes] = {}
        self.now_ms = BASE
        if model is not None:
            self.feed([model_event(model, BASE - HOUR)])

    def feed(self, values: Iterable[bytes]) -> "Watcher":
        """One run of records."""
        records = []
        for value in values:
            records.append(Stored(self.offset, value))
            self.offset += 1
        self.letters += self.fold.apply(records, self.now_ms)
        return self

    def at(self, s: float) -> "Watcher":
        """Let time come to `s` seconds after `BASE`, and listen."""
        self.now_ms = max(self.now_ms, BASE + round(s * 1000))
        if self.event_clock:
            self.fold.advance(self.now_ms)
        self.fold.settle(self.now_ms)
        return self.listen()

    def settle(self) -> "Watcher":
        """Settle as of now, and listen."""
        self.fold.settle(self.now_ms)
        return self.listen()

    def listen(self) -> "Watcher":
        for day in self.fold.take_days():
            self.days.pop((day.row, day.day), None)
            if day.counts:
                self.days[day.row, day.day] = day.counts
        for change, flag in self.fold.take_flags():
            self.changes.append((change, flag.id))
            if change == "withdrawn":
                assert flag.id in self.flags, "withdrawn, but never told"
                del self.flags[flag.id]
            else:
                self.flags[flag.id] = flag
        for link in self.fold.take_links():
            self.links.pop((link.visitor_id, link.customer_id), None)
            if not link.withdrawn:
                self.links[link.visitor_id, link.customer_id] = link
        for visitor_id, now in self.fold.take_visitors().items():
            self.visitors.pop(visitor_id, None)
            if now is not None:
                self.visitors[visitor_id] = now
        for key, session in self.fold.take_sessions().items():
            self.sessions.pop(key, None)
            if session is not None:
                self.sessions[key] = session
        return self

    def checkpoint(self) -> None:
        """Store what changed, as the host does."""
        for entries in self.fold.take_changes().values():
            for key, value in entries.items():
                if value is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = value

    def restart(self) -> "Watcher":
        """Go on in a new process with what is stored; readers keep what they were told."""
        self.settle()
        self.checkpoint()
        self.fold = VisitorFold(self.site, WEB, 0, event_clock=self.event_clock)
        self.fold.load(list(self.store.items()))
        return self

    def dumped(self) -> dict[str, bytes]:
        return {key: value for bucket in range(BUCKETS) for key, value in self.fold.dump(bucket).items()}

    def told(self) -> dict[str, object]:
        """Everything readers hold."""
        return {
            "days": self.days,
            "flags": self.flags,
            "links": self.links,
            "visitors": self.visitors,
            "sessions": self.sessions,
            "stuck": self.fold.stuck_by_page(),
        }

    def count(self, *parts: str, day: int = DAY_NUMBER) -> Counts:
        """The counters of a row, given by its parts: `count("p", "/pay")`."""
        return self.days.get(("\x1f".join(parts), day), {})

    def flag(self) -> Flag:
        """The one flag there is."""
        (flag,) = self.flags.values()
        return flag


def watched(*browsers: Browser, until_s: float | None = None, site: Site = SITE) -> Watcher:
    """A fold that has read what browsers did; time then comes to `until_s`."""
    watcher = Watcher(site)
    for browser in browsers:
        watcher.feed(browser.events)
    return watcher.settle() if until_s is None else watcher.at(until_s)


def in_order(events: Sequence[bytes]) -> list[bytes]:
    """Records by the time they tell of."""
    return sorted(events, key=lambda value: json.loads(value)["time"])
