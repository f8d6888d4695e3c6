"""Rows in quarantine, tried again under the configuration of today.

Those of a file are read as the file would have been, a reading at a time; items of requests and records that
were set aside as they came. What is valid becomes feedback with the identity that it would have had, and
leaves quarantine; the others get their reason of today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import psycopg

from configs.schema import UseCase
from configs.spelling.letters import compose
from features.files.batches import Batch, Source, objects_table
from features.files.labelled_rows import RowReader
from features.records.fences import FenceTally
from features.records.rows import stored_rows_at_once
from store.feedback.corrections import FeedbackCounts
from store.feedback.fences import production_fences
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.sources import EARLIER, FILE, OPEN
from store.ingest.checked_batches import prepare
from store.ingest.item_retry import prepare_items
from store.ingest.record_retry import prepare_records
from store.quarantine.reasons import RefusedReason
from store.quarantine.rows import EVERY_ROW, RETRIED, Selection, count_reasons, rules_json

PAGE = 5_000
PARTS: LiteralString = """
    SELECT source, read_at, kind, said_by, count(*), max(retry_requested) FROM quarantine WHERE {where}
    GROUP BY source, read_at, kind, said_by
    ORDER BY read_at, source, kind"""
PAGE_OF_PART: LiteralString = """
    SELECT id, coalesce(line, 0), "row" FROM quarantine WHERE {where} AND kind = %(kind)s
    AND source = %(part_source)s AND said_by IS NOT DISTINCT FROM %(part_said_by)s
    AND read_at = %(read_at)s AND (coalesce(line, 0), id) > (%(line)s, %(id)s)
    ORDER BY coalesce(line, 0), id LIMIT %(limit)s"""
OVERTAKEN = """
    SELECT tried.id, tried.identity
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::boolean[])
        AS tried (id, identity, record, label, is_timed)
    JOIN quarantine q ON q.id = tried.id
    JOIN feedback f ON f.use_case = (SELECT %s) AND f.identity = tried.identity
    WHERE (NOT tried.is_timed AND CASE WHEN q.last_seq IS NULL THEN f.received_at >= q.read_at
            ELSE f.seq > q.last_seq AND NOT EXISTS (
                SELECT FROM feedback_correction k WHERE k.use_case = f.use_case AND k.identity = f.identity
                    AND k.received_at = f.received_at AND k.seq <= q.last_seq) END OR q.kind = 'record')
        AND (f.label <> tried.label OR f.record <> tried.record::jsonb)"""
"""Rows of which something else has been stored since they were refused; of timed ones the newer stands.

What was relabelled since has another number, and came when it had come. Earlier releases kept times alone.
"""
NEW_REASONS = """
    UPDATE quarantine q SET reason = new.reason, retry_requested = NULL,
        rules = array(SELECT jsonb_array_elements_text(new.rules::jsonb))
    FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS new (id, reason, rules) WHERE q.id = new.id"""
IS_OVERTAKEN = (
    "the same row has been stored since with another record or label; drop this one, or send it anew"
)


@dataclass(frozen=True)
class RetryReport:
    """What became of rows in quarantine; `tried` is the sum of new to refused."""

    use_case: str
    tried: int
    new: int
    corrected: int
    duplicates: int
    stale: int
    """Say what was true before something newer that is stored; they leave quarantine for the history."""
    refused: int
    """Stay, with the reason of today."""
    unreadable: int
    """Were not tried: text that is no row, and second rows of an id; the file is to be mended."""
    reasons: tuple[RefusedReason, ...]
    """Why rows are in quarantine still."""
    outvoted: int = 0
    """Are kept as what their source says, while other sources decide."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Tried:
    """Rows of one page: those to store, by number in quarantine, and why the others stay."""

    feedback: FeedbackBatch
    ids: Sequence[int]
    refused: dict[int, str]


