"""Labels that are taken back: gone from what counts, on record, and not back by themselves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest

from features.records.contract import RecordContract
from flows.cli.terminal.status_lines import use_case_lines
from flows.status.use_cases import UseCaseStatus
from store.database.connection import connect
from store.errors import UnknownLabels, UnknownSource
from store.feedback.corrections import FeedbackCounts
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taken_back_counts import taken_back_facts
from store.feedback.revisions.taking_back import LabelSelection, TakeBackReport, find_labels, take_back
from store.feedback.rows import count_feedback, read_by_seq
from store.ingest.files import ingest_file
from store.sources.counts import count_labels
from store.sources.holding import settle_sources, tell_source
from tests.store.feedback.test_votes import (
    DOOR,
    RECORD,
    USE_CASE,
    decided,
    outcome,
    say,
    seq,
    votes,
    write,
)


def forget(conn: psycopg.Connection, *ids: str, source: str | None = None) -> TakeBackReport:
    return take_back(conn, "u", LabelSelection(ids, source), actor="ann", reason="absurd")


def on_record(conn: psycopg.Connection) -> list[tuple[str, ...]]:
    return conn.execute("SELECT said_by, label, actor, reason FROM label_taken_back ORDER BY id").fetchall()


def test_it_counts_nowhere_and_is_on_record(conn: psycopg.Connection) -> None:
    say(conn, "shop", "0")
    say(conn, "shop", "1")
    taught = seq(conn)
    report = forget(conn, "7")
    assert (report.taken_back, report.rows, report.left) == (1, 1, 0)
    assert [(one.id, one.label, one.said_by) for one in report.labels] == [("i:7", "1", "shop")]
    assert count_feedback(conn, "u") == 0, "nor does the label before it come back"
    assert count_labels(conn, "u") == {}
    assert on_record(conn) == [("shop", "1", "ann", "absurd")]
    (number,) = conn.execute("SELECT seq FROM label_taken_back").fetchone() or (None,)
    assert number == taught
    kept = read_by_seq(conn, "u", RecordContract(RECORD), np.array([taught], dtype=np.int64))
    assert kept.labels.tolist() == ["1"], "snapshots of before can still be made again"


@pytest.mark.parametrize("name", ["7", "i:7"])
def test_again_is_nothing_to_do_and_says_what_was(conn: psycopg.Connection, name: str) -> None:
    say(conn, "shop", "1")
    forget(conn, "7")
    again = forget(conn, name)
    assert (again.taken_back, again.rows) == (0, 0)
    assert [(one.label, one.actor, one.reason) for one in again.earlier] == [("1", "ann", "absurd")]
    assert len(on_record(conn)) == 1


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED, f" {DECOMPOSED} "])
def test_an_id_is_found_however_it_is_spelled_when_labels_are_sent(
    conn: psycopg.Connection, tmp_path: Path, name: str
) -> None:
    report = ingest_file(conn, USE_CASE, write(tmp_path, f"{DECOMPOSED},1,1,ann", "7.0,2,0,ann"))
    assert outcome(report) == FeedbackCounts(new=2)
    taken = forget(conn, name)
    assert [(one.id, one.label) for one in taken.labels] == [(f"i:{COMPOSED}", "1")]
    assert forget(conn, name).earlier[0].id == f"i:{COMPOSED}"
    assert [one.id for one in forget(conn, "7.0").labels] == ["i:7"]


def test_a_source_is_found_however_its_name_is_spelled(conn: psycopg.Connection, tmp_path: Path) -> None:
    ingest_file(conn, USE_CASE, write(tmp_path, f"7,1,1,{DECOMPOSED}", "8,2,0,ann"))
    name = f"file/{DECOMPOSED}"
    (one,) = (one for one in tell_source(conn, USE_CASE, name, "hold", "ann") if one.held_since is not None)
    assert one.name == f"file/{COMPOSED}"
    assert [one.said_by for one in forget(conn, source=name).labels] == [f"file/{COMPOSED}"]


def test_an_unknown_id_changes_nothing(conn: psycopg.Connection) -> None:
    say(conn, "shop", "1")
    with pytest.raises(
        UnknownLabels, match="'u' has no label by the id '8'; allowed: the id of a prediction"
    ):
        forget(conn, "7", "8")
    with pytest.raises(UnknownLabels, match="no label of source 'desk' by the id '7'"):
        forget(conn, "7", source="desk")
    with pytest.raises(UnknownSource, match="'desk'; those that it has: shop"):
        forget(conn, source="desk")
    assert (count_feedback(conn, "u"), on_record(conn)) == (1, [])


def test_by_prediction_and_by_the_id_of_its_record(conn: psycopg.Connection) -> None:
    for number, name in (("1", "own"), ("2", "other")):
        batch = FeedbackBatch(
            [f"p:{number}"], ['{"x":1.0}'], ["1"], "http", prediction_id=[number], record_id=[name]
        )
        add_feedback(conn, "u", batch)
    assert forget(conn, "1").labels[0].record_id == "own"
    assert forget(conn, "other").labels[0].prediction_id == "2"
    assert count_feedback(conn, "u") == 0
    assert forget(conn, "own").earlier[0].prediction_id == "1"


def test_of_several_sources_the_others_decide(conn: psycopg.Connection) -> None:
    for who, label in (("shop", "0"), ("desk", "1"), ("mallory", "1")):
        say(conn, who, label)
    taught = seq(conn)
    assert decided(conn)[0] == "1"
    assert forget(conn, "7", source="desk").left == 1
    assert decided(conn) == ("1", "mallory"), "of a tie the newest"
    assert conn.execute("SELECT seq FROM label_taken_back").fetchall() == [(None,)], "it is learned still"
    forget(conn, source="mallory")
    assert (decided(conn), votes(conn)) == (("0", "shop"), [("shop", "0")])
    assert seq(conn) > taught, "a new label for the next retrain"
    assert conn.execute("SELECT seq FROM label_taken_back ORDER BY id").fetchall() == [(None,), (taught,)]
    assert forget(conn, "7").left == 0
    assert count_feedback(conn, "u") == 0


def test_without_a_source_all_labels_of_a_row_go(conn: psycopg.Connection) -> None:
    say(conn, "shop", "0")
    say(conn, "desk", "1")
    report = forget(conn, "7")
    assert (report.taken_back, report.rows, report.left) == (2, 1, 0)
    assert (count_feedback(conn, "u"), votes(conn)) == (0, [])


def test_what_is_left_of_a_source_that_is_held_back_counts_as_little(conn: psycopg.Connection) -> None:
    for who, label in (("shop", "0"), ("desk", "1")):
        say(conn, who, label)
    tell_source(conn, USE_CASE, "shop", "hold", "ann")
    assert decided(conn) == ("1", "desk")
    forget(conn, source="desk")
    assert decided(conn) == ("0", "shop")
    assert count_feedback(conn, "u") == 0
    assert [(one.name, one.labels) for one in settle_sources(conn, USE_CASE)] == [("shop", 1)]


def test_a_key_with_all_that_it_names(conn: psycopg.Connection) -> None:
    say(conn, "shop/ann", "1")
    say(conn, "shop/bob", "1")
    say(conn, "desk", "0")
    assert forget(conn, source="shop").taken_back == 2
    assert decided(conn) == ("0", "desk")


def test_a_new_label_counts_again_and_may_be_taken_back_again(conn: psycopg.Connection) -> None:
    say(conn, "shop", "1")
    forget(conn, "7")
    assert say(conn, "shop", "0") == FeedbackCounts(new=1)
    forget(conn, "7")
    assert say(conn, "shop", "1") == FeedbackCounts(new=1), "the same label too, where it is told now"
    assert forget(conn, "7").earlier[0].label == "0"


def test_a_file_that_has_it_still_does_not_bring_it_back(conn: psycopg.Connection, tmp_path: Path) -> None:
    lines = ["7,1,1,", "8,2,0,"]
    ingest_file(conn, DOOR, write(tmp_path, *lines))
    forget(conn, "7")
    assert outcome(ingest_file(conn, DOOR, write(tmp_path, *lines))) == FeedbackCounts(duplicates=1, stale=1)
    assert count_feedback(conn, "u") == 1
    assert outcome(ingest_file(conn, DOOR, write(tmp_path, "7,1,0,", "8,2,0,"))) == FeedbackCounts(
        new=1, duplicates=1
    ), "a file that was mended does"


def test_one_of_before_by_its_time_does_not_come_back(conn: psycopg.Connection) -> None:
    say(conn, "shop", "1", time="2024-01-01T00:00:00Z")
    forget(conn, "7")
    assert say(conn, "shop", "1", time="2024-01-01T00:00:00Z") == FeedbackCounts(stale=1)
    assert say(conn, "shop", "0", time="2024-01-01T00:00:00Z") == FeedbackCounts(new=1)
    assert say(conn, "desk", "1", time="2024-01-01T00:00:00Z").rows == 1, "another source never took it back"


def test_looking_changes_nothing(conn: psycopg.Connection) -> None:
    say(conn, "shop", "1")
    assert find_labels(conn, "u", LabelSelection(source="shop")).taken_back == 1
    assert (count_feedback(conn, "u"), on_record(conn)) == (1, [])


def test_by_file_and_time_of_arrival(conn: psycopg.Connection, tmp_path: Path) -> None:
    ingest_file(conn, DOOR, write(tmp_path, "7,1,1,"))
    say(conn, "shop", "0")
    ((moment,),) = conn.execute("SELECT received_at FROM feedback_vote WHERE said_by = 'shop'").fetchall()
    assert find_labels(conn, "u", LabelSelection(file="rows.csv")).taken_back == 1
    assert [one.said_by for one in find_labels(conn, "u", LabelSelection(since=moment)).labels] == ["shop"]
    assert [one.said_by for one in find_labels(conn, "u", LabelSelection(until=moment)).labels] == ["file"]


@pytest.mark.parametrize("kept", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("named", [COMPOSED, DECOMPOSED])
def test_a_file_is_found_in_whichever_form_its_name_is(
    conn: psycopg.Connection, tmp_path: Path, kept: str, named: str
) -> None:
    write(tmp_path, "7,1,1,").rename(file := tmp_path / f"{kept}.csv")
    ingest_file(conn, DOOR, file)
    assert find_labels(conn, "u", LabelSelection(file=f"{named}.csv")).taken_back == 1


def test_a_correction_at_the_same_time_is_before_or_after_as_a_whole(
    conn: psycopg.Connection, database_url: str
) -> None:
    say(conn, "shop", "0")
    conn.commit()
    with (
        connect(database_url, autocommit=True) as first,
        connect(database_url, autocommit=True) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        with first.transaction():
            say(first, "shop", "1")
            waiting = pool.submit(forget, second, "7")
            wait_until_blocked(conn)
        assert [one.label for one in waiting.result(20).labels] == ["1"], "the corrected one"
        assert count_feedback(conn, "u") == 0
        say(first, "shop", "1")
        with second.transaction():
            forget(second, "7")
            later = pool.submit(say, first, "shop", "0")
            wait_until_blocked(conn)
        assert later.result(20) == FeedbackCounts(new=1)
    assert count_feedback(conn, "u") == 1


def wait_until_blocked(conn: psycopg.Connection) -> None:
    """Until somebody waits for a lock of this database."""
    until = time.monotonic() + 20
    query = (
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while conn.execute(query).fetchone() is None:
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.01)


def test_cut_off_half_way_nothing_is_taken_back(conn: psycopg.Connection, database_url: str) -> None:
    for who, label in (("shop", "0"), ("desk", "1")):
        say(conn, who, label)
    conn.commit()
    with connect(database_url, autocommit=True) as other:
        (process,) = other.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        with pytest.raises(psycopg.OperationalError), other.transaction():
            forget(other, "7", source="desk")
            conn.execute("SELECT pg_terminate_backend(%s, 10000)", (process,))
            other.execute("SELECT 1")
    assert (decided(conn), len(votes(conn)), on_record(conn)) == (("1", "desk"), 2, [])


def test_they_are_counted_and_the_last_is_told(conn: psycopg.Connection) -> None:
    def line() -> str | None:
        facts = taken_back_facts(conn, "u")
        return use_case_lines(UseCaseStatus("u", "U", taken_back=facts))["taken back"]

    assert (taken_back_facts(conn, "u"), line()) == ({"labels": 0, "rows": 0, "last": None}, None)
    say(conn, "shop", "0")
    say(conn, "desk", "1")
    forget(conn, "7")
    at = conn.execute("SELECT taken_back_at FROM label_taken_back ORDER BY id DESC LIMIT 1").fetchone()
    assert at is not None
    last = {"at": at[0], "actor": "ann", "reason": "absurd"}
    assert taken_back_facts(conn, "u") == {"labels": 2, "rows": 1, "last": last}
    assert line() == f"2 labels, the last {at[0]:%Y-%m-%d %H:%M} by ann: absurd"
