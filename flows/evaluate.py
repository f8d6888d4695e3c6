"""Score a version on rows that it has not learned from, and take it out of the registry."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from configs.settings import Settings
from features.files import read_labelled
from features.snapshot_rows import find_snapshot
from features.snapshots import load_snapshot
from flows.context import LoopContext, open_context
from models.artifact import Manifest, read_manifest
from models.errors import NoProduction
from models.fitting import class_indices
from models.metrics import confusion, score
from models.predictor import Predictor
from models.registry import SNAPSHOT_TAG


@dataclass(frozen=True)
class Evaluation:
    """How a version does."""

    use_case: str
    version: int
    source: str
    """`holdout` of its own snapshot, or the file."""
    rows: int
    refused_rows: int
    """Rows of the file that could not be used."""
    metrics: dict[str, float]
    classes: tuple[str, ...]
    confusion: list[list[int]]

    def as_dict(self) -> dict[str, Any]:
        """The evaluation as plain values, for JSON."""
        return asdict(self)


def evaluate(
    settings: Settings, use_case: str, *, version: int | None = None, data: Path | None = None
) -> Evaluation:
    """Score a version (default: production) on a labelled file (default: its own held-out rows).

    Raises:
        NoProduction: there is no production, and no version was named.
        UnknownVersion: the registry has no such version.
    """
    context = open_context(use_case, settings)
    number = version if version is not None else production_version(context)
    predictor = Predictor.load(context.registry.download(use_case, number, context.model_cache))
    refused = 0
    if data is None:
        digest = context.registry.version(use_case, number).tags[SNAPSHOT_TAG]
        with context.connect() as conn:
            rows = load_snapshot(find_snapshot(conn, digest).path).holdout
        columns, labels, source = rows.columns, [str(label) for label in rows.labels], "holdout"
    else:
        columns, labels, refused = read_labelled(context.use_case, data)
        source = str(data)
    answers = predictor.predict(columns)
    target = context.use_case.target
    truth = class_indices(labels, predictor.classes)
    positive = predictor.manifest.positive
    metrics = score(target.task, truth, answers.probabilities, predictor.classes, positive)
    classes, counts = confusion(labels, answers.labels, predictor.classes)
    return Evaluation(
        use_case=use_case,
        version=number,
        source=source,
        rows=len(labels),
        refused_rows=refused,
        metrics=metrics,
        classes=tuple(classes),
        confusion=counts.tolist(),
    )


def export(settings: Settings, use_case: str, directory: Path, *, version: int | None = None) -> Manifest:
    """Write the artifact of a version (default: production) to a directory that does not exist yet.

    Raises:
        FileExistsError: it does.
        NoProduction: there is no production, and no version was named.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists; name a directory that does not")
    context = open_context(use_case, settings)
    number = version if version is not None else production_version(context)
    source = context.registry.download(use_case, number, context.model_cache)
    shutil.copytree(source, directory)
    return read_manifest(directory)


def production_version(context: LoopContext) -> int:
    """Number of the version that is production.

    Raises:
        NoProduction: there is none.
    """
    number = context.registry.alias_version(context.use_case.name, "production")
    if number is None:
        raise NoProduction(context.use_case.name)
    return number
