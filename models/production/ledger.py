"""The ledger: who or what moved production, from, to, when, why, and the numbers. Append-only.

A move of production, or of a link, is two rows: `intent` before any alias moves, and a closing row that names
it in its evidence. An intent without a closing row is a move that was cut off; `open_intents`
finds it so that `models.production.promotion.reconcile` can finish or abandon it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from models.errors import UnknownVersion
from models.production.contract import VersionReader
from models.production.tags import SNAPSHOT_TAG
from store.database.locks import lock_transaction

Event = Literal[
    "registered",
    "intent",
    "promoted",
    "abandoned",
    "rejected",
    "too_little_evidence",
    "rolled_back",
    "external",
    "refused",
    "held_back",
    "paused",
    "resumed",
    "pruned",
    "failed",
    "canary",
    "canary_ended",
    "linked",
]
CHANNEL = "ratchet_registry"
WINS: tuple[Event, ...] = ("promoted", "external")
MOVES: tuple[Event, ...] = (*WINS, "rolled_back")
WITH_WHAT_CAME: tuple[Event, ...] = (*MOVES, "canary_ended")
"""Rows that say which label and run were the last until then."""
CAME = "came"
"""In the evidence of moves of production, and of canaries that end: the last label and run until then."""


@dataclass(frozen=True)
class Came:
    """What had come when a row was written: times do not tell, as a clock may be set back."""

    label: int
    """The number of the last label; 0: there was none."""
    at: datetime
    """When that row was written, or a label came last that lies ahead of it."""
    run: int
    """The token of the run that was asked for, or began, last; 0: there was none."""


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    id: int
    use_case: str
    at: datetime
    event: Event
    actor: str
    from_version: int | None
    to_version: int | None
    reason: str
    evidence: dict[str, Any]
    run_id: UUID | None

    @property
    def came(self) -> Came | None:
        """What had come by then; None: it is a row of an earlier release, or of another event."""
        told = self.evidence.get(CAME)
        return None if told is None else Came(told["label"], datetime.fromisoformat(told["at"]), told["run"])

    def as_dict(self) -> dict[str, Any]:
        """The row as plain values, for JSON."""
        plain = asdict(self) | {"at": self.at.isoformat()}
        return plain | {"run_id": None if self.run_id is None else str(self.run_id)}


NAMED: LiteralString = "coalesce(tried.evidence->>'challenger_name', tried.evidence->>'challenger')"
"""Which challenger a verdict is about; older rows have its name in the place of its score."""
_CAME = """
    SELECT jsonb_build_object(
        'label', coalesce((SELECT max(seq) FROM feedback WHERE use_case = %(use_case)s), 0),
        'at', greatest(now(), (SELECT max(received_at) FROM feedback WHERE use_case = %(use_case)s)),
        'run', coalesce((SELECT max(token) FROM run WHERE use_case = %(use_case)s), 0))"""
COLUMNS: LiteralString = "id, use_case, at, event, actor, from_version, to_version, reason, evidence, run_id"


def record(
    conn: psycopg.Connection[Any],
    use_case: str,
    event: Event,
    *,
    actor: str,
    reason: str,
    from_version: int | None = None,
    to_version: int | None = None,
    evidence: Mapping[str, Any] | None = None,
    run_id: UUID | str | None = None,
) -> int:
    """Append a row and return its id. The caller commits."""
    told = dict(evidence or {})
    if event in WITH_WHAT_CAME:
        came = conn.execute(_CAME, {"use_case": use_case}).fetchone()
        assert came is not None
        told[CAME] = came[0]
    row = conn.execute(
        "INSERT INTO ledger (use_case, event, actor, from_version, to_version, reason, evidence, run_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (use_case, event, actor, from_version, to_version, reason, Jsonb(told), run_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def close_intent(conn: psycopg.Connection[Any], intent: Entry, event: Event, reason: str) -> int:
    """Append the row that closes `intent`; when production moved, servers hear of it on commit."""
    closing = record(
        conn,
        intent.use_case,
        event,
        actor=intent.actor,
        reason=reason,
        from_version=intent.from_version,
        to_version=intent.to_version,
        evidence={**intent.evidence, "intent": intent.id},
        run_id=intent.run_id,
    )
    if event in MOVES and intent.to_version is not None:
        announce(conn, intent.use_case, intent.to_version, closing)
    return closing


def announce(conn: psycopg.Connection[Any], use_case: str, version: int, move: int = 0) -> None:
    """Notify every server that production of `use_case` is now `version`; sent when the caller commits.

    Args:
        move: id of the row that says so; 0: there is none.
    """
    conn.execute(
        "SELECT pg_notify(%s, json_build_object("
        "'use_case', %s::text, 'version', %s::int, 'move', %s::bigint)::text)",
        (CHANNEL, use_case, version, move),
    )


def announce_canary(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Notify every server that another version, or none, is tried; sent when the caller commits."""
    conn.execute(
        "SELECT pg_notify(%s, json_build_object('use_case', %s::text, 'canary', true)::text)",
        (CHANNEL, use_case),
    )


