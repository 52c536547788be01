"""Is the house in order: are our packages ours, and does each import only what it may?"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "streams", "agents", "dashboards")
PURE = {
    "__future__", "abc", "array", "bisect", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "decimal", "enum", "fnmatch", "fractions", "functools", "hashlib", "heapq", "html", "inspect", "io", "itertools", "json",
    "math", "operator", "random", "re", "statistics", "string", "struct", "types", "typing", "unicodedata",
    "xml", "zlib", "zoneinfo",
}  # fmt: skip
"""Modules of the standard library without clock, I/O and concurrency (`random`: seeded instances only)."""
MAY_IMPORT = {
    "schemas": {"schemas", "msgspec", "orjson"},
    # mypy_extensions: seen only by the type checker and the compiler (`streams/compiling.py`).
    "streams": {"streams", "schemas", "msgspec", "orjson", "mypy_extensions"},
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add((node.module or "").partition(".")[0])
    return names


def test_from_another_folder_each_package_is_ours_and_not_one_of_a_dependency(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.append({str(ROOT)!r})
import json, {", ".join(PACKAGES)}
print(json.dumps({{m.__name__: m.__file__ for m in ({", ".join(PACKAGES)},)}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == {name: str(ROOT / name / "__init__.py") for name in PACKAGES}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_what_events_are_and_mean_needs_no_clock_no_files_and_no_network(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        refused = imported(path) - PURE - MAY_IMPORT[package]
        assert not refused, f"{path.relative_to(ROOT)} imports {sorted(refused)}"


def test_compiled_modules_leave_structs_to_others() -> None:
    setup = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (hot,) = (
        ast.literal_eval(node.value)
        for node in setup.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HOT"
    )
    assert hot
    for name in hot:
        module = ast.parse((ROOT / "streams" / f"{name}.py").read_text(encoding="utf-8"))
        bases = {
            ast.unparse(base)
            for node in ast.walk(module)
            if isinstance(node, ast.ClassDef)
            for base in node.bases
        }
        assert not bases & {"Struct", "msgspec.Struct"}, f"streams/{name}.py: mypyc cannot compile a Struct"


def test_no_module_hides_behind_the_name_of_a_library_it_uses() -> None:
    libraries = {
        "faust",
        "mode",
        "redis",
        "kafka",
        "aiokafka",
        "prometheus_client",
        "rich",
        "typer",
        "msgspec",
        "orjson",
    }
    for package in PACKAGES:
        assert not {path.stem for path in (ROOT / package).rglob("*.py")} & libraries


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_every_package_by_hash_and_name_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    pins = [line for line in text.splitlines() if line and line[0].isalnum()]
    assert len(pins) > 30
    assert all("==" in line and line.endswith("\\") for line in pins)


def test_what_runs_is_what_the_development_lock_pins_too() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        named = (line.rstrip(" \\").partition("==")[::2] for line in lines if line and line[0].isalnum())
        return dict(named)

    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime
