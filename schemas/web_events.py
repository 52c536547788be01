"""What happens on the web site, and who is who? CloudEvents of the topic `web`, one typed struct per ``type``.

Every event names the visitor (one browser) by a pseudonym that the collector made, and the page by its key: no URL, no
text of a page or field, no address of a person. Refuses to know what an event *means*: `streams.journeys` says that.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.events import CloudEvent, Id, Name, PipelineHeartbeat
from schemas.journeys import StuckModel

Target = Literal["link", "button", "input", "text", "other"]
ErrorKind = Literal["script", "network", "resource"]
FormErrorKind = Literal["error", "reentry"]
Proof = Literal["login", "call_token", "chat", "spoken"]
Pixels = Annotated[int, Meta(ge=-1_000_000, le=1_000_000, description="CSS pixels in the page.")]


class OnPage(Struct, gc=False, frozen=True, kw_only=True):
    """Where: one browser on one view of one page. `view_id` is new with each view."""

    visitor_id: Id
    page: Name
    view_id: Id


class View(OnPage, gc=False, frozen=True, kw_only=True):
    """`from_page`: the page before, on the same site. `bot`: the browser says so, or behaves so."""

    from_page: Name | None = None
    bot: bool = False


class Clicked(OnPage, gc=False, frozen=True, kw_only=True):
    """Where and on what kind of thing; never its text.

    `dead`: the page did not react (null: not known). `exempt`: one of a kind that is clicked often on purpose (a
    stepper, next and previous, selecting text): no rage.
    """

    x: Pixels
    y: Pixels
    target: Target = "other"
    dead: bool | None = None
    exempt: bool = False


class Failed(OnPage, gc=False, frozen=True, kw_only=True):
    """Something broke under the visitor's hands. `status`: of the answer of a server, where there was one."""

    kind: ErrorKind
    status: Annotated[int, Meta(ge=0, le=999)] | None = None


class FormFailed(OnPage, gc=False, frozen=True, kw_only=True):
    """A field was refused, or typed into again after it had been left. Names only, never values."""

    kind: FormErrorKind = "error"
    form: Name | None = None
    field: Name | None = None


class Searched(OnPage, gc=False, frozen=True, kw_only=True):
    """The site's own search. `hits`: how many results; null: not known. `term`: only where the site keeps terms."""

    hits: Annotated[int, Meta(ge=0)] | None = None
    term: Annotated[str, Meta(max_length=100)] | None = None


class Linked(Struct, gc=False, frozen=True, kw_only=True):
    """This visitor is this customer from now on; null: nobody's any more (logged out). By explicit proof only."""

    visitor_id: Id
    customer_id: Id | None = None
    proof: Proof = "login"


class Intervened(Struct, gc=False, frozen=True, kw_only=True):
    """Help was offered on a page: `kind` is free text (chat invite, FAQ link, co-browse, tutorial, coupon ...)."""

    visitor_id: Id
    kind: Name
    page: Name | None = None
    flag_id: Id | None = None


class Contacted(Struct, gc=False, frozen=True, kw_only=True):
    """A customer to whom this visitor is linked contacted us. Made by the pipeline (`streams.journeys`).

    The latest `revision` (epoch, position) of a contact replaces those before. `withdrawn`: it was none after all.
    """

    visitor_id: Id
    customer_id: Id
    contact_id: Id
    channel: str
    queue: str
    queued_ms: int
    reason: str | None = None
    revision: tuple[int, int] = (0, 0)
    withdrawn: bool = False


class Forgotten(Struct, gc=False, frozen=True, kw_only=True):
    """Everything this visitor did up to the event's time is to be forgotten, and stays so when it is replayed."""

    visitor_id: Id


class WebPageView(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.page_view"):
    """A page was shown (also by a single-page application)."""

    data: View


class WebPagePing(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.page_ping"):
    """The visitor was engaged in the last 10 s: the tab was visible, and something moved."""

    data: OnPage


class WebClick(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.click"):
    """A click or tap."""

    data: Clicked


class WebError(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.error"):
    """A script, a request or a resource failed."""

    data: Failed


class WebFormError(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.form_error"):
    """A form was refused, or a field was filled in again."""

    data: FormFailed


class WebSearch(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.search"):
    """The visitor searched the site."""

    data: Searched


class WebPageLeave(CloudEvent, gc=False, frozen=True, kw_only=True, tag="web.page_leave"):
    """The page was left: closed, or another one took its place."""

    data: OnPage


class IdentityLinked(CloudEvent, gc=False, frozen=True, kw_only=True, tag="identity.linked"):
    """It is known which customer a visitor is."""

    data: Linked


class InterventionShown(CloudEvent, gc=False, frozen=True, kw_only=True, tag="intervention.shown"):
    """Help was offered to a visitor."""

    data: Intervened


class InterventionAccepted(CloudEvent, gc=False, frozen=True, kw_only=True, tag="intervention.accepted"):
    """The visitor took the offer."""

    data: Intervened


class InterventionDeclined(CloudEvent, gc=False, frozen=True, kw_only=True, tag="intervention.declined"):
    """The visitor refused the offer, or closed it."""

    data: Intervened


class VisitorContacted(CloudEvent, gc=False, frozen=True, kw_only=True, tag="visitor.contacted"):
    """The pipeline tells the visitor's partition of a contact of its customer."""

    data: Contacted


class VisitorForgotten(CloudEvent, gc=False, frozen=True, kw_only=True, tag="visitor.forgotten"):
    """Somebody whose visitor this is wants to be forgotten (`queuelight forget`)."""

    data: Forgotten


class PipelineModel(CloudEvent, gc=False, frozen=True, kw_only=True, tag="pipeline.model"):
    """The pipeline tells every partition how stuck visitors are judged from `data.valid_from_ms` on."""

    data: StuckModel


BrowserEvent = WebPageView | WebPagePing | WebClick | WebError | WebFormError | WebSearch | WebPageLeave
"""What a browser does."""

Intervention = InterventionShown | InterventionAccepted | InterventionDeclined

WebEvent = (
    BrowserEvent
    | IdentityLinked
    | Intervention
    | VisitorContacted
    | VisitorForgotten
    | PipelineModel
    | PipelineHeartbeat
)
"""Every event of the topic `web`."""

PUBLIC_WEB_STRUCTS: tuple[type[CloudEvent], ...] = (
    WebPageView, WebPagePing, WebClick, WebError, WebFormError, WebSearch, WebPageLeave, IdentityLinked,
    InterventionShown, InterventionAccepted, InterventionDeclined,
)  # fmt: skip
"""Those that come from outside."""
WEB_STRUCTS: tuple[type[CloudEvent], ...] = (
    *PUBLIC_WEB_STRUCTS,
    VisitorContacted,
    VisitorForgotten,
    PipelineModel,
    PipelineHeartbeat,
)
WEB_TYPES: dict[str, type[CloudEvent]] = {str(s.__struct_config__.tag): s for s in WEB_STRUCTS}
