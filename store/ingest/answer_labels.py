"""A file with the true labels of answers, by their ids: the list of audits that somebody has filled in.

Rows without a label are those that nobody has got to yet. What is refused is told and not kept: the file is
there, and its rows hold nothing of their own.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from features.errors import SourceError
from features.files.readers.limits import ROW_BYTES
from features.records.contract import LabelContract, RecordContract
from store.feedback.insertion import add_feedback
from store.feedback.item_batch import make_batch, records_of_predictions
from store.feedback.items import check_items
from store.moved.asking import find_or_bring_back

ID, LABEL = "prediction_id", "label"
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class AnswerLabelsReport:
    """What became of the rows of a file."""

    file: str
    rows: int
    empty: int
    """Rows without a label."""
    new: int
    corrected: int
    duplicates: int
    rejected: dict[int, str]
    """By line, why a label was not taken."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def label_answers(conn: psycopg.Connection[Any], use_case: UseCase, path: Path) -> AnswerLabelsReport:
    """Store the labels of a CSV file with columns `prediction_id` and `label`; others are not read.

    Raises:
        SourceError: it is none, or lacks a column.
        PredictionsAway: an answer was moved, and no worker brings it back.
    """
    rows = _read(path)
    filled = [(line, row) for line, row in rows if row[LABEL].strip()]
    labels = LabelContract(use_case.target, use_case.record.missing)
    items = check_items([row for _, row in filled], labels, use_case.record)
    named = [item.prediction_id for item in items.valid if item.prediction_id is not None]
    predictions = find_or_bring_back(conn, use_case.name, named)
    records = records_of_predictions(RecordContract(use_case.record), items, predictions)
    batch, _ = make_batch(items, {}, records, path.name)
    counts = add_feedback(conn, use_case.name, batch)
    conn.commit()
    return AnswerLabelsReport(
        file=path.name,
        rows=len(rows),
        empty=len(rows) - len(filled),
        new=counts.new,
        corrected=counts.corrected,
        duplicates=counts.duplicates,
        rejected={filled[index][0]: reason for index, reason in sorted(items.rejected.items())},
    )


def _read(path: Path) -> Sequence[tuple[int, dict[str, str]]]:
    """Id and label of each row, with the line that it ends on."""
    csv.field_size_limit(ROW_BYTES)  # beside them stands the record, with long texts or a picture
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(SEPARATORS, key=head.count))
            missing = [name for name in (ID, LABEL) if name not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(
                    f"{path}: column '{missing[0]}' is missing; allowed: a CSV file with the columns "
                    f"'{ID}' and '{LABEL}', as `ratchet audits --csv FILE` writes it"
                )
            return [(reader.line_num, {ID: row[ID] or "", LABEL: row[LABEL] or ""}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error
