"""Rows in memory are a source of batches: whole, in order, as often as asked, none larger than allowed."""

from __future__ import annotations

import numpy as np
import pytest

from configs.schema import FieldConfig, RecordConfig
from features.records.rows import (
    BATCH_BYTES,
    MOST_ROWS,
    RowBatch,
    RowsInMemory,
    RowSource,
    record_bytes,
    rows_at_once,
)


def rows_of(count: int) -> RowBatch:
    places = np.arange(count)
    return RowBatch(
        {"number": places.astype(float), "image": np.zeros((count, 2, 2), np.uint8)},
        np.array([f"label {place % 3}" for place in places], dtype=object),
        places + 7,
        places.astype("datetime64[us]"),
    )


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_all_rows_come_in_order_and_again(count: int) -> None:
    whole = rows_of(count)
    source = RowsInMemory(whole, most=4)
    assert isinstance(source, RowSource)
    assert len(source) == count
    for _ in range(2):
        batches = list(source)
        assert all(0 < len(batch) <= 4 for batch in batches)
        assert [seq for batch in batches for seq in batch.seq] == (np.arange(count) + 7).tolist()
        assert [label for batch in batches for label in batch.labels] == whole.labels.tolist()
        assert [value for batch in batches for value in batch.columns["number"]] == list(range(count))
        assert [str(time) for batch in batches for time in batch.time] == list(map(str, whole.time))


def test_two_iterations_do_not_disturb_each_other() -> None:
    source = RowsInMemory(rows_of(9), most=4)
    first = iter(source)
    next(first)
    assert sum(len(batch) for batch in source) == 9
    assert [len(batch) for batch in first] == [4, 1]


def test_no_batch_is_larger_than_allowed() -> None:
    assert [len(batch) for batch in RowsInMemory(rows_of(MOST_ROWS + 1))] == [MOST_ROWS, 1]


@pytest.mark.parametrize("shape", [(128, 128), (224, 224, 3), (4096, 4096, 3)])
def test_of_large_pictures_fewer_rows_are_read_at_once(shape: tuple[int, ...]) -> None:
    record = RecordConfig(fields=(FieldConfig(name="picture", type="image", shape=shape),))
    assert 1 <= rows_at_once(record) <= max(1, BATCH_BYTES // record_bytes(record)) < MOST_ROWS
    table = RecordConfig(fields=(FieldConfig(name="number", type="number"),))
    assert rows_at_once(table) == MOST_ROWS
