"""What do all sources together say of pages, offers and customers? Counters by row and day, merged and modelled.

The fold over `page-partials`, of which one partition has everything. Each message replaces what its source said before
of the same row and day; the difference changes the sums. Refuses to know what the counters mean: the report and the
model are made of the sums by the functions it is given (`streams.journeys.page_model`, `streams.journeys.stuck_model`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.dead_letters import DeadLetter
from schemas.journeys import StuckModel, WebReport
from schemas.web_rows import STUCK_ROW, Counts, DayCounts, PagePartial, decode_page_partial
from streams.fold import Record
from streams.journeys import page_model, stuck_model
from streams.journeys.day_number import DayNumbers
from streams.journeys.policy import HOUR_MS, MINUTE_MS, JourneyPolicy
from streams.journeys.stored_meta import PageMeta
from streams.shard import bucket_of
from streams.site import Site
from streams.sources import hear_clock, is_heard, read_told, slowest_ms

REPORT_EVERY_MS = 1000
"""A changed report is made no more often; of a site with very many counters more rarely (`_PANES_PER_MS`)."""
REFRESH_EVERY_MS = 10_000
"""A report is made at least this often: its readers see that the pipeline lives."""
FIRST_MODEL_MS = 10 * MINUTE_MS
MODEL_EVERY_MS = HOUR_MS
VALID_AFTER_MS = MINUTE_MS
"""How far ahead of the clock a model begins to be used: it must have come everywhere by then."""
MOST_PANES = 2_000_000
"""Rows and days by source that are kept; beyond it no new ones are."""
_PANES_PER_MS = 100
_MOST_DAY = 60_000
_SEPARATOR = "\x1e"
_META_KEY = "m"
_PANE_KEY = "v"

Place = tuple[str, int]
"""(row, day)"""
Days = dict[str, dict[int, Counts]]
"""Row -> number of the business day -> counters, summed over sources."""
Cells = Mapping[str, Mapping[int, tuple[float, float]]]

_encode = msgspec.msgpack.Encoder().encode
_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
_decode_meta = msgspec.msgpack.Decoder(PageMeta).decode


class Report(Protocol):
    """See `streams.journeys.page_model.report_of`."""

    def __call__(
        self,
        days: Mapping[str, Mapping[int, Mapping[str, int]]],
        *,
        now_ms: int,
        site: Site,
        model: StuckModel | None,
        stuck_by_page: Mapping[str, int],
        memo: page_model.Memo | None,
    ) -> WebReport: ...


class Fit(Protocol):
    """See `streams.journeys.stuck_model.fit`."""

    def __call__(
        self, cells: Cells, *, version: int, valid_from_ms: int, policy: JourneyPolicy
    ) -> StuckModel: ...


CellsOf = Callable[[Mapping[str, Mapping[int, Mapping[str, int]]], int, JourneyPolicy], Cells]
"""See `streams.journeys.page_model.cells_of`."""


class PageFold:
    """All rows of pages.

    Args:
        sources: how many source partitions tell this fold; with `event_clock` time goes on as the slowest of them.
        report_of, cells_of, fit: what reports and models are made by.
    """

    def __init__(
        self,
        site: Site,
        topic: str,
        partition: int,
        *,
        sources: int = 1,
        event_clock: bool = False,
        report_of: Report = page_model.report_of,
        cells_of: CellsOf = page_model.cells_of,
        fit: Fit = stuck_model.fit,
    ) -> None:
        self.site = site
        self.topic = topic
        self.partition = partition
        self.days: Days = {}
        self.dropped = 0
        """How often something was beyond `MOST_PANES`, in this process."""
        self._report_of, self._cells_of, self._fit = report_of, cells_of, fit
        self._sources = sources
        self._meta = PageMeta(event_clock=event_clock)
        self._day_numbers = DayNumbers(site)
        self._told: dict[Place, dict[str, bytes]] = {}
        """What each source told last, packed."""
        self._panes = 0
        self._stuck: Counts = {}
        self._memo = page_model.Memo()
        self._unsaved: set[tuple[str, int, str]] = set()
        self._changed = True
        self._reported_ms = 0

    @property
    def clock_ms(self) -> int:
        """How far time has come, in Unix ms."""
        return self._meta.clock_ms

    @property
    def is_replay(self) -> bool:
        """True in a replay: time goes on as the slowest source's."""
        return self._meta.event_clock

    @property
    def model(self) -> StuckModel | None:
        """The newest model; None: none has been fitted yet."""
        return self._meta.model

    @property
    def stuck_by_page(self) -> Mapping[str, int]:
        """How many visitors are stuck now, by page."""
        return self._stuck

    # --- in ---------------------------------------------------------------------------------------------------

    def apply(self, records: Sequence[Record], now_ms: int) -> list[DeadLetter]:
        """Take in partials; see `streams.fold.Fold`."""
        return read_told(records, _decode_partial, self._take, self.topic, self.partition)

    def _take(self, partial: PagePartial) -> None:
        source = f"{partial.topic}/{partial.partition}"
        meta = self._meta
        if partial.event_clock != meta.event_clock:
            return  # of a worker with another clock: it must not touch these days
        if not is_heard(meta, source, partial.epoch):
            return
        sweeping = meta.sweeping.get(source)
        for told in partial.days:
            self._put(source, told)
            if sweeping is not None:
                sweeping.add((told.row, told.day))
        if sweeping is not None and partial.full:
            self._sweep(source, sweeping)
        if hear_clock(meta, source, partial.now_ms) and meta.event_clock:
            reached_ms = slowest_ms(meta, self._sources)
            if reached_ms is not None:
                self._advance(reached_ms)

    def _put(self, source: str, told: DayCounts) -> None:
        """Replace what a source said of a row and day."""
        if told.day < self._meta.oldest_day and told.row != STUCK_ROW:
            return
        place = told.row, told.day
        sources = self._told.get(place)
        before = None if sources is None else sources.get(source)
        if before is None:
            if not told.counts:
                return
            if self._panes >= MOST_PANES:
                self.dropped += 1
                return
        after = _encode(told.counts)
        if after == before:
            return
        self._change(place, {} if before is None else _decode_counts(before), told.counts)
        self._unsaved.add((told.row, told.day, source))
        if told.counts:
            if sources is None:
                sources = self._told[place] = {}
            self._panes += before is None
            sources[source] = after
        elif sources is not None:
            self._drop(place, sources, source)

    def _drop(self, place: Place, sources: dict[str, bytes], source: str) -> None:
        del sources[source]
        self._panes -= 1
        if not sources:
            del self._told[place]

    def _change(self, place: Place, before: Counts, after: Counts) -> None:
        """Put the difference of two panes of one source into the sum."""
        row, day = place
        if row == STUCK_ROW:
            pane = self._stuck
        else:
            pane = self.days.setdefault(row, {}).setdefault(day, {})
            self._memo.changed(row)
        for counter, value in after.items():
            change = value - before.pop(counter, 0)
            if change:
                _add(pane, counter, change)
        for counter, value in before.items():
            _add(pane, counter, -value)
        if not pane and row != STUCK_ROW:
            of_row = self.days[row]
            del of_row[day]
            if not of_row:
                del self.days[row]
        self._changed = True

    def _sweep(self, source: str, kept: set[Place]) -> None:
        """A new owner of `source` has told all it holds: the rest is gone."""
        for place in [
            place for place, sources in self._told.items() if source in sources and place not in kept
        ]:
            self._put(source, DayCounts(*place, {}))
        del self._meta.sweeping[source]

    # --- time -------------------------------------------------------------------------------------------------

    def settle(self, now_ms: int) -> None:
        """Forget days that are too old; see `streams.fold.Fold`."""
        if not self._meta.event_clock:
            self._advance(now_ms)

    def _advance(self, now_ms: int) -> None:
        meta = self._meta
        meta.clock_ms = max(meta.clock_ms, now_ms)
        if not meta.clock_ms:
            return
        meta.fit_ms = meta.fit_ms or meta.clock_ms + FIRST_MODEL_MS
        oldest = self._day_numbers.of(meta.clock_ms) - self.site.journeys.keep_days
        if oldest > meta.oldest_day:
            meta.oldest_day = oldest
            self._expire(oldest)

    def _expire(self, oldest: int) -> None:
        self._changed = True
        for place in [place for place in self._told if place[1] < oldest and place[0] != STUCK_ROW]:
            sources = self._told.pop(place)
            self._panes -= len(sources)
            self._unsaved.update((*place, source) for source in sources)
        for row in list(self.days):
            days = self.days[row]
            for day in [day for day in days if day < oldest]:
                del days[day]
                self._memo.changed(row)
            if not days:
                del self.days[row]

    # --- out --------------------------------------------------------------------------------------------------

    def report(self) -> WebReport:
        """The report of now; costs as much as there are counters."""
        return self._report_of(
            self.days,
            now_ms=self._meta.clock_ms,
            site=self.site,
            model=self._meta.model,
            stuck_by_page=self._stuck,
            memo=self._memo,
        )

    def take_report(self, now_ms: int) -> WebReport | None:
        """The report, if it changed and it is its turn at `now_ms` (the caller's clock); None: not now."""
        if not self._meta.clock_ms:
            return None
        age_ms = now_ms - self._reported_ms
        if age_ms < max(REPORT_EVERY_MS, self._panes // _PANES_PER_MS):
            return None
        if not self._changed and age_ms < REFRESH_EVERY_MS:
            return None
        self._changed = False
        self._reported_ms = now_ms
        return self.report()

    def take_model(self, now_ms: int) -> StuckModel | None:
        """A model of what has been counted so far, if one is due: every hour, the first after ten minutes.

        It is valid a minute after the clock. While a new owner of a source still tells, none is made.
        """
        meta = self._meta
        if not meta.fit_ms or meta.clock_ms < meta.fit_ms or meta.sweeping:
            return None
        policy = self.site.journeys
        meta.fit_ms = meta.clock_ms + MODEL_EVERY_MS
        meta.version += 1
        meta.model = self._fit(
            self._cells_of(self.days, self._day_numbers.of(meta.clock_ms), policy),
            version=meta.version,
            valid_from_ms=meta.clock_ms + VALID_AFTER_MS,
            policy=policy,
        )
        self._changed = True
        return meta.model

    # --- storage ----------------------------------------------------------------------------------------------

    def take_changes(self) -> dict[int, dict[str, bytes | None]]:
        """Changed entries by bucket; see `streams.fold.Fold`."""
        out: dict[int, dict[str, bytes | None]] = {0: {_META_KEY: _encode(self._meta)}}
        unsaved, self._unsaved = self._unsaved, set()
        for row, day, source in unsaved:
            packed = self._told.get((row, day), {}).get(source)
            out.setdefault(bucket_of(row), {})[_key(row, day, source)] = packed
        return out

    def dump(self, bucket: int) -> dict[str, bytes]:
        """Entries of one bucket; see `streams.fold.Fold`."""
        out = {_META_KEY: _encode(self._meta)} if bucket == 0 else {}
        for (row, day), sources in self._told.items():
            if bucket_of(row) == bucket:
                out.update((_key(row, day, source), packed) for source, packed in sources.items())
        return out

    def load(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild from stored entries; see `streams.fold.Fold`."""
        for key, value in entries:
            if key == _META_KEY:
                self._meta = _decode_meta(value)
                continue
            row, day, source = key[len(_PANE_KEY) :].rsplit(_SEPARATOR, 2)
            place = row, int(day)
            self._told.setdefault(place, {})[source] = value
            self._panes += 1
            self._change(place, {}, _decode_counts(value))


def _decode_partial(value: bytes) -> PagePartial:
    partial = decode_page_partial(value)
    if not all(0 <= each.day <= _MOST_DAY for each in partial.days):
        raise msgspec.ValidationError("a day that no business day has")
    return partial


def _add(pane: Counts, counter: str, change: int) -> None:
    """Add to one counter; what becomes 0 vanishes."""
    after = pane.get(counter, 0) + change
    if after:
        pane[counter] = after
    else:
        pane.pop(counter, None)


def _key(row: str, day: int, source: str) -> str:
    return f"{_PANE_KEY}{row}{_SEPARATOR}{day}{_SEPARATOR}{source}"
