"""Ingest that is killed half-way: what is stored stays, and reading the file again completes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import CHECKOUT
from store.ingest.files import ingest_file
from tests.store.ingest.test_files import USE_CASE, rows_in

ROWS = 200_000
SCRIPT = """
import sys
from pathlib import Path
from store.database.connection import connect
from store.ingest.files import ingest_file
from tests.store.ingest.test_files import USE_CASE
with connect(sys.argv[1]) as conn:
    ingest_file(conn, USE_CASE, Path(sys.argv[2]), progress=lambda step: print(step.rows, flush=True))
"""


@pytest.mark.faults
@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_killed_ingest_is_completed_by_the_next(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, batches: int
) -> None:
    path = tmp_path / "f.parquet"
    columns = {"when": ["2024-01-01"] * ROWS, "age": list(range(ROWS)), "came": ["no"] * ROWS}
    pq.write_table(pa.table(columns), path)
    command = [sys.executable, "-c", SCRIPT, database_url, str(path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(batches):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    before = rows_in(conn)
    assert before < ROWS
    report = ingest_file(conn, USE_CASE, path)
    assert report.new == ROWS - before
    assert report.duplicates == before
    assert rows_in(conn) == ROWS
