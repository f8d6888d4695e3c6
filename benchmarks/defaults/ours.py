"""Ratchet by its defaults: a use case with nothing but its fields, fitted and loaded as by a retrain."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.defaults.data_set import DataSet
from configs.schema import ChallengerConfig, UseCase
from features.records.contract import Columns, RecordContract, take
from models.estimators.fit_watch import SilentWatch
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

ESTIMATORS = {"tabular": "catboost", "text": "linear_text", "image": "keras_cnn"}
FULL = ChallengerConfig(name="full")


@dataclass(frozen=True)
class Answered:
    """Probabilities of the held-out rows in the order of the classes, and seconds until it was written."""

    probabilities: NDArray[np.float32]
    seconds: float


def describe(
    data: DataSet, classes: tuple[str, ...], metric: str, model: Mapping[str, Any] | None = None
) -> UseCase:
    """A use case with nothing but what has no default, and the metric that counts, as `ratchet new` writes
    it; `model` for another estimator, or parameters."""
    fields: list[dict[str, Any]]
    if data.table is not None:
        kind, fields = "tabular", [_field(name, data.table[name]) for name in data.table.columns]
    elif data.pictures is not None:
        shape = list(data.pictures.shape[1:])
        kind, fields = "image", [{"name": "image", "type": "image", "shape": shape}]
    else:
        kind, fields = "text", [{"name": "text", "type": "text"}]
    described = {
        "name": data.name,
        "title": data.name,
        "kind": kind,
        "record": {"fields": fields},
        "target": {"task": "multiclass", "column": "target", "classes": list(classes)},
        "model": {"estimator": ESTIMATORS[kind], **(model or {})},
        "gate": {"metric": metric},
    }
    return UseCase.model_validate(described)


def check(use_case: UseCase, data: DataSet) -> Columns:
    """All rows as checked columns."""
    records: list[dict[str, Any]]
    if data.table is not None:
        cells = {_name(name): _cells(data.table[name]) for name in data.table.columns}
        records = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    elif data.pictures is not None:
        records = [{"image": picture.tolist()} for picture in data.pictures]
    else:
        records = [{"text": text} for text in data.texts]
    for record, field in ((record, field) for field in use_case.record.fields for record in records):
        if field.type == "category" and record[field.name] is not None:
            record[field.name] = str(record[field.name])
    return RecordContract(use_case.record).check_records(records).all_or_raise()


def answer(
    use_case: UseCase,
    columns: Columns,
    labels: NDArray[np.str_],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
) -> Answered:
    """Learn from some rows and answer the others, from the artifact, as a server does."""
    unseen = take(columns, test)
    started = time.perf_counter()
    fitted = fit_challenger(
        use_case, take(columns, train), labels[train].tolist(), challenger=FULL, watch=SilentWatch()
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "version"
        write_artifact(directory, fitted, use_case, unseen, lineage=Lineage(), created_at=datetime.now(UTC))
        seconds = time.perf_counter() - started
        predictor = Predictor.load(directory)
    return Answered(predictor.predict(unseen).probabilities, seconds)


def _cells(values: pd.Series[Any]) -> list[Any]:
    """As JSON has them, the missing ones null."""
    return [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]


def _name(column: Any) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in f"f_{column}")


def _field(column: Any, values: pd.Series[Any]) -> dict[str, Any]:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return {
        "name": _name(column),
        "type": ("integer" if pd.api.types.is_integer_dtype(values) else "number") if numeric else "category",
        "nullable": bool(values.isna().any()),
    }
