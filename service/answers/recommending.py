"""What the taxonomy of a use case recommends for predictions, and for labels that are known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from configs.schema import UseCase
from configs.taxonomy import Taxonomy, read_taxonomy
from features.errors import Problem
from features.records.contract import LabelContract
from features.records.error_messages import describe, one_of
from features.records.labels import split_labels
from service.answers.bodies import listed
from service.answers.requests import invalid_records


class Recommender:
    """Recommends for the labels of one use case."""

    def __init__(self, use_case: UseCase, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._most = use_case.serving.max_records
        self._labels = LabelContract(use_case.target, use_case.record.missing)
        self._many = use_case.target.task == "multilabel"
        self._separator = use_case.target.separator

    def for_labels(self, content: dict[str, Any]) -> bytes:
        """Answer `{"labels": [...]}`, labels that the caller knows already.

        Raises:
            Invalid: a label is none, or none of the taxonomy's.
        """
        sent = listed(content, "labels", self._most)
        labels, reasons = self._labels.check(sent)
        problems = [Problem(row, "label", reason) for row, reason in enumerate(reasons) if reason is not None]
        sets = [self._split(label) for label in labels if label is not None]
        if not problems:
            problems = [
                Problem(row, "label", f"label: got {describe(label)}; allowed: {one_of(self._vocabulary)}")
                for row, labels in enumerate(sets)
                for label in labels
                if label not in self._taxonomy
            ]
        if problems:
            raise invalid_records(problems, len(sent))
        return orjson.dumps(
            {"predictions": [self._labelled(labels) | self._items(labels) for labels in sets]}
        )

    def for_predictions(self, answer: bytes) -> bytes:
        """The answer of predict, with recommendations added to each prediction."""
        content = orjson.loads(answer)
        for prediction in content["predictions"]:
            prediction |= self._items(prediction["labels"] if self._many else [prediction["label"]])
        return orjson.dumps(content)

    @property
    def _vocabulary(self) -> tuple[str, ...]:
        return tuple(self._taxonomy.root)

    def _split(self, label: str) -> list[str]:
        return split_labels(label, self._separator) if self._many else [label]

    def _labelled(self, labels: list[str]) -> dict[str, Any]:
        return {"labels": labels} if self._many else {"label": labels[0]}

    def _items(self, labels: Iterable[str]) -> dict[str, Any]:
        """Those of all labels, each once; none where the taxonomy does not know a label."""
        items: list[dict[str, Any]] = []
        for label in labels:
            items += [item for item in self._taxonomy.recommend(label) if item not in items]
        return {"recommendations": items}


def make_recommender(use_case: UseCase) -> Recommender | None:
    """For a use case; None where it has no taxonomy.

    Raises:
        ConfigError: the taxonomy cannot be read.
    """
    if use_case.taxonomy is None:
        return None
    return Recommender(use_case, read_taxonomy(Path(use_case.taxonomy)))
