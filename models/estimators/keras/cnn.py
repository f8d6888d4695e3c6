"""A convolutional network in Keras, for images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from models.errors import TrainingError
from models.estimators.keras.network import BatchSize, Epochs, KerasNetwork, NetworkParams, Rate, Share
from models.estimators.keras.training import Span, epochs_of, import_keras

SPAN = Span(least_epochs=15, most_epochs=100, least_steps=2500)
"""How long is learned by default."""
DECAY = 0.85
"""Of the step length in each of the least epochs."""


class CnnParams(NetworkParams):
    """Parameters of `keras_cnn`."""

    filters: Annotated[tuple[Annotated[int, Field(gt=0, le=1024)], ...], Field(min_length=1)] = (32, 64)
    """Filters of each block; a block is a convolution and a pooling that halves height and width."""
    kernel: Annotated[int, Field(gt=0, le=31)] = 3
    """Height and width of the convolutions."""
    padding: Literal["valid", "same"] = "same"
    """Whether convolutions lose the border (cheaper with large kernels) or pad it with zeros."""
    dense: Annotated[int, Field(gt=0, le=65_536)] = 128
    """Units of the layer before the answer."""
    dropout: Share = 0.4
    """Share of those units silenced at random while learning."""
    epochs: Epochs | None = None
    """Times that all rows are gone through. Absent: 15, of few rows more, up to 100, so that there are 2,500
    steps."""
    batch_size: BatchSize = 32
    """Rows between two steps."""
    learning_rate: Rate = 0.002
    """Step length of Adam at the start."""
    decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor by which the step length falls in each epoch, gradually. Absent: 0.85; where `epochs` is absent
    too, of few rows less of a fall, so that it comes to the same in the end."""

    @model_validator(mode="before")
    @classmethod
    def _decay_of_given_epochs(cls, given: Any) -> Any:
        """Said here, as it is part of what a checkpoint belongs to: steps of two schedules do not mix."""
        if isinstance(given, Mapping) and given.get("epochs") is not None and given.get("decay") is None:
            return {**given, "decay": DECAY}
        return given


class KerasCnn(KerasNetwork[CnnParams]):
    """Blocks of convolution and pooling, one dense layer with dropout, softmax; trained with Adam."""

    name: ClassVar[str] = "keras_cnn"
    schema = CnnParams

    def build(self, input_shape: tuple[int, ...], n_classes: int, *, per_label: bool) -> Any:  # noqa: ARG002
        """A network that has not learned yet, for pictures of shape (height, width, channels)."""
        params, layers = self.params, import_keras().layers
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

    def epochs(self, rows: int) -> int:
        """As many as are asked for, or as so many rows need."""
        params = self.params
        return epochs_of(rows, params.batch_size, SPAN) if params.epochs is None else params.epochs

    def rate(self, rows: int) -> Any:
        """A step length that falls from epoch to epoch."""
        params = self.params
        decay = DECAY ** (SPAN.least_epochs / self.epochs(rows)) if params.decay is None else params.decay
        batches = -(-rows // params.batch_size)
        return import_keras().optimizers.schedules.ExponentialDecay(params.learning_rate, batches, decay)


def _check_size(params: CnnParams, input_shape: tuple[int, ...]) -> None:
    height, width = input_shape[:2]
    for _ in params.filters if params.padding == "valid" else ():
        height, width = ((side - params.kernel + 1) // 2 for side in (height, width))
        if min(height, width) < 1:
            raise TrainingError(
                f"images of {input_shape[0]}x{input_shape[1]} are too small for {len(params.filters)} blocks "
                f"with kernel {params.kernel}; use fewer `filters`, a smaller `kernel` or `padding: same`"
            )
