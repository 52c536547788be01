"""Does somebody notice when what runs is not what is written?"""

import os
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path

import pytest

from agents.compiled import is_compiled, stale
from streams import queue_fold

SUFFIX = EXTENSION_SUFFIXES[0]


def written(folder: Path, name: str, second: int) -> None:
    path = folder / name
    path.touch()
    os.utime(path, (second, second))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two modules, compiled a while after they were written, and one that is not compiled."""
    for name in ("contact", "shard"):
        written(tmp_path, f"{name}.py", 1000)
        written(tmp_path, f"{name}{SUFFIX}", 2000)
    written(tmp_path, f"compiled__mypyc{SUFFIX}", 2000)
    written(tmp_path, "site.py", 3000)
    return tmp_path


def test_what_was_compiled_after_it_was_written_is_not_stale(folder: Path) -> None:
    assert stale(folder) == []


def test_a_source_that_changed_after_it_was_compiled_is_named(folder: Path) -> None:
    written(folder, "shard.py", 2001)
    assert stale(folder) == ["shard.py"]


def test_a_source_that_is_newer_than_what_all_share_is_named(folder: Path) -> None:
    written(folder, f"compiled__mypyc{SUFFIX}", 500)
    assert stale(folder) == ["contact.py", "shard.py"]


def test_a_source_that_is_gone_is_named_when_it_was_compiled(folder: Path) -> None:
    (folder / "contact.py").unlink()
    assert stale(folder) == ["contact.py"]


def test_what_another_python_compiled_does_not_matter(folder: Path) -> None:
    written(folder, "site.cpython-30-elsewhere.so", 1)
    assert stale(folder) == []


def test_where_nothing_is_compiled_nothing_is_stale(tmp_path: Path) -> None:
    written(tmp_path, "shard.py", 1000)
    assert stale(tmp_path) == []


def test_what_is_said_of_the_modules_is_how_they_were_loaded() -> None:
    spec = queue_fold.__spec__
    assert spec is not None
    assert is_compiled() == isinstance(spec.loader, ExtensionFileLoader)
