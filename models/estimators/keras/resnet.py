"""A small residual network in Keras, for pictures, in colour above all.

Residual blocks with batch normalisation (He et al., "Deep residual learning for image recognition", 2016),
trained with Adam on one cycle of the step length.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, ClassVar

from pydantic import Field

from models.estimators.keras.network import BatchSize, Epochs, KerasNetwork, NetworkParams, Rate, Share
from models.estimators.keras.training import Span, epochs_of, import_keras

Filters = Annotated[int, Field(gt=0, le=1024)]
FIRST_SIDE = 16
"""Pixels of the shorter side that the first block sees at most: larger pictures are halved before it."""
SPAN = Span(least_epochs=20, most_epochs=100, least_steps=1000)
"""How long is learned by default."""
WARMUP = 0.2
"""Share of the steps in which the step length rises."""


class ResnetParams(NetworkParams):
    """Parameters of `keras_resnet`."""

    filters: Annotated[tuple[Filters, ...], Field(min_length=1, max_length=6)] = (32, 64, 128)
    """Filters of each stage; each stage but the first halves height and width."""
    blocks: Annotated[int, Field(gt=0, le=16)] = 1
    """Residual blocks of each stage, of two convolutions each."""
    flip: bool | None = None
    """Whether half of the pictures are mirrored, left to right, while learning. Null: those in colour are."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """How far pictures are moved at random while learning, at most, as a share of height and width."""
    dropout: Share = 0.2
    """Share of the values before the answer silenced at random while learning."""
    epochs: Epochs | None = None
    """Times that all rows are gone through. Absent: 20, of few rows more, up to 100, so that there are 1,000
    steps."""
    batch_size: BatchSize = 64
    """Rows between two steps."""
    learning_rate: Rate = 0.004
    """Step length of Adam at its height: it rises in the first fifth of the steps, then falls to nothing."""
    update_learning_rate: Rate = 0.0003
    """Step length of a warm start."""
    update_batch_size: BatchSize = 8
    """Rows between two steps of a warm start."""


class KerasResnet(KerasNetwork[ResnetParams]):
    """Stages of residual blocks, the mean over the picture, softmax."""

    name: ClassVar[str] = "keras_resnet"
    scheduled: ClassVar[bool] = True
    schema = ResnetParams

    def build(self, input_shape: tuple[int, ...], n_classes: int, *, per_label: bool) -> Any:  # noqa: ARG002
        """A network that has not learned yet, for pictures of shape (height, width, channels)."""
        return build_network(self.params, input_shape, n_classes)

    def epochs(self, rows: int) -> int:
        """As many as are asked for, or as so many rows need."""
        params = self.params
        return epochs_of(rows, params.batch_size, SPAN) if params.epochs is None else params.epochs

    def rate(self, rows: int) -> Any:
        """A step length that rises and falls once."""
        params = self.params
        steps = -(-rows // params.batch_size) * self.epochs(rows)
        rising = max(1, round(WARMUP * steps))
        return import_keras().optimizers.schedules.CosineDecay(
            params.learning_rate / 10, max(1, steps - rising), 0.001, warmup_target=params.learning_rate,
            warmup_steps=rising,
        )  # fmt: skip

    def held_in_update(self) -> AbstractContextManager[None]:
        """What is normalised by stays as it was learned: a few new rows say little of what is usual."""
        return _normalisation_held(self.model)

    def without_draws(self) -> Any:
        """The same weights in a network that neither mirrors nor moves."""
        plain = self.params.model_copy(update={"flip": False, "shift": 0.0})
        answering = build_network(plain, self.model.input_shape[1:], self.model.output_shape[-1])
        answering.set_weights(self.model.get_weights())
        return answering


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
