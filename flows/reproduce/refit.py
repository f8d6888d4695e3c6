"""The fit of a version once more: the same rows, parent and settings, by the code of a retrain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.rows import RowSource
from flows.context import LoopContext
from flows.reproduce.origin import Origin, fetch_version
from flows.retrain.lineage import learned_snapshots
from flows.retrain.training.checkpoints import checkpoint_folder
from flows.retrain.training.fitting import fit_rows
from flows.retrain.training.rows import rows_to_learn
from models.errors import NotReproducible, UnknownVersion
from models.estimators.fit_watch import SilentWatch, Watch
from models.production.tags import lineage_tags
from models.provenance.fit_inputs import digest_rows
from models.versions.artifact import artifact_digest, read_manifest
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from store.errors import SnapshotError
from store.snapshots.files import load_snapshot
from store.snapshots.frames import Frame
from store.snapshots.index import find_snapshot, read_contents
from store.snapshots.learned import NOTHING_LEARNED, Learned
from store.snapshots.restoring import read_split, snapshot_rows
from store.snapshots.uses import TRAIN

OnProgress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Materials:
    """What a fit is given again."""

    rows: RowSource
    """Those of the snapshot that the fit is handed."""
    holdout: Frame
    """Those of it that were held out."""
    parent: Path | None
    """The version that a warm start continues from."""
    supposed: tuple[str, ...] = ()
    """What could not be had as it was, and what is taken for it."""


class FitProgress(SilentWatch):
    """Tells whoever watches how far the fit is, and ends it once somebody has pressed Ctrl-C."""

    def __init__(self, on_progress: OnProgress, stop: threading.Event) -> None:
        self._on_progress = on_progress
        self._stop = stop

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """After each epoch."""
        self._on_progress({"step": "train", "epoch": epoch, "epochs": epochs, **metrics})

    def should_stop(self) -> bool:
        """Whether somebody has."""
        return self._stop.is_set()


def gather(context: LoopContext, conn: psycopg.Connection[Any], origin: Origin, folder: Path) -> Materials:
    """The rows and the parent that the version was made from; nothing is written but to `folder`.

    Raises:
        SnapshotError: its rows cannot be had any more.
        NotReproducible: nothing says which rows it learned from, its parent is gone, or rows are others now.
    """
    digest, inputs = origin.manifest.lineage.snapshot_digest, origin.inputs
    if digest is None:
        raise NotReproducible("nothing says which rows it learned from: no retrain made it")
    split = read_split(conn, origin.use_case, context.settings.home, digest, folder)
    parent, learned = None, NOTHING_LEARNED
    supposed: list[str] = []
    if origin.manifest.fit == "warm":
        parent = _parent(context, conn, origin, folder)
        learned, supposed = _learned(context, conn, parent, split.learn)
    wanted = (origin.use_case, split.learn, origin.challenger, learned, inputs.sample_count)
    rows = rows_to_learn(*wanted)
    if inputs.rows_digest is not None and digest_rows(rows.seq) != inputs.rows_digest:
        rows = rows_to_learn(*wanted, windowed=False)
    if inputs.rows_digest is not None and digest_rows(rows.seq) != inputs.rows_digest:
        reason = f"its fit was handed {inputs.rows} rows, and the record leads to {len(rows)} that are others"
        raise NotReproducible("; ".join([reason, *supposed]))
    return Materials(rows, split.holdout, parent, tuple(supposed))


def refit(origin: Origin, materials: Materials, folder: Path, watch: Watch) -> Predictor:
    """Fit, write and load, as a retrain does, in a folder that is the caller's to remove.

    Raises:
        ModelError: it cannot be made here.
    """
    manifest, challenger = origin.manifest, origin.challenger
    fitted = fit_rows(
        origin.use_case,
        materials.rows,
        challenger,
        origin.inputs,
        watch=watch,
        parent=materials.parent,
        # Epochs that leave checkpoints draw their rows otherwise than those that do not.
        checkpoint_dir=checkpoint_folder(folder, origin.use_case, challenger),
    )
    directory = folder / "made_again"
    write_artifact(
        directory,
        fitted,
        origin.use_case,
        materials.holdout.columns,
        lineage=manifest.lineage,
        created_at=manifest.created_at,
        inputs=origin.inputs,
    )
    return Predictor.load(directory)


def _parent(context: LoopContext, conn: psycopg.Connection[Any], origin: Origin, folder: Path) -> Path:
    number = origin.manifest.lineage.parent_version
    if number is None:
        raise NotReproducible("it is a warm start, and nothing says from which version it continued")
    told = f"version {number}, from which it continued,"
    try:
        parent = fetch_version(context, conn, number, folder)
    except UnknownVersion as error:
        raise NotReproducible(f"{told} is gone: MLflow has it no more, and no copy is kept here") from error
    if origin.inputs.parent_digest not in (None, artifact_digest(parent)):
        raise NotReproducible(f"{told} is not the one any more that had this number then")
    return parent


def _learned(
    context: LoopContext, conn: psycopg.Connection[Any], parent: Path, learn: RowSource
) -> tuple[Learned, list[str]]:
    """Rows that the parent had learned from, through all warm starts, and what is supposed of them."""
    arrivals, supposed = [NOTHING_LEARNED.arrivals], []
    tags = lineage_tags(read_manifest(parent))
    for digest in learned_snapshots(conn, context.registry, context.use_case.name, tags):
        seq = _train_seq(conn, context.use_case, context.settings.home, digest)
        if seq is None:
            last = find_snapshot(conn, digest).last_seq
            seq = learn.seq[learn.seq <= last]
            supposed.append(
                f"snapshot {digest[:12]} that its parents learned from was pruned: all rows that had come by "
                "then are taken for learned"
            )
        arrivals.append(seq)
    return Learned(arrivals=np.unique(np.concatenate(arrivals))), supposed


def _train_seq(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, digest: str
) -> NDArray[np.int64] | None:
    """Arrivals of the training rows of a snapshot; None where nothing is left of it."""
    snapshot = find_snapshot(conn, digest)
    contents = read_contents(conn, digest)
    if contents is not None:
        seq, split = contents
        chosen: NDArray[np.int64] = seq[split == TRAIN]
        return chosen
    try:
        if snapshot.rule is not None:
            return snapshot_rows(conn, use_case, home, snapshot).numbers(use=TRAIN)
        return load_snapshot(snapshot.path).train.seq
    except SnapshotError:
        return None
