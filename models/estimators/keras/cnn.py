"""A convolutional network in Keras, for images.

TensorFlow is imported when a network is first built, never when this module is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

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


class CnnParams(Params):
    """Parameters of `keras_cnn`."""

    filters: Annotated[tuple[Annotated[int, Field(gt=0, le=1024)], ...], Field(min_length=1)] = (32, 64)
    """Filters of each block; a block is a convolution and a pooling that halves height and width."""
    kernel: Annotated[int, Field(gt=0, le=31)] = 3
    """Height and width of the convolutions."""
    padding: Literal["valid", "same"] = "same"
    """Whether convolutions lose the border (cheaper with large kernels) or pad it with zeros."""
    dense: Annotated[int, Field(gt=0, le=65_536)] = 128
    """Units of the layer before the answer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of those units silenced at random while learning."""
    epochs: Annotated[int, Field(gt=0, le=10_000)] = 15
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two steps."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Step length of Adam at the start."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Factor by which the step length falls in each epoch, gradually."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Step length of a warm start."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 1
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""
    update_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How far a warm start goes from the weights before to those learned; the less, the less is forgotten."""


class KerasCnn:
    """Blocks of convolution and pooling, one dense layer with dropout, softmax; trained with Adam."""

    name: ClassVar[str] = "keras_cnn"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, CnnParams, params)
        self.model: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, height, width, channels)."""
        keras = import_keras()
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.model = build_network(self.params, x.shape[1:], n_classes)
        train(self.model, x, y, self._settings(len(x)), watch)

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
        self.model = build_network(self.params, x.shape[1:], n_classes)
        train(self.model, x, y, self._settings(len(x)), watch, checkpoints, seed)

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],
        n_classes: int,
        per_label: bool,  # noqa: ARG002
    ) -> None:
        """Become what a checkpoint holds."""
        self.model = build_network(self.params, input_shape, n_classes)
        restore(self.model, arrays)

    def _settings(self, rows: int) -> AdamSettings:
        params = self.params
        batches = -(-rows // params.batch_size)
        rate = import_keras().optimizers.schedules.ExponentialDecay(
            params.learning_rate, batches, params.decay
        )
        return AdamSettings(rate, params.batch_size, params.epochs)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with a fresh Adam at `update_learning_rate`."""
        keras = import_keras()
        keras.utils.set_random_seed(seed)
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


def build_network(params: CnnParams, input_shape: tuple[int, ...], n_classes: int) -> Any:
    """A network that has not learned yet."""
    layers = import_keras().layers
    _check_size(params, input_shape)
    blocks: list[Any] = []
    for filters in params.filters:
        blocks.append(layers.Conv2D(filters, params.kernel, padding=params.padding, activation="relu"))
        blocks.append(layers.MaxPooling2D(2, padding=params.padding))
    return import_keras().Sequential(
        [
            layers.Input(input_shape),
            *blocks,
            layers.Flatten(),
            layers.Dense(params.dense, activation="relu"),
            layers.Dropout(params.dropout),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def _check_size(params: CnnParams, input_shape: tuple[int, ...]) -> None:
    height, width = input_shape[:2]
    for _ in params.filters if params.padding == "valid" else ():
        height, width = ((side - params.kernel + 1) // 2 for side in (height, width))
        if min(height, width) < 1:
            raise TrainingError(
                f"images of {input_shape[0]}x{input_shape[1]} are too small for {len(params.filters)} blocks "
                f"with kernel {params.kernel}; use fewer `filters`, a smaller `kernel` or `padding: same`"
            )
