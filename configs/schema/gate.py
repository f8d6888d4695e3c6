"""When a challenger replaces production."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.base import Frozen

Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "f1",
    "roc_auc",
    "log_loss",
    "f1_micro",
    "f1_samples",
    "subset_accuracy",
    "hamming_loss",
    "label_ranking_average_precision",
    "coverage_error",
]
SINGLE_LABEL_METRICS = frozenset({"accuracy", "balanced_accuracy", "log_loss", "f1"})


MULTILABEL_METRICS = frozenset(
    {
        "f1_micro",
        "f1_samples",
        "subset_accuracy",
        "hamming_loss",
        "label_ranking_average_precision",
        "coverage_error",
    }
)


class GateConfig(Frozen):
    """When a challenger replaces production."""

    metric: Metric = "accuracy"
    """The metric that decides; its direction is known (`models.gate.metrics`)."""
    min_rows: Annotated[int, Field(gt=1)] = 100
    """Fewer judged rows give the verdict "too little evidence"."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """Level of the paired bootstrap interval of the difference; shared among challengers (Bonferroni)."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """The interval must lie above this gain."""
    forgetting_margin: Annotated[float, Field(ge=0)] | None = 0.01
    """Most that the metric may fall on what the `original` version was judged on; null: only reported."""
    labels_chosen_by: Literal["unknown", "answer"] = "unknown"
    """`answer`: labels, where chosen, are chosen by answer and score alone; they are weighed for it."""
    resamples: Annotated[int, Field(ge=200, le=20_000)] = 2000
    """Bootstrap resamples."""
