"""Gradient-boosted trees by CatBoost, for encoded tables.

SMOTE: Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling
Technique", Journal of Artificial Intelligence Research 16 (2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import CannotUpdate, TrainingError, TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.boosted.category_shares import CategoryShares
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.provenance.surroundings import usable_cores

NATIVE_FILE = "model.cbm"
SHARES_FILE = "shares.npz"
WIDTH = "width"
CLASSES_KEY = "ratchet_classes"
MAX_THREADS = 4
LEAST_TREES, MOST_TREES, FEW_ROWS = 100, 800, 600
"""By default; so few rows get the least."""
WEIGHTLESS = 1e-9


class BoostedParams(Params):
    """Parameters of `catboost`."""

    iterations: Annotated[int, Field(gt=0, le=100_000)] | None = None
    """Trees. Absent: 100 for 600 rows or fewer, seven more for every ten rows beyond, and 800 at most."""
    depth: Annotated[int, Field(gt=0, le=16)] = 4
    """Depth of each tree."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of each tree's answer that counts."""
    l2_leaf_reg: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the penalty on leaf values."""
    class_weights: Literal["equal", "balanced", "sqrt_balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share, or to the root of its share. Absent:
    `sqrt_balanced` where `gate.metric` is `f1` or `f1_macro`."""
    smote: bool = False
    """Fill small classes with synthetic rows, in the fit only."""
    smote_neighbors: Annotated[int, Field(gt=0, le=100)] = 5
    """Neighbours that a synthetic row may lean to; a class needs more rows than this."""
    update_iterations: Annotated[int, Field(gt=0, le=100_000)] = 50
    """Trees that a warm start adds."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Learning rate of a warm start."""


