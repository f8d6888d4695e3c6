"""Encoded rows come back from disk as they were written, in parts of the same size however they came."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.streamed.spool import SpooledRows

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


def test_zeros_take_hardly_any_room(tmp_path: Path) -> None:
    one_hot = np.eye(200, dtype=np.float32)[RANDOM.integers(0, 200, 5000)]
    with SpooledRows(tmp_path, (200,)) as rows:
        rows.fill([(one_hot, np.zeros(5000, np.int64), np.zeros(5000, np.int64))])
        assert rows.file_size < one_hot.nbytes / 20
