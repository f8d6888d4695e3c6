"""How many labels a split holds out and leaves to learn from, before it is made."""

from __future__ import annotations

import math

from configs.schema import HoldoutConfig, TrainingConfig, UseCase


def holdout_now(use_case: UseCase, *, has_production: bool) -> HoldoutConfig:
    """What is held out: against production at least `gate.min_rows`, or no verdict could ever be reached."""
    holdout = use_case.training.holdout
    if not has_production or holdout.min_rows >= use_case.gate.min_rows:
        return holdout
    return holdout.model_copy(update={"min_rows": use_case.gate.min_rows})


def held_out_by_time(config: HoldoutConfig, total: int, new: int) -> int:
    """Rows that `by: time` holds out, of `total` rows of which `new` came since production's snapshot."""
    count = min(max(round(config.fraction * new), config.min_rows), config.max_rows)
    return min(count, total // 2)


def rows_to_learn_from(config: HoldoutConfig, total: int, new: int) -> int:
    """Rows that a split leaves to learn from; `by: hash`: those expected, as each record is drawn."""
    if config.by == "hash":
        return math.floor(total * (1 - config.fraction))
    return total - held_out_by_time(config, total, new)


def first_model_labels(use_case: UseCase) -> int | None:
    """Labels that a first model takes; None: a retrain reads them from where the configuration says."""
    if use_case.data.dataset is not None or use_case.data.path is not None:
        return None
    return labels_lacking(use_case.training, 0, 0)


def labels_lacking(training: TrainingConfig, total: int, new: int) -> int:
    """The least number of more labels with which `training.min_rows` are left to learn from; 0: they are."""

    def is_enough(more: int) -> bool:
        return rows_to_learn_from(training.holdout, total + more, new + more) >= training.min_rows

    if is_enough(0):
        return 0
    short, enough = 0, 1
    while not is_enough(enough):
        short, enough = enough, enough * 2
    while enough - short > 1:  # more labels never leave fewer to learn from
        middle = (short + enough) // 2
        short, enough = (short, middle) if is_enough(middle) else (middle, enough)
    return enough
