"""Gradient-boosted trees by CatBoost, for encoded tables.

SMOTE: Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling
Technique", Journal of Artificial Intelligence Research 16 (2002).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingStopped
from models.estimator import Features, Params, Targets, Watch, read_params

NATIVE_FILE = "model.cbm"
MAX_THREADS = 4


class BoostedParams(Params):
    """Parameters of `catboost`."""

    iterations: Annotated[int, Field(gt=0, le=100_000)] = 300
    """Trees."""
    depth: Annotated[int, Field(gt=0, le=16)] = 6
    """Depth of each tree."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.08
    """Share of each tree's answer that counts."""
    l2_leaf_reg: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the penalty on leaf values."""
    class_weights: Literal["equal", "balanced", "sqrt_balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share, or to the root of its share."""
    smote: bool = False
    """Fill small classes with synthetic rows, in the fit only."""
    smote_neighbors: Annotated[int, Field(gt=0, le=100)] = 5
    """Neighbours that a synthetic row may lean to; a class needs more rows than this."""
    update_iterations: Annotated[int, Field(gt=0, le=100_000)] = 50
    """Trees that a warm start adds."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Learning rate of a warm start."""


class Boosted:
    """CatBoost on numbers only (categories are one-hot), so that ONNX can hold it."""

    name: ClassVar[str] = "catboost"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, BoostedParams, params)
        self.model: Any = None
        self.notes: tuple[str, ...] = ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, features)."""
        if self.params.smote:
            x, y, self.notes = oversample(x, y, self.params.smote_neighbors, seed)
        params = self.params
        options = {"iterations": params.iterations, "learning_rate": params.learning_rate}
        self._train(x, y, n_classes, seed, watch, options, start=None)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Add trees that correct the present ones on these rows."""
        params = self.params
        options = {"iterations": params.update_iterations, "learning_rate": params.update_learning_rate}
        n_classes = len(self.model.classes_)
        self._train(x, y, n_classes, seed, watch, options, start=self.model)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        return np.asarray(self.model.predict_proba(x), dtype=np.float32)

    def save(self, directory: Path) -> None:
        """Write CatBoost's own format."""
        self.model.save_model(str(directory / NATIVE_FILE))

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The trees that `save` wrote."""
        import catboost

        loaded = cls(params)
        loaded.model = catboost.CatBoostClassifier()
        loaded.model.load_model(str(directory / NATIVE_FILE))
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write the trees as ONNX, with the probabilities as a plain tensor."""
        import onnx

        self.model.save_model(str(path), format="onnx")
        graph = onnx.load(str(path))
        _keep_probabilities_only(graph, len(self.model.classes_))
        onnx.save(graph, str(path))

    def _train(
        self,
        x: Features,
        y: Targets,
        n_classes: int,
        seed: int,
        watch: Watch,
        options: Mapping[str, Any],
        start: Any,
    ) -> None:
        import catboost

        params = self.params
        follow = _Follow(watch, options["iterations"])
        model = catboost.CatBoostClassifier(
            loss_function="MultiClass",
            classes_count=n_classes,
            depth=params.depth,
            l2_leaf_reg=params.l2_leaf_reg,
            class_weights=_class_weights(y, n_classes, params.class_weights),
            random_seed=seed,
            thread_count=min(os.cpu_count() or 1, MAX_THREADS),
            allow_writing_files=False,
            verbose=False,
            **options,
        )
        model.fit(x, y, init_model=start, callbacks=[follow])
        if follow.stopped:
            raise TrainingStopped
        self.model = model


class _Follow:
    """A CatBoost callback that passes on to the watch and does nothing else."""

    def __init__(self, watch: Watch, iterations: int) -> None:
        self.watch = watch
        self.iterations = iterations
        self.stopped = False
        self.done = 0

    def after_iteration(self, info: Any) -> bool:
        self.done += 1
        self.watch.epoch(self.done, self.iterations, {"loss": float(info.metrics["learn"]["MultiClass"][-1])})
        self.stopped = self.watch.should_stop()
        return not self.stopped


def oversample(
    x: Features, y: Targets, neighbors: int, seed: int
) -> tuple[Features, Targets, tuple[str, ...]]:
    """The rows and synthetic ones besides, every class as large as the largest; and what was left out.

    A class with too few rows to have `neighbors` neighbours is left as it is, with a note.
    """
    from imblearn.over_sampling import SMOTE

    counts = dict(zip(*(values.tolist() for values in np.unique(y, return_counts=True)), strict=True))
    largest = max(counts.values())
    small = {label: count for label, count in counts.items() if count <= neighbors}
    notes = tuple(
        f"SMOTE skipped for class {label}: {count} rows, it needs more than {neighbors}"
        for label, count in small.items()
    )
    wanted = {label: largest for label, count in counts.items() if label not in small and count < largest}
    if not wanted:
        return x, y, notes
    made_x, made_y = SMOTE(sampling_strategy=wanted, k_neighbors=neighbors, random_state=seed).fit_resample(
        x, y
    )
    return made_x, made_y, notes


def _class_weights(y: Targets, n_classes: int, rule: str) -> list[float] | None:
    if rule == "equal":
        return None
    counts = np.bincount(y, minlength=n_classes)
    # A class without rows has no weight to speak of; 1 keeps CatBoost content.
    weights = np.where(counts > 0, counts.sum() / (n_classes * np.maximum(counts, 1)), 1.0)
    chosen = weights if rule == "balanced" else np.sqrt(weights)
    return [float(weight) for weight in chosen]


def _keep_probabilities_only(graph: Any, n_classes: int) -> None:
    """Drop the list of dictionaries, the labels, and what names the hour of training."""
    from onnx import TensorProto, helper

    trees = [node for node in graph.graph.node if node.op_type != "ZipMap"]
    output = helper.make_tensor_value_info(trees[-1].output[1], TensorProto.FLOAT, ["N", n_classes])
    for field, kept in (
        (graph.graph.node, trees),
        (graph.graph.output, [output]),
        (graph.metadata_props, []),
    ):
        del field[:]
        field.extend(kept)
