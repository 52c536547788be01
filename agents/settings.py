"""What is in force? One frozen `Settings`, built once from file < environment < flags.

Refuses to guess: an unknown key is an error that names the nearest known one. `agents.settings_file` says which keys
there are; this module says where their values come from, and shows them with secrets masked.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as EnvironmentRefused

from agents.settings_file import (
    DefaultsSection,
    KafkaSettings,
    QueueSection,
    RedisSettings,
    Sections,
    WorkerSettings,
    masked,
    with_said,
)
from schemas.errors import SettingsError
from schemas.events import CHANNELS
from streams.site import Site

PREFIX = "QUEUELIGHT_"
CONFIG_VARIABLE = "QUEUELIGHT_CONFIG"
"""Names the file where no `--config` does."""
_OF_THE_SITE = ("site", "queue_defaults", "queues", "limits")
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
        sources: where each value that is no default came from: {"kafka.broker": "flag", ...}.
        file: the file that was read, if any.
    """

    site: Site = field(default_factory=Site)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    sources: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    def says(self, *path: str) -> bool:
        """True when something under this path was given and is no default: `says("kafka", "broker")`."""
        head = _dotted(path)
        return any(name == head or name.startswith(head + ".") for name in self.sources)

    @property
    def says_site(self) -> bool:
        """True when anything about the contact centre itself was given."""
        return any(self.says(section) for section in _OF_THE_SITE)

    def with_site(self, site: Site) -> "Settings":
        """The same settings for another site."""
        return replace(self, site=site)


def load(config: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Read file and environment, put the flags on top, and check everything.

    Args:
        config: the file; without it, the one QUEUELIGHT_CONFIG names, if it does.
        flags: {"kafka.broker": value}; a value of None was not given.

    Raises:
        SettingsError: a file that cannot be read, an unknown key or an impossible value.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = config or (Path(named) if named else None)
    where = str(path) if path else "the settings"
    layers = {where: _read(path) if path else {}, "environment": _environment(), "flag": _nested(flags or {})}
    merged: Tree = {}
    sources: dict[str, str] = {}
    for source, layer in layers.items():
        _check_known(layer, source)
        _merge(merged, layer)
        sources.update(dict.fromkeys(_leaves(layer), "file" if source == where else source))
    try:
        sections = Sections.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_refusal(error, sources, where)) from None
    return Settings(_site(sections), sections.kafka, sections.redis, sections.worker, sources, path)


