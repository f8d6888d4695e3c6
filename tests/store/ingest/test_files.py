"""Ingest: every row of a file is stored once or in quarantine with its reason, however often it is read."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.loading import load_use_case
from configs.schema import FieldConfig, UseCase
from features.errors import MissingColumns, SourceError
from features.files.labelled_rows import read_labelled
from features.records.contract import RecordContract
from store.database.connection import connect
from store.feedback.rows import read_feedback
from store.ingest.files import ingest_dataset, ingest_file
from store.ingest.report import IngestProgress, IngestReport

USE_CASE = UseCase.model_validate(
    {
        "name": "visits",
        "title": "Visits",
        "kind": "tabular",
        "record": {
            "time_column": "when",
            "fields": [
                {"name": "age", "type": "integer", "minimum": 0},
                {"name": "city", "type": "category", "nullable": True},
            ],
        },
        "target": {"task": "binary", "column": "came", "classes": ["no", "yes"]},
        "model": {"estimator": "any"},
    }
)
HEADER = "when,age,city,came\n"


def with_record(**changes: Any) -> UseCase:
    record = USE_CASE.record.model_copy(update=changes)
    return USE_CASE.model_copy(update={"record": record})


def line(number: int, *, age: Any = None, came: str = "yes") -> str:
    return f"2024-01-01T00:00:{number % 60:02d}Z,{number if age is None else age},town,{came}\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    assert report.rows == report.new + report.corrected + report.duplicates + report.quarantined
    return (report.rows, report.new, report.corrected, report.duplicates, report.quarantined)


def rows_in(conn: psycopg.Connection, table: str = "feedback") -> int:
    row = conn.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def test_three_bad_rows_among_a_thousand(conn: psycopg.Connection, tmp_path: Path) -> None:
    lines = [line(number) for number in range(1000)]
    lines[10] = line(10, age="old")
    lines[500] = "2024-01-01,5\n"
    lines[998] = line(998, came="")
    path = write(tmp_path / "visits.csv", HEADER + "".join(lines))
    first = ingest_file(conn, USE_CASE, path)
    assert counts(first) == (1000, 997, 0, 0, 3)
    assert first.newly_quarantined == 3
    kept = conn.execute('SELECT source, line, reason, "row" FROM quarantine ORDER BY line').fetchall()
    assert kept == [
        (
            "visits.csv",
            12,
            "field 'age': got 'old' (text); allowed: a whole number, at least 0",
            {"when": "2024-01-01T00:00:10Z", "age": "old", "city": "town", "came": "yes"},
        ),
        ("visits.csv", 502, "2 values; the header has 4 columns", {"line": "2024-01-01,5"}),
        (
            "visits.csv",
            1000,
            "label: missing; allowed: one of 'no', 'yes'",
            {"when": "2024-01-01T00:00:38Z", "age": "998", "city": "town", "came": ""},
        ),
    ]
    again = ingest_file(conn, USE_CASE, path)
    assert counts(again) == (1000, 0, 0, 997, 3)
    assert again.newly_quarantined == 0
    assert rows_in(conn, "quarantine") == 3


def test_every_reason_of_a_row_is_given(conn: psycopg.Connection, tmp_path: Path) -> None:
    ingest_file(conn, USE_CASE, write(tmp_path / "f.csv", HEADER + "soon,-1,x,maybe\n"))
    row = conn.execute("SELECT reason FROM quarantine").fetchone()
    assert row is not None
    assert [reason.split(":")[0] for reason in row[0].split("; ") if ":" in reason] == [
        "field 'age'",
        "allowed",
        "label",
        "allowed",
        "column 'when'",
        "allowed",
    ]


def test_a_corrected_file_corrects(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", HEADER + line(1) + line(2))
    ingest_file(conn, USE_CASE, path)
    write(path, HEADER + line(1, came="no") + line(2))
    assert counts(ingest_file(conn, USE_CASE, path)) == (2, 0, 1, 1, 0)
    assert rows_in(conn, "feedback_correction") == 1


def test_equal_rows_of_a_file_are_rows_of_their_own(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", HEADER + line(1) * 3)
    assert counts(ingest_file(conn, USE_CASE, path)) == (3, 3, 0, 0, 0)
    assert counts(ingest_file(conn, USE_CASE, path)) == (3, 0, 0, 3, 0)


def test_rows_with_ids(conn: psycopg.Connection, tmp_path: Path) -> None:
    use_case = with_record(id_column="id", time_column=None)
    path = write(tmp_path / "f.csv", "id,age,city,came\n7,1,x,no\n8,2,x,no\n7,1,x,no\n7,1,x,yes\n,3,x,no\n")
    first = ingest_file(conn, use_case, path)
    assert counts(first) == (5, 3, 0, 1, 1)
    assert conn.execute("SELECT line, reason FROM quarantine").fetchall() == [
        (5, "id '7' stands earlier in the file with another record or label")
    ]
    assert counts(ingest_file(conn, use_case, path)) == (5, 0, 0, 4, 1)
    identities = {row[0] for row in conn.execute("SELECT identity FROM feedback")}
    assert {"i:7", "i:8"} < identities
    corrected = write(tmp_path / "g.csv", "id,age,city,came\n8,2,x,yes\n")
    assert counts(ingest_file(conn, use_case, corrected)) == (1, 0, 1, 0, 0)


def test_ids_that_cannot_be_kept(conn: psycopg.Connection, tmp_path: Path) -> None:
    use_case = with_record(id_column="id", time_column=None)
    path = write(tmp_path / "f.csv", "id,age,city,came\n" + "x" * 501 + ",1,x,no\na\x00b,1,x,no\n")
    assert counts(ingest_file(conn, use_case, path)) == (2, 0, 0, 0, 2)


def test_times_are_those_of_the_rows(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", HEADER + line(9) + ",8,town,no\n" + line(7))
    ingest_file(conn, USE_CASE, path)
    read = read_feedback(conn, "visits", RecordContract(USE_CASE.record))
    assert read.columns["age"].tolist() == [7, 9, 8], "a row without a time counts from its arrival"


def test_every_kind_of_file_gives_the_same_rows(conn: psycopg.Connection, tmp_path: Path) -> None:
    text = HEADER + "".join(line(number) for number in range(50))
    path = write(tmp_path / "f.csv", text)
    ingest_file(conn, USE_CASE, path)
    table = pacsv.read_csv(path)
    pq.write_table(table, tmp_path / "f.parquet")
    rows = list(csv.DictReader(text.splitlines()))
    typed = [row | {"age": int(row["age"])} for row in rows]
    write(tmp_path / "f.jsonl", "".join(json.dumps(row) + "\n" for row in typed))
    for name in ("f.parquet", "f.jsonl"):
        assert counts(ingest_file(conn, USE_CASE, tmp_path / name)) == (50, 0, 0, 50, 0)


def test_json_lines_may_lack_what_files_may_not(conn: psycopg.Connection, tmp_path: Path) -> None:
    lines = ['{"age": 1, "came": "no", "when": "2024-01-01"}', '{"came": "no"}', "[]"]
    report = ingest_file(conn, USE_CASE, write(tmp_path / "f.jsonl", "\n".join(lines)))
    assert counts(report) == (3, 1, 0, 0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,city\n1,x\n", "f.csv: columns 'came', 'when' missing; present: 'age', 'city'"),
        ("when,came\n", "f.csv: column 'age' missing; present: 'when', 'came'"),
    ],
)
def test_a_file_without_needed_columns_is_refused(
    conn: psycopg.Connection, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MissingColumns) as caught:
        ingest_file(conn, USE_CASE, write(tmp_path / "f.csv", text))
    assert str(caught.value) == message


def test_columns_of_other_fields_are_not_told_as_misspelt(conn: psycopg.Connection, tmp_path: Path) -> None:
    fields = tuple(
        FieldConfig(name=f"total_{part}_minutes", type="number") for part in ("day", "eve", "night")
    )
    path = write(tmp_path / "f.csv", "when,total_day_minutes,total_nigt_minutes,came\n")
    with pytest.raises(MissingColumns) as caught:
        ingest_file(conn, with_record(fields=fields), path)
    assert str(caught.value) == (
        "f.csv: columns 'total_eve_minutes', 'total_night_minutes' missing; present: 'when', "
        "'total_day_minutes', 'total_nigt_minutes', 'came'; names are nearly those that are needed: "
        "'total_nigt_minutes' for 'total_night_minutes'"
    )


def test_a_file_of_a_header_has_no_rows(conn: psycopg.Connection, tmp_path: Path) -> None:
    assert counts(ingest_file(conn, USE_CASE, write(tmp_path / "f.csv", HEADER))) == (0, 0, 0, 0, 0)
    assert counts(ingest_file(conn, USE_CASE, write(tmp_path / "f.jsonl", ""))) == (0, 0, 0, 0, 0)


def test_only_the_first_rows_in_time(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", HEADER + line(3) + line(1) + line(2) + "bad\n")
    assert counts(ingest_file(conn, USE_CASE, path, rows=2)) == (3, 2, 0, 0, 1)
    read = read_feedback(conn, "visits", RecordContract(USE_CASE.record))
    assert read.columns["age"].tolist() == [1, 2]
    untimed = with_record(time_column=None)
    assert counts(ingest_file(conn, untimed, path, rows=1)) == (2, 1, 0, 0, 1)


def test_what_came_before_a_damage_is_stored(database_url: str, tmp_path: Path) -> None:
    whole = tmp_path / "f.parquet"
    pq.write_table(pa.table({"when": ["2024-01-01"], "age": [1], "city": ["x"], "came": ["no"]}), whole)
    (tmp_path / "g.parquet").write_bytes(whole.read_bytes()[:-10])
    with connect(database_url) as conn, pytest.raises(SourceError):
        ingest_file(conn, USE_CASE, tmp_path / "g.parquet")


@pytest.mark.parametrize(("name", "cut"), [("f.csv", True), ("f.csv", False), ("f.jsonl", True)])
def test_a_file_that_is_written_to_while_it_is_read_is_told(
    conn: psycopg.Connection, tmp_path: Path, name: str, cut: bool
) -> None:
    if name.endswith("csv"):
        lines = [HEADER, *(line(number) for number in range(2_000))]
    else:
        lines = [
            json.dumps({"when": "2024-01-01T00:00:00Z", "age": number, "city": "town", "came": "yes"}) + "\n"
            for number in range(2_000)
        ]
    path = write(tmp_path / name, "".join(lines))
    before = path.stat().st_size

    def meanwhile(_progress: IngestProgress) -> None:
        if path.stat().st_size == before:
            if cut:
                os.truncate(path, before - 5)
            else:
                with path.open("a", encoding="utf-8") as file:
                    file.write(line(2_000))

    report = ingest_file(conn, USE_CASE, path, progress=meanwhile)
    after = path.stat().st_size
    assert [note for note in report.notes if "changed" in note] == [
        f"the file changed while it was read, from {before:,} to {after:,} bytes: rows may be missing, "
        "and one may be cut; it has to be read again once nobody writes to it"
    ]
    again = ingest_file(conn, USE_CASE, path)
    assert not [note for note in again.notes if "changed" in note]


def test_progress_is_told(conn: psycopg.Connection, tmp_path: Path) -> None:
    table = pa.table(
        {"when": ["2024-01-01"] * 120_000, "age": list(range(120_000)), "city": ["x"] * 120_000,
         "came": ["no"] * 120_000}
    )  # fmt: skip
    pq.write_table(table, tmp_path / "f.parquet")
    steps: list[IngestProgress] = []
    ingest_file(conn, USE_CASE, tmp_path / "f.parquet", progress=steps.append)
    assert [step.rows for step in steps] == [50_000, 100_000, 120_000]
    assert steps[-1].fraction == 1.0


def test_the_shipped_data_goes_in_whole(conn: psycopg.Connection, configs: Path) -> None:
    for path in sorted(configs.glob("*.yaml")):
        use_case = load_use_case(path)
        name = use_case.data.dataset
        if name is not None and not name.startswith("kaggle/"):
            report = ingest_dataset(conn, use_case, name, rows=300)
            assert counts(report) == (300, 300, 0, 0, 0), path.name


def test_labelled_rows_without_a_store(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", HEADER + line(1) + line(2, age="x") + line(3, came="no"))
    columns, labels, refused = read_labelled(USE_CASE, path)
    assert columns["age"].tolist() == [1, 3]
    assert labels == ["yes", "no"]
    assert refused == 1
    assert read_labelled(USE_CASE, write(path, HEADER))[1:] == ([], 0)


row = st.tuples(
    st.sampled_from(["2024-01-01", "2024-01-02T03:04:05Z", "", "soon"]),
    st.sampled_from(["0", "7", "-1", "x", ""]),
    st.sampled_from(["town", "", 'a "b"\n, c']),
    st.sampled_from(["yes", "no", "", "perhaps"]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(row, max_size=12))
def test_the_same_file_twice_adds_nothing(
    conn: psycopg.Connection, tmp_path: Path, rows: list[tuple[str, ...]]
) -> None:
    conn.execute("TRUNCATE feedback, feedback_correction, quarantine")
    path = tmp_path / "f.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "age", "city", "came"])
        writer.writerows(rows)
    first = ingest_file(conn, USE_CASE, path)
    second = ingest_file(conn, USE_CASE, path)
    assert counts(first)[0] == len(rows)
    assert first.corrected == first.duplicates == 0
    assert (second.new, second.corrected, second.newly_quarantined) == (0, 0, 0)
    assert second.duplicates == first.new
    assert rows_in(conn) == first.new
    assert rows_in(conn, "quarantine") == first.quarantined == first.newly_quarantined


def test_how_odd_cells_were_read_is_counted(conn: psycopg.Connection, tmp_path: Path) -> None:
    rows = [
        "2024-01-01,1,NA,yes", "2024-01-02, 2 ,town,yes ", "9999-12-31,3,1.0,yes", "2024-01-03,4,,maybe",
        "2024-01-04,x,town,yes", "20240105,5,town,no", "2024-01-06,y,NULL,no",
    ]  # fmt: skip
    report = ingest_file(conn, USE_CASE, write(tmp_path / "f.csv", HEADER + "\n".join(rows)))
    assert counts(report) == (7, 3, 0, 0, 4)
    assert report.taken_as_missing == {"NA": 1, "a time of the year 9999": 1, "": 1, "NULL": 1}
    assert (report.trimmed, report.respelled) == (2, 1)
    reasons = {reason.rule: reason.rows for reason in report.reasons}
    assert reasons["field 'age': got …; allowed: a whole number, at least 0"] == 2
    assert reasons["label: got …; allowed: one of 'no', 'yes'"] == 1
    assert sum(reasons.values()) == report.quarantined


def test_a_line_of_json_means_the_same_among_others(conn: psycopg.Connection, tmp_path: Path) -> None:
    cities = [1, 1.0, "1", "1.0", True, "True", [1], None, 1e20, "x"]
    lines = [json.dumps({"when": None, "age": 1, "city": city, "came": "yes"}) for city in cities]
    together = ingest_file(conn, USE_CASE, write(tmp_path / "all.jsonl", "\n".join(lines)))
    assert (together.new, together.quarantined) == (8, 2)
    rows = conn.execute("SELECT record ->> 'city' FROM feedback ORDER BY seq").fetchall()
    assert [city for (city,) in rows] == ["1", "1", "1", "1", "true", "true", None, "x"]


def test_not_a_number_in_a_line_is_told_as_in_a_request(conn: psycopg.Connection, tmp_path: Path) -> None:
    lines = ['{"when": null, "age": NaN, "came": "yes"}', '{"when": null, "age": Infinity, "came": "no"}']
    ingest_file(conn, USE_CASE, write(tmp_path / "f.jsonl", "\n".join(lines)))
    reasons = [reason for (reason,) in conn.execute("SELECT reason FROM quarantine ORDER BY line").fetchall()]
    allowed = "allowed: a whole number, at least 0"
    assert reasons == [
        f"field 'age': got NaN, which stands for no value; {allowed}", f"field 'age': got inf; {allowed}",
    ]  # fmt: skip


def test_a_column_that_may_be_missing_and_is_misspelt_is_told(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    row = "2024-01-01T00:00:00Z,3,town,yes\n"
    told = {
        "when,age,ctiy,came\n": ("column 'ctiy' is not read; is 'city' meant, which the file lacks?",),
        "when,age,City,came\n": ("column 'City' is not read; is 'city' meant, which the file lacks?",),
        "when,age,colour,came\n": (),
        "when,age,city,came\n": (),
    }
    for header, notes in told.items():
        report = ingest_file(conn, USE_CASE, write(tmp_path / "visits.csv", header + row))
        assert (report.rows, report.quarantined, report.notes) == (1, 0, notes)
    wider = "when,age,city,ctiy,came\n2024-01-01T00:00:00Z,3,town,x,yes\n"
    assert ingest_file(conn, USE_CASE, write(tmp_path / "visits.csv", wider)).notes == ()
