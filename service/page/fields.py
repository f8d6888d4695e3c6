"""What GET /v1/{use_case}/schema shows: the fields and labels of a use case, from which forms are drawn."""

from __future__ import annotations

from typing import Any

import orjson

from configs.schema import FieldConfig, UseCase
from features.records.example import example_record
from models.versions.predictor import Predictor
from service.answers.slot import Slot


def describe_fields(use_case: UseCase, slot: Slot) -> bytes:
    """The fields of a record, an example, and the classes, as JSON.

    Classes are those of the configuration, else those that the version served has learned.
    """
    predictor = None if slot.current is None else slot.current.predictor
    target = use_case.target
    return orjson.dumps(
        {
            "use_case": use_case.name,
            "title": use_case.title,
            "kind": use_case.kind,
            "task": target.task,
            "classes": list(target.classes or (() if predictor is None else predictor.classes)),
            "open_classes": not target.classes,
            "separator": target.separator if target.task == "multilabel" else None,
            "metric": use_case.gate.metric,
            "fields": [_describe_field(field, predictor) for field in use_case.record.fields],
            "example": example_record(use_case.record),
            "taxonomy": use_case.taxonomy is not None,
            "chain": None if use_case.chain is None else [link.name for link in use_case.chain.links],
            "max_records": use_case.serving.max_records,
        }
    )


def _describe_field(config: FieldConfig, predictor: Predictor | None) -> dict[str, Any]:
    return {
        "name": config.name,
        "title": field_title(config),
        "type": config.type,
        "nullable": config.nullable,
        "minimum": config.minimum,
        "maximum": config.maximum,
        "categories": list(config.categories),
        "known": _learned_values(config, predictor),
        "max_length": config.max_length if config.type in ("category", "text") else None,
        "shape": None if config.shape is None else list(config.shape),
        "range": list(config.range) if config.type == "image" else None,
        "resize": config.resize,
    }


def field_title(config: FieldConfig) -> str:
    """What a form calls a field: its name, or the column's where only that has letters beyond ASCII.

    Names of fields have none, so that of a column `Stück` is `Stuck`, which is another word.
    """
    name = config.name if config.source_column.isascii() else config.source_column
    return name.replace("_", " ").strip() or config.name


def _learned_values(config: FieldConfig, predictor: Predictor | None) -> list[str]:
    """Values that the version served has learned, of a category that allows any value."""
    if config.type != "category" or config.categories or predictor is None:
        return []
    prefix = f"{config.name}="
    return [name.removeprefix(prefix) for name in predictor.feature_names if name.startswith(prefix)]
