"""The ingest benchmark runs, on few rows, and keeps what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import bench_ingest
from features.files.batches import table_source
from features.files.labelled_rows import RowReader


def test_every_made_up_row_is_valid() -> None:
    reader = RowReader(bench_ingest.USE_CASE)
    source = table_source("made up", bench_ingest.made_up(500))
    reader.require_columns(source)
    (rows,) = [reader.read(batch) for batch in source.batches]
    assert rows.refused == ()
    assert len(rows.labels) == 500


@pytest.mark.slow
def test_the_ways_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_ingest, "RESULTS", tmp_path / "ingest.json")
    bench_ingest.compare(rows=2000, rounds=1)
    result = json.loads((tmp_path / "ingest.json").read_text())
    assert result["rows"] == 2000
    assert set(result["seconds"]) == {"copy", "csv", "parquet"}
    assert all(peak > 1e7 for peak in result["peak_bytes"].values())
