"""Jobs: requests for predictions that are kept now and answered later, by any number of workers.

A worker takes jobs under a lease, one taker each (SKIP LOCKED). What it answers is stored in one
transaction with the predictions behind it, and only while the lease is still its own, so a job is
answered, and its predictions are logged, once or not yet. The lease of a worker that is killed ends
with its connection, that of one which falls silent when its time is over; then the job is free again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from features.errors import RefusedRow
from store.database.locks import HELD_KEYS, key_sql, lock_session, lock_transaction
from store.database.sessions import has_own_session
from store.feedback.insertion import HTTP_SOURCE, FeedbackBatch, add_feedback
from store.feedback.sources import OPEN
from store.predictions.journal import columns_of
from store.quarantine.rows import quarantine

CHANNEL: LiteralString = "ratchet_jobs"
"""Tells workers the use case of a new job."""
LEASE_SECONDS = 60.0
_BY_LEASE: LiteralString = "lease:"
"""Begins names of workers that hold no lock."""
TOMBSTONE_DAYS = 7
"""How long it is remembered that an expired job was there."""


@dataclass(frozen=True)
class JobState:
    """Where a job stands; `status` and `answer` are what the caller gets once it has ended."""

    id: str
    state: str
    created_at: datetime
    status: int | None
    answer: bytes | None


@dataclass(frozen=True)
class TakenJob:
    """A job that this worker holds; `attempts` counts how often it was taken."""

    id: str
    request: bytes
    attempts: int
    said_by: str = OPEN
    """Whose labels came with it."""


@dataclass(frozen=True)
class Settled:
    """What became of a taken job."""

    job: TakenJob
    status: int
    answer: bytes
    predictions: bytes = b""
    """Rows of table `prediction` in COPY text format, as in the journal."""
    feedback: FeedbackBatch | None = None
    refused: Sequence[RefusedRow] = ()
    """Labels that came with it and are not taken, with the reason."""

    @property
    def state(self) -> str:
        """`done` or `failed`."""
        return "done" if self.status < 400 else "failed"


def submit_job(
    conn: psycopg.Connection[Any],
    use_case: str,
    job_id: str,
    request: bytes,
    records: int,
    said_by: str = OPEN,
) -> datetime:
    """Keep a request and tell the workers; gives the time it came. Safe to repeat with the same id."""
    with conn.transaction():
        row = conn.execute(
            "INSERT INTO job (id, use_case, request, records, said_by) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET records = excluded.records RETURNING created_at",
            (job_id, use_case, request, records, said_by),
        ).fetchone()
        conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, use_case))
    assert row is not None
    created_at: datetime = row[0]
    return created_at


def is_full(conn: psycopg.Connection[Any], use_case: str, most: int) -> bool:
    """Whether at least `most` jobs are pending; those that come in the same moment are not seen."""
    row = conn.execute(
        "SELECT count(*) FROM (SELECT FROM job WHERE use_case = %s AND state = 'pending' LIMIT %s) AS few",
        (use_case, most),
    ).fetchone()
    assert row is not None
    return int(row[0]) >= most


def find_job(conn: psycopg.Connection[Any], use_case: str, job_id: str) -> JobState | None:
    """Where a job stands; None when there is none of this id, which may be any text."""
    try:
        wanted = UUID(job_id)
    except ValueError:
        return None
    with conn.cursor(row_factory=class_row(JobState)) as cursor:
        return cursor.execute(
            "SELECT id::text AS id, state, created_at, status, answer FROM job "
            "WHERE use_case = %s AND id = %s",
            (use_case, wanted),
        ).fetchone()


def count_jobs(conn: psycopg.Connection[Any], use_case: str) -> int:
    """How many jobs wait to be answered."""
    row = conn.execute(
        "SELECT count(*) FROM job WHERE use_case = %s AND state = 'pending'", (use_case,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def name_worker(conn: psycopg.Connection[Any]) -> str:
    """A new name for a worker: its jobs are free again when this connection is gone.

    Behind a pooler, where its session is no mark of it, when their lease has ended.
    """
    if not has_own_session(conn):
        return f"{_BY_LEASE}{uuid4()}"
    worker = str(uuid4())
    show_life(conn, worker)
    return worker


def show_life(conn: psycopg.Connection[Any], worker: str) -> None:
    """Mark this connection, which has a session of its own, as that of a worker."""
    lock_session(conn, "job worker", worker)


def free_jobs(conn: psycopg.Connection[Any]) -> int:
    """Give back the jobs of workers that are gone, or silent past their lease; gives how many.

    A lease that ends later than any that is given now is of before the clock was set back, and begins anew.
    """
    with conn.transaction():
        conn.execute(
            "UPDATE job SET lease_until = now() + make_interval(secs => %(lease)s) "
            "WHERE state = 'processing' AND lease_until > now() + make_interval(secs => %(lease)s)",
            {"lease": LEASE_SECONDS},
        )
        return conn.execute(
            "UPDATE job SET state = 'pending', worker = NULL, lease_until = NULL WHERE state = 'processing' "
            f"AND (lease_until < now() OR worker NOT LIKE '{_BY_LEASE}%' "
            f"AND {key_sql('job worker', 'worker')} NOT IN ({HELD_KEYS}))"
        ).rowcount


def take_jobs(
    conn: psycopg.Connection[Any],
    use_case: str,
    worker: str,
    *,
    most_jobs: int,
    most_records: int,
    lease_seconds: float = LEASE_SECONDS,
) -> list[TakenJob]:
    """Take the oldest pending jobs, as many as hold `most_records` together, but at least one."""
    with conn.transaction(), conn.cursor(row_factory=class_row(TakenJob)) as cursor:
        return cursor.execute(
            """
            WITH free AS (
                SELECT id, created_at, records FROM job WHERE use_case = %(use_case)s AND state = 'pending'
                ORDER BY created_at, id LIMIT %(jobs)s FOR UPDATE SKIP LOCKED
            ), summed AS (
                SELECT id, records, sum(records) OVER (ORDER BY created_at, id) AS total FROM free
            )
            UPDATE job SET state = 'processing', attempts = attempts + 1, worker = %(worker)s,
                lease_until = now() + make_interval(secs => %(lease)s)
            FROM summed WHERE job.id = summed.id AND (total <= %(records)s OR total = summed.records)
            RETURNING job.id::text AS id, request, attempts, coalesce(job.said_by, 'open') AS said_by""",
            {
                "use_case": use_case, "worker": worker, "jobs": most_jobs, "records": most_records,
                "lease": lease_seconds,
            },
        ).fetchall()  # fmt: skip


def finish_jobs(conn: psycopg.Connection[Any], use_case: str, worker: str, settled: Sequence[Settled]) -> int:
    """Store answers with their predictions and labels; gives how many jobs were still this worker's.

    What belongs to the others is dropped: someone else answers them.
    """
    with conn.transaction():
        held = _close(conn, worker, settled)
        kept = [one for one in settled if one.job.id in held]
        if lines := b"".join(one.predictions for one in kept):
            with (
                conn.cursor() as cursor,
                cursor.copy(f"COPY prediction ({columns_of(lines)}) FROM STDIN") as copy,
            ):
                copy.write(lines)
        labelled = [one.feedback for one in kept if one.feedback is not None]
        if len(labelled) > 1:  # a lock that is shared first and wanted alone later is a deadlock of two
            lock_transaction(conn, "feedback", use_case)
        for feedback in labelled:
            add_feedback(conn, use_case, feedback)
        for one in kept:
            if one.refused:
                quarantine(conn, use_case, HTTP_SOURCE, one.refused, said_by=one.job.said_by)
    return len(kept)


def _close(conn: psycopg.Connection[Any], worker: str, settled: Sequence[Settled]) -> set[str]:
    """End jobs; gives the ids of those that this worker still held."""
    closed = conn.execute(
        "UPDATE job SET state = s.state, status = s.status, answer = s.answer, finished_at = now(), "
        "request = NULL, lease_until = NULL FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::int[], "
        "%s::bytea[]) AS s (id, attempts, state, status, answer) WHERE job.id = s.id "
        "AND job.attempts = s.attempts AND job.state = 'processing' AND worker = %s RETURNING job.id::text",
        (
            [one.job.id for one in settled], [one.job.attempts for one in settled],
            [one.state for one in settled], [one.status for one in settled],
            [one.answer for one in settled], worker,
        ),
    )  # fmt: skip
    return {row[0] for row in closed}


def expire_jobs(conn: psycopg.Connection[Any], use_case: str, keep_hours: float) -> int:
    """Drop answers older than `keep_hours`, and what is left of jobs long expired; gives how many expired."""
    with conn.transaction():
        conn.execute(
            "DELETE FROM job WHERE use_case = %s AND state = 'expired' "
            "AND finished_at < now() - make_interval(secs => %s, days => %s)",
            (use_case, keep_hours * 3600, TOMBSTONE_DAYS),
        )
        return conn.execute(
            "UPDATE job SET state = 'expired', answer = NULL, status = NULL WHERE use_case = %s "
            "AND state IN ('done', 'failed') AND finished_at < now() - make_interval(secs => %s)",
            (use_case, keep_hours * 3600),
        ).rowcount
