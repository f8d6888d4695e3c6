"""Readers of one process are answered by one engine, and none sees what another has made."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.history.table import HistoryTable
from store.snapshots.learned import NOTHING_LEARNED
from store.splits.taking import take_snapshot

RECORD = RecordConfig(fields=(FieldConfig(name="weight", type="number"),))
SPILLS = "SELECT value FROM duckdb_settings() WHERE name = 'temp_directory'"


def filled(conn: psycopg.Connection[Any], home: Path, name: str, rows: int) -> HistoryTable:
    use_case = UseCase(
        name=name,
        title=name,
        kind="tabular",
        record=RECORD,
        target=TargetConfig(task="multiclass"),
        model=ModelConfig(estimator="logistic"),
    )
    names = [f"i:{number}" for number in range(rows)]
    records = [json.dumps({"weight": number}) for number in range(rows)]
    add_feedback(conn, name, FeedbackBatch(names, records, ["good", "poor"] * (rows // 2), "test"))
    take_snapshot(conn, use_case, home, since=None, learned=NOTHING_LEARNED)
    return table_of(home, name, RECORD)


@pytest.fixture
def tables(conn: psycopg.Connection[Any], tmp_path: Path) -> tuple[HistoryTable, HistoryTable]:
    return filled(conn, tmp_path, "apples", 40), filled(conn, tmp_path, "pears", 60)


def count(reader: HistoryReader) -> Any:
    return reader.one("SELECT count(*) FROM lines")


def test_two_at_once_read_each_its_own_table(
    tables: tuple[HistoryTable, HistoryTable], tmp_path: Path
) -> None:
    apples, pears = tables
    with HistoryReader(apples, folder=tmp_path) as first, HistoryReader(pears, folder=tmp_path) as second:
        assert first.given({"number": first.numbers("SELECT seq FROM lines LIMIT 3")}) == "given_1"
        assert second.given({"number": second.numbers("SELECT seq FROM lines LIMIT 5")}) == "given_1"
        assert (count(first), count(second)) == (40, 60)
        assert [one.one("SELECT count(*) FROM given_1") for one in (first, second)] == [3, 5]
    with HistoryReader(apples, folder=tmp_path) as third:
        assert count(third) == 40
        with pytest.raises(Exception, match="given_1 does not exist"):
            third.one("SELECT count(*) FROM given_1")


def test_one_sees_what_was_appended_since_another_read(
    conn: psycopg.Connection[Any], tables: tuple[HistoryTable, HistoryTable], tmp_path: Path
) -> None:
    with HistoryReader(tables[0], folder=tmp_path) as reader:
        assert count(reader) == 40
        filled(conn, tmp_path, "apples", 50)
        with HistoryReader(tables[0], folder=tmp_path) as later:
            assert count(later) == 50
        assert count(reader) == 40


def test_what_does_not_fit_goes_where_it_was_told(
    tables: tuple[HistoryTable, HistoryTable], tmp_path: Path
) -> None:
    for place in (tmp_path / "here", tmp_path / "there"):
        with HistoryReader(tables[0], folder=place) as reader:
            assert reader.one(SPILLS) == str(place)


SPILLING = """
import sys
from pathlib import Path
from store.history import reading
from store.history.places import table_named

reading.MEMORY = "25MB"
table = table_named(Path(sys.argv[1]), "apples", sys.argv[2])
seed = sys.argv[3]
with reading.HistoryReader(table, folder=Path(sys.argv[1]) / "work") as reader:
    rows = f"SELECT hash(i + {seed}) % 1000003 AS drawn, 'row ' || (i * {seed}) AS told"
    rows += " FROM range(2000000) _(i)"
    kept = reader.keep(rows)
    print(sum(one.stat().st_size for one in Path(sys.argv[1]).glob("work/*")), flush=True)
    sums = "SELECT sum(drawn), sum(length(told)) FROM ({})"
    ordered = f"SELECT * FROM {kept} ORDER BY told"
    print([reader.rows(sums.format(one)) for one in (ordered, rows)], flush=True)
"""


def test_processes_that_write_to_disk_at_once_do_not_mix(
    tables: tuple[HistoryTable, HistoryTable], tmp_path: Path
) -> None:
    """All of a home use one folder, in which older versions of DuckDB named their files alike."""
    name = Path(tables[0].uri).name
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SPILLING, str(tmp_path), name, seed],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("3", "7")
    ]
    told = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    for spilled, sums in told:
        assert int(spilled) > 0
        sorted_rows, as_made = ast.literal_eval(sums.replace("Decimal", ""))
        assert sorted_rows == as_made
    assert list(tmp_path.glob("work/*")) == []
