"""Rows that were refused, kept with the reason: nothing that arrived is lost."""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

from configs.spelling.letters import forms_of
from features.errors import RefusedRow, RowKind
from features.records.image_field import is_picture
from store.quarantine.reasons import SHOWN, RefusedReason, rules_of

PAGE = 5_000
QUARANTINE_CHANNEL = "ratchet_quarantine"
"""Notices that rows are to be tried again; they name the use case."""

INSERT_ROWS = """
    INSERT INTO quarantine (use_case, source, said_by, line, kind, reason, rules, "row", digest, read_at,
        last_seq)
    SELECT %(use_case)s, %(source)s, %(said_by)s, line, kind, reason,
        array(SELECT jsonb_array_elements_text(rules::jsonb)), content::jsonb, digest,
        coalesce(%(read_at)s, now()), coalesce(%(last_seq)s, (
            SELECT max(seq) FROM feedback WHERE use_case = %(use_case)s AND received_at <> now()), 0)
    FROM unnest(%(line)s::int[], %(kind)s::text[], %(reason)s::text[], %(rules)s::text[], %(content)s::text[],
        %(digest)s::text[]) AS refused (line, kind, reason, rules, content, digest)
    ON CONFLICT (use_case, digest) DO UPDATE SET reason = excluded.reason, rules = excluded.rules,
        kind = excluded.kind, read_at = excluded.read_at, last_seq = excluded.last_seq,
        retry_requested = NULL, said_by = coalesce(excluded.said_by, quarantine.said_by)
    RETURNING xmax = 0"""
"""What is stored in the same transaction comes after them."""


@dataclass(frozen=True)
class Selection:
    """Which rows of a use case's quarantine are meant; None: any."""

    reason: str | None = None
    """A part of the reason, in any case of letters."""
    source: str | None = None
    """Name of the file, in whichever form of its letters, or `http`."""
    before: datetime | None = None
    """Refused for the first time before this."""
    kind: RowKind | None = None
    requested: bool = False
    """Only those of which a retry was requested."""

    def where(self, use_case: str) -> tuple[LiteralString, dict[str, Any]]:
        """The condition and its parameters."""
        text: LiteralString = "use_case = %(use_case)s"
        if self.reason is not None:
            text += " AND position(lower(%(reason)s) IN lower(reason)) > 0"
        if self.source is not None:
            text += " AND source = ANY(%(sources)s)"
        if self.before is not None:
            text += " AND at < %(before)s"
        if self.kind is not None:
            text += " AND kind = %(selected_kind)s"
        if self.requested:
            text += " AND retry_requested IS NOT NULL"
        return text, {
            "use_case": use_case,
            "reason": self.reason,
            "sources": None if self.source is None else forms_of(self.source),
            "before": self.before,
            "selected_kind": self.kind,
        }


EVERY_ROW = Selection()
RETRIED: tuple[RowKind, ...] = ("row", "item", "record")
"""Kinds that can be tried again; what is no row, and second rows of an id, are to be mended first."""


@dataclass(frozen=True)
class QuarantinedRow:
    """One row as it is kept."""

    id: int
    source: str
    line: int | None
    kind: RowKind
    reason: str
    row: dict[str, Any]
    at: datetime
    """When it was refused for the first time."""
    read_at: datetime
    """When it was read last."""


def quarantine(
    conn: psycopg.Connection[Any],
    use_case: str,
    source: str,
    rows: Sequence[RefusedRow],
    read_at: datetime | None = None,
    *,
    last_seq: int | None = None,
    said_by: str | None = None,
) -> int:
    """Keep refused rows of `source`; the same row in the same place counts once, with its newest reason.

    Args:
        read_at: when the reading began; rows of one reading are tried again together. None: now.
        last_seq: the number of the newest label then; None: of the newest before the transaction.
        said_by: the key or door that they came by; None: unknown.

    Returns:
        How many were not there before.
    """
    kept: dict[str, tuple[RefusedRow, str, RowKind]] = {}
    for row in rows:
        content, kind = row_content(row)
        kept[_digest(source, row.line, content)] = (row, content, kind)
    parameters = {
        "use_case": use_case,
        "source": source,
        "said_by": said_by,
        "read_at": read_at,
        "last_seq": last_seq,
        "line": [row.line for row, _, _ in kept.values()],
        "kind": [kind for _, _, kind in kept.values()],
        "reason": [_storable(row.reason) for row, _, _ in kept.values()],
        "rules": [rules_json(row.reason) for row, _, _ in kept.values()],
        "content": [content for _, content, _ in kept.values()],
        "digest": list(kept),
    }
    with conn.transaction():
        return sum(bool(row[0]) for row in conn.execute(INSERT_ROWS, parameters))


