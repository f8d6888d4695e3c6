"""What starts a retrain: drift, counts and ages of labels, schedules."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from configs.schema.base import Fraction, Frozen
from configs.times.cron import check_cron, check_timezone

Cron = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]


DriftPart = Literal["data", "answers", "labels"]


class DriftConfig(Frozen):
    """When the records seen count as drifted from those production learned from."""

    numeric_method: Literal["wasserstein", "psi", "jensenshannon", "ks"] = "wasserstein"
    """Evidently's method for numbers; pinned, because its default changes with the row count."""
    categorical_method: Literal["jensenshannon", "psi", "chisquare"] = "jensenshannon"
    """Evidently's method for categories."""
    threshold: Annotated[float, Field(gt=0)] = 0.1
    """A column has drifted when its distance is above this (`ks`, `chisquare`: its p-value is below) and
    that is certain not to be chance."""
    share: Fraction = 0.1
    """The data has drifted when at least this share of columns has."""
    reference_rows: Annotated[int, Field(gt=0, le=5_000_000)] = 2000
    """Rows sampled from production's training snapshot."""
    current_rows: Annotated[int, Field(gt=0, le=5_000_000)] = 500
    """Newest records compared with them."""
    min_rows: Annotated[int, Field(gt=0)] = 100
    """With fewer current records the answer is "too little evidence"."""
    answers_threshold: Annotated[float, Field(gt=0)] = 0.1
    """The same as `threshold` for production's answers, their scores, and true labels; one that has moved is
    enough."""
    retrain_on: tuple[DriftPart, ...] = ("data", "labels")
    """What of data, answers and labels starts a retrain where it has moved; all are looked at and told."""
    ignore: tuple[str, ...] = ()
    """Fields that may change as they like: counters, numbers of batches. Dates never count by themselves."""


class RetrainConfig(Frozen):
    """What starts a retrain by itself; any of these is enough."""

    min_labels: Annotated[int, Field(gt=0)] = 100
    """No retrain with fewer new labels than this."""
    every_labels: Annotated[int, Field(gt=0)] | None = None
    """Retrain after this many new labels."""
    max_age_days: Annotated[float, Field(gt=0)] | None = 15.0
    """Retrain when production is older than this and `min_labels` have come; once, and again after a tenth
    of all labels is new."""
    keep_versions: Annotated[int, Field(gt=0)] = 5
    """Versions kept in the registry, the newest, beside those that an alias names and those that
    `gate.shadows.keep` still scores."""
    drift_windows: Annotated[int, Field(gt=0)] = 3
    """Look at this many of the last drift checks..."""
    drift_violations: Annotated[int, Field(gt=0)] = 2
    """...and retrain when at least this many found drift, the newest among them; once, and again after a
    tenth of all labels is new."""

    @model_validator(mode="after")
    def _k_of_n(self) -> Self:
        if self.drift_violations > self.drift_windows:
            raise ValueError(
                f"drift_violations {self.drift_violations} is above drift_windows {self.drift_windows}"
            )
        return self


class ScheduleConfig(Frozen):
    """Cron lines of the Prefect deployments; null: no schedule."""

    ingest: Cron | None = "*/15 * * * *"
    """Read the inbox folder."""
    drift: Cron | None = "5 * * * *"
    """Compare recent records with production's training data, and retrain where that is due."""
    retrain: Cron | None = "0 3 * * *"
    """Retrain, due or not, where labels, configuration or production have changed since the last time, or a
    week has passed."""
    timezone: TimeZone = "UTC"
    """IANA name of the time zone of the lines above."""
