"""The ways that docs/code.md lists: numbered steps, each a file and the functions that it takes there."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from tests.docs.pages import ROOT, read

_STEP = re.compile(r"^\d+\. `([\w/]+\.(?:py|js))`: (.+?) — ")


@dataclass(frozen=True)
class Step:
    """One line of a way."""

    file: str
    functions: tuple[str, ...]


def steps_of(title: str) -> list[Step]:
    """The steps below a heading of docs/code.md."""
    section = read("docs/code.md").split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    matches = [_STEP.match(line) for line in section.splitlines() if re.match(r"\d+\. ", line)]
    assert None not in matches, "a step that names no file and function"
    return [
        Step(match[1], tuple(re.findall(r"`([\w.]+)`", match[2]))) for match in matches if match is not None
    ]


def defined_in(file: str) -> set[str]:
    """Functions and classes of a file; methods as `Class.method`, functions in others as `outer.inner`."""
    names: set[str] = set()

    def visit(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
                visit(node.body, f"{prefix}{node.name}.")

    visit(ast.parse((ROOT / file).read_text(encoding="utf-8")).body, "")
    return names
