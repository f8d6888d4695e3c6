"""Score a version or a checkpoint on rows that it has not learned from; take versions out of the registry."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from configs.schema import UseCase
from configs.security.umask import copy_for_user, user_umask
from configs.settings import Settings
from features.errors import SourceError
from features.files.labelled_rows import read_labelled_file
from features.files.spreadsheets import harmless
from features.pretrained.keeping import vectors_kept
from features.records.contract import Columns, take
from flows.batch.asking import ask_many
from flows.batch.version_lookup import find_vouched
from flows.context import LoopContext, open_context
from flows.retrain.training.checkpoints import noted_snapshot
from models.estimators.labels_and_thresholds import to_truth
from models.gate.class_scores import detail_scores
from models.metrics.catalogue import score
from models.versions.artifact import Manifest, read_manifest
from models.versions.checkpoint_model import load_checkpoint
from models.versions.predictor import Answers, Predictor
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT

ANSWERED = ("row", "label", "answer", "score")
"""Columns of `predictions.csv`, beside which the rows' own ids have one."""


class Answering(Protocol):
    """What can be evaluated."""

    @property
    def positive(self) -> str | None:
        """The class that binary metrics speak of."""
        ...

    def predict(self, columns: Columns) -> Answers:
        """Answers for n checked records."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """How a version or a checkpoint does."""

    use_case: str
    version: int | None
    """None: a checkpoint."""
    checkpoint: str | None
    epoch: int | None
    """The last whole epoch of the checkpoint."""
    source: str
    """`holdout` of its own snapshot, or the file."""
    rows: int
    refused_rows: int
    """Rows of the file that could not be used."""
    metrics: dict[str, float]
    classes: tuple[str, ...]
    class_scores: Mapping[str, Mapping[str, float]]
    """Precision, recall, F1 and number of rows of each class."""
    confusion: list[list[int]] | None
    """True class by row; None where a row has many labels."""

    def as_dict(self) -> dict[str, Any]:
        """The evaluation as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Subject:
    """A version or a checkpoint that can be asked."""

    model: Answering
    digest: str | None
    """Of the snapshot that it was trained on; None where nothing says so."""
    version: int | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    artifact: Path | None = None
    """Folder of a version."""


@dataclass(frozen=True)
class _Rows:
    columns: Columns
    labels: list[str]
    source: str
    refused: int = 0
    id_column: str | None = None
    ids: Sequence[str] = ()
    """One a row where there is such a column."""


def evaluate(
    settings: Settings,
    use_case: str,
    *,
    version: int | None = None,
    checkpoint: Path | None = None,
    data: Path | None = None,
    sample_count: int | None = None,
    output_dir: Path | None = None,
) -> Evaluation:
    """Score a version (default: production) or a checkpoint on labelled rows.

    Args:
        version: number of a version.
        checkpoint: of a training, as a file or its folder.
        data: a labelled file; default: the rows held out when it was trained.
        sample_count: judge on this many of the rows, drawn with the configured seed.
        output_dir: gets `scores.json` and `predictions.csv`, which may be opened in a spreadsheet and has the
            rows' own ids where they have some.

    Raises:
        NoProduction: there is no production, and nothing else was named.
        UnknownVersion: the registry has no such version.
        ArtifactError: the checkpoint cannot be read.
        ArtifactDamaged: the version is not what was registered.
        SourceError: the file cannot be read, or nothing says what was held out.
        SnapshotError: what was held out cannot be had any more.
    """
    context = open_context(use_case, settings)
    subject = _version(settings, use_case, version) if checkpoint is None else _checkpoint(checkpoint)
    rows = _read_file(context, data) if data is not None else _held_out(context, subject.digest)
    rows = _sample(rows, sample_count, context.use_case.training.seed)
    with vectors_kept(settings.home, drives_out=False):
        answers = _ask(context, subject, rows.columns)
    evaluation = _score(context.use_case, subject, rows, answers)
    if output_dir is not None:
        with user_umask():
            _write(output_dir, evaluation, rows, answers)
    return evaluation


def _version(settings: Settings, use_case: str, version: int | None) -> _Subject:
    number, artifact = find_vouched(settings, use_case, version)
    model = Predictor.load(artifact)
    return _Subject(model, model.manifest.lineage.snapshot_digest, version=number, artifact=artifact)


