"""What may be written into `queuelight.toml`? Every key of every section, with its type, bounds, default and meaning.

Refuses to know where values come from and what they are for: `agents.settings` merges the sources and builds the site.
"""

import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agents.settings.alerts import AlertsSettings
from agents.settings.collector import CollectorSettings
from agents.settings.hours import HoursSection
from agents.settings.journeys import JourneysSettings
from agents.settings.servers import KafkaSettings, RedisSettings
from agents.settings.values import (
    WINDOW_NAMES,
    ClockTime,
    KafkaName,
    Milliseconds,
    Seconds,
    SecondsOrZero,
    Section,
    Share,
    ShownName,
    Window,
    Zone,
    each_once,
    existing_folder,
    lower,
)
from agents.settings.wallboard import WallboardSettings
from schemas.events import CHANNELS, Channel
from streams.site import CHANNEL_POLICIES, Limits, QueuePolicy

MASK = "***"
_LIMITS = Limits()


_SECRET = (
    "sasl_password",
    "password",
    "pseudonym_key",
    "webhook_secret",
    "tenant_keys",
    "identify_secret",
    "secret",
)


def masked(key: str, value: object) -> object:
    """A value as it may be shown: passwords and the password part of a URL are masked."""
    if value is None:
        return None
    if key in _SECRET:
        return MASK
    if key in ("url", "alertmanager_url", "webhook_url"):
        return masked_url(value.get_secret_value() if isinstance(value, SecretStr) else str(value))
    return value


def masked_url(url: str) -> str:
    """A URL without its password, whether it stands before the host or in the query."""
    parts = urlsplit(url)
    place = parts.netloc
    if "@" in place:
        who, _, where = place.rpartition("@")
        user, colon, _ = who.partition(":")
        place = f"{user}{colon}{MASK}@{where}" if colon else f"{who}@{where}"
    query = re.sub(r"(?i)(password=)[^&]*", rf"\1{MASK}", parts.query)
    return urlunsplit((parts.scheme, place, parts.path, query, ""))


class SiteSection(Section):
    """`[site]`."""

    name: ShownName = Field("default", description="Name of the contact centre.")
    zone: Zone = Field("UTC", description="Time zone of its business days.")
    day_starts_at: ClockTime = Field(
        "00:00", description="When a business day begins: HH:00, :15, :30 or :45."
    )
    hours: HoursSection = Field(HoursSection(), description="When it is open, see below. Default: always.")


class DefaultsSection(Section):
    """`[queue_defaults.<channel>]`: None means the built-in default of the channel."""

    answer_within_s: Seconds | None = Field(None, description="X, the service-level threshold, inclusive.")
    target: Share | None = Field(None, description="Share (0-1) to be answered within X.")
    short_abandon_s: SecondsOrZero | None = Field(None, description="Abandons up to this wait are short.")
    silent_after_s: Seconds | None = Field(
        None, description="A chat this long without an answer to the customer is silent."
    )
    reap_after_s: Seconds | None = Field(
        None, description="A contact without any event for longer counts as lost."
    )
    alert_longest_wait_s: Seconds | None = Field(
        None, description="A longest wait beyond this is worth an alert. Default: 3 X."
    )
    alert_expected_wait_s: Seconds | None = Field(None, description="So is an expected wait. Default: 3 X.")
    alert_abandonment: Share | None = Field(None, description="So is an abandonment rate (0-1).")
    alert_callback_wait_s: Seconds | None = Field(
        None, description="So is a callback that was promised longer ago."
    )
    alert_first_response_s: Seconds | None = Field(
        None, description="So is a first response, in chats. Default: 2 X."
    )
    alert_silent_abandonment: Share | None = Field(
        None, description="So is a share of silent abandons (0-1), in chats."
    )


class QueueSection(DefaultsSection):
    """`[queues."<name>"]`: what is not said is inherited from the channel."""

    channel: Channel = Field("voice", description=f"One of {', '.join(CHANNELS)}.")
    zone: Zone | None = Field(None, description="Time zone of its business days; default the site's.")
    day_starts_at: ClockTime | None = Field(
        None, description="When its business day begins; default the site's."
    )
    team: ShownName | None = Field(None, description="The team that serves it.")
    owner: ShownName | None = Field(None, description="Who is told of its alerts; default the team.")
    hours: HoursSection | None = Field(None, description="As `[site.hours]`; what is not said is the site's.")


