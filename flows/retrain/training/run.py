"""All challengers of a run: made one after the other here, or side by side by a pool."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from configs.schema import ChallengerConfig
from flows.compute.contract import Pool
from flows.compute.opening import address_of, opened_pool
from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.production import Production
from flows.retrain.training.challenger import NO_RECORD, RunInputs, Trained, train_challenger
from flows.retrain.training.checkpoints import checkpoint_folder, clear_checkpoints
from flows.retrain.training.elsewhere.sending import Taking, train_side_by_side
from flows.retrain.training.plan import Plan, plan_run
from models.errors import ModelError, NoChallenger, TrainingStopped
from models.provenance.code_revision import code_revision
from models.provenance.surroundings import usable_cores
from models.shadows.record import Record
from models.streamed.choosing import learns_over_partitions
from models.versions.artifact import Lineage
from store.snapshots.frames import SplitRows
from store.snapshots.index import Snapshot
from store.snapshots.rows_on_disk import RowsOnDisk

log = logging.getLogger("ratchet.retrain")
T = TypeVar("T")
Attempts = tuple[dict[str, Trained], dict[str, ModelError]]
"""By challenger: those made, and what went wrong with the others."""


def train_all(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    snapshot: Snapshot,
    rows: SplitRows,
    *,
    trigger: str,
    workdir: Path,
    record: Record = NO_RECORD,
    taking: Taking = lambda step: step,
) -> tuple[dict[str, Trained], dict[str, str]]:
    """Train every challenger of the configuration, each from its checkpoint on where there is one.

    They are made one after the other, each by all cores of this machine, unless a pool is configured that
    makes them side by side (`compute`).

    Args:
        taking: how the step of one challenger is called that a pool makes.

    Returns:
        Those made, and for the others why not.

    Raises:
        TrainingStopped: somebody asked for it.
        ModelError: not one could be made.
    """
    use_case = context.use_case
    lineage = _lineage(held, production, snapshot, trigger)
    inputs = RunInputs(use_case, rows, production.learned, lineage, production.artifact, workdir, record)
    if held.options.from_scratch:
        clear_checkpoints(context.settings.home, use_case.name)
    plan = plan_run(use_case, held.kind, held.options, production)
    made, errors = _attempt(context, held, plan, inputs, taking)
    reasons = {name: str(error) for name, error in errors.items()}
    if errors and not any(one.name in made for one in plan.candidates):
        raise NoChallenger(reasons) if len(errors) > 1 else next(iter(errors.values()))
    return made, reasons


def _attempt(context: LoopContext, held: HeldRun, plan: Plan, inputs: RunInputs, taking: Taking) -> Attempts:
    """Those of the plan, here or by the pool that is configured; the plain one only where it has company."""
    home, address = context.settings.home, address_of(context.settings, inputs.use_case)
    if address.scheduler is not None or ((address.processes or 1) > 1 and len(plan.all) > 1):
        with opened_pool(context.settings, inputs.use_case) as pool, _told(held, pool.told) as where:
            made, errors = _train_by_pool(pool, held, plan.all, inputs, home, taking)
    else:
        with _told(held, here()) as where:
            made, errors = _train_in_turn(held, plan.all, inputs, home, beside=plan.plain)
    made = {name: replace(one, compute=where) for name, one in made.items()}
    if plan.plain is not None and not any(one.name in made for one in plan.candidates):
        made.pop(plan.plain.name, None)
        errors.pop(plan.plain.name, None)
    return made, errors


def here() -> str:
    """What is told of challengers that this process makes, one after the other."""
    cores = usable_cores()
    return f"this machine, one after the other on {cores} core{'' if cores == 1 else 's'}"


@contextmanager
def _told(held: HeldRun, where: str) -> Iterator[str]:
    """Have the run tell where challengers are made, while they are."""
    held.compute = where
    log.info("challengers are made by %s", where)
    try:
        yield where
    finally:
        held.compute = None


def _train_by_pool(
    pool: Pool,
    held: HeldRun,
    planned: Sequence[ChallengerConfig],
    inputs: RunInputs,
    home: Path,
    taking: Taking,
) -> Attempts:
    """Those made by a pool side by side, then those that each take the whole cluster."""
    spread = [
        one
        for one in planned
        if pool.client is not None
        and isinstance(inputs.rows.learn, RowsOnDisk)
        and learns_over_partitions(inputs.use_case, one)
    ]
    alone = [one for one in planned if one not in spread]
    made, errors = train_side_by_side(pool, held, alone, inputs, home, taking)
    more, failed = _train_in_turn(held, spread, inputs, home, client=pool.client)
    return _in_order(planned, made | more), _in_order(planned, errors | failed)


def _in_order(planned: Sequence[ChallengerConfig], found: Mapping[str, T]) -> dict[str, T]:
    return {one.name: found[one.name] for one in planned if one.name in found}


def _train_in_turn(
    held: HeldRun,
    planned: Sequence[ChallengerConfig],
    inputs: RunInputs,
    home: Path,
    *,
    beside: ChallengerConfig | None = None,
    client: Any = None,
) -> Attempts:
    """Those made here, one after the other.

    Args:
        home: checkpoints lie there.
        beside: is made only where one before it was.
        client: of a Dask cluster, over whose workers they learn.
    """
    made: dict[str, Trained] = {}
    errors: dict[str, ModelError] = {}
    for challenger in planned:
        if challenger is beside and not made:
            continue
        folder = checkpoint_folder(home, inputs.use_case, challenger)
        try:
            made[challenger.name] = train_challenger(
                challenger, inputs, held, checkpoint_dir=folder, client=client
            )
        except TrainingStopped:
            raise
        except ModelError as error:
            errors[challenger.name] = error
    return made, errors


def _lineage(held: HeldRun, production: Production, snapshot: Snapshot, trigger: str) -> Lineage:
    """Where every version of the run comes from."""
    return Lineage(
        snapshot_digest=snapshot.digest,
        parent_version=production.number,
        trigger=trigger,
        run_id=str(held.run_id),
        code_revision=code_revision(),
    )
