"""Each dependency has its reason, and each import its dependency."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from typing import Any

import pytest

from tests.docs.pages import ROOT, read

ROOMS = ("configs", "features", "store", "models", "flows", "service")
PARTS = {"keras": "tensorflow", "annotated_types": "pydantic", "circus": "bentoml"}
"""Packages that come with one that is declared, as a part of it."""
NAMED = ("texts", "dask", "lightgbm", "xgboost")
"""Extras that are imported only where a configuration names a class of theirs."""


def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;~ ]", line)[0] for line in requirements}


@pytest.mark.parametrize(
    "group", ["dependencies", "demo", "replay", "texts", "dask", "lightgbm", "xgboost", "dev", "serve"]
)
def test_each_dependency_has_its_reason(group: str) -> None:
    declared = project()
    groups = {
        "dependencies": declared["project"]["dependencies"],
        "serve": declared["dependency-groups"]["serve"],
        **declared["project"]["optional-dependencies"],
    }
    page = read("docs/dependencies.md")
    assert sorted(name for name in names(groups[group]) if f"`{name}`" not in page) == []


def test_the_page_lists_nothing_that_is_not_a_dependency() -> None:
    declared = project()["project"]
    extras = declared["optional-dependencies"]
    known = names([*declared["dependencies"], *(name for extra in extras.values() for name in extra)])
    listed = {
        name
        for line in read("docs/dependencies.md").splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }
    assert listed == known


def test_each_import_is_declared() -> None:
    extras = project()["project"]["optional-dependencies"]
    needed = [*project()["project"]["dependencies"], *(line for name in NAMED for line in extras[name])]
    declared = {name.lower().replace("-", "_") for name in names(needed)}
    distributions = metadata.packages_distributions()
    missing = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                modules = [node.module]
            for top in {module.split(".")[0] for module in modules} - {*ROOMS, *sys.stdlib_module_names}:
                found = {name.lower().replace("-", "_") for name in distributions.get(top, [top])}
                if not (found | {PARTS.get(top, "")}) & declared:
                    missing.add(f"{path.relative_to(ROOT)}: {top}")
    assert sorted(missing) == []


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    lock = read("requirements.lock")
    declared = project()["project"]
    extras = declared["optional-dependencies"]
    named = (line for extra in NAMED for line in extras[extra])
    for name in names([*declared["dependencies"], *extras["demo"], *named, *extras["dev"]]):
        assert re.search(
            rf"^{re.escape(name)}(\[\w+\])?==\S+.*\\\n    --hash=sha256:", lock, flags=re.MULTILINE
        ), name
    assert "http://" not in lock and "https://" not in lock
