"""Checks before a fit, and the notes that it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, TargetConfig, UseCase
from configs.schema.features import STANDARD
from configs.spelling.near_names import meant
from features.encoders.contract import Encoder
from features.encoders.tabular import CUT
from features.records.contract import Columns
from features.records.error_messages import describe, one_of
from models.errors import CannotUpdate, TrainingError
from models.estimators.arrays import Targets
from models.estimators.contract import Estimator, Fitted, knows_categories
from models.versions.artifact import Manifest

MOST_OF_CLASS = 0.1
"""Share of a class's rows that is taken for absurd."""


def check_parent(
    use_case: UseCase,
    challenger: ChallengerConfig,
    origin: UseCase,
    manifest: Manifest,
    labels: Sequence[str],
) -> None:
    """Refuse a warm start from a version that is not of this configuration, or lacks a class.

    A challenger without a model of its own goes on from whichever of those configured made production.

    Raises:
        CannotUpdate: saying what differs.
    """
    estimators = [use_case.model.estimator]
    if challenger.model is None:
        own = (one.model.estimator for one in use_case.training.challengers if one.model is not None)
        estimators = list(dict.fromkeys([*estimators, *own]))
    if manifest.estimator not in estimators:
        raise CannotUpdate(f"it is a {manifest.estimator}, the configuration says {' or '.join(estimators)}")
    if origin.record.fields != use_case.record.fields:
        raise CannotUpdate("its record fields are not those of the configuration")
    if manifest.task != use_case.target.task:
        raise CannotUpdate(f"its task is {manifest.task}, the configuration says {use_case.target.task}")
    if manifest.kind != use_case.kind:
        raise CannotUpdate(f"its kind is {manifest.kind}, the configuration says {use_case.kind}")
    if origin.features.encoder != use_case.features.encoder:
        came, asked = origin.features.encoder, use_case.features.encoder
        raise CannotUpdate(f"its encoder is {came}, the configuration says {asked}")
    if manifest.task == "multilabel":
        return
    if unknown := sorted(set(labels) - set(manifest.classes)):
        raise CannotUpdate(f"it does not know the class '{unknown[0]}'")


def check_estimator(use_case: UseCase, estimator: Estimator) -> None:
    """Refuse an estimator that cannot learn what the target asks for.

    Raises:
        TrainingError: naming those that can.
    """
    if use_case.target.task == "multilabel" and not getattr(estimator, "multilabel", False):
        raise TrainingError(
            f"model.estimator: {estimator.name} gives one label a row; for multilabel targets use "
            "linear_text, keras_mixed, catboost_mixed or sklearn"
        )


def with_encoding(use_case: UseCase, estimator: Estimator) -> UseCase:
    """The use case with `features.tabular.encoding` decided for an estimator.

    Raises:
        TrainingError: an encoding is configured that the estimator does not know.
    """
    tabular = use_case.features.tabular
    if (problem := encoding_problem(use_case, estimator)) is not None:
        raise TrainingError(problem)
    encoding = _known_encodings(use_case, estimator)[0] if tabular.encoding == "auto" else tabular.encoding
    decided = tabular.model_copy(update={"encoding": encoding})
    features = use_case.features.model_copy(update={"tabular": decided})
    return use_case.model_copy(update={"features": features})


def encoding_problem(use_case: UseCase, estimator: Estimator) -> str | None:
    """Why the configured encoding cannot be, if so."""
    encoding = use_case.features.tabular.encoding
    known = _known_encodings(use_case, estimator)
    if encoding in ("auto", *known):
        return None
    if use_case.features.encoder != STANDARD:
        return (
            f"features.tabular.encoding: got {encoding} beside an encoder of your own, which makes the "
            "numbers; allowed: auto, one_hot"
        )
    if use_case.kind != "tabular":
        return (
            f"features.tabular.encoding: got {encoding} for kind {use_case.kind}; allowed: for kind tabular"
        )
    lacks = "neither missing values nor categories" if encoding == "native" else "no places of categories"
    return (
        f"features.tabular.encoding: got {encoding}, and this {estimator.name} knows {lacks}; "
        f"allowed: {', '.join(['auto', *known])}"
    )


def _known_encodings(use_case: UseCase, estimator: Estimator) -> tuple[str, ...]:
    """Encodings that it can learn from, the best first."""
    as_they_are = use_case.kind == "tabular" and use_case.features.encoder == STANDARD
    if as_they_are and knows_categories(estimator):
        return ("native", "one_hot")
    if as_they_are and getattr(estimator, "many_valued", False):
        return ("places", "one_hot")
    return ("one_hot",)


