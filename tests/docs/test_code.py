"""docs/code.md names what is there, and counts the ways as they are."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, read
from tests.docs.ways import defined_in, steps_of

RECORD, LABEL = "The way of a record", "The way of a label"
CHANGES = 14


@pytest.mark.parametrize("title", [RECORD, LABEL])
def test_each_step_names_a_file_and_functions_that_are_there(title: str) -> None:
    for step in steps_of(title):
        assert set(step.functions) - defined_in(step.file) == set(), step.file


@pytest.mark.parametrize("title", [RECORD, LABEL])
def test_the_count_of_a_way_is_that_of_its_steps(title: str) -> None:
    steps = steps_of(title)
    files, functions = {step.file for step in steps}, [name for step in steps for name in step.functions]
    section = read("docs/code.md").split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    assert f"{len(files)} files, {len(functions)} functions" in section
    assert len(functions) == len({(step.file, name) for step in steps for name in step.functions})


def test_every_path_that_the_page_names_is_there() -> None:
    page = read("docs/code.md")
    paths = set(re.findall(r"`((?:[\w.]+/)+[\w.]*)`", page))
    assert len(paths) > 40
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_the_page_leads_to_every_change_by_one_file() -> None:
    rows = read("docs/code.md").split("## To change\n", 1)[1].split("\n## ", 1)[0].splitlines()
    first = [
        re.match(r"\| [^|]+ \| `([\w/.]+)`", row) for row in rows if row.startswith("| ") and "---" not in row
    ][1:]
    assert None not in first
    assert len(first) >= CHANGES


def test_every_room_is_in_the_drawing() -> None:
    drawing = read("docs/code.md").split("```", 2)[1]
    rooms = {
        init.parent.relative_to(ROOT)
        for top in ("configs", "features", "store", "models", "flows", "service")
        for init in (ROOT / top).glob("*/__init__.py")
    }
    assert [str(room) for room in sorted(rooms) if not re.search(rf"\b{room.name}\b", drawing)] == []
