"""Errors of the models layer.

ModelError
├── UnknownEstimator
├── EstimatorUnavailable
├── ParamError
├── ParamsRefused
├── NotConfigurable
├── NotHeld
├── TrainingError
│   ├── TrainingStopped
│   ├── RunFailed
│   ├── EstimatorFailed
│   ├── TooMuchMemory
│   ├── NoChallenger
│   └── CannotUpdate
├── ParityError
├── NoExport
├── UntrustedTypes
├── ArtifactError
│   └── ArtifactDamaged
├── ArtifactTooNew
├── CannotLoadNow
├── ProbeError
├── NoProbabilities
├── RegistryUnavailable
├── UnknownVersion
│   └── VersionDeleted
├── NotReproducible
├── NoProduction
├── NothingBefore
│   └── AlreadyProduction
├── ProductionMoved
├── LinkMoved
├── PromotionPaused
├── CanaryUnderWay
└── NoCanary
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from configs.addresses.web_url import shown
from configs.security.proxies import through_proxy
from configs.spelling.near_names import meant
from features.other_packages import raised

_SOURCE_PLACE = re.compile(r"^(?:[\w.-]+/)+[\w.-]+:\d+:\s*")
"""With which CatBoost begins its messages: a place in its own source."""


class ModelError(Exception):
    """Something that a model, its artifact or its registration cannot do."""


class UnknownEstimator(ModelError):
    """An estimator that the table does not hold."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        known = sorted(names)
        super().__init__(
            f"model.estimator: got '{name}'; allowed: {', '.join(known)}, or the import path of a class such "
            f"as mypackage.models:MyNet{meant(name, known)}"
        )


class EstimatorUnavailable(ModelError):
    """A class of another package that is not to be had in this process."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"model.estimator: '{name}' is not to be had: {reason}; a machine that trains it needs its "
            "package, and a server does where its versions are not served through ONNX"
        )


class ParamError(ModelError):
    """A parameter that an estimator refuses."""

    def __init__(self, estimator: str, key: str, value: Any, allowed: str) -> None:
        self.key = key
        super().__init__(f"model.params.{key}: {estimator} got {value!r:.80}; allowed: {allowed}")


class ParamsRefused(ModelError):
    """Parameters that a class of another package refuses, in its own words."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"model.params: {name} {words} where it is made of them")


class NotConfigurable(ModelError):
    """A configuration whose estimator cannot learn from the rest of it."""

    def __init__(self, use_case: str, reason: str) -> None:
        super().__init__(f"use case '{use_case}': {reason}")


class NotHeld(ModelError):
    """A class that cannot be held to the laws: it is not to be had, or refuses what it is given."""


class TrainingError(ModelError):
    """A fit that cannot be done with these rows."""


class TrainingStopped(TrainingError):
    """A fit that ended because somebody asked for it."""

    def __init__(self) -> None:
        super().__init__("training was stopped on request")


class RunFailed(TrainingError):
    """A retrain elsewhere that came to nothing."""

    def __init__(self, use_case: str, reason: str) -> None:
        super().__init__(f"the retrain of '{use_case}' failed: {reason}")


class EstimatorFailed(TrainingError):
    """An estimator that gave up on its training rows, in the words of its own library."""

    def __init__(self, estimator: str, doing: str, error: BaseException) -> None:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        reason = _SOURCE_PLACE.sub("", reason)[:300]
        if isinstance(error, SystemExit):
            reason = f"it {raised(error)}"
        if isinstance(error, MemoryError):
            reason = "not enough memory; a challenger with a smaller `window` or model needs less"
        super().__init__(f"{estimator} cannot {doing}: {reason or type(error).__name__}")


class TooMuchMemory(TrainingError):
    """A fit of all rows at once that would take more memory than it may."""

    def __init__(
        self,
        challenger: str,
        estimator: str,
        *,
        needed: str,
        allowed: str,
        configured: bool,
        fitting: int,
        instead: Iterable[str],
    ) -> None:
        by = "by training.max_memory" if configured else "as the machine has no more"
        others = list(instead)
        batches = f", or an estimator that learns in batches ({' or '.join(others)})" if others else ""
        super().__init__(
            f"{estimator} learns from all rows at once, which would take {needed}; allowed: {allowed}, {by}. "
            f"Give challenger '{challenger}' a `window` of at most {fitting:,} rows, draw as many "
            f"(`--sample-count {fitting}`){batches}; or raise training.max_memory"
        )


class NoChallenger(TrainingError):
    """A retrain of which not one challenger could be made."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        sentences = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"no challenger could be made: {sentences}")


class CannotUpdate(TrainingError):
    """A warm start that production does not allow; a full fit is the way."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot continue from production: {reason}; use `fit: full`")


class ParityError(ModelError):
    """An export that answers differently from the model it came from."""

    def __init__(self, difference: float, tolerance: float, rows: int) -> None:
        super().__init__(
            f"the exported model differs from the native one by {difference:.3g} on {rows} rows; "
            f"allowed: {tolerance:g}"
        )


class NoExport(ModelError):
    """A model that has no ONNX form, or one that answers otherwise; it is served by its own library."""


class UntrustedTypes(ModelError):
    """A file of a model that holds a type which its model does not need; nothing of it was run."""

    def __init__(self, name: str, packages: Iterable[str]) -> None:
        super().__init__(
            f"the file of the model holds {name}; allowed: the types that were written down when it was "
            f"made, classes of {', '.join(packages)}"
        )


