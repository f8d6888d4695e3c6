"""The audit sample: answers drawn by chance, whose labels say what those that somebody chose cannot.

Whether an answer is one of them is drawn once, when it is given, and stands in its id: the last digit is `1`
rather than `0`. Ids of earlier releases, whose last digit may be any, have `8` and not `9` as the digit of
the variant (RFC 9562 allows both). So whoever has the id can tell, without a column, also after the share
was changed; ids are made by the server only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from store.predictions.labelled_answers import rounded, wilson_interval

VARIANT = "9"
"""The digit of the variant of ids that say it."""
AUDITED, NOT_AUDITED = "1", "0"
"""Their last digit."""
IS_AUDITED: LiteralString = "substr(id, 20, 1) || substr(id, 36, 1) = '91'"
"""The same of `prediction` in SQL, as the index has it."""
_LABELS_AUDITED: LiteralString = "substr(prediction_id, 20, 1) || substr(prediction_id, 36, 1) = '91'"
ENOUGH = 0.8
"""Least share of audited answers with a label with which these count as not chosen in their turn."""
LEAST_LABELLED = 30
"""As many at least, before they say anything of all."""
MOST_COUNTED = 10_000
"""Newest answers of the sample that are looked at."""


def is_audited(prediction_id: str) -> bool:
    """Whether the answer of this id was drawn.

    >>> is_audited("01a1fe1e-7758-754b-970d-78d48fef5ac1")
    True
    >>> is_audited("01a1fe1e-7758-754b-970d-78d48fef5ac0")
    False
    """
    return prediction_id[19:20] + prediction_id[35:] == VARIANT + AUDITED


@dataclass(frozen=True)
class Audited:
    """An answer of the sample that has no label yet."""

    id: str
    predicted_at: datetime
    record_id: str | None
    label: str | None
    score: float | None
    model_version: int | None
    source: str | None
    record: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"predicted_at": self.predicted_at.isoformat()}


@dataclass(frozen=True)
class AuditCounts:
    """Answers of the sample over a time, those that have a label, and those of these that are right."""

    answers: int
    labelled: int
    correct: int
    first: datetime | None = field(default=None, compare=False)
    """When the oldest of the answers was given; None: there is none."""

    @property
    def right(self) -> float | None:
        """Share of right ones among those with a label; None without any."""
        return self.correct / self.labelled if self.labelled else None

    @property
    def are_enough(self) -> bool:
        """Whether so many have a label that these say how good all answers are."""
        return self.labelled >= max(LEAST_LABELLED, ENOUGH * self.answers)

    def sentence(self, since: datetime, by: str = "") -> str | None:
        """How many have labels, and what that says of all answers; None where none was drawn.

        Args:
            since: from when on they were counted; what is told is the oldest of them, if it is later.
            by: whose answers they are, as it is said.
        """
        if not self.answers:
            return None
        start = since if self.first is None else max(since, self.first.astimezone(UTC))
        span = f"since {start:%Y-%m-%d %H:%M}{by}"
        more = "more than " if self.answers >= MOST_COUNTED else ""
        counts = f"{self.labelled} of {more}{self.answers} audited answers {span} have a label"
        low, high = wilson_interval(self.correct, self.labelled)
        if self.right is None or low is None or high is None:
            return f"{counts}: only labels of answers drawn by chance say how good all are"
        told = f"{counts}, {self.right:.1%} of these are right ({low:.1%} to {high:.1%})"
        if self.are_enough:
            return f"{told}: so are all answers, whatever other labels were sent"
        return f"{told}: too few to say that of all answers; {ENOUGH:.0%}, and {LEAST_LABELLED} at least, do"

    def as_dict(self, since: datetime, by: str = "") -> dict[str, Any]:
        """Plain values, for JSON, with the interval that the share of right answers lies in at 95%.

        Args:
            since: as in `sentence`, like `by`.
        """
        low, high = wilson_interval(self.correct, self.labelled)
        return {
            "answers": self.answers,
            "labelled": self.labelled,
            "correct": self.correct,
            "right": rounded(self.right),
            "low": rounded(low),
            "high": rounded(high),
            "enough": self.are_enough,
            "sentence": self.sentence(since, by),
        }


@dataclass(frozen=True)
class AuditDemand:
    """How many labels of audited answers are missing before any are believed where labels were chosen."""

    answers: int
    """Audited ones of the time that the chosen labels speak of."""
    labelled: int
    held_out: int
    """Rows to judge on that label audited answers."""
    others: int
    """Rows to judge on that came in files and label no answer."""
    least: int
    """`gate.min_rows`: rows to judge on that are needed."""

    @property
    def missing(self) -> int:
        """Labels that must come: for the share of audited answers with one, and for rows to judge on."""
        of_share = math.ceil(ENOUGH * self.answers - 1e-9) - self.labelled
        return max(0, of_share, self.least - self.others - self.held_out)

    @property
    def undrawn(self) -> int:
        """Of those missing, so many are more than there are audited answers without a label."""
        return max(0, self.missing - (self.answers - self.labelled))

    def sentence(self, use_case: str) -> str:
        """What is missing, by which command it comes, and how that was counted."""
        beside = f", with {self.others} rows of files" if self.others else ""
        counted = (
            f"{self.labelled} of {self.answers} have one; at least {ENOUGH:.0%} must, and "
            f"{max(0, self.least - self.others)} in number (gate.min_rows: {self.least}{beside})"
        )
        if not self.missing:
            enough = f"enough audited answers have a label now ({counted})"
            return f"{enough}: `ratchet retrain {use_case}` judges on them"
        noun = "label is" if self.missing == 1 else "labels are"
        told = f"{self.missing} more {noun} needed of audited answers ({counted})"
        told = f"{told}; `ratchet audits {use_case}` lists them"
        if not self.undrawn:
            return told
        return f"{told}, but {self.undrawn} must be drawn first: a share `serving.audit` of new answers is"

    def as_dict(self) -> dict[str, int]:
        """Plain values, for JSON."""
        return {
            "answers": self.answers,
            "labelled": self.labelled,
            "missing": self.missing,
            "undrawn": self.undrawn,
        }


def waiting_audits(
    conn: psycopg.Connection[Any], use_case: str, *, limit: int, since: datetime | None = None
) -> list[Audited]:
    """Answers of the sample that wait for their label, the newest first."""
    with conn.cursor(row_factory=class_row(Audited)) as cursor:
        return cursor.execute(
            "SELECT id, predicted_at, record_id, label, score, model_version, source, record"
            f" FROM prediction p WHERE use_case = %s AND {IS_AUDITED}"
            " AND predicted_at >= coalesce(%s::timestamptz, '-infinity') AND NOT EXISTS ("
            "SELECT FROM feedback f WHERE f.use_case = p.use_case AND f.prediction_id = p.id)"
            " ORDER BY predicted_at DESC, id DESC LIMIT %s",
            (use_case, since, limit),
        ).fetchall()


def count_audits(
    conn: psycopg.Connection[Any], use_case: str, *, since: datetime, except_by: Sequence[int] = ()
) -> AuditCounts:
    """How many of the newest answers of the sample given since a time have labels, and are right.

    Args:
        except_by: versions whose answers do not count.
    """
    row = conn.execute(
        "SELECT count(*), count(f.label), count(*) FILTER (WHERE f.label = p.label), min(p.predicted_at)"
        " FROM (SELECT id, label, predicted_at FROM prediction WHERE use_case = %(use_case)s"
        f" AND {IS_AUDITED} AND predicted_at >= %(since)s AND "
        "(model_version IS NULL OR model_version <> ALL(%(except_by)s::int[]))"
        " ORDER BY predicted_at DESC, id DESC LIMIT %(most)s) AS p"
        " LEFT JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.prediction_id = p.id",
        {"use_case": use_case, "since": since, "except_by": list(except_by), "most": MOST_COUNTED},
    ).fetchone()
    assert row is not None
    answers, labelled, correct, first = row
    return AuditCounts(int(answers), int(labelled), int(correct), first)


def audited_rows(conn: psycopg.Connection[Any], use_case: str) -> list[int]:
    """Arrival numbers of the labelled rows that answer the sample."""
    rows = conn.execute(f"SELECT seq FROM feedback WHERE use_case = %s AND {_LABELS_AUDITED}", (use_case,))
    return [int(row[0]) for row in rows]


def answering_rows(conn: psycopg.Connection[Any], use_case: str) -> list[int]:
    """Arrival numbers of the labelled rows that label an answer by its prediction id."""
    rows = conn.execute(
        "SELECT seq FROM feedback WHERE use_case = %s AND prediction_id IS NOT NULL", (use_case,)
    )
    return [int(row[0]) for row in rows]
