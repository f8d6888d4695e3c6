"""From training rows to a model that has learned: from nothing, from a checkpoint, or from production on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, MemberConfig, UseCase
from configs.times.durations import read_duration
from features.encoders.contract import Encoder, fit_encoder
from features.records.contract import Columns, take
from models.errors import CannotUpdate
from models.estimators.catalogue import make_estimator
from models.estimators.checkpoints import open_checkpoints
from models.estimators.contract import Estimator, Fitted, Params, Resumable, Updatable, can_update
from models.estimators.fit_watch import RememberingWatch, Watch
from models.estimators.labels_and_thresholds import learnable_classes, to_truth
from models.metrics.class_weights import with_suiting
from models.versions.artifact import read_encoder, read_manifest, read_use_case
from models.versions.checkpoint_model import describe_fit
from models.versions.fit_checks import (
    check_classes,
    check_estimator,
    check_parent,
    choose_fit_rows,
    fit_notes,
    notes_of_thresholds,
    with_encoding,
)
from models.versions.fit_failures import LEARN, ensure_answers, naming_estimator
from models.versions.member_fits import (
    Recipe,
    TrainingRows,
    fit_members,
    fit_thresholds,
    tell_categories,
)
from models.versions.members import load_native


@dataclass(frozen=True)
class FittedModel:
    """An encoder and an estimator that have learned."""

    challenger: str
    fit: Literal["full", "warm"]
    encoder: Encoder
    estimator: Fitted
    """A blend where it has members; without any that could be made besides the first, that one itself."""
    classes: tuple[str, ...]
    params: dict[str, Any]
    seed: int
    rows: int
    """Training rows that the estimator learned from."""
    notes: tuple[str, ...]
    """What the fit decided by itself."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Label to the probability from which it is given (multilabel)."""


def fit_challenger(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    *,
    challenger: ChallengerConfig,
    watch: Watch,
    parent: Path | None = None,
    checkpoint_dir: Path | None = None,
    ages: NDArray[np.int64] | None = None,
    weights: Mapping[str, float] | None = None,
    times: NDArray[np.datetime64] | None = None,
) -> FittedModel:
    """Make one challenger from training rows, oldest first.

    Args:
        use_case: its configuration.
        columns: checked training rows; held-out rows must not be among them.
        labels: their labels.
        challenger: what to make; its `window` takes the newest rows.
        watch: told of progress.
        parent: production's artifact, which a challenger with `fit: warm` continues from.
        checkpoint_dir: a folder of this use case and challenger; a full fit leaves a checkpoint there after
            each epoch, and goes on from one of the same rows, parameters and seed (estimators that are
            `Resumable`; others begin anew). An empty folder means from nothing. Of a blend, the first
            member's.
        ages: of each row, how many retrains ago it was new, for the windows of a challenger's members; 0:
            it is new in this one; None: all are.
        weights: name of a member to its weight in the blend, in any scale; None, or nothing of the members
            that there are: all on the first.
        times: of each row, for a window that is a length of time.

    Raises:
        CannotUpdate: `fit: warm` without a production that fits.
        TrainingError: the rows do not hold two classes, or a label that is not allowed.
        TrainingStopped: the watch asked for it.
    """
    use_case = use_case.for_challenger(challenger)
    if challenger.window is not None:
        newest = newest_places(challenger.window, len(labels), times)
        columns = take(columns, newest)
        labels = [labels[place] for place in newest.tolist()]
        ages = ages if ages is None else ages[newest]
    if challenger.fit == "warm":
        return _fit_warm(use_case, columns, labels, challenger, watch, parent)
    return _fit_full(use_case, columns, labels, challenger, watch, checkpoint_dir, ages, weights)


def newest_places(window: int | str, rows: int, times: NDArray[np.datetime64] | None) -> NDArray[np.intp]:
    """Places of the newest rows: so many, or those of the time up to the newest of them."""
    places = np.arange(rows)
    if isinstance(window, int):
        return places[-window:]
    if times is None:
        raise ValueError(f"the window {window} is a length of time, and the rows have none")
    return places[times > np.max(times) - np.timedelta64(read_duration(window))] if rows else places


