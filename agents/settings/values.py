"""Which values may a setting have? The types that sections of `queuelight.toml` are made of.

Refuses to know which settings there are: `agents.settings.file` does.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from schemas.counts import OVERFLOW_ROW
from schemas.events import MAX_NAME
from schemas.partials import INTERVAL_MS, MINUTE_MS
from streams.decode import is_clean

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_KAFKA_NAME = re.compile(r"[A-Za-z0-9._-]*")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        raise ValueError(f"expected a time zone such as Asia/Tokyo or UTC, saw {name!r}") from None
    return name


def _clock(text: str) -> str:
    """A business day begins where an interval does: panes that it would divide count on one day only."""
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise ValueError(f"expected a clock time HH:MM, saw {text!r}")
    if int(clock[2]) * MINUTE_MS % INTERVAL_MS:
        raise ValueError(f"expected minutes 00, 15, 30 or 45, as intervals begin, saw {text!r}")
    return text


def shown_name(name: str) -> str:
    """Refuse what cannot be the name of a site, queue, team or board."""
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


def brokers(text: str) -> str:
    """Refuse what is no list of HOST:PORT."""
    for each in text.split(","):
        host, _, port = each.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"expected HOST:PORT, or several with commas between, saw {text!r}")
    return ",".join(each.strip() for each in text.split(","))


def redis_url(url: SecretStr) -> SecretStr:
    """Refuse what is no address of Redis, without repeating it."""
    try:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme in ("redis", "rediss", "unix") and (parts.hostname or parts.path) and parts.port != 0:
            return url
    except ValueError:
        pass  # the message below says what is expected; the cause may contain the password
    raise ValueError("expected a URL such as redis://HOST:6379/0 (or rediss://, unix://)")


def existing_file(path: Path) -> Path:
    """Refuse a path where there is no file, or none that may be read."""
    if not path.is_file():
        raise ValueError(f"expected a file, there is none at {path}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"expected a file that may be read, {path} may not")
    return path


def existing_folder(path: Path) -> Path:
    """Refuse a path where there is no folder, or none in which files may be made."""
    if not path.is_dir():
        raise ValueError(f"expected a folder, there is none at {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"expected a folder in which files may be made, {path} is none")
    return path


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name that is given twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"expected each once, saw {twice[0]!r} twice")
    return names


def lower(value: object) -> object:
    """Words are the same in small letters."""
    return value.lower() if isinstance(value, str) else value


def upper(value: object) -> object:
    """Words are the same in capitals."""
    return value.upper() if isinstance(value, str) else value


Zone = Annotated[str, AfterValidator(_zone)]
ClockTime = Annotated[str, AfterValidator(_clock)]
ShownName = Annotated[str, AfterValidator(shown_name)]
KafkaName = Annotated[str, AfterValidator(_kafka_name)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=366 * 86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Window = Literal["1m", "5m", "15m", "30m", "1h", "day"]
WINDOW_NAMES: tuple[Window, ...] = get_args(Window)
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]


class Section(BaseModel):
    """A section of the file: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
