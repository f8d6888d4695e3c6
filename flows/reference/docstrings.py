"""What each key is for: the docstring below a field of a model, read from its source when somebody asks.

pydantic reads these itself where a model says so, but for each class that is defined: half of the time that
it takes to import the schema, which each command would spend on what only the reference and the JSON schema
tell.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


def key_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """By name of the field; those of a base count where the model has none of its own."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            found |= _docstrings_in(one.__module__).get(one.__qualname__, {})
    return found


class DocumentedSchema(GenerateJsonSchema):
    """A JSON schema (`schema_generator=`) whose properties are described by their docstrings."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """That of one model, its properties described."""
        written = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        told = key_docstrings(model)
        properties: dict[str, Any] = written.get("properties", {})
        for name, field in model.model_fields.items():
            if name in told and (written_field := properties.get(field.alias or name)) is not None:
                written_field.setdefault("description", told[name])
        return written


@cache
def _docstrings_in(module: str) -> dict[str, dict[str, str]]:
    """Those of each class of a module, by its qualified name."""
    source = inspect.getsource(sys.modules[module])
    return {name: dict(_below_fields(one)) for name, one in _classes(ast.parse(source))}


def _classes(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield outer + node.name, node
            yield from _classes(node, f"{outer}{node.name}.")


def _below_fields(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(model.body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)
