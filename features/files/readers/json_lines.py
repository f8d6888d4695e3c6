"""JSON lines: an object on each line."""

from __future__ import annotations

from collections.abc import Iterator

from features.files.readers.byte_streams import TextFile
from features.files.readers.json_rows import Text
from features.files.readers.limits import MB, ROW_BYTES

TOO_LONG = f"a line of more than {ROW_BYTES // MB} MB"
SHOWN_BYTES = 1000


def json_lines(text: TextFile) -> Iterator[Text]:
    """Lines that are not blank, numbered from 1; what is too long is skipped, but for its beginning."""
    number = 0
    with text.file as file:
        while line := file.readline(ROW_BYTES):
            number += 1
            if len(line) == ROW_BYTES and not line.endswith(b"\n"):
                while (more := file.readline(ROW_BYTES)) and not more.endswith(b"\n"):
                    pass
                yield Text(number, line[:SHOWN_BYTES], TOO_LONG)
            elif line.strip():
                yield Text(number, line)
