"""A damaged footer is an error that names the file, never the end of the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import CHECKOUT
from features.files.sources import open_source

TABLE = pa.table({"s": ["a", "b", None], "n": [1, 2, None], "l": [[1], [], None]})
# Each changed file is read by a child of a small process, as what is looked for is the end of a process.
READ_CHANGED = """
import json, os, random, sys
from pathlib import Path
from features.errors import FeatureError
from features.files.sources import open_source

path, count, changes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
whole = path.read_bytes()
footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
numbers = random.Random(changes)

def end_of(read):
    child = os.fork()
    if child == 0:
        os.close(2)
        try:
            read()
        except FeatureError:
            os._exit(1)
        except BaseException:
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def by_rows():
    for batch in open_source(path).batches:
        pass

ends = set()
for _ in range(count):
    changed = bytearray(whole)
    for _ in range(numbers.randint(1, changes)):
        changed[numbers.randrange(footer, len(whole) - 8)] = numbers.randrange(256)
    path.write_bytes(changed)
    ends.add(end_of(by_rows))
print(json.dumps(sorted(ends)))
"""


@pytest.mark.parametrize("changes", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_bytes_of_a_footer_that_changed_are_read_or_refused(tmp_path: Path, changes: int) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(TABLE, path, row_group_size=2)
    done = subprocess.run(
        [sys.executable, "-c", READ_CHANGED, str(path), "120", str(changes)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout) == [0, 1]


def test_whole_files_are_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    for table in (TABLE, TABLE.slice(0, 0), pa.concat_tables([TABLE] * 3000)):
        pq.write_table(table, path, row_group_size=1000)
        assert sum(batch.table.num_rows for batch in open_source(path).batches) == table.num_rows
