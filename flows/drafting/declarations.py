"""How a file is written, where its reader has to be told: encoding, separator, numbers, marks of no value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from configs.schema.files import FilesConfig
from features.errors import SourceError
from features.files.missing_columns import SEPARATORS
from features.files.readers.encodings import likely_encoding
from features.records.spellings import trim
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import Sample, read_sample
from flows.drafting.spelling.number_forms import POINT, declared, doubt_of_form, number_form

HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Declared:
    """A sample, and how its file is written."""

    sample: Sample
    files: dict[str, str]
    """Keys of `files`, with what is not found out by itself."""
    why: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    """What may be otherwise."""


def read_declared(path: Path, target: str) -> Declared:
    """Read a file in the encoding and with the separator that it has.

    Raises:
        SourceError: it cannot be read.
        CannotDraft: it has no rows, or no such column.
    """
    files: dict[str, str] = {}
    why: list[str] = []
    sample, encoding = _in_encoding(path, target)
    if encoding is not None:
        files["encoding"] = encoding
        why.append(f"the file is not UTF-8 text; every line can be read as {encoding}, which is a guess")
    if target not in sample.columns and len(sample.columns) == 1 and _is_delimited(path):
        only = next(iter(sample.columns))
        for separator in SEPARATORS:
            if separator in only and target in [trim(part) for part in only.split(separator)]:
                files["separator"] = separator
                why.append(f"the header has columns separated by '{separator}'")
                sample = read_sample(path, FilesConfig(**files), target)
                break
    if sample.rows == 0:
        bad = f": {sample.bad} lines are none, the first for {sample.bad_reason}" if sample.bad else ""
        raise CannotDraft(f"{path}: no rows below the header{bad}; allowed: rows with their labels")
    if target not in sample.columns:
        raise CannotDraft(f"{path}: {sample.lacks(target)}")
    doubt = None
    if _is_delimited(path):
        others = {name: column.values for name, column in sample.columns.items() if name != target}
        form = number_form(others.values(), sample.separator)
        doubt = doubt_of_form(others, form, sample.separator)
        if form != POINT:
            files |= {"decimal": "."} | declared(form)
            marks = f"'{form[0]}' before the fraction" + (f", '{form[1]}' between groups" if form[1] else "")
            why.append(f"numbers are written with {marks}")
    return Declared(sample, files, tuple(why), () if doubt is None else (doubt,))


def _is_delimited(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def _in_encoding(path: Path, target: str) -> tuple[Sample, str | None]:
    try:
        sample = read_sample(path, FilesConfig(), target)
        problem = sample.bad_reason or ""
    except SourceError as error:
        if "UTF-8 text" not in str(error):
            raise
        sample, problem = None, str(error)
    if sample is not None and not (sample.bad and "UTF-8 text" in problem):
        return sample, None
    with path.open("rb") as file:
        encoding = likely_encoding(file.read(HEAD_BYTES))
    return read_sample(path, FilesConfig(encoding=encoding), target), encoding
