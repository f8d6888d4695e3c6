"""A use case: the whole of one configuration file, and whether its parts fit each other."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from configs.combinations import epochs_problem
from configs.compute.address import read_compute
from configs.schema.base import Frozen, Identifier
from configs.schema.data import DataConfig, DemoConfig
from configs.schema.features import FeaturesConfig, ImageFeatures, TextFeatures
from configs.schema.files import FilesConfig
from configs.schema.gate import GateConfig, ProbationConfig, describe_metrics, metrics_for
from configs.schema.notify import NotifyConfig
from configs.schema.record import RecordConfig
from configs.schema.retention import RetentionConfig
from configs.schema.retraining import DriftConfig, RetrainConfig, ScheduleConfig
from configs.schema.serving import ChainConfig, ServingConfig
from configs.schema.target import LabelsConfig, TargetConfig
from configs.schema.training import ChallengerConfig, ModelConfig, TrainingConfig
from configs.spelling.near_names import meant

Kind = Literal["tabular", "image", "text", "mixed"]
RANGED = ("number", "integer")
SLICED = ("category", "boolean", *RANGED)
"""Types of fields that `gate.slices` may name."""


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
    files: FilesConfig = FilesConfig()
    features: FeaturesConfig = FeaturesConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    labels: LabelsConfig = LabelsConfig()
    drift: DriftConfig = DriftConfig()
    gate: GateConfig = GateConfig()
    probation: ProbationConfig = ProbationConfig()
    retrain: RetrainConfig = RetrainConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    retention: RetentionConfig = RetentionConfig()
    serving: ServingConfig = ServingConfig()
    chain: ChainConfig | None = None
    taxonomy: str | None = None
    """YAML file of labels with keywords and recommendations; a relative path is looked up beside this one."""
    compute: str | None = None
    """Where challengers are made, replays fit and files are answered: `local`, `local:4` for 4 processes, or
    a Dask cluster at `dask://host:8786` or `tls://host:8786`; absent: here. `RATCHET_COMPUTE` wins."""
    notify: NotifyConfig | None = None
    demo: DemoConfig | None = None

    @property
    def link_challengers(self) -> tuple[ChallengerConfig, ...]:
        """Challengers that are made for a link of the chain, and are no candidates for production."""
        named = {link.challenger for link in (self.chain.links if self.chain else ())}
        return tuple(one for one in self.training.challengers if one.name in named)

    @property
    def candidates(self) -> tuple[ChallengerConfig, ...]:
        """Challengers that may become production."""
        links = self.link_challengers
        return tuple(one for one in self.training.challengers if one not in links)

    def epochs_problem(self) -> str | None:
        """Why a run of it cannot be asked for epochs, if so; classes of other packages are not judged."""
        estimator = self.model.estimator
        own = (one for one in self.training.challengers if (one.model or self.model).estimator == estimator)
        return epochs_problem(estimator, {one.fit for one in own}, self.kind)

    def for_challenger(self, challenger: ChallengerConfig) -> UseCase:
        """The configuration that a challenger learns by: with its own model and features, if it has any."""
        if challenger.model is None and challenger.features is None:
            return self
        features = self.features.with_choice(challenger.features)
        return self.model_copy(update={"model": challenger.model or self.model, "features": features})

    def describe_unknown_key(self, key: str) -> str:
        """What to say of a canary's key that is no field."""
        if key == self.record.group:
            return f"got '{key}', the group; leave `key` out: records of a group are answered by one version"
        names = [field.name for field in self.record.fields]
        return f"got '{key}'; allowed: the fields {', '.join(names)}{meant(key, names)}"

    @field_validator("compute")
    @classmethod
    def _compute_is_an_address(cls, text: str | None) -> str | None:
        if text is not None:
            read_compute(text)
        return text

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
        names = [field.name for field in self.record.fields]
        if unknown := sorted(set(self.drift.ignore) - set(names)):
            near = meant(unknown[0], names)
            raise ValueError(
                f"drift.ignore: got '{unknown[0]}'; allowed: the fields {', '.join(names)}{near}"
            )
        key = None if self.serving.canary is None else self.serving.canary.key
        if key is not None and key not in names:
            raise ValueError(f"serving.canary.key: {self.describe_unknown_key(key)}")
        if self.record.group == self.target.column:
            raise ValueError(f"record.group: got '{self.record.group}', the label; allowed: any other key")
        if self.gate.metric not in metrics_for(self.target.task):
            raise ValueError(f"gate.metric: {describe_metrics(self.gate.metric, self.target.task)}")
        if self.gate.most_calibration_error is not None and self.target.task == "multilabel":
            raise ValueError("`gate.most_calibration_error` is for binary and multiclass targets")
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
        if self.demo is not None and len(self.record.fields[0].shape or ()) == 3:
            raise ValueError("`demo` streams drifted grey images: `shape: [height, width]` only")
        return self

    @model_validator(mode="after")
    def _meaning_is_of_texts_alone(self) -> Self:
        used: dict[str, TextFeatures | None] = {"features": self.features.text}
        for place, one in enumerate(self.training.challengers):
            used[f"training.challengers[{place}].features"] = one.features.text if one.features else None
        for key, text in used.items():
            if self.kind != "text" and text is not None and text.meaning is not None:
                raise ValueError(f"{key}.text.meaning: got a model, for kind {self.kind}; allowed: kind text")
        return self

    @model_validator(mode="after")
    def _backbones_are_of_pictures_alone(self) -> Self:
        used: dict[str, ImageFeatures | None] = {"features": self.features.image}
        for place, one in enumerate(self.training.challengers):
            used[f"training.challengers[{place}].features"] = one.features.image if one.features else None
        for key, image in used.items():
            if self.kind != "image" and image is not None and image.backbone is not None:
                raise ValueError(
                    f"{key}.image.backbone: got a model, for kind {self.kind}; allowed: kind image"
                )
        return self

    @model_validator(mode="after")
    def _links_name_challengers(self) -> Self:
        challengers = {one.name: one for one in self.training.challengers}
        for place, link in enumerate(self.chain.links if self.chain else ()):
            if link.challenger is None:
                continue
            key, made = f"chain.links[{place}].challenger", challengers.get(link.challenger)
            if made is None:
                near = meant(link.challenger, challengers)
                raise ValueError(f"{key}: got '{link.challenger}'; allowed: {', '.join(challengers)}{near}")
            if made.fit == "warm":
                raise ValueError(f"{key}: got '{link.challenger}', with fit warm; allowed: one with fit full")
        if all(one.fit == "warm" for one in self.candidates):
            raise ValueError(
                "training.challengers: all with `fit: full` are made for links of the chain; production "
                "needs one that is not"
            )
        return self

    @model_validator(mode="after")
    def _slices_fit_the_record(self) -> Self:
        types = {field.name: field.type for field in self.record.fields}
        sliced = [name for name, kind in types.items() if kind in SLICED]
        for place, one in enumerate(self.gate.slices):
            key, kind = f"gate.slices[{place}]", types.get(one.field)
            if kind not in SLICED:
                came = f"'{one.field}'" if kind is None else f"'{one.field}', of type {kind}"
                raise ValueError(
                    f"{key}.field: got {came}; allowed: fields of type {', '.join(SLICED)}: "
                    f"{', '.join(sliced) or 'there are none'}{meant(one.field, sliced)}"
                )
            if bool(one.ranges) != (kind in RANGED):
                allowed = "named ranges, such as {low: [null, 10]}" if kind in RANGED else "none"
                raise ValueError(f"{key}.ranges: field '{one.field}' has type {kind}; allowed: {allowed}")
            if one.field in [other.field for other in self.gate.slices[:place]]:
                raise ValueError(f"{key}.field: got '{one.field}' again; allowed: each field once")
            if one.min_rows > self.training.holdout.max_rows:
                raise ValueError(
                    f"{key}.min_rows: got {one.min_rows}; allowed: at most training.holdout.max_rows "
                    f"{self.training.holdout.max_rows}, or no slice could ever be judged"
                )
        return self
