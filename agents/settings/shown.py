"""How are settings shown to people? What is in force as TOML, and the README's table; secrets are masked in both."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from agents.settings.collector import COLLECTOR_TABLES, CollectorSettings, PageRuleSection
from agents.settings.file import DefaultsSection, QueueSection, Sections, masked
from agents.settings.hours import HoursSection, hours_shown
from agents.settings.in_force import VARIABLE_PREFIX, Settings, dotted, model_of
from agents.settings.journeys import OfferSection
from agents.settings.wallboard import (
    AccessSettings,
    BoardSection,
    LookSection,
    Threshold,
    ThresholdsSection,
    WallboardSettings,
)
from schemas.events import CHANNELS
from streams.hours import ALWAYS, Hours

_TABLES = {"boards", "thresholds", "access", "hours", "sites", "sources"}
"""Keys that are tables of their own."""


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

    def hours_of(owner: str, hours: Hours | None, path: tuple[str, ...]) -> None:
        if hours is not None and hours != ALWAYS:
            for name, values in hours_shown(hours):
                table(f"{owner}.hours{name}", values, (*path, "hours", *filter(None, [name[1:]])))

    table("site", {"name": site.name, "zone": site.zone, "day_starts_at": site.day_starts_at}, ("site",))
    hours_of("site", site.hours, ("site",))
    for channel in CHANNELS:
        policy = site.queue_defaults[channel]
        said = {key: getattr(policy, key) for key in DefaultsSection.model_fields}
        table(f"queue_defaults.{channel}", said, ("queue_defaults", channel))
    for name, policy in site.queues.items():
        table(
            f"queues.{_toml(name)}",
            {key: getattr(policy, key) for key in QueueSection.model_fields if key not in _TABLES},
            ("queues", name),
        )
        hours_of(f"queues.{_toml(name)}", policy.hours, ("queues", name))
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
    table("alerts", dict(settings.alerts), ("alerts",))
    table("journeys", dict(settings.journeys), ("journeys",))
    table("collector", _plain(settings.collector, CollectorSettings), ("collector",))
    for name in COLLECTOR_TABLES:
        for each_table in getattr(settings.collector, name):
            table(f"[collector.{name}]", dict(each_table), ("collector", name))
    board = settings.wallboard
    for each in (
        ("wallboard", _plain(board, WallboardSettings), ("wallboard",)),
        ("wallboard.access", dict(board.access), ("wallboard", "access")),
        *_thresholds("wallboard.thresholds", board.thresholds, ("wallboard", "thresholds")),
        *(shown_table for item in board.boards.items() for shown_table in _board(*item)),
    ):
        table(*each)
    return "\n".join(lines) + "\n"


_Shown = tuple[str, Mapping[str, object], tuple[str, ...]]
"""The name of a table, its values, and the path of its sources."""


def _plain(section: BaseModel, kind: type[BaseModel]) -> dict[str, object]:
    """What stands in the table itself, not in tables below it."""
    return {key: getattr(section, key) for key in kind.model_fields if key not in _TABLES}


def _board(name: str, board: BoardSection) -> Iterator[_Shown]:
    table, path = f"wallboard.boards.{_toml(name)}", ("wallboard", "boards", name)
    yield (
        table,
        {key: value for key, value in _plain(board, BoardSection).items() if key in board.model_fields_set},
        path,
    )
    yield from _thresholds(f"{table}.thresholds", board.thresholds, (*path, "thresholds"))


def _thresholds(
    table: str, thresholds: Mapping[str, ThresholdsSection], path: tuple[str, ...]
) -> Iterator[_Shown]:
    for queue, section in thresholds.items():
        said = {measure: limits for measure, limits in section if limits is not None}
        if queue:
            yield f"{table}.{_toml(queue)}", said, (*path, queue)
        elif said:
            yield table, said, path


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return str(int(value)) if value == int(value) else repr(value)
        case tuple():
            return f"[{', '.join(_toml(each) for each in value)}]"
        case PageRuleSection():
            return f"{{ match = {_toml(value.match)}, page = {_toml(value.page)} }}"
        case Threshold():
            said = (f"{level} = {_toml(limit)}" for level, limit in value if limit is not None)
            return f"{{ {', '.join(said)} }}"
        case OfferSection():
            said = (f"{key} = {_toml(each)}" for key, each in value if each is not None)
            return f"{{ {', '.join(said)} }}"
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
            of_this_machine = {"name"} if section == "worker" else _TABLES
            shown = {key: None if key in of_this_machine else value for key, value in model()}
            rows(section, model, shown, f"{VARIABLE_PREFIX}{section.upper()}_")
    rows("site.hours", HoursSection, {}, None)
    for name, model in COLLECTOR_TABLES.items():
        optional = {key: each.default for key, each in model.model_fields.items() if not each.is_required()}
        rows(f"[collector.{name}]", model, optional, None)
    rows("wallboard.access", AccessSettings, dict(AccessSettings()), None)
    for key, info in OfferSection.model_fields.items():
        lines.append(f"| `[[journeys.offers]] {key}` | | {info.description} | |")
    lines.append(
        "| `[wallboard.thresholds] MEASURE = { warning = .., critical = .. }` | | For every queue. | |"
    )
    lines.append(
        '| `[wallboard.thresholds."QUEUE"] MEASURE` | | For one; replaces both levels of the measure. | |'
    )
    rows("wallboard.thresholds", ThresholdsSection, {}, None)
    *_, last = LookSection.model_fields
    lines.append(f'| `[wallboard.boards."NAME"]` the keys of `[wallboard]` up to `{last}` | its values | | |')
    for key in list(BoardSection.model_fields)[len(LookSection.model_fields) :]:
        lines.append(
            f'| `[wallboard.boards."NAME"] {key}` | | {BoardSection.model_fields[key].description} | |'
        )
    return "\n".join(lines) + "\n"
