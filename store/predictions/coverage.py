"""How many answers carry a label, and so what their accuracy can say of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

MOST_COUNTED = 100_000
"""Answers that are counted; of more it is only said that there are."""
FEW = 0.5
"""A lower share of labelled answers is warned of: those without a label could turn any accuracy round."""
LEAST_CHOSEN = 5
"""As many labelled answers without a right one among them are no coincidence."""


@dataclass(frozen=True)
class Coverage:
    """Answers of a time, those of them that carry a label, and those of these that are right.

    Labels may come for answers that somebody looked at because they were wrong. Nothing in them tells: what
    holds whatever the others are is an interval of the worst and the best case (C. F. Manski,
    "Nonparametric bounds on treatment effects", American Economic Review 80, 1990).
    """

    answers: int
    labelled: int
    correct: int

    @property
    def share(self) -> float | None:
        """Share of answers that carry a label; None without answers."""
        return self.labelled / self.answers if self.answers else None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Least and greatest share of right answers among all, whatever is true of those without a label."""
        if not self.answers:
            return None
        unknown = self.answers - self.labelled
        return self.correct / self.answers, (self.correct + unknown) / self.answers

    @property
    def warning(self) -> str | None:
        """What to know before the accuracy is believed; None where most answers carry a label."""
        if self.share is None or self.bounds is None or self.labelled == 0 or self.share >= FEW:
            return None
        chosen = ""
        if self.correct == 0 and self.labelled >= LEAST_CHOSEN:
            chosen = " Not one labelled answer is right: labels seem to come for wrong answers only."
        low, high = self.bounds
        more = "more than " if self.answers >= MOST_COUNTED else ""
        return (
            f"{self.labelled} of {more}{self.answers} answers are labelled ({self.share:.1%}): if labels are "
            "not sent for right and wrong answers alike, accuracy says nothing of the others; of all answers "
            f"between {low:.1%} and {high:.1%} are right.{chosen}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        low, high = self.bounds or (None, None)
        return {
            "answers": self.answers,
            "labelled": self.labelled,
            "share": _rounded(self.share),
            "least": _rounded(low),
            "most": _rounded(high),
            "warning": self.warning,
        }


def count_answers(
    conn: psycopg.Connection[Any], use_case: str, *, since: datetime, except_by: Sequence[int] = ()
) -> int:
    """Answers given since a time, at most `MOST_COUNTED`; those by the versions `except_by` do not count."""
    row = conn.execute(
        "SELECT count(*) FROM (SELECT FROM prediction WHERE use_case = %(use_case)s"
        " AND predicted_at >= %(since)s AND "
        "(model_version IS NULL OR model_version <> ALL(%(except_by)s::int[]))"
        " LIMIT %(most)s) AS few",
        {"use_case": use_case, "since": since, "except_by": list(except_by), "most": MOST_COUNTED},
    ).fetchone()
    return 0 if row is None else int(row[0])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
