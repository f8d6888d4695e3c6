"""Mixed columns as numbers: standardised numbers, one-hot categories, derived dates and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig
from features.encoders.column_statistics import (
    bounds_of_columns,
    fences,
    inside,
    medians,
    moments,
    outer_bounds_of_columns,
)
from features.encoders.contract import row_count
from features.encoders.date_and_text_features import (
    DERIVED,
    count_sentinel_dates,
    drop_sentinel_dates,
    with_vocabulary,
)
from features.records.contract import Columns
from features.records.spellings import spell_word

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 100
"""An open category keeps its most frequent values; the others encode as none."""
MANY_VALUES = 30
"""A category of more values is one column of places where the estimator learns from such."""
MANY_CODES, ROWS_OF_CODE = 100, 2
"""A whole number may be a code where it has more values than so many (ages have not), each in so many rows
on average."""
MAX_PLACES = 20_000
"""Values of such a category that are known, the most frequent ones."""
LIMIT = 1e30
"""Numbers beyond are cut, before and after scaling, so that 32 bits hold them and sums of them."""
FEW_ROWS, FEW_SHARE = 3, 0.005
"""So many rows may hold what cannot be meant, or this share of them if that is more."""
SENTINELS = "dates of field '{}' in the years 1 and 9999, which stand for none, were taken as missing: {}"
CUT = "values of '{}' too far from all others to be meant were cut: {}"

Floats = NDArray[np.float64]


class TabularEncoder:
    """Numbers first (given, then derived), then indicators of the missing, then one-hot categories.

    A missing number becomes the training median, and for a nullable field a column of its own
    says so. A category never seen in training, or missing, is all zeros. A number whose
    quartiles coincide (most of its values are the same) has no fences, else a rare flag
    would be clipped away. A number, or a date's days, beyond what is plausible by the training rows is
    cut there, whatever the outliers' rule, and a row with one that is far beyond is not believed. Negatives
    are left alone where the field's `minimum` allows them.

    `native` is for models that know missing values and categories: a number that is missing in some training
    row stays missing (one that never is becomes the median), numbers are not scaled, and each category field
    is one column that holds the place of its value, missing where it is none or was never seen.

    `places` is for models that learn from such columns besides: categories of many values become them, and
    come last, after all else as ever. Whole numbers of very many values, each of which several rows have,
    may be numbers of shops or schools, and have such a column besides their own.
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
        # Versions of earlier releases have no plausible bounds, and answer as they did.
        self._floor, self._ceiling = (
            np.array(state.get(key, np.full(len(self._median), limit)), dtype=np.float64)
            for key, limit in (("floor", -LIMIT), ("ceiling", LIMIT))
        )
        dates = any(kind == "datetime" for _, kind in self._derived)
        self._without_sentinels: bool = "floor" in state and dates
        # Those of earlier releases have no outer bounds either, and a warm start from one learns as it did.
        self._outer = tuple(
            np.array([_bound(value) for value in state.get(key, [limit] * len(self._median))])
            for key, limit in (("outer_floor", -np.inf), ("outer_ceiling", np.inf))
        )
        if self._outliers == "clip":
            self._floor, self._ceiling = np.clip((self._floor, self._ceiling), self._low, self._high)
        self._categories: dict[str, list[str]] = state["categories"]
        self._native: bool = state.get("native", False)
        self._placed: list[str] = list(self._categories) if self._native else state.get("placed", [])
        self._codes: dict[str, list[int]] = state.get("codes", {})
        self._stays_missing = np.array(state.get("stays_missing", []), dtype=np.bool_)
        width = len(self._median) + len(self._nullable)
        self._lookups: list[dict[Any, int]] = []
        self._one_hot = [name for name in self._categories if name not in self._placed]
        for name in self._one_hot:
            self._lookups.append(_lookup(self._categories[name], width))
            width += len(self._categories[name])
        self._place_lookups = [
            *(_lookup(self._categories[name], 0) for name in self._placed),
            *({value: place for place, value in enumerate(values)} for values in self._codes.values()),
        ]
        self._width = width + len(self._place_lookups)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number per feature."""
        return (self._width,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`<field>`, `<field>:<derived>`, `<field>:missing` and `<field>=<category>`; `<field>` where it is
        a column of places."""
        numbers = list(self._numbers)
        for name, kind in self._derived:
            numbers += [f"{name}:{part}" for part in DERIVED[kind].parts]
        missing = [f"{numbers[place]}:missing" for place in self._nullable]
        categories = [f"{name}={value}" for name in self._one_hot for value in self._categories[name]]
        codes = [f"{name}:code" for name in self._codes]
        return (*numbers, *missing, *categories, *self._placed, *codes)

    @property
    def category_columns(self) -> dict[int, int]:
        """Column that holds places of categories to how many there are; none but where they are placed."""
        start = self._width - len(self._place_lookups)
        return {
            start + place: max(lookup.values(), default=-1) + 1
            for place, lookup in enumerate(self._place_lookups)
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the training rows was taken for absurd, a sentence each."""
        return tuple(self._state.get("notes", ()))

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """Least and greatest plausible value of each number with bounds; of dates in days since 1970."""
        floors, ceilings = self._state.get("floor", ()), self._state.get("ceiling", ())
        names = [name.removesuffix(":days") for name in self.feature_names]
        bounds = list(zip(names, floors, ceilings, strict=False))
        if self._negatives != "keep":  # a negative is none then, however far it lies
            guarded = self._guarded.tolist() + [False] * (len(bounds) - len(self._guarded))
            bounds = [
                (name, -LIMIT if is_guarded else low, high)
                for (name, low, high), is_guarded in zip(bounds, guarded, strict=True)
            ]
        return {name: (low, high) for name, low, high in bounds if low > -LIMIT or high < LIMIT}

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn medians, fences, scales and categories from training rows."""
        tabular = options.tabular
        most = MAX_PLACES if tabular.encoding == "places" else MAX_CATEGORIES
        state = begin_state(record, options)
        state["categories"] = {
            field.name: category_values(Counter(columns[field.name].tolist()), field, most)
            for field in record.fields
            if field.type == "category"
        }
        if tabular.encoding == "places":
            whole = {field.name: _whole_numbers(columns[field.name]) for field in whole_fields(record)}
            state |= placed(whole, row_count(columns), state["categories"])
        sentinels = count_sentinel_dates(columns)
        values = values_to_learn(columns, state)
        spans = Spans.of(record, options)
        floor, ceiling = bounds_of_columns(values, spans.bounded, LIMIT)
        outer_floor, outer_ceiling = outer_bounds_of_columns(values, spans.leaves_out)
        low, high = fences(values, spans.fenced, tabular.iqr_factor)
        values = without_outliers(values, low, high, tabular.outliers)
        # What is not plausible says nothing of where the others lie.
        absurd = (values < floor) | (values > ceiling)
        values[absurd] = np.nan
        median = medians(values)
        filled = np.where(np.isnan(values), median, values)
        native = tabular.encoding == "native"
        scaled = tabular.scale and not native
        mean, scale = moments(filled) if scaled else (np.zeros_like(median), np.ones_like(median))
        if native:
            stays_missing = np.isnan(all_values(drop_sentinel_dates(columns), state)).any(axis=0)
            state |= {"native": True, "stays_missing": stays_missing.tolist(), "nullable": []}
        state |= {"low": bounds_as_json(low), "high": bounds_as_json(high)}
        state |= {"floor": floor.tolist(), "ceiling": ceiling.tolist()}
        state |= {"outer_floor": bounds_as_json(outer_floor), "outer_ceiling": bounds_as_json(outer_ceiling)}
        state |= {"median": median.tolist(), "mean": mean.tolist(), "scale": scale.tolist()}
        return cls.noting(state, sentinels, absurd.sum(axis=0))

    @classmethod
    def noting(cls, state: dict[str, Any], sentinels: Mapping[str, int], absurd: NDArray[Any]) -> Self:
        """The encoder of a state, with notes on what of the training rows was taken for none, or cut.

        Args:
            sentinels: name of a field to how many of its dates stand for none.
            absurd: of each number, how many values were not plausible.
        """
        state["notes"] = []
        names = cls(state).feature_names
        cut = {names[place]: count for place, count in enumerate(absurd.tolist()) if count}
        state["notes"] = [*_notes(SENTINELS, sentinels), *_notes(CUT, cut)]
        return cls(state)

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Numbers of n rows, shape (n, features)."""
        return self.encode_treated(self.treat_dates(columns))

    def encode_treated(self, columns: Columns) -> NDArray[np.float32]:
        """The same of columns that `treat_dates` has given."""
        rows = row_count(columns)
        # The extra cell at the end takes the writes of unknown and missing categories.
        flat = np.zeros(rows * self._width + 1, dtype=np.float32)
        encoded = flat[:-1].reshape(rows, self._width)
        values = self._treated(columns)
        missing = np.isnan(values)
        # What is missing stays so, as in np.clip, which takes several times as long for few rows.
        np.minimum(np.maximum(values, self._floor, out=values), self._ceiling, out=values)
        filled = missing & ~self._stays_missing if self._native else missing
        np.copyto(values, self._median, where=filled)
        values -= self._mean
        values /= self._scale
        np.minimum(np.maximum(values, -LIMIT, out=values), LIMIT, out=values)
        count = values.shape[1]
        encoded[:, :count] = values
        if self._place_lookups:
            encoded[:, self._width - len(self._place_lookups) :] = self._category_places(columns, rows)
        encoded[:, count : count + len(self._nullable)] = missing[:, self._nullable]
        if rows == 1:  # as is usual in serving: by cell, for a fraction of what arrays of them take
            for name, lookup in zip(self._one_hot, self._lookups, strict=True):
                flat[lookup.get(columns[name].item(), -1)] = 1
        else:
            flat[self._category_cells(columns, rows)] = 1
        return encoded

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Rows with no number beyond its fences when outliers are dropped, else all."""
        if self._outliers != "drop":
            return np.ones(row_count(columns), dtype=np.bool_)
        return inside(self._treated(self.treat_dates(columns)), self._low, self._high)

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Rows with no number beyond the outer bounds; a number that many rows have beyond is a code."""
        beyond = self.beyond(columns)
        return np.asarray(~(beyond & are_few(beyond.sum(axis=0), len(beyond))).any(axis=1))

    def beyond(self, columns: Columns) -> NDArray[np.bool_]:
        """Which numbers of n rows lie beyond the outer bounds, shape (n, numbers)."""
        values = self._treated(self.treat_dates(columns))
        return np.asarray((values < self._outer[0]) | (values > self._outer[1]))

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """The fields themselves; dates and texts by what is derived from them."""
        import pandas as pd

        columns = self.treat_dates(columns)
        table: dict[str, Any] = {name: columns[name] for name in self._numbers}
        for name, kind in self._derived:
            parts = DERIVED[kind].compute(columns[name])
            table |= {f"{name}:{part}": parts[:, place] for place, part in enumerate(DERIVED[kind].parts)}
        table |= {name: columns[name] for name in self._categories}
        return pd.DataFrame(table)

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the texts themselves, for their words to be compared."""
        fields = [name for name, kind in self._derived if kind == "text"]
        one, other = (with_vocabulary(self.summarise(rows), rows, fields) for rows in (before, now))
        return one, other

    def treat_dates(self, columns: Columns) -> Columns:
        """The same columns, a date that stands for none being missing."""
        return drop_sentinel_dates(columns) if self._without_sentinels else columns

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
            map(lookup.get, columns[name].tolist(), repeat(-1))
            for name, lookup in zip(self._one_hot, self._lookups, strict=True)
        )
        places = np.fromiter(cells, np.intp, rows * len(self._lookups)).reshape(len(self._lookups), rows)
        return np.where(places < 0, -1, places + np.arange(rows) * self._width)

    def _category_places(self, columns: Columns, rows: int) -> NDArray[np.float32]:
        """The place of each row's value among those of each placed field; missing where it has none."""
        names = [*self._placed, *self._codes]
        places = np.empty((rows, len(names)), dtype=np.float32)
        for column, (name, lookup) in enumerate(zip(names, self._place_lookups, strict=True)):
            found = map(lookup.get, columns[name].tolist(), repeat(-1))
            places[:, column] = np.fromiter(found, np.float32, rows)
        places[places < 0] = np.nan
        return places

    def _treated(self, columns: Columns) -> Floats:
        values = _gather(columns, self._numbers, self._derived)
        _treat_negatives(values, self._negatives, self._guarded)
        return values


