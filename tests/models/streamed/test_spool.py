"""Encoded rows come back from disk as they were written, in parts of the same size however they came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.estimators import arrays
from models.estimators.arrays import ArrayRows, each_part
from models.streamed.spool import SpooledRows
from tests.disks import small_disk

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(107, 3, 2)).astype(np.float32)
X[5, 1, 1] = np.nan
Y = RANDOM.integers(0, 4, 107)
AGES = 3 - np.arange(107) // 30


def test_rows_come_back_in_parts(tmp_path: Path) -> None:
    for cuts in ([107], [3] * 40, [60, 1, 0, 60]):
        ends = np.minimum(np.cumsum(cuts), 107)
        with SpooledRows(tmp_path, (3, 2), most=25) as rows:
            starts = [0, *ends[:-1]]
            rows.fill(
                (X[start:end], Y[start:end], AGES[start:end])
                for start, end in zip(starts, ends, strict=True)
                if end > start
            )
            assert (len(rows), rows.parts, rows.row_shape) == (107, 5, (3, 2))
            parts = [rows.part(place) for place in range(5)]
            assert [len(y) for _, y in parts] == [25, 25, 25, 25, 7]
            np.testing.assert_array_equal(np.concatenate([x for x, _ in parts]), X)
            np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), Y)
            young = rows.younger_than(2)
            np.testing.assert_array_equal(young.part(0)[0], X[AGES < 2][:25])
            assert len(young) == int((AGES < 2).sum())
            assert list(tmp_path.iterdir()) == []  # nothing is left by a process that is killed


def test_wide_rows_come_in_parts_of_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "PART_BYTES", 20 * X[0].nbytes)
    with SpooledRows(tmp_path, (3, 2)) as rows:
        rows.fill([(X, Y, AGES)])
        assert [len(y) for _, y in each_part(rows)] == [20, 20, 20, 20, 20, 7]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in each_part(rows)]), X)
        assert max(x.nbytes for x, _ in each_part(rows.younger_than(2))) <= arrays.PART_BYTES
    assert [len(y) for _, y in each_part(ArrayRows(X, Y))] == [20, 20, 20, 20, 20, 7]


def test_a_part_of_pictures_is_no_larger_than_one_of_a_table() -> None:
    for shape in ((1024,), (28, 28, 1), (128, 128, 3), (224, 224, 3), (4096, 4096, 3)):
        rows = arrays.part_rows(shape)
        assert rows == 1 or rows * 4 * np.prod(shape) <= arrays.PART_ROWS * 4 * 1024


def test_zeros_take_hardly_any_room(tmp_path: Path) -> None:
    one_hot = np.eye(200, dtype=np.float32)[RANDOM.integers(0, 200, 5000)]
    with SpooledRows(tmp_path, (200,)) as rows:
        rows.fill([(one_hot, np.zeros(5000, np.int64), np.zeros(5000, np.int64))])
        assert rows.file_size < one_hot.nbytes / 20


@pytest.mark.parametrize("most", [None, 200], ids=["the only part", "a part among others"])
def test_a_disk_that_is_full_is_told_when_rows_are_written(tmp_path: Path, most: int | None) -> None:
    noise = RANDOM.normal(size=(500, 1000)).astype(np.float32)
    nothing = np.zeros(500, np.int64)
    with (
        small_disk(tmp_path / "disk", megabytes=1) as disk,
        SpooledRows(disk, (1000,), most=most) as rows,
        pytest.raises(OSError, match=f"No space left on device.*{disk}"),
    ):
        rows.fill([(noise, nothing, nothing)])
