"""Where a CSV record ends whose quotes may hold line ends, found in time that grows with the bytes alone.

A record that fails is read again from its second line. That line then begins within quotes for the one
and outside them for the other, so what follows would be looked at again and again; but all lines that
begin within quotes on the way to one failure fail there too, so it is enough to keep that stretch.
"""

from __future__ import annotations

import re

OPEN = -1
WRONG = -2
_CLOSING = re.compile(rb'(?:[^"]++|"")*+"')


class QuoteScanner:
    """Finds the ends of records in one stretch of bytes; asked for each start in rising order."""

    def __init__(self, data: bytes, separator: str) -> None:
        self.data = data
        self.separator = separator.encode()
        self._first = self._last = 0
        self._outcome = OPEN

    def end(self, start: int) -> int:
        """Where the record that begins at `start` ends, `OPEN` if its quotes never do, else `WRONG`."""
        data, at = self.data, start
        line_end = self._line_end(start)
        crossed: int | None = None
        while True:
            if data[at : at + 1] == b'"':
                closing = _CLOSING.match(data, at + 1, line_end)
                if closing is None:
                    if crossed is None:
                        if self._first <= line_end <= self._last and self._last:
                            return self._outcome
                        crossed = line_end
                    closing = _CLOSING.match(data, at + 1)
                    if closing is None:
                        return self._keep(crossed, len(data), OPEN)
                    line_end = self._line_end(closing.end())
                at = closing.end()
                if _is_line_end(data, at, line_end):
                    return self._keep(crossed, at, line_end)
                if not data.startswith(self.separator, at):
                    return self._keep(crossed, at, WRONG)
                at += 1
                continue
            following = data.find(self.separator, at, line_end)
            if following < 0:
                return self._keep(crossed, at, line_end)
            at = following + 1

    def _line_end(self, at: int) -> int:
        end = self.data.find(b"\n", at)
        return len(self.data) if end < 0 else end + 1

    def _keep(self, crossed: int | None, reached: int, outcome: int) -> int:
        if crossed is not None:
            self._first, self._last, self._outcome = crossed, reached, outcome
        return outcome


def _is_line_end(data: bytes, at: int, line_end: int) -> bool:
    return data[at:line_end] in (b"", b"\n", b"\r\n", b"\r")
