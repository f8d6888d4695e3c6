"""What status and the page ask of a large table: by an index, and no row of another use case."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from benchmarks.growth import queries
from benchmarks.growth.filling import fill, train
from benchmarks.growth.queries import NAME, OTHER, ask_all

ROWS = 20_000


@pytest.fixture
def filled(module_database_url: str) -> str:
    with psycopg.connect(module_database_url) as conn:
        fill(conn, OTHER, ROWS)
        fill(conn, NAME, ROWS)
        train(conn, NAME)
    with psycopg.connect(module_database_url, autocommit=True) as conn:
        conn.execute("VACUUM (ANALYZE)")
    return module_database_url


def test_no_statement_goes_through_a_large_table(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, Any]] = []
    execute = queries.TimedCursor.execute

    def noting(self: queries.TimedCursor, query: Any, params: Any = None, **options: Any) -> Any:
        asked.append((query, params))
        return execute(self, query, params, **options)

    monkeypatch.setattr(queries.TimedCursor, "execute", noting)
    ms = ask_all(filled)
    assert {"status", "metrics", "health", "quality"} <= {text.partition(":")[0] for text in ms}
    assert len(asked) > 50
    scans = []
    with psycopg.connect(filled, autocommit=True) as conn:
        for query, params in asked:
            if not query.lstrip().startswith(("SELECT", "WITH")):
                continue
            plan = "\n".join(line for (line,) in conn.execute("EXPLAIN " + query, params))
            if "Seq Scan on feedback " in plan:  # of predictions the newest 10,000 are wanted: here, all
                scans.append((query, plan))
    assert not scans
