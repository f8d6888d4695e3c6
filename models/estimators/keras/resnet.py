"""A small residual network in Keras, for pictures, in colour above all.

Residual blocks with batch normalisation (He et al., "Deep residual learning for image recognition", 2016),
trained with Adam on one cycle of the step length. TensorFlow is imported when a network is first built, never
when this module is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

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

Filters = Annotated[int, Field(gt=0, le=1024)]
NATIVE_FILE = "model.keras"
FIRST_SIDE = 16
"""Pixels of the shorter side that the first block sees at most: larger pictures are halved before it."""
WARMUP = 0.2
"""Share of the steps in which the step length rises."""


class ResnetParams(Params):
    """Parameters of `keras_resnet`."""

    filters: Annotated[tuple[Filters, ...], Field(min_length=1, max_length=6)] = (32, 64, 128)
    """Filters of each stage; each stage but the first halves height and width."""
    blocks: Annotated[int, Field(gt=0, le=16)] = 1
    """Residual blocks of each stage, of two convolutions each."""
    flip: bool | None = None
    """Whether half of the pictures are mirrored, left to right, while learning. Null: those in colour are."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """How far pictures are moved at random while learning, at most, as a share of height and width."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the values before the answer silenced at random while learning."""
    epochs: Annotated[int, Field(gt=0, le=10_000)] = 20
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 64
    """Rows between two steps."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.004
    """Step length of Adam at its height: it rises in the first fifth of the steps, then falls to nothing."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.0003
    """Step length of a warm start."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 8
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""
    update_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How far a warm start goes from the weights before to those learned; the less, the less is forgotten."""


class KerasResnet:
    """Stages of residual blocks, the mean over the picture, softmax."""

    name: ClassVar[str] = "keras_resnet"
    scheduled: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, ResnetParams, params)
        self.model: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, height, width, channels)."""
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
        steps = -(-rows // params.batch_size) * params.epochs
        rising = max(1, round(WARMUP * steps))
        rate = import_keras().optimizers.schedules.CosineDecay(
            params.learning_rate / 10, max(1, steps - rising), 0.001, warmup_target=params.learning_rate,
            warmup_steps=rising,
        )  # fmt: skip
        return AdamSettings(rate, params.batch_size, params.epochs)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with a fresh Adam at `update_learning_rate`.

        What is normalised by stays as it was learned: a few new rows say little of what is usual.
        """
        import_keras().utils.set_random_seed(seed)
        self.model = clone(self.model)
        params = self.params
        settings = AdamSettings(params.update_learning_rate, params.update_batch_size, params.update_epochs)
        with _normalisation_held(self.model):
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
        """Write the network as ONNX, without what draws while learning, for which ONNX has no words."""
        plain = self.params.model_copy(update={"flip": False, "shift": 0.0})
        answering = build_network(plain, self.model.input_shape[1:], self.model.output_shape[-1])
        answering.set_weights(self.model.get_weights())
        export(answering, path)


def build_network(params: ResnetParams, input_shape: tuple[int, ...], n_classes: int) -> Any:
    """A network that has not learned yet."""
    keras = import_keras()
    layers = keras.layers
    first = layers.Input(input_shape)
    x = _augmented(params, first)
    side = min(input_shape[:2])
    x = _convolution(x, params.filters[0], 1)
    while side > FIRST_SIDE:
        x = layers.MaxPooling2D(2, padding="same")(x)
        side = -(-side // 2)
        if side > FIRST_SIDE:
            x = _convolution(x, params.filters[0], 1)
    for stage, filters in enumerate(params.filters):
        for block in range(params.blocks):
            x = _block(x, filters, 2 if stage and not block else 1)
    x = layers.Dropout(params.dropout)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(first, layers.Dense(n_classes, activation="softmax")(x))


def _augmented(params: ResnetParams, x: Any) -> Any:
    """Mirrored and moved while learning, and at no other time."""
    layers = import_keras().layers
    if params.flip if params.flip is not None else x.shape[-1] == 3:
        x = layers.RandomFlip("horizontal")(x)
    if params.shift:
        x = layers.RandomTranslation(
            params.shift, params.shift, fill_mode="nearest", interpolation="nearest"
        )(x)
    return x


def _convolution(x: Any, filters: int, strides: int, *, kernel: int = 3, activated: bool = True) -> Any:
    layers = import_keras().layers
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x) if activated else x


def _block(x: Any, filters: int, strides: int) -> Any:
    layers = import_keras().layers
    inner = _convolution(_convolution(x, filters, strides), filters, 1, activated=False)
    if strides > 1 or x.shape[-1] != filters:
        x = _convolution(x, filters, strides, kernel=1, activated=False)
    return layers.ReLU()(layers.Add()([x, inner]))


@contextmanager
def _normalisation_held(model: Any) -> Iterator[None]:
    kind = import_keras().layers.BatchNormalization
    held = [layer for layer in model.layers if isinstance(layer, kind)]
    for layer in held:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in held:
            layer.trainable = True
