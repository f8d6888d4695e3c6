"""What a process elsewhere does: make one challenger, report how far it is, stop when nobody waits for it."""

from __future__ import annotations

import shutil
import time
from typing import Any
from uuid import uuid4

from features.pretrained.keeping import vectors_kept
from flows.compute import inside
from flows.compute.columns import unpack_columns
from flows.retrain.training.elsewhere.orders import Made, Order
from flows.retrain.training.fitting import Assignment, make_version
from flows.retrain.training.watching import ReportingWatch


def make_ordered(order: Order, rows: Any, holdout: Any, parent: Any) -> Made:
    """Make a challenger as `flows.retrain.training.fitting` does, of what was sent along alone.

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
    assignment = Assignment(
        order.use_case,
        order.challenger,
        order.lineage,
        order.record,
        directory=directory,
        parent=None if parent is None else inside.folder_of(parent),
        sample_count=order.sample_count,
        checkpoint_dir=order.checkpoint_dir,
    )
    learned, held_out = inside.value_of(rows), unpack_columns(inside.value_of(holdout))
    with vectors_kept(order.home or own, threads=1):
        make_version(assignment, learned, held_out, watch=watch, on_export=lambda: None)
    seconds = time.monotonic() - started
    if order.directory is not None:
        return Made(None, watch.curves, seconds)
    packed = inside.pack_folder(directory)
    shutil.rmtree(directory, ignore_errors=True)
    return Made(packed, watch.curves, seconds)