@dataclass(frozen=True)
class Spans:
    """Which numbers, given and derived, have bounds and fences: one truth for each."""

    bounded: list[bool]
    leaves_out: list[bool]
    """Bounds beyond which a row is not believed."""
    fenced: list[bool]
    """Of the given numbers only."""

    @classmethod
    def of(cls, record: RecordConfig, options: FeaturesConfig) -> Self:
        """As the options have it."""
        tabular, (numeric, derived) = options.tabular, _number_fields(record)
        bounded = [field.type != "boolean" for field in numeric] + _dated_places(derived)
        bounded = [is_bounded and tabular.fence != "off" for is_bounded in bounded]
        return cls(
            bounded,
            [is_bounded and tabular.fence != "clip" for is_bounded in bounded],
            [field.type != "boolean" and tabular.outliers != "keep" for field in numeric],
        )


def are_few(beyond: NDArray[Any], rows: int) -> NDArray[np.bool_]:
    """Of which numbers so few rows are beyond the outer bounds that they cannot be meant."""
    return np.asarray(beyond <= max(FEW_ROWS, int(FEW_SHARE * rows)))


def begin_state(record: RecordConfig, options: FeaturesConfig) -> dict[str, Any]:
    """What of an encoder's state needs no rows."""
    numeric, derived = _number_fields(record)
    return {
        "numbers": [field.name for field in numeric],
        "derived": [[field.name, field.type] for field in derived],
        "nullable": _nullable_places(numeric, derived),
        "negatives": options.tabular.negatives,
        "outliers": options.tabular.outliers,
        "guarded": [_counts_from_zero(field) for field in numeric],
    }


