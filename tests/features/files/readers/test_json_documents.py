from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.errors import SourceError
from features.files.readers import json_documents as documents
from features.files.sources import open_source


def read(path: Path, text: str) -> dict[str, list[Any]]:
    path.write_text(text, encoding="utf-8")
    with closing(open_source(path)) as source:
        table = pa.concat_tables([batch.table for batch in source.batches])
    columns: dict[str, list[Any]] = table.to_pydict()
    return columns


@pytest.mark.parametrize(
    "text",
    [
        '[{"text": "hi", "label": "a"}, {"text": "ho", "label": "b"}]',
        '[\n{"text": "hi", "label": "a"},\n{"text": "ho", "label": "b"}\n]',
        '[["hi", "a"],\n ["ho", "b"]]',
        '{"text": "hi", "label": "a"}\n{"text": "ho", "label": "b"}\n',
    ],
    ids=["one line", "many lines", "pairs", "a row a line"],
)
def test_rows_of_a_document(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "rows.json", text) == {"text": ["hi", "ho"], "label": ["a", "b"]}


@pytest.mark.parametrize("indent", ["", "\n"])
def test_rows_know_their_part(tmp_path: Path, indent: str) -> None:
    text = '{"train": [["hi", "a"]],' + indent + ' "test": [{"text": "ho", "label": "b"}]}'
    assert read(tmp_path / "parts.json", text) == {
        "text": ["hi", "ho"],
        "label": ["a", "b"],
        "part": ["train", "test"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON after row 0: no name of a part"),
        ("3", "begins with '3'; allowed: a list of rows, or lists of rows by name"),
        ('{"a": 1, "b": []', "'a' begins with b'1'; allowed: a list of rows"),
        ('[{"text": "hi"}', "not JSON after row 1: got '' where a row ends"),
        ('[{"text": "hi"}] x', "not JSON after row 1: 'x' after its end"),
        ('[{"text": "hi', "not JSON after row 1: it ends within a row"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=re.escape(message)):
        read(tmp_path / "bad.json", text)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('["only text"]', "got ['only text']; allowed: an object, or a pair of text and label"),
        ("4", "got 4; allowed: an object, or a pair of text and label"),
        ('{"text": }', "not JSON: "),
        (f'{{"text": {"[" * 500}{"]" * 500}}}', "lists and objects within one another; allowed: a depth of"),
    ],
)
def test_one_bad_row_leaves_the_others(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f'{{"test": [["hi", "a"], {row}, ["ho", "b"]]}}', encoding="utf-8")
    with closing(open_source(path)) as source:
        (batch,) = source.batches
    assert batch.table["text"].to_pylist() == ["hi", "ho"]
    ((line, why),) = [(bad.line, bad.reason) for bad in batch.bad]
    assert line == 2
    assert why.startswith(reason)


def test_one_object_is_a_row(tmp_path: Path) -> None:
    assert read(tmp_path / "one.json", '{"text": "hi", "label": "a"}') == {"text": ["hi"], "label": ["a"]}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_a_document_is_the_same_wherever_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(documents, "CHUNK_BYTES", chunk)
    rows = [{"text": 'a "quote", \\ [and] {more}', "label": "é"}, {"text": "", "label": "\\"}]
    columns = read(tmp_path / "rows.json", json.dumps(rows))
    assert columns == {name: [row[name] for row in rows] for name in ("text", "label")}


def test_a_row_beyond_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "ROW_BYTES", 10)
    monkeypatch.setattr(documents, "CHUNK_BYTES", 8)
    with pytest.raises(SourceError, match=r"row 2 has more than"):
        read(tmp_path / "long.json", '[["h", "a"], ["a very long text", "b"]]')
