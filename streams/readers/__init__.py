"""How do we read what others recorded? One module a format: lines in, canonical events out. Pure."""

from collections.abc import Callable, Iterable, Iterator

from schemas.dead_letters import DeadLetter
from streams.driver import Item
from streams.readers import anonymous_bank, jsonl, snowplow
from streams.site import Site

Read = Callable[[Iterable[bytes]], Iterator[Item | DeadLetter | None]]
"""Lines of a file to items in time order; a dead letter for a line that cannot be read; None for a line that is no
offered contact."""

READERS: dict[str, Read] = {
    "jsonl": jsonl.read,
    "anonymous-bank": anonymous_bank.read,
    "snowplow": snowplow.read,
}
IS_HEADER: dict[str, Callable[[bytes], bool]] = {
    "anonymous-bank": anonymous_bank.names_columns,
    "snowplow": lambda line: line.startswith(b"app_id"),
}
"""Whether the first line of a file names the columns: it is no record."""
SITES: dict[str, Site] = {"jsonl": Site(), "anonymous-bank": anonymous_bank.SITE, "snowplow": snowplow.SITE}
"""The site that a format implies where no settings are given."""
WEB_ONLY = frozenset(("snowplow",))
"""Formats without contacts: nothing of what a report is made of."""