def moves_as(intent: Entry) -> Event:
    """The event that closes an intent whose move was made."""
    return "rolled_back" if intent.evidence.get("move") == "rolled_back" else "promoted"


def before(conn: psycopg.Connection[Any], use_case: str, version: int) -> int | None:
    """What was production when `version` last became it by winning, if anything was."""
    row = conn.execute(
        "SELECT from_version FROM ledger WHERE use_case = %s AND to_version = %s"
        " AND event = ANY(%s) ORDER BY id DESC LIMIT 1",
        (use_case, version, list(WINS)),
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def newest_row(conn: psycopg.Connection[Any]) -> int:
    """Number of the newest row, of any use case; 0: there is none."""
    row = conn.execute("SELECT max(id) FROM ledger").fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def use_cases_with_models(conn: psycopg.Connection[Any]) -> list[str]:
    """Names of those that versions were registered for; none in a database that has no tables yet."""
    if conn.execute("SELECT to_regclass('ledger')").fetchone() == (None,):
        return []
    rows = conn.execute(
        "SELECT DISTINCT use_case FROM ledger WHERE event = ANY(%s) ORDER BY use_case",
        (["registered", *MOVES],),
    ).fetchall()
    return [str(row[0]) for row in rows]


def productions(conn: psycopg.Connection[Any], use_case: str) -> list[int]:
    """Every version that has been production, the one that was so last first."""
    rows = conn.execute(
        "SELECT to_version FROM ledger WHERE use_case = %s AND event = ANY(%s) AND to_version IS NOT NULL"
        " GROUP BY to_version ORDER BY max(id) DESC",
        (use_case, list(MOVES)),
    ).fetchall()
    return [int(row[0]) for row in rows]


def was_production(conn: psycopg.Connection[Any], use_case: str, version: int) -> bool:
    """Whether `version` has been production before."""
    row = conn.execute(
        "SELECT 1 FROM ledger WHERE use_case = %s AND to_version = %s AND event = ANY(%s) LIMIT 1",
        (use_case, version, list(MOVES)),
    ).fetchone()
    return row is not None


def taken_back(conn: psycopg.Connection[Any], use_case: str) -> list[Entry]:
    """What was taken back since a version last won, oldest first, of versions later than the one that serves.

    Those are rollbacks, and canaries that were worse or did not work. A rollback that was undone (`--to` the
    version gone back from) takes nothing back.
    """
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %(name)s"
            " AND (event = 'rolled_back' OR event = 'canary_ended' AND evidence ? 'snapshot')"
            " AND id > coalesce((SELECT max(id) FROM ledger"
            " WHERE use_case = %(name)s AND event = ANY(%(wins)s)), 0)"
            " AND from_version > (SELECT to_version FROM ledger"
            " WHERE use_case = %(name)s AND event = ANY(%(moves)s) ORDER BY id DESC LIMIT 1) ORDER BY id",
            {"name": use_case, "moves": list(MOVES), "wins": list(WINS)},
        ).fetchall()