def count_rows(conn: psycopg.Connection[Any], use_case: str, selection: Selection = EVERY_ROW) -> int:
    """Number of rows in quarantine."""
    where, parameters = selection.where(use_case)
    row = conn.execute(f"SELECT count(*) FROM quarantine WHERE {where}", parameters).fetchone()
    return 0 if row is None else int(row[0])


def count_reasons(
    conn: psycopg.Connection[Any],
    use_case: str,
    selection: Selection = EVERY_ROW,
    limit: int | None = None,
) -> tuple[RefusedReason, ...]:
    """The rules that rows in quarantine broke, those that most rows broke first, each with its oldest row.

    Others are the rows whose reasons come first and last by their letters, which costs no second pass.
    """
    where, parameters = selection.where(use_case)
    counted = conn.execute(
        "SELECT counted.rule, counted.rows, first.source, first.line,"
        " array[first.reason, counted.low, counted.high] FROM ("
        ' SELECT rule, count(*) AS rows, min(id) AS id, min(reason COLLATE "C") AS low,'
        f' max(reason COLLATE "C") AS high FROM quarantine, unnest(rules) AS rule WHERE {where}'
        " GROUP BY rule ORDER BY rows DESC, rule LIMIT %(limit)s) AS counted"
        " JOIN quarantine first USING (id) ORDER BY counted.rows DESC, counted.rule",
        {**parameters, "limit": limit},
    )
    reasons = []
    for rule, rows, source, line, whole in counted:
        first, low, high = (rules_of(reason).get(rule, reason) for reason in whole)
        oldest = RefusedReason(rule, rows, first, source, line)
        reasons.append(oldest.with_other(low).with_other(high))
    return tuple(reasons)


def describe_quarantine(conn: psycopg.Connection[Any], use_case: str) -> str | None:
    """How many rows are in quarantine, why most of them are, and where to see more; None: there are none."""
    rows = count_rows(conn, use_case)
    if rows == 0:
        return None
    reasons = count_reasons(conn, use_case, limit=2)
    return (
        f"{in_quarantine(rows)}: {' / '.join(reason.sentence for reason in reasons)}; "
        f"`ratchet quarantine list {use_case}` shows them"
    )


def quarantine_facts(conn: psycopg.Connection[Any], use_case: str, limit: int = SHOWN) -> dict[str, Any]:
    """How many rows are in quarantine, and why most of them are, as plain values."""
    rows = count_rows(conn, use_case)
    reasons = count_reasons(conn, use_case, limit=limit) if rows else ()
    return {"rows": rows, "reasons": [reason.as_dict() for reason in reasons]}


def in_quarantine(rows: int) -> str:
    """A number of rows, as the subject of a sentence."""
    return "1 row is in quarantine" if rows == 1 else f"{rows:,} rows are in quarantine"


def read_rows(
    conn: psycopg.Connection[Any],
    use_case: str,
    selection: Selection = EVERY_ROW,
    *,
    after: int = 0,
    limit: int = PAGE,
) -> list[QuarantinedRow]:
    """Rows in quarantine whose number is above `after`, lowest first."""
    where, parameters = selection.where(use_case)
    with conn.cursor(row_factory=class_row(QuarantinedRow)) as cursor:
        return cursor.execute(
            f'SELECT id, source, line, kind, reason, "row", at, read_at FROM quarantine WHERE {where}'
            " AND id > %(after)s ORDER BY id LIMIT %(limit)s",
            {**parameters, "after": after, "limit": limit},
        ).fetchall()