class ChannelsSection(Section):
    """`[queue_defaults]`."""

    voice: DefaultsSection = DefaultsSection()
    chat: DefaultsSection = DefaultsSection()
    email: DefaultsSection = DefaultsSection()
    form: DefaultsSection = DefaultsSection()
    sns: DefaultsSection = DefaultsSection()
    video: DefaultsSection = DefaultsSection()

    def policy(self, channel: str) -> QueuePolicy:
        """The policy of a channel's queues that say nothing of their own."""
        return with_said(CHANNEL_POLICIES[channel], getattr(self, channel))


def with_said(policy: QueuePolicy, said: DefaultsSection) -> QueuePolicy:
    """A policy with everything replaced that the section says."""
    heard = {name: value for name, value in said if value is not None and name != "hours"}
    return QueuePolicy(**{**{name: getattr(policy, name) for name in policy.__struct_fields__}, **heard})


class LimitsSection(Section):
    """`[limits]`."""

    keep_h: float = Field(_LIMITS.keep_ms / 3_600_000, ge=25, le=24 * 14, allow_inf_nan=False,
        description="Hours in which late events still correct the numbers. At least 25: the longest day.")  # fmt: skip
    agent_lost_s: Seconds = Field(
        _LIMITS.agent_lost_ms / 1000, description="An agent without sign of life for longer is lost."
    )
    ahead_s: Seconds = Field(_LIMITS.ahead_ms / 1000, description="How far an event may lie in the future.")
    max_queues: int = Field(_LIMITS.max_queues, ge=1, le=100_000,
        description="Queues besides the configured ones; the rest share one row.")  # fmt: skip
    max_agents: int = Field(
        _LIMITS.max_agents, ge=1, le=1_000_000, description="Agents per source partition."
    )
    max_contacts: int = Field(_LIMITS.max_contacts, ge=1000, le=100_000_000,
        description="Finished contacts remembered per source partition, for corrections.")  # fmt: skip
    max_events_per_contact: int = Field(
        _LIMITS.max_events_per_contact, ge=10, le=1_000_000, description="Events one contact may have."
    )
    max_record_bytes: int = Field(
        _LIMITS.max_record_bytes, ge=1024, le=64 * 1024 * 1024, description="Largest event."
    )

    def limits(self) -> Limits:
        """The limits in the words of the folds."""
        return Limits(
            keep_ms=round(self.keep_h * 3_600_000),
            agent_lost_ms=round(self.agent_lost_s * 1000),
            ahead_ms=round(self.ahead_s * 1000),
            max_queues=self.max_queues,
            max_agents=self.max_agents,
            max_contacts=self.max_contacts,
            max_events_per_contact=self.max_events_per_contact,
            max_record_bytes=self.max_record_bytes,
        )


class WorkerSettings(Section):
    """`[worker]`."""

    name: Annotated[KafkaName, Field(min_length=1)] = Field(
        default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "worker",
        description="Stable member name; one per running worker. Default: the host's name.",
    )
    names_folder: Annotated[Path, AfterValidator(existing_folder)] | None = Field(
        None,
        description="Folder that the workers of a machine share: each takes the first free of NAME-1, NAME-2, ...",
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="Address that serves /metrics, /livez and /readyz."
    )
    metrics_port: int = Field(9108, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    clock: Literal["wall", "event"] = Field(
        "wall", description="`event` lets time be the newest event's: for replays."
    )
    flush_ms: Milliseconds = Field(200, description="How often stage 1 tells what changed.")
    publish_ms: Milliseconds = Field(20, description="How often stage 2 looks for snapshots to publish.")
    checkpoint_ms: Milliseconds = Field(4000, description="How often state is written.")
    metrics_windows: Annotated[tuple[Window, ...], Field(min_length=1), AfterValidator(each_once)] = Field(
        WINDOW_NAMES, description="Windows that /metrics tells of; fewer make it smaller."
    )
    ready_lag: int = Field(10_000, ge=0, description="Ready when fewer messages than this are behind.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = Field(
        "info", description="debug, info, warning or error."
    )


class Sections(BaseSettings):
    """The whole file. The environment gives the same values as QUEUELIGHT_<SECTION>_<KEY>."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix="QUEUELIGHT_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
    )

    site: SiteSection = SiteSection()
    queue_defaults: ChannelsSection = ChannelsSection()
    queues: dict[ShownName, QueueSection] = Field(default_factory=dict)
    limits: LimitsSection = LimitsSection()
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    redis: RedisSettings = RedisSettings()
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    wallboard: WallboardSettings = WallboardSettings()
    alerts: AlertsSettings = AlertsSettings()
    journeys: JourneysSettings = JourneysSettings()
    collector: CollectorSettings = CollectorSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed over: `agents.settings` merges the sources, so that it can say where a value is from."""
        return (init_settings,)