class Boosted:
    """CatBoost on numbers only, so that ONNX can hold it: categories are one-hot, or of many values shares.

    CatBoost learns the classes that have rows (given more, its export is wrong); the others'
    probability is 0.
    """

    name: ClassVar[str] = "catboost"
    many_valued: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, BoostedParams, params)
        self.model: Any = None
        self.n_classes = 0
        self.notes: tuple[str, ...] = ()
        self.shares = CategoryShares({})
        self._width = 0
        self._categories: Mapping[int, int] = {}

    @property
    def native_tables(self) -> bool:
        """No: missing numbers are filled, and categories of few values come as columns of their own."""
        return False

    def take_categories(self, columns: Mapping[int, int]) -> None:
        """Hear which columns hold places of categories of many values, and how many there are of each."""
        self._categories = dict(columns)

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, features).

        Raises:
            TrainingError: no column varies.
        """
        if not len(x) or not np.ptp(x, axis=0).any():
            raise TrainingError(
                "catboost has nothing to split by: every field has one value in all these rows"
            )
        self.n_classes = n_classes
        self._width = x.shape[1]
        trees = trees_for(len(x)) if self.params.iterations is None else self.params.iterations
        if self._categories:
            self.shares, x = CategoryShares.learn(x, y, self._categories, seed)
        if self.params.smote:
            x, y, self.notes = oversample(x, y, self.params.smote_neighbors, seed)
        params = self.params
        options = {"iterations": trees, "learning_rate": params.learning_rate}
        self._train(x, y, np.ones(len(y)), seed, watch, options, start=None)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Add trees that correct the present ones on these rows.

        Raises:
            CannotUpdate: a class among the rows had none when the trees were first made, or no column varies.
        """
        x = self.shares.apply(x)
        tree_classes = np.asarray(self.model.classes_, dtype=np.int64)
        if unknown := sorted(set(y.tolist()) - set(tree_classes.tolist())):
            raise CannotUpdate(f"its trees have no place for class number {unknown[0]}, new among the rows")
        if not np.ptp(x, axis=0).any():
            raise CannotUpdate("trees have nothing to split by: every field has one value in all new rows")
        # CatBoost wants a row of each class that it knows: one that weighs next to nothing will do.
        absent = np.setdiff1d(tree_classes, y)
        weights = np.concatenate([np.ones(len(y)), np.full(len(absent), WEIGHTLESS)])
        x = np.concatenate([x, np.repeat(x.mean(axis=0, keepdims=True), len(absent), axis=0)])
        params = self.params
        options = {"iterations": params.update_iterations, "learning_rate": params.update_learning_rate}
        self._train(x, np.concatenate([y, absent]), weights, seed, watch, options, start=self.model)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        probabilities = np.zeros((len(x), self.n_classes), dtype=np.float32)
        if len(x):
            probabilities[:, self.model.classes_] = self.model.predict_proba(self.shares.apply(x))
        return probabilities

    def save(self, directory: Path) -> None:
        """Write CatBoost's own format."""
        self.model.get_metadata()[CLASSES_KEY] = str(self.n_classes)
        self.model.save_model(str(directory / NATIVE_FILE))
        if self.shares.tables:
            np.savez(directory / SHARES_FILE, **{WIDTH: np.array(self._width)}, **self.shares.to_arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The trees that `save` wrote."""
        import catboost

        loaded = cls(params)
        loaded.model = catboost.CatBoostClassifier()
        loaded.model.load_model(str(directory / NATIVE_FILE))
        loaded.n_classes = int(loaded.model.get_metadata()[CLASSES_KEY])
        if (directory / SHARES_FILE).exists():
            with np.load(directory / SHARES_FILE, allow_pickle=False) as file:
                arrays = dict(file)
            loaded._width = int(arrays.pop(WIDTH))
            loaded.shares = CategoryShares.from_arrays(arrays)
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write the trees as ONNX, with the probabilities as a plain tensor."""
        import onnx

        self.model.save_model(str(path), format="onnx")
        graph = onnx.load(str(path))
        _keep_probabilities_only(graph, [int(place) for place in self.model.classes_], self.n_classes)
        self.shares.add_to_graph(graph, self._width)
        onnx.checker.check_model(graph)
        onnx.save(graph, str(path))

    def _train(
        self,
        x: Features,
        y: Targets,
        weights: NDArray[np.float64],
        seed: int,
        watch: Watch,
        options: Mapping[str, Any],
        start: Any,
    ) -> None:
        import catboost

        params = self.params
        callback = _ProgressCallback(watch, options["iterations"])
        model = catboost.CatBoostClassifier(
            loss_function="MultiClass",
            depth=params.depth,
            l2_leaf_reg=params.l2_leaf_reg,
            random_seed=seed,
            thread_count=min(usable_cores(), MAX_THREADS),
            allow_writing_files=False,
            verbose=False,
            **options,
        )
        balanced = weights * _class_weights(y, params.class_weights)
        model.fit(x, y, sample_weight=balanced, init_model=start, callbacks=[callback])
        if callback.raised is not None:
            raise callback.raised
        self.model = model


class _ProgressCallback:
    """A CatBoost callback that passes on to the watch, and keeps what it raises.

    CatBoost would make a CatBoostError of it.
    """

    def __init__(self, watch: Watch, iterations: int) -> None:
        self.watch = watch
        self.iterations = iterations
        self.raised: Exception | None = None
        self.done = 0

    def after_iteration(self, info: Any) -> bool:
        self.done += 1
        try:
            loss = float(info.metrics["learn"]["MultiClass"][-1])
            self.watch.epoch(self.done, self.iterations, {"loss": loss})
            if self.watch.should_stop():
                raise TrainingStopped
        except Exception as error:  # noqa: BLE001
            self.raised = error
        return self.raised is None


def trees_for(rows: int) -> int:
    """So many by default: many trees learn a few rows by heart.

    >>> [trees_for(rows) for rows in (50, 1000, 10_000)]
    [100, 380, 800]
    """
    return min(MOST_TREES, LEAST_TREES + max(0, rows - FEW_ROWS) * 7 // 10)


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
        f"SMOTE skipped for class number {label}: it has {count} rows and needs more than {neighbors}"
        for label, count in small.items()
    )
    row_counts = {label: largest for label, count in counts.items() if label not in small and count < largest}
    if not row_counts:
        return x, y, notes
    new_x, new_y = SMOTE(sampling_strategy=row_counts, k_neighbors=neighbors, random_state=seed).fit_resample(
        x, y
    )
    return new_x, new_y, notes


def _class_weights(y: Targets, rule: str) -> NDArray[np.float64]:
    """A weight for each row."""
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    balanced = len(y) / (len(counts) * counts)
    by_class = {"equal": np.ones(len(counts)), "balanced": balanced, "sqrt_balanced": np.sqrt(balanced)}
    return by_class[rule][place]


def _keep_probabilities_only(graph: Any, classes: Sequence[int], n_classes: int) -> None:
    """Drop the list of dictionaries, the labels, and what names the hour of training.

    Where classes are missing among the known ones, their columns are added, all zeros.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = [node for node in graph.graph.node if node.op_type != "ZipMap"]
    name = nodes[-1].output[1]
    if len(classes) < n_classes:
        places = np.eye(n_classes, dtype=np.float32)[list(classes)]
        graph.graph.initializer.append(numpy_helper.from_array(places, "places"))
        nodes.append(helper.make_node("MatMul", [name, "places"], ["all_probabilities"]))
        name = "all_probabilities"
        graph.opset_import.append(helper.make_opsetid("", 15))
        graph.ir_version = 8
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n_classes])
    for field, content in (
        (graph.graph.node, nodes),
        (graph.graph.output, [output]),
        (graph.metadata_props, []),
    ):
        del field[:]
        field.extend(content)