def known_tags(conn: psycopg.Connection[Any], use_case: str, version: int) -> dict[str, str] | None:
    """Tags that a version had when it was registered, or deleted for its age; None when neither is known."""
    row = conn.execute(
        "SELECT evidence->'tags' FROM ledger WHERE use_case = %(use_case)s AND evidence ? 'tags' AND"
        " (event = 'pruned' AND from_version = %(version)s"
        " OR event = 'registered' AND to_version = %(version)s) ORDER BY id DESC LIMIT 1",
        {"use_case": use_case, "version": version},
    ).fetchone()
    return None if row is None else dict(row[0])


def tags_of(
    conn: psycopg.Connection[Any], registry: VersionReader, use_case: str, version: int
) -> Mapping[str, str] | None:
    """Tags of a version, also of one that was pruned or deleted; None where nobody knows them."""
    try:
        return registry.version(use_case, version).tags
    except UnknownVersion:
        return known_tags(conn, use_case, version)


def open_intents(conn: psycopg.Connection[Any], use_case: str) -> list[Entry]:
    """Intents that no later row closes, oldest first."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger AS l WHERE use_case = %s AND event = 'intent' AND NOT EXISTS"
            " (SELECT 1 FROM ledger AS c WHERE c.use_case = l.use_case AND c.id > l.id AND"
            " (c.evidence->>'intent')::bigint = l.id) ORDER BY id",
            (use_case,),
        ).fetchall()


def entry(conn: psycopg.Connection[Any], ledger_id: int) -> Entry:
    """The row with this id.

    Raises:
        LookupError: there is none.
    """
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        row = cursor.execute(f"SELECT {COLUMNS} FROM ledger WHERE id = %s", (ledger_id,)).fetchone()
    if row is None:
        raise LookupError(f"the ledger has no row {ledger_id}")
    return row


def history(conn: psycopg.Connection[Any], use_case: str, limit: int = 50) -> list[Entry]:
    """The newest rows first."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %s ORDER BY id DESC LIMIT %s", (use_case, limit)
        ).fetchall()


def linked_by(conn: psycopg.Connection[Any], use_case: str, run_id: str, challenger: str) -> Entry | None:
    """The row by which a run let the link of a challenger name its version; None: it has not."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %s AND event = 'linked' AND run_id = %s"
            " AND evidence->>'challenger_name' = %s ORDER BY id DESC LIMIT 1",
            (use_case, run_id, challenger),
        ).fetchone()


def first_promoted(conn: psycopg.Connection[Any], use_case: str) -> int | None:
    """The version that won first; None: none has."""
    row = conn.execute(
        "SELECT to_version FROM ledger WHERE use_case = %s AND event = 'promoted' ORDER BY id LIMIT 1",
        (use_case,),
    ).fetchone()
    return None if row is None else row[0]


def of_version(conn: psycopg.Connection[Any], use_case: str, version: int) -> list[Entry]:
    """What became of one version, oldest first: its verdict, and each time production moved to it."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %s AND to_version = %s"
            " AND event NOT IN ('intent', 'registered') ORDER BY id",
            (use_case, version),
        ).fetchall()


def highest_version(conn: psycopg.Connection[Any], use_case: str) -> int:
    """The highest number that a version of the use case ever had; 0: there was none."""
    row = conn.execute("SELECT max(to_version) FROM ledger WHERE use_case = %s", (use_case,)).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def last_move(conn: psycopg.Connection[Any], use_case: str) -> Entry | None:
    """The newest row that moved production."""
    return newest(conn, use_case, MOVES)


