"""A use case that knows texts by their words and, by a transformer of chance, by their meaning."""

from __future__ import annotations

from pathlib import Path

from configs.schema import MeaningFeatures, UseCase
from tests.features.meaning.tiny import write_tiny_model

BY_MEANING = UseCase.model_validate(
    {
        "name": "by_meaning",
        "title": "Texts by their words and, by a transformer of chance, by their meaning",
        "kind": "text",
        "record": {"fields": [{"name": "text", "type": "text", "nullable": True, "max_length": 5000}]},
        "target": {"task": "multiclass", "classes": ["one", "two", "three"]},
        "features": {"text": {"min_rows": 1}},
        "model": {"estimator": "linear_text"},
    }
)


def with_tiny_model(use_case: UseCase, folder: Path) -> UseCase:
    """The use case, where it is this one, with a transformer that is there."""
    if use_case.name != BY_MEANING.name:
        return use_case
    meaning = MeaningFeatures(model=str(write_tiny_model(folder)), window=16, overlap=4)
    text = use_case.features.text.model_copy(update={"meaning": meaning})
    return use_case.model_copy(update={"features": use_case.features.model_copy(update={"text": text})})
