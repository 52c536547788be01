"""What is in force? One frozen `Settings`, built once from file < environment < flags.

Refuses to guess: an unknown key is an error that names the nearest known one. `agents.settings.file` says which keys
there are, `agents.settings.shown` shows them; this module says where their values come from.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as EnvironmentRefused

from agents.settings.alerts import AlertsSettings
from agents.settings.collector import CollectorSettings, collector_tables
from agents.settings.file import (
    DefaultsSection,
    QueueSection,
    Sections,
    WorkerSettings,
    masked,
    with_said,
)
from agents.settings.hours import HoursSection, with_days
from agents.settings.journeys import JourneysSettings, offers_as_written
from agents.settings.secrets import with_secrets_read
from agents.settings.servers import KafkaSettings, RedisSettings
from agents.settings.wallboard import THRESHOLD_MEASURES, WallboardSettings, wallboard_tables
from schemas.errors import SettingsError
from schemas.events import CHANNELS
from streams.hours import ALWAYS
from streams.site import QueuePolicy, Site

VARIABLE_PREFIX = "QUEUELIGHT_"
CONFIG_VARIABLE = "QUEUELIGHT_CONFIG"
"""Names the file where no `--config` does."""
_HERE = "queuelight.toml"
"""The file, in the working directory, that is read where neither of them names one."""
_OF_THE_SITE = ("site", "queue_defaults", "queues", "limits")
_NAMES = ("queues", "boards", "thresholds")
"""Tables whose keys are names."""
_QUEUE_KEYS = tuple(QueueSection.model_fields)

Tree = dict[str, object]
"""Values as written: {section: {key: value}}."""


@dataclass(frozen=True)
class Settings:
    """Everything Queuelight can be told.

    Attributes:
        site: the contact centre, as the folds want it.
        kafka: broker, topics, credentials.
        redis: where boards read.
        worker: this process.
        wallboard: how boards look, and who may see them.
        alerts: where those that fire are asked for.
        journeys: web visitors; what folds need of it is in `site.journeys`.
        collector: what is taken from browsers and back ends.
        sources: where each value that is no default came from: {"kafka.broker": "flag", ...}.
        file: the file that was read, if any.
    """

    site: Site = field(default_factory=Site)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    wallboard: WallboardSettings = field(default_factory=WallboardSettings)
    alerts: AlertsSettings = field(default_factory=AlertsSettings)
    journeys: JourneysSettings = field(default_factory=JourneysSettings)
    collector: CollectorSettings = field(default_factory=CollectorSettings)
    sources: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    def says(self, *path: str) -> bool:
        """True when something under this path was given and is no default: `says("kafka", "broker")`."""
        head = dotted(path)
        return any(name == head or name.startswith(head + ".") for name in self.sources)

    @property
    def says_site(self) -> bool:
        """True when anything about the contact centre itself was given."""
        return any(self.says(section) for section in _OF_THE_SITE)

    def with_site(self, site: Site) -> "Settings":
        """The same settings for another site; where `[journeys]` says something, visitors are judged as it says."""
        if self.says("journeys"):
            site = msgspec.structs.replace(site, journeys=self.site.journeys)
        return replace(self, site=site)


def load(config: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Read file and environment, put the flags on top, and check everything.

    Args:
        config: the file; without it, the one QUEUELIGHT_CONFIG names; without that, ./queuelight.toml if there is one.
        flags: {"kafka.broker": value}; a value of None was not given.

    Raises:
        SettingsError: a file that cannot be read, an unknown key or an impossible value.
    """
    named = os.environ.get(CONFIG_VARIABLE) or (_HERE if os.access(_HERE, os.F_OK) else None)
    path = config or (Path(named) if named else None)
    where = str(path) if path else "the settings"
    layers = {where: _read(path) if path else {}, "environment": _environment(), "flag": _nested(flags or {})}
    merged: Tree = {}
    sources: dict[str, str] = {}
    for source, layer in layers.items():
        _say_days(layer, source)
        _check_known(layer, source)
        read = with_secrets_read(layer, source)
        _merge(merged, layer)
        sources.update(dict.fromkeys(_leaves(layer), "file" if source == where else source))
        sources.update(read)
    try:
        sections = Sections.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_refusal(error, sources, where)) from None
    return Settings(
        _site(sections),
        sections.kafka,
        sections.redis,
        sections.worker,
        sections.wallboard,
        sections.alerts,
        sections.journeys,
        sections.collector,
        sources,
        path,
    )


