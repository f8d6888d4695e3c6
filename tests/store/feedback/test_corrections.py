"""The newer event stands, in whatever order truths are read; older ones are told as stale and kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import psycopg
import pytest

from configs.schema import FieldConfig, RecordConfig, UseCase
from features.records.contract import RecordContract
from store.feedback.corrections import FeedbackCounts
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import count_feedback, read_by_seq, read_feedback
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport

RECORD = RecordConfig(fields=(FieldConfig(name="x", type="number"),), time_column="at", id_column="id")
USE_CASE = UseCase.model_validate(
    {
        "name": "u", "title": "U", "kind": "tabular", "record": RECORD, "model": {"estimator": "logistic"},
        "target": {"task": "binary", "column": "y", "classes": ["0", "1"]},
    }
)  # fmt: skip
UNTIMED = USE_CASE.model_copy(update={"record": RECORD.model_copy(update={"time_column": None})})
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
DOCUMENT = '{"x":1.0}'


def told(label: str, time: datetime | None = None, *, now: bool = True) -> FeedbackBatch:
    return FeedbackBatch(["i:7"], [DOCUMENT], [label], "http", [time], told_now=now)


def answered(label: str) -> FeedbackBatch:
    return FeedbackBatch(["p:1"], [DOCUMENT], [label], "http", prediction_id=["1"], record_id=["7"])


def write_file(folder: Path, label: str, at: str = f"{YESTERDAY:%Y-%m-%dT%H:%M:%SZ}") -> Path:
    path = folder / "rows.csv"
    path.write_text(f"id,at,x,y\n7,{at},1.0,{label}\n", encoding="utf-8")
    return path


def outcome(report: IngestReport) -> FeedbackCounts:
    return FeedbackCounts(report.new, report.corrected, report.duplicates, report.stale)


def label_of(conn: psycopg.Connection) -> str:
    ((label,),) = conn.execute("SELECT label FROM feedback").fetchall()
    return str(label)


def kept(conn: psycopg.Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT label FROM feedback_correction ORDER BY id")]


@pytest.mark.parametrize("use_case", [USE_CASE, UNTIMED], ids=["timed", "untimed"])
@pytest.mark.parametrize("correction", [told("1"), answered("1")], ids=["by id", "by prediction"])
def test_a_file_that_is_read_every_night_does_not_undo_a_correction(
    conn: psycopg.Connection, tmp_path: Path, correction: FeedbackBatch, use_case: UseCase
) -> None:
    path = write_file(tmp_path, "0")
    assert outcome(ingest_file(conn, use_case, path)) == FeedbackCounts(new=1)
    assert add_feedback(conn, "u", correction) == FeedbackCounts(corrected=1)
    conn.commit()
    seq = read_feedback(conn, "u", RecordContract(RECORD)).seq.max()
    for _night in range(3):
        assert outcome(ingest_file(conn, use_case, path)) == FeedbackCounts(stale=1)
    assert label_of(conn) == "1"
    assert count_feedback(conn, "u", since_seq=int(seq)) == 0, "no new label to learn from"
    assert kept(conn) == ["0"]


def test_a_stale_file_that_comes_after_the_correction_is_kept_once(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    add_feedback(conn, "u", answered("1"))
    conn.commit()
    path = write_file(tmp_path, "0")
    for _night in range(2):
        assert outcome(ingest_file(conn, USE_CASE, path)) == FeedbackCounts(stale=1)
    assert (label_of(conn), kept(conn)) == ("1", ["0"])


def test_a_newer_file_corrects(conn: psycopg.Connection, tmp_path: Path) -> None:
    add_feedback(conn, "u", told("1", YESTERDAY - timedelta(hours=1)))
    conn.commit()
    assert outcome(ingest_file(conn, USE_CASE, write_file(tmp_path, "0"))) == FeedbackCounts(corrected=1)
    assert label_of(conn) == "0"


def test_a_person_may_go_back_to_the_first_label(conn: psycopg.Connection) -> None:
    for label, expected in (("0", "new"), ("1", "corrected"), ("0", "corrected"), ("1", "corrected")):
        assert getattr(add_feedback(conn, "u", told(label)), expected) == 1
    assert label_of(conn) == "1"


def test_of_one_time_the_later_one_stands_but_an_old_truth_is_no_news(conn: psycopg.Connection) -> None:
    outcomes = [add_feedback(conn, "u", told(label, YESTERDAY)) for label in ("0", "1", "0", "0", "1")]
    assert outcomes == [
        FeedbackCounts(new=1),
        FeedbackCounts(corrected=1),
        FeedbackCounts(stale=1),
        FeedbackCounts(stale=1),
        FeedbackCounts(duplicates=1),
    ]


TRUTHS = [("0", 1), ("1", 3), ("1", 5), ("0", 4)]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_in_any_order_the_newest_event_stands(conn: psycopg.Connection, order: tuple[int, ...]) -> None:
    for place in order:
        label, hour = TRUTHS[place]
        add_feedback(conn, "u", told(label, YESTERDAY + timedelta(hours=hour)))
    assert label_of(conn) == "1"


@pytest.mark.parametrize("hours", [(1, 2), (2, 1)])
def test_so_it_does_within_one_batch(conn: psycopg.Connection, hours: tuple[int, int]) -> None:
    times = [YESTERDAY + timedelta(hours=hour) for hour in hours]
    labels = [f"{hour - 1}" for hour in hours]
    batch = FeedbackBatch(["i:7"] * 2, [DOCUMENT] * 2, labels, "http", times)
    assert add_feedback(conn, "u", batch) == FeedbackCounts(new=1, stale=1)
    assert (label_of(conn), kept(conn)) == ("1", ["0"])


@pytest.mark.parametrize("labels", ["01", "10"])
def test_an_id_that_comes_again_later_in_a_file_is_corrected_by_the_newer_row(
    conn: psycopg.Connection, tmp_path: Path, labels: str
) -> None:
    path = tmp_path / "rows.csv"
    days = [1 + int(label) for label in labels]
    lines = [f"7,2024-05-0{day}T00:00:00Z,1.0,{label}" for day, label in zip(days, labels, strict=True)]
    path.write_text("\n".join(["id,at,x,y", *lines]), encoding="utf-8")
    report = ingest_file(conn, USE_CASE, path)
    assert (report.new, report.corrected + report.stale, report.quarantined) == (1, 1, 0)
    assert label_of(conn) == "1"


@pytest.mark.parametrize("at", ["2199-12-31T23:59:59Z", f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"])
def test_a_row_that_is_still_to_come_is_refused_with_the_reason(
    conn: psycopg.Connection, tmp_path: Path, at: str
) -> None:
    report = ingest_file(conn, USE_CASE, write_file(tmp_path, "0", at))
    assert (report.new, report.quarantined) == (0, 1)
    ((reason,),) = conn.execute("SELECT reason FROM quarantine").fetchall()
    assert reason.startswith("column 'at': got ")
    assert "in the future; allowed: up to a day from now" in reason


def test_local_time_sent_as_utc_is_taken_and_counts_as_of_its_arrival(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=14)
    report = ingest_file(conn, USE_CASE, write_file(tmp_path, "0", f"{ahead:%Y-%m-%dT%H:%M:%SZ}"))
    assert report.new == 1
    (time,) = read_feedback(conn, "u", RecordContract(RECORD)).time.tolist()
    assert time <= datetime.now(UTC).replace(tzinfo=None)
    assert add_feedback(conn, "u", told("1")) == FeedbackCounts(corrected=1)


def test_what_an_earlier_release_stored_of_the_year_9999_is_not_the_newest_for_ever(
    conn: psycopg.Connection,
) -> None:
    far = datetime(9999, 12, 31, tzinfo=UTC)
    for name, time in (("i:1", far), ("i:2", None)):
        batch = FeedbackBatch([name], [DOCUMENT], ["0"], "file", [time])
        add_feedback(conn, "u", batch)
        conn.commit()
    rows = read_feedback(conn, "u", RecordContract(RECORD))
    assert rows.identities.tolist() == ["i:1", "i:2"]
    as_told = read_by_seq(conn, "u", RecordContract(RECORD), rows.seq, times_as_told=True)
    assert as_told.time[0].item() == far.replace(tzinfo=None), "as its snapshots have it"
    correction = FeedbackBatch(["i:1"], [DOCUMENT], ["1"], "http", [datetime.now(UTC)])
    assert add_feedback(conn, "u", correction) == FeedbackCounts(corrected=1)


def test_many_corrections_right_after_a_load_take_no_quadratic_time(conn: psycopg.Connection) -> None:
    count = 10_000
    names, documents = [f"i:{number}" for number in range(count)], [DOCUMENT] * count
    conn.execute("ALTER TABLE feedback SET (autovacuum_enabled = off)")
    add_feedback(conn, "u", FeedbackBatch(names, documents, ["0"] * count, "file"))
    conn.execute("SET LOCAL statement_timeout = '10s'")  # it was 18 s on an idle machine, now it is 0.3
    corrected = add_feedback(conn, "u", FeedbackBatch(names, documents, ["1"] * count, "file"))
    assert corrected == FeedbackCounts(corrected=count)


def test_what_is_told_after_the_clock_was_set_back_is_newer_all_the_same(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    assert add_feedback(conn, "u", told("0")) == FeedbackCounts(new=1)
    conn.execute("UPDATE feedback SET received_at = received_at + interval '2 hours'")
    for label in ("1", "0", "1"):
        assert add_feedback(conn, "u", told(label)) == FeedbackCounts(corrected=1)
        assert label_of(conn) == label
    conn.commit()
    just_now = write_file(tmp_path, "0", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert outcome(ingest_file(conn, USE_CASE, just_now)) == FeedbackCounts(stale=1)
    assert label_of(conn) == "1"