def _site(sections: Sections) -> Site:
    defaults = {channel: sections.queue_defaults.policy(channel) for channel in CHANNELS}
    return Site(
        name=sections.site.name,
        zone=sections.site.zone,
        day_starts_at=sections.site.day_starts_at,
        queue_defaults=defaults,
        queues={name: with_said(defaults[queue.channel], queue) for name, queue in sections.queues.items()},
        limits=sections.limits.limits(),
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
        if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE:
            _check_variable(name.upper())
    try:
        return dict(EnvSettingsSource(Sections)())
    except EnvironmentRefused as error:
        raise SettingsError(f"environment: {error}: expected JSON there") from None


def _check_variable(name: str) -> None:
    known = [*variables(), CONFIG_VARIABLE]
    if name in known or any(name.startswith(f"{PREFIX}{table}") for table in ("QUEUES", "QUEUE_DEFAULTS")):
        return
    raise SettingsError(f"unknown environment variable {name}{_did_you_mean(name, known)}")


def variables() -> dict[str, str]:
    """The environment variables: {"QUEUELIGHT_KAFKA_BROKER": "kafka.broker", ...}; the two tables take JSON."""
    out = {}
    for section, key in _plain_keys():
        out[f"{PREFIX}{section}_{key}".upper()] = f"{section}.{key}"
    return out | {f"{PREFIX}QUEUE_DEFAULTS": "queue_defaults", f"{PREFIX}QUEUES": "queues"}


def _plain_keys() -> Iterator[tuple[str, str]]:
    for section, info in Sections.model_fields.items():
        if section not in ("queue_defaults", "queues"):
            yield from ((section, key) for key in _model(info.annotation).model_fields)


def _model(annotation: object) -> type[BaseModel]:
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
            yield _dotted((*path, key))


def _dotted(path: Iterable[object]) -> str:
    return ".".join(f'"{p}"' if i == 1 and "." in str(p) else str(p) for i, p in enumerate(path))


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
        elif section == "queue_defaults":
            _check_keys(values, list(CHANNELS), section, source)
            for channel, policy in values.items():
                _check_table(policy, list(DefaultsSection.model_fields), f"{section}.{channel}", source)
        else:
            known = list(_model(Sections.model_fields[section].annotation).model_fields)
            _check_keys(values, known, section, source)


def _check_table(table: object, known: list[str], name: str, source: str) -> None:
    if not isinstance(table, dict):
        raise SettingsError(f"{source}: expected a table [{name}], saw {table!r:.60}")
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
    path = [str(part) for part in first["loc"] if part != "[key]"]
    source = sources.get(_dotted(path), "file")
    where = file if source == "file" else source
    text = first["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "expected a value") if "than" in text else text.replace("Input should be", "expected")
    seen = masked(path[-1], first["input"])
    if "saw" not in text and not isinstance(seen, dict | BaseModel) and path[-1] != "url":
        text += f", saw {seen!r:.60}"
    more = error.error_count() - 1
    also = f" (and {more} more)" if more else ""
    if len(path) == 1 or (len(path) == 2 and path[0] == "queues"):
        return f"{where}: [{_table(path)}]: {text}{also}"
    return f"{where}: `{path[-1]}` in [{_table(path[:-1])}]: {text}{also}"


def _table(path: list[str]) -> str:
    return f'queues."{path[1]}"' if path[0] == "queues" and len(path) > 1 else ".".join(path)


# --- what is shown ----------------------------------------------------------------------------------------------------


def describe(settings: Settings) -> str:
    """What is in force, as TOML with secrets masked; each value that is no default says where it is from."""
    site, limits = settings.site, settings.site.limits
    lines = [f"# {settings.file}" if settings.file else "# no file; defaults, environment and flags"]

    def table(name: str, values: Mapping[str, object], path: tuple[str, ...]) -> None:
        lines.extend(["", f"[{name}]"])
        for key, value in values.items():
            source = settings.sources.get(_dotted((*path, key)))
            text = f"# {key} =" if value is None else f"{key} = {_toml(masked(key, value))}"
            lines.append(f"{text}  # {source}" if source else text)

    table("site", {"name": site.name, "zone": site.zone, "day_starts_at": site.day_starts_at}, ("site",))
    for channel in CHANNELS:
        policy = site.queue_defaults[channel]
        said = {key: getattr(policy, key) for key in DefaultsSection.model_fields}
        table(f"queue_defaults.{channel}", said, ("queue_defaults", channel))
    for name, policy in site.queues.items():
        table(f"queues.{_toml(name)}", {key: getattr(policy, key) for key in _QUEUE_KEYS}, ("queues", name))
    shown: dict[str, object] = {
        "keep_h": limits.keep_ms / 3_600_000,
        "agent_lost_s": limits.agent_lost_ms / 1000,
        "ahead_s": limits.ahead_ms / 1000,
    }
    shown |= {key: getattr(limits, key) for key in limits.__struct_fields__ if key.startswith("max_")}
    table("limits", shown, ("limits",))
    for section, values in (("kafka", settings.kafka), ("redis", settings.redis), ("worker", settings.worker)):
        table(section, dict(values), (section,))
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return str(int(value)) if value == int(value) else repr(value)
        case _:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'


def reference() -> str:
    """The README's table of settings, in Markdown."""
    lines = ["| setting | default | meaning | environment |", "|---|---|---|---|"]

    def rows(table: str, model: type[BaseModel], shown: Mapping[str, object], variable: str | None) -> None:
        for key, info in model.model_fields.items():
            default = f"`{_toml(shown[key])}`" if shown.get(key) is not None else ""
            name = f"`{variable}{key.upper()}`" if variable else ""
            lines.append(f"| `[{table}] {key}` | {default} | {info.description} | {name} |")

    nothing = Settings()
    own: dict[str, object] = {"channel": "voice"}
    for section, info in Sections.model_fields.items():
        if section == "queue_defaults":
            voice = nothing.site.queue_defaults["voice"]
            shown = {key: getattr(voice, key) for key in DefaultsSection.model_fields}
            rows("queue_defaults.voice", DefaultsSection, shown, None)
        elif section == "queues":
            new = {key: each for key, each in QueueSection.model_fields.items() if key not in DefaultsSection.model_fields}
            lines.append('| `[queues."NAME"]` the same keys | the channel\'s | | |')
            for key, each in new.items():
                default = f"`{_toml(own[key])}`" if key in own else ""
                lines.append(f'| `[queues."NAME"] {key}` | {default} | {each.description} | |')
        else:
            model = _model(info.annotation)
            shown = {key: None if key == "name" and section == "worker" else value for key, value in model()}
            rows(section, model, shown, f"{PREFIX}{section.upper()}_")
    return "\n".join(lines) + "\n"
