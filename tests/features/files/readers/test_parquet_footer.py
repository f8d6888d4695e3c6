"""A damaged footer is an error that names the file, never the end of the process."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import FeatureError
from features.files.sources import open_source

TABLE = pa.table({"s": ["a", "b", None], "n": [1, 2, None], "l": [[1], [], None]})


def end_of_child(path: Path) -> int:
    """What a process of its own that reads a file ends with; a signal is negative."""
    child = os.fork()
    if child == 0:
        try:
            for _ in open_source(path).batches:
                pass
        except FeatureError:
            os._exit(1)
        except BaseException:  # noqa: BLE001 - anything else is what the test looks for
            os._exit(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_bytes_of_a_footer_that_changed_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(TABLE, path, row_group_size=2)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    random_numbers = random.Random(1)
    ends = set()
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(random_numbers.randint(1, 3)):
            changed[random_numbers.randrange(footer, len(whole) - 8)] = random_numbers.randrange(256)
        path.write_bytes(changed)
        ends.add(end_of_child(path))
    assert ends == {0, 1}


def test_asking_for_a_column_of_a_damaged_footer_would_abort(tmp_path: Path) -> None:
    """Why the footer is looked at first; when this no longer holds, that is no longer needed."""
    path = tmp_path / "f.parquet"
    pq.write_table(TABLE, path)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    random_numbers = random.Random(2)
    for _ in range(20_000):
        changed = bytearray(whole)
        changed[random_numbers.randrange(footer, len(whole) - 8)] = random_numbers.randrange(256)
        child = os.fork()
        if child == 0:
            os.close(2)
            try:
                pq.ParquetFile(pa.BufferReader(bytes(changed))).metadata.row_group(0).column(1)
            except BaseException:  # noqa: BLE001 - an error is no abort
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == -signal.SIGABRT:
            path.write_bytes(changed)
            assert end_of_child(path) == 1
            return
    pytest.fail("no change of one byte aborts the process any more")


def test_whole_files_are_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    for table in (TABLE, TABLE.slice(0, 0), pa.concat_tables([TABLE] * 3000)):
        pq.write_table(table, path, row_group_size=1000)
        assert sum(batch.table.num_rows for batch in open_source(path).batches) == table.num_rows
