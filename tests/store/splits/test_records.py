"""Which rows are of one record: by ids, groups and contents; of tables with few values by the first two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.schema import FieldType
from store.feedback.rows import NO_KEY, FeedbackRows
from store.snapshots.learned import NOTHING_LEARNED, Learned
from store.splits.records import FEW, count_contradicted, joined, one_of_each, same_records

WORDS: set[FieldType] = {"category", "boolean"}
NUMBERS: set[FieldType] = {"number", "category"}


def rows_of(
    contents: list[int], ids: list[int] | None = None, groups: list[int] | None = None
) -> FeedbackRows:
    def keys(values: list[int] | None) -> NDArray[np.int64]:
        return np.full(len(contents), NO_KEY) if values is None else np.array(values, dtype=np.int64)

    names = np.array([f"row-{row}" for row in range(len(contents))], dtype=object)
    return FeedbackRows(
        {}, names, names, np.arange(1, len(contents) + 1), np.zeros(len(contents), "datetime64[us]"),
        keys(ids), keys(contents), keys(groups),
    )  # fmt: skip


def records(rows: FeedbackRows, types: set[FieldType], learned: Learned = NOTHING_LEARNED) -> int:
    return len(set(same_records(rows, types, learned).entities.tolist()))


def test_equal_rows_are_one_record_whatever_their_ids() -> None:
    rows = rows_of([1, 2, 3, 1], ids=[11, 12, 13, 14])
    assert same_records(rows, NUMBERS, NOTHING_LEARNED).entities.tolist() == [0, 1, 2, 0]


def test_what_hangs_together_by_an_id_a_content_or_a_group_is_one_record() -> None:
    rows = rows_of([1, 2, 2, 3, 4], ids=[11, 11, 12, 13, 14], groups=[NO_KEY, NO_KEY, 5, 5, 6])
    assert same_records(rows, NUMBERS, NOTHING_LEARNED).entities.tolist() == [0, 0, 0, 0, 1]


def test_what_holds_nothing_is_of_nobody() -> None:
    assert records(rows_of([NO_KEY, NO_KEY, 1]), NUMBERS) == 3


def test_a_record_that_was_learned_from_is_known_under_any_identity() -> None:
    rows = rows_of([1, 2, 3, 4], groups=[NO_KEY, 7, NO_KEY, 8])
    learned = Learned(frozenset({"row-0"}), contents=np.array([3]), groups=np.array([8]))
    assert same_records(rows, NUMBERS, learned).is_learned.tolist() == [True, False, True, True]


@pytest.mark.parametrize("ids", [False, True])
def test_of_few_different_values_each_row_is_another_record(ids: bool) -> None:
    contents = [1 + row % (FEW - 1) for row in range(500)]
    rows = rows_of(contents, ids=list(range(1, 501)) if ids else None)
    learned = Learned(frozenset({"row-0"}), contents=np.arange(1, FEW))
    assert records(rows, WORDS, learned) == 500
    assert same_records(rows, WORDS, learned).is_learned.sum() == 1
    assert records(rows, NUMBERS, learned) == (500 if ids else FEW - 1)
    grouped = replace(rows, groups=np.array([1 + row // 10 for row in range(500)]))
    assert records(grouped, WORDS, learned) == 50


def test_of_more_different_values_those_that_come_again_are_one_record_until_they_are_learned_from() -> None:
    contents = [1 + row % FEW for row in range(500)]
    rows = rows_of(contents)
    learned = Learned(frozenset(f"row-{row}" for row in range(100)), contents=np.arange(1, FEW + 1))
    assert records(rows, WORDS) == FEW
    records_now = same_records(rows, WORDS, learned)
    assert len(set(records_now.entities[100:].tolist())) == FEW
    assert records_now.is_learned.tolist() == [True] * 100 + [False] * 400
    assert set(records_now.entities[:100].tolist()) & set(records_now.entities[100:].tolist()) == set()


def test_of_equal_rows_the_last_one_counts_where_contents_tell_records() -> None:
    rows = rows_of([7, *range(100, 100 + FEW), 7, NO_KEY, NO_KEY], ids=list(range(1, FEW + 5)))
    assert one_of_each(rows, NUMBERS).tolist() == list(range(1, FEW + 4))
    assert one_of_each(rows, WORDS).tolist() == list(range(FEW + 4)), "many people are alike"
    few = rows_of([7, 8, 7])
    assert one_of_each(few, NUMBERS).tolist() == [0, 1, 2]
    assert one_of_each(few, {"text"}).tolist() == [1, 2]


def test_records_are_numbered_by_their_first_rows_whatever_they_hang_together_by() -> None:
    keys = [np.array(one, dtype=np.int64) for one in ([9, 5, 5, 0, 0, 9, 7], [0, 0, 8, 0, 0, 0, 8])]
    assert joined(7, keys).tolist() == [0, 1, 1, 2, 3, 0, 1]
    assert joined(0, [np.array([], dtype=np.int64)]).tolist() == []


def test_a_record_contradicts_itself_where_its_rows_have_several_labels() -> None:
    entities = np.array([0, 1, 1, 2, 3, 0, 1])
    assert count_contradicted(entities, np.array([1, 0, 0, 0, 1, 0, 0])) == 1
    assert count_contradicted(entities, np.array([1, 0, 2, 0, 1, 0, 0])) == 2
    assert count_contradicted(entities[:0], entities[:0]) == 0
