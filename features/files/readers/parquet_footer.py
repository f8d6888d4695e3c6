"""Whether a Parquet footer describes its columns as it should, found out without ending the process.

Arrow throws where a description contradicts itself. Where it reads rows it turns that into an error; where
Python asks for the description of one column (`RowGroupMetaData.column`), nobody catches it, and the process
is aborted. So the footer is first handed to the reader of rows, and nothing else of the file.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class _FooterOnly(io.RawIOBase):
    """A file of which the end can be read; before that it seems to end, and `was_asked_for_rows` is set.

    It does not raise there: of a read that raises in Python, Arrow keeps memory for good.
    """

    def __init__(self, path: Path, footer_bytes: int) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._begin = max(0, self._file.seek(0, io.SEEK_END) - footer_bytes)
        self.was_asked_for_rows = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        place = self._file.tell()
        before = min(self._begin, place if size < 0 else place + size) - place
        if before >= 0 and size >= 0 and place + size <= self._begin:
            self.was_asked_for_rows = True
            return b""
        if before > 0:  # Arrow reads the end of a file in one go, whatever is in it
            self._file.seek(self._begin)
            rest = self._file.read(-1 if size < 0 else size - before)
            return b"\0" * before + rest
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()
        super().close()


def check_chunks(path: Path, footer_bytes: int) -> None:
    """Have Arrow read the description of every column of every row group.

    Args:
        footer_bytes: how far from the end of the file the footer begins.

    Raises:
        pa.ArrowException, OSError: a description is damaged.
    """
    with _FooterOnly(path, footer_bytes) as footer:
        file = pq.ParquetFile(pa.PythonFile(footer, mode="r"), pre_buffer=True)
        try:
            next(file.iter_batches(batch_size=1), None)
        except OSError:
            if not footer.was_asked_for_rows:
                raise
