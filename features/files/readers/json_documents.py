"""Rows in one JSON document: a list, or parts by name that each hold one.

    [{"text": "hello", "label": "greeting"}, ...]
    {"train": [["hello", "greeting"], ...], "test": [["bye", "farewell"], ...]}

A row is an object, or a pair of text and label. Rows from parts have the name of theirs in a column `part`.
The document is read a row at a time, so its size has no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import orjson

from features.errors import SourceError
from features.files.readers.byte_streams import TextFile
from features.files.readers.json_rows import Text
from features.files.readers.limits import MB, ROW_BYTES

CHUNK_BYTES = MB
SHOWN_BYTES = 1000
ALLOWED = "allowed: a list of rows, or lists of rows by name"
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_TOKEN = re.compile(rb'[\[\]{},]|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
"""What tells where a value ends; a text whose end is not there yet has an empty group."""


def holds_document(file: IO[bytes]) -> bool:
    """Whether a `.json` file holds one document; where its first line is an object by itself, it holds lines.

    A single object is a document where all that it holds is lists, else one row.
    """
    first = file.readline(ROW_BYTES)
    while first and not first.strip():
        first = file.readline(ROW_BYTES)
    try:
        row = orjson.loads(first)
    except orjson.JSONDecodeError:
        return True
    if not isinstance(row, dict):
        return True
    more = file.readline(SHOWN_BYTES)
    while more and not more.strip():
        more = file.readline(SHOWN_BYTES)
    return not more and bool(row) and all(isinstance(value, list) for value in row.values())


def holds_parts(file: IO[bytes]) -> bool:
    """Whether a document holds lists of rows by name, not one list."""
    blank = b" "
    while blank and not blank.strip():
        blank = file.read(1)
    return blank == b"{"


def document_rows(text: TextFile, name: str) -> Iterator[Text]:
    """The text of each row, numbered from 1.

    Raises:
        SourceError: it is no JSON, or holds something else.
    """
    with text.file as file:
        yield from _Reader(file, name).rows()


class _Reader:
    """The document as it is read: `data` from `at` on is ahead."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file, self.name = file, name
        self.data, self.at, self.count = b"", 0, 0

    def rows(self) -> Iterator[Text]:
        opening = self._next()
        if opening == b"[":
            yield from self._list("")
        elif opening == b"{":
            yield from self._parts()
        else:
            raise SourceError(f"{self.name}: begins with {opening.decode(errors='replace')!r}; {ALLOWED}")
        if following := self._peek():
            raise self._damaged(f"{following.decode(errors='replace')!r} after its end")

    def _parts(self) -> Iterator[Text]:
        if self._peek() == b"}":
            self.at += 1
            return
        while True:
            part = self._name()
            if self._next() != b":":
                raise self._damaged("no ':' after a name")
            if (opening := self._next()) != b"[":
                raise SourceError(f"{self.name}: '{part:.60}' begins with {opening!r}; {ALLOWED}")
            yield from self._list(part)
            if self._goes_on(b"}"):
                continue
            return

    def _list(self, part: str) -> Iterator[Text]:
        if self._peek() == b"]":
            self.at += 1
            return
        while True:
            self.count += 1
            yield Text(self.count, self._value(), None, part)
            if not self._goes_on(b"]"):
                return

    def _goes_on(self, closing: bytes) -> bool:
        """Whether another follows, after the comma."""
        following = self._next()
        if following not in (b",", closing):
            raise self._damaged(f"got {following.decode(errors='replace')!r} where a row ends")
        return following == b","

    def _name(self) -> str:
        if self._peek() != b'"':
            raise self._damaged("no name of a part")
        token = self._value()
        try:
            return str(orjson.loads(token))
        except orjson.JSONDecodeError as error:
            raise self._damaged(str(error)) from error

    def _value(self) -> bytes:
        """The text of the value that is ahead."""
        self._peek()
        depth, at = 0, self.at
        while True:
            token = _TOKEN.search(self.data, at)
            if token is None or token[1] == b"":
                edge = len(self.data) if token is None else token.start()
                at = edge - self._grow()
                continue
            mark = token[0][:1]
            if depth == 0 and mark in b",]}":
                return self._taken(token.start())
            depth += (mark in b"[{") - (mark in b"]}")
            at = token.end()
            if depth == 0:
                return self._taken(at)

    def _taken(self, end: int) -> bytes:
        value, self.at = self.data[self.at : end], end
        return value.strip()

    def _grow(self) -> int:
        """Read on within a row; by how much what is ahead has moved to the front."""
        moved, self.data, self.at = self.at, self.data[self.at :], 0
        if len(self.data) > ROW_BYTES:
            raise SourceError(
                f"{self.name}: row {self.count} has more than {ROW_BYTES // MB} MB; allowed: less"
            )
        if not self._more():
            raise self._damaged("it ends within a row")
        return moved

    def _peek(self) -> bytes:
        """The next byte that is no blank, empty at the end."""
        while True:
            blanks = _BLANKS.match(self.data, self.at)
            self.at = self.at if blanks is None else blanks.end()
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            self.data, self.at = b"", 0
            if not self._more():
                return b""

    def _next(self) -> bytes:
        byte = self._peek()
        self.at += 1
        return byte

    def _more(self) -> bool:
        chunk = self.file.read(CHUNK_BYTES)
        self.data += chunk
        return bool(chunk)

    def _damaged(self, what: str) -> SourceError:
        return SourceError(f"{self.name}: not JSON after row {self.count}: {what}")
