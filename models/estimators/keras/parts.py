"""Networks in Keras that learn from rows of which a few parts at a time are in hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from models.estimators.arrays import EncodedRows, Features, Targets
from models.estimators.fit_watch import Watch
from models.estimators.keras.training import AdamSettings, compile_for, import_keras, progress_callback

MIXED = 256_000_000
"""Bytes of the rows that are mixed with each other; at least two parts are."""
AHEAD = 4
"""Batches that are made while a step is taken."""


def train_in_parts(model: Any, rows: EncodedRows, settings: AdamSettings, watch: Watch, seed: int) -> None:
    """Train with Adam, on one class a row.

    In each epoch the parts come in another order, and rows are mixed with those of the parts beside them.
    Rows come in the order of time, so a batch is of all times as far as parts are.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    keras = import_keras()
    import tensorflow

    compile_for(model, settings.rate, per_label=False)
    signature = (
        tensorflow.TensorSpec((None, *rows.row_shape), tensorflow.float32),
        tensorflow.TensorSpec((None,), tensorflow.int64),
    )
    steps = -(-len(rows) // settings.batch_size)
    follow = progress_callback(watch, steps, settings.epochs)
    for epoch in range(settings.epochs):
        keras.utils.set_random_seed(seed + epoch)
        data = tensorflow.data.Dataset.from_generator(
            lambda epoch=epoch: batches_of(rows, settings.batch_size, seed, epoch),
            output_signature=signature,
        )
        model.fit(
            data.apply(tensorflow.data.experimental.assert_cardinality(steps)).prefetch(AHEAD),
            shuffle=False,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=[follow],
        )


def batches_of(
    rows: EncodedRows, batch_size: int, seed: int, epoch: int
) -> Iterator[tuple[Features, Targets]]:
    """All rows once, in batches, in an order that is the same for the same seed and epoch."""
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(rows.parts)
    x, y = np.zeros((0, *rows.row_shape), np.float32), np.zeros(0, np.int64)
    beside = 2 if not rows.parts else max(2, MIXED // max(1, rows.part(0)[0].nbytes))
    for start in range(0, len(order), beside):
        held = [(x, y), *(rows.part(int(place)) for place in order[start : start + beside])]
        x, y = np.concatenate([part[0] for part in held]), np.concatenate([part[1] for part in held])
        mixed = random.permutation(len(y))
        whole = len(y) // batch_size * batch_size
        for first in range(0, whole, batch_size):
            chosen = mixed[first : first + batch_size]
            yield x[chosen], y[chosen]
        x, y = x[mixed[whole:]], y[mixed[whole:]]
    if len(y):
        yield x, y
