"""Records declared by types, as FastAPI and BentoML have them checked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, create_model

from benchmarks.hot_path.records import use_case_of

TYPES: dict[str, Any] = {
    "number": float, "integer": int, "boolean": bool, "text": str, "image": list[list[int]],
}  # fmt: skip


class Answer(BaseModel):
    """What is said of one record."""

    label: str
    scores: dict[str, float]


class Answers(BaseModel):
    """What is said of a request."""

    predictions: list[Answer]


def record_type(kind: str) -> type[BaseModel]:
    """A record, each field with its type."""
    fields: dict[str, Any] = {
        field.name: (Literal[field.categories] if field.categories else TYPES[field.type], ...)
        for field in use_case_of(kind).record.fields
    }
    return create_model("Record", **fields)


def body_type(kind: str) -> type[BaseModel]:
    """A request: some records."""
    return create_model("Body", records=(list[record_type(kind)], ...))  # type: ignore[misc, arg-type]
