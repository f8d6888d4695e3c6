"""Quarantine: why rows are there, and what becomes of them when they are read or tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import ServingConfig, UseCase
from features.errors import RefusedRow
from store.database.connection import connect
from store.feedback.insertion import add_feedback
from store.feedback.revisions.relabelling import RELABEL_ROWS
from store.ingest import retrying
from store.ingest.retrying import RetryReport, retry_rows
from store.quarantine.rows import (
    Selection,
    count_reasons,
    count_rows,
    describe_quarantine,
    drop_rows,
    quarantine,
    read_rows,
    request_retry,
    where_retry_is_requested,
)
from tests.features.records.pictures import odd
from tests.store.quarantine.cases import HEADER, identities, labels, loans, read, reasons, target

STRICT, TEXT = loans(), loans(issued="category")
ROWS = "Mar-2018,5,paid\nApr-2018,7,late\nMar-2018,5,paid\n"


def retry(url: str, use_case: Any = TEXT, **selection: Any) -> RetryReport:
    with connect(url) as conn:
        return retry_rows(conn, use_case, Selection(**selection))


def test_reasons_are_counted_with_an_example(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    report = read(database_url, STRICT, tmp_path / "loans.csv", HEADER + ROWS + "2018-03-01,1,gone\n")
    assert [(one.rows, one.line) for one in report.reasons] == [(3, 2), (1, 5)]
    stored = count_reasons(conn, "loans")
    assert stored == report.reasons
    assert "got 'Mar-2018'" in stored[0].example
    assert count_reasons(conn, "loans", Selection(reason="LABEL: GOT")) == stored[1:]
    told = describe_quarantine(conn, "loans")
    assert told is not None
    assert told.startswith("4 rows are in quarantine: field 'issued': got 'Mar-2018' (text); allowed: a time")
    assert told.endswith("`ratchet quarantine list loans` shows them")
    assert describe_quarantine(conn, "others") is None


def test_a_retry_stores_what_the_file_would_have(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "loans.csv"
    read(database_url, STRICT, path, HEADER + ROWS)
    report = retry(database_url)
    assert (report.tried, report.new, report.refused) == (
        3,
        3,
        0,
    )  # two of the rows are equal, and both count
    assert count_rows(conn, "loans") == 0
    again = read(database_url, TEXT, path)
    assert (again.new, again.corrected, again.duplicates, again.quarantined) == (0, 0, 3, 0)


def test_a_file_exported_twice_counts_once(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "loans.csv"
    read(database_url, STRICT, path, HEADER + "Mar-2018,5,paid\n")
    read(database_url, STRICT, path, HEADER + "Jun-2018,9,late\nMar-2018,5,paid\n")  # a line further down
    assert count_rows(conn, "loans") == 3
    report = retry(database_url)
    assert (report.new, report.duplicates) == (2, 1)
    assert labels(conn) == ["late", "paid"]


def test_the_same_file_under_a_changed_configuration(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "loans.csv"
    read(database_url, STRICT, path, HEADER + ROWS + "May-2018,7,gone\n")
    assert all(reason.startswith("field 'issued'") for reason in reasons(conn))
    report = read(database_url, TEXT, path)
    assert (report.new, report.quarantined, report.newly_quarantined, report.released) == (3, 1, 0, 3)
    assert reasons(conn) == ["label: got 'gone' (text); allowed: one of 'paid', 'late', 'lost'"]
    assert [one.rows for one in count_reasons(conn, "loans")] == [1]


def test_rows_that_stay_get_the_reason_of_today(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    read(database_url, STRICT, tmp_path / "loans.csv", HEADER + "Mar-2018,x,paid\n")
    report = retry(database_url)
    assert (report.tried, report.new, report.refused) == (1, 0, 1)
    assert reasons(conn) == ["field 'amount': got 'x' (text); allowed: a number"]
    assert [one.rule for one in report.reasons] == ["field 'amount': got …; allowed: a number"]


def test_only_what_is_selected_is_tried(conn: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    read(database_url, STRICT, tmp_path / "a.csv", HEADER + "Mar-2018,1,paid\n")
    read(database_url, STRICT, tmp_path / "b.csv", HEADER + "Apr-2018,2,late\n")
    assert retry(database_url, source="b.csv").new == 1
    assert labels(conn) == ["late"]
    assert retry(database_url, reason="no such reason").tried == 0


@pytest.mark.parametrize("kept", ["B\u00e4ume.csv", "Ba\u0308ume.csv"])
@pytest.mark.parametrize("named", ["B\u00e4ume.csv", "Ba\u0308ume.csv"])
def test_a_file_is_selected_in_whichever_form_its_name_is(
    database_url: str, tmp_path: Path, kept: str, named: str
) -> None:
    read(database_url, STRICT, tmp_path / kept, HEADER + "Mar-2018,1,paid\n")
    assert retry(database_url, source=named).new == 1


def test_a_retry_does_not_undo_what_came_since(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    with_id = {"id_column": "id", "fields": [{"name": "amount", "type": "number"}]}
    old = loans(record=with_id | {"fields": [{"name": "amount", "type": "number", "maximum": 10}]})
    read(database_url, old, tmp_path / "old.csv", "id,amount,status\n7,50,late\n")
    read(database_url, old, tmp_path / "new.csv", "id,amount,status\n7,5,paid\n")
    report = retry(database_url, loans(record=with_id))
    assert (report.corrected, report.refused) == (0, 1)
    assert labels(conn) == ["paid"]
    assert "stored since with another record or label" in reasons(conn)[0]


@pytest.mark.parametrize("released", ["now", "before"])
def test_a_retry_does_not_undo_what_came_after_the_clock_was_set_back(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, released: str
) -> None:
    """By the times of rows of a release that kept nothing else, an older one is newer."""
    read(database_url, loans(record=SMALL), tmp_path / "old.csv", "id,amount,status\n7,50,late\n")
    conn.execute("UPDATE quarantine SET read_at = read_at + interval '2 hours'")
    if released == "before":
        conn.execute("UPDATE quarantine SET last_seq = NULL")
    conn.commit()
    read(database_url, loans(record=SMALL), tmp_path / "new.csv", "id,amount,status\n7,5,paid\n")
    retry(database_url, loans(record=WITH_ID))
    assert labels(conn) == (["paid"] if released == "now" else ["late"])


def test_what_was_stored_before_a_row_was_refused_is_corrected_though_the_clock_was_set_back(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    read(database_url, loans(record=SMALL), tmp_path / "old.csv", "id,amount,status\n7,5,paid\n")
    conn.execute("UPDATE feedback SET received_at = received_at + interval '2 hours'")
    conn.commit()
    read(database_url, loans(record=SMALL), tmp_path / "new.csv", "id,amount,status\n7,50,late\n")
    relabelled = {"use_case": "loans", "old": ["paid"], "new": ["done"]}
    conn.execute(RELABEL_ROWS, relabelled)
    conn.commit()
    assert retry(database_url, loans(record=WITH_ID)).refused == 0


def test_lines_that_are_no_rows_and_second_rows_wait_for_a_mended_file(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    with_id = loans(record={"id_column": "id", "fields": [{"name": "amount", "type": "number"}]})
    read(database_url, with_id, tmp_path / "l.csv", "id,amount,status\n1,5,paid\n1,6,paid\n3,4\n")
    assert sorted(row.kind for row in read_rows(conn, "loans")) == ["second", "text"]
    report = retry(database_url, with_id)
    assert (report.tried, report.unreadable) == (0, 2)
    assert count_rows(conn, "loans") == 2


def test_typed_files_are_tried_again_with_their_types(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    strict, wide = (
        loans(record={"fields": [{"name": "amount", "type": "number", "maximum": most}]}) for most in (1, 99)
    )
    table = pa.table({"amount": [5.5, float("inf")], "status": ["paid", "late"]})
    pq.write_table(table, tmp_path / "l.parquet")
    read(database_url, strict, tmp_path / "l.parquet")
    assert retry(database_url, wide).new == 1
    assert conn.execute("SELECT record->>'amount' FROM feedback").fetchall() == [("5.5",)]
    assert reasons(conn) == ["field 'amount': got 'inf' (text); allowed: a number, at most 99"]


@pytest.mark.parametrize("named", [True, False])
def test_items_of_requests_are_tried_again(conn: psycopg.Connection, database_url: str, named: bool) -> None:
    item: dict[str, Any] = {"record": {"issued": "Mar-2018", "amount": 5}, "label": "paid"}
    if named:
        item["record"]["id"] = "a7"
    quarantine(conn, "loans", "http", [RefusedRow(None, "field 'issued': got it", item, "item")])
    assert retry(database_url).new == 1
    (identity,) = identities(conn)
    assert identity == "i:a7" if named else identity.startswith("h:")
    assert count_rows(conn, "loans") == 0


def test_items_with_an_unknown_field_stay_where_requests_with_one_are_refused(
    conn: psycopg.Connection, database_url: str
) -> None:
    item = {"record": {"issued": "Mar-2018", "amount": 5, "amont": 6}, "label": "paid"}
    quarantine(conn, "loans", "http", [RefusedRow(None, "?", item, "item")])
    strict = TEXT.model_copy(update={"serving": ServingConfig(unknown_fields="refuse")})
    assert retry(database_url, strict).refused == 1
    assert reasons(conn) == ["field 'amont': there is no such field; is 'amount' meant?"]
    assert retry(database_url).new == 1


def test_items_that_name_a_prediction_find_it(conn: psycopg.Connection, database_url: str) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record)"
        """ VALUES ('p1', 'loans', '{"issued": "x", "amount": 1}')"""
    )
    rows = [RefusedRow(None, "?", {"prediction_id": name, "label": "paid"}, "item") for name in ("p1", "p2")]
    quarantine(conn, "loans", "http", rows)
    assert retry(database_url).new == 1
    assert identities(conn) == ["p:p1"]
    assert reasons(conn) == ["prediction_id: no prediction 'p2' is known"]


def test_items_about_records_of_an_earlier_configuration_wait_for_one_that_takes_them(
    conn: psycopg.Connection, database_url: str
) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record)"
        """ VALUES ('p1', 'loans', '{"issued": "Mar-2018", "amount": 1}')"""
    )
    item = {"prediction_id": "p1", "label": "paid"}
    quarantine(conn, "loans", "http", [RefusedRow(None, "?", item, "item")])
    assert retry(database_url, STRICT).refused == 1
    assert "earlier configuration: field 'issued': got 'Mar-2018'" in reasons(conn)[0]
    assert retry(database_url).new == 1


def test_a_retry_can_be_requested_and_dropped_rows_are_gone(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    read(database_url, STRICT, tmp_path / "l.csv", HEADER + ROWS + "1,2\n")
    assert request_retry(conn, "loans", Selection(reason="Apr-2018")) == 1
    assert where_retry_is_requested(conn) == {"loans"}
    assert retry(database_url, requested=True).new == 1
    assert where_retry_is_requested(conn) == frozenset()
    assert drop_rows(conn, "loans", Selection(source="l.csv")) == 3
    assert request_retry(conn, "loans") == 0


def test_a_kept_row_is_the_same_row_with_its_newest_reason(conn: psycopg.Connection) -> None:
    assert quarantine(conn, "loans", "a.csv", [RefusedRow(3, "old", {"x": 1})]) == 1
    assert quarantine(conn, "loans", "a.csv", [RefusedRow(3, "new", {"x": 1})] * 2) == 0
    assert reasons(conn) == ["new"]


def test_classes_that_were_added(database_url: str, tmp_path: Path) -> None:
    read(database_url, loans(target=target("x", "y"), issued="category"), tmp_path / "l.csv", HEADER + ROWS)
    assert retry(database_url, TEXT).new == 3


def test_feedback_that_is_there_already_is_a_duplicate(database_url: str, tmp_path: Path) -> None:
    read(database_url, STRICT, tmp_path / "l.csv", HEADER + "Mar-2018,5,paid\n")
    read(database_url, TEXT, tmp_path / "other.csv", HEADER + "Mar-2018,5,paid\n")
    report = retry(database_url)
    assert (report.new, report.duplicates) == (0, 1)


WITH_ID = {"id_column": "id", "fields": [{"name": "amount", "type": "number"}]}
SMALL = {"id_column": "id", "fields": [{"name": "amount", "type": "number", "maximum": 10}]}


def test_of_two_refused_rows_of_an_id_the_later_one_stands(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    read(database_url, loans(record=SMALL), tmp_path / "monday.csv", "id,amount,status\n7,50,late\n")
    read(database_url, loans(record=SMALL), tmp_path / "tuesday.csv", "id,amount,status\n7,50,paid\n")
    report = retry(database_url, loans(record=WITH_ID))
    assert (report.new, report.corrected, report.refused) == (1, 1, 0)
    assert labels(conn) == ["paid"]


@pytest.mark.parametrize(("refused_day", "standing"), [(1, "paid"), (3, "late")])
def test_of_rows_with_a_time_the_newer_stands(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, refused_day: int, standing: str
) -> None:
    strict, wide = (loans(record=one | {"time_column": "at"}) for one in (SMALL, WITH_ID))
    header = "id,at,amount,status\n"
    read(database_url, strict, tmp_path / "a.csv", header + f"7,2024-05-0{refused_day},50,late\n")
    read(database_url, strict, tmp_path / "b.csv", header + "7,2024-05-02,5,paid\n")
    report = retry(database_url, wide)
    assert (report.corrected, report.stale) == ((1, 0) if standing == "late" else (0, 1))
    assert (report.tried, report.refused) == (1, 0)
    assert labels(conn) == [standing]


def test_an_item_that_is_tried_again_is_the_same_truth_as_a_row_of_a_file(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record, record_id)"
        """ VALUES ('p1', 'loans', '{"amount": 5}', '7')"""
    )
    item = {"prediction_id": "p1", "label": "paid"}
    quarantine(conn, "loans", "http", [RefusedRow(None, "label: got it", item, "item")])
    assert retry(database_url, loans(record=WITH_ID)).new == 1
    report = read(database_url, loans(record=WITH_ID), tmp_path / "l.csv", "id,amount,status\n7,5.0,paid\n")
    assert (report.new, report.duplicates) == (0, 1)


def test_items_of_the_future_and_contradicting_ones_stay(conn: psycopg.Connection, database_url: str) -> None:
    record = {"issued": "Mar-2018", "amount": 5, "id": "a7"}
    items: list[dict[str, Any]] = [
        {"record": record, "label": "paid"},
        {"record": record, "label": "late"},
        {"record": record, "label": "late", "event_time": "2199-01-01"},
    ]
    quarantine(conn, "loans", "http", [RefusedRow(None, "?", item, "item") for item in items])
    report = retry(database_url)
    assert (report.new, report.refused) == (1, 2)
    assert labels(conn) == ["paid"]
    assert reasons(conn)[0].startswith("contradicts item 0")
    assert "2199" in reasons(conn)[1]


def test_rows_of_several_types_are_each_read_by_itself(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    lines = (
        '{"issued": 2018, "amount": 5, "status": "paid"}\n{"issued": "Mar", "amount": 1, "status": "late"}\n'
    )
    read(database_url, STRICT, tmp_path / "l.jsonl", lines)
    assert retry(database_url).new == 2
    found = conn.execute("SELECT record->>'issued' FROM feedback ORDER BY 1").fetchall()
    assert found == [("2018",), ("Mar",)]


def test_markers_are_those_of_the_configuration(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    open_classes = {"task": "multiclass", "column": "status"}
    fields = [{"name": "issued", "type": "category"}, {"name": "amount", "type": "number", "maximum": 10}]
    strict = loans(record={"fields": fields, "missing": [""]}, target=open_classes)
    fields = [{"name": "issued", "type": "category"}, {"name": "amount", "type": "number"}]
    wide = loans(record={"fields": fields, "missing": [""]}, target=open_classes)
    read(database_url, strict, tmp_path / "l.csv", HEADER + "NA,50,NA\n")
    item = {"record": {"issued": "NA", "amount": 60}, "label": "NA"}
    quarantine(conn, "loans", "http", [RefusedRow(None, "?", item, "item")])
    assert retry(database_url, wide).new == 2
    assert labels(conn) == ["NA", "NA"]


def test_a_picture_is_tried_again_where_its_bytes_are_kept_and_told_where_its_name_is(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    """A path says nothing without the folder of its file: ingesting the mended file again settles the row."""
    colour, other = photos(["red"]), photos(["red", "blue"])
    path = tmp_path / "photos.csv"
    report = read(database_url, colour, path, "photo,label\ngone.png,red\n")
    assert report.quarantined == 1
    told = retry(database_url, colour)
    assert (told.tried, told.new, told.refused) == (1, 0, 1)
    assert "ingest it again" in reasons(conn)[0]
    (tmp_path / "gone.png").write_bytes(odd.saved(odd.halves()))
    mended = read(database_url, colour, path)
    assert (mended.new, mended.released, reasons(conn)) == (1, 1, [])
    held = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"photo": [odd.saved(odd.halves(50, 40))], "label": ["blue"]}), held)
    assert read(database_url, colour, held).quarantined == 1
    again = retry(database_url, other)
    assert (again.tried, again.new, again.refused) == (1, 1, 0)


def photos(classes: list[str]) -> UseCase:
    return UseCase.model_validate(
        {
            "name": "photos",
            "title": "Photographs",
            "kind": "image",
            "record": {"fields": [{"name": "photo", "type": "image", "shape": [8, 12, 3], "resize": "crop"}]},
            "target": {"task": "multiclass", "classes": [*classes, "none"]},
            "model": {"estimator": "keras_resnet"},
        }
    )


def test_what_is_requested_while_others_are_tried_waits_for_the_next_retry(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(database_url, STRICT, tmp_path / "a.csv", HEADER + "Mar-2018,1,paid\n")
    read(database_url, STRICT, tmp_path / "b.csv", HEADER + "Apr-2018,2,late\n")
    assert request_retry(conn, "loans", Selection(source="a.csv")) == 1
    whole = add_feedback

    def add(*args: Any) -> Any:
        assert request_retry(conn, "loans", Selection(source="b.csv")) == 1
        return whole(*args)

    with monkeypatch.context() as patched:
        patched.setattr(retrying, "add_feedback", add)
        assert retry(database_url, requested=True).new == 1
    assert where_retry_is_requested(conn) == {"loans"}
    assert retry(database_url, requested=True).new == 1
    assert where_retry_is_requested(conn) == frozenset()
    assert sorted(labels(conn)) == ["late", "paid"]
