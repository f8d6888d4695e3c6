"""What a shadow version said, counted beside what was served: of the newest answers, and of labelled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.feedback.sources import unless_held
from store.predictions.audits import IS_AUDITED
from store.predictions.labelled_answers import least_id

NEWEST = 5_000
"""Answers that pairs, failures, costs and scores are counted on."""
MOST_LABELLED = 20_000
"""Labelled answers, the first since the version is asked: as evidence grows it is of the same rows."""
MOST_PAIRS = 5
MOST_FAILURES = 5
BINS = 100
"""Of scores from 0 to 1."""

_NEWEST: LiteralString = (
    "WITH newest AS MATERIALIZED (SELECT served, served_score, label, score, ms, error FROM shadow_answer"
    " WHERE use_case = %(use_case)s AND version = %(version)s AND predicted_at >= %(since)s"
    " ORDER BY predicted_at DESC LIMIT %(most)s) "
)


@dataclass(frozen=True)
class Pair:
    """What was served, and what the version says of the same record."""

    served: str | None
    shadow: str
    count: int


@dataclass(frozen=True)
class Failure:
    """Records that the version could not answer for one kind of reason."""

    kind: str
    count: int
    example: str


@dataclass(frozen=True)
class Newest:
    """Of the newest answers."""

    rows: int
    differing: int
    ms: float | None
    """Milliseconds of computing a record, in batches."""
    pairs: tuple[Pair, ...]
    """Most frequent differences first."""
    failures: tuple[Failure, ...]
    served_scores: NDArray[np.int64]
    """How many scores are in each bin, shape (BINS,), of the rows where both have one."""
    shadow_scores: NDArray[np.int64]


@dataclass(frozen=True)
class LabelledCounts:
    """Labelled records by who was right; what the version could not answer it was not right about."""

    both: int = 0
    served_only: int = 0
    shadow_only: int = 0
    neither: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.both + self.served_only + self.shadow_only + self.neither


def read_newest(conn: psycopg.Connection[Any], use_case: str, version: int, since: datetime) -> Newest:
    """The newest answers of a version from a time on."""
    parameters = {"use_case": use_case, "version": version, "since": since, "most": NEWEST}
    total = conn.execute(
        _NEWEST + "SELECT count(*), count(*) FILTER (WHERE error IS NULL AND label IS DISTINCT FROM served),"
        " avg(ms) FILTER (WHERE error IS NULL)::float8 FROM newest",
        parameters,
    ).fetchone()
    assert total is not None
    pairs = conn.execute(
        _NEWEST + "SELECT served, label, count(*) FROM newest"
        " WHERE error IS NULL AND label IS DISTINCT FROM served"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %(shown)s",
        parameters | {"shown": MOST_PAIRS},
    ).fetchall()
    failures = conn.execute(
        _NEWEST + "SELECT split_part(error, ':', 1), count(*), min(error) FROM newest"
        " WHERE error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(shown)s",
        parameters | {"shown": MOST_FAILURES},
    ).fetchall()
    served, shadow = _histograms(conn, parameters)
    return Newest(
        rows=total[0],
        differing=total[1],
        ms=total[2],
        pairs=tuple(Pair(*row) for row in pairs),
        failures=tuple(Failure(*row) for row in failures),
        served_scores=served,
        shadow_scores=shadow,
    )


def read_labelled(
    conn: psycopg.Connection[Any], use_case: str, version: int, since: datetime
) -> Mapping[bool, LabelledCounts]:
    """Answers of a version that a label has come for: those drawn by chance (True), and the others."""
    counting, held = unless_held(conn, use_case)
    rows = conn.execute(
        "WITH known AS MATERIALIZED (SELECT prediction_id AS id, label FROM feedback"
        f" WHERE use_case = %(use_case)s AND prediction_id > %(since_id)s{counting}"
        " ORDER BY prediction_id LIMIT %(most)s)"
        f" SELECT {IS_AUDITED}, coalesce(s.served = known.label, false),"
        " coalesce(s.label = known.label, false), count(*) FROM known"
        " JOIN shadow_answer s ON s.prediction_id = known.id AND s.version = %(version)s"
        " WHERE s.use_case = %(use_case)s AND s.predicted_at >= %(since)s GROUP BY 1, 2, 3",
        {
            "use_case": use_case,
            "version": version,
            "since": since,
            "since_id": least_id(since),
            "most": MOST_LABELLED,
        }
        | held,
    ).fetchall()
    counts = {tuple(row[:3]): int(row[3]) for row in rows}
    return {
        audited: LabelledCounts(
            both=counts.get((audited, True, True), 0),
            served_only=counts.get((audited, True, False), 0),
            shadow_only=counts.get((audited, False, True), 0),
            neither=counts.get((audited, False, False), 0),
        )
        for audited in (True, False)
    }


def _histograms(
    conn: psycopg.Connection[Any], parameters: Mapping[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Scores of what was served and of the version, on the same records, shape (BINS,) each."""
    both = "WHERE served_score IS NOT NULL AND score IS NOT NULL GROUP BY 1, 2"
    place: LiteralString = "least(greatest(floor({score} * %(bins)s)::int, 0), %(bins)s - 1)"
    rows = conn.execute(
        _NEWEST + f"SELECT 0, {place.format(score='served_score')}, count(*) FROM newest {both}"
        f" UNION ALL SELECT 1, {place.format(score='score')}, count(*) FROM newest {both}",
        {**parameters, "bins": BINS},
    ).fetchall()
    histograms = np.zeros((2, BINS), dtype=np.int64)
    for which, bin_number, number in rows:
        histograms[which, bin_number] = number
    return histograms[0], histograms[1]
