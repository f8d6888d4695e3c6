from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import UseCase
from features.errors import SourceError
from features.files.sources import open_source
from features.files.undersample import choose_rows, undersample_file

USE_CASE = UseCase.model_validate(
    {
        "name": "tags",
        "title": "Texts with tags",
        "kind": "text",
        "record": {"fields": [{"name": "text", "type": "text"}]},
        "target": {"task": "multilabel", "column": "tags", "separator": ";"},
        "model": {"estimator": "linear_text"},
        "gate": {"metric": "f1_micro"},
    }
)
ROWS = [("often", 30), ("often;rare", 3), ("often;middle", 8), ("", 1)]


def write(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "tags", "other"])
        number = 0
        for tags, times in ROWS:
            for _ in range(times):
                writer.writerow([f'text {number}, "quoted"\nline', tags, "ż"])
                number += 1


@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1), max_size=60), st.integers(1, 20))
def test_no_label_falls_below_the_threshold_or_what_it_had(rows: list[set[str]], threshold: int) -> None:
    kept, used = choose_rows([sorted(row) for row in rows], threshold)
    before = Counter(label for row in rows for label in row)
    after = Counter(label for row, keep in zip(rows, kept, strict=True) if keep for label in row)
    assert used == threshold
    assert all(after[label] >= min(before[label], threshold) for label in before)
    # Nothing more can be left out.
    for row, keep in zip(rows, kept, strict=True):
        assert not keep or any(after[label] <= threshold for label in row)


def test_the_same_seed_keeps_the_same_rows() -> None:
    rows = [["a"]] * 50 + [["b"]] * 5
    one, two, other = (choose_rows(rows, 5, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert one == two != other
    assert choose_rows(rows, None)[1] == 27
    assert choose_rows([], None)[0].tolist() == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_keeps_its_columns_and_its_rare_labels(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "all.csv", tmp_path / "new" / f"fewer{suffix}"
    write(source)
    report = undersample_file(USE_CASE, source, target, 10)
    assert (report.rows, report.refused) == (42, 0)
    assert report.before == {"often": 41, "middle": 8, "rare": 3}
    assert report.after == {"often": 11, "middle": 8, "rare": 3}
    assert report.kept == 12  # the row without a label is one of them
    if suffix == ".csv":
        with target.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    else:
        rows = pq.read_table(target).to_pylist()
    assert len(rows) == report.kept
    assert set(rows[0]) == {"text", "tags", "other"}
    assert rows[0]["other"] == "ż"
    assert rows[0]["text"].endswith('"quoted"\nline')


def test_formulas_stay_as_they_are_for_it_is_read_again(tmp_path: Path) -> None:
    source, target = tmp_path / "all.csv", tmp_path / "fewer.csv"
    texts = ("=1+1", "'=1+1", "-a", "@x", "\ty")
    source.write_text("text,tags\n" + "".join(f"{text},=a\n" for text in texts), encoding="utf-8")
    undersample_file(USE_CASE, source, target, 10)
    with target.open(encoding="utf-8", newline="") as file:
        assert [(row["text"], row["tags"]) for row in csv.DictReader(file)] == [
            (text, "=a") for text in texts
        ]


def test_lists_of_labels_in_json_lines_are_read(tmp_path: Path) -> None:
    source = tmp_path / "all.jsonl"
    lines = [{"text": "x", "tags": tags} for tags in (["a", "b"], ["a"], ["a"], ["a"])]
    source.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    report = undersample_file(USE_CASE, source, tmp_path / "fewer.jsonl", 2)
    assert report.after == {"a": 2, "b": 1}


def test_a_packed_file_is_written_too(tmp_path: Path) -> None:
    source, target = tmp_path / "all.csv", tmp_path / "fewer.JSONL.gz"
    write(source)
    report = undersample_file(USE_CASE, source, target, 10)
    with gzip.open(target, "rt", encoding="utf-8") as file:
        assert len([json.loads(line) for line in file]) == report.kept


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_without_rows_is_written_without_rows(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "all.parquet", tmp_path / f"fewer{suffix}"
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "tags": pa.array([], pa.string())}), source)
    assert undersample_file(USE_CASE, source, target).rows == 0
    written = open_source(target)
    assert [batch.table.num_rows for batch in written.batches if batch.table.num_rows] == []
    assert written.columns in (("text", "tags"), None)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_large_whole_numbers_are_kept_where_later_rows_have_fractions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("features.files.readers.json_rows.BATCH_BYTES", 1)  # a batch is a row
    source, target = tmp_path / "all.jsonl", tmp_path / f"fewer{suffix}"
    rows = [{"text": "x", "tags": "a", "of": of, "n": n} for of, n in ((2**60 + 1, 1), (1.5, 2.5))]
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    undersample_file(USE_CASE, source, target, 10)
    if suffix == ".parquet":
        found = pq.read_table(target)
        assert found["of"].to_pylist() == [str(2**60 + 1), "1.5"]
        assert found["n"].to_pylist() == [1.0, 2.5]
    else:
        with target.open(encoding="utf-8", newline="") as file:
            assert [row["of"] for row in csv.DictReader(file)] == [str(2**60 + 1), "1.5"]


def test_columns_that_only_later_rows_have_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.files.readers.json_rows.BATCH_BYTES", 1)  # a batch is a row
    source, target = tmp_path / "all.jsonl", tmp_path / "fewer.parquet"
    lines = [
        {"text": "x", "tags": "a", "size": 1},
        {"text": "y", "tags": "a", "size": "large", "seen": True},
        {"text": "z", "tags": "b", "more": [1, 2]},
    ]
    source.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    undersample_file(USE_CASE, source, target, 2)
    assert pq.read_table(target).to_pylist() == [
        {"text": "x", "tags": "a", "size": "1", "seen": None, "more": None},
        {"text": "y", "tags": "a", "size": "large", "seen": True, "more": None},
        {"text": "z", "tags": "b", "size": None, "seen": None, "more": [1, 2]},
    ]


def test_lists_in_csv_are_json(tmp_path: Path) -> None:
    source, target = tmp_path / "all.jsonl", tmp_path / "fewer.csv"
    source.write_text('{"text": "x", "tags": "a", "pixels": [[1, 2], [3, 4]]}\n', encoding="utf-8")
    undersample_file(USE_CASE, source, target)
    with target.open(encoding="utf-8", newline="") as file:
        assert [row["pixels"] for row in csv.DictReader(file)] == ["[[1,2],[3,4]]"]


def test_refusals_name_the_file_and_leave_nothing(tmp_path: Path) -> None:
    source = tmp_path / "all.csv"
    write(source)
    with pytest.raises(SourceError, match=r"fewer\.txt: unknown kind of file; allowed: \.csv"):
        undersample_file(USE_CASE, source, tmp_path / "fewer.txt")
    with pytest.raises(SourceError, match="is the file that is read"):
        undersample_file(USE_CASE, source, source)
    source.write_text("text,other\na,b\n", encoding="utf-8")
    with pytest.raises(SourceError, match="column 'tags' with the labels is missing"):
        undersample_file(USE_CASE, source, tmp_path / "fewer.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]