class ArtifactError(ModelError):
    """A model directory that is damaged, incomplete or from another format."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(f"model in {directory}: {reason}")


class ArtifactTooNew(ModelError):
    """A version that a newer Ratchet made; nothing is wrong with it."""

    def __init__(self, directory: Path, made: int, readable: int) -> None:
        super().__init__(
            f"model in {directory}: has format {made}, made by a newer Ratchet; this one reads up to "
            f"{readable}: update it"
        )


class CannotLoadNow(ModelError):
    """A version that this machine cannot load now, for what it lacks; nothing is wrong with the version."""

    def __init__(self, error: BaseException) -> None:
        words = filter(None, (type(error).__name__, str(error)))
        super().__init__(f"it cannot be loaded now: {': '.join(words)}")


class ArtifactDamaged(ArtifactError):
    """A version of which the registry no longer hands out what was registered."""

    def __init__(self, use_case: str, version: int, reason: str, *, expected: str | None, actual: str | None):
        self.reason = reason
        self.expected = expected
        self.actual = actual
        ModelError.__init__(
            self,
            f"version {version} of '{use_case}' is refused, as it is damaged at its source: {reason} "
            f"({self._compared()})",
        )

    def _compared(self) -> str:
        """How the digest compares with that in the ledger."""
        if self.expected is None:
            return "the ledger has nothing of it"
        if self.expected == self.actual:
            return f"its manifest is the one that the ledger has, digest {self.expected}"
        return f"the ledger has digest {self.expected}; found: {self.actual or 'none'}"


class ProbeError(ModelError):
    """A loaded model that does not answer as recorded when it was made."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the loaded model fails its probe: {reason}")


class NoProbabilities(ModelError):
    """What a version answers, where that are no probabilities."""

    def __init__(self, estimator: str, problem: str) -> None:
        super().__init__(f"{estimator} gives no probabilities: {problem}")


class RegistryUnavailable(ModelError):
    """The MLflow server that does not answer."""

    def __init__(self, uri: str, reason: str) -> None:
        way = through_proxy(uri, os.environ)
        super().__init__(f"MLflow at {shown(uri)} does not answer{way}: {reason:.400}")


class UnknownVersion(ModelError):
    """A version that the registry does not have."""

    def __init__(self, use_case: str, version: int) -> None:
        super().__init__(
            f"model '{use_case}' has no version {version}; "
            f"`ratchet ledger {use_case}` tells which were registered"
        )


class VersionDeleted(UnknownVersion):
    """A version that was registered, and that the registry has no more."""

    def __init__(self, use_case: str, version: int) -> None:
        ModelError.__init__(
            self,
            f"version {version} of '{use_case}' was deleted in MLflow, so nothing can go back to it; "
            f"`ratchet ledger {use_case}` tells of the others: `ratchet rollback {use_case} --to V`",
        )


class NotReproducible(ModelError):
    """A version whose fit cannot be given again what it was given."""


class NoProduction(ModelError):
    """A use case that has no production version yet."""

    def __init__(self, use_case: str) -> None:
        super().__init__(f"'{use_case}' has no production yet; `ratchet retrain {use_case}` trains one")


class NothingBefore(ModelError):
    """A use case without a version that production could go back to."""

    def __init__(self, use_case: str, production: int) -> None:
        super().__init__(
            f"'{use_case}' has no version to go back to from {production}: "
            "the registry has none that was production before it; "
            f"`ratchet rollback {use_case} --to V` takes any that is registered, and "
            f"`ratchet ledger {use_case}` tells which are"
        )


class AlreadyProduction(NothingBefore):
    """A version to go back to that production is already."""

    def __init__(self, use_case: str, production: int) -> None:
        ModelError.__init__(
            self,
            f"version {production} of '{use_case}' is production already; name another one of the registry",
        )


class NotComparable(ModelError):
    """Two versions that cannot be held against each other; the message says why."""


class ProductionMoved(ModelError):
    """A verdict against a version that is not production any more."""

    def __init__(self, use_case: str, judged: int | None, now: int | None) -> None:
        self.now = now
        super().__init__(
            f"production of '{use_case}' is version {now or 'none'} by now; "
            f"the challenger was judged against version {judged or 'none'}"
        )


class LinkMoved(ModelError):
    """A verdict against a version that a link of the chain names no more."""

    def __init__(self, challenger: str, judged: int | None, now: int | None) -> None:
        self.now = now
        super().__init__(
            f"the link of '{challenger}' names version {now or 'none'} by now; "
            f"the challenger was judged against version {judged or 'none'}"
        )


class PromotionPaused(ModelError):
    """A winner that may not be promoted now."""

    def __init__(self, use_case: str, actor: str, reason: str) -> None:
        super().__init__(f"promotion of '{use_case}' is paused by {actor}: {reason}")


class CanaryUnderWay(ModelError):
    """Another version is tried already."""

    def __init__(self, use_case: str, version: int, until: datetime) -> None:
        super().__init__(
            f"version {version} of '{use_case}' is tried as a canary, until {until:%Y-%m-%d %H:%M} UTC "
            f"at the latest; `ratchet canary end {use_case}` ends that"
        )


class NoCanary(ModelError):
    """What is to be ended or promoted is not tried."""

    def __init__(self, use_case: str) -> None:
        super().__init__(f"no version of '{use_case}' is tried as a canary now")
