"""All answers of the time that labels speak of, with their labels: what chosen labels are held against.

A label belongs to an answer by the prediction's id. One that came with its record, in a file or otherwise,
belongs to the oldest answer to an equal record that has none yet: what is chosen stays chosen by whatever way
it comes. Each such row stands for one answer at most.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.predictions.audits import is_audited

MOST_ANSWERS = 100_000
"""Newest answers that are looked at."""

_ROWS: LiteralString = """
    SELECT seq, label, {content} FROM (
        SELECT seq, label, record FROM feedback
        WHERE use_case = %(use_case)s AND prediction_id IS NULL AND seq > %(since)s AND seq <= %(until)s
            AND EXISTS (SELECT FROM prediction WHERE use_case = %(use_case)s)
        ORDER BY seq DESC LIMIT %(most)s
    ) AS newest ORDER BY seq"""
_ANSWERS: LiteralString = """
    SELECT p.id, p.label, p.score, p.model_version, p.source, p.predicted_at, f.label, f.seq, {content}
    FROM (
        SELECT * FROM prediction WHERE use_case = %(use_case)s
            AND predicted_at >= coalesce(%(oldest)s::timestamptz, '-infinity')
            AND predicted_at <= coalesce(%(newest)s::timestamptz, 'infinity')
        ORDER BY predicted_at DESC, id DESC LIMIT %(most)s
    ) AS p LEFT JOIN feedback f
        ON f.use_case = p.use_case AND f.prediction_id = p.id AND f.seq <= %(until)s
    ORDER BY p.predicted_at, p.id"""
_CONTENT: LiteralString = "jsonb_hash_extended(record, 0)"


@dataclass(frozen=True)
class AnswerSample:
    """The n answers between the first and the last that a new label belongs to, oldest first."""

    labels: NDArray[np.object_]
    """What was answered."""
    scores: NDArray[np.float64]
    """NaN where an answer has none."""
    origins: NDArray[np.object_]
    """Who answered, by version and link."""
    truths: NDArray[np.object_]
    """The true labels; None where none has come."""
    seq: NDArray[np.int64]
    """Arrival number of the true label; 0 where none has come."""
    audited: NDArray[np.bool_]
    first_at: datetime | None = None
    """When the first of them was given."""

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which have a true label."""
        has_one: NDArray[np.bool_] = self.seq > 0
        return has_one

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which are right, as far as the true label is there."""
        is_right: NDArray[np.bool_] = self.labelled & (self.labels == self.truths)
        return is_right


def read_answer_sample(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    since_seq: int | None,
    until_seq: int,
    oldest: datetime | None = None,
    most: int = MOST_ANSWERS,
) -> AnswerSample:
    """The answers of the time that the labels after one arrival and up to another speak of.

    Args:
        oldest: older answers count for nothing, as those without a label may have been forgotten.
        most: answers looked at, the newest, and rows that came with their records.
    """
    parameters = {
        "use_case": use_case, "since": since_seq or 0, "until": until_seq,
        "oldest": oldest, "newest": None, "most": most,
    }  # fmt: skip
    with_record = conn.execute(_ROWS.replace("{content}", _CONTENT), parameters).fetchall()
    if not with_record:
        parameters["newest"] = _newest(conn, parameters)
    # Of each answer's record a hash is computed only where there is something to compare it with.
    content = "jsonb_hash_extended(p.record, 0)" if with_record else "0"
    answers = [list(row) for row in conn.execute(_ANSWERS.replace("{content}", content), parameters)]
    _match(answers, with_record)
    new = [place for place, answer in enumerate(answers) if (answer[7] or 0) > (since_seq or 0)]
    return _sample(answers[new[0] : new[-1] + 1] if new else [])


def _newest(conn: psycopg.Connection[Any], parameters: dict[str, Any]) -> datetime | None:
    """When the last answer was given that a new label belongs to: later ones need not be looked at."""
    row = conn.execute(
        "SELECT max(p.predicted_at) FROM feedback f JOIN prediction p ON p.id = f.prediction_id"
        " WHERE f.use_case = %(use_case)s AND f.seq > %(since)s AND f.seq <= %(until)s",
        parameters,
    ).fetchone()
    return None if row is None else row[0]


def _match(answers: list[list[Any]], with_record: list[tuple[Any, ...]]) -> None:
    """Give answers without a label that of a row with an equal record, the oldest to the oldest."""
    waiting: dict[int, list[list[Any]]] = defaultdict(list)
    if with_record:
        for answer in reversed(answers):
            if answer[7] is None:
                waiting[answer[8]].append(answer)
    for seq, label, content in with_record:
        if waiting[content]:
            waiting[content].pop()[6:8] = [label, seq]


def _sample(answers: list[list[Any]]) -> AnswerSample:
    return AnswerSample(
        labels=_objects([answer[1] for answer in answers]),
        scores=np.array([np.nan if answer[2] is None else answer[2] for answer in answers], dtype=np.float64),
        origins=_objects([f"{answer[3]} {answer[4]}" for answer in answers]),
        truths=_objects([answer[6] for answer in answers]),
        seq=np.array([answer[7] or 0 for answer in answers], dtype=np.int64),
        audited=np.array([is_audited(answer[0]) for answer in answers], dtype=np.bool_),
        first_at=answers[0][5] if answers else None,
    )


def _objects(values: list[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
