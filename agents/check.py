"""Is everything as it must be? Settings, broker, topics and Redis, each with what is wrong and how to mend it.

Refuses to change anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agents.settings import Settings
from agents.settings.servers import RedisSettings
from schemas.errors import BrokerError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    says: str

    def __str__(self) -> str:
        return f"{'ok' if self.good else 'WRONG':5}  {self.what}: {self.says}"


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at what is configured: settings always, Kafka and Redis where they were given."""
    yield Finding("settings", True, _about(settings))
    if settings.says("kafka"):
        yield from _kafka(settings)
    else:
        yield Finding("kafka", True, "not looked at: give --broker or [kafka] broker")
    if settings.redis.url is not None:
        yield _redis(settings.redis)
    else:
        yield Finding("redis", True, "not looked at: give --redis or [redis] url")


def _about(settings: Settings) -> str:
    site = settings.site
    where = str(settings.file) if settings.file else "no file"
    return f"{where}, site {site.name!r} in {site.zone}, {len(site.queues)} queue(s) configured"


def _kafka(settings: Settings) -> Iterator[Finding]:
    from agents.topics import check_broker, check_topics, wanted

    try:
        yield Finding("kafka", True, f"{settings.kafka.broker}: {check_broker(settings)}")
        problems = check_topics(settings)
    except BrokerError as error:
        yield Finding("kafka", False, f"{error}; start it, or mend [kafka] broker and credentials")
        return
    yield from (Finding("topics", False, problem) for problem in problems)
    if not problems:
        yield Finding("topics", True, f"all {len(wanted(settings))} there, as they must be")


def _redis(settings: RedisSettings) -> Finding:
    from agents.redis_client import TROUBLE, asked, said, shown

    where = shown(settings)
    try:
        return Finding("redis", True, f"{where}: version {asked(settings)}, scripts allowed")
    except TROUBLE as error:
        reason = said(error, settings)
        return Finding("redis", False, f"{where}: {reason}; start it, or mend [redis] url and credentials")
