"""What may be written below `[wallboard]`? How boards look, what they show, when they warn, and who may see them.

Refuses to know how a board is made of it (`agents.wallboard.config`) and who gets in (`agents.wallboard.guard`).
"""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from agents.settings.secrets import SecretFile
from agents.settings.values import WINDOW_NAMES, Section, ShownName, Window, shown_name
from streams.decode import is_clean

MAX_TEXT = 100
_PICTURES = (".svg", ".png", ".jpg", ".jpeg", ".webp")
_HEADER = re.compile(r"[A-Za-z0-9-]{0,100}")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _text(text: str) -> str:
    if text and (len(text) > MAX_TEXT or not is_clean(text)):
        raise ValueError(
            f"expected at most {MAX_TEXT} characters without control characters, saw {text!r:.60}"
        )
    return text


def _picture(name: str) -> str:
    if name and Path(name).suffix.lower() not in _PICTURES:
        raise ValueError(f"expected a picture ({', '.join(_PICTURES)}), saw {name!r:.60}")
    if name and not Path(name).is_file():
        raise ValueError(f"expected a file, there is none at {name}")
    return name


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"expected the name of a header such as Remote-User, saw {name!r:.60}")
    return name.lower()


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"expected an address or network such as 10.0.0.0/8, saw {text!r:.60}") from None


def _host_name(name: str) -> str:
    name = name.lower()
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"expected a host name without scheme and port such as wall.local, saw {name!r:.60}")
    return name


_Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Portion = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Threshold(Section):
    """From where on a measure is worth a warning, and from where on it is critical; either may be missing."""

    falling: ClassVar[bool] = False
    """True where less is worse."""

    warning: _Amount | None = None
    critical: _Amount | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Threshold":
        low, high = (self.critical, self.warning) if self.falling else (self.warning, self.critical)
        if self.warning is None and self.critical is None:
            raise ValueError("expected warning, critical or both")
        if low is not None and high is not None and low >= high:
            side = "below" if self.falling else "above"
            raise ValueError(
                f"expected critical {side} warning, saw warning {self.warning:g} and critical {self.critical:g}"
            )
        return self


class ShareThreshold(Threshold):
    """The same of a share (0-1)."""

    warning: _Portion | None = None
    critical: _Portion | None = None


class FallingThreshold(Threshold):
    """The same of a number that ought to be high."""

    falling = True


class FallingShareThreshold(ShareThreshold):
    """The same of a share (0-1) that ought to be high."""

    falling = True


class ThresholdsSection(Section):
    """`[wallboard.thresholds]`: each measure a table {warning, critical}."""

    waiting: Threshold | None = Field(None, description="Contacts waiting now.")
    at_risk: Threshold | None = Field(None, description="Contacts that wait longer than X now.")
    longest_wait_s: Threshold | None = Field(None, description="Seconds the first in line has waited.")
    asa_s: Threshold | None = Field(None, description="Average speed of answer, seconds.")
    aht_s: Threshold | None = Field(None, description="Average handling time, seconds.")
    first_response_s: Threshold | None = Field(None, description="First response time of chats, seconds.")
    abandonment: ShareThreshold | None = Field(None, description="Abandonment rate (0-1).")
    sl: FallingShareThreshold | None = Field(None, description="Service level (0-1); lower is worse.")
    answer_rate: FallingShareThreshold | None = Field(None, description="Answer rate (0-1); lower is worse.")
    abandoned: Threshold | None = Field(None, description="Abandoned contacts in the board's window.")
    silent_abandoned: Threshold | None = Field(None, description="Silent abandons in the board's window.")
    callback: Threshold | None = Field(None, description="Callbacks asked for in the board's window.")
    available: FallingThreshold | None = Field(
        None, description="Agents available now, also outside hours; fewer is worse. Not known: no level."
    )


THRESHOLD_MEASURES = list(ThresholdsSection.model_fields)
_LEVELS = list(Threshold.model_fields)


def _by_queue(raw: object) -> object:
    """{measure: .., queue: {measure: ..}} as {"": {measure: ..}, queue: {measure: ..}}."""
    if not isinstance(raw, dict):
        return raw
    for_all = {key: value for key, value in raw.items() if key in THRESHOLD_MEASURES}
    return {"": for_all, **{key: value for key, value in raw.items() if key not in THRESHOLD_MEASURES}}


def _queue_or_all(name: str) -> str:
    return name and shown_name(name)


Thresholds = Annotated[
    dict[Annotated[str, AfterValidator(_queue_or_all)], ThresholdsSection], BeforeValidator(_by_queue)
]
"""By queue; "" is every queue."""


