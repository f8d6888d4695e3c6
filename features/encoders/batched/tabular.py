"""What tables learn, by going through the rows a few times: the very same as of all rows at once.

Counts, vocabularies, medians and fences are exact, and equal; means and deviations differ by the rounding of
their sums (less than 1e-9 of them). Held are a batch, a sample of rows, and what a look narrows down.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.column_statistics import LEAST_VALUES, NEAR, bounds_around
from features.encoders.date_and_text_features import count_sentinel_dates, drop_sentinel_dates
from features.encoders.tabular import (
    LIMIT,
    MAX_CATEGORIES,
    MAX_PLACES,
    Spans,
    TabularEncoder,
    all_values,
    begin_state,
    bounds_as_json,
    category_values,
    placed,
    values_to_learn,
    whole_fields,
    without_outliers,
)
from features.records.rows import RowSource
from features.statistics.counts import BoundedCounts
from features.statistics.moments import Moments
from features.statistics.order import SAMPLED, Ranked, lower_rank, quantiles_of, quartile

Floats = NDArray[np.float64]
SEED = 0
FORGOTTEN = (
    "'{}' has very many values: how often they come was counted with an error of up to {} rows, by which the "
    "rarest of those known may be others"
)


def learn_tabular(
    rows: RowSource, record: RecordConfig, options: FeaturesConfig, *, sampled: int = SAMPLED
) -> TabularEncoder:
    """The encoder that `TabularEncoder.fit` makes of all rows at once.

    Args:
        sampled: rows that are kept as a sample, which decides about memory, and about nothing else.
    """
    first = _first_look(rows, record, options, sampled)
    state = first.state
    spans = Spans.of(record, options)
    limits = _find_limits(rows, state, spans, options, first.sample)
    outliers = options.tabular.outliers
    median, told = _look_at_believed(rows, state, limits, outliers, first.sample)
    native = options.tabular.encoding == "native"
    mean, scale = np.zeros_like(median), np.ones_like(median)
    if options.tabular.scale and not native:
        mean, scale = told.moments_filled(median)
    if native:
        state |= {"native": True, "stays_missing": told.missing.tolist(), "nullable": []}
    state |= {"low": bounds_as_json(limits.low), "high": bounds_as_json(limits.high)}
    state |= {"floor": limits.floor.tolist(), "ceiling": limits.ceiling.tolist()}
    outer = (limits.outer_floor, limits.outer_ceiling)
    state |= dict(zip(("outer_floor", "outer_ceiling"), map(bounds_as_json, outer), strict=True))
    state |= {"median": median.tolist(), "mean": mean.tolist(), "scale": scale.tolist()}
    made = TabularEncoder.noting(state, first.sentinels, told.absurd)
    if not first.notes:
        return made
    learned = made.to_state()
    return TabularEncoder({**learned, "notes": [*learned["notes"], *first.notes]})


@dataclass(frozen=True)
class _Looked:
    """What a first look tells."""

    state: dict[str, Any]
    sentinels: Mapping[str, int]
    sample: Floats
    """Numbers of some rows (m, numbers)."""
    notes: tuple[str, ...]


def _first_look(rows: RowSource, record: RecordConfig, options: FeaturesConfig, sampled: int) -> _Looked:
    """Categories, codes, dates that stand for none, and a sample of the numbers."""
    state = begin_state(record, options)
    places = options.tabular.encoding == "places"
    categories = [field for field in record.fields if field.type == "category"]
    counted = {field.name: BoundedCounts() for field in categories if not field.categories}
    whole: dict[str, Floats] = {field.name: np.array([]) for field in whole_fields(record)} if places else {}
    sentinels: Counter[str] = Counter()
    parts: list[Floats] = []
    chosen = sample_of(len(rows), sampled)
    start = 0
    for batch in rows:
        columns = batch.columns
        for name, counts in counted.items():
            counts.update(columns[name].tolist())
        for name, known in whole.items():
            if len(known) <= MAX_PLACES:
                together = np.unique(np.concatenate([known, columns[name]]))
                whole[name] = together[~np.isnan(together)]
        sentinels.update(count_sentinel_dates(columns))
        inside = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + len(batch))] - start
        parts.append(values_to_learn({name: one[inside] for name, one in columns.items()}, state))
        start += len(batch)
    most = MAX_PLACES if places else MAX_CATEGORIES
    state["categories"] = {
        field.name: category_values(
            counted[field.name].counts if field.name in counted else Counter(), field, most
        )
        for field in categories
    }
    if places:
        state |= placed(whole, len(rows), state["categories"])
    sample = np.concatenate(parts) if parts else np.zeros((0, len(Spans.of(record, options).bounded)))
    notes = tuple(FORGOTTEN.format(name, counts.lost) for name, counts in counted.items() if counts.lost)
    return _Looked(state, sentinels, sample, notes)


def sample_of(count: int, most: int) -> NDArray[np.int64]:
    """Positions of rows drawn at random, rising; always the same of as many rows."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False))


