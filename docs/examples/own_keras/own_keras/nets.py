"""Two dense layers in Keras, which write themselves as ONNX: servers need no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from models.errors import TrainingStopped  # Ratchet's
from models.estimators.contract import Params, read_params

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import tensorflow

FILE = "weights.npz"


class TableNetParams(Params):
    """Parameters of `own_keras`; those not named here are refused, with the nearest name."""

    hidden: int = 32
    """Units of the hidden layer."""
    epochs: int = 15
    """Times that all rows are gone through."""
    learning_rate: float = 0.01
    """Length of a step."""
    batch_size: int = 64
    """Rows between two steps."""


class TableNet:
    """A network for encoded tables, rows of numbers (n, features); with one label a row, or many."""

    kinds: ClassVar[tuple[str, ...]] = ("tabular", "mixed")
    multilabel: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params("own_keras", TableNetParams, params)
        self.net: Any = None

    def fit(self, x: Any, y: Any, *, n_classes: int, seed: int, watch: Any) -> None:
        """Learn from nothing; `y` are class numbers, or zeros and ones (n, n_classes)."""
        tensorflow.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(seed)
        per_label = y.ndim == 2
        self.net = self._make(x.shape[1], n_classes, "sigmoid" if per_label else "softmax")
        loss = "binary_crossentropy" if per_label else "sparse_categorical_crossentropy"
        self.net.compile(keras.optimizers.Adam(self.params.learning_rate), loss)
        epochs, size = self.params.epochs, self.params.batch_size
        self.net.fit(x, y, batch_size=size, epochs=epochs, verbose=0, callbacks=[_Following(watch, epochs)])

    def predict_proba(self, x: Any) -> Any:
        """Probabilities, shape (n, n_classes)."""
        return np.asarray(self.net(np.asarray(x), training=False))

    def save(self, directory: Path) -> None:
        """Write plain arrays."""
        answers = np.array(self.net.layers[-1].activation.__name__)
        weights = {f"w{place}": value for place, value in enumerate(self.net.get_weights())}
        np.savez(directory / FILE, answers=answers, **weights)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The network that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / FILE, allow_pickle=False) as file:
            weights = [file[f"w{place}"] for place in range(4)]
            answers = str(file["answers"])
        loaded.net = loaded._make(len(weights[0]), len(weights[3]), answers)
        loaded.net.set_weights(weights)
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write a graph with one input (n, features) and one output (n, n_classes)."""
        self.net(np.zeros((1, *self.net.input_shape[1:]), np.float32))
        self.net.export(path, format="onnx", verbose=False)

    def _make(self, features: int, classes: int, answers: str) -> Any:
        layers = keras.layers
        hidden = layers.Dense(self.params.hidden, activation="relu")
        return keras.Sequential(
            [layers.Input((features,)), hidden, layers.Dense(classes, activation=answers)]
        )


class _Following(keras.callbacks.Callback):
    """Tells the watch of each epoch, and asks it after each batch whether to stop."""

    def __init__(self, watch: Any, epochs: int) -> None:
        super().__init__()
        self.watch = watch
        self.epochs = epochs

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.watch.should_stop():
            raise TrainingStopped

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.watch.epoch(epoch + 1, self.epochs, dict(logs or {}))
