"""The house rules: which room may import which, and what must not be in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

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


def text_of(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
