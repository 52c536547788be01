"""What is counted of pages? Rows of counters by business day, told as absolute values (topic `page-partials`).

One row and day is ``{counter: integer}``; sources add up. As with `schemas.partials`, repeating one changes nothing,
and of two incarnations of a source the greater epoch is the owner. A visit is one page in one session.

========  ====================  ===================================================================================
row       name                  counters
========  ====================  ===================================================================================
site      ``w``                 views sessions visitors bots linked known contacted n k help_n help_k silent flags
                                cleared_progress cleared_contact cleared_left
page      ``p|page``            views sessions visitors n k bn bk help_n help_k
                                e<b> (engaged time of known visits), c<b> (of those contacted), l<b> (lead time)
reason    ``r|page|reason``     k
before    ``b|page|before``     n k
moments   ``m|page``            n<pattern> k<pattern> (pattern in hexadecimal)
offers    ``i|page|kind``       offer_n offer_k offer_n24 offer_r24 holdout_n holdout_k holdout_n24 holdout_r24
                                shown accepted declined
switch    ``x|from|to``         k
customer  ``c|queue|channel``   fcr_n fcr_k prov_n prov_k repeat_n repeat_k
now       ``s``                 pages: how many visitors are stuck there now; of no day (0)
========  ====================  ===================================================================================

Counted when its outcome is known (`n`, `k`, `known` ...): T after the last event of the session, or 24 h for `help_*`
and `*24`. Counted at once: views, sessions, visitors, bots, flags. `n`, `k`: known visits, and those that a contact
followed within T of the last activity on the page; `bn`, `bk`: of those, visits with engaged time before the first
view of a contact page. Row `b` divides `bn`, `bk` by the page on which the visitor was engaged longest before, within
T ("" = none). `<b>`: number of a logarithmic bucket, see `streams.journeys.sketch`. The separator is U+001F.
"""

import msgspec
from msgspec import Struct

_SEPARATOR = "\x1f"

SITE_ROW = "w"
STUCK_ROW = "s"


def page_row(page: str) -> str:
    """Name of the row of a page."""
    return f"p{_SEPARATOR}{page}"


def reason_row(page: str, reason: str) -> str:
    """Name of the row of contacts for one reason after a page."""
    return f"r{_SEPARATOR}{page}{_SEPARATOR}{reason}"


def before_row(page: str, before: str) -> str:
    """Name of the row of visits of a page after another one ("" = after none)."""
    return f"b{_SEPARATOR}{page}{_SEPARATOR}{before}"


def moments_row(page: str) -> str:
    """Name of the row of moments whose subject is a page."""
    return f"m{_SEPARATOR}{page}"


def offers_row(page: str, kind: str) -> str:
    """Name of the row of flagged visitors of a page for whom a kind of help is foreseen."""
    return f"i{_SEPARATOR}{page}{_SEPARATOR}{kind}"


def switch_row(from_channel: str, to_channel: str) -> str:
    """Name of the row of changes from a channel to another."""
    return f"x{_SEPARATOR}{from_channel}{_SEPARATOR}{to_channel}"


def customer_row(queue: str, channel: str) -> str:
    """Name of the row of resolution and repeats of a queue and channel."""
    return f"c{_SEPARATOR}{queue}{_SEPARATOR}{channel}"


def web_row_parts(row: str) -> list[str]:
    """The parts of a row's name: its letter, and what it is about."""
    return row.split(_SEPARATOR)


Counts = dict[str, int]


class DayCounts(Struct, array_like=True, gc=False):
    """The counters of one row and day as one source has them; empty: the source has nothing of it any more.

    `day`: number of days since 1970-01-01 of the business day, in the site's zone.
    """

    row: str
    day: int
    counts: Counts


class PagePartial(Struct, array_like=True, gc=False):
    """One message of `page-partials`. Attributes as in `schemas.partials.Partial`."""

    version: int
    epoch: int
    topic: str
    partition: int
    position: int
    now_ms: int
    days: list[DayCounts]
    full: bool = False
    event_clock: bool = False


encode_page_partial = msgspec.msgpack.Encoder().encode
decode_page_partial = msgspec.msgpack.Decoder(PagePartial).decode
