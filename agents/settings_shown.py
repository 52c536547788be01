"""How are settings shown to people? What is in force as TOML, and the README's table; secrets are masked in both."""

from collections.abc import Mapping

from pydantic import BaseModel

from agents.settings import VARIABLE_PREFIX, Settings, dotted, model_of
from agents.settings_file import DefaultsSection, QueueSection, Sections, masked
from schemas.events import CHANNELS


def describe(settings: Settings) -> str:
    """What is in force, as TOML with secrets masked; each value that is no default says where it is from."""
    site, limits = settings.site, settings.site.limits
    lines = [f"# {settings.file}" if settings.file else "# no file; defaults, environment and flags"]

    def table(name: str, values: Mapping[str, object], path: tuple[str, ...]) -> None:
        lines.extend(["", f"[{name}]"])
        for key, value in values.items():
            source = settings.sources.get(dotted((*path, key)))
            text = f"# {key} =" if value is None else f"{key} = {_toml(masked(key, value))}"
            lines.append(f"{text}  # {source}" if source else text)

    table("site", {"name": site.name, "zone": site.zone, "day_starts_at": site.day_starts_at}, ("site",))
    for channel in CHANNELS:
        policy = site.queue_defaults[channel]
        said = {key: getattr(policy, key) for key in DefaultsSection.model_fields}
        table(f"queue_defaults.{channel}", said, ("queue_defaults", channel))
    for name, policy in site.queues.items():
        table(
            f"queues.{_toml(name)}",
            {key: getattr(policy, key) for key in QueueSection.model_fields},
            ("queues", name),
        )
    shown: dict[str, object] = {
        "keep_h": limits.keep_ms / 3_600_000,
        "agent_lost_s": limits.agent_lost_ms / 1000,
        "ahead_s": limits.ahead_ms / 1000,
    }
    shown |= {key: getattr(limits, key) for key in limits.__struct_fields__ if key.startswith("max_")}
    table("limits", shown, ("limits",))
    for section, values in (
        ("kafka", settings.kafka),
        ("redis", settings.redis),
        ("worker", settings.worker),
    ):
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
            new = {
                key: each
                for key, each in QueueSection.model_fields.items()
                if key not in DefaultsSection.model_fields
            }
            lines.append('| `[queues."NAME"]` the same keys | the channel\'s | | |')
            for key, each in new.items():
                default = f"`{_toml(own[key])}`" if key in own else ""
                lines.append(f'| `[queues."NAME"] {key}` | {default} | {each.description} | |')
        else:
            model = model_of(info.annotation)
            shown = {key: None if key == "name" and section == "worker" else value for key, value in model()}
            rows(section, model, shown, f"{VARIABLE_PREFIX}{section.upper()}_")
    return "\n".join(lines) + "\n"