def retry_rows(
    conn: psycopg.Connection[Any], use_case: UseCase, selection: Selection = EVERY_ROW
) -> RetryReport:
    """Try rows in quarantine again; each page is a transaction, so that a kill leaves nothing half-done.

    Args:
        conn: not in a transaction; nobody else may use it meanwhile.
    """
    counts, refused, unreadable = FeedbackCounts(), 0, 0
    stored: set[str] = set()
    where, parameters = selection.where(use_case.name)
    parts = conn.execute(PARTS.format(where=where), parameters).fetchall()
    conn.commit()
    for source, read_at, kind, said_by, rows, _ in parts:
        if kind not in RETRIED:
            unreadable += rows
            continue
        part = _Part(conn, use_case, selection, source, read_at, kind, said_by)
        for tried in part.prepare():
            with conn.transaction():
                more, stay = _settle(conn, use_case.name, tried, stored)
            counts, refused = counts + more, refused + stay
    # What is requested meanwhile waits for the next retry, but for what was tried now.
    parameters["requested"] = max((one[-1] for one in parts if one[-1] is not None), default=None)
    conn.execute(
        f"UPDATE quarantine SET retry_requested = NULL WHERE {where} AND retry_requested <= %(requested)s",
        parameters,
    )
    reasons = count_reasons(conn, use_case.name, replace(selection, reason=None, requested=False))
    conn.commit()
    tried_rows = counts.rows + refused
    return RetryReport(
        use_case.name, tried_rows, counts.new, counts.corrected, counts.duplicates, counts.stale, refused,
        unreadable, reasons, counts.outvoted,
    )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """Rows of one kind, of one reading of one source."""

    conn: psycopg.Connection[Any]
    use_case: UseCase
    selection: Selection
    source: str
    read_at: datetime
    kind: str
    said_by: str | None
    """Whose labels they are; None: an earlier release did not keep that."""

    def prepare(self) -> Iterator[Tried]:
        """Check the rows, a page at a time."""
        if self.kind == "row":
            reader = RowReader(self.use_case)
            batches = (_batch(page) for page in self._pages())
            fences = FenceTally(production_fences(self.conn, self.use_case))
            self.conn.commit()
            source, door = Source(self.source, None, batches), self.said_by or FILE
            for prepared, _ in prepare(reader, source, door=door, fences=fences):
                refused = {row.line: row.reason for row in prepared.refused if row.line is not None}
                yield Tried(prepared.feedback, prepared.lines.tolist(), refused)
        else:
            check = prepare_items if self.kind == "item" else prepare_records
            said_by = self.said_by or (OPEN if self.kind == "item" else EARLIER)
            for page in self._pages():
                yield Tried(*check(self.conn, self.use_case, self.source, said_by, page))
                self.conn.commit()

    def _pages(self) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        where, parameters = self.selection.where(self.use_case.name)
        parameters |= {
            "kind": self.kind, "part_source": self.source, "part_said_by": self.said_by,
            "read_at": self.read_at, "limit": stored_rows_at_once(self.use_case.record, PAGE),
        }  # fmt: skip
        last = (-1, -1)
        while True:
            parameters |= {"line": last[0], "id": last[1]}
            rows = self.conn.execute(PAGE_OF_PART.format(where=where), parameters).fetchall()
            self.conn.commit()
            if not rows:
                return
            last = (rows[-1][1], rows[-1][0])
            yield [(row[0], row[2]) for row in rows]


def _batch(page: list[tuple[int, dict[str, Any]]]) -> Batch:
    """Rows as a file has them; each stands where its number in quarantine says."""
    rows = [row for _, row in page]
    table, mixed = objects_table([{compose(name): row[name] for name in row} for row in rows])
    return Batch(
        table, np.array([one for one, _ in page], dtype=np.int64), mixed=mixed, originals=rows, fetch=_nowhere
    )


def _nowhere(_name: str) -> bytes:
    """Where a picture stood is known while its file is read, and not later."""
    raise ValueError("the name of a picture, which is looked for when its file is ingested; ingest it again")


def _settle(
    conn: psycopg.Connection[Any], use_case: str, tried: Tried, stored: set[str]
) -> tuple[FeedbackCounts, int]:
    """Store what is valid and not overtaken; returns what became of it, and how many rows stay.

    Args:
        stored: identities that this retry has stored: what was refused first is tried first, so that these
            are older.
    """
    feedback, ids, refused = tried.feedback, list(tried.ids), dict(tried.refused)
    overtaken = dict(conn.execute(OVERTAKEN, _query(use_case, feedback, ids)).fetchall()) if ids else {}
    refused |= {one: IS_OVERTAKEN for one, identity in overtaken.items() if identity not in stored}
    keep = [row for row, one in enumerate(ids) if one not in refused]
    accepted = feedback.take(keep)
    counts = add_feedback(conn, use_case, accepted)
    stored.update(accepted.identity)
    conn.execute("DELETE FROM quarantine WHERE id = ANY(%s)", ([ids[row] for row in keep],))
    rules = [rules_json(reason) for reason in refused.values()]
    conn.execute(NEW_REASONS, (list(refused), list(refused.values()), rules))
    return counts, len(refused)


def _query(use_case: str, feedback: FeedbackBatch, ids: list[int]) -> tuple[Any, ...]:
    times = feedback.event_time or [None] * len(feedback)
    is_timed = [time is not None for time in times]
    return ids, list(feedback.identity), list(feedback.record_json), list(feedback.label), is_timed, use_case
