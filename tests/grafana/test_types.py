"""Do the dashboards have the types that Grafana 13 gives them? Its own, by the TypeScript compiler.

JSON holds the values of Grafana's enumerations, not their names: `Plain` says so to the compiler. Two things its types
do not know are left out first: what the SDK writes for intervals into every variable, and the query and the
texts of an annotation, which are the data source's matter.
"""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grafana.asked import Json, boards, panels
from tests.system.fetched import CACHE, fetched
from tests.system.server_process import ServerError

HERE = Path(__file__).parent / "types"
TYPES = CACHE / "grafana-types"
KINDS = {
    "timeseries": "TimeSeries", "stat": "Stat", "table": "Table", "heatmap": "Heatmap", "bargauge": "BarGauge",
    "state-timeline": "StateTimeline",
}  # fmt: skip
"""Type of panel -> the name of its types."""
WITHOUT_FIELDS = {"stat", "bargauge"}
"""Their fields have nothing of their own."""
PLAIN = """\
type Plain<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""


@pytest.fixture(scope="module")
def compiler() -> Path:
    """The folder in which `tsc` and Grafana's types are: fetched once, as the lock file says."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs Node.js and npm: the types are TypeScript")
    try:
        return fetched(TYPES, (HERE / "package-lock.json").read_text(encoding="utf-8"), _install)
    except ServerError as error:
        pytest.skip(str(error))


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    if done.returncode:
        raise ServerError(f"npm could not fetch Grafana's types: {done.stderr.strip()[-300:]}")


def complaints(compiler: Path, dashboards: dict[str, Json], folder: Path) -> str:
    """What the compiler says of these dashboards; empty: nothing."""
    # Beside the packages, so that they are found.
    file = compiler / f"{folder.name}.ts"
    file.write_text("\n".join(_typed(dashboards)), encoding="utf-8")
    try:
        done = subprocess.run(
            [
                "node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck",
                "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", file.name,
            ],
            cwd=compiler, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        file.unlink()
    return done.stdout + done.stderr


def _typed(dashboards: dict[str, Json]) -> Iterator[str]:
    yield "import type { Dashboard } from '@grafana/schema';"
    for name in KINDS.values():
        module = f"@grafana/schema/dist/esm/raw/composable/{name.lower()}/panelcfg/x/{name}PanelCfg_types.gen"
        yield f"import type * as {name} from '{module}';"
    yield PLAIN
    for number, board in enumerate(map(_known, dashboards.values())):
        yield f"export const board{number}: Plain<Dashboard> = {json.dumps(board, indent=1)};"
        for panel in panels(board):
            name, place = KINDS[panel["type"]], f"{number}_{panel['id']}"
            yield f"export const o{place}: Plain<Partial<{name}.Options>> = {json.dumps(panel['options'])};"
            if panel["type"] not in WITHOUT_FIELDS:
                fields = json.dumps(panel["fieldConfig"]["defaults"]["custom"])
                yield f"export const f{place}: Plain<Partial<{name}.FieldConfig>> = {fields};"


def _known(board: Json) -> Json:
    board = copy.deepcopy(board)
    for variable in board["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min"):
            del variable[key]
    for annotation in board["annotations"]["list"]:
        for key in ("target", "textFormat", "titleFormat"):
            del annotation[key]
    return board


def test_every_dashboard_and_every_panels_options_have_grafanas_types(compiler: Path, tmp_path: Path) -> None:
    assert {panel["type"] for board in boards().values() for panel in panels(board)} == set(KINDS)
    assert complaints(compiler, boards(), tmp_path) == ""


def test_the_compiler_would_tell_of_an_option_that_does_not_exist(compiler: Path, tmp_path: Path) -> None:
    floor = copy.deepcopy(boards()["queuelight-floor"])
    figure = next(panel for panel in panels(floor) if panel["type"] == "stat")
    figure["options"]["colorMode"] = "loud"
    floor["refreshs"] = "5s"
    said = complaints(compiler, {"floor": floor}, tmp_path)
    assert '"loud"' in said
    assert "refreshs" in said
