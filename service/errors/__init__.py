"""Errors of the service: each has an HTTP status, all have one JSON shape; why they arise is elsewhere.

ServiceError
├── BadRequest            400  the body cannot be read at all
│   ├── NotJson
│   ├── NotCsv
│   ├── RepeatedKey
│   ├── UnknownQuery
│   ├── WrongEncoding     415
│   └── WrongMediaType    415
├── Unauthorized          401
├── Forbidden             403
├── CrossSite             403
├── WrongHost             403
├── NotFound              404
│   ├── UnknownUseCase
│   ├── ManyUseCases
│   ├── UnknownPrediction
│   ├── UnknownLabel
│   ├── UnknownJob
│   ├── NoTaxonomy
│   ├── NoRun
│   ├── NoReplay
│   ├── NoReport
│   ├── StrangeReport
│   └── VersionNotFound
├── MethodNotAllowed      405
├── SlowClient            408
├── Conflict              409
│   ├── Busy
│   ├── NothingToRollBack
│   ├── VersionDamaged
│   └── NotRunning
├── Expired               410
├── TooLarge              413
├── Invalid               422  the body was read, and something in it is refused
├── HeadTooLarge          431
├── Unavailable           503
│   ├── Untrained
│   ├── Loading
│   ├── Draining
│   ├── Elsewhere
│   ├── Moved
│   ├── Overloaded
│   ├── TooManyJobs
│   ├── TooManyStreams
│   ├── ModelHangs
│   ├── OutOfMemory
│   ├── LogUnwritable
│   ├── RegistryAway
│   └── DatabaseAway
│       └── DatabaseReadOnly
└── Failed                500
    ├── ModelFailed
    └── JobGivenUp
"""

from __future__ import annotations

from service.errors.access import (
    CrossSite,
    Forbidden,
    HeadTooLarge,
    SlowClient,
    Unauthorized,
    WrongHost,
    origin_error,
)
from service.errors.away import (
    DatabaseAway,
    DatabaseReadOnly,
    Draining,
    Elsewhere,
    Failed,
    JobGivenUp,
    Loading,
    LogUnwritable,
    ModelFailed,
    ModelHangs,
    Moved,
    OutOfMemory,
    Overloaded,
    RegistryAway,
    TooManyJobs,
    TooManyStreams,
    Unavailable,
    Untrained,
)
from service.errors.base import (
    ServiceError,
    error_body,
)
from service.errors.refused import (
    SHOWN,
    BadRequest,
    Busy,
    Conflict,
    Expired,
    Invalid,
    ManyUseCases,
    MethodNotAllowed,
    NoReplay,
    NoReport,
    NoRun,
    NoTaxonomy,
    NotCsv,
    NotFound,
    NothingToRollBack,
    NotJson,
    NotRunning,
    RepeatedKey,
    StrangeReport,
    TooLarge,
    UnknownJob,
    UnknownLabel,
    UnknownPrediction,
    UnknownQuery,
    UnknownUseCase,
    VersionDamaged,
    VersionNotFound,
    WrongEncoding,
    WrongMediaType,
    option_error,
)

__all__ = [
    "SHOWN",
    "BadRequest",
    "Busy",
    "Conflict",
    "CrossSite",
    "DatabaseAway",
    "DatabaseReadOnly",
    "Draining",
    "Elsewhere",
    "Expired",
    "Failed",
    "Forbidden",
    "HeadTooLarge",
    "Invalid",
    "JobGivenUp",
    "Loading",
    "LogUnwritable",
    "ManyUseCases",
    "MethodNotAllowed",
    "ModelFailed",
    "ModelHangs",
    "Moved",
    "NoReplay",
    "NoReport",
    "NoRun",
    "NoTaxonomy",
    "NotCsv",
    "NotFound",
    "NotJson",
    "NotRunning",
    "NothingToRollBack",
    "OutOfMemory",
    "Overloaded",
    "RegistryAway",
    "RepeatedKey",
    "ServiceError",
    "SlowClient",
    "StrangeReport",
    "TooLarge",
    "TooManyJobs",
    "TooManyStreams",
    "Unauthorized",
    "Unavailable",
    "UnknownJob",
    "UnknownLabel",
    "UnknownPrediction",
    "UnknownQuery",
    "UnknownUseCase",
    "Untrained",
    "VersionDamaged",
    "VersionNotFound",
    "WrongEncoding",
    "WrongHost",
    "WrongMediaType",
    "error_body",
    "option_error",
    "origin_error",
]
