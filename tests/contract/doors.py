"""Every door through which a labelled row or a record comes, opened by the functions that really read it.

A door takes rows of one use case and says of each what is stored: the canonical record, the label, the id and
the time; or why it is refused.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from configs.schema import UseCase
from features.files.batches import Batch, objects_table
from features.files.labelled_rows import LabelledRows, RowReader
from features.files.sources import open_source
from features.records.contract import LabelContract, RecordContract
from service.answers.requests import RequestReader
from service.errors import Invalid
from service.protocols.frames import FrameReader
from service.protocols.inference import parse_request, read_tensors, to_records
from store.feedback.items import check_items

Row = dict[str, Any]
Outcome = tuple[Any, ...] | str
"""What is stored of a row, or why it is refused."""
Door = Callable[[UseCase, Sequence[Row], Path], list[Outcome]]


def read_file(use_case: UseCase, path: Path) -> list[Outcome]:
    """The rows of a file, in order."""
    reader = RowReader(use_case)
    outcomes: dict[int, Outcome] = {}
    with closing(open_source(path)) as source:
        reader.require_columns(source)
        for batch in source.batches:
            outcomes |= _outcomes(reader, reader.read(batch))
    return [outcomes[line] for line in sorted(outcomes)]


def _outcomes(reader: RowReader, rows: LabelledRows) -> dict[int, Outcome]:
    documents = reader.contract.to_json(rows.columns)
    times = [None if np.isnat(time) else f"{time}Z" for time in rows.times]
    stored = zip(documents, rows.labels, rows.ids, times, strict=True)
    outcomes: dict[int, Outcome] = dict(zip(rows.lines.tolist(), stored, strict=True))
    return outcomes | {row.line or 0: _bare(row.reason) for row in rows.refused}


def _bare(reason: str) -> str:
    """A reason by the names that requests have for the columns of files."""
    return reason.replace("column 'at'", "event_time").replace("column 'id'", "field 'id'")


def csv_file(use_case: UseCase, rows: Sequence[Row], folder: Path) -> list[Outcome]:
    """A CSV file; values are texts."""
    (folder / "rows.csv").write_bytes(write_csv(rows))
    return read_file(use_case, folder / "rows.csv")


def csv_gz(use_case: UseCase, rows: Sequence[Row], folder: Path) -> list[Outcome]:
    """A packed CSV file."""
    (folder / "rows.csv.gz").write_bytes(gzip.compress(write_csv(rows)))
    return read_file(use_case, folder / "rows.csv.gz")


def write_csv(rows: Sequence[Row]) -> bytes:
    """Rows as CSV, in which a row of one empty cell is no blank line."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def jsonl(use_case: UseCase, rows: Sequence[Row], folder: Path) -> list[Outcome]:
    """JSON lines, in which each value stands among all others."""
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return read_file(use_case, folder / "rows.jsonl")


def json_document(use_case: UseCase, rows: Sequence[Row], folder: Path) -> list[Outcome]:
    """One JSON list."""
    (folder / "rows.json").write_text(json.dumps(list(rows), indent=1))
    return read_file(use_case, folder / "rows.json")


def json_alone(use_case: UseCase, rows: Sequence[Row], _folder: Path) -> list[Outcome]:
    """Each JSON line by itself."""
    reader = RowReader(use_case)
    outcomes = []
    for row in rows:
        table, mixed = objects_table([json.loads(json.dumps(row))])
        (outcome,) = _outcomes(reader, reader.read(Batch(table, np.array([1]), mixed=mixed))).values()
        outcomes.append(outcome)
    return outcomes


def parquet(use_case: UseCase, rows: Sequence[Row], folder: Path) -> list[Outcome]:
    """A Parquet file for each type of value; rows must have values of the same types."""
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return read_file(use_case, folder / "rows.parquet")


def feedback(use_case: UseCase, rows: Sequence[Row], _folder: Path) -> list[Outcome]:
    """Feedback, and training on labels that are sent."""
    items = [
        {
            "record": {name: value for name, value in row.items() if name not in ("label", "at")},
            "label": row["label"],
            "event_time": row["at"],
        }
        for row in rows
    ]
    checked = check_items(items, LabelContract(use_case.target, use_case.record.missing), use_case.record)
    contract = RecordContract(use_case.record)
    outcomes: dict[int, Outcome] = dict(checked.rejected)
    for item in checked.valid:
        records = contract.check_records([item.record])
        if records.problems:
            outcomes[item.index] = records.problems[0].message
        else:
            outcomes[item.index] = (*contract.to_json(records.columns), item.label, item.own_id, item.time)
    return [outcomes[index] for index in range(len(rows))]


def predict(use_case: UseCase, rows: Sequence[Row], _folder: Path) -> list[Outcome]:
    """A predict request for each record, with its label beside it; it has no time."""
    reader = request_reader(use_case)
    outcomes: list[Outcome] = []
    for row in rows:
        record = {name: value for name, value in row.items() if name not in ("label", "at")}
        body = json.dumps({"records": [record], "labels": [row["label"]]}).encode()
        try:
            request = reader.read(body)
        except Invalid as error:
            outcomes.append(str(error))
            continue
        (document,) = reader.contract.to_json(reader.gather([request]))
        own_id = None if request.record_ids is None else str(request.record_ids[0])
        outcomes.append((document, (request.labels or [""])[0], own_id))
    return outcomes


def frames(use_case: UseCase, rows: Sequence[Row], how: str) -> list[Outcome]:
    """MLflow's `dataframe_split` or `dataframe_records`, or its CSV: records only."""
    reader, outcomes = request_reader(use_case), list[Outcome]()
    for row in rows:
        frame = FrameReader(use_case.record, 10)
        record = {name: value for name, value in row.items() if name not in ("label", "at", "id")}
        if how == "csv":
            records = frame.read_csv(write_csv([record]))
        elif how == "dataframe_split":
            split = {"columns": list(record), "data": [list(record.values())]}
            records = frame.read_json(json.dumps({how: split}).encode())
        else:
            records = frame.read_json(json.dumps({how: [record]}).encode())
        try:
            request = reader.check(records)
        except Invalid as error:
            outcomes.append(str(error))
            continue
        outcomes.append(tuple(reader.contract.to_json(reader.gather([request]))))
    return outcomes


def inference(use_case: UseCase, rows: Sequence[Row], datatype: str) -> list[Outcome]:
    """Tensors of the Open Inference Protocol: records only, values of one type."""
    contract = RecordContract(use_case.record)
    outcomes: list[Outcome] = []
    for row in rows:
        inputs = [{"name": "x", "shape": [1], "datatype": datatype, "data": [row["x"]]}]
        request, raw = parse_request(json.dumps({"inputs": inputs}).encode(), None)
        try:
            read = to_records(read_tensors(request, raw, contract), contract, 10)
        except Invalid as error:
            outcomes.append(str(error))
            continue
        assert read.columns is not None
        outcomes.append(tuple(contract.to_json(read.columns)))
    return outcomes


def request_reader(use_case: UseCase) -> RequestReader:
    """What reads predict requests."""
    labels = LabelContract(use_case.target, use_case.record.missing)
    return RequestReader(RecordContract(use_case.record), labels, 10)
