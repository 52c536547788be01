"""What do visits add to the panes of their queue and of the site? Kept by difference: old out, new in.

Each change of a queue's length, or of the contacts in service, is told in a narrow pane, and where that has been
dropped in the late pane of its interval: always both ends of a visit, so that stage 2 may add up and take back in any
order. Refuses to know contacts and where segments come from.
"""

from collections.abc import Sequence

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS, SECOND_MS, SITE_ROW, Kind, queue_row
from streams.contributions import Increment, Segment
from streams.lengths import ENTERED, LATE_PARTS, LEFT, SERVED_AT_START, SERVED_LATER, WAITING_AT_START
from streams.longest import LongestWaits
from streams.rows import LENGTHS_TOLD_MS, Row, lengths_from_ms, oldest_kept
from streams.shard import Shard

_EVENT_PANE, _EVENT_INTERVAL = int(Kind.EVENT_PANE), int(Kind.EVENT_INTERVAL)
_ARRIVAL_MINUTE, _ARRIVAL_INTERVAL = int(Kind.ARRIVAL_MINUTE), int(Kind.ARRIVAL_INTERVAL)
_LENGTH, _SERVICE, _WAITING = int(Kind.LENGTH_PANE), int(Kind.SERVICE_PANE), int(Kind.WAITING_PANE)
_SITE_LENGTH, _LATE = int(Kind.SITE_LENGTH_PANE), int(Kind.LATE_LENGTH)


