"""The house rules: which room may import which, and what must not be in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from configs.pretrained import text_models
from flows.compute import errors
from store.objects import s3_access

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("configs", "features", "store", "models", "flows", "service")
MAY_IMPORT = {
    "configs": {"configs"},
    "features": {"configs", "features"},
    "store": {"configs", "features", "store"},
    "models": {"configs", "features", "store", "models"},
    "flows": {"configs", "features", "store", "models", "flows"},
    "service": {"configs", "features", "store", "models", "service"},
}
EDGES_ONLY = {"prefect": "flows", "bentoml": "service", "typer": "flows"}
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported_packages(path: Path) -> set[str]:
    """First part of every module name that `path` imports, at any depth of the code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    packages = imported_packages(path)
    assert (packages & set(ROOMS)) <= MAY_IMPORT[room]
    assert {name for name, home in EDGES_ONLY.items() if name in packages and home != room} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_without_a_name_of_its_own(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager"}


FOLDERS = sorted({path.parent for path in MODULES if path.stem[0].isalpha() or path.stem == "__init__"})
MOST_FILES = 14
"""Python files of a folder that an eye takes in at once."""


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for top in (*ROOMS, "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")}),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_folder_can_be_taken_in_at_once(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_room_says_in_a_sentence_what_is_inside(folder: Path) -> None:
    sentence = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert sentence is not None
    assert sentence.split("\n")[0].endswith(".")


NAMES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
}


def room_of(module: str) -> str:
    """The folder of a module; itself where it is a package, or stands beside packages."""
    path = ROOT.joinpath(*module.split("."))
    beside_rooms = any(
        (folder / "__init__.py").exists() for folder in path.parent.iterdir() if folder.is_dir()
    )
    return module if path.is_dir() or beside_rooms else module.rpartition(".")[0]


def imports(group: Callable[[str], str]) -> dict[str, set[str]]:
    """Group of modules to the groups that they import from, at any depth of the code."""
    graph: dict[str, set[str]] = {}
    for module, path in NAMES.items():
        needed = graph.setdefault(group(module), set())
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                needed |= {group(alias.name) for alias in statement.names if alias.name in NAMES}
            if isinstance(statement, ast.ImportFrom):
                assert statement.level == 0, f"{path}: line {statement.lineno} names no whole module"
                for alias in statement.names:
                    whole = f"{statement.module}.{alias.name}"
                    needed |= {group(name) for name in (whole, statement.module) if name in NAMES}
    return {name: needed - {name} for name, needed in graph.items()}


@pytest.mark.parametrize("group", [str, room_of], ids=["module", "room"])
def test_none_needs_one_that_needs_it(group: Callable[[str], str]) -> None:
    graph = imports(group)
    assert len(graph) > 40
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_no_flow_or_service_names_a_use_case() -> None:
    names = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    assert names
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        for name in names
        if re.search(rf"([\"'/]|ratchet \w+ ){name}\b(?!\.)", path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_package_registry_is_named() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    hosts = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian")
    assert [name for name in tracked if name != "tests/test_house.py" and hosts.search(text_of(name))] == []


def test_nobody_is_told_to_install_a_stranger_of_this_name() -> None:
    """Ratchet is on no registry: by its name alone an installer brings what somebody else called so."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    by_name = re.compile(r"install[^\n`]*[\s'\"]ratchet(\[|['\"`\s]*$)", re.MULTILINE)
    assert by_name.search("pip install 'ratchet[" + "s3]'")
    assert [name for name in tracked if name != "tests/test_house.py" and by_name.search(text_of(name))] == []


def test_what_installs_a_missing_package_is_what_the_extra_asks_for() -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    told = {"s3": s3_access.INSTALL, "dask": errors.INSTALL, "texts": text_models.EXTRA}
    assert told == {name: f"pip install '{extras[name][0]}'" for name in told}
    assert [len(extras[name]) for name in told] == [1, 1, 1]


def text_of(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def test_no_merge_is_left_half_done() -> None:
    marks = ["-e", "^" + 7 * "<" + " ", "-e", "^" + 7 * ">" + " "]
    found = subprocess.run(
        ["git", "grep", "-n", "-E", *marks], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (1, "")
