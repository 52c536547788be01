"""What does one row hold? Its panes, what changed in them since it was last told, and how they are stored.

A row is one queue and channel, one queue's agents, one team, or the whole site. Refuses to know what is counted.
"""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec
from msgspec import Raw

from schemas.partials import INTERVAL_MS, KIND_MS, LATER, WIDE_OF, Kind, RowPartial, home_of

Pane: TypeAlias = dict[int, int]
"""Sparse counts: {slot: value}; or {ms in the pane: net change} for the length kinds."""

WINDOWS_KEPT_MS = 65 * 60_000
"""How long 10 s panes are kept: the longest rolling window and some slack."""
LENGTHS = frozenset({int(Kind.LENGTH_PANE), int(Kind.SERVICE_PANE), int(Kind.SITE_LENGTH_PANE)})
"""Kinds that hold narrow changes of queue length and of contacts in service."""
LENGTHS_TOLD_MS = 76 * 60_000
"""How far back stage 1 changes these: what is an hour late, and all of the interval around it (`lengths_from_ms`)."""
LENGTHS_KEPT_MS = 80 * 60_000
"""How far back stage 2 measures from them: it does so once a minute, and a little after it was told."""
TURNS = 60
WAITING_KIND = int(Kind.WAITING_PANE)
KINDS = len(KIND_MS)
_SOON = tuple(kind for kind in range(KINDS) if kind not in LATER)
_LATER = tuple(kind for kind in range(KINDS) if kind in LATER)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, int]).decode
_SEPARATOR = "\x1e"


