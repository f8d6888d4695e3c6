"""Boosted trees of XGBoost, grown from rows that come part by part, here or on a cluster of Dask.

Of the rows it keeps the bin of each number only (one byte where `max_bin` is 256): XGBoost goes through the
parts to find the bins (a weighted sketch of quantiles: Chen and Guestrin, "XGBoost: A scalable tree boosting
system", 2016), and once more to fill them. With `external_memory` bins lie on disk, too. On a cluster each
worker keeps the bins of its parts, and the histograms of all are added up for each split.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import EstimatorUnavailable, TrainingError, TrainingStopped
from models.estimators.arrays import ArrayRows, EncodedRows, Features, Targets, each_part
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.estimators.scikit.boosters import XgboostTrees
from models.estimators.scikit.graphs import write_graph
from models.estimators.streaming.parts import LEARNED, RowsForXgboost, find_missing, losses_of
from models.provenance.surroundings import usable_cores

CLASSES = "ratchet_classes"
"""Attribute of the trees that says how many classes there are."""
INSTALL = "uv pip install -e '.[xgboost]' in the checkout"
Share = Annotated[float, Field(gt=0, le=1)]


class XgboostParams(Params):
    """Parameters of `xgboost`."""

    trees: Annotated[int, Field(gt=0, le=100_000)] = 300
    """Rounds of boosting; of more than two classes each grows a tree for every class."""
    depth: Annotated[int, Field(gt=0, le=32)] = 6
    """Most splits between root and leaf."""
    learning_rate: Share = 0.1
    """Step length."""
    min_child_weight: Annotated[float, Field(ge=0)] = 1.0
    """Least weight of rows in a leaf, by how unsure they are."""
    subsample: Share = 1.0
    """Share of the rows that each round looks at."""
    colsample: Share = 1.0
    """Share of the columns that each tree looks at."""
    l2: Annotated[float, Field(ge=0)] = 1.0
    """How strongly the answers of leaves are drawn towards 0."""
    max_bin: Annotated[int, Field(ge=2, le=65_536)] = 256
    """Bins of each number; up to 256 take one byte a number, more take two."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share."""
    external_memory: bool = False
    """Keep bins on disk as well, and read them anew for each level of each tree: slower, and memory then
    holds little besides what is known of each row's class. Not on a cluster."""


