"""CSV as people export it: other separators, encodings and decimals are read and told, or refused by name."""

from __future__ import annotations

import gzip
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from configs.schema import UseCase
from features.errors import SourceError
from features.files.labelled_rows import RowReader
from features.files.layout import layout_of
from features.files.readers.delimited.number_forms import is_plain
from features.files.sources import open_source

TABLE: dict[str, Any] = {
    "name": "t",
    "title": "T",
    "kind": "tabular",
    "record": {"fields": [{"name": "n", "type": "number"}, {"name": "c", "type": "category"}]},
    "target": {"task": "binary", "classes": ["0", "1"], "column": "y"},
    "model": {"estimator": "none"},
}
ROWS = [(1.5, "café", "0"), (-20.0, "x", "1")]


def use_case(**files: Any) -> UseCase:
    return UseCase.model_validate({**TABLE, "files": files})


def read(path: Path, data: bytes, **files: Any) -> tuple[list[tuple[Any, ...]], list[str], tuple[str, ...]]:
    """Valid rows, the reasons of refused ones, and what is told of the file."""
    path.write_bytes(data)
    reader = RowReader(use_case(**files))
    rows: list[tuple[Any, ...]] = []
    reasons: list[str] = []
    with closing(open_source(path, layout_of(use_case(**files)))) as source:
        reader.require_columns(source)
        for batch in source.batches:
            part = reader.read(batch)
            rows += zip(part.columns["n"].tolist(), part.columns["c"].tolist(), part.labels, strict=True)
            reasons += [refused.reason for refused in part.refused]
    return rows, reasons, source.notes


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("n,c,y\n1.5,café,0\n-20,x,1\n", ()),
        ("n;c;y\n1.5;café;0\n-20;x;1\n", ("columns are separated by ';'",)),
        ("n\tc\ty\r\n1.5\tcafé\t0\r\n-20\tx\t1\r\n", ("columns are separated by a tab",)),
        ("n|c|y|a, b, c and d\n1.5|café|0|\n-20|x|1|\n", ("columns are separated by '|'",)),
        ("sep=;\nn;c;y\n1.5;café;0\n-20;x;1\n", ("columns are separated by ';'",)),
        ("n,c,y\r1.5,café,0\r-20,x,1\r", ("lines end with carriage returns alone",)),
        ("\n\nn,c,y\r\n1.5,café,0\n\n-20,x,1\r\r\n", ()),
    ],
)
def test_a_separator_that_is_found_is_told(tmp_path: Path, text: str, note: tuple[str, ...]) -> None:
    assert read(tmp_path / "f.csv", text.encode()) == (ROWS, [], note)


def test_a_declared_separator_holds(tmp_path: Path) -> None:
    assert read(tmp_path / "f.csv", "n:c:y\n1.5:café:0\n-20:x:1\n".encode(), separator=":") == (ROWS, [], ())
    with pytest.raises(SourceError, match="columns 'n', 'c', 'y' missing; present: 'n,c,y'"):
        read(tmp_path / "f.csv", b"n,c,y\n1,x,0\n", separator=";")


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", ()),
        ("utf-16", ("encoding utf-16-le, by the mark it begins with",)),
        ("utf-32", ("encoding utf-32-le, by the mark it begins with",)),
        ("utf-16-le", ("encoding utf-16-le, by its zero bytes",)),
        ("utf-16-be", ("encoding utf-16-be, by its zero bytes",)),
        ("utf-32-be", ("encoding utf-32-be, by its zero bytes",)),
    ],
)
@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz"])
def test_unicode_shows_itself(tmp_path: Path, name: str, encoding: str, note: tuple[str, ...]) -> None:
    data = "n,c,y\n1.5,café,0\n-20,x,1\n".encode(encoding)
    packed = gzip.compress(data) if name.endswith(".gz") else data
    assert read(tmp_path / name, packed) == (ROWS, [], note)


def test_json_lines_in_utf_16_are_read(tmp_path: Path) -> None:
    text = '{"n": 1.5, "c": "café", "y": "0"}\n{"n": -20, "c": "x", "y": "1"}\n'
    rows, reasons, notes = read(tmp_path / "f.jsonl", text.encode("utf-16"))
    assert (rows, reasons) == (ROWS, [])
    assert notes == ("encoding utf-16-le, by the mark it begins with",)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac-roman", "utf-16"])