def each_row(
    conn: psycopg.Connection[Any], use_case: str, selection: Selection = EVERY_ROW
) -> Iterator[QuarantinedRow]:
    """All rows in quarantine, a page at a time."""
    after = 0
    while page := read_rows(conn, use_case, selection, after=after):
        yield from page
        after = page[-1].id


def drop_rows(conn: psycopg.Connection[Any], use_case: str, selection: Selection = EVERY_ROW) -> int:
    """Delete rows for good; returns how many."""
    where, parameters = selection.where(use_case)
    return conn.execute(f"DELETE FROM quarantine WHERE {where}", parameters).rowcount


def request_retry(conn: psycopg.Connection[Any], use_case: str, selection: Selection = EVERY_ROW) -> int:
    """Mark rows to be tried again by the worker, and tell it; returns how many."""
    where, parameters = selection.where(use_case)
    with conn.transaction():
        marked = conn.execute(
            f"UPDATE quarantine SET retry_requested = now() WHERE {where} AND kind = ANY(%(kinds)s)",
            {**parameters, "kinds": list(RETRIED)},
        ).rowcount
        conn.execute("SELECT pg_notify(%s, %s)", (QUARANTINE_CHANNEL, use_case))
    return marked


def forget_request(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Let rows wait no more."""
    conn.execute("UPDATE quarantine SET retry_requested = NULL WHERE use_case = %s", (use_case,))


def where_retry_is_requested(conn: psycopg.Connection[Any]) -> frozenset[str]:
    """Use cases with rows to be tried again."""
    rows = conn.execute("SELECT DISTINCT use_case FROM quarantine WHERE retry_requested IS NOT NULL")
    return frozenset(str(row[0]) for row in rows)


def lines_in_quarantine(conn: psycopg.Connection[Any], use_case: str, source: str) -> NDArray[np.int64]:
    """Lines of a source of which rows are in quarantine."""
    rows = conn.execute(
        "SELECT DISTINCT line FROM quarantine WHERE use_case = %s AND source = %s AND line IS NOT NULL",
        (use_case, source),
    )
    return np.array([row[0] for row in rows], dtype=np.int64)


def release_rows(
    conn: psycopg.Connection[Any], use_case: str, source: str, rows: Collection[RefusedRow]
) -> int:
    """Let go of rows that are valid now, where they are in quarantine; returns how many were."""
    digests = [_digest(source, row.line, row_content(row)[0]) for row in rows]
    query = "DELETE FROM quarantine WHERE use_case = %s AND digest = ANY(%s)"
    return conn.execute(query, (use_case, digests)).rowcount


def row_content(row: RefusedRow) -> tuple[str, RowKind]:
    """What is kept of a row, as JSON that PostgreSQL can hold, and its kind: `text` where it is not whole."""
    try:
        text = orjson.dumps(
            {name: _finite(value) for name, value in row.row.items()},
            default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS,
        )  # fmt: skip
    except orjson.JSONEncodeError:  # halves of surrogate pairs, huge numbers, or nested too deeply
        return _storable(orjson.dumps({"unreadable": _spelled(row.row)}).decode()), "text"
    return _storable(text.decode()), row.kind


def rules_json(reason: str) -> str:
    """The rules that a reason names, as a JSON array that PostgreSQL can hold."""
    return orjson.dumps([_storable(rule) for rule in rules_of(reason)]).decode()


def _finite(value: Any) -> Any:
    """JSON has no infinity: it is kept as its text, so that it is not taken for a missing value later."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _storable(text: str) -> str:
    return text.replace("\\u0000", "\\ufffd").replace("\x00", "\ufffd")


def _spelled(row: dict[str, Any]) -> str:
    """A row that JSON cannot hold, as Python would write it."""
    try:
        return ascii(row)
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return f"a row with the keys {', '.join(map(ascii, row))}"


def _plain(value: Any) -> str:
    """What JSON has no type for, as text; a picture as requests send it, so that it can be tried again."""
    if not isinstance(value, bytes):
        return str(value)
    return b64encode(value).decode() if is_picture(value) else value.decode(errors="replace")


def _digest(source: str, line: int | None, text: str) -> str:
    return hashlib.blake2b(f"{source}\x00{line}\x00{text}".encode(), digest_size=16).hexdigest()
