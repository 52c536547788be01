"""How is something fetched or built once, and kept below `.cache/`?

Refuses to know what it is and where it comes from.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"


def fetched(folder: Path, wanted: str, fetch: Callable[[Path], None]) -> Path:
    """The folder, filled by `fetch` at the first call, and anew when something else is wanted.

    An interrupted fetch leaves no marker and is repeated; two processes that ask at once fetch once.

    Args:
        folder: where to keep it.
        wanted: what it is made from, so that a change of it is seen: a version, a checksum.
        fetch: fills the folder, which is empty.
    """
    marker = folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fetch(folder)
            marker.write_text(wanted)
    return folder