def test_an_encoding_that_is_declared_is_read(tmp_path: Path, encoding: str) -> None:
    data = "n,c,y\n1.5,café,0\n-20,x,1\n".encode(encoding)
    assert read(tmp_path / "f.csv", data, encoding=encoding)[:2] == (ROWS, [])


def test_a_row_of_another_encoding_is_refused_with_what_to_declare(tmp_path: Path) -> None:
    rows, (reason,), _ = read(tmp_path / "f.csv", "n,c,y\n1.5,café,0\n-20,x,1\n".encode("cp1252"))
    assert rows == ROWS[1:]
    assert "bytes that are not UTF-8 text" in reason
    assert "`files: {encoding: cp1252}`" in reason


def test_bytes_that_are_none_in_a_declared_encoding_refuse_their_row_alone(tmp_path: Path) -> None:
    data = "n,c,y\n1.5,café,0\n".encode("cp1252") + b"3,\x81,0\n-20,x,1\n"
    rows, (reason,), _ = read(tmp_path / "f.csv", data, encoding="cp1252")
    assert rows == ROWS
    assert "bytes that are not CP1252 text" in reason


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    for data, what in (
        (gzip.compress(b"n"), "gzip"),
        (b"PK\x03\x04..", "a spreadsheet"),
        (b"PAR1....", "Parquet"),
    ):
        with pytest.raises(SourceError, match=what):
            read(tmp_path / "f.csv", data)


@pytest.mark.parametrize(
    ("files", "cells", "numbers"),
    [
        ({"decimal": ","}, ["1,5", "-20", " 3,25 ", "1e3"], [1.5, -20, 3.25, 1000]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5", "1.234.567", "12"], [1234.5, 1234567, 12]),
        ({"thousands": ","}, ["1,234.5", "12"], [1234.5, 12]),
        ({"thousands": "'", "separator": ";"}, ["1'234.5"], [1234.5]),
        (
            {"decimal": ",", "thousands": " "},
            ["1 234,5", "1\u00a0234", "-1\u202f234,5"],
            [1234.5, 1234, -1234.5],
        ),
    ],
)
def test_numbers_are_read_as_declared(
    tmp_path: Path, files: dict[str, str], cells: list[str], numbers: list[float]
) -> None:
    text = "n;c;y\n" + "".join(f"{cell};x;0\n" for cell in cells)
    rows, reasons, _ = read(tmp_path / "f.csv", text.encode(), **files)
    assert ([row[0] for row in rows], reasons) == (numbers, [])


@pytest.mark.parametrize(
    ("files", "cell", "reason"),
    [
        ({}, "1,5", """column 'n': a decimal comma; `files: {decimal: ","}` in the use case reads it"""),
        ({}, "1.234,50", """and a decimal comma; `files: {decimal: ",", thousands: "."}` in the use case"""),
        ({}, "1'234.5", """groups of digits with apostrophes between them; `files: {thousands: "'"}`"""),
        ({}, "1 234", """groups of digits with blanks between them; `files: {thousands: " "}`"""),
        ({}, "1\u00a0234", """groups of digits with blanks between them; `files: {thousands: " "}`"""),
        ({"thousands": ","}, "0,123", "field 'n': got '0,123' (text); allowed: a number"),
        ({}, "-1 234,5", """`files: {decimal: ",", thousands: " "}`"""),
        ({}, "1,234.5", """`files: {thousands: ","}`"""),
        ({}, "1,234,567", """`files: {thousands: ","}`"""),
        ({}, "1.234.567", """`files: {decimal: ",", thousands: "."}`"""),
        ({"decimal": ","}, "1.234,5", """`files: {decimal: ",", thousands: "."}`"""),
        (
            {"decimal": ","},
            "1.5",
            "column 'n': no number as `files` declares it (decimal ',', thousands none)",
        ),
        ({"decimal": ",", "thousands": "."}, "1.5", "(decimal ',', thousands '.')"),
        ({"thousands": ","}, "12,34", "field 'n': got '12,34' (text); allowed: a number"),
    ],
)
def test_a_number_that_may_mean_another_is_refused(
    tmp_path: Path, files: dict[str, str], cell: str, reason: str
) -> None:
    rows, (why,), _ = read(tmp_path / "f.csv", f"n;c;y\n{cell};x;0\n7;x;1\n".encode(), **files)
    assert [row[0] for row in rows] == [7]
    assert reason in why


@pytest.mark.parametrize("cell", ["12 34", "1'23", "x 1", "1.2.3", "2024 01 02"])
def test_what_is_no_number_in_any_form_names_no_key(tmp_path: Path, cell: str) -> None:
    _, (why,), _ = read(tmp_path / "f.csv", f"n;c;y\n{cell};x;0\n".encode())
    assert "`files:" not in why


def test_quarantine_has_numbers_as_they_stood(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"n;c;y;z\n1,5;x;maybe;z\n")
    declared = use_case(decimal=",")
    with closing(open_source(path, layout_of(declared))) as source:
        (batch,) = source.batches
    (refused,) = RowReader(declared).read(batch).refused
    assert refused.row == {"n": "1,5", "c": "x", "y": "maybe", "z": "z"}


def test_a_name_twice_is_refused_where_it_is_read_and_told_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="column 'n' stands there more than once"):
        read(tmp_path / "f.csv", b"n,c,y,n\n1,x,0,2\n")
    rows, _, notes = read(tmp_path / "f.csv", b"n,z,c,y,z\n1,a,x,0,b\n")
    assert rows == [(1.0, "x", "0")]
    assert notes == ("column 'z' stands there more than once, and is not read",)