@dataclass(frozen=True)
class _Limits:
    """Fences and bounds of each number."""

    low: Floats
    high: Floats
    floor: Floats
    ceiling: Floats
    outer_floor: Floats
    outer_ceiling: Floats


def _find_limits(
    rows: RowSource, state: Mapping[str, Any], spans: Spans, options: FeaturesConfig, sample: Floats
) -> _Limits:
    """Two looks: for medians and quartiles, and for how far numbers lie from the medians."""
    width = len(spans.bounded)
    fenced = [*spans.fenced, *[False] * (width - len(spans.fenced))]
    wide = np.full(width, np.inf)
    low, high, floor, ceiling = -wide, wide.copy(), np.full(width, -LIMIT), np.full(width, LIMIT)
    outer_floor, outer_ceiling = -wide, wide.copy()
    wanted = np.flatnonzero(np.array(spans.bounded, dtype=bool) | np.array(fenced, dtype=bool))
    if not len(wanted):
        return _Limits(low, high, floor, ceiling, outer_floor, outer_ceiling)

    def present() -> Iterator[list[Floats]]:
        for batch in rows:
            values = values_to_learn(batch.columns, state)
            yield [_known(values[:, place]) for place in wanted]

    of_all = quantiles_of(
        present,
        [_known(sample[:, place]) for place in wanted],
        [_middle_ranks] * len(wanted),
        [_MIDDLE] * len(wanted),
    )
    found = {place: one for place, one in zip(wanted.tolist(), of_all, strict=True) if one.values}
    for place, one in found.items():
        if fenced[place]:
            low[place], high[place] = _fence(one, options.tabular.iqr_factor)
    halves = {place: one.values[0] / 2 for place, one in found.items() if spans.bounded[place]}
    distances = distances_within(lambda: _columns_of(rows, state), halves, sample)
    for place, (typical, near, count) in distances.items():
        first, last = bounds_around(halves[place], typical, near)
        floor[place], ceiling[place] = max(first, -LIMIT), min(last, LIMIT)
        if spans.leaves_out[place] and count >= LEAST_VALUES:
            outer_floor[place], outer_ceiling[place] = bounds_around(halves[place], typical, near, outer=True)
    return _Limits(low, high, floor, ceiling, outer_floor, outer_ceiling)


def _columns_of(rows: RowSource, state: Mapping[str, Any]) -> Iterator[Floats]:
    for batch in rows:
        yield values_to_learn(batch.columns, state)