def _ask(context: LoopContext, subject: _Subject, columns: Columns) -> Answers:
    """Of a version by whoever is configured, of a checkpoint here."""
    model = subject.model
    if subject.artifact is None or not isinstance(model, Predictor):
        return model.predict(columns)
    return ask_many(context.settings, context.use_case, model, subject.artifact, columns)


def _checkpoint(path: Path) -> _Subject:
    model = load_checkpoint(path)
    digest = noted_snapshot(path if path.is_dir() else path.parent)
    return _Subject(model, digest, checkpoint=str(path), epoch=model.epoch)


def _score(use_case: UseCase, subject: _Subject, rows: _Rows, answers: Answers) -> Evaluation:
    """What the answers are worth beside the true labels."""
    target, positive = use_case.target, subject.model.positive
    truth = to_truth(target, rows.labels, answers.classes)
    detail = detail_scores(target, rows.labels, answers)
    return Evaluation(
        use_case=use_case.name,
        version=subject.version,
        checkpoint=subject.checkpoint,
        epoch=subject.epoch,
        source=rows.source,
        rows=len(rows.labels),
        refused_rows=rows.refused,
        metrics=score(
            target.task, truth, answers.probabilities, answers.classes, positive, answers.thresholds
        ),
        classes=detail.classes,
        class_scores={name: asdict(one) for name, one in detail.class_scores.items()},
        confusion=None if detail.confusion is None else detail.confusion.tolist(),
    )


def _read_file(context: LoopContext, data: Path) -> _Rows:
    read = read_labelled_file(context.use_case, data)
    if not read.labels:
        unusable = f"; {read.refused} could not be used" if read.refused else ""
        raise SourceError(f"{data}: it has no labelled rows to judge by{unusable}")
    return _Rows(read.columns, read.labels, str(data), read.refused, read.id_column, read.ids)


def _held_out(context: LoopContext, digest: str | None) -> _Rows:
    if digest is None:
        raise SourceError("nothing says which rows were held out; name a file with `--data`")
    with context.connect() as conn:
        frame = open_snapshot(conn, context.use_case, context.settings.home, digest, use=HOLDOUT)
    own = [name[2:] if name.startswith("i:") else "" for name in map(str, frame.identities)]
    id_column = (context.use_case.record.id_column or "id") if any(own) else None
    labels = [str(label) for label in frame.labels]
    return _Rows(frame.columns, labels, "holdout", id_column=id_column, ids=own if id_column else ())


def _sample(rows: _Rows, count: int | None, seed: int) -> _Rows:
    if count is None or count >= len(rows.labels):
        return rows
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows.labels), count, replace=False))
    labels = [rows.labels[row] for row in chosen.tolist()]
    ids = [rows.ids[row] for row in chosen.tolist()] if rows.id_column is not None else ()
    return replace(rows, columns=take(rows.columns, chosen), labels=labels, ids=ids)


def _write(folder: Path, evaluation: Evaluation, rows: _Rows, answers: Answers) -> None:
    """The scores for programs, and each answer beside the truth, with the row's own id where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False)
    (folder / "scores.json").write_text(document + "\n", encoding="utf-8")
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        texts: list[Sequence[str]] = [rows.labels, answers.labels]
        header = list(ANSWERED)
        if rows.id_column is not None:
            texts.insert(0, rows.ids)
            taken = rows.id_column in ANSWERED
            header.insert(1, harmless(f"record_{rows.id_column}" if taken else rows.id_column))
        writer.writerow(header)
        table = zip(*(map(harmless, column) for column in texts), answers.scores, strict=True)
        writer.writerows((row, *values) for row, values in enumerate(table, start=1))


def export(settings: Settings, use_case: str, directory: Path, *, version: int | None = None) -> Manifest:
    """Write the artifact of a version (default: production) to a directory that does not exist yet.

    Raises:
        FileExistsError: it does.
        NoProduction: there is no production, and no version was named.
        ArtifactDamaged: the version is not what was registered.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists; name a directory that does not")
    _, source = find_vouched(settings, use_case, version)
    copy_for_user(source, directory)
    return read_manifest(directory)
