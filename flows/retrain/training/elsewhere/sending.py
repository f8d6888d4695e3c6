"""Challengers of one run made side by side by a pool: sent, followed, stopped with the run, taken up here."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import ChallengerConfig
from features.records.contract import Columns
from flows.compute.columns import pack_columns
from flows.compute.contract import Pool
from flows.compute.inside import unpack_folder
from flows.retrain.held_run import HeldRun
from flows.retrain.training.challenger import RunInputs, Trained, take_up
from flows.retrain.training.checkpoints import checkpoint_folder
from flows.retrain.training.elsewhere.making import make_ordered
from flows.retrain.training.elsewhere.orders import Made, Order, Sent, pack_rows
from flows.retrain.training.rows import rows_to_learn
from models.errors import CannotUpdate, ModelError, TrainingStopped
from store.snapshots.rows_on_disk import RowsOnDisk

LOOK_SECONDS = 0.5
"""Between two looks whether the run is to stop."""
Taking = Callable[[Callable[..., Any]], Callable[..., Any]]
"""The step as it is to be called, as `flows.retrain.sequence.Conduct` has it."""


def train_side_by_side(
    pool: Pool,
    held: HeldRun,
    planned: Sequence[ChallengerConfig],
    inputs: RunInputs,
    home: Path,
    taking: Taking = lambda step: step,
) -> tuple[dict[str, Trained], dict[str, ModelError]]:
    """Have challengers made by a pool.

    Args:
        home: where checkpoints and vectors of texts are kept, for what is made on this machine.
        taking: makes a Prefect task of the step that waits for one, so that each is seen.

    Returns:
        Those made, and what went wrong with the others.

    Raises:
        TrainingStopped: somebody asked for it; what was begun elsewhere is given up.
        ComputeError: the pool cannot do it.
    """
    orders, errors = _orders(pool, held, planned, inputs, home)
    holdout = inputs.rows.holdout.columns
    step = taking(train_elsewhere)
    made: dict[str, Trained] = {}
    with ThreadPoolExecutor(max(1, len(orders))) as threads:
        waiting = {
            # Each in a copy of this context, by which Prefect knows whose task it is.
            name: threads.submit(
                contextvars.copy_context().run, step, name, pool, held, order, sent, holdout, inputs.workdir
            )
            for name, (order, sent) in orders.items()
        }
        for name, future in waiting.items():
            try:
                made[name] = future.result()
            except TrainingStopped:
                raise
            except ModelError as error:
                errors[name] = error
            except BaseException:
                pool.close()  # those that wait for the others are told, as the run fails with this one
                raise
    return made, errors


def train_elsewhere(
    challenger: str,
    pool: Pool,
    held: HeldRun,
    order: Order,
    sent: Sent,
    holdout: Columns,
    workdir: Path,
) -> Trained:
    """Have one challenger made by a pool, and load and try it here.

    Raises:
        TrainingStopped: the run is to stop; nobody waits for the challenger any more.
        ModelError: it cannot be made, or does not answer here.
        ComputeError: the pool cannot do it.
    """
    held.ensure_running()
    pool.listen(order.topic, lambda told: held.say("train", challenger=challenger, **told))
    promised: Future[Made] = pool.submit(make_ordered, order, sent.rows, sent.holdout, sent.parent)
    while True:
        try:
            made = promised.result(LOOK_SECONDS)
            break
        except NotYet:
            if held.should_stop():
                promised.cancel()
                held.ensure_running()
    directory = workdir / challenger
    if made.packed is not None:
        unpack_folder(made.packed, directory)
    return take_up(challenger, directory, holdout, made.curve, made.seconds)


def _orders(
    pool: Pool, held: HeldRun, planned: Sequence[ChallengerConfig], inputs: RunInputs, home: Path
) -> tuple[dict[str, tuple[Order, Sent]], dict[str, ModelError]]:
    """What is sent for each challenger, where most learn from the same rows; and what cannot be ordered."""
    use_case, split, here = inputs.use_case, inputs.rows, pool.is_here
    holdout = pool.share(pack_columns(split.holdout.columns))
    parent = None if inputs.parent is None else pool.share_folder(inputs.parent)
    count = held.options.sample_count
    shared: dict[bytes, Any] = {}
    orders: dict[str, tuple[Order, Sent]] = {}
    errors: dict[str, ModelError] = {}
    for challenger in planned:
        try:
            rows = rows_to_learn(use_case, split.learn, challenger, inputs.learned, count)
        except CannotUpdate as error:
            errors[challenger.name] = error
            continue
        key = np.ascontiguousarray(rows.seq).tobytes()
        if key not in shared:
            read_there = here and isinstance(split.learn, RowsOnDisk)
            shared[key] = pool.share(rows if read_there else pack_rows(rows))
        order = Order(
            use_case,
            challenger,
            count,
            inputs.record,
            inputs.lineage,
            topic=f"{held.run_id}.{challenger.name}",
            home=home if here else None,
            directory=inputs.workdir / challenger.name if here else None,
            checkpoint_dir=checkpoint_folder(home, use_case, challenger) if here else None,
        )
        orders[challenger.name] = order, Sent(shared[key], holdout, parent)
    return orders, errors
