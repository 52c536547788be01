"""A contact centre for stories: who did what when, then what the boards say.

    centre = ContactCentre(arriving)
    ann = centre.agent("ann", "9:00:00", "available", queues=("Sales",))
    call = centre.contact("9:00:10", "Sales").answered("9:00:15", by="ann").ended("9:03:15")
    centre.look("9:05:00")
    assert centre.today("Sales").answered == 1

Every story can be told in order, backwards, or shuffled and twice: the numbers are the same. Times are local clock
times of the site, on the day of the story unless a date is given ("2026-03-29 04:59:00").
"""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from schemas.snapshots import GroupSnapshot, Measures, QueueSnapshot
from schemas.topics import CALLS, PRESENCE
from streams.driver import Driver, Item
from streams.report import ReportBuilder, source_of
from streams.site import QueuePolicy, Site
from tests.streams.bench import event

ORDERS = ("in order", "backwards", "shuffled and twice")
SITE = Site(
    name="Kontor",
    zone="Europe/Berlin",
    queues={
        "Sales": QueuePolicy(),
        "Support": QueuePolicy(answer_within_s=30.0),
        "Chat": QueuePolicy(channel="chat", answer_within_s=60.0, reap_after_s=86_400.0),
    },
)


def clock(seconds: int) -> str:
    """The local time so many seconds after nine in the morning."""
    minutes, second = divmod(seconds, 60)
    return f"{9 + minutes // 60}:{minutes % 60:02d}:{second:02d}"


def arrivals(order: str) -> Callable[[list[Item]], list[Item]]:
    """How the records of a story reach the pipeline."""
    if order == "backwards":
        return lambda items: items[::-1]
    if order == "in order":
        return list

    def shuffle(items: list[Item]) -> list[Item]:
        twice = items * 2
        random.Random(11).shuffle(twice)
        return twice

    return shuffle


class Contact:
    """One contact of a story; each method is one event."""

    def __init__(self, centre: "ContactCentre", name: str, visit: str | None) -> None:
        self._centre = centre
        self.name = name
        self._visit = visit

    def _tell(self, kind: str, at: str, **data: object) -> Self:
        self._centre.tell(CALLS, self.name, kind, at, contact_id=self.name, segment_id=self._visit, **data)
        return self

    def queued(self, at: str, queue: str, channel: str = "", visit: str | None = None) -> Self:
        self._visit = visit
        own = self._centre.site.queues.get(queue)
        return self._tell(
            "contact.queued", at, queue=queue, channel=channel or (own.channel if own else "voice")
        )

    def offered(self, at: str, to: str) -> Self:
        return self._tell("contact.offered", at, agent_id=to)

    def declined(self, at: str, by: str) -> Self:
        return self._tell("contact.declined", at, agent_id=by)

    def answered(self, at: str, by: str = "ann") -> Self:
        return self._tell("contact.answered", at, agent_id=by)

    def held(self, at: str) -> Self:
        return self._tell("contact.held", at)

    def resumed(self, at: str) -> Self:
        return self._tell("contact.resumed", at)

    def transferred(self, at: str, to: str) -> Self:
        return self._tell("contact.transferred", at, to_queue=to)

    def abandoned(self, at: str) -> Self:
        return self._tell("contact.abandoned", at)

    def asks_for_callback(self, at: str) -> Self:
        return self._tell("contact.callback_requested", at)

    def overflowed(self, at: str, reason: str = "timeout") -> Self:
        return self._tell("contact.overflowed", at, reason=reason)

    def ended(self, at: str) -> Self:
        return self._tell("contact.ended", at)

    def wrapped(self, at: str, by: str = "ann") -> Self:
        return self._tell("contact.wrapped", at, agent_id=by)

    def says(self, at: str, by: str = "customer") -> Self:
        return self._tell("chat.message", at, by=by)


