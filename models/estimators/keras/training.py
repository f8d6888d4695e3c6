"""What networks in Keras share: quiet imports, training that can be watched and taken up again, export."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.checkpoints import Checkpoint, Checkpoints
from models.estimators.fit_watch import Watch

PREDICT_ROWS = 512


@dataclass(frozen=True)
class AdamSettings:
    """Hyperparameters of a training."""

    rate: Any
    """Step length of Adam, or a schedule of it."""
    batch_size: int
    epochs: int


@dataclass(frozen=True)
class Span:
    """How long a network learns by default."""

    least_epochs: int
    """However many rows there are."""
    most_epochs: int
    """However few."""
    least_steps: int
    """Between these."""


def epochs_of(rows: int, batch_size: int, span: Span) -> int:
    """Times that so many rows are gone through: of few rows, an epoch is few steps.

    >>> [epochs_of(rows, 32, Span(15, 100, 2500)) for rows in (30, 1347, 6400)]
    [100, 59, 15]
    """
    enough = -(-span.least_steps // max(1, -(-rows // batch_size)))
    return min(span.most_epochs, max(span.least_epochs, enough))


def import_keras() -> Any:
    """Keras on TensorFlow: on the CPU, quiet, and the same numbers for the same seed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with warnings.catch_warnings(), _stderr_silenced() if "tensorflow" not in sys.modules else nullcontext():
        warnings.simplefilter("ignore")
        import keras
        import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Discard what TensorFlow's native code writes to stderr while it loads, which no log level does."""
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)


def compile_for(model: Any, rate: Any, *, per_label: bool) -> None:
    """Ready to train with Adam: on one class a row, or on each label by itself.

    All variables are there before the first step, as TensorFlow traces it a second time where a trace has
    made some: a fit of a small network took twice as long.

    Args:
        rate: step length of Adam, or a schedule of it.
    """
    keras = import_keras()
    loss, metric = (
        ("binary_crossentropy", keras.metrics.BinaryAccuracy())
        if per_label
        else ("sparse_categorical_crossentropy", keras.metrics.SparseCategoricalAccuracy("accuracy"))
    )
    model.compile(keras.optimizers.Adam(rate), loss, metrics=[metric])
    model.optimizer.build(model.trainable_variables)


def train(
    model: Any,
    x: Features,
    y: Targets,
    settings: AdamSettings,
    watch: Watch,
    checkpoints: Checkpoints | None = None,
    seed: int = 0,
) -> None:
    """Train with Adam: on one class a row, or where `y` has two dimensions on each label by itself.

    With checkpoints it goes on after the last whole epoch, each epoch drawing from a seed of its own,
    so that a training taken up again sees the rows in the order it would have seen them.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    keras = import_keras()
    compile_for(model, settings.rate, per_label=y.ndim == 2)
    follow = progress_callback(watch, -(-len(x) // settings.batch_size), settings.epochs)
    if checkpoints is None:
        model.fit(x, y, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0, callbacks=[follow])
        return
    for epoch in range(_resume(model, checkpoints, settings.epochs), settings.epochs):
        keras.utils.set_random_seed(seed + epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(x))
        model.fit(
            x[order],
            y[order],
            batch_size=settings.batch_size,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=[_checkpoint_callback(checkpoints), follow],
        )


def train_and_interpolate(
    model: Any, x: Features, y: Targets, settings: AdamSettings, share: float, watch: Watch
) -> None:
    """Train, then set the weights to `old + share * (new - old)`.

    This forgets less, at little cost to what is learned (Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022): a step of Adam moves even weights on which a single row says little.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    old_weights = model.get_weights()
    train(model, x, y, settings, watch)
    new_weights = model.get_weights()
    model.set_weights([old + share * (new - old) for old, new in zip(old_weights, new_weights, strict=True)])


def restore(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Set a network that has not learned to what a checkpoint holds."""
    for place, variable in enumerate(model.variables):
        variable.assign(arrays[f"v{place}"])


def predict(model: Any, x: Features) -> NDArray[np.float32]:
    """Probabilities, shape (n, outputs)."""
    chunks = [
        np.asarray(model(x[start : start + PREDICT_ROWS], training=False))
        for start in range(0, len(x), PREDICT_ROWS)
    ]
    return np.concatenate(chunks) if chunks else np.zeros((0, model.output_shape[1]), np.float32)


def clone(model: Any) -> Any:
    """A copy whose layers draw (dropout) from the seed set now; those of a loaded network do not."""
    copied = import_keras().models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


def export(model: Any, path: Path) -> None:
    """Write the network as ONNX."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model(np.zeros((1, *model.input_shape[1:]), np.float32))
        model.export(path, format="onnx", verbose=False)


def _resume(model: Any, checkpoints: Checkpoints, epochs: int) -> int:
    """Load the checkpoint into the network and Adam; returns the number of whole epochs done."""
    checkpoint = checkpoints.load(epochs)
    if checkpoint is None:
        return 0
    variables = [*model.variables, *model.optimizer.variables]
    for place, variable in enumerate(variables):
        variable.assign(checkpoint.arrays[f"v{place}"])
    return checkpoint.epoch


def _checkpoint_callback(checkpoints: Checkpoints) -> Any:
    """A Keras callback that leaves a checkpoint after each epoch."""

    class Keep(import_keras().callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            variables = [*self.model.variables, *self.model.optimizer.variables]
            arrays = {f"v{place}": np.asarray(variable) for place, variable in enumerate(variables)}
            checkpoints.save(Checkpoint(epoch + 1, arrays))

    return Keep()


def progress_callback(watch: Watch, batches: int, epochs: int) -> Any:
    """A Keras callback that reports progress to the watch, and stops where it asks for that."""

    class Follow(import_keras().callbacks.Callback):  # type: ignore[misc]
        current_epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.current_epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watch.batch(self.current_epoch, batch + 1, batches, dict(logs or {}))
            if watch.should_stop():
                raise TrainingStopped

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            watch.epoch(epoch + 1, epochs, dict(logs or {}))

    return Follow()
