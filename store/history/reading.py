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
from store.history.kinds import GONE, ROW, SUPERSEDED
from store.history.layout import OWN_COLUMNS, Layout
from store.history.table import HistoryTable

MEMORY = "2GB"
"""Of all queries of a process; what needs more goes to the disk."""
LINE = ", ".join([name for name, _ in OWN_COLUMNS] + ["gone_in"])
"""Columns of a line, without its fields."""
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
        self._older: str | None = None
        self.files = files = table.files()
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

    def keep(self, query: str) -> str:
        """The answer as a table for other queries, as long as this is open; returns its name."""
        self._numbers += 1
        name = f"kept_{self._numbers}"
        self.execute(f"CREATE TEMP TABLE {name} AS {query}")
        return name

    def sharing(self, keys: Mapping[str, NDArray[np.int64]], near: str) -> str:
        """A table of all lines that have one of these keys, by column, without their fields; its name.

        The columns of keys are gone through once; of the other columns only what is near such a line is read.

        Args:
            near: a table of such lines that need not be read again.
        """
        asked = {kind: self._more_keys(kind, np.unique(values), near) for kind, values in keys.items()}
        places = " UNION ".join(
            f"SELECT seq, batch FROM stored WHERE {kind} IN (SELECT {kind} FROM {self.given({kind: values})})"
            for kind, values in asked.items()
            if len(values)
        )
        if not places:
            return self.keep(f"SELECT {LINE} FROM {near}")
        found = self.keep(f"SELECT seq, batch FROM ({places}) ANTI JOIN {near} USING (seq, batch)")
        others = "" if self.one(f"SELECT count(*) FROM {found}") else " WHERE false"
        return self.keep(
            f"SELECT {LINE} FROM {near} UNION ALL"
            f" SELECT {LINE} FROM lines SEMI JOIN {found} USING (seq, batch){others}"
        )

    def _more_keys(self, kind: str, keys: NDArray[np.int64], near: str) -> NDArray[np.int64]:
        """Those that more lines have than are near, by that one column, as others take longer to read."""
        if not len(keys):
            return keys
        has = f"{kind} IN (SELECT {kind} FROM {self.given({kind: keys})})"
        return self.numbers(
            f"SELECT {kind} FROM (SELECT {kind}, 1 AS lines FROM stored WHERE {has}"
            f" UNION ALL SELECT {kind}, -1 FROM {near} WHERE {has}) GROUP BY {kind} HAVING sum(lines) > 0"
        )

    def older(self) -> str:
        """A table of the lines that do not stand any more, without their fields; its name."""
        if self._older is None:
            self._older = self.keep(
                f"SELECT {LINE} FROM lines SEMI JOIN ended USING (seq, batch) UNION ALL"
                f" SELECT {LINE} FROM lines WHERE kind = '{SUPERSEDED}'"
            )
        return self._older

    def given(self, values: Mapping[str, NDArray[Any]]) -> str:
        """A table of these columns for queries; returns its name."""
        arrays = {
            key: pa.array(column, pa.string()) if column.dtype == object else pa.array(column)
            for key, column in values.items()
        }
        return self.shown(pa.table(arrays))

    def shown(self, table: pa.Table) -> str:
        """A table in memory for queries; returns its name."""
        self._numbers += 1
        name = f"given_{self._numbers}"
        self._db.register(name, table)
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
