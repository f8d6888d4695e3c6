"""Mixed columns as numbers: standardised numbers, one-hot categories, derived dates and texts.

Tukey's rule gives the fences for outliers: John W. Tukey, Exploratory Data Analysis (1977).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig
from features.encoders.contract import row_count
from features.encoders.date_and_text_features import DERIVED
from features.records.contract import Columns
from features.records.spellings import spell_word

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 100
"""An open category keeps its most frequent values; the others encode as none."""
LIMIT = 1e30
"""Numbers beyond are cut, before and after scaling, so that 32 bits hold them and sums of them."""

Floats = NDArray[np.float64]


class TabularEncoder:
    """Numbers first (given, then derived), then indicators of the missing, then one-hot categories.

    A missing number becomes the training median, and for a nullable field a column of its own
    says so. A category never seen in training, or missing, is all zeros. A number whose
    quartiles coincide (most of its values are the same) has no fences, else a rare flag
    would be clipped away. Negatives are left alone where the field's `minimum` allows them.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._numbers: list[str] = state["numbers"]
        self._derived: list[tuple[str, str]] = [(name, kind) for name, kind in state["derived"]]
        self._nullable = np.array(state["nullable"], dtype=np.intp)
        self._negatives: str = state["negatives"]
        self._outliers: str = state["outliers"]
        self._guarded = np.array(state["guarded"], dtype=np.bool_)
        self._low, self._high, self._median, self._mean, self._scale = (
            np.array([_bound(value) for value in state[key]], dtype=np.float64)
            for key in ("low", "high", "median", "mean", "scale")
        )
        self._categories: dict[str, list[str]] = state["categories"]
        width = len(self._median) + len(self._nullable)
        self._lookups: list[tuple[str, dict[str, int]]] = []
        for name, values in self._categories.items():
            lookup = {value: width + place for place, value in enumerate(values)}
            for place, value in enumerate(values):  # versions of before each category had one spelling
                lookup.setdefault(spell_word(value), width + place)
            self._lookups.append((name, lookup))
            width += len(values)
        self._width = width

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number per feature."""
        return (self._width,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`<field>`, `<field>:<derived>`, `<field>:missing` and `<field>=<category>`."""
        numbers = list(self._numbers)
        for name, kind in self._derived:
            numbers += [f"{name}:{part}" for part in DERIVED[kind].parts]
        missing = [f"{numbers[place]}:missing" for place in self._nullable]
        categories = [f"{name}={value}" for name, values in self._categories.items() for value in values]
        return (*numbers, *missing, *categories)

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn medians, fences, scales and categories from training rows."""
        tabular = options.tabular
        numeric = [field for field in record.fields if field.type in ("number", "integer", "boolean")]
        derived = [field for field in record.fields if field.type in DERIVED]
        guarded = [_counts_from_zero(field) for field in numeric]
        state: dict[str, Any] = {
            "numbers": [field.name for field in numeric],
            "derived": [[field.name, field.type] for field in derived],
            "nullable": _nullable_places(numeric, derived),
            "negatives": tabular.negatives,
            "outliers": tabular.outliers,
            "guarded": guarded,
            "categories": {
                field.name: _category_values(columns[field.name], field)
                for field in record.fields
                if field.type == "category"
            },
        }
        values = _gather(columns, state["numbers"], [(field.name, field.type) for field in derived])
        _treat_negatives(values, tabular.negatives, np.array(guarded, dtype=np.bool_))
        fenced = [field.type != "boolean" and tabular.outliers != "keep" for field in numeric]
        low, high = _fences(values, fenced, tabular.iqr_factor)
        if tabular.outliers == "clip":
            values = np.clip(values, low, high)
        elif tabular.outliers == "drop":
            values = values[_inside(values, low, high)]
        median = _medians(values)
        filled = np.where(np.isnan(values), median, values)
        mean, scale = _moments(filled) if tabular.scale else (np.zeros_like(median), np.ones_like(median))
        state |= {"low": _bounds(low), "high": _bounds(high)}
        state |= {"median": median.tolist(), "mean": mean.tolist(), "scale": scale.tolist()}
        return cls(state)

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Numbers of n rows, shape (n, features)."""
        rows = row_count(columns)
        # The extra cell at the end takes the writes of unknown and missing categories.
        flat = np.zeros(rows * self._width + 1, dtype=np.float32)
        encoded = flat[:-1].reshape(rows, self._width)
        values = self._treated(columns)
        missing = np.isnan(values)
        if self._outliers == "clip":
            np.clip(values, self._low, self._high, out=values)
        np.copyto(values, np.broadcast_to(self._median, values.shape), where=missing)
        values -= self._mean
        values /= self._scale
        np.clip(values, -LIMIT, LIMIT, out=values)
        count = values.shape[1]
        encoded[:, :count] = values
        encoded[:, count : count + len(self._nullable)] = missing[:, self._nullable]
        flat[self._category_cells(columns, rows)] = 1
        return encoded

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Rows with no number beyond its fences when outliers are dropped, else all."""
        if self._outliers != "drop":
            return np.ones(row_count(columns), dtype=np.bool_)
        return _inside(self._treated(columns), self._low, self._high)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """The fields themselves; dates and texts by what is derived from them."""
        import pandas as pd

        table: dict[str, Any] = {name: columns[name] for name in self._numbers}
        for name, kind in self._derived:
            parts = DERIVED[kind].compute(columns[name])
            table |= {f"{name}:{part}": parts[:, place] for place, part in enumerate(DERIVED[kind].parts)}
        table |= {name: columns[name] for name in self._categories}
        return pd.DataFrame(table)

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        return self._state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`."""
        return cls(state)

    def _category_cells(self, columns: Columns, rows: int) -> NDArray[np.intp]:
        """Cells of the categories present, row by row in one line of cells; -1 where there is none."""
        cells = chain.from_iterable(
            map(lookup.get, columns[name].tolist(), repeat(-1)) for name, lookup in self._lookups
        )
        places = np.fromiter(cells, np.intp, rows * len(self._lookups)).reshape(len(self._lookups), rows)
        return np.where(places < 0, -1, places + np.arange(rows) * self._width)

    def _treated(self, columns: Columns) -> Floats:
        values = _gather(columns, self._numbers, self._derived)
        _treat_negatives(values, self._negatives, self._guarded)
        return values