def values_to_learn(columns: Columns, state: Mapping[str, Any]) -> Floats:
    """Numbers of training rows, given and derived, NaN where missing; fences and medians are of these."""
    return all_values(drop_sentinel_dates(columns), state, limit=LIMIT)


def all_values(columns: Columns, state: Mapping[str, Any], *, limit: float | None = None) -> Floats:
    """Numbers of rows, given and derived, cut at a limit where there is one, then negatives treated."""
    values = _gather(columns, state["numbers"], [(name, kind) for name, kind in state["derived"]])
    if limit is not None:
        np.clip(values, -limit, limit, out=values)
    _treat_negatives(values, state["negatives"], np.array(state["guarded"], dtype=np.bool_))
    return values


def without_outliers(values: Floats, low: Floats, high: Floats, outliers: str) -> Floats:
    """The numbers that are learned from: cut at the fences, or without the rows that lie beyond."""
    if outliers == "clip":
        return np.clip(values, low, high)
    return values[inside(values, low, high)] if outliers == "drop" else values


def whole_fields(record: RecordConfig) -> list[FieldConfig]:
    """Fields of whole numbers."""
    return [field for field in record.fields if field.type == "integer"]


def _number_fields(record: RecordConfig) -> tuple[list[FieldConfig], list[FieldConfig]]:
    """Those that are numbers, and those of which numbers are derived."""
    numeric = [field for field in record.fields if field.type in ("number", "integer", "boolean")]
    return numeric, [field for field in record.fields if field.type in DERIVED]


