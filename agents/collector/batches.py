"""Which events are a browser's batch? Times corrected, URLs as page keys, visitor and customer as pseudonyms.

A pure function of the batch, when it was received, and the site's settings: a batch sent again gives the same events.
Refuses to know HTTP (`agents.collector.server`).
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from agents.collector.records import Record, Refused, Taken
from agents.journeys.customer_keys import CustomerKeys
from agents.settings.collector import CollectorSettings, SiteSettings
from schemas import web_batch as b
from schemas import web_events as w
from schemas.events import MAX_NAME, CloudEvent
from schemas.snapshots import encode_json
from schemas.topics import WEB
from streams.decode import is_clean
from streams.page_keys import host_of, page_key, redacted

SKEW_MS = 2000
"""A browser's clock that is off by no more is left as it is: that much may be the network."""
_MOST_KNOWN_URLS = 20_000
_LONGEST_TERM = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOTS = (
    "bot", "crawl", "spider", "slurp", "headless", "phantomjs", "lighthouse", "pagespeed", "facebookexternalhit",
    "curl/", "wget/", "python-", "httpclient", "okhttp", "go-http", "java/", "libwww", "scrapy", "selenium",
    "puppeteer", "playwright", "pingdom", "uptime", "gtmetrix", "monitor", "preview", "archiver",
)  # fmt: skip
_INTERVENTIONS: dict[
    str, type[w.InterventionShown] | type[w.InterventionAccepted] | type[w.InterventionDeclined]
] = {
    "shown": w.InterventionShown,
    "accepted": w.InterventionAccepted,
    "declined": w.InterventionDeclined,
}


@lru_cache(maxsize=2048)
def is_bot(agent: str) -> bool:
    """True for the `User-Agent` of a program that says it is none of a person, or says nothing."""
    agent = agent.lower()
    return not agent or any(word in agent for word in _BOTS)


class Site:
    """One site with its keys and rules at hand."""

    def __init__(self, settings: SiteSettings) -> None:
        self.key = settings.key
        self.source = f"web/{settings.key}"
        self.origins = frozenset(settings.origins)
        self.secret = settings.identify_secret and settings.identify_secret.get_secret_value().encode()
        own = frozenset(host_of(origin) for origin in settings.origins)
        self.hosts = frozenset(settings.hosts) | own
        rules = settings.rules()
        self.page = lru_cache(maxsize=_MOST_KNOWN_URLS)(lambda url: page_key(url, rules))
        self.host = lru_cache(maxsize=_MOST_KNOWN_URLS)(host_of)


