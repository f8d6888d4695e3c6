"""A version that answers: used by servers, and to try a challenger before it is judged.

Importing this module, and loading a version with runtime `onnx`, imports neither
TensorFlow nor CatBoost nor scikit-learn nor pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.encoders.adopted import AdoptedEncoder
from features.encoders.contract import Encoder, row_count
from features.errors import Problem
from features.other_packages import FOREIGN
from features.records.contract import Columns, RecordContract, take
from features.records.labels import join_labels
from models.errors import ArtifactError, CannotLoadNow, NoProbabilities, ProbeError
from models.estimators.arrays import Features, part_rows
from models.estimators.labels_and_thresholds import assign_labels, threshold_array
from models.passing_faults import is_passing
from models.versions.artifact import (
    Manifest,
    Probe,
    artifact_digest,
    read_encoder,
    read_manifest,
    read_probe,
    read_use_case,
)
from models.versions.fit_failures import named_with_class
from models.versions.probabilities import probabilities_problem
from models.versions.runtime import Runner, open_runner

RUN_ROWS = 256
"""Rows in one call of the runtime, to bound its memory."""
PROBE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Answers:
    """Predictions of a version for n records."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    """Shape (n, classes)."""
    thresholds: NDArray[np.float32] | None = None
    """Shape (classes,), from which a label is given; None: one label a record."""
    separator: str = "|"

    @property
    def label_mask(self) -> NDArray[np.bool_]:
        """Which labels each record gets, shape (n, classes)."""
        if self.thresholds is not None:
            return assign_labels(self.probabilities, self.thresholds)
        best = self.probabilities.argmax(axis=1)
        mask: NDArray[np.bool_] = best[:, np.newaxis] == np.arange(len(self.classes))
        return mask

    @property
    def label_sets(self) -> list[list[str]]:
        """The labels of each record, the most probable first."""
        sets = []
        for row, mask in zip(self.probabilities, self.label_mask, strict=True):
            places = np.flatnonzero(mask)
            places = places[np.argsort(-row[places], kind="stable")]
            sets.append([self.classes[place] for place in places.tolist()])
        return sets

    @property
    def labels(self) -> list[str]:
        """The most probable class of each record; where there may be many, all labels as they are stored."""
        if self.thresholds is not None:
            return [join_labels(labels, self.separator) for labels in self.label_sets]
        return [self.classes[index] for index in self.probabilities.argmax(axis=1).tolist()]

    @property
    def scores(self) -> list[float]:
        """Probability of each record's most probable class, or of its most probable label."""
        if self.thresholds is not None:
            best: list[float] = (
                np.where(self.label_mask, self.probabilities, 0).max(axis=1, initial=0).tolist()
            )
            return best
        scores: list[float] = self.probabilities.max(axis=1).tolist()
        return scores


def encoded_in_parts(
    encode: Callable[[Columns], Features], columns: Columns, row_shape: Sequence[int]
) -> Iterator[Features]:
    """Numbers of n checked records, no more at a time than a part holds: of wide rows all would be too many.

    Args:
        encode: of an encoder.
        row_shape: of an encoded row.
    """
    rows, step = row_count(columns), part_rows(row_shape)
    if rows <= step:
        yield encode(columns)
        return
    for start in range(0, rows, step):
        yield encode(take(columns, slice(start, start + step)))


