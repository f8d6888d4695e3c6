"""How labelled files are written, where that is not plain from the file."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.schema.base import Frozen

ENCODINGS = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "ascii",
    "latin-1",
    "iso8859-2",
    "iso8859-5",
    "iso8859-7",
    "iso8859-9",
    "iso8859-15",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1257",
    "cp437",
    "cp850",
    "mac-roman",
    "koi8-r",
    "shift_jis",
    "cp932",
    "euc_jp",
    "gbk",
    "gb18030",
    "big5",
    "euc_kr",
)
_CANONICAL = {codecs.lookup(name).name: name for name in ENCODINGS}


class FilesConfig(Frozen):
    """How labelled files are written, where that is not plain from the file."""

    separator: Annotated[str, Field(pattern=r"^[\t !#-&*,/:;<=>?@^_`|~]$")] | None = None
    """The character between the columns of CSV. Null: `,` `;` tab or `|`, whichever the header has."""
    decimal: Literal[".", ","] = "."
    """What stands before the fraction of a number in CSV."""
    thousands: Literal[".", ",", " ", "'"] | None = None
    """What may stand between groups of three digits of a number in CSV; a blank is any of its kind."""
    encoding: str | None = None
    """Such as `cp1252`, of CSV and JSON. Null: UTF-8, or UTF-16 and UTF-32 where the file shows it."""
    rest_seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """Seconds for which a file in the inbox must be unchanged before it is read."""
    open_end_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """The same for CSV and JSON lines whose last line has no end: its writer may only pause."""

    picture_folders: tuple[str, ...] = ()
    """Folders, besides that of the file itself, in which its rows may name pictures by their paths."""
    picture_hosts: tuple[Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")], ...] = ()
    """Such as `https://images.example.org`, from which pictures are fetched that rows name; else none is."""

    @field_validator("encoding")
    @classmethod
    def _is_one_of_text(cls, name: str | None) -> str | None:
        if name is None:
            return None
        try:
            return _CANONICAL[codecs.lookup(name).name]
        except (LookupError, ValueError) as error:
            raise ValueError(f"encoding '{name}' is not known; allowed: {', '.join(ENCODINGS)}") from error

    @model_validator(mode="after")
    def _numbers_can_be_told_apart(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f"`decimal` and `thousands` are both '{self.decimal}'; they must differ")
        if self.separator is not None and self.separator == self.thousands:
            raise ValueError(f"`separator` and `thousands` are both '{self.separator}'; they must differ")
        return self