def check_classes(use_case: UseCase, targets: Targets, classes: tuple[str, ...]) -> None:
    """Refuse training rows that hold too few classes, or for a binary target too many.

    Raises:
        TrainingError: saying how many there are.
    """
    if use_case.target.task == "multilabel":
        if not classes or not targets.any():
            least = use_case.target.min_label_rows
            raise TrainingError(f"no label has the {least} training rows of target.min_label_rows")
        return
    check_class_count(use_case, len(np.unique(targets)), classes)


def check_class_count(use_case: UseCase, present: int, classes: tuple[str, ...]) -> None:
    """Refuse rows of which so few classes are present, or for a binary target too many, or other ones.

    Raises:
        TrainingError: saying how many there are, or that `target.positive` is none of them.
    """
    if present < 2:
        raise TrainingError(f"the training rows hold {present} class; at least 2 are needed")
    if use_case.target.task == "binary" and len(classes) != 2:
        raise TrainingError(
            f"a binary target has 2 classes, the training rows hold {len(classes)}: {', '.join(classes[:5])}"
        )
    positive = use_case.target.positive_of(classes)
    if positive is not None and positive not in classes:
        raise TrainingError(
            f"target.positive: got {describe(positive)}, which is the label of no training row"
            f"{meant(positive, classes)}; allowed: {one_of(classes)}"
        )


def notes_of_thresholds(target: TargetConfig, classes: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each label of `target.thresholds` that is not learned: its threshold is of no use."""
    return tuple(
        f"target.thresholds names {describe(label)}, which is not learned{meant(label, classes)}: "
        f"no training row has it, or fewer than target.min_label_rows ({target.min_label_rows})"
        for label in target.thresholds_of(classes)
        if label not in classes
    )


ABSURD = "rows with values that cannot be meant"
LEFT_OUT = "{} {} were left out of the fit"
_LEFT_OUT = re.compile(re.escape(LEFT_OUT).replace(r"\{\}", "{}").format(r"(\d+)", re.escape(ABSURD)))
_CUT = re.compile(re.escape(CUT).replace(r"\{\}", "{}").format(".*", r"(\d+)"), re.DOTALL)


@dataclass(frozen=True)
class FitRows:
    """Which of n training rows a model learns from, and why the others are left out."""

    chosen: NDArray[np.bool_]
    """Shape (n,)."""
    outliers: int
    absurd: int

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each reason."""
        reasons = {
            "rows with outliers": self.outliers,
            ABSURD: self.absurd,
        }
        return tuple(LEFT_OUT.format(rows, what) for what, rows in reasons.items() if rows)


def choose_fit_rows(encoder: Encoder, columns: Columns, targets: Targets | None = None) -> FitRows:
    """The rows to learn from: a single row far beyond all others turns what is linear.

    Where such rows are more than a tenth of a class, being far away is what tells the class: they stay.

    Args:
        targets: of n rows, shape (n,), or (n, labels); None: they are too few to show what tells a class, as
            those of a warm start are.
    """
    inliers = encoder.fit_rows(columns)
    absurd = ~encoder.believed_rows(columns) & inliers
    if targets is not None:
        absurd &= ~_tells_class(absurd, targets)
    return FitRows(inliers & ~absurd, int((~inliers).sum()), int(absurd.sum()))


def _tells_class(absurd: NDArray[np.bool_], targets: Targets) -> NDArray[np.bool_]:
    """Rows of a class of which more than a tenth is absurd."""
    members = targets.astype(np.bool_) if targets.ndim == 2 else targets[:, np.newaxis] == np.unique(targets)
    told = (members & absurd[:, np.newaxis]).sum(axis=0) > MOST_OF_CLASS * members.sum(axis=0)
    rows: NDArray[np.bool_] = (members & told).any(axis=1)
    return rows


def fit_notes(
    fit_rows: FitRows, encoder_notes: Sequence[str], estimator: Fitted, classes: Sequence[str]
) -> tuple[str, ...]:
    """What the fit decided by itself, with classes by name where the estimator knows numbers only."""
    notes = list(fit_rows.notes)
    notes += encoder_notes
    notes += [
        re.sub(r"class number (\d+)", lambda match: f"class '{classes[int(match[1])]}'", note)
        for note in estimator.notes
    ]
    return tuple(notes)


def count_beyond(notes: Iterable[str]) -> dict[str, int]:
    """Of the notes of a version: training rows `left_out` of its fit as absurd, and values that were `cut`.

    >>> count_beyond(["3 rows with values that cannot be meant were left out of the fit", "something else"])
    {'left_out': 3, 'cut': 0}
    """
    found = {"left_out": 0, "cut": 0}
    for note in notes:
        if left_out := _LEFT_OUT.fullmatch(note):
            found["left_out"] += int(left_out[1])
        elif cut := _CUT.fullmatch(note):
            found["cut"] += int(cut[1])
    return found
