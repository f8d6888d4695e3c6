from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.errors import SourceError
from features.files import json_documents as documents
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
        ("{", "not JSON"),
        ("3", "got int; allowed: a list of rows"),
        ('{"a": 1}', "got dict; allowed: a list of rows"),
        ('[["only text"]]', r"\[0\]: got \['only text'\]; allowed: an object, or a pair"),
        ('{"test": [["hi", "a"], 4]}', r"test\[1\]: got 4; allowed"),
        (f'[{{"text": {"[" * 500}{"]" * 500}}}]', r"\[0\]: lists and objects .* allowed: a depth of 100"),
    ],
)
def test_what_holds_no_rows_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "bad.json", text)


def test_a_document_too_long_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 10)
    with pytest.raises(SourceError, match=r"bytes in one JSON document; allowed: 10, or a row a line"):
        read(tmp_path / "long.json", '[["hi", "a"], ["ho", "b"]]')
