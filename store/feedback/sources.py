"""Who says what label a row has: names of sources, and which of them are held back.

A source is the key of a request, or the door that a file came by; what either names itself stands behind
it, as `shop/ann` or `file/ann`. So nobody speaks for another, and however many names a key makes up, all of
them together have its one voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg

from features.records.spellings import spell_id

OPEN = "open"
"""Requests of a server without keys."""
FILE = "file"
INBOX = "inbox"
EARLIER = "earlier"
"""All rows that a release without sources has stored."""


def own_name(root: str, name: str | None) -> str:
    """The source that a key or door names.

    >>> own_name("shop", "ann"), own_name("shop", None)
    ('shop/ann', 'shop')
    """
    return root if name is None else f"{root}/{name}"


def root_of(source: str) -> str:
    """The key or door of a source."""
    return source.partition("/")[0]


def spellings_of(source: str) -> tuple[str, str]:
    r"""A source as a caller writes it, and as it is kept: what a key or door names is spelled as ids are.

    >>> spellings_of("shop/Jose\u0301 ")[1] == "shop/Jos\u00e9"
    True
    """
    root, divider, name = source.partition("/")
    return source, f"{root}{divider}{spell_id(name)}"


def has_name(source: str) -> bool:
    """Whether it is a key, or named by one or by a file; a door as such is whoever comes by it."""
    return "/" in source or source not in (OPEN, FILE, INBOX, EARLIER)


def held_sources(conn: psycopg.Connection[Any], use_case: str) -> list[str]:
    """Sources that are held back, and keys and doors of which every source is."""
    rows = conn.execute(
        "SELECT name FROM label_source WHERE use_case = %s AND held_since IS NOT NULL ORDER BY name",
        (use_case,),
    )
    return [str(row[0]) for row in rows]


def deciding_sources(conn: psycopg.Connection[Any], use_case: str, identities: Sequence[str]) -> list[str]:
    """Whose label each of these rows has; `earlier` also for rows that are gone."""
    rows = conn.execute(
        "SELECT identity, said_by FROM feedback WHERE use_case = %s AND identity = ANY(%s)"
        " AND said_by IS NOT NULL",
        (use_case, list(identities)),
    )
    names = dict(rows.fetchall())
    return [names.get(identity, EARLIER) for identity in identities]


_BEFORE: LiteralString = """
    SELECT said_by, sum(labels)::bigint FROM (
        SELECT said_by, labels FROM label_count WHERE use_case = %(use_case)s AND kind <> 'vote'
        UNION ALL
        SELECT coalesce(said_by, 'earlier'), -1 FROM feedback
        WHERE use_case = %(use_case)s AND seq > %(seq)s
    ) AS counted GROUP BY said_by HAVING sum(labels) <> 0"""


def labels_before(conn: psycopg.Connection[Any], use_case: str, seq: int) -> dict[str, int]:
    """How many rows each source decided, of those that had come by a number: all less what came later."""
    return dict(conn.execute(_BEFORE, {"use_case": use_case, "seq": seq}).fetchall())


def unless_held(conn: psycopg.Connection[Any], use_case: str) -> tuple[LiteralString, dict[str, Any]]:
    """SQL that leaves out rows of `feedback` whose source is held back, nothing where none is; parameters."""
    held = held_sources(conn, use_case)
    condition: LiteralString = " AND " + counts_sql("coalesce(said_by, 'earlier')") if held else ""
    return condition, {"held": held}


def counts_sql(said_by: LiteralString) -> LiteralString:
    """SQL of whether a source counts: neither it nor its key is among `%(held)s`."""
    return f"({said_by} <> ALL(%(held)s) AND split_part({said_by}, '/', 1) <> ALL(%(held)s))"