def distances_within(
    look: Callable[[], Iterator[Floats]], halves: Mapping[int, float], sample: Floats
) -> dict[int, tuple[float, float, int]]:
    """Of each number: the typical distance to half its median, one within which nearly all lie, and how many
    values there are; none of one whose values are all the same.

    Args:
        look: begins a look: gives values (n, numbers) batch by batch.
        halves: place of a number to half its median.
        sample: values of some rows.
    """
    places = list(halves)
    counts = dict.fromkeys(places, 0)

    def distances() -> Iterator[list[Floats]]:
        counts.update(dict.fromkeys(places, 0))
        for values in look():
            known = {place: _known(values[:, place]) for place in places}
            for place, numbers in known.items():
                counts[place] += len(numbers)
            yield [_distances(numbers, halves[place]) for place, numbers in known.items()]

    def ranks(count: int) -> list[int]:
        return [lower_rank(share)(count) for share in (0.5, NEAR)]

    if not places:
        return {}
    of_sample = [_distances(_known(sample[:, place]), halves[place]) for place in places]
    found = quantiles_of(distances, of_sample, [ranks] * len(places), [(0.5, NEAR)] * len(places))
    return {
        place: (one.values[0], one.values[1], counts[place])
        for place, one in zip(places, found, strict=True)
        if one.values
    }


def _distances(numbers: Floats, half: float) -> Floats:
    distances = np.abs(numbers / 2 - half)
    return distances[distances > 0]


_MIDDLE = (0.5, 0.25, 0.25, 0.75, 0.75)


def _middle_ranks(count: int) -> list[int]:
    """Of the lower median, and of the two numbers beside each quartile, then where between them it lies."""
    quartiles = [share * (count - 1) for share in (0.25, 0.75)]
    beside = [rank for one in quartiles for rank in (math.floor(one), math.ceil(one))]
    return [lower_rank(0.5)(count), *beside]


def _fence(ranked: Ranked, factor: float) -> tuple[float, float]:
    """Tukey's, by what was found at `_middle_ranks`; infinite where most numbers are the same."""
    _, *beside = ranked.values
    first = quartile(0.25, ranked.count, *beside[:2])
    third = quartile(0.75, ranked.count, *beside[2:])
    reach = factor * (third - first)
    return (first - reach, third + reach) if third > first else (-np.inf, np.inf)


class _Told:
    """What a look at the numbers that are believed tells."""

    def __init__(self, numbers: int) -> None:
        self.moments = Moments(numbers)
        self.absurd = np.zeros(numbers, dtype=np.int64)
        self.missing = np.zeros(numbers, dtype=np.bool_)
        self.rows = 0

    def moments_filled(self, median: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation where medians stand for what is missing; 1 where a column does not vary."""
        together = Moments(len(median))
        together.join(self.moments.count, self.moments.mean, self.moments.squares)
        together.join(self.rows - self.moments.count, median, np.zeros(len(median)))
        mean, deviation = together.mean, together.deviation
        return mean, np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), deviation, 1.0)


def _look_at_believed(
    rows: RowSource, state: Mapping[str, Any], limits: _Limits, outliers: str, sample: Floats
) -> tuple[Floats, _Told]:
    """Medians of what is learned from, and all else that it tells, in one look."""
    width = sample.shape[1]
    told = _Told(width)

    def believed(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        values = without_outliers(values, limits.low, limits.high, outliers)
        absurd = (values < limits.floor) | (values > limits.ceiling)
        return np.where(absurd, np.nan, values), absurd

    def look() -> Iterator[list[Floats]]:
        nonlocal told
        told = _Told(width)
        for batch in rows:
            values, absurd = believed(values_to_learn(batch.columns, state))
            told.rows += len(values)
            told.moments.add(values)
            told.absurd += absurd.sum(axis=0)
            whole = all_values(drop_sentinel_dates(batch.columns), state)
            told.missing |= np.isnan(whole).any(axis=0)
            yield [_known(column) for column in values.T]

    clean = believed(sample)[0]
    ranks = quantiles_of(
        look,
        [_known(column) for column in clean.T],
        [lambda count: [(count - 1) // 2, count // 2]] * width,
        [(0.5, 0.5)] * width,
    )
    medians = [float(np.mean(one.values)) if one.values else 0.0 for one in ranks]
    return np.array(medians, dtype=np.float64), told


def _known(numbers: Floats) -> Floats:
    return numbers[~np.isnan(numbers)]
