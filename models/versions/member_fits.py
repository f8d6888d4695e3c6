"""The fits of a challenger: one model, or the members of a blend, each of the rows of its window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import MemberConfig, UseCase
from models.errors import TrainingError, TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.blend import Member, make_blend, share_out
from models.estimators.catalogue import make_estimator
from models.estimators.contract import Estimator, Fitted, KnowsCategories
from models.estimators.fit_watch import RememberingWatch, StopOnlyWatch, Watch
from models.estimators.labels_and_thresholds import choose_thresholds
from models.versions.fit_failures import ANSWERED_ROWS, LEARN, ensure_answers, naming_estimator


class LearnableRows(Protocol):
    """Encoded rows to learn from, in memory or not."""

    @property
    def first_rows(self) -> Features:
        """Some of them, the first."""
        ...

    @property
    def one_class(self) -> bool:
        """Whether each row has one class; else it may have several labels."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def count_classes(self) -> int:
        """How many classes have rows."""
        ...

    def younger_than(self, end: float) -> Self:
        """Those of fewer retrains ago."""
        ...

    def teach(self, estimator: Estimator, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Have an estimator learn them.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        ...


@dataclass(frozen=True)
class TrainingRows:
    """Encoded rows to learn from, in memory."""

    x: Features
    y: Targets
    ages: NDArray[np.int64]
    """Shape (n,): 0 for rows of the newest retrain, 1 for those of the one before it, ..."""

    @property
    def first_rows(self) -> Features:
        """Some of them, the first."""
        return self.x[:ANSWERED_ROWS]

    @property
    def one_class(self) -> bool:
        """Whether each row has one class; else it may have several labels."""
        return self.y.ndim == 1

    def __len__(self) -> int:
        return len(self.x)

    def count_classes(self) -> int:
        """How many classes have rows."""
        return int(self.y.any(axis=0).sum()) if self.y.ndim == 2 else len(np.unique(self.y))

    def younger_than(self, end: float) -> TrainingRows:
        """Those of fewer retrains ago."""
        return self.take(self.ages < end)

    def teach(self, estimator: Estimator, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Have an estimator learn them."""
        estimator.fit(self.x, self.y, n_classes=n_classes, seed=seed, watch=watch)

    def take(self, chosen: NDArray[np.bool_]) -> TrainingRows:
        """The chosen ones, in their order."""
        return TrainingRows(self.x[chosen], self.y[chosen], self.ages[chosen])


@dataclass(frozen=True)
class Recipe:
    """How each member is made."""

    estimator: str
    params: Mapping[str, Any]
    n_classes: int
    seed: int
    categories: Mapping[int, int] = field(default_factory=dict)
    """Columns that hold places of categories, and how many there are of each."""

    def fit(self, rows: LearnableRows, watch: Watch) -> Estimator:
        """An estimator that has learned these rows."""
        estimator = make_estimator(self.estimator, self.params)
        tell_categories(estimator, self.categories)
        rows.teach(estimator, n_classes=self.n_classes, seed=self.seed, watch=watch)
        return estimator


def tell_categories(estimator: Estimator, categories: Mapping[int, int]) -> None:
    """Say which columns hold categories, where there are any: only one that knows them gets such rows."""
    if categories:
        assert isinstance(estimator, KnowsCategories)
        estimator.take_categories(categories)


@dataclass(frozen=True)
class FittedMembers:
    """Members that could be made, and why others could not."""

    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> Fitted:
        """What answers: a blend, or the one estimator that there is."""
        return make_blend(self.members) if len(self.members) > 1 else self.members[0].estimator


def fit_members(
    configs: Sequence[MemberConfig],
    first: Estimator,
    recipe: Recipe,
    rows: LearnableRows,
    watch: RememberingWatch,
    *,
    min_rows: int,
    weights: Mapping[str, float] | None,
) -> FittedMembers:
    """Fit the members besides the first, and give each its weight.

    Args:
        configs: all members; the first has no window.
        first: the first one, which has learned all rows.
        recipe: how the others are made.
        rows: all rows.
        watch: asked whether to stop, not told of progress.
        min_rows: a member with fewer rows is left out.
        weights: name of the member to weight; see `share_out`.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    made = [Member(configs[0].name, 1, len(rows), first)]
    notes = []
    for config in configs[1:]:
        own = rows.younger_than(_end_of(config.window))
        try:
            _check_rows(own, made, min_rows)
            estimator = _fit_one(recipe, own, watch)
        except TrainingStopped:
            raise
        except TrainingError as error:
            notes.append(f"member {config.name} left out: {error}")
        else:
            made.append(Member(config.name, 0, len(own), estimator, config.window))
    shares = share_out([member.name for member in made], weights)
    weighed = [replace(member, weight=share) for member, share in zip(made, shares, strict=True)]
    return FittedMembers(tuple(weighed), tuple(notes))


def fit_thresholds(
    use_case: UseCase,
    fitted: FittedMembers,
    recipe: Recipe,
    rows: TrainingRows,
    classes: Sequence[str],
    watch: Watch,
) -> dict[str, float]:
    """Label to threshold: as configured, else the best on out-of-fold answers to the training rows."""
    target = use_case.target
    if target.task != "multilabel":
        return {}
    configured = target.thresholds_of(classes)
    if set(classes) <= set(configured):
        return {label: configured[label] for label in classes}
    parts = np.random.default_rng(recipe.seed).permutation(len(rows)) % use_case.training.validation
    out_of_fold = np.zeros(rows.y.shape, dtype=np.float32)
    for member in fitted.members:
        if member.weight > 0:
            out_of_fold += np.float32(member.weight) * _cross_fit(member, recipe, rows, parts, watch)
    best = dict(zip(classes, choose_thresholds(out_of_fold, rows.y).astype(float).tolist(), strict=True))
    return {label: configured.get(label, best[label]) for label in classes}


def _fit_one(recipe: Recipe, rows: LearnableRows, watch: RememberingWatch) -> Estimator:
    with naming_estimator(recipe.estimator, LEARN, watch):
        estimator = recipe.fit(rows, StopOnlyWatch(watch))
    ensure_answers(estimator, rows.first_rows, classes=recipe.n_classes, one_class=rows.one_class)
    return estimator


def _check_rows(rows: LearnableRows, made: Sequence[Member], min_rows: int) -> None:
    """Refuse rows that are too few, or that a member has learned already: windows are nested.

    Raises:
        TrainingError: saying why.
    """
    if twin := next((member.name for member in made if member.rows == len(rows)), None):
        raise TrainingError(f"its {len(rows)} rows are those of {twin}")
    if len(rows) < min_rows:
        raise TrainingError(f"its {len(rows)} rows are fewer than training.min_rows {min_rows}")
    classes = rows.count_classes()
    if classes < 2:
        raise TrainingError(f"its {len(rows)} rows hold {classes} class; at least 2 are needed")


def _cross_fit(
    member: Member, recipe: Recipe, rows: TrainingRows, parts: NDArray[np.int64], watch: Watch
) -> NDArray[np.float32]:
    """What a member says of all rows: of its own, each part is answered by a model of the other parts."""
    own = rows.ages < _end_of(member.window)
    answers = np.zeros(rows.y.shape, dtype=np.float32)
    answers[~own] = member.estimator.predict_proba(rows.x[~own])
    for part in np.unique(parts):
        asked, others = own & (parts == part), own & (parts != part)
        if asked.any() and others.any():
            model = recipe.fit(rows.take(others), StopOnlyWatch(watch))
            answers[asked] = model.predict_proba(rows.x[asked])
    return answers


def _end_of(window: int | None) -> float:
    """Rows of a window are younger than this many retrains."""
    return np.inf if window is None else window
