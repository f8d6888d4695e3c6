"""What several sources say of one row: kept once each, decided by majority, of a tie the newest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest

from configs.schema import FieldConfig, RecordConfig, TargetConfig, UseCase
from features.records.contract import RecordContract
from store.feedback.corrections import FeedbackCounts
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.relabelling import LabelChanges, relabel_rows
from store.feedback.rows import NO_KEY, read_by_seq, read_feedback
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport
from store.ingest.retrying import retry_rows
from store.sources.holding import tell_source

RECORD = RecordConfig(fields=(FieldConfig(name="x", type="number"),), id_column="id", source_column="who")
USE_CASE = UseCase.model_validate(
    {
        "name": "u", "title": "U", "kind": "tabular", "record": RECORD, "model": {"estimator": "logistic"},
        "target": {"task": "binary", "column": "y", "classes": ["0", "1"]},
    }
)  # fmt: skip
DOOR = USE_CASE.model_copy(update={"record": RECORD.model_copy(update={"source_column": None})})
DOCUMENT, OTHER = '{"x":1.0}', '{"x":2.0}'


def say(
    conn: psycopg.Connection, who: str, label: str, *, document: str = DOCUMENT, time: str | None = None
) -> FeedbackCounts:
    batch = FeedbackBatch(["i:7"], [document], [label], "http", [time], said_by=who)
    with conn.transaction():
        return add_feedback(conn, "u", batch)


def decided(conn: psycopg.Connection) -> tuple[str, str]:
    ((label, said_by),) = conn.execute("SELECT label, said_by FROM feedback").fetchall()
    return label, said_by


def votes(conn: psycopg.Connection) -> list[tuple[str, str]]:
    return conn.execute("SELECT said_by, label FROM feedback_vote ORDER BY said_by").fetchall()


def seq(conn: psycopg.Connection) -> int:
    return int(read_feedback(conn, "u", RecordContract(RECORD)).seq.max())


def write(folder: Path, *lines: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join(["id,x,y,who", *lines]) + "\n", encoding="utf-8")
    return path


def outcome(report: IngestReport) -> FeedbackCounts:
    return FeedbackCounts(report.new, report.corrected, report.duplicates, report.stale, report.outvoted)


def test_one_source_is_as_it_was_and_has_no_votes(conn: psycopg.Connection) -> None:
    assert [say(conn, "shop", label) for label in ("0", "0", "1")] == [
        FeedbackCounts(new=1), FeedbackCounts(duplicates=1), FeedbackCounts(corrected=1),
    ]  # fmt: skip
    assert decided(conn) == ("1", "shop")
    assert votes(conn) == []


def test_most_sources_decide_and_of_a_tie_the_newest(conn: psycopg.Connection) -> None:
    assert say(conn, "a", "0") == FeedbackCounts(new=1)
    first = seq(conn)
    assert say(conn, "b", "1") == FeedbackCounts(corrected=1), "a tie: the newest"
    tied = seq(conn)
    assert (decided(conn), tied > first) == (("1", "b"), True)
    assert say(conn, "c", "0") == FeedbackCounts(corrected=1), "two of three"
    back = seq(conn)
    assert (decided(conn)[0], back > tied) == ("0", True)
    assert say(conn, "d", "0") == FeedbackCounts(duplicates=1)
    assert say(conn, "b", "1") == FeedbackCounts(stale=1), "it has said so before, and others since"
    assert say(conn, "e", "1") == FeedbackCounts(outvoted=1)
    assert (decided(conn)[0], seq(conn)) == ("0", back), "nothing new to learn from"
    assert votes(conn) == [("a", "0"), ("b", "1"), ("c", "0"), ("d", "0"), ("e", "1")]
    assert read_by_seq(conn, "u", RecordContract(RECORD), read_feedback(
        conn, "u", RecordContract(RECORD)).seq * 0 + first).labels.tolist() == ["0"], "as it was"  # fmt: skip


def test_a_source_that_changes_its_mind_has_one_vote(conn: psycopg.Connection) -> None:
    for who, label in (("a", "0"), ("b", "1"), ("c", "1")):
        say(conn, who, label)
    assert say(conn, "b", "0") == FeedbackCounts(corrected=1)
    assert decided(conn)[0] == "0"
    assert votes(conn) == [("a", "0"), ("b", "0"), ("c", "1")]


def test_an_older_event_is_no_newer_vote(conn: psycopg.Connection) -> None:
    say(conn, "a", "0", time="2024-05-02T00:00:00Z")
    assert say(conn, "b", "1", time="2024-05-01T00:00:00Z") == FeedbackCounts(stale=1)
    assert decided(conn) == ("0", "a")
    assert say(conn, "b", "1", time="2024-05-03T00:00:00Z") == FeedbackCounts(corrected=1), "still so, later"
    assert decided(conn) == ("1", "b")
    assert say(conn, "b", "0", time="2024-05-01T12:00:00Z") == FeedbackCounts(stale=1)
    assert votes(conn) == [("a", "0"), ("b", "1")]


def test_however_many_names_a_key_makes_up_it_has_one_voice(conn: psycopg.Connection) -> None:
    say(conn, "shop", "0")
    for number in range(5):
        say(conn, f"mallory/{number}", "1")
    assert decided(conn)[0] == "1", "a tie, and the newest"
    assert say(conn, "file", "0") == FeedbackCounts(corrected=1)
    assert decided(conn)[0] == "0"


def test_annotators_of_one_key_vote_among_themselves(conn: psycopg.Connection) -> None:
    for who, label in (("shop/ann", "0"), ("shop/bob", "0"), ("shop/eve", "1")):
        say(conn, who, label)
    assert decided(conn)[0] == "0"


def test_votes_on_an_earlier_record_do_not_outvote_news(conn: psycopg.Connection) -> None:
    say(conn, "a", "0")
    say(conn, "b", "0")
    assert say(conn, "c", "1", document=OTHER) == FeedbackCounts(corrected=1)
    assert decided(conn) == ("1", "c")
    assert say(conn, "a", "0", document=OTHER) == FeedbackCounts(corrected=1), "a tie on the new record"


def test_rows_of_earlier_releases_count_as_one_source(conn: psycopg.Connection) -> None:
    say(conn, "a", "0")
    conn.execute("UPDATE feedback SET said_by = NULL")
    say(conn, "b", "0")
    assert votes(conn) == [("b", "0"), ("earlier", "0")]
    assert say(conn, "c", "1") == FeedbackCounts(outvoted=1)
    assert decided(conn)[0] == "0"


def test_a_file_may_say_whose_label_each_row_has(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path, "7,1.0,0,ann", "7,1.0,1,bob", "7,1.0,1, eve ", "8,1.0,1,", f"9,1.0,1,{'x' * 65}")
    report = ingest_file(conn, USE_CASE, path)
    assert (report.rows, report.quarantined) == (5, 1)
    assert report.reasons[0].rule.startswith("column 'who': got …; allowed: a name of 1 to 64 printable")
    assert votes(conn) == [("file/ann", "0"), ("file/bob", "1"), ("file/eve", "1")]
    assert conn.execute("SELECT identity, label, said_by FROM feedback ORDER BY identity").fetchall()[1] == (
        "i:8", "1", "file",
    )  # fmt: skip
    again = ingest_file(conn, USE_CASE, path)
    assert (again.new, again.corrected, again.quarantined) == (0, 0, 1)
    assert again.rows == sum(vars(outcome(again)).values()) + again.quarantined


def test_two_sources_of_a_file_speak_of_the_same_equal_rows(conn: psycopg.Connection, tmp_path: Path) -> None:
    nameless = USE_CASE.model_copy(update={"record": RECORD.model_copy(update={"id_column": None})})
    path = write(tmp_path, ",1.0,0,ann", ",1.0,0,ann", ",1.0,0,bob", ",1.0,1,bob", ",1.0,1,eve", ",1.0,1,eve")
    ingest_file(conn, nameless, path)
    assert conn.execute("SELECT label FROM feedback ORDER BY identity").fetchall() == [("0",), ("1",)]


def test_a_file_that_was_mended_corrects_itself_whatever_it_is_called(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path, "7,1.0,0,")
    ingest_file(conn, DOOR, path)
    path = write(tmp_path, "7,1.0,1,").rename(tmp_path / "rows-2.csv")
    assert outcome(ingest_file(conn, DOOR, path)) == FeedbackCounts(corrected=1)
    assert votes(conn) == []
    path = write(tmp_path, "7,1.0,0,")
    assert outcome(ingest_file(conn, DOOR, path, door="inbox")) == FeedbackCounts(stale=1), "said before"


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_of_three_that_come_at_once_the_order_does_not_matter(conn: psycopg.Connection, order: str) -> None:
    said = {"a": "0", "b": "1", "c": "1"}
    batch = FeedbackBatch(
        ["i:7"] * 3, [DOCUMENT] * 3, [said[who] for who in order], "http", said_by=list(order)
    )
    with conn.transaction():
        counts = add_feedback(conn, "u", batch)
    assert decided(conn)[0] == "1"
    assert counts.rows == 3
    assert counts.new == 1
    assert [row[0] for row in votes(conn)] == ["a", "b", "c"]


def test_votes_are_renamed_with_their_labels_and_go_with_their_rows(conn: psycopg.Connection) -> None:
    text = USE_CASE.model_copy(update={"target": TargetConfig(task="multiclass", column="y")})
    for who, label in (("a", "good"), ("b", "good"), ("c", "bad")):
        say(conn, who, label)
    relabel_rows(conn, text, LabelChanges({"good": "fine", "bad": "poor"}))
    assert votes(conn) == [("a", "fine"), ("b", "fine"), ("c", "poor")]
    assert say(conn, "d", "poor").corrected == 1, "a tie"
    relabel_rows(conn, text, LabelChanges(dropped=["fine"]))
    assert votes(conn) == [("c", "poor"), ("d", "poor")]
    relabel_rows(conn, text, LabelChanges(set_aside=["poor"]))
    assert votes(conn) == []
    assert retry_rows(conn, text).new == 1
    assert decided(conn) == ("poor", "d"), "its source is kept too"


def test_labels_that_become_one_are_counted_together(conn: psycopg.Connection) -> None:
    text = USE_CASE.model_copy(update={"target": TargetConfig(task="multiclass", column="y")})
    for who, label in (("a", "junk"), ("b", "spam"), ("c", "ham")):
        say(conn, who, label)
    assert decided(conn) == ("ham", "c"), "of a tie the newest"
    first = seq(conn)
    report = relabel_rows(conn, text, LabelChanges({"junk": "spam"}))
    assert report.relabelled == 1, "its row, though it stood as another label"
    assert decided(conn) == ("spam", "b")
    assert votes(conn) == [("a", "spam"), ("b", "spam"), ("c", "ham")]
    assert seq(conn) > first, "it is a new label"
    again = relabel_rows(conn, text, LabelChanges({"junk": "spam"}))
    assert (again.relabelled, seq(conn)) == (0, seq(conn))


def test_who_is_left_decides_where_labels_are_dropped(conn: psycopg.Connection) -> None:
    text = USE_CASE.model_copy(update={"target": TargetConfig(task="multiclass", column="y")})
    for who, label in (("key/1", "odd"), ("b", "spam"), ("key/2", "ham"), ("c", "ham"), ("d", "spam")):
        say(conn, who, label)
    # One key has one voice: its two names have half of it each.
    assert decided(conn) == ("spam", "d")
    say(conn, "c", "ham", time="2030-01-01T00:00:00Z")
    assert decided(conn) == ("spam", "d"), "2 voices against 1 and a half"
    relabel_rows(conn, text, LabelChanges(dropped=["odd"]))
    assert decided(conn) == ("ham", "c"), "2 against 2: the newest"


@pytest.mark.parametrize("others", [("b",), ()], ids=["overruled", "released"])
def test_what_a_row_was_grouped_by_is_known_of_what_it_was_before(
    others: tuple[str, ...], conn: psycopg.Connection
) -> None:
    grouped = RecordContract(RECORD.model_copy(update={"group": "household"}))
    for who, label in zip(("a", *others), "01", strict=False):
        batch = FeedbackBatch(["i:7"], [DOCUMENT], [label], "http", record_group=["g"], said_by=who)
        add_feedback(conn, "u", batch)
    numbers = [seq(conn)]
    for told in ("hold", "release"):
        tell_source(conn, USE_CASE, others[0] if others else "a", told, "ann")
        numbers.append(int(conn.execute("SELECT seq FROM feedback").fetchall()[0][0]))
    before = sorted({*numbers} - {numbers[-1]})
    assert before, "it has another number now"
    was = read_by_seq(conn, "u", grouped, np.array(before))
    now = read_feedback(conn, "u", grouped)
    assert now.groups[0] != NO_KEY
    assert was.groups.tolist() == [now.groups[0]] * len(before)


def test_of_a_tie_the_newest_decides_also_after_the_clock_was_set_back(conn: psycopg.Connection) -> None:
    say(conn, "a", "0")
    conn.execute("UPDATE feedback SET received_at = received_at + interval '2 hours'")
    assert say(conn, "b", "1") == FeedbackCounts(corrected=1)
    assert say(conn, "a", "1") == FeedbackCounts(duplicates=1)
    assert say(conn, "a", "0") == FeedbackCounts(corrected=1)
    assert decided(conn) == ("0", "a")
    assert say(conn, "b", "1", document=OTHER) == FeedbackCounts(corrected=1), "news of the record"
    assert decided(conn) == ("1", "b")
