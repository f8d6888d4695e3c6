"""Files: every row comes out once with its line, and every line that is no row comes out with the reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SourceError
from features.files.batches import Batch, table_source
from features.files.layout import Layout
from features.files.readers.byte_streams import TextFile
from features.files.readers.delimited.blocks import open_csv
from features.files.sources import open_source

Rows = list[tuple[int, dict[str, Any]]]


def read(batches: Iterator[Batch]) -> tuple[Rows, list[tuple[int, str]]]:
    rows: Rows = []
    bad: list[tuple[int, str]] = []
    for batch in batches:
        assert len(batch.lines) == batch.table.num_rows
        rows += zip(batch.lines.tolist(), batch.table.to_pylist(), strict=True)
        bad += [(line.line, line.reason) for line in batch.bad]
    return rows, bad


def read_csv(data: bytes, block_bytes: int = 1 << 20) -> tuple[Rows, list[tuple[int, str]]]:
    text = TextFile(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), lambda: 1.0)
    return read(open_csv(text, "f.csv", Layout(), block_bytes=block_bytes)[1])


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


AB = [(2, {"a": "1", "b": "x"}), (3, {"a": "2", "b": "y"})]


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,x\n2,y\n",
        b"a,b\n1,x\n2,y",
        b"a,b\r\n1,x\r\n2,y\r\n",
        b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
        b'"a", b \n1,"x"\n"2",y\n',
    ],
    ids=["plain", "no-last-newline", "crlf", "bom", "quoted"],
)
def test_csv_in_its_usual_forms(data: bytes) -> None:
    assert read_csv(data) == (AB, [])


def test_lines_are_physical_even_after_quoted_line_ends_and_blank_lines() -> None:
    rows, bad = read_csv(b'a,b\n\n1,"x\n\nx"\r\n\n2,y\n3\n4,z')
    assert rows == [
        (3, {"a": "1", "b": "x\n\nx"}),
        (7, {"a": "2", "b": "y"}),
        (9, {"a": "4", "b": "z"}),
    ]
    assert bad == [(8, "1 values; the header has 2 columns")]


NOT_UTF8 = (
    "bytes that are not UTF-8 text; declare its encoding in the use case, such as "
    "`files: {encoding: cp1252}` for Windows-1252"
)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "1 values; the header has 2 columns"),
        (b"1,2,3", "3 values; the header has 2 columns"),
        (b"1,\xff", NOT_UTF8),
        (b'1,"\xff"', NOT_UTF8),
        (b"1,x\ry", "a carriage return in the middle of the line"),
        (b'1,"never closed', "a quote is never closed"),
        (b'"1\r1",2,3', "3 values; the header has 2 columns"),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_stay(line: bytes, reason: str) -> None:
    rows, bad = read_csv(b"a,b\n1,x\n" + line + b"\n2,y\n")
    assert bad == [(3, reason)]
    assert rows == [(2, {"a": "1", "b": "x"}), (4, {"a": "2", "b": "y"})]


def test_a_quote_that_closes_rows_later_swallows_none() -> None:
    rows, bad = read_csv(b'a,b\n1,"x\n2,y\n3,"z"\n')
    assert [line for line, _ in rows] == [3, 4]
    assert bad == [(2, "a quote in the wrong place")]


def test_stray_quotes_within_a_line_are_text() -> None:
    rows, bad = read_csv(b'a,b\n5" pipe,x\n"1"1,y\n\n')
    assert [row for _, row in rows] == [{"a": '5" pipe', "b": "x"}, {"a": "11", "b": "y"}]
    assert bad == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "f.csv: empty; allowed: a line with the names of the columns, then rows"),
        (b"\n\n", "f.csv: empty; allowed: a line with the names of the columns, then rows"),
        (b"a,b,a\n1,2,3\n", "f.csv: column 'a' stands there more than once"),
        (
            b"a,\xff\n1,2\n",
            "f.csv: the header is not UTF-8 text, but may be cp1252: `files: {encoding: cp1252}`",
        ),
        (b"a,\x81\n1,2\n", "f.csv: the header is not UTF-8 text, but may be latin-1"),
        (b'a,"b\n1,2\n', "f.csv: the header cannot be read: a quote is never closed"),
    ],
)
def test_a_header_that_cannot_be_used(data: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_csv(data)
    assert str(caught.value).startswith(message)


def test_a_header_alone_has_no_rows() -> None:
    assert read_csv(b"a,b\n") == ([], [])
    assert read_csv(b"a,b") == ([], [])


def test_columns_without_a_name_get_one() -> None:
    assert read_csv(b",b\n1,2\n")[0] == [(2, {"column 1": "1", "b": "2"})]


cells = st.lists(st.sampled_from(["a", "é", ",", '"', "\n", "\r\n", " ", "1"]), max_size=6).map("".join)


@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=12),
    block_bytes=st.integers(1, 64),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read_whatever_the_size_of_blocks(
    rows: list[tuple[str, str, str]], block_bytes: int, quoting: Any, end: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(["a", "b", "c"])
    lines = []
    for row in rows:
        lines.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
    found, bad = read_csv(text.getvalue().encode(), block_bytes)
    assert bad == []
    assert [tuple(row.values()) for _, row in found] == rows
    assert [line for line, _ in found] == lines


@pytest.mark.parametrize("arrow_bytes", range(100, 150))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_line_end_is_part_of_its_value_wherever_arrow_divides_the_file(
    monkeypatch: pytest.MonkeyPatch, arrow_bytes: int, end: str
) -> None:
    monkeypatch.setattr("features.files.readers.delimited.blocks.ARROW_BYTES", arrow_bytes)
    # Divided at its line end, the quoted row would be two of as many values.
    plain = [f"{row},x" for row in range(10, 30)]
    text = end.join(["a,b", *plain, '2,"one of several', 'two,3"', *plain, ""])
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    found, bad = read_csv(text.encode())
    assert (bad, [list(row.values()) for _, row in found]) == ([], rows)


@given(st.binary(max_size=60), st.integers(1, 40))
def test_every_line_of_any_file_is_a_row_or_is_bad(noise: bytes, block_bytes: int) -> None:
    data = b"a,b\n" + noise
    rows, bad = read_csv(data, block_bytes)
    text = noise.decode(errors="replace")
    if '"' not in text:
        expected = [number for number, line in enumerate(noise.split(b"\n"), 2) if line.strip(b"\r")]
        assert sorted([line for line, _ in rows] + [line for line, _ in bad]) == expected


@pytest.mark.parametrize("name", ["f.csv", "f.CSV", "f.csv.gz"])
def test_csv_files(tmp_path: Path, name: str) -> None:
    data = b"a,b\n1,x\n2,y\n"
    path = write(tmp_path, name, gzip.compress(data) if name == "x" else data)
    source = open_source(path)
    assert source.columns == ("a", "b")
    assert read(source.batches) == (AB, [])


@pytest.mark.parametrize("name", ["f.jsonl", "f.jsonl.gz"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    twice = b'{"a": "x", "b": "y", "a": "z"}'
    lines = [b'{"a": 1, "b": [1, 2]}', b"", b"{broken", b"[1]", b'{"a": "x", "c": null}', b"\xff", twice]
    source = open_source(write(tmp_path, name, b"\n".join(lines)))
    assert source.columns is None
    rows, bad = read(source.batches)
    assert rows == [(1, {"a": "1", "b": [1, 2], "c": None}), (5, {"a": "x", "b": None, "c": None})]
    assert [line for line, _ in bad] == [3, 4, 6, 7]
    assert bad[0][1].startswith("not JSON: ")
    assert bad[1][1] == "not a JSON object"
    assert bad[3][1] == "key 'a': got it twice in one object; allowed: once"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": list(range(1000)), "b": ["x"] * 1000}), path, row_group_size=300)
    source = open_source(path)
    assert source.columns == ("a", "b")
    rows, _ = read(source.batches)
    assert [line for line, _ in rows] == list(range(1, 1001))
    assert rows[-1][1] == {"a": 999, "b": "x"}


def test_parquet_with_text_that_is_none(tmp_path: Path) -> None:
    broken = pa.array([b"x", b"\xff", b"y", b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"a": broken}), tmp_path / "f.parquet")
    rows, bad = read(open_source(tmp_path / "f.parquet").batches)
    assert rows == [(1, {"a": "x"}), (3, {"a": "y"})]
    assert bad == [(line, "column 'a': bytes that are not UTF-8 text") for line in (2, 4)]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    cases = {
        "f.xlsx": "unknown kind of file; allowed: .csv, .csv.gz, .json, .json.gz, .jsonl, .jsonl.gz, .ndjson",
        "absent.csv": "cannot be read: No such file or directory",
        "f.parquet": "not a Parquet file",
    }
    write(tmp_path, "f.parquet", b"no")
    for name, message in cases.items():
        with pytest.raises(SourceError, match=message):
            open_source(tmp_path / name)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a\n" + b"12345678\n" * 100_000)[:-50])
    with pytest.raises(SourceError, match=r"cut\.csv\.gz: damaged: .*; nothing of it was read"):
        open_source(tmp_path / "cut.csv.gz")
    (tmp_path / "fake.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"fake\.csv\.gz"):
        read(open_source(tmp_path / "fake.csv.gz").batches)


def test_tables_come_in_slices() -> None:
    batches = list(table_source("t", pa.table({"a": list(range(120_000))})).batches)
    assert [batch.table.num_rows for batch in batches] == [50_000, 50_000, 20_000]
    assert batches[1].lines[0] == 50_001
    assert batches[-1].fraction == 1.0
    assert list(table_source("t", pa.table({"a": []})).batches) == []


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [100, 500, 900, 100_000])
def test_a_row_that_is_nested_too_deeply_is_bad_and_the_others_are_read(
    tmp_path: Path, opening: str, depth: int
) -> None:
    nested = opening * depth + "1" + {"[": "]"}.get(opening, "}") * depth
    lines = ['{"a": 1}', f'{{"a": {nested}}}', '{"a": "x"}']
    rows, bad = read(open_source(write(tmp_path, "f.jsonl", "\n".join(lines).encode())).batches)
    assert rows == [(1, {"a": "1"}), (3, {"a": "x"})]
    ((line, reason),) = bad
    assert line == 2
    assert reason.endswith("allowed: a depth of 100") or "depth limit exceeded" in reason


def test_the_deepest_row_and_a_wide_one_are_read(tmp_path: Path) -> None:
    lines = [f'{{"a": {"[" * 99}1{"]" * 99}}}', json.dumps({"a": [[number] for number in range(500)]})]
    for number, line in enumerate(lines):
        rows, bad = read(open_source(write(tmp_path, f"{number}.jsonl", line.encode())).batches)
        assert ([row for _, row in rows], bad) == ([json.loads(line)], [])


def test_json_values_of_mixed_types_become_text(tmp_path: Path) -> None:
    values = [1, "x", [1], {"k": 2}, True, None]
    data = "\n".join(json.dumps({"a": value}) for value in values)
    rows, _ = read(open_source(write(tmp_path, "f.jsonl", data.encode())).batches)
    assert [row["a"] for _, row in rows] == [
        "1",
        "x",
        "[1]",
        '{"k": 2}',
        "true",
        None,
    ]
