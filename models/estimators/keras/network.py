"""What networks in Keras have in common as estimators: a subclass says its network, and what differs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.estimators.arrays import EncodedRows, Features, Targets
from models.estimators.checkpoints import Checkpoints
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.estimators.keras.parts import train_in_parts
from models.estimators.keras.training import (
    AdamSettings,
    clone,
    export,
    import_keras,
    predict,
    restore,
    train,
    train_and_interpolate,
)

NATIVE_FILE = "model.keras"

Epochs = Annotated[int, Field(gt=0, le=10_000)]
BatchSize = Annotated[int, Field(gt=0, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class NetworkParams(Params):
    """Parameters of every network."""

    batch_size: BatchSize
    """Rows between two steps."""
    update_learning_rate: Rate = 0.001
    """Step length of a warm start."""
    update_batch_size: BatchSize = 1
    """Rows between two steps of a warm start."""
    update_epochs: Epochs = 2
    """Epochs of a warm start."""
    update_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How far a warm start goes from the weights before to those learned; the less, the less is forgotten."""


P = TypeVar("P", bound=NetworkParams)


class KerasNetwork(ABC, Generic[P]):
    """Fits, updates, answers, is kept and exported; the same seed, rows and parameters give the same weights.

    TensorFlow is imported when a network is first built, never when a module of this room is.
    """

    name: ClassVar[str]
    rather_all_rows: ClassVar[bool] = True
    """Of rows at once it mixes all with all, and leaves checkpoints: batches are for too many of them."""
    schema: ClassVar[type[NetworkParams]]
    """Its parameters, a `P`."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params: P = read_params(self.name, self.schema, params)  # type: ignore[assignment]
        self.model: Any = None

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], n_classes: int, *, per_label: bool) -> Any:
        """A network that has not learned yet, for rows of this shape.

        Raises:
            TrainingError: it cannot learn from such rows.
        """

    @abstractmethod
    def epochs(self, rows: int) -> int:
        """How often it goes through so many rows to learn them from nothing; asked wherever that counts."""

    @abstractmethod
    def rate(self, rows: int) -> Any:
        """Step length of Adam while it learns so many rows from nothing, or a schedule of it."""

    def held_in_update(self) -> AbstractContextManager[None]:
        """Within it, what an update leaves as it was learned does not move; by default nothing is left."""
        return nullcontext()

    def without_draws(self) -> Any:
        """The network as it answers: without what draws while learning, where ONNX has no words for it."""
        return self.model

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, *shape of a row)."""
        self.fit_from(x, y, n_classes=n_classes, seed=seed, watch=watch, checkpoints=None)

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
        """Learn, from the last checkpoint on where there is one, leaving one after each epoch."""
        keras = import_keras()
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.model = self.build(x.shape[1:], n_classes, per_label=y.ndim == 2)
        settings = AdamSettings(self.rate(len(x)), self.params.batch_size, self.epochs(len(x)))
        train(self.model, x, y, settings, watch, checkpoints, seed)

    def fit_batches(self, rows: EncodedRows, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing of parts, in another order than `fit` does: see `train_in_parts`."""
        keras = import_keras()
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.model = self.build(rows.row_shape, n_classes, per_label=False)
        settings = AdamSettings(self.rate(len(rows)), self.params.batch_size, self.epochs(len(rows)))
        train_in_parts(self.model, rows, settings, watch, seed)

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],
        n_classes: int,
        per_label: bool,
    ) -> None:
        """Become what a checkpoint holds."""
        self.model = self.build(input_shape, n_classes, per_label=per_label)
        restore(self.model, arrays)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with a fresh Adam at `update_learning_rate`."""
        import_keras().utils.set_random_seed(seed)
        self.model = clone(self.model)
        params = self.params
        settings = AdamSettings(params.update_learning_rate, params.update_batch_size, params.update_epochs)
        with self.held_in_update():
            train_and_interpolate(self.model, x, y, settings, params.update_share, watch)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        return predict(self.model, x)

    def save(self, directory: Path) -> None:
        """Write weights and architecture in Keras' own format."""
        self.model.save(directory / NATIVE_FILE)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The network that `save` wrote."""
        loaded = cls(params)
        loaded.model = import_keras().saving.load_model(directory / NATIVE_FILE, compile=False)
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write the network as ONNX."""
        export(self.without_draws(), path)