class Predictor:
    """One loaded version; safe to use from many threads."""

    def __init__(
        self,
        manifest: Manifest,
        use_case: UseCase,
        encoder: Encoder,
        runner: Runner,
        probe: Probe,
        digest: str = "",
    ) -> None:
        self.manifest = manifest
        self.digest = digest
        """SHA-256 of its manifest, which the ledger holds if this is what was registered."""
        self.use_case = use_case
        self.classes = manifest.classes
        self.contract = RecordContract(use_case.record)
        self.thresholds = (
            threshold_array(manifest.thresholds, manifest.classes) if manifest.task == "multilabel" else None
        )
        """Shape (classes,), from which a label is given; None: one label a record."""
        self._encoder = encoder
        self._runner = runner
        self._probe = probe

    @property
    def positive(self) -> str | None:
        """The class that binary metrics speak of."""
        return self.manifest.positive

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load the version in a directory, after checking that its files are whole.

        Raises:
            ArtifactError: they are not, or what is in them cannot be loaded here.
            CannotLoadNow, OSError: that is for what the machine lacks.
        """
        digest = artifact_digest(directory)
        manifest, use_case, probe = read_manifest(directory), read_use_case(directory), read_probe(directory)
        try:
            encoder, runner = read_encoder(directory, manifest.kind), open_runner(directory, manifest)
        except FOREIGN as error:
            if is_passing(error):
                raise CannotLoadNow(error) from error
            raise ArtifactError(directory, f"cannot be loaded: {type(error).__name__}: {error}") from error
        return cls(manifest, use_case, encoder, runner, probe, digest)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the encoded columns, as the encoder gives them."""
        return self._encoder.feature_names

    def problems(self, columns: Columns) -> tuple[Problem, ...]:
        """What its encoder can make nothing of, among n checked records."""
        return self._encoder.problems(columns) if isinstance(self._encoder, AdoptedEncoder) else ()

    @property
    def may_refuse(self) -> bool:
        """Whether there may be such records: an encoder of another package may refuse some."""
        return isinstance(self._encoder, AdoptedEncoder) and self._encoder.may_refuse

    def encode(self, columns: Columns) -> Features:
        """Numbers of n checked records, shape (n, *manifest.input_shape)."""
        return self._encoder.encode(columns)

    def run(self, x: Features) -> NDArray[np.float32]:
        """Probabilities of n encoded records, shape (n, classes)."""
        if len(x) <= RUN_ROWS:
            return self._runner(x)
        chunks = [self._runner(x[start : start + RUN_ROWS]) for start in range(0, len(x), RUN_ROWS)]
        return np.concatenate(chunks)

    def predict(self, columns: Columns) -> Answers:
        """Answers for n checked records; each depends on its own record only.

        Raises:
            NoProbabilities: what the version gave are none.
        """
        parts = [self._answer(x) for x in self.encode_in_parts(columns)]
        return self.answers(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def encode_in_parts(self, columns: Columns) -> Iterator[Features]:
        """Numbers of n checked records, no more at a time than a part holds."""
        return encoded_in_parts(self.encode, columns, self.manifest.input_shape)

    def _answer(self, x: Features) -> NDArray[np.float32]:
        probabilities = self.run(x)
        self.ensure_probabilities(probabilities, len(x))
        return probabilities

    def ensure_probabilities(self, answers: Any, rows: int) -> None:
        """Refuse answers to so many records that are no probabilities; it takes some microseconds.

        Raises:
            NoProbabilities: naming the estimator, with figures.
        """
        problem = probabilities_problem(answers, rows, len(self.classes), one_class=self.thresholds is None)
        if problem is not None:
            manifest = self.manifest
            raise NoProbabilities(named_with_class(manifest.estimator, manifest.params), problem)

    def answers(self, probabilities: NDArray[np.float32]) -> Answers:
        """The answers that probabilities of this version, shape (n, classes), amount to."""
        return Answers(self.classes, probabilities, self.thresholds, self.use_case.target.separator)

    def check_probe(self) -> float:
        """Answer the recorded records, which also warms the version up; gives the largest difference.

        Raises:
            ProbeError: an answer is not the recorded one, or there is none.
            CannotLoadNow: there is none for what the machine lacks.
        """
        expected = np.array(self._probe.probabilities, dtype=np.float32)
        try:
            probabilities = self.predict(self.contract.from_json(self._probe.records)).probabilities
        except NoProbabilities as error:
            raise ProbeError(str(error)) from error
        except FOREIGN as error:
            if is_passing(error):
                raise CannotLoadNow(error) from error
            raise ProbeError(f"{type(error).__name__}: {error}") from error
        difference = float("inf")
        if probabilities.shape == expected.shape:
            difference = float(np.abs(probabilities - expected).max())
        if difference > PROBE_TOLERANCE:
            raise ProbeError(
                f"it differs from the recorded answers by {difference:.3g} on {len(expected)} rows; "
                f"allowed: {PROBE_TOLERANCE:g}"
            )
        return difference
