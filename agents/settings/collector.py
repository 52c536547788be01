"""What may be written below `[collector]`? Sites whose pages are tracked, back ends that sign, limits, the spool.

Refuses to know what is made of a request (`agents.collector`) and of a URL (`streams.page_keys`).
"""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from agents.journeys.customer_keys import CustomerKeys, keys_in
from agents.settings.secrets import SecretFile
from agents.settings.values import Section, each_once
from schemas.events import MAX_NAME
from streams.decode import is_clean
from streams.page_keys import PageRule, PageRules

_SITE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LEAST_SECRET = 16


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if (
            good
            and not parts.path.strip("/")
            and not parts.query
            and not parts.fragment
            and not parts.username
        ):
            return f"{parts.scheme}://{parts.netloc}".lower()
    except ValueError:
        pass  # the message below says what is expected
    raise ValueError(f"expected an origin such as https://www.example.com, saw {text!r:.60}")


def _host(text: str) -> str:
    text = text.lower()
    if not _HOST.fullmatch(text):
        raise ValueError(f"expected a host name without scheme and port, saw {text!r:.60}")
    return text


def _key(text: str) -> str:
    if not _SITE_KEY.fullmatch(text):
        raise ValueError(f"expected 1 to 64 letters, digits, '_' or '-', saw {text!r:.60}")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or len(text) > MAX_NAME or not is_clean(text):
        raise ValueError(f"expected a path such as /product/*, saw {text!r:.60}")
    return text


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"expected an address or network such as 10.0.0.0/8, saw {text!r:.60}") from None


def _secret(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and len(secret.get_secret_value()) < _LEAST_SECRET:
        raise ValueError(f"expected a secret of at least {_LEAST_SECRET} characters")
    return secret


Secret = Annotated[SecretStr | None, AfterValidator(_secret)]
Word = Annotated[str, AfterValidator(_key)]


class PageRuleSection(Section):
    """One of `page_rules`."""

    match: Annotated[str, AfterValidator(_path)] = Field(
        description="A path; `*` is one segment, `**` at its end all that follow."
    )
    page: Annotated[str, AfterValidator(_path)] = Field(description="The page that such paths are.")


class SiteSettings(Section):
    """`[[collector.sites]]`."""

    key: Word = Field(description="Its public key, as the tracker has it.")
    origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], Field(min_length=1)] = Field(
        description='Where its pages are: `["https://www.example.com"]`.'
    )
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        (), description="Its host names, where several are told apart; then pages begin with theirs."
    )
    identify_secret: Secret = Field(
        None, description="With which its server signs customer ids; without it nobody is identified."
    )
    identify_secret_file: SecretFile = Field(None, description="File with nothing but that secret.")
    page_rules: tuple[PageRuleSection, ...] = Field(
        (), description='Such as `[{ match = "/product/*", page = "/product/{name}" }]`; the first that fits.'
    )

    def rules(self) -> PageRules:
        """Hosts and rules as `streams.page_keys` wants them."""
        return PageRules(self.hosts, tuple(PageRule(each.match, each.page) for each in self.page_rules))


class SourceSettings(Section):
    """`[[collector.sources]]`."""

    name: Word = Field(description="What to call the back end.")
    secret: Secret = Field(None, description="With which it signs.")
    secret_file: SecretFile = Field(None, description="File with nothing but that secret.")

    @model_validator(mode="after")
    def _signs(self) -> "SourceSettings":
        if self.secret is None:
            raise ValueError("expected secret_file: what it sends must be signed")
        return self


class CollectorSettings(Section):
    """`[collector]`."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that browsers and back ends send to.")
    port: int = Field(8070, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address that serves /metrics, /livez and /readyz."
    )
    metrics_port: int = Field(9109, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    tenant_keys: SecretStr | None = Field(
        None,
        description="Keys of the pseudonyms of visitors and customers, a line `ID SECRET` each, the newest first.",
    )
    tenant_keys_file: SecretFile = Field(None, description="File with nothing but them.")
    spool_folder: Path = Field(
        Path("queuelight-spool"),
        description="Where events wait while Kafka is away; one per running collector.",
    )
    spool_mb: float = Field(
        256.0, gt=0, le=1_000_000, allow_inf_nan=False, description="What it may hold; 503 beyond it."
    )
    max_batch_bytes: int = Field(65_536, ge=1024, le=16_777_216, description="Largest batch of a browser.")
    max_events_bytes: int = Field(
        1_048_576, ge=1024, le=16_777_216, description="Largest request of a back end."
    )
    requests_per_minute: int = Field(
        600, ge=1, le=10_000_000, description="Of browsers of one client address; 429 beyond it."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Addresses and networks whose X-Forwarded-For is believed."
    )
    keep_search_terms: bool = Field(
        False, description="Keep what visitors search for, without digits and e-mail addresses."
    )
    oldest_h: float = Field(
        72.0, gt=0, le=720, allow_inf_nan=False, description="Events that happened longer ago are refused."
    )
    sites: tuple[SiteSettings, ...] = Field((), description="Sites whose pages are tracked, see below.")
    sources: tuple[SourceSettings, ...] = Field((), description="Back ends that send events, see below.")

    @field_validator("tenant_keys")
    @classmethod
    def _usable(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            CustomerKeys(keys_in(keys.get_secret_value()))
        return keys

    @model_validator(mode="after")
    def _told_apart(self) -> "CollectorSettings":
        each_once(tuple(site.key for site in self.sites))
        each_once(tuple(source.name for source in self.sources))
        return self

    def keys(self) -> CustomerKeys | None:
        """The keys of pseudonyms; None: none are given."""
        return CustomerKeys(keys_in(self.tenant_keys.get_secret_value())) if self.tenant_keys else None


COLLECTOR_TABLES: dict[str, type[Section]] = {"sites": SiteSettings, "sources": SourceSettings}
"""Lists of tables in `[collector]`."""


def collector_tables(collector: dict[str, object]) -> Iterator[tuple[str, object, list[str]]]:
    """Every table below `[collector]` as written: its name, its content, the keys it may have."""
    for name, model in COLLECTOR_TABLES.items():
        tables = collector.get(name, [])
        for table in tables if isinstance(tables, list) else []:
            yield f"collector.{name}", table, list(model.model_fields)
            rules = table.get("page_rules", []) if isinstance(table, dict) else []
            for rule in rules if isinstance(rules, list) else []:
                yield f"collector.{name}.page_rules", rule, list(PageRuleSection.model_fields)
