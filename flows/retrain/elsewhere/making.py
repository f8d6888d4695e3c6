"""What a process elsewhere does: make one challenger, report how far it is, stop when nobody waits for it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from features.pretrained.keeping import vectors_kept
from flows.compute import inside
from flows.compute.columns import unpack_columns
from flows.retrain.elsewhere.orders import Made, Order
from flows.retrain.training import make_version


class ReportingWatch:
    """Tells who ordered a fit how far it is, and stops it when they are gone (a `Watch`)."""

    MIN_SECONDS = 0.5

    def __init__(self, report: Callable[..., None], is_unwanted: Callable[[], bool]) -> None:
        self.curves: list[tuple[int, dict[str, float]]] = []
        self._report = report
        self._is_unwanted = is_unwanted
        self._reported_at = 0.0

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """After each batch, at most twice a second."""
        if time.monotonic() - self._reported_at >= self.MIN_SECONDS:
            self._reported_at = time.monotonic()
            self._say(epoch=epoch, batch=batch, batches=batches, **metrics)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """After each epoch; what arrives here becomes the learning curve."""
        self.curves.append((epoch, {name: float(value) for name, value in metrics.items()}))
        self._say(epoch=epoch, epochs=epochs, **metrics)

    def should_stop(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._is_unwanted()

    def _say(self, **details: Any) -> None:
        # JSON has no infinite loss, nor one that is no number; nor has it numpy's numbers.
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in details.items()}
        self._report(**{name: value for name, value in plain.items() if math.isfinite(value)})


def make_ordered(order: Order, rows: Any, holdout: Any, parent: Any) -> Made:
    """Make a challenger as `flows.retrain.training` does, of what was sent along alone.

    Args:
        rows, holdout, parent: shared, see `Sent`.

    Raises:
        TrainingStopped: nobody waits for it any more.
        ModelError: it cannot be made.
    """
    own = inside.own_folder()
    watch = ReportingWatch(inside.reporter(order.topic), inside.unwanted_check())
    directory = order.directory or own / f"made-{uuid4()}"
    shutil.rmtree(directory, ignore_errors=True)  # of a process that was lost
    started = time.monotonic()
    with vectors_kept(order.home or own, threads=1):
        make_version(
            order.use_case,
            inside.value_of(rows),
            order.challenger,
            unpack_columns(inside.value_of(holdout)),
            watch=watch,
            on_export=lambda: None,
            directory=directory,
            lineage=order.lineage,
            parent=None if parent is None else inside.folder_of(parent),
            sample_count=order.sample_count,
            record=order.record,
            checkpoint_dir=order.checkpoint_dir,
        )
    seconds = time.monotonic() - started
    if order.directory is not None:
        return Made(None, watch.curves, seconds)
    packed = inside.pack_folder(directory)
    shutil.rmtree(directory, ignore_errors=True)
    return Made(packed, watch.curves, seconds)