class Batches:
    """Makes events of batches.

    Args:
        settings: sites, and what may be kept.
        keys: the pseudonyms of visitors and customers.
        prefix: of the topics.
    """

    def __init__(self, settings: CollectorSettings, keys: CustomerKeys, prefix: str = "") -> None:
        self.sites: Mapping[str, Site] = {each.key: Site(each) for each in settings.sites}
        self._keys = keys
        self._topic = prefix + WEB
        self._oldest_ms = round(settings.oldest_h * 3_600_000)
        self._keeps_terms = settings.keep_search_terms

    def taken(self, batch: b.WebBatch, site: Site, received_ms: int, *, bot: bool = False) -> Taken:
        """The events of a batch, and what of it is refused.

        Args:
            received_ms: when the batch came, Unix ms by our clock.
            bot: whether the browser says that it is none of a person.
        """
        offset_ms = received_ms - batch.sent
        if abs(offset_ms) <= SKEW_MS:
            offset_ms = 0
        visitor = self._keys.visitor(batch.visitor)
        taken = Taken([], [], [])
        for index, each in enumerate(batch.events):
            at_ms = min(each.at + offset_ms, received_ms)
            made = self._event(each, site, visitor, at_ms, received_ms, bot)
            if isinstance(made, Refused):
                taken.refused.append(made._replace(field=f"events[{index}].{made.field}"))
            else:
                taken.records.append(Record(self._topic, visitor, encode_json(made)))
                taken.types.append(str(made.__struct_config__.tag))
        return taken

    def _event(
        self, seen: b.AnyHappened, site: Site, visitor: str, at_ms: int, received_ms: int, bot: bool
    ) -> CloudEvent | Refused:
        if received_ms - at_ms > self._oldest_ms:
            return Refused("too_old", f"happened more than {self._oldest_ms // 3_600_000} h ago", "at")
        if site.host(seen.url) not in site.hosts:
            return Refused("wrong_host", "expected a URL of the site", "url")
        event_id, source, time = f"{visitor}.{seen.id}", site.source, _EPOCH + timedelta(milliseconds=at_ms)
        page, view = site.page(seen.url), seen.view
        match seen:
            case b.SawPing():
                at = w.OnPage(visitor_id=visitor, page=page, view_id=view)
                return w.WebPagePing(id=event_id, source=source, time=time, data=at)
            case b.SawView():
                came = seen.referrer
                before = site.page(came) if came and site.host(came) in site.hosts else None
                data = w.View(visitor_id=visitor, page=page, view_id=view, from_page=before, bot=bot)
                return w.WebPageView(id=event_id, source=source, time=time, data=data)
            case b.SawClick():
                click = w.Clicked(
                    visitor_id=visitor, page=page, view_id=view, x=seen.x, y=seen.y, target=seen.target,
                    dead=seen.dead, exempt=seen.exempt,
                )  # fmt: skip
                return w.WebClick(id=event_id, source=source, time=time, data=click)
            case b.SawError():
                failed = w.Failed(
                    visitor_id=visitor, page=page, view_id=view, kind=seen.kind, status=seen.status
                )
                return w.WebError(id=event_id, source=source, time=time, data=failed)
            case b.SawForm():
                form = w.FormFailed(
                    visitor_id=visitor, page=page, view_id=view, kind=seen.kind,
                    form=_field(seen.form), field=_field(seen.field),
                )  # fmt: skip
                return w.WebFormError(id=event_id, source=source, time=time, data=form)
            case b.SawSearch():
                term = redacted(seen.term, _LONGEST_TERM) if self._keeps_terms and seen.term else None
                search = w.Searched(
                    visitor_id=visitor, page=page, view_id=view, hits=seen.hits, term=term or None
                )
                return w.WebSearch(id=event_id, source=source, time=time, data=search)
            case b.SawLeave():
                at = w.OnPage(visitor_id=visitor, page=page, view_id=view)
                return w.WebPageLeave(id=event_id, source=source, time=time, data=at)
            case b.SawIdentity():
                if seen.customer and not _is_signed(seen, site):
                    return Refused("not_signed", "expected the signature of the site's server", "signature")
                customer = self._keys.of(seen.customer) if seen.customer else None
                link = w.Linked(visitor_id=visitor, customer_id=customer)
                return w.IdentityLinked(id=event_id, source=source, time=time, data=link)
            case b.SawIntervention():
                for name, text in (("kind", seen.kind), ("flag", seen.flag)):
                    if text and not is_clean(text):
                        return Refused("bad_name", "expected a name without control characters", name)
                help_ = w.Intervened(visitor_id=visitor, kind=seen.kind, page=page, flag_id=seen.flag or None)
                return _INTERVENTIONS[seen.what](id=event_id, source=source, time=time, data=help_)


def _field(text: str | None) -> str | None:
    """The name of a form or field, without numbers and addresses that programs put into some."""
    return redacted(text, MAX_NAME, digits=4) or None if text else None


def _is_signed(seen: b.SawIdentity, site: Site) -> bool:
    if not site.secret or not seen.customer or not seen.signature:
        return False
    expected = hmac.digest(site.secret, seen.customer.encode("utf-8", "surrogatepass"), "sha256").hex()
    return hmac.compare_digest(expected.encode(), seen.signature.lower().encode("utf-8", "replace"))
