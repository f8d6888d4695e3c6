"""The contract of estimators; `models.estimators.catalogue` finds one by its name.

Every estimator can fit, predict, save and load. Being updated in place of a new fit
(`Updatable`), learning from rows that are not all in memory (`Streaming`, `Partitioned`) and being
exported to ONNX (`Exportable`) are powers that it may have besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from configs.spelling.near_names import meant, meant_choice
from models.errors import ParamError
from models.estimators.arrays import EncodedRows, Features, Targets
from models.estimators.checkpoints import Checkpoints
from models.estimators.fit_watch import Watch


class Fitted(Protocol):
    """What answers encoded rows once it has learned: an estimator, or a blend of several."""

    @property
    def name(self) -> str:
        """Name of the estimator in the table; of a blend, that of its members."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Decisions of the last fit that a person should know of, a sentence each."""
        ...

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        ...

    def save(self, directory: Path) -> None:
        """Write all that is needed to load it into an existing directory."""
        ...


class Estimator(Fitted, Protocol):
    """A classifier of encoded rows.

    Class attributes say what it can, besides what the protocols below do. `kinds`: kinds of use cases whose
    rows it learns from (`tabular` and `mixed` where it says nothing: rows of numbers). `multilabel = True`:
    it also learns from zeros and ones of shape (n, n_classes), and then gives each label a probability of
    its own. `export_tolerance`: its graph may differ by this much; one that differs by more, or that cannot
    be made (`NoExport`), leaves the version to be served by the estimator itself, where otherwise it is an
    error. An attribute `updatable` that is false says of one with given parameters that it cannot be
    updated, and a method `refusal(kind, task)` why it cannot learn from some rows. `many_valued = True`: it
    takes columns of places for categories of many values, which it hears of as `KnowsCategories` has it.
    """

    name: ClassVar[str]

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Check the parameters; raises ParamError naming key, value and what is allowed."""
        ...

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing.

        Args:
            x: encoded rows, n first.
            y: class indices below `n_classes`; a class may have no row.
            n_classes: number of columns that `predict_proba` will give.
            seed: the same seed, rows and parameters give the same model.
            watch: told of progress.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        ...

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The estimator that `save` wrote."""
        ...


@runtime_checkable
class Updatable(Protocol):
    """An estimator that can be trained further, on new rows only."""

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Learn from these rows as well, by the parameters whose names begin with `update_`.

        Raises:
            TrainingStopped: the watch asked for it; the estimator is then of no use.
        """
        ...


def can_update(estimator: object) -> bool:
    """Whether it can be trained further, with the parameters that it has."""
    return isinstance(estimator, Updatable) and bool(getattr(estimator, "updatable", True))


@runtime_checkable
class KnowsCategories(Protocol):
    """An estimator that takes missing values as they are, and columns that hold places of categories."""

    @property
    def native_tables(self) -> bool:
        """Whether it does, with the parameters that it has."""
        ...

    def take_categories(self, columns: Mapping[int, int]) -> None:
        """Hear before the fit which columns hold categories, and how many there are of each."""
        ...


def knows_categories(estimator: object) -> bool:
    """Whether tables may come to it as they are."""
    return isinstance(estimator, KnowsCategories) and bool(estimator.native_tables)


@runtime_checkable
class Resumable(Protocol):
    """An estimator that trains in epochs, and can continue after the last whole one.

    With the class attribute `scheduled = True` its steps depend on how many epochs there are: a fit then
    goes on from one of as many epochs only.
    """

    def fit_from(
        self,
        x: Features,
        y: Targets,
        *,
        n_classes: int,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints | None,
    ) -> None:
        """As `fit`, from the checkpoint on where there is one; leaves one after each epoch.

        Raises:
            TrainingStopped: the watch asked for it; the checkpoint of the last whole epoch is there.
        """
        ...

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],
        n_classes: int,
        per_label: bool,
    ) -> None:
        """Take the weights of a checkpoint, to predict with them.

        Args:
            arrays: of the checkpoint.
            input_shape: shape of one encoded row.
            n_classes: number of columns that `predict_proba` will give.
            per_label: each label has a probability of its own (multilabel).
        """
        ...


@runtime_checkable
class Streaming(Protocol):
    """An estimator that learns from rows of which a part at a time is in hand."""

    def fit_batches(self, rows: EncodedRows, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing, as `fit` does from all rows at once.

        Args:
            rows: encoded ones; each part may be asked for as often as is wanted, and none is to be kept.
            n_classes: number of columns that `predict_proba` will give.
            seed: the same seed, rows and parameters give the same model.
            watch: told of progress.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        ...


@runtime_checkable
class Partitioned(Protocol):
    """An estimator that learns on a cluster of Dask, each worker from its own parts of the rows."""

    def fit_partitions(
        self, rows: EncodedRows, client: Any, *, n_classes: int, seed: int, watch: Watch
    ) -> None:
        """Learn from nothing, to what `fit_batches` comes to but for what its documentation allows.

        Args:
            rows: encoded ones, which go to the workers part by part.
            client: of `distributed`, connected to a scheduler that has workers.
            n_classes: as for `fit_batches`.
            seed: as there.
            watch: told of progress.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        ...


class Takes(StrEnum):
    """How an estimator takes rows, by its powers."""

    ALL_ROWS = "all rows at once"
    BATCHES = "batches"
    PARTITIONS = "batches, or partitions on a cluster"


def takes(estimator: object) -> Takes:
    """How it takes rows: all at once where it says nothing else."""
    if isinstance(estimator, Partitioned) and isinstance(estimator, Streaming):
        return Takes.PARTITIONS
    return Takes.BATCHES if isinstance(estimator, Streaming) else Takes.ALL_ROWS


@runtime_checkable
class Exportable(Protocol):
    """An estimator that can be written as ONNX."""

    def export_onnx(self, path: Path) -> None:
        """Write a graph with one float input (n, ...) and one float output (n, n_classes), n free."""
        ...


class Params(BaseModel):
    """Base of an estimator's parameters: immutable, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Params)


def read_params(estimator: str, schema: type[P], params: Mapping[str, Any]) -> P:
    """The parameters checked against an estimator's schema.

    Raises:
        ParamError: naming the first key that is unknown or has a value that is not allowed.
    """
    try:
        return schema.model_validate(dict(params))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "(all)"
        if problem["type"] == "extra_forbidden":
            near = meant(key, schema.model_fields)
            allowed = f"one of the parameters {', '.join(schema.model_fields)}{near}"
        else:
            allowed = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            allowed += meant_choice(problem)
        raise ParamError(estimator, key, problem["input"], allowed) from error