class Row:
    """Panes of one row by kind and number, with the numbers of the changed ones."""

    __slots__ = (
        "agents",
        "callbacks",
        "changed",
        "home",
        "in_service",
        "later",
        "lengths_from_ms",
        "name",
        "oldest_callback_ms",
        "panes",
        "seen_ms",
        "turn",
        "unsaved",
        "untold",
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = home_of(name)
        self.turn = hash(name) % TURNS
        """In which second of a minute old panes are looked for."""
        self.panes: tuple[dict[int, Pane], ...] = tuple({} for _ in range(KINDS))
        self.untold: tuple[set[int], ...] = tuple(set() for _ in range(KINDS))
        """Numbers of the panes not yet told, by kind."""
        self.unsaved: set[tuple[int, int]] = set()
        """(kind, number) of panes told, or gone, and not yet stored in a checkpoint."""
        self.waiting = 0
        self.in_service = 0
        self.agents: dict[str, int] | None = None
        self.callbacks = self.oldest_callback_ms = 0
        self.seen_ms = 0
        self.lengths_from_ms = 0
        """Older panes of the kinds `LENGTHS` are never changed again."""
        self.changed = False
        """True when there is something to tell."""
        self.later = False
        """True when changed panes of the kinds `LATER` were left out when the rest was told."""

    def promise(self, promised: list[int]) -> None:
        """Note the callbacks that are still to be made, by when they were promised (sorted, Unix ms)."""
        self.callbacks = len(promised)
        self.oldest_callback_ms = promised[0] if promised else 0

    def add(self, kind: int, number: int, slot: int, value: int) -> None:
        """Add to one slot of one pane; empty slots and panes vanish."""
        panes = self.panes[kind]
        pane = panes.get(number)
        if pane is None:
            pane = panes[number] = {}
        total = pane.get(slot, 0) + value
        if total:
            pane[slot] = total
        else:
            pane.pop(slot, None)
        self.untold[kind].add(number)

    def pane(self, kind: int, number: int) -> Pane:
        """One pane to be changed by the caller (it now counts as not yet told)."""
        self.untold[kind].add(number)
        panes = self.panes[kind]
        pane = panes.get(number)
        if pane is None:
            pane = panes[number] = {}
        return pane

    def partial(self, *, whole: bool = True) -> RowPartial:
        """What changed since the last call, absolute; it now counts as told (and as not yet stored).

        Args:
            whole: False leaves out the kinds `LATER`.
        """
        out: list[tuple[int, int, Raw]] = []
        for kind in range(KINDS) if whole else _SOON:
            changed = self.untold[kind]
            if not changed:
                continue
            panes = self.panes[kind]
            for number in changed:
                pane = panes.get(number)
                out.append((kind, number, Raw(_encode(pane) if pane else b"\x80")))
                if pane is not None and not pane:
                    del panes[number]
                self.unsaved.add((kind, number))
            changed.clear()
        self.changed = False
        self.later = not whole and any(self.untold[kind] for kind in _LATER)
        agents = None if self.agents is None else dict(self.agents)
        return RowPartial(
            self.name,
            out,
            self.waiting,
            self.in_service,
            agents,
            not self.later,
            self.callbacks,
            self.oldest_callback_ms,
        )

    def tell_all(self) -> None:
        """Count every pane as not yet told."""
        for kind in range(KINDS):
            self.untold[kind].update(self.panes[kind])
        self.changed = True

    def expire(self, now_ms: int, keep_ms: int) -> None:
        """Drop panes that no window, interval or correction needs any more; not who waits, nor what is untold.

        What a narrow pane counts goes to the wide pane around it.
        """
        oldest_interval = oldest_kept(INTERVAL_MS, now_ms, keep_ms)
        for kind in range(KINDS):
            if kind == WAITING_KIND:
                continue
            width = KIND_MS[kind]
            if kind in LENGTHS:
                oldest = self.lengths_from_ms // width
            else:
                oldest = oldest_kept(width, now_ms, keep_ms)
            panes = self.panes[kind]
            untold = self.untold[kind]
            for number in [n for n in panes if n < oldest]:
                if kind in WIDE_OF and (interval := number * width // INTERVAL_MS) >= oldest_interval:
                    wide = self.pane(WIDE_OF[kind], interval)
                    for slot, value in panes.pop(number).items():
                        wide[slot] = wide.get(slot, 0) + value
                    untold.add(number)
                    self.changed = True
                elif number not in untold:
                    del panes[number]
                    self.unsaved.add((kind, number))

    def is_idle(self) -> bool:
        """True when nothing lives in the row."""
        return not any(self.panes) and not self.waiting and not self.in_service and not self.agents

    def take_unsaved(self) -> Iterator[tuple[str, bytes | None]]:
        """Stored form of the panes changed since the last call, told or not; None: gone."""
        for kind in range(KINDS):
            self.unsaved.update((kind, number) for number in self.untold[kind])
        for kind, number in self.unsaved:
            pane = self.panes[kind].get(number)
            yield entry_key(self.name, kind, number), _encode(pane) if pane else None
        self.unsaved.clear()

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Stored form of all panes."""
        for kind in range(KINDS):
            for number, pane in self.panes[kind].items():
                if pane:
                    yield entry_key(self.name, kind, number), _encode(pane)


def oldest_kept(width_ms: int, now_ms: int, keep_ms: int) -> int:
    """Number of the oldest pane still kept, for panes of a width."""
    kept_ms = keep_ms + INTERVAL_MS if width_ms == INTERVAL_MS else WINDOWS_KEPT_MS
    return (now_ms - kept_ms) // width_ms


def lengths_from_ms(now_ms: int, kept_ms: int) -> int:
    """Start of the oldest 15 min interval that is not older than `kept_ms`, in Unix ms."""
    return -((kept_ms - now_ms) // INTERVAL_MS) * INTERVAL_MS


def entry_key(row: str, kind: int, number: int) -> str:
    """Key under which a pane is stored."""
    return f"p{row}{_SEPARATOR}{kind}{_SEPARATOR}{number}"


def parse_entry(key: str, value: bytes) -> tuple[str, int, int, Pane]:
    """Row, kind, number and counts of a stored pane."""
    row, kind, number = key[1:].split(_SEPARATOR)
    return row, int(kind), int(number), _decode(value)
