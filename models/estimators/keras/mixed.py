"""A network in Keras for records of texts, dates, numbers and categories (`kind: mixed`), or tables.

The encoder counts words in buckets; the first layer sums an embedding of each. TensorFlow is imported
when a network is first built, never when this module is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingError
from models.estimators.arrays import Features, Targets
from models.estimators.checkpoints import Checkpoints
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
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


class MixedParams(Params):
    """Parameters of `keras_mixed`."""

    embedding: Annotated[int, Field(gt=0, le=4096)] = 64
    """Units of the first layer: the length of the embedding of a word."""
    dense: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Units of the layer before the answer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of the units of each layer silenced at random while learning."""
    penalty: Annotated[float, Field(ge=0, le=1)] = 1e-5
    """How strongly the weights of the first layer are drawn towards 0 (L2)."""
    epochs: Annotated[int, Field(gt=0, le=10_000)] = 10
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two steps."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Step length of Adam."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Step length of a warm start."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 1
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""
    update_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """How far a warm start goes from the weights before to those learned; the less, the less is forgotten."""


class KerasMixed:
    """Two dense layers with dropout; softmax over classes, or a probability of its own for each label."""

    name: ClassVar[str] = "keras_mixed"
    multilabel: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, MixedParams, params)
        self.model: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, features)."""
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
        if x.ndim != 2:
            raise TrainingError(
                "keras_mixed learns from rows of numbers: use it with `kind: mixed` or tabular"
            )
        keras = import_keras()
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        params = self.params
        self.model = build_network(params, x.shape[1], n_classes, "sigmoid" if y.ndim == 2 else "softmax")
        settings = AdamSettings(params.learning_rate, params.batch_size, params.epochs)
        train(self.model, x, y, settings, watch, checkpoints, seed)

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],
        n_classes: int,
        per_label: bool,
    ) -> None:
        """Become what a checkpoint holds."""
        self.model = build_network(
            self.params, input_shape[0], n_classes, "sigmoid" if per_label else "softmax"
        )
        restore(self.model, arrays)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with a fresh Adam at `update_learning_rate`, by default one row at a time."""
        import_keras().utils.set_random_seed(seed)
        self.model = clone(self.model)
        params = self.params
        settings = AdamSettings(params.update_learning_rate, params.update_batch_size, params.update_epochs)
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
        export(self.model, path)


def build_network(params: MixedParams, width: int, n_classes: int, answers: str) -> Any:
    """A network that has not learned yet."""
    keras = import_keras()
    layers = keras.layers
    penalty = keras.regularizers.L2(params.penalty) if params.penalty else None
    return keras.Sequential(
        [
            layers.Input((width,)),
            layers.Dense(params.embedding, activation="relu", kernel_regularizer=penalty),
            layers.Dropout(params.dropout),
            layers.Dense(params.dense, activation="relu"),
            layers.Dropout(params.dropout),
            layers.Dense(n_classes, activation=answers),
        ]
    )
