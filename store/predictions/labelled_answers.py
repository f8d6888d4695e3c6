"""How good served answers were, from predictions whose true label has come.

Labels bear the prediction's id, by whatever way they came, and ids sort by time: an index and a key lead
to the newest labelled answers, and no more than `MOST_ANSWERS` of them are looked at. Labels of sources that
are held back say nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from store.feedback.sources import unless_held

MOST_ANSWERS = 10_000
"""Newest labelled answers that are looked at."""
Z = 1.96
"""Standard deviations on each side of an interval that holds 95 of 100 times."""


@dataclass(frozen=True)
class AnswerCounts:
    """Answers and how many of them were right.

    Of one label a row, an answer is right or not. Of label sets, `hits` counts the labels that were
    answered and are true, `size` half of all labels answered and true: their ratio is the micro-F1.
    """

    labelled: int
    correct: int
    """Answers that are wholly right."""
    hits: float
    size: float

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; of label sets, the micro-F1. None without answers."""
        return self.hits / self.size if self.size else None

    def as_dict(self) -> dict[str, Any]:
        """With the interval that the true value lies in, 95 of 100 times."""
        low, high = wilson_interval(self.hits, self.size)
        return {
            "labelled": self.labelled,
            "correct": self.correct,
            "accuracy": rounded(self.accuracy),
            "low": rounded(low),
            "high": rounded(high),
        }


NO_ANSWERS = AnswerCounts(0, 0, 0.0, 0.0)


@dataclass(frozen=True)
class Window:
    """Consecutive labelled answers."""

    start: datetime
    end: datetime
    version: int | None
    """That most of them are by; None: by links of a chain without a version."""
    counts: AnswerCounts
    lag: timedelta
    """Median time from an answer to its label."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        times = {"from": self.start.isoformat(), "to": self.end.isoformat()}
        return {**times, "version": self.version, **self.counts.as_dict()}


@dataclass(frozen=True)
class Quality:
    """Live quality over a time."""

    total: AnswerCounts
    windows: tuple[Window, ...]
    versions: Mapping[int | None, AnswerCounts]
    """Of each version that answered."""


def wilson_interval(hits: float, size: float) -> tuple[float | None, float | None]:
    """Score interval of a share (E. B. Wilson, JASA 22, 1927), at 95%; of label sets it is approximate.

    >>> [round(end, 3) for end in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    if size <= 0:
        return None, None
    share, spread = hits / size, Z * Z / size
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(max(0.0, share * (1 - share) / size + spread / (4 * size)))
    return max(0.0, middle - half), min(1.0, middle + half)


# Shares of a row: one label is a set of one.
_ONE: LiteralString = "(p.label = f.label)::int AS hits, 1.0::float8 AS size"
# Most sets are equal, and need not be taken apart.
_MANY: LiteralString = (
    "CASE WHEN p.label = f.label THEN cardinality(string_to_array(f.label, %(separator)s)) ELSE ("
    "SELECT count(*) FROM unnest(string_to_array(p.label, %(separator)s)) AS said "
    "WHERE said = ANY (string_to_array(f.label, %(separator)s))) END AS hits, "
    "(cardinality(string_to_array(p.label, %(separator)s)) "
    "+ cardinality(string_to_array(f.label, %(separator)s))) / 2.0::float8 AS size"
)
# MATERIALIZED: the newest labels first, by their key, and only for those the predictions.
_ANSWERS: LiteralString = """
    WITH known AS MATERIALIZED (
        SELECT prediction_id AS id, label, received_at FROM feedback
        WHERE use_case = %(use_case)s AND prediction_id > %(since_id)s{counting}
        ORDER BY prediction_id DESC LIMIT %(most)s
    ), answers AS (
        SELECT p.id, p.predicted_at, p.model_version, (p.label = f.label)::int AS correct, {shares},
            extract(epoch FROM f.received_at - p.predicted_at) AS lag,
            width_bucket(p.predicted_at, %(breaks)s::timestamptz[]) AS segment
        FROM known f JOIN prediction p ON p.id = f.id
        WHERE p.use_case = %(use_case)s AND p.predicted_at >= %(since)s
            AND (p.model_version IS NULL OR p.model_version <> ALL(%(except_by)s::int[]))
    )"""
_WINDOWS: LiteralString = """, placed AS (
        SELECT *, row_number() OVER (PARTITION BY segment ORDER BY predicted_at, id) - 1 AS place,
            count(*) OVER (PARTITION BY segment) AS n, count(*) OVER () AS total
        FROM answers
    ), cut AS (
        SELECT *, place * greatest(1, least(round(n * %(windows)s::float8 / total)::bigint, n / %(least)s))
            / n AS part
        FROM placed
    )
    SELECT grouping(segment) = 0 AS is_window, grouping(model_version) = 0 AS is_version,
        min(predicted_at) AS start, max(predicted_at) AS "end", count(*) AS labelled, sum(correct) AS correct,
        sum(hits)::float8 AS hits, sum(size)::float8 AS size, model_version AS version,
        mode() WITHIN GROUP (ORDER BY model_version) AS mostly,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY lag::float8) AS lag
    FROM cut GROUP BY GROUPING SETS ((segment, part), (model_version), ())
    ORDER BY start, version"""
_NEWEST: LiteralString = """
    SELECT min(predicted_at) AS start, max(predicted_at) AS "end", count(*) AS labelled,
        sum(correct) AS correct, sum(hits)::float8 AS hits, sum(size)::float8 AS size,
        mode() WITHIN GROUP (ORDER BY model_version) AS mostly,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY lag::float8) AS lag
    FROM answers"""


def read_quality(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    since: datetime,
    windows: int,
    breaks: Sequence[datetime] = (),
    separator: str | None = None,
    least: int = 1,
    most: int = MOST_ANSWERS,
) -> Quality:
    """Quality of the newest labelled answers given since a time, whole and in windows of equal counts.

    Args:
        windows: about this many.
        breaks: times, rising, that no window spans.
        separator: between the labels of one answer; None: answers are one label.
        least: answers in a window; fewer only where there are no more between two breaks.
        most: answers looked at, the newest.
    """
    parameters = _parameters(use_case, since, separator, most) | {
        "windows": windows, "breaks": list(breaks), "least": least,
    }  # fmt: skip
    counting, held = unless_held(conn, use_case)
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_query(separator, counting) + _WINDOWS, parameters | held).fetchall()
    totals = [row for row in rows if not row["is_window"] and not row["is_version"]]
    return Quality(
        total=_counts(totals[0]),
        windows=tuple(_window(row) for row in rows if row["is_window"]),
        versions={row["version"]: _counts(row) for row in rows if row["is_version"]},
    )