class ContactCentre:
    """Collects a story, lets it arrive, and answers what the boards, Prometheus and the report would say."""

    def __init__(
        self,
        order: str = "in order",
        site: Site = SITE,
        day: str = "2026-03-02",
        partitions: int = 2,
        *,
        live: bool = False,
    ) -> None:
        self.site = site
        self._day = day
        self._arrive = arrivals(order)
        self._repeats = order == "shuffled and twice"
        self._told: list[Item] = []
        self._number = 0
        self.driver = Driver(site, partitions, live=live)

    # --- what happens -----------------------------------------------------------------------------------------

    def ms(self, at: str) -> int:
        """A local clock time (with or without a date, up to milliseconds) in Unix ms."""
        date, _, clock = at.rpartition(" ")
        hours, rest = clock.split(":", 1)
        local = datetime.fromisoformat(f"{date or self._day}T{int(hours):02d}:{rest}")
        return round(local.replace(tzinfo=ZoneInfo(self.site.zone)).timestamp() * 1000)

    def tell(self, topic: str, key: str, kind: str, at: str, **data: object) -> None:
        self.send(topic, key, event(kind, self.ms(at), **data))

    def send(self, topic: str, key: str, value: bytes) -> None:
        """Any bytes at all."""
        self._told.append(Item(topic, key, value))

    def contact(self, at: str, queue: str, channel: str = "", *, visit: str | None = None) -> Contact:
        """A contact enters a queue."""
        self._number += 1
        return Contact(self, f"contact-{self._number}", visit).queued(at, queue, channel, visit)

    def agent(
        self,
        name: str,
        at: str,
        state: str,
        queues: tuple[str, ...] = ("Sales",),
        team: str | None = None,
        contacts: int = 0,
    ) -> None:
        """An agent gives a sign of life."""
        said = {"agent_id": name, "state": state, "queues": list(queues), "team": team, "contacts": contacts}
        self.tell(PRESENCE, name, "agent.state", at, **said)

    def heartbeat(self, at: str) -> None:
        """A synthetic event reaches every source partition there is a key for."""
        for number in range(8):
            for topic in (CALLS, PRESENCE):
                self.tell(topic, f"heartbeat-{number}", "pipeline.heartbeat", at, sequence=number)

    def look(self, at: str) -> None:
        """What was told so far arrives, and the clock comes to `at`."""
        told, self._told = self._told, []
        self.driver.feed(self._arrive(told))
        self.driver.finish(self.ms(at))

    # --- what is seen -----------------------------------------------------------------------------------------

    def queue(self, name: str, channel: str = "") -> QueueSnapshot:
        """What the board says of a queue now."""
        (found,) = (
            s
            for s in self.driver.snapshots()
            if isinstance(s, QueueSnapshot) and s.queue == name and channel in ("", s.channel)
        )
        return found

    def group(self, name: str = "") -> GroupSnapshot:
        """The site's snapshot, or a team's."""
        groups = [s for s in self.driver.snapshots() if isinstance(s, GroupSnapshot)]
        (found,) = (
            s for s in groups if (s.group == "site" if not name else (s.group, s.name) == ("team", name))
        )
        return found

    def today(self, queue: str) -> Measures:
        """The business day of a queue, on the arrival basis."""
        return self.queue(queue).arrival["day"]

    def report(self, interval_s: int = 900) -> dict[str, dict[str, dict[str, object]]]:
        """The parts of the report by name; `by_interval` by (start, queue) as "start queue"."""
        builder = ReportBuilder(self.site, interval_s)
        for row in self.driver.intervals.values():
            builder.add(row)
        made = builder.report(source_of(self.driver.truths().values(), 0, {}))
        out: dict[str, dict[str, dict[str, object]]] = {}
        for key, part in made.items():
            if isinstance(part, list):
                out[key] = {f"{row['start']} {row['queue']}": row for row in part}
            elif isinstance(part, dict):
                out[key] = part if key.startswith("by_") else {"": part}
        return out

    def source(self, name: str) -> int:
        """One count of the pipeline's own truth over all source partitions."""
        return sum(getattr(truth, name) for truth in self.driver.truths().values())

    def refused(self) -> dict[str, int]:
        """Dead letters by reason."""
        out: dict[str, int] = {}
        for letter in self.driver.dead_letters:
            out[letter.reason] = out.get(letter.reason, 0) + 1
        return out
