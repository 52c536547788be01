"""What is a web site, and what can be wrong with it? Pages, ways between them, and hidden causes.

Refuses to know who comes. The causes are the truth that the pipeline is to find out; nothing in an event names them.
"""

from functools import cached_property
from itertools import accumulate

import msgspec
from msgspec import Struct

from schemas.events import Channel
from streams.journeys.policy import JourneyPolicy, Offer


class Kind(Struct, frozen=True):
    """How people use pages of one kind.

    `engaged_s`, `sigma`: engaged time of a view (log-normal, mean). `leaves`: share of views after which the session
    ends. `form`, `hits`: it has a form, or it is the site's search. `fun`: clicked often for pleasure. `next`: kinds
    that people go on to, with weights; `account`: only for those who log in, where they do.
    """

    engaged_s: float
    leaves: float
    next: tuple[tuple[str, float], ...]
    sigma: float = 1.0
    form: bool = False
    searches: bool = False
    fun: bool = False
    account: bool = False


class Page(Struct, frozen=True):
    """One page: its key, its kind, and how popular it is among the pages of its kind."""

    path: str
    kind: str
    weight: float = 1.0


class Shows(Struct, frozen=True, kw_only=True):
    """How being stuck shows. Means per try (a try is one stay on the page); shares are 0-1.

    `dwell` multiplies the engaged time. `loops`: share of tries after which the visitor goes to a neighbouring page and
    comes back; `quick`: share of those stays that are only a glance. `rage`: share of tries with a burst of clicks.
    """

    errors: float = 0.0
    form_errors: float = 0.0
    dead: float = 0.0
    rage: float = 0.0
    searches: float = 0.0
    loops: float = 0.2
    quick: float = 0.3
    dwell: float = 1.5


class Cause(Struct, frozen=True, kw_only=True):
    """What is wrong with a page. `stuck`: share of views that get a visitor stuck who was not yet.

    `contact`: share of the stuck who contact; `helped`: of the others, those who find the answer on a help page. The
    rest leaves in silence. `channels`: (channel, queue, weight) of the contacts; `reason`: their wrap-up code.
    """

    page: str
    what: str
    stuck: float
    contact: float
    reason: str
    channels: tuple[tuple[Channel, str, float], ...]
    shows: Shows
    help_page: str
    helped: float = 0.35


class WebSite(Struct, frozen=True, kw_only=True, dict=True):
    """A web site. `announcing`: pages that people look at because they are about to contact; they cause nothing."""

    zone: str
    kinds: dict[str, Kind]
    pages: tuple[Page, ...]
    causes: tuple[Cause, ...]
    announcing: tuple[str, ...]
    contact: tuple[str, ...]
    help: tuple[str, ...]
    login: str
    search: str
    progress: dict[str, str]
    """Kind of page -> the page that says thank you there."""
    contact_policy: tuple[str, ...]
    help_policy: tuple[str, ...]
    progress_policy: tuple[str, ...]
    base_channels: tuple[tuple[Channel, str, float], ...]
    """(channel, queue, weight) of the contacts that no page caused."""
    base_reasons: tuple[str, ...]

    @cached_property
    def cause_of(self) -> dict[str, Cause]:
        """Page -> what is wrong with it."""
        return {cause.page: cause for cause in self.causes}

    @cached_property
    def kind_of(self) -> dict[str, Kind]:
        """Page -> how it is used."""
        return {page.path: self.kinds[page.kind] for page in self.pages}

    @cached_property
    def thanks(self) -> dict[str, str]:
        """Page -> where success with it leads to."""
        return {page.path: self.progress.get(page.kind, self.progress[""]) for page in self.pages}

    @cached_property
    def ways(self) -> dict[str, tuple[list[str], list[float]]]:
        """Page -> pages that people go on to, and their cumulated weights."""
        by_kind: dict[str, list[Page]] = {}
        for page in self.pages:
            by_kind.setdefault(page.kind, []).append(page)
        return {page.path: self._ways_from(page, by_kind) for page in self.pages}

    def _ways_from(self, page: Page, by_kind: dict[str, list[Page]]) -> tuple[list[str], list[float]]:
        targets: list[str] = []
        weights: list[float] = []
        for kind, weight in self.kinds[page.kind].next:
            others = [each for each in by_kind[kind] if each.path != page.path]
            total = sum(each.weight for each in others)
            for each in others:
                targets.append(each.path)
                weights.append(weight * each.weight / total)
        return targets, list(accumulate(weights))

    def policy(self, base: JourneyPolicy | None = None) -> JourneyPolicy:
        """What the owner of this site would write under `[journeys]`: page classes, and help for causing pages.

        The owner knows contact, help and thank-you pages, but not which pages cause contacts: help is foreseen by
        section.
        """
        return msgspec.structs.replace(
            base or JourneyPolicy(),
            contact_pages=self.contact_policy,
            help_pages=self.help_policy,
            progress_pages=self.progress_policy,
            offers=(
                Offer(pages="/checkout/*", kind="chat", queue="返品・交換 (チャット)"),
                Offer(pages="/billing/*", kind="callback", queue="Billing"),
                Offer(pages="/account/*", kind="co-browse", queue="Technical support"),
                Offer(pages="*", kind="chat", queue="Sales (chat)"),
            ),
        )
