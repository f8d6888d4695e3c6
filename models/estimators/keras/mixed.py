"""A network in Keras for records of texts, dates, numbers and categories (`kind: mixed`), or tables.

The encoder counts words in buckets; the first layer sums an embedding of each.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from models.errors import TrainingError
from models.estimators.keras.network import BatchSize, Epochs, KerasNetwork, NetworkParams, Rate, Share
from models.estimators.keras.training import import_keras


class MixedParams(NetworkParams):
    """Parameters of `keras_mixed`."""

    embedding: Annotated[int, Field(gt=0, le=4096)] = 64
    """Units of the first layer: the length of the embedding of a word."""
    dense: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Units of the layer before the answer."""
    dropout: Share = 0.3
    """Share of the units of each layer silenced at random while learning."""
    penalty: Annotated[float, Field(ge=0, le=1)] = 1e-5
    """How strongly the weights of the first layer are drawn towards 0 (L2)."""
    epochs: Epochs = 10
    """Times that all rows are gone through."""
    batch_size: BatchSize = 32
    """Rows between two steps."""
    learning_rate: Rate = 0.002
    """Step length of Adam."""
    update_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """How far a warm start goes from the weights before to those learned; the less, the less is forgotten."""


class KerasMixed(KerasNetwork[MixedParams]):
    """Two dense layers with dropout; softmax over classes, or a probability of its own for each label."""

    name: ClassVar[str] = "keras_mixed"
    multilabel: ClassVar[bool] = True
    schema = MixedParams

    def build(self, input_shape: tuple[int, ...], n_classes: int, *, per_label: bool) -> Any:
        """A network that has not learned yet, for rows of numbers."""
        if len(input_shape) != 1:
            raise TrainingError(
                "keras_mixed learns from rows of numbers: use it with `kind: mixed` or tabular"
            )
        keras, params = import_keras(), self.params
        layers = keras.layers
        penalty = keras.regularizers.L2(params.penalty) if params.penalty else None
        return keras.Sequential(
            [
                layers.Input(input_shape),
                layers.Dense(params.embedding, activation="relu", kernel_regularizer=penalty),
                layers.Dropout(params.dropout),
                layers.Dense(params.dense, activation="relu"),
                layers.Dropout(params.dropout),
                layers.Dense(n_classes, activation="sigmoid" if per_label else "softmax"),
            ]
        )

    def epochs(self, rows: int) -> int:  # noqa: ARG002
        """As many as are asked for."""
        return self.params.epochs

    def rate(self, rows: int) -> float:  # noqa: ARG002
        """The same step length throughout."""
        return self.params.learning_rate
