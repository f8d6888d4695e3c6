"""What models answer on the same labelled rows: each is asked once, and its answers are handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.encoders.contract import row_count
from features.records.contract import Columns, take
from models.errors import ModelError
from models.versions.fit_failures import named_with_class, naming_estimator
from models.versions.predictor import Answers, Predictor


@dataclass(frozen=True)
class JudgedAnswers:
    """Answers of challengers and production to the same n rows, beside the true labels.

    Of each model: probabilities of shape (n, its own classes) and, where a row may have many labels,
    thresholds of shape (its own classes,).
    """

    labels: Sequence[str]
    """The n true labels."""
    challengers: Mapping[str, Answers]
    """By name."""
    production: Answers | None
    """None: there is none, or it does not answer."""
    production_error: str | None
    """Why production does not answer, if so."""
    classes: Sequence[str]
    """All that any model knows, those of the first one first; production's too where it does not answer."""
    positive: str | None
    """The class that binary metrics speak of, as the first model has it."""

    def take(self, places: NDArray[np.intp]) -> JudgedAnswers:
        """The same for some of the rows."""

        def some(one: Answers) -> Answers:
            return replace(one, probabilities=one.probabilities[places])

        return replace(
            self,
            labels=[self.labels[place] for place in places.tolist()],
            challengers={name: some(one) for name, one in self.challengers.items()},
            production=None if self.production is None else some(self.production),
        )


def ask_all(
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    production: Predictor | None,
) -> JudgedAnswers:
    """Ask every model about all n rows.

    Raises:
        ModelError: a challenger does not answer; that production does not is part of the answers.
    """
    models = [*challengers.values(), *([] if production is None else [production])]
    classes = list(dict.fromkeys(label for model in models for label in model.classes))
    answers = {name: ask(model, columns) for name, model in challengers.items()}
    incumbent, error = None, None
    if production is not None:
        try:
            incumbent = ask(production, columns)
        except ModelError as failure:
            error = str(failure)
    return JudgedAnswers(labels, answers, incumbent, error, classes, models[0].positive)


def ask(model: Predictor, columns: Columns) -> Answers:
    """The answers of a model to rows of the configuration as it is now.

    Where it serves it refuses records that do not fit the fields it learned from, such as those of a category
    that was added since. Whatever it would make of such a row is no answer of its own: it gets one that knows
    nothing of the record, its mean answer to the others.

    Raises:
        ModelError: it reads a field that the configuration does not have, or has otherwise; it refuses all of
            the rows; or it does not answer, or by what are no probabilities.
    """
    _ensure_same_types(model, columns)
    refused = refused_rows(model, columns)
    made = model.manifest
    with naming_estimator(named_with_class(made.estimator, made.params), "answer held-out rows"):
        if not refused:
            return model.predict(columns)
        count = row_count(columns)
        if len(refused) == count:
            raise ModelError(f"it refuses every row, for instance: {refused[min(refused)]}")
        answered = np.ones(count, dtype=np.bool_)
        answered[list(refused)] = False
        answers = model.predict(take(columns, answered))
        probabilities = np.empty((count, len(answers.classes)), dtype=np.float32)
        probabilities[answered] = answers.probabilities
        probabilities[~answered] = answers.probabilities.mean(axis=0)
        return replace(answers, probabilities=probabilities)


def refused_rows(model: Predictor, columns: Columns) -> dict[int, str]:
    """Rows that a model refuses where it serves, and why: they do not fit the fields that it learned from."""
    refused: dict[int, str] = {}
    for field in model.use_case.record.fields:
        if field.type != "image":  # of the same shape all levels fit
            refused |= model.contract.fields[field.name].check_column(columns[field.name])
    return refused


def _ensure_same_types(model: Predictor, columns: Columns) -> None:
    for field in model.use_case.record.fields:
        if field.name not in columns:
            raise ModelError(f"it reads field '{field.name}', which the configuration no longer has")
        own = model.contract.fields[field.name].load([])
        column = columns[field.name]
        if own.dtype != column.dtype or own.shape[1:] != column.shape[1:]:
            raise ModelError(
                f"it reads field '{field.name}' as {field.type}; the configuration has it otherwise"
            )
