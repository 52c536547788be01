"""What do visits add to the panes of their queue and of the site? Kept by difference: old out, new in.

Refuses to know contacts and where segments come from.
"""

from collections.abc import Sequence

from schemas.partials import INTERVAL_MS, MINUTE_MS, PANE_MS, SECOND_MS, SITE_ROW, Kind, queue_row
from streams.contributions import Increment, Segment
from streams.longest import LongestWaits
from streams.rows import Row, oldest_kept
from streams.shard import Shard

_EVENT_PANE, _EVENT_INTERVAL = int(Kind.EVENT_PANE), int(Kind.EVENT_INTERVAL)
_ARRIVAL_MINUTE, _ARRIVAL_INTERVAL = int(Kind.ARRIVAL_MINUTE), int(Kind.ARRIVAL_INTERVAL)
_LENGTH, _SERVICE, _WAITING = int(Kind.LENGTH_PANE), int(Kind.SERVICE_PANE), int(Kind.WAITING_PANE)
_SITE_LENGTH = int(Kind.SITE_LENGTH_PANE)


class ContactPanes:
    """The panes of one shard's contacts, per queue and channel, and the site's queue length."""

    def __init__(self, shard: Shard, longest: LongestWaits) -> None:
        self._shard = shard
        self._longest = longest
        self._rows: dict[tuple[str, str], Row] = {}
        self._site_row = shard.row(SITE_ROW)
        self.clock_ms = 0
        self.oldest_pane = self.oldest_minute = self.oldest_interval = 0

    def advance(self, now_ms: int) -> None:
        """From now on what is too old for any window, interval or correction is left out."""
        self.clock_ms = now_ms
        self.oldest_pane = oldest_kept(PANE_MS, now_ms, 0)
        self.oldest_minute = oldest_kept(MINUTE_MS, now_ms, 0)
        self.oldest_interval = oldest_kept(INTERVAL_MS, now_ms, self._shard.site.limits.keep_ms)

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
                self.wait(row, queued_ms, before.left_ms, -1)
                self.wait(row, queued_ms, after.left_ms, 1)
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
        site_row = self._site_row
        row.changed = site_row.changed = True
        if left_ms < 0:
            row.waiting += sign
            site_row.waiting += sign
            row.add(_WAITING, queued_ms // MINUTE_MS, queued_ms % MINUTE_MS, sign)
        else:
            number = queued_ms // INTERVAL_MS
            if number >= self.oldest_interval:
                self._longest.change(row, number, left_ms - queued_ms, sign)
            if left_ms == queued_ms:
                return
            number, offset_ms = divmod(left_ms, PANE_MS)
            if number >= self.oldest_pane:
                row.add(_LENGTH, number, offset_ms, -sign)
                site_row.add(_SITE_LENGTH, left_ms // SECOND_MS, left_ms % SECOND_MS, -sign)
        number, offset_ms = divmod(queued_ms, PANE_MS)
        if number >= self.oldest_pane:
            row.add(_LENGTH, number, offset_ms, sign)
            site_row.add(_SITE_LENGTH, queued_ms // SECOND_MS, queued_ms % SECOND_MS, sign)

    # What an event in order does: `wait` and `serve` for a segment that only goes on, without what cancels out.

    def leave(self, row: Row, queued_ms: int, left_ms: int) -> None:
        """One who waited since `queued_ms` waits no more."""
        if left_ms == queued_ms or queued_ms // PANE_MS < self.oldest_pane:
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
        if to_ms // MINUTE_MS >= self.oldest_minute:
            row.add(_SERVICE, to_ms // MINUTE_MS, 1 if to_ms % MINUTE_MS else 0, -1)

    def serve(self, row: Row, from_ms: int, to_ms: int, sign: int) -> None:
        """Contacts in service: one more from `from_ms` until before `to_ms`."""
        if from_ms < 0 or from_ms == to_ms:
            return
        row.changed = True
        if to_ms < 0:
            row.in_service += sign
        elif to_ms // MINUTE_MS >= self.oldest_minute:
            row.add(_SERVICE, to_ms // MINUTE_MS, 1 if to_ms % MINUTE_MS else 0, -sign)
        if from_ms // MINUTE_MS >= self.oldest_minute:
            row.add(_SERVICE, from_ms // MINUTE_MS, 1 if from_ms % MINUTE_MS else 0, sign)

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
