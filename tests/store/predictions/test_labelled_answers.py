"""Live quality, counted in SQL, beside the same counted one by one in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.feedback.insertion import FeedbackBatch, add_feedback
from store.predictions.labelled_answers import (
    AnswerCounts,
    least_id,
    newest_window,
    read_quality,
    wilson_interval,
)

NAME = "apples"
START = datetime(2026, 11, 1, tzinfo=UTC)
EVER = START - timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """A prediction, and its label where one has come."""

    minute: float
    label: str
    truth: str | None
    version: int | None = 1

    @property
    def at(self) -> datetime:
        return START + timedelta(minutes=self.minute)


def store(conn: psycopg.Connection, answers: Sequence[Answer], use_case: str = NAME) -> list[str]:
    """Store answers as the log and feedback do; the label of each comes an hour later."""
    ids = [
        f"{least_id(answer.at + timedelta(milliseconds=1))}-7{n:03x}-8000-{n:012x}"
        for n, answer in enumerate(answers)
    ]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO prediction (id, use_case, record, label, model_version, predicted_at) "
            "VALUES (%s, %s, '{}', %s, %s, %s)",
            [
                (name, use_case, answer.label, answer.version, answer.at)
                for name, answer in zip(ids, answers, strict=True)
            ],
        )
    labelled = [(name, answer) for name, answer in zip(ids, answers, strict=True) if answer.truth is not None]
    batch = FeedbackBatch(
        [f"p:{name}" for name, _ in labelled],
        ["{}"] * len(labelled),
        [answer.truth or "" for _, answer in labelled],
        "http",
        prediction_id=[name for name, _ in labelled],
    )
    add_feedback(conn, use_case, batch)
    conn.execute(
        "UPDATE feedback f SET received_at = p.predicted_at + interval '1 hour' FROM prediction p "
        "WHERE f.prediction_id = p.id"
    )
    return ids


def stream(count: int, *, wrong_every: int = 4, version: int = 1, start: float = 0.0) -> list[Answer]:
    return [Answer(start + n, "a", "b" if n % wrong_every == 0 else "a", version) for n in range(count)]


def test_answers_without_a_label_and_labels_without_an_answer_do_not_count(conn: psycopg.Connection) -> None:
    store(conn, [*stream(8), Answer(9, "a", None), Answer(10, "a", None)])
    add_feedback(conn, NAME, FeedbackBatch(["i:1", "h:2"], ['{"x": 1}'] * 2, ["a", "b"], "file"))
    quality = read_quality(conn, NAME, since=EVER, windows=4)
    assert quality.total == AnswerCounts(labelled=8, correct=6, hits=6.0, size=8.0)
    assert quality.total.accuracy == 0.75
    assert read_quality(conn, "pears", since=EVER, windows=4).total.labelled == 0


def test_a_corrected_label_counts_as_it_stands(conn: psycopg.Connection) -> None:
    (name,) = store(conn, [Answer(0, "a", "a")])
    again = FeedbackBatch([f"p:{name}"], ["{}"], ["b"], "http", prediction_id=[name])
    assert add_feedback(conn, NAME, again).corrected == 1
    assert read_quality(conn, NAME, since=EVER, windows=1).total.correct == 0


def test_windows_hold_equal_counts_in_the_order_of_answers(conn: psycopg.Connection) -> None:
    store(conn, stream(103))
    windows = read_quality(conn, NAME, since=EVER, windows=10).windows
    counts = [window.counts.labelled for window in windows]
    assert len(counts) == 10
    assert (sum(counts), max(counts) - min(counts)) == (103, 1)
    assert [window.start for window in windows] == sorted(window.start for window in windows)
    assert all(window.end < following.start for window, following in pairwise(windows))
    assert {window.lag for window in windows} == {timedelta(hours=1)}


def test_answers_to_one_request_follow_each_other_in_windows_as_in_the_request(
    conn: psycopg.Connection,
) -> None:
    store(conn, [Answer(0, "a", "b" if n < 100 else "a") for n in range(200)])
    # What is written again comes to lie last in the table, and first among answers of one time.
    conn.execute("UPDATE prediction SET record_id = id WHERE substr(id, 16, 3) < '064'")
    windows = read_quality(conn, NAME, since=EVER, windows=2).windows
    assert [window.counts.correct for window in windows] == [0, 100]


@pytest.mark.parametrize("count", [19, 38, 50, 59, 75])
def test_no_window_holds_fewer_than_the_least_where_there_are_more(
    conn: psycopg.Connection, count: int
) -> None:
    store(conn, stream(count))
    windows = read_quality(conn, NAME, since=EVER, windows=30, least=20).windows
    assert len(windows) == max(1, count // 20)
    assert min(window.counts.labelled for window in windows) >= min(count, 20)


def test_what_the_version_before_still_answered_says_nothing_of_production(conn: psycopg.Connection) -> None:
    store(conn, [*stream(5, version=1, wrong_every=1), *stream(3, version=2, start=9, wrong_every=9)])
    newest = newest_window(conn, NAME, since=EVER, most=200, except_by=[1])
    assert newest is not None
    assert (newest.counts.labelled, newest.version) == (3, 2)


def test_a_label_that_came_with_the_record_labels_the_answer_too(conn: psycopg.Connection) -> None:
    (name,) = store(conn, [Answer(0, "a", None)])
    record = FeedbackBatch(["i:7"], ["{}"], ["a"], "file")
    answer = FeedbackBatch([f"p:{name}"], ["{}"], ["a"], "http", prediction_id=[name], record_id=["7"])
    assert add_feedback(conn, NAME, record).new == 1
    assert add_feedback(conn, NAME, answer).duplicates == 1
    assert read_quality(conn, NAME, since=EVER, windows=1).total == AnswerCounts(1, 1, 1.0, 1.0)


def test_no_window_spans_a_promotion(conn: psycopg.Connection) -> None:
    store(conn, [*stream(30), *stream(10, start=100, version=2, wrong_every=10)])
    breaks = [START + timedelta(minutes=99)]
    quality = read_quality(conn, NAME, since=EVER, windows=4, breaks=breaks)
    assert [(window.version, window.counts.labelled) for window in quality.windows] == [
        (1, 10),
        (1, 10),
        (1, 10),
        (2, 10),
    ]
    assert quality.windows[-1].counts.accuracy == 0.9
    assert {version: counts.labelled for version, counts in quality.versions.items()} == {1: 30, 2: 10}


def test_a_window_bears_the_version_that_most_of_it_is_by(conn: psycopg.Connection) -> None:
    store(conn, [Answer(n, "a", "a", 1 if n == 3 else None if n == 5 else 2) for n in range(10)])
    quality = read_quality(conn, NAME, since=EVER, windows=1)
    assert [window.version for window in quality.windows] == [2]
    assert {version: counts.labelled for version, counts in quality.versions.items()} == {1: 1, 2: 8, None: 1}


def test_only_what_was_answered_since_counts_and_the_newest_of_it(conn: psycopg.Connection) -> None:
    store(conn, stream(60))
    since = START + timedelta(minutes=20)
    assert read_quality(conn, NAME, since=since, windows=1).total.labelled == 40
    newest = newest_window(conn, NAME, since=since, most=8)
    assert newest is not None
    assert (newest.start, newest.counts.labelled) == (START + timedelta(minutes=52), 8)
    assert newest_window(conn, NAME, since=START + timedelta(days=9), most=8) is None


@pytest.mark.parametrize("windows", [1, 3])
def test_label_sets_count_by_micro_f1(conn: psycopg.Connection, windows: int) -> None:
    pairs = [("a|b", "a"), ("", "c"), ("a", "a"), ("b|c", "b|c"), ("d", "a|b")]
    store(conn, [Answer(n, label, truth) for n, (label, truth) in enumerate(pairs)])
    quality = read_quality(conn, NAME, since=EVER, windows=windows, separator="|")
    hits, given_labels, true_labels = 4, 6, 7
    assert (quality.total.hits, quality.total.size) == (hits, (given_labels + true_labels) / 2)
    assert quality.total.correct == 2
    assert math.isclose(quality.total.accuracy or 0, 2 * hits / (given_labels + true_labels))


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(hits: int, size: int) -> None:
    hits = min(hits, size)
    low, high = wilson_interval(hits, size)
    assert low is not None and high is not None
    assert 0 <= low <= hits / size + 1e-9
    assert hits / size - 1e-9 <= high <= 1
    wider_low, wider_high = wilson_interval(hits * 10, size * 10)
    assert wider_low is not None and wider_high is not None
    assert wider_high - wider_low <= high - low


def test_without_answers_there_is_no_interval() -> None:
    assert wilson_interval(0, 0) == (None, None)
    assert AnswerCounts(0, 0, 0.0, 0.0).as_dict()["accuracy"] is None
