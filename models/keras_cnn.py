"""A convolutional network in Keras, for images.

TensorFlow is imported when a network is first built, never when this module is.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingError, TrainingStopped
from models.estimator import Features, Params, Targets, Watch, read_params

PREDICT_ROWS = 512
NATIVE_FILE = "model.keras"


class CnnParams(Params):
    """Parameters of `keras_cnn`."""

    filters: Annotated[tuple[Annotated[int, Field(gt=0, le=1024)], ...], Field(min_length=1)] = (32, 64)
    """Filters of each block; a block is a convolution and a pooling that halves height and width."""
    kernel: Annotated[int, Field(gt=0, le=31)] = 5
    """Height and width of the convolutions."""
    padding: Literal["valid", "same"] = "valid"
    """Whether convolutions lose the border (cheaper) or pad it with zeros (for small images)."""
    dense: Annotated[int, Field(gt=0, le=65_536)] = 128
    """Units of the layer before the answer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of those units silenced at random while learning."""
    epochs: Annotated[int, Field(gt=0, le=10_000)] = 10
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two steps."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.002
    """Step length of Adam at the start."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Factor by which the step length falls in each epoch, gradually."""
    update_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Step length of a warm start."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 1
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""


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
        params = self.params
        self.model = build_network(params, x.shape[1:], n_classes)
        batches = -(-len(x) // params.batch_size)
        rate = keras.optimizers.schedules.ExponentialDecay(params.learning_rate, batches, params.decay)
        _train(self.model, x, y, rate, params.batch_size, params.epochs, watch)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with a fresh Adam at `update_learning_rate`."""
        keras = import_keras()
        keras.utils.set_random_seed(seed)
        # A loaded dropout layer has a seed of its own, from the hour of loading; a clone takes ours.
        weights = self.model.get_weights()
        self.model = keras.models.clone_model(self.model)
        self.model.set_weights(weights)
        params = self.params
        rate = params.update_learning_rate
        _train(self.model, x, y, rate, params.update_batch_size, params.update_epochs, watch)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        chunks = [
            np.asarray(self.model(x[start : start + PREDICT_ROWS], training=False))
            for start in range(0, len(x), PREDICT_ROWS)
        ]
        return np.concatenate(chunks) if chunks else np.zeros((0, self.model.output_shape[1]), np.float32)

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model(np.zeros((1, *self.model.input_shape[1:]), np.float32))
            self.model.export(path, format="onnx", verbose=False)


def import_keras() -> Any:
    """Keras on TensorFlow: on the CPU, quiet, and the same numbers for the same seed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with warnings.catch_warnings(), _still() if "tensorflow" not in sys.modules else nullcontext():
        warnings.simplefilter("ignore")
        import keras
        import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def _still() -> Iterator[None]:
    """Keep TensorFlow's native code from talking while it loads, which no log level does."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


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


def _train(
    model: Any, x: Features, y: Targets, rate: Any, batch_size: int, epochs: int, watch: Watch
) -> None:
    keras = import_keras()
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    follow = _follow(watch, -(-len(x) // batch_size), epochs)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[follow])


def _follow(watch: Watch, batches: int, epochs: int) -> Any:
    """A Keras callback that passes on to the watch and does nothing else."""

    class Follow(import_keras().callbacks.Callback):  # type: ignore[misc]
        now = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.now = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watch.batch(self.now, batch + 1, batches, dict(logs or {}))
            if watch.should_stop():
                raise TrainingStopped

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            watch.epoch(epoch + 1, epochs, dict(logs or {}))

    return Follow()
