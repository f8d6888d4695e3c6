"""Answers of a version to records as they were logged: one failing record does not fail the others."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time

from configs.security.printable import one_line
from features.records.contract import Columns, take
from features.records.stored_records import check_stored
from models.versions.predictor import Predictor
from store.predictions.shadow_answers import ShadowAnswer

MOST_ERROR = 200
"""Characters of what an error says."""


def answer_records(predictor: Predictor, records: Sequence[str]) -> list[ShadowAnswer]:
    """An answer, or why there is none, for each of n records of canonical JSON."""
    began = process_time()
    checked = check_stored(predictor.contract, records)
    answers: list[ShadowAnswer | None] = [None] * len(records)
    for problem in checked.problems:
        answers[problem.row] = _failed(f"record: {problem.message}")
    rows = checked.rows.tolist()
    if rows:
        spent = 1000 * (process_time() - began) / len(records)
        for row, answer in zip(rows, _answer(predictor, checked.columns, len(rows), spent), strict=True):
            answers[row] = answer
    return [answer or _failed("record: it cannot be read") for answer in answers]


def _answer(predictor: Predictor, columns: Columns, n: int, spent: float) -> list[ShadowAnswer]:
    """Answers of n checked records; all at once, and each by itself where that fails.

    Args:
        spent: milliseconds a record until now.
    """
    began = process_time()
    try:
        answers = predictor.predict(columns)
        labels, scores = answers.labels, answers.scores
    # Whatever a version does wrong is its own failure, and is told as that.
    except Exception as error:  # noqa: BLE001
        if n == 1:
            return [_failed(f"{type(error).__name__}: {error}")]
        return [_answer(predictor, take(columns, slice(row, row + 1)), 1, spent)[0] for row in range(n)]
    ms = spent + 1000 * (process_time() - began) / n
    return [ShadowAnswer(label, score, ms) for label, score in zip(labels, scores, strict=True)]


def _failed(why: str) -> ShadowAnswer:
    return ShadowAnswer(None, None, None, one_line(why)[:MOST_ERROR])
