"""What records are grouped by, `record.group`, comes with files and stays with rows in quarantine."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import UseCase
from features.errors import MissingColumns
from features.records.contract import RecordContract
from flows.batch.quarantine_export import export_rows
from store.database.connection import connect
from store.feedback.revisions.setting_aside import recheck_rows
from store.feedback.rows import read_feedback
from store.ingest.files import ingest_file
from store.ingest.retrying import retry_rows
from store.quarantine.rows import EVERY_ROW

LOANS: dict[str, Any] = {
    "name": "loans",
    "title": "Loans",
    "kind": "tabular",
    "record": {"group": "customer", "fields": [{"name": "amount", "type": "number", "maximum": 10}]},
    "target": {"task": "multiclass", "column": "outcome", "classes": ["paid", "late"]},
    "model": {"estimator": "logistic"},
}
STRICT = UseCase.model_validate(LOANS)
WIDE = UseCase.model_validate(
    LOANS | {"record": {"group": "customer", "fields": [{"name": "amount", "type": "number"}]}}
)
ROWS = "customer,amount,outcome\nc1,1,paid\n 7.0 ,2,late\nNA,3,late\nc9,40,paid\n"


def take_in(url: str, use_case: UseCase, path: Path, text: str = ROWS) -> Any:
    path.write_text(text, encoding="utf-8")
    with connect(url) as conn:
        return ingest_file(conn, use_case, path)


def groups(conn: psycopg.Connection[Any]) -> list[str | None]:
    return [row[0] for row in conn.execute("SELECT record_group FROM feedback ORDER BY record->>'amount'")]


def test_a_column_of_the_file_says_it(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    report = take_in(database_url, STRICT, tmp_path / "loans.csv")
    assert (report.new, report.quarantined) == (3, 1)
    assert groups(conn) == ["c1", "7", None]


def test_a_file_without_the_column_is_refused(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(MissingColumns, match="customer"):
        take_in(database_url, STRICT, tmp_path / "loans.csv", "amount,outcome\n1,paid\n")


def test_numbers_and_texts_of_typed_files_are_one_spelling(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    table = pa.table({"customer": [7.0, None], "amount": [1.0, 2.0], "outcome": ["paid", "late"]})
    pq.write_table(table, tmp_path / "loans.parquet")
    with connect(database_url) as other:
        ingest_file(other, STRICT, tmp_path / "loans.parquet")
    assert groups(conn) == ["7", None]


def test_what_is_tried_again_still_has_it(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    take_in(database_url, STRICT, tmp_path / "loans.csv")
    with connect(database_url) as other:
        assert retry_rows(other, WIDE).new == 1
    assert groups(conn) == ["c1", "7", None, "c9"]


def test_what_was_set_aside_still_has_it_when_it_comes_back_and_in_an_export(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    take_in(database_url, WIDE, tmp_path / "loans.csv")
    with connect(database_url) as other:
        assert recheck_rows(other, STRICT, move=True).set_aside == 1
    assert groups(conn) == ["c1", "7", None]
    with connect(database_url) as other:
        export_rows(other, WIDE, EVERY_ROW, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [row["customer"] for row in csv.DictReader(file)] == ["c9"]
    with connect(database_url) as other:
        assert retry_rows(other, WIDE).new == 1
    assert groups(conn) == ["c1", "7", None, "c9"]


def test_rows_that_came_before_learn_it_from_the_same_file(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    plain = UseCase.model_validate(LOANS | {"record": {"fields": LOANS["record"]["fields"]}})
    take_in(database_url, plain, tmp_path / "loans.csv")
    assert groups(conn) == [None, None, None]
    assert take_in(database_url, STRICT, tmp_path / "loans.csv").duplicates == 3
    assert groups(conn) == ["c1", "7", None]


def test_a_field_may_be_the_group(conn: psycopg.Connection[Any], database_url: str, tmp_path: Path) -> None:
    by_field = UseCase.model_validate(LOANS | {"record": LOANS["record"] | {"group": "amount"}})
    take_in(database_url, by_field, tmp_path / "loans.csv", "amount,outcome\n1,paid\n1.0,late\n2,paid\n")
    assert groups(conn) == [None, None, None]
    rows = read_feedback(conn, "loans", RecordContract(by_field.record))
    assert rows.groups[0] == rows.groups[1] != rows.groups[2]
    others = read_feedback(conn, "loans", RecordContract(STRICT.record.model_copy(update={"group": None})))
    assert set(others.groups.tolist()) == {0}
