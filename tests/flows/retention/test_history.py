"""Which tables of labelled rows a prune leaves to others that share the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from configs.schema import FieldConfig, RecordConfig
from flows.retention.history import KEPT, find_unneeded, forget
from store.history.batches import add_batches
from store.history.places import table_of, tables_of
from tests.store.history.test_cleaning import USE_CASE, fill, rows_of


def test_a_table_that_a_worker_with_another_record_section_fills_stays_for_a_while(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """No snapshot refers to either yet."""
    own = fill(conn, tmp_path, range(1))
    record = RecordConfig(fields=(FieldConfig(name="weight", type="number", maximum=10),))
    other = table_of(tmp_path, USE_CASE.name, record)
    other.fill(conn, add_batches(conn, USE_CASE.name, record))
    conn.commit()
    context: Any = SimpleNamespace(use_case=USE_CASE, settings=SimpleNamespace(home=tmp_path))
    now = datetime.now(UTC)
    for soon in (now, now + KEPT - timedelta(hours=1)):
        forget(find_unneeded(conn, context, soon), context)
    assert rows_of(other) == 3
    unneeded = find_unneeded(conn, context, now + KEPT + timedelta(hours=1))
    assert [table.uri for table in unneeded.tables] == [other.uri], "nobody has filled it for so long"
    forget(unneeded, context)
    assert tables_of(tmp_path, USE_CASE.name) == [own.layout.name]
