"""Records of any use case, made from its configuration, with a pattern that a model can learn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from configs.schema import FieldConfig, UseCase
from features.records.contract import Columns, RecordContract
from features.records.labels import join_labels

Record = dict[str, Any]
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
MISSING = 0.1
NOISE = 0.15

TINY_PARAMS: dict[str, dict[str, Any]] = {
    "keras_cnn": {
        "filters": [4],
        "kernel": 3,
        "dense": 16,
        "dropout": 0.1,
        "epochs": 6,
        "batch_size": 16,
        "learning_rate": 0.01,
        "update_batch_size": 8,
        "update_epochs": 1,
    },
    "keras_resnet": {
        "filters": [4, 8],
        "epochs": 8,
        "batch_size": 16,
        "learning_rate": 0.02,
        "update_batch_size": 8,
        "update_epochs": 1,
    },
    "catboost": {"iterations": 15, "depth": 3, "learning_rate": 0.3, "update_iterations": 3},
    "logistic": {},
    "logistic_batches": {},
    "xgboost": {"trees": 15, "depth": 3, "learning_rate": 0.3, "subsample": 0.8},
    "linear_text": {"epochs": 5, "update_epochs": 1},
    "catboost_mixed": {
        "iterations": 15,
        "depth": 3,
        "learning_rate": 0.3,
        "folds": 2,
        "text_epochs": 5,
        "update_epochs": 1,
    },
    "keras_mixed": {
        "embedding": 16,
        "dense": 8,
        "dropout": 0.1,
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.003,
        "update_batch_size": 8,
        "update_epochs": 1,
    },
    "sklearn": {"class": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 12},
}
"""Estimator to parameters with which it learns in a second; others stay as configured."""


def tiny(use_case: UseCase) -> UseCase:
    """The use case with a model that learns in a second."""
    if use_case.model.estimator not in TINY_PARAMS or use_case.model.estimator == "sklearn":  # has its own
        return use_case
    params = {**use_case.model.params, **TINY_PARAMS[use_case.model.estimator]}
    return use_case.model_copy(update={"model": use_case.model.model_copy(update={"params": params})})


def class_names(use_case: UseCase) -> tuple[str, ...]:
    """Those configured, or some."""
    return use_case.target.classes or (("no", "yes") if use_case.target.task == "binary" else ("a", "b", "c"))


def make_records(use_case: UseCase, rows: int, seed: int) -> tuple[list[Record], list[str]]:
    """Valid JSON records and their labels; every class comes, in turn."""
    random = np.random.default_rng(seed)
    classes = class_names(use_case)
    chosen = np.arange(rows) % len(classes)
    random.shuffle(chosen)
    shares = chosen / max(1, len(classes) - 1)
    records = [_make_record(use_case, random, float(share)) for share in shares]
    return records, [_label(use_case, classes, place) for place in chosen.tolist()]


def _label(use_case: UseCase, classes: tuple[str, ...], place: int) -> str:
    """A class; where there may be many, two neighbouring ones for every other place."""
    if use_case.target.task != "multilabel" or place % 2 == 0:
        return classes[place]
    return join_labels(classes[place - 1 : place + 1], use_case.target.separator)


def make_columns(use_case: UseCase, rows: int, seed: int) -> tuple[Columns, list[str]]:
    """The same, checked."""
    records, labels = make_records(use_case, rows, seed)
    return RecordContract(use_case.record).check_records(records).all_or_raise(), labels


def _make_record(use_case: UseCase, random: np.random.Generator, share: float) -> Record:
    record: Record = {}
    for field in use_case.record.fields:
        if field.nullable and random.random() < MISSING:
            if random.random() < 0.5:
                record[field.name] = None
            continue
        noisy = float(np.clip(share + random.normal(0, NOISE), 0, 1))
        record[field.name] = MAKERS[field.type](field, random, noisy)
    return record


def _make_number(field: FieldConfig, _random: np.random.Generator, share: float) -> float:
    low = field.minimum if field.minimum is not None else min(0.0, (field.maximum or 0.0) - 100)
    high = field.maximum if field.maximum is not None else low + 100
    return low + share * (high - low)


def _make_integer(field: FieldConfig, random: np.random.Generator, share: float) -> int:
    return round(_make_number(field, random, share))


def _make_boolean(_field: FieldConfig, _random: np.random.Generator, share: float) -> bool:
    return share > 0.5


def _make_category(field: FieldConfig, _random: np.random.Generator, share: float) -> str:
    values = field.categories or WORDS
    return values[min(int(share * len(values)), len(values) - 1)]


def _make_text(_field: FieldConfig, random: np.random.Generator, share: float) -> str:
    """Longer for later classes, and of other words."""
    places = np.rint(share * (len(WORDS) - 1) + random.normal(0, 1, size=3 + int(share * 20)))
    return " ".join(WORDS[place] for place in np.clip(places, 0, len(WORDS) - 1).astype(int).tolist())


def _make_datetime(_field: FieldConfig, _random: np.random.Generator, share: float) -> str:
    return (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=300 * share)).isoformat()


def _make_image(field: FieldConfig, random: np.random.Generator, share: float) -> list[Any]:
    """A bright band whose place tells the class; in colour a white one."""
    assert field.shape is not None
    height, width = field.shape[:2]
    low, high = field.range
    distance = np.abs(np.arange(width) - share * (width - 1)) / width
    band = np.clip(1 - 6 * distance, 0, 1) * np.ones((height, 1)) * random.uniform(0.8, 1)
    pixels = np.rint(low + band * (high - low))
    nested: list[Any] = (pixels if len(field.shape) == 2 else np.stack([pixels] * 3, axis=-1)).tolist()
    return nested


MAKERS: dict[str, Callable[[FieldConfig, np.random.Generator, float], Any]] = {
    "number": _make_number,
    "integer": _make_integer,
    "boolean": _make_boolean,
    "category": _make_category,
    "text": _make_text,
    "datetime": _make_datetime,
    "image": _make_image,
}
