"""Live quality of a use case: of what was served, over time and beside what promotions promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import UseCase
from models.production import ledger
from store.predictions.audits import AuditCounts, count_audits
from store.predictions.coverage import Coverage, count_answers
from store.predictions.labelled_answers import (
    MOST_ANSWERS,
    NO_ANSWERS,
    Quality,
    Window,
    newest_window,
    read_quality,
)
from store.runs.rows import find_run

LEAST_IN_WINDOW = 20
"""Fewer answers would make a window that says nothing."""
AUDIT_TIME = timedelta(days=30)
"""Of which audited answers are counted beside the newest labelled ones."""
NEWEST = 200
"""Answers of the newest window that stands for "now"."""
MOST_MOVES = 100
"""Moves of production that windows are cut at."""


@dataclass(frozen=True)
class LiveQuality:
    """Quality over a time, and the moves of production in it."""

    use_case: str
    metric: str
    since: datetime
    quality: Quality
    moves: Sequence[ledger.Entry]
    coverage: Coverage
    """Of the answers that were looked at: all of the time, or those since the oldest labelled one."""
    audits: AuditCounts
    """Of those of the time that were drawn by chance."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "use_case": self.use_case,
            "metric": self.metric,
            "since": self.since.isoformat(),
            "total": self.quality.total.as_dict(),
            "coverage": self.coverage.as_dict(),
            "audits": self.audits.as_dict(self.since),
            "windows": [window.as_dict() for window in self.quality.windows],
            "versions": [
                {"version": version, **tally.as_dict()} for version, tally in self.quality.versions.items()
            ],
            "promotions": [
                {
                    "at": move.at.isoformat(),
                    "event": move.event,
                    "from": move.from_version,
                    "to": move.to_version,
                }
                for move in self.moves
            ],
        }


@dataclass(frozen=True)
class QualityNow:
    """The newest answers since production last moved, beside its score when it was judged."""

    metric: str
    window: Window | None
    at_promotion: float | None
    coverage: Coverage
    audits: AuditCounts
    """Of all answers since production last moved that were drawn by chance, in the last 30 days."""
    audits_since: datetime

    @property
    def accuracy(self) -> float | None:
        """The best that is known: of audited answers where most others carry no label, else of the newest."""
        if self.coverage.warning is not None and self.audits.are_enough:
            return self.audits.right
        return None if self.window is None else self.window.counts.accuracy

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        window = None if self.window is None else self.window.as_dict()
        return {
            "metric": self.metric,
            "newest": window,
            "at_promotion": self.at_promotion,
            "coverage": self.coverage.as_dict(),
            "audits": self.audits.as_dict(self.audits_since, ", by what serves now,"),
        }


def metric_of(use_case: UseCase) -> str:
    """The metric that live answers are measured by, by its name in `models.gate.metrics`."""
    return "f1_micro" if use_case.target.task == "multilabel" else "accuracy"


def live_quality(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    *,
    windows: int,
    hours: float,
    now: datetime | None = None,
) -> LiveQuality:
    """Quality of the last hours, in about so many windows; none of them spans a move of production."""
    now = now or datetime.now(UTC)
    since = _in_database(use_case, now, now - timedelta(hours=hours))
    moves = ledger.moves_since(conn, use_case.name, since, MOST_MOVES)
    quality = read_quality(
        conn,
        use_case.name,
        since=since,
        windows=windows,
        breaks=[move.at for move in moves],
        separator=_separator(use_case),
        least=LEAST_IN_WINDOW,
    )
    total = quality.total
    start = quality.windows[0].start if total.labelled >= MOST_ANSWERS else since
    coverage = Coverage(count_answers(conn, use_case.name, since=start), total.labelled, total.correct)
    audits = count_audits(conn, use_case.name, since=since)
    return LiveQuality(use_case.name, metric_of(use_case), since, quality, moves, coverage, audits)


def quality_now(conn: psycopg.Connection[Any], use_case: UseCase) -> QualityNow:
    """How the newest answers fare against what the gate saw.

    A server takes up a new version a moment after production has moved: what the one before still answered
    says nothing of it, and neither does what was tried beside it.
    """
    metric = metric_of(use_case)
    move = ledger.last_move(conn, use_case.name)
    since = _in_database(
        use_case, datetime.now(UTC), datetime.fromtimestamp(0, UTC) if move is None else move.at
    )
    others = _others(conn, use_case.name, move)
    window = newest_window(
        conn, use_case.name, since=since, separator=_separator(use_case), most=NEWEST, except_by=others
    )
    counts = NO_ANSWERS if window is None else window.counts
    start = window.start if window is not None and counts.labelled >= NEWEST else since
    answers = count_answers(conn, use_case.name, since=start, except_by=others)
    version = None if move is None else move.to_version
    promised = None if version is None else score_at_promotion(conn, use_case.name, version, metric)
    lately = max(since, datetime.now(UTC) - AUDIT_TIME)
    audits = count_audits(conn, use_case.name, since=lately, except_by=others)
    coverage = Coverage(answers, counts.labelled, counts.correct)
    return QualityNow(metric, window, promised, coverage, audits, lately)


def _in_database(use_case: UseCase, now: datetime, since: datetime) -> datetime:
    """From when on answers count: of earlier ones those are in the database that somebody asked for."""
    oldest = use_case.retention.in_database_since(now)
    return since if oldest is None else max(since, oldest)


def _others(conn: psycopg.Connection[Any], use_case: str, move: ledger.Entry | None) -> list[int]:
    """Versions that have answered since production last moved, and are not production."""
    if move is None:
        return []
    versions = [move.from_version, *ledger.tried_since(conn, use_case, move.id)]
    return [version for version in versions if version not in (None, move.to_version)]


def score_at_promotion(
    conn: psycopg.Connection[Any], use_case: str, version: int, metric: str
) -> float | None:
    """What a version scored on the held-out rows when it was judged; None where no run tells."""
    for entry in ledger.of_version(conn, use_case, version):
        run = None if entry.run_id is None else find_run(conn, str(entry.run_id))
        result = {} if run is None or run.result is None else run.result
        score = result.get("scores", {}).get(result.get("challenger"), {}).get(metric)
        if score is not None:
            return round(float(score), 4)
    return None


def _separator(use_case: UseCase) -> str | None:
    return use_case.target.separator if use_case.target.task == "multilabel" else None
