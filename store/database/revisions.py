"""Whether the tables of a database are of the release that runs, by the revision noted there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

MIGRATIONS = Path(__file__).parent / "migrations"
SCRIPTS: Mapping[str, str] = {"script_location": str(MIGRATIONS), "recursive_version_locations": "true"}
"""Where Alembic finds them: in `versions/`, the first ones in a folder of their own there."""
VERSION_TABLE = "ratchet_revision"


def newest_revision() -> str:
    """The revision up to which this release brings the tables."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").rglob("[0-9]*.py"))


def revision_problem(conn: psycopg.Connection[Any]) -> str | None:
    """What is wrong with the tables and what to do; None where they are of this release."""
    there = conn.execute("SELECT to_regclass(%s)", (VERSION_TABLE,)).fetchone()
    if there is None or there[0] is None:
        return "the tables are missing; `ratchet up` makes them"
    row = conn.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    current, wanted = "none" if row is None else str(row[0]), newest_revision()
    if current == wanted:
        return None
    if row is not None and current > wanted:
        return f"the tables have revision {current}, of a newer Ratchet; this knows up to {wanted}: update it"
    return f"the tables have revision {current}, this Ratchet needs {wanted}; `ratchet up` brings them there"