def test_a_text_keeps_what_it_begins_with_wherever_it_stands(tmp_path: Path) -> None:
    fields = [{"name": "words", "type": "text"}]
    told = UseCase.model_validate({**TABLE, "kind": "text", "record": {"fields": fields}})
    path = tmp_path / "rows.csv"
    texts = ["\ufeffone", "two", "\ufeffthree"]
    path.write_text("\ufeffwords,y\n" + "".join(f"{text},1\n" for text in texts), "utf-8")
    with closing(open_source(path, layout_of(told))) as source:
        (rows,) = [RowReader(told).read(batch) for batch in source.batches]
    assert rows.columns["words"].tolist() == texts


@pytest.mark.parametrize("odd", ["1,5", "1'000'000", "1 234", "1\u00a0234", "1.234.567", "caf\u00e9", " 1"])
def test_cells_are_looked_at_one_by_one_only_where_one_is_odd(odd: str) -> None:
    plain = ["1.5", "", "-20", "+.5", "3e-7", "nan"]
    cells = pa.array([*plain, odd, *plain])
    assert is_plain(pa.chunked_array([cells.slice(0, 6), cells.slice(7), cells.slice(2, 0)]))
    assert not is_plain(pa.chunked_array([cells.slice(7), cells.slice(6, 1)]))
    assert is_plain(pa.chunked_array([], pa.string()))


def test_a_line_beyond_the_limit_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.files.readers.delimited.blocks.ROW_BYTES", 1000)
    monkeypatch.setattr("features.files.readers.delimited.blocks.BATCH_BYTES", 500)
    long = b"1," + b"x" * 20_000_000 + b",0\n"
    rows, reasons, _ = read(tmp_path / "f.csv", b"n,c,y\n1.5,caf\xc3\xa9,0\n" + long + b"-20,x,1\n")
    assert rows == ROWS
    assert reasons == ["a line of more than 16 MB"]


@pytest.mark.parametrize(
    "body",
    [b'a","\n', b'1,2,"x\n', b'"",""\n', b'1,"x","\n', b'"\n'],
    ids=["odd", "open", "doubled", "closing later", "alone"],
)
def test_time_grows_with_the_bytes_alone(tmp_path: Path, body: bytes) -> None:
    def seconds(lines: int) -> float:
        started = time.process_time()
        read(tmp_path / "f.csv", b"n,c,y\n" + body * lines)
        return time.process_time() - started

    # The least of several: whatever else a machine does to a process only ever adds to it.
    assert min(seconds(40_000) for _ in range(3)) < 12 * max(0.05, min(seconds(10_000) for _ in range(3)))