def _whole_numbers(column: np.ndarray) -> Floats:
    """The different ones, rising, without those missing."""
    values = np.unique(column)
    known: Floats = values[~np.isnan(values)]
    return known


def _gather(columns: Columns, numbers: Sequence[str], derived: Sequence[tuple[str, str]]) -> Floats:
    """A new array (n, numbers and derived numbers)."""
    parts = [DERIVED[kind].compute(columns[name]) for name, kind in derived]
    values = np.empty((row_count(columns), len(numbers) + sum(part.shape[1] for part in parts)))
    if len(values) == 1 and numbers:  # by one call, not one for each
        np.concatenate([columns[name] for name in numbers], out=values[0, : len(numbers)], casting="unsafe")
    else:
        for place, name in enumerate(numbers):
            values[:, place] = columns[name]
    if parts:
        values[:, len(numbers) :] = np.concatenate(parts, axis=1)
    return values


def _notes(sentence: str, counts: Mapping[str, int]) -> list[str]:
    return [sentence.format(name, count) for name, count in counts.items()]


def _dated_places(derived: Sequence[FieldConfig]) -> list[bool]:
    """Which derived numbers have bounds: the days of a date; the others are shares and points on a circle."""
    parts = [part for field in derived for part in DERIVED[field.type].parts]
    return [part == "days" for part in parts]


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


def placed(whole: Mapping[str, Floats], rows: int, categories: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Which categories have many values, and the values of whole numbers that may be codes.

    Args:
        whole: name of a field of whole numbers to its different ones, rising.
        rows: how many rows there are.
        categories: name of a category to its values.
    """
    codes = {
        name: [int(value) for value in known]
        for name, known in whole.items()
        if MANY_CODES < len(known) <= min(MAX_PLACES, rows / ROWS_OF_CODE)
    }
    many = [name for name, values in categories.items() if len(values) > MANY_VALUES]
    return {"placed": many, "codes": codes}


def _lookup(values: Sequence[str], first: int) -> dict[str, int]:
    """Value to its place, counted from `first`."""
    lookup = {value: first + place for place, value in enumerate(values)}
    for place, value in enumerate(values):  # versions of before each category had one spelling
        lookup.setdefault(spell_word(value), first + place)
    return lookup


def category_values(counts: Mapping[Any, int], field: FieldConfig, most: int) -> list[str]:
    """The closed set, or the most frequent values of the training rows, in alphabetical order.

    Args:
        counts: how often each value comes; what counts none (None) is passed over.
    """
    if field.categories:
        return list(field.categories)
    known = [value for value in counts if value is not None]
    frequent = sorted(known, key=lambda value: (-counts[value], value))[:most]
    return sorted(frequent)


def bounds_as_json(ends: Floats) -> list[float | str]:
    """Fences as JSON values: text where they are infinite, which JSON has not."""
    return [value if np.isfinite(value) else str(value) for value in ends.tolist()]


def _bound(value: float | str) -> float:
    return float(value)
