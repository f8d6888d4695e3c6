"""Classes renamed or removed, fields retyped: old rows are mapped, moved or deleted, and history stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import UseCase
from store.database.connection import connect
from store.errors import WrongLabels
from store.feedback.revisions.relabelling import LabelChanges, RelabelReport, relabel_rows
from store.feedback.revisions.setting_aside import RecheckReport, recheck_rows
from store.ingest.retrying import retry_rows
from store.quarantine.rows import count_rows, read_rows
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.store.quarantine.cases import HEADER, identities, labels, loans, read, reasons, target

MICRO = {"metric": "f1_micro"}
AMOUNT: dict[str, Any] = {"name": "amount", "type": "number"}
ROWS = "2018-03-01,5,paid\n2018-03-02,7,late\n2018-03-03,9,lost\n2018-03-04,9,lost\n"


@pytest.fixture
def file(tmp_path: Path, database_url: str) -> Path:
    """Four rows, stored while they were valid."""
    read(database_url, loans(), tmp_path / "loans.csv", HEADER + ROWS)
    return tmp_path / "loans.csv"


def relabel(url: str, use_case: UseCase, **changes: Any) -> RelabelReport:
    with connect(url) as conn:
        return relabel_rows(conn, use_case, LabelChanges(**changes))


def recheck(url: str, use_case: UseCase, *, move: bool = True) -> RecheckReport:
    with connect(url) as conn:
        return recheck_rows(conn, use_case, move=move)


@pytest.mark.usefixtures("file")
def test_a_renamed_class(conn: psycopg.Connection, database_url: str) -> None:
    arrived = conn.execute("SELECT identity, received_at FROM feedback ORDER BY identity").fetchall()
    renamed = loans(target=target("settled", "late", "lost"))
    assert recheck(database_url, renamed, move=False).misfits == 1
    report = relabel(database_url, renamed, renamed={"paid": "settled", "gone": "late"})
    assert (report.relabelled, report.unused) == (1, ("gone",))
    assert recheck(database_url, renamed).misfits == 0
    assert labels(conn) == ["late", "lost", "lost", "settled"]
    assert labels(conn, "feedback_correction") == ["paid"]
    assert conn.execute("SELECT identity, received_at FROM feedback ORDER BY identity").fetchall() == arrived
    assert conn.execute("SELECT label FROM feedback ORDER BY seq DESC LIMIT 1").fetchone() == ("settled",)


@pytest.mark.parametrize(("new", "kept"), [(" late ", "late"), ("la\u200bte\u200b", None), ("LATE", None)])
@pytest.mark.usefixtures("file")
def test_a_new_label_is_kept_as_every_other_way_keeps_it(
    conn: psycopg.Connection, database_url: str, new: str, kept: str | None
) -> None:
    if kept is None:
        with pytest.raises(WrongLabels, match="no label that rows of 'loans' may have"):
            relabel(database_url, loans(), renamed={"lost": new})
        return
    assert relabel(database_url, loans(), renamed={"lost": new}).relabelled == 2
    assert labels(conn) == [kept, kept, "late", "paid"]


@pytest.mark.parametrize(
    ("new", "kept"),
    [("TRUE", "true"), ("1.0", "1"), ("cafe\u0301", "caf\u00e9"), ("True story", "True story")],
)
@pytest.mark.usefixtures("file")
def test_a_new_label_of_open_classes_has_the_spelling_of_later_rows(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, new: str, kept: str
) -> None:
    free = loans(target={"task": "multiclass", "column": "status"})
    relabel(database_url, free, renamed={"lost": new})
    read(database_url, free, tmp_path / "later.csv", HEADER + f"2018-03-05,5,{new}\n")
    assert labels(conn) == sorted([kept, kept, kept, "late", "paid"])


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("changes", [{"renamed": {DECOMPOSED: "late"}}, {"dropped": [DECOMPOSED]},
                                     {"set_aside": [DECOMPOSED]}])  # fmt: skip
def test_a_label_is_found_in_whichever_form_of_its_letters(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    free = loans(target={"task": "multiclass", "column": "status"})
    read(
        database_url, free, tmp_path / "loans.csv", HEADER + f"2018-03-01,5,{DECOMPOSED}\n2018-03-02,7,late\n"
    )
    assert labels(conn) == [COMPOSED, "late"]
    report = relabel(database_url, free, **changes)
    assert (report.relabelled + report.dropped + report.set_aside, report.unused) == (1, ())
    assert labels(conn) == (["late", "late"] if "renamed" in changes else ["late"])


def test_of_two_forms_that_are_stored_the_one_is_meant_that_is_named(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    listed = loans(target=target(DECOMPOSED, "late"))
    read(
        database_url, listed, tmp_path / "loans.csv", HEADER + f"2018-03-01,5,{COMPOSED}\n2018-03-02,7,late\n"
    )
    assert labels(conn) == [DECOMPOSED, "late"], "as the classes have it"
    again = loans(target=target(COMPOSED, "late"))
    read(database_url, again, tmp_path / "more.csv", HEADER + f"2018-03-03,5,{COMPOSED}\n")
    assert relabel(database_url, again, renamed={DECOMPOSED: COMPOSED}).relabelled == 1
    assert labels(conn) == [COMPOSED, COMPOSED, "late"]


@pytest.mark.usefixtures("file")
def test_a_removed_class_is_deleted_or_set_aside(conn: psycopg.Connection, database_url: str) -> None:
    fewer = loans(target=target("paid", "late"))
    assert relabel(database_url, fewer, dropped=["lost"]).dropped == 2
    assert labels(conn) == ["late", "paid"]
    assert labels(conn, "feedback_correction") == ["lost", "lost"]
    assert relabel(database_url, fewer, set_aside=["late"]).set_aside == 1
    assert labels(conn) == ["paid"]
    (row,) = read_rows(conn, "loans")
    assert (row.source, row.kind, row.row["label"]) == ("loans.csv", "record", "late")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"renamed": {"paid": "setled"}}, "'setled' is no label that rows of 'loans' may have"),
        ({"renamed": {"paid": "late"}, "dropped": ["paid"]}, "label 'paid' is to become two things"),
        ({"dropped": ["paid"], "set_aside": ["paid"]}, "label 'paid' is to become two things"),
    ],
)
@pytest.mark.usefixtures("file")
def test_what_cannot_be_is_refused_and_nothing_changed(
    conn: psycopg.Connection, database_url: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(WrongLabels, match=words):
        relabel(database_url, loans(), **changes)
    assert labels(conn) == ["late", "lost", "lost", "paid"]


def test_rows_set_aside_for_their_class_are_mapped_there(
    conn: psycopg.Connection, database_url: str, file: Path
) -> None:
    before = identities(conn)
    renamed = loans(target=target("settled", "late", "lost"))
    assert recheck(database_url, renamed).set_aside == 1
    read(database_url, renamed, file)  # and the file is refused too, where it says `paid`
    assert relabel(database_url, renamed, renamed={"paid": "settled"}).in_quarantine == 2
    with connect(database_url) as other:
        report = retry_rows(other, renamed)
    assert (report.new, report.duplicates, report.refused) == (1, 1, 0)
    assert identities(conn) == before


@pytest.mark.usefixtures("file")
def test_a_snapshot_of_before_can_be_made_again(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    taken = take_snapshot(conn, loans(), tmp_path, since=None, learned=NOTHING_LEARNED)
    changed = loans(target=target("settled", "late"))
    relabel(database_url, changed, renamed={"paid": "settled"}, dropped=["lost"])
    recheck(database_url, changed)
    frame = open_snapshot(conn, loans(), tmp_path / "elsewhere", taken.digest)
    assert sorted(frame.labels) == ["late", "lost", "lost", "paid"]


@pytest.mark.parametrize(
    ("now", "misfits", "converted"),
    [
        (loans(amount="category"), 4, 4),
        (loans(amount="text"), 4, 4),
        (loans(issued="category"), 0, 0),
        (loans(amount="datetime"), 4, 0),
        (loans(record={"fields": [AMOUNT | {"maximum": 8}]}), 2, 0),
        (loans(record={"fields": [AMOUNT, {"name": "new", "type": "text"}]}), 4, 0),
        (loans(record={"fields": [AMOUNT, {"name": "new", "type": "text", "nullable": True}]}), 0, 0),
        (loans(record={"fields": [AMOUNT | {"type": "image", "shape": [8, 8]}]}, kind="image"), 4, 0),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("file")
def test_fields_of_another_type(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, now: UseCase, misfits: int, converted: int
) -> None:
    taken = take_snapshot(conn, now, tmp_path, since=None, learned=NOTHING_LEARNED)
    assert (taken.rows, taken.left_out_rows) == (4 - misfits, misfits)
    assert sum(one.rows for one in taken.left_out) == misfits
    assert recheck(database_url, now).set_aside == misfits
    assert count_rows(conn, "loans") == misfits
    with connect(database_url) as other:
        report = retry_rows(other, now)
    assert (report.new, report.refused) == (converted, misfits - converted)
    assert len(labels(conn)) == 4 - misfits + converted
    assert recheck(database_url, now).misfits == 0


def test_a_converted_row_is_the_row_of_the_file(
    conn: psycopg.Connection, database_url: str, file: Path
) -> None:
    now = loans(amount="category")
    recheck(database_url, now)
    with connect(database_url) as other:
        retry_rows(other, now)
    assert read(database_url, now, file).duplicates == 4
    assert reasons(conn) == []


def test_many_labels_a_row(conn: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    many = loans(target=target("a", "b", "c", task="multilabel", separator="|"), gate=MICRO)
    read(
        database_url,
        many,
        tmp_path / "l.csv",
        HEADER + "2018-03-01,5,a|b\n2018-03-02,7,b\n2018-03-03,9,a|c\n",
    )
    now = loans(target=target("a", "x", "c", task="multilabel", separator=";"), gate=MICRO)
    report = relabel(database_url, now, renamed={"a": "x"}, dropped=["b"], separator="|")
    assert (report.relabelled, report.dropped) == (2, 1)
    assert labels(conn) == ["c;x", "x"]
    assert recheck(database_url, now).misfits == 0


def test_one_of_many_labels_may_become_several(
    conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    many = loans(target=target("a", "b", "c", "d", task="multilabel", separator="|"), gate=MICRO)
    read(database_url, many, tmp_path / "l.csv", HEADER + "2018-03-01,5,a|c\n2018-03-02,7,a|d\n")
    assert relabel(database_url, many, renamed={"a": "d|b"}).relabelled == 2
    assert labels(conn) == ["b|c|d", "b|d"]


@pytest.mark.usefixtures("file")
def test_one_label_a_row_may_become_many_and_a_set_may_become_one(
    conn: psycopg.Connection, database_url: str
) -> None:
    classes = ("paid", "late", "lost")
    many = loans(target=target(*classes, task="multilabel", separator="|"), gate=MICRO)
    assert recheck(database_url, many).misfits == 0
    conn.execute("UPDATE feedback SET label = 'late|paid' WHERE label = 'paid'")
    assert recheck(database_url, loans(), move=False).misfits == 1
    assert relabel(database_url, loans(), renamed={"late|paid": "late"}).relabelled == 1
    assert labels(conn) == ["late", "late", "lost", "lost"]
