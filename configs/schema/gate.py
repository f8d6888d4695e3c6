"""When a challenger replaces production, and when that is taken back."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from configs.schema.base import Frozen
from configs.schema.target import Task
from configs.spelling.near_names import meant

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
BINARY_METRICS = frozenset({"f1"})
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


def metrics_for(task: Task) -> tuple[str, ...]:
    """Metrics that can judge answers of a task."""
    if task == "multilabel":
        refused = SINGLE_LABEL_METRICS
    else:
        refused = MULTILABEL_METRICS | (frozenset() if task == "binary" else BINARY_METRICS)
    return tuple(name for name in get_args(Metric) if name not in refused)


def describe_metrics(came: str, task: Task) -> str:
    """What to say of a metric that is none, or is for answers of another task."""
    names = metrics_for(task)
    return f"got '{came:.80}'; allowed for {task} targets: {', '.join(names)}{meant(came, names)}"


class ShadowsConfig(Frozen):
    """How challengers that did not serve go on being scored, and when what they gained promotes the next."""

    keep: Annotated[int, Field(ge=0, le=50)] = 8
    """Challengers kept of each name, of as many retrains; 0: none, and the held-out rows alone decide."""
    periods: Annotated[int, Field(gt=0)] = 4
    """Newest periods that tell what age costs."""
    errors: Annotated[float, Field(ge=0)] = 2.0
    """Standard errors by which a gain is taken to be smaller than it was seen."""
    cost: Annotated[float, Field(ge=0)] = 0.008
    """Brier score a row that staying with production must have lost, summed over the retrains since it was
    made, before the record replaces it: more makes fewer promotions."""


Bound = Annotated[float, Field(allow_inf_nan=False)]


class SliceConfig(Frozen):
    """A field by whose values judged rows are looked at in parts, and what a challenger keeps to in each."""

    field: str
    """A category or boolean, each value of which is a slice, or a number or integer with `ranges`."""
    ranges: dict[str, tuple[Bound | None, Bound | None]] = {}
    """Of numbers, name to from and below, null being open: `{young: [null, 30], old: [60, null]}`."""
    min_rows: Annotated[int, Field(gt=1)] = 50
    """A slice with fewer judged rows is told, and not judged."""
    most_loss: Annotated[float, Field(ge=0)] | None = 0.02
    """Refused where a loss of more than this against production is proven in a slice; null: not asked."""
    floor: Bound | None = None
    """Worst value of `gate.metric` in a slice: refused where less is proven, unless production does worse
    there; null: not asked."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.most_loss is None and self.floor is None:
            raise ValueError(
                f"slice '{self.field}': most_loss and floor are null; allowed: at least one of them a number"
            )
        for name, (low, high) in self.ranges.items():
            if low is not None and high is not None and not low < high:
                raise ValueError(f"slice '{self.field}': range '{name}' {[low, high]} must rise")
        return self


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
    forgetting_proof: Literal["fall", "kept"] = "fall"
    """`fall`: a challenger is refused where a larger fall is proven; `kept`: unless it is proven that there
    is none, which takes thousands of rows."""
    slices: tuple[SliceConfig, ...] = ()
    """Parts of the records in which a challenger may not be worse; all that is asked of them shares one error
    (Bonferroni)."""
    most_calibration_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Most that scores may be off from the share of right answers, on average: a challenger beyond it that is
    surely further off than production is refused; null: only reported (not for multilabel)."""
    most_bytes: Annotated[int, Field(gt=0)] | None = None
    """Most bytes that the files of a version may have on disk; null: only reported."""
    most_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Most milliseconds that one record by itself may take from JSON to label and score, in the process of
    the retrain (99th percentile over records of each one's median); null: not measured."""
    labels_chosen_by: Literal["unknown", "answer"] = "unknown"
    """`answer`: labels, where chosen, are chosen by answer and score alone; they are weighed for it."""
    least_class: Annotated[float, Field(gt=0, le=1)] | None = 0.2
    """Part of its share among what production learned from that a class must have among judged rows that
    label no answer: with less, nothing is promoted on them; null: that is not asked."""
    shadows: ShadowsConfig = ShadowsConfig()
    """The record of each challenger's predecessors."""
    resamples: Annotated[int, Field(ge=200, le=20_000)] = 2000
    """Bootstrap resamples."""


class ProbationConfig(Frozen):
    """How a promoted version is held against the version before it, on labels that come after it was made."""

    labels: Annotated[int, Field(ge=0)] = 20_000
    """It has passed after so many; 0: nothing is looked at."""
    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance that a version that is no worse is ever taken back, however often is looked."""
    action: Literal["roll_back", "tell"] = "roll_back"
    """What follows when it is worse: production goes back by itself, or people are told."""