class Xgboost:
    """Boosted trees that take missing values, and categories, as they are."""

    name: ClassVar[str] = "xgboost"
    kinds: ClassVar[tuple[str, ...]] = ("tabular", "mixed")
    export_tolerance: ClassVar[float] = 1e-5
    """A graph that differs by more is left out, and the trees themselves answer."""
    native_tables: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, XgboostParams, params)
        self.trees: XgboostTrees | None = None
        self.notes: tuple[str, ...] = ()
        self.may_miss: NDArray[np.bool_] | None = None
        """Columns (features,) in which values may be missing; None: no column, or nothing is known of it."""
        self._categories: dict[int, int] = {}

    def take_categories(self, columns: Mapping[int, int]) -> None:
        """Hear before the fit which columns hold places of categories, and how many there are of each."""
        self._categories = dict(columns)

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing: as from parts of these rows."""
        self.fit_batches(ArrayRows(x, y), n_classes=n_classes, seed=seed, watch=watch)

    def fit_batches(self, rows: EncodedRows, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing, part by part.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        xgboost = _import_xgboost()
        if watch.should_stop():
            raise TrainingStopped
        with tempfile.TemporaryDirectory(prefix="ratchet-xgboost-") as folder:
            external = self.params.external_memory
            parts = RowsForXgboost(
                rows,
                weights=self._weights(rows, n_classes),
                types=self._types(rows),
                cache=str(Path(folder) / "bins") if external else None,
                watch=watch,
            )
            kind = xgboost.ExtMemQuantileDMatrix if external else xgboost.QuantileDMatrix
            with parts.raising():
                data = kind(
                    parts.iterator, missing=np.nan, max_bin=self.params.max_bin, enable_categorical=True
                )
            booster = xgboost.train(
                {**self._settings(n_classes, seed), "nthread": usable_cores()},
                data,
                num_boost_round=self.params.trees,
                evals=[(data, LEARNED)],
                verbose_eval=False,
                callbacks=[_following(watch, self.params.trees)],
            )
            del data
        self._take(booster, rows, n_classes)

    def fit_partitions(
        self, rows: EncodedRows, client: Any, *, n_classes: int, seed: int, watch: Watch
    ) -> None:
        """Learn from nothing on a cluster, each worker from the parts that it is sent.

        Args:
            rows: as for `fit_batches`; a part at a time goes through this process.
            client: of `distributed`, connected to a scheduler with workers.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        from models.estimators.streaming.on_dask import train_on_dask

        _import_xgboost()
        if watch.should_stop():
            raise TrainingStopped
        booster = train_on_dask(
            client,
            rows,
            settings=self._settings(n_classes, seed),
            trees=self.params.trees,
            max_bin=self.params.max_bin,
            weights=self._weights(rows, n_classes),
            types=self._types(rows),
            watch=watch,
        )
        self._take(booster, rows, n_classes)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        assert self.trees is not None
        if not len(x):
            return np.zeros((0, self._n_classes), np.float32)
        return np.asarray(self.trees.predict_proba(x), dtype=np.float32)

    def save(self, directory: Path) -> None:
        """Write XGBoost's own format."""
        assert self.trees is not None
        self.trees.save(directory)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The trees that `save` wrote."""
        loaded = cls(params)
        loaded.trees = XgboostTrees.load(directory)
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write the trees as ONNX.

        Raises:
            NoExport: there is no converter.
        """
        assert self.trees is not None
        shape = (int(self.trees.booster.num_features()),)
        classes = range(self._n_classes)
        write_graph(self.trees, path, shape=shape, classes=classes, n_classes=self._n_classes)

    @property
    def _n_classes(self) -> int:
        assert self.trees is not None
        return int(self.trees.booster.attr(CLASSES))

    def _take(self, booster: Any, rows: EncodedRows, n_classes: int) -> None:
        booster.set_attr(**{CLASSES: str(n_classes)})
        missing = find_missing(rows)
        missing[list(self._categories)] = True
        self.may_miss = missing if missing.any() else None
        self.trees = XgboostTrees(booster)

    def _settings(self, n_classes: int, seed: int) -> dict[str, Any]:
        params = self.params
        chosen = {
            "tree_method": "hist",
            "max_depth": params.depth,
            "learning_rate": params.learning_rate,
            "min_child_weight": params.min_child_weight,
            "subsample": params.subsample,
            "colsample_bytree": params.colsample,
            "reg_lambda": params.l2,
            "max_bin": params.max_bin,
            "seed": seed,
            "verbosity": 0,
        }
        if n_classes == 2:
            return {**chosen, "objective": "binary:logistic"}
        return {**chosen, "objective": "multi:softprob", "num_class": n_classes}

    def _weights(self, rows: EncodedRows, n_classes: int) -> NDArray[np.float32] | None:
        """Weight of a row of each class; None: all are 1.

        Raises:
            TrainingError: the rows hold one class.
        """
        counts = np.zeros(n_classes, dtype=np.int64)
        for _, y in each_part(rows):
            counts += np.bincount(y, minlength=n_classes)
        present = counts > 0
        if present.sum() < 2:
            raise TrainingError(f"the training rows hold {present.sum()} class; at least 2 are needed")
        if self.params.class_weights == "equal":
            return None
        shares = counts.sum() / (present.sum() * np.maximum(counts, 1))
        return np.where(present, shares, 0).astype(np.float32)

    def _types(self, rows: EncodedRows) -> list[str] | None:
        """Of each column: a category, or a quantity; None: all are quantities."""
        if not self._categories:
            return None
        return ["c" if place in self._categories else "q" for place in range(rows.row_shape[0])]


def _following(watch: Watch, trees: int) -> Any:
    """A callback that tells of each round, and stops where the watch asks for that."""
    from xgboost.callback import TrainingCallback

    class Following(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            watch.epoch(epoch + 1, trees, {"loss": losses_of(evals_log)[-1]})
            if watch.should_stop():
                raise TrainingStopped
            return False

    return Following()


def _import_xgboost() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise EstimatorUnavailable("xgboost", f"package xgboost is not installed here; {INSTALL}") from error
    return xgboost
