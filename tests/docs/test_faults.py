"""docs/faults.md: a row for each fault that a test brings about, and a test for each row."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.faults
from tests.faults.table import Measured, differences, rows


def faults_of_tests() -> Iterator[str]:
    """Values of the parameter `fault` of every test of the suite."""
    for path in sorted(Path(tests.faults.__path__[0]).glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                yield from faults_of(test)


def faults_of(test: object) -> list[str]:
    """Those that a test is run with."""
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    values = [mark.args[1] for mark in marks if mark.name == "parametrize" and mark.args[0] == "fault"]
    assert len(values) == 1, f"{test} names no fault, so nobody knows which row it measures"
    return list(values[0])


def test_every_row_is_measured_and_every_fault_has_a_row() -> None:
    tested = list(faults_of_tests())

    assert len(tested) == len(set(tested)), "two tests measure the same row"
    assert set(rows()) == set(tested)


@pytest.mark.parametrize(
    ("cell", "worse"),
    [
        ("predictions", frozenset({"200", "500"})),
        ("feedback", frozenset({"200", "500"})),
        ("health", frozenset({"supervisor"})),
        ("health", frozenset({"supervisor", "worker", "mlflow"})),
        ("lost", 1),
        ("doubled", 1),
        ("seconds", 1e9),
    ],
)
def test_a_cell_that_is_worse_than_the_page_says_is_told(cell: str, worse: object) -> None:
    row = rows()["kill -9 of the worker that runs flows"]
    cells = {name: getattr(row, name) for name in Measured.__dataclass_fields__}

    assert differences(Measured(**cells), row) == []
    assert len(differences(Measured(**cells | {cell: worse}), row)) == 1