def newest_window(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    since: datetime,
    separator: str | None = None,
    most: int,
    except_by: Sequence[int] = (),
) -> Window | None:
    """The newest labelled answers given since a time as one window, `most` of them; None: there are none.

    Args:
        except_by: versions whose answers do not count.
    """
    parameters = _parameters(use_case, since, separator, most) | {"breaks": [], "except_by": list(except_by)}
    counting, held = unless_held(conn, use_case)
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_query(separator, counting) + _NEWEST, parameters | held).fetchone()
    return None if row is None or not row["labelled"] else _window(row)


def _query(separator: str | None, counting: str) -> str:
    return _ANSWERS.replace("{shares}", _ONE if separator is None else _MANY).replace("{counting}", counting)


def _parameters(use_case: str, since: datetime, separator: str | None, most: int) -> dict[str, Any]:
    return {
        "use_case": use_case,
        "since": since,
        "since_id": least_id(since),
        "separator": separator,
        "most": most,
        "except_by": [],
    }


def least_id(moment: datetime) -> str:
    """What ids of predictions given from a time on are not below: they begin with 48 bits of milliseconds.

    >>> from datetime import UTC, datetime
    >>> least_id(datetime(2026, 11, 21, 15, 6, 39, tzinfo=UTC))
    '01a1fea5-2817'
    """
    digits = f"{max(0, int(moment.timestamp() * 1000) - 1):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _window(row: Mapping[str, Any]) -> Window:
    lag = timedelta(seconds=max(0.0, row["lag"]))
    return Window(row["start"], row["end"], row["mostly"], _counts(row), lag)


def _counts(row: Mapping[str, Any]) -> AnswerCounts:
    return AnswerCounts(row["labelled"], int(row["correct"] or 0), row["hits"] or 0.0, row["size"] or 0.0)


def rounded(value: float | None) -> float | None:
    """To four digits, for JSON."""
    return None if value is None else round(value, 4)
