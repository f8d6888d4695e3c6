"""Names of columns and files in composed and decomposed letters: the same, whichever of both has which."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import UseCase
from configs.spelling.letters import compose, decompose
from features.errors import SourceError
from features.files.batches import table_source
from features.files.labelled_rows import RowReader
from features.files.layout import layout_of
from features.files.linked_pictures import LinkedPictures
from features.files.sources import open_source

PRICE, CITY, LABEL, ROW = "prix é", "ville à", "fidèle", "numéro"
FORMS = {"composed": compose, "decomposed": decompose}


def use_case(form: str) -> UseCase:
    spell = FORMS[form]
    return UseCase.model_validate(
        {
            "name": "t", "title": "T", "kind": "tabular", "model": {"estimator": "none"},
            "record": {
                "id_column": spell(ROW),
                "fields": [
                    {"name": "price", "type": "number", "column": spell(PRICE)},
                    {"name": "city", "type": "category", "column": spell(CITY), "nullable": True},
                ],
            },
            "target": {"task": "binary", "classes": ["non", "oui"], "column": spell(LABEL)},
            "files": {"decimal": ","},
        }
    )  # fmt: skip


def write(path: Path, form: str) -> Path:
    names = list(map(FORMS[form], (ROW, PRICE, CITY, LABEL, "not read é")))
    rows = [dict(zip(names, values, strict=True)) for values in (("7", 1.5, "Orléans", "oui", "x"),)]
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerow(["7", "1,5", "Orléans", "oui", "x"])
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows if path.suffix == ".json" else rows[0]), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet", "frame"])
@pytest.mark.parametrize("there", FORMS)
@pytest.mark.parametrize("declared", FORMS)
@pytest.mark.parametrize("whole", [False, True])
def test_columns_are_found(tmp_path: Path, declared: str, there: str, kind: str, whole: bool) -> None:
    config = use_case(declared)
    if kind == "frame":
        values: dict[str, Any] = {ROW: ["7"], PRICE: [1.5], CITY: ["Orléans"], LABEL: ["oui"]}
        source = table_source(
            "rows", pa.table({FORMS[there](name): column for name, column in values.items()})
        )
    else:
        source = open_source(write(tmp_path / f"rows.{kind}", there), layout_of(config, whole=whole))
    with closing(source):
        reader = RowReader(config)
        reader.require_columns(source)
        (batch,) = source.batches
    assert {compose(PRICE), compose(CITY)} < set(batch.table.column_names)
    if whole and kind == "csv":
        return  # numbers stay as they are written
    rows = reader.read(batch)
    assert rows.refused == ()
    assert (rows.ids, rows.labels) == (["7"], ["oui"])
    assert (rows.columns["price"].tolist(), rows.columns["city"].tolist()) == ([1.5], ["Orléans"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_name_in_both_forms_is_there_twice(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    names = [compose(ROW), compose(PRICE), decompose(PRICE), compose(LABEL)]
    if kind == "csv":
        path.write_text(",".join(names) + "\n7,1,2,oui\n", encoding="utf-8")
    elif kind == "jsonl":
        path.write_text(json.dumps(dict(zip(names, ("7", 1, 2, "oui"), strict=True))), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist([dict(zip(names, ("7", 1, 2, "oui"), strict=True))]), path)
    if kind != "jsonl":
        with pytest.raises(SourceError, match=f"column '{compose(PRICE)}' stands there more than once"):
            open_source(path, layout_of(use_case("composed")))
        return
    with closing(open_source(path, layout_of(use_case("composed")))) as source:
        ((bad,),) = [batch.bad for batch in source.batches]
    assert bad.reason == f"key '{compose(PRICE)}': got it twice in one object; allowed: once"


@pytest.mark.parametrize("there", FORMS)
@pytest.mark.parametrize("named", FORMS)
def test_pictures_are_found(tmp_path: Path, there: str, named: str) -> None:
    folder = tmp_path / FORMS[there]("été")
    folder.mkdir()
    (folder / FORMS[there]("pêche.png")).write_bytes(b"picture")
    linked = LinkedPictures(tmp_path / "rows.csv")
    assert linked(FORMS[named]("été/pêche.png")) == b"picture"
    with pytest.raises(ValueError, match="there is no such file"):
        linked(FORMS[named]("été/pomme.png"))