class LookSection(Section):
    """How a board looks; the same keys in `[wallboard]` and `[wallboard.boards."NAME"]`."""

    title: Annotated[str, AfterValidator(_text)] = Field(
        "", description="Above the tiles; default the site's."
    )
    lang: Literal["", "ja", "en"] = Field("", description="ja or en; empty: the browser's.")
    theme: Literal["auto", "dark", "light"] = Field("dark", description="dark, light or auto.")
    view: Literal["wall", "desk", "phone", "web"] = Field("wall", description="wall, desk, phone or web.")
    window: Window = Field(
        "30m",
        description=f"What service level, ASA and rates are over: {', '.join(WINDOW_NAMES[:-1])} or day.",
    )
    rotate_s: float = Field(15.0, ge=3, le=3600, allow_inf_nan=False,
        description="Seconds a page stays where tiles do not fit on one.")  # fmt: skip
    stale_after_s: float = Field(10.0, ge=5, le=600, allow_inf_nan=False,
        description="Numbers older than this are shown as stale; half of it brings a banner.")  # fmt: skip
    sound: bool = Field(False, description="A tone at a new breach, once somebody has switched it on.")
    logo: Annotated[str, AfterValidator(_picture)] = Field(
        "", description=f"File of a picture ({', '.join(_PICTURES)})."
    )
    per_page: int = Field(0, ge=0, le=200, description="Tiles on a page; 0: as many as can be read.")


class BoardSection(LookSection):
    """`[wallboard.boards."NAME"]`: what is not said is inherited from `[wallboard]`."""

    queues: tuple[ShownName, ...] = Field((), description="The queues it shows; empty: all.")
    thresholds: Thresholds = Field(default_factory=dict, description="As `[wallboard.thresholds]`.")


class AccessSettings(Section):
    """`[wallboard.access]`."""

    require_token: bool | None = Field(
        None,
        description="Only with a board token or a sign-in. "
        "Default: except on a loopback address without forward_auth_header. "
        "Set it behind a proxy that sends neither X-Forwarded-For nor Forwarded.",
    )
    forward_auth_header: Annotated[str, AfterValidator(_header)] = Field(
        "", description="Header in which a reverse proxy says who signed in, such as Remote-User."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (),
        description="Addresses and networks whose X-Forwarded-* and sign-in headers are believed; "
        "without them all behind a proxy share one client address.",
    )
    host_names: tuple[Annotated[str, AfterValidator(_host_name)], ...] = Field(
        (), description="Host names browsers may use besides localhost; empty: any, if not on loopback."
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="Secret with which workers make the pseudonyms of contacts. Default: random at every start.",
    )
    pseudonym_key_file: SecretFile = Field(None, description="File with nothing but that secret.")
    requests_per_minute: int = Field(
        600, ge=1, le=1_000_000, description="Of one client address, without the page and its files."
    )
    journeys_per_minute: int = Field(
        1200, ge=1, le=1_000_000, description="Questions for journeys with one token."
    )
    streams_per_address: int = Field(50, ge=1, le=100_000, description="Open streams of one client address.")
    streams: int = Field(5000, ge=1, le=100_000, description="Open streams in all.")

    @model_validator(mode="after")
    def _believes_somebody(self) -> "AccessSettings":
        if self.forward_auth_header and not self.trusted_proxies:
            raise ValueError("forward_auth_header needs trusted_proxies as well: else anybody could send it")
        return self


class WallboardSettings(LookSection):
    """`[wallboard]`."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that serves the boards.")
    port: int = Field(8080, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    boards: dict[ShownName, BoardSection] = Field(default_factory=dict, description="Boards by name.")
    thresholds: Thresholds = Field(default_factory=dict, description="Of all boards, see below.")
    access: AccessSettings = Field(AccessSettings(), description="Who may see boards, see below.")


Table = tuple[str, object, list[str] | None]
"""A table as written: its name, its content, the keys it may have (None: names of people's choice)."""


def wallboard_tables(wallboard: dict[str, object]) -> Iterator[Table]:
    """Every table below `[wallboard]`, a table before those in it."""
    if "access" in wallboard:
        yield "wallboard.access", wallboard["access"], list(AccessSettings.model_fields)
    if "thresholds" in wallboard:
        yield from _thresholds("wallboard.thresholds", wallboard["thresholds"])
    if "boards" in wallboard:
        boards = wallboard["boards"]
        yield "wallboard.boards", boards, None
        assert isinstance(boards, dict)
        for board, table in boards.items():
            name = f'wallboard.boards."{board}"'
            yield name, table, list(BoardSection.model_fields)
            if "thresholds" in table:
                yield from _thresholds(f"{name}.thresholds", table["thresholds"])


def _thresholds(name: str, table: object) -> Iterator[Table]:
    yield name, table, None
    assert isinstance(table, dict)
    for key, value in table.items():
        if key in THRESHOLD_MEASURES:
            yield f"{name}.{key}", value, _LEVELS
        elif isinstance(value, dict) and not value.keys().isdisjoint(_LEVELS):
            yield name, {key: value}, THRESHOLD_MEASURES  # no queue but a measure that does not exist
        else:
            yield f'{name}."{key}"', value, THRESHOLD_MEASURES
            assert isinstance(value, dict)
            for measure, levels in value.items():
                yield f'{name}."{key}".{measure}', levels, _LEVELS
