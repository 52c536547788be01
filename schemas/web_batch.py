"""What does the browser tracker send? One batch of what happened, as JSON (`POST /v1/web`).

Times are of the browser's clock, in Unix ms; `sent` is the same clock when the batch left, so that the collector can
correct both. The collector turns a batch into the events of `schemas.web_events`: URLs become page keys, the visitor
and the customer become pseudonyms. Refuses to know rules and keys: `agents.collector` has them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.web_events import ErrorKind, FormErrorKind, Pixels, Target

MOST_EVENTS = 200
"""In one batch."""
Token = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Url = Annotated[str, Meta(min_length=1, max_length=2000)]
Short = Annotated[str, Meta(max_length=200)]
At = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]


class Happened(Struct, gc=False, frozen=True, kw_only=True, tag_field="type"):
    """`id`: unique within the visitor; sent again it counts once. `view`: which view of a page; `url`: of the page."""

    id: Token
    at: At
    view: Token
    url: Url


class SawView(Happened, gc=False, frozen=True, kw_only=True, tag="view"):
    """A page was shown. `referrer`: where from, if on the same site."""

    referrer: Url | None = None


class SawPing(Happened, gc=False, frozen=True, kw_only=True, tag="ping"):
    """Engaged in the last 10 s."""


class SawClick(Happened, gc=False, frozen=True, kw_only=True, tag="click"):
    """See `schemas.web_events.Clicked`."""

    x: Pixels
    y: Pixels
    target: Target = "other"
    dead: bool | None = None
    exempt: bool = False


class SawError(Happened, gc=False, frozen=True, kw_only=True, tag="error"):
    """See `schemas.web_events.Failed`."""

    kind: ErrorKind
    status: Annotated[int, Meta(ge=0, le=999)] | None = None


class SawForm(Happened, gc=False, frozen=True, kw_only=True, tag="form"):
    """See `schemas.web_events.FormFailed`."""

    kind: FormErrorKind = "error"
    form: Short | None = None
    field: Short | None = None


class SawSearch(Happened, gc=False, frozen=True, kw_only=True, tag="search"):
    """See `schemas.web_events.Searched`."""

    hits: Annotated[int, Meta(ge=0)] | None = None
    term: Short | None = None


class SawLeave(Happened, gc=False, frozen=True, kw_only=True, tag="leave"):
    """The page was left."""


class SawIdentity(Happened, gc=False, frozen=True, kw_only=True, tag="identify"):
    """Logged in (or out: null). `signature`: HMAC-SHA-256 of the customer's id with the site's secret, in hexadecimal,
    made by the site's own server.
    """

    customer: Short | None = None
    signature: Annotated[str, Meta(max_length=128)] | None = None


class SawIntervention(Happened, gc=False, frozen=True, kw_only=True, tag="intervention"):
    """An offer was shown, accepted or declined. `kind`: free text; `flag`: the id of the flag that led to it."""

    what: Annotated[str, Meta(pattern="^(shown|accepted|declined)$")]
    kind: Annotated[str, Meta(min_length=1, max_length=200)]
    flag: Short | None = None


AnyHappened = (
    SawView | SawPing | SawClick | SawError | SawForm | SawSearch | SawLeave | SawIdentity | SawIntervention
)


class WebBatch(Struct, gc=False, frozen=True, kw_only=True):
    """One batch. `site`: the public key of the site; `visitor`: a random id that the tracker keeps, first-party."""

    site: Token
    visitor: Token
    sent: At
    events: Annotated[list[AnyHappened], Meta(min_length=1, max_length=MOST_EVENTS)]


decode_batch = msgspec.json.Decoder(WebBatch).decode
