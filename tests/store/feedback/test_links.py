"""One truth counts once, by whatever ways it comes and in whatever order."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import permutations

import psycopg
import pytest

from store.database.connection import connect
from store.feedback.corrections import FeedbackCounts
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import count_feedback

DOCUMENT = '{"x":1.5}'


def answered(
    *names: str, label: str = "a", record_id: str | None = None, document: str = DOCUMENT
) -> FeedbackBatch:
    """Labels of predictions."""
    count = len(names)
    return FeedbackBatch(
        [f"p:{name}" for name in names], [document] * count, [label] * count, "http",
        prediction_id=names, record_id=[record_id] * count,
    )  # fmt: skip


def sent(
    *ids: str | None, label: str = "a", document: str = DOCUMENT, time: str | None = None
) -> FeedbackBatch:
    """Labels with records, as a file has them."""
    documents = [document] * len(ids)
    times = [time] * len(ids)
    names = identities(documents, ids=ids, times=times)
    return FeedbackBatch(names, documents, [label] * len(ids), "file", times, told_now=False)


def add(conn: psycopg.Connection, batches: Sequence[FeedbackBatch]) -> FeedbackCounts:
    total = FeedbackCounts()
    for batch in batches:
        total += add_feedback(conn, "u", batch)
    return total


WAYS = {
    "by id": [answered("1", record_id="7"), sent("7")],
    "by content": [answered("1"), sent(None)],
    "by id, with a time": [answered("1", record_id="7"), sent("7", time="2024-05-01T00:00:00.000000Z")],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_a_truth_by_two_ways_is_one(conn: psycopg.Connection, way: str, order: tuple[int, ...]) -> None:
    batches = [WAYS[way][place] for place in order]
    assert add(conn, batches) == FeedbackCounts(new=1, duplicates=1)
    assert conn.execute("SELECT prediction_id FROM feedback").fetchall() == [("1",)]
    assert add(conn, batches) == FeedbackCounts(duplicates=2), "and again"


def test_both_ways_in_one_batch(conn: psycopg.Connection) -> None:
    both = FeedbackBatch(
        ["i:7", "p:1"], [DOCUMENT] * 2, ["a"] * 2, "http", prediction_id=[None, "1"], record_id=[None, "7"]
    )
    assert add_feedback(conn, "u", both) == FeedbackCounts(new=1, duplicates=1)


@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
def test_another_record_under_the_same_id_is_another_truth(
    conn: psycopg.Connection, order: tuple[int, ...]
) -> None:
    batches = [answered("1", record_id="7"), sent("7", document='{"x":2.5}')]
    assert add(conn, [batches[place] for place in order]).new == 2


def test_equal_records_with_different_ids_are_different_truths(conn: psycopg.Connection) -> None:
    assert add(conn, [answered("1", record_id="7"), sent("8"), sent(None), answered("2")]).new == 3


def test_the_same_in_another_use_case_is_another(conn: psycopg.Connection) -> None:
    add_feedback(conn, "other", sent("7"))
    assert add(conn, [answered("1", record_id="7")]).new == 1


@pytest.mark.parametrize("answers_first", [True, False])
@pytest.mark.parametrize(("answers", "records"), [(3, 5), (5, 3), (30, 30)])
def test_of_repeated_records_as_many_are_the_same_as_came_both_ways(
    conn: psycopg.Connection, answers_first: bool, answers: int, records: int
) -> None:
    batches = [answered(*map(str, range(answers))), sent(*[None] * records)]
    batches = batches if answers_first else batches[::-1]
    assert add(conn, batches).new == max(answers, records)
    assert add(conn, batches) == FeedbackCounts(duplicates=answers + records)
    more = [answered("x"), sent(*[None] * (records + 1))]
    add(conn, more)
    assert count_feedback(conn, "u") == max(answers + 1, records + 1)


def test_a_label_by_the_other_way_corrects(conn: psycopg.Connection) -> None:
    add(conn, [sent("7", time="2024-05-01T00:00:00.000000Z")])
    assert add(conn, [answered("1", record_id="7", label="b")]) == FeedbackCounts(corrected=1)
    assert conn.execute("SELECT identity, label FROM feedback").fetchall() == [("i:7", "b")]


def test_two_doors_at_once_store_one_truth(conn: psycopg.Connection, database_url: str) -> None:
    rounds = 25
    start = threading.Barrier(2)

    def write(batches: Sequence[FeedbackBatch]) -> None:
        with connect(database_url) as own:
            for batch in batches:
                start.wait()
                add_feedback(own, "u", batch)
                own.commit()

    names = [str(number) for number in range(rounds)]
    ways = [[answered(name, record_id=name) for name in names], [sent(name) for name in names]]
    threads = [threading.Thread(target=write, args=(batches,)) for batches in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count_feedback(conn, "u") == rounds
