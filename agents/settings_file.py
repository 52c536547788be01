"""What may be written into `queuelight.toml`? Every key of every section, with its type, bounds, default and meaning.

Refuses to know where values come from and what they are for: `agents.settings` merges the sources and builds the site.
"""

import re
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.counts import OVERFLOW_ROW
from schemas.events import CHANNELS, MAX_NAME, Channel
from streams.decode import is_clean
from streams.site import CHANNEL_POLICIES, Limits, QueuePolicy

MASK = "***"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_KAFKA_NAME = re.compile(r"[A-Za-z0-9._-]*")
_LIMITS = Limits()


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        raise ValueError(f"expected a time zone such as Asia/Tokyo or UTC, saw {name!r}") from None
    return name


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"expected a clock time HH:MM, saw {text!r}")
    return text


def _shown_name(name: str) -> str:
    if not name or len(name) > MAX_NAME or not is_clean(name):
        raise ValueError(
            f"expected a name of 1 to {MAX_NAME} characters without control characters, saw {name!r:.60}"
        )
    if name == OVERFLOW_ROW:
        raise ValueError(f"{name!r} is the row of the queues beyond the limit; choose another name")
    return name


def _kafka_name(name: str) -> str:
    if not _KAFKA_NAME.fullmatch(name) or len(name) > 150:
        raise ValueError(f"expected at most 150 letters, digits, '.', '_' or '-', saw {name!r:.60}")
    return name


def _brokers(text: str) -> str:
    for each in text.split(","):
        host, _, port = each.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"expected HOST:PORT, or several with commas between, saw {text!r}")
    return ",".join(each.strip() for each in text.split(","))


def _redis_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme in ("redis", "rediss", "unix") and (parts.hostname or parts.path) and parts.port != 0:
            return url
    except ValueError:
        pass  # the message below says what is expected; the cause may contain the password
    raise ValueError("expected a URL such as redis://HOST:6379/0 (or rediss://, unix://)")


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"expected a file, there is none at {path}")
    return path


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Zone = Annotated[str, AfterValidator(_zone)]
ClockTime = Annotated[str, AfterValidator(_clock)]
ShownName = Annotated[str, AfterValidator(_shown_name)]
KafkaName = Annotated[str, AfterValidator(_kafka_name)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=366 * 86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]


class Section(BaseModel):
    """A section of the file: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def masked(key: str, value: object) -> object:
    """A value as it may be shown: passwords and the password part of a URL are masked."""
    if value is None:
        return None
    if key == "sasl_password":
        return MASK
    if key == "url":
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
    day_starts_at: ClockTime = Field("00:00", description="When a business day begins, HH:MM.")


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


class QueueSection(DefaultsSection):
    """`[queues."<name>"]`: what is not said is inherited from the channel."""

    channel: Channel = Field("voice", description=f"One of {', '.join(CHANNELS)}.")
    zone: Zone | None = Field(None, description="Time zone of its business days; default the site's.")
    day_starts_at: ClockTime | None = Field(
        None, description="When its business day begins; default the site's."
    )
    team: ShownName | None = Field(None, description="The team that serves it.")


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
    heard = {name: value for name, value in said if value is not None}
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


class KafkaSettings(Section):
    """`[kafka]`."""

    broker: Annotated[str, AfterValidator(_brokers)] = Field(
        "127.0.0.1:9092", description="HOST:PORT of the broker, or several with commas between."
    )
    partitions: int = Field(
        4, ge=1, le=1000, description="Partitions of every topic; fixed once the topics exist."
    )
    topic_prefix: KafkaName = Field("", description="Put before every topic name.")
    app_id: Annotated[KafkaName, Field(min_length=1)] = Field(
        "queuelight", description="Consumer group and name of the checkpoints."
    )
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)
    ] = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, BeforeValidator(_upper)
    ] = Field(None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    sasl_username: str | None = Field(None, description="User name for SASL.")
    sasl_password: SecretStr | None = Field(
        None, description="Password for SASL; better in the environment than in the file."
    )
    ca_file: Annotated[Path, AfterValidator(_file)] | None = Field(
        None, description="PEM file with the authorities that sign the broker's certificate."
    )

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSettings":
        names = ("sasl_mechanism", "sasl_username", "sasl_password")
        missing = [name for name in names if getattr(self, name) is None]
        if self.security_protocol.startswith("SASL") and missing:
            raise ValueError(
                f"security_protocol {self.security_protocol} needs {' and '.join(missing)} as well"
            )
        if not self.security_protocol.startswith("SASL") and len(missing) < len(names):
            raise ValueError(
                f"security_protocol {self.security_protocol} does not use sasl_*: expected SASL_SSL or SASL_PLAINTEXT"
            )
        return self


class RedisSettings(Section):
    """`[redis]`."""

    url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(
        None, description="redis://[:PASSWORD@]HOST:PORT/DB; without it nothing is published there."
    )


class WorkerSettings(Section):
    """`[worker]`."""

    name: Annotated[KafkaName, Field(min_length=1)] = Field(
        default_factory=lambda: re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "worker",
        description="Stable member name; one per running worker. Default: the host's name.",
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
    ready_lag: int = Field(10_000, ge=0, description="Ready when fewer messages than this are behind.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
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
