"""Loans whose file and configuration do not fit, and what is asked of the tables about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from store.database.connection import connect
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport

HEADER = "issued,amount,status\n"


def loans(*, issued: str = "datetime", amount: str = "number", **changes: Any) -> UseCase:
    """A use case; fields by type, anything else by key."""
    described: dict[str, Any] = {
        "name": "loans",
        "title": "Loans",
        "kind": "tabular",
        "record": {"fields": [{"name": "issued", "type": issued}, {"name": "amount", "type": amount}]},
        "target": {"task": "multiclass", "column": "status", "classes": ["paid", "late", "lost"]},
        "model": {"estimator": "any"},
    }
    return UseCase.model_validate(described | changes)


def target(*classes: str, **changes: Any) -> dict[str, Any]:
    """A target with these classes."""
    return {"task": "multiclass", "column": "status", "classes": list(classes)} | changes


def read(url: str, use_case: UseCase, path: Path, text: str | None = None) -> IngestReport:
    """Ingest a file, after writing it where `text` is given."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with connect(url) as conn:
        return ingest_file(conn, use_case, path)


def identities(conn: psycopg.Connection) -> list[str]:
    """What stored rows are known by, sorted."""
    return sorted(row[0] for row in conn.execute("SELECT identity FROM feedback"))


def labels(conn: psycopg.Connection, table: str = "feedback") -> list[str]:
    """Labels of a table, sorted."""
    return sorted(row[0] for row in conn.execute(f"SELECT label FROM {table}"))


def reasons(conn: psycopg.Connection) -> list[str]:
    """Why rows are in quarantine, in order."""
    return [row[0] for row in conn.execute("SELECT reason FROM quarantine ORDER BY id")]
