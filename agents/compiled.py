"""Are the hot modules of streams/ compiled here, and from the sources that lie beside them?

Refuses to know how they are compiled: `make compile` does it.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

STREAMS = Path(__file__).resolve().parents[1] / "streams"
_SHARED = "compiled__mypyc"
"""What all compiled modules share; it has no source of its own."""


def is_compiled() -> bool:
    """True when this process counts with compiled modules."""
    spec = find_spec("streams.queue_fold")
    return spec is not None and spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES))


def stale(folder: Path = STREAMS) -> list[str]:
    """Names of sources in `folder` that changed or went after they were compiled; Python would not notice.

    They are compiled together: one that is newer than any of the results makes all of them old. Tells nothing of an
    installed wheel, where times are those of the installation.
    """
    built = [path for path in folder.rglob("*") if "".join(path.suffixes) in EXTENSION_SUFFIXES]
    oldest = min((path.stat().st_mtime_ns for path in built), default=0)
    sources = [path.with_name(path.name.partition(".")[0] + ".py") for path in built]
    return sorted(
        source.name
        for source in sources
        if source.stem != _SHARED and (not source.exists() or source.stat().st_mtime_ns > oldest)
    )


def is_checkout() -> bool:
    """True when the sources lie where they are worked on, not where a wheel was installed."""
    return (STREAMS.parent / "setup.py").exists()
