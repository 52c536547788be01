"""What does a board look like, and which queues does it show? One frozen object per board, made of the settings.

Refuses to know the numbers, and who may see a board.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agents.settings import Settings, load
from agents.settings.wallboard import BoardSection, LookSection, ThresholdsSection, WallboardSettings
from agents.wallboard.frames import Scope
from schemas.errors import SettingsError
from streams.site import Site

log = logging.getLogger(__name__)

DEFAULT_BOARD = "default"
"""There is always a board of this name."""

Limits = Mapping[str, Mapping[str, tuple[float | None, float | None]]]
"""Queue ("": every queue) -> measure -> (warning, critical)."""


class BoardConfig(BaseModel):
    """One board."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = DEFAULT_BOARD
    title: str = ""
    lang: Literal["", "ja", "en"] = ""
    theme: Literal["auto", "dark", "light"] = "dark"
    view: Literal["wall", "desk", "phone", "web"] = "wall"
    window: Literal["1m", "5m", "15m", "30m", "1h", "day"] = "30m"
    queues: tuple[str, ...] = ()
    rotate_s: float = 15.0
    stale_after_s: float = 10.0
    sound: bool = False
    logo: str = ""
    logo_version: str = ""
    """Another one for every content of the picture: part of its address, so that open screens fetch it anew."""
    per_page: int = 0
    thresholds: Limits = {}
    zone: str = "UTC"
    day_starts_at: str = "00:00"
    """Where and when (HH:MM) the site's business day begins."""

    def scope(self) -> Scope:
        """What its tiles are made with."""
        return Scope(self.window, frozenset(self.queues), self.thresholds)

    def shows(self, queue: str) -> bool:
        """True when the queue is on this board."""
        return not self.queues or queue in self.queues

    def shown(self) -> dict[str, object]:
        """What the page gets to know of it: no folder of this machine, and no thresholds (tiles say the levels)."""
        return self.model_dump(exclude={"thresholds"}) | {"logo": Path(self.logo).name}

    @property
    def logo_file(self) -> Path | None:
        """The picture to serve."""
        return Path(self.logo) if self.logo else None


def boards_of(settings: Settings) -> dict[str, BoardConfig]:
    """The boards by name; `default` is always among them."""
    wallboard = settings.wallboard
    sections = {DEFAULT_BOARD: BoardSection()} | wallboard.boards
    return {name: _board(name, section, wallboard, settings.site) for name, section in sections.items()}


def _board(name: str, board: BoardSection, common: WallboardSettings, site: Site) -> BoardConfig:
    look = {key: getattr(common, key) for key in LookSection.model_fields}
    said = {key: getattr(board, key) for key in BoardSection.model_fields if key in board.model_fields_set}
    limits = {
        queue: _limits(common.thresholds.get(queue)) | _limits(board.thresholds.get(queue))
        for queue in common.thresholds | board.thresholds
    }
    day = {"zone": site.zone, "day_starts_at": site.day_starts_at}
    made = {**look, **said, **day, "name": name, "thresholds": limits}
    return BoardConfig(**made, logo_version=_version(Path(made["logo"])) if made["logo"] else "")


def _version(file: Path) -> str:
    """When a file was written, and how long it is; "": there is none."""
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def _limits(section: ThresholdsSection | None) -> dict[str, tuple[float | None, float | None]]:
    return {measure: (each.warning, each.critical) for measure, each in section or () if each is not None}


class Reloader:
    """Watches the settings file and the logos it names; boards change without a restart (access settings do not).

    Args:
        path: the file; None: there is nothing to watch.
        boards: as they were made of it.
        tell: gets the boards of every new content that is without mistakes.
    """

    def __init__(
        self,
        path: Path | None,
        boards: Mapping[str, BoardConfig],
        tell: Callable[[dict[str, BoardConfig]], object],
    ) -> None:
        self._path = path
        self._tell = tell
        self._logos = _logos(boards)
        self._seen = self._last = self._stamps()

    def check(self) -> None:
        """Look once. Of a mistake the log says where it is, once, and the boards stay as they are.

        A change is read when the file is the same at two looks: half a file may be valid, and have half of the boards.
        """
        if self._path is None:
            return
        stamps = self._stamps()
        is_settled, self._last = stamps == self._last, stamps
        if stamps == self._seen or not is_settled:
            return
        self._seen = stamps
        try:
            boards = boards_of(load(self._path))
        except SettingsError as error:
            log.error("%s; the boards stay as they are", error)
            return
        log.info("%s was read again", self._path)
        self._logos = _logos(boards)
        self._seen = {self._path: stamps[self._path], **self._logos}
        self._tell(boards)

    def _stamps(self) -> dict[Path, str]:
        return {file: _version(file) for file in (self._path, *self._logos) if file is not None}


def _logos(boards: Mapping[str, BoardConfig]) -> dict[Path, str]:
    """The versions of the pictures that boards show."""
    return {board.logo_file: board.logo_version for board in boards.values() if board.logo_file is not None}
