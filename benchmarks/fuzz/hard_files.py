"""Files that are hard to read, as Hypothesis strategies: exported, broken off, or meant ill."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

File = tuple[str, bytes]
"""A name and what the file of this name holds."""

COLUMNS = ("id", "at", "n", "c", "label", "text", "seen", "labels", "image", "other", "n", "", " label ", "ü")
SETS = (
    ("id", "at", "n", "c", "label"),
    ("text", "label"),
    ("text", "labels"),
    ("seen", "n", "label"),
    ("image", "label"),
)
"""Columns of the use cases."""
CELLS = (
    "",
    "0",
    "1",
    "1.0",
    "-3",
    "1e400",
    "1e20",
    "1,5",
    "1.234,5",
    "NaN",
    "NA",
    "inf",
    "0x1",
    "True",
    "x",
    " x ",
    "é",
    "e\u0301",
    "a|b",
    "[]",
    "[0, 255, 7, 1]",
    "2024-05-01",
    "2024-05-01T12:00:00Z",
    "20240501123000Z",
    "9999-12-31",
    "1712021512345",
    '"',
    '""',
    "a\nb",
    "a\r\nb",
    "\x00",
    "\ufeff",
    "\ud7ff",
    "😀",
    "=1+1",
    "'",
    "\t",
    ";",
    "x" * 300,
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252")
NOISE = (b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"{", b"[", b"\\", b'a","', b"PAR1", b"\xef\xbb\xbf")
NUMBERS = (
    "1",
    "-0.0",
    "1e20",
    "1e400",
    "NaN",
    "-Infinity",
    "9223372036854775808",
    "18446744073709551616",
    "9" * 400,
    "0.1",
    "01",
    "1.",
    "2" * 5000,
)


def files() -> st.SearchStrategy[File]:
    """A file of any kind."""
    whole = st.one_of(
        csv_files(), csv_files(), json_lines(), json_documents(), parquet_files(), repeated_files()
    )
    return st.one_of(
        whole, whole, whole.flatmap(_damaged), whole.map(_packed), whole.map(_packed).flatmap(_damaged)
    )


@st.composite
def _columns(draw: st.DrawFn) -> list[str]:
    """Mostly those that a use case reads, in any order, with others between."""
    usual = draw(st.sampled_from([*SETS, *SETS, ()]))
    others = draw(st.lists(st.sampled_from(COLUMNS), min_size=0 if usual else 1, max_size=4))
    return draw(st.permutations([*usual, *(name for name in others if not usual or name not in usual)]))


@st.composite
def csv_files(draw: st.DrawFn) -> File:
    """Rows of cells, mostly as wide as the header."""
    columns = draw(_columns())
    rows = draw(
        st.lists(st.lists(st.sampled_from(CELLS), min_size=len(columns), max_size=len(columns)), max_size=30)
    )
    for row in rows:
        if draw(st.integers(0, 19)) == 0:
            row.append("more")
    buffer = io.StringIO(newline="")
    if draw(st.integers(0, 9)) == 0:
        buffer.write("sep=;\r\n")
    writer = csv.writer(
        buffer,
        delimiter=draw(st.sampled_from(",,,;\t|")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"])),
    )
    writer.writerows([columns, *rows * draw(st.sampled_from([1, 1, 1, 40]))])
    encoding = draw(st.sampled_from(["utf-8", "utf-8", *ENCODINGS]))
    return draw(st.sampled_from(["f.csv", "F.CSV", "f.tsv"])), buffer.getvalue().encode(encoding, "replace")


def _json_values() -> st.SearchStrategy[str]:
    scalars = st.one_of(
        st.sampled_from(NUMBERS), st.sampled_from(CELLS).map(json.dumps), st.sampled_from(["null", "true"])
    )
    flat = st.one_of(scalars, _lists(scalars), _objects(scalars))
    return st.one_of(scalars, scalars, flat, _lists(flat), _objects(flat))


def _lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=4).map(lambda values: f"[{','.join(values)}]")


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(inner, max_size=3).map(lambda values: [f'"k{i}":{one}' for i, one in enumerate(values)])
    return pairs.map(lambda some: "{" + ",".join(some) + "}")


@st.composite
def _json_rows(draw: st.DrawFn) -> list[str]:
    names = draw(_columns())
    values = st.lists(_json_values(), min_size=len(names), max_size=len(names))
    return [
        "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in zip(names, row, strict=True)) + "}"
        for row in draw(st.lists(values, max_size=15))
    ]


ODD_LINES = ("", "3", "[1]", "{", "{}", '{"a":1}{"b":2}', "\x00", "null")


@st.composite
def json_lines(draw: st.DrawFn) -> File:
    """Objects, and lines that are none."""
    rows = draw(_json_rows())
    for odd in draw(
        st.lists(st.sampled_from(["", "3", "[1]", "{", "{}", '{"a":1}{"b":2}', "\x00", "null"]), max_size=3)
    ):
        rows.insert(draw(st.integers(0, len(rows))), odd)
    text = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])).join(rows * draw(st.sampled_from([1, 1, 30])))
    name = draw(st.sampled_from(["f.jsonl", "f.ndjson", "f.json"]))
    return name, text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])), "replace")


@st.composite
def json_documents(draw: st.DrawFn) -> File:
    """A list of rows, or lists by name."""
    rows = draw(_json_rows())
    blank = draw(st.sampled_from(["", " ", "\n"]))
    document = "[" + f",{blank}".join(rows) + "]"
    if draw(st.booleans()):
        document = f'{{"train":{blank}{document},"test": [["hi","a"], ["ho"]]}}'
    return "f.json", document.encode()


TYPES: tuple[tuple[pa.DataType, tuple[Any, ...]], ...] = (
    (pa.int8(), (1, -1)),
    (pa.int64(), (2**63 - 1, 0)),
    (pa.uint64(), (2**64 - 1, 1)),
    (pa.float32(), (float("inf"), 0.5)),
    (pa.float64(), (float("nan"), 1e308, -0.0)),
    (pa.bool_(), (True, False)),
    (pa.string(), CELLS),
    (pa.large_string(), CELLS),
    (pa.binary(), (b"\xff\x00", b"x")),
    (pa.binary(3), (b"abc",)),
    (pa.date32(), (date(1, 1, 1), date(9999, 12, 31))),
    (pa.date64(), (date(2024, 1, 1),)),
    (pa.timestamp("ns"), (1, 2**62)),
    (pa.timestamp("us", "Europe/Paris"), (datetime(2024, 5, 1, tzinfo=UTC), 2**62)),
    (pa.timestamp("ms", "+25:99"), (1,)),
    (pa.timestamp("s"), (2**40,)),
    (pa.time32("s"), (time(1),)),
    (pa.time64("ns"), (3,)),
    (pa.duration("ns"), (5,)),
    (pa.duration("s"), (timedelta(1),)),
    (pa.decimal128(38, 10), (Decimal("1.5"),)),
    (pa.decimal128(5, 0), (Decimal(7),)),
    (pa.decimal256(76, 0), (Decimal(7),)),
    (pa.list_(pa.int64()), ([1, 2], [], [0, 255, 7, 1])),
    (pa.list_(pa.string()), (["a", "b"], [])),
    (pa.list_(pa.list_(pa.float32())), ([[0.0, 1.0], [2.0, 3.0]],)),
    (pa.list_(pa.float64(), 4), ([0.0, 1.0, 2.0, 3.0],)),
    (pa.struct([("a", pa.int64())]), ({"a": 1},)),
    (pa.map_(pa.string(), pa.int64()), ([("a", 1)],)),
    (pa.list_(pa.struct([("a", pa.int64())])), ([{"a": 1}],)),
    (pa.null(), (None,)),
    (pa.dictionary(pa.int8(), pa.string()), ("a", "b")),
)


@st.composite
def parquet_files(draw: st.DrawFn) -> File:
    """Columns of any type."""
    names = [name or "x" for name in draw(_columns())]
    count = draw(st.sampled_from([0, 1, 7, 300]))
    columns = []
    for _ in names:
        kind, values = draw(st.sampled_from(TYPES))
        some = draw(st.lists(st.sampled_from([*values, None]), min_size=1, max_size=4))
        columns.append(pa.array([some[row % len(some)] for row in range(count)], kind))
    if draw(st.integers(0, 9)) == 0:
        columns[0] = pa.array([0.5, float("inf"), None] * count, pa.float16())[:count]
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(columns, names),
        buffer,
        row_group_size=draw(st.sampled_from([1, 100, 1000])),
        compression=draw(st.sampled_from(["snappy", "zstd", "gzip", "none"])),
        use_dictionary=draw(st.booleans()),
        store_schema=draw(st.booleans()),
    )
    return "f.parquet", buffer.getvalue()


PATTERNS: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("f.csv", lambda n: b"id,n,c,label\n" + b'a","\n' * n),
    ("f.csv", lambda n: b"id,n,c,label\n" + b'1,2,"x\n' * n),
    ("f.csv", lambda n: b'id,n,c,label\n1,2,"' + b"x\n" * n + b'",0\n'),
    ("f.csv", lambda n: b'id,n,c,label\n1,2,"' + b'"",""\n' * n),
    ("f.csv", lambda n: b"id,n,c,label\n" + b"\n" * n),
    ("f.csv", lambda n: b"id,n,c,label\n" + b"," * n),
    ("f.csv", lambda n: b"id,n,c,label\n" + b'"' * n),
    ("f.csv", lambda n: b"id,n,c,label\n" + b",,,\n" * n),
    ("f.csv", lambda n: b"id,n,c,label" + b",x" * n + b"\n1"),
    ("f.csv", lambda n: b"\n" * n),
    ("f.csv", lambda n: b"\x00" * n),
    ("f.csv", lambda n: b"id,n,c,label\r" + b"1,1,x,0\r" * n),
    ("f.jsonl", lambda n: b"[" * n),
    ("f.jsonl", lambda n: b'{"n":' * n + b"1" + b"}" * n),
    ("f.jsonl", lambda n: b"".join(b'{"k%d":1,"n":2}\n' % i for i in range(n))),
    ("f.jsonl", lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n)) + b"}"),
    ("f.jsonl", lambda n: b'{"n":{' + b",".join(b'"k%d":1' % i for i in range(n)) + b"}}"),
    ("f.jsonl", lambda n: b"{}\n" * n),
    ("f.jsonl", lambda n: b"1\n" * n),
    ("f.jsonl", lambda n: b'{"n":[' + b"0.5," * n + b"1]}"),
    ("f.jsonl", lambda n: b'{"n":' + b"9" * n + b"}"),
    ("f.json", lambda n: b"[" + b"{}," * n + b"{}]"),
    ("f.json", lambda n: b"[" * n),
    ("f.json", lambda n: b"[" + b"[]," * n + b"1"),
    ("f.json", lambda n: b'["' + b"\\" * n),
    ("f.json", lambda n: b"{" + b",".join(b'"k%d":[]' % i for i in range(n)) + b"}"),
)


@st.composite
def repeated_files(draw: st.DrawFn) -> File:
    """One thing, very often."""
    name, make = draw(st.sampled_from(PATTERNS))
    return name, make(draw(st.sampled_from([1, 50, 2000, 12_000, 40_000])))


@st.composite
def _damaged(draw: st.DrawFn, file: File) -> File:
    """Cut off, or with bytes put in or overwritten."""
    name, data = file
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data))))
        kind = draw(st.sampled_from(["cut", "insert", "overwrite"]))
        noise = draw(st.sampled_from(NOISE))
        data = {
            "cut": data[:at],
            "insert": data[:at] + noise + data[at:],
            "overwrite": data[:at] + noise + data[at + len(noise) :],
        }[kind]
    return name, data


def _packed(file: File) -> File:
    name, data = file
    return file if name.endswith((".parquet", ".gz")) else (f"{name}.gz", gzip.compress(data, 1, mtime=0))