def newest(
    conn: psycopg.Connection[Any], use_case: str, events: Sequence[Event], *, version: int | None = None
) -> Entry | None:
    """The newest row of one of these events; with a version, of those that lead to it."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %s AND event = ANY(%s)"
            " AND (%s::int IS NULL OR to_version = %s) ORDER BY id DESC LIMIT 1",
            (use_case, list(events), version, version),
        ).fetchone()


def tried_since(conn: psycopg.Connection[Any], use_case: str, move: int) -> list[int]:
    """Versions that were tried on a share of the requests since a row."""
    rows = conn.execute(
        "SELECT DISTINCT to_version FROM ledger"
        " WHERE use_case = %s AND event = 'canary' AND id > %s AND to_version IS NOT NULL",
        (use_case, move),
    ).fetchall()
    return [int(row[0]) for row in rows]


def tries_against(conn: psycopg.Connection[Any], use_case: str, version: int) -> int:
    """How many runs judged a challenger against a production since it became it, and did not promote one.

    The same outcome on the same rows is the same try, however often it is asked for.
    """
    row = conn.execute(
        "SELECT count(DISTINCT coalesce(made.evidence->'tags'->>%(snapshot)s || ' ' ||"
        f" ({NAMED}) || ' ' || (tried.evidence->>'difference') || ' ' ||"
        " (tried.evidence->>'production'), tried.run_id::text))"
        " FROM ledger AS tried LEFT JOIN ledger AS made ON made.use_case = tried.use_case"
        " AND made.run_id = tried.run_id AND made.to_version = tried.to_version AND made.event = 'registered'"
        " WHERE tried.use_case = %(name)s AND tried.from_version = %(version)s"
        " AND tried.event IN ('rejected', 'too_little_evidence', 'held_back')"
        " AND tried.evidence->>'interval' IS NOT NULL AND tried.id > coalesce((SELECT max(id) FROM ledger"
        " WHERE use_case = %(name)s AND to_version = %(version)s AND event = ANY(%(moves)s)), 0)",
        {"name": use_case, "version": version, "moves": list(MOVES), "snapshot": SNAPSHOT_TAG},
    ).fetchone()
    return 0 if row is None else int(row[0])


def moves_since(conn: psycopg.Connection[Any], use_case: str, since: datetime, limit: int) -> list[Entry]:
    """The rows that moved production after a time, the newest `limit` of them, oldest first."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        moves = cursor.execute(
            f"SELECT {COLUMNS} FROM ledger WHERE use_case = %s AND event = ANY(%s) AND at >= %s"
            " ORDER BY id DESC LIMIT %s",
            (use_case, list(MOVES), since, limit),
        ).fetchall()
    return sorted(moves, key=lambda entry: entry.at)


def lock(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Until the transaction ends, nobody else looks before writing: what is noted once is noted once."""
    lock_transaction(conn, "ledger", use_case)


def note_external(
    conn: psycopg.Connection[Any], use_case: str, read_alias: Callable[[], int | None]
) -> int | None:
    """Note that the alias `production` was moved by someone else, once however many servers notice.

    The alias is read between two looks at the ledger. Ratchet writes an intent before it moves the
    alias, so a move of its own shows as an open intent or as a newer row, and is left alone.

    Args:
        read_alias: reads the version that the alias names now.

    Returns:
        The id of the row, of which servers have been told, or None when there was nothing to note.
    """
    with conn.transaction():
        lock(conn, use_case)
        before = last_move(conn, use_case)
        version = read_alias()
        after = last_move(conn, use_case)
        current = None if after is None else after.to_version
        if version in (None, current) or before != after or open_intents(conn, use_case):
            return None
        move = record(
            conn,
            use_case,
            "external",
            actor="mlflow",
            reason="the alias production was moved outside Ratchet",
            from_version=current,
            to_version=version,
        )
        announce(conn, use_case, version, move)
    return move


def note_refused(conn: psycopg.Connection[Any], use_case: str, version: int, reason: str) -> bool:
    """Note that a server refused to serve `version`, once a version and reason.

    Returns:
        Whether this call wrote the row.
    """
    with conn.transaction():
        lock(conn, use_case)
        earlier = conn.execute(
            "SELECT 1 FROM ledger"
            " WHERE use_case = %s AND event = 'refused' AND to_version = %s AND reason = %s",
            (use_case, version, reason),
        ).fetchone()
        if earlier is None:
            record(conn, use_case, "refused", actor="service", reason=reason, to_version=version)
    return earlier is None
