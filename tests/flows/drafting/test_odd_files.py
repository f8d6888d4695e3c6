"""Files as people have them: each is drafted, or refused in one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.spelling.letters import compose
from features.errors import FeatureError
from flows.drafting.declarations import read_declared
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import MOST_ROWS
from tests.flows.drafting.files import checked, drafted, field_of, reason_of, table, write_csv

REFUSED = {
    "nothing": b"",
    "a header alone": b"size,label\n",
    "one column": b"label\n" + b"a\nb\n" * 30,
    "a target that stands twice": b"label,label\n" + b"a,b\n" * 30,
    "no column that can be learned from": b"x,label\n" + b"1,a\n1,b\n" * 30,
    "bytes": bytes(range(256)) * 20,
    "rows of another width": b"size,label\n" + b"1,2,3\n" * 30,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_drafted_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(REFUSED[kind])
    with pytest.raises((CannotDraft, FeatureError)) as refused:
        checked(path)
    assert len(str(refused.value)) > 30


@pytest.mark.parametrize("extension", ["csv", "tsv", "csv.gz", "jsonl", "ndjson.gz", "json", "parquet"])
def test_every_kind_of_file_gives_the_same(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"rows.{extension}"
    frame = pd.DataFrame({**table(120), "city": ["a", "b", "c", "d"] * 30, "age": [*range(118), None, None]})
    if extension == "parquet":
        frame.to_parquet(path)
    elif "json" in extension and extension != "json":
        frame.to_json(path, orient="records", lines=True)
    elif extension == "json":
        frame.to_json(path, orient="records")
    else:
        frame.to_csv(path, index=False, sep="\t" if extension == "tsv" else ",")
    made, use_case, rows = checked(path)
    assert {one.name: one.type for one in use_case.record.fields} == {
        "size": "number", "city": "category", "age": "integer",
    }  # fmt: skip
    assert field_of(made, "age") == {"name": "age", "type": "integer", "minimum": 0, "nullable": True}
    assert (made.sample.rows, made.sample.is_whole, rows.refused) == (120, True, 0)


def test_another_encoding_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    text = "\n".join(
        [
            "size,ort,label",
            *(f"{place},{'Köln' if place % 2 else 'Bonn'},{'ab'[place % 3 > 0]}" for place in range(90)),
        ]
    )
    path.write_bytes(text.encode("cp1252"))
    made, use_case, rows = checked(path)
    assert use_case.files.encoding == "cp1252"
    assert field_of(made, "ort")["categories"] == ["Bonn", "Köln"]
    assert rows.refused == 0


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "marked.csv", table(60))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [one.column for one in drafted(path).fields] == ["size"]


@pytest.mark.parametrize("separator", [";", "\t", "|", "^", ":"])
def test_separators(tmp_path: Path, separator: str) -> None:
    made, _, rows = checked(write_csv(tmp_path / "other.csv", table(60), separator))
    assert [one.column for one in made.fields] == ["size"]
    assert rows.refused == 0


def test_a_name_that_stands_twice_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("a,a,size,label\n" + "".join(f"{n},{n % 3},{n % 7},{'xy'[n % 2]}\n" for n in range(60)))
    made, _, rows = checked(path)
    assert [one.column for one in made.fields] == ["size"]
    assert {reason_of(made, "a"), reason_of(made, "a (2)")} == {"repeated"}
    assert rows.refused == 0


def test_a_column_without_a_value_or_with_one(tmp_path: Path) -> None:
    made = drafted(write_csv(tmp_path / "empty.csv", table(60, none=[""] * 60, one=["x"] * 60)))
    assert (reason_of(made, "none"), reason_of(made, "one")) == ("empty", "constant")


def test_objects_and_lists_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "nested.jsonl"
    rows = [{"size": n % 7, "tags": ["a"], "at": {"x": n}, "label": "xy"[n % 2]} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made, _, read = checked(path)
    assert (reason_of(made, "tags"), reason_of(made, "at")) == ("nested", "nested")
    assert read.refused == 0


def test_values_of_several_types(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    values = [1, "two", 3.5, None, True]
    rows = [{"size": n % 7, "odd": values[n % 5], "label": "xy"[n % 2]} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made, _, read = checked(path)
    assert field_of(made, "odd")["type"] == "category"
    assert read.refused == 0


@pytest.mark.slow
def test_five_thousand_columns(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    many = {f"c{place}": random.integers(0, 9, 60).tolist() for place in range(5000)}
    _made, use_case, rows = checked(write_csv(tmp_path / "wide.csv", table(60, **many)))
    assert len(use_case.record.fields) == 5001
    assert rows.refused == 0


def test_huge_texts(tmp_path: Path) -> None:
    texts = ["word " * 30_000 + str(n) for n in range(40)]
    made, _, rows = checked(write_csv(tmp_path / "long.csv", table(40, text=texts)))
    assert field_of(made, "text") == {"name": "text", "type": "text", "max_length": 1_000_000}
    assert rows.refused == 0


def test_names_of_columns_that_are_no_plain_text(tmp_path: Path) -> None:
    odd = [
        "a\nb",
        'quo"te',
        "# not a comment",
        "{a: b}",
        "\x1b[31m",
        "no",
        "null",
        "日本",
        "e\u0301",
        "x" * 300,
    ]
    columns = table(60, **{name: [n % (place + 3) for n in range(60)] for place, name in enumerate(odd)})
    _made, use_case, rows = checked(write_csv(tmp_path / "names.csv", columns))
    assert {one.source_column for one in use_case.record.fields} == {"size", *map(compose, odd)}
    assert rows.refused == 0


def test_a_sample_is_drawn_from_all_over_a_large_file(tmp_path: Path) -> None:
    rows = 3 * MOST_ROWS
    path = tmp_path / "large.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("place,label,rare,gap\n")
        for n in range(rows):
            is_last = n == rows - 1
            file.write(f"{n}.5,{'xy'[n % 2]},{'odd' if is_last else 'usual'},{'' if is_last else n + 0.25}\n")
    sample = read_declared(path, "label").sample
    places = np.array([float(value) for value in sample.columns["place"].values])
    assert sample.rows == rows
    assert MOST_ROWS / 4 < sample.kept <= MOST_ROWS
    assert np.histogram(places, bins=6)[0].min() > sample.kept / 8
    assert sample.columns["rare"].counts == {"usual": rows - 1, "odd": 1}
    assert sample.columns["label"].counts == {"x": rows / 2, "y": rows / 2}
    made, _, read = checked(path)
    assert field_of(made, "gap")["nullable"] is True
    assert read.refused == 0


def test_pixels_are_a_picture(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pixels = {f"image_{place}": random.integers(0, 17, 60).tolist() for place in range(64)}
    _made, use_case, rows = checked(write_csv(tmp_path / "pixels.csv", {**pixels, "label": ["a", "b"] * 30}))
    field = use_case.record.fields[0]
    assert (use_case.kind, field.shape, field.range) == ("image", (8, 8), (0.0, 16.0))
    assert rows.refused == 0
    assert use_case.model.estimator == "keras_cnn"


@pytest.mark.parametrize("rows", [20, 30, 60, 200, 499, 500, 700])
def test_few_rows_are_enough_for_what_is_written(tmp_path: Path, rows: int) -> None:
    _, use_case, _ = checked(write_csv(tmp_path / "few.csv", table(rows)))
    holdout = use_case.training.holdout
    held_out = max(round(holdout.fraction * rows), holdout.min_rows) if holdout.by == "time" else 0.3 * rows
    assert rows - held_out >= use_case.training.min_rows
    assert use_case.gate.min_rows <= max(10, held_out)


@pytest.mark.parametrize("extension", ["jsonl", "json"])
def test_json_without_gaps_is_drafted_as_the_same_csv(tmp_path: Path, extension: str) -> None:
    columns = {
        **table(60),
        "order_id": list(range(500, 560)),
        "unit": ["m"] * 60,
        "city": ["a", "b", "c"] * 20,
    }
    path = tmp_path / f"rows.{extension}"
    pd.DataFrame(columns).to_json(path, orient="records", lines=extension == "jsonl")
    made, use_case, _ = checked(path)
    plain, as_csv, _ = checked(write_csv(tmp_path / "rows.csv", columns))
    assert use_case.record == as_csv.record
    assert made.left_out == plain.left_out
    assert use_case.record.id_column == "order_id"
    assert reason_of(made, "unit") == "constant"
    assert not any(one.nullable for one in use_case.record.fields)


def test_a_name_that_comes_late_in_json_is_missing_before(tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    rows = [{"size": n % 7, "label": "xy"[n % 2], **({"late": n % 5} if n > 40 else {})} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    column = read_declared(path, "label").sample.columns["late"]
    assert column.gaps == 41
    assert column.counts is not None
    assert column.counts.total() == 60


def test_rows_in_a_list_by_name_have_no_column_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    rows = [{"size": n % 7, "label": "xy"[n % 2]} for n in range(60)]
    path.write_text(json.dumps({"train": rows[:40], "test": rows[40:]}))
    made = drafted(path)
    assert [one.column for one in made.fields] == ["size"]
    assert reason_of(made, "part") == "added"
    assert "part" in {one.column for one in drafted(path, keep=("part",)).fields}
    path.write_text(json.dumps([{**row, "part": "uvw"[n % 3]} for n, row in enumerate(rows)]))
    assert field_of(drafted(path), "part")["categories"] == ["u", "v", "w"]


def test_a_name_that_is_no_text_refuses_its_row(tmp_path: Path) -> None:
    path = tmp_path / "half.jsonl"
    lines = [json.dumps({"size": n % 7, "label": "xy"[n % 2]}) for n in range(60)]
    path.write_text("\n".join([*lines, '{"size": 1, "label": "x", "\\ud800": 2}']))
    made = drafted(path)
    assert (made.sample.rows, made.sample.bad) == (60, 1)
    assert any("a name that is no text: '\\ud800'" in one for one in made.warnings)


def test_labels_of_several_types_are_classes(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    values = [1, "two", "1"]
    rows = [{"size": n % 7, "label": values[n % 3]} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made, _, read = checked(path)
    assert made.target.rows == {"1": 40, "two": 20}
    assert read.refused == 0


def test_bytes_beside_other_columns_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "bytes.parquet"
    pd.DataFrame({**table(60), "raw": [bytes([place, 1]) for place in range(60)]}).to_parquet(path)
    made, _, rows = checked(path)
    assert reason_of(made, "raw") == "nested"
    assert [one.column for one in made.fields] == ["size"]
    assert rows.refused == 0