class ContactPanes:
    """The panes of one shard's contacts, per queue and channel, and the site's queue length."""

    def __init__(self, shard: Shard, longest: LongestWaits) -> None:
        self._shard = shard
        self._longest = longest
        self._rows: dict[tuple[str, str], Row] = {}
        self._site_row = shard.row(SITE_ROW)
        self.clock_ms = 0
        self.oldest_pane = self.oldest_minute = self.oldest_interval = 0
        self.lengths_from_ms = 0
        """Changes of lengths from here on (Unix ms) go to narrow panes, older ones to late panes."""
        self.lengths_until_ms = 0
        """When an event is newer than this, `lengths_from_ms` moves."""

    def advance(self, now_ms: int) -> None:
        """From now on what is too old for any window, interval or correction is left out."""
        self.clock_ms = now_ms
        self.oldest_pane = oldest_kept(PANE_MS, now_ms, 0)
        self.oldest_minute = oldest_kept(MINUTE_MS, now_ms, 0)
        self.oldest_interval = oldest_kept(INTERVAL_MS, now_ms, self._shard.site.limits.keep_ms)
        self.reach(now_ms)

    def reach(self, now_ms: int) -> None:
        """Changes of lengths are late by `now_ms` from here on; see `reached_ms`."""
        from_ms = lengths_from_ms(self.reached_ms(now_ms), LENGTHS_TOLD_MS)
        if from_ms != self.lengths_from_ms:
            self.lengths_from_ms = from_ms
            self.lengths_until_ms = from_ms + LENGTHS_TOLD_MS
            for row in self._shard.rows.values():
                row.lengths_from_ms = from_ms

    def reached_ms(self, now_ms: int) -> int:
        """The time by which changes of lengths are late: of the newest event, where that is behind the wall clock.

        What a worker that was down catches up with is not late, and what it reads again must go where it went before.
        """
        shard = self._shard
        return now_ms if shard.event_clock else min(now_ms, shard.meta.truth.newest_event_ms)

    def row(self, queue: str, channel: str) -> Row:
        """The row of a queue and channel."""
        row = self._rows.get((queue, channel))
        if row is None:
            row = self._rows[queue, channel] = self._shard.row(queue_row(queue, channel))
        return row

    def exchange(self, old: tuple[Segment, ...], new: tuple[Segment, ...]) -> None:
        """Old contributions out, new ones in; what both share is not touched."""
        shared = min(len(old), len(new))
        for before, after in zip(old[:shared], new[:shared], strict=True):
            if before == after:
                continue
            queued_ms = after.queued_ms
            if (
                before.queued_ms != queued_ms
                or before.queue != after.queue
                or before.channel != after.channel
            ):
                self.add(before, -1)
                self.add(after, 1)
                continue
            row = self.row(after.queue, after.channel)
            if before.left_ms != after.left_ms:
                if queued_ms in (before.left_ms, after.left_ms):
                    self.wait(row, queued_ms, before.left_ms, -1)
                    self.wait(row, queued_ms, after.left_ms, 1)
                else:
                    self._stay(row, queued_ms, before.left_ms, -1)
                    self._stay(row, queued_ms, after.left_ms, 1)
            if before.service_from_ms != after.service_from_ms or before.service_to_ms != after.service_to_ms:
                self.serve(row, before.service_from_ms, before.service_to_ms, -1)
                self.serve(row, after.service_from_ms, after.service_to_ms, 1)
            gone, come = before.increments, after.increments
            same = 0
            for one, other in zip(gone, come, strict=False):
                if one != other:
                    break
                same += 1
            if same < len(gone):
                self.tally(row, queued_ms, gone[same:], -1)
            if same < len(come):
                self.tally(row, queued_ms, come[same:], 1)
        for segment in old[shared:]:
            self.add(segment, -1)
        for segment in new[shared:]:
            self.add(segment, 1)

    def add(self, segment: Segment, sign: int) -> None:
        """Put a whole segment in (sign 1) or take it out (sign -1)."""
        row = self.row(segment.queue, segment.channel)
        self.wait(row, segment.queued_ms, segment.left_ms, sign)
        self.serve(row, segment.service_from_ms, segment.service_to_ms, sign)
        self.tally(row, segment.queued_ms, segment.increments, sign)

    def wait(self, row: Row, queued_ms: int, left_ms: int, sign: int) -> None:
        """Queue length: one more from `queued_ms` until before `left_ms`, in the queue's row and in the site's."""
        self._stay(row, queued_ms, left_ms, sign)
        if left_ms == queued_ms:
            return
        if queued_ms >= self.lengths_from_ms:
            row.add(_LENGTH, queued_ms // PANE_MS, queued_ms % PANE_MS, sign)
            self._site_row.add(_SITE_LENGTH, queued_ms // SECOND_MS, queued_ms % SECOND_MS, sign)
        else:
            self._wait_late(row, queued_ms, ENTERED, sign)

    def _stay(self, row: Row, queued_ms: int, left_ms: int, sign: int) -> None:
        """What `wait` does about the end: one more who waits still, or has left at `left_ms`."""
        site_row = self._site_row
        row.changed = site_row.changed = True
        if left_ms < 0:
            row.waiting += sign
            site_row.waiting += sign
            row.add(_WAITING, queued_ms // MINUTE_MS, queued_ms % MINUTE_MS, sign)
            return
        number = queued_ms // INTERVAL_MS
        if number >= self.oldest_interval:
            self._longest.change(row, number, left_ms - queued_ms, sign)
        if left_ms == queued_ms:
            return
        if left_ms >= self.lengths_from_ms:
            row.add(_LENGTH, left_ms // PANE_MS, left_ms % PANE_MS, -sign)
            site_row.add(_SITE_LENGTH, left_ms // SECOND_MS, left_ms % SECOND_MS, -sign)
        else:
            self._wait_late(row, left_ms, LEFT, -sign)

    def _wait_late(self, row: Row, at_ms: int, part: int, change: int) -> None:
        """A change of queue length too late for a narrow pane; see `streams.lengths`."""
        number = at_ms // INTERVAL_MS
        if number < self.oldest_interval:
            return
        minute, ms = divmod(at_ms % INTERVAL_MS, MINUTE_MS)
        slot = minute * LATE_PARTS
        for each in (row, self._site_row):
            if ms:
                each.add(_LATE, number, slot + part, change)
                each.add(_LATE, number, slot + part + 1, change * ms)
            else:
                each.add(_LATE, number, slot + WAITING_AT_START, change)

    def _serve_at(self, row: Row, at_ms: int, change: int) -> None:
        """A change of the contacts in service."""
        later = at_ms % MINUTE_MS != 0
        if at_ms >= self.lengths_from_ms:
            row.add(_SERVICE, at_ms // MINUTE_MS, 1 if later else 0, change)
            return
        number = at_ms // INTERVAL_MS
        if number >= self.oldest_interval:
            minute = at_ms % INTERVAL_MS // MINUTE_MS
            row.add(_LATE, number, minute * LATE_PARTS + (SERVED_LATER if later else SERVED_AT_START), change)

    # What an event in order does: `wait` and `serve` for a segment that only goes on, without what cancels out.

    def leave(self, row: Row, queued_ms: int, left_ms: int) -> None:
        """One who waited since `queued_ms` waits no more."""
        if left_ms == queued_ms or left_ms < self.lengths_from_ms:
            self.wait(row, queued_ms, -1, -1)
            self.wait(row, queued_ms, left_ms, 1)
            return
        site_row = self._site_row
        row.changed = site_row.changed = True
        row.waiting -= 1
        site_row.waiting -= 1
        row.add(_WAITING, queued_ms // MINUTE_MS, queued_ms % MINUTE_MS, -1)
        number = queued_ms // INTERVAL_MS
        if number >= self.oldest_interval:
            self._longest.change(row, number, left_ms - queued_ms, 1)
        row.add(_LENGTH, left_ms // PANE_MS, left_ms % PANE_MS, -1)
        site_row.add(_SITE_LENGTH, left_ms // SECOND_MS, left_ms % SECOND_MS, -1)

    def finish(self, row: Row, from_ms: int, to_ms: int) -> None:
        """One who was in service since `from_ms` is so no more."""
        if from_ms == to_ms:
            self.serve(row, from_ms, -1, -1)
            return
        row.changed = True
        row.in_service -= 1
        self._serve_at(row, to_ms, -1)

    def serve(self, row: Row, from_ms: int, to_ms: int, sign: int) -> None:
        """Contacts in service: one more from `from_ms` until before `to_ms`."""
        if from_ms < 0 or from_ms == to_ms:
            return
        row.changed = True
        if to_ms < 0:
            row.in_service += sign
        else:
            self._serve_at(row, to_ms, -sign)
        self._serve_at(row, from_ms, sign)

    def tally(self, row: Row, queued_ms: int, increments: Sequence[Increment], sign: int) -> None:
        """Add increments to the panes of both bases, narrow ones where a window may need them. The hottest loop."""
        row.changed = True
        number = queued_ms // MINUTE_MS
        if number >= self.oldest_minute:
            pane = row.pane(_ARRIVAL_MINUTE, number)
        else:
            number = queued_ms // INTERVAL_MS
            pane = row.pane(_ARRIVAL_INTERVAL, number) if number >= self.oldest_interval else {}
        for _, slot, value in increments:
            pane[slot] = pane.get(slot, 0) + sign * value
        last_ms = -1
        for at_ms, slot, value in increments:
            if at_ms != last_ms:
                last_ms = at_ms
                number = at_ms // PANE_MS
                if number >= self.oldest_pane:
                    pane = row.pane(_EVENT_PANE, number)
                else:
                    number = at_ms // INTERVAL_MS
                    pane = row.pane(_EVENT_INTERVAL, number) if number >= self.oldest_interval else {}
            pane[slot] = pane.get(slot, 0) + sign * value
