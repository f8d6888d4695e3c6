"""Versions that are made in milliseconds: one random layer, exported as ONNX like any other."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.encoders.contract import fit_encoder
from features.records.contract import Columns, RecordContract
from features.records.example import example_record
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import Watch
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import write_artifact

_MADE: dict[tuple[str, int], Path] = {}
"""Configuration and seed to the version that was made of them."""
CREATED = datetime(2024, 5, 17, tzinfo=UTC)


class OneLayer:
    """Softmax over one random layer; it learns nothing."""

    name: ClassVar[str] = "one_layer"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)
        self.weights: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:  # noqa: ARG002
        size = int(np.prod(x.shape[1:]))
        self.weights = np.random.default_rng(seed).normal(0, 0.3, (size, n_classes)).astype(np.float32)
        self.shape = x.shape[1:]

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        logits = x.reshape(len(x), -1) @ self.weights
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def save(self, directory: Path) -> None:
        np.save(directory / "weights.npy", self.weights)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = cls(params)
        loaded.weights = np.load(directory / "weights.npy")
        return loaded

    def export_onnx(self, path: Path) -> None:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        graph = helper.make_graph(
            [
                helper.make_node("Flatten", ["x"], ["flat"]),
                helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["y"]),
            ],
            "one_layer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", self.weights.shape[1]])],
            [numpy_helper.from_array(self.weights, "weights")],
        )
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))


def make_artifact(directory: Path, use_case: UseCase, seed: int = 0) -> Path:
    """A version of `use_case` in `directory`, which must not exist; each seed answers differently.

    It is made once a process, and copied.
    """
    known = (use_case.model_dump_json(), seed)
    if known not in _MADE:
        _MADE[known] = _write(Path(_folder().name) / str(len(_MADE)), use_case, seed)
    shutil.copytree(_MADE[known], directory)
    return directory


@cache
def _folder() -> TemporaryDirectory[str]:
    """Goes with the process."""
    return TemporaryDirectory(prefix="tiny-")


def _write(directory: Path, use_case: UseCase, seed: int) -> Path:
    columns = example_columns(use_case, 4)
    encoder = fit_encoder(use_case, columns)
    x = encoder.encode(columns)
    classes = classes_of(use_case)
    estimator = OneLayer({})
    estimator.fit(x, np.zeros(len(x), np.int64), n_classes=len(classes), seed=seed, watch=_nobody())
    fitted = FittedModel("full", "full", encoder, estimator, classes, {}, seed, len(x), ())
    write_artifact(directory, fitted, use_case, columns, lineage=Lineage(), created_at=CREATED)
    return directory


def classes_of(use_case: UseCase) -> tuple[str, ...]:
    """Those configured, or some."""
    return use_case.target.classes or ("no", "yes")


def example_columns(use_case: UseCase, rows: int) -> Columns:
    """Columns of so many equal records."""
    return (
        RecordContract(use_case.record).check_records([example_record(use_case.record)] * rows).all_or_raise()
    )


def _nobody() -> Watch:
    from models.estimators.fit_watch import SilentWatch

    return SilentWatch()
