"""What answers checked records: one version, or a chain with it at its head.

Answers are bytes, ready for responses and for the log, so that a whole batch is written at once: numbers
by orjson as the shortest text of a float32, so that what is answered, logged and later judged is
the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from features.encoders.contract import row_count
from features.records.contract import Columns
from features.records.labels import join_labels
from models.chain.chain import Chain, ChainAnswers
from models.estimators.arrays import Features
from models.versions.predictor import Predictor
from store.predictions.journal import escape

Run = Callable[[Predictor, Features], NDArray[np.float32]]
"""Runs a version on encoded records, alone or with help."""


class Source(NamedTuple):
    """Who answered: a link of the chain, and the version behind it where there is one."""

    link: str
    version: int | None


class EncodedAnswers(NamedTuple):
    """The answers for n records, as JSON and as the log has them; every list has n entries."""

    labels: list[bytes]
    """JSON: a text, or a list of texts."""
    logged_labels: list[bytes]
    """One text each, as the log has it."""
    label_scores: list[bytes]
    """The score of that label, as a number."""
    scores: list[bytes]
    """JSON: the probability of every class by the served version."""
    logged_scores: list[bytes]
    sources: list[Source] | None = None
    """Who answered each record; None: the served version, as there is no chain."""


class Responder(Protocol):
    """Answers checked records."""

    refusing: Predictor | None
    """The version to ask which records it can make nothing of, before it answers; None: it takes all."""

    def respond(self, columns: Columns, run: Run) -> EncodedAnswers:
        """The answers for n records; raises what the served version raises."""

    def respond_without_model(self, columns: Columns, error: Exception) -> EncodedAnswers:
        """Answers of others, as the served version broke with `error`; raises it where there are none."""


class ModelResponder:
    """Answers by one version."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.refusing = predictor if predictor.may_refuse else None
        self._labels = [orjson.dumps(label) for label in predictor.classes]
        self._logged_labels = [escape(label.encode()) for label in predictor.classes]
        pairs = b",".join(label.replace(b"%", b"%%") + b":%b" for label in self._labels)
        self._scores = b"{" + pairs + b"}"
        self._plain_scores = b"\\" not in self._scores

    def respond(self, columns: Columns, run: Run) -> EncodedAnswers:
        """Answers for checked records."""
        return self.encode(self.probabilities(columns, run))

    def respond_without_model(self, _columns: Columns, error: Exception) -> EncodedAnswers:
        """There is no other to ask."""
        raise error

    def probabilities(self, columns: Columns, run: Run) -> NDArray[np.float32]:
        """Probabilities, shape (n, classes).

        Raises:
            NoProbabilities: what the version gave are none.
        """
        x = self.predictor.encode(columns)
        probabilities = run(self.predictor, x)
        self.predictor.ensure_probabilities(probabilities, x.shape[0])
        return probabilities

    def encode(self, probabilities: NDArray[np.float32]) -> EncodedAnswers:
        """Labels and scores of probabilities, shape (n, classes), as bytes."""
        text = orjson.dumps(np.ascontiguousarray(probabilities), option=orjson.OPT_SERIALIZE_NUMPY)
        numbers = [row.split(b",") for row in text[2:-2].split(b"],[")]
        scores = [self._scores % tuple(row) for row in numbers]
        logged_scores = scores if self._plain_scores else [escape(one) for one in scores]
        if self.predictor.thresholds is not None:
            return self._encode_sets(probabilities, scores, logged_scores)
        best = probabilities.argmax(axis=1).tolist()
        labels = [self._labels[index] for index in best]
        logged_labels = [self._logged_labels[index] for index in best]
        label_scores = [row[index] for row, index in zip(numbers, best, strict=True)]
        return EncodedAnswers(labels, logged_labels, label_scores, scores, logged_scores)

    def _encode_sets(
        self, probabilities: NDArray[np.float32], scores: list[bytes], logged_scores: list[bytes]
    ) -> EncodedAnswers:
        answers = self.predictor.answers(probabilities)
        sets = answers.label_sets
        logged_labels = [escape(join_labels(labels, answers.separator).encode()) for labels in sets]
        labels = [orjson.dumps(labels) for labels in sets]
        return EncodedAnswers(labels, logged_labels, write_numbers(answers.scores), scores, logged_scores)


@dataclass(frozen=True)
class LinkedChain:
    """A chain as its links are now."""

    whole: Chain
    rest: Chain
    """The same without the served version."""
    head_serves: bool
    """Whether the first link is the served version."""
    versions: Mapping[str, int | None]
    """Version behind each link; None for links without one."""


class ChainResponder:
    """Answers by a chain; the served version is asked in batches like one without a chain."""

    def __init__(self, linked: LinkedChain, model: ModelResponder | None, version: int | None) -> None:
        self._linked = linked
        self._model = model
        self.refusing = None if model is None else model.refusing
        self._unlinked_version = version

    def respond(self, columns: Columns, run: Run) -> EncodedAnswers:
        """Answers for checked records."""
        if self._model is None:
            return self._respond_by_rest(columns)
        probabilities = self._model.probabilities(columns, run)
        chain = self._linked.whole
        if self._linked.head_serves:
            answers = chain.complete(columns, self._model.predictor.answers(probabilities))
        else:
            answers = chain.predict(columns)
        return self._of_chain(answers, self._model.encode(probabilities))

    def respond_without_model(self, columns: Columns, _error: Exception) -> EncodedAnswers:
        """Answers of the other links."""
        return self._respond_by_rest(columns)

    def _respond_by_rest(self, columns: Columns) -> EncodedAnswers:
        none = [b"{}"] * row_count(columns)
        return self._of_chain(
            self._linked.rest.predict(columns), EncodedAnswers(none, none, none, none, none)
        )

    def _of_chain(self, answers: ChainAnswers, of_model: EncodedAnswers) -> EncodedAnswers:
        versions = self._linked.versions
        return of_model._replace(
            labels=[orjson.dumps(label) for label in answers.labels],
            logged_labels=[escape(label.encode()) for label in answers.labels],
            label_scores=write_numbers(answers.scores),
            sources=[Source(link, versions.get(link, self._unlinked_version)) for link in answers.sources],
        )


def write_numbers(values: Sequence[float]) -> list[bytes]:
    """Each as the shortest text of a float32.

    >>> write_numbers([0.1, 1])
    [b'0.1', b'1.0']
    """
    text = orjson.dumps(np.array(values, dtype=np.float32), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",")
