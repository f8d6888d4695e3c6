"""Questions to the table, answered by DuckDB out of core: no more is in memory than what is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.errors import HistoryDamaged, HistoryError
from store.history.faults import is_of_place
from store.history.kinds import GONE, ROW
from store.history.layout import Layout
from store.history.table import HistoryTable

MEMORY = "2GB"
"""Of all queries of a process; what needs more goes to the disk."""
_ENDED = f"""
    CREATE TEMP TABLE ended AS SELECT l.seq, l.batch, min(g.batch) AS gone_in
    FROM (SELECT seq, batch FROM stored WHERE kind = '{ROW}') l
    JOIN (SELECT seq, batch FROM stored WHERE kind = '{GONE}') g ON g.seq = l.seq AND g.batch > l.batch
    GROUP BY ALL"""

_DAMAGE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)


class HistoryReader:
    """The table as it is now, as `lines`.

    Beside its columns these have `gone_in`: the batch that says that a row is not as it was; null: none does.
    """

    def __init__(self, table: HistoryTable, *, folder: Path | None = None) -> None:
        """
        Args:
            folder: where what does not fit into memory goes; default that of the system.

        Raises:
            HistoryError: the table cannot be read.
        """
        self.layout: Layout = table.layout
        self.uri = table.uri
        self._db = _engine(folder).cursor()  # what it makes is temporary: other readers do not see it
        self._numbers = 0
        files = [] if table.is_remote else table.files()
        dataset = table.dataset() if table.is_remote else None
        if dataset is not None:
            self._db.register("stored", dataset)
        elif files:
            listed = ", ".join(f"'{_quoted(one)}'" for one in files)
            self.execute(f"CREATE TEMP VIEW stored AS SELECT * FROM read_parquet([{listed}])")
        else:
            self._db.register("stored", self.layout.schema.empty_table())
        self.execute(_ENDED)
        has_ended = self.one("SELECT count(*) FROM ended")
        join = "LEFT JOIN ended USING (seq, batch)" if has_ended else ""
        gone = "" if has_ended else ", NULL::int AS gone_in"
        self.execute(f"CREATE TEMP VIEW lines AS SELECT *{gone} FROM stored {join}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def given(self, values: Mapping[str, NDArray[Any]]) -> str:
        """A table of these columns for queries; returns its name."""
        self._numbers += 1
        name = f"given_{self._numbers}"
        arrays = {
            key: pa.array(column, pa.string()) if column.dtype == object else pa.array(column)
            for key, column in values.items()
        }
        self._db.register(name, pa.table(arrays))
        return name

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """
        Raises:
            HistoryError: the table cannot be read.
        """
        with _faults_told(self.uri):
            return self._db.execute(query, list(parameters))

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of an answer."""
        return self.execute(query, parameters).fetchall()

    def one(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The one value of an answer."""
        (row,) = self.rows(query, parameters)
        return row[0]

    def arrow(self, query: str) -> pa.Table:
        """An answer as a table in memory."""
        with _faults_told(self.uri):
            answer: pa.Table = self._db.sql(query).to_arrow_table()
        return answer

    def batches(self, query: str, *, rows: int) -> Iterator[pa.RecordBatch]:
        """An answer, so many rows at a time."""
        with _faults_told(self.uri):
            reader: pa.RecordBatchReader = self._db.sql(query).to_arrow_reader(rows)
            yield from reader

    def numbers(self, query: str, parameters: Sequence[Any] = ()) -> NDArray[np.int64]:
        """The one column of an answer, of whole numbers."""
        (column,) = self.execute(query, parameters).fetchnumpy().values()
        return np.asarray(column, dtype=np.int64)


@lru_cache(maxsize=1)
def _engine(folder: Path | None) -> duckdb.DuckDBPyConnection:
    """What answers all readers of a process: to start one takes ten times as long as a small question."""
    spilled = {} if folder is None else {"temp_directory": str(folder)}
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": len(os.sched_getaffinity(0)),
            "autoinstall_known_extensions": False,
            # Files are not kept in memory once nobody asks: a process lives on.
            "enable_external_file_cache": False,
            **spilled,
        }
    )


@contextmanager
def _faults_told(uri: str) -> Iterator[None]:
    """What DuckDB says is wrong, with the place of the table."""
    try:
        yield
    except duckdb.Error as error:
        # What cannot be parsed of a Parquet file has no kind of its own.
        if (isinstance(error, _DAMAGE) or type(error) is duckdb.Error) and not is_of_place(error):
            raise HistoryDamaged(f"the table of labelled rows at {uri} is damaged: {error}") from error
        raise HistoryError(f"the table of labelled rows at {uri} cannot be read: {error}") from error


def _quoted(text: str | Path) -> str:
    return str(text).replace("'", "''")
