"""What is read from the feedback table: how much there is, and the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import RecordConfig
from features.errors import RefusedRow
from features.records.contract import CheckedRecords, Columns, LabelContract, RecordContract, concat, take
from features.records.rows import stored_rows_at_once
from features.records.stored_records import check_stored
from store.feedback.sources import unless_held
from store.quarantine.reasons import ReasonTally

BATCH = 20_000
"""Rows that are in memory as text at once."""


@dataclass(frozen=True)
class FeedbackRows:
    """Labelled records, oldest first; `time` is the event's where known, else that of arrival.

    An event cannot be later than its arrival, whatever was written: it counts as of then.
    """

    columns: Columns
    labels: NDArray[np.object_]
    identities: NDArray[np.object_]
    seq: NDArray[np.int64]
    time: NDArray[np.datetime64]
    ids: NDArray[np.int64]
    """A number for the own id of each record; `NO_KEY` where it has none."""
    contents: NDArray[np.int64]
    """The same for what a record holds; a field that it lacks counts as missing. `NO_KEY`: all are."""
    groups: NDArray[np.int64]
    """The same for the group of each record (`record.group`); `NO_KEY` where it has none."""

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, index: Any) -> FeedbackRows:
        """The rows that a slice, a mask or an array of positions selects."""
        return FeedbackRows(
            take(self.columns, index),
            *(getattr(self, key)[index] for key in ("labels", "identities", "seq", "time")),
            *(getattr(self, key)[index] for key in ("ids", "contents", "groups")),
        )


def count_feedback(
    conn: psycopg.Connection[Any],
    use_case: str,
    since_seq: int | None = None,
    *,
    late: Sequence[int] = (),
    after: datetime | None = None,
) -> int:
    """Number of labelled rows that came, or were corrected, after `since_seq` (default: all).

    Args:
        late: numbers up to `since_seq` of rows that count as well.
        after: only those that arrived later than this.
    """
    counting, parameters = unless_held(conn, use_case)
    if not (since_seq or late or after or counting):
        return _count_all(conn, use_case)
    row = conn.execute(
        "SELECT count(*) FROM feedback WHERE use_case = %(name)s"
        " AND (seq > %(since)s OR seq = ANY(%(late)s))"
        f" AND (%(after)s::timestamptz IS NULL OR received_at > %(after)s){counting}",
        {"name": use_case, "since": since_seq or 0, "late": list(late), "after": after, **parameters},
    ).fetchone()
    return 0 if row is None else int(row[0])


def _count_all(conn: psycopg.Connection[Any], use_case: str) -> int:
    """What the table's triggers have counted as rows came and went."""
    row = conn.execute(
        "SELECT coalesce(sum(rows), 0) FROM feedback_count WHERE use_case = %s", (use_case,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def count_by_label(conn: psycopg.Connection[Any], use_case: str) -> dict[str, int]:
    """Stored label -> how many rows have it; many labels of one row are one text."""
    query = "SELECT label, count(*) FROM feedback WHERE use_case = %s GROUP BY label"
    return {label: int(rows) for label, rows in conn.execute(query, (use_case,))}


def count_superseded(conn: psycopg.Connection[Any], use_case: str) -> int:
    """How often a row was something else before: it was corrected, taken back or given a new number."""
    row = conn.execute("SELECT count(*) FROM feedback_correction WHERE use_case = %s", (use_case,)).fetchone()
    return 0 if row is None else int(row[0])


def last_arrival(conn: psycopg.Connection[Any], use_case: str) -> int:
    """The number of the newest labelled row; 0: there is none."""
    row = conn.execute(
        "SELECT coalesce(max(seq), 0) FROM feedback WHERE use_case = %s", (use_case,)
    ).fetchone()
    return 0 if row is None else int(row[0])


NO_KEY = 0
"""Stands for no id, no content and no group. That a hash is 0 is as likely as that two are equal."""
CONTENT: LiteralString = """CASE jsonb_strip_nulls(record) WHEN '{}' THEN 0
        ELSE jsonb_hash_extended(jsonb_strip_nulls(record), 0) END"""
_HELD: LiteralString = "CASE held WHEN '{}' THEN 0 ELSE jsonb_hash_extended(held, 0) END"
"""The same of what a record holds, `held`, which is found once a row: it takes longer than all else."""
GROUP: LiteralString = """coalesce(hashtextextended(CASE WHEN %(group)s::text IS NOT NULL
        THEN coalesce(record->>%(group)s::text, record_group) END, 2), 0)"""
"""Of a field, or of a key beside the fields; nothing where the configuration names none."""
_COLUMNS: LiteralString = (
    """identity, record::text, label, seq,
        (extract(epoch FROM {time}) * 1000000)::bigint,
        CASE WHEN identity LIKE 'i:%%' OR record_id IS NOT NULL
            THEN feedback_entity(identity, record_id, record) ELSE 0 END, """
    + CONTENT
    + ", "
    + GROUP
)
_TIME: LiteralString = "least(event_time, received_at)"
_TIME_AS_TOLD: LiteralString = "coalesce(event_time, received_at)"
SELECT_FEEDBACK: LiteralString = (
    "SELECT "
    + _COLUMNS.replace("{time}", _TIME)
    + " FROM feedback WHERE use_case = %(use_case)s AND seq > %(since)s AND seq <= %(until)s{counting}"
    + f" ORDER BY {_TIME}, seq"
)
SELECT_BY_SEQ: LiteralString = (
    f"SELECT {_COLUMNS} "
    """FROM (
        SELECT use_case, identity, record_id, record_group, record, label, seq, event_time, received_at
        FROM feedback
        UNION ALL
        SELECT use_case, identity, NULL, record_group, record, label, seq, event_time, received_at
        FROM feedback_correction
    ) AS kept WHERE use_case = %(use_case)s AND seq = ANY(%(seq)s) ORDER BY seq"""
)
SELECT_VERSIONS: LiteralString = (
    f"SELECT {_COLUMNS.replace('{time}', _TIME).replace(CONTENT, _HELD)}, coalesce(said_by, 'earlier') "
    """FROM (
        SELECT use_case, identity, record_id, record_group, record, label, seq, event_time, received_at,
            said_by
        FROM feedback
        UNION ALL
        SELECT use_case, identity, NULL, record_group, record, label, seq, event_time, received_at, NULL
        FROM feedback_correction
    ) AS kept CROSS JOIN LATERAL (SELECT jsonb_strip_nulls(record) AS held OFFSET 0) AS without_nulls
    WHERE use_case = %(use_case)s AND """
)
_BETWEEN: LiteralString = "seq BETWEEN %(low)s AND %(high)s"
_AMONG: LiteralString = "seq = ANY(%(seq)s)"
SELECT_IDENTITIES: LiteralString = """
    SELECT identity FROM feedback WHERE use_case = %(use_case)s AND seq = ANY(%(seq)s)
    UNION
    SELECT identity FROM feedback_correction WHERE use_case = %(use_case)s AND seq = ANY(%(seq)s)"""
NEWEST = 2**63 - 1
StoredVersion = tuple[Any, ...]
"""What `SELECT_VERSIONS` gives of a row."""


def read_feedback(
    conn: psycopg.Connection[Any],
    use_case: str,
    contract: RecordContract,
    since_seq: int | None = None,
    until_seq: int | None = None,
    *,
    labels: LabelContract | None = None,
    left_out: ReasonTally | None = None,
) -> FeedbackRows:
    """All labelled rows, or those that came after one and up to one, in the order of time, then of arrival.

    The rows are one consistent view, read in batches: no more than one batch is held as text. Rows that were
    stored under another configuration and do not fit this one are left out, and so are those of sources that
    are held back.

    Args:
        labels: what labels may be; None: labels are not looked at.
        left_out: counts the rows that are left out, and why.
    """
    counting, more = unless_held(conn, use_case)
    parameters = {"use_case": use_case, "since": since_seq or 0, "until": until_seq or NEWEST, **more}
    query = SELECT_FEEDBACK.replace("{counting}", counting)
    return _read_rows(conn, query, parameters, contract, labels, left_out)


def read_by_seq(
    conn: psycopg.Connection[Any],
    use_case: str,
    contract: RecordContract,
    seq: NDArray[np.int64],
    *,
    times_as_told: bool = False,
) -> FeedbackRows:
    """The rows of these arrivals, also those that were corrected since, in the order of arrival.

    Args:
        times_as_told: also where an event is later than its arrival, as earlier releases read them.
    """
    query = SELECT_BY_SEQ.replace("{time}", _TIME_AS_TOLD if times_as_told else _TIME)
    return _read_rows(conn, query, {"use_case": use_case, "seq": seq.tolist()}, contract)


def identities_of(conn: psycopg.Connection[Any], use_case: str, seq: NDArray[np.int64]) -> frozenset[str]:
    """Of the rows of these arrivals, also those that were corrected since, their identities."""
    found = conn.execute(SELECT_IDENTITIES, {"use_case": use_case, "seq": seq.tolist()})
    return frozenset(identity for (identity,) in found)


@dataclass(frozen=True)
class RowVersions:
    """Rows as they are or were, by arrival: those that fit, and what is wrong with the others."""

    rows: FeedbackRows
    said_by: NDArray[np.object_]
    """Who decided the label of each row that fits."""
    misfits: tuple[Misfit, ...]


@dataclass(frozen=True)
class Misfit:
    """A stored row that does not fit the fields of the configuration."""

    seq: int
    identity: str
    label: str
    said_by: str
    reason: str


def read_versions(
    conn: psycopg.Connection[Any], use_case: str, record: RecordConfig, seq: NDArray[np.int64]
) -> list[StoredVersion]:
    """The rows of these arrivals, also those that were corrected since, by arrival; of gone ones nothing.

    Args:
        seq: in ascending order.
    """
    parameters = {"use_case": use_case, "group": record.group}
    found: dict[int, StoredVersion] = {}
    dense, others = _stretches(seq)
    with conn.cursor(binary=True) as cursor:
        for part in dense:
            ends = {"low": int(part[0]), "high": int(part[-1])}
            rows = cursor.execute(SELECT_VERSIONS + _BETWEEN, parameters | ends).fetchall()
            numbers = set(part.tolist())
            found.update({row[3]: row for row in rows if row[3] in numbers})
        if len(others):
            rows = cursor.execute(SELECT_VERSIONS + _AMONG, parameters | {"seq": others.tolist()}).fetchall()
            found.update({row[3]: row for row in rows})
    return [found[number] for number in sorted(found)]


def check_versions(contract: RecordContract, rows: Sequence[StoredVersion]) -> RowVersions:
    """Rows that were read, under the rules of a contract."""
    checked, reasons = find_misfits(contract, None, [row[1] for row in rows], [row[2] for row in rows])
    misfits = tuple(
        Misfit(rows[at][3], rows[at][0], rows[at][2], rows[at][8], reason) for at, reason in reasons.items()
    )
    fitting = [row for at, row in enumerate(rows) if at not in reasons] if reasons else rows
    return RowVersions(
        _feedback_rows(checked.columns, fitting), _objects([row[8] for row in fitting]), misfits
    )


_GAP = 1000
_FEWEST = 100
_MOST_BESIDE = 2
"""So many rows at most are read for each that is wanted."""


def _stretches(seq: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Numbers that lie close together, stretch by stretch, and those that are asked for one by one.

    Other use cases may have the numbers between; where the same one has them, its rows would be read in vain.
    """
    dense: list[NDArray[np.int64]] = []
    others = [seq[:0]]
    for part in np.split(seq, np.flatnonzero(np.diff(seq) > _GAP) + 1):
        is_dense = len(part) >= _FEWEST and part[-1] - part[0] < _MOST_BESIDE * len(part)
        (dense if is_dense else others).append(part)
    return dense, np.concatenate(others)


def find_misfits(
    contract: RecordContract, labels: LabelContract | None, documents: Sequence[str], truths: Sequence[str]
) -> tuple[CheckedRecords, dict[int, str]]:
    """Stored records and labels under the rules of `contract` and `labels`.

    Returns:
        The records that fit, whatever their label, and by position why a row does not fit.
    """
    checked = check_stored(contract, documents)
    reasons: dict[int, list[str]] = {}
    for problem in checked.problems:
        reasons.setdefault(problem.row, []).append(problem.message)
    if labels is not None:
        distinct = list(dict.fromkeys(truths))
        wrong = {label: why for label, why in zip(distinct, labels.check(distinct)[1], strict=True) if why}
        if wrong:
            for row, label in enumerate(truths):
                if label in wrong:
                    reasons.setdefault(row, []).append(wrong[label])
    return checked, {row: "; ".join(parts) for row, parts in reasons.items()}


def _read_rows(
    conn: psycopg.Connection[Any],
    query: LiteralString,
    parameters: Mapping[str, Any],
    contract: RecordContract,
    labels: LabelContract | None = None,
    left_out: ReasonTally | None = None,
) -> FeedbackRows:
    parameters = {**parameters, "group": contract.record.group}
    batches = _batches(conn, query, parameters, stored_rows_at_once(contract.record, BATCH))
    parts = [_read_part(rows, contract, labels, left_out) for rows in batches]
    if not parts:
        return _read_part([], contract, labels, left_out)
    return FeedbackRows(
        concat([part.columns for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.identities for part in parts]),
        np.concatenate([part.seq for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.contents for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )


def _read_part(
    rows: list[tuple[Any, ...]],
    contract: RecordContract,
    labels: LabelContract | None,
    left_out: ReasonTally | None,
) -> FeedbackRows:
    checked, misfits = find_misfits(contract, labels, [row[1] for row in rows], [row[2] for row in rows])
    columns = checked.columns
    if misfits:
        columns = take(columns, np.array([row not in misfits for row in checked.rows.tolist()], dtype=bool))
        if left_out is not None:
            for row, reason in misfits.items():
                left_out.add(f"the stored row {rows[row][0]}", [RefusedRow(None, reason, {}, "record")])
        rows = [row for position, row in enumerate(rows) if position not in misfits]
    return _feedback_rows(columns, rows)


def _feedback_rows(columns: Columns, rows: Sequence[tuple[Any, ...]]) -> FeedbackRows:
    """Rows as `_COLUMNS` names them."""
    return FeedbackRows(
        columns,
        _objects([row[2] for row in rows]),
        _objects([row[0] for row in rows]),
        np.array([row[3] for row in rows], dtype=np.int64),
        np.array([row[4] for row in rows], dtype="datetime64[us]"),
        np.array([row[5] for row in rows], dtype=np.int64),
        np.array([row[6] for row in rows], dtype=np.int64),
        np.array([row[7] for row in rows], dtype=np.int64),
    )


def _batches(
    conn: psycopg.Connection[Any], query: LiteralString, parameters: Mapping[str, Any], most: int
) -> Iterator[list[tuple[Any, ...]]]:
    with conn.transaction(), conn.cursor(name="feedback_rows") as cursor:
        cursor.execute(query, parameters)
        while rows := cursor.fetchmany(most):
            yield rows


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