def _gather(columns: Columns, numbers: Sequence[str], derived: Sequence[tuple[str, str]]) -> Floats:
    """A new array (n, numbers and derived numbers)."""
    parts = [DERIVED[kind].compute(columns[name]) for name, kind in derived]
    values = np.empty((row_count(columns), len(numbers) + sum(part.shape[1] for part in parts)))
    for place, name in enumerate(numbers):
        values[:, place] = columns[name]
    if parts:
        values[:, len(numbers) :] = np.concatenate(parts, axis=1)
    return np.clip(values, -LIMIT, LIMIT, out=values)


def _treat_negatives(values: Floats, treatment: str, guarded: NDArray[np.bool_]) -> None:
    """Replace negatives in place, in the guarded columns only (derived ones follow them and are not)."""
    if treatment == "keep":
        return
    numbers = values[:, : len(guarded)]
    numbers[(numbers < 0) & guarded] = 0.0 if treatment == "zero" else np.nan


def _counts_from_zero(field: FieldConfig) -> bool:
    return field.minimum is None or field.minimum >= 0


def _nullable_places(numeric: Sequence[FieldConfig], derived: Sequence[FieldConfig]) -> list[int]:
    """Columns that tell whether a nullable field is missing; of a derived field its first part does."""
    places = [place for place, field in enumerate(numeric) if field.nullable]
    start = len(numeric)
    for field in derived:
        if field.nullable:
            places.append(start)
        start += len(DERIVED[field.type].parts)
    return places


def _category_values(column: np.ndarray, field: FieldConfig) -> list[str]:
    """The closed set, or the most frequent values of the training rows, in alphabetical order."""
    if field.categories:
        return list(field.categories)
    counts = Counter(value for value in column.tolist() if value is not None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:MAX_CATEGORIES]
    return sorted(frequent)


def _fences(values: Floats, fenced: Sequence[bool], factor: float) -> tuple[Floats, Floats]:
    low = np.full(values.shape[1], -np.inf)
    high = np.full(values.shape[1], np.inf)
    for place, has_fences in enumerate(fenced):
        present = values[:, place][~np.isnan(values[:, place])]
        if not has_fences or not len(present):
            continue
        first, third = np.quantile(present, [0.25, 0.75])
        if third > first:
            reach = factor * (third - first)
            low[place], high[place] = first - reach, third + reach
    return low, high


def _inside(values: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    beyond: NDArray[np.bool_] = np.any((values < low) | (values > high), axis=1)
    return ~beyond


def _medians(values: Floats) -> Floats:
    present = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(column) if len(column) else 0.0 for column in present], dtype=np.float64)


def _moments(filled: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each column; 1 where the column does not vary."""
    if not len(filled):
        return np.zeros(filled.shape[1]), np.ones(filled.shape[1])
    mean, deviation = filled.mean(axis=0), filled.std(axis=0)
    # Equal values may seem to vary by the rounding of their mean.
    return mean, np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), deviation, 1.0)


def _bounds(fences: Floats) -> list[float | str]:
    """Fences as JSON values: text where they are infinite, which JSON has not."""
    return [value if np.isfinite(value) else str(value) for value in fences.tolist()]


def _bound(value: float | str) -> float:
    return float(value)