def _fit_full(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challenger: ChallengerConfig,
    watch: Watch,
    checkpoint_dir: Path | None,
    ages: NDArray[np.int64] | None,
    weights: Mapping[str, float] | None,
) -> FittedModel:
    first, params = estimator_of(use_case, challenger)
    classes = use_case.target.classes or learnable_classes(use_case.target, labels)
    targets = to_truth(use_case.target, labels, classes)
    ages = np.zeros(len(labels), dtype=np.int64) if ages is None else ages
    watch = RememberingWatch(watch)
    with naming_estimator(first.name, LEARN, watch):
        encoder = fit_encoder(with_encoding(use_case, first), columns)
        categories = getattr(encoder, "category_columns", {})
        recipe = Recipe(first.name, params, len(classes), use_case.training.seed, categories)
        tell_categories(first, categories)
        fit_rows = choose_fit_rows(encoder, columns, targets)
        chosen = fit_rows.chosen
        check_classes(use_case, targets[chosen], classes)
        rows = TrainingRows(encoder.encode(take(columns, chosen)), targets[chosen], ages[chosen])
        _fit_first(use_case, first, recipe, rows, encoder, classes, watch, checkpoint_dir)
    one_class = use_case.target.task != "multilabel"
    ensure_answers(first, rows.x, classes=len(classes), one_class=one_class)
    members = fit_members(
        challenger.members or (MemberConfig(name=challenger.name),),
        first,
        recipe,
        rows,
        watch,
        min_rows=use_case.training.min_rows,
        weights=weights,
    )
    with naming_estimator(first.name, LEARN, watch):
        thresholds = fit_thresholds(use_case, members, recipe, rows, classes, watch)
    return FittedModel(
        challenger.name,
        "full",
        encoder,
        members.model,
        classes,
        params,
        recipe.seed,
        len(rows),
        (
            *fit_notes(fit_rows, encoder.notes, members.model, classes),
            *members.notes,
            *notes_of_thresholds(use_case.target, classes),
        ),
        thresholds,
    )


def estimator_of(use_case: UseCase, challenger: ChallengerConfig) -> tuple[Estimator, dict[str, Any]]:
    """The estimator that has not learned, with its parameters: the challenger's own before the use case's."""
    params = with_suiting(
        {**use_case.model.params, **challenger.params},
        estimator=use_case.model.estimator,
        task=use_case.target.task,
        metric=use_case.gate.metric,
    )
    estimator = make_estimator(use_case.model.estimator, params)
    check_estimator(use_case, estimator)
    return estimator, params


def _fit_first(
    use_case: UseCase,
    estimator: Estimator,
    recipe: Recipe,
    rows: TrainingRows,
    encoder: Encoder,
    classes: tuple[str, ...],
    watch: Watch,
    checkpoint_dir: Path | None,
) -> None:
    """Fit the estimator of all rows, from its checkpoint on where one is kept."""
    x, y, seed = rows.x, rows.y, recipe.seed
    if checkpoint_dir is None or not isinstance(estimator, Resumable):
        estimator.fit(x, y, n_classes=recipe.n_classes, seed=seed, watch=watch)
        return
    params = _resolved(estimator, recipe.params)
    scheduled = getattr(estimator, "scheduled", False)
    checkpoints = open_checkpoints(checkpoint_dir, recipe.estimator, params, seed, x, y, scheduled=scheduled)
    describe_fit(
        checkpoint_dir,
        use_case,
        encoder,
        classes=classes,
        estimator=recipe.estimator,
        params=params,
        checkpoints=checkpoints,
    )
    estimator.fit_from(x, y, n_classes=recipe.n_classes, seed=seed, watch=watch, checkpoints=checkpoints)


def _resolved(estimator: Estimator, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters with those that have defaults, which another release may have otherwise."""
    params = getattr(estimator, "params", None)
    return params.model_dump(mode="json") if isinstance(params, Params) else given


def _fit_warm(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challenger: ChallengerConfig,
    watch: Watch,
    parent: Path | None,
) -> FittedModel:
    if parent is None:
        raise CannotUpdate("there is none yet")
    parent_manifest = read_manifest(parent)
    check_parent(use_case, challenger, read_use_case(parent), parent_manifest, labels)
    params = {**parent_manifest.params, **challenger.params}
    estimator = load_native(parent, parent_manifest, params)
    if not can_update(estimator):
        raise CannotUpdate(f"estimator {parent_manifest.estimator} has no update")
    assert isinstance(estimator, Updatable)
    encoder = read_encoder(parent, parent_manifest.kind)
    targets = to_truth(use_case.target, labels, parent_manifest.classes)
    fit_rows = choose_fit_rows(encoder, columns)
    if not fit_rows.chosen.any():
        raise CannotUpdate("all rows are outliers, or hold values that cannot be meant, and are left out")
    seed = use_case.training.seed
    x, y = encoder.encode(take(columns, fit_rows.chosen)), targets[fit_rows.chosen]
    watch = RememberingWatch(watch)
    with naming_estimator(estimator.name, LEARN, watch):
        estimator.update(x, y, seed=seed, watch=watch)
    one_class = parent_manifest.task != "multilabel"
    ensure_answers(estimator, x, classes=len(parent_manifest.classes), one_class=one_class)
    notes = fit_notes(fit_rows, (), estimator, parent_manifest.classes)  # the encoder's are of older rows
    return FittedModel(
        challenger.name,
        "warm",
        encoder,
        estimator,
        parent_manifest.classes,
        params,
        seed,
        len(x),
        notes,
        parent_manifest.thresholds,
    )
