"""From rows in batches to a model that has learned, as `models.versions.fitting` makes it of all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, MemberConfig, UseCase
from features.encoders.batched.learning import learn_encoder
from features.encoders.contract import Encoder
from features.records.contract import take
from features.records.rows import RowSource
from models.errors import TrainingError
from models.estimators.arrays import Features, Targets, part_rows
from models.estimators.contract import Estimator, Partitioned, Streaming
from models.estimators.fit_watch import RememberingWatch, Watch
from models.estimators.labels_and_thresholds import class_indices, learnable_classes
from models.shadows.periods import ages_of
from models.streamed.believed import BelievedRows, believed_rows
from models.streamed.sources import newest
from models.streamed.spool import SpooledRows
from models.versions.fit_checks import check_class_count, fit_notes, with_encoding
from models.versions.fit_failures import ANSWERED_ROWS, LEARN, ensure_answers, naming_estimator
from models.versions.fitting import FittedModel, estimator_of
from models.versions.member_fits import Recipe, fit_members, tell_categories


@dataclass(frozen=True)
class SpooledToLearn:
    """Encoded rows on disk, as the members of a blend learn them."""

    rows: SpooledRows
    client: Any
    """Of a cluster, for those that can learn there; None: there is none."""

    @property
    def first_rows(self) -> Features:
        """Some of them, the first."""
        return self.rows.part(0)[0][:ANSWERED_ROWS]

    @property
    def one_class(self) -> bool:
        """Each row has one class."""
        return True

    def __len__(self) -> int:
        return len(self.rows)

    def count_classes(self) -> int:
        """How many classes have rows."""
        found = [np.unique(self.rows.part(place)[1]) for place in range(self.rows.parts)]
        return len(np.unique(np.concatenate(found))) if found else 0

    def younger_than(self, end: float) -> SpooledToLearn:
        """Those of fewer retrains ago."""
        return SpooledToLearn(self.rows.younger_than(end), self.client)

    def teach(self, estimator: Estimator, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Have an estimator learn them, on the cluster where there is one and it can."""
        if self.client is not None and isinstance(estimator, Partitioned):
            estimator.fit_partitions(self.rows, self.client, n_classes=n_classes, seed=seed, watch=watch)
            return
        assert isinstance(estimator, Streaming)
        estimator.fit_batches(self.rows, n_classes=n_classes, seed=seed, watch=watch)


def fit_streamed(
    use_case: UseCase,
    rows: RowSource,
    *,
    challenger: ChallengerConfig,
    watch: Watch,
    folder: Path,
    period_ends: Sequence[int] = (),
    weights: Mapping[str, float] | None = None,
    client: Any = None,
) -> FittedModel:
    """Make one challenger from training rows in batches, by an estimator that is `Streaming`.

    Args:
        use_case: its configuration, for one label a row.
        rows: checked training rows, the oldest first; held-out rows must not be among them.
        challenger: what to make, from nothing.
        watch: told of progress.
        folder: on a disk with room for the encoded rows while the fit lasts.
        period_ends: arrivals of the last rows of earlier retrains, rising, for the windows of members.
        weights: name of a member to its weight in the blend; see `fit_challenger`.
        client: of a Dask cluster, on which an estimator that is `Partitioned` learns.

    Raises:
        TrainingError: the rows do not hold two classes, or a label that is not allowed.
        TrainingStopped: the watch asked for it.
    """
    use_case = use_case.for_challenger(challenger)
    rows = newest(rows, challenger.window)
    first, params = estimator_of(use_case, challenger)
    classes = _classes_of(use_case, rows)
    watch = RememberingWatch(watch)
    with naming_estimator(first.name, LEARN, watch):
        encoder = learn_encoder(with_encoding(use_case, first), rows)
        categories = getattr(encoder, "category_columns", {})
        recipe = Recipe(first.name, params, len(classes), use_case.training.seed, categories)
        tell_categories(first, categories)
        believed = believed_rows(encoder, rows, lambda labels: _targets(labels, classes), len(classes))
        check_class_count(use_case, int((believed.classes > 0).sum()), classes)
    with SpooledRows(folder, encoder.input_shape) as spooled:
        to_learn = SpooledToLearn(spooled, client)
        with naming_estimator(first.name, LEARN, watch):
            spooled.fill(_encoded(rows, encoder, believed, classes, period_ends))
            to_learn.teach(first, n_classes=len(classes), seed=recipe.seed, watch=watch)
        ensure_answers(first, to_learn.first_rows, classes=len(classes), one_class=True)
        members = fit_members(
            challenger.members or (MemberConfig(name=challenger.name),),
            first,
            recipe,
            to_learn,
            watch,
            min_rows=use_case.training.min_rows,
            weights=weights,
        )
        count = len(spooled)
    notes = fit_notes(believed.counted, encoder.notes, members.model, classes)
    return FittedModel(
        challenger.name,
        "full",
        encoder,
        members.model,
        classes,
        params,
        recipe.seed,
        count,
        (*notes, *members.notes),
    )


def _classes_of(use_case: UseCase, rows: RowSource) -> tuple[str, ...]:
    """The configured classes, or those of the rows."""
    if use_case.target.task == "multilabel":
        raise TrainingError("rows with several labels are learned all at once, not in batches")
    if use_case.target.classes:
        return use_case.target.classes
    counts: Counter[str] = Counter()
    for batch in rows:
        counts.update(batch.labels.tolist())
    return learnable_classes(use_case.target, list(counts))


def _targets(labels: NDArray[np.object_], classes: Sequence[str]) -> Targets:
    return class_indices(labels.tolist(), classes)


def _encoded(
    rows: RowSource,
    encoder: Encoder,
    believed: BelievedRows,
    classes: Sequence[str],
    period_ends: Sequence[int],
) -> Iterator[tuple[Features, Targets, NDArray[np.int64]]]:
    """Numbers, class and age of each row that is learned from, at most a part at a time."""
    step = part_rows(encoder.input_shape)
    for batch in rows:
        targets = _targets(batch.labels, classes)
        chosen = np.flatnonzero(believed.choose(batch.columns, targets))
        ages = ages_of(batch.seq, period_ends)
        for start in range(0, len(chosen), step):
            places = chosen[start : start + step]
            yield encoder.encode(take(batch.columns, places)), targets[places], ages[places]
