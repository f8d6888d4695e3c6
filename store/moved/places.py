"""Where the tables of predictions are: in the home, or in the storage that machines share."""

from __future__ import annotations

from pathlib import Path

from configs.schema import RecordConfig
from store.history.places import root_of, tables_of
from store.moved.layout import PredictionLayout
from store.moved.table import PredictionTable, layout_of

FOLDER = "predictions"


def prediction_table(home: Path, use_case: str, record: RecordConfig) -> PredictionTable:
    """The table of a use case by one `record` section, whether it is there or not."""
    layout = PredictionLayout(record)
    root, options = root_of(home, FOLDER)
    return PredictionTable(use_case, layout, f"{root}/{use_case}/{layout.name}", options)


def prediction_tables(home: Path, use_case: str) -> list[PredictionTable]:
    """All that a use case has here, of all `record` sections that it has had.

    Raises:
        HistoryError: one cannot be read.
        StorageError: the storage cannot be asked.
    """
    root, options = root_of(home, FOLDER)
    found = []
    for name in tables_of(home, use_case, FOLDER):
        uri = f"{root}/{use_case}/{name}"
        found.append(PredictionTable(use_case, layout_of(uri, options), uri, options))
    return found