def _say_days(layer: Tree, source: str) -> None:
    """Let every table of hours name each weekday by itself."""
    queues = layer.get("queues")
    tables = {"site": layer.get("site")}
    if isinstance(queues, dict):
        tables |= {f'queues."{name}"': queue for name, queue in queues.items()}
    for name, table in tables.items():
        if isinstance(table, dict) and "hours" in table:
            table["hours"] = with_days(table["hours"], f"{name}.hours", source)


def _site(sections: Sections) -> Site:
    defaults: dict[str, QueuePolicy] = {
        channel: sections.queue_defaults.policy(channel) for channel in CHANNELS
    }
    hours = sections.site.hours.hours(ALWAYS)
    queues = {}
    for name, queue in sections.queues.items():
        policy = with_said(defaults[queue.channel], queue)
        own = queue.hours and queue.hours.hours(hours)
        queues[name] = msgspec.structs.replace(policy, hours=own)
    return Site(
        name=sections.site.name,
        zone=sections.site.zone,
        day_starts_at=sections.site.day_starts_at,
        hours=hours,
        queue_defaults=defaults,
        queues=queues,
        limits=sections.limits.limits(),
        journeys=sections.journeys.policy(),
    )


# --- where values come from -------------------------------------------------------------------------------------------


def _read(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: expected a TOML file, this is a folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None


def _environment() -> Tree:
    for name in os.environ:
        if name.upper().startswith(VARIABLE_PREFIX) and name.upper() != CONFIG_VARIABLE:
            _check_variable(name.upper())
    try:
        return dict(EnvSettingsSource(Sections)())
    except EnvironmentRefused as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = VARIABLE_PREFIX + (named[1].upper() if named else "...")
        raise SettingsError(f"environment: {variable}: expected JSON") from None


def _check_variable(name: str) -> None:
    known = [*variables(), CONFIG_VARIABLE]
    if name in known or any(
        name.startswith(f"{VARIABLE_PREFIX}{table}") for table in ("QUEUES", "QUEUE_DEFAULTS")
    ):
        return
    raise SettingsError(f"unknown environment variable {name}{_did_you_mean(name, known)}")


def variables() -> dict[str, str]:
    """The environment variables: {"QUEUELIGHT_KAFKA_BROKER": "kafka.broker", ...}; the two tables take JSON."""
    out = {}
    for section, key in _plain_keys():
        out[f"{VARIABLE_PREFIX}{section}_{key}".upper()] = f"{section}.{key}"
    return out | {f"{VARIABLE_PREFIX}QUEUE_DEFAULTS": "queue_defaults", f"{VARIABLE_PREFIX}QUEUES": "queues"}


def _plain_keys() -> Iterator[tuple[str, str]]:
    for section, info in Sections.model_fields.items():
        if section not in ("queue_defaults", "queues"):
            yield from ((section, key) for key in model_of(info.annotation).model_fields)


def model_of(annotation: object) -> type[BaseModel]:
    """The section that a field of `Sections` holds."""
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation


def _nested(flags: Mapping[str, object]) -> Tree:
    out: dict[str, dict[str, object]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = name.split(".")
            out.setdefault(section, {})[key] = value
    return {**out}


def _merge(into: Tree, layer: Tree) -> None:
    for key, value in layer.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            into[key] = _copied(value)


def _copied(value: object) -> object:
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, dict) else value


def _leaves(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield dotted((*path, key))


def dotted(path: Iterable[object]) -> str:
    """The name of a value in `Settings.sources`; a name with dots in it is quoted."""
    return ".".join(f'"{p}"' if "." in str(p) else str(p) for p in path)


# --- what is refused --------------------------------------------------------------------------------------------------


def _check_known(tree: Tree, source: str) -> None:
    """Refuse the first unknown key, naming the nearest known one."""
    _check_keys(tree, list(Sections.model_fields), "", source)
    for section, values in tree.items():
        if not isinstance(values, dict):
            raise SettingsError(f"{source}: expected a table [{section}], saw {values!r:.60}")
        if section == "queues":
            for name, queue in values.items():
                _check_table(queue, list(_QUEUE_KEYS), f'queues."{name}"', source)
                _check_hours(queue, f'queues."{name}"', source)
        elif section == "queue_defaults":
            _check_keys(values, list(CHANNELS), section, source)
            for channel, policy in values.items():
                _check_table(policy, list(DefaultsSection.model_fields), f"{section}.{channel}", source)
        else:
            known = list(model_of(Sections.model_fields[section].annotation).model_fields)
            _check_keys(values, known, section, source)
        if section == "site":
            _check_hours(values, section, source)
        if section == "wallboard":
            for name, table, keys in wallboard_tables(values):
                _check_table(table, keys, name, source)
        if section == "journeys":
            for name, table, keys in offers_as_written(values):
                _check_table(table, keys, name, source)
        if section == "collector":
            for name, table, known in collector_tables(values):
                _check_table(table, known, name, source)


def _check_hours(table: Tree, name: str, source: str) -> None:
    if "hours" in table:
        hours = table["hours"]
        _check_table(hours, list(HoursSection.model_fields), f"{name}.hours", source)
        if isinstance(hours, dict) and "special" in hours:
            _check_table(hours["special"], None, f"{name}.hours.special", source)


def _check_table(table: object, known: list[str] | None, name: str, source: str) -> None:
    if not isinstance(table, dict):
        raise SettingsError(f"{source}: expected a table [{name}], saw {table!r:.60}")
    if known is not None:
        _check_keys(table, known, name, source)


def _check_keys(keys: Iterable[str], known: list[str], table: str, source: str) -> None:
    for key in keys:
        if key not in known:
            where = f" in [{table}]" if table else ""
            word = "key" if table else "section"
            raise SettingsError(f"{source}: unknown {word} `{key}`{where}{_did_you_mean(key, known)}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that somebody who wrote `word` most likely meant."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def _did_you_mean(word: str, known: list[str]) -> str:
    near = nearest(word, known)
    return f": did you mean `{near}`?" if near else f": expected one of {', '.join(known)}"


def _refusal(error: ValidationError, sources: Mapping[str, str], file: str) -> str:
    """The first impossible value in one line: where it is from, its table and key, what was expected and seen."""
    first = error.errors(include_url=False, include_input=True)[0]
    path = [str(part) for part in first["loc"] if part not in ("[key]", "")]
    source = sources.get(dotted(path), "file")
    where = file if source == "file" else source
    text = first["msg"].removeprefix("Value error, ")
    text = (
        text.replace("Input should be", "expected a value")
        if "than" in text
        else text.replace("Input should be", "expected")
    )
    seen = masked(path[-1], first["input"])
    if "saw" not in text and not isinstance(seen, dict | BaseModel) and path[-1] != "url":
        text += f", saw {seen!r:.60}"
    more = error.error_count() - 1
    also = f" (and {more} more)" if more else ""
    if len(path) == 1 or (len(path) == 2 and path[0] == "queues"):
        return f"{where}: [{_table(path)}]: {text}{also}"
    return f"{where}: `{path[-1]}` in [{_table(path[:-1])}]: {text}{also}"


def _table(path: list[str]) -> str:
    """The name of a table; what people named is quoted."""
    return ".".join(_quoted(p) if before in _NAMES and p not in THRESHOLD_MEASURES else p
                    for before, p in zip(["", *path], path, strict=False))  # fmt: skip


def _quoted(name: str) -> str:
    return f'"{"".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)}"'
