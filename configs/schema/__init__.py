"""The description of a use case: frozen models of `configs/*.yaml`, one module a part; loading is outside."""

from configs.schema.base import Frozen
from configs.schema.data import DataConfig, DemoConfig
from configs.schema.features import (
    FeaturesChoice,
    FeaturesConfig,
    MeaningFeatures,
    MixedFeatures,
    TabularFeatures,
    TextFeatures,
)
from configs.schema.files import FilesConfig
from configs.schema.gate import (
    GateConfig,
    Metric,
    ProbationConfig,
    ShadowsConfig,
    SliceConfig,
)
from configs.schema.notify import NotifyConfig, NotifyEvent
from configs.schema.record import FieldConfig, FieldType, RecordConfig
from configs.schema.retention import RetentionConfig
from configs.schema.retraining import DriftConfig, DriftPart, RetrainConfig, ScheduleConfig
from configs.schema.serving import CanaryConfig, ChainConfig, ChainLink, ServingConfig, ShadowAlias
from configs.schema.target import HoldBackConfig, LabelsConfig, TargetConfig, Task
from configs.schema.training import (
    POOL,
    ChallengerConfig,
    HoldoutConfig,
    MemberConfig,
    ModelConfig,
    TrainingConfig,
)
from configs.schema.use_case import Kind, UseCase

__all__ = [
    "POOL",
    "CanaryConfig",
    "ChainConfig",
    "ChainLink",
    "ChallengerConfig",
    "DataConfig",
    "DemoConfig",
    "DriftConfig",
    "DriftPart",
    "FeaturesChoice",
    "FeaturesConfig",
    "FieldConfig",
    "FieldType",
    "FilesConfig",
    "Frozen",
    "GateConfig",
    "HoldBackConfig",
    "HoldoutConfig",
    "Kind",
    "LabelsConfig",
    "MeaningFeatures",
    "MemberConfig",
    "Metric",
    "MixedFeatures",
    "ModelConfig",
    "NotifyConfig",
    "NotifyEvent",
    "ProbationConfig",
    "RecordConfig",
    "RetentionConfig",
    "RetrainConfig",
    "ScheduleConfig",
    "ServingConfig",
    "ShadowAlias",
    "ShadowsConfig",
    "SliceConfig",
    "TabularFeatures",
    "TargetConfig",
    "Task",
    "TextFeatures",
    "TrainingConfig",
    "UseCase",
]
