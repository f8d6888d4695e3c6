"""Stored rows that do not fit the configuration of today, moved to quarantine; history keeps what was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from configs.schema import UseCase
from features.errors import RefusedRow
from features.records.contract import LabelContract, RecordContract
from features.records.rows import stored_rows_at_once
from store.feedback.rows import find_misfits
from store.quarantine.reasons import ReasonTally, RefusedReason
from store.quarantine.rows import quarantine

PAGE = 5_000
PAGE_OF_ROWS = """
    SELECT seq, identity, record::text, label FROM feedback WHERE use_case = %s AND seq > %s
    ORDER BY seq LIMIT %s"""
REMOVE_ROWS = """
    WITH gone AS (
        DELETE FROM feedback WHERE use_case = %(use_case)s AND seq = ANY(%(seq)s) RETURNING *
    ), kept AS (
        INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
            record_group)
        SELECT use_case, identity, seq, record, label, received_at, event_time, record_group FROM gone
    ), unheard AS (
        DELETE FROM feedback_vote v USING gone
        WHERE v.use_case = gone.use_case AND v.identity = gone.identity RETURNING v.*, gone.label AS stood
    ), kept_votes AS (
        INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time)
        SELECT use_case, identity, nextval('feedback_seq'), record, label, received_at, event_time
        FROM unheard WHERE label <> stood
    )
    SELECT coalesce(source, 'stored'), said_by, seq, identity, record, label, event_time, prediction_id,
        record_id, record_group
    FROM gone"""

KEPT = ("identity", "record", "label", "event_time", "prediction_id", "record_id", "record_group")
"""What quarantine holds of a row that was set aside."""


@dataclass(frozen=True)
class RecheckReport:
    """How the stored rows of a use case fit its configuration."""

    use_case: str
    rows: int
    misfits: int
    set_aside: int
    """Of the misfits, those that were moved to quarantine."""
    reasons: tuple[RefusedReason, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def recheck_rows(conn: psycopg.Connection[Any], use_case: UseCase, *, move: bool) -> RecheckReport:
    """Look over all stored rows, and where asked move those that do not fit to quarantine.

    Args:
        conn: not in a transaction; each page is one of its own.
        move: whether to move them; else they are only counted, and every retrain leaves them out.
    """
    rows, tally, moved = 0, ReasonTally(), 0
    for count, misfits, reasons in _misfits(conn, use_case):
        rows += count
        for identity, reason in misfits.items():
            tally.add(f"the stored row {identity}", [RefusedRow(None, reason, {}, "record")])
        if move and reasons:
            with conn.transaction():
                moved += set_aside(conn, use_case.name, reasons)
    return RecheckReport(use_case.name, rows, tally.rows, moved, tally.reasons)


def _misfits(
    conn: psycopg.Connection[Any], use_case: UseCase
) -> Iterator[tuple[int, dict[str, str], dict[int, str]]]:
    """A page at a time: how many rows, and why some do not fit, by identity and by number."""
    contract, labels = (
        RecordContract(use_case.record),
        LabelContract(use_case.target, use_case.record.missing),
    )
    last, most = 0, stored_rows_at_once(use_case.record, PAGE)
    while True:
        page = conn.execute(PAGE_OF_ROWS, (use_case.name, last, most)).fetchall()
        conn.commit()
        if not page:
            return
        _, reasons = find_misfits(contract, labels, [row[2] for row in page], [row[3] for row in page])
        by_identity = {page[row][1]: reason for row, reason in reasons.items()}
        yield len(page), by_identity, {page[row][0]: reason for row, reason in reasons.items()}
        last = page[-1][0]


def set_aside(conn: psycopg.Connection[Any], use_case: str, reasons: Mapping[int, str]) -> int:
    """Move rows, by number, to quarantine with a reason each; returns how many were still there."""
    by_source: dict[tuple[str, str | None], list[RefusedRow]] = {}
    for source, said_by, seq, *content in remove_rows(conn, use_case, list(reasons)):
        row = dict(zip(KEPT, content, strict=True))
        row["event_time"] = None if row["event_time"] is None else _time_text(row["event_time"])
        by_source.setdefault((source, said_by), []).append(RefusedRow(None, reasons[seq], row, "record"))
    for (source, said_by), refused in by_source.items():
        quarantine(conn, use_case, source, refused, said_by=said_by)
    return sum(map(len, by_source.values()))


def remove_rows(conn: psycopg.Connection[Any], use_case: str, seq: list[int]) -> list[tuple[Any, ...]]:
    """Take rows out of what is learned from; history keeps them, so that old snapshots can be made again."""
    return conn.execute(REMOVE_ROWS, {"use_case": use_case, "seq": seq}).fetchall()


def _time_text(time: datetime) -> str:
    """A time as files and requests have it in an identity."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
