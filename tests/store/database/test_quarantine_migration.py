"""Rows that an earlier Ratchet had quarantined can be counted by reason and tried again."""

from __future__ import annotations

import psycopg
from alembic import command
from alembic.config import Config

from store.database.connection import migrate
from store.database.revisions import SCRIPTS
from store.quarantine.rows import count_reasons, read_rows
from tests.databases import with_database

OLD_ROWS = """
    INSERT INTO quarantine (use_case, source, line, reason, "row", digest) VALUES
    ('u', 'a.csv', 2, 'field ''at'': got ''Mar-2018'' (text); allowed: a time', '{"at": "Mar-2018"}', '1'),
    ('u', 'a.csv', 3, 'field ''at'': got ''Apr-2018'' (text); allowed: a time', '{"at": "Apr-2018"}', '2'),
    ('u', 'a.csv', 4, '1 value; the header has 2 columns', '{"line": "x"}', '3'),
    ('u', 'a.csv', 5, 'id ''7'' stands earlier in the file with another record or label', '{"id": "7"}', '4'),
    ('u', 'http', NULL, 'label: missing', '{"record": {}}', '5')"""


def test_rows_of_before(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE before_quarantine")
    url = with_database(postgres, "before_quarantine")
    config = Config()
    for name, value in SCRIPTS.items():
        config.set_main_option(name, value)
    config.attributes["url"] = url
    command.upgrade(config, "0005")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(OLD_ROWS)
        migrate(url)
        assert [row.kind for row in read_rows(conn, "u")] == ["row", "row", "text", "second", "item"]
        first = count_reasons(conn, "u")[0]
        assert (first.rows, first.line, first.rule) == (2, 2, "field 'at': got …; allowed: a time")
        assert first.example == "field 'at': got 'Mar-2018' (text); allowed: a time"
        assert conn.execute("SELECT count(*) FROM quarantine WHERE read_at = at").fetchone() == (5,)
        assert conn.execute("SELECT count(*) FROM quarantine WHERE last_seq IS NULL").fetchone() == (5,)
